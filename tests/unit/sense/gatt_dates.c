#include "sense/sense.h"

#include <check.h>

#define MINUTE (60 * INSTANT_SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define NOW    INT64_C(1763692800000000)

START_TEST(the_first_is_unsure_unless_it_is_plainly_of_days_ago) {
    static const struct {
        int64_t off;
        gatt_date_verdict want;
    } rows[] = {
        {0, GATT_DATE_UNSURE},          {-5 * HOUR, GATT_DATE_UNSURE}, {14 * HOUR, GATT_DATE_UNSURE},
        {-27 * HOUR, GATT_DATE_BEFORE}, {-90 * DAY, GATT_DATE_BEFORE}, {-10 * 365 * DAY, GATT_DATE_UNSURE},
        {400 * DAY, GATT_DATE_UNSURE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        gatt_dates d = {0};
        ck_assert_msg(gatt_dates_judge(&d, NOW + rows[i].off, NOW) == rows[i].want, "row %zu", i);
    }
}
END_TEST

START_TEST(what_is_as_far_off_as_before_is_of_now_and_what_is_further_back_was_stored) {
    static const int64_t offs[] = {0, -5 * HOUR, 9 * HOUR, -16 * 365 * DAY};
    for (size_t i = 0; i < ARRAY_LEN(offs); i++) {
        gatt_dates d = {0};
        instant device = NOW + offs[i];
        gatt_dates_accept(&d, device, NOW);
        ck_assert_int_eq(gatt_dates_judge(&d, device, NOW + MINUTE), GATT_DATE_BEFORE); /* the same again */
        ck_assert_int_eq(gatt_dates_judge(&d, device - DAY, NOW + MINUTE), GATT_DATE_BEFORE);
        ck_assert_int_eq(gatt_dates_judge(&d, device + HOUR, NOW + 3 * HOUR), GATT_DATE_BEFORE);
        ck_assert_int_eq(gatt_dates_judge(&d, device + 3 * HOUR - MINUTE, NOW + 3 * HOUR), GATT_DATE_NOW);
        ck_assert_int_eq(gatt_dates_judge(&d, device + 3 * HOUR + 1, NOW + 3 * HOUR), GATT_DATE_NOW);
        ck_assert_int_eq(gatt_dates_judge(&d, device + 5 * HOUR, NOW + 4 * HOUR),
                         GATT_DATE_UNSURE); /* set forward */
    }
}
END_TEST

START_TEST(a_clock_that_was_set_back_is_believed_at_the_second_measurement) {
    gatt_dates d = {0};
    gatt_dates_accept(&d, NOW + 3 * DAY, NOW);
    ck_assert_int_eq(gatt_dates_judge(&d, NOW + HOUR, NOW + HOUR), GATT_DATE_BEFORE);
    ck_assert_int_eq(gatt_dates_judge(&d, NOW + 2 * HOUR, NOW + 2 * HOUR), GATT_DATE_NOW);
    ck_assert_int_eq(gatt_dates_judge(&d, NOW + 3 * HOUR, NOW + 3 * HOUR), GATT_DATE_NOW);
}
END_TEST

START_TEST(a_store_that_is_sent_again_and_again_never_becomes_now) {
    static const int64_t ages[] = {3 * DAY, 2 * DAY, 2 * DAY - MINUTE, DAY};
    gatt_dates d = {0};
    gatt_dates_accept(&d, NOW, NOW);
    for (int64_t turn = 1; turn < 100; turn++)
        for (size_t i = 0; i < ARRAY_LEN(ages); i++)
            ck_assert_msg(gatt_dates_judge(&d, NOW - ages[i], NOW + turn * MINUTE) == GATT_DATE_BEFORE,
                          "%d, %zu", (int)turn, i);
}
END_TEST

Suite *suite_gatt_dates(void) {
    Suite *s = suite_create("gatt_dates");
    TCase *t = tcase_create("all");
    tcase_add_test(t, the_first_is_unsure_unless_it_is_plainly_of_days_ago);
    tcase_add_test(t, what_is_as_far_off_as_before_is_of_now_and_what_is_further_back_was_stored);
    tcase_add_test(t, a_clock_that_was_set_back_is_believed_at_the_second_measurement);
    tcase_add_test(t, a_store_that_is_sent_again_and_again_never_becomes_now);
    suite_add_tcase(s, t);
    return s;
}
