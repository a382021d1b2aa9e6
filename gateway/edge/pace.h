/* pace.h - how much of what a sensor says goes up: one reading in an interval, everything while
 * something changes, and a heartbeat while nothing does.
 *
 * Two ways leave it: what is judged here, at this gateway, gets each interval's reading; what is published is
 * fewer. Nothing is lost between: the next that is published holds the times between beats since the one
 * before it. What a device noticed itself (a fall), or that it lost the skin, waits for nothing.
 * Pure. Threads: each value belongs to one. */
#ifndef MAYDAY_GATEWAY_EDGE_PACE_H
#define MAYDAY_GATEWAY_EDGE_PACE_H

#include "msg/sensor_file.h"
#include "sense/sense.h"

typedef struct pace {
    sensed held;    /* of this interval; SENSED_NOTHING: none */
    int64_t due_ms; /* when it goes on */
    sensed said;    /* published last */
    int64_t said_ms;
    int64_t lively_ms; /* everything is published until then */
    size_t unsaid_count;
    double unsaid[READING_RR_MAX]; /* times between beats that were judged and not published */
} pace;

/* Takes one; `m` as configured. */
void pace_take(pace *p, const sensor_manners *m, const sensed *one, int64_t ms);

typedef enum pace_verdict {
    PACE_WAIT = 0, /* there is none, or it is not time */
    PACE_JUDGE,    /* for this gateway alone */
    PACE_PUBLISH,
} pace_verdict;
/* Call after each pace_take(), and again at p->due_ms. *ret_local is what is judged here; what is published
 * is the same, but its times between beats, when PACE_PUBLISH, are those of *ret_up. */
pace_verdict pace_next(pace *p, const sensor_manners *m, int64_t ms, sensed *ret_local, sensed *ret_up);

#endif
