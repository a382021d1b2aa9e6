#include <check.h>
#include <errno.h>
#include "base/text.h"
#include "base/uuid.h"

START_TEST(utf8_accepts_what_rfc_3629_accepts_and_nothing_else) {
    static const struct {
        text t;
        bool good;
    } rows[] = {
        {TEXT("plain"), true},
        {TEXT(""), true},
        {TEXT("\xC3\xA9"), true},
        {TEXT("\xE2\x82\xAC"), true},
        {TEXT("\xF0\x9F\x86\x98"), true},
        {TEXT("\xF4\x8F\xBF\xBF"), true},
        {TEXT("\xC0\xAF"), false},
        {TEXT("\xE0\x9F\xBF"), false},
        {TEXT("\xED\xA0\x80"), false},
        {TEXT("\xF4\x90\x80\x80"), false},
        {TEXT("\xFF"), false},
        {TEXT("abcdefg\xE2\x82"), false},
        {TEXT("12345678\x80"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_msg(text_is_utf8(rows[i].t) == rows[i].good, "row %zu", i);
}
END_TEST

START_TEST(splitting_gives_every_piece_empty_ones_too) {
    text rest = TEXT("a//b/"), piece;
    static const char *const want[] = {"a", "", "b", ""};
    size_t got = 0;
    while (text_next(&rest, '/', &piece)) {
        ck_assert_uint_lt(got, ARRAY_LEN(want));
        ck_assert(text_equal(piece, text_of(want[got])));
        got++;
    }
    ck_assert_uint_eq(got, ARRAY_LEN(want));
}
END_TEST

START_TEST(numbers_are_whole_and_within_bounds) {
    int64_t value = 0;
    ck_assert_int_eq(text_to_i64(TEXT("-42"), -50, 50, &value), 0);
    ck_assert_int_eq(value, -42);
    ck_assert_int_eq(text_to_i64(TEXT("51"), -50, 50, &value), -ERANGE);
    ck_assert_int_eq(text_to_i64(TEXT("4x"), 0, 50, &value), -EINVAL);
    ck_assert_int_eq(text_to_i64(TEXT(""), 0, 50, &value), -EINVAL);
    ck_assert_int_eq(text_to_i64(TEXT("99999999999999999999"), 0, INT64_MAX, &value), -ERANGE);
}
END_TEST

START_TEST(a_uuid7_holds_its_time_and_survives_its_text) {
    const uint8_t random[10] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    uuid id = uuid7_make(INT64_C(1795228800123), random), again;
    char spelled[UUID_TEXT_LEN + 1];
    uuid_format(&id, spelled);
    ck_assert(uuid_is_v7_text(text_of(spelled)));
    ck_assert_int_eq(uuid_parse(text_of(spelled), &again), 0);
    ck_assert(uuid_equal(&id, &again));
    ck_assert_int_eq(uuid7_unix_ms(&again), INT64_C(1795228800123));
    ck_assert(!uuid_is_v7_text(TEXT("01932E6A-7B1C-7DEF-8123-456789ABCDEF")));
    ck_assert(!uuid_is_v7_text(TEXT("01932e6a-7b1c-4def-8123-456789abcdef")));
    ck_assert(!uuid_is_v7_text(TEXT("01932e6a-7b1c-7def-c123-456789abcdef")));
}
END_TEST

Suite *suite_text(void) {
    Suite *s = suite_create("text and uuid");
    TCase *t = tcase_create("all");
    tcase_add_test(t, utf8_accepts_what_rfc_3629_accepts_and_nothing_else);
    tcase_add_test(t, splitting_gives_every_piece_empty_ones_too);
    tcase_add_test(t, numbers_are_whole_and_within_bounds);
    tcase_add_test(t, a_uuid7_holds_its_time_and_survives_its_text);
    suite_add_tcase(s, t);
    return s;
}
