/* results.h - the bounded queue from the writer thread back to the broker's thread, drained on tick.
 * When it is full the oldest log lines go first; a membership change that finds no room makes the writer load
 * them all again. */
#ifndef MAYDAY_STORE_RESULTS_H
#define MAYDAY_STORE_RESULTS_H

#include "core/membership.h"
#include "core/revocation.h"

typedef enum result_kind {
    RESULT_LOG = 0,
    RESULT_MEMBER_SET,    /* org, family, id, person, relation */
    RESULT_MEMBER_REMOVE, /* org, family, id, person */
    RESULT_MEMBER_CLEAR,  /* org, family, id */
    RESULT_REVOKED,       /* org, what, value, until, node */
    RESULT_RESTORED,      /* org, what, value, node */
} result_kind;

typedef enum result_level {
    RESULT_DEBUG = 0,
    RESULT_INFO,
    RESULT_NOTICE,
    RESULT_WARNING,
    RESULT_ERROR,
} result_level;

/* One block: release with free(). */
typedef struct result {
    struct result *next;
    result_kind kind;
    result_level level; /* RESULT_LOG */
    address_family family;
    relation relation;
    text message; /* RESULT_LOG */
    text org, id, person;
    revocation_kind what;
    int64_t until;    /* Unix seconds, 0 for ever */
    text value, node; /* node: the broker where it was said */
} result;

typedef struct results results;

NODISCARD results *results_new(size_t limit);
results *results_free(results *q);
void results_log(results *q, result_level level, const char *format, ...) PRINTF_LIKE(3, 4);
/* Returns false when the queue is full: the caller tries again later. */
bool results_member(results *q, result_kind kind, text org, address_family family, text id, text person,
                    relation r);
/* Likewise. */
bool results_revocation(results *q, result_kind kind, text org, revocation_kind what, text value,
                        int64_t until, text node);
bool results_pending(const results *q); /* something other than log lines is waiting; cheap, for any thread */
result *results_take(results *q);       /* the oldest, the caller's to free(); NULL when there is none */

#endif
