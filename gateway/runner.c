/* runner.c - the life of one service's thread: connect, listen, step until there is nothing left, sleep until
 * the database calls or it is time.
 *
 * Whatever fails ends the connection and is tried again with backoff and jitter, for ever: a gateway that
 * gave up would be silence. A failure is logged when it begins and when it is over. */
#include "gateway/host_inside.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/log.h"

#define CONNECT_MS     5000
#define PATIENCE_MS    10000
#define FIRST_PAUSE_MS 50
#define STALL          "5s"  /* of a transaction, between two statements */
#define LONGEST        "12s" /* of a statement: we have gone by then */
/* Of a service that has something to do meanwhile. */
#define SHORT_CONNECT_MS  1500
#define SHORT_PATIENCE_MS 3000
#define SHORT_PAUSE_MS    300
#define STILL_MS          30000 /* beyond its own pauses: then a service hangs */

static bool stopping(const runner *r) {
    return atomic_load(&r->host->stopping);
}

static void moved(runner *r) {
    atomic_store(&r->moved_ms, host_clock_ms());
}

bool runner_moves(const runner *r) {
    int64_t bound = r->row->every_ms + r->host->o.settings->retry_max_ms + STILL_MS;
    return host_clock_ms() - atomic_load(&r->moved_ms) < bound;
}

/* Sleeps half the backoff and some of the other half, so that two gateways do not knock in step. */
static void back_off(runner *r) {
    int64_t most = r->row->without ? SHORT_PAUSE_MS : r->host->o.settings->retry_max_ms;
    r->backoff_ms = r->backoff_ms == 0 ? FIRST_PAUSE_MS : r->backoff_ms * 2;
    if (r->backoff_ms > most)
        r->backoff_ms = most;
    int64_t pause = r->backoff_ms / 2 + random() % (r->backoff_ms / 2 + 1);
    if (r->row->without && r->backoff_ms > FIRST_PAUSE_MS) { /* a new connection did not help */
        r->row->without(&r->s, r->state, (int)pause);
        moved(r);
        return;
    }
    struct pollfd stop = {.fd = r->host->stop_fd, .events = POLLIN};
    (void)poll(&stop, 1, (int)pause);
    moved(r);
}

/* For /health: "" when all is well. */
static void note(runner *r, const char *why) {
    (void)pthread_mutex_lock(&r->host->lock);
    (void)snprintf(r->why, sizeof r->why, "%s", why);
    (void)pthread_mutex_unlock(&r->host->lock);
}

static void failed(runner *r, const char *why) {
    note(r, why);
    atomic_store(&r->connected, false);
    atomic_fetch_add(&r->failures, 1);
    if (!stopping(r) && !r->failing)
        log_line(r->row->name, LOG_LEVEL_WARNING, "%s; trying again", why);
    r->failing = true;
    r->s.c = pg_close(r->s.c);
}

static void went_well(runner *r) {
    if (r->failing) {
        note(r, "");
        log_line(r->row->name, LOG_LEVEL_NOTICE, "it works again");
    }
    r->failing = false;
    r->backoff_ms = 0;
    atomic_store(&r->connected, true);
    atomic_fetch_add(&r->steps, 1);
}

/* What a transaction of ours has locked, the brokers' writers wait for: when this gateway stands still, or
 * its host is gone without a word, the server ends it. So it ends a statement that we have stopped waiting
 * for: one that waits for a lock would not notice that nobody is there, and each new connection would leave
 * one. */
static bool greets(runner *r) {
    char sql[96];
    if (pg_run(r->s.c, "SET idle_in_transaction_session_timeout = '" STALL
                       "'; SET statement_timeout = '" LONGEST "'") != PG_DONE)
        return false;
    if (!r->row->channel)
        return true;
    (void)snprintf(sql, sizeof sql, "LISTEN %s", r->row->channel);
    return pg_run(r->s.c, sql) == PG_DONE;
}

static bool connects(runner *r) {
    char application[64], why[PG_WHY_MAX];
    (void)snprintf(application, sizeof application, "mayday-gateway %s %s", r->row->name, r->s.gateway);
    pg_options options = {.conninfo = r->s.settings->gateway_database,
                          .application = application,
                          .connect_ms = r->row->without ? SHORT_CONNECT_MS : CONNECT_MS,
                          .patience_ms = r->row->without ? SHORT_PATIENCE_MS : PATIENCE_MS,
                          .interrupt_fd = r->host->stop_fd};
    r->s.connected_ms = host_clock_ms();
    bool reached = pg_connect(&options, &r->s.c, why) == PG_DONE;
    atomic_store(&r->reached, reached);
    if (!reached) {
        failed(r, why);
        return false;
    }
    if (!greets(r)) {
        failed(r, pg_why(r->s.c));
        return false;
    }
    return true;
}

static void woken(void *context, const char *channel, const char *payload) {
    (void)context;
    (void)channel;
    (void)payload;
}

static int sleep_of(const runner *r) {
    int wanted = r->s.sleep_ms;
    return wanted > 0 && wanted < r->row->every_ms ? wanted : r->row->every_ms;
}

static bool steps(runner *r) {
    bool again = false;
    r->s.sleep_ms = 0;
    if (r->row->step(&r->s, r->state, &again) != PG_DONE)
        return false;
    moved(r);
    went_well(r);
    return again || stopping(r) || pg_wait(r->s.c, sleep_of(r), woken, NULL) == PG_DONE;
}

void *runner_main(void *the_runner) {
    runner *r = the_runner;
    char name[16];
    (void)snprintf(name, sizeof name, "mg-%s", r->row->name);
    (void)pthread_setname_np(pthread_self(), name);
    while (!stopping(r)) {
        moved(r);
        if (!r->s.c && !connects(r)) {
            back_off(r);
        } else if (!steps(r)) {
            failed(r, pg_why(r->s.c));
            back_off(r);
        }
    }
    r->s.c = pg_close(r->s.c);
    if (r->row->leave)
        r->row->leave(r->state);
    return NULL;
}
