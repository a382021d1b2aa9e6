/* walk.c - see walk.h. The generator is splitmix64: small, and good enough for footsteps. */
#include "walk.h"

#include <math.h>

#define METRES_PER_DEGREE 111195.0
#define RADIANS           (3.14159265358979323846 / 180.0)
#define TURN              20.0 /* degrees of wander in a second, standard deviation */
#define PAUSE_CHANCE      0.01 /* a second */
#define PAUSE_MAX         20.0 /* seconds */
#define GPS_SIGMA         4.0  /* metres, the usual error in the open */
#define GPS_MEMORY        60.0 /* seconds over which the error is forgotten */
#define BATTERY_HOURS     18.0

static uint64_t next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

double walk_chance(walk *w) {
    return (double)(next(&w->random) >> 11) * 0x1p-53;
}

/* Standard normal, by Box and Muller. */
static double gaussian(walk *w) {
    double u = 1.0 - walk_chance(w); /* never 0 */
    return sqrt(-2.0 * log(u)) * cos(360.0 * RADIANS * walk_chance(w));
}

static double wrap(double degrees) {
    double turned = fmod(degrees, 360.0);
    turned = turned < 0 ? turned + 360.0 : turned;
    return turned < 360.0 ? turned : 0.0; /* -1e-17 + 360 rounds to 360 */
}

walk walk_begin(uint64_t seed, double lat, double lon, double radius) {
    walk w = {.random = seed, .home_lat = lat, .home_lon = lon, .radius = radius};
    double away = radius * 0.8 * sqrt(walk_chance(&w)), bearing = 360.0 * walk_chance(&w);
    w.north = away * cos(bearing * RADIANS);
    w.east = away * sin(bearing * RADIANS);
    w.heading = 360.0 * walk_chance(&w);
    w.pace = WALK_SPEED_MIN + (WALK_SPEED_MAX - WALK_SPEED_MIN) * walk_chance(&w);
    w.battery = 40.0 + 60.0 * walk_chance(&w);
    w.drift_north = GPS_SIGMA * gaussian(&w);
    w.drift_east = GPS_SIGMA * gaussian(&w);
    return w;
}

static void turn(walk *w, double seconds) {
    bool strayed = hypot(w->north, w->east) > w->radius;
    double homeward = atan2(-w->east, -w->north) / RADIANS;
    w->heading =
        wrap(strayed ? homeward + 10.0 * gaussian(w) : w->heading + TURN * sqrt(seconds) * gaussian(w));
}

/* Metres walked in `seconds`; standing takes its part of them. */
static double stride(walk *w, double seconds) {
    if (w->pause <= 0 && walk_chance(w) < PAUSE_CHANCE * seconds)
        w->pause = PAUSE_MAX * walk_chance(w);
    double standing = w->pause < seconds ? w->pause : seconds;
    w->pause -= standing;
    return w->pace * (seconds - standing);
}

static void drift(walk *w, double seconds) {
    double keep = exp(-seconds / GPS_MEMORY);
    double fresh = GPS_SIGMA * sqrt(1.0 - keep * keep);
    w->drift_north = keep * w->drift_north + fresh * gaussian(w);
    w->drift_east = keep * w->drift_east + fresh * gaussian(w);
}

walk_fix walk_step(walk *w, double seconds) {
    turn(w, seconds);
    double metres = stride(w, seconds);
    w->north += metres * cos(w->heading * RADIANS);
    w->east += metres * sin(w->heading * RADIANS);
    drift(w, seconds);
    w->battery -= 100.0 * seconds / (BATTERY_HOURS * 3600.0);
    w->battery = w->battery < 1.0 ? 1.0 : w->battery;

    double lat = w->home_lat + (w->north + w->drift_north) / METRES_PER_DEGREE;
    double shrink = cos(w->home_lat * RADIANS);
    double lon =
        w->home_lon + (w->east + w->drift_east) / (METRES_PER_DEGREE * (shrink > 0.01 ? shrink : 0.01));
    return (walk_fix){
        .lat = lat > 90.0    ? 90.0
               : lat < -90.0 ? -90.0
                             : lat,
        .lon = lon >= 180.0   ? lon - 360.0
               : lon < -180.0 ? lon + 360.0
                              : lon,
        .accuracy = GPS_SIGMA * (1.0 + 0.5 * walk_chance(w)),
        .speed = seconds > 0 ? metres / seconds : 0.0,
        .heading = w->heading,
        .battery = (int)w->battery,
    };
}
