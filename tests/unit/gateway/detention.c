#include <check.h>
#include <stdio.h>
#include <string.h>
#include "gateway/publisher/detention.h"
#include "gateway/pg_array.h"

static void expect(const detention *d, int64_t now, const char *keys) {
    CLEANUP(buf_release) buf got = BUF(1 << 20);
    detention_keys(d, now, &got);
    ck_assert_str_eq(got.ptr, keys);
}

START_TEST(each_time_in_a_row_is_twice_as_long_up_to_half_a_minute) {
    detention *d = detention_new();
    int64_t now = 1000, term = 100;
    for (unsigned times = 1; times <= 12; times++) {
        ck_assert_uint_eq(detention_add(d, "acme", "alert/1", now), times);
        expect(d, now + term - 1, "{\"acme/alert/1\"}");
        expect(d, now + term, "{}");
        now += term;
        term = term * 2 < 30000 ? term * 2 : 30000;
    }
    (void)detention_free(d);
}
END_TEST

START_TEST(what_goes_well_begins_anew_and_others_are_not_concerned) {
    detention *d = detention_new();
    (void)detention_add(d, "acme", "alert/1", 0);
    (void)detention_add(d, "acme", "alert/1", 0);
    (void)detention_add(d, "other", "alert/1", 0);
    detention_end(d, "acme", "alert/1");
    detention_end(d, "acme", "alert/2");
    expect(d, 50, "{\"other/alert/1\"}");
    ck_assert_uint_eq(detention_add(d, "acme", "alert/1", 0), 1);
    (void)detention_free(d);
}
END_TEST

START_TEST(when_there_are_too_many_who_would_be_free_first_is) {
    detention *d = detention_new();
    CLEANUP(buf_release) buf keys = BUF(1 << 20);
    char lane[32];
    for (int i = 0; i <= DETENTION_MAX; i++) {
        (void)snprintf(lane, sizeof lane, "alert/%d", i);
        (void)detention_add(d, "acme", lane, i == 7 ? 0 : 10);
    }
    detention_keys(d, 50, &keys);
    ck_assert_ptr_null(strstr(keys.ptr, "\"acme/alert/7\""));
    ck_assert_ptr_nonnull(strstr(keys.ptr, "\"acme/alert/0\""));
    (void)snprintf(lane, sizeof lane, "\"acme/alert/%d\"", DETENTION_MAX);
    ck_assert_ptr_nonnull(strstr(keys.ptr, lane));
    (void)detention_free(d);
}
END_TEST

START_TEST(an_array_quotes_what_postgresql_would_misread) {
    static const struct {
        const char *element, *array;
    } rows[] = {
        {"plain", "{\"plain\"}"}, {"", "{\"\"}"},
        {"a,b", "{\"a,b\"}"},     {"say \"x\"", "{\"say \\\"x\\\"\"}"},
        {"b\\s", "{\"b\\\\s\"}"}, {"{}", "{\"{}\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf got = BUF(100);
        buf_add_text(&got, TEXT("what was there before"));
        pg_array_begin(&got);
        pg_array_add(&got, text_of(rows[i].element));
        pg_array_end(&got);
        ck_assert_str_eq(got.ptr, rows[i].array);
    }
}
END_TEST

Suite *suite_detention(void) {
    Suite *s = suite_create("detention");
    TCase *t = tcase_create("detention");
    tcase_add_test(t, each_time_in_a_row_is_twice_as_long_up_to_half_a_minute);
    tcase_add_test(t, what_goes_well_begins_anew_and_others_are_not_concerned);
    tcase_add_test(t, when_there_are_too_many_who_would_be_free_first_is);
    tcase_add_test(t, an_array_quotes_what_postgresql_would_misread);
    suite_add_tcase(s, t);
    return s;
}
