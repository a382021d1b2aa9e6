/* ear.c - see vigil.h: what is heard on MQTT, from Paho's thread to the heart.
 *
 * Two lanes: what people say (replies, raises, states) is few and is all kept, up to a bound that is beyond
 * all reason; readings and positions are many, and when the heart stands still the oldest go. */
#include "gateway/vigil/vigil.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TALK,
    SENSED
};
#define TALK_MAX    50000
#define SENSED_MAX  40000
#define PAYLOAD_MAX (64u << 10) /* of what is ours to read; the broker's own bound is larger */
#define PEERS_MAX   1000

typedef struct peer {
    struct peer *next;
    char *org, *gateway;
    bool online;
} peer;

struct vigil_ear {
    char *gateway;
    funnel *heard;
    pthread_mutex_t lock; /* of the peers */
    peer *peers;
    size_t peer_count;
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

static peer *peer_of(vigil_ear *e, text org, text gateway) {
    for (peer *p = e->peers; p; p = p->next)
        if (text_equal(text_of(p->org), org) && text_equal(text_of(p->gateway), gateway))
            return p;
    peer *p = e->peer_count < PEERS_MAX ? calloc(1, sizeof *p) : NULL;
    if (!p)
        return NULL;
    p->org = text_copy(org);
    p->gateway = text_copy(gateway);
    if (!p->org || !p->gateway) {
        free(p->org);
        free(p->gateway);
        free(p);
        return NULL;
    }
    p->next = e->peers;
    e->peers = p;
    e->peer_count++;
    return p;
}

static void hear_status(void *context, text org, text topic, text payload, text sender, bool retained) {
    vigil_ear *e = context;
    CLEANUP(json_freep) json *said = NULL;
    address where;
    (void)sender;
    (void)retained;
    if (!address_parse(topic, &where) || json_parse_once(payload, &said) != JSON_OK)
        return;
    (void)pthread_mutex_lock(&e->lock);
    peer *p = peer_of(e, org, where.id);
    if (p)
        p->online = text_equal(json_get_string(said, "status"), TEXT("online"));
    (void)pthread_mutex_unlock(&e->lock);
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
    (void)pthread_mutex_init(&e->lock, NULL);
    e->gateway = text_copy(text_of(gateway));
    if (!e->gateway || funnel_new(NULL, &e->heard) < 0) {
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
    while (e->peers) {
        peer *p = e->peers;
        e->peers = p->next;
        free(p->org);
        free(p->gateway);
        free(p);
    }
    (void)funnel_free(e->heard);
    free(e->gateway);
    (void)pthread_mutex_destroy(&e->lock);
    free(e);
    return NULL;
}

int vigil_ear_fd(const vigil_ear *e) {
    return funnel_fd(e->heard);
}

overheard *vigil_ear_take(vigil_ear *e, size_t most) {
    return (overheard *)funnel_take(e->heard, most);
}

/* Online; before ours alone, or all of them. */
static size_t count_peers(vigil_ear *e, text org, bool elders) {
    size_t count = 0;
    (void)pthread_mutex_lock(&e->lock);
    for (const peer *p = e->peers; p; p = p->next) {
        int order = strcmp(p->gateway, e->gateway);
        count += p->online && text_equal(text_of(p->org), org) && (elders ? order < 0 : order != 0);
    }
    (void)pthread_mutex_unlock(&e->lock);
    return count;
}

size_t vigil_ear_elders(vigil_ear *e, text org) {
    return count_peers(e, org, true);
}

size_t vigil_ear_others(vigil_ear *e, text org) {
    return count_peers(e, org, false);
}

uint64_t vigil_ear_lost(vigil_ear *e) {
    return funnel_lost(e->heard);
}
