#include <check.h>
#include <stdlib.h>
#include "store/results.h"

static bool add(results *q, const char *person) {
    return results_member(q, RESULT_MEMBER_SET, TEXT("acme"), ADDRESS_ALERT, TEXT("a"), text_of(person),
                          RELATION_ASSIGNED);
}

START_TEST(results_come_out_as_they_went_in) {
    results *q = results_new(10);
    results_log(q, RESULT_ERROR, "number %d", 7);
    ck_assert(add(q, "ann"));
    result *log = results_take(q), *member = results_take(q);
    ck_assert_int_eq(log->kind, RESULT_LOG);
    ck_assert_int_eq(log->level, RESULT_ERROR);
    ck_assert(text_equal(log->message, TEXT("number 7")));
    ck_assert_int_eq(member->kind, RESULT_MEMBER_SET);
    ck_assert(text_equal(member->org, TEXT("acme")) && text_equal(member->id, TEXT("a")));
    ck_assert(text_equal(member->person, TEXT("ann")));
    ck_assert_int_eq(member->relation, RELATION_ASSIGNED);
    ck_assert_ptr_null(results_take(q));
    free(log);
    free(member);
    results_free(q);
}
END_TEST

START_TEST(a_full_queue_drops_the_oldest_log_lines_and_never_a_membership) {
    results *q = results_new(3);
    results_log(q, RESULT_INFO, "old");
    ck_assert(add(q, "1"));
    results_log(q, RESULT_INFO, "young");
    ck_assert(add(q, "2")); /* in the place of "old" */
    ck_assert(add(q, "3")); /* in the place of "young" */
    ck_assert(!add(q, "4"));
    results_log(q, RESULT_INFO, "no room"); /* lost, and that is all */
    static const char *const want[] = {"1", "2", "3"};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        result *r = results_take(q);
        ck_assert_ptr_nonnull(r);
        ck_assert(text_equal(r->person, text_of(want[i])));
        free(r);
    }
    ck_assert_ptr_null(results_take(q));
    ck_assert(add(q, "5")); /* and there is room again, at the front and at the end */
    results_free(q);
}
END_TEST

START_TEST(only_what_is_no_log_line_is_pending) {
    results *q = results_new(2);
    results_log(q, RESULT_INFO, "a line");
    ck_assert(!results_pending(q));
    ck_assert(add(q, "ann"));
    ck_assert(results_pending(q));
    ck_assert(add(q, "bob")); /* in the place of the line */
    ck_assert(!add(q, "cat"));
    free(results_take(q));
    ck_assert(results_pending(q));
    free(results_take(q));
    ck_assert(!results_pending(q));
    results_free(q);
}
END_TEST

START_TEST(a_drained_queue_takes_new_results) {
    results *q = results_new(1);
    for (int i = 0; i < 3; i++) {
        results_log(q, RESULT_INFO, "%d", i);
        results_log(q, RESULT_INFO, "%d again", i);
        result *r = results_take(q);
        ck_assert_uint_eq(r->message.len, sizeof "0 again" - 1);
        free(r);
        ck_assert_ptr_null(results_take(q));
    }
    results_free(q);
}
END_TEST

Suite *suite_results(void) {
    Suite *s = suite_create("results");
    TCase *t = tcase_create("all");
    tcase_add_test(t, results_come_out_as_they_went_in);
    tcase_add_test(t, a_full_queue_drops_the_oldest_log_lines_and_never_a_membership);
    tcase_add_test(t, only_what_is_no_log_line_is_pending);
    tcase_add_test(t, a_drained_queue_takes_new_results);
    suite_add_tcase(s, t);
    return s;
}
