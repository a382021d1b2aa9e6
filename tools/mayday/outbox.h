/* outbox.h - what one simulated device has said and the broker has not acknowledged.
 * As on a real device a message leaves only with its PUBACK; when the connection ends everything is unsent
 * again and goes out anew, under the same ids, in the same order. Bounded: beyond OUTBOX_MAX the oldest
 * ordinary message that is not under way makes room; urgent ones (an alert and its incident) always stay, up
 * to OUTBOX_URGENT_MAX. Pure; owns its copies. */
#ifndef MAYDAY_TOOLS_OUTBOX_H
#define MAYDAY_TOOLS_OUTBOX_H

#include "base/text.h"

#define OUTBOX_MAX        600 /* ordinary messages: ten minutes at one a second */
#define OUTBOX_URGENT_MAX 200
#define OUTBOX_WINDOW     16 /* under way at once: below the broker's usual 20 */

typedef struct parcel {
    struct parcel *next;
    char *topic;
    char *body;
    int packet; /* while under way */
    bool under_way, urgent;
    unsigned times_sent;
    int tag; /* the caller's */
} parcel;

typedef struct outbox {
    parcel *first, **last;
    size_t ordinary, urgent, under_way;
    uint64_t dropped;
} outbox;

void outbox_begin(outbox *o);
void outbox_release(outbox *o);

/* Copies. Returns 0, -ENOMEM, or -ENOSPC when an urgent one finds no room. An ordinary one that finds no room
 * because everything is under way is dropped itself, and counted. */
NODISCARD int outbox_add(outbox *o, const char *topic, const char *body, bool urgent, int tag);

parcel *outbox_next(outbox *o); /* the next to send, or NULL: nothing left, or the window is full */
void outbox_sent(outbox *o, parcel *p, int packet);

/* Takes the parcel of that packet out; the caller's, to parcel_free(). NULL when there is none. */
parcel *outbox_acked(outbox *o, int packet);
parcel *parcel_free(parcel *p);
DEFINE_CLEANUP(parcel, parcel_free)

void outbox_disconnected(outbox *o); /* nothing is under way any more */

#endif
