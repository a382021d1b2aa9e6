/* org.c - see fences.h: the people of an organisation among its zones, and what is to be said of them.
 */
#include "gateway/fences/fences.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/topic.h"

#define UNSAID_MAX    50000 /* alarms have as much room again */
#define BATCH         64
#define SAY_MS        2000
#define HAND_AFTER_MS 1500
#define BRING_MS      5000
#define REFUSED_AT    0x80
#define REFUSALS_MAX  10
#define ALARM_TRIES   1000
#define STAYS_MAX     256
#define IDLE          (3600 * INSTANT_SECOND)
#define BEHIND        (60 * INSTANT_SECOND) /* a position as old waited on its device */
#define BEHIND_MS     10000                 /* and may be followed by others for so long */
#define AHEAD         (5 * INSTANT_SECOND)
#define EVENT_FIGURE  "mayday_gateway_zone_events_total"
#define REFUSE_FIGURE "mayday_gateway_zone_events_given_up_total"

/* ---- organisations and people ---- */

fence_org *fence_org_new(text name) {
    fence_org *o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->name = text_copy(name);
    o->unsaid_end = &o->unsaid;
    if (!o->name || fences_new(&o->zones) < 0)
        return fence_org_free(o);
    return o;
}

static fence_person *person_free(fence_person *p) {
    if (!p)
        return NULL;
    free(p->id);
    free(p->name);
    free(p->lang);
    (void)json_free(p->roles);
    (void)fence_walker_free(p->walker);
    free(p);
    return NULL;
}

void fence_org_forget(fence_org *o) {
    fence_person *p, *next;
    while (o->unsaid) {
        fence_said *one = o->unsaid;
        o->unsaid = one->next;
        free(one->payload);
        free(one);
    }
    o->unsaid_end = &o->unsaid;
    o->unsaid_count = o->inside = 0;
    o->followed = o->stood_in = false;
    fence_questions_forget(o);
    HASH_ITER(hh, o->people, p, next) {
        HASH_DEL(o->people, p);
        (void)person_free(p);
    }
}

fence_org *fence_org_free(fence_org *o) {
    if (!o)
        return NULL;
    fence_org_forget(o);
    fence_directory_free(o);
    (void)fences_free(o->zones);
    (void)json_free(o->documents);
    free(o->name);
    free(o->judge);
    free(o);
    return NULL;
}

fence_person *fence_org_person(fence_org *o, text id) {
    fence_person *p = NULL;
    HASH_FIND(hh, o->people, id.ptr, id.len, p);
    if (p)
        return p;
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->id = text_copy(id);
    if (!p->id || fence_walker_new(&p->walker) < 0)
        return person_free(p);
    HASH_ADD_KEYPTR(hh, o->people, p->id, id.len, p);
    if (!p->hh.tbl)
        return person_free(p); /* there was no memory for it */
    fence_person_introduce(o, p);
    return p;
}

void fence_org_tidy(fence_org *o, instant now) {
    fence_person *p, *next;
    size_t inside = 0;
    HASH_ITER(hh, o->people, p, next) {
        size_t stays = fence_walker_inside(p->walker);
        inside += stays > 0;
        if (stays || p->dirty || p->unsaid || fence_walker_seen(p->walker) > now - IDLE)
            continue;
        HASH_DEL(o->people, p);
        (void)person_free(p);
    }
    o->inside = inside;
}

/* ---- zones ---- */

static bool names(const json *documents, text zone) {
    for (size_t i = 0; i < json_length(documents); i++)
        if (text_equal(json_get_string(json_at(documents, i), "zone"), zone))
            return true;
    return false;
}

int fence_org_load(fence_org *o, const json *documents, fence_bad bad, void *context) {
    for (size_t i = 0; i < json_length(o->documents); i++) {
        text zone = json_get_string(json_at(o->documents, i), "zone");
        if (!names(documents, zone))
            fences_drop(o->zones, zone);
    }
    for (size_t i = 0; i < json_length(documents); i++) {
        char why[FENCE_WHY_MAX] = "";
        const json *zone = json_at(documents, i);
        text name = json_get_string(zone, "zone");
        const json *was = fences_zone(o->zones, name);
        int fault = was && json_same(was, zone) ? 0 : fences_put(o->zones, zone, why);
        if (fault == -EBADMSG)
            bad(context, name, why);
        else if (fault < 0)
            return fault;
    }
    json *kept = json_share(documents);
    if (!kept)
        return -ENOMEM;
    (void)json_free(o->documents);
    o->documents = kept;
    o->wanted = json_length(documents) > 0;
    o->stirred = true;
    return 0;
}

/* ---- while another judges ---- */

void fence_org_follow(fence_org *o, text zone, text event) {
    CLEANUP(json_freep) json *body = NULL;
    fence_stay stay = {0};
    if (!o->followed || json_parse_once(event, &body) != JSON_OK || zone.len > FENCE_ZONE_MAX)
        return;
    text id = json_get_string(body, "person");
    fence_kind kind = fence_kind_of(json_get_string(body, "event"));
    fence_person *p = id.len ? fence_org_person(o, id) : NULL;
    if (!p || instant_parse(json_get_string(body, "ts"), &stay.since) < 0)
        return;
    if (kind == FENCE_ENTERED || kind == FENCE_LEFT)
        fence_walker_leave(p->walker, zone);
    memcpy(stay.zone, zone.ptr, zone.len);
    if (kind == FENCE_ENTERED || kind == FENCE_LEFT)
        (void)!fence_walker_restore(p->walker, kind == FENCE_ENTERED ? &stay : NULL, stay.since);
}

/* ---- what there is to say ---- */

static void put_last(fence_org *o, fence_said *one) {
    one->next = NULL;
    *o->unsaid_end = one;
    o->unsaid_end = &one->next;
    o->unsaid_count++;
}

int fence_org_queue(fence_org *o, fence_person *p, fence_message *m, bool alarm, const char *check) {
    size_t room = alarm ? 2 * UNSAID_MAX : UNSAID_MAX;
    if (m->payload.len == 0)
        return 0;
    fence_said *one = o->unsaid_count < room ? malloc(sizeof *one + m->topic.len + 1) : NULL;
    if (!one)
        return -ENOMEM;
    *one = (fence_said){.about = p, .alarm = alarm, .since_ms = fences_clock_ms()};
    (void)snprintf(one->check, sizeof one->check, "%s", check ? check : "");
    memcpy(one->topic, m->topic.ptr, m->topic.len + 1);
    one->payload = buf_steal(&m->payload);
    put_last(o, one);
    p->unsaid++;
    return 0;
}

static void tell(service_context *s, fence_org *o, fence_person *p, const fence_event *what) {
    CLEANUP(fence_message_release) fence_message event = {0};
    CLEANUP(fence_message_release) fence_message alarm = {0};
    char label[48];
    fence_news n = {
        .org = o->name, .who = p, .what = what, .zone = fences_zone(o->zones, text_of(what->zone))};
    int fault = fence_spell_event(&n, &event);
    if (fault == 0)
        fault = fence_spell_alarm(&n, &alarm);
    if (fault == 0 && *alarm.check)
        fence_question_begin(s, o, p, buf_text(&alarm.payload));
    if (fault == 0) /* the alarm first: it is what matters */
        fault = fence_org_queue(o, p, &alarm, alarm.alarm, alarm.check);
    if (fault == 0)
        fault = fence_org_queue(o, p, &event, false, NULL);
    if (fault < 0)
        service_log(s, LOG_LEVEL_ERROR, "an event of zone '%s' of %s is lost: %s", what->zone, o->name,
                    strerror(-fault));
    (void)snprintf(label, sizeof label, "event=\"%s\"", fence_kind_name(what->kind));
    service_count_of(s, EVENT_FIGURE, label, 1);
}

static void tell_all(service_context *s, fence_org *o, fence_person *p, const fence_event *events,
                     size_t count) {
    for (size_t i = 0; i < count; i++)
        tell(s, o, p, &events[i]);
    if (count) {
        p->dirty = true;
        o->stirred = true;
    }
}

#define ROLES_MAX 64

static void note_loss(fence_org *o, fence_person *p, size_t inside) {
    if (fence_walker_inside(p->walker) < inside)
        p->dirty = o->stirred = true; /* without a word: its hours are over, it is gone, or not theirs */
}

void fence_org_take(service_context *s, fence_org *o, fence_person *p, const fix *at, instant heard_at) {
    fence_event events[FENCE_EVENTS_MAX];
    text roles[ROLES_MAX];
    size_t inside = fence_walker_inside(p->walker);
    instant now = instant_now();
    if (fence_walker_seen(p->walker) > now + AHEAD)
        fence_walker_rewind(p->walker, now);
    if (heard_at > at->at && heard_at - at->at > BEHIND)
        p->behind_ms = fences_clock_ms() + BEHIND_MS;
    size_t count = json_length(p->roles) < ROLES_MAX ? json_length(p->roles) : ROLES_MAX;
    for (size_t i = 0; i < count; i++)
        roles[i] = json_string(json_at(p->roles, i));
    tell_all(s, o, p, events, fences_take(o->zones, p->walker, text_of(p->id), roles, count, at, events));
    note_loss(o, p, inside);
}

void fence_org_pass(service_context *s, fence_org *o, instant now) {
    fence_event events[FENCE_EVENTS_MAX];
    int64_t clock_ms = fences_clock_ms();
    for (fence_person *p = o->people; p; p = p->hh.next) {
        size_t inside = fence_walker_inside(p->walker);
        if (inside == 0 || clock_ms < p->behind_ms) /* what has not come yet may say that they left in time */
            continue;
        tell_all(s, o, p, events, fences_pass(o->zones, p->walker, now, events));
        note_loss(o, p, inside);
    }
}

void fence_org_checked_in(fence_org *o, fence_person *p, instant now) {
    fences_checked_in(o->zones, p->walker, now);
    if (fence_walker_inside(p->walker) > 0)
        p->dirty = o->stirred = true;
}

/* ---- saying it ---- */

static fence_said *take_first(fence_org *o) {
    fence_said *one = o->unsaid;
    o->unsaid = one->next;
    if (!o->unsaid)
        o->unsaid_end = &o->unsaid;
    o->unsaid_count--;
    return one;
}

/* Of a raise its incident. */
static bool incident_of(const fence_said *one, text *ret_alert) {
    address where;
    if (!one->alarm || !address_parse(text_of(one->topic), &where) || where.family != ADDRESS_ALERT)
        return false;
    *ret_alert = where.id;
    return true;
}

static void drop_first(service_context *s, fence_org *o) {
    fence_said *one = take_first(o);
    text alert;
    if (one->handed && incident_of(one, &alert))
        handed_drop(s->local, alert);
    one->about->unsaid--;
    free(one->payload);
    free(one);
}

/* One that is refused again and again must not keep the others; an alarm goes behind them, and is tried for
 * long: a broker whose disk is full takes it when there is room. */
static void refused(service_context *s, fence_org *o, fence_said *one, const bus_message *m) {
    if (one->alarm && one->refusals < ALARM_TRIES) {
        put_last(o, take_first(o));
        return;
    }
    service_log(s, LOG_LEVEL_ERROR, "the broker refuses what is said of a zone of %s (reason %#x): %s",
                o->name, (unsigned)m->reason, one->topic);
    service_count(s, REFUSE_FIGURE, 1);
    drop_first(s, o);
}

/* Of the first; false: it is still the first. */
static bool came_through(service_context *s, fence_org *o, const bus_message *m) {
    fence_said *one = o->unsaid;
    if (!m->acked)
        return false;
    if (m->reason < REFUSED_AT) {
        if (*one->check)
            fence_question_asked(o, one->check);
        drop_first(s, o);
        return true;
    }
    if (++one->refusals % REFUSALS_MAX != 0)
        return false;
    refused(s, o, one, m);
    return true;
}

static bool say_some(service_context *s, fence_org *o, size_t count) {
    bus_message messages[BATCH] = {0};
    fence_said *one = o->unsaid;
    for (size_t i = 0; i < count; i++, one = one->next)
        messages[i] = (bus_message){
            .org = text_of(o->name), .topic = text_of(one->topic), .payload = text_of(one->payload)};
    (void)bus_publish(s->bus, messages, count, SAY_MS);
    for (size_t i = 0; i < count; i++) /* in their order: what comes after one that failed is said again */
        if (!came_through(s, o, &messages[i]))
            return false;
    return true;
}

/* Alarms that no broker takes are told by the service standby. */
static void hand_in(service_context *s, fence_org *o) {
    text alert;
    for (fence_said *one = o->unsaid; one; one = one->next) {
        if (one->handed || fences_clock_ms() - one->since_ms < HAND_AFTER_MS || !incident_of(one, &alert))
            continue;
        int fault = handed_put(s->local, text_of(o->name), alert, text_of(one->payload));
        if (fault < 0) {
            service_log(s, LOG_LEVEL_ERROR,
                        "an alarm that no broker takes can't be handed to standby (%s); trying again",
                        strerror(-fault));
            return;
        }
        one->handed = true;
        service_log(s, LOG_LEVEL_WARNING, "%s: no broker takes incident %.*s: it is told from here", o->name,
                    (int)alert.len, alert.ptr);
    }
}

/* With the database what was told from here is brought in first, for some seconds at most (standby/handed.h).
 */
static bool is_held_back(service_context *s, const fence_org *o) {
    fence_said *one = o->unsaid;
    text alert;
    if (!one->handed || !s->c || !incident_of(one, &alert))
        return false;
    one->back_ms = one->back_ms ? one->back_ms : fences_clock_ms();
    return fences_clock_ms() - one->back_ms < BRING_MS && handed_is_told(s->local, text_of(o->name), alert);
}

bool fence_org_say(service_context *s, fence_org *o, size_t most) {
    hand_in(s, o);
    for (size_t said = 0; o->unsaid && said < most; said += BATCH) {
        if (service_stopping(s) || !bus_up(s->bus, text_of(o->name)) || is_held_back(s, o) ||
            !say_some(s, o, o->unsaid_count < BATCH ? o->unsaid_count : BATCH))
            return false;
    }
    return true;
}

/* ---- as it is stored ---- */

static int put_time(json *to, const char *name, instant at) {
    char spelled[INSTANT_TEXT_LEN + 1];
    instant_format(at < 0 ? 0 : at, spelled);
    return json_put(to, name, json_new_string(text_of(spelled)));
}

static int add_stay(json *stays, const fence_stay *stay) {
    CLEANUP(json_freep) json *one = json_new_object();
    int fault = one ? json_put(one, "zone", json_new_string(text_of(stay->zone))) : -ENOMEM;
    if (fault == 0)
        fault = put_time(one, "since", stay->since);
    if (fault == 0)
        fault = json_put(one, "dwelled", json_new_bool(stay->dwelled));
    if (fault == 0)
        fault = json_put(one, "checked_in", json_new_bool(stay->checked_in));
    if (fault == 0)
        fault = json_put(one, "speeding", json_new_bool(stay->speeding));
    return fault < 0 ? fault : json_append(stays, json_share(one));
}

int fence_person_spell(const fence_person *p, json *list) {
    fence_stay stays[STAYS_MAX];
    CLEANUP(json_freep) json *one = json_new_object();
    CLEANUP(json_freep) json *where = json_new_array();
    size_t count = fence_walker_stays(p->walker, stays, STAYS_MAX);
    int fault = one && where ? json_put(one, "person", json_new_string(text_of(p->id))) : -ENOMEM;
    if (fault == 0)
        fault = put_time(one, "seen", fence_walker_seen(p->walker));
    for (size_t i = 0; fault == 0 && i < count; i++)
        fault = add_stay(where, &stays[i]);
    if (fault == 0)
        fault = json_put(one, "stays", json_share(where));
    return fault < 0 ? fault : json_append(list, json_share(one));
}
