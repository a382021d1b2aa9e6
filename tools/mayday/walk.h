/* walk.h - a person on foot, and what their GPS receiver says about it.
 * Pure and deterministic: the same seed and the same steps give the same walk. Speeds are those of walking
 * (0.8 to 1.8 m/s, each person their own pace), the heading wanders, and now and then somebody stands still.
 * Nobody strays: beyond `radius` the heading turns back to where the walk began. */
#ifndef MAYDAY_TOOLS_WALK_H
#define MAYDAY_TOOLS_WALK_H

#include <stdbool.h>
#include <stdint.h>

#define WALK_SPEED_MIN 0.8
#define WALK_SPEED_MAX 1.8

typedef struct walk {
    uint64_t random; /* state of the generator */
    double home_lat, home_lon, radius;
    double north, east;             /* true position: metres from home */
    double heading;                 /* degrees, clockwise from north */
    double pace;                    /* m/s, when walking */
    double pause;                   /* seconds still to stand */
    double drift_north, drift_east; /* the receiver's slowly wandering error, metres */
    double battery;                 /* % */
} walk;

typedef struct walk_fix {
    double lat, lon;
    double accuracy; /* metres: the radius that holds the truth two times out of three */
    double speed;    /* m/s */
    double heading;  /* degrees, 0 <= heading < 360 */
    int battery;     /* % */
} walk_fix;

walk walk_begin(uint64_t seed, double lat, double lon, double radius);

/* `seconds` later: moves on, and takes a fix. */
walk_fix walk_step(walk *w, double seconds);

/* Uniform in [0, 1), from the walk's own generator: for what else should repeat with the seed. */
double walk_chance(walk *w);

#endif
