/* clock.h - what time it is at the edge, where the machine's clock may be wrong when it starts: until
 * somebody sets it, or a GPS receiver tells. Pure. Threads: belongs to one.
 *
 * A clock that stands before a moment that is known to be over is wrong, and then the receiver is believed at
 * once. Many machines without a clock of their own begin where they ended, which looks right and is hours
 * behind: so while nothing has set the clock since the machine's start, a receiver is believed, too, when it
 * says the same several times. Else the clock is. Each correction is handed on as a step, so that what was
 * timed before it can be, too. */
#ifndef MAYDAY_GATEWAY_EDGE_CLOCK_H
#define MAYDAY_GATEWAY_EDGE_CLOCK_H

#include "base/instant.h"

typedef struct edge_clock {
    instant floor;      /* it is later than this */
    int64_t correction; /* added to the machine's clock */
    int64_t offset;     /* of the machine's clock before the time since it was started */
    bool begun;
    int64_t doubt;   /* by how much a receiver contradicts a clock that may be right */
    unsigned doubts; /* how often in a row */
} edge_clock;

/* The time. `wall`: what the machine's clock says; `boot`: time since its start, which never jumps.
 * *ret_step: how far time has jumped since the last call; 0 nearly always. */
instant edge_clock_now(edge_clock *c, instant wall, int64_t boot, int64_t *ret_step);

/* A receiver says that it is `utc`. `is_set`: something keeps the machine's clock right (NTP and its like).
 * Returns the step this makes; 0: it is not needed. */
int64_t edge_clock_hear(edge_clock *c, instant wall, instant utc, bool is_set);

#endif
