/* fence_walk.c - see fence.h: one person's way among the zones, judged. */
#include "place/fence_inside.h"

#include <math.h>
#include <string.h>

#define DOUBT_LEAST 3.0   /* metres: no receiver is better than that for long, whatever it says */
#define VAGUE_LEAST 100.0 /* metres: a worse fix decides nothing about a smaller zone */
#define STEP_LEAST  (2 * INSTANT_SECOND)
#define STEP_MOST   (60 * INSTANT_SECOND)
#define SLOWER      0.9 /* of the limit: then it is over */

typedef struct taking {
    fences *f;
    fence_walker *w;
    text person;
    const text *roles;
    size_t role_count;
    const fix *at, *before; /* `before`: NULL when the way from there says nothing */
    fence_event *events;
    size_t said;
} taking;

/* ---- what is known of a fix ---- */

static double doubt_of(const fix *at) {
    return at->accuracy > 0 ? fmax(at->accuracy, DOUBT_LEAST) : FENCE_DOUBT;
}

static spot spot_of(const fix *at) {
    return (spot){at->lon, at->lat};
}

static double seconds(instant length) {
    return (double)length / (double)INSTANT_SECOND;
}

static bool is_place(const fix *at) {
    return isfinite(at->lat) && isfinite(at->lon) && fabs(at->lat) <= 90 && fabs(at->lon) <= 180;
}

/* Could one have come from there to here? */
static bool reachable(const fix *from, const fix *to) {
    double way = fix_distance(from, to) - doubt_of(from) - doubt_of(to);
    double fastest = to->speed > 0 ? fmax(FENCE_FASTEST, 1.5 * to->speed) : FENCE_FASTEST;
    return way <= fastest * seconds(to->at - from->at);
}

/* As the device has it; else by the way since the last fix, as far as that is beyond doubt. */
static double speed_of(const taking *t) {
    const fix *from = t->before, *to = t->at;
    if (isfinite(to->speed) && to->speed >= 0)
        return to->speed;
    if (!from || to->at - from->at < STEP_LEAST || to->at - from->at > STEP_MOST)
        return NAN;
    double way = fix_distance(from, to) - doubt_of(from) - doubt_of(to);
    return fmax(0, way) / seconds(to->at - from->at);
}

/* ---- events ---- */

static bool room_for(const taking *t, size_t count) {
    return t->said + count <= FENCE_EVENTS_MAX;
}

static fence_event *say(taking *t, fence_kind kind, const fence_zone *z, instant at, instant since) {
    fence_event *e = &t->events[t->said++];
    *e = (fence_event){.kind = kind, .at = at, .since = since, .where = *t->at, .for_s = NAN, .speed = NAN};
    memcpy(e->zone, z->name, strlen(z->name) + 1);
    return e;
}

static void leave(taking *t, const fence_zone *z, fence_record *r) {
    bool unchecked = z->check_in && !r->checked;
    if (!room_for(t, unchecked ? 2 : 1))
        return;
    say(t, FENCE_LEFT, z, r->out_since, r->since)->for_s = seconds(r->out_since - r->since);
    if (unchecked)
        say(t, FENCE_LEFT_UNCHECKED, z, r->out_since, r->since)->for_s = seconds(r->out_since - r->since);
    r->gone = true;
}

static void dwell(taking *t, const fence_zone *z, fence_record *r, instant now) {
    instant due = r->since + z->dwell;
    if (z->dwell == 0 || r->dwelled || now < due || !room_for(t, 1))
        return;
    if (r->out_since && r->out_since < due && now - r->out_since < FENCE_GAP)
        return; /* they may have left before it was due: the next fix says so, if one comes */
    say(t, FENCE_DWELLED, z, due, r->since)->for_s = seconds(z->dwell);
    r->dwelled = true;
}

static void watch_speed(taking *t, const fence_zone *z, fence_record *r) {
    double speed = isnan(z->limit) ? NAN : speed_of(t);
    if (isnan(speed))
        return;
    if (speed <= z->limit) {
        r->speeding = r->speeding && speed > SLOWER * z->limit;
        r->fast_since = r->speeding ? r->fast_since : 0;
        return;
    }
    if (!r->fast_since || t->at->at - r->fast_at > STEP_MOST) /* of what was between, nothing is known */
        r->fast_since = t->at->at, r->fastest = speed;
    r->fast_at = t->at->at;
    r->fastest = fmax(r->fastest, speed);
    if (r->speeding || t->at->at - r->fast_since < FENCE_SURE || !room_for(t, 1))
        return;
    fence_event *e = say(t, FENCE_SPEEDING, z, t->at->at, r->fast_since);
    e->speed = r->fastest;
    e->for_s = seconds(t->at->at - r->fast_since);
    r->speeding = true;
}

/* ---- one zone ---- */

static bool is_vague(const fence_zone *z, double doubt) {
    return doubt > fmax(shape_size(z->where), VAGUE_LEAST);
}

static void stay(taking *t, const fence_zone *z, fence_record *r, double depth) {
    double doubt = doubt_of(t->at);
    if (-depth > z->margin + doubt) {
        r->out_since = r->out_since ? r->out_since : t->at->at;
        if (t->at->at - r->out_since >= FENCE_SURE)
            leave(t, z, r);
        return;
    }
    if (!is_vague(z, doubt))
        r->out_since = 0;
    dwell(t, z, r, t->at->at);
    watch_speed(t, z, r);
}

static void enter(taking *t, const fence_zone *z, fence_record *r) {
    if (!room_for(t, 1))
        return;
    say(t, FENCE_ENTERED, z, r->in_since, r->in_since);
    r->inside = true;
    r->since = r->in_since;
}

static bool passed(const taking *t, const fence_zone *z, const fix *from) {
    return t->at->at - from->at <= FENCE_GAP && shape_crossed(z->where, spot_of(from), spot_of(t->at));
}

/* Not inside so far. */
static void approach(taking *t, const fence_zone *z, fence_record *r, double depth) {
    double doubt = doubt_of(t->at);
    if (is_vague(z, doubt))
        return;
    if (-depth > doubt) { /* surely outside */
        r->gone = true;
        if (r->has_out && passed(t, z, &r->out)) {
            r->gone = room_for(t, 1);
            if (r->gone)
                say(t, FENCE_PASSED, z, t->at->at, t->at->at);
        }
        return;
    }
    if (depth < 0) {
        r->in_since = 0;
        return;
    }
    r->in_since = r->in_since ? r->in_since : t->at->at;
    if (depth >= doubt || t->at->at - r->in_since >= FENCE_SURE)
        enter(t, z, r);
}

static bool counts(const taking *t, const fence_zone *z) {
    return fence_zone_for(z, t->person, t->roles, t->role_count) && schedule_on(&z->when, t->at->at);
}

static void step(taking *t, fence_record *r) {
    const fence_zone *z = t->f->zones[r->index];
    double depth = shape_depth(z->where, spot_of(t->at));
    if (!counts(t, z))
        r->gone = true;
    else if (isnan(depth))
        return; /* no memory for now: the next fix says more */
    else if (r->inside)
        stay(t, z, r, depth);
    else
        approach(t, z, r, depth);
}

static bool was_outside(const taking *t, const fence_zone *z) {
    return t->before && -shape_depth(z->where, spot_of(t->before)) > doubt_of(t->before);
}

/* Not near, or nobody knows: an order in which the costly questions are the rare ones. */
static void pass_by(taking *t, const fence_zone *z) {
    if (t->before && room_for(t, 1) && passed(t, z, t->before) && was_outside(t, z))
        say(t, FENCE_PASSED, z, t->at->at, t->at->at);
}

/* A zone whose neighbourhood the way touched, and that there is no record of. */
static void meet(void *context, size_t index) {
    taking *t = context;
    const fence_zone *z = t->f->zones[index];
    double doubt = doubt_of(t->at);
    if (fence_walker_knows(t->w, index) || !counts(t, z))
        return;
    double depth = shape_depth(z->where, spot_of(t->at));
    bool vague = is_vague(z, doubt);
    if (isnan(depth))
        return;
    if (!vague && -depth > doubt) {
        pass_by(t, z);
        return;
    }
    bool outside = was_outside(t, z);
    fence_record *r = vague && !outside ? NULL : fence_walker_add(t->w, text_of(z->name), index);
    if (!r)
        return;
    r->has_out = outside;
    if (r->has_out)
        r->out = *t->before;
    approach(t, z, r, depth);
}

static void judge(taking *t, const fix *at, const fix *before) {
    fence_walker *w = t->w;
    fix from = before ? *before : *at, to = *at; /* they may lie in the walker, which changes */
    // cppcheck-suppress autoVariables
    t->at = &to; /* `t` is used no longer than this function runs */
    t->before = before && to.at - from.at <= FENCE_GAP ? &from : NULL;
    for (size_t i = 0; i < w->count; i++)
        step(t, &w->records[i]);
    int fault = grove_along(t->f->trees, t->before ? spot_of(&from) : spot_of(&to), spot_of(&to), meet, t);
    fence_walker_sweep(w);
    if (fault < 0)
        return; /* the next way begins where this one did, so that nothing is missed */
    if (!t->before || doubt_of(&to) <= VAGUE_LEAST) { /* the way begins where they surely were */
        w->last = to;
        w->has_last = true;
    }
    w->has_strange = false;
    w->seen = to.at;
}

size_t fences_take(fences *f, fence_walker *w, text person, const text *roles, size_t role_count,
                   const fix *at, fence_event ret_events[FENCE_EVENTS_MAX]) {
    taking t = {
        .f = f, .w = w, .person = person, .roles = roles, .role_count = role_count, .events = ret_events};
    if (!is_place(at) || at->at <= w->seen || fences_ready(f) < 0)
        return 0;
    fence_walker_align(f, w);
    if (!w->has_last || reachable(&w->last, at)) {
        judge(&t, at, w->has_last ? &w->last : NULL);
        return t.said;
    }
    if (!w->has_strange || at->at <= w->strange.at || !reachable(&w->strange, at)) {
        w->strange = *at;
        w->has_strange = true;
        return 0;
    }
    fix strange = w->strange;
    judge(&t, &strange, NULL);
    judge(&t, at, &strange);
    return t.said;
}

size_t fences_pass(fences *f, fence_walker *w, instant now, fence_event ret_events[FENCE_EVENTS_MAX]) {
    fix where = w->has_last ? w->last : fix_at(now, NAN, NAN);
    taking t = {.f = f, .w = w, .at = &where, .events = ret_events};
    fence_walker_align(f, w);
    for (size_t i = 0; i < w->count; i++) {
        fence_record *r = &w->records[i];
        const fence_zone *z = f->zones[r->index];
        r->gone = !schedule_on(&z->when, now);
        if (r->inside && !r->gone)
            dwell(&t, z, r, now);
    }
    fence_walker_sweep(w);
    return t.said;
}

void fences_checked_in(fences *f, fence_walker *w, instant now) {
    fence_walker_align(f, w);
    for (size_t i = 0; i < w->count; i++)
        if (w->records[i].inside && now >= w->records[i].since)
            w->records[i].checked = true;
}
