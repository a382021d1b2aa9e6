#include <check.h>
#include <stdlib.h>
#include "plugin/fence.h"

START_TEST(an_older_version_is_stale_and_an_equal_one_passes) {
    CLEANUP(fence_freep) fence *f = fence_new(10);
    ck_assert(fence_pass(f, 7, FENCE_STATE, 1));
    ck_assert(fence_pass(f, 7, FENCE_STATE, 5));
    ck_assert(!fence_pass(f, 7, FENCE_STATE, 4));
    ck_assert(fence_pass(f, 7, FENCE_STATE, 5));
    ck_assert(fence_pass(f, 7, FENCE_STATE, UINT32_MAX));
    ck_assert(!fence_pass(f, 7, FENCE_STATE, 0));
    ck_assert_uint_eq(fence_count(f), 1);
}
END_TEST

START_TEST(the_two_views_and_other_incidents_count_for_themselves) {
    CLEANUP(fence_freep) fence *f = fence_new(10);
    ck_assert(fence_pass(f, 7, FENCE_STATE, 5));
    ck_assert(fence_pass(f, 7, FENCE_DISPATCH, 3));
    ck_assert(fence_pass(f, 8, FENCE_STATE, 1));
    ck_assert(!fence_pass(f, 7, FENCE_DISPATCH, 2));
    ck_assert_uint_eq(fence_count(f), 2);
}
END_TEST

START_TEST(what_was_cleared_may_begin_anew) {
    CLEANUP(fence_freep) fence *f = fence_new(10);
    ck_assert(fence_pass(f, 7, FENCE_STATE, 5));
    ck_assert(fence_pass(f, 7, FENCE_DISPATCH, 5));
    fence_forget(f, 7, FENCE_STATE);
    ck_assert(fence_pass(f, 7, FENCE_STATE, 1));
    ck_assert(!fence_pass(f, 7, FENCE_DISPATCH, 1));
    fence_forget(f, 7, FENCE_STATE);
    fence_forget(f, 7, FENCE_DISPATCH);
    fence_forget(f, 9, FENCE_STATE);
    ck_assert_uint_eq(fence_count(f), 0);
}
END_TEST

/* A plain table beside it. Few distinct low bits, so that entries crowd and stand far from their homes. */
START_TEST(a_long_random_life_agrees_with_a_plain_table) {
    enum {
        INCIDENTS = 300
    };
    static uint32_t model[INCIDENTS][FENCE_VIEWS];
    CLEANUP(fence_freep) fence *f = fence_new(INCIDENTS);
    unsigned state = 11;
    for (int step = 0; step < 200000; step++) {
        state = state * 1103515245u + 12345u;
        unsigned pick = state >> 8;
        unsigned i = pick % INCIDENTS;
        fence_view view = pick / INCIDENTS % 2 ? FENCE_STATE : FENCE_DISPATCH;
        uint64_t incident = (uint64_t)(i % 5) | (uint64_t)i << 32;
        if (state >> 30 == 0) {
            fence_forget(f, incident, view);
            model[i][view] = 0;
            continue;
        }
        uint32_t version = 1 + pick / 1000 % 50;
        ck_assert_msg(fence_pass(f, incident, view, version) == (version >= model[i][view]), "step %d", step);
        if (version > model[i][view])
            model[i][view] = version;
    }
    size_t count = 0;
    for (unsigned i = 0; i < INCIDENTS; i++)
        count += model[i][FENCE_STATE] || model[i][FENCE_DISPATCH];
    ck_assert_uint_eq(fence_count(f), count);
}
END_TEST

START_TEST(at_the_limit_another_is_forgotten_and_the_newcomer_is_guarded) {
    CLEANUP(fence_freep) fence *f = fence_new(100);
    for (uint64_t i = 1; i <= 1000; i++) {
        ck_assert(fence_pass(f, i * 0x9E3779B97F4A7C15u, FENCE_STATE, 9));
        ck_assert(!fence_pass(f, i * 0x9E3779B97F4A7C15u, FENCE_STATE, 8));
        ck_assert_uint_le(fence_count(f), 100);
    }
    ck_assert_uint_eq(fence_count(f), 100);
}
END_TEST

Suite *suite_fence(void) {
    Suite *s = suite_create("fence");
    TCase *t = tcase_create("all");
    tcase_add_test(t, an_older_version_is_stale_and_an_equal_one_passes);
    tcase_add_test(t, the_two_views_and_other_incidents_count_for_themselves);
    tcase_add_test(t, what_was_cleared_may_begin_anew);
    tcase_add_test(t, a_long_random_life_agrees_with_a_plain_table);
    tcase_add_test(t, at_the_limit_another_is_forgotten_and_the_newcomer_is_guarded);
    suite_add_tcase(s, t);
    return s;
}
