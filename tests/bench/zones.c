/* zones.c - what judging a position costs among many zones: people walk about a city of 20 km, each position
 * wrong by some metres, and lib/place says who enters and leaves what. The reference is a plain loop that
 * asks every zone, one after the other, how deep inside the position is, with the same prepared shapes and
 * without a tree.
 *
 * Usage: zones PEOPLE ZONES SECONDS. One line of JSON on stdout. */
#include "histogram.h"

#include "place/fence.h"
#include "place/shape.h"

#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CITY_M  20000.0
#define LAT     47.0
#define LON     8.0
#define METRE   (1 / 111194.93)
#define PI      3.14159265358979323846
#define CORNERS 9

typedef struct place {
    double east, north, heading;
    fence_walker *walker;
} place;

typedef struct world {
    uint64_t state;
    fences *zones;
    yard *yard;
    shape **shapes;
    place *people;
    size_t people_count, zone_count;
    uint64_t events;
} world;

static void die(const char *what) {
    fprintf(stderr, "zones: %s\n", what);
    exit(EXIT_FAILURE);
}

static double uniform(world *w) {
    w->state ^= w->state << 13;
    w->state ^= w->state >> 7;
    w->state ^= w->state << 17;
    return (double)(w->state >> 11) / 9007199254740992.0;
}

static spot spot_at(double east, double north) {
    return (spot){LON + east * METRE / cos(LAT * PI / 180), LAT + north * METRE};
}

static void put(world *w, const char *spelled) {
    CLEANUP(json_freep) json *zone = NULL;
    char why[FENCE_WHY_MAX] = "";
    if (json_parse_once(text_of(spelled), &zone) != JSON_OK || fences_put(w->zones, zone, why) < 0)
        die(why);
}

static void add_circle(world *w, size_t i, spot middle, double radius) {
    char spelled[256], why[SHAPE_WHY_MAX];
    (void)snprintf(spelled, sizeof spelled,
                   "{\"zone\":\"z%zu\",\"shape\":{\"circle\":{\"lat\":%.9f,\"lon\":%.9f,\"radius\":%.3f}}}",
                   i, middle.lat, middle.lon, radius);
    put(w, spelled);
    if (shape_circle(w->yard, middle, radius, &w->shapes[i], why) < 0)
        die("no shape");
}

static void add_polygon(world *w, size_t i, double east, double north, double radius) {
    CLEANUP(buf_release) buf spelled = BUF(4096);
    char why[SHAPE_WHY_MAX];
    spot ring[CORNERS];
    size_t end = CORNERS, one = 1;
    buf_printf(&spelled, "{\"zone\":\"z%zu\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":[[", i);
    for (size_t k = 0; k < CORNERS; k++) {
        double turn = 2 * PI * (double)(k % (CORNERS - 1)) / (CORNERS - 1),
               far = k % 2 ? radius : radius * 0.7;
        ring[k] = k == CORNERS - 1 ? ring[0] : spot_at(east + far * cos(turn), north + far * sin(turn));
        buf_printf(&spelled, "%s[%.9f,%.9f]", k ? "," : "", ring[k].lon, ring[k].lat);
    }
    buf_printf(&spelled, "]]}}");
    put(w, spelled.ptr);
    outline o = {ring, CORNERS, &end, 1, &one, 1};
    if (shape_polygons(w->yard, &o, &w->shapes[i], why) < 0)
        die("no shape");
}

static void add_corridor(world *w, size_t i, double east, double north) {
    char spelled[512], why[SHAPE_WHY_MAX];
    spot a = spot_at(east, north),
         b = spot_at(east + 1500 * (uniform(w) - 0.5), north + 1500 * (uniform(w) - 0.5));
    (void)snprintf(
        spelled, sizeof spelled,
        "{\"zone\":\"z%zu\",\"shape\":{\"corridor\":{\"line\":[[%.9f,%.9f],[%.9f,%.9f]],\"width\":40}}}", i,
        a.lon, a.lat, b.lon, b.lat);
    put(w, spelled);
    if (shape_corridor(w->yard, (spot[]){a, b}, 2, 40, &w->shapes[i], why) < 0)
        die("no shape");
}

static void draw(world *w) {
    for (size_t i = 0; i < w->zone_count; i++) {
        double east = CITY_M * uniform(w), north = CITY_M * uniform(w), radius = 50 + 250 * uniform(w);
        if (i % 10 < 6)
            add_circle(w, i, spot_at(east, north), radius);
        else if (i % 10 < 9)
            add_polygon(w, i, east, north, radius);
        else
            add_corridor(w, i, east, north);
    }
}

static fix step(world *w, place *p, long second) {
    p->heading += (uniform(w) - 0.5) * 0.3;
    p->east += 1.5 * cos(p->heading), p->north += 1.5 * sin(p->heading);
    spot at = spot_at(p->east + 8 * (uniform(w) - 0.5), p->north + 8 * (uniform(w) - 0.5));
    fix f = fix_at(INT64_C(1790000000) * INSTANT_SECOND + second * INSTANT_SECOND, at.lat, at.lon);
    f.accuracy = 8;
    f.speed = 1.5;
    return f;
}

/* Seconds of the clock for all positions of one second. */
static double judge(world *w, const fix *fixes) {
    fence_event events[FENCE_EVENTS_MAX];
    int64_t start = clock_ns();
    for (size_t i = 0; i < w->people_count; i++)
        w->events += fences_take(w->zones, w->people[i].walker, TEXT("somebody"), NULL, 0, &fixes[i], events);
    return (double)(clock_ns() - start) / 1e9;
}

/* The same by asking every zone, for a sample of `count`. */
static double ask_all(world *w, const fix *fixes, size_t count, uint64_t *inside) {
    int64_t start = clock_ns();
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < w->zone_count; k++)
            *inside += shape_depth(w->shapes[k], (spot){fixes[i].lon, fixes[i].lat}) >= 0;
    return (double)(clock_ns() - start) / 1e9;
}

static void settle(world *w) {
    for (size_t i = 0; i < w->people_count; i++) {
        w->people[i] = (place){CITY_M * uniform(w), CITY_M * uniform(w), 2 * PI * uniform(w), NULL};
        if (fence_walker_new(&w->people[i].walker) < 0)
            die("out of memory");
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fputs("usage: zones PEOPLE ZONES SECONDS\n", stderr);
        return EXIT_FAILURE;
    }
    world w = {.state = UINT64_C(0x6d61796461790001),
               .people_count = strtoul(argv[1], NULL, 10),
               .zone_count = strtoul(argv[2], NULL, 10)};
    long seconds = strtol(argv[3], NULL, 10);
    if (w.people_count == 0 || w.zone_count == 0 || seconds < 2)
        die("PEOPLE, ZONES and SECONDS (two and more) are positive numbers");
    w.people = calloc(w.people_count, sizeof *w.people);
    w.shapes = calloc(w.zone_count, sizeof(shape *));
    fix *fixes = calloc(w.people_count, sizeof *fixes);
    if (!w.people || !w.shapes || !fixes || fences_new(&w.zones) < 0 || yard_new(&w.yard) < 0)
        die("out of memory");
    draw(&w);
    size_t before = mallinfo2().uordblks;
    settle(&w);
    double ours = 0, loop = 0, slowest = 0;
    uint64_t inside = 0;
    size_t sample = w.people_count < 20 ? w.people_count : 20, asked = 0;
    for (long second = 0; second < seconds; second++) {
        for (size_t i = 0; i < w.people_count; i++)
            fixes[i] = step(&w, &w.people[i], second);
        double took = judge(&w, fixes);
        if (second == 0)
            continue; /* in which indexes are built */
        ours += took;
        slowest = fmax(slowest, took);
        loop += ask_all(&w, fixes, sample, &inside);
        asked += sample;
    }
    double judged = (double)w.people_count * (double)(seconds - 1);
    printf("{\"fix_ns\":%.0f,\"loop_ns\":%.0f,\"slowest_second\":%.4f,\"events\":%llu,\"inside\":%.4f,"
           "\"bytes_per_person\":%.0f}\n",
           ours / judged * 1e9, loop / (double)asked * 1e9, slowest, (unsigned long long)w.events,
           (double)inside / (double)asked, (double)(mallinfo2().uordblks - before) / (double)w.people_count);
    return EXIT_SUCCESS;
}
