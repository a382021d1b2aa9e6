/* run.h - an officer's run and what becomes of it: run.c has the order of things, run_watch.c the officer's
 * body and the watch on it. Threads: one. */
#ifndef MAYDAY_TOOLS_RUN_H
#define MAYDAY_TOOLS_RUN_H

#include "people/people.h"
#include "scenes/scene.h"

#define RUN_SPEED       100 /* the watch was out of reach: what it kept comes so much faster than it happened */
#define RUN_CAUGHT_UP_S 30 /* after which it surely has told all of it */

typedef struct run_watch {
    day day;
    life life;
    moment now;     /* the newest that happened */
    instant begun;  /* when it found the broker again */
    bool under_way; /* it tells */
    doing doing;    /* what was last told in a line */
    int64_t doing_since_s;
    double least, most; /* pulse, since then */
    uint64_t told;
} run_watch;

/* What will happen; at `now` the oldest of it is as old as the watch can catch up with. */
void run_watch_begin(run_watch *w, instant now);
/* Tells what happened meanwhile. An exit code. */
NODISCARD int run_watch_turn(scene *s, run_watch *w, person *wearer, instant now);
void run_watch_end(run_watch *w);          /* it is taken off */
bool run_watch_struck(const run_watch *w); /* it has happened */

#endif
