/* What an OK is good for, and what it is not; falls, and silence. */
#include "body_story.h"

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

static const finding *last(const story *s, const char *rule) {
    const finding *f = NULL;
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->heard[i].rule, rule) == 0 && s->heard[i].kind != FINDING_ENDS)
            f = &s->heard[i];
    return f;
}

/* Whoever holds the conversation may keep quiet for longer than a rule does, and only about the same. */
START_TEST(what_an_ok_was_not_about_is_worse_however_old_the_ok_is) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 900);
    racing(&s, 90, 130);
    ck_assert(!last(&s, "pulse-high")->worse);
    body_excuse(s.b, s.limits, s.now);
    rest(&s, 1200);
    racing(&s, 90, 130); /* the same, later */
    const finding *same = last(&s, "pulse-high");
    ck_assert(same->at > s.now - 60 * S && same->response == BODY_ASK && !same->worse);
    rest(&s, 600);
    play(&s, (scene){120, .hr = 75, .motion = 0.05, .spo2 = 88, .contact = CONTACT_GOOD});
    const finding *other = last(&s, "spo2-low");
    ck_assert(other && other->response == BODY_ASK && other->worse);
}
END_TEST

START_TEST(whoever_was_heard_of_since_their_sensor_was_lost_is_not_asked_again_and_again) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 900);
    racing(&s, 40, 140);
    play(&s, (scene){60, .silent = true});
    ck_assert_uint_eq(times_said(&s, "lost-after-trouble", FINDING_BEGINS), 1);
    body_excuse(s.b, s.limits, s.now);
    instant since = s.now;
    play(&s, (scene){7200, .silent = true});
    ck_assert_int_eq(until(&s, since, BODY_ASK), -1);
    rest(&s, 900); /* and anew, after the OK: that is another matter */
    racing(&s, 40, 140);
    since = s.now;
    play(&s, (scene){60, .silent = true});
    ck_assert_int_ge(until(&s, since, BODY_ASK), 0);
}
END_TEST

/* The strap slips off in the middle, and the OK comes meanwhile. */
START_TEST(an_ok_given_while_nothing_is_known_covers_what_was_said_and_no_more) {
    CLEANUP(story_release) story s = story_of();
    rest(&s, 900);
    racing(&s, 90, 130);
    play(&s, (scene){20, .silent = true});
    body_excuse(s.b, s.limits, s.now);
    instant since = s.now;
    racing(&s, 120, 132);
    ck_assert_int_eq(until(&s, since, BODY_ASK), -1);
    racing(&s, 60, 156);
    ck_assert_int_ge(until(&s, since, BODY_ASK), 0);
}
END_TEST

START_TEST(a_sensor_taken_off_once_the_incident_is_closed_is_no_new_alarm_unless_the_trouble_went_on) {
    for (int64_t on = 0; on <= 20; on += 20) {
        CLEANUP(story_release) story s = story_of();
        rest(&s, 900);
        racing(&s, 90, 130);
        body_close(s.b, s.now);
        if (on)
            racing(&s, on, 130);
        instant since = s.now;
        play(&s, (scene){60, .silent = true});
        for (body_response r = BODY_ASK; r <= BODY_RAISE; r++)
            ck_assert_msg((until(&s, since, r) >= 0) == (on > 0), "%lld %d", (long long)on, r);
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

Suite *suite_body_answers(void) {
    Suite *s = suite_create("body_answers");
    TCase *t = tcase_create("all");
    tcase_add_test(t, who_is_treated_and_lies_still_is_not_asked_once_the_incident_is_closed);
    tcase_add_test(t,
                   a_sensor_taken_off_once_the_incident_is_closed_is_no_new_alarm_unless_the_trouble_went_on);
    tcase_add_test(t, an_ok_is_remembered_unless_it_gets_worse_and_a_collapse_is_something_else);
    tcase_add_test(t, who_is_still_as_bad_when_their_ok_is_old_is_asked_again);
    tcase_add_test(t, a_fall_one_gets_up_from_asks_nothing);
    tcase_add_test(t, a_sensor_that_falls_silent_asks_nobody_unless_something_was_wrong);
    tcase_add_test(t, what_an_ok_was_not_about_is_worse_however_old_the_ok_is);
    tcase_add_test(t, whoever_was_heard_of_since_their_sensor_was_lost_is_not_asked_again_and_again);
    tcase_add_test(t, an_ok_given_while_nothing_is_known_covers_what_was_said_and_no_more);
    suite_add_tcase(s, t);
    return s;
}
