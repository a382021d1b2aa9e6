/* Whoever collapses is found, and whoever is well is left in peace: a few people of each kind; tools/bench
 * vitals has many. */
#include "people/judge.h"

#include <check.h>
#include <math.h>

#define BEGINS INT64_C(1795000000000000)

static body_rules *rules;
static const body_limits *limits;

static void setup(void) {
    ck_assert_int_eq(body_rules_default(&rules), 0);
    ck_assert_int_eq(body_rules_for(rules, TEXT("somebody"), NULL, 0, &limits), 0);
}

static void teardown(void) {
    rules = body_rules_free(rules);
}

typedef struct bound {
    peril what;
    double sign_s, raised_s; /* the longest that it may take */
} bound;

static const bound bounds[] = {
    {PERIL_ARREST, 120, 180},  {PERIL_ARRHYTHMIA, 120, 200}, {PERIL_SLOW_HEART, 90, 150},
    {PERIL_HYPOXIA, 100, 160}, {PERIL_HEAT, 60, 600},        {PERIL_FALL, 100, 160},
};

START_TEST(each_collapse_is_found_and_an_alarm_raised) {
    const bound *b = &bounds[_i];
    for (uint64_t seed = 1; seed <= 12; seed++) {
        day d;
        verdict v;
        day_of_peril(seed, b->what, BEGINS, &d);
        ck_assert_int_eq(judge_day(&d, limits, &v, NULL, NULL), 0);
        ck_assert_msg(v.found && v.sign_s <= b->sign_s && v.raised_s <= b->raised_s,
                      "%s %llu: %.0f s, %.0f s", peril_name(b->what), (unsigned long long)seed, v.sign_s,
                      v.raised_s);
    }
}
END_TEST

/* What most days are made of, with devices that do what they should. Somebody who is excited at rest for
 * minutes, or sits like a stone right after a run, may be asked; nobody is alarmed about. */
START_TEST(a_calm_day_alarms_nobody) {
    int64_t questions = 0;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        day d;
        verdict v;
        traits who = traits_of(seed);
        day_begin(seed, &who, BEGINS, &d);
        day_add(&d, DOING_SLEEP, 0.5, 1800);
        day_add(&d, DOING_REST, 0.5, 1200);
        day_add(&d, DOING_DRIVE, 0.5, 900);
        day_add(&d, DOING_STAND, 0.5, 1200);
        day_add(&d, DOING_STAIRS, 0.5, 90);
        day_add(&d, DOING_DESK, 0.5, 2400);
        day_add(&d, DOING_WALK, 0.5, 900);
        day_add(&d, DOING_RUN, 0.5, 1800);
        day_add(&d, DOING_STAND, 0.3, 120);
        day_add(&d, DOING_REST, 0.5, 2400);
        day_add(&d, DOING_CYCLE, 0.5, 1200);
        day_add(&d, DOING_REST, 0.5, 1200);
        ck_assert_int_eq(judge_day(&d, limits, &v, NULL, NULL), 0);
        ck_assert_msg(v.alarms == 0, "%llu: %s", (unsigned long long)seed, v.first);
        questions += v.false_alarms;
    }
    ck_assert_int_le(questions, 2);
}
END_TEST

/* With everything that goes wrong with devices: not nobody, but seldom, and never as often as thresholds that
 * are kept for some seconds. From six in the morning to seven in the evening: nights are for tools/bench. */
START_TEST(working_days_disturb_people_far_less_than_fixed_thresholds) {
    int64_t ours = 0, others[FIXED_RULES] = {0};
    for (uint64_t seed = 1; seed <= 5; seed++) {
        day d;
        verdict v, f[FIXED_RULES];
        day_calm(seed, BEGINS, &d);
        d.seconds = 13 * 3600;
        ck_assert_int_eq(judge_day(&d, limits, &v, f, NULL), 0);
        ours += v.false_alarms;
        for (size_t k = 0; k < FIXED_RULES; k++)
            others[k] += f[k].false_alarms;
    }
    for (size_t k = 0; k < FIXED_RULES; k++)
        ck_assert_msg(fixed_rules[k].for_s > 10 || (others[k] >= 10 && others[k] >= 10 * ours),
                      "%s: %lld, ours %lld", fixed_rules[k].name, (long long)others[k], (long long)ours);
}
END_TEST

/* Fear leaves no trace but a fast heart in somebody who does not move: nearly all of it is found. */
START_TEST(most_fear_is_asked_about) {
    int found = 0;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        day d;
        verdict v;
        day_of_peril(seed, PERIL_FEAR, BEGINS, &d);
        ck_assert_int_eq(judge_day(&d, limits, &v, NULL, NULL), 0);
        found += v.found;
    }
    ck_assert_msg(found >= 21, "%d of 24", found);
}
END_TEST

Suite *suite_detection(void) {
    Suite *s = suite_create("detection");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, each_collapse_is_found_and_an_alarm_raised, 0, ARRAY_LEN(bounds));
    tcase_add_test(t, a_calm_day_alarms_nobody);
    tcase_add_test(t, working_days_disturb_people_far_less_than_fixed_thresholds);
    tcase_add_test(t, most_fear_is_asked_about);
    suite_add_tcase(s, t);
    return s;
}
