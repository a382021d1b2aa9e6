/* carriers.h - which provider takes a message, and what comes after an attempt: order, failover, circuit
 * breaker, and caps that never hold an alert back behind routine traffic.
 *
 *   caps      `concurrency` requests under way at once: a quarter of them routine at most, half by one
 *             provider at most, so that one that hangs does not stop the others; `rate` messages a second to
 *             one provider, half of it routine at most.
 *   breaker   closed -> open after BREAKER_FAILURES in a row that are the provider's fault -> trying, one
 *             message at a time, when the pause is over -> closed, or open again for twice as long. What is
 *             very urgent does not try while there is another provider; when all are open, an alert is sent
 *             nevertheless.
 *
 * Pure: the caller brings the time (milliseconds, monotonic) and chance. Threads: belongs to one. */
#ifndef MAYDAY_GATEWAY_SENDING_CARRIERS_H
#define MAYDAY_GATEWAY_SENDING_CARRIERS_H

#include "core/rate.h"
#include "gateway/providers/provider.h"

#define CARRIERS_MAX     16
#define BREAKER_FAILURES 3

typedef enum carrier_breaker {
    BREAKER_OPEN = 0,
    BREAKER_CLOSED,
    BREAKER_TRYING,
} carrier_breaker;

typedef struct carrier {
    const provider *row;
    bool breaks;       /* has a breaker: not the webhooks, which are many under one name */
    unsigned failures; /* in a row */
    int64_t open_until, open_ms;
    size_t under_way, trying; /* requests; those sent while the breaker tries */
    double tokens, routine_tokens;
    int64_t filled_at;
    uint64_t sent, retry, refused, unknown;
    char last_failure[PROVIDER_CODE_MAX];
    bool failed_lately; /* since it was last asked for by whoever keeps the time of it */
} carrier;

typedef struct carriers {
    carrier all[CARRIERS_MAX];
    size_t count;
    size_t concurrency, under_way, routine_under_way;
    rate_rule rule;
} carriers;

/* The providers `sms` and `voice` name ("twilio vonage"), in that order, and those that need no order; of
 * each only those that are ready. `say` hears of those that are not. */
typedef void (*carriers_say)(void *context, const char *provider, const char *why);
void carriers_begin(carriers *c, const settings *s, const accounts *a, int64_t now, carriers_say say,
                    void *context);

typedef enum carrier_choice {
    CHOICE_NONE = 0, /* nobody is configured who could */
    CHOICE_GOOD,
    CHOICE_EXHAUSTED, /* everybody refused this message */
    CHOICE_BUSY,      /* not now: see carriers_wait() */
} carrier_choice;

/* What one attempt came to, of a notification's history. */
typedef struct carrier_try {
    const provider *row; /* NULL: one we don't know */
    bool refused;        /* this message: not by that one again */
} carrier_try;

#define TRIES_MAX 64

/* How many messages of a kind could be started now; for those whom nobody carries, too, `most`. */
size_t carriers_room(carriers *c, const char *kind, bool routine, size_t most, int64_t now);

/* Whoever has tried it least; among those the first in order who has room. */
carrier_choice carriers_choose(carriers *c, const char *kind, int rank, const carrier_try *tries,
                               size_t count, int64_t now, carrier **ret_carrier);

/* A message of that rank is handed to it now, and was answered. *tried is for carriers_ended(). */
void carriers_started(carriers *c, carrier *one, int rank, int64_t now, bool *ret_trying);
void carriers_ended(carriers *c, carrier *one, int rank, bool trying, const provider_result *r, int64_t now);

/* After an attempt by `last` that may be tried again: how long to wait. 0: somebody else has not tried it as
 * often, so at once. `chance`: any number. */
int64_t carriers_pause(const carriers *c, const char *kind, const carrier_try *tries, size_t count,
                       const provider_result *last, uint64_t chance);
/* Is there anybody left to try it? */
bool carriers_any_left(const carriers *c, const char *kind, const carrier_try *tries, size_t count);

int64_t carriers_wait(const carriers *c, int64_t now); /* until there may be room again; at least 1 */
carrier_breaker carriers_breaker(const carrier *one, int64_t now);
const char *carrier_breaker_name(carrier_breaker b); /* "open", "closed", "trying" */

#endif
