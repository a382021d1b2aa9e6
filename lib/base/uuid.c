/* uuid.c - see uuid.h. */
#include "base/uuid.h"

#include <errno.h>
#include <string.h>

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_dash_place(size_t i) {
    return i == 8 || i == 13 || i == 18 || i == 23;
}

int uuid_parse(text t, uuid *ret_id) {
    if (t.len != UUID_TEXT_LEN)
        return -EINVAL;
    uuid id = {0};
    size_t nibble = 0;
    for (size_t i = 0; i < t.len; i++) {
        if (is_dash_place(i)) {
            if (t.ptr[i] != '-')
                return -EINVAL;
            continue;
        }
        int value = hex_value(t.ptr[i]);
        if (value < 0)
            return -EINVAL;
        id.bytes[nibble / 2] = (uint8_t)(id.bytes[nibble / 2] << 4 | value);
        nibble++;
    }
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
