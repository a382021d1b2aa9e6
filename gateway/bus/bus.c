/* bus.c - see bus.h: the services' side, and the bus's life. */
#include "gateway/bus/inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/topic.h"

int64_t bus_clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void bus_lock(bus *b) {
    (void)pthread_mutex_lock(&b->lock);
}

void bus_unlock(bus *b) {
    (void)pthread_mutex_unlock(&b->lock);
}

void bus_tell(bus *b) {
    (void)pthread_cond_broadcast(&b->changed);
}

void bus_stir(bus *b) {
    bus_tell(b);
    (void)pthread_cond_signal(&b->duty);
}

static bool wait_for(bus *b, pthread_cond_t *condition, int64_t until_ms) {
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    return pthread_cond_timedwait(condition, &b->lock, &until) != ETIMEDOUT;
}

bool bus_wait_until(bus *b, int64_t until_ms) {
    return wait_for(b, &b->changed, until_ms);
}

void bus_rest_until(bus *b, int64_t until_ms) {
    (void)wait_for(b, &b->duty, until_ms);
}

void session_end(session *x, const char *why) {
    if (x->state == SESSION_OVER)
        return;
    x->state = SESSION_OVER;
    (void)snprintf(x->why, sizeof x->why, "%s", why);
    bus_stir(x->link->b);
}

static void make_locks(bus *b) {
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&b->changed, &monotonic);
    (void)pthread_cond_init(&b->duty, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

static int listen_to_rivals(bus *b) {
    CLEANUP(buf_release) buf filter = BUF(TOPIC_MAX);
    buf_printf(&filter, "gateway/%s/status", b->o.gateway);
    b->own_status = buf_steal(&filter);
    return b->own_status ? bus_listen(b, b->own_status, bus_see_rival, b) : -ENOMEM;
}

int bus_open(const bus_options *options, bus **ret_bus) {
    bus *b = calloc(1, sizeof *b);
    if (!b)
        return -ENOMEM;
    b->o = *options;
    instant_format(instant_now(), b->since);
    make_locks(b);
    int fault = listen_to_rivals(b);
    if (fault == 0)
        fault = paho_anchor(b);
    if (fault == 0)
        fault = -pthread_create(&b->manager, NULL, bus_manage, b);
    if (fault < 0) {
        (void)bus_close(b);
        return fault;
    }
    b->has_manager = true;
    *ret_bus = b;
    return 0;
}

bus *bus_close(bus *b) {
    if (!b)
        return NULL;
    bus_lock(b);
    b->giving_up = b->closing = true;
    bus_stir(b);
    bus_unlock(b);
    if (b->has_manager)
        (void)pthread_join(b->manager, NULL);
    paho_unanchor(b);
    while (b->links) {
        link *l = b->links;
        b->links = l->next;
        free(l->org);
        free(l);
    }
    free(b->own_status);
    (void)pthread_cond_destroy(&b->changed);
    (void)pthread_cond_destroy(&b->duty);
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
    return NULL;
}

void bus_give_up(bus *b) {
    bus_lock(b);
    b->giving_up = true;
    bus_stir(b);
    bus_unlock(b);
}

void bus_renew(bus *b) {
    bus_lock(b);
    for (link *l = b->links; l; l = l->next) {
        l->renew = true;
        l->next_try_ms = 0;
    }
    bus_stir(b);
    bus_unlock(b);
}

static link *find(bus *b, text org) {
    for (link *l = b->links; l; l = l->next)
        if (text_equal(text_of(l->org), org))
            return l;
    return NULL;
}

int bus_serve(bus *b, text org) {
    link *l = calloc(1, sizeof *l);
    char *name = text_copy(org);
    if (!l || !name) {
        free(l);
        free(name);
        return -ENOMEM;
    }
    *l = (link){.b = b, .org = name};
    bus_lock(b);
    bool known = find(b, org) != NULL;
    if (!known) {
        /* At the end: the manager may be on its way through the list with the lock released. */
        link **at = &b->links;
        while (*at)
            at = &(*at)->next;
        *at = l;
        bus_stir(b);
    }
    bus_unlock(b);
    if (known) {
        free(name);
        free(l);
    }
    return 0;
}

static bool is_up(const link *l) {
    return l && l->now && l->now->state == SESSION_UP;
}

void bus_each(bus *b, bus_visit visit, void *context) {
    bus_lock(b);
    for (const link *l = b->links; l; l = l->next)
        visit(context, text_of(l->org), is_up(l), l->generation);
    bus_unlock(b);
}

bool bus_up(bus *b, text org) {
    bus_lock(b);
    bool up = is_up(find(b, org));
    bus_unlock(b);
    return up;
}

void bus_why(bus *b, text org, char ret_why[BUS_WHY_MAX]) {
    bus_lock(b);
    const link *l = find(b, org);
    (void)snprintf(ret_why, BUS_WHY_MAX, "%s", l ? l->why : "");
    bus_unlock(b);
}

uint64_t bus_generation(bus *b, text org) {
    bus_lock(b);
    const link *l = find(b, org);
    uint64_t generation = l ? l->generation : 0;
    bus_unlock(b);
    return generation;
}

int bus_listen_whole(bus *b, const char *org, const char *filter, bus_seen seen, void *context) {
    int fault = -ENOSPC;
    bus_lock(b);
    if (b->listener_count < BUS_LISTENERS_MAX) {
        b->listeners[b->listener_count++] = (listener){filter, org, seen, context};
        fault = 0;
        bus_stir(b);
    }
    bus_unlock(b);
    return fault;
}

int bus_listen(bus *b, const char *filter, bus_seen seen, void *context) {
    return bus_listen_whole(b, NULL, filter, seen, context);
}

/* ---- publishing ---- */

/* One message on its way. */
typedef struct parcel {
    session *x; /* NULL: not sent */
    int packet;
} parcel;

/* With the lock held: a session to send with, its user counted; NULL when there is none before `until`. */
static session *board(bus *b, text org, int64_t until) {
    for (;;) {
        link *l = find(b, org);
        if (!is_up(l) || b->giving_up)
            return NULL;
        if (l->now->on_way < l->now->window) {
            l->now->on_way++;
            l->now->users++;
            return l->now;
        }
        if (!bus_wait_until(b, until))
            return NULL;
    }
}

static void leave(session *x) {
    if (--x->users == 0)
        bus_stir(x->link->b);
}

static void send_one(bus *b, const bus_message *m, int64_t until, parcel *p) {
    CLEANUP(freep) char *topic = text_copy(m->topic);
    bus_lock(b);
    session *x = topic ? board(b, m->org, until) : NULL;
    bus_unlock(b);
    if (!x)
        return;
    int fault = paho_send(x, topic, m->payload, m->retain, true, &p->packet);
    if (fault == 0) {
        p->x = x;
        return;
    }
    bus_lock(b);
    x->on_way -= x->on_way > 0;
    leave(x);
    bus_unlock(b);
}

/* With the lock held. A broker that does not answer in time is taken for gone: only so is it certain that no
 * late answer is taken for that of another message with the same packet id. */
static bool await_answer(bus *b, parcel *p, int64_t until, uint8_t *ret_reason) {
    session *x = p->x;
    bool answered = false;
    for (;;) {
        uint16_t answer = x->answers[p->packet];
        if (answer & ANSWERED) {
            x->answers[p->packet] = 0;
            *ret_reason = (uint8_t)answer;
            answered = true;
        }
        if (answered || x->state == SESSION_OVER || b->giving_up)
            break;
        if (!bus_wait_until(b, until))
            session_end(x, "the broker does not answer");
    }
    leave(x);
    return answered;
}

size_t bus_publish(bus *b, bus_message *messages, size_t count, int timeout_ms) {
    int64_t until = bus_clock_ms() + timeout_ms;
    size_t good = 0;
    CLEANUP(freep) parcel *parcels = calloc(count ? count : 1, sizeof *parcels);
    for (size_t i = 0; i < count; i++) {
        messages[i].acked = false;
        messages[i].reason = 0;
        if (parcels)
            send_one(b, &messages[i], until, &parcels[i]);
    }
    bus_lock(b);
    for (size_t i = 0; parcels && i < count; i++) {
        if (!parcels[i].x)
            continue;
        messages[i].acked = await_answer(b, &parcels[i], until, &messages[i].reason);
        good += messages[i].acked && messages[i].reason < REFUSED_AT;
    }
    bus_unlock(b);
    return good;
}
