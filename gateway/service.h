/* service.h - the gateway's services: each is a thread that owns its loop, its PostgreSQL connection and its
 * state. They share immutable settings, the bus and atomic figures, and meet in the database.
 *
 * A new service is gateway/services/<name>.c with one row, and its word in that CMake list. */
#ifndef MAYDAY_GATEWAY_SERVICE_H
#define MAYDAY_GATEWAY_SERVICE_H

#include "core/settings.h"
#include "core/texts.h"
#include "gateway/providers/accounts.h"
#include "gateway/bus/bus.h"
#include "gateway/edge/intake.h"
#include "gateway/local/local.h"
#include "store/pg.h"

typedef struct service_host service_host; /* main's: what is shared */

/* What a service is given. Its own; the things it points to are shared and immutable, or lock themselves. */
typedef struct service_context {
    service_host *host;
    struct runner *runner; /* its thread */
    const char *name;      /* from its row */
    const settings *settings;
    const char *gateway; /* this gateway's id */
    bus *bus;
    const accounts *accounts; /* the providers' */
    const texts *texts;       /* what is said to people, in every language there is */
    local *local;             /* what must survive while the database is away */
    intake *intake;           /* what this gateway's own sensors say */
    pg *c;                    /* NULL while there is no connection */
    int64_t connected_ms;     /* when `c` was made; monotonic */
    const char *channel;      /* what the service LISTENs to; from its row */
    int sleep_ms; /* a step may set it: to be woken so much later at the latest; 0: after every_ms */
} service_context;

typedef struct service {
    const char *name;    /* of the thread, in the log, in /health and /metrics */
    const char *channel; /* a NOTIFY channel that wakes it; NULL: only time does */
    int every_ms;        /* how long it sleeps at most between two steps; also what sleep_ms is bounded by */

    /* Called with a live connection, outside a transaction: does what there is to do and returns.
     * PG_DONE; anything else when it could not: then the connection is made again, with backoff, and the step
     * too. *ret_again: there is more to do at once. The first step of each connection comes without a
     * notification. */
    pg_verdict (*step)(service_context *s, void *state, bool *ret_again);

    /* Optional: called while there is no connection, in the place of each pause between two attempts to make
     * one, when the last attempt failed; returns after `ms`, or at once when it is to stop. Such a service is
     * impatient: attempts are short, and so are the pauses between them. */
    void (*without)(service_context *s, void *state, int ms);

    /* Optional: the last that is called by the service's thread, while the bus is still there: ends threads
     * of its own. */
    void (*leave)(void *state);

    void *(*begin)(service_context *s); /* makes the state; may be NULL. NULL from it: out of memory */
    void (*end)(void *state);           /* takes NULL; may be NULL */
} service;

/* All of them, ended by NULL. */
extern const service *const services[];

/* Ask between the parts of a long step: asking also tells the watchdog that the service moves. */
bool service_stopping(const service_context *s);

/* What this gateway told while it had no database, is still to be brought in (services/standby.c): whoever
 * tells, or stores what was answered, waits for that, a few seconds of each connection at most. */
bool service_waits(const service_context *s);

/* Log lines: "service: text", to stderr with a syslog priority prefix for journald. Any thread. */
typedef enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6
} log_level;
void service_log(const service_context *s, log_level level, const char *format, ...) PRINTF_LIKE(3, 4);

/* Figures for /metrics: counters and gauges by name, made at their first use (a string literal, as Prometheus
 * wants it: "mayday_gateway_states_published_total"). Any thread. */
void service_count(service_context *s, const char *name, uint64_t by);
void service_gauge(service_context *s, const char *name, double value);

/* The same by labels, as Prometheus spells them: "provider=\"twilio-sms\",outcome=\"sent\"". Of words of our
 * own alone: every set of labels is a figure, and there is room for few. */
void service_count_of(service_context *s, const char *name, const char *labels, uint64_t by);
void service_gauge_of(service_context *s, const char *name, const char *labels, double value);

#endif
