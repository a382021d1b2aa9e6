#include "core/rate.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define START (INT64_C(1763692800) * INSTANT_SECOND)

static const rate_rule two_a_second = {2, 5};

START_TEST(a_burst_is_let_through_and_then_the_rate) {
    CLEANUP(rates_freep) rates *r = rates_new(4, 1);
    instant now = START;
    for (int i = 0; i < 5; i++)
        ck_assert(rates_take(r, 1, 0, &two_a_second, now));
    ck_assert(!rates_take(r, 1, 0, &two_a_second, now));
    ck_assert(!rates_take(r, 1, 0, &two_a_second, now + 499999));
    ck_assert(rates_take(r, 1, 0, &two_a_second, now + 500000));
    ck_assert(!rates_take(r, 1, 0, &two_a_second, now + 500000));
    now += 3600 * INSTANT_SECOND; /* an hour's silence fills the bucket, and no more than that */
    for (int i = 0; i < 5; i++)
        ck_assert(rates_take(r, 1, 0, &two_a_second, now));
    ck_assert(!rates_take(r, 1, 0, &two_a_second, now));
}
END_TEST

START_TEST(over_an_hour_as_many_pass_as_the_rule_says) {
    static const rate_rule rules[] = {{20, 200}, {5, 500}, {0.5, 10}, {3, 7}, {1000, 1}};
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        CLEANUP(rates_freep) rates *r = rates_new(4, 1);
        long passed = 0;
        for (instant at = 0; at < 3600 * INSTANT_SECOND; at += 4000) /* 250 a second */
            passed += rates_take(r, 1, 0, &rules[i], START + at);
        double due = rules[i].per_second > 250 ? 250.0 * 3600 : rules[i].burst + 3600 * rules[i].per_second;
        ck_assert_msg((double)passed <= due + 1 && (double)passed >= due - 2, "%zu: %ld of %f", i, passed,
                      due);
    }
}
END_TEST

START_TEST(people_and_kinds_do_not_share_a_bucket) {
    CLEANUP(rates_freep) rates *r = rates_new(100, 1);
    for (uint64_t who = 0; who < 10; who++)
        for (unsigned what = 0; what < 5; what++)
            for (int i = 0; i < 6; i++)
                ck_assert_int_eq(rates_take(r, who, what, &two_a_second, START), i < 5);
    ck_assert_uint_eq(rates_count(r), 50);
}
END_TEST

START_TEST(no_limit_is_no_limit_and_takes_no_room) {
    CLEANUP(rates_freep) rates *r = rates_new(1, 1);
    const rate_rule off = {0};
    for (int i = 0; i < 1000; i++)
        ck_assert(rates_take(r, 1, 0, &off, START));
    ck_assert_uint_eq(rates_count(r), 0);
}
END_TEST

START_TEST(a_clock_set_back_gives_nothing_and_takes_nothing) {
    CLEANUP(rates_freep) rates *r = rates_new(4, 1);
    instant now = START;
    for (int i = 0; i < 5; i++)
        ck_assert(rates_take(r, 1, 0, &two_a_second, now));
    now -= 3600 * INSTANT_SECOND;
    ck_assert(!rates_take(r, 1, 0, &two_a_second, now));
    ck_assert(rates_take(r, 2, 0, &two_a_second, now));
    ck_assert(rates_take(r, 1, 0, &two_a_second, now + 500000)); /* refilled since, as ever */
    ck_assert(!rates_take(r, 1, 0, &two_a_second, now + 500000));
    ck_assert(!rates_take(r, 1, 0, &two_a_second, -5));
    ck_assert(!rates_take(r, 1, 0, &two_a_second, INT64_MIN + 1));
}
END_TEST

/* What is forgotten is what is full soonest: who floods stays known, however many others come. */
START_TEST(the_bucket_full_soonest_makes_room) {
    enum {
        LIMIT = 64
    };
    CLEANUP(rates_freep) rates *r = rates_new(LIMIT, 7);
    for (int i = 0; i < 5; i++)
        ck_assert(rates_take(r, 999, 0, &two_a_second, START));
    for (uint64_t who = 0; who < 10 * LIMIT; who++) {
        ck_assert(rates_take(r, who, 1, &two_a_second, START));
        ck_assert(!rates_take(r, 999, 0, &two_a_second, START));
        ck_assert_uint_le(rates_count(r), LIMIT);
    }
    ck_assert_uint_eq(rates_count(r), LIMIT);
}
END_TEST

START_TEST(full_buckets_are_used_again_before_new_ones) {
    CLEANUP(rates_freep) rates *r = rates_new(1000, 7);
    for (uint64_t who = 0; who < 10000; who++) /* each is full again half a second later */
        ck_assert(rates_take(r, who, 0, &two_a_second, START + (instant)who * INSTANT_SECOND));
    ck_assert_uint_eq(rates_count(r), 1);
}
END_TEST

/* Against one plain array of token buckets, none of which is ever forgotten: all of them have room. */
START_TEST(random_takes_agree_with_the_plain_rule) {
    enum {
        PEOPLE = 40,
        STEPS = 60000
    };
    static const rate_rule rules[] = {{2, 5}, {0.25, 3}, {50, 60}};
    double tokens[PEOPLE][ARRAY_LEN(rules)];
    instant since[PEOPLE][ARRAY_LEN(rules)], now = START;
    CLEANUP(rates_freep) rates *r = rates_new(PEOPLE * ARRAY_LEN(rules), 99);
    for (size_t p = 0; p < PEOPLE; p++)
        for (size_t k = 0; k < ARRAY_LEN(rules); k++) {
            tokens[p][k] = rules[k].burst;
            since[p][k] = START;
        }
    srand(4711);
    for (int i = 0; i < STEPS; i++) {
        size_t p = (size_t)rand() % PEOPLE, k = (size_t)rand() % ARRAY_LEN(rules);
        now += 1000 * (rand() % 20);
        double *t = &tokens[p][k];
        *t += (double)(now - since[p][k]) / INSTANT_SECOND * rules[k].per_second;
        if (*t > rules[k].burst)
            *t = rules[k].burst;
        since[p][k] = now;
        bool expected = *t >= 1 - 1e-4;
        if (expected)
            *t -= 1;
        ck_assert_msg(rates_take(r, p, (unsigned)k, &rules[k], now) == expected, "step %d: %f", i, *t);
    }
}
END_TEST

/* Against a plain list that forgets, of its few places, what is full soonest. */
START_TEST(random_takes_in_little_room_agree_with_a_plain_list) {
    enum {
        LIMIT = 16,
        PEOPLE = 40,
        STEPS = 60000
    };
    struct {
        uint64_t who;
        double full_at;
    } list[LIMIT];
    size_t used = 0, forgotten = 0;
    static const rate_rule rule = {1, 4};
    const double token = 1e6;
    CLEANUP(rates_freep) rates *r = rates_new(LIMIT, 3);
    double now = 0; /* of no two takes: nothing is full at the same moment */
    srand(1509);
    for (int i = 0; i < STEPS; i++) {
        uint64_t who = (uint64_t)(rand() % 4 ? rand() % 12 : rand() % PEOPLE);
        now += 1 + rand() % 150000;
        size_t at = 0, first = 0;
        while (at < used && list[at].who != who)
            at++;
        double full_at = at < used && list[at].full_at > now ? list[at].full_at : now;
        bool expected = full_at + token <= now + 4 * token + 0.5;
        ck_assert_msg(rates_take(r, who, 0, &rule, START + (instant)now) == expected, "step %d", i);
        if (!expected)
            continue;
        for (size_t j = 1; j < used; j++)
            if (list[j].full_at < list[first].full_at)
                first = j;
        if (at == used && (used == LIMIT || (used > 0 && list[first].full_at <= now))) {
            forgotten += list[first].full_at > now;
            at = first;
        }
        used += at == used;
        list[at].who = who;
        list[at].full_at = full_at + token;
        ck_assert_uint_eq(rates_count(r), used);
    }
    ck_assert_uint_gt(forgotten, 100);
}
END_TEST

START_TEST(rules_are_spelled_so) {
    static const struct {
        const char *spelled;
        int fault;
        double per_second, burst;
    } rows[] = {
        {"20 200", 0, 20, 200},       {" 5   500 ", 0, 5, 500},
        {"0.5 10", 0, 0.5, 10},       {"off", 0, 0, 0},
        {"0.001 1", 0, 0.001, 1},     {"1 1.5", 0, 1, 1.5},
        {"", -EINVAL, 0, 0},          {"20", -EINVAL, 0, 0},
        {"20 ", -EINVAL, 0, 0},       {"0 10", -EINVAL, 0, 0},
        {"-1 10", -EINVAL, 0, 0},     {"1 0", -EINVAL, 0, 0},
        {"1 0.5", -EINVAL, 0, 0},     {"1 2 3", -EINVAL, 0, 0},
        {"1. 2", -EINVAL, 0, 0},      {".5 2", -EINVAL, 0, 0},
        {"1e3 5", -EINVAL, 0, 0},     {"nan 5", -EINVAL, 0, 0},
        {"1 inf", -EINVAL, 0, 0},     {"OFF", -EINVAL, 0, 0},
        {"1000001 5", -EINVAL, 0, 0}, {"1 99999999999999999999", -EINVAL, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        rate_rule rule = {-7, -7};
        ck_assert_msg(rate_parse(text_of(rows[i].spelled), &rule) == rows[i].fault, "%s", rows[i].spelled);
        ck_assert_double_eq_tol(rule.per_second, rows[i].fault ? -7 : rows[i].per_second, 1e-9);
        ck_assert_double_eq_tol(rule.burst, rows[i].fault ? -7 : rows[i].burst, 1e-9);
    }
}
END_TEST

Suite *suite_rate(void) {
    Suite *s = suite_create("rate");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_burst_is_let_through_and_then_the_rate);
    tcase_add_test(t, over_an_hour_as_many_pass_as_the_rule_says);
    tcase_add_test(t, people_and_kinds_do_not_share_a_bucket);
    tcase_add_test(t, no_limit_is_no_limit_and_takes_no_room);
    tcase_add_test(t, a_clock_set_back_gives_nothing_and_takes_nothing);
    tcase_add_test(t, the_bucket_full_soonest_makes_room);
    tcase_add_test(t, full_buckets_are_used_again_before_new_ones);
    tcase_add_test(t, random_takes_agree_with_the_plain_rule);
    tcase_add_test(t, random_takes_in_little_room_agree_with_a_plain_list);
    tcase_add_test(t, rules_are_spelled_so);
    suite_add_tcase(s, t);
    return s;
}
