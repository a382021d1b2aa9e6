/* guard.h - what is believed of a sensor, whatever its kind: floods, values that cannot be, values that
 * stand still, positions no vehicle reaches, clocks that are wrong.
 *
 * Cheap and coarse: it keeps out what would be refused or fool a map. What a body can do is judged where its
 * history is known (core/body.h). Pure. Threads: each value belongs to one. */
#ifndef MAYDAY_GATEWAY_EDGE_GUARD_H
#define MAYDAY_GATEWAY_EDGE_GUARD_H

#include "sense/sense.h"

/* ---- floods: of one person at one sensor ---- */

typedef struct guard_flow {
    double left;
    int64_t at_ms; /* 0: not begun */
} guard_flow;
/* `ms` of a clock that never jumps. Twice `rate` may come at once. */
bool guard_flows(guard_flow *f, double rate, int64_t ms);

/* ---- the rest: of one person at one sensor ---- */

typedef struct guard {
    int64_t skew;      /* its clock before ours, at the last thing it said */
    size_t steady;     /* how many in a row had that skew */
    int64_t steady_ms; /* and since when */
    fix last;          /* the last that was taken; at == 0: none */
    size_t leaps;      /* refused in a row since */
    double hr;         /* that stands still */
    size_t hr_count;
    int64_t hr_ms;
    size_t place_count; /* fixes of the very same place, in motion */
    double haste;       /* its time runs so many times faster; 0: as ours */
} guard;

typedef enum guard_verdict {
    GUARD_IMPOSSIBLE = 0, /* nothing of it can be so */
    GUARD_TAKEN,
} guard_verdict;

/* What was wrong: bits. */
enum {
    GUARD_CLEARED = 1, /* values that cannot be were taken out */
    GUARD_RETIMED = 2, /* its time was wrong, and is now ours */
    GUARD_STUCK = 4,   /* it stands still: its quality is 0 now */
};

/* Changes `one` to what can be believed. `now` and `ms`: ours. Its own time is kept when it is late (it was
 * stored there), replaced when it lies in the future, before `now` by more than a month, or, of one that
 * speaks as things happen, always the same way off. */
guard_verdict guard_judge(guard *g, sensed *one, instant now, int64_t ms, unsigned *ret_wrong);

#endif
