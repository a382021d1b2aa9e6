/* ear.c - what sensors hear over MQTT: from Paho's thread through a bounded queue to the edge's.
 *
 * The bus never forgets a listener, so an ear stays when its sensor has gone, and serves the next with the
 * same filter. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "gateway/edge/inside.h"

#define EARS_MAX    8 /* the bus has room for few */
#define PAYLOAD_MAX 65536

/* Paho's thread. */
static void hear(void *the_ear, text org, text topic, text payload, text sender, bool retained) {
    edge_ear *ear = the_ear;
    edge *e = ear->e;
    (void)sender;
    if (retained || payload.len > PAYLOAD_MAX || !text_equal(org, text_of(ear->org)))
        return;
    edge_heard *h = malloc(sizeof *h + topic.len + payload.len + 1);
    if (!h)
        return;
    *h = (edge_heard){
        .ear = ear, .topic = {h->bytes, topic.len}, .payload = {h->bytes + topic.len, payload.len}};
    memcpy(h->bytes, topic.ptr, topic.len);
    if (payload.len)
        memcpy(h->bytes + topic.len, payload.ptr, payload.len);
    (void)pthread_mutex_lock(&e->lock);
    size_t size = topic.len + payload.len;
    bool room = e->heard_count < HEARD_MAX && e->heard_bytes + size <= HEARD_BYTES_MAX;
    if (room) {
        *e->heard_end = h;
        e->heard_end = &h->next;
        e->heard_count++;
        e->heard_bytes += size;
    } else {
        e->heard_lost++;
    }
    (void)pthread_mutex_unlock(&e->lock);
    if (room)
        (void)eventfd_write(e->order_fd, 1);
    else
        free(h);
}

static edge_ear *ear_at(edge *e, const char *org, const char *filter) {
    for (edge_ear *ear = e->ears; ear; ear = ear->next)
        if (strcmp(ear->org, org) == 0 && strcmp(ear->filter, filter) == 0)
            return ear;
    return NULL;
}

static int make_ear(edge *e, const char *org, const char *filter, edge_ear **ret_ear) {
    size_t count = 0;
    for (const edge_ear *ear = e->ears; ear; ear = ear->next)
        count++;
    if (count >= EARS_MAX)
        return -ENOSPC;
    edge_ear *ear = calloc(1, sizeof *ear);
    if (!ear || !(ear->filter = text_copy(text_of(filter)))) {
        free(ear);
        return -ENOMEM;
    }
    ear->e = e;
    (void)snprintf(ear->org, sizeof ear->org, "%s", org);
    int fault = bus_listen_whole(e->o.bus, ear->org, ear->filter, hear, ear);
    if (fault < 0) {
        free(ear->filter);
        free(ear);
        return fault;
    }
    ear->next = e->ears;
    e->ears = ear;
    *ret_ear = ear;
    return 0;
}

int sensor_listen(sensor *s, const char *filter, sensor_heard heard, void *state) {
    edge *e = s->e;
    edge_ear *ear = ear_at(e, s->org, filter);
    edge_listener *l = calloc(1, sizeof *l);
    int fault = !l ? -ENOMEM : ear ? 0 : make_ear(e, s->org, filter, &ear);
    if (fault < 0) {
        free(l);
        return fault;
    }
    *l = (edge_listener){.next = e->listeners, .ear = ear, .s = s, .heard = heard, .state = state};
    e->listeners = l;
    return 0;
}

void edge_ears_forget(edge *e, const sensor *s) {
    for (edge_listener **at = &e->listeners; *at;) {
        edge_listener *l = *at;
        if (l->s == s) {
            *at = l->next;
            free(l);
        } else {
            at = &l->next;
        }
    }
}

void edge_ears_take(edge *e) {
    (void)pthread_mutex_lock(&e->lock);
    edge_heard *all = e->heard;
    e->heard = NULL;
    e->heard_end = &e->heard;
    e->heard_count = e->heard_bytes = 0;
    (void)pthread_mutex_unlock(&e->lock);
    while (all) {
        edge_heard *h = all;
        all = h->next;
        for (edge_listener *l = e->listeners; l; l = l->next)
            if (l->ear == h->ear)
                l->heard(l->state, h->topic, h->payload);
        free(h);
    }
}

void edge_ears_free(edge *e) {
    while (e->heard) {
        edge_heard *h = e->heard;
        e->heard = h->next;
        free(h);
    }
    while (e->ears) {
        edge_ear *ear = e->ears;
        e->ears = ear->next;
        free(ear->filter);
        free(ear);
    }
}
