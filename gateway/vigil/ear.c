/* ear.c - see vigil.h: what is heard on MQTT, from Paho's thread to the service's.
 *
 * Two queues: what people say (replies, raises, states) is few and is all kept, up to a bound that is beyond
 * all reason; readings and positions are many, and when the service stands still the oldest go. */
#include "gateway/vigil/vigil.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TALK_MAX    50000
#define SENSED_MAX  40000
#define PAYLOAD_MAX (64u << 10) /* of what is ours to read; the broker's own bound is larger */
#define PEERS_MAX   1000

typedef struct peer {
    struct peer *next;
    char *org, *gateway;
    bool online;
} peer;

typedef struct queue {
    overheard *first, **end;
    size_t count;
} queue;

struct vigil_ear {
    char *gateway;
    int fd;
    pthread_mutex_t lock;
    queue talk, sensed;
    uint64_t lost;
    peer *peers;
    size_t peer_count;
};

static overheard *pop(queue *q) {
    overheard *one = q->first;
    if (!one)
        return NULL;
    q->first = one->next;
    if (!q->first)
        q->end = &q->first;
    q->count--;
    one->next = NULL;
    return one;
}

static void push(queue *q, overheard *one) {
    *q->end = one;
    q->end = &one->next;
    q->count++;
}

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
    overheard *one = make(kind, &where, payload, sender), *gone = NULL;
    if (!one)
        return;
    (void)pthread_mutex_lock(&e->lock);
    if (reads && e->sensed.count >= SENSED_MAX) {
        gone = pop(&e->sensed);
        e->lost++;
    }
    if (!reads && e->talk.count >= TALK_MAX) {
        gone = one;
    } else {
        push(reads ? &e->sensed : &e->talk, one);
        (void)eventfd_write(e->fd, 1);
    }
    (void)pthread_mutex_unlock(&e->lock);
    free(gone);
}

static void hear_vitals(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)org;
    (void)retained;
    hear(context, OVERHEARD_VITALS, topic, payload, sender);
}

static void hear_fix(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)org;
    (void)retained;
    hear(context, OVERHEARD_FIX, topic, payload, sender);
}

static void hear_reply(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)org;
    (void)retained;
    hear(context, OVERHEARD_REPLY, topic, payload, sender);
}

static void hear_raise(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)org;
    (void)retained;
    hear(context, OVERHEARD_RAISE, topic, payload, sender);
}

static void hear_state(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)org;
    (void)retained;
    hear(context, OVERHEARD_STATE, topic, payload, sender);
}

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
    } rows[] = {{"user/+/vitals", hear_vitals}, {"user/+/location", hear_fix},
                {"user/+/reply", hear_reply},   {"alert/+/raise", hear_raise},
                {"alert/+/state", hear_state},  {"gateway/+/status", hear_status}};
    vigil_ear *e = calloc(1, sizeof *e);
    if (!e)
        return -ENOMEM;
    (void)pthread_mutex_init(&e->lock, NULL);
    e->talk.end = &e->talk.first;
    e->sensed.end = &e->sensed.first;
    e->gateway = text_copy(text_of(gateway));
    e->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!e->gateway || e->fd < 0) {
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
    for (overheard *one; (one = pop(&e->talk)) || (one = pop(&e->sensed));)
        free(one);
    while (e->peers) {
        peer *p = e->peers;
        e->peers = p->next;
        free(p->org);
        free(p->gateway);
        free(p);
    }
    if (e->fd >= 0)
        (void)close(e->fd);
    free(e->gateway);
    (void)pthread_mutex_destroy(&e->lock);
    free(e);
    return NULL;
}

int vigil_ear_fd(const vigil_ear *e) {
    return e->fd;
}

overheard *vigil_ear_take(vigil_ear *e, size_t most) {
    overheard *first = NULL, **end = &first;
    eventfd_t count;
    (void)pthread_mutex_lock(&e->lock);
    for (overheard *one; most > 0 && ((one = pop(&e->talk)) || (one = pop(&e->sensed))); most--) {
        *end = one;
        end = &one->next;
    }
    if (e->talk.count == 0 && e->sensed.count == 0)
        (void)eventfd_read(e->fd, &count);
    (void)pthread_mutex_unlock(&e->lock);
    return first;
}

size_t vigil_ear_elders(vigil_ear *e, text org) {
    size_t elders = 0;
    (void)pthread_mutex_lock(&e->lock);
    for (const peer *p = e->peers; p; p = p->next)
        elders += p->online && text_equal(text_of(p->org), org) && strcmp(p->gateway, e->gateway) < 0;
    (void)pthread_mutex_unlock(&e->lock);
    return elders;
}

uint64_t vigil_ear_lost(vigil_ear *e) {
    (void)pthread_mutex_lock(&e->lock);
    uint64_t lost = e->lost;
    (void)pthread_mutex_unlock(&e->lock);
    return lost;
}
