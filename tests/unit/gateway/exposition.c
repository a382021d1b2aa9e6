#include "gateway/http/exposition.h"

#include <check.h>

START_TEST(a_figure_is_spelled_so) {
    static const struct {
        double number;
        const char *line;
    } rows[] = {
        {0, "n 0\n"},          {1, "n 1\n"},        {-3, "n -3\n"},
        {0.25, "n 0.25\n"},    {1e-6, "n 1e-06\n"}, {123456789012, "n 123456789012\n"},
        {1e300, "n 1e+300\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf to = BUF(256);
        exposition_sample(&to, "n", NULL, NULL, rows[i].number);
        ck_assert_str_eq(to.ptr, rows[i].line);
    }
}
END_TEST

START_TEST(whatever_a_label_holds_it_stays_in_its_quotes) {
    CLEANUP(buf_release) buf to = BUF(256);
    exposition_sample(&to, "n", "org", "a\"b\\c\nd} 7", 1);
    ck_assert_str_eq(to.ptr, "n{org=\"a\\\"b\\\\c\\nd} 7\"} 1\n");
}
END_TEST

START_TEST(a_figure_alone_has_its_head) {
    CLEANUP(buf_release) buf to = BUF(256);
    exposition_one(&to, "up", "gauge", "Whether it is.", 1);
    ck_assert_str_eq(to.ptr, "# HELP up Whether it is.\n# TYPE up gauge\nup 1\n");
}
END_TEST

Suite *suite_exposition(void) {
    Suite *s = suite_create("exposition");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_figure_is_spelled_so);
    tcase_add_test(t, whatever_a_label_holds_it_stays_in_its_quotes);
    tcase_add_test(t, a_figure_alone_has_its_head);
    suite_add_tcase(s, t);
    return s;
}
