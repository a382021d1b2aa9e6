#include "core/incident.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUSES  (INCIDENT_CANCELED + 1)
#define ACTIONS   (ACTION_HOLD + 1)
#define STANDINGS 6
#define SECOND    INSTANT_SECOND

/* The protocol's arrows, by action: what becomes of active, acknowledged, enroute, on_scene, resolved,
 * canceled ("-": illegal), and the standings that may, as letters: r aiser, a ssigned, i nvited, d ispatcher,
 * s upervisor, g ateway. */
static const struct {
    const char *action, *after, *who;
} arrows[] = {
    {"acknowledge", "K - - - - -", "aidsg"}, {"assign", "A K E O - -", "ds"},
    {"unassign", "A K E O - -", "ds"},       {"invite", "A K E O - -", "ads"},
    {"escalate", "A K E O - -", "raidsg"},   {"cancel", "C C - - - -", "r"},
    {"resolve", "- R R R - -", "ads"},       {"reopen", "- - - - A A", "s"},
    {"note", "A K E O R C", "raidsg"},       {"enroute", "- E E O - -", "ad"},
    {"on_scene", "- - O O - -", "ad"},       {"hold", "A K E O - -", "ds"},
};
static const char status_letters[] = "?AKEORC", standing_letters[] = "raidsg";

static incident_status status_of(char letter) {
    const char *at = letter == '-' ? NULL : strchr(status_letters, letter);
    return at ? (incident_status)(at - status_letters) : INCIDENT_NONE;
}

/* Independent of the code under test: the row of arrows above. */
static incident_verdict expected(const char *action, unsigned standing, incident_status now, bool stale,
                                 incident_status *ret_next) {
    for (size_t i = 0; i < ARRAY_LEN(arrows); i++) {
        if (strcmp(arrows[i].action, action) != 0)
            continue;
        bool allowed = false;
        for (size_t s = 0; s < STANDINGS; s++)
            allowed |= (standing >> s & 1) && strchr(arrows[i].who, standing_letters[s]);
        if (!allowed)
            return INCIDENT_NOT_ALLOWED;
        *ret_next = now == INCIDENT_NONE ? INCIDENT_NONE : status_of(arrows[i].after[2 * (now - 1)]);
        if (stale)
            return INCIDENT_STALE;
        if (*ret_next == INCIDENT_NONE)
            return INCIDENT_ILLEGAL;
        return strcmp(action, "note") == 0 ? INCIDENT_NOTED : INCIDENT_APPLIED;
    }
    return INCIDENT_NOT_ALLOWED;
}

START_TEST(every_action_does_in_every_status_for_everyone_what_the_protocol_says) {
    for (unsigned action = 0; action < ACTIONS; action++)
        for (unsigned status = 0; status < STATUSES; status++)
            for (unsigned standing = 0; standing < 1 << STANDINGS; standing++)
                for (int64_t version = -1; version <= 8; version++) {
                    incident_request request = {(incident_action)action, standing, version};
                    incident_status next = INCIDENT_NONE, due = INCIDENT_NONE;
                    bool stale = version >= 0 && version != 7;
                    incident_verdict verdict = incident_judge((incident_status)status, 7, &request, &next);
                    incident_verdict right = expected(incident_action_name((incident_action)action), standing,
                                                      (incident_status)status, stale, &due);
                    ck_assert_msg(verdict == right, "%s in %s by %x at %lld: %s, not %s",
                                  incident_action_name((incident_action)action),
                                  incident_status_name((incident_status)status), standing, (long long)version,
                                  incident_verdict_name(verdict), incident_verdict_name(right));
                    bool taken = verdict == INCIDENT_APPLIED || verdict == INCIDENT_NOTED;
                    ck_assert_int_eq(next, taken ? due : INCIDENT_NONE);
                }
}
END_TEST

START_TEST(a_closed_incident_leaves_only_by_reopening_and_nothing_leads_out_of_the_named) {
    for (unsigned action = 0; action < ACTIONS; action++)
        for (unsigned status = 0; status < STATUSES; status++) {
            incident_request request = {(incident_action)action, (1 << STANDINGS) - 1, -1};
            incident_status now = (incident_status)status, next = INCIDENT_NONE;
            incident_verdict verdict = incident_judge(now, 1, &request, &next);
            if (verdict != INCIDENT_APPLIED && verdict != INCIDENT_NOTED)
                continue;
            ck_assert_int_gt(now, INCIDENT_NONE);
            ck_assert_int_gt(next, INCIDENT_NONE);
            ck_assert_int_le(next, INCIDENT_CANCELED);
            if (incident_closed(now) && !incident_closed(next))
                ck_assert_int_eq(action, ACTION_REOPEN);
            if (incident_closed(now) && verdict == INCIDENT_APPLIED)
                ck_assert_int_eq(next, INCIDENT_ACTIVE);
            if (verdict == INCIDENT_NOTED)
                ck_assert_int_eq(next, now);
        }
}
END_TEST

START_TEST(who_may_not_learns_neither_status_nor_version) {
    for (unsigned status = 0; status < STATUSES; status++)
        for (int64_t version = -1; version < 3; version++) {
            incident_status next = INCIDENT_NONE;
            incident_request stranger = {ACTION_RESOLVE, 0, version};
            incident_request raiser = {ACTION_RESOLVE, STANDING_RAISER, version};
            ck_assert_int_eq(incident_judge((incident_status)status, 1, &stranger, &next),
                             INCIDENT_NOT_ALLOWED);
            ck_assert_int_eq(incident_judge((incident_status)status, 1, &raiser, &next),
                             INCIDENT_NOT_ALLOWED);
        }
}
END_TEST

START_TEST(names_go_both_ways) {
    for (unsigned s = 1; s < STATUSES; s++)
        ck_assert_int_eq(incident_status_named(text_of(incident_status_name((incident_status)s))), s);
    for (unsigned a = 1; a < ACTIONS; a++)
        ck_assert_int_eq(incident_action_named(text_of(incident_action_name((incident_action)a))), a);
    for (unsigned v = 0; v <= INCIDENT_DISPLACED; v++)
        ck_assert_int_eq(incident_verdict_named(text_of(incident_verdict_name((incident_verdict)v))), v);
    static const char *const unknown[] = {"", "none", "Active", "active ", "enroute2"};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        ck_assert_int_eq(incident_status_named(text_of(unknown[i])), INCIDENT_NONE);
        ck_assert_int_eq(incident_action_named(text_of(unknown[i])), ACTION_NONE);
        ck_assert_int_eq(incident_verdict_named(text_of(unknown[i])), INCIDENT_NOT_ALLOWED);
    }
}
END_TEST

START_TEST(a_device_s_clock_counts_between_the_alert_and_the_arrival_alone) {
    static const struct {
        bool offline;
        instant at, alert, received, effective;
    } rows[] = {
        {false, 50, 100, 200, 200}, {true, 150, 100, 200, 150},       {true, 50, 100, 200, 100},
        {true, 250, 100, 200, 200}, {true, 100, 100, 200, 100},       {true, 200, 100, 200, 200},
        {true, 150, 300, 200, 200}, /* brokers whose clocks differ: it never comes before itself */
        {true, 0, 100, 100, 100},   {true, INT64_MAX, 100, 200, 200}, {true, INT64_MIN, 100, 200, 100},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_int_eq(
            incident_effective_time(rows[i].offline, rows[i].at, rows[i].alert, rows[i].received),
            rows[i].effective);
}
END_TEST

static incident_item item(uint8_t id, instant at, incident_action action, unsigned standing) {
    incident_item i = {.at = at, .action = action, .standing = standing, .tag = id};
    i.id.bytes[15] = id;
    return i;
}

static const incident_item *tagged(const incident_item *items, size_t count, size_t tag) {
    for (size_t i = 0; i < count; i++)
        if (items[i].tag == tag)
            return &items[i];
    ck_abort_msg("no item %zu", tag);
    return NULL;
}

START_TEST(the_edit_made_first_wins_and_the_other_is_displaced) {
    /* a responder's resolve came first; the raiser had canceled before it */
    incident_item items[] = {item(2, 20 * SECOND, ACTION_RESOLVE, STANDING_ASSIGNED),
                             item(1, 10 * SECOND, ACTION_CANCEL, STANDING_RAISER)};
    items[0].was = INCIDENT_APPLIED;
    ck_assert_int_eq(incident_replay(INCIDENT_ACKNOWLEDGED, items, 2), INCIDENT_CANCELED);
    const incident_item *cancel = tagged(items, 2, 1), *resolve = tagged(items, 2, 2);
    ck_assert_int_eq(cancel->verdict, INCIDENT_APPLIED);
    ck_assert_int_eq(cancel->from, INCIDENT_ACKNOWLEDGED);
    ck_assert_int_eq(cancel->to, INCIDENT_CANCELED);
    ck_assert_int_eq(resolve->verdict, INCIDENT_DISPLACED);
    ck_assert_int_eq(resolve->from, INCIDENT_CANCELED);
    ck_assert_int_eq(resolve->to, INCIDENT_CANCELED);
}
END_TEST

START_TEST(what_is_illegal_in_its_place_changes_nothing) {
    incident_item items[] = {item(1, 10 * SECOND, ACTION_RESOLVE, STANDING_ASSIGNED),
                             item(2, 20 * SECOND, ACTION_CANCEL, STANDING_RAISER)};
    items[0].was = INCIDENT_APPLIED;
    ck_assert_int_eq(incident_replay(INCIDENT_ACKNOWLEDGED, items, 2), INCIDENT_RESOLVED);
    ck_assert_int_eq(tagged(items, 2, 1)->verdict, INCIDENT_APPLIED);
    ck_assert_int_eq(tagged(items, 2, 2)->verdict, INCIDENT_ILLEGAL);
    ck_assert_int_eq(incident_replay(INCIDENT_ENROUTE, NULL, 0), INCIDENT_ENROUTE);
}
END_TEST

START_TEST(what_was_refused_for_want_of_what_came_later_is_taken_then) {
    incident_item items[] = {item(3, 30 * SECOND, ACTION_ON_SCENE, STANDING_ASSIGNED),
                             item(2, 20 * SECOND, ACTION_ENROUTE, STANDING_ASSIGNED),
                             item(1, 10 * SECOND, ACTION_ACKNOWLEDGE, STANDING_ASSIGNED)};
    for (size_t count = 1; count <= 3; count++) {
        incident_status now = incident_replay(INCIDENT_ACTIVE, items, count);
        ck_assert_int_eq(now, count < 3 ? INCIDENT_ACTIVE : INCIDENT_ON_SCENE);
        for (size_t i = 0; i < count; i++) {
            ck_assert_int_eq(items[i].verdict, count < 3 ? INCIDENT_ILLEGAL : INCIDENT_APPLIED);
            items[i].was = items[i].verdict;
        }
    }
}
END_TEST

START_TEST(two_of_one_moment_go_by_their_ids) {
    for (int swapped = 0; swapped < 2; swapped++) {
        incident_item items[] = {item(swapped ? 2 : 1, SECOND, ACTION_RESOLVE, STANDING_ASSIGNED),
                                 item(swapped ? 1 : 2, SECOND, ACTION_CANCEL, STANDING_RAISER)};
        ck_assert_int_eq(incident_replay(INCIDENT_ACKNOWLEDGED, items, 2),
                         swapped ? INCIDENT_CANCELED : INCIDENT_RESOLVED);
        ck_assert_uint_eq(items[0].tag, 1);
    }
}
END_TEST

enum {
    WALK = 12
};

/* One by one in their order, as if there had always been a connection. */
static incident_status as_if_online(incident_status now, const incident_item *items, bool taken[WALK]) {
    for (size_t i = 0; i < WALK; i++) {
        incident_request request = {items[i].action, items[i].standing, -1};
        incident_verdict v = incident_judge(now, 1, &request, &now);
        taken[i] = v == INCIDENT_APPLIED || v == INCIDENT_NOTED;
    }
    return now;
}

START_TEST(in_whatever_order_they_come_the_incident_is_the_same_as_if_online) {
    srand(1912);
    size_t displaced = 0, applied = 0;
    for (int round = 0; round < 3000; round++) {
        incident_item items[WALK], come[WALK];
        bool taken[WALK];
        incident_status before = (incident_status)(1 + rand() % 6), now = before;
        instant at = 0;
        for (size_t i = 0; i < WALK; i++) {
            at += rand() % 3; /* often the same moment */
            items[i] = item((uint8_t)i, at, (incident_action)(1 + rand() % (ACTIONS - 1)),
                            (unsigned)rand() % (1 << STANDINGS));
        }
        incident_status due = as_if_online(before, items, taken);
        memcpy(come, items, sizeof come);
        for (size_t i = WALK - 1; i > 0; i--) {
            size_t j = (size_t)rand() % (i + 1);
            incident_item other = come[i];
            come[i] = come[j];
            come[j] = other;
        }
        for (size_t count = 1; count <= WALK;
             count++) { /* come[count - 1] is the new one: the rest is sorted */
            now = incident_replay(before, come, count);
            for (size_t i = 0; i < count; i++) {
                displaced += come[i].verdict == INCIDENT_DISPLACED && come[i].was == INCIDENT_APPLIED;
                come[i].was = come[i].verdict;
            }
        }
        ck_assert_int_eq(now, due);
        for (size_t i = 0; i < WALK; i++) {
            const incident_item *one = &come[i];
            ck_assert_uint_eq(one->tag, i);
            ck_assert_int_eq(one->verdict == INCIDENT_APPLIED || one->verdict == INCIDENT_NOTED, taken[i]);
            ck_assert_int_eq(one->from, i ? come[i - 1].to : before);
            applied += taken[i];
        }
    }
    ck_assert_uint_gt(displaced, 100);
    ck_assert_uint_gt(applied, 1000);
}
END_TEST

Suite *suite_incident(void) {
    Suite *s = suite_create("incident");
    TCase *t = tcase_create("all");
    tcase_add_test(t, every_action_does_in_every_status_for_everyone_what_the_protocol_says);
    tcase_add_test(t, a_closed_incident_leaves_only_by_reopening_and_nothing_leads_out_of_the_named);
    tcase_add_test(t, who_may_not_learns_neither_status_nor_version);
    tcase_add_test(t, names_go_both_ways);
    tcase_add_test(t, a_device_s_clock_counts_between_the_alert_and_the_arrival_alone);
    tcase_add_test(t, the_edit_made_first_wins_and_the_other_is_displaced);
    tcase_add_test(t, what_is_illegal_in_its_place_changes_nothing);
    tcase_add_test(t, what_was_refused_for_want_of_what_came_later_is_taken_then);
    tcase_add_test(t, two_of_one_moment_go_by_their_ids);
    tcase_add_test(t, in_whatever_order_they_come_the_incident_is_the_same_as_if_online);
    suite_add_tcase(s, t);
    return s;
}
