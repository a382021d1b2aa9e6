#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "gateway/bus/funnel.h"

typedef struct thing {
    funnel_item item;
    int number;
} thing;

static size_t freed;

static void free_thing(funnel_item *item) {
    freed++;
    free(item);
}

static funnel *make(void) {
    funnel *f = NULL;
    freed = 0;
    ck_assert_int_eq(funnel_new(free_thing, &f), 0);
    return f;
}

static void put(funnel *f, size_t lane, int number, size_t most, funnel_full full) {
    thing *one = calloc(1, sizeof *one);
    ck_assert_ptr_nonnull(one);
    one->number = number;
    funnel_put(f, lane, &one->item, most, full);
}

/* Takes up to so many; their numbers as decimal digits. */
static int take(funnel *f, size_t most) {
    int all = 0;
    funnel_item *next;
    for (funnel_item *one = funnel_take(f, most); one; one = next) {
        next = one->next;
        all = all * 10 + ((thing *)one)->number;
        free(one);
    }
    return all;
}

static bool is_readable(const funnel *f) {
    struct pollfd fd = {.fd = funnel_fd(f), .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

START_TEST(each_lane_keeps_its_order_and_the_first_is_taken_first) {
    funnel *f = make();
    put(f, 1, 4, 9, FUNNEL_REFUSE);
    put(f, 0, 1, 9, FUNNEL_REFUSE);
    put(f, 1, 5, 9, FUNNEL_REFUSE);
    put(f, 0, 2, 9, FUNNEL_REFUSE);
    ck_assert_int_eq(take(f, 3), 124);
    ck_assert(is_readable(f)); /* one is left */
    ck_assert_int_eq(take(f, 3), 5);
    ck_assert(!is_readable(f));
    ck_assert_int_eq(take(f, 3), 0);
    (void)funnel_free(f);
}
END_TEST

START_TEST(a_full_lane_refuses_or_loses_its_oldest_and_counts_both) {
    funnel *f = make();
    for (int i = 1; i <= 4; i++)
        put(f, 0, i, 3, FUNNEL_REPLACE);
    for (int i = 5; i <= 8; i++)
        put(f, 1, i, 3, FUNNEL_REFUSE);
    ck_assert_uint_eq(funnel_lost(f), 2);
    ck_assert_uint_eq(freed, 2);
    ck_assert_int_eq(take(f, 9), 234567);
    funnel_put(f, 0, NULL, 3, FUNNEL_REFUSE); /* there was no memory for it */
    ck_assert_uint_eq(funnel_lost(f), 3);
    put(f, 0, 1, 0, FUNNEL_REPLACE);
    ck_assert_uint_eq(funnel_lost(f), 4);
    (void)funnel_free(f);
}
END_TEST

START_TEST(what_nobody_took_ends_with_it) {
    funnel *f = make();
    put(f, 0, 1, 9, FUNNEL_REFUSE);
    put(f, 1, 2, 9, FUNNEL_REFUSE);
    ck_assert_ptr_null(funnel_free(f));
    ck_assert_uint_eq(freed, 2);
    ck_assert_ptr_null(funnel_free(NULL));
}
END_TEST

#define MANY 20000

static void *pour(void *the_funnel) {
    for (int i = 0; i < MANY; i++)
        put(the_funnel, (size_t)i % FUNNEL_LANES, 1, MANY, FUNNEL_REFUSE);
    return NULL;
}

START_TEST(two_pour_and_one_takes_and_nothing_is_lost) {
    funnel *f = make();
    pthread_t who[2];
    size_t count = 0;
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&who[i], NULL, pour, f), 0);
    while (count + funnel_lost(f) < 2 * MANY) {
        struct pollfd fd = {.fd = funnel_fd(f), .events = POLLIN};
        (void)poll(&fd, 1, 100);
        funnel_item *next;
        for (funnel_item *one = funnel_take(f, 100); one; one = next) {
            next = one->next;
            free(one);
            count++;
        }
    }
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_join(who[i], NULL), 0);
    ck_assert_int_eq(take(f, 1), 0);
    (void)funnel_free(f);
}
END_TEST

Suite *suite_funnel(void) {
    Suite *s = suite_create("funnel");
    TCase *t = tcase_create("all");
    tcase_add_test(t, each_lane_keeps_its_order_and_the_first_is_taken_first);
    tcase_add_test(t, a_full_lane_refuses_or_loses_its_oldest_and_counts_both);
    tcase_add_test(t, what_nobody_took_ends_with_it);
    tcase_add_test(t, two_pour_and_one_takes_and_nothing_is_lost);
    suite_add_tcase(s, t);
    return s;
}
