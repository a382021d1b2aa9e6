/* fences.c - watches the zones: hears where people are, and says who entered, left, stayed, passed or was too
 * fast (lib/place decides).
 *
 * Of each organisation one gateway judges: the one whose connection holds its advisory lock. When it dies or
 * its connection does, the lock is free within moments; another takes it, learns from the database who is
 * inside, and judges the positions since the last one was done. One that hears nothing because its broker is
 * away gives the lock back. What is said has ids made from what happened, is said before it is stored, and is
 * said again after a fault: whoever dies in between, it is one message, and nobody enters twice.
 *
 * Without the database the one that judged goes on, with the zones it has; it keeps who is inside on its
 * shelf. When it dies then, the first of those left stands in: they know who is inside from the database as
 * it was, and from what was said since. Another may judge as well, if one alone lost the database: both say
 * the same. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/fences/fences.h"

extern const service service_fences;

#define EVERY_MS    250
#define TURN_MS     100
#define PASS_MS     1000
#define TRY_MS      1000
#define DEAF_MS     5000
#define JUDGED_MS   5000
#define LOOK_UP_MS  30000
#define STRANGER_MS 1000
#define SHELVE_MS   10000
#define AWAY_MS     1000
#define REFRESH_MS  60000
#define FOLLOW_MS   10000
#define ALONE_MS    3000 /* so long nobody may be there to judge, before we do */
#define SAY_MOST    1024
#define SAY_FIRST   64

typedef struct watch {
    fences_ear *ear;
    uint64_t lost; /* positions, as far as counted */
    fence_org *orgs;
    service_context *s;
    int64_t passed_at_ms, connection; /* connected_ms of the connection that holds our locks */
    bool away;
} watch;

static fence_org *org_of(watch *w, const char *name) {
    for (fence_org *o = w->orgs; o; o = o->next)
        if (text_equal(text_of(o->name), text_of(name)))
            return o;
    return NULL;
}

/* ---- what was heard ---- */

static void judge(watch *w, fence_org *o, const fence_heard *one) {
    if (one->kind == FENCE_HEARD_EVENT)
        return; /* our own */
    if (one->kind == FENCE_HEARD_RAISE) {
        fence_question_raised(o, text_of(one->whose));
        return;
    }
    fence_person *p = fence_org_person(o, text_of(one->whose));
    fix at;
    if (!p)
        return;
    switch (one->kind) {
    case FENCE_HEARD_LOCATION:
        if (fences_position(one->payload, one->at, &at))
            fence_org_take(w->s, o, p, &at, one->at);
        return;
    case FENCE_HEARD_REPLY:
        fence_question_answered(w->s, o, text_of(one->whose), one->payload);
        fence_org_checked_in(o, p, one->at);
        return;
    case FENCE_HEARD_DUTY:
        fence_org_checked_in(o, p, one->at);
        return;
    case FENCE_HEARD_NOTHING:
    case FENCE_HEARD_RAISE:
    case FENCE_HEARD_EVENT:
        return;
    }
}

/* Roles decide which zones are somebody's: they are looked up before a first position is judged. */
static pg_verdict look_up(watch *w, fence_heard *all) {
    pg_verdict verdict = PG_DONE;
    for (const fence_heard *one = all; one; one = (const fence_heard *)one->item.next) {
        fence_org *o = org_of(w, one->org);
        if (o && o->held && one->kind == FENCE_HEARD_LOCATION)
            (void)fence_org_person(o, text_of(one->whose));
    }
    for (fence_org *o = w->orgs; o && w->s->c && verdict == PG_DONE; o = o->next) {
        bool everybody = fences_clock_ms() - o->refreshed_people_ms >= LOOK_UP_MS;
        bool some = o->strangers || (o->unknown && fences_clock_ms() - o->looked_up_at_ms >= STRANGER_MS);
        if (o->held && everybody)
            verdict = fences_people_refresh(w->s, o);
        if (o->held && some && verdict == PG_DONE)
            verdict = fences_people_meet(w->s, o);
    }
    return verdict;
}

static pg_verdict listen(watch *w) {
    uint64_t lost = 0, count = 0;
    fence_heard *all = fences_ear_take(w->ear, &lost);
    pg_verdict verdict = look_up(w, all);
    while (all) {
        fence_heard *one = all;
        fence_org *o = org_of(w, one->org);
        if (o && o->held) {
            judge(w, o, one);
            count += one->kind == FENCE_HEARD_LOCATION;
        } else if (o && one->kind == FENCE_HEARD_EVENT) {
            fence_org_follow(o, text_of(one->whose), one->payload);
        }
        all = (fence_heard *)one->item.next;
        free(one);
    }
    service_count(w->s, "mayday_gateway_zone_positions_total", count);
    if (lost > w->lost)
        service_count(w->s, "mayday_gateway_zone_positions_lost_total", lost - w->lost);
    w->lost = lost;
    return verdict;
}

static void pass(watch *w) {
    instant now = instant_now();
    size_t zones = 0, inside = 0, waiting = 0;
    if (fences_clock_ms() - w->passed_at_ms < PASS_MS)
        return;
    w->passed_at_ms = fences_clock_ms();
    for (fence_org *o = w->orgs; o; o = o->next) {
        if (!o->held)
            continue;
        fence_org_pass(w->s, o, now);
        fence_org_tidy(o, now);
        zones += fences_count(o->zones);
        inside += o->inside;
        waiting += o->unsaid_count;
    }
    service_gauge(w->s, "mayday_gateway_zones_watched", (double)zones);
    service_gauge(w->s, "mayday_gateway_zone_people_inside", (double)inside);
    service_gauge(w->s, "mayday_gateway_zone_messages_waiting", (double)waiting);
}

/* ---- whose it is ---- */

/* A gateway that hears nothing of an organisation must not keep it from one that does. */
static bool is_deaf(watch *w, fence_org *o) {
    if (bus_up(w->s->bus, text_of(o->name))) {
        o->down_since_ms = 0;
        return false;
    }
    if (o->down_since_ms == 0)
        o->down_since_ms = fences_clock_ms();
    return fences_clock_ms() - o->down_since_ms >= DEAF_MS;
}

static pg_verdict settle_lease(watch *w, fence_org *o) {
    pg_verdict verdict = PG_DONE;
    bool deaf = is_deaf(w, o);
    if (o->locked && (deaf || !o->wanted))
        return fences_store_unlock(w->s, o);
    if (o->held && (deaf || !o->wanted)) { /* known from the shelf, and not ours to judge now */
        o->held = o->recalled = false;
        fence_org_forget(o);
    }
    if (!o->locked && o->wanted && o->down_since_ms == 0 && fences_clock_ms() - o->tried_at_ms >= TRY_MS)
        verdict = fences_store_lock(w->s, o);
    bool stale = !o->followed || fences_clock_ms() - o->followed_at_ms >= FOLLOW_MS;
    if (verdict == PG_DONE && o->wanted && !o->held && o->down_since_ms == 0 && stale)
        verdict = fences_store_follow(w->s, o);
    return verdict;
}

static pg_verdict settle_leases(watch *w) {
    pg_verdict verdict = PG_DONE;
    if (w->connection != w->s->connected_ms) {
        w->connection = w->s->connected_ms;
        for (fence_org *o = w->orgs; o; o = o->next) {
            o->locked = false;
            o->tried_at_ms = 0;
        }
    }
    for (fence_org *o = w->orgs; o && verdict == PG_DONE; o = o->next)
        verdict = settle_lease(w, o);
    return verdict;
}

/* ---- saying and storing ---- */

/* Who is still inside is stored now and then as well, with when they were seen. */
static void refresh(fence_org *o) {
    if (fences_clock_ms() - o->refreshed_at_ms < REFRESH_MS)
        return;
    o->refreshed_at_ms = fences_clock_ms();
    for (fence_person *p = o->people; p; p = p->hh.next)
        if (fence_walker_inside(p->walker) > 0)
            p->dirty = true;
}

static pg_verdict finish(watch *w, fence_org *o, bool *ret_again) {
    int64_t now = fences_clock_ms();
    pg_verdict verdict = fence_questions_look(w->s, o);
    if (verdict != PG_DONE)
        return verdict;
    bool said = fence_org_say(w->s, o, SAY_MOST);
    *ret_again = *ret_again || (said && o->unsaid);
    if (!o->locked) /* another may have it by now, and what it stores is right */
        return PG_DONE;
    refresh(o);
    verdict = fences_store_save(w->s, o);
    if (verdict == PG_DONE && !o->unsaid && now - o->judged_at_ms >= JUDGED_MS) {
        o->judged_at_ms = now;
        verdict = fences_store_judged(w->s, o);
    }
    if (verdict == PG_DONE && o->stirred && now - o->shelved_at_ms >= SHELVE_MS)
        fences_shelve(w->s, o, false);
    return verdict;
}

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    watch *w = state;
    w->s = s;
    *ret_again = false;
    pg_verdict verdict = fences_store_look(s, &w->orgs);
    if (verdict == PG_DONE)
        verdict = settle_leases(w);
    if (verdict == PG_DONE)
        verdict = listen(w);
    if (verdict != PG_DONE)
        return verdict;
    w->away = false;
    pass(w);
    for (fence_org *o = w->orgs; o && verdict == PG_DONE; o = o->next)
        if (o->held)
            verdict = finish(w, o, ret_again);
    return verdict;
}

/* ---- without the database ---- */

/* Is there nobody to judge them, and are we the first of those who could? */
static bool is_alone(watch *w, const fence_org *o) {
    const char *judge = o->judge ? o->judge : "", *self = w->s->gateway;
    return o->wanted && bus_up(w->s->bus, text_of(o->name)) &&
           fences_ear_alone(w->ear, text_of(o->name), text_of(strcmp(judge, self) == 0 ? "" : judge),
                            text_of(self));
}

static void stand_in(watch *w, fence_org *o) {
    int64_t now = fences_clock_ms();
    if (!is_alone(w, o)) {
        o->alone_since_ms = 0;
        return;
    }
    o->alone_since_ms = o->alone_since_ms ? o->alone_since_ms : now;
    if (now - o->alone_since_ms < ALONE_MS)
        return;
    service_log(w->s, LOG_LEVEL_NOTICE, "stands in for %s: watches the zones of %s%s",
                o->judge ? o->judge : "nobody", o->name, o->followed ? "" : ", and knows of nobody inside");
    o->held = o->stood_in = o->stirred = true;
}

static void go_on(watch *w) {
    for (fence_org *o = w->orgs; o; o = o->next)
        if (!o->held)
            stand_in(w, o);
    (void)!listen(w);
    pass(w);
    for (fence_org *o = w->orgs; o; o = o->next) {
        if (!o->held)
            continue;
        fence_questions_raise(w->s, o);
        (void)fence_org_say(w->s, o, SAY_FIRST);
        if (o->stirred && fences_clock_ms() - o->shelved_at_ms >= AWAY_MS) {
            o->recalled = false; /* from here on we know more than the database */
            fences_shelve(w->s, o, true);
        }
    }
}

static void without(service_context *s, void *state, int ms) {
    watch *w = state;
    int64_t until = fences_clock_ms() + ms;
    w->s = s;
    if (!w->away)
        service_log(s, LOG_LEVEL_WARNING, "the database is away: zones are watched as they were last known");
    w->away = true;
    while (fences_clock_ms() < until && !service_stopping(s)) {
        go_on(w);
        int64_t left = until - fences_clock_ms();
        (void)poll(NULL, 0, (int)(left < 0 ? 0 : left < TURN_MS ? left : TURN_MS));
    }
}

/* ---- its life ---- */

static void end(void *state) {
    watch *w = state;
    if (!w)
        return;
    while (w->orgs) {
        fence_org *o = w->orgs;
        w->orgs = o->next;
        (void)fence_org_free(o);
    }
    (void)fences_ear_close(w->ear);
    free(w);
}

static void *begin(service_context *s) {
    watch *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->s = s;
    if (fences_ear_open(s->bus, &w->ear) < 0) {
        service_log(s, LOG_LEVEL_ERROR, "it can't begin");
        if (!w->ear) /* what the bus knows can't be freed before it ends */
            end(w);
        return NULL;
    }
    fences_recall(s, &w->orgs);
    return w;
}

const service service_fences = {
    .name = "fences",
    .channel = "mayday_zones",
    .every_ms = EVERY_MS,
    .step = step,
    .without = without,
    .begin = begin,
    .end = end,
};
