/* replay.c - a recording, as if it happened now: whatever lib/sense can read, at any speed.
 *
 * It is read whole when it is opened, as small as may be, and said on time by a timer; what falls together is
 * said together, some at a time. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/conf.h"
#include "gateway/sensors/sensor.h"

extern const sensor_kind sensor_kind_replay;

/* Other sensors wait while it is read, and it is kept in memory; somebody else may have made it. */
#define FILE_MAX  ((size_t)64 << 20)
#define MOST      ((size_t)1 << 20) /* moments: twelve days of one a second */
#define BEATS_MAX ((size_t)1 << 22)
#define AT_ONCE   64 /* before others have their turn */
#define AHEAD_US  UINT64_C(1000)

/* A thing sensed without what it does not say: hours of them are kept. */
typedef struct moment {
    instant at;
    uint8_t kind, contact, event, has;
    uint16_t beats; /* how many of the next are its */
    float vitals[VITALS], quality, motion, battery;
    double lat, lon;
    float accuracy, altitude, speed, heading;
} moment;

typedef struct replay {
    sensor *s;
    sd_event_source *timer;
    moment *moments;
    size_t count, room, next;
    float *beats;
    size_t beat_count, beat_room, next_beat;
    double speed;
    bool loop, full;
    int64_t begun_us; /* when its first moment was said, by the clock of the loop */
} replay;

/* ---- reading ---- */

static bool grow(void *array, size_t *room, size_t count, size_t each, size_t most) {
    void **at = array;
    if (count < *room)
        return true;
    size_t more = *room ? *room * 2 : 1024;
    void *larger = count < most ? reallocarray(*at, more, each) : NULL;
    if (!larger)
        return false;
    *at = larger;
    *room = more;
    return true;
}

static bool keep_beats(replay *r, const reading *from) {
    for (size_t i = 0; i < from->rr_count; i++) {
        if (!grow(&r->beats, &r->beat_room, r->beat_count, sizeof *r->beats, BEATS_MAX))
            return false;
        r->beats[r->beat_count++] = (float)from->rr_ms[i];
    }
    return true;
}

static moment moment_of(const sensed *one) {
    const reading *b = &one->reading;
    const fix *f = &one->fix;
    if (one->kind == SENSED_FIX)
        return (moment){.at = f->at,
                        .kind = SENSED_FIX,
                        .lat = f->lat,
                        .lon = f->lon,
                        .accuracy = (float)f->accuracy,
                        .altitude = (float)f->altitude,
                        .speed = (float)f->speed,
                        .heading = (float)f->heading};
    moment m = {.at = b->at,
                .kind = (uint8_t)one->kind,
                .contact = (uint8_t)b->contact,
                .event = (uint8_t)b->event,
                .has = (uint8_t)b->has,
                .beats = (uint16_t)b->rr_count,
                .quality = (float)b->quality,
                .motion = (float)b->motion,
                .battery = (float)b->battery};
    for (vital v = 0; v < VITALS; v++)
        m.vitals[v] = (float)b->value[v];
    return m;
}

static bool keep(void *context, const sensed *one) {
    replay *r = context;
    if (one->kind == SENSED_NOTHING)
        return true;
    r->full = !grow(&r->moments, &r->room, r->count, sizeof *r->moments, MOST) ||
              (one->kind == SENSED_READING && !keep_beats(r, &one->reading));
    if (!r->full)
        r->moments[r->count++] = moment_of(one);
    return !r->full;
}

static int read_recording(replay *r, const char *path, char why[SENSOR_WHY_MAX]) {
    CLEANUP(buf_release) buf file = BUF(FILE_MAX);
    char reason[256] = "";
    int fault = file_read(path, FILE_MAX, &file);
    if (fault < 0) {
        (void)snprintf(why, SENSOR_WHY_MAX, "%.150s: %s", path, strerror(-fault));
        return fault;
    }
    const unsigned char *bytes = (const unsigned char *)file.ptr;
    const recording_format *format = recording_of(bytes, file.len);
    if (!format) {
        (void)snprintf(why, SENSOR_WHY_MAX, "%.150s: it is no recording that is known here", path);
        return -EINVAL;
    }
    (void)format->play(bytes, file.len, keep, r, reason); /* its fault is in `reason` */
    if (r->full)
        (void)snprintf(why, SENSOR_WHY_MAX, "%.150s: it is too long", path);
    else if (r->count == 0)
        (void)snprintf(why, SENSOR_WHY_MAX, "%.100s: %.140s", path,
                       *reason ? reason : "there is nothing in it");
    return r->full ? -EFBIG : r->count == 0 ? -EINVAL : 0; /* what came before its damage is played */
}

/* ---- playing ---- */

static void say(replay *r, const moment *m) {
    static sensed one; /* one thread runs all sensors */
    one.kind = (sensed_kind)m->kind;
    if (m->kind == SENSED_FIX) {
        one.fix = fix_at(0, m->lat, m->lon);
        one.fix.accuracy = (double)m->accuracy;
        one.fix.altitude = (double)m->altitude;
        one.fix.speed = (double)m->speed;
        one.fix.heading = (double)m->heading;
    } else {
        one.reading = reading_at(0);
        for (vital v = 0; v < VITALS; v++)
            if (m->has & 1u << v)
                reading_put(&one.reading, v, round((double)m->vitals[v] * 100) / 100);
        for (size_t i = 0; i < m->beats; i++)
            one.reading.rr_ms[one.reading.rr_count++] = (double)r->beats[r->next_beat++];
        one.reading.contact = (skin_contact)m->contact;
        one.reading.event = (body_event)m->event;
        one.reading.quality = (double)m->quality;
        one.reading.motion = (double)m->motion;
        one.reading.battery = (double)m->battery;
    }
    sensor_sensed(r->s, &one);
}

/* Recordings may step back: such a moment is due at once. */
static int64_t due_us(const replay *r) {
    int64_t into = r->moments[r->next].at - r->moments[0].at;
    return r->begun_us + (int64_t)((double)(into < 0 ? 0 : into) / r->speed);
}

static int64_t clock_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int on_time(sd_event_source *source, uint64_t usec, void *state) {
    replay *r = state;
    int64_t now = clock_us();
    (void)usec;
    for (int i = 0; i < AT_ONCE && r->next < r->count && due_us(r) <= now; i++)
        say(r, &r->moments[r->next++]);
    if (r->next == r->count) {
        if (!r->loop) {
            sensor_says(r->s, SENSOR_CLOSED, "it is over");
            return 0;
        }
        r->next = r->next_beat = 0;
        r->begun_us = now + 1000000;
    }
    int64_t left = due_us(r) - clock_us();
    (void)sd_event_source_set_time_relative(source, left > 0 ? (uint64_t)left : AHEAD_US);
    (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

/* ---- its life ---- */

static void close_replay(void *state) {
    replay *r = state;
    if (!r)
        return;
    (void)sd_event_source_disable_unref(r->timer);
    free(r->moments);
    free(r->beats);
    free(r);
}

static int open_replay(sensor *s, sd_event *loop, const json *options, void **ret_state,
                       char ret_why[SENSOR_WHY_MAX]) {
    const json *speed = json_get(options, "speed"), *again = json_get(options, "loop");
    CLEANUP(freep) char *path = text_copy(json_get_string(options, "file"));
    if (!sensor_person(s).len) {
        (void)snprintf(ret_why, SENSOR_WHY_MAX, "a recording does not say whose it is: it needs 'person'");
        return -EINVAL;
    }
    replay *r = calloc(1, sizeof *r);
    int fault = path && r ? read_recording(r, path, ret_why) : -ENOMEM;
    if (fault == 0) {
        r->s = s;
        r->speed = speed ? json_number(speed) : 1;
        r->loop = json_boolean(again);
        r->begun_us = clock_us();
        fault = sd_event_add_time_relative(loop, &r->timer, CLOCK_MONOTONIC, 0, AHEAD_US, on_time, r);
    }
    if (fault < 0) {
        close_replay(r);
        return fault;
    }
    sensor_hastens(s, r->speed);
    sensor_says(s, SENSOR_OPEN, "");
    *ret_state = r;
    return 0;
}

const sensor_kind sensor_kind_replay = {
    .name = "replay",
    .measures = "whatever was recorded: FIT, GPX, TCX, NMEA, CSV",
    .open = open_replay,
    .close = close_replay,
};
