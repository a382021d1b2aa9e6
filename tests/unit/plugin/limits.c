#include <check.h>
#include <errno.h>
#include <string.h>
#include "plugin/limits.h"

#define ORG TEXT("acme")
#define ANN TEXT("ann")
#define BOB TEXT("bob")

static const msg_type *named(const char *name) {
    for (const msg_type *const *t = msg_types; *t; t++)
        if (strcmp((*t)->name, name) == 0)
            return *t;
    ck_abort_msg("no type %s", name);
}

static char two_at_once[] = "1 2", off[] = "off";

static settings tight(void) {
    return (settings){
        .limit_telemetry = two_at_once,
        .limit_talk = two_at_once,
        .limit_action = two_at_once,
        .limit_request = off,
        .limit_raise = two_at_once,
    };
}

static limits started(void) {
    settings s = tight();
    limits l = {0};
    char why[LIMITS_WHY_MAX] = "";
    ck_assert_msg(limits_start(&s, 42, &l, why) == 0, "%s", why);
    return l;
}

START_TEST(each_person_and_each_type_counts_for_itself) {
    limits l = started();
    const instant now = 1000 * INSTANT_SECOND;
    const msg_type *here = named("user_location"), *pulse = named("vitals");
    for (int i = 0; i < 2; i++)
        ck_assert(limits_take(&l, here, ORG, ANN, false, now));
    ck_assert(!limits_take(&l, here, ORG, ANN, false, now));
    ck_assert(limits_take(&l, pulse, ORG, ANN, false, now));
    ck_assert(limits_take(&l, here, ORG, BOB, false, now));
    ck_assert(limits_take(&l, here, TEXT("rival"), ANN, false, now));
    ck_assert(!limits_take(&l, here, ORG, ANN, false, now));
    ck_assert(limits_take(&l, here, ORG, ANN, false, now + INSTANT_SECOND + 1));
    limits_release(&l);
}
END_TEST

START_TEST(what_waited_on_the_device_has_room_of_its_own) {
    limits l = started();
    const instant now = 1000 * INSTANT_SECOND;
    const msg_type *chat = named("alert_chat");
    int taken = 0;
    while (limits_take(&l, chat, ORG, ANN, true, now))
        taken++;
    ck_assert_int_eq(taken, 20);
    for (int i = 0; i < 2; i++) /* and what happens now has all of its own */
        ck_assert(limits_take(&l, chat, ORG, ANN, false, now));
    ck_assert(!limits_take(&l, chat, ORG, ANN, false, now));
    limits_release(&l);
}
END_TEST

START_TEST(a_limit_may_be_off_and_what_mayday_says_has_none) {
    limits l = started();
    for (int i = 0; i < 1000; i++) {
        ck_assert(limits_take(&l, named("sync"), ORG, ANN, false, 1));
        ck_assert(limits_take(&l, named("alert_state"), ORG, ANN, false, 1));
    }
    limits_release(&l);
}
END_TEST

/* Every type that the shipped policy lets a person send: all but these. */
START_TEST(every_type_people_send_has_a_limit) {
    static const char *const maydays[] = {"alert_state", "alert_dispatch", "presence",
                                          "rejected",    "zone_event",     "gateway_status",
                                          "event",       "sync_page",      "vital_alert"};
    for (const msg_type *const *t = msg_types; *t; t++) {
        bool by_mayday = false;
        for (size_t i = 0; i < ARRAY_LEN(maydays); i++)
            by_mayday = by_mayday || strcmp((*t)->name, maydays[i]) == 0;
        ck_assert_msg(((*t)->limit == MSG_BY_MAYDAY) == by_mayday, "%s", (*t)->name);
        ck_assert_msg(((*t)->limit == MSG_RAISE) == (strcmp((*t)->name, "raise") == 0), "%s", (*t)->name);
    }
}
END_TEST

START_TEST(a_row_that_makes_no_sense_is_named) {
    static char nonsense[] = "a lot";
    settings s = tight();
    limits l = {0};
    char why[LIMITS_WHY_MAX] = "";
    s.limit_action = nonsense;
    ck_assert_int_eq(limits_start(&s, 1, &l, why), -EINVAL);
    ck_assert_ptr_null(l.buckets);
    ck_assert_msg(strncmp(why, "[limits] action = a lot: ", 25) == 0, "%s", why);
}
END_TEST

Suite *suite_limits(void) {
    Suite *s = suite_create("limits");
    TCase *t = tcase_create("all");
    tcase_add_test(t, each_person_and_each_type_counts_for_itself);
    tcase_add_test(t, what_waited_on_the_device_has_room_of_its_own);
    tcase_add_test(t, a_limit_may_be_off_and_what_mayday_says_has_none);
    tcase_add_test(t, every_type_people_send_has_a_limit);
    tcase_add_test(t, a_row_that_makes_no_sense_is_named);
    suite_add_tcase(s, t);
    return s;
}
