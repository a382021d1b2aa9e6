/* turn.h - one transaction of the publisher: the lanes it took, what waits there, what is true now, and the
 * messages that come of it. Whoever fills a turn releases it; ending the transaction is the publisher's.
 * Threads: one. */
#ifndef MAYDAY_GATEWAY_PUBLISHER_TURN_H
#define MAYDAY_GATEWAY_PUBLISHER_TURN_H

#include "gateway/service.h"

#define LANES_MAX   64
#define ENTRIES_MAX 200 /* of one lane in one turn */
#define REFUSED_AT  0x80
#define ARRAY_BYTES (16 << 20)

/* One lane of a turn. Texts borrow from the rows of the turn. */
typedef struct lane {
    const char *org, *name;
    size_t last_truth; /* the last of its entries that asks for what is true now; entries count from 1, 0:
                          none */
    bool wants_state;  /* not `dispatch` alone: under duress nothing moves where the raiser looks */
    size_t truth_at, truth_count; /* its messages, at most two */
    bool refused;
    bool not_notified; /* its incident, as far as the state says */
} lane;

typedef struct entry {
    size_t lane;
    const char *id, *kind, *leaf, *payload;
    size_t message; /* of kind 'message' */
} entry;

typedef struct turn {
    int64_t begun_ms;
    pg_rows *lane_rows, *entry_rows, *truth_rows;
    lane lanes[LANES_MAX];
    size_t lane_count;
    entry *entries;
    size_t entry_count;
    bus_message *messages;
    char **topics;
    size_t message_count;
} turn;

void turn_release(turn *t); /* fits CLEANUP */

/* Takes the locks of at most `most` lanes of the organisations `served`, among those that the first `window`
 * entries of incidents, and of others, belong to: incidents first, without those `detained` (both PostgreSQL
 * arrays). *ret_all_taken: there are lanes, but not one was free. */
NODISCARD pg_verdict turn_claim(turn *t, service_context *s, const char *served, const char *detained,
                                size_t window, size_t most, bool *ret_all_taken);

/* Reads the entries, and what is true, in snapshots behind the locks. */
NODISCARD pg_verdict turn_read(turn *t, service_context *s);

/* Makes the messages, in the order of the entries; the truth takes the place of the last entry that asks for
 * it. False: out of memory. */
NODISCARD bool turn_compose(turn *t);

/* After they were published. */
bool turn_taken(const bus_message *m);
bool turn_said(const turn *t, const entry *e);    /* the broker took all that speaks for the entry */
bool turn_refused(const turn *t, const entry *e); /* it refused something of it */
bool turn_asks_for_truth(const entry *e);         /* it is no message of its own */

NODISCARD pg_verdict turn_delete(const turn *t, service_context *s); /* what was said */

#endif
