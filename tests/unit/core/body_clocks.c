/* Readings that are late, clocks that jump, time without readings. */
#include "body_story.h"

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
    for (int i = 30; i < 660; i++) {
        s.now += S;
        reading r = reading_at((1 + i) * S);
        reading_put(&r, VITAL_HR, 180);
        (void)give(&s, &r, NAN);
        pass(&s);
    }
    ck_assert_uint_eq(times_said(&s, "silent", FINDING_BEGINS), 1);
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

START_TEST(a_fall_counts_though_the_device_that_feels_it_is_a_little_behind) {
    static const struct {
        int64_t behind;
        bool up, counts;
    } rows[] = {{2, false, true}, {40, false, true}, {90, false, false}, {40, true, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(story_release) story s = story_of();
        walk(&s, 300);
        play(&s, (scene){rows[i].behind + 1, .hr = 100, .motion = rows[i].up ? 0.25 : 0.01});
        reading r = reading_at(s.now - rows[i].behind * S);
        r.event = EVENT_FALL;
        ck_assert_int_eq(give(&s, &r, NAN), rows[i].counts ? TRUST_ALL : TRUST_NOTHING);
        play(&s, (scene){30, .hr = 100, .motion = rows[i].up ? 0.25 : 0.01});
        ck_assert_msg((said(&s, "fall", FINDING_BEGINS) != NULL) == rows[i].counts, "row %zu", i);
    }
}
END_TEST

Suite *suite_body_clocks(void) {
    Suite *s = suite_create("body_clocks");
    TCase *t = tcase_create("all");
    tcase_add_test(t, late_readings_are_left_and_counted_and_other_vitals_of_theirs_are_not);
    tcase_add_test(t, readings_that_waited_are_judged_by_their_own_time);
    tcase_add_test(t, clocks_that_jump_neither_alarm_nor_blind);
    tcase_add_test(t, a_gap_between_readings_is_not_time_that_a_rule_was_broken);
    tcase_add_test(t, a_fall_counts_though_the_device_that_feels_it_is_a_little_behind);
    suite_add_tcase(s, t);
    return s;
}
