/* The conversation, as stories: events with their times, what is done and where it leads. */
#include "core/distress.h"

#include <check.h>
#include <stdio.h>

#define S INSTANT_SECOND
static const distress_times times = {60000, 900000, 20000};

typedef struct line {
    int64_t at_s;
    distress_event event;
    distress_does does;
    distress_state state;
    int64_t due_s; /* -1: never */
} line;

static void tell(const char *name, const line *lines, size_t count) {
    distress d = {0};
    for (size_t i = 0; i < count; i++) {
        const line *l = &lines[i];
        instant now = (1000000 + l->at_s) * S;
        distress_does does = distress_next(&d, &times, l->event, now);
        int64_t due = distress_due(&d);
        ck_assert_msg(does == l->does && d.state == l->state, "%s, line %zu: does %d, state %d", name, i,
                      (int)does, (int)d.state);
        ck_assert_msg(due == (l->due_s < 0 ? INT64_MAX : (1000000 + l->due_s) * S), "%s, line %zu: due %lld",
                      name, i, (long long)due);
    }
}
#define TELL(name, ...)                                                                                      \
    do {                                                                                                     \
        static const line lines[] = {__VA_ARGS__};                                                           \
        tell(name, lines, ARRAY_LEN(lines));                                                                 \
    } while (0)

START_TEST(silence_raises_when_it_is_due_and_reminders_come_before) {
    TELL("silence", {0, DISTRESS_FINDING, DISTRESS_ASK, DISTRESS_ASKED, 20},
         {1, DISTRESS_NOTHING, DISTRESS_WAIT, DISTRESS_ASKED, 20},
         {2, DISTRESS_FINDING, DISTRESS_WAIT, DISTRESS_ASKED, 20},
         {20, DISTRESS_NOTHING, DISTRESS_REMIND, DISTRESS_ASKED, 40},
         {41, DISTRESS_NOTHING, DISTRESS_REMIND, DISTRESS_ASKED, 60}, /* no third at the end itself */
         {59, DISTRESS_NOTHING, DISTRESS_WAIT, DISTRESS_ASKED, 60},
         {60, DISTRESS_NOTHING, DISTRESS_RAISE, DISTRESS_ALARMED, -1},
         {61, DISTRESS_NOTHING, DISTRESS_WAIT, DISTRESS_ALARMED, -1},
         {62, DISTRESS_RAISED, DISTRESS_WAIT, DISTRESS_TAKEN, -1},
         {500, DISTRESS_OVER, DISTRESS_WAIT, DISTRESS_CALM, -1},
         {501, DISTRESS_FINDING, DISTRESS_ASK, DISTRESS_ASKED, 521});
    TELL("a finding finds silence overdue", {0, DISTRESS_FINDING, DISTRESS_ASK, DISTRESS_ASKED, 20},
         {90, DISTRESS_WORSE, DISTRESS_RAISE, DISTRESS_ALARMED, -1});
}
END_TEST

START_TEST(an_ok_is_remembered_unless_it_gets_worse) {
    TELL("ok", {0, DISTRESS_FINDING, DISTRESS_ASK, DISTRESS_ASKED, 20},
         {5, DISTRESS_OK, DISTRESS_CLOSE, DISTRESS_CALM, -1},
         {6, DISTRESS_FINDING, DISTRESS_WAIT, DISTRESS_CALM, -1},
         {904, DISTRESS_FINDING, DISTRESS_WAIT, DISTRESS_CALM, -1},
         {905, DISTRESS_FINDING, DISTRESS_ASK, DISTRESS_ASKED, 925});
    TELL("worse", {0, DISTRESS_FINDING, DISTRESS_ASK, DISTRESS_ASKED, 20},
         {5, DISTRESS_OK, DISTRESS_CLOSE, DISTRESS_CALM, -1},
         {65, DISTRESS_WORSE, DISTRESS_ASK, DISTRESS_ASKED, 85},
         {66, DISTRESS_OK, DISTRESS_CLOSE, DISTRESS_CALM, -1},
         {67, DISTRESS_FINDING, DISTRESS_WAIT, DISTRESS_CALM, -1});
    TELL("collapse a minute after", {0, DISTRESS_FINDING, DISTRESS_ASK, DISTRESS_ASKED, 20},
         {5, DISTRESS_OK, DISTRESS_CLOSE, DISTRESS_CALM, -1},
         {65, DISTRESS_GRAVE, DISTRESS_RAISE, DISTRESS_ALARMED, -1});
    /* an answer counts even when its call comes late: whoever hears it decides in its favour */
    TELL("late ok", {0, DISTRESS_FINDING, DISTRESS_ASK, DISTRESS_ASKED, 20},
         {61, DISTRESS_OK, DISTRESS_CLOSE, DISTRESS_CALM, -1});
}
END_TEST

START_TEST(help_raises_at_any_time_before_an_alarm) {
    TELL("calm", {0, DISTRESS_HELP, DISTRESS_RAISE, DISTRESS_ALARMED, -1},
         {1, DISTRESS_HELP, DISTRESS_WAIT, DISTRESS_ALARMED, -1});
    TELL("asked", {0, DISTRESS_FINDING, DISTRESS_ASK, DISTRESS_ASKED, 20},
         {1, DISTRESS_HELP, DISTRESS_RAISE, DISTRESS_ALARMED, -1});
    TELL("quiet", {0, DISTRESS_FINDING, DISTRESS_ASK, DISTRESS_ASKED, 20},
         {1, DISTRESS_OK, DISTRESS_CLOSE, DISTRESS_CALM, -1},
         {2, DISTRESS_HELP, DISTRESS_RAISE, DISTRESS_ALARMED, -1});
}
END_TEST

START_TEST(an_alarm_is_not_taken_back_by_an_ok) {
    TELL("ok", {0, DISTRESS_GRAVE, DISTRESS_RAISE, DISTRESS_ALARMED, -1},
         {1, DISTRESS_OK, DISTRESS_WAIT, DISTRESS_ALARMED, -1},
         {2, DISTRESS_CLOSED, DISTRESS_WAIT, DISTRESS_ALARMED, -1},
         {3, DISTRESS_GRAVE, DISTRESS_WAIT, DISTRESS_ALARMED, -1},
         {4, DISTRESS_RAISED, DISTRESS_WAIT, DISTRESS_TAKEN, -1},
         {5, DISTRESS_GRAVE, DISTRESS_WAIT, DISTRESS_TAKEN, -1},
         {6, DISTRESS_OK, DISTRESS_WAIT, DISTRESS_TAKEN, -1},
         {7, DISTRESS_OVER, DISTRESS_WAIT, DISTRESS_CALM, -1});
}
END_TEST

START_TEST(dispatch_steps_in_at_any_point) {
    TELL("incident", {0, DISTRESS_FINDING, DISTRESS_ASK, DISTRESS_ASKED, 20},
         {1, DISTRESS_RAISED, DISTRESS_CLOSE, DISTRESS_TAKEN, -1},
         {70, DISTRESS_NOTHING, DISTRESS_WAIT, DISTRESS_TAKEN, -1},
         {71, DISTRESS_OVER, DISTRESS_WAIT, DISTRESS_CALM, -1});
    TELL("closed", {0, DISTRESS_FINDING, DISTRESS_ASK, DISTRESS_ASKED, 20},
         {1, DISTRESS_CLOSED, DISTRESS_CLOSE, DISTRESS_CALM, -1},
         {70, DISTRESS_FINDING, DISTRESS_WAIT, DISTRESS_CALM, -1},
         {71, DISTRESS_WORSE, DISTRESS_ASK, DISTRESS_ASKED, 91});
    TELL("earlier", {0, DISTRESS_RAISED, DISTRESS_WAIT, DISTRESS_TAKEN, -1},
         {1, DISTRESS_FINDING, DISTRESS_WAIT, DISTRESS_TAKEN, -1},
         {2, DISTRESS_OVER, DISTRESS_WAIT, DISTRESS_CALM, -1},
         {3, DISTRESS_FINDING, DISTRESS_ASK, DISTRESS_ASKED, 23},
         {4, DISTRESS_OVER, DISTRESS_WAIT, DISTRESS_ASKED, 23});
}
END_TEST

START_TEST(without_reminders_only_the_end_is_due) {
    const distress_times quiet = {60000, 900000, 0};
    distress d = {0};
    ck_assert_int_eq(distress_next(&d, &quiet, DISTRESS_FINDING, 5 * S), DISTRESS_ASK);
    ck_assert_int_eq(distress_due(&d), 65 * S);
    ck_assert_int_eq(distress_next(&d, &quiet, DISTRESS_NOTHING, 64 * S), DISTRESS_WAIT);
    const distress_times never = {INT64_MAX, INT64_MAX, 0};
    d = (distress){0};
    ck_assert_int_eq(distress_next(&d, &never, DISTRESS_FINDING, 5 * S), DISTRESS_ASK);
    ck_assert_int_eq(d.due_at, INT64_MAX);
}
END_TEST

/* Every state hears every event: nobody is alarmed twice, and times stand in the one state they belong to. */
START_TEST(every_event_in_every_state_leaves_it_whole) {
    for (int state = 0; state < DISTRESS_STATES; state++)
        for (int event = 0; event < DISTRESS_EVENTS; event++)
            for (int64_t now = 1; now <= 2000; now += 13) {
                distress d = {.state = (distress_state)state};
                if (d.state == DISTRESS_ASKED)
                    d = (distress){DISTRESS_ASKED, 1 * S, 61 * S, 0, 21 * S};
                distress_does does = distress_next(&d, &times, (distress_event)event, now * S);
                ck_assert((d.state == DISTRESS_ASKED) == (d.due_at != 0));
                ck_assert(d.state == DISTRESS_CALM || d.quiet_until == 0);
                ck_assert(d.state == DISTRESS_ASKED || d.remind_at == 0);
                ck_assert(does != DISTRESS_RAISE ||
                          (state < DISTRESS_ALARMED && d.state == DISTRESS_ALARMED));
                ck_assert(does != DISTRESS_ASK || (state == DISTRESS_CALM && d.state == DISTRESS_ASKED));
                ck_assert(distress_due(&d) > now * S || event == DISTRESS_OVER);
            }
}
END_TEST

START_TEST(a_finding_is_the_event_its_response_asks_for) {
    static const struct {
        finding_kind kind;
        body_response response;
        bool worse;
        distress_event event;
    } rows[] = {
        {FINDING_NONE, BODY_RAISE, false, DISTRESS_NOTHING},
        {FINDING_BEGINS, BODY_NOTE, true, DISTRESS_NOTHING},
        {FINDING_BEGINS, BODY_ASK, false, DISTRESS_FINDING},
        {FINDING_BEGINS, BODY_ASK, true, DISTRESS_WORSE},
        {FINDING_GROWS, BODY_ASK, true, DISTRESS_WORSE},
        {FINDING_BEGINS, BODY_RAISE, false, DISTRESS_GRAVE},
        {FINDING_GROWS, BODY_RAISE, true, DISTRESS_GRAVE},
        {FINDING_ENDS, BODY_RAISE, false, DISTRESS_NOTHING},
        {FINDING_ENDS, BODY_ASK, true, DISTRESS_NOTHING},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        finding f = {.kind = rows[i].kind, .response = rows[i].response, .worse = rows[i].worse};
        ck_assert_int_eq(distress_of(&f), rows[i].event);
    }
    ck_assert(distress_times_default().answer_ms == 60000 && distress_times_default().quiet_ms == 900000);
}
END_TEST

Suite *suite_distress(void) {
    Suite *s = suite_create("distress");
    TCase *t = tcase_create("all");
    tcase_add_test(t, silence_raises_when_it_is_due_and_reminders_come_before);
    tcase_add_test(t, an_ok_is_remembered_unless_it_gets_worse);
    tcase_add_test(t, help_raises_at_any_time_before_an_alarm);
    tcase_add_test(t, an_alarm_is_not_taken_back_by_an_ok);
    tcase_add_test(t, dispatch_steps_in_at_any_point);
    tcase_add_test(t, without_reminders_only_the_end_is_due);
    tcase_add_test(t, every_event_in_every_state_leaves_it_whole);
    tcase_add_test(t, a_finding_is_the_event_its_response_asks_for);
    suite_add_tcase(s, t);
    return s;
}
