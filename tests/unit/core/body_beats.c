/* Heart-rate variability, from the times between beats. */
#include "body_story.h"

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

START_TEST(beats_that_their_sensor_does_not_trust_are_none) {
    CLEANUP(story_release) story s = story_of();
    body_view v;
    for (int64_t i = 0; i < 300; i++) {
        s.now += S;
        reading r = reading_at(s.now);
        r.rr_count = 1;
        r.rr_ms[0] = 1000 + (i % 2 ? 20 : -20);
        r.quality = 10;
        (void)give(&s, &r, NAN);
    }
    body_look(s.b, s.now, &v);
    ck_assert(isnan(v.rmssd_ms) && isnan(v.latest.value[VITAL_HR]));
}
END_TEST

Suite *suite_body_beats(void) {
    Suite *s = suite_create("body_beats");
    TCase *t = tcase_create("all");
    tcase_add_test(t, variability_is_that_of_five_minutes_without_the_beats_that_are_none);
    tcase_add_test(t, a_rhythm_that_changes_is_no_row_of_odd_beats);
    tcase_add_test(t, beats_that_their_sensor_does_not_trust_are_none);
    suite_add_tcase(s, t);
    return s;
}
