/* hear.c - see vigil.h: what was heard on MQTT, or by our own sensors, as readings, fixes and answers.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/vigil/vigil.h"

#define SPEED_FRESH (60 * INSTANT_SECOND)
#define WITHIN_MAX  86400

static uint64_t hash(text id) {
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < id.len; i++)
        h = (h ^ (unsigned char)id.ptr[i]) * 1099511628211u;
    return h ? h : 1;
}

static bool is_own(const vigil *v, text id) {
    uint64_t h = hash(id);
    for (size_t i = 0; i < VIGIL_OWN_MAX; i++)
        if (v->own[i] == h)
            return true;
    return false;
}

/* ---- from messages ---- */

static bool number_of(const json *said, const char *name, double *ret_value) {
    const json *value = json_get(said, name);
    json_kind kind = json_kind_of(value);
    if (kind != JSON_INTEGER && kind != JSON_NUMBER)
        return false;
    *ret_value = json_number(value);
    return true;
}

static body_event event_of(text word) {
    return text_equal(word, TEXT("fall"))    ? EVENT_FALL
           : text_equal(word, TEXT("still")) ? EVENT_STILL
                                             : EVENT_NOTHING;
}

/* False: it is no reading. */
static bool read_vitals(const json *said, reading *ret_reading) {
    instant at;
    double value;
    if (instant_parse(json_get_string(said, "ts"), &at) < 0)
        return false;
    reading r = reading_at(at);
    for (int i = 0; i < VITALS; i++)
        if (number_of(said, vital_name((vital)i), &value))
            reading_put(&r, (vital)i, value);
    const json *rr = json_get(said, "rr_ms");
    for (size_t i = 0; i < json_length(rr) && r.rr_count < READING_RR_MAX; i++)
        r.rr_ms[r.rr_count++] = json_number(json_at(rr, i));
    if (json_kind_of(json_get(said, "contact")) == JSON_BOOL)
        r.contact = json_boolean(json_get(said, "contact")) ? CONTACT_GOOD : CONTACT_NONE;
    (void)number_of(said, "quality", &r.quality);
    (void)number_of(said, "motion", &r.motion);
    (void)number_of(said, "battery", &r.battery);
    r.event = event_of(json_get_string(said, "event"));
    *ret_reading = r;
    return reading_says_anything(&r);
}

static bool read_fix(const json *said, fix *ret_fix) {
    instant at;
    double lat, lon;
    if (instant_parse(json_get_string(said, "ts"), &at) < 0 || !number_of(said, "lat", &lat) ||
        !number_of(said, "lon", &lon))
        return false;
    *ret_fix = fix_at(at, lat, lon);
    (void)number_of(said, "accuracy", &ret_fix->accuracy);
    (void)number_of(said, "speed", &ret_fix->speed);
    return true;
}

/* ---- what it does ---- */

static void take_reading(vigil *v, watched *p, const reading *r, bool own) {
    finding found[BODY_FINDINGS_MAX];
    body_trust trust;
    instant now = instant_now();
    const body_limits *limits = vigil_limits(v, p);
    bool lately = p->place.at && llabs(r->at - p->place.at) < SPEED_FRESH;
    p->heard_at = vigil_now(v);
    p->own_at = own ? p->heard_at : p->own_at;
    if (!limits)
        return;
    size_t count = body_take(p->body, limits, r, lately ? p->place.speed : NAN, now, found, &trust);
    p->kept = false;
    service_count_of(v->s, "mayday_gateway_vitals_readings_total", own ? "from=\"own\"" : "from=\"mqtt\"", 1);
    if (trust == TRUST_NOTHING)
        service_count(v->s, "mayday_gateway_vitals_doubted_total", 1);
    for (size_t i = 0; i < count; i++)
        vigil_found(v, p, &found[i], own);
}

static void take_fix(watched *p, const fix *f) {
    if (!p->place.at || f->at >= p->place.at)
        p->place = *f;
}

static void heard_vitals(vigil *v, const overheard *one, const json *said) {
    reading r;
    watched *p = NULL;
    if (!is_own(v, json_get_string(said, "id")) && read_vitals(said, &r))
        p = vigil_person(v, text_of(one->org), text_of(one->id));
    if (p)
        take_reading(v, p, &r, false);
}

/* Where somebody is, matters once their body is watched. */
static void heard_fix(vigil *v, const overheard *one, const json *said) {
    fix f;
    watched *p = vigil_find(v, text_of(one->org), text_of(one->id));
    if (p && read_fix(said, &f))
        take_fix(p, &f);
}

static void heard_reply(vigil *v, const overheard *one, const json *said) {
    watched *p = vigil_find(v, text_of(one->org), text_of(one->id));
    if (p)
        vigil_replied(v, p, said);
}

static void heard_raise(vigil *v, const overheard *one, const json *said) {
    text person = json_get_string(said, "person");
    watched *p = vigil_find(v, text_of(one->org), person.ptr ? person : text_of(one->sender));
    if (p && person.ptr && json_boolean(json_get(said, "silent")))
        vigil_hushed(v, p);
    else if (p && !*p->alert)
        vigil_raised(v, p, text_of(one->id));
}

static void heard_state(vigil *v, const overheard *one, const json *said) {
    text status = json_get_string(said, "status");
    bool over = text_equal(status, TEXT("resolved")) || text_equal(status, TEXT("canceled"));
    watched *p = vigil_find(v, text_of(one->org), json_get_string(said, "raised_by"));
    if (!p || json_get(said, "joined"))
        return;
    if (over)
        vigil_over(v, p, text_of(one->id));
    if (text_equal(status, TEXT("canceled")))
        vigil_was_mistake(v, p);
    if (!over)
        vigil_raised(v, p, text_of(one->id));
}

/* Without the database nobody publishes how an incident goes on; then what people do to it has to do.
 * Believing that it is over is no risk: it means that they are watched again. */
static void heard_action(vigil *v, const overheard *one, const json *said) {
    text action = json_get_string(said, "action"), by = json_get_string(said, "by");
    text who = by.ptr ? by : text_of(one->sender);
    bool resolved = text_equal(action, TEXT("resolve"));
    watched *p, *next;
    if (v->with_database || (!resolved && !text_equal(action, TEXT("cancel"))))
        return;
    HASH_ITER(hh, v->people, p, next)
    if (strcmp(p->of->org, one->org) == 0 && !(resolved && text_equal(who, text_of(p->person))))
        vigil_over(v, p, text_of(one->id));
}

/* Our own come back, too. */
static void heard_check(vigil *v, const overheard *one, const json *said) {
    watched *p = vigil_find(v, text_of(one->org), text_of(one->id));
    text check = json_get_string(said, "id");
    char id[UUID_TEXT_LEN + 1];
    int64_t within = json_integer(json_get(said, "respond_within"));
    (void)snprintf(id, sizeof id, "%.*s", (int)check.len, check.ptr ? check.ptr : "");
    if (p && text_equal(json_get_string(said, "reason"), TEXT("vitals")) && within > 0 &&
        within <= WITHIN_MAX)
        vigil_follow(v, p, id, within * 1000);
}

void vigil_hear(vigil *v, const overheard *one) {
    CLEANUP(json_freep) json *said = NULL;
    if (json_parse_once(one->payload, &said) != JSON_OK)
        return;
    switch (one->kind) {
    case OVERHEARD_NOTHING:
        break;
    case OVERHEARD_VITALS:
        heard_vitals(v, one, said);
        break;
    case OVERHEARD_FIX:
        heard_fix(v, one, said);
        break;
    case OVERHEARD_REPLY:
        heard_reply(v, one, said);
        break;
    case OVERHEARD_RAISE:
        heard_raise(v, one, said);
        break;
    case OVERHEARD_STATE:
        heard_state(v, one, said);
        break;
    case OVERHEARD_ACTION:
        heard_action(v, one, said);
        break;
    case OVERHEARD_CHECK:
        heard_check(v, one, said);
        break;
    }
}

void vigil_sense(vigil *v, const intake_one *one) {
    watched *p = vigil_person(v, text_of(one->org), text_of(one->person));
    v->own[v->own_at++ % VIGIL_OWN_MAX] = hash(text_of(one->id));
    if (!p)
        return;
    if (one->what.kind == SENSED_FIX)
        take_fix(p, &one->what.fix);
    else if (one->what.kind == SENSED_READING)
        take_reading(v, p, &one->what.reading, true);
}
