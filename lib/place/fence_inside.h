/* fence_inside.h - what the files of fence.h share. Private to lib/place. */
#ifndef MAYDAY_PLACE_FENCE_INSIDE_H
#define MAYDAY_PLACE_FENCE_INSIDE_H

#include "place/fence.h"
#include "place/schedule.h"
#include "place/shape.h"

typedef struct fence_zone {
    char *name;
    json *document;
    shape *where;
    schedule when;
    double margin; /* metres beyond the border before one is outside again */
    instant dwell; /* 0: not asked */
    double limit;  /* m/s; NAN: none */
    bool check_in;
    const json *roles, *people; /* in `document`; NULL and NULL: for all */
} fence_zone;

struct fences {
    yard *y;
    fence_zone **zones; /* by name */
    size_t count, room;
    uint64_t edition; /* moves with every change: indexes of an older one mean nothing */
    grove *trees;     /* NULL: to be made again */
};

NODISCARD int fence_zone_read(yard *y, const json *from, fence_zone **ret_zone, char ret_why[FENCE_WHY_MAX]);
fence_zone *fence_zone_free(fence_zone *z); /* takes NULL, returns NULL */
bool fence_zone_for(const fence_zone *z, text person, const text *roles, size_t role_count);

bool fences_find(const fences *f, text zone, size_t *ret_index);
NODISCARD int fences_ready(fences *f); /* makes the tree if it must. 0 or -ENOMEM */

/* ---- one person ---- */

/* What a walker knows of one zone it is in, or so near that the next fix may decide. */
typedef struct fence_record {
    char zone[FENCE_ZONE_MAX + 1];
    size_t index; /* of the walker's edition */
    bool inside, gone;
    instant since;    /* inside: since when */
    instant in_since; /* not yet inside: all fixes since then say so; 0: none */
    instant out_since;
    bool has_out;
    fix out; /* not yet inside: the last fix that was surely outside */
    bool dwelled, checked, speeding;
    instant fast_since, fast_at; /* too fast since then; and the last time */
    double fastest;
} fence_record;

struct fence_walker {
    fence_record *records;
    size_t count, room;
    uint64_t edition;
    instant seen;
    bool has_last, has_strange;
    fix last, strange;
};

/* NULL: out of memory. */
fence_record *fence_walker_add(fence_walker *w, text zone, size_t index);
bool fence_walker_knows(const fence_walker *w, size_t index);
void fence_walker_sweep(fence_walker *w); /* what is gone */
/* After zones were changed: by name. A zone that is gone takes its record with it. */
void fence_walker_align(const fences *f, fence_walker *w);

#endif
