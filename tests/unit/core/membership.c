#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/membership.h"

#define ACME TEXT("acme")
#define A1   TEXT("01932e6a-7b1c-7def-8123-456789abcdef")
#define A2   TEXT("01932e6a-7b1c-7def-8123-456789abcde0")

START_TEST(someone_added_is_found_and_nobody_else) {
    CLEANUP(membership_freep) membership *m = membership_new(10);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, TEXT("ann"), RELATION_RAISER), 0);
    ck_assert_int_eq(membership_of(m, ACME, ADDRESS_ALERT, A1, TEXT("ann")), RELATION_RAISER);
    ck_assert_int_eq(membership_of(m, ACME, ADDRESS_ALERT, A1, TEXT("bob")), RELATION_NONE);
    ck_assert_int_eq(membership_of(m, ACME, ADDRESS_ALERT, A1, TEXT("an")), RELATION_NONE);
    ck_assert_int_eq(membership_of(m, ACME, ADDRESS_ALERT, A2, TEXT("ann")), RELATION_NONE);
    ck_assert_int_eq(membership_of(m, ACME, ADDRESS_ROOM, A1, TEXT("ann")), RELATION_NONE);
    ck_assert_int_eq(membership_of(m, TEXT("acm"), ADDRESS_ALERT, A1, TEXT("ann")), RELATION_NONE);
    ck_assert_int_eq(membership_of(m, TEXT("rival"), ADDRESS_ALERT, A1, TEXT("ann")), RELATION_NONE);
    ck_assert_uint_eq(membership_count(m), 1);
}
END_TEST

START_TEST(what_stands_on_either_side_of_a_border_is_not_confused) {
    CLEANUP(membership_freep) membership *m = membership_new(10);
    ck_assert_int_eq(membership_add(m, TEXT("ab"), ADDRESS_ROOM, TEXT("c"), TEXT("d"), RELATION_MEMBER), 0);
    ck_assert_int_eq(membership_of(m, TEXT("a"), ADDRESS_ROOM, TEXT("bc"), TEXT("d")), RELATION_NONE);
    ck_assert_int_eq(membership_of(m, TEXT("ab"), ADDRESS_ROOM, TEXT("cd"), TEXT("")), RELATION_NONE);
    ck_assert_int_eq(membership_of(m, TEXT("ab/c"), ADDRESS_ROOM, TEXT("d"), TEXT("d")), RELATION_NONE);
}
END_TEST

START_TEST(adding_again_replaces_but_a_raiser_becomes_nothing_but_a_former_one) {
    CLEANUP(membership_freep) membership *m = membership_new(10);
    const text bob = TEXT("bob"), ann = TEXT("ann");
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, bob, RELATION_INVITED), 0);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, bob, RELATION_ASSIGNED), 0);
    ck_assert_int_eq(membership_of(m, ACME, ADDRESS_ALERT, A1, bob), RELATION_ASSIGNED);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, ann, RELATION_RAISER), 0);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, ann, RELATION_FAMILY), 0);
    ck_assert_int_eq(membership_of(m, ACME, ADDRESS_ALERT, A1, ann), RELATION_RAISER);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, ann, RELATION_FORMER), 0);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, ann, RELATION_ASSIGNED), 0);
    ck_assert_int_eq(membership_of(m, ACME, ADDRESS_ALERT, A1, ann), RELATION_FORMER);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, ann, RELATION_PAST), 0);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, ann, RELATION_INVITED), 0);
    ck_assert_int_eq(membership_of(m, ACME, ADDRESS_ALERT, A1, ann), RELATION_PAST);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, ann, RELATION_RAISER), 0);
    ck_assert_int_eq(membership_of(m, ACME, ADDRESS_ALERT, A1, ann), RELATION_RAISER);
    ck_assert_uint_eq(membership_count(m), 2);
}
END_TEST

START_TEST(the_limit_holds_for_new_members_only) {
    CLEANUP(membership_freep) membership *m = membership_new(2);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ROOM, TEXT("r"), TEXT("a"), RELATION_MEMBER), 0);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, TEXT("a"), RELATION_INVITED), 0);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ROOM, TEXT("r"), TEXT("b"), RELATION_MEMBER), -ENOSPC);
    ck_assert_int_eq(membership_of(m, ACME, ADDRESS_ROOM, TEXT("r"), TEXT("b")), RELATION_NONE);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, TEXT("a"), RELATION_ASSIGNED), 0);
    membership_remove(m, ACME, ADDRESS_ALERT, A1, TEXT("a"));
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ROOM, TEXT("r"), TEXT("b"), RELATION_MEMBER), 0);
}
END_TEST

START_TEST(the_generation_grows_with_every_change_and_only_then) {
    CLEANUP(membership_freep) membership *m = membership_new(10);
    const text ann = TEXT("ann");
    uint64_t g = membership_generation(m);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, ann, RELATION_INVITED), 0);
    ck_assert_uint_gt(membership_generation(m), g);
    g = membership_generation(m);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, ann, RELATION_INVITED), 0);
    membership_remove(m, ACME, ADDRESS_ALERT, A1, TEXT("bob"));
    membership_clear(m, ACME, ADDRESS_ALERT, A2);
    ck_assert_uint_eq(membership_generation(m), g);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, ann, RELATION_ASSIGNED), 0);
    ck_assert_uint_gt(membership_generation(m), g);
    g = membership_generation(m);
    membership_remove(m, ACME, ADDRESS_ALERT, A1, ann);
    ck_assert_uint_gt(membership_generation(m), g);
    g = membership_generation(m);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ALERT, A1, ann, RELATION_FAMILY), 0);
    g = membership_generation(m);
    membership_clear(m, ACME, ADDRESS_ALERT, A1);
    ck_assert_uint_gt(membership_generation(m), g);
}
END_TEST

START_TEST(what_cannot_be_a_level_is_refused) {
    CLEANUP(membership_freep) membership *m = membership_new(10);
    char wide[TOPIC_LEVEL_MAX + 1];
    memset(wide, 'x', sizeof wide);
    const text bad[] = {TEXT(""), TEXT("a/b"), TEXT("+"), TEXT("a\nb"), {wide, sizeof wide}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ck_assert_int_eq(membership_add(m, bad[i], ADDRESS_ROOM, A1, A2, RELATION_MEMBER), -EINVAL);
        ck_assert_int_eq(membership_add(m, A1, ADDRESS_ROOM, bad[i], A2, RELATION_MEMBER), -EINVAL);
        ck_assert_int_eq(membership_add(m, A1, ADDRESS_ROOM, A2, bad[i], RELATION_MEMBER), -EINVAL);
        ck_assert_int_eq(membership_of(m, bad[i], ADDRESS_ROOM, bad[i], bad[i]), RELATION_NONE);
        membership_remove(m, bad[i], ADDRESS_ROOM, bad[i], bad[i]);
        membership_clear(m, bad[i], ADDRESS_ROOM, bad[i]);
    }
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_USER, A1, A2, RELATION_MEMBER), -EINVAL);
    ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ROOM, A1, A2, RELATION_NONE), -EINVAL);
    text widest = {wide, TOPIC_LEVEL_MAX};
    ck_assert_int_eq(membership_add(m, widest, ADDRESS_ROOM, widest, widest, RELATION_MEMBER), 0);
    ck_assert_int_eq(membership_of(m, widest, ADDRESS_ROOM, widest, widest), RELATION_MEMBER);
}
END_TEST

/* A plain model beside it: a table of relations by [room][person]. */
START_TEST(a_long_random_life_agrees_with_a_plain_table) {
    enum {
        ROOMS = 40,
        PEOPLE = 60,
        STEPS = 60000
    };
    static relation model[ROOMS][PEOPLE];
    CLEANUP(membership_freep) membership *m = membership_new(SIZE_MAX);
    unsigned state = 7;
    size_t count = 0;
    for (int step = 0; step < STEPS; step++) {
        state = state * 1103515245u + 12345u;
        unsigned pick = state >> 8;
        size_t room = pick % ROOMS, person = pick / ROOMS % PEOPLE;
        char room_name[32], person_name[32];
        (void)snprintf(room_name, sizeof room_name, "room-%zu", room);
        (void)snprintf(person_name, sizeof person_name, "person-%zu", person);
        text r = text_of(room_name), p = text_of(person_name);
        relation *have = &model[room][person];
        ck_assert_int_eq(membership_of(m, ACME, ADDRESS_ROOM, r, p), *have);
        switch (state >> 28) {
        case 0: /* rarely: everyone leaves */
            membership_clear(m, ACME, ADDRESS_ROOM, r);
            for (size_t i = 0; i < PEOPLE; i++) {
                count -= model[room][i] != RELATION_NONE;
                model[room][i] = RELATION_NONE;
            }
            break;
        case 1:
        case 2:
        case 3:
            membership_remove(m, ACME, ADDRESS_ROOM, r, p);
            count -= *have != RELATION_NONE;
            *have = RELATION_NONE;
            break;
        default:
            ck_assert_int_eq(membership_add(m, ACME, ADDRESS_ROOM, r, p, RELATION_MEMBER), 0);
            count += *have == RELATION_NONE;
            *have = RELATION_MEMBER;
        }
        ck_assert_uint_eq(membership_count(m), count);
    }
}
END_TEST

START_TEST(relations_have_names_and_find_them_again) {
    for (relation r = RELATION_RAISER; r <= RELATION_MEMBER; r++)
        ck_assert_int_eq(relation_named(text_of(relation_name(r))), r);
    ck_assert_int_eq(relation_named(TEXT("none")), RELATION_NONE);
    ck_assert_int_eq(relation_named(TEXT("boss")), RELATION_NONE);
}
END_TEST

Suite *suite_membership(void) {
    Suite *s = suite_create("membership");
    TCase *t = tcase_create("all");
    tcase_add_test(t, someone_added_is_found_and_nobody_else);
    tcase_add_test(t, what_stands_on_either_side_of_a_border_is_not_confused);
    tcase_add_test(t, adding_again_replaces_but_a_raiser_becomes_nothing_but_a_former_one);
    tcase_add_test(t, the_limit_holds_for_new_members_only);
    tcase_add_test(t, the_generation_grows_with_every_change_and_only_then);
    tcase_add_test(t, what_cannot_be_a_level_is_refused);
    tcase_add_test(t, a_long_random_life_agrees_with_a_plain_table);
    tcase_add_test(t, relations_have_names_and_find_them_again);
    suite_add_tcase(s, t);
    return s;
}
