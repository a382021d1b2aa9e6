/* ear.c - see standby.h: what is heard on MQTT, from Paho's thread to the service's.
 *
 * Bounded: what a service that stands still would leave in the queue is not kept beyond HEARD_MAX; raises are
 * the last to be dropped. Which gateways are online is known from their retained status; organisations and
 * gateways are few. A status names the incidents its gateway told last; those it named before are kept. */
#include "gateway/standby/standby.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "core/topic.h"

#define HEARD_MAX 50000 /* half of it for raises alone */
#define PEERS_MAX 1000
#define SAID_MAX  50000 /* the oldest are forgotten first */

/* Another gateway, or we ourselves, in one organisation. */
typedef struct peer {
    struct peer *next;
    char *org, *gateway;
    bool online;
    int64_t sent;     /* without the database, as it says */
    int64_t moved_ms; /* when that last changed, by the monotonic clock; 0: never */
} peer;

/* That gateway said that it told this incident. */
typedef struct said_key {
    const peer *by;
    uuid alert;
} said_key;

typedef struct said {
    UT_hash_handle hh;
    said_key key;
} said;

struct standby_ear {
    char *gateway;
    funnel *heard;
    pthread_mutex_t lock; /* of what follows */
    size_t peer_count;
    peer *peers;
    said *told;
};

heard *heard_free(heard *one) {
    if (!one)
        return NULL;
    free(one->org);
    free(one->sender);
    (void)json_free(one->body);
    free(one);
    return NULL;
}

static void hear(standby_ear *e, heard_kind kind, text org, text topic, text payload, text sender) {
    CLEANUP(json_freep) json *body = NULL;
    address where;
    uuid alert;
    if (!address_parse(topic, &where) || uuid_parse(where.id, &alert) < 0 ||
        (kind != HEARD_STATE && json_parse_once(payload, &body) != JSON_OK))
        return;
    heard *one = calloc(1, sizeof *one);
    if (!one)
        return;
    one->kind = kind;
    one->org = text_copy(org);
    one->sender = text_copy(sender);
    uuid_format(&alert, one->alert);
    one->body = body;
    body = NULL;
    if (one->org && one->sender)
        funnel_put(e->heard, 0, &one->item, kind == HEARD_RAISE ? HEARD_MAX : HEARD_MAX / 2, FUNNEL_REFUSE);
    else
        (void)heard_free(one);
}

static void hear_raise(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)retained;
    hear(context, HEARD_RAISE, org, topic, payload, sender);
}

static void hear_action(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)retained;
    hear(context, HEARD_ACTION, org, topic, payload, sender);
}

/* What is retained was said at some time; only what is said now proves that somebody has the database. */
static void hear_state(void *context, text org, text topic, text payload, text sender, bool retained) {
    if (!retained && payload.len)
        hear(context, HEARD_STATE, org, topic, payload, sender);
}

static int64_t clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static peer *peer_of(standby_ear *e, text org, text gateway) {
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

static said_key key_of(const peer *by, const uuid *alert) {
    said_key key;
    memset(&key, 0, sizeof key); /* compared as bytes */
    key.by = by;
    key.alert = *alert;
    return key;
}

static void forget(standby_ear *e, said *one) {
    HASH_DEL(e->told, one);
    free(one);
}

static void note_told(standby_ear *e, const peer *by, text alert) {
    uuid id;
    said *one = NULL;
    if (uuid_parse(alert, &id) < 0)
        return;
    said_key key = key_of(by, &id);
    HASH_FIND(hh, e->told, &key, sizeof key, one);
    if (one)
        return;
    if (HASH_COUNT(e->told) >= SAID_MAX)
        forget(e, e->told);
    one = calloc(1, sizeof *one);
    if (!one)
        return;
    one->key = key;
    HASH_ADD(hh, e->told, key, sizeof key, one);
    if (!one->hh.tbl)
        free(one); /* there was no memory for it */
}

static void note_sent(peer *p, const json *sent) {
    if (json_kind_of(sent) != JSON_INTEGER || json_integer(sent) == p->sent)
        return;
    p->sent = json_integer(sent);
    p->moved_ms = clock_ms();
}

static void hear_status(void *context, text org, text topic, text payload, text sender, bool retained) {
    standby_ear *e = context;
    CLEANUP(json_freep) json *body = NULL;
    address where;
    (void)sender;
    if (!address_parse(topic, &where) || json_parse_once(payload, &body) != JSON_OK)
        return;
    const json *list = json_get(body, "told");
    (void)pthread_mutex_lock(&e->lock);
    peer *p = peer_of(e, org, where.id);
    if (p) {
        p->online = text_equal(json_get_string(body, "status"), TEXT("online"));
        for (size_t i = 0; i < json_length(list); i++)
            note_told(e, p, json_string(json_at(list, i)));
        if (!retained) /* that was some time ago */
            note_sent(p, json_get(body, "sent"));
    }
    (void)pthread_mutex_unlock(&e->lock);
}

static void free_item(funnel_item *item) {
    (void)heard_free((heard *)item);
}

int ear_open(bus *b, const char *gateway, standby_ear **ret_ear) {
    static const struct {
        const char *filter;
        bus_seen seen;
    } rows[] = {{"alert/+/raise", hear_raise},
                {"alert/+/action", hear_action},
                {"alert/+/state", hear_state},
                {"gateway/+/status", hear_status}};
    standby_ear *e = calloc(1, sizeof *e);
    if (!e)
        return -ENOMEM;
    (void)pthread_mutex_init(&e->lock, NULL);
    e->gateway = text_copy(text_of(gateway));
    if (!e->gateway || funnel_new(free_item, &e->heard) < 0) {
        (void)ear_close(e);
        return -ENOMEM;
    }
    /* From here on the bus knows it. */
    int fault = 0;
    for (size_t i = 0; fault == 0 && i < ARRAY_LEN(rows); i++)
        fault = bus_listen(b, rows[i].filter, rows[i].seen, e);
    *ret_ear = e;
    return fault;
}

standby_ear *ear_close(standby_ear *e) {
    if (!e)
        return NULL;
    while (e->told)
        forget(e, e->told);
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

int ear_fd(const standby_ear *e) {
    return funnel_fd(e->heard);
}

heard *ear_take(standby_ear *e) {
    return (heard *)funnel_take(e->heard, SIZE_MAX);
}

static bool is_elder(const standby_ear *e, const peer *p, text org) {
    return p->online && text_equal(text_of(p->org), org) && strcmp(p->gateway, e->gateway) < 0;
}

size_t ear_elders(standby_ear *e, text org) {
    size_t elders = 0;
    (void)pthread_mutex_lock(&e->lock);
    for (const peer *p = e->peers; p; p = p->next)
        elders += is_elder(e, p, org);
    (void)pthread_mutex_unlock(&e->lock);
    return elders;
}

instant ear_elders_quiet(standby_ear *e, text org) {
    int64_t moved_ms = 0;
    (void)pthread_mutex_lock(&e->lock);
    for (const peer *p = e->peers; p; p = p->next)
        if (is_elder(e, p, org) && p->moved_ms > moved_ms)
            moved_ms = p->moved_ms;
    (void)pthread_mutex_unlock(&e->lock);
    return moved_ms ? (clock_ms() - moved_ms) * 1000 : INT64_MAX;
}

bool ear_told(standby_ear *e, text org, text alert) {
    uuid id;
    bool has = false;
    if (uuid_parse(alert, &id) < 0)
        return false;
    (void)pthread_mutex_lock(&e->lock);
    for (const peer *p = e->peers; p && !has; p = p->next) {
        said_key key = key_of(p, &id);
        said *one = NULL;
        if (p->online && strcmp(p->gateway, e->gateway) != 0 && text_equal(text_of(p->org), org))
            HASH_FIND(hh, e->told, &key, sizeof key, one);
        has = one != NULL;
    }
    (void)pthread_mutex_unlock(&e->lock);
    return has;
}
