#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "gateway/edge/intake.h"

static sensed a_reading(double hr, body_event event) {
    sensed one = {.kind = SENSED_READING, .reading = reading_at(INSTANT_SECOND)};
    reading_put(&one.reading, VITAL_HR, hr);
    one.reading.event = event;
    return one;
}

static intake_verdict put(intake *in, const char *person, const sensed *one) {
    return intake_put(in, TEXT("acme"), text_of(person), one, "01a1fe4c-0000-7ff5-a4a5-b11e956be4f6");
}

static bool readable(const intake *in) {
    struct pollfd fd = {.fd = intake_fd(in), .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

START_TEST(what_goes_in_comes_out_in_order_and_the_descriptor_says_so) {
    CLEANUP(intake_freep) intake *in = NULL;
    intake_one out;
    ck_assert_int_eq(intake_new(&in), 0);
    ck_assert(!readable(in) && !intake_next(in, &out));
    for (int i = 0; i < 3; i++) {
        sensed one = a_reading(60 + i, EVENT_NOTHING);
        ck_assert_int_eq(put(in, "ann", &one), INTAKE_TAKEN);
    }
    ck_assert(readable(in));
    for (int i = 0; i < 3; i++) {
        ck_assert(readable(in) && intake_next(in, &out));
        ck_assert_double_eq(out.what.reading.value[VITAL_HR], 60 + i);
        ck_assert_str_eq(out.org, "acme");
        ck_assert_str_eq(out.person, "ann");
    }
    ck_assert(!readable(in) && intake_count(in) == 0 && intake_lost(in) == 0);
}
END_TEST

START_TEST(when_it_is_full_fixes_go_first_then_readings_and_events_never) {
    CLEANUP(intake_freep) intake *in = NULL;
    intake_one out;
    sensed fall = a_reading(90, EVENT_FALL), calm = a_reading(60, EVENT_NOTHING);
    sensed place = {.kind = SENSED_FIX, .fix = fix_at(INSTANT_SECOND, 1, 2)};
    ck_assert_int_eq(intake_new(&in), 0);
    ck_assert_int_eq(put(in, "first", &calm), INTAKE_TAKEN);
    ck_assert_int_eq(put(in, "second", &place), INTAKE_TAKEN);
    for (size_t i = 2; i < INTAKE_MAX; i++)
        ck_assert_int_eq(put(in, "fallen", &fall), INTAKE_TAKEN);
    ck_assert_int_eq(put(in, "fallen", &fall), INTAKE_CROWDED);
    ck_assert_int_eq(put(in, "fallen", &fall), INTAKE_CROWDED);
    ck_assert_int_eq(put(in, "late", &calm), INTAKE_REFUSED);
    ck_assert_uint_eq(intake_lost(in), 3);
    size_t fallen = 0;
    while (intake_next(in, &out))
        fallen += strcmp(out.person, "fallen") == 0;
    ck_assert_uint_eq(fallen, INTAKE_MAX);
}
END_TEST

START_TEST(what_has_no_proper_name_is_refused) {
    CLEANUP(intake_freep) intake *in = NULL;
    char name[INTAKE_PERSON_MAX + 2];
    sensed calm = a_reading(60, EVENT_NOTHING), nothing = {0};
    ck_assert_int_eq(intake_new(&in), 0);
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert_int_eq(put(in, name, &calm), INTAKE_REFUSED);
    ck_assert_int_eq(put(in, "", &calm), INTAKE_REFUSED);
    ck_assert_int_eq(put(in, "ann", &nothing), INTAKE_REFUSED);
    name[INTAKE_PERSON_MAX] = '\0';
    ck_assert_int_eq(put(in, name, &calm), INTAKE_TAKEN);
}
END_TEST

Suite *suite_intake(void);
Suite *suite_intake(void) {
    Suite *s = suite_create("intake");
    TCase *c = tcase_create("intake");
    tcase_add_test(c, what_goes_in_comes_out_in_order_and_the_descriptor_says_so);
    tcase_add_test(c, when_it_is_full_fixes_go_first_then_readings_and_events_never);
    tcase_add_test(c, what_has_no_proper_name_is_refused);
    suite_add_tcase(s, c);
    return s;
}
