/* play_support.h - recordings played in memory of their own size, and what came of it. */
#ifndef MAYDAY_TESTS_PLAY_SUPPORT_H
#define MAYDAY_TESTS_PLAY_SUPPORT_H

#include "sense/sense.h"

#define PLAYED_MAX 64 /* that are kept; all are counted */

typedef struct played {
    size_t count, fixes, readings, batteries;
    size_t end_after; /* the visitor ends it; 0: never */
    sensed kept[PLAYED_MAX];
    int fault;
    char why[256];
} played;

/* Plays with that format, whatever recording_of() thinks. Checks each thing against the ranges of the
 * messages. */
played play_as(const char *format, const void *bytes, size_t len, size_t end_after);

/* Every beginning of it: nothing is read beyond, and never more is given out than the whole has. */
void play_beginnings(const char *format, const void *bytes, size_t len);

const recording_format *format_named(const char *name);
instant at_text(const char *spelled);

#endif
