#include "core/escalation.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T0      ((instant)1800000000 * INSTANT_SECOND)
#define SECOND  INSTANT_SECOND
#define MINUTES (60 * SECOND)

/* Levels at 0, 5 and 15 minutes, two rounds, five minutes behind each, forgotten after half an hour. */
static plan_level usual_levels[] = {{.after_ms = 0}, {.after_ms = 300000}, {.after_ms = 900000}};
static const policy usual = {.levels = usual_levels,
                             .level_count = 3,
                             .rounds = 2,
                             .pause_ms = 300000,
                             .forgotten_ms = 1800000,
                             .family_follows = true};

static escalation raised(void) {
    return (escalation){
        .status = ESCALATION_RUNNING, .begun_at = T0, .moved_at = T0, .incident = INCIDENT_ACTIVE};
}

/* What the database does with a step. */
static void store(escalation *e, const escalation_step *s) {
    e->status = s->status;
    e->round = s->round, e->first_round = s->first_round, e->level = s->level;
    e->forgotten = s->forgotten;
    e->begun_at = s->begun_at;
    e->wanted_level = 0;
    if (s->anew)
        e->answered_at = 0, e->all_answered = false;
    if (s->tell)
        e->all_answered = false;
}

static escalation_step step(const policy *p, escalation *e, instant at) {
    escalation_step s = escalation_next(p, e, at);
    store(e, &s);
    return s;
}

/* Goes on until nothing is left to do by itself; writes "minute:level" of all that is told, X for exhaustion.
 */
static instant night(const policy *p, escalation *e, instant at, char *to, size_t room) {
    for (size_t i = 0; i < 1000 && at != NEVER; i++) {
        escalation_step s = step(p, e, at);
        size_t len = strlen(to);
        double minute = (double)(at - T0) / (double)MINUTES;
        if (s.tell)
            (void)snprintf(to + len, room - len, "%s%g:%lld", len ? " " : "", minute, (long long)s.level);
        if (s.tell_exhausted)
            (void)snprintf(to + len, room - len, " %g:X", minute);
        ck_assert_msg(s.next_at >= at, "time goes on");
        if (s.status == ESCALATION_ANSWERED)
            return s.next_at;
        at = s.next_at;
    }
    return at;
}

START_TEST(a_night_that_nobody_answers_goes_through_all_levels_and_rounds_and_says_so) {
    char told[256] = "";
    escalation e = raised();
    ck_assert_int_eq(night(&usual, &e, T0, told, sizeof told), NEVER);
    ck_assert_str_eq(told, "0:1 5:2 15:3 20:1 25:2 35:3 40:X");
    ck_assert_int_eq(e.status, ESCALATION_EXHAUSTED);
    ck_assert_int_eq(e.round, 1);
    ck_assert_int_eq(e.level, 3);
}
END_TEST

START_TEST(asking_too_early_or_twice_tells_nothing) {
    escalation e = raised();
    escalation_step s = step(&usual, &e, T0 - SECOND);
    ck_assert(!s.tell && s.next_at == T0 && s.level == 0);
    ck_assert(step(&usual, &e, T0).tell);
    for (instant at = T0; at < T0 + 5 * MINUTES; at += 37 * SECOND) {
        s = step(&usual, &e, at);
        ck_assert(!s.tell && !s.withdraw && !s.anew && s.level == 1 && s.next_at == T0 + 5 * MINUTES);
    }
    ck_assert(step(&usual, &e, T0 + 5 * MINUTES).tell);
}
END_TEST

START_TEST(what_was_overtaken_is_told_one_after_the_other) {
    escalation e = raised();
    instant at = T0 + 17 * MINUTES;
    for (int64_t level = 1; level <= 3; level++) {
        escalation_step s = step(&usual, &e, at);
        ck_assert(s.tell && s.level == level);
        ck_assert_int_eq(s.next_at, level < 3 ? at : T0 + 20 * MINUTES);
    }
}
END_TEST

static void answer(escalation *e, instant at) {
    e->incident = INCIDENT_ACKNOWLEDGED;
    e->answered_at = e->moved_at = at;
}

START_TEST(an_answer_ends_it_and_what_is_then_forgotten_begins_again) {
    char told[256] = "";
    escalation e = raised();
    (void)step(&usual, &e, T0);
    answer(&e, T0 + MINUTES);
    escalation_step s = step(&usual, &e, T0 + MINUTES);
    ck_assert(s.status == ESCALATION_ANSWERED && s.withdraw && s.follow && !s.tell && !s.anew);
    ck_assert_int_eq(s.next_at, T0 + 31 * MINUTES);
    e.moved_at = T0 + 20 * MINUTES; /* somebody goes there */
    s = step(&usual, &e, T0 + 31 * MINUTES);
    ck_assert(!s.tell && !s.follow && s.next_at == T0 + 50 * MINUTES);
    s = step(&usual, &e, T0 + 50 * MINUTES);
    ck_assert(s.tell && s.level == 1 && s.begins == ESCALATION_BEGINS_FORGOTTEN && s.anew && s.withdraw);
    ck_assert(s.forgotten == 1 && s.round == 1 && s.first_round == 1 && s.begun_at == T0 + 50 * MINUTES);
    (void)night(&usual, &e, s.next_at, told, sizeof told);
    ck_assert_str_eq(told, "55:2 65:3 70:1 75:2 85:3 90:X");
    ck_assert_int_eq(e.round, 2);
}
END_TEST

START_TEST(what_must_not_be_forgotten_by_itself_is_not) {
    policy never = usual;
    escalation e = raised();
    never.forgotten_ms = 0;
    (void)step(&never, &e, T0);
    answer(&e, T0 + 1);
    ck_assert_int_eq(step(&never, &e, T0 + 1).next_at, NEVER);
    ck_assert_int_eq(step(&never, &e, T0 + 10000 * MINUTES).status, ESCALATION_ANSWERED);
}
END_TEST

START_TEST(who_answered_after_it_was_exhausted_has_answered) {
    escalation e = raised();
    e.status = ESCALATION_EXHAUSTED, e.level = 3, e.round = 1;
    ck_assert_int_eq(step(&usual, &e, T0 + 50 * MINUTES).next_at, NEVER);
    answer(&e, T0 + 60 * MINUTES);
    escalation_step s = step(&usual, &e, T0 + 60 * MINUTES);
    ck_assert(s.status == ESCALATION_ANSWERED && s.follow && s.next_at == T0 + 90 * MINUTES);
}
END_TEST

/* "status level wanted" and what comes of it at minute 7: "level round first_round next-minute". */
START_TEST(somebody_asks_for_a_level) {
    static const struct {
        escalation_status status;
        int64_t level, wanted, to, round, next_minute;
    } rows[] = {
        {ESCALATION_RUNNING, 1, 2, 2, 1, 17},    {ESCALATION_RUNNING, 1, 3, 3, 1, 12},
        {ESCALATION_RUNNING, 1, 1, 1, 2, 12},    {ESCALATION_RUNNING, 2, 1, 1, 2, 12},
        {ESCALATION_RUNNING, 3, 4, 1, 2, 12},    {ESCALATION_RUNNING, 3, 3, 3, 2, 12},
        {ESCALATION_RUNNING, 1, 20, 3, 1, 12},   {ESCALATION_RUNNING, 0, 1, 1, 1, 12},
        {ESCALATION_RUNNING, 0, 3, 3, 1, 12},    {ESCALATION_HELD, 1, 2, 2, 1, 17},
        {ESCALATION_ANSWERED, 1, 2, 2, 1, 17},   {ESCALATION_ANSWERED, 2, 2, 2, 2, 17},
        {ESCALATION_EXHAUSTED, 3, 4, 1, 2, 12},  {ESCALATION_EXHAUSTED, 3, 2, 2, 2, 17},
        {ESCALATION_EXHAUSTED, 3, 20, 1, 2, 12},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        escalation e = raised();
        instant at = T0 + 7 * MINUTES;
        e.status = rows[i].status, e.level = rows[i].level, e.wanted_level = rows[i].wanted;
        e.round = 1;
        e.held_until = T0 + 100 * MINUTES;
        if (e.status == ESCALATION_ANSWERED)
            answer(&e, T0 + MINUTES);
        escalation_step s = step(&usual, &e, at);
        ck_assert_msg(s.tell && s.status == ESCALATION_RUNNING && s.level == rows[i].to &&
                          s.round == rows[i].round && s.anew &&
                          s.next_at == T0 + rows[i].next_minute * MINUTES,
                      "row %zu: level %lld round %lld next %g", i, (long long)s.level, (long long)s.round,
                      (double)(s.next_at - T0) / (double)MINUTES);
        ck_assert_int_eq(s.first_round, rows[i].round == 2 ? 2 : 0);
        ck_assert(!step(&usual, &e, at).tell);
    }
}
END_TEST

START_TEST(once_exhausted_an_escalation_by_hand_runs_the_whole_night_again) {
    char told[256] = "";
    escalation e = raised();
    e.status = ESCALATION_EXHAUSTED, e.level = 3, e.round = 1, e.wanted_level = 4;
    (void)night(&usual, &e, T0, told, sizeof told);
    ck_assert_str_eq(told, "0:1 5:2 15:3 20:1 25:2 35:3 40:X");
}
END_TEST

START_TEST(a_hold_waits_and_then_it_goes_on) {
    escalation e = raised();
    (void)step(&usual, &e, T0);
    e.status = ESCALATION_HELD, e.held_until = T0 + 11 * MINUTES;
    escalation_step s = step(&usual, &e, T0 + 6 * MINUTES);
    ck_assert(!s.tell && s.status == ESCALATION_HELD && s.next_at == e.held_until);
    s = step(&usual, &e, e.held_until);
    ck_assert(s.tell && s.level == 2 && s.status == ESCALATION_RUNNING && s.next_at == T0 + 15 * MINUTES);
    e.status = ESCALATION_HELD, e.held_until = T0 + 30 * MINUTES;
    answer(&e, T0 + 13 * MINUTES);
    ck_assert_int_eq(step(&usual, &e, T0 + 13 * MINUTES).status, ESCALATION_ANSWERED);
}
END_TEST

START_TEST(a_closed_incident_ends_it_and_a_reopened_one_begins_it_again) {
    static const incident_status closed[] = {INCIDENT_RESOLVED, INCIDENT_CANCELED};
    for (size_t i = 0; i < ARRAY_LEN(closed); i++)
        for (escalation_status from = ESCALATION_RUNNING; from <= ESCALATION_ENDED; from++) {
            char told[256] = "";
            escalation e = raised();
            e.status = from, e.level = 2, e.round = 4, e.first_round = 3, e.forgotten = 1;
            e.wanted_level = 3;
            e.held_until = T0 + 60 * MINUTES;
            e.incident = closed[i];
            escalation_step s = step(&usual, &e, T0);
            ck_assert(s.status == ESCALATION_ENDED && s.withdraw && s.follow && !s.tell);
            ck_assert_int_eq(s.next_at, NEVER);
            e.incident = INCIDENT_ACTIVE;
            s = escalation_next(&usual, &e, T0);
            ck_assert(s.begins == ESCALATION_BEGINS_AGAIN && s.round == 5 && s.first_round == 5);
            ck_assert(s.forgotten == 0 && s.anew && s.tell && s.level == 1);
            (void)night(&usual, &e, T0, told, sizeof told);
            ck_assert_str_eq(told, "0:1 5:2 15:3 20:1 25:2 35:3 40:X");
        }
}
END_TEST

START_TEST(what_was_not_closed_after_all_is_answered_by_who_is_on_it) {
    escalation e = raised();
    e.status = ESCALATION_ENDED, e.level = 1, e.incident = INCIDENT_ENROUTE, e.moved_at = T0;
    escalation_step s = step(&usual, &e, T0 + MINUTES);
    ck_assert(s.status == ESCALATION_ANSWERED && !s.tell && s.next_at == T0 + 30 * MINUTES);
    e.incident = INCIDENT_ACTIVE; /* and now nobody is */
    ck_assert(step(&usual, &e, T0 + 2 * MINUTES).tell);
}
END_TEST

START_TEST(where_everyone_has_to_answer_one_does_not_do) {
    plan_level levels[] = {{.after_ms = 0, .everyone = true}, {.after_ms = 300000}};
    policy p = usual;
    p.levels = levels, p.level_count = 2;
    escalation e = raised();
    escalation_step s = step(&p, &e, T0);
    ck_assert(s.tell && s.everyone);
    answer(&e, T0 + MINUTES);
    s = step(&p, &e, T0 + MINUTES);
    ck_assert(s.status == ESCALATION_RUNNING && !s.withdraw && s.next_at == T0 + 5 * MINUTES);
    escalation all = e;
    all.all_answered = true;
    ck_assert_int_eq(step(&p, &all, T0 + 2 * MINUTES).status, ESCALATION_ANSWERED);
    s = step(&p, &e, T0 + 5 * MINUTES); /* nobody else did: the next are told, and asked */
    ck_assert(s.tell && s.level == 2 && s.anew && !s.everyone);
    ck_assert_int_eq(step(&p, &e, T0 + 6 * MINUTES).status, ESCALATION_RUNNING);
    answer(&e, T0 + 6 * MINUTES);
    ck_assert_int_eq(step(&p, &e, T0 + 6 * MINUTES).status, ESCALATION_ANSWERED);
}
END_TEST

START_TEST(a_level_that_the_policy_does_not_have_does_no_harm) {
    escalation e = raised();
    e.level = 17;
    escalation_step s = step(&usual, &e, T0 + MINUTES);
    ck_assert(!s.tell && s.level == 3 && s.next_at == T0 + 20 * MINUTES);
}
END_TEST

START_TEST(names_are_those_of_the_database) {
    for (escalation_status s = ESCALATION_RUNNING; s <= ESCALATION_ENDED; s++)
        ck_assert_int_eq(escalation_status_named(text_of(escalation_status_name(s))), s);
    ck_assert_int_eq(escalation_status_named(TEXT("none")), ESCALATION_NONE);
    ck_assert_int_eq(escalation_status_named(TEXT("")), ESCALATION_NONE);
}
END_TEST

/* ---- whatever happens ---- */

static unsigned dice(unsigned *state, unsigned sides) {
    *state = *state * 1103515245u + 12345u;
    return (*state >> 16) % sides;
}

static void random_policy(unsigned *state, policy *p, plan_level levels[PLAN_LEVELS_MAX]) {
    int64_t after = 0;
    *p = usual;
    p->levels = levels;
    p->level_count = 1 + dice(state, 4);
    p->rounds = 1 + dice(state, 3);
    p->forgotten_ms = dice(state, 2) ? 600000 : 0;
    p->pause_ms = 10000 + dice(state, 100) * 1000;
    for (size_t i = 0; i < p->level_count; i++) {
        levels[i] = (plan_level){.after_ms = after, .everyone = dice(state, 4) == 0};
        after += 1000 + dice(state, 400) * 1000;
    }
}

/* What people and time may do to it. */
static void disturb(unsigned *state, escalation *e, instant at) {
    bool closed = incident_closed(e->incident);
    switch (dice(state, 12)) {
    case 0:
        if (!closed)
            answer(e, at);
        e->wanted_level = 0;
        break;
    case 1:
        e->all_answered = true;
        break;
    case 2:
        if (!closed)
            e->wanted_level = 1 + dice(state, 6);
        break;
    case 3:
        if (e->status == ESCALATION_RUNNING && !closed)
            e->status = ESCALATION_HELD, e->held_until = at + dice(state, 900) * SECOND;
        break;
    case 4:
        e->incident = closed ? INCIDENT_ACTIVE : INCIDENT_RESOLVED;
        e->answered_at = 0;
        break;
    case 5:
        e->moved_at = at;
        break;
    default:
        break;
    }
}

static void check_step(const policy *p, const escalation *before, const escalation_step *s, instant at) {
    bool fresh = s->round > before->round;
    bool terminal = s->status == ESCALATION_ENDED || s->status == ESCALATION_EXHAUSTED ||
                    (s->status == ESCALATION_ANSWERED && p->forgotten_ms == 0);
    ck_assert_int_ge(s->round, before->round);
    ck_assert_int_le(s->round, before->round + 1);
    ck_assert_int_le(s->first_round, s->round);
    ck_assert(s->level >= 0 && s->level <= (int64_t)p->level_count);
    if (s->tell) /* in order, none twice in a round */
        ck_assert_int_gt(s->level, fresh ? 0 : before->level);
    else
        ck_assert_int_eq(s->level, fresh ? 0 : before->level);
    ck_assert(!s->tell || s->status == ESCALATION_RUNNING);
    ck_assert(!s->tell_exhausted || s->status == ESCALATION_EXHAUSTED);
    ck_assert_msg((s->next_at == NEVER) == terminal, "a next time, or an end");
    ck_assert(s->next_at >= at);
    ck_assert(!incident_closed(before->incident) || (s->status == ESCALATION_ENDED && !s->tell));
}

START_TEST(whatever_happens_levels_come_in_order_and_there_is_a_next_time_or_an_end) {
    unsigned state = (unsigned)_i + 1;
    plan_level levels[PLAN_LEVELS_MAX];
    policy p;
    escalation e = raised();
    instant at = T0, next = T0;
    random_policy(&state, &p, levels);
    for (int i = 0; i < 2000; i++) {
        disturb(&state, &e, at);
        escalation before = e;
        escalation_step s = step(&p, &e, at);
        check_step(&p, &before, &s, at);
        escalation again = e;
        escalation_step twice = step(&p, &again, at);
        ck_assert(!twice.tell || s.next_at == at);
        next = s.next_at;
        at = dice(&state, 3) && next != NEVER ? next : at + dice(&state, 700) * SECOND;
    }
}
END_TEST

Suite *suite_escalation(void) {
    Suite *s = suite_create("escalation");
    TCase *c = tcase_create("escalation");
    tcase_add_test(c, a_night_that_nobody_answers_goes_through_all_levels_and_rounds_and_says_so);
    tcase_add_test(c, asking_too_early_or_twice_tells_nothing);
    tcase_add_test(c, what_was_overtaken_is_told_one_after_the_other);
    tcase_add_test(c, an_answer_ends_it_and_what_is_then_forgotten_begins_again);
    tcase_add_test(c, what_must_not_be_forgotten_by_itself_is_not);
    tcase_add_test(c, who_answered_after_it_was_exhausted_has_answered);
    tcase_add_test(c, somebody_asks_for_a_level);
    tcase_add_test(c, once_exhausted_an_escalation_by_hand_runs_the_whole_night_again);
    tcase_add_test(c, a_hold_waits_and_then_it_goes_on);
    tcase_add_test(c, a_closed_incident_ends_it_and_a_reopened_one_begins_it_again);
    tcase_add_test(c, what_was_not_closed_after_all_is_answered_by_who_is_on_it);
    tcase_add_test(c, where_everyone_has_to_answer_one_does_not_do);
    tcase_add_test(c, a_level_that_the_policy_does_not_have_does_no_harm);
    tcase_add_test(c, names_are_those_of_the_database);
    tcase_add_loop_test(c, whatever_happens_levels_come_in_order_and_there_is_a_next_time_or_an_end, 0, 200);
    suite_add_tcase(s, c);
    return s;
}
