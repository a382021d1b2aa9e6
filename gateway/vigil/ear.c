/* ear.c - see vigil.h: what is heard on MQTT, from Paho's thread to the heart.
 *
 * Two lanes: what people say (replies, raises, states) is few and is all kept, up to a bound that is beyond
 * all reason; readings and positions are many, and when the heart stands still the oldest go. */
#include "gateway/vigil/vigil.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/bus/peers.h"

enum {
    TALK,
    SENSED
};
#define TALK_MAX    50000
#define SENSED_MAX  40000
#define PAYLOAD_MAX (64u << 10) /* of what is ours to read; the broker's own bound is larger */

struct vigil_ear {
    char *gateway;
    funnel *heard;
    peers *online;
};

static void put_level(char to[TOPIC_LEVEL_MAX + 1], text t) {
    (void)snprintf(to, TOPIC_LEVEL_MAX + 1, "%.*s", (int)t.len, t.ptr ? t.ptr : "");
}

static overheard *make(overheard_kind kind, const address *where, text payload, text sender) {
    overheard *one = malloc(sizeof *one + payload.len + 1);
    if (!one)
        return NULL;
    *one = (overheard){.kind = kind};
    char *bytes = (char *)(one + 1);
    memcpy(bytes, payload.ptr, payload.len);
    bytes[payload.len] = '\0';
    one->payload = (text){bytes, payload.len};
    put_level(one->org, where->org);
    put_level(one->id, where->id);
    put_level(one->sender, sender);
    return one;
}

static void hear(vigil_ear *e, overheard_kind kind, text topic, text payload, text sender) {
    address where;
    bool reads = kind == OVERHEARD_VITALS || kind == OVERHEARD_FIX;
    if (!address_parse(topic, &where) || payload.len == 0 || payload.len > PAYLOAD_MAX)
        return;
    overheard *one = make(kind, &where, payload, sender);
    funnel_put(e->heard, reads ? SENSED : TALK, one ? &one->item : NULL, reads ? SENSED_MAX : TALK_MAX,
               reads ? FUNNEL_REPLACE : FUNNEL_REFUSE);
}

/* A listener for each kind: the bus tells no more than its context. */
#define HEARS(name, kind)                                                                                    \
    static void hear_##name(void *context, text org, text topic, text payload, text sender, bool retained) { \
        (void)org;                                                                                           \
        (void)retained;                                                                                      \
        hear(context, kind, topic, payload, sender);                                                         \
    }
HEARS(vitals, OVERHEARD_VITALS)
HEARS(fix, OVERHEARD_FIX)
HEARS(reply, OVERHEARD_REPLY)
HEARS(raise, OVERHEARD_RAISE)
HEARS(state, OVERHEARD_STATE)
HEARS(action, OVERHEARD_ACTION)
HEARS(check, OVERHEARD_CHECK)

static void hear_status(void *context, text org, text topic, text payload, text sender, bool retained) {
    const vigil_ear *e = context;
    (void)sender;
    (void)retained;
    peers_heard(e->online, org, topic, payload);
}

int vigil_ear_open(bus *b, const char *gateway, vigil_ear **ret_ear) {
    static const struct {
        const char *filter;
        bus_seen seen;
    } rows[] = {{"user/+/vitals", hear_vitals},  {"user/+/location", hear_fix},
                {"user/+/reply", hear_reply},    {"user/+/check", hear_check},
                {"alert/+/raise", hear_raise},   {"alert/+/state", hear_state},
                {"alert/+/action", hear_action}, {"gateway/+/status", hear_status}};
    vigil_ear *e = calloc(1, sizeof *e);
    if (!e)
        return -ENOMEM;
    e->gateway = text_copy(text_of(gateway));
    e->online = peers_new();
    if (!e->gateway || !e->online || funnel_new(NULL, &e->heard) < 0) {
        (void)vigil_ear_close(e);
        return -ENOMEM;
    }
    /* From here on the bus knows it. */
    int fault = 0;
    *ret_ear = e;
    for (size_t i = 0; fault == 0 && i < ARRAY_LEN(rows); i++)
        fault = bus_listen(b, rows[i].filter, rows[i].seen, e);
    return fault;
}

vigil_ear *vigil_ear_close(vigil_ear *e) {
    if (!e)
        return NULL;
    (void)peers_free(e->online);
    (void)funnel_free(e->heard);
    free(e->gateway);
    free(e);
    return NULL;
}

int vigil_ear_fd(const vigil_ear *e) {
    return funnel_fd(e->heard);
}

overheard *vigil_ear_take(vigil_ear *e, size_t most) {
    return (overheard *)funnel_take(e->heard, most);
}

size_t vigil_ear_elders(vigil_ear *e, text org) {
    return peers_elders(e->online, org, text_of(e->gateway));
}

size_t vigil_ear_others(vigil_ear *e, text org) {
    return peers_others(e->online, org, text_of(e->gateway));
}

uint64_t vigil_ear_lost(vigil_ear *e) {
    return funnel_lost(e->heard);
}
