/* recording.c - see recording.h. Read twice: once for when it begins and ends, once to print the messages.
 *
 * Moved to now, a recording keeps its distances and never says more than has passed: at the speed of life (or
 * slower) it begins now; faster, it began so long ago that its end is told as now when it is reached. */
#include "recording.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "payload.h"
#include "sense/sense.h"

#define SAMPLES_MAX (2 * 1000 * 1000)
#define LATE        (10 * INSTANT_SECOND) /* what is told later than this after its time had waited */

typedef struct making {
    recording *r;
    const recording_wish *wish;
    double battery; /* the last that was said: told with the next position */
    int fault;
} making;

static instant moment_of(const sensed *one) {
    return one->kind == SENSED_FIX ? one->fix.at : one->reading.at;
}

static bool measure(void *context, const sensed *one) {
    recording *r = context;
    instant at = moment_of(one);
    bool none = r->fixes + r->readings == 0;
    if (one->kind == SENSED_FIX)
        r->fixes++;
    else if (one->kind == SENSED_READING)
        r->readings++;
    else
        return true;
    r->first = none || at < r->first ? at : r->first;
    r->last = none || at > r->last ? at : r->last;
    return r->fixes + r->readings < SAMPLES_MAX;
}

static void put(payload *to, const char *name, double value, int decimals) {
    if (isfinite(value))
        payload_number(to, name, value, decimals);
}

static void put_fix(payload *to, const fix *f, double battery) {
    payload_number(to, "lat", f->lat, 7);
    payload_number(to, "lon", f->lon, 7);
    put(to, "accuracy", f->accuracy, 1);
    put(to, "altitude", f->altitude, 1);
    put(to, "speed", f->speed, 3);
    put(to, "heading", f->heading >= 359.95 ? 0.0 : f->heading, 1); /* 360.0 is no heading */
    payload_text(to, "source", "replay"); /* nobody is to take it for what happens now */
    put(to, "battery", battery, 0);
}

static void put_reading(payload *to, const reading *r, const char *sensor) {
    for (vital which = 0; which < VITALS; which++)
        if (reading_has(r, which))
            payload_number(to, vital_name(which), r->value[which], 2);
    if (r->rr_count > 0)
        payload_numbers(to, "rr_ms", r->rr_ms, r->rr_count, 1);
    if (r->contact != CONTACT_UNKNOWN)
        payload_bool(to, "contact", r->contact == CONTACT_GOOD);
    if (r->event != EVENT_NOTHING)
        payload_text(to, "event", r->event == EVENT_FALL ? "fall" : "still");
    put(to, "quality", r->quality, 0);
    put(to, "motion", r->motion, 3);
    put(to, "battery", r->battery, 0);
    payload_text(to, "sensor", sensor);
}

static uuid fresh_id(void) {
    uint8_t random[10];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        abort(); /* cannot happen for so few bytes once the system is up */
    return uuid7_make(instant_now() / 1000, random);
}

static sample *add(recording *r) {
    if (r->count == r->room) {
        size_t room = r->room ? 2 * r->room : 1024;
        sample *grown = reallocarray(r->samples, room, sizeof *grown);
        if (!grown)
            return NULL;
        r->samples = grown;
        r->room = room;
    }
    sample *s = &r->samples[r->count++];
    *s = (sample){.state = SAMPLE_WAITS};
    return s;
}

static bool print(making *m, const sensed *one) {
    recording *r = m->r;
    sample *s = add(r);
    if (!s)
        return false;
    instant since = moment_of(one) - r->first, ts = r->begins + since;
    s->due = m->wish->speed > 0 ? (int64_t)((double)since / m->wish->speed) : 0;
    s->is_vitals = one->kind == SENSED_READING;
    uuid id = fresh_id();
    uuid_format(&id, s->id);
    CLEANUP(payload_release) payload message = payload_new(&id, ts);
    CLEANUP(buf_release) buf body = BUF(1 << 20);
    if (s->is_vitals)
        put_reading(&message, &one->reading, m->wish->sensor);
    else
        put_fix(&message, &one->fix, m->battery);
    payload_flag(&message, "offline", m->wish->now + s->due - ts > LATE);
    if (payload_print(&message, &body) < 0)
        return false;
    s->body = buf_steal(&body);
    return s->body;
}

static bool make(void *context, const sensed *one) {
    making *m = context;
    if (one->kind != SENSED_FIX && isfinite(one->reading.battery))
        m->battery = one->reading.battery;
    if (one->kind != SENSED_FIX && one->kind != SENSED_READING)
        return true;
    if (!print(m, one))
        m->fault = -ENOMEM;
    return m->fault == 0 && m->r->count < SAMPLES_MAX;
}

static instant begin_of(const recording *r, const recording_wish *wish) {
    double length = (double)(r->last - r->first);
    if (wish->as_recorded)
        return r->first;
    if (wish->speed <= 0)
        return wish->now - (instant)length;
    return wish->speed > 1 ? wish->now - (instant)(length * (1 - 1 / wish->speed)) : wish->now;
}

int recording_make(text file, const recording_wish *wish, recording *ret_recording) {
    recording r = {0};
    const unsigned char *bytes = (const unsigned char *)file.ptr;
    const recording_format *format = recording_of(bytes, file.len);
    if (!format) {
        (void)snprintf(ret_recording->broken, sizeof ret_recording->broken,
                       "it is none of FIT, GPX, TCX, NMEA and CSV with named columns");
        return -EBADMSG;
    }
    r.format = format->name;
    (void)format->play(bytes, file.len, measure, &r, r.broken); /* what is wrong stays in `broken` */
    if (r.fixes + r.readings == 0) {
        (void)snprintf(ret_recording->broken, sizeof ret_recording->broken, "%s",
                       *r.broken ? r.broken : "it holds no position and no reading");
        return -EBADMSG;
    }
    r.begins = begin_of(&r, wish);
    making m = {.r = &r, .wish = wish, .battery = NAN};
    char same[256];
    (void)format->play(bytes, file.len, make, &m, same);
    if (m.fault < 0) {
        recording_release(&r);
        return m.fault;
    }
    *ret_recording = r;
    return 0;
}

void recording_release(recording *r) {
    for (size_t i = 0; i < r->count; i++)
        free(r->samples[i].body);
    free(r->samples);
    *r = (recording){0};
}
