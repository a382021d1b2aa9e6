/* Every allocation failing in turn: the linker sends malloc and calloc of the code under test here (--wrap).
 */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/policy.h"

static long allocations_left = LONG_MAX;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_malloc(size_t size) {
    return allocations_left-- > 0 ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size) {
    return allocations_left-- > 0 ? __real_calloc(count, size) : NULL;
}

START_TEST(a_policy_is_parsed_whole_or_not_at_all) {
    const text source = TEXT("role r\nread mayday/v1/{org}/user/{sub}/inbox\n");
    policy *p = NULL;
    int fault = -ENOMEM;
    long failures = 0;
    for (; fault == -ENOMEM && failures < 100; failures++) {
        policy_error error = {0};
        allocations_left = failures;
        fault = policy_parse(source, &p, &error);
        allocations_left = LONG_MAX;
        ck_assert(fault == -ENOMEM ? p == NULL : p != NULL);
    }
    ck_assert_int_eq(fault, 0);
    ck_assert_int_gt(failures, 3);
    policy_free(p);
}
END_TEST

static text spell(char to[32], const char *word, int number) {
    (void)snprintf(to, 32, "%s-%d", word, number);
    return text_of(to);
}

/* Each add is tried with no allocation granted, twice, then with one, twice...: until it succeeds it leaves
 * everything as it was, so that a second try needs just as much. Enough of them for the tables to grow. */
START_TEST(a_membership_that_finds_no_memory_changes_nothing) {
    enum {
        MEMBERS = 1500,
        EACH = 3
    };
    CLEANUP(membership_freep) membership *m = membership_new(MEMBERS);
    const text org = TEXT("acme");
    size_t failures = 0;
    char room[32], person[32];
    for (int i = 0; i < MEMBERS; i++) {
        text r = spell(room, "room", i / EACH), who = spell(person, "person", i);
        uint64_t generation = membership_generation(m);
        int fault = -ENOMEM;
        for (long attempt = 0; fault == -ENOMEM && attempt < 20; attempt++) {
            allocations_left = attempt / 2;
            fault = membership_add(m, org, ADDRESS_ROOM, r, who, RELATION_MEMBER);
            allocations_left = LONG_MAX;
            if (fault == -ENOMEM) {
                failures++;
                ck_assert_uint_eq(membership_count(m), (size_t)i);
                ck_assert_uint_eq(membership_generation(m), generation);
                ck_assert_int_eq(membership_of(m, org, ADDRESS_ROOM, r, who), RELATION_NONE);
            }
        }
        ck_assert_int_eq(fault, 0);
    }
    ck_assert_uint_gt(failures, 2 * (MEMBERS + MEMBERS / EACH));
    for (int i = 0; i < MEMBERS; i++)
        ck_assert_int_eq(
            membership_of(m, org, ADDRESS_ROOM, spell(room, "room", i / EACH), spell(person, "person", i)),
            RELATION_MEMBER);
    allocations_left = 0;
    membership *none = membership_new(1);
    allocations_left = LONG_MAX;
    ck_assert_ptr_null(none);
}
END_TEST

Suite *suite_heap(void) {
    Suite *s = suite_create("heap");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_policy_is_parsed_whole_or_not_at_all);
    tcase_add_test(t, a_membership_that_finds_no_memory_changes_nothing);
    suite_add_tcase(s, t);
    return s;
}
