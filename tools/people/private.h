/* private.h - what the files of people.h share.
 *
 *   day.c     what will happen
 *   body.c    the body
 *   sensor.c  what a sensor makes of it
 *   way.c     where they go, and what a receiver makes of that
 *   life.c    the seconds */
#ifndef MAYDAY_PEOPLE_PRIVATE_H
#define MAYDAY_PEOPLE_PRIVATE_H

#include <math.h>
#include "people/people.h"

typedef struct pursuit { /* what one does */
    const char *name;
    double mets_least, mets_most;     /* energy, in multiples of rest */
    double motion_least, motion_most; /* g */
    double speed_least, speed_most;   /* m/s */
    double steps_least, steps_most;   /* a minute */
    bool indoors;
} pursuit;

const pursuit *pursuit_of(doing what);
static inline double part(double least, double most, double effort) {
    return least + (most - least) * effort;
}

hitch life_hitch(const life *l, hitch which); /* HITCH_NONE, or that one, now */
void flesh_begin(life *l);
void flesh_live(life *l, const spell *now);
peril flesh_peril(const life *l); /* what it is by now */
void device_begin(life *l);
bool device_read(life *l, instant at, reading *ret_reading);
void way_begin(life *l);
bool way_go(life *l, const spell *now, instant at, fix *ret_fix);

#endif
