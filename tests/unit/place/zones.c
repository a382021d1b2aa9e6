#include "support.h"

#include <errno.h>

#include "place/schedule.h"
#include "place/shape.h"
#include "support/heap.h"

#define CIRCLE "\"shape\":{\"circle\":{\"lat\":47,\"lon\":8,\"radius\":100}}"
#define RING   "[8,47],[8.01,47],[8.01,47.01],[8,47.01],[8,47]"

static void assert_refused(const char *spelled, const char *why) {
    CLEANUP(fences_freep) fences *f = NULL;
    CLEANUP(json_freep) json *body = parsed_json(spelled);
    char said[FENCE_WHY_MAX] = "";
    ck_assert_int_eq(fences_new(&f), 0);
    int fault = fences_put(f, body, said);
    ck_assert_msg(fault == -EBADMSG && strstr(said, why), "%s: %d '%s', not '%s'", spelled, fault, said, why);
    ck_assert_uint_eq(fences_count(f), 0);
}

START_TEST(what_is_no_zone_is_refused_with_a_sentence) {
    const char *const rows[][2] = {
        {"[]", "must be an object"},
        {"{" CIRCLE "}", "zone: must be a name"},
        {"{\"zone\":\"a/b\"," CIRCLE "}", "zone: must be a name"},
        {"{\"zone\":\"a+\"," CIRCLE "}", "zone: must be a name"},
        {"{\"zone\":\"a\\u0000b\"," CIRCLE "}", "zone: must be a name"},
        {"{\"zone\":\"a\\u0085b\"," CIRCLE "}", "zone: must be a name"},
        {"{\"zone\":\"a\"}", "shape: must be a circle"},
        {"{\"zone\":\"a\",\"colour\":1," CIRCLE "}", "there is no 'colour' here"},
        {"{\"zone\":\"a\",\"shape\":{\"circle\":{\"lat\":47,\"lon\":8}}}", "must have lat, lon and radius"},
        {"{\"zone\":\"a\",\"shape\":{\"circle\":{\"lat\":47,\"lon\":8,\"radius\":1}}}",
         "radius: must be a number from 5"},
        {"{\"zone\":\"a\",\"shape\":{\"circle\":{\"lat\":47,\"lon\":8,\"radius\":60000}}}",
         "radius: must be"},
        {"{\"zone\":\"a\",\"shape\":{\"circle\":{\"lat\":47,\"lon\":8,\"radius\":\"9\"}}}",
         "radius: must be"},
        {"{\"zone\":\"a\",\"shape\":{\"circle\":{\"lat\":97,\"lon\":8,\"radius\":9}}}", "lat: must be"},
        {"{\"zone\":\"a\",\"shape\":{\"circle\":{\"lat\":89,\"lon\":8,\"radius\":100}}}", "85 degrees"},
        {"{\"zone\":\"a\",\"shape\":{\"circle\":{\"lat\":-17,\"lon\":179.9999,\"radius\":500}}}",
         "180th meridian"},
        {"{\"zone\":\"a\",\"shape\":{\"corridor\":{\"line\":[[179.9999,-17],[179.99,-17]],\"width\":100}}}",
         "180th meridian"},
        {"{\"zone\":\"a\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":[[[179.9,-17],[-179.9,-17],[-179.9,"
         "-16.9],"
         "[179.9,-16.9],[179.9,-17]]]}}",
         "180th meridian"},
        {"{\"zone\":\"a\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":[[[8,84],[8.1,84],[8.1,86],[8,84]]]"
         "}}",
         "85 degrees"},
        {"{\"zone\":\"a\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":[[[8,47],[10,47],[10,48],[8,47]]]}"
         "}",
         "100 km across"},
        {"{\"zone\":\"a\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":[[[47,8],[147,98],[47,98],[47,8]]]}"
         "}",
         "[longitude, latitude]"},
        {"{\"zone\":\"a\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":[[[8,47],[8.1,47],[8,47]]]}}",
         "at least four positions"},
        {"{\"zone\":\"a\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":[[[8,47],[8.1,47],[8.1,47.1],[8,47."
         "1]]]}}",
         "must end where it begins"},
        {"{\"zone\":\"a\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":[[[8,47],[8.1,47.1],[8.1,47],[8,47."
         "1],"
         "[8,47]]]}}",
         "no proper polygon: Self-intersection"},
        {"{\"zone\":\"a\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":[[[8,47],[8,47],[8,47],[8,47]]]}}",
         "shape: is"},
        {"{\"zone\":\"a\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":[[[8,47],[8.00001,47],[8.00001,47."
         "00001],"
         "[8,47]]]}}",
         "smaller than"},
        {"{\"zone\":\"a\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":[]}}", "list of rings"},
        {"{\"zone\":\"a\",\"shape\":{\"type\":\"MultiPolygon\",\"coordinates\":[]}}", "1 to 100 polygons"},
        {"{\"zone\":\"a\",\"shape\":{\"type\":\"Point\",\"coordinates\":[8,47]}}", "shape: must be a circle"},
        {"{\"zone\":\"a\",\"shape\":{\"corridor\":{\"line\":[[8,47]],\"width\":100}}}",
         "corridor.line: must be"},
        {"{\"zone\":\"a\",\"shape\":{\"corridor\":{\"line\":[[8,47],[8.1,47]]}}}", "a line and a width"},
        {"{\"zone\":\"a\",\"shape\":{\"corridor\":{\"line\":[[8,47],[8.1,47]],\"width\":4}}}",
         "width: must be"},
        {"{\"zone\":\"a\",\"name\":\"\"," CIRCLE "}", "name: must be a name"},
        {"{\"zone\":\"a\",\"name\":7," CIRCLE "}", "name: must be a name"},
        {"{\"zone\":\"a\",\"name\":\"a\\nb\"," CIRCLE "}", "name: must be a name"},
        {"{\"zone\":\"a\",\"dwell\":0," CIRCLE "}", "dwell: must be a number from 1"},
        {"{\"zone\":\"a\",\"speed_limit\":1000," CIRCLE "}", "speed_limit: must be"},
        {"{\"zone\":\"a\",\"check_in\":1," CIRCLE "}", "check_in: must be true or false"},
        {"{\"zone\":\"a\",\"for\":{}," CIRCLE "}", "for: must name"},
        {"{\"zone\":\"a\",\"for\":{\"roles\":[1]}," CIRCLE "}", "for.roles: must be a list"},
        {"{\"zone\":\"a\",\"alarm\":\"shout\"," CIRCLE "}", "alarm: must be"},
        {"{\"zone\":\"a\",\"alarm\":\"ask\"," CIRCLE "}", "alarm_on: must be a list"},
        {"{\"zone\":\"a\",\"alarm_on\":[\"left\"]," CIRCLE "}", "there is no alarm"},
        {"{\"zone\":\"a\",\"alarm\":\"ask\",\"alarm_on\":[\"none\"]," CIRCLE "}", "alarm_on: must be of"},
        {"{\"zone\":\"a\",\"schedule\":[]," CIRCLE "}", "schedule: must be an object"},
        {"{\"zone\":\"a\",\"schedule\":{\"days\":[\"monday\"]}," CIRCLE "}", "schedule.days"},
        {"{\"zone\":\"a\",\"schedule\":{\"from\":\"24:00\"}," CIRCLE "}", "schedule.from: must be a time"},
        {"{\"zone\":\"a\",\"schedule\":{\"to\":\"6:00\"}," CIRCLE "}", "schedule.to: must be a time"},
        {"{\"zone\":\"a\",\"schedule\":{\"timezone\":\"Mars/Base\"}," CIRCLE "}", "no such time zone"},
        {"{\"zone\":\"a\",\"schedule\":{\"timezone\":\"../../../etc/passwd\"}," CIRCLE "}",
         "no such time zone"},
        {"{\"zone\":\"a\",\"schedule\":{\"hours\":1}," CIRCLE "}", "schedule: there is no 'hours' here"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_refused(rows[i][0], rows[i][1]);
}
END_TEST

START_TEST(a_zone_that_is_refused_leaves_the_one_that_was_there) {
    CLEANUP(freep) char *good = circle_zone("yard", 100, "");
    CLEANUP(json_freep) json *bad = parsed_json("{\"zone\":\"yard\",\"dwell\":0," CIRCLE "}");
    char why[FENCE_WHY_MAX];
    world o;
    world_begin(&o, good);
    ck_assert_int_eq(fences_put(o.f, bad, why), -EBADMSG);
    ck_assert_uint_eq(take_fix(&o, fix_in(0, 0, 0, 5)), 1);
    world_end(&o);
}
END_TEST

static const char *const whole = "{\"v\":1,\"zone\":\"depot\",\"name\":\"The "
                                 "depot\",\"shape\":{\"type\":\"MultiPolygon\",\"coordinates\":[[[" RING
                                 "]]]},\"schedule\":{\"timezone\":\"Africa/"
                                 "Johannesburg\",\"days\":[\"mon\"],\"from\":\"22:00\",\"to\":\"06:00\"},"
                                 "\"dwell\":60,\"speed_limit\":5.5,\"check_in\":true,\"for\":{\"roles\":["
                                 "\"officer\"],\"people\":[\"ann\"]},"
                                 "\"alarm\":\"ask\",\"alarm_on\":[\"dwelled\"]}";

START_TEST(short_memory_is_said_and_leaks_nothing) {
    for (long allowed = 0; allowed < 60; allowed++) {
        CLEANUP(json_freep) json *body = parsed_json(whole);
        fences *f = NULL;
        fence_walker *w = NULL;
        char why[FENCE_WHY_MAX] = "";
        fence_event events[FENCE_EVENTS_MAX];
        fix at = fix_at(T0, 47.005, 8.005);
        heap_allow(allowed);
        int fault = fences_new(&f);
        if (fault == 0)
            fault = fences_put(f, body, why);
        if (fault == 0)
            fault = fence_walker_new(&w);
        if (fault == 0) {
            (void)fences_take(f, w, TEXT("ann"), NULL, 0, &at, events);
            fences_drop(f, TEXT("depot"));
        }
        long failed = heap_allow_all();
        ck_assert_msg(fault == 0 || fault == -ENOMEM, "%ld: %d %s", allowed, fault, why);
        ck_assert(fault == 0 || failed > 0);
        (void)fence_walker_free(w);
        (void)fences_free(f);
    }
}
END_TEST

/* ---- shapes ---- */

START_TEST(depth_is_in_metres_inside_and_outside) {
    yard *y = NULL;
    shape *round = NULL, *square = NULL, *way = NULL;
    char why[SHAPE_WHY_MAX] = "";
    spot ring[] = {{lon_of(-100), lat_of(-100)},
                   {lon_of(100), lat_of(-100)},
                   {lon_of(100), lat_of(100)},
                   {lon_of(-100), lat_of(100)},
                   {lon_of(-100), lat_of(-100)}};
    spot line[] = {{lon_of(0), lat_of(0)}, {lon_of(1000), lat_of(0)}};
    size_t end = 5, one = 1;
    outline o = {ring, 5, &end, 1, &one, 1};
    ck_assert_int_eq(yard_new(&y), 0);
    ck_assert_int_eq(shape_circle(y, (spot){HOME_LON, HOME_LAT}, 100, &round, why), 0);
    ck_assert_int_eq(shape_polygons(y, &o, &square, why), 0);
    ck_assert_int_eq(shape_corridor(y, line, 2, 40, &way, why), 0);
    const struct {
        const shape *s;
        double east, north, depth;
    } rows[] = {
        {round, 0, 0, 100},  {round, 60, 0, 40},   {round, 0, 160, -60},   {round, 30000, 0, -29900},
        {square, 0, 0, 100}, {square, 90, 20, 10}, {square, 0, -150, -50}, {square, 130, 140, -50},
        {way, 500, 0, 20},   {way, 500, 15, 5},    {way, 500, -50, -30},   {way, 1050, 0, -30},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        double depth = shape_depth(rows[i].s, (spot){lon_of(rows[i].east), lat_of(rows[i].north)});
        double slack = 0.2 + fabs(rows[i].depth) * 0.001;
        ck_assert_msg(fabs(depth - rows[i].depth) < slack, "row %zu: %f, not %f", i, depth, rows[i].depth);
    }
    ck_assert_double_eq(shape_size(way), 20);
    ck_assert_double_eq_tol(shape_size(square), sqrt(40000 / M_PI), 0.5);
    (void)shape_free(round), (void)shape_free(square), (void)shape_free(way);
    (void)yard_free(y);
}
END_TEST

START_TEST(a_corridor_that_goes_nowhere_is_refused_or_round) {
    CLEANUP(json_freep)
    json *body =
        parsed_json("{\"zone\":\"a\",\"shape\":{\"corridor\":{\"line\":[[8,47],[8,47]],\"width\":100}}}");
    char why[FENCE_WHY_MAX] = "";
    world o;
    world_begin(&o, NULL);
    int fault = fences_put(o.f, body, why);
    if (fault == 0) {
        (void)take_fix(&o, fix_in(0, 80, 0, 5));
        assert_counts(&o, 0, 0, 0);
        (void)take_fix(&o, fix_in(60, 20, 0, 5));
        assert_counts(&o, 1, 0, 0);
    }
    ck_assert_msg(fault == 0 || (fault == -EBADMSG && *why), "%d %s", fault, why);
    world_end(&o);
}
END_TEST

/* ---- time ---- */

static instant moment(const char *spelled) {
    instant at = 0;
    ck_assert_msg(instant_parse(text_of(spelled), &at) == 0, "%s", spelled);
    return at;
}

START_TEST(clocks_on_walls_are_right_through_the_years) {
    const struct {
        const char *zone, *at;
        int64_t offset;
    } rows[] = {
        {"Europe/Zurich", "2026-03-29T00:59:59.000Z", 3600},
        {"Europe/Zurich", "2026-03-29T01:00:00.000Z", 7200},
        {"Europe/Zurich", "2026-10-25T00:59:59.000Z", 7200},
        {"Europe/Zurich", "2026-10-25T01:00:00.000Z", 3600},
        {"Europe/Zurich", "2060-03-28T00:59:59.000Z", 3600}, /* by the rule behind the table */
        {"Europe/Zurich", "2060-03-28T01:00:00.000Z", 7200},
        {"Europe/Zurich", "2060-10-31T00:59:59.000Z", 7200},
        {"Europe/Zurich", "2060-10-31T01:00:00.000Z", 3600},
        {"Australia/Sydney", "2061-01-01T00:00:00.000Z", 39600}, /* summer there */
        {"Australia/Sydney", "2061-07-01T00:00:00.000Z", 36000},
        {"America/New_York", "2026-07-01T00:00:00.000Z", -14400},
        {"America/New_York", "2070-12-01T00:00:00.000Z", -18000},
        {"Africa/Johannesburg", "2026-06-01T00:00:00.000Z", 7200},
        {"Africa/Johannesburg", "2090-06-01T00:00:00.000Z", 7200},
        {"Asia/Kathmandu", "2026-06-01T00:00:00.000Z", 20700},
        {"Etc/GMT+5", "2026-06-01T00:00:00.000Z", -18000},
        {"Europe/Dublin", "2061-01-01T00:00:00.000Z", 0}, /* where winter is the exception */
        {"Europe/Dublin", "2061-07-01T00:00:00.000Z", 3600},
        {"America/Nuuk", "2061-07-01T00:00:00.000Z", -3600}, /* turns on the day before, by its rule */
        {"UTC", "2026-06-01T00:00:00.000Z", 0},
        {"Europe/Zurich", "1970-01-01T00:00:00.000Z", 3600},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(tz_freep) tz *z = NULL;
        ck_assert_int_eq(tz_named(text_of(rows[i].zone), &z), 0);
        ck_assert_msg(tz_offset(z, moment(rows[i].at)) == rows[i].offset, "%s %s: %lld", rows[i].zone,
                      rows[i].at, (long long)tz_offset(z, moment(rows[i].at)));
    }
}
END_TEST

START_TEST(hours_go_by_the_wall_clock_when_it_is_put_back_or_forward) {
    const struct {
        const char *spelled, *at;
        bool on;
    } rows[] = {
        {"{}", "2026-11-21T12:00:00.000Z", true},
        {"{\"days\":[\"sat\"]}", "2026-11-21T23:59:59.000Z", true},
        {"{\"days\":[\"sat\"]}", "2026-11-22T00:00:00.000Z", false},
        {"{\"from\":\"08:00\",\"to\":\"17:30\"}", "2026-11-21T07:59:59.999Z", false},
        {"{\"from\":\"08:00\",\"to\":\"17:30\"}", "2026-11-21T08:00:00.000Z", true},
        {"{\"from\":\"08:00\",\"to\":\"17:30\"}", "2026-11-21T17:30:00.000Z", false},
        {"{\"from\":\"08:00\",\"to\":\"08:00\",\"days\":[\"sat\"]}", "2026-11-22T07:59:00.000Z", true},
        {"{\"from\":\"08:00\",\"to\":\"08:00\",\"days\":[\"sat\"]}", "2026-11-21T07:59:00.000Z", false},
        {"{\"from\":\"22:00\",\"to\":\"06:00\",\"days\":[\"sun\"]}", "2026-11-23T05:59:00.000Z", true},
        {"{\"from\":\"22:00\",\"to\":\"06:00\",\"days\":[\"sun\"]}", "2026-11-22T05:59:00.000Z", false},
        /* forward, 29 March 2026: 02:30 is never on the wall, so it begins at 03:00, which is 01:00 UTC */
        {"{\"timezone\":\"Europe/Zurich\",\"from\":\"02:30\",\"to\":\"04:00\"}", "2026-03-29T00:59:59.000Z",
         false},
        {"{\"timezone\":\"Europe/Zurich\",\"from\":\"02:30\",\"to\":\"04:00\"}", "2026-03-29T01:00:00.000Z",
         true},
        {"{\"timezone\":\"Europe/Zurich\",\"from\":\"02:30\",\"to\":\"04:00\"}", "2026-03-29T02:00:00.000Z",
         false},
        /* back, 25 October 2026: 02:00 to 03:00 comes twice, from 00:00 and from 01:00 UTC */
        {"{\"timezone\":\"Europe/Zurich\",\"from\":\"02:00\",\"to\":\"02:30\"}", "2026-10-25T00:29:59.000Z",
         true},
        {"{\"timezone\":\"Europe/Zurich\",\"from\":\"02:00\",\"to\":\"02:30\"}", "2026-10-25T00:30:00.000Z",
         false},
        {"{\"timezone\":\"Europe/Zurich\",\"from\":\"02:00\",\"to\":\"02:30\"}", "2026-10-25T01:29:59.000Z",
         true},
        {"{\"timezone\":\"Europe/Zurich\",\"from\":\"02:00\",\"to\":\"02:30\"}", "2026-10-25T01:30:00.000Z",
         false},
        {"{\"timezone\":\"Pacific/Auckland\",\"days\":[\"sun\"]}", "2026-11-21T11:00:00.000Z", true},
        {"{\"timezone\":\"Pacific/Auckland\",\"days\":[\"sun\"]}", "2026-11-21T10:59:59.000Z", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(schedule_release) schedule s = {0};
        CLEANUP(json_freep) json *body = parsed_json(rows[i].spelled);
        char why[SCHEDULE_WHY_MAX] = "";
        ck_assert_msg(schedule_read(body, &s, why) == 0, "%s: %s", rows[i].spelled, why);
        ck_assert_msg(schedule_on(&s, moment(rows[i].at)) == rows[i].on, "%s at %s", rows[i].spelled,
                      rows[i].at);
    }
}
END_TEST

START_TEST(a_time_zone_file_that_is_none_is_refused) {
    char bytes[2048];
    FILE *file = fopen(TZ_FOLDER "/Europe/Zurich", "re");
    ck_assert_ptr_nonnull(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    CLEANUP(tz_freep) tz *whole_one = NULL;
    ck_assert_int_eq(tz_read((text){bytes, len}, &whole_one), 0);
    for (size_t cut = 0; cut + 32 < len; cut += 7) { /* the rule at the end may be missing */
        tz *z = NULL;
        char *copy = malloc(cut + 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, bytes, cut);
        ck_assert_int_eq(tz_read((text){copy, cut}, &z), -EBADMSG);
        free(copy);
    }
    CLEANUP(tz_freep) tz *none = NULL;
    ck_assert_int_eq(tz_read(TEXT(""), &none), -EBADMSG);
    ck_assert_int_eq(tz_named(TEXT("Europe"), &none), -EBADMSG); /* a folder */
    ck_assert_int_eq(tz_named(TEXT("zone.tab"), &none), -ENOENT);
    ck_assert_int_eq(tz_named(TEXT("tzdata.zi"), &none), -ENOENT);
    ck_assert_int_eq(tz_named(TEXT("/etc/localtime"), &none), -ENOENT);
}
END_TEST

Suite *suite_zones(void) {
    Suite *s = suite_create("zones");
    TCase *c = tcase_create("zones");
    tcase_add_test(c, what_is_no_zone_is_refused_with_a_sentence);
    tcase_add_test(c, a_zone_that_is_refused_leaves_the_one_that_was_there);
    tcase_add_test(c, short_memory_is_said_and_leaks_nothing);
    tcase_add_test(c, depth_is_in_metres_inside_and_outside);
    tcase_add_test(c, a_corridor_that_goes_nowhere_is_refused_or_round);
    tcase_add_test(c, clocks_on_walls_are_right_through_the_years);
    tcase_add_test(c, hours_go_by_the_wall_clock_when_it_is_put_back_or_forward);
    tcase_add_test(c, a_time_zone_file_that_is_none_is_refused);
    suite_add_tcase(s, c);
    return s;
}
