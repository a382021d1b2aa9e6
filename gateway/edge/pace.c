/* pace.c - see edge/pace.h. */
#include "gateway/edge/pace.h"

#include <math.h>
#include <string.h>

#define LIVELY_MS 10000

/* ---- merging ---- */

static void add_beats(double *to, size_t *count, const double *beats, size_t more) {
    if (more > READING_RR_MAX)
        more = READING_RR_MAX;
    if (*count + more > READING_RR_MAX) { /* the oldest make room */
        size_t gone = *count + more - READING_RR_MAX;
        memmove(to, to + gone, (*count - gone) * sizeof *to);
        *count -= gone;
    }
    memcpy(to + *count, beats, more * sizeof *to);
    *count += more;
}

static void newer(double *to, double value) {
    if (!isnan(value))
        *to = value;
}

static void merge_reading(reading *to, const reading *r) {
    for (vital v = 0; v < VITALS; v++)
        if (reading_has(r, v))
            reading_put(to, v, r->value[v]);
    add_beats(to->rr_ms, &to->rr_count, r->rr_ms, r->rr_count);
    to->at = r->at > to->at ? r->at : to->at;
    to->contact = r->contact != CONTACT_UNKNOWN ? r->contact : to->contact;
    to->event = r->event != EVENT_NOTHING ? r->event : to->event;
    if (!isnan(r->motion) && !(to->motion > r->motion))
        to->motion = r->motion;
    newer(&to->quality, r->quality);
    newer(&to->battery, r->battery);
}

static bool is_urgent(const pace *p, const sensed *one) {
    const reading *r = &one->reading;
    bool turned = r->contact != CONTACT_UNKNOWN && r->contact != p->said.reading.contact;
    return one->kind == SENSED_READING && (r->event != EVENT_NOTHING || turned);
}

void pace_take(pace *p, const sensor_manners *m, const sensed *one, int64_t ms) {
    if (p->held.kind == SENSED_NOTHING) {
        p->held = *one;
        if (p->due_ms < ms)
            p->due_ms = ms;
    } else if (one->kind == SENSED_READING) {
        merge_reading(&p->held.reading, &one->reading);
    } else if (one->fix.at >= p->held.fix.at) {
        p->held = *one;
    }
    if (p->due_ms > ms + m->every_ms || is_urgent(p, one))
        p->due_ms = ms;
}

/* ---- judging ---- */

static bool reading_changed(const reading *now, const reading *before, const sensor_manners *m) {
    for (vital v = 0; v < VITALS; v++) {
        if (reading_has(now, v) != reading_has(before, v))
            return true;
        if (reading_has(now, v) && fabs(now->value[v] - before->value[v]) >= m->bands[v])
            return true;
    }
    bool trusted = isnan(now->quality) || now->quality > 0,
         was = isnan(before->quality) || before->quality > 0;
    return trusted != was || (!isnan(now->motion) && !(fabs(now->motion - before->motion) <= 0.1));
}

/* By more than the receiver's own doubt, too: one that stands still wanders. */
static bool fix_changed(const fix *now, const fix *before, const sensor_manners *m) {
    double least = m->distance;
    if (!isnan(now->accuracy) && now->accuracy / 2 > least)
        least = now->accuracy / 2;
    return fix_distance(now, before) >= least || (now->speed > 1) != (before->speed > 1);
}

static bool has_changed(const pace *p, const sensor_manners *m) {
    if (p->said.kind != p->held.kind)
        return true;
    return p->held.kind == SENSED_FIX ? fix_changed(&p->held.fix, &p->said.fix, m)
                                      : reading_changed(&p->held.reading, &p->said.reading, m);
}

static bool is_worth(pace *p, const sensor_manners *m, int64_t ms) {
    if (is_urgent(p, &p->held))
        return true;
    if (has_changed(p, m)) {
        p->lively_ms = ms + LIVELY_MS;
        return true;
    }
    return m->heartbeat_ms == 0 || ms < p->lively_ms || ms - p->said_ms >= m->heartbeat_ms;
}

static void say(pace *p, int64_t ms, sensed *ret_up) {
    reading *r = &p->held.reading;
    p->said = p->held;
    p->said_ms = ms;
    *ret_up = p->held;
    if (p->held.kind == SENSED_READING) {
        size_t count = p->unsaid_count;
        memcpy(ret_up->reading.rr_ms, p->unsaid, count * sizeof *p->unsaid);
        add_beats(ret_up->reading.rr_ms, &count, r->rr_ms, r->rr_count);
        ret_up->reading.rr_count = count;
    }
    p->unsaid_count = 0;
}

pace_verdict pace_next(pace *p, const sensor_manners *m, int64_t ms, sensed *ret_local, sensed *ret_up) {
    if (p->held.kind == SENSED_NOTHING || ms < p->due_ms)
        return PACE_WAIT;
    bool worth = is_worth(p, m, ms);
    *ret_local = p->held;
    if (worth)
        say(p, ms, ret_up);
    else if (p->held.kind == SENSED_READING)
        add_beats(p->unsaid, &p->unsaid_count, p->held.reading.rr_ms, p->held.reading.rr_count);
    p->held.kind = SENSED_NOTHING;
    p->due_ms = ms + m->every_ms - m->every_ms / 10; /* a sensor of the same beat is not always on time */
    return worth ? PACE_PUBLISH : PACE_JUDGE;
}
