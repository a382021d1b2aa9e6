/* Bodies over time: stories of one person, second by second; see body_story.h. */
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
        {"the device misses movement",
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

/* ---- sensors that lie ---- */

START_TEST(a_strap_taken_off_after_a_run_alarms_nobody) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 600);
    run(&s, 900);
    play(&s, (scene){60, .hr = 110, .tau = 45, .motion = 0.12, .contact = CONTACT_GOOD});
    play(&s, (scene){10, .hr = 180, .noise = 60, .motion = 0.4, .contact = CONTACT_NONE});
    play(&s, (scene){600, .hr = 0, .motion = 0.001, .contact = CONTACT_NONE});
    ck_assert_int_eq(until(&s, 0, BODY_ASK), -1);
    const finding *off = said(&s, "off-skin", FINDING_BEGINS);
    ck_assert_ptr_nonnull(off);
    ck_assert_int_eq(off->response, BODY_NOTE);
    play(&s, (scene){30, .silent = true});
    rest(&s, 60);
    ck_assert_ptr_nonnull(said(&s, "off-skin", FINDING_ENDS));
}
END_TEST

START_TEST(bursts_of_noise_alarm_nobody_and_are_doubted) {
    for (uint32_t dice = 1; dice < 40; dice++) {
        CLEANUP(story_release) story s = story_of();
        s.dice = dice * 977;
        rest(&s, 600);
        for (int i = 0; i < 5; i++) {
            play(&s,
                 (scene){20, .hr = 130, .noise = 100, .motion = 0.06, .spo2 = 97, .contact = CONTACT_GOOD});
            play(&s, (scene){5, .hr = 72, .motion = 0.06, .spo2 = 55, .contact = CONTACT_GOOD});
            rest(&s, 60);
        }
        ck_assert_msg(until(&s, 0, BODY_ASK) == -1, "%u: %s", dice, s.heard[0].words);
        body_view v;
        body_look(s.b, s.now, &v);
        ck_assert_uint_gt(v.doubted, 50);
        ck_assert_double_eq_tol(v.usual[VITAL_HR], 72, 4);
    }
}
END_TEST

typedef struct doubt {
    double hr, spo2, sys, dia, quality;
    skin_contact contact;
    body_trust trust;
} doubt;

START_TEST(what_no_living_body_has_is_not_believed) {
    static const doubt rows[] = {
        {72, 97, 120, 80, NAN, CONTACT_GOOD, TRUST_ALL},
        {72, NAN, NAN, NAN, NAN, CONTACT_UNKNOWN, TRUST_ALL},
        {0, NAN, NAN, NAN, NAN, CONTACT_GOOD, TRUST_NOTHING},
        {19, 97, NAN, NAN, NAN, CONTACT_GOOD, TRUST_PART},
        {255, 97, NAN, NAN, NAN, CONTACT_GOOD, TRUST_PART},
        {72, 12, NAN, NAN, NAN, CONTACT_GOOD, TRUST_PART},
        {72, 127, NAN, NAN, NAN, CONTACT_GOOD, TRUST_PART},
        {72, 97, 120, 130, NAN, CONTACT_GOOD, TRUST_PART},
        {72, 97, NAN, NAN, 100, CONTACT_NONE, TRUST_NOTHING},
        {72, 97, NAN, NAN, 39, CONTACT_GOOD, TRUST_NOTHING},
        {72, NAN, NAN, NAN, 40, CONTACT_GOOD, TRUST_ALL},
        {72, 97, NAN, NAN, 59, CONTACT_GOOD, TRUST_PART},
        {72, 97, NAN, NAN, 60, CONTACT_GOOD, TRUST_ALL},
        {NAN, NAN, NAN, NAN, NAN, CONTACT_NONE, TRUST_ALL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(story_release) story s = story_of();
        reading r = reading_at(s.now);
        reading_put(&r, VITAL_HR, rows[i].hr);
        reading_put(&r, VITAL_SPO2, rows[i].spo2);
        reading_put(&r, VITAL_SYS, rows[i].sys);
        reading_put(&r, VITAL_DIA, rows[i].dia);
        r.quality = rows[i].quality;
        r.contact = rows[i].contact;
        body_trust trust = give(&s, &r, NAN);
        body_view v;
        body_look(s.b, s.now, &v);
        ck_assert_msg(trust == rows[i].trust, "row %zu: %d", i, (int)trust);
        ck_assert_uint_eq(v.taken, 1);
        ck_assert_uint_eq(v.doubted, trust != TRUST_ALL);
    }
}
END_TEST

START_TEST(a_step_is_doubted_until_it_stays) {
    CLEANUP(story_release) story s = story_of();
    body_view v;
    rest(&s, 60);
    for (int i = 0; i < 5; i++) {
        s.now += S;
        reading r = reading_at(s.now);
        reading_put(&r, VITAL_HR, 150 + i);
        body_trust trust = give(&s, &r, NAN);
        body_look(s.b, s.now, &v);
        ck_assert_int_eq(trust, i < 4 ? TRUST_NOTHING : TRUST_ALL);
        ck_assert((v.latest.value[VITAL_HR] > 140) == (i == 4));
    }
}
END_TEST

START_TEST(a_pulse_that_never_varies_is_noticed_and_no_longer_believed) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 60);
    play(&s, (scene){400, .hr = 128, .noise = 0.001, .motion = 0.04, .spo2 = 97});
    const finding *stuck = said(&s, "stuck", FINDING_BEGINS);
    ck_assert_ptr_nonnull(stuck);
    body_view v;
    body_look(s.b, s.now, &v);
    ck_assert_int_lt(v.latest_at[VITAL_HR], s.now - 60 * S);
    rest(&s, 60);
    ck_assert_ptr_nonnull(said(&s, "stuck", FINDING_ENDS));
    body_look(s.b, s.now, &v);
    ck_assert_int_eq(v.latest_at[VITAL_HR], s.now);
}
END_TEST

START_TEST(a_flood_is_one_reading_in_a_tenth_of_a_second) {
    CLEANUP(story_release) story s = story_of();
    body_view v;
    for (int i = 0; i < 1000; i++) {
        s.now += S / 100;
        reading r = reading_at(s.now);
        reading_put(&r, VITAL_HR, 70 + i % 3);
        (void)give(&s, &r, NAN);
    }
    body_look(s.b, s.now, &v);
    ck_assert_uint_eq(v.taken, 1000);
    ck_assert_uint_eq(v.doubted, 900);
}
END_TEST

static size_t believed(story *s, int64_t seconds, double hr, double noise) {
    size_t count = 0;
    for (int64_t i = 0; i < seconds; i++) {
        s->now += S;
        reading r = reading_at(s->now);
        reading_put(&r, VITAL_HR, round(hr + noise * roll(s)));
        r.motion = 0.01;
        count += give(s, &r, NAN) == TRUST_ALL;
    }
    return count;
}

START_TEST(in_noise_hardly_anything_is_believed_and_soon_after_it_everything_is) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 60);
    ck_assert_uint_le(believed(&s, 100, 90, 70), 15);
    (void)believed(&s, 8, 72, 2);
    ck_assert_uint_eq(believed(&s, 100, 72, 2), 100);
}
END_TEST

START_TEST(a_pulse_that_jumps_about_is_not_taken_for_a_slow_heart) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 300);
    (void)believed(&s, 60, 26, 2);
    ck_assert_ptr_nonnull(said(&s, "pulse-very-low", FINDING_BEGINS));
    CLEANUP(story_release) story other = story_of();
    rest(&other, 300);
    for (int i = 0; i < 60; i++)
        (void)believed(&other, 1, i % 2 ? 20 : 29, 0);
    ck_assert_ptr_null(said(&other, "pulse-very-low", FINDING_BEGINS));
}
END_TEST

START_TEST(a_step_of_a_sensor_that_speaks_seldom_takes_three_values) {
    CLEANUP(story_release) story s = story_of();
    body_view v;
    play(&s, (scene){60, .hr = 72, .motion = 0.05, .every = 5});
    for (int i = 0; i < 3; i++) {
        s.now += 5 * S;
        reading r = reading_at(s.now);
        reading_put(&r, VITAL_HR, 150 + i);
        (void)give(&s, &r, NAN);
        body_look(s.b, s.now, &v);
        ck_assert((v.latest.value[VITAL_HR] > 140) == (i == 2));
    }
}
END_TEST

START_TEST(a_sensor_that_speaks_once_a_minute_is_neither_lost_nor_deaf) {
    CLEANUP(story_release) story s = story_of();
    play(&s, (scene){1800, .hr = 72, .motion = 0.05, .spo2 = 97, .every = 60, .contact = CONTACT_GOOD});
    ck_assert_uint_eq(s.count, 0);
    instant since = s.now;
    play(&s, (scene){360, .hr = 150, .noise = 3, .motion = 0.05, .spo2 = 97, .every = 60,
                     .contact = CONTACT_GOOD});
    int64_t took = until(&s, since, BODY_ASK);
    ck_assert_msg(took > 0 && took <= 240, "%lld", (long long)took);
}
END_TEST

START_TEST(what_is_wrong_is_not_learned_as_usual) {
    CLEANUP(story_release) story s = story_of();
    body_view v;
    play(&s, (scene){600, .hr = 72, .motion = 0.05, .temp = 36.8, .sys = 120, .every = 10});
    play(&s, (scene){3600, .hr = 72, .motion = 0.05, .temp = 38.6, .sys = 85, .every = 10});
    body_look(s.b, s.now, &v);
    ck_assert_double_eq_tol(v.usual[VITAL_TEMP], 36.8, 0.3);
    ck_assert_double_eq_tol(v.usual[VITAL_SYS], 120, 4);
}
END_TEST

START_TEST(what_is_over_for_a_moment_only_is_not_over) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 900);
    play(&s, (scene){80, .hr = 128, .noise = 0.4, .motion = 0.05});
    for (int i = 0; i < 6; i++) {
        play(&s, (scene){30, .hr = 113, .noise = 0.4, .motion = 0.05});
        play(&s, (scene){10, .hr = 123, .noise = 0.4, .motion = 0.05});
    }
    ck_assert_uint_eq(times_said(&s, "pulse-high", FINDING_BEGINS), 1);
    ck_assert_ptr_null(said(&s, "pulse-high", FINDING_ENDS));
}
END_TEST

START_TEST(what_is_found_in_a_run_has_no_score) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 300);
    run(&s, 300);
    play(&s, (scene){60, .hr = 226, .tau = 5, .motion = 0.9, .contact = CONTACT_GOOD});
    const finding *f = said(&s, "pulse-extreme", FINDING_BEGINS);
    ck_assert(f && f->context == CONTEXT_EXERCISE && f->score.risk == NEWS2_UNKNOWN && f->score.total == 0);
}
END_TEST

START_TEST(saturation_is_not_believed_of_skin_that_moves_nor_by_a_sensor_in_doubt) {
    static const struct {
        double motion, quality;
        bool believed;
    } rows[] = {
        {0.05, 90, true}, {0.3, 90, false}, {0.05, 50, false}, {0.15, NAN, true}, {0.3, NAN, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(story_release) story s = story_of();
        body_view v;
        for (int k = 0; k < 20; k++) {
            s.now += S;
            reading r = reading_at(s.now);
            reading_put(&r, VITAL_HR, 80 + k % 3);
            reading_put(&r, VITAL_SPO2, 86);
            r.motion = rows[i].motion;
            r.quality = rows[i].quality;
            (void)give(&s, &r, NAN);
        }
        body_look(s.b, s.now, &v);
        ck_assert_msg((v.latest_at[VITAL_SPO2] == s.now) == rows[i].believed, "row %zu", i);
        ck_assert_int_eq(v.latest_at[VITAL_HR], s.now);
    }
}
END_TEST

START_TEST(one_good_word_of_a_sensor_in_doubt_is_not_enough) {
    static const struct {
        double quality;
        body_trust trust;
    } rows[] = {
        {95, TRUST_ALL},     {10, TRUST_NOTHING}, {60, TRUST_NOTHING},
        {15, TRUST_NOTHING}, {10, TRUST_NOTHING}, {45, TRUST_NOTHING},
        {45, TRUST_ALL},     {95, TRUST_ALL},     {95, TRUST_ALL},
    };
    CLEANUP(story_release) story s = story_of();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        s.now += S;
        reading r = reading_at(s.now);
        reading_put(&r, VITAL_HR, 72);
        r.quality = rows[i].quality;
        body_trust trust = give(&s, &r, NAN);
        ck_assert_msg(trust == rows[i].trust, "row %zu", i);
    }
}
END_TEST

START_TEST(trouble_that_is_long_over_makes_no_silence_worrying) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 900);
    play(&s, (scene){40, .hr = 75, .motion = 0.05, .spo2 = 84, .contact = CONTACT_GOOD});
    rest(&s, 120);
    instant since = s.now;
    play(&s, (scene){300, .silent = true});
    ck_assert_int_eq(until(&s, since + S, BODY_ASK), -1);
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

/* ---- time ---- */

START_TEST(late_readings_are_left_and_counted_and_other_vitals_of_theirs_are_not) {
    CLEANUP(story_release) story s = story_of();
    body_view v;
    rest(&s, 60);
    reading r = reading_at(s.now - 5 * S);
    reading_put(&r, VITAL_HR, 200);
    ck_assert_int_eq(give(&s, &r, NAN), TRUST_NOTHING);
    body_look(s.b, s.now, &v);
    ck_assert_uint_eq(v.late, 1);
    ck_assert_double_lt(v.latest.value[VITAL_HR], 80);
    reading_put(&r, VITAL_TEMP, 36.9); /* another sensor, a little behind */
    ck_assert_int_eq(give(&s, &r, NAN), TRUST_ALL);
    body_look(s.b, s.now, &v);
    ck_assert(v.late == 1 && v.latest_at[VITAL_TEMP] == s.now - 5 * S);
    ck_assert_double_lt(v.latest.value[VITAL_HR], 80);
}
END_TEST

START_TEST(readings_that_waited_are_judged_by_their_own_time) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 900);
    play(&s, (scene){1200, .silent = true}); /* the link is down: the passing time is noticed */
    const finding *silent = said(&s, "silent", FINDING_BEGINS);
    ck_assert_ptr_nonnull(silent);
    ck_assert_int_eq(silent->response, BODY_NOTE);
    size_t before = s.count;
    instant now = s.now;
    s.now -= 1200 * S; /* what happened meanwhile, all at once */
    for (int i = 0; i < 400; i++) {
        s.now += S;
        s.lag = now - s.now;
        reading r = reading_at(s.now);
        reading_put(&r, VITAL_HR, i < 200 ? 72 : 150 + i % 5);
        r.motion = 0.05;
        (void)give(&s, &r, NAN);
    }
    const finding *high = said(&s, "pulse-high", FINDING_BEGINS);
    ck_assert(high && s.count > before);
    ck_assert_int_gt((high->at - high->since) / S, 55);
    ck_assert_int_lt((high->at - high->since) / S, 75);
}
END_TEST

START_TEST(clocks_that_jump_neither_alarm_nor_blind) {
    CLEANUP(story_release) story s = story_of();
    body_view v;
    rest(&s, 600);
    instant now = s.now;
    for (int i = 0; i < 30; i++) { /* the device thinks it is next year */
        now += S;
        reading r = reading_at(now + 365 * 86400 * S);
        reading_put(&r, VITAL_HR, 70 + i % 4);
        s.now = now;
        (void)give(&s, &r, NAN);
        body_look(s.b, s.now, &v);
        ck_assert_int_le(v.latest_at[VITAL_HR], s.now);
    }
    rest(&s, 10); /* and is told better */
    body_look(s.b, s.now, &v);
    ck_assert_int_eq(v.latest_at[VITAL_HR], s.now);
    ck_assert_uint_eq(v.late, 0);
    s.now -= 86400 * S; /* our own clock is set back by a day */
    rest(&s, 120);
    body_look(s.b, s.now, &v);
    ck_assert_int_eq(v.latest_at[VITAL_HR], s.now);
    ck_assert_double_eq_tol(v.usual[VITAL_HR], 72, 3);
    s.now += 86400 * S; /* and forward again */
    rest(&s, 120);
    ck_assert_int_eq(until(&s, 0, BODY_ASK), -1);
    /* the device begins in 1970: its readings are no news, and silence is noticed */
    uint64_t late = v.late;
    for (int i = 0; i < 30; i++) {
        s.now += S;
        reading r = reading_at((1 + i) * S);
        reading_put(&r, VITAL_HR, 180);
        (void)give(&s, &r, NAN);
    }
    body_look(s.b, s.now, &v);
    ck_assert_uint_eq(v.late, late + 30);
    ck_assert_int_eq(until(&s, 0, BODY_ASK), -1);
}
END_TEST

START_TEST(a_gap_between_readings_is_not_time_that_a_rule_was_broken) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 600);
    play(&s, (scene){8, .hr = 150, .noise = 1, .motion = 0.05});
    s.now += 3600 * S;
    play(&s, (scene){8, .hr = 150, .noise = 1, .motion = 0.05});
    ck_assert_ptr_null(said(&s, "pulse-high", FINDING_BEGINS));
}
END_TEST

/* ---- answers ---- */

static void racing(story *s, int64_t seconds, double hr) {
    play(s, (scene){seconds, .hr = hr, .noise = 1, .tau = 3, .motion = 0.05, .spo2 = 97,
                    .contact = CONTACT_GOOD});
}

START_TEST(an_ok_is_remembered_unless_it_gets_worse_and_a_collapse_is_something_else) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 900);
    racing(&s, 90, 130);
    ck_assert_uint_eq(times_said(&s, "pulse-high", FINDING_BEGINS), 1);
    body_excuse(s.b, s.limits, s.now);
    size_t before = s.count;
    racing(&s, 120, 130);
    rest(&s, 300);
    racing(&s, 120, 135); /* again, and not worse: dispatch sees it, nobody is asked */
    ck_assert_uint_eq(times_said(&s, "pulse-high", FINDING_BEGINS), 2);
    for (size_t i = before; i < s.count; i++)
        ck_assert_msg(s.heard[i].response == BODY_NOTE || s.heard[i].kind == FINDING_ENDS, "%s",
                      s.heard[i].words);
    instant since = s.now;
    racing(&s, 60, 155); /* worse by a step */
    const finding *worse = said(&s, "pulse-high", FINDING_GROWS);
    ck_assert(worse && worse->response == BODY_ASK && worse->worse && worse->at > since);
    ck_assert(strncmp(worse->words, "worse: pulse 15", 15) == 0);
    body_excuse(s.b, s.limits, s.now);
    since = s.now;
    play(&s, (scene){60, .hr = 33, .tau = 3, .motion = 0.01, .contact = CONTACT_GOOD});
    int64_t took = until(&s, since, BODY_RAISE);
    ck_assert_msg(took >= 0 && took <= 35, "%lld", (long long)took);
}
END_TEST

START_TEST(who_is_still_as_bad_when_their_ok_is_old_is_asked_again) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 900);
    racing(&s, 90, 130);
    body_excuse(s.b, s.limits, s.now);
    instant since = s.now;
    racing(&s, 1000, 130);
    int64_t took = until(&s, since, BODY_ASK);
    ck_assert_msg(took >= 900 && took < 905, "%lld", (long long)took);
    ck_assert_uint_eq(times_said(&s, "pulse-high", FINDING_GROWS), 1);
}
END_TEST

START_TEST(a_fall_one_gets_up_from_asks_nothing) {
    CLEANUP(story_release) story s = story_of();
    walk(&s, 300);
    play(&s, (scene){4, .hr = 100, .motion = 0.02, .event = EVENT_FALL});
    walk(&s, 120);
    ck_assert_int_eq(until(&s, 0, BODY_ASK), -1);
    play(&s, (scene){12, .hr = 100, .motion = 0.02, .event = EVENT_FALL});
    play(&s, (scene){8, .hr = 100, .motion = 0.02});
    ck_assert_ptr_nonnull(said(&s, "fall", FINDING_BEGINS));
    walk(&s, 60);
    ck_assert_ptr_nonnull(said(&s, "fall", FINDING_ENDS));
    ck_assert_ptr_null(said(&s, "fall-still", FINDING_BEGINS));
}
END_TEST

START_TEST(a_sensor_that_falls_silent_asks_nobody_unless_something_was_wrong) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 600);
    run(&s, 600);
    play(&s, (scene){900, .silent = true});
    ck_assert_int_eq(until(&s, 0, BODY_ASK), -1);
    ck_assert_ptr_nonnull(said(&s, "silent", FINDING_BEGINS));
    rest(&s, 600);
    ck_assert_ptr_nonnull(said(&s, "silent", FINDING_ENDS));
    play(&s, (scene){20, .hr = 95, .tau = 5, .motion = 0.05, .spo2 = 84, .contact = CONTACT_GOOD});
    instant since = s.now;
    play(&s, (scene){60, .silent = true});
    int64_t took = until(&s, since, BODY_ASK);
    ck_assert_msg(took >= 0 && took < 40, "%lld", (long long)took);
    ck_assert_ptr_nonnull(said(&s, "lost-after-trouble", FINDING_BEGINS));
}
END_TEST

START_TEST(a_sensor_taken_off_once_it_is_known_is_no_new_alarm_unless_the_trouble_went_on) {
    static const struct {
        bool ok; /* else the incident is closed */
        int64_t on;
    } rows[] = {{true, 0}, {true, 20}, {false, 0}, {false, 20}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(story_release) story s = story_of();
        rest(&s, 900);
        racing(&s, 90, 130);
        if (rows[i].ok)
            body_excuse(s.b, s.limits, s.now);
        else
            body_close(s.b, s.now);
        if (rows[i].on)
            racing(&s, rows[i].on, 130);
        instant since = s.now;
        play(&s, (scene){60, .silent = true});
        for (body_response r = BODY_ASK; r <= BODY_RAISE; r++)
            ck_assert_msg((until(&s, since, r) >= 0) == (rows[i].on > 0), "%zu %d", i, r);
    }
}
END_TEST

START_TEST(who_is_treated_and_lies_still_is_not_asked_once_the_incident_is_closed) {
    for (int closed = 0; closed <= 1; closed++) {
        CLEANUP(story_release) story s = story_of();
        rest(&s, 600);
        run(&s, 600);
        play(&s, (scene){43, .hr = 120, .tau = 30, .motion = 0.005, .contact = CONTACT_GOOD});
        if (closed)
            body_close(s.b, s.now);
        instant since = s.now;
        play(&s, (scene){90, .silent = true});
        ck_assert_int_eq(until(&s, since, BODY_ASK) >= 0, !closed);
        ck_assert_ptr_nonnull(said(&s, "motionless", FINDING_BEGINS)); /* dispatch sees it all the same */
    }
}
END_TEST

/* ---- beats ---- */

static void beats(story *s, int64_t seconds, double odd_every) {
    double other = 0;
    for (int64_t i = 0; i < seconds; i++) {
        s->now += S;
        reading r = reading_at(s->now);
        r.rr_count = 1;
        r.rr_ms[0] = 1000 + (i % 2 ? 20 : -20); /* each differs by 40 from the one before */
        if (odd_every > 0 && ++other >= odd_every) {
            r.rr_ms[0] = i % 4 ? 600 : 1500; /* a beat too early, and the pause behind it */
            other = 0;
        }
        (void)give(s, &r, NAN);
    }
}

START_TEST(variability_is_that_of_five_minutes_without_the_beats_that_are_none) {
    static const double odd_every[] = {0, 17};
    for (size_t i = 0; i < ARRAY_LEN(odd_every); i++) {
        CLEANUP(story_release) story s = story_of();
        body_view v;
        beats(&s, 20, odd_every[i]);
        body_look(s.b, s.now, &v);
        ck_assert(isnan(v.rmssd_ms)); /* too few to say */
        beats(&s, 280, odd_every[i]);
        body_look(s.b, s.now, &v);
        ck_assert_double_eq_tol(v.rmssd_ms, 40, 0.001);
        ck_assert_double_eq_tol(v.latest.value[VITAL_HR], 60, 3); /* the pulse comes from the beats */
        s.now += 400 * S;
        body_look(s.b, s.now, &v);
        ck_assert(isnan(v.rmssd_ms));
    }
}
END_TEST

START_TEST(a_rhythm_that_changes_is_no_row_of_odd_beats) {
    CLEANUP(story_release) story s = story_of();
    body_view v;
    beats(&s, 100, 0);
    for (int i = 0; i < 800; i++) {
        s.now += S / 2;
        reading r = reading_at(s.now);
        r.rr_count = 1;
        r.rr_ms[0] = 500 + (i % 2 ? 5 : -5);
        (void)give(&s, &r, NAN);
    }
    body_look(s.b, s.now, &v);
    ck_assert_double_eq_tol(v.rmssd_ms, 10, 0.01);
}
END_TEST

Suite *suite_body(void) {
    Suite *s = suite_create("body");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_working_day_with_exercise_asks_nobody_anything);
    tcase_add_test(t, what_the_person_does_is_seen_from_motion);
    tcase_add_test(t, climbing_that_makes_the_heart_fast_explains_it_for_a_while);
    tcase_add_test(t, whoever_collapses_is_found_within_a_minute_whatever_it_looks_like);
    tcase_add_test(t, a_strap_taken_off_after_a_run_alarms_nobody);
    tcase_add_test(t, bursts_of_noise_alarm_nobody_and_are_doubted);
    tcase_add_test(t, what_no_living_body_has_is_not_believed);
    tcase_add_test(t, a_step_is_doubted_until_it_stays);
    tcase_add_test(t, a_pulse_that_never_varies_is_noticed_and_no_longer_believed);
    tcase_add_test(t, a_flood_is_one_reading_in_a_tenth_of_a_second);
    tcase_add_test(t, in_noise_hardly_anything_is_believed_and_soon_after_it_everything_is);
    tcase_add_test(t, a_pulse_that_jumps_about_is_not_taken_for_a_slow_heart);
    tcase_add_test(t, a_step_of_a_sensor_that_speaks_seldom_takes_three_values);
    tcase_add_test(t, a_sensor_that_speaks_once_a_minute_is_neither_lost_nor_deaf);
    tcase_add_test(t, what_is_wrong_is_not_learned_as_usual);
    tcase_add_test(t, what_is_over_for_a_moment_only_is_not_over);
    tcase_add_test(t, what_is_found_in_a_run_has_no_score);
    tcase_add_test(t, saturation_is_not_believed_of_skin_that_moves_nor_by_a_sensor_in_doubt);
    tcase_add_test(t, one_good_word_of_a_sensor_in_doubt_is_not_enough);
    tcase_add_test(t, trouble_that_is_long_over_makes_no_silence_worrying);
    tcase_add_test(t, who_is_treated_and_lies_still_is_not_asked_once_the_incident_is_closed);
    tcase_add_test(t, a_sensor_taken_off_once_it_is_known_is_no_new_alarm_unless_the_trouble_went_on);
    tcase_add_test(t, a_slow_fall_of_saturation_is_noted_then_asked_about);
    tcase_add_test(t, a_fever_is_noted_then_asked_about_and_a_short_warmth_is_not);
    tcase_add_test(t, who_always_has_a_pulse_of_45_is_asked_nothing_and_their_120_is_noticed);
    tcase_add_test(t, a_pulse_too_high_at_rest_is_said_in_plain_words_and_its_end_too);
    tcase_add_test(t, news2_is_made_at_rest_alone);
    tcase_add_test(t, late_readings_are_left_and_counted_and_other_vitals_of_theirs_are_not);
    tcase_add_test(t, readings_that_waited_are_judged_by_their_own_time);
    tcase_add_test(t, clocks_that_jump_neither_alarm_nor_blind);
    tcase_add_test(t, a_gap_between_readings_is_not_time_that_a_rule_was_broken);
    tcase_add_test(t, an_ok_is_remembered_unless_it_gets_worse_and_a_collapse_is_something_else);
    tcase_add_test(t, who_is_still_as_bad_when_their_ok_is_old_is_asked_again);
    tcase_add_test(t, a_fall_one_gets_up_from_asks_nothing);
    tcase_add_test(t, a_sensor_that_falls_silent_asks_nobody_unless_something_was_wrong);
    tcase_add_test(t, variability_is_that_of_five_minutes_without_the_beats_that_are_none);
    tcase_add_test(t, a_rhythm_that_changes_is_no_row_of_odd_beats);
    suite_add_tcase(s, t);
    return s;
}
