#include "core/phone.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

START_TEST(a_number_is_a_plus_and_seven_to_fifteen_digits) {
    static const struct {
        text number;
        phone_verdict want;
    } rows[] = {
        {TEXT("+27821234567"), PHONE_GOOD},
        {TEXT("+15005550006"), PHONE_GOOD},
        {TEXT("+447700900000"), PHONE_GOOD},
        {TEXT("+6834123"), PHONE_GOOD},
        {TEXT("+123456789012345"), PHONE_GOOD},
        {TEXT("+1234567890123456"), PHONE_MALFORMED},
        {TEXT("+683412"), PHONE_MALFORMED},
        {TEXT("+07821234567"), PHONE_MALFORMED},
        {TEXT("27821234567"), PHONE_MALFORMED},
        {TEXT("0027821234567"), PHONE_MALFORMED},
        {TEXT("0821234567"), PHONE_MALFORMED},
        {TEXT("++27821234567"), PHONE_MALFORMED},
        {TEXT("+27 82 123 4567"), PHONE_MALFORMED},
        {TEXT("+27821234567 "), PHONE_MALFORMED},
        {TEXT(" +27821234567"), PHONE_MALFORMED},
        {TEXT("+2782123456x"), PHONE_MALFORMED},
        {TEXT("+27821234567\0"), PHONE_MALFORMED},
        {TEXT("+27821234567;ext=1"), PHONE_MALFORMED},
        {TEXT("+\xd9\xa1\xd9\xa2\xd9\xa3\xd9\xa4\xd9\xa5\xd9\xa6\xd9\xa7"),
         PHONE_MALFORMED}, /* Arabic digits */
        {TEXT("+"), PHONE_MALFORMED},
        {TEXT(""), PHONE_MALFORMED},
        {{NULL, 0}, PHONE_MALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_msg(phone_judge(rows[i].number, TEXT("")) == rows[i].want, "row %zu", i);
}
END_TEST

START_TEST(an_emergency_service_is_not_dialled_unless_it_is_allowed) {
    static const text rows[] = {
        TEXT("+112"),      TEXT("+911"),       TEXT("+999"),      TEXT("+000"),      TEXT("+27112"),
        TEXT("+2710111"),  TEXT("+2710177"),   TEXT("+27107"),    TEXT("+1911"),     TEXT("+44999"),
        TEXT("+44112"),    TEXT("+61000"),     TEXT("+64111"),    TEXT("+49110"),    TEXT("+33112"),
        TEXT("+3315"),     TEXT("+254999"),    TEXT("+264112"),   TEXT("+26410111"), TEXT("+263993"),
        TEXT("+27112123"), TEXT("+44999000"),  TEXT("+19115551"), TEXT("+270112"),   TEXT("+440999"),
        TEXT("+299112"),   TEXT("+372112"),    TEXT("+40112"),    TEXT("+10111"),    TEXT("+91112"),
        TEXT("+27101112"), TEXT("+299112000"),
    };
    char list[80];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ck_assert_msg(phone_judge(rows[i], TEXT("")) == PHONE_EMERGENCY, "%.*s", (int)rows[i].len,
                      rows[i].ptr);
        (void)snprintf(list, sizeof list, "+2799  %.*s\t+2798", (int)rows[i].len, rows[i].ptr);
        ck_assert_int_eq(phone_judge(rows[i], text_of(list)), PHONE_GOOD);
        (void)snprintf(list, sizeof list, "%.*s1 +%.*s", (int)rows[i].len, rows[i].ptr, (int)rows[i].len,
                       rows[i].ptr);
        ck_assert_int_eq(phone_judge(rows[i], text_of(list)), PHONE_EMERGENCY);
    }
}
END_TEST

START_TEST(subscribers_whose_numbers_begin_like_an_emergency_number_are_reached) {
    static const text rows[] = {
        TEXT("+27112345678"), /* Johannesburg */
        TEXT("+27107001234"), /* a South African one over IP */
        TEXT("+27101115555"),     TEXT("+441123456789"), TEXT("+441134960000"), /* Leeds */
        TEXT("+911123456789"),                                                  /* Delhi */
        TEXT("+911001234567"),    TEXT("+19115550123"),  TEXT("+46111234567"),  /* Norrkoping */
        TEXT("+861101234567890"), TEXT("+551199999999"),                        /* Sao Paulo */
        TEXT("+541112345678"),                                                  /* Buenos Aires */
        TEXT("+8190999123456"),   TEXT("+22999912345"),  TEXT("+50051234"),
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_msg(phone_judge(rows[i], TEXT("")) == PHONE_GOOD, "%.*s", (int)rows[i].len, rows[i].ptr);
}
END_TEST

START_TEST(what_is_allowed_is_a_whole_number_all_the_same) {
    ck_assert_int_eq(phone_judge(TEXT("112"), TEXT("112")), PHONE_MALFORMED);
    ck_assert_int_eq(phone_judge(TEXT("+27-112"), TEXT("+27-112")), PHONE_MALFORMED);
    ck_assert_int_eq(phone_judge(TEXT("+"), TEXT("+")), PHONE_MALFORMED);
    ck_assert_int_eq(phone_judge(TEXT(""), TEXT("  ")), PHONE_MALFORMED);
}
END_TEST

START_TEST(the_sender_is_that_of_the_longest_prefix) {
    static const text senders =
        TEXT("+1=+15551230000 +27=MAYDAY +2782=+27820000001 *=+447700900000  +1=LATER");
    static const struct {
        text senders, number, want;
    } rows[] = {
        {senders, TEXT("+15550001111"), TEXT("+15551230000")},
        {senders, TEXT("+27110001111"), TEXT("MAYDAY")},
        {senders, TEXT("+27821234567"), TEXT("+27820000001")},
        {senders, TEXT("+4915112345678"), TEXT("+447700900000")},
        {TEXT("MAYDAY"), TEXT("+4915112345678"), TEXT("MAYDAY")},
        {TEXT("MAYDAY +49=HILFE"), TEXT("+4915112345678"), TEXT("HILFE")},
        {TEXT("*=ONE TWO"), TEXT("+4915112345678"), TEXT("ONE")},
        {TEXT("+1=+15551230000"), TEXT("+4915112345678"), {NULL, 0}},
        {TEXT(""), TEXT("+4915112345678"), {NULL, 0}},
        {{NULL, 0}, TEXT("+4915112345678"), {NULL, 0}},
        {TEXT("  "), TEXT(""), {NULL, 0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        text got = phone_sender(rows[i].senders, rows[i].number);
        ck_assert_msg(text_equal(got, rows[i].want), "row %zu: %.*s", i, (int)got.len,
                      got.ptr ? got.ptr : "");
        ck_assert_msg(!got.ptr == !rows[i].want.ptr, "row %zu", i);
    }
}
END_TEST

START_TEST(senders_are_numbers_and_for_texts_names_and_services) {
    static const struct {
        text senders;
        bool texts, calls;
    } rows[] = {
        {TEXT("+15551230000"), true, true},
        {TEXT("+1=+15551230000 +27=+27820000001 *=+447700900000"), true, true},
        {TEXT("*=+447700900000"), true, true},
        {TEXT("MAYDAY"), true, false},
        {TEXT("+1=+15551230000 +27=MAYDAY"), true, false},
        {TEXT("ELEVENSIGNS"), true, false},
        {TEXT("TWELVE-SIGNS"), false, false},
        {TEXT("12345"), true, false},
        {TEXT("12"), false, false},
        {TEXT("123456789"), false, false},
        {TEXT("MG0123456789abcdef0123456789ABCDEF"), true, false},
        {TEXT("MG0123456789abcdef0123456789abcdeg"), false, false},
        {TEXT("MG0123456789abcdef0123456789abcde"), false, false},
        {TEXT("+1="), false, false},
        {TEXT("=MAYDAY"), false, false},
        {TEXT("27=MAYDAY"), false, false},
        {TEXT("+=MAYDAY"), false, false},
        {TEXT("+0=MAYDAY"), false, false},
        {TEXT("+1x=MAYDAY"), false, false},
        {TEXT("**=MAYDAY"), false, false},
        {TEXT("+1=+2=MAYDAY"), false, false},
        {TEXT("MAY/DAY"), false, false},
        {TEXT("M\xc3\x84YDAY"), false, false},
        {TEXT("+27112"), false, false},
        {TEXT("+1=+15551230000, +27=MAYDAY"), false, false},
        {TEXT(""), false, false},
        {TEXT("   "), false, false},
        {{NULL, 0}, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ck_assert_msg(phone_senders_good(rows[i].senders, false) == rows[i].texts, "row %zu", i);
        ck_assert_msg(phone_senders_good(rows[i].senders, true) == rows[i].calls, "row %zu", i);
    }
}
END_TEST

#define O "\xe2\x80\xa2"

START_TEST(a_mask_shows_three_and_two_signs_of_a_number_and_nothing_of_anything_else) {
    static const struct {
        text number;
        const char *want;
    } rows[] = {
        {TEXT("+27821234589"), "+27" O O O O O O O "89"},
        {TEXT("27821234589"), "278" O O O O O O "89"},
        {TEXT("+6834123"), "+68" O O O "23"},
        {TEXT("+27112"), "+27" O "12"},
        {TEXT("+2711"), O O O O O},
        {TEXT(""), ""},
        {TEXT("Jane Public"), O O O O O O O O O O O},
        {TEXT("+27\n82\x1b[2J"), O O O O O O O O O O},
        {TEXT("+1234567890123456789"), O O O O O O O O O O O O O O O O},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char masked[PHONE_MAX * 3 + 1];
        memset(masked, 'x', sizeof masked);
        phone_mask(rows[i].number, masked);
        ck_assert_msg(strcmp(masked, rows[i].want) == 0, "row %zu: %s", i, masked);
    }
}
END_TEST

Suite *suite_phone(void) {
    Suite *s = suite_create("phone");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_number_is_a_plus_and_seven_to_fifteen_digits);
    tcase_add_test(t, an_emergency_service_is_not_dialled_unless_it_is_allowed);
    tcase_add_test(t, subscribers_whose_numbers_begin_like_an_emergency_number_are_reached);
    tcase_add_test(t, what_is_allowed_is_a_whole_number_all_the_same);
    tcase_add_test(t, the_sender_is_that_of_the_longest_prefix);
    tcase_add_test(t, senders_are_numbers_and_for_texts_names_and_services);
    tcase_add_test(t, a_mask_shows_three_and_two_signs_of_a_number_and_nothing_of_anything_else);
    suite_add_tcase(s, t);
    return s;
}
