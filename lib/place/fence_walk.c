/* fence_walk.c - see fence.h: one person's way among the zones. A walker keeps a record of each zone it is
 * in, or so near that the next fix may decide; of all others it keeps nothing. */
#include "place/fence_inside.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DOUBT_LEAST 3.0   /* metres: no receiver is better than that for long, whatever it says */
#define VAGUE_LEAST 100.0 /* metres: a worse fix decides nothing about a smaller zone */
#define STEP_LEAST  (2 * INSTANT_SECOND)
#define STEP_MOST   (60 * INSTANT_SECOND)
#define SLOWER      0.9 /* of the limit: then it is over */

typedef struct record {
    char zone[FENCE_ZONE_MAX + 1];
    size_t index; /* of the walker's edition */
    bool inside, gone;
    instant since;    /* inside: since when */
    instant in_since; /* not yet inside: all fixes since then say so; 0: none */
    instant out_since;
    bool has_out;
    fix out; /* not yet inside: the last fix that was surely outside */
    bool dwelled, checked, speeding;
    instant fast_since;
    double fastest;
} record;

struct fence_walker {
    record *records;
    size_t count, room;
    uint64_t edition;
    instant seen;
    bool has_last, has_strange;
    fix last, strange;
};

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

int fence_walker_new(fence_walker **ret_walker) {
    fence_walker *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->seen = INT64_MIN;
    *ret_walker = w;
    return 0;
}

fence_walker *fence_walker_free(fence_walker *w) {
    if (w)
        free(w->records);
    free(w);
    return NULL;
}

instant fence_walker_seen(const fence_walker *w) {
    return w->seen;
}

/* ---- records ---- */

static record *add(fence_walker *w, text zone, size_t index) {
    if (w->count == w->room) {
        size_t room = w->room ? w->room * 2 : 2;
        record *grown = reallocarray(w->records, room, sizeof *grown);
        if (!grown)
            return NULL;
        w->records = grown;
        w->room = room;
    }
    record *r = &w->records[w->count++];
    *r = (record){.index = index};
    memcpy(r->zone, zone.ptr, zone.len);
    return r;
}

static void sweep(fence_walker *w) {
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++)
        if (!w->records[i].gone) {
            if (kept != i)
                w->records[kept] = w->records[i];
            kept++;
        }
    w->count = kept;
}

/* After zones were changed: by name. A zone that is gone takes its record with it. */
static void find_again(const fences *f, fence_walker *w) {
    if (w->edition == f->edition)
        return;
    for (size_t i = 0; i < w->count; i++)
        if (!fences_find(f, text_of(w->records[i].zone), &w->records[i].index))
            w->records[i].gone = true;
    w->edition = f->edition;
    sweep(w);
}

static bool has_record(const fence_walker *w, size_t index) {
    for (size_t i = 0; i < w->count; i++)
        if (w->records[i].index == index)
            return true;
    return false;
}

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

static void leave(taking *t, const fence_zone *z, record *r) {
    bool unchecked = z->check_in && !r->checked;
    if (!room_for(t, unchecked ? 2 : 1))
        return;
    say(t, FENCE_LEFT, z, r->out_since, r->since)->for_s = seconds(r->out_since - r->since);
    if (unchecked)
        say(t, FENCE_LEFT_UNCHECKED, z, r->out_since, r->since)->for_s = seconds(r->out_since - r->since);
    r->gone = true;
}

static void dwell(taking *t, const fence_zone *z, record *r, instant now) {
    if (z->dwell == 0 || r->dwelled || now - r->since < z->dwell || !room_for(t, 1))
        return;
    say(t, FENCE_DWELLED, z, r->since + z->dwell, r->since)->for_s = seconds(z->dwell);
    r->dwelled = true;
}

static void watch_speed(taking *t, const fence_zone *z, record *r) {
    double speed = isnan(z->limit) ? NAN : speed_of(t);
    if (isnan(speed))
        return;
    if (speed <= z->limit) {
        r->speeding = r->speeding && speed > SLOWER * z->limit;
        r->fast_since = r->speeding ? r->fast_since : 0;
        return;
    }
    if (!r->fast_since)
        r->fast_since = t->at->at, r->fastest = speed;
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

static void stay(taking *t, const fence_zone *z, record *r, double depth) {
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

static void enter(taking *t, const fence_zone *z, record *r) {
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
static void approach(taking *t, const fence_zone *z, record *r, double depth) {
    double doubt = doubt_of(t->at);
    if (-depth > doubt) { /* surely outside */
        r->gone = true;
        if (r->has_out && passed(t, z, &r->out)) {
            r->gone = room_for(t, 1);
            if (r->gone)
                say(t, FENCE_PASSED, z, t->at->at, t->at->at);
        }
        return;
    }
    if (is_vague(z, doubt))
        return;
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

static void step(taking *t, record *r) {
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

/* A zone whose neighbourhood the way touched, and that there is no record of. */
static void meet(void *context, size_t index) {
    taking *t = context;
    const fence_zone *z = t->f->zones[index];
    double doubt = doubt_of(t->at);
    if (has_record(t->w, index) || !counts(t, z))
        return;
    double depth = shape_depth(z->where, spot_of(t->at));
    if (isnan(depth))
        return;
    if (-depth > doubt) { /* passing: an order in which the costly questions are the rare ones */
        if (t->before && room_for(t, 1) && passed(t, z, t->before) && was_outside(t, z))
            say(t, FENCE_PASSED, z, t->at->at, t->at->at);
        return;
    }
    record *r = is_vague(z, doubt) ? NULL : add(t->w, text_of(z->name), index);
    if (!r)
        return;
    r->has_out = was_outside(t, z);
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
    sweep(w);
    if (fault < 0)
        return; /* the next way begins where this one did, so that nothing is missed */
    w->last = to;
    w->has_last = true;
    w->has_strange = false;
    w->seen = to.at;
}

size_t fences_take(fences *f, fence_walker *w, text person, const text *roles, size_t role_count,
                   const fix *at, fence_event ret_events[FENCE_EVENTS_MAX]) {
    taking t = {
        .f = f, .w = w, .person = person, .roles = roles, .role_count = role_count, .events = ret_events};
    if (!is_place(at) || at->at <= w->seen || fences_ready(f) < 0)
        return 0;
    find_again(f, w);
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
    find_again(f, w);
    for (size_t i = 0; i < w->count; i++) {
        record *r = &w->records[i];
        const fence_zone *z = f->zones[r->index];
        r->gone = !schedule_on(&z->when, now);
        if (r->inside && !r->gone)
            dwell(&t, z, r, now);
    }
    sweep(w);
    return t.said;
}

void fences_checked_in(fences *f, fence_walker *w, instant now) {
    find_again(f, w);
    for (size_t i = 0; i < w->count; i++)
        if (w->records[i].inside && now >= w->records[i].since)
            w->records[i].checked = true;
}

/* ---- across a restart ---- */

size_t fence_walker_stays(const fence_walker *w, fence_stay *ret_stays, size_t room) {
    size_t count = 0;
    for (const record *r = w->records; r < w->records + w->count && count < room; r++) {
        if (!r->inside)
            continue;
        fence_stay *s = &ret_stays[count++];
        *s = (fence_stay){
            .since = r->since, .dwelled = r->dwelled, .checked_in = r->checked, .speeding = r->speeding};
        memcpy(s->zone, r->zone, sizeof s->zone);
    }
    return count;
}

int fence_walker_restore(fence_walker *w, const fence_stay *stay, instant seen) {
    record *r = stay ? add(w, text_of(stay->zone), 0) : NULL;
    if (stay && !r)
        return -ENOMEM;
    w->seen = seen > w->seen ? seen : w->seen;
    w->edition = 0; /* its index is not known yet */
    if (!stay)
        return 0;
    r->inside = true;
    r->since = stay->since;
    r->dwelled = stay->dwelled;
    r->checked = stay->checked_in;
    r->speeding = stay->speeding;
    return 0;
}
