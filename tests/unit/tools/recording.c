#include "recording.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include "base/json.h"

#define NOW INT64_C(1795228800000000) /* 2026-11-21T02:40:00Z */

static const char run_csv[] = "ts,lat,lon,hr,battery,event,contact,rr_ms\n"
                              "2020-01-01T00:00:00Z,1,2,60,80,,,\n"
                              "2020-01-01T00:00:10Z,1,2,,,,,\n"
                              "2020-01-01T00:01:40Z,1,2,,70,fall,no,1000 900\n";

static recording make(double speed, bool as_recorded) {
    recording r = {0};
    recording_wish wish = {.speed = speed, .as_recorded = as_recorded, .now = NOW, .sensor = "strap"};
    ck_assert_int_eq(recording_make(text_of(run_csv), &wish, &r), 0);
    ck_assert_uint_eq(r.count, 5);
    ck_assert_str_eq(r.broken, "");
    return r;
}

static json *body_of(const sample *s) {
    json *body = NULL;
    ck_assert_int_eq(json_parse_once(text_of(s->body), &body), JSON_OK);
    return body;
}

static instant ts_of(const json *body) {
    instant at;
    ck_assert_int_eq(instant_parse(json_get_string(body, "ts"), &at), 0);
    return at;
}

START_TEST(moved_to_now_it_keeps_its_distances_and_nothing_lies_in_the_future) {
    static const struct {
        double speed;
        int64_t first, last_due; /* seconds */
    } rows[] = {{1, 0, 100}, {0.5, 0, 200}, {2, -50, 50}, {100, -99, 1}, {0, -100, 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(recording_release) recording r = make(rows[i].speed, false);
        instant first = 0, before = 0;
        for (size_t j = 0; j < r.count; j++) {
            CLEANUP(json_freep) json *body = body_of(&r.samples[j]);
            instant ts = ts_of(body);
            first = j == 0 ? ts : first;
            ck_assert_msg(ts <= NOW + r.samples[j].due, "row %zu, %zu", i, j);
            ck_assert_msg(ts >= before, "row %zu, %zu", i, j);
            bool waited = NOW + r.samples[j].due - ts > 10 * INSTANT_SECOND;
            ck_assert_msg(waited == json_boolean(json_get(body, "offline")), "row %zu, %zu", i, j);
            before = ts;
        }
        ck_assert_msg(first == NOW + rows[i].first * INSTANT_SECOND, "row %zu", i);
        ck_assert_msg(before - first == 100 * INSTANT_SECOND, "row %zu", i);
        ck_assert_msg(r.samples[4].due == rows[i].last_due * INSTANT_SECOND, "row %zu", i);
    }
}
END_TEST

START_TEST(times_stay_when_that_is_asked_for) {
    CLEANUP(recording_release) recording r = make(0, true);
    CLEANUP(json_freep) json *body = body_of(&r.samples[0]);
    ck_assert_int_eq(ts_of(body), INT64_C(1577836800000000));
    ck_assert(json_boolean(json_get(body, "offline")));
}
END_TEST

START_TEST(a_sample_says_all_that_is_known_and_nothing_else) {
    CLEANUP(recording_release) recording r = make(1, false);
    CLEANUP(json_freep)
    json *place = body_of(&r.samples[0]), *next = body_of(&r.samples[2]), *body = body_of(&r.samples[4]);
    ck_assert(!r.samples[0].is_vitals && r.samples[1].is_vitals && !r.samples[2].is_vitals);
    ck_assert_ptr_null(json_get(place, "battery")); /* not known yet */
    ck_assert_ptr_null(json_get(place, "speed"));
    ck_assert_double_eq(json_number(json_get(next, "battery")), 80);
    ck_assert(text_equal(json_get_string(body, "event"), TEXT("fall")));
    ck_assert(text_equal(json_get_string(body, "sensor"), TEXT("strap")));
    ck_assert_int_eq(json_kind_of(json_get(body, "contact")), JSON_BOOL);
    ck_assert(!json_boolean(json_get(body, "contact")));
    ck_assert_uint_eq(json_length(json_get(body, "rr_ms")), 2);
    ck_assert_double_eq(json_number(json_at(json_get(body, "rr_ms"), 1)), 900);
    ck_assert_ptr_null(json_get(body, "hr"));
}
END_TEST

START_TEST(every_message_has_an_id_of_its_own) {
    CLEANUP(recording_release) recording r = make(1, false);
    for (size_t i = 0; i < r.count; i++) {
        ck_assert(uuid_is_v7_text(text_of(r.samples[i].id)));
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(r.samples[i].id, r.samples[j].id);
    }
}
END_TEST

START_TEST(what_is_broken_is_said_and_what_came_before_it_stays) {
    static const struct {
        const char *file, *why;
        int fault;
        size_t count;
    } rows[] = {
        {"t_s,hr\n1,60\n2,61\n3,fast\n", "line 4", 0, 2},
        {"t_s,hr\n1,fast\n", "line 2", -EBADMSG, 0},
        {"hello", "none of FIT", -EBADMSG, 0},
        {"", "none of FIT", -EBADMSG, 0},
        {"t_s,hr\n1,\n", "holds no position", -EBADMSG, 0},
        {"t_s,battery\n1,50\n", "holds no", -EBADMSG, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(recording_release) recording r = {0};
        recording_wish wish = {.speed = 1, .now = NOW, .sensor = "strap"};
        ck_assert_msg(recording_make(text_of(rows[i].file), &wish, &r) == rows[i].fault, "row %zu", i);
        ck_assert_msg(strstr(r.broken, rows[i].why), "row %zu: %s", i, r.broken);
        ck_assert_msg(r.count == rows[i].count, "row %zu", i);
    }
}
END_TEST

Suite *suite_recording(void) {
    Suite *s = suite_create("recording");
    TCase *t = tcase_create("all");
    tcase_add_test(t, moved_to_now_it_keeps_its_distances_and_nothing_lies_in_the_future);
    tcase_add_test(t, times_stay_when_that_is_asked_for);
    tcase_add_test(t, a_sample_says_all_that_is_known_and_nothing_else);
    tcase_add_test(t, every_message_has_an_id_of_its_own);
    tcase_add_test(t, what_is_broken_is_said_and_what_came_before_it_stays);
    suite_add_tcase(s, t);
    return s;
}
