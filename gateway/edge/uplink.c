/* uplink.c - what is sensed goes to the broker: what is live first, a quota of the backlog behind it.
 *
 * The quota follows the link: as many as went through in a moment go next time, so that what is live, and
 * whatever else this gateway has to say, never stands behind more than that; and [sensors] drain bounds it,
 * so that what is live does not wait for the database behind the past. After the broker has hung up on us, a
 * single sample asks whether it takes them again: telemetry must not cost the connection that alarms go by.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gateway/edge/inside.h"
#include "gateway/edge/spell.h"
#include "gateway/log.h"

#define LIVE_MOST     64
#define QUOTA_LEAST   8
#define QUOTA_MOST    256
#define SOON_MS       120 /* a batch that took less may grow */
#define LATE_MS       350 /* one that took more shrinks */
#define TIMEOUT_MS    10000
#define REST_MS       250
#define BACKOFF_MS    500
#define BACKOFF_MOST  30000
#define SKIPPED_MS    5000
#define REFUSED_MS    5000 /* doubles, while the broker takes nothing of what waited */
#define REFUSED_TIMES 6
#define REFUSED_AT    0x80
#define SPACE_MAX     (8 << 20)
#define COMPLAIN_MS   60000

/* Those whose organisation has no connection wait on. Returns how many are left. */
static size_t leave_behind(edge *e, sample **samples, size_t count) {
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        if (bus_up(e->o.bus, samples[i]->org))
            samples[left++] = samples[i];
        else
            backlog_done(e->backlog, samples[i], samples[i]->waited ? FATE_LATER : FATE_UNSENT);
    }
    return left;
}

/* Spells all of it into one buffer. */
static int load(sample *const *samples, size_t count, bus_message *messages, buf *space) {
    size_t at[2 * QUOTA_MOST + 1];
    for (size_t i = 0; i < count; i++) {
        at[2 * i] = space->len;
        buf_printf(space, "mayday/v1/%.*s/%.*s", (int)samples[i]->org.len, samples[i]->org.ptr,
                   (int)samples[i]->topic.len, samples[i]->topic.ptr);
        at[2 * i + 1] = space->len;
        spell_message(samples[i]->id, samples[i]->at, samples[i]->waited, samples[i]->body, space);
    }
    at[2 * count] = space->len;
    for (size_t i = 0; i < count; i++)
        messages[i] = (bus_message){.org = samples[i]->org,
                                    .topic = {space->ptr + at[2 * i], at[2 * i + 1] - at[2 * i]},
                                    .payload = {space->ptr + at[2 * i + 1], at[2 * i + 2] - at[2 * i + 1]}};
    return buf_failed(space);
}

static void say_refused(edge *e, const sample *s) {
    int64_t now = edge_ms();
    atomic_fetch_add(&e->refused, 1);
    if (e->refused_ms && now - e->refused_ms < COMPLAIN_MS)
        return;
    e->refused_ms = now;
    log_line("edge", LOG_LEVEL_ERROR, "%.*s: the broker refuses what sensors say", (int)s->org.len,
             s->org.ptr);
}

typedef struct tally {
    size_t unanswered, refused, taken;
} tally;

static void settle(edge *e, sample *s, const bus_message *m, tally *t) {
    if (!m->acked) {
        atomic_fetch_add(&e->unanswered, 1);
        t->unanswered++;
        backlog_done(e->backlog, s, FATE_UNSENT);
        return;
    }
    if (m->reason >= REFUSED_AT) {
        say_refused(e, s);
        t->refused++;
        backlog_done(e->backlog, s, FATE_REFUSED);
        return;
    }
    atomic_fetch_add(s->waited ? &e->sent_late : &e->sent, 1);
    t->taken++;
    backlog_done(e->backlog, s, FATE_SENT);
}

/* Whatever is wrong (a policy, a clock) takes its time to be put right, and each try is in the broker's log.
 * When it takes again what is live, it may take the rest. */
static void heed_refusals(edge *e, const tally *t, bool live) {
    if (live && t->taken && e->live_refused) {
        e->refusals = 0;
        e->old_pause_ms = 0;
    }
    if (live)
        e->live_refused = t->refused > 0;
    if (!t->refused)
        return;
    e->refusals = t->taken ? 0 : e->refusals < REFUSED_TIMES ? e->refusals + 1 : e->refusals;
    e->old_pause_ms = edge_ms() + ((int64_t)REFUSED_MS << (e->refusals ? e->refusals - 1 : 0));
}

static void back_off(edge *e) {
    e->backoff_ms = e->backoff_ms ? e->backoff_ms * 2 : BACKOFF_MS;
    if (e->backoff_ms > BACKOFF_MOST)
        e->backoff_ms = BACKOFF_MOST;
    e->pause_until_ms = edge_ms() + e->backoff_ms;
    e->quota = QUOTA_LEAST;
}

#define HUNG_UP -1 /* the broker did */
#define NOBODY  -2 /* there is no connection for any of it */

/* Returns how long it took, or why not. */
static int64_t publish(edge *e, sample **samples, size_t count) {
    CLEANUP(buf_release) buf space = BUF(SPACE_MAX);
    bus_message messages[QUOTA_MOST] = {0};
    tally t = {0};
    count = leave_behind(e, samples, count);
    if (count == 0)
        return NOBODY;
    int64_t began = edge_ms();
    bool live = !samples[0]->waited;
    if (load(samples, count, messages, &space) == 0)
        (void)bus_publish(e->o.bus, messages, count, TIMEOUT_MS);
    for (size_t i = 0; i < count; i++)
        settle(e, samples[i], &messages[i], &t);
    heed_refusals(e, &t, live);
    if (t.unanswered) {
        back_off(e);
        return HUNG_UP;
    }
    e->backoff_ms = 0;
    return edge_ms() - began;
}

/* True: there may be more. */
static bool send_live(edge *e) {
    sample *samples[LIVE_MOST];
    size_t most = e->backoff_ms ? 1 : LIVE_MOST;
    size_t count = backlog_live(e->backlog, samples, most);
    return count > 0 && publish(e, samples, count) >= 0;
}

static bool send_old(edge *e) {
    sample *samples[QUOTA_MOST];
    int64_t began = edge_ms();
    e->rest_ms = e->old_pause_ms - began;
    if (e->rest_ms > 0)
        return false;
    size_t count = backlog_old(e->backlog, samples, e->backoff_ms ? 1 : e->quota);
    int64_t took = count ? publish(e, samples, count) : HUNG_UP;
    if (took == NOBODY) { /* what is behind it may be for somebody else */
        e->skipped = true;
        return true;
    }
    if (count == 0 && e->skipped) {
        e->skipped = false;
        e->old_pause_ms = began + SKIPPED_MS;
    }
    if (took < 0)
        return false;
    if (took <= SOON_MS && count == e->quota && e->quota < QUOTA_MOST)
        e->quota *= 2;
    else if (took >= LATE_MS && e->quota > QUOTA_LEAST)
        e->quota /= 2;
    int64_t next = began + (int64_t)count * 1000 / e->o.settings->sensors_drain;
    if (next > e->old_pause_ms)
        e->old_pause_ms = next;
    return true;
}

static void note_up(void *context, text org, bool up, uint64_t generation) {
    bool *any = context;
    (void)org;
    (void)generation;
    *any |= up;
}

static bool send_some(edge *e) {
    bool any = false;
    if (edge_ms() < e->pause_until_ms)
        return false;
    bus_each(e->o.bus, note_up, &any);
    if (!any)
        return false;
    bool live = send_live(e), old = send_old(e);
    return live || old;
}

void edge_uplink_wake(void *the_edge) {
    edge *e = the_edge;
    (void)pthread_mutex_lock(&e->sending);
    e->more = true;
    (void)pthread_cond_signal(&e->to_send);
    (void)pthread_mutex_unlock(&e->sending);
}

static void rest(edge *e) {
    struct timespec until;
    int64_t ms = e->rest_ms > 0 && e->rest_ms < REST_MS ? e->rest_ms : REST_MS;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&e->sending);
    if (!e->more)
        (void)pthread_cond_timedwait(&e->to_send, &e->sending, &until);
    e->more = false;
    (void)pthread_mutex_unlock(&e->sending);
}

void *edge_uplink(void *the_edge) {
    edge *e = the_edge;
    (void)pthread_setname_np(pthread_self(), "mg-uplink");
    e->quota = QUOTA_LEAST;
    while (!atomic_load(&e->ending)) {
        atomic_store(&e->uplink_ms, edge_ms());
        if (!send_some(e))
            rest(e);
    }
    return NULL;
}
