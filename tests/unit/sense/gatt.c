#include "sense/sense.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1763692800000000)

/* Each in memory of its own size, so that reading beyond it is seen. */
static sense_verdict decode(unsigned uuid, const void *bytes, size_t len, sensed *ret_sensed) {
    unsigned char *exact = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, bytes, len);
    const gatt_characteristic *c = gatt_by_uuid(uuid);
    ck_assert_ptr_nonnull(c);
    sense_verdict verdict = c->decode(exact, len, NOW, ret_sensed);
    free(exact);
    return verdict;
}

START_TEST(short_floats_are_as_the_standard_has_them) {
    static const struct {
        uint16_t raw;
        double want;
    } rows[] = {
        {0xF014, 2.0},  {0x1002, 20},   {0x0B2E, -1234}, {0x0000, 0},        {0x0062, 98},
        {0xF16E, 36.6}, {0x07FD, 2045}, {0x0803, -2045}, {0x07FE, INFINITY}, {0x0802, -INFINITY},
        {0x07FF, NAN},  {0x0800, NAN},  {0x0801, NAN},   {0x17FF, 20470},    {0xF7FF, 204.7},
        {0x8001, 1e-8}, {0x7001, 1e7},  {0x0FFF, -1},    {0xF800, -204.8},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        double got = gatt_sfloat(rows[i].raw);
        if (isnan(rows[i].want))
            ck_assert_msg(isnan(got), "row %zu: %g", i, got);
        else
            ck_assert_msg(got == rows[i].want, "row %zu: %.17g", i, got);
    }
}
END_TEST

START_TEST(long_floats_are_as_the_standard_has_them) {
    static const struct {
        uint32_t raw;
        double want;
    } rows[] = {
        {0xFF000014, 2.0},      {0x00FFFB2E, -1234},   {0xFF00016E, 36.6},     {0xFE000E4C, 36.6},
        {0x00000000, 0},        {0x007FFFFD, 8388605}, {0x007FFFFE, INFINITY}, {0x00800002, -INFINITY},
        {0x007FFFFF, NAN},      {0x00800000, NAN},     {0x00800001, NAN},      {0x01000002, 20},
        {0x00800003, -8388605},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        double got = gatt_float(rows[i].raw);
        if (isnan(rows[i].want))
            ck_assert_msg(isnan(got), "row %zu: %g", i, got);
        else
            ck_assert_msg(got == rows[i].want, "row %zu: %.17g", i, got);
    }
}
END_TEST

#define B(...) {__VA_ARGS__}, sizeof((unsigned char[]){__VA_ARGS__})
#define N      NAN

typedef struct vector {
    const char *name;
    unsigned uuid;
    unsigned char bytes[32];
    size_t len;
    sense_verdict want;
    skin_contact contact;
    double hr, spo2, temp, sys, dia, quality;
    size_t rr;
    size_t least; /* of these bytes, to be decoded at all */
} vector;

#define U CONTACT_UNKNOWN
#define G SENSE_GOOD
#define M SENSE_MALFORMED
#define I SENSE_INVALID

#define REFUSED(verdict) verdict, U, N, N, N, N, N, N, 0, 0

static const vector vectors[] = {
    {"one byte", 0x2A37, B(0x00, 72), G, U, 72, N, N, N, N, N, 0, 2},
    {"two bytes", 0x2A37, B(0x01, 0x2C, 0x01), G, U, 300, N, N, N, N, N, 0, 3},
    {"contact", 0x2A37, B(0x06, 80), G, CONTACT_GOOD, 80, N, N, N, N, N, 0, 2},
    {"no contact", 0x2A37, B(0x04, 80), G, CONTACT_NONE, 80, N, N, N, N, N, 0, 2},
    {"a contact bit where contact is not known", 0x2A37, B(0x02, 80), G, U, 80, N, N, N, N, N, 0, 2},
    {"energy", 0x2A37, B(0x08, 90, 0xFF, 0xFF), G, U, 90, N, N, N, N, N, 0, 4},
    {"intervals", 0x2A37, B(0x10, 60, 0x00, 0x04, 0x00, 0x02), G, U, 60, N, N, N, N, N, 2, 2},
    {"all of it", 0x2A37, B(0x1F, 0x48, 0x00, 0x10, 0x27, 0x00, 0x04), G, CONTACT_GOOD, 72, N, N, N, N, N, 1,
     5},
    {"half an interval", 0x2A37, B(0x10, 60, 0x00, 0x04, 0x00), REFUSED(M)},
    {"an interval of nothing", 0x2A37, B(0x10, 60, 0x00, 0x00), G, U, 60, N, N, N, N, N, 0, 2},
    {"no pulse, off the skin", 0x2A37, B(0x04, 0), G, CONTACT_NONE, N, N, N, N, N, N, 0, 2},
    {"no pulse, and nothing else", 0x2A37, B(0x00, 0), REFUSED(I)},
    {"faster than any heart", 0x2A37, B(0x01, 0x5F, 0x01), REFUSED(M)},
    {"flags of a later version", 0x2A37, B(0xE0, 72, 9, 9), G, U, 72, N, N, N, N, N, 0, 2},

    {"continuous", 0x2A5F, B(0x00, 0x62, 0x00, 0x48, 0x00), G, U, 72, 98, N, N, N, N, 0, 5},
    {"continuous, fast and slow", 0x2A5F, B(0x03, 0x61, 0x00, 0x50, 0x00, 0x60, 0, 0x51, 0, 0x62, 0, 0x4F, 0),
     G, U, 80, 97, N, N, N, N, 0, 13},
    {"continuous, ongoing and validated", 0x2A5F, B(0x04, 0x62, 0x00, 0x48, 0x00, 0xE0, 0x01), G, U, 72, 98,
     N, N, N, N, 0, 7},
    {"continuous, from storage", 0x2A5F, B(0x04, 0x62, 0x00, 0x48, 0x00, 0x00, 0x02), REFUSED(I)},
    {"continuous, demonstration", 0x2A5F, B(0x04, 0x62, 0x00, 0x48, 0x00, 0x00, 0x04), REFUSED(I)},
    {"continuous, test", 0x2A5F, B(0x04, 0x62, 0x00, 0x48, 0x00, 0x00, 0x08), REFUSED(I)},
    {"continuous, calibration", 0x2A5F, B(0x04, 0x62, 0x00, 0x48, 0x00, 0x00, 0x10), REFUSED(I)},
    {"continuous, unavailable", 0x2A5F, B(0x04, 0x62, 0x00, 0x48, 0x00, 0x00, 0x20), REFUSED(I)},
    {"continuous, questionable", 0x2A5F, B(0x04, 0x62, 0x00, 0x48, 0x00, 0x00, 0x40), REFUSED(I)},
    {"continuous, invalid", 0x2A5F, B(0x04, 0x62, 0x00, 0x48, 0x00, 0x00, 0x80), REFUSED(I)},
    {"continuous, poor perfusion", 0x2A5F, B(0x08, 0x62, 0x00, 0x48, 0x00, 0x20, 0x00, 0x00), G, U, 72, 98, N,
     N, N, 25, 0, 8},
    {"continuous, off the finger", 0x2A5F, B(0x08, 0xFF, 0x07, 0xFF, 0x07, 0x00, 0x08, 0x00), G, CONTACT_NONE,
     N, N, N, N, N, N, 0, 8},
    {"continuous, broken", 0x2A5F, B(0x08, 0x62, 0x00, 0x48, 0x00, 0x02, 0x00, 0x00), REFUSED(I)},
    {"continuous, all of it", 0x2A5F,
     B(0x1F, 0x62, 0, 0x48, 0, 0x62, 0, 0x48, 0, 0x62, 0, 0x48, 0, 0x20, 0x00, 0, 0, 0, 0x10, 0), G, U, 72,
     98, N, N, N, N, 0, 18},
    {"continuous, nothing known", 0x2A5F, B(0x00, 0xFF, 0x07, 0xFF, 0x07), REFUSED(I)},
    {"continuous, not at this resolution", 0x2A5F, B(0x00, 0x00, 0x08, 0x48, 0x00), G, U, 72, N, N, N, N, N,
     0, 5},
    {"continuous, infinities", 0x2A5F, B(0x00, 0xFE, 0x07, 0x02, 0x08), REFUSED(I)},
    {"continuous, reserved", 0x2A5F, B(0x00, 0x01, 0x08, 0x01, 0x08), REFUSED(I)},
    {"continuous, more than all oxygen", 0x2A5F, B(0x00, 0x65, 0x00, 0x48, 0x00), REFUSED(M)},
    {"continuous, below nothing", 0x2A5F, B(0x00, 0xFF, 0x0F, 0x48, 0x00), REFUSED(M)},

    {"spot", 0x2A5E, B(0x00, 0x5F, 0xF0, 0x3C, 0x00), G, U, 60, 9.5, N, N, N, N, 0, 5},
    {"spot, dated", 0x2A5E, B(0x01, 0x5F, 0x00, 0x3C, 0x00, 0xEA, 0x07, 11, 21, 10, 0, 0), G, U, 60, 95, N, N,
     N, N, 0, 12},
    {"spot, dated and questionable", 0x2A5E,
     B(0x03, 0x5F, 0x00, 0x3C, 0x00, 0xEA, 0x07, 11, 21, 10, 0, 0, 0x00, 0x40), REFUSED(I)},
    {"spot, questionable", 0x2A5E, B(0x02, 0x5F, 0x00, 0x3C, 0x00, 0x00, 0x40), REFUSED(I)},
    {"spot, displaced", 0x2A5E, B(0x04, 0x5F, 0x00, 0x3C, 0x00, 0x00, 0x20, 0x00), G, CONTACT_NONE, 60, 95, N,
     N, N, N, 0, 8},

    {"celsius", 0x2A1C, B(0x00, 0x6E, 0x01, 0x00, 0xFF), G, U, N, N, 36.6, N, N, N, 0, 5},
    {"fahrenheit", 0x2A1C, B(0x01, 0xDA, 0x03, 0x00, 0xFF), G, U, N, N, 37.0, N, N, N, 0, 5},
    {"dated, in the ear", 0x2A1C, B(0x06, 0x6E, 0x01, 0x00, 0xFF, 0xEA, 0x07, 11, 21, 10, 0, 0, 3), G, U, N,
     N, 36.6, N, N, N, 0, 13},
    {"a finger", 0x2A1C, B(0x04, 0x6E, 0x01, 0x00, 0xFF, 4), REFUSED(SENSE_IGNORED)},
    {"a toe", 0x2A1C, B(0x04, 0x6E, 0x01, 0x00, 0xFF, 8), REFUSED(SENSE_IGNORED)},
    {"no temperature", 0x2A1C, B(0x00, 0xFF, 0xFF, 0x7F, 0x00), REFUSED(I)},
    {"boiling", 0x2A1C, B(0x00, 0x64, 0x00, 0x00, 0x00), REFUSED(M)},
    {"celsius said to be fahrenheit", 0x2A1C, B(0x01, 0x6E, 0x01, 0x00, 0xFF), REFUSED(M)},

    {"mmHg", 0x2A35, B(0x00, 0x78, 0x00, 0x50, 0x00, 0x5D, 0x00), G, U, N, N, N, 120, 80, N, 0, 7},
    {"kPa", 0x2A35, B(0x01, 0xA0, 0xF0, 0x6B, 0xF0, 0x7C, 0xF0), G, U, N, N, N, 120.00986923, 80.25660005, N,
     0, 7},
    {"all of it", 0x2A35,
     B(0x1E, 0x78, 0, 0x50, 0, 0x5D, 0, 0xEA, 0x07, 11, 21, 10, 0, 0, 0x48, 0, 1, 0x00, 0x00), G, U, 72, N, N,
     120, 80, N, 0, 19},
    {"a loose cuff", 0x2A35, B(0x10, 0x78, 0, 0x50, 0, 0x5D, 0, 0x02, 0x00), G, U, N, N, N, 120, 80, 25, 0,
     9},
    {"a pulse that is not known", 0x2A35, B(0x04, 0x78, 0, 0x50, 0, 0x5D, 0, 0xFF, 0x07), G, U, N, N, N, 120,
     80, N, 0, 9},
    {"the wrong way round", 0x2A35, B(0x00, 0x50, 0, 0x78, 0, 0x5D, 0), REFUSED(M)},
    {"not measured", 0x2A35, B(0x00, 0xFF, 0x07, 0xFF, 0x07, 0xFF, 0x07), REFUSED(I)},
    {"a burst vessel", 0x2A35, B(0x00, 0x90, 0x01, 0x50, 0, 0x5D, 0), REFUSED(M)},
};

static void same(double got, double want, const char *name, const char *what) {
    ck_assert_msg(isnan(want) ? isnan(got) : fabs(got - want) < 1e-6, "%s: %s is %.9g, not %.9g", name, what,
                  got, want);
}

START_TEST(characteristics_are_decoded_and_what_is_not_to_be_believed_is_refused) {
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const vector *v = &vectors[i];
        sensed one = {0};
        sense_verdict got = decode(v->uuid, v->bytes, v->len, &one);
        ck_assert_msg(got == v->want, "%04x %s: %d", v->uuid, v->name, (int)got);
        ck_assert_msg(one.kind == (got == SENSE_GOOD ? SENSED_READING : SENSED_NOTHING), "%s", v->name);
        if (got != SENSE_GOOD)
            continue;
        const reading *r = &one.reading;
        ck_assert_int_eq(r->at, NOW);
        ck_assert_msg(r->contact == v->contact, "%s", v->name);
        ck_assert_msg(r->rr_count == v->rr, "%s", v->name);
        same(r->value[VITAL_HR], v->hr, v->name, "hr");
        same(r->value[VITAL_SPO2], v->spo2, v->name, "spo2");
        same(r->value[VITAL_TEMP], v->temp, v->name, "temp");
        same(r->value[VITAL_SYS], v->sys, v->name, "sys");
        same(r->value[VITAL_DIA], v->dia, v->name, "dia");
        same(r->quality, v->quality, v->name, "quality");
        for (vital which = 0; which < VITALS; which++)
            ck_assert_msg(reading_has(r, which) == !isnan(r->value[which]), "%s", v->name);
    }
}
END_TEST

START_TEST(no_beginning_of_a_characteristic_is_read_beyond_its_end) {
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const vector *v = &vectors[i];
        for (size_t len = 0; len < v->len; len++) {
            sensed one = {0};
            sense_verdict got = decode(v->uuid, v->bytes, len, &one);
            if (v->least > 0 && len < v->least)
                ck_assert_msg(got == SENSE_MALFORMED, "%s, %zu bytes: %d", v->name, len, (int)got);
        }
    }
}
END_TEST

START_TEST(intervals_are_milliseconds_oldest_first_and_the_newest_when_there_are_too_many) {
    unsigned char bytes[2 + 2 * 200] = {0x10, 60};
    for (size_t i = 0; i < 200; i++) {
        bytes[2 + 2 * i] = (unsigned char)(i + 1);
        bytes[3 + 2 * i] = 4;
    }
    sensed one = {0};
    ck_assert_int_eq(decode(0x2A37, bytes, 2 + 2 * 3, &one), SENSE_GOOD);
    ck_assert_uint_eq(one.reading.rr_count, 3);
    ck_assert_double_eq_tol(one.reading.rr_ms[0], 1025 * 1000.0 / 1024, 1e-9);
    ck_assert_double_eq_tol(one.reading.rr_ms[2], 1027 * 1000.0 / 1024, 1e-9);
    ck_assert_int_eq(decode(0x2A37, bytes, sizeof bytes, &one), SENSE_GOOD);
    ck_assert_uint_eq(one.reading.rr_count, READING_RR_MAX);
    ck_assert_double_eq_tol(one.reading.rr_ms[0], (1024 + 73) * 1000.0 / 1024, 1e-9);
    ck_assert_double_eq_tol(one.reading.rr_ms[READING_RR_MAX - 1], (1024 + 200) * 1000.0 / 1024, 1e-9);
}
END_TEST

START_TEST(what_a_device_says_of_the_date_stands_beside) {
    static const struct {
        unsigned uuid;
        unsigned char bytes[20];
        size_t len;
        instant want;
    } rows[] = {
        {0x2A35, B(0x02, 0x78, 0, 0x50, 0, 0x5D, 0, 0xE9, 0x07, 11, 21, 2, 40, 0), NOW},
        {0x2A35, B(0x02, 0x78, 0, 0x50, 0, 0x5D, 0, 0, 0, 0, 0, 2, 40, 0), 0},
        {0x2A35, B(0x02, 0x78, 0, 0x50, 0, 0x5D, 0, 0xE9, 0x07, 2, 30, 2, 40, 0), 0},
        {0x2A35, B(0x00, 0x78, 0, 0x50, 0, 0x5D, 0), 0},
        {0x2A1C, B(0x02, 0x6E, 0x01, 0x00, 0xFF, 0xE9, 0x07, 11, 21, 2, 40, 0), NOW},
        {0x2A5E, B(0x01, 0x5F, 0x00, 0x3C, 0x00, 0xE9, 0x07, 11, 21, 2, 40, 0), NOW},
        {0x2A5E, B(0x11, 0x5F, 0x00, 0x3C, 0x00, 0xE9, 0x07, 11, 21, 2, 40, 0), 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        sensed one = {0};
        ck_assert_int_eq(decode(rows[i].uuid, rows[i].bytes, rows[i].len, &one), SENSE_GOOD);
        ck_assert_msg(one.dated == rows[i].want, "row %zu: %lld", i, (long long)one.dated);
        ck_assert_int_eq(one.reading.at, NOW);
    }
}
END_TEST

START_TEST(a_battery_is_between_nothing_and_full) {
    static const struct {
        unsigned char percent;
        sense_verdict want;
    } rows[] = {
        {0, SENSE_GOOD}, {64, SENSE_GOOD}, {100, SENSE_GOOD}, {101, SENSE_MALFORMED}, {255, SENSE_MALFORMED}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        sensed one = {0};
        ck_assert_int_eq(decode(0x2A19, &rows[i].percent, 1, &one), rows[i].want);
        if (rows[i].want != SENSE_GOOD)
            continue;
        ck_assert_int_eq(one.kind, SENSED_BATTERY);
        ck_assert_double_eq(one.reading.battery, rows[i].percent);
        ck_assert(!reading_says_anything(&one.reading));
    }
    sensed none = {0};
    ck_assert_int_eq(decode(0x2A19, "", 0, &none), SENSE_MALFORMED);
}
END_TEST

START_TEST(characteristics_are_found_by_uuid_and_others_are_not) {
    for (size_t i = 0; i < gatt_characteristic_count; i++)
        ck_assert_ptr_eq(gatt_by_uuid(gatt_characteristics[i].uuid), &gatt_characteristics[i]);
    ck_assert_ptr_null(gatt_by_uuid(0x2A38));
    ck_assert_ptr_null(gatt_by_uuid(0));
}
END_TEST

Suite *suite_gatt(void) {
    Suite *s = suite_create("gatt");
    TCase *t = tcase_create("all");
    tcase_add_test(t, short_floats_are_as_the_standard_has_them);
    tcase_add_test(t, long_floats_are_as_the_standard_has_them);
    tcase_add_test(t, characteristics_are_decoded_and_what_is_not_to_be_believed_is_refused);
    tcase_add_test(t, no_beginning_of_a_characteristic_is_read_beyond_its_end);
    tcase_add_test(t, intervals_are_milliseconds_oldest_first_and_the_newest_when_there_are_too_many);
    tcase_add_test(t, what_a_device_says_of_the_date_stands_beside);
    tcase_add_test(t, a_battery_is_between_nothing_and_full);
    tcase_add_test(t, characteristics_are_found_by_uuid_and_others_are_not);
    suite_add_tcase(s, t);
    return s;
}
