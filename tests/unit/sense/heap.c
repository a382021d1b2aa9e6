#include "play_support.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include "support/heap.h"

static bool keep_on(void *context, const sensed *one) {
    (void)context, (void)one;
    return true;
}

START_TEST(a_log_that_finds_no_memory_is_not_played_and_nobody_s) {
    static const char log[] = "$GPZDA,,,,,,*48\r\n";
    char why[256] = "";
    const unsigned char *bytes = (const unsigned char *)log;
    ck_assert_ptr_eq(recording_of(bytes, sizeof log - 1), format_named("nmea"));
    heap_allow(0);
    const recording_format *of = recording_of(bytes, sizeof log - 1);
    int fault = format_named("nmea")->play(bytes, sizeof log - 1, keep_on, NULL, why);
    ck_assert_int_eq(heap_allow_all(), 2);
    ck_assert_ptr_null(of);
    ck_assert_int_eq(fault, -ENOMEM);
    ck_assert_str_eq(why, "out of memory");
}
END_TEST

START_TEST(a_table_is_read_without_taking_memory) {
    static const char csv[] = "t_s,hr\n1,60\n";
    char why[256] = "";
    heap_allow(0);
    int fault = format_named("csv")->play((const unsigned char *)csv, sizeof csv - 1, keep_on, NULL, why);
    ck_assert_int_eq(heap_allow_all(), 0);
    ck_assert_int_eq(fault, 0);
}
END_TEST

Suite *suite_heap(void) {
    Suite *s = suite_create("heap");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_log_that_finds_no_memory_is_not_played_and_nobody_s);
    tcase_add_test(t, a_table_is_read_without_taking_memory);
    suite_add_tcase(s, t);
    return s;
}
