/* run_watch.c - the officer's body and the watch on it: some rest, a run, and a heart that races beyond
 * anything and pumps no more. The watch was out of reach, so that a quarter of an hour comes in some seconds,
 * each reading with its own time; then it tells as it happens. */
#include <math.h>
#include <stdio.h>

#include "scenes/run.h"

#define SEED   UINT64_C(21)
#define PERIOD 3 /* s, between two readings; what it kept has to stay below the limit of the broker */
#define FIXES  6 /* s, between two positions */
#define LAT    51.5055
#define LON    (-0.1657)

/* Of the day, in seconds: what it can catch up with ends where the heart goes wrong, a little before now. */
#define REST_S   240
#define WALK_S   120
#define RUN_S    480
#define KEPT_S   (REST_S + WALK_S + RUN_S)
#define AFTER_S  1200
#define STRUCK_S (KEPT_S - 30)

static const traits olga = {.age = 34,
                            .resting = 56,
                            .highest = 186,
                            .fitness = 0.75,
                            .spo2 = 97.5,
                            .temp = 36.7,
                            .breaths = 14,
                            .sway = 3,
                            .tells_contact = true,
                            .period_s = PERIOD};

void run_watch_begin(run_watch *w, instant now) {
    w->begun = now;
    /* what happens while it catches up is part of what it has to catch up with */
    day_begin(SEED, &olga, now - (instant)(KEPT_S * (1 - 1.0 / RUN_SPEED)) * INSTANT_SECOND, &w->day);
    day_add(&w->day, DOING_REST, 0.4, REST_S);
    day_add(&w->day, DOING_WALK, 0.6, WALK_S);
    day_add(&w->day, DOING_RUN, 0.35, RUN_S + AFTER_S);
    day_strike(&w->day, PERIL_ARRHYTHMIA, STRUCK_S, AFTER_S);
    life_begin(&w->day, LAT, LON, &w->life);
    w->under_way = true;
    w->least = INFINITY;
}

void run_watch_end(run_watch *w) {
    w->under_way = false;
}

bool run_watch_struck(const run_watch *w) {
    return w->now.second >= STRUCK_S;
}

/* ---- what it says ---- */

static void put(payload *p, const reading *r, vital which, int decimals) {
    if (reading_has(r, which))
        payload_number(p, vital_name(which), r->value[which], decimals);
}

static int say_reading(person *wearer, const reading *r, bool late) {
    uuid id = link_new_id();
    char below[512];
    CLEANUP(payload_release) payload p = payload_new(&id, r->at);
    put(&p, r, VITAL_HR, 0);
    put(&p, r, VITAL_SPO2, 0);
    put(&p, r, VITAL_TEMP, 1);
    payload_flag(&p, "contact", r->contact == CONTACT_GOOD);
    payload_number(&p, "quality", r->quality, 0);
    payload_number(&p, "motion", r->motion, 3);
    payload_number(&p, "battery", r->battery, 0);
    payload_text(&p, "sensor", "watch");
    if (r->event != EVENT_NOTHING)
        payload_text(&p, "event", r->event == EVENT_FALL ? "fall" : "still");
    payload_flag(&p, "offline", late);
    (void)snprintf(below, sizeof below, "user/%s/vitals", wearer->sub);
    return crowd_say(wearer, below, &p, false, TAG_NONE);
}

static int say_place(person *wearer, const fix *f, bool late) {
    uuid id = link_new_id();
    char below[512];
    CLEANUP(payload_release) payload p = payload_new(&id, f->at);
    payload_number(&p, "lat", f->lat, 7);
    payload_number(&p, "lon", f->lon, 7);
    payload_number(&p, "accuracy", f->accuracy, 1);
    payload_number(&p, "speed", f->speed, 2);
    payload_text(&p, "source", "gps");
    payload_flag(&p, "offline", late);
    (void)snprintf(below, sizeof below, "user/%s/location", wearer->sub);
    return crowd_say(wearer, below, &p, false, TAG_NONE);
}

/* ---- a line for each thing she did ---- */

static void tell(scene *s, run_watch *w, const person *wearer, instant now) {
    static const char *const does[DOINGS] = {
        [DOING_REST] = "rested", [DOING_WALK] = "walked", [DOING_RUN] = "ran"};
    const moment *m = &w->now;
    if (m->doing != w->doing || run_watch_struck(w)) {
        if (does[w->doing] && w->least < w->most)
            scene_line(s, now, "   %s %s for %lld min, pulse %.0f to %.0f", wearer->sub, does[w->doing],
                       (long long)((m->second - w->doing_since_s) / 60), w->least, w->most);
        w->doing = run_watch_struck(w) ? DOING_DOWN : m->doing;
        w->doing_since_s = m->second;
        w->least = INFINITY;
        w->most = 0;
    }
    if (m->said && reading_has(&m->body, VITAL_HR)) {
        w->least = fmin(w->least, m->body.value[VITAL_HR]);
        w->most = fmax(w->most, m->body.value[VITAL_HR]);
    }
}

static int happen(scene *s, run_watch *w, person *wearer, instant now) {
    moment *m = &w->now;
    bool late = now - (w->day.begins + m->second * INSTANT_SECOND) > 5 * INSTANT_SECOND;
    int code = EXIT_DONE;
    tell(s, w, wearer, now);
    if (m->said) {
        code = say_reading(wearer, &m->body, late);
        w->told++;
    }
    if (code == EXIT_DONE && m->placed && m->second % FIXES == 0)
        code = say_place(wearer, &m->place, late);
    return code;
}

int run_watch_turn(scene *s, run_watch *w, person *wearer, instant now) {
    int64_t caught_up = (now - w->begun) * RUN_SPEED / INSTANT_SECOND;
    int64_t happened = (now - w->day.begins) / INSTANT_SECOND;
    int64_t until = caught_up < happened ? caught_up : happened;
    while (w->under_way && w->life.second <= until && life_next(&w->life, &w->now)) {
        int code = happen(s, w, wearer, now);
        if (code != EXIT_DONE)
            return code;
    }
    return EXIT_DONE;
}
