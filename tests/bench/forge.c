/* forge.c - payloads from templates. */
#include "forge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Placeholders of the width of what replaces them; the digits of latitude and longitude wander. */
#define ID_MARK    "00000000-0000-0000-0000-000000000000"
#define STAMP_MARK "0000-00-00T00:00:00.000Z"
#define HEAD       "{\"v\":1,\"id\":\"" ID_MARK "\",\"ts\":\"" STAMP_MARK "\""
#define ID_AT      (sizeof("{\"v\":1,\"id\":\"") - 1)
#define STAMP_AT   (ID_AT + sizeof(ID_MARK "\",\"ts\":\"") - 1)
#define LAT_AT     (sizeof(HEAD ",\"lat\":52.") - 1)
#define LON_AT     (sizeof(HEAD ",\"lat\":52.000000,\"lon\":13.") - 1)

static const char location[] = HEAD ",\"lat\":52.000000,\"lon\":13.000000,\"accuracy\":6.5,\"altitude\":34,"
                                    "\"speed\":1.4,\"heading\":87,\"source\":\"gps\",\"battery\":76}";
static const char raise[] = HEAD ",\"type\":\"panic\",\"priority\":\"critical\",\"text\":\"Help\"}";

int forge_start(forge *f) {
    *f = (forge){0};
    if (getrandom(&f->random, sizeof(f->random), 0) != (ssize_t)sizeof(f->random))
        return -errno;
    forge_tick(f);
    return 0;
}

void forge_tick(forge *f) {
    instant now = instant_now();
    if (now / 1000 != f->now / 1000)
        instant_format(now, f->stamp);
    f->now = now;
}

static uint64_t next_random(forge *f) {
    uint64_t z = f->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static uuid make_id(forge *f, uint64_t tail) {
    uint8_t random[10];
    uint16_t head = (uint16_t)next_random(f);
    memcpy(random, &head, sizeof(head));
    for (int i = 0; i < 8; i++)
        random[9 - i] = (uint8_t)(tail >> 8 * i);
    return uuid7_make(f->now / 1000, random);
}

uuid forge_id(forge *f, uint32_t tail) {
    return make_id(f, next_random(f) << 32 | tail);
}

bool forge_tail(text id, uint32_t *ret_tail) {
    uuid parsed;
    if (uuid_parse(id, &parsed) != 0)
        return false;
    const uint8_t *b = parsed.bytes + 12;
    *ret_tail = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    return true;
}

static void put_head(forge *f, const uuid *id) {
    char spelled[UUID_TEXT_LEN + 1];
    uuid_format(id, spelled);
    memcpy(f->payload + ID_AT, spelled, UUID_TEXT_LEN);
    memcpy(f->payload + STAMP_AT, f->stamp, INSTANT_TEXT_LEN);
}

static void put_digits(char *at, int count, uint32_t value) {
    while (count-- > 0) {
        at[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

text forge_location(forge *f) {
    uint64_t wander = next_random(f);
    uuid id = make_id(f, next_random(f));
    memcpy(f->payload, location, sizeof(location));
    put_head(f, &id);
    put_digits(f->payload + LAT_AT, 6, (uint32_t)wander);
    put_digits(f->payload + LON_AT, 6, (uint32_t)(wander >> 32));
    return (text){f->payload, sizeof(location) - 1};
}

text forge_raise(forge *f, const uuid *id) {
    memcpy(f->payload, raise, sizeof(raise));
    put_head(f, id);
    return (text){f->payload, sizeof(raise) - 1};
}
