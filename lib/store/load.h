/* load.h - one batch into the database, in one transaction.
 *
 * The fast way copies each lane whole; while the batch is still being read, the lane that is longest goes out
 * already (load_ahead), so that we encode while the server inserts. When the database objects to the data,
 * the careful way begins anew: it asks which ids are stored already, copies the rest, and halves what is
 * refused until the guilty rows stand alone; those become dead letters and everything else is stored.
 * Threads: one. */
#ifndef MAYDAY_STORE_LOAD_H
#define MAYDAY_STORE_LOAD_H

#include "store/batch.h"
#include "store/pg.h"

/* What effects go by; from the settings. */
typedef struct effect_rules {
    int64_t join_window_ms; /* a raise within this time of an open incident of the same person joins it */
    int64_t pin_tries;      /* so many wrong PINs in a row... */
    int64_t pin_lock_ms;    /* ...lock a person's PIN for this long */
} effect_rules;

typedef struct load {
    pg *c;
    batch *b;
    const char *journal; /* its identity as text */
    effect_rules rules;
    bool begun;       /* the transaction is open */
    bool spoiled;     /* the fast way has failed for this batch */
    batch_lane *open; /* the lane whose COPY is open */
    size_t sent;      /* bytes of it */
} load;

typedef struct load_counts {
    uint64_t rows, duplicates, dead_letters;
    bool careful; /* the fast way had failed */
} load_counts;

/* Sends what has been encoded so far, when it is worth it. PG_RETRY: the connection is in doubt. */
NODISCARD pg_verdict load_ahead(load *l);

/* Commits the batch. After PG_RETRY nothing is known to be stored and the batch can be loaded again on
 * another connection (with a new `load`). */
NODISCARD pg_verdict load_commit(load *l, load_counts *ret_counts);

#endif
