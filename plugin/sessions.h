/* sessions.h - who is behind each client of the broker.
 *
 * A session is keyed by the broker's client pointer *and* its client id, because a takeover has two pointers
 * with one id for a moment, and freed pointers come back for other clients. `live` sessions are connected.
 * `parting` ones only still have their Will to be judged. Durable ones stay when they go offline, because the
 * broker asks about deliveries to them, about delayed Wills, and on SIGHUP; until the broker turns out to
 * have forgotten the client, the same id connects again, or there are too many. Sessions restored from the
 * ledger have no pointer until a client that the broker restored too adopts them. Threads: the broker's.
 * Nothing here looks into a client. */
#ifndef MAYDAY_PLUGIN_SESSIONS_H
#define MAYDAY_PLUGIN_SESSIONS_H

#include "core/decisions.h"
#include "core/policy.h"
#include "core/revocation.h"
#include "core/token.h"

#include <uthash.h>

struct mosquitto;

typedef enum session_end {
    SESSION_GOES_ON = 0,
    SESSION_EXPIRED,
    SESSION_REVOKED,
} session_end;

typedef enum session_list {
    SESSION_LISTED_NOWHERE = 0,
    SESSION_PARTING, /* over; stays only until its Will is judged */
    SESSION_LEAVING, /* durable, just gone offline: does the broker keep the client? */
} session_list;

typedef struct session {
    struct mosquitto *client; /* NULL: restored, not seen yet */
    char *client_id;
    claims *who;
    policy_subject subject;
    uint64_t policy_generation; /* that subject.roles was worked out for */
    decisions *decisions;       /* NULL until the first delivery */
    bool live;
    bool durable;
    session_list listed;
    session_end end;          /* why it is being kicked, or why it may do nothing more */
    bool end_told;            /* its end was told ahead of DISCONNECT */
    unsigned refusals_unsaid; /* left out of the audit trail since the last */
    uint64_t *told;           /* hashes of the filters it has told of */
    size_t n_told;
    UT_hash_handle by_client, by_id;
    struct session *prev, *next; /* in its list */
} session;

typedef struct sessions sessions;

NODISCARD sessions *sessions_new(size_t offline_limit);
sessions *sessions_free(sessions *all);

/* Takes `who` over. Replaces what was known of this pointer; an older session of the same id stays, as
 * parting, until it is swept. NULL when memory is short (`who` is freed). */
NODISCARD session *sessions_begin(sessions *all, struct mosquitto *client, const char *client_id,
                                  claims *who);

/* As sessions_begin(), for a session remembered from before a restart. */
NODISCARD session *sessions_restore(sessions *all, const char *client_id, claims *who);

session *sessions_of(sessions *all, struct mosquitto *client,
                     const char *client_id); /* by pointer, checked against the id; NULL: not one of ours */

/* The restored session of that id becomes this client's. Only for a client that has not connected since the
 * broker started: whoever connects is admitted by token. NULL: there is none. */
session *sessions_adopt(sessions *all, struct mosquitto *client, const char *client_id);

session *sessions_holding(sessions *all,
                          const char *client_id); /* the newest of that id, live or durable; or NULL */
static inline bool session_parting(const session *s) {
    return s->listed == SESSION_PARTING;
}
void sessions_renew(session *s, claims *who);     /* a new token for the same session; takes `who` over */
void sessions_offline(sessions *all, session *s); /* after DISCONNECT */
void sessions_forget(sessions *all, session *s);

/* For every tick, and cheap: drops the parting, whose Wills have been judged, and of those that went offline
 * since the last tick the ones whose client `is_gone` says the broker has given up. */
typedef bool (*sessions_question)(void *context, session *s);
void sessions_settle(sessions *all, sessions_question is_gone, void *context);

/* Once a second. Drops offline sessions beyond the limit, the oldest first, and restored ones that no client
 * has adopted and whose token has run out at `now` (Unix seconds). */
void sessions_sweep_offline(sessions *all, int64_t now);

size_t sessions_live(const sessions *all);
size_t sessions_count(const sessions *all);

typedef void (*sessions_visit)(void *context, session *s);
void sessions_each(sessions *all, sessions_visit visit,
                   void *context); /* the visitor may forget that very session */

#endif
