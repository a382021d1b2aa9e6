/* ear.c - see fences.h: positions, check-ins, answers and alarms, from Paho's thread to the service's.
 *
 * Bounded: positions that a service which stands still would leave in the queue are not kept beyond
 * HEARD_MAX; the database has them. What people say has room of its own. */
#include "gateway/fences/fences.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/topic.h"
#include "gateway/bus/peers.h"

#define HEARD_MAX   100000
#define CHECKS_MAX  10000
#define REPLIES_MAX 2000
#define PLACE_MAX   4096
#define REPLY_MAX   (64u << 10)            /* its text may be long */
#define BEHIND      (120 * INSTANT_SECOND) /* so late a live position may be, or a clock, to be believed */
#define AHEAD       (2 * INSTANT_SECOND)   /* so far ahead of ours a clock */

struct fences_ear {
    peers *online;
    funnel *heard;
};

static fence_heard *make(fence_heard_kind kind, text org, text whose, text payload) {
    fence_heard *one = malloc(sizeof *one + org.len + whose.len + payload.len + 2);
    if (!one)
        return NULL;
    char *at = (char *)(one + 1);
    *one = (fence_heard){.kind = kind, .at = instant_now(), .org = at};
    memcpy(at, org.ptr, org.len);
    at[org.len] = '\0';
    at += org.len + 1;
    one->whose = at;
    memcpy(at, whose.ptr, whose.len);
    at[whose.len] = '\0';
    at += whose.len + 1;
    if (payload.len)
        memcpy(at, payload.ptr, payload.len);
    one->payload = (text){at, payload.len};
    return one;
}

static void hear(fences_ear *e, fence_heard_kind kind, text org, text whose, text payload) {
    if (payload.len > (kind == FENCE_HEARD_REPLY ? REPLY_MAX : PLACE_MAX) || whose.len == 0)
        return;
    fence_heard *one = make(kind, org, whose, payload);
    bool reply = kind == FENCE_HEARD_REPLY; /* their texts may be long: they have a bound of their own */
    funnel_put(e->heard, reply, one ? &one->item : NULL,
               reply ? REPLIES_MAX : HEARD_MAX + (kind == FENCE_HEARD_LOCATION ? 0 : CHECKS_MAX),
               FUNNEL_REFUSE);
}

/* The person, or incident, that a topic is about; empty: it is about none. */
static text about(text topic) {
    address where;
    return address_parse(topic, &where) ? where.id : (text){NULL, 0};
}

static void hear_location(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)sender;
    if (!retained && payload.len)
        hear(context, FENCE_HEARD_LOCATION, org, about(topic), payload);
}

/* To an incident many send where they are: whose it is, our broker says. */
static void hear_incident(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)topic;
    if (!retained && payload.len && topic_level_valid(sender))
        hear(context, FENCE_HEARD_LOCATION, org, sender, payload);
}

static void hear_reply(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)sender;
    if (!retained && payload.len)
        hear(context, FENCE_HEARD_REPLY, org, about(topic), payload);
}

static void hear_duty(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)sender;
    if (!retained && payload.len)
        hear(context, FENCE_HEARD_DUTY, org, about(topic), (text){NULL, 0});
}

static void hear_raise(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)sender;
    if (!retained && payload.len)
        hear(context, FENCE_HEARD_RAISE, org, about(topic), (text){NULL, 0});
}

/* What another gateway says: whoever may have to stand in for it knows who is inside. */
static void hear_event(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)sender;
    if (!retained && payload.len)
        hear(context, FENCE_HEARD_EVENT, org, about(topic), payload);
}

static void hear_status(void *context, text org, text topic, text payload, text sender, bool retained) {
    const fences_ear *e = context;
    (void)sender;
    (void)retained;
    peers_heard(e->online, org, topic, payload);
}

bool fences_ear_alone(fences_ear *e, text org, text judge, text self) {
    return !peers_online(e->online, org, judge) && peers_elders(e->online, org, self) == 0;
}

int fences_ear_open(bus *b, fences_ear **ret_ear) {
    static const struct {
        const char *filter;
        bus_seen seen;
    } rows[] = {{"user/+/location", hear_location}, {"alert/+/location", hear_incident},
                {"user/+/reply", hear_reply},       {"user/+/duty", hear_duty},
                {"alert/+/raise", hear_raise},      {"zone/+/event", hear_event},
                {"gateway/+/status", hear_status}};
    fences_ear *e = calloc(1, sizeof *e);
    if (e)
        e->online = peers_new();
    if (!e || !e->online) {
        free(e);
        return -ENOMEM;
    }
    int fault = funnel_new(NULL, &e->heard);
    if (fault < 0) {
        (void)peers_free(e->online);
        free(e);
        return fault;
    }
    /* From here on the bus knows it. */
    for (size_t i = 0; fault == 0 && i < ARRAY_LEN(rows); i++)
        fault = bus_listen(b, rows[i].filter, rows[i].seen, e);
    *ret_ear = e;
    return fault;
}

fences_ear *fences_ear_close(fences_ear *e) {
    if (!e)
        return NULL;
    (void)funnel_free(e->heard);
    (void)peers_free(e->online);
    free(e);
    return NULL;
}

fence_heard *fences_ear_take(fences_ear *e, uint64_t *ret_lost) {
    *ret_lost = funnel_lost(e->heard);
    return (fence_heard *)funnel_take(e->heard, SIZE_MAX);
}

/* ---- positions ---- */

instant fences_moment(instant said, instant heard_at, bool offline) {
    if (offline)
        return said < heard_at ? said : heard_at;
    return said <= heard_at + AHEAD && said >= heard_at - BEHIND ? said : heard_at;
}

static double number_of(const json *body, const char *name) {
    const json *value = json_get(body, name);
    json_kind kind = json_kind_of(value);
    return kind == JSON_NUMBER || kind == JSON_INTEGER ? json_number(value) : NAN;
}

bool fences_position(text payload, instant heard_at, fix *ret_fix) {
    CLEANUP(json_freep) json *body = NULL;
    instant said;
    if (json_parse_once(payload, &body) != JSON_OK || instant_parse(json_get_string(body, "ts"), &said) < 0)
        return false;
    const json *offline = json_get(body, "offline");
    bool waited = json_kind_of(offline) == JSON_BOOL && json_boolean(offline);
    fix at = fix_at(fences_moment(said, heard_at, waited), number_of(body, "lat"), number_of(body, "lon"));
    at.accuracy = number_of(body, "accuracy");
    at.speed = number_of(body, "speed");
    at.heading = number_of(body, "heading");
    at.altitude = number_of(body, "altitude");
    if (!isfinite(at.lat) || !isfinite(at.lon))
        return false;
    *ret_fix = at;
    return true;
}
