/* attach.c - the edge's side of sensor.h: what is heard goes through guard and pace, then two ways. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timex.h>

#include "core/topic.h"
#include "gateway/edge/inside.h"
#include "gateway/edge/spell.h"
#include "gateway/log.h"

#define COMPLAIN_MS   60000
#define AGAIN_MS      30000
#define AGAIN_SLOW_MS 600000 /* where trying costs much and helps little: what there is is wrong */
#define SAME_EVENT_MS 30000
#define NEWCOMERS     100.0 /* people a second that a sensor speaks of for the first time */

const char *sensor_name(const sensor *s) {
    return s->name;
}

text sensor_org(const sensor *s) {
    return text_of(s->org);
}

text sensor_person(const sensor *s) {
    return text_of(s->person);
}

int64_t sensor_patience(const sensor *s) {
    return s->manners.silent_ms;
}

instant sensor_now(sensor *s) {
    return edge_now(s->e);
}

/* The kernel knows; where it does not tell, the clock is believed. */
static bool is_clock_set(void) {
    struct timex t = {.modes = 0};
    int state = adjtimex(&t);
    return state < 0 || (state != TIME_ERROR && !(t.status & STA_UNSYNC));
}

void sensor_knows_time(sensor *s, instant utc) {
    edge *e = s->e;
    (void)edge_now(e);
    int64_t step = edge_clock_hear(&e->clock, instant_now(), utc, is_clock_set());
    if (!step)
        return;
    log_line("edge", LOG_LEVEL_WARNING,
             "the machine's clock is wrong by %.0f s; the time is taken from the sensor %s",
             (double)step / (double)INSTANT_SECOND, s->name);
    backlog_shift(e->backlog, step);
}

void sensor_hastens(sensor *s, double times) {
    s->haste = times;
}

const char *sensor_state_name(sensor_state state) {
    switch (state) {
    case SENSOR_CLOSED:
        break;
    case SENSOR_SEEKING:
        return "seeking";
    case SENSOR_OPEN:
        return "open";
    }
    return "closed";
}

void sensor_says(sensor *s, sensor_state state, const char *why) {
    sensor_report *r = &s->report;
    bool changed = r->state != state;
    if (changed)
        log_line("edge", state == SENSOR_OPEN ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, "sensor %s is %s%s%s",
                 s->name, sensor_state_name(state), *why ? ": " : "", why);
    if (changed && state == SENSOR_OPEN)
        s->heard_ms = edge_ms(); /* it gets its time to speak */
    r->state = state;
    s->e->changed |= changed;
    (void)snprintf(r->why, sizeof r->why, "%s", why);
}

/* What goes wrong often is said once a minute. */
static void PRINTF_LIKE(2, 3) complain(sensor *s, const char *format, ...) {
    char line[256];
    va_list args;
    int64_t now = edge_ms();
    if (s->complained_ms && now - s->complained_ms < COMPLAIN_MS)
        return;
    s->complained_ms = now;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log_line("edge", LOG_LEVEL_WARNING, "sensor %s: %s", s->name, line);
}

void sensor_refused(sensor *s, sense_verdict verdict) {
    switch (verdict) {
    case SENSE_MALFORMED:
        s->report.malformed++;
        complain(s, "what it sends can't be read (%llu so far)", (unsigned long long)s->report.malformed);
        break;
    case SENSE_INVALID:
        s->report.refused++;
        break;
    case SENSE_IGNORED:
    case SENSE_GOOD:
        break;
    }
}

/* ---- on its way ---- */

static bool make_id(instant now, char ret_id[UUID_TEXT_LEN + 1]) {
    uint8_t noise[10];
    if (getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise)
        return false;
    uuid fresh = uuid7_make(now > 0 ? now / 1000 : 0, noise);
    uuid_format(&fresh, ret_id);
    return true;
}

/* A device that says the same again and again means the same fall: it goes up, but needs no place in front
 * of others, and none that nothing may take. */
static bool is_alarm(track *t, const sensed *one) {
    int64_t now = edge_ms();
    body_event event = one->kind == SENSED_READING ? one->reading.event : EVENT_NOTHING;
    if (event == EVENT_NOTHING || (t->event_ms[event] && now - t->event_ms[event] < SAME_EVENT_MS))
        return false;
    t->event_ms[event] = now;
    return true;
}

static void send_up(sensor *s, track *t, const sensed *one, bool ours, const char *id) {
    CLEANUP(buf_release) buf body = BUF(SPELL_BODY_MAX), topic = BUF(TOPIC_MAX);
    spell_body(one, s->name, t->battery, &body);
    buf_printf(&topic, "user/%s/%s", t->person, spell_leaf(one));
    sample *up = buf_failed(&body) == 0 && buf_failed(&topic) == 0
                     ? sample_new(text_of(s->org), buf_text(&topic), buf_text(&body))
                     : NULL;
    if (!up) {
        complain(s, "out of memory");
        return;
    }
    memcpy(up->id, id, sizeof up->id);
    up->at = one->kind == SENSED_FIX ? one->fix.at : one->reading.at;
    up->ours = ours;
    up->alarm = is_alarm(t, one);
    backlog_put(s->e->backlog, up);
    s->report.published++;
}

/* All else in this process goes by the machine's clock: a reading of years before or after it would be none
 * of now there. */
static void put_by_machine(sensed *here, int64_t correction) {
    if (here->kind == SENSED_FIX)
        here->fix.at -= correction;
    else
        here->reading.at -= correction;
}

static void pump(sensor *s, track *t, pace *p, bool ours, int64_t ms) {
    static sensed here, up; /* the edge's thread alone; they are large */
    char id[UUID_TEXT_LEN + 1];
    pace_verdict verdict = pace_next(p, &s->manners, ms, &here, &up);
    if (verdict == PACE_WAIT || !make_id(edge_now(s->e), id))
        return;
    s->report.judged++;
    put_by_machine(&here, s->e->clock.correction);
    if (intake_put(s->e->o.intake, text_of(s->org), text_of(t->person), &here, id) == INTAKE_REFUSED)
        complain(s, "nobody watches what it says: there is no room");
    if (verdict == PACE_PUBLISH)
        send_up(s, t, &up, ours, id);
}

void edge_pump(sensor *s, int64_t ms) {
    for (track *t = s->tracks; t; t = t->next) {
        if (t->body.held.kind != SENSED_NOTHING)
            pump(s, t, &t->body, t->body_ours, ms);
        if (t->place.held.kind != SENSED_NOTHING)
            pump(s, t, &t->place, t->place_ours, ms);
    }
}

/* ---- what was heard ---- */

static track *known_track(sensor *s, text person) {
    for (track **at = &s->tracks; *at; at = &(*at)->next)
        if (text_equal(text_of((*at)->person), person)) {
            track *t = *at; /* to the front: who spoke speaks again */
            *at = t->next;
            t->next = s->tracks;
            s->tracks = t;
            return t;
        }
    return NULL;
}

/* Whoever was not spoken of for the longest time makes room, unless something of theirs is to be said. */
static void forget_one(sensor *s) {
    track **oldest = NULL;
    for (track **at = &s->tracks; *at; at = &(*at)->next)
        if ((*at)->body.held.kind == SENSED_NOTHING && (*at)->place.held.kind == SENSED_NOTHING)
            oldest = at;
    if (!oldest)
        return;
    track *t = *oldest;
    *oldest = t->next;
    free(t);
    s->track_count--;
}

static track *new_track(sensor *s, text person) {
    if (s->track_count >= TRACKS_MAX)
        forget_one(s);
    track *t = s->track_count < TRACKS_MAX ? calloc(1, sizeof *t) : NULL;
    if (!t)
        return NULL;
    memcpy(t->person, person.ptr, person.len);
    t->guard.haste = s->haste;
    t->battery = NAN;
    t->next = s->tracks;
    s->tracks = t;
    s->track_count++;
    return t;
}

/* NULL: there are too many at once. One who floods uses up nobody else's share, and neither does one who
 * speaks of ever new people. */
static track *admit(sensor *s, text person, int64_t ms) {
    track *t = known_track(s, person);
    if (!t && guard_flows(&s->newcomers, NEWCOMERS, ms))
        t = new_track(s, person);
    return t && guard_flows(&t->flow, s->manners.rate, ms) ? t : NULL;
}

static void note_wrongs(sensor *s, unsigned wrong) {
    sensor_report *r = &s->report;
    r->cleared += (wrong & GUARD_CLEARED) != 0;
    r->retimed += (wrong & GUARD_RETIMED) != 0;
    r->stuck += (wrong & GUARD_STUCK) != 0;
    if (wrong & GUARD_RETIMED)
        complain(s, "its clock is wrong; what it says is given our time");
    if (wrong & GUARD_STUCK)
        complain(s, "it stands still; it is not believed");
    if (wrong & GUARD_CLEARED)
        complain(s, "it says what cannot be; that much is left out");
}

static void note_wearing(sensor *s, track *t, const sensed *one) {
    const reading *r = &one->reading;
    if (one->kind == SENSED_FIX)
        return;
    if (!isnan(r->battery))
        s->report.battery = t->battery = r->battery;
    if (one->kind == SENSED_READING && r->contact != CONTACT_UNKNOWN)
        s->report.contact = r->contact;
}

static instant time_of(const sensed *one) {
    return one->kind == SENSED_FIX ? one->fix.at : one->reading.at;
}

static bool is_ours(instant before, const sensed *after, instant now) {
    if (after->kind == SENSED_FIX)
        return before != after->fix.at;
    int64_t off = after->reading.at - now;
    return before != after->reading.at || (off < INSTANT_SECOND / 2 && off > -INSTANT_SECOND / 2);
}

static void take(sensor *s, track *t, sensed *one, int64_t ms) {
    instant now = edge_now(s->e), before = time_of(one);
    unsigned wrong = 0;
    guard_verdict verdict = guard_judge(&t->guard, one, now, ms, &wrong);
    note_wrongs(s, wrong);
    if (verdict == GUARD_IMPOSSIBLE) {
        s->report.impossible++;
        complain(s, "it says what cannot be");
        return;
    }
    note_wearing(s, t, one);
    if (one->kind == SENSED_BATTERY)
        return;
    bool place = one->kind == SENSED_FIX;
    *(place ? &t->place_ours : &t->body_ours) = is_ours(before, one, now);
    pace_take(place ? &t->place : &t->body, &s->manners, one, ms);
    edge_pump(s, ms);
}

void sensor_sensed_of(sensor *s, text person, const sensed *one) {
    static sensed copy; /* the edge's thread alone */
    int64_t ms = edge_ms();
    s->heard_ms = ms;
    s->report.heard++;
    s->e->changed |= s->report.silent;
    if (s->report.silent)
        log_line("edge", LOG_LEVEL_NOTICE, "sensor %s speaks again", s->name);
    s->report.silent = false;
    if (!topic_level_valid(person)) {
        s->report.refused++;
        complain(s, "it speaks of nobody who can be");
        return;
    }
    track *t = admit(s, person, ms);
    if (!t) {
        s->report.flooded++;
        complain(s, "it floods: more than %g readings a second of somebody; the rest is dropped",
                 s->manners.rate);
        return;
    }
    copy = *one;
    take(s, t, &copy, ms);
}

void sensor_sensed(sensor *s, const sensed *one) {
    sensor_sensed_of(s, text_of(s->person), one);
}

/* ---- its life ---- */

const sensor_kind *edge_kind(const char *name) {
    for (const sensor_kind *const *k = sensor_kinds; *k; k++)
        if (strcmp((*k)->name, name) == 0)
            return *k;
    return NULL;
}

static void copy_text(text from, char *to, size_t size) {
    size_t len = from.len < size ? from.len : size - 1;
    if (len)
        memcpy(to, from.ptr, len);
    to[len] = '\0';
}

sensor *edge_sensor_new(edge *e, const sensor_entry *entry) {
    sensor *s = calloc(1, sizeof *s);
    if (!s || !(s->whole = json_share(entry->whole))) {
        free(s);
        return NULL;
    }
    s->e = e;
    s->kind = edge_kind(entry->kind);
    s->manners = entry->manners;
    s->heard_ms = edge_ms();
    copy_text(text_of(entry->name), s->name, sizeof s->name);
    copy_text(entry->org, s->org, sizeof s->org);
    copy_text(entry->person, s->person, sizeof s->person);
    s->report = (sensor_report){.battery = NAN, .silent_s = NAN};
    copy_text(text_of(entry->name), s->report.name, sizeof s->report.name);
    copy_text(text_of(entry->kind), s->report.kind, sizeof s->report.kind);
    return s;
}

void edge_sensor_open(sensor *s) {
    char why[SENSOR_WHY_MAX] = "";
    if (!s->kind) {
        sensor_says(s, SENSOR_CLOSED, "this gateway was built without its kind");
        log_line("edge", LOG_LEVEL_ERROR, "sensor %s can't be opened: there is no such kind here", s->name);
        return;
    }
    s->report.state = SENSOR_SEEKING;
    int fault = s->kind->open(s, s->e->loop, json_get(s->whole, "options"), &s->state, why);
    s->opened = fault == 0;
    if (s->opened)
        return;
    edge_ears_forget(s->e, s);
    s->report.state = SENSOR_CLOSED;
    (void)snprintf(s->report.why, sizeof s->report.why, "%s", *why ? why : strerror(-fault));
    if (!s->again_ms)
        log_line("edge", LOG_LEVEL_ERROR, "sensor %s can't be opened: %s", s->name, s->report.why);
    s->again_ms = edge_ms() + (fault == -EINVAL || fault == -EFBIG ? AGAIN_SLOW_MS : AGAIN_MS);
}

void edge_sensor_tend(sensor *s, int64_t ms) {
    if (s->again_ms && !s->opened && ms >= s->again_ms)
        edge_sensor_open(s);
    sensor_report *r = &s->report;
    r->silent_s = r->heard ? (double)(ms - s->heard_ms) / 1000 : NAN;
    bool silent = r->state == SENSOR_OPEN && ms - s->heard_ms >= s->manners.silent_ms;
    if (silent && !r->silent)
        log_line("edge", LOG_LEVEL_WARNING, "sensor %s is silent since %lld s", s->name,
                 (long long)(ms - s->heard_ms) / 1000);
    r->silent = silent;
}

sensor *edge_sensor_free(sensor *s) {
    if (!s)
        return NULL;
    if (s->opened)
        s->kind->close(s->state);
    edge_ears_forget(s->e, s);
    while (s->tracks) {
        track *t = s->tracks;
        s->tracks = t->next;
        free(t);
    }
    (void)json_free(s->whole);
    free(s);
    return NULL;
}
