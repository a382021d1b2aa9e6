/* ear.c - see timers.h: what is heard on MQTT, from Paho's thread to the service's.
 *
 * Bounded: what people say of their timers is few; beyond HEARD_MAX it is dropped, and the database has it.
 * Of positions only the last of each person who has a timer is kept, unread until it is needed. */
#include "gateway/timers/timers.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEARD_MAX   50000
#define PAYLOAD_MAX (64u << 10)

typedef struct place {
    UT_hash_handle hh;
    char *key;
    char *payload; /* NULL: none was heard */
} place;

struct timers_ear {
    funnel *heard;
    pthread_mutex_t lock; /* of the places */
    place *places;
};

static void put_level(char to[TOPIC_LEVEL_MAX + 1], text t) {
    (void)snprintf(to, TOPIC_LEVEL_MAX + 1, "%.*s", (int)t.len, t.ptr ? t.ptr : "");
}

static void hear(timers_ear *e, said_kind kind, text topic, text payload) {
    address where;
    if (!address_parse(topic, &where) || payload.len == 0 || payload.len > PAYLOAD_MAX)
        return;
    said *one = malloc(sizeof *one + payload.len + 1);
    if (one) {
        *one = (said){.kind = kind};
        char *bytes = (char *)(one + 1);
        memcpy(bytes, payload.ptr, payload.len);
        bytes[payload.len] = '\0';
        one->payload = (text){bytes, payload.len};
        put_level(one->org, where.org);
        put_level(one->id, where.id);
    }
    funnel_put(e->heard, 0, one ? &one->item : NULL, HEARD_MAX, FUNNEL_REFUSE);
}

/* What is retained at these topics is nobody's word of now. */
static void hear_timer(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)org;
    (void)sender;
    if (!retained)
        hear(context, SAID_TIMER, topic, payload);
}

static void hear_check(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)org;
    (void)sender;
    if (!retained)
        hear(context, SAID_CHECK, topic, payload);
}

static void hear_reply(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)org;
    (void)sender;
    if (!retained)
        hear(context, SAID_REPLY, topic, payload);
}

static void hear_raise(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)org;
    (void)sender;
    if (!retained)
        hear(context, SAID_RAISE, topic, payload);
}

static void hear_location(void *context, text org, text topic, text payload, text sender, bool retained) {
    timers_ear *e = context;
    char key[2 * TOPIC_LEVEL_MAX + 2];
    address where;
    place *p = NULL;
    (void)org;
    (void)sender;
    (void)retained;
    if (!address_parse(topic, &where) || payload.len == 0 || payload.len > PAYLOAD_MAX)
        return;
    int len = snprintf(key, sizeof key, "%.*s/%.*s", (int)where.org.len, where.org.ptr, (int)where.id.len,
                       where.id.ptr);
    (void)pthread_mutex_lock(&e->lock);
    HASH_FIND(hh, e->places, key, (unsigned)len, p);
    if (p) {
        free(p->payload);
        p->payload = text_copy(payload);
    }
    (void)pthread_mutex_unlock(&e->lock);
}

int timers_ear_open(bus *b, timers_ear **ret_ear) {
    static const struct {
        const char *filter;
        bus_seen seen;
    } rows[] = {{"user/+/timer", hear_timer},
                {"user/+/check", hear_check},
                {"user/+/reply", hear_reply},
                {"alert/+/raise", hear_raise},
                {"user/+/location", hear_location}};
    timers_ear *e = calloc(1, sizeof *e);
    if (!e)
        return -ENOMEM;
    int fault = funnel_new(NULL, &e->heard);
    if (fault < 0) {
        free(e);
        return fault;
    }
    (void)pthread_mutex_init(&e->lock, NULL);
    /* From here on the bus knows it. */
    *ret_ear = e;
    for (size_t i = 0; fault == 0 && i < ARRAY_LEN(rows); i++)
        fault = bus_listen(b, rows[i].filter, rows[i].seen, e);
    return fault;
}

static void place_free(timers_ear *e, place *p) {
    HASH_DEL(e->places, p);
    free(p->key);
    free(p->payload);
    free(p);
}

timers_ear *timers_ear_close(timers_ear *e) {
    if (!e)
        return NULL;
    while (e->places)
        place_free(e, e->places);
    (void)funnel_free(e->heard);
    (void)pthread_mutex_destroy(&e->lock);
    free(e);
    return NULL;
}

int timers_ear_fd(const timers_ear *e) {
    return funnel_fd(e->heard);
}

said *timers_ear_take(timers_ear *e) {
    return (said *)funnel_take(e->heard, SIZE_MAX);
}

void timers_ear_follow(timers_ear *e, const char *key) {
    place *p = calloc(1, sizeof *p);
    if (!p || !(p->key = text_copy(text_of(key)))) {
        free(p);
        return;
    }
    (void)pthread_mutex_lock(&e->lock);
    HASH_ADD_KEYPTR(hh, e->places, p->key, strlen(p->key), p);
    bool in = p->hh.tbl != NULL;
    (void)pthread_mutex_unlock(&e->lock);
    if (!in) {
        free(p->key);
        free(p);
    }
}

void timers_ear_leave(timers_ear *e, const char *key) {
    place *p = NULL;
    (void)pthread_mutex_lock(&e->lock);
    HASH_FIND(hh, e->places, key, (unsigned)strlen(key), p);
    if (p)
        place_free(e, p);
    (void)pthread_mutex_unlock(&e->lock);
}

static int copy_number(json *to, const json *from, const char *name) {
    const json *value = json_get(from, name);
    json_kind kind = json_kind_of(value);
    return kind == JSON_INTEGER || kind == JSON_NUMBER
               ? json_put(to, name, json_new_number(json_number(value)))
               : 0;
}

json *timers_ear_place(timers_ear *e, const char *key) {
    CLEANUP(json_freep) json *heard = NULL;
    place *p = NULL;
    (void)pthread_mutex_lock(&e->lock);
    HASH_FIND(hh, e->places, key, (unsigned)strlen(key), p);
    json_verdict read = p && p->payload ? json_parse_once(text_of(p->payload), &heard) : JSON_MALFORMED;
    (void)pthread_mutex_unlock(&e->lock);
    json *to = read == JSON_OK && json_get(heard, "lat") && json_get(heard, "lon") ? json_new_object() : NULL;
    if (to && (copy_number(to, heard, "lat") < 0 || copy_number(to, heard, "lon") < 0 ||
               copy_number(to, heard, "accuracy") < 0))
        return json_free(to);
    return to;
}
