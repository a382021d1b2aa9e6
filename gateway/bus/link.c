/* link.c - the bus's manager: one thread that makes, renews and ends the sessions of all organisations.
 */
#include "gateway/bus/inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/json.h"
#include "base/uuid.h"
#include "core/topic.h"
#include "gateway/log.h"

#define FIRST_PAUSE_MS 50
#define TAKEN_OVER     0x8E
#define TAKEN_OVER_MS  15000 /* another gateway has our name: do not wrestle with it */
#define CONNECT_MS     20000 /* longer than Paho's own timeout */
#define DRAIN_MS       1000
#define IDLE_MS        60000

/* ---- what is said of ourselves ---- */

static int put_told(json *body, const bus_told *told) {
    json *list = told && told->count ? json_new_array() : NULL;
    for (size_t i = 0; told && i < told->count; i++)
        if (!list || json_append(list, json_new_string(text_of(told->alerts[i]))) < 0) {
            (void)json_free(list);
            return -ENOMEM;
        }
    int fault = list ? json_put(body, "told", list) : 0;
    return fault == 0 && told ? json_put(body, "sent", json_new_integer(told->sent)) : fault;
}

int bus_status(const bus *b, const char *status, instant now, const bus_told *told, buf *to) {
    CLEANUP(json_freep) json *body = json_new_object();
    char id[UUID_TEXT_LEN + 1], now_text[INSTANT_TEXT_LEN + 1];
    uint8_t noise[10];
    if (!body || getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise)
        return -ENOMEM;
    uuid fresh = uuid7_make(now / 1000, noise);
    uuid_format(&fresh, id);
    instant_format(now, now_text);
    if (json_put(body, "v", json_new_integer(1)) < 0 ||
        json_put(body, "id", json_new_string(text_of(id))) < 0 ||
        json_put(body, "ts", json_new_string(text_of(now_text))) < 0 ||
        json_put(body, "status", json_new_string(text_of(status))) < 0 ||
        json_put(body, "version", json_new_string(text_of(b->o.version))) < 0 ||
        json_put(body, "since", json_new_string(text_of(b->since))) < 0 || put_told(body, told) < 0)
        return -ENOMEM;
    json_print(body, to);
    return buf_failed(to);
}

void bus_spell_status(const bus *b, instant now, const bus_told *told, buf *to) {
    int fault = bus_status(b, "online", now, told, to);
    if (fault < 0 && to->fault == 0)
        to->fault = fault;
}

void bus_status_topic(const link *l, buf *to) {
    buf_printf(to, "mayday/v1/%s/gateway/%s/status", l->org, l->b->o.gateway);
}

/* Without the lock. Whether it arrives is not waited for here; with `tell` it counts as on its way until
 * then. */
static void say_status(session *x, const char *status, instant now, bool tell) {
    CLEANUP(buf_release) buf topic = BUF(TOPIC_MAX);
    CLEANUP(buf_release) buf body = BUF(4096);
    int packet;
    bus_status_topic(x->link, &topic);
    if (buf_failed(&topic) < 0 || bus_status(x->link->b, status, now, NULL, &body) < 0 ||
        paho_send(x, topic.ptr, buf_text(&body), true, tell, &packet) < 0)
        log_line("bus", LOG_LEVEL_WARNING, "%s: our status could not be published", x->link->org);
}

/* Has somebody spoken in our name since we last said "online"? Also their last will counts: it is dated when
 * they connected. Not every broker tells the loser that its session was taken over, and two gateways of one
 * name would throw each other out for ever. */
void bus_see_rival(void *the_bus, text org, text topic, text payload, text sender, bool retained) {
    bus *b = the_bus;
    CLEANUP(json_freep) json *body = NULL;
    (void)topic;
    (void)sender;
    if (!retained || json_parse_once(payload, &body) != JSON_OK ||
        text_equal(json_get_string(body, "since"), text_of(b->since)))
        return;
    text ts = json_get_string(body, "ts");
    bus_lock(b);
    for (link *l = b->links; l; l = l->next) {
        session *x = l->now;
        if (!x || !text_equal(text_of(l->org), org) || !*x->last_online || ts.len != INSTANT_TEXT_LEN ||
            memcmp(ts.ptr, x->last_online, INSTANT_TEXT_LEN) <= 0)
            continue;
        x->reason = TAKEN_OVER;
        session_end(x, "another gateway has our name");
    }
    bus_unlock(b);
}

/* ---- with the lock held, except where it says so ---- */

static void pause_before_next(link *l, const session *ended) {
    const settings *s = l->b->o.settings;
    int64_t most = s->retry_max_ms;
    if (ended && ended->was_up)
        l->backoff_ms = 0;
    l->backoff_ms = l->backoff_ms == 0 ? FIRST_PAUSE_MS : l->backoff_ms * 2;
    if (l->backoff_ms > most)
        l->backoff_ms = most;
    if (ended && ended->reason == TAKEN_OVER)
        l->backoff_ms = TAKEN_OVER_MS;
    l->next_try_ms = bus_clock_ms() + l->backoff_ms / 2 + random() % (l->backoff_ms / 2 + 1);
}

static void say_down(link *l, const session *ended, const char *why) {
    (void)snprintf(l->why, sizeof l->why, "%s", why);
    if (ended && ended->reason == TAKEN_OVER) {
        log_line("bus", LOG_LEVEL_ERROR,
                 "%s: another gateway has connected as '%s' and taken the place of this one: give each "
                 "gateway an id of its own in [gateway] id",
                 l->org, l->b->o.gateway);
        l->complained = true;
        return;
    }
    if (!l->complained)
        log_line("bus", LOG_LEVEL_WARNING, "%s: no connection to the broker at %s port %d: %s; trying again",
                 l->org, l->b->o.settings->broker_host, (int)l->b->o.settings->broker_port, why);
    l->complained = true;
}

/* Releases the lock meanwhile. */
static void begin(link *l) {
    bus *b = l->b;
    session *x = NULL;
    char why[BUS_WHY_MAX] = "";
    bus_unlock(b);
    int fault = paho_begin(l, &x, why);
    bus_lock(b);
    if (fault < 0) {
        say_down(l, NULL, why);
        pause_before_next(l, NULL);
        return;
    }
    l->renew = false;
    l->now = x;
}

/* Tells the world that we are there, asks for what the listeners want. Releases the lock meanwhile. */
static void introduce(link *l) {
    bus *b = l->b;
    session *x = l->now;
    size_t count = b->listener_count;
    instant now = instant_now();
    memcpy(x->last_online, l->last_online, sizeof x->last_online);
    instant_format(now, l->last_online);
    x->users++;
    bus_unlock(b);
    /* In this order, so that the broker hands out the status that was there before ours. */
    bool asked = paho_subscribe(x, 0, count) == 0;
    say_status(x, "online", now, false);
    bus_lock(b);
    x->users--;
    if (x->state != SESSION_FRESH)
        return;
    if (!asked) {
        session_end(x, "the subscriptions could not be sent");
        return;
    }
    x->heard = count;
    x->state = SESSION_UP;
    x->was_up = true;
    l->backoff_ms = 0;
    l->generation++;
    if (l->complained || l->generation == 1)
        log_line("bus", LOG_LEVEL_NOTICE, "%s: connected to the broker", l->org);
    l->complained = false;
    l->why[0] = '\0';
    bus_stir(b);
}

/* A listener that came later. Releases the lock meanwhile. */
static void ask_for_more(link *l) {
    bus *b = l->b;
    session *x = l->now;
    size_t from = x->heard, to = b->listener_count;
    x->heard = to;
    x->users++;
    bus_unlock(b);
    int fault = paho_subscribe(x, from, to);
    bus_lock(b);
    x->users--;
    if (fault < 0)
        session_end(x, "a subscription could not be sent");
}

/* Nobody uses it any more. Releases the lock meanwhile. */
static void bury(link *l) {
    bus *b = l->b;
    session *x = l->now;
    l->now = NULL;
    if (*x->why || x->reason)
        say_down(l, x, *x->why ? x->why : "the broker ended it");
    pause_before_next(l, x);
    if (!*x->why)
        l->next_try_ms = 0; /* our own wish */
    bus_unlock(b);
    (void)paho_end(x);
    bus_lock(b);
}

static void sooner(int64_t *until, int64_t at) {
    if (at < *until)
        *until = at;
}

/* One look at one link; *until is when to look again at the latest. */
static void tend(link *l, int64_t *until) {
    int64_t now = bus_clock_ms();
    session *x = l->now;
    if (!x && now >= l->next_try_ms) {
        begin(l);
        *until = 0;
        return;
    }
    if (!x) {
        sooner(until, l->next_try_ms);
        return;
    }
    switch (x->state) {
    case SESSION_OVER:
        if (x->users == 0) {
            bury(l);
            *until = 0;
        }
        break;
    case SESSION_CONNECTING:
        if (now - x->begun_ms >= CONNECT_MS) {
            session_end(x, "no answer to the connection request");
            *until = 0;
        }
        sooner(until, x->begun_ms + CONNECT_MS);
        break;
    case SESSION_FRESH:
        introduce(l);
        *until = 0;
        break;
    case SESSION_UP:
        if (l->renew || (x->renew_ms && now >= x->renew_ms)) {
            x->state = SESSION_DRAINING;
            x->begun_ms = now;
            *until = 0;
        } else if (x->heard < l->b->listener_count) {
            ask_for_more(l);
            *until = 0;
        } else if (x->renew_ms) {
            sooner(until, x->renew_ms);
        }
        break;
    case SESSION_DRAINING:
        if (x->on_way == 0 || now - x->begun_ms >= DRAIN_MS) {
            session_end(x, "");
            *until = 0;
        }
        sooner(until, x->begun_ms + DRAIN_MS);
        break;
    }
}

static bool all_drained(const bus *b) {
    for (const link *l = b->links; l; l = l->next)
        if (l->now && (l->now->state == SESSION_UP || l->now->state == SESSION_DRAINING) &&
            l->now->on_way > 0)
            return false;
    return true;
}

/* The last words. Services have ended: nobody else uses a session now. */
static void say_goodbye(bus *b) {
    for (link *l = b->links; l; l = l->next) {
        session *x = l->now;
        if (!x || x->state != SESSION_UP)
            continue;
        x->on_way++;
        bus_unlock(b);
        say_status(x, "offline", instant_now(), true);
        bus_lock(b);
    }
    int64_t until = bus_clock_ms() + DRAIN_MS;
    while (!all_drained(b) && bus_wait_until(b, until))
        continue;
    for (link *l = b->links; l; l = l->next) {
        session *x = l->now;
        l->now = NULL;
        bus_unlock(b);
        (void)paho_end(x);
        bus_lock(b);
    }
}

void *bus_manage(void *the_bus) {
    bus *b = the_bus;
    (void)pthread_setname_np(pthread_self(), "mg-bus");
    bus_lock(b);
    while (!b->closing) {
        int64_t until = bus_clock_ms() + IDLE_MS;
        for (link *l = b->links; l; l = l->next)
            tend(l, &until);
        /* A change meanwhile is not missed: the lock is held from the look at the last link into the wait,
         * and who was looked at before has set `until` to 0 if the lock was released since. */
        if (until > bus_clock_ms())
            bus_rest_until(b, until);
    }
    say_goodbye(b);
    bus_unlock(b);
    return NULL;
}
