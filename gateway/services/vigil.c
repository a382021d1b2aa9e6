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
 * Who judges waits for nobody: what is said and what the database is asked are threads of their own
 * (vigil/vigil.h). May be killed at any point: what is to be said and what was asked is on disk first, and
 * all ids are made from what they are for. Two gateways that act at once say the same messages. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "gateway/vigil/vigil.h"

extern const service service_vigil;

#define EVERY_MS   500
#define TURN_MS    200
#define MOST       2000 /* messages before we look up */
#define PASS       (2 * INSTANT_SECOND)
#define STILL      (2 * INSTANT_SECOND) /* the lease runs for four, and is renewed every second */
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

/* ---- what is heard ---- */

static bool listen(vigil *v) {
    size_t heard = 0;
    overheard *next;
    intake_one own;
    while (heard < MOST && intake_next(v->s->intake, &own)) {
        vigil_sense(v, &own);
        heard++;
    }
    for (overheard *one = vigil_ear_take(v->ear, MOST); one; one = next) {
        next = (overheard *)one->item.next;
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

/* ---- the heart ---- */

/* True: there is more to hear. */
static bool turn(vigil *v) {
    instant now = vigil_now(v);
    if (v->beat_at && now - v->beat_at >= STILL)
        vigil_stood_still(v);
    v->beat_at = now;
    bool more = listen(v);
    let_pass(v);
    vigil_due(v);
    vigil_hand_in(v);
    return more;
}

static void *heart(void *the_vigil) {
    vigil *v = the_vigil;
    struct pollfd fds[] = {{.fd = vigil_ear_fd(v->ear), .events = POLLIN},
                           {.fd = intake_fd(v->s->intake), .events = POLLIN}};
    (void)pthread_setname_np(pthread_self(), "mg-vigil-heart");
    while (!atomic_load(&v->ends)) {
        (void)pthread_mutex_lock(&v->lock);
        bool more = turn(v);
        (void)pthread_mutex_unlock(&v->lock);
        if (!more)
            (void)poll(fds, ARRAY_LEN(fds), TURN_MS);
    }
    return NULL;
}

/* ---- the service: what the database has to do with it ---- */

pg_verdict vigil_ask(vigil *v, const char *sql, size_t count, const char *const params[],
                     pg_rows **ret_rows) {
    (void)pthread_mutex_unlock(&v->lock);
    pg_verdict verdict = pg_query(v->s->c, sql, count, params, ret_rows);
    (void)pthread_mutex_lock(&v->lock);
    return verdict;
}

static void changed(void *context, const char *channel, const char *payload) {
    vigil *v = context;
    (void)channel;
    (void)payload;
    v->changed_at = vigil_now(v); /* of this thread alone */
}

static pg_verdict look_after(vigil *v, bool *ret_more) {
    pg_verdict verdict = pg_notifications(v->s->c, changed, v);
    if (verdict == PG_DONE)
        verdict = pg_run(v->s->c, "SELECT 1"); /* so that one that hangs is known before it is needed */
    (void)pthread_mutex_lock(&v->lock);
    v->with_database = verdict == PG_DONE;
    if (verdict == PG_DONE)
        verdict = vigil_attend(v, ret_more);
    if (verdict == PG_DONE)
        verdict = vigil_keep_bodies(v, ret_more);
    v->with_database = verdict == PG_DONE;
    (void)pthread_mutex_unlock(&v->lock);
    return verdict;
}

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    vigil *v = state;
    bool more = false;
    pg_verdict verdict = look_after(v, &more);
    if (verdict != PG_DONE)
        return verdict;
    if (v->away_since)
        service_log(s, LOG_LEVEL_NOTICE, "the database is back");
    v->away_since = 0;
    struct pollfd database = {.fd = pg_socket(s->c), .events = POLLIN};
    if (!more)
        (void)poll(&database, 1, EVERY_MS);
    *ret_again = true;
    return PG_DONE;
}

static void without(service_context *s, void *state, int ms) {
    vigil *v = state;
    (void)pthread_mutex_lock(&v->lock);
    v->with_database = false;
    (void)pthread_mutex_unlock(&v->lock);
    if (!v->away_since) {
        v->away_since = vigil_now(v);
        service_log(s, LOG_LEVEL_WARNING, "the database is away: people are watched by the rules at hand");
    }
    (void)poll(NULL, 0, ms);
}

/* ---- its life ---- */

/* Both threads end before the bus does. */
static void leave(void *state) {
    vigil *v = state;
    atomic_store(&v->ends, true);
    (void)eventfd_write(v->mouth_fd, 1);
    if (v->beats)
        (void)pthread_join(v->heart, NULL);
    if (v->speaks)
        (void)pthread_join(v->mouth_thread, NULL);
    v->beats = v->speaks = false;
}

static void end(void *state) {
    vigil *v = state;
    if (!v)
        return;
    leave(v);
    vigil_sayings_free(v);
    vigil_people_free(v);
    (void)vigil_ear_close(v->ear);
    if (v->mouth_fd >= 0)
        (void)close(v->mouth_fd);
    (void)pthread_mutex_destroy(&v->lock);
    free(v);
}

static bool start(vigil *v) {
    v->beats = pthread_create(&v->heart, NULL, heart, v) == 0;
    v->speaks = v->beats && pthread_create(&v->mouth_thread, NULL, vigil_mouth, v) == 0;
    if (v->speaks)
        return true;
    leave(v);
    return false;
}

static void *begin(service_context *s) {
    vigil *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->s = s;
    v->base = instant_now();
    v->base_ms = clock_ms();
    v->sayings_end = &v->sayings;
    (void)pthread_mutex_init(&v->lock, NULL);
    v->mouth_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    v->times = (distress_times){.answer_ms = s->settings->vitals_answer_ms,
                                .quiet_ms = s->settings->vitals_quiet_ms,
                                .remind_ms = s->settings->vitals_remind_ms};
    int fault = vigil_ear_open(s->bus, s->gateway, &v->ear);
    if (fault < 0 || v->mouth_fd < 0) {
        service_log(s, LOG_LEVEL_ERROR, "it can't begin");
        if (!v->ear) /* what the bus knows can't be freed before it ends */
            end(v);
        return NULL;
    }
    vigil_recall_rules(v);
    vigil_recall_talks(v);
    vigil_recall_sayings(v);
    if (start(v))
        return v;
    service_log(s, LOG_LEVEL_ERROR, "it can't begin: no threads");
    return NULL;
}

const service service_vigil = {
    .name = "vigil",
    .channel = "mayday_vigil",
    .every_ms = EVERY_MS,
    .step = step,
    .without = without,
    .begin = begin,
    .leave = leave,
    .end = end,
};
