/* fit.c - FIT files of watches and bicycle computers to readings and fixes; see recording_format in sense.h.
 *
 * A file is a header (12 or 14 bytes), messages, and a CRC; files may be chained. A definition message says,
 * for one of 16 local numbers, which global message it stands for and which fields it has; data messages
 * follow it. Two global messages are ours: `record` (a sample) and `hrv` (times between beats). All others,
 * and fields that are a developer's own, are stepped over by their sizes.
 *
 * A file that is there in whole and whose CRC is wrong is refused before anything of it is given out. One
 * that ends early (the watch was switched off) is given out as far as it goes, and then called broken.
 *
 * Threads: no state beyond the call. */
#include "sense/inside.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HEADER_MIN   12
#define HEADER_CRC   14 /* a header of this length has a CRC of its own */
#define LOCALS       16
#define FIELDS_MAX   255
#define FIT_EPOCH    (INT64_C(631065600) * INSTANT_SECOND) /* 1989-12-31 */
#define FIT_ABSOLUTE 0x10000000u /* below it are seconds since the device was switched on */
#define SEMICIRCLES  (180.0 / 2147483648.0)

enum {
    MESG_RECORD = 20,
    MESG_HRV = 78
};

/* Fields of `record`; FIELD_TIME of all messages. */
enum {
    FIELD_LAT = 0,
    FIELD_LON = 1,
    FIELD_ALTITUDE = 2,
    FIELD_HR = 3,
    FIELD_SPEED = 6,
    FIELD_ACCURACY = 31,
    FIELD_ENHANCED_SPEED = 73,
    FIELD_ENHANCED_ALTITUDE = 78,
    FIELD_RESPIRATION = 99,
    FIELD_ENHANCED_RESPIRATION = 108,
    FIELD_CORE_TEMPERATURE = 139,
    FIELD_TIME = 253
};

enum {
    FIELD_HRV_TIME = 0
};

typedef struct field_layout {
    uint8_t number, size, type;
} field_layout;

typedef struct definition {
    bool known, big_endian;
    uint16_t global;
    size_t count, developer_bytes;
    field_layout fields[FIELDS_MAX];
} definition;

typedef struct fit {
    const unsigned char *bytes;
    size_t at, end; /* of the messages of the present file */
    definition locals[LOCALS];
    uint32_t last_time; /* 0: none yet */
    bool (*visit)(void *context, const sensed *one);
    void *context;
    char *why;
} fit;

typedef enum outcome {
    OUTCOME_BROKEN = 0, /* `why` is said */
    OUTCOME_GOES_ON,
    OUTCOME_ENDED, /* by the visitor */
} outcome;

static outcome broken(fit *f, const char *format, ...) PRINTF_LIKE(2, 3);
static outcome broken(fit *f, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(f->why, 256, format, args);
    va_end(args);
    return OUTCOME_BROKEN;
}

static uint64_t number(const unsigned char *p, size_t width, bool big_endian) {
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)p[i] << 8 * (big_endian ? width - 1 - i : i);
    return value;
}

/* CRC-16 with the polynomial 0xA001, four bits at a time. */
static uint16_t crc_of(const unsigned char *p, size_t len) {
    static const uint16_t table[16] = {0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401,
                                       0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400};
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc = (crc >> 4) ^ table[(crc ^ p[i]) & 0xF];
        crc = (crc >> 4) ^ table[(crc ^ (unsigned)p[i] >> 4) & 0xF];
    }
    return (uint16_t)crc;
}

/* ---- values ---- */

/* The base types, by the low five bits of their number. `none` is what stands for "no value". */
static const struct {
    uint8_t size;
    bool is_signed, is_number;
    uint64_t none;
} types[] = {
    [0] = {1, false, true, 0xFF},        [1] = {1, true, true, 0x7F},    [2] = {1, false, true, 0xFF},
    [3] = {2, true, true, 0x7FFF},       [4] = {2, false, true, 0xFFFF}, [5] = {4, true, true, 0x7FFFFFFF},
    [6] = {4, false, true, 0xFFFFFFFF},  [7] = {1, false, false, 0},     [8] = {4, false, false, 0},
    [9] = {8, false, false, 0},          [10] = {1, false, true, 0},     [11] = {2, false, true, 0},
    [12] = {4, false, true, 0},          [13] = {1, false, false, 0},    [14] = {8, true, true, INT64_MAX},
    [15] = {8, false, true, UINT64_MAX}, [16] = {8, false, true, 0},
};

/* Element `index` of a field; NAN when it has none. What is ours is never a string or a float. */
static double value_of(const unsigned char *p, const field_layout *l, size_t index, bool big_endian) {
    unsigned type = l->type & 0x1F;
    if (type >= ARRAY_LEN(types) || !types[type].is_number)
        return NAN;
    size_t width = types[type].size;
    if (l->size % width != 0 || (index + 1) * width > l->size)
        return NAN;
    uint64_t raw = number(p + index * width, width, big_endian);
    if (raw == types[type].none)
        return NAN;
    if (!types[type].is_signed || width == 8)
        return (double)raw;
    uint64_t sign = UINT64_C(1) << (8 * width - 1);
    return raw & sign ? -(double)(2 * sign - raw) : (double)raw;
}

/* ---- a sample ---- */

typedef struct sample {
    double time, lat, lon, altitude, speed, accuracy, hr, respiration, core;
} sample;

static void take_field(sample *s, uint8_t number_of_field, double value) {
    if (isnan(value))
        return;
    switch (number_of_field) {
    case FIELD_TIME:
        s->time = value;
        break;
    case FIELD_LAT:
        s->lat = value * SEMICIRCLES;
        break;
    case FIELD_LON:
        s->lon = value * SEMICIRCLES;
        break;
    case FIELD_ALTITUDE: /* the enhanced ones have the same scale and more bits: they count, whichever is
                            first */
        if (isnan(s->altitude))
            s->altitude = value / 5 - 500;
        break;
    case FIELD_ENHANCED_ALTITUDE:
        s->altitude = value / 5 - 500;
        break;
    case FIELD_SPEED:
        if (isnan(s->speed))
            s->speed = value / 1000;
        break;
    case FIELD_ENHANCED_SPEED:
        s->speed = value / 1000;
        break;
    case FIELD_ACCURACY:
        s->accuracy = value;
        break;
    case FIELD_HR:
        s->hr = value;
        break;
    case FIELD_RESPIRATION:
        if (isnan(s->respiration))
            s->respiration = value;
        break;
    case FIELD_ENHANCED_RESPIRATION:
        s->respiration = value / 100;
        break;
    case FIELD_CORE_TEMPERATURE:
        s->core = value / 100;
        break;
    }
}

static outcome show(const fit *f, const sensed *one) {
    return f->visit(f->context, one) ? OUTCOME_GOES_ON : OUTCOME_ENDED;
}

static instant last_moment(const fit *f) {
    return FIT_EPOCH + (instant)f->last_time * INSTANT_SECOND;
}

static outcome give_sample(fit *f, const sample *s) {
    if (f->last_time < FIT_ABSOLUTE)
        return OUTCOME_GOES_ON; /* it is not known when that was */
    sensed place = {.kind = SENSED_FIX, .fix = fix_at(last_moment(f), s->lat, s->lon)};
    place.fix.altitude = s->altitude;
    place.fix.speed = s->speed;
    place.fix.accuracy = s->accuracy;
    if (sense_tidy(&place.fix) && show(f, &place) == OUTCOME_ENDED)
        return OUTCOME_ENDED;
    sensed body = {.kind = SENSED_READING, .reading = reading_at(last_moment(f))};
    sense_put(&body.reading, VITAL_HR, s->hr);
    sense_put(&body.reading, VITAL_RESP, s->respiration);
    sense_put(&body.reading, VITAL_TEMP, s->core);
    return reading_says_anything(&body.reading) ? show(f, &body) : OUTCOME_GOES_ON;
}

static outcome read_record(fit *f, const definition *d, const unsigned char *p) {
    sample s = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    for (size_t i = 0; i < d->count; p += d->fields[i].size, i++)
        take_field(&s, d->fields[i].number, value_of(p, &d->fields[i], 0, d->big_endian));
    return give_sample(f, &s);
}

/* Seconds between beats, in thousandths, without a time of their own: of the sample before. */
static outcome read_hrv(fit *f, const definition *d, const unsigned char *p) {
    sensed body = {.kind = SENSED_READING, .reading = reading_at(last_moment(f))};
    if (f->last_time < FIT_ABSOLUTE)
        return OUTCOME_GOES_ON;
    for (size_t i = 0; i < d->count; p += d->fields[i].size, i++)
        for (size_t j = 0; d->fields[i].number == FIELD_HRV_TIME && j < d->fields[i].size / 2u; j++)
            sense_put_rr(&body.reading, value_of(p, &d->fields[i], j, d->big_endian));
    return body.reading.rr_count > 0 ? show(f, &body) : OUTCOME_GOES_ON;
}

/* ---- messages ---- */

static bool has(const fit *f, size_t bytes) {
    return f->end - f->at >= bytes;
}

static outcome ends_early(fit *f) {
    return broken(f, "byte %zu: the file ends within a message", f->end);
}

static outcome read_developer_sizes(fit *f, definition *d) {
    if (!has(f, 1) || !has(f, 1 + (size_t)3 * f->bytes[f->at]))
        return ends_early(f);
    size_t count = f->bytes[f->at++];
    for (size_t i = 0; i < count; i++, f->at += 3)
        d->developer_bytes += f->bytes[f->at + 1];
    return OUTCOME_GOES_ON;
}

static outcome read_definition(fit *f, uint8_t header) {
    size_t start = f->at - 1;
    if (!has(f, 5))
        return ends_early(f);
    const unsigned char *p = f->bytes + f->at;
    definition *d = &f->locals[header & 0x0F];
    if (p[1] > 1)
        return broken(f, "byte %zu: byte order %u is neither 0 nor 1", start, p[1]);
    *d = (definition){.known = true, .big_endian = p[1] == 1, .count = p[4]};
    d->global = (uint16_t)number(p + 2, 2, d->big_endian);
    f->at += 5;
    if (!has(f, 3 * d->count))
        return ends_early(f);
    for (size_t i = 0; i < d->count; i++, f->at += 3)
        d->fields[i] = (field_layout){f->bytes[f->at], f->bytes[f->at + 1], f->bytes[f->at + 2]};
    return header & 0x20 ? read_developer_sizes(f, d) : OUTCOME_GOES_ON;
}

/* The message's own time, before anything else is made of it. */
static void take_time(fit *f, const definition *d, const unsigned char *p) {
    for (size_t i = 0; i < d->count; p += d->fields[i].size, i++) {
        double time = d->fields[i].number == FIELD_TIME ? value_of(p, &d->fields[i], 0, d->big_endian) : NAN;
        if (time > 0 && time <= UINT32_MAX)
            f->last_time = (uint32_t)time;
    }
}

static outcome read_data(fit *f, unsigned local) {
    const definition *d = &f->locals[local];
    if (!d->known)
        return broken(f, "byte %zu: message of the local type %u, which was not defined", f->at - 1, local);
    size_t size = d->developer_bytes;
    for (size_t i = 0; i < d->count; i++)
        size += d->fields[i].size;
    if (!has(f, size))
        return ends_early(f);
    const unsigned char *p = f->bytes + f->at;
    f->at += size;
    take_time(f, d, p);
    switch (d->global) {
    case MESG_RECORD:
        return read_record(f, d, p);
    case MESG_HRV:
        return read_hrv(f, d, p);
    }
    return OUTCOME_GOES_ON;
}

/* A time of five bits: the next moment that ends so. */
static void compressed_time(fit *f, uint8_t header) {
    f->last_time += ((header & 0x1Fu) - f->last_time) & 0x1Fu;
}

static outcome read_messages(fit *f) {
    outcome out = OUTCOME_GOES_ON;
    while (out == OUTCOME_GOES_ON && f->at < f->end) {
        uint8_t header = f->bytes[f->at++];
        if (header & 0x80) {
            compressed_time(f, header);
            out = read_data(f, header >> 5 & 0x3);
        } else {
            out = header & 0x40 ? read_definition(f, header) : read_data(f, header & 0x0F);
        }
    }
    return out;
}

/* ---- files ---- */

static bool is_header(const unsigned char *p, size_t len) {
    return len >= HEADER_MIN && p[0] >= HEADER_MIN && memcmp(p + 8, ".FIT", 4) == 0;
}

static bool fits(const unsigned char *bytes, size_t len) {
    return is_header(bytes, len);
}

/* One file that begins at *at; afterwards *at stands behind it. */
static outcome read_file(fit *f, size_t len, size_t *at) {
    const unsigned char *p = f->bytes + *at;
    size_t left = len - *at;
    if (!is_header(p, left) || p[0] > left)
        return broken(f, "byte %zu: here should be the header of a FIT file", *at);
    uint16_t header_crc = p[0] >= HEADER_CRC ? (uint16_t)number(p + HEADER_MIN, 2, false) : 0;
    if (header_crc != 0 && header_crc != crc_of(p, HEADER_MIN)) /* 0: not computed */
        return broken(f, "byte %zu: the checksum of the header is wrong", *at);
    size_t size = (size_t)number(p + 4, 4, false), whole = p[0] + size + 2;
    bool complete = whole <= left;
    if (complete && number(p + whole - 2, 2, false) != crc_of(p, whole - 2))
        return broken(f, "byte %zu: the checksum of the file is wrong: it was damaged", *at + whole - 2);
    memset(f->locals, 0, sizeof f->locals);
    f->last_time = 0;
    f->at = *at + p[0];
    f->end = complete ? f->at + size : len;
    *at = complete ? *at + whole : len;
    outcome out = read_messages(f);
    return out == OUTCOME_GOES_ON && !complete ? broken(f, "byte %zu: the file ends early", len) : out;
}

static int play(const unsigned char *bytes, size_t len, bool (*visit)(void *context, const sensed *one),
                void *context, char ret_why[256]) {
    fit f = {.bytes = bytes, .visit = visit, .context = context, .why = ret_why};
    size_t at = 0;
    outcome out = read_file(&f, len, &at);
    while (out == OUTCOME_GOES_ON && at < len)
        out = read_file(&f, len, &at);
    return out == OUTCOME_BROKEN ? -EBADMSG : 0;
}

extern const recording_format recording_fit;
const recording_format recording_fit = {.name = "fit", .fits = fits, .play = play};
