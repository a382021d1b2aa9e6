/* What sensors say that is not so: off the skin, noise, values that stand still. */
#include "body_story.h"

START_TEST(a_strap_taken_off_after_a_run_alarms_nobody) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 600);
    run(&s, 900);
    play(&s, (scene){60, .hr = 110, .tau = 45, .motion = 0.12, .contact = CONTACT_GOOD});
    play(&s, (scene){10, .hr = 180, .noise = 60, .motion = 0.4, .contact = CONTACT_NONE});
    play(&s, (scene){880, .hr = 0, .motion = 0.001, .contact = CONTACT_NONE});
    ck_assert_ptr_null(said(&s, "off-skin", FINDING_BEGINS));
    play(&s, (scene){60, .hr = 0, .motion = 0.001, .contact = CONTACT_NONE});
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

/* Taken off by one, put on by another whose heart is another; and back. */
START_TEST(a_sensor_that_changes_hands_alarms_nobody_and_is_learned_anew) {
    static const double pulses[] = {52, 95, 52, 66};
    CLEANUP(story_release) story s = story_of();
    body_view v;
    for (size_t i = 0; i < ARRAY_LEN(pulses); i++) {
        play(&s, (scene){1800, .hr = pulses[i], .motion = 0.05, .spo2 = 97, .contact = CONTACT_GOOD});
        play(&s, (scene){8, .hr = 120, .noise = 60, .motion = 0.4, .contact = CONTACT_NONE});
        play(&s, (scene){40, .hr = 0, .motion = 0.15, .contact = CONTACT_NONE});
        play(&s, (scene){8, .hr = 120, .noise = 60, .motion = 0.4, .contact = CONTACT_GOOD});
    }
    ck_assert_int_eq(until(&s, 0, BODY_ASK), -1);
    play(&s, (scene){7200, .hr = 66, .motion = 0.05, .spo2 = 97, .contact = CONTACT_GOOD});
    body_look(s.b, s.now, &v);
    ck_assert_double_eq_tol(v.usual[VITAL_HR], 66, 4);
}
END_TEST

Suite *suite_body_sensors(void) {
    Suite *s = suite_create("body_sensors");
    TCase *t = tcase_create("all");
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
    tcase_add_test(t, a_sensor_that_changes_hands_alarms_nobody_and_is_learned_anew);
    suite_add_tcase(s, t);
    return s;
}
