/* vigil.c - watches over people whose sensors tell how they are, and asks, or calls for help, when somebody's
 * body gives cause for concern.
 *
 *   hears     vitals and positions of everybody on MQTT (vigil/ear.c), and what this gateway's own sensors
 *             say (intake.h), whether or not a broker is there
 *   judges    by the rules of the organisation (core/body.h), for each person (vigil/people.c)
 *   talks     vital_alert to dispatch, "Are you OK?" to the person, the alarm when they don't answer
 *             (core/distress.h, vigil/talk.c); through the broker's journal as every message (vigil/say.c)
 *   with the database    of each organisation one gateway acts (vigil/lease.c); silence is made into an alarm
 *                        by the service keeper, of whichever gateway
 *   without it           it goes on with the rules at hand, and raises by itself
 *   without the broker   what our own sensors found is handed to the service standby, which tells people
 *
 * May be killed at any point: what is to be said and what was asked is on disk first, and all ids are made
 * from what they are for. Two gateways that act at once say the same messages. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "gateway/vigil/vigil.h"

extern const service service_vigil;

#define EVERY_MS   500
#define TURN_MS    200
#define MOST       2000 /* messages before we look up */
#define LOOK       (INSTANT_SECOND / 2)
#define PASS       (2 * INSTANT_SECOND)
#define OWN_LATELY (60 * INSTANT_SECOND)
#define PASS_WITH  (3600 * INSTANT_SECOND) /* who was not heard of for so long is not watched any more */

static int64_t clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

instant vigil_now(const vigil *v) {
    return v->base + (clock_ms() - v->base_ms) * 1000;
}

/* ---- a turn ---- */

static bool listen(vigil *v) {
    size_t heard = 0;
    overheard *next;
    intake_one own;
    while (heard < MOST && intake_next(v->s->intake, &own)) {
        vigil_sense(v, &own);
        heard++;
    }
    for (overheard *one = vigil_ear_take(v->ear, MOST); one; one = next) {
        next = one->next;
        vigil_hear(v, one);
        free(one);
        heard++;
    }
    return heard >= MOST;
}

/* A sensor that went silent breaks rules, too. */
static void let_pass(vigil *v) {
    finding found[BODY_FINDINGS_MAX];
    watched *p, *next;
    instant now = vigil_now(v);
    if (now - v->passed_at < PASS)
        return;
    v->passed_at = now;
    HASH_ITER(hh, v->people, p, next) {
        const body_limits *limits = now - p->heard_at < PASS_WITH ? vigil_limits(v, p) : NULL;
        size_t count = limits ? body_pass(p->body, limits, instant_now(), found) : 0;
        for (size_t i = 0; i < count; i++)
            vigil_found(v, p, &found[i], p->own_at && now - p->own_at < OWN_LATELY);
        vigil_relieve(v, p);
    }
    service_gauge(v->s, "mayday_gateway_vitals_people", (double)HASH_COUNT(v->people));
    service_gauge(v->s, "mayday_gateway_vitals_lost",
                  (double)(vigil_ear_lost(v->ear) + intake_lost(v->s->intake)));
    service_gauge(v->s, "mayday_gateway_vitals_unsent", (double)v->saying_count);
}

/* True: there is more to hear. */
static bool turn(vigil *v) {
    bool more = listen(v);
    let_pass(v);
    (void)vigil_due(v);
    vigil_speak(v);
    return more;
}

static int pause_ms(const vigil *v) {
    return v->saying_count > 0 ? TURN_MS / 4 : TURN_MS;
}

static void rest(vigil *v, int ms, int database) {
    struct pollfd fds[] = {{.fd = vigil_ear_fd(v->ear), .events = POLLIN},
                           {.fd = intake_fd(v->s->intake), .events = POLLIN},
                           {.fd = database, .events = POLLIN}};
    (void)poll(fds, ARRAY_LEN(fds), ms);
}

/* ---- the service ---- */

static void changed(void *context, const char *channel, const char *payload) {
    vigil *v = context;
    (void)channel;
    (void)payload;
    v->changed_at = vigil_now(v);
}

static pg_verdict look_after(vigil *v, bool *ret_more) {
    pg_verdict verdict = pg_notifications(v->s->c, changed, v);
    bool due = vigil_now(v) - v->looked_at >= LOOK || v->s->connected_ms != v->connected_ms;
    if (verdict != PG_DONE || !due)
        return verdict;
    verdict = pg_run(v->s->c, "SELECT 1"); /* so that one that hangs is known before it is needed */
    if (verdict == PG_DONE) {
        v->with_database = true;
        verdict = vigil_attend(v, ret_more);
    }
    if (verdict == PG_DONE)
        verdict = vigil_keep_bodies(v, ret_more);
    v->looked_at = vigil_now(v);
    return verdict;
}

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    vigil *v = state;
    bool more = false;
    v->s = s;
    pg_verdict verdict = look_after(v, &more);
    if (verdict != PG_DONE)
        return verdict;
    if (v->away_since)
        service_log(s, LOG_LEVEL_NOTICE, "the database is back");
    v->away_since = 0;
    more |= turn(v);
    if (!more)
        rest(v, pause_ms(v), pg_socket(s->c));
    *ret_again = true;
    return PG_DONE;
}

static void without(service_context *s, void *state, int ms) {
    vigil *v = state;
    instant until = vigil_now(v) + (instant)ms * 1000;
    v->s = s;
    v->with_database = false;
    if (!v->away_since) {
        v->away_since = vigil_now(v);
        service_log(s, LOG_LEVEL_WARNING, "the database is away: people are watched by the rules at hand");
    }
    while (vigil_now(v) < until && !service_stopping(s)) {
        if (!turn(v))
            rest(v, pause_ms(v), -1);
    }
}

/* ---- its life ---- */

static void end(void *state) {
    vigil *v = state;
    if (!v)
        return;
    vigil_sayings_free(v);
    vigil_people_free(v);
    (void)vigil_ear_close(v->ear);
    free(v);
}

static void *begin(service_context *s) {
    vigil *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->s = s;
    v->base = instant_now();
    v->base_ms = clock_ms();
    v->sayings_end = &v->sayings;
    v->times = (distress_times){.answer_ms = s->settings->vitals_answer_ms,
                                .quiet_ms = s->settings->vitals_quiet_ms,
                                .remind_ms = s->settings->vitals_remind_ms};
    int fault = vigil_ear_open(s->bus, s->gateway, &v->ear);
    if (fault < 0) {
        service_log(s, LOG_LEVEL_ERROR, "it can't begin");
        if (!v->ear) /* what the bus knows can't be freed before it ends */
            end(v);
        return NULL;
    }
    vigil_recall_rules(v);
    vigil_recall_talks(v);
    vigil_recall_sayings(v);
    return v;
}

const service service_vigil = {
    .name = "vigil",
    .channel = "mayday_vigil",
    .every_ms = EVERY_MS,
    .step = step,
    .without = without,
    .begin = begin,
    .end = end,
};
