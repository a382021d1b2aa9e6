/* What is believed of a sensor, how much of it goes up, what time it is, and how it is said. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gateway/edge/clock.h"
#include "gateway/edge/guard.h"
#include "gateway/edge/pace.h"
#include "gateway/edge/spell.h"
#include "gateway/sensors/sensor_json.h"

#define S   INSTANT_SECOND
#define NOW (INT64_C(1800000000) * S)

static const sensor_manners usual = {
    .every_ms = 1000, .heartbeat_ms = 15000, .rate = 20, .bands = {3, 1, 2, 0.2, 5, 5}, .distance = 10};

static sensed body(instant at, double hr) {
    sensed one = {.kind = SENSED_READING, .reading = reading_at(at)};
    reading_put(&one.reading, VITAL_HR, hr);
    return one;
}

static sensed place(instant at, double lat, double lon) {
    return (sensed){.kind = SENSED_FIX, .fix = fix_at(at, lat, lon)};
}

/* ---- guard ---- */

START_TEST(a_flood_is_cut_at_its_rate_and_over_when_it_is_over) {
    guard_flow f = {0};
    size_t passed = 0;
    for (int64_t ms = 1; ms <= 10000; ms++) /* a thousand a second, for ten */
        passed += guard_flows(&f, 20, ms);
    ck_assert_uint_ge(passed, 230);
    ck_assert_uint_le(passed, 242);
    passed = 0;
    for (int64_t ms = 20000; ms < 30000; ms += 100) /* ten a second */
        passed += guard_flows(&f, 20, ms);
    ck_assert_uint_eq(passed, 100);
}
END_TEST

START_TEST(values_that_cannot_be_are_taken_out_and_the_rest_stays) {
    static const struct {
        vital which;
        double value;
        bool possible;
    } rows[] = {{VITAL_HR, 72, true},     {VITAL_HR, 301, false},   {VITAL_HR, -1, false},
                {VITAL_SPO2, 100, true},  {VITAL_SPO2, 101, false}, {VITAL_RESP, 0, true},
                {VITAL_RESP, 121, false}, {VITAL_TEMP, 36.6, true}, {VITAL_TEMP, 98.6, false},
                {VITAL_SYS, 0, false},    {VITAL_SYS, 120, true},   {VITAL_DIA, 400, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        guard g = {0};
        unsigned wrong;
        sensed one = {.kind = SENSED_READING, .reading = reading_at(NOW)};
        one.reading.contact = CONTACT_GOOD;
        reading_put(&one.reading, rows[i].which, rows[i].value);
        ck_assert_int_eq(guard_judge(&g, &one, NOW, 1, &wrong), GUARD_TAKEN);
        ck_assert_msg(reading_has(&one.reading, rows[i].which) == rows[i].possible, "row %zu", i);
        ck_assert_int_eq((wrong & GUARD_CLEARED) != 0, !rows[i].possible);
    }
}
END_TEST

START_TEST(of_a_reading_nothing_of_which_can_be_nothing_is_taken) {
    guard g = {0};
    unsigned wrong;
    sensed one = body(NOW, 999), none = {0}, nowhere = place(NOW, 0, 0), off = place(NOW, 91, 0);
    sensed unknown = place(NOW, NAN, 2);
    ck_assert_int_eq(guard_judge(&g, &one, NOW, 1, &wrong), GUARD_IMPOSSIBLE);
    ck_assert_int_eq(guard_judge(&g, &none, NOW, 1, &wrong), GUARD_IMPOSSIBLE);
    ck_assert_int_eq(guard_judge(&g, &nowhere, NOW, 1, &wrong), GUARD_IMPOSSIBLE);
    ck_assert_int_eq(guard_judge(&g, &off, NOW, 1, &wrong), GUARD_IMPOSSIBLE);
    ck_assert_int_eq(guard_judge(&g, &unknown, NOW, 1, &wrong), GUARD_IMPOSSIBLE);
}
END_TEST

START_TEST(a_strap_that_says_no_beats_at_all_lies_on_the_table) {
    guard g = {0};
    unsigned wrong;
    sensed one = body(NOW, 0);
    ck_assert_int_eq(guard_judge(&g, &one, NOW, 1, &wrong), GUARD_TAKEN);
    ck_assert(!reading_has(&one.reading, VITAL_HR));
    ck_assert_int_eq(one.reading.contact, CONTACT_NONE);
}
END_TEST

START_TEST(a_time_in_the_future_or_long_ago_or_missing_is_ours_a_late_one_is_kept) {
    static const struct {
        instant at;
        instant want;
        bool said;
    } rows[] = {{0, NOW, false},
                {NOW, NOW, false},
                {NOW + S, NOW + S, false},
                {NOW + 10 * S, NOW, false},
                {NOW + 86400 * S, NOW, true},
                {NOW - 3600 * S, NOW - 3600 * S, false},
                {NOW - 40 * 86400 * S, NOW, true},
                {S, NOW, true}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        guard g = {0};
        unsigned wrong;
        sensed one = body(rows[i].at, 70), where = place(rows[i].at, 1, 2);
        ck_assert_int_eq(guard_judge(&g, &one, NOW, 1, &wrong), GUARD_TAKEN);
        ck_assert_msg(one.reading.at == rows[i].want, "row %zu", i);
        ck_assert_int_eq((wrong & GUARD_RETIMED) != 0, rows[i].said);
        ck_assert_int_eq(guard_judge(&(guard){0}, &where, NOW, 1, &wrong), GUARD_TAKEN);
        ck_assert(where.fix.at == rows[i].want);
    }
}
END_TEST

START_TEST(a_sensor_that_speaks_live_with_a_clock_that_is_off_is_given_our_time) {
    guard g = {0};
    unsigned wrong = 0;
    instant said = 0;
    for (int i = 0; i < 10; i++) {
        instant now = NOW + i * S;
        sensed one = body(now - 7200 * S, 70);
        ck_assert_int_eq(guard_judge(&g, &one, now, i * 1000, &wrong), GUARD_TAKEN);
        said = one.reading.at - now;
    }
    ck_assert_int_eq(said, 0);
    ck_assert(wrong & GUARD_RETIMED);
}
END_TEST

START_TEST(a_store_that_is_emptied_keeps_its_times) {
    guard g = {0};
    unsigned wrong = 0;
    for (int i = 0; i < 1000; i++) { /* an hour of readings each ten seconds, fifty a second */
        instant now = NOW + i * S / 50, at = NOW - 10000 * S + i * 10 * S;
        sensed one = body(at, 70 + i % 2);
        ck_assert_int_eq(guard_judge(&g, &one, now, i * 20, &wrong), GUARD_TAKEN);
        ck_assert_int_eq(one.reading.at, at);
    }
}
END_TEST

START_TEST(a_pulse_that_stands_still_is_not_believed_and_one_that_varies_is) {
    guard still = {0}, alive = {0};
    unsigned wrong = 0;
    for (int i = 0; i <= 16 * 60; i++) {
        sensed one = body(NOW + i * S, 72), two = body(NOW + i * S, i % 300 ? 72 : 73);
        (void)guard_judge(&still, &one, NOW + i * S, i * 1000, &wrong);
        ck_assert_int_eq((wrong & GUARD_STUCK) != 0, i >= 15 * 60);
        ck_assert_int_eq(one.reading.quality == 0, i >= 15 * 60);
        (void)guard_judge(&alive, &two, NOW + i * S, i * 1000, &wrong);
        ck_assert_int_eq(wrong & GUARD_STUCK, 0);
    }
}
END_TEST

START_TEST(a_leap_no_vehicle_makes_is_left_out_until_it_is_insisted_on) {
    guard g = {0};
    unsigned wrong;
    sensed here = place(NOW, 48.0, 2.0), there = place(NOW + S, 49.0, 2.0),
           near = place(NOW + 2 * S, 48.001, 2.0);
    ck_assert_int_eq(guard_judge(&g, &here, NOW, 1, &wrong), GUARD_TAKEN);
    ck_assert_int_eq(guard_judge(&g, &there, NOW + S, 1001, &wrong), GUARD_IMPOSSIBLE);
    ck_assert_int_eq(guard_judge(&g, &near, NOW + 2 * S, 2001, &wrong), GUARD_TAKEN);
    for (int i = 3; i < 6; i++) {
        there = place(NOW + i * S, 49.0, 2.0);
        ck_assert_int_eq(guard_judge(&g, &there, NOW + i * S, i * 1000, &wrong), GUARD_IMPOSSIBLE);
    }
    there = place(NOW + 6 * S, 49.0, 2.0);
    ck_assert_int_eq(guard_judge(&g, &there, NOW + 6 * S, 6000, &wrong), GUARD_TAKEN);
}
END_TEST

/* ---- pace ---- */

typedef struct outcome {
    size_t judged, published;
    sensed last;
} outcome;

static void step(pace *p, const sensor_manners *m, const sensed *one, int64_t ms, outcome *o) {
    sensed local, up;
    if (one)
        pace_take(p, m, one, ms);
    pace_verdict verdict = pace_next(p, m, ms, &local, &up);
    o->judged += verdict != PACE_WAIT;
    if (verdict == PACE_PUBLISH) {
        o->published++;
        o->last = up;
    }
}

START_TEST(of_many_readings_in_an_interval_one_goes_on_with_all_their_beats) {
    pace p = {0};
    outcome o = {0};
    for (int i = 0; i < 25 * 4; i++) { /* four seconds of twenty-five a second */
        sensed one = body(NOW + i * S / 25, 70 + i / 10);
        if (i % 20 == 0)
            one.reading.rr_ms[one.reading.rr_count++] = 800 + i;
        step(&p, &usual, &one, 1000 + i * 40, &o);
    }
    step(&p, &usual, NULL, 5100, &o);
    ck_assert_uint_eq(o.judged, 5);
    ck_assert_uint_eq(o.published, 5);
    ck_assert_int_eq((int)o.last.reading.value[VITAL_HR], 79);
    ck_assert_uint_eq(o.last.reading.rr_count, 1);
}
END_TEST

START_TEST(in_calm_only_a_heartbeat_goes_up_and_no_beat_is_lost_and_all_is_judged) {
    pace p = {0};
    outcome o = {0};
    size_t beats = 0, published = 0;
    for (int i = 0; i < 120; i++) {
        sensed one = body(NOW + i * S, 70 + i % 2);
        one.reading.rr_ms[one.reading.rr_count++] = 850;
        step(&p, &usual, &one, 1000 + i * 1000, &o);
        if (o.published > published)
            beats += o.last.reading.rr_count;
        published = o.published;
    }
    ck_assert_uint_eq(o.judged, 120);
    ck_assert_uint_ge(o.published, 16); /* ten seconds of liveliness at first, then each fifteen */
    ck_assert_uint_le(o.published, 20);
    ck_assert_uint_ge(beats, 105);
    ck_assert_uint_le(beats, 120);
}
END_TEST

START_TEST(a_change_goes_up_at_once_and_everything_for_a_while_behind_it) {
    pace p = {0};
    outcome o = {0};
    for (int i = 0; i < 60; i++) {
        sensed one = body(NOW + i * S, 70);
        step(&p, &usual, &one, 1000 + i * 1000, &o);
    }
    size_t calm = o.published;
    for (int i = 60; i < 70; i++) {
        sensed one = body(NOW + i * S, 75);
        step(&p, &usual, &one, 1000 + i * 1000, &o);
    }
    ck_assert_uint_eq(o.published - calm, 10);
}
END_TEST

START_TEST(without_a_heartbeat_everything_goes_up) {
    sensor_manners all = usual;
    pace p = {0};
    outcome o = {0};
    all.heartbeat_ms = 0;
    for (int i = 0; i < 60; i++) {
        sensed one = body(NOW + i * S, 70);
        step(&p, &all, &one, 1000 + i * 1000, &o);
    }
    ck_assert_uint_eq(o.published, 60);
}
END_TEST

START_TEST(a_fall_and_a_lost_skin_wait_for_nothing) {
    pace p = {0};
    outcome o = {0};
    sensed one = body(NOW, 70), fall = {.kind = SENSED_READING, .reading = reading_at(NOW)}, off = fall;
    one.reading.contact = CONTACT_GOOD;
    fall.reading.event = EVENT_FALL;
    off.reading.contact = CONTACT_NONE;
    step(&p, &usual, &one, 1000, &o);
    step(&p, &usual, &fall, 1010, &o);
    ck_assert_uint_eq(o.published, 2);
    ck_assert_int_eq(o.last.reading.event, EVENT_FALL);
    step(&p, &usual, &off, 1020, &o);
    ck_assert_uint_eq(o.published, 3);
    ck_assert_int_eq(o.last.reading.contact, CONTACT_NONE);
}
END_TEST

START_TEST(who_stands_still_says_where_only_now_and_then_and_who_moves_always) {
    pace p = {0};
    outcome o = {0};
    for (int i = 0; i < 60; i++) {
        sensed one = place(NOW + i * S, 48.0 + (i % 2) * 0.00001, 2.0);
        step(&p, &usual, &one, 1000 + i * 1000, &o);
    }
    ck_assert_uint_le(o.published, 16);
    size_t before = o.published;
    for (int i = 60; i < 70; i++) {
        sensed one = place(NOW + i * S, 48.0 + i * 0.0002, 2.0);
        one.fix.speed = 20;
        step(&p, &usual, &one, 1000 + i * 1000, &o);
    }
    ck_assert_uint_eq(o.published - before, 10);
}
END_TEST

/* ---- clock ---- */

START_TEST(a_clock_that_is_set_makes_a_step_and_one_that_is_tuned_does_not) {
    edge_clock c = {.floor = NOW};
    int64_t step;
    ck_assert_int_eq(edge_clock_now(&c, NOW, 100 * S, &step), NOW);
    ck_assert_int_eq(step, 0);
    ck_assert_int_eq(edge_clock_now(&c, NOW + 11 * S, 110 * S, &step), NOW + 11 * S);
    ck_assert_int_eq(step, 0);
    ck_assert_int_eq(edge_clock_now(&c, NOW + 3612 * S, 111 * S, &step), NOW + 3612 * S);
    ck_assert_int_eq(step, 3600 * S);
    ck_assert_int_eq(edge_clock_now(&c, NOW + 3613 * S, 112 * S, &step), NOW + 3613 * S);
    ck_assert_int_eq(step, 0);
}
END_TEST

START_TEST(a_receiver_is_believed_while_the_clock_is_plainly_wrong_and_only_then) {
    edge_clock c = {.floor = NOW};
    int64_t step;
    instant wrong = 1000 * S;
    ck_assert_int_eq(edge_clock_now(&c, wrong, 10 * S, &step), wrong);
    ck_assert_int_eq(edge_clock_hear(&c, wrong, NOW - S, true), 0); /* it is as wrong */
    ck_assert_int_eq(edge_clock_hear(&c, wrong, NOW + 60 * S, true), NOW + 60 * S - wrong);
    ck_assert_int_eq(edge_clock_now(&c, wrong + S, 11 * S, &step), NOW + 61 * S);
    ck_assert_int_eq(step, 0);
    ck_assert_int_eq(edge_clock_hear(&c, wrong + S, NOW + 62 * S, true), 0); /* that close is good enough */
    /* Somebody sets the clock: it agrees with what we knew, but for two seconds. */
    ck_assert_int_eq(edge_clock_now(&c, NOW + 64 * S, 12 * S, &step), NOW + 64 * S);
    ck_assert_int_eq(step, 2 * S);
    ck_assert_int_eq(edge_clock_hear(&c, NOW + 64 * S, NOW + 7200 * S, true), 0); /* now the clock is */
    ck_assert_int_eq(edge_clock_now(&c, NOW + 65 * S, 13 * S, &step), NOW + 65 * S);
}
END_TEST

START_TEST(a_receiver_that_insists_is_believed_while_nothing_has_set_the_clock) {
    edge_clock c = {.floor = NOW};
    int64_t step;
    instant late = NOW + 60 * S; /* where the machine ended, and not what time it is */
    (void)edge_clock_now(&c, late, 10 * S, &step);
    ck_assert_int_eq(edge_clock_hear(&c, late, late + 9999 * S, false), 0); /* not yet awake */
    for (int i = 1; i <= 4; i++)
        ck_assert_int_eq(edge_clock_hear(&c, late + i * S, late + (i + 7200) * S, false), 0);
    ck_assert_int_eq(edge_clock_hear(&c, late + 5 * S, late + 7205 * S, false), 7200 * S);
    ck_assert_int_eq(edge_clock_now(&c, late + 6 * S, 16 * S, &step), late + 7206 * S);
    ck_assert_int_eq(step, 0);
    ck_assert_int_eq(edge_clock_hear(&c, late + 6 * S, late + 7206 * S, false), 0);
    /* It is set in one step: nothing moves. */
    ck_assert_int_eq(edge_clock_now(&c, late + 7207 * S, 17 * S, &step), late + 7207 * S);
    ck_assert_int_eq(step, 0);
    for (int i = 0; i < 20; i++) /* and then it is believed */
        ck_assert_int_eq(edge_clock_hear(&c, late + 7207 * S, late + 9999 * S, true), 0);
}
END_TEST

START_TEST(a_clock_that_was_set_little_by_little_needs_no_correction_any_more) {
    edge_clock c = {.floor = NOW, .correction = 8 * S};
    int64_t step;
    (void)edge_clock_now(&c, NOW + 100 * S, 10 * S, &step);
    ck_assert_int_eq(edge_clock_hear(&c, NOW + 100 * S, NOW + 100 * S, true), -8 * S);
    ck_assert_int_eq(edge_clock_now(&c, NOW + 101 * S, 11 * S, &step), NOW + 101 * S);
    ck_assert_int_eq(step, 0);
}
END_TEST

/* ---- spelling ---- */

START_TEST(a_reading_is_spelled_as_its_message_wants_it) {
    CLEANUP(buf_release) buf b = BUF(SPELL_BODY_MAX), m = BUF(SPELL_BODY_MAX);
    sensed one = body(NOW, 72.25);
    reading_put(&one.reading, VITAL_TEMP, 36.6);
    one.reading.rr_ms[one.reading.rr_count++] = 830.4;
    one.reading.rr_ms[one.reading.rr_count++] = 841;
    one.reading.contact = CONTACT_GOOD;
    one.reading.event = EVENT_FALL;
    spell_body(&one, "strap \"7\"", 55, &b);
    spell_message("0190", NOW, true, buf_text(&b), &m);
    ck_assert_str_eq(
        m.ptr, "{\"v\":1,\"id\":\"0190\",\"ts\":\"2027-01-15T08:00:00.000Z\",\"offline\":true,\"hr\":72.2,"
               "\"temp\":36.6,\"rr_ms\":[830,841],\"contact\":true,\"event\":\"fall\",\"battery\":55,"
               "\"sensor\":\"strap \\\"7\\\"\"}");
    ck_assert_str_eq(spell_leaf(&one), "vitals");
}
END_TEST

START_TEST(a_fix_is_spelled_as_its_message_wants_it) {
    CLEANUP(buf_release) buf b = BUF(SPELL_BODY_MAX), m = BUF(SPELL_BODY_MAX);
    sensed one = place(NOW, -33.8567844, 151.2152967);
    one.fix.speed = 0;
    one.fix.altitude = -0.04;
    spell_body(&one, "gps", NAN, &b);
    spell_message("0190", NOW, false, buf_text(&b), &m);
    ck_assert_str_eq(m.ptr,
                     "{\"v\":1,\"id\":\"0190\",\"ts\":\"2027-01-15T08:00:00.000Z\",\"lat\":-33.8567844,"
                     "\"lon\":151.2152967,\"altitude\":0,\"speed\":0,\"source\":\"gps\"}");
    ck_assert_str_eq(spell_leaf(&one), "location");
}
END_TEST

/* ---- JSON of others ---- */

static sense_verdict read_with(const char *fields, const char *payload, json_found *ret_found,
                               char person[64]) {
    CLEANUP(json_freep) json *how = NULL;
    CLEANUP(json_freep) json *tree = NULL;
    CLEANUP(json_map_freep) json_map *m = NULL;
    if (fields)
        ck_assert_int_eq(json_parse_once(text_of(fields), &how), JSON_OK);
    ck_assert_int_eq(json_map_new(how, &m), 0);
    sense_verdict verdict = json_map_read(m, text_of(payload), &tree, ret_found);
    if (verdict == SENSE_GOOD)
        (void)snprintf(person, 64, "%.*s", (int)ret_found->person.len,
                       ret_found->person.ptr ? ret_found->person.ptr : "");
    return verdict;
}

START_TEST(each_value_is_found_where_it_is_said_to_be) {
    json_found f;
    char person[64];
    const char *fields =
        "{\"hr\": \"/m/0/bpm\", \"temp\": {\"at\": \"/f\", \"times\": 0.5, \"plus\": 10},"
        " \"person\": \"/who/na~1me\", \"at\": \"/t\", \"contact\": \"/worn\", \"lat\": \"/p/0\","
        " \"lon\": \"/p/1\"}";
    ck_assert_int_eq(read_with(fields,
                               "{\"m\": [{\"bpm\": \"72\"}], \"f\": 53, \"who\": {\"na/me\": \"ann\"},"
                               " \"t\": 1800000000123, \"worn\": 1, \"p\": [48.5, 2.25], \"hr\": 999}",
                               &f, person),
                     SENSE_GOOD);
    ck_assert_int_eq(f.body.kind, SENSED_READING);
    ck_assert(f.body.reading.value[VITAL_HR] == 72 && f.body.reading.value[VITAL_TEMP] == 36.5);
    ck_assert_int_eq(f.body.reading.contact, CONTACT_GOOD);
    ck_assert_int_eq(f.body.reading.at, NOW + 123000);
    ck_assert_int_eq(f.place.kind, SENSED_FIX);
    ck_assert(f.place.fix.lat == 48.5 && f.place.fix.lon == 2.25);
    ck_assert_str_eq(person, "ann");
}
END_TEST

START_TEST(times_are_read_as_people_spell_them) {
    static const struct {
        const char *payload;
        instant at;
    } rows[] = {{"{\"hr\":70,\"at\":1800000000}", NOW},
                {"{\"hr\":70,\"at\":1800000000.25}", NOW + S / 4},
                {"{\"hr\":70,\"at\":\"1800000000\"}", NOW},
                {"{\"hr\":70,\"at\":\"2027-01-15T08:00:00Z\"}", NOW},
                {"{\"hr\":70,\"at\":\"2027-01-15T08:00:00.250Z\"}", NOW + S / 4},
                {"{\"hr\":70,\"at\":\"2027-01-15T10:00:00+02:00\"}", NOW},
                {"{\"hr\":70,\"at\":\"2027-01-15 08:00:00\"}", NOW},
                {"{\"hr\":70,\"at\":\"yesterday\"}", 0},
                {"{\"hr\":70,\"at\":\"2027-02-30T08:00:00Z\"}", 0},
                {"{\"hr\":70,\"at\":-5}", 0},
                {"{\"hr\":70,\"at\":1e300}", 0},
                {"{\"hr\":70}", 0}};
    json_found f;
    char person[64];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ck_assert_int_eq(read_with(NULL, rows[i].payload, &f, person), SENSE_GOOD);
        ck_assert_msg(f.body.reading.at == rows[i].at, "%s", rows[i].payload);
    }
}
END_TEST

START_TEST(what_is_no_json_or_nothing_of_ours_is_neither_reading_nor_fix) {
    json_found f;
    char person[64];
    ck_assert_int_eq(read_with(NULL, "hello", &f, person), SENSE_MALFORMED);
    ck_assert_int_eq(read_with(NULL, "[1]", &f, person), SENSE_MALFORMED);
    ck_assert_int_eq(read_with(NULL, "{\"hr\": 7", &f, person), SENSE_MALFORMED);
    ck_assert_int_eq(read_with(NULL, "{\"steps\": 7}", &f, person), SENSE_IGNORED);
    ck_assert_int_eq(read_with(NULL, "{\"hr\": \"fast\", \"lat\": 1}", &f, person), SENSE_IGNORED);
    ck_assert_int_eq(read_with(NULL, "{\"battery\": 7}", &f, person), SENSE_GOOD);
    ck_assert_int_eq(f.body.kind, SENSED_BATTERY);
    ck_assert_int_eq(read_with(NULL, "{\"event\": \"fall\"}", &f, person), SENSE_GOOD);
    ck_assert_int_eq(f.body.reading.event, EVENT_FALL);
}
END_TEST

Suite *suite_sensor(void) {
    Suite *s = suite_create("sensor");
    TCase *c = tcase_create("all");
    tcase_add_test(c, a_flood_is_cut_at_its_rate_and_over_when_it_is_over);
    tcase_add_test(c, values_that_cannot_be_are_taken_out_and_the_rest_stays);
    tcase_add_test(c, of_a_reading_nothing_of_which_can_be_nothing_is_taken);
    tcase_add_test(c, a_strap_that_says_no_beats_at_all_lies_on_the_table);
    tcase_add_test(c, a_time_in_the_future_or_long_ago_or_missing_is_ours_a_late_one_is_kept);
    tcase_add_test(c, a_sensor_that_speaks_live_with_a_clock_that_is_off_is_given_our_time);
    tcase_add_test(c, a_store_that_is_emptied_keeps_its_times);
    tcase_add_test(c, a_pulse_that_stands_still_is_not_believed_and_one_that_varies_is);
    tcase_add_test(c, a_leap_no_vehicle_makes_is_left_out_until_it_is_insisted_on);
    tcase_add_test(c, of_many_readings_in_an_interval_one_goes_on_with_all_their_beats);
    tcase_add_test(c, in_calm_only_a_heartbeat_goes_up_and_no_beat_is_lost_and_all_is_judged);
    tcase_add_test(c, a_change_goes_up_at_once_and_everything_for_a_while_behind_it);
    tcase_add_test(c, without_a_heartbeat_everything_goes_up);
    tcase_add_test(c, a_fall_and_a_lost_skin_wait_for_nothing);
    tcase_add_test(c, who_stands_still_says_where_only_now_and_then_and_who_moves_always);
    tcase_add_test(c, a_clock_that_is_set_makes_a_step_and_one_that_is_tuned_does_not);
    tcase_add_test(c, a_receiver_is_believed_while_the_clock_is_plainly_wrong_and_only_then);
    tcase_add_test(c, a_receiver_that_insists_is_believed_while_nothing_has_set_the_clock);
    tcase_add_test(c, a_clock_that_was_set_little_by_little_needs_no_correction_any_more);
    tcase_add_test(c, a_reading_is_spelled_as_its_message_wants_it);
    tcase_add_test(c, a_fix_is_spelled_as_its_message_wants_it);
    tcase_add_test(c, each_value_is_found_where_it_is_said_to_be);
    tcase_add_test(c, times_are_read_as_people_spell_them);
    tcase_add_test(c, what_is_no_json_or_nothing_of_ours_is_neither_reading_nor_fix);
    suite_add_tcase(s, c);
    return s;
}
