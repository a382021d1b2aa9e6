/* org.c - see fences.h: the people of an organisation among its zones, and what is to be said of them.
 */
#include "gateway/fences/fences.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNSAID_MAX    50000
#define BATCH         64
#define SAY_MS        2000
#define REFUSED_AT    0x80
#define REFUSALS_MAX  10
#define STAYS_MAX     256
#define IDLE          (3600 * INSTANT_SECOND)
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
    HASH_ITER(hh, o->people, p, next) {
        HASH_DEL(o->people, p);
        (void)person_free(p);
    }
}

fence_org *fence_org_free(fence_org *o) {
    if (!o)
        return NULL;
    fence_org_forget(o);
    (void)fences_free(o->zones);
    (void)json_free(o->documents);
    free(o->name);
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
    o->strangers = true;
    return p;
}

void fence_org_tidy(fence_org *o, instant now) {
    fence_person *p, *next;
    fence_stay stay;
    size_t inside = 0;
    HASH_ITER(hh, o->people, p, next) {
        size_t stays = fence_walker_stays(p->walker, &stay, 1);
        inside += stays;
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

/* ---- what there is to say ---- */

static int queue(fence_org *o, fence_person *p, fence_message *m) {
    if (m->payload.len == 0)
        return 0;
    fence_said *one = o->unsaid_count < UNSAID_MAX ? malloc(sizeof *one + m->topic.len + 1) : NULL;
    if (!one)
        return -ENOMEM;
    *one = (fence_said){.about = p};
    memcpy(one->topic, m->topic.ptr, m->topic.len + 1);
    one->payload = buf_steal(&m->payload);
    *o->unsaid_end = one;
    o->unsaid_end = &one->next;
    o->unsaid_count++;
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
    if (fault == 0)
        fault = queue(o, p, &alarm); /* the alarm first: it is what matters */
    if (fault == 0)
        fault = queue(o, p, &event);
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

void fence_org_take(service_context *s, fence_org *o, fence_person *p, const fix *at) {
    fence_event events[FENCE_EVENTS_MAX];
    text roles[ROLES_MAX];
    size_t count = json_length(p->roles) < ROLES_MAX ? json_length(p->roles) : ROLES_MAX;
    for (size_t i = 0; i < count; i++)
        roles[i] = json_string(json_at(p->roles, i));
    tell_all(s, o, p, events, fences_take(o->zones, p->walker, text_of(p->id), roles, count, at, events));
}

void fence_org_pass(service_context *s, fence_org *o, instant now) {
    fence_event events[FENCE_EVENTS_MAX];
    fence_stay stay;
    for (fence_person *p = o->people; p; p = p->hh.next) {
        bool inside = fence_walker_stays(p->walker, &stay, 1) > 0;
        tell_all(s, o, p, events, fences_pass(o->zones, p->walker, now, events));
        if (inside && fence_walker_stays(p->walker, &stay, 1) == 0)
            p->dirty = o->stirred = true; /* the zone's hours are over, or it is gone */
    }
}

void fence_org_checked_in(fence_org *o, fence_person *p, instant now) {
    fence_stay stay;
    fences_checked_in(o->zones, p->walker, now);
    if (fence_walker_stays(p->walker, &stay, 1) > 0)
        p->dirty = o->stirred = true;
}

/* ---- saying it ---- */

static void drop_first(fence_org *o) {
    fence_said *one = o->unsaid;
    o->unsaid = one->next;
    if (!o->unsaid)
        o->unsaid_end = &o->unsaid;
    o->unsaid_count--;
    one->about->unsaid--;
    free(one->payload);
    free(one);
}

/* True when it is done with. One that is refused again and again must not keep the others. */
static bool came_through(service_context *s, const fence_org *o, fence_said *one, const bus_message *m) {
    if (!m->acked)
        return false;
    if (m->reason < REFUSED_AT)
        return true;
    if (++one->refusals < REFUSALS_MAX)
        return false;
    service_log(s, LOG_LEVEL_ERROR, "the broker refuses what is said of a zone of %s (reason %#x): %s",
                o->name, (unsigned)m->reason, one->topic);
    service_count(s, REFUSE_FIGURE, 1);
    return true;
}

static bool say_some(service_context *s, fence_org *o, size_t count) {
    bus_message messages[BATCH] = {0};
    fence_said *one = o->unsaid;
    for (size_t i = 0; i < count; i++, one = one->next)
        messages[i] = (bus_message){
            .org = text_of(o->name), .topic = text_of(one->topic), .payload = text_of(one->payload)};
    (void)bus_publish(s->bus, messages, count, SAY_MS);
    for (size_t i = 0; i < count; i++) { /* in their order: what comes after one that failed is said again */
        if (!came_through(s, o, o->unsaid, &messages[i]))
            return false;
        drop_first(o);
    }
    return true;
}

bool fence_org_say(service_context *s, fence_org *o, size_t most) {
    for (size_t said = 0; o->unsaid && said < most; said += BATCH) {
        if (service_stopping(s) || !bus_up(s->bus, text_of(o->name)) ||
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
