/* audit_trail.h - goes through an audit trail in the order of its positions and tells what is not as it was
 * written: entries that were altered, removed, inserted or exchanged, and stretches that were written anew.
 *
 * The entries alone prove that nobody changed some of them and left the rest; only the signed checkpoints
 * prove that nobody computed the whole chain anew or cut off its end. Pure. Threads: one. */
#ifndef MAYDAY_CORE_AUDIT_TRAIL_H
#define MAYDAY_CORE_AUDIT_TRAIL_H

#include "core/audit.h"

typedef enum audit_finding_kind {
    AUDIT_ALTERED = 0, /* `entry` is not what its hash was made from */
    AUDIT_BROKEN,  /* the chain does not lead from `first` to `entry`, at `last`: one of them was altered with
                      its  hashes, or is not the one that stood there */
    AUDIT_MISSING, /* positions `first` to `last`. How the entry behind them hangs on the chain can't be told
                      unless a checkpoint ends the gap */
    AUDIT_REPEATED,  /* `entry` has a position that another has too */
    AUDIT_REWRITTEN, /* the chain at `last` is not the one of `checkpoint`: from `first` on it was made anew
                      */
    AUDIT_CUT_OFF,   /* positions `first` to `last` existed when `checkpoint` was signed */
} audit_finding_kind;

typedef struct audit_finding {
    audit_finding_kind kind;
    uint64_t first, last;
    const audit_entry *entry;           /* NULL when it is about none */
    const audit_checkpoint *checkpoint; /* likewise */
} audit_finding;

typedef void (*audit_found)(void *context, const audit_finding *finding);

typedef struct audit_trail audit_trail;

/* `checkpoints`: those believed, sorted by position; borrowed until the end. `from`: the first position that
 * counts; before it only the one at from - 1 is of use, to begin at. NULL when memory is short. */
NODISCARD audit_trail *audit_trail_new(uint64_t from, const audit_checkpoint *checkpoints, size_t count,
                                       audit_found found, void *context);
audit_trail *audit_trail_free(audit_trail *t);
DEFINE_CLEANUP(audit_trail, audit_trail_free)

/* The next entry, with the hashes that are stored with it. Positions never fall. Returns 0 or -ENOMEM. */
NODISCARD int audit_trail_take(audit_trail *t, const audit_entry *e, const audit_hash *entry_hash,
                               const audit_hash *chain_hash);

void audit_trail_end(audit_trail *t); /* once, behind the last */

/* What was seen so far. */
uint64_t audit_trail_count(const audit_trail *t);    /* entries that count */
uint64_t audit_trail_findings(const audit_trail *t); /* how often `found` was called */
uint64_t audit_trail_first(const audit_trail *t);    /* the first position there; 0: none */
uint64_t audit_trail_last(const audit_trail *t);     /* the last */
const audit_checkpoint *
audit_trail_agreed(const audit_trail *t); /* the last that the chain agrees with, or NULL */

#endif
