/* Rules over time: stories of one person, second by second. */
#include "core/body.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

START_TEST(the_shipped_rules_are_rules_and_each_has_its_source) {
    CLEANUP(body_rules_freep) body_rules *r = NULL;
    const body_limits *l = NULL;
    body_rule_view view;
    ck_assert_int_eq(body_rules_default(&r), 0);
    ck_assert_int_eq(body_rules_for(r, TEXT("ann"), NULL, 0, &l), 0);
    size_t count = 0;
    for (; body_limits_rule(l, count, &view); count++)
        ck_assert_msg(strlen(view.source) > 20, "%s", view.name);
    ck_assert_uint_gt(count, 20);
}
END_TEST

Suite *suite_body(void) {
    Suite *s = suite_create("body");
    TCase *t = tcase_create("all");
    tcase_add_test(t, the_shipped_rules_are_rules_and_each_has_its_source);
    suite_add_tcase(s, t);
    return s;
}
