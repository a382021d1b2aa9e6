/* What the suites of geofences share: a small world around 47 degrees north, in metres, with seeded noise. */
#ifndef MAYDAY_TESTS_PLACE_SUPPORT_H
#define MAYDAY_TESTS_PLACE_SUPPORT_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place/fence.h"

#define HOME_LAT 47.0
#define HOME_LON 8.0
#define T0       (INT64_C(1790000000) * INSTANT_SECOND)

static inline json *parsed_json(const char *spelled) {
    json *body = NULL;
    ck_assert_msg(json_parse_once(text_of(spelled), &body) == JSON_OK, "%s", spelled);
    return body;
}

/* So many metres east and north of home. */
static inline double lat_of(double north) {
    return HOME_LAT + north / (6371008.8 * M_PI / 180);
}

static inline double lon_of(double east) {
    return HOME_LON + east / (6371008.8 * M_PI / 180 * cos(HOME_LAT * M_PI / 180));
}

static inline fix fix_in(double second, double east, double north, double accuracy) {
    fix f = fix_at(T0 + (instant)(second * (double)INSTANT_SECOND), lat_of(north), lon_of(east));
    f.accuracy = accuracy;
    return f;
}

typedef struct noise {
    uint64_t state;
} noise;

static inline double uniform(noise *n) { /* SplitMix64 */
    uint64_t z = n->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return ((double)((z ^ z >> 31) >> 11) + 0.5) / 9007199254740992.0;
}

static inline double normal(noise *n) {
    return sqrt(-2 * log(uniform(n))) * cos(2 * M_PI * uniform(n));
}

typedef struct world {
    fences *f;
    fence_walker *w;
    fence_event events[FENCE_EVENTS_MAX];
    size_t count;      /* of the last fix */
    size_t by_kind[8]; /* of all */
} world;

static inline void put_zone(world *o, const char *zone) {
    CLEANUP(json_freep) json *body = parsed_json(zone);
    char why[FENCE_WHY_MAX] = "";
    int fault = fences_put(o->f, body, why);
    ck_assert_msg(fault == 0, "%d %s: %s", fault, zone, why);
}

static inline void world_begin(world *o, const char *zone) {
    memset(o, 0, sizeof *o);
    ck_assert_int_eq(fences_new(&o->f), 0);
    ck_assert_int_eq(fence_walker_new(&o->w), 0);
    if (zone)
        put_zone(o, zone);
}

static inline void world_end(world *o) {
    o->w = fence_walker_free(o->w);
    o->f = fences_free(o->f);
}

static inline void count_up(world *o, size_t count) {
    o->count = count;
    for (size_t i = 0; i < count; i++)
        o->by_kind[o->events[i].kind]++;
}

static inline size_t take_fix(world *o, fix at) {
    const text roles[] = {{"officer", 7}};
    count_up(o, fences_take(o->f, o->w, TEXT("ann"), roles, 1, &at, o->events));
    return o->count;
}

static inline void assert_counts(const world *o, size_t entered, size_t left, size_t passed) {
    ck_assert_msg(o->by_kind[FENCE_ENTERED] == entered && o->by_kind[FENCE_LEFT] == left &&
                      o->by_kind[FENCE_PASSED] == passed,
                  "entered %zu, left %zu, passed %zu", o->by_kind[FENCE_ENTERED], o->by_kind[FENCE_LEFT],
                  o->by_kind[FENCE_PASSED]);
}

/* Zones around home; `more` are further members. */
static inline char *circle_zone(const char *name, double radius, const char *more) {
    char *spelled = NULL;
    ck_assert(asprintf(&spelled,
                       "{\"zone\":\"%s\",\"shape\":{\"circle\":{\"lat\":%.9f,\"lon\":%.9f,\"radius\":%g}}%s}",
                       name, HOME_LAT, HOME_LON, radius, more) > 0);
    return spelled;
}

/* A road of 1 km to the east of home, 30 m wide, with a bend to the north. */
static inline char *road(const char *more) {
    char *spelled = NULL;
    ck_assert(
        asprintf(&spelled,
                 "{\"zone\":\"road\",\"shape\":{\"corridor\":{\"line\":[[%.9f,%.9f],[%.9f,%.9f],[%.9f,%.9f]],"
                 "\"width\":30}}%s}",
                 lon_of(0), lat_of(0), lon_of(1000), lat_of(0), lon_of(1000), lat_of(500), more) > 0);
    return spelled;
}

/* Straight on at `speed` metres a second, a fix each `every` seconds; goes on from `*second`. */
static inline void walk(world *o, double *second, double east, double north, double to_east, double to_north,
                        double speed, double every, double sigma, noise *n) {
    double way = hypot(to_east - east, to_north - north), steps = floor(way / speed / every);
    for (double i = 0; i <= steps; i++, *second += every) {
        double part = steps > 0 ? i / steps : 0;
        double x = east + part * (to_east - east), y = north + part * (to_north - north);
        if (n)
            x += sigma * normal(n), y += sigma * normal(n);
        (void)take_fix(o, fix_in(*second, x, y, sigma > 0 ? 1.5 * sigma : NAN));
    }
}

#endif
