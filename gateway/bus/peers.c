/* peers.c - see peers.h. */
#include "gateway/bus/peers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "core/topic.h"

typedef struct peer {
    struct peer *next;
    char *org, *gateway;
    bool online;
} peer;

struct peers {
    pthread_mutex_t lock;
    peer *first;
    size_t count;
};

static peer *peer_free(peer *one) {
    if (one) {
        free(one->org);
        free(one->gateway);
    }
    free(one);
    return NULL;
}

peers *peers_new(void) {
    peers *p = calloc(1, sizeof *p);
    if (p)
        (void)pthread_mutex_init(&p->lock, NULL);
    return p;
}

peers *peers_free(peers *p) {
    if (!p)
        return NULL;
    while (p->first) {
        peer *one = p->first;
        p->first = one->next;
        (void)peer_free(one);
    }
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
    return NULL;
}

static peer *find(const peers *p, text org, text gateway) {
    for (peer *one = p->first; one; one = one->next)
        if (text_equal(text_of(one->org), org) && text_equal(text_of(one->gateway), gateway))
            return one;
    return NULL;
}

static peer *add(peers *p, text org, text gateway) {
    peer *one = p->count < PEERS_MAX ? calloc(1, sizeof *one) : NULL;
    if (!one)
        return NULL;
    one->org = text_copy(org);
    one->gateway = text_copy(gateway);
    if (!one->org || !one->gateway)
        return peer_free(one);
    one->next = p->first;
    p->first = one;
    p->count++;
    return one;
}

void peers_heard(peers *p, text org, text topic, text payload) {
    CLEANUP(json_freep) json *said = NULL;
    address where;
    if (!address_parse(topic, &where) || json_parse_once(payload, &said) != JSON_OK)
        return;
    (void)pthread_mutex_lock(&p->lock);
    peer *one = find(p, org, where.id);
    one = one ? one : add(p, org, where.id);
    if (one)
        one->online = text_equal(json_get_string(said, "status"), TEXT("online"));
    (void)pthread_mutex_unlock(&p->lock);
}

bool peers_online(peers *p, text org, text gateway) {
    (void)pthread_mutex_lock(&p->lock);
    const peer *one = find(p, org, gateway);
    bool online = one && one->online;
    (void)pthread_mutex_unlock(&p->lock);
    return online;
}

static bool sorts_before(const char *a, text b) {
    size_t len = strlen(a), least = len < b.len ? len : b.len;
    int order = memcmp(a, b.ptr, least);
    return order ? order < 0 : len < b.len;
}

size_t peers_others(peers *p, text org, text gateway) {
    size_t others = 0;
    (void)pthread_mutex_lock(&p->lock);
    for (const peer *one = p->first; one; one = one->next)
        others +=
            one->online && text_equal(text_of(one->org), org) && !text_equal(text_of(one->gateway), gateway);
    (void)pthread_mutex_unlock(&p->lock);
    return others;
}

size_t peers_elders(peers *p, text org, text gateway) {
    size_t elders = 0;
    (void)pthread_mutex_lock(&p->lock);
    for (const peer *one = p->first; one; one = one->next)
        elders += one->online && text_equal(text_of(one->org), org) && sorts_before(one->gateway, gateway);
    (void)pthread_mutex_unlock(&p->lock);
    return elders;
}
