/* counters.h - what the plugin counts, by reason, for $SYS/broker/mayday/. Broker thread only. */
#ifndef MAYDAY_PLUGIN_COUNTERS_H
#define MAYDAY_PLUGIN_COUNTERS_H

#include "core/token.h"
#include "msg/catalog.h"

typedef enum denial {
    DENIAL_NONE = 0,
    DENIAL_POLICY,  /* the role may not */
    DENIAL_EXPIRED, /* the session's token has run out or was revoked: closed, the client keeps the message */
    DENIAL_RETAIN,  /* retained, where only Mayday may retain */
    DENIAL_ADDRESS, /* no message travels at that topic */
    DENIAL_LIMIT,   /* beyond the sender's rate */
    DENIAL_STALE,   /* an incident's view, older than what went through */
    DENIALS,
} denial;

typedef struct counters {
    uint64_t tokens[TOKEN_VERDICTS]; /* by verdict, accepted ones too */
    uint64_t client_id_refused;      /* not bound to the subject, or held by somebody else */
    uint64_t username_refused;
    uint64_t revoked_refused;
    uint64_t messages[MSG_VERDICTS]; /* by verdict, accepted ones too */
    uint64_t denials[DENIALS];       /* of publishes */
    uint64_t subscriptions_denied;
    uint64_t deliveries_denied;
    uint64_t journal_refused; /* connection closed, the client keeps the message */
    uint64_t wills;           /* journaled */
    uint64_t bridged;         /* came over a bridge: their own broker journals them */
    uint64_t kicked_expired, kicked_revoked;
    uint64_t tokens_renewed;
    uint64_t repeated_raises;                      /* beyond their sender's rate: journaled like telemetry */
    uint64_t events, events_left_out, events_lost; /* for the audit trail: journaled, too many, no room */
} counters;

struct host;

/* Publishes all figures, retained, under $SYS/broker/mayday/. */
void counters_publish(struct host *h);

#endif
