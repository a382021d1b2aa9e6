/* sessions.h - who is behind each client of the broker.
 *
 * A session is keyed by the broker's client pointer *and* its client id, because a takeover has two pointers
 * with one id for a moment, and freed pointers come back for other clients. `live` sessions are connected;
 * durable ones stay when they go offline, until their token runs out, because the broker asks about
 * deliveries to them. `parting` ones only still have their Will to be judged. Sessions restored from the
 * ledger have no pointer until the broker first asks for their client id. Threads: the broker's. */
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

typedef struct session {
    struct mosquitto *client; /* NULL: restored, not seen yet */
    char *client_id;
    claims *who;
    policy_subject subject;
    uint64_t policy_generation; /* that subject.roles was worked out for */
    decisions *decisions;       /* NULL until the first delivery */
    bool live;
    bool durable;
    bool parting;
    bool enhanced;   /* authenticated through MQTT 5 AUTH */
    session_end end; /* why it is being kicked, or why it may do nothing more */
    UT_hash_handle by_client, by_id;
    struct session *prev, *next; /* among the parting */
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

/* By pointer, checked against the id; a restored session is adopted by the pointer that asks for it. NULL:
 * not one of ours. */
session *sessions_of(sessions *all, struct mosquitto *client, const char *client_id);

session *sessions_holding(sessions *all,
                          const char *client_id); /* the newest of that id, live or durable; or NULL */
void sessions_renew(session *s, claims *who);     /* a new token for the same session; takes `who` over */
void sessions_offline(sessions *all, session *s); /* after DISCONNECT */
void sessions_forget(sessions *all, session *s);

void sessions_sweep_parting(
    sessions *all); /* drops those whose Will has been judged: cheap, for every tick */

/* Drops offline sessions whose token has run out at `now` (Unix seconds), and the oldest beyond the limit:
 * once a second. */
void sessions_sweep_offline(sessions *all, int64_t now);

size_t sessions_live(const sessions *all);
size_t sessions_count(const sessions *all);

typedef void (*sessions_visit)(void *context, session *s);
void sessions_each(sessions *all, sessions_visit visit,
                   void *context); /* the visitor may forget that very session */

#endif
