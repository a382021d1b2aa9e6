#include <check.h>
#include "base/instant.h"

START_TEST(moments_survive_their_text) {
    static const char *const rows[] = {"1970-01-01T00:00:00.000Z", "2026-11-21T02:40:00.123Z",
                                       "2024-02-29T23:59:59.999Z", "9999-12-31T23:59:59.999Z"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        instant at = -1;
        char spelled[INSTANT_TEXT_LEN + 1];
        ck_assert_int_eq(instant_parse(text_of(rows[i]), &at), 0);
        instant_format(at, spelled);
        ck_assert_str_eq(spelled, rows[i]);
    }
}
END_TEST

START_TEST(no_other_form_is_taken) {
    static const char *const rows[] = {
        "2026-11-21T02:40:00Z",     "2026-02-29T00:00:00.000Z", "2026-13-01T00:00:00.000Z",
        "2026-11-21T24:00:00.000Z", "2026-11-21T02:40:60.000Z", "2026-11-21 02:40:00.000Z",
        "2026-11-21T02:40:00.000z", "1969-12-31T23:59:59.999Z", "2026-11-21T02:40:00.00-Z"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        instant at;
        ck_assert_msg(instant_parse(text_of(rows[i]), &at) < 0, "%s", rows[i]);
    }
}
END_TEST

Suite *suite_instant(void) {
    Suite *s = suite_create("instant");
    TCase *t = tcase_create("all");
    tcase_add_test(t, moments_survive_their_text);
    tcase_add_test(t, no_other_form_is_taken);
    suite_add_tcase(s, t);
    return s;
}
