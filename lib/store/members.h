/* members.h - who belongs to which incident and room, and who is revoked, from the database to the broker's
 * thread.
 *
 * Every change in mayday.membership is notified by a trigger, whoever made it: our own writer, another
 * broker, a hand. That one way serves all. Only after connecting, or when the queue to the broker overflowed,
 * is the whole table read, page by page between batches, so that neither memory nor the stream depends on its
 * size.
 *
 * Who joins an incident while connected here is told how it stands: what was said of it since the change was
 * made may have come by before this broker knew of it, and nothing else would be said until the next change.
 *
 * Threads: the writer's. */
#ifndef MAYDAY_STORE_MEMBERS_H
#define MAYDAY_STORE_MEMBERS_H

#include "store/pg.h"
#include "store/results.h"

typedef struct members {
    results *back;
    const char *node; /* this broker's name; borrowed */
    buf newcomers;    /* who joined an incident, as it was notified: a JSON array without its end */
    bool loading;
    bool revocations_due; /* to be read as a whole */
    char *after[4];       /* the key of the last row that was passed on: org, family, id, person */
    char since[64];       /* memberships ended from here on are passed on too, as removals; "" at first */
    char next_since[64];
} members;

/* On a new connection, before anything is read. */
NODISCARD pg_verdict members_listen(members *m, pg *c);
/* Passes on what was notified. */
NODISCARD pg_verdict members_heed(members *m, pg *c);
/* The same, and one page when loading. */
NODISCARD pg_verdict members_step(members *m, pg *c);
void members_release(members *m);

#endif
