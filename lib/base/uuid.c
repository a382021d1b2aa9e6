/* uuid.c - see uuid.h. */
#include "base/uuid.h"

#include <errno.h>
#include <string.h>

/* A table, because every message brings several of these: what is no hex digit is 0. */
#define HEX 16
static const uint8_t hex_values[256] = {
    ['0'] = HEX | 0,  ['1'] = HEX | 1,  ['2'] = HEX | 2,  ['3'] = HEX | 3,  ['4'] = HEX | 4,
    ['5'] = HEX | 5,  ['6'] = HEX | 6,  ['7'] = HEX | 7,  ['8'] = HEX | 8,  ['9'] = HEX | 9,
    ['a'] = HEX | 10, ['b'] = HEX | 11, ['c'] = HEX | 12, ['d'] = HEX | 13, ['e'] = HEX | 14,
    ['f'] = HEX | 15, ['A'] = HEX | 10, ['B'] = HEX | 11, ['C'] = HEX | 12, ['D'] = HEX | 13,
    ['E'] = HEX | 14, ['F'] = HEX | 15,
};

static bool is_dash_place(size_t i) {
    return i == 8 || i == 13 || i == 18 || i == 23;
}

int uuid_parse(text t, uuid *ret_id) {
    static const uint8_t places[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    if (t.len != UUID_TEXT_LEN || t.ptr[8] != '-' || t.ptr[13] != '-' || t.ptr[18] != '-' || t.ptr[23] != '-')
        return -EINVAL;
    uuid id;
    uint8_t good = HEX;
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        uint8_t high = hex_values[(unsigned char)t.ptr[places[i]]];
        uint8_t low = hex_values[(unsigned char)t.ptr[places[i] + 1]];
        good &= high & low;
        id.bytes[i] = (uint8_t)(high << 4 | (low & 15));
    }
    if (!(good & HEX))
        return -EINVAL;
    *ret_id = id;
    return 0;
}

bool uuid_is_v7_text(text t) {
    uuid id;
    if (uuid_parse(t, &id) < 0)
        return false;
    for (size_t i = 0; i < t.len; i++)
        if (t.ptr[i] >= 'A' && t.ptr[i] <= 'F')
            return false;
    return id.bytes[6] >> 4 == 7 && id.bytes[8] >> 6 == 2;
}

void uuid_format(const uuid *id, char ret_text[UUID_TEXT_LEN + 1]) {
    static const char hex[] = "0123456789abcdef";
    size_t nibble = 0;
    for (size_t i = 0; i < UUID_TEXT_LEN; i++) {
        if (is_dash_place(i)) {
            ret_text[i] = '-';
            continue;
        }
        uint8_t byte = id->bytes[nibble / 2];
        ret_text[i] = hex[nibble % 2 ? byte & 15 : byte >> 4];
        nibble++;
    }
    ret_text[UUID_TEXT_LEN] = '\0';
}

uuid uuid7_make(int64_t unix_ms, const uint8_t random[10]) {
    uuid id;
    for (size_t i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(unix_ms >> (8 * (5 - i)));
    memcpy(id.bytes + 6, random, 10);
    id.bytes[6] = (uint8_t)(0x70 | (id.bytes[6] & 0x0F));
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3F));
    return id;
}

int64_t uuid7_unix_ms(const uuid *id) {
    int64_t ms = 0;
    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | id->bytes[i];
    return ms;
}

bool uuid_equal(const uuid *a, const uuid *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
