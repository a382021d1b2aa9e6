/* timers.c - sees to it that who works alone is asked, and raised for, also while the database is away: a
 * timer that runs out then must not wait for it.
 *
 * With the database: all timers of our organisations are asked for every few seconds and heard on MQTT
 * between, and kept on disk. To ask and to raise is the keeper's (timers/ask.c, services/keeper.c). Only what
 * no keeper did for long is done from here: they, or the brokers' writers, stand still.
 *
 * Without it: when a time is over, this gateway asks; when nobody answers, or somebody calls for help, it
 * raises the alarm, which the service standby tells (timers/say.c). Answers, new timers and what other
 * gateways say are heard on MQTT (timers/know.c).
 *
 * When it is back, what was said is stored by the brokers as all else; the database makes the same ids, so
 * that it knows its own questions and alarms again (mayday.timer_follow, sql/0023_timers.sql).
 *
 * May be killed at any point: what is said is on disk before. Two gateways that do the same say the same
 * messages. */
#include "gateway/timers/timers.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>

extern const service service_timers;

#define EVERY_MS     500
#define TURN_MS      200
#define STAGGER_MOST 5 /* seconds, by the gateway's name */

static int64_t clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

instant timers_now(const timers *t) {
    return t->base + (clock_ms() - t->base_ms) * 1000;
}

static void turn(timers *t) {
    said *next;
    for (said *one = timers_ear_take(t->ear); one; one = next) {
        next = (said *)one->item.next;
        timers_hear(t, one);
        free(one);
    }
    timers_speak(t);
    timers_keep(t);
}

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    timers *t = state;
    t->s = s;
    *ret_again = false;
    pg_verdict verdict = pg_run(s->c, "SELECT 1"); /* so that one that hangs is known before it is needed */
    if (verdict == PG_DONE)
        verdict = timers_refresh(t);
    if (verdict != PG_DONE)
        return verdict;
    if (t->away_since)
        service_log(s, LOG_LEVEL_NOTICE, "the database is back");
    t->away_since = 0;
    turn(t);
    return PG_DONE;
}

static void without(service_context *s, void *state, int ms) {
    timers *t = state;
    instant until = timers_now(t) + (instant)ms * 1000;
    t->s = s;
    if (!t->away_since) {
        t->away_since = timers_now(t);
        service_log(s, LOG_LEVEL_WARNING, "the database is away: timers are watched from here");
    }
    while (timers_now(t) < until && !service_stopping(s)) {
        struct pollfd heard = {.fd = timers_ear_fd(t->ear), .events = POLLIN};
        turn(t);
        (void)poll(&heard, 1, TURN_MS);
    }
}

static void end(void *state) {
    timers *t = state;
    if (!t)
        return;
    timers_free(t);
    (void)timers_ear_close(t->ear);
    free(t->orgs);
    free(t);
}

static instant stagger_of(const char *gateway) {
    unsigned sum = 0;
    for (; *gateway; gateway++)
        sum = sum * 31 + (unsigned char)*gateway;
    return (instant)(sum % (STAGGER_MOST + 1)) * INSTANT_SECOND;
}

static void *begin(service_context *s) {
    timers *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->s = s;
    t->base = instant_now();
    t->base_ms = clock_ms();
    t->stagger = stagger_of(s->gateway);
    if (timers_ear_open(s->bus, &t->ear) < 0) {
        service_log(s, LOG_LEVEL_ERROR, "it can't begin");
        if (!t->ear) /* what the bus knows can't be freed before it ends */
            end(t);
        return NULL;
    }
    timers_recall(t);
    return t;
}

const service service_timers = {
    .name = "timers",
    .channel = NULL,
    .every_ms = EVERY_MS,
    .step = step,
    .without = without,
    .begin = begin,
    .end = end,
};
