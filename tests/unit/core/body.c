/* Bodies over time: stories of one person, second by second; see body_story.h. What is of sensors, clocks,
 * answers and beats is in files of their own. */
#include "body_story.h"

/* ---- nothing is wrong ---- */

START_TEST(a_working_day_with_exercise_asks_nobody_anything) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 1800);
    walk(&s, 900);
    rest(&s, 600);
    run(&s, 1800);
    walk(&s, 300);
    rest(&s, 2400);
    run(&s, 60); /* after somebody */
    rest(&s, 1200);
    for (int i = 0; i < 20; i++) { /* up and down stairs, to and fro */
        play(&s, (scene){40, .hr = 140, .tau = 25, .motion = 0.35, .spo2 = 97, .contact = CONTACT_GOOD});
        play(&s, (scene){80, .hr = 80, .tau = 40, .motion = 0.06, .spo2 = 97, .contact = CONTACT_GOOD});
    }
    rest(&s, 3600);
    ck_assert_int_eq(until(&s, 0, BODY_ASK), -1);
    body_view v;
    body_look(s.b, s.now, &v);
    ck_assert_double_eq_tol(v.usual[VITAL_HR], 72, 3);
    ck_assert_int_eq(v.context, CONTEXT_REST);
    ck_assert_double_eq_tol(v.trend_per_min[VITAL_HR], 0, 2);
}
END_TEST

START_TEST(what_the_person_does_is_seen_from_motion) {
    CLEANUP(story_release) story s = story_of();
    body_view v;
    static const struct {
        int64_t seconds;
        double motion, speed, hr;
        body_context is;
    } rows[] = {
        {60, 0.02, 0, 70, CONTEXT_REST},
        {30, 0.3, 0, 90, CONTEXT_MOVING},
        {10, 0.02, 0, 90, CONTEXT_MOVING}, /* not yet at rest */
        {30, 0.02, 0, 80, CONTEXT_REST},
        {30, 0.8, 0, 150, CONTEXT_EXERCISE},
        {30, 0.02, 0, 140, CONTEXT_RECOVERY},
        {60, 0.25, 0, 130, CONTEXT_RECOVERY},
        {90, 0.02, 0, 80, CONTEXT_REST},     /* the heart is calm again */
        {30, 0.02, 20, 75, CONTEXT_REST},    /* driven */
        {30, 0.2, 3, 130, CONTEXT_EXERCISE}, /* on a bicycle */
        {900, 0.02, 0, 125, CONTEXT_RECOVERY},
        {400, 0.02, 0, 125, CONTEXT_REST}, /* for twenty minutes, no longer */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        play(&s,
             (scene){rows[i].seconds, .hr = rows[i].hr, .motion = rows[i].motion, .speed = rows[i].speed});
        body_look(s.b, s.now, &v);
        ck_assert_msg(v.context == rows[i].is, "row %zu: %s", i, body_context_word(v.context));
    }
    play(&s, (scene){120, .hr = 70, .no_motion = true});
    body_look(s.b, s.now, &v);
    ck_assert_int_eq(v.context, CONTEXT_UNKNOWN);
    play(&s, (scene){30, .hr = 70, .no_motion = true, .speed = 1.4});
    body_look(s.b, s.now, &v);
    ck_assert_int_eq(v.context, CONTEXT_MOVING);
    play(&s, (scene){120, .hr = 70, .no_motion = true, .speed = 25});
    body_look(s.b, s.now, &v);
    ck_assert_int_eq(v.context, CONTEXT_UNKNOWN); /* a car says nothing */
}
END_TEST

START_TEST(climbing_that_makes_the_heart_fast_explains_it_for_a_while) {
    CLEANUP(story_release) story s = story_of();
    body_view v;
    rest(&s, 300);
    play(&s, (scene){90, .hr = 135, .tau = 20, .motion = 0.25});
    play(&s, (scene){120, .hr = 130, .motion = 0.05});
    body_look(s.b, s.now, &v);
    ck_assert_int_eq(v.context, CONTEXT_RECOVERY);
    ck_assert_int_eq(until(&s, 0, BODY_ASK), -1);
    play(&s, (scene){300, .hr = 130, .motion = 0.05}); /* but not for long */
    ck_assert_ptr_nonnull(said(&s, "pulse-high", FINDING_BEGINS));
}
END_TEST

/* ---- something is ---- */

typedef struct fate {
    const char *name;
    void (*before)(story *s, int64_t seconds);
    scene scenes[4];
    int64_t within; /* s, until somebody is asked or told */
    bool raises;    /* in the end without asking */
} fate;

START_TEST(whoever_collapses_is_found_within_a_minute_whatever_it_looks_like) {
    static const fate rows[] = {
        {"the heart slows down after a run",
         run,
         {{120, .hr = 34, .tau = 3, .motion = 0.01, .spo2 = 95}},
         30,
         true},
        {"it faints at its usual pulse",
         run,
         {{120, .hr = 58, .tau = 6, .motion = 0.01, .spo2 = 96}},
         40,
         false},
        {"the heart races on", run, {{120, .hr = 210, .tau = 3, .motion = 0.01, .spo2 = 94}}, 45, false},
        {"it stays as fast as in the run",
         run,
         {{180, .hr = 172, .tau = 3, .motion = 0.01, .spo2 = 95}},
         75,
         false},
        {"the sensor falls silent while it slows down",
         run,
         {{12, .hr = 40, .tau = 2, .motion = 0.01}, {120, .silent = true}},
         60,
         true},
        {"the pulse cannot be found any more",
         run,
         {{120, .no_hr = true, .hr = 1, .motion = 0.01}},
         60,
         false},
        {"the sensor says 0", run, {{120, .hr = 0.1, .noise = 0.1, .motion = 0.01}}, 60, false},
        {"noise instead of a pulse, and no movement",
         run,
         {{150, .hr = 110, .noise = 90, .motion = 0.01, .quality = 15}},
         75,
         false},
        {"saturation falls away at rest",
         rest,
         {{60, .hr = 95, .tau = 20, .motion = 0.01, .spo2 = 92},
          {90, .hr = 110, .tau = 20, .motion = 0.01, .spo2 = 82}},
         90,
         true},
        {"the heart slows down at rest",
         rest,
         {{120, .hr = 28, .tau = 10, .motion = 0.01, .spo2 = 95}},
         60,
         true},
        {"it races at rest", rest, {{120, .hr = 190, .tau = 4, .motion = 0.02, .spo2 = 95}}, 60, false},
        {"it breathes no more than now and then",
         rest,
         {{120, .hr = 60, .motion = 0.01, .spo2 = 93, .resp = 4}},
         60,
         true},
        {"a fall while walking, and nothing more",
         walk,
         {{120, .hr = 100, .tau = 30, .motion = 0.01, .event = EVENT_FALL}},
         20,
         true},
        {"the device has told of no movement",
         rest,
         {{20, .hr = 70, .motion = 0.01, .event = EVENT_STILL}},
         2,
         false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(story_release) story s = story_of();
        rest(&s, 900);
        rows[i].before(&s, 600);
        ck_assert_msg(until(&s, 0, BODY_ASK) == -1, "%s: too early: %s", rows[i].name, s.heard[0].words);
        instant since = s.now;
        for (size_t k = 0; k < 4 && rows[i].scenes[k].seconds; k++) {
            scene c = rows[i].scenes[k];
            c.contact = CONTACT_GOOD;
            play(&s, c);
        }
        int64_t took = until(&s, since, BODY_ASK);
        ck_assert_msg(took >= 0 && took <= rows[i].within, "%s: %lld s", rows[i].name, (long long)took);
        ck_assert_msg((until(&s, since, BODY_RAISE) >= 0) == rows[i].raises, "%s: raised after %lld s",
                      rows[i].name, (long long)until(&s, since, BODY_RAISE));
    }
}
END_TEST

/* ---- slow things ---- */

START_TEST(a_slow_fall_of_saturation_is_noted_then_asked_about) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 900);
    instant since = s.now;
    for (int i = 0; i < 90; i++) /* one percent in a minute */
        play(&s, (scene){10, .hr = 78, .motion = 0.05, .spo2 = round(97 - i / 6.0), .contact = CONTACT_GOOD});
    const finding *falls = said(&s, "spo2-falling", FINDING_BEGINS),
                  *low = said(&s, "spo2-low", FINDING_BEGINS);
    ck_assert(falls && low && falls->at < low->at);
    ck_assert_int_eq(falls->response, BODY_NOTE);
    ck_assert_int_lt((low->at - since) / S, 430);
    ck_assert_ptr_nonnull(said(&s, "spo2-low", FINDING_GROWS)); /* by four percent more */
}
END_TEST

START_TEST(a_fever_is_noted_then_asked_about_and_a_short_warmth_is_not) {
    CLEANUP(story_release) story s = story_of();
    play(&s, (scene){600, .hr = 75, .motion = 0.05, .temp = 37.0, .every = 30});
    play(&s, (scene){120, .hr = 75, .motion = 0.05, .temp = 39.3, .every = 30});
    play(&s, (scene){900, .hr = 75, .motion = 0.05, .temp = 37.2, .every = 30});
    ck_assert_uint_eq(s.count, 0);
    play(&s, (scene){900, .hr = 85, .motion = 0.05, .temp = 38.5, .every = 30});
    ck_assert_ptr_nonnull(said(&s, "temp-raised", FINDING_BEGINS));
    ck_assert_int_eq(until(&s, 0, BODY_ASK), -1);
    play(&s, (scene){600, .hr = 95, .motion = 0.05, .temp = 39.4, .every = 30});
    ck_assert_ptr_nonnull(said(&s, "fever", FINDING_BEGINS));
    play(&s, (scene){1200, .hr = 80, .motion = 0.05, .temp = 37.3, .every = 30});
    ck_assert_ptr_nonnull(said(&s, "fever", FINDING_ENDS));
}
END_TEST

START_TEST(who_always_has_a_pulse_of_45_is_asked_nothing_and_their_120_is_noticed) {
    CLEANUP(story_release) story s = story_of();
    s.hr = 45;
    play(&s, (scene){3600, .hr = 45, .motion = 0.05, .spo2 = 97, .contact = CONTACT_GOOD});
    play(&s, (scene){1200, .hr = 38, .noise = 1, .tau = 200, .motion = 0.02, .spo2 = 97,
                     .contact = CONTACT_GOOD});
    ck_assert_int_eq(until(&s, 0, BODY_ASK), -1);
    body_view v;
    body_look(s.b, s.now, &v);
    ck_assert_double_eq_tol(v.usual[VITAL_HR], 44, 3);
    play(&s, (scene){900, .hr = 80, .tau = 30, .motion = 0.05, .spo2 = 97, .contact = CONTACT_GOOD});
    const finding *unusual = said(&s, "pulse-unusual", FINDING_BEGINS);
    ck_assert_ptr_nonnull(unusual);
    ck_assert_double_eq_tol(unusual->usual, 44, 3);
    ck_assert_int_eq(until(&s, 0, BODY_ASK), -1);
    /* somebody else at 38 is asked */
    CLEANUP(story_release) story other = story_of();
    rest(&other, 1800);
    play(&other, (scene){120, .hr = 37, .noise = 1, .tau = 20, .motion = 0.05, .contact = CONTACT_GOOD});
    ck_assert_ptr_nonnull(said(&other, "pulse-low", FINDING_BEGINS));
}
END_TEST

START_TEST(a_pulse_too_high_at_rest_is_said_in_plain_words_and_its_end_too) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 1800);
    instant since = s.now;
    play(&s,
         (scene){75, .hr = 148, .noise = 0.4, .tau = 2, .motion = 0.05, .spo2 = 97, .contact = CONTACT_GOOD});
    const finding *f = said(&s, "pulse-high", FINDING_BEGINS);
    ck_assert_ptr_nonnull(f);
    ck_assert_str_eq(f->words, "pulse 148/min at rest for 60 s; usual 72, limit 120");
    ck_assert(f->which == VITAL_HR && f->context == CONTEXT_REST && f->response == BODY_ASK && !f->worse);
    ck_assert_double_eq_tol(f->limit, 120, 1e-9);
    ck_assert(f->since >= since && f->since < since + 20 * S && f->at - f->since >= 60 * S);
    ck_assert(f->score.partial && f->score.total == 3 && f->score.highest == 3);
    /* hysteresis: about the limit nothing ends and nothing begins */
    play(&s,
         (scene){300, .hr = 118, .noise = 2, .tau = 10, .motion = 0.05, .spo2 = 97, .contact = CONTACT_GOOD});
    ck_assert_uint_eq(times_said(&s, "pulse-high", FINDING_BEGINS), 1);
    ck_assert_ptr_null(said(&s, "pulse-high", FINDING_ENDS));
    rest(&s, 600);
    ck_assert_uint_eq(times_said(&s, "pulse-high", FINDING_ENDS), 1);
}
END_TEST

START_TEST(news2_is_made_at_rest_alone) {
    CLEANUP(story_release) story s = story_of();
    body_view v;
    play(&s,
         (scene){600, .hr = 120, .noise = 1, .motion = 0.3, .spo2 = 93, .resp = 26, .contact = CONTACT_GOOD});
    body_look(s.b, s.now, &v);
    ck_assert_int_eq(v.score.risk, NEWS2_UNKNOWN);
    ck_assert_ptr_null(said(&s, "news2", FINDING_BEGINS));
    play(&s, (scene){500, .hr = 120, .noise = 1, .motion = 0.05, .spo2 = 93, .resp = 26,
                     .contact = CONTACT_GOOD});
    body_look(s.b, s.now, &v);
    ck_assert(v.score.total == 7 && v.score.partial && v.score.risk == NEWS2_HIGH);
    const finding *f = said(&s, "news2", FINDING_BEGINS);
    ck_assert_ptr_nonnull(f);
    ck_assert_msg(strstr(f->words, "NEWS2 7 (partial) at rest for 60 s; limit 4.5") == f->words, "%s",
                  f->words);
}
END_TEST

Suite *suite_body(void) {
    Suite *s = suite_create("body");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_working_day_with_exercise_asks_nobody_anything);
    tcase_add_test(t, what_the_person_does_is_seen_from_motion);
    tcase_add_test(t, climbing_that_makes_the_heart_fast_explains_it_for_a_while);
    tcase_add_test(t, whoever_collapses_is_found_within_a_minute_whatever_it_looks_like);
    tcase_add_test(t, a_slow_fall_of_saturation_is_noted_then_asked_about);
    tcase_add_test(t, a_fever_is_noted_then_asked_about_and_a_short_warmth_is_not);
    tcase_add_test(t, who_always_has_a_pulse_of_45_is_asked_nothing_and_their_120_is_noticed);
    tcase_add_test(t, a_pulse_too_high_at_rest_is_said_in_plain_words_and_its_end_too);
    tcase_add_test(t, news2_is_made_at_rest_alone);
    suite_add_tcase(s, t);
    return s;
}
