/* crowd.c - see crowd.h. */
#include "crowd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTING_MAX 64 /* at once: a broker's listen backlog is not for storming */
#define EVENTS_MAX     4096
#define BACKOFF_MIN    200
#define BACKOFF_MAX    5000
#define LISTENS_MAX    (MQTT_FILTERS_MAX - 1)
#define NEVER          INT64_MAX

int crowd_enter(crowd *all, size_t index, const char *sub, const char *org, const char *roles,
                const char *const *listens) {
    person *p = &all->people[index];
    *p = (person){.all = all, .sub = strdup(sub), .org = strdup(org), .roles = roles, .listens = listens};
    p->backoff_ms = BACKOFF_MIN;
    outbox_begin(&p->out);
    return p->sub && p->org ? EXIT_DONE : command_fail(all->command, EXIT_REFUSED, "out of memory");
}

void crowd_release(crowd *all) {
    all->hub = mqtt_hub_free(all->hub);
    for (size_t i = 0; i < all->count; i++) {
        if (all->people[i].all)
            outbox_release(&all->people[i].out);
        free(all->people[i].sub);
        free(all->people[i].org);
    }
    free(all->people);
    all->people = NULL;
    all->keys = mint_free(all->keys);
}

int crowd_say(person *p, const char *below, const payload *what, bool urgent, int tag) {
    CLEANUP(buf_release) buf topic = BUF(65535);
    CLEANUP(buf_release) buf body = BUF(1 << 20);
    buf_printf(&topic, "mayday/v1/%s/%s", p->org, below);
    if (payload_print(what, &body) < 0 || buf_failed(&topic) < 0 ||
        outbox_add(&p->out, topic.ptr, body.ptr, urgent, tag) < 0)
        return command_fail(p->all->command, EXIT_REFUSED, "out of memory");
    if (tag == TAG_FORBIDDEN)
        memcpy(p->forbidden, what->id, sizeof p->forbidden);
    return EXIT_DONE;
}

void crowd_leave(person *p) {
    if (p->line == LINE_CONNECTING)
        p->all->connecting--;
    if (p->client)
        mqtt_disconnect(p->client);
    p->line = LINE_DOWN;
    p->listening = false;
    p->connect_at = NEVER;
    outbox_disconnected(&p->out);
}

void crowd_return(person *p, instant now) {
    p->connect_at = now;
    p->backoff_ms = BACKOFF_MIN;
}

static void away(person *p, instant now) {
    crowd *all = p->all;
    if (p->line == LINE_CONNECTING)
        all->connecting--;
    p->line = LINE_DOWN;
    p->listening = false;
    outbox_disconnected(&p->out);
    /* scattered, so that a restarted broker is not met by everyone at once */
    all->jitter = all->jitter * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    int64_t pause_ms = p->backoff_ms / 2 + (int64_t)(all->jitter >> 33) % p->backoff_ms;
    p->connect_at = now + pause_ms * 1000;
    p->backoff_ms = p->backoff_ms * 2 > BACKOFF_MAX ? BACKOFF_MAX : p->backoff_ms * 2;
}

/* A token is minted for each connection, so that none is too old. */
static void come(person *p, instant now) {
    crowd *all = p->all;
    CLEANUP(identity_release) identity who = {0};
    mint_wish wish = {.sub = p->sub, .org = p->org, .roles = p->roles};
    int code = mint_token(all->command, all->keys, &wish, &who);
    if (code != EXIT_DONE) {
        all->refused_code = code;
        return;
    }
    p->line = LINE_CONNECTING;
    all->connecting++;
    CLEANUP(buf_release) buf id = BUF(1024);
    buf_printf(&id, "%s/sim", p->sub);
    mqtt_options options = link_mqtt(all->link, &who, id.ptr);
    bool begun = buf_failed(&id) == 0 &&
                 (p->client || mqtt_client_new(all->hub, &options, p, &p->client) == 0) &&
                 mqtt_connect(p->client, who.token) == 0;
    if (!begun) {
        all->figures.unreachable++;
        away(p, now);
    }
}

static void listen_to(person *p) {
    CLEANUP(buf_release) buf filters = BUF(65535);
    size_t starts[MQTT_FILTERS_MAX], count = 0;
    starts[count++] = 0;
    buf_printf(&filters, "mayday/v1/%s/user/%s/rejected", p->org, p->sub);
    for (size_t i = 0; p->listens && p->listens[i] && i < LISTENS_MAX; i++) {
        buf_add_char(&filters, '\0');
        starts[count++] = filters.len;
        const char *own = strchr(p->listens[i], '*');
        buf_printf(&filters, "mayday/v1/%s/%.*s%s%s", p->org, (int)(own ? own - p->listens[i] : 0),
                   p->listens[i], own ? p->sub : "", own ? own + 1 : p->listens[i]);
    }
    if (buf_failed(&filters) < 0)
        return;
    const char *at[MQTT_FILTERS_MAX];
    for (size_t i = 0; i < count; i++)
        at[i] = filters.ptr + starts[i];
    int packet;
    (void)!mqtt_subscribe(p->client, at, count, &packet); /* failing, the connection is gone: MQTT_DOWN */
}

static void arrived(person *p) {
    crowd *all = p->all;
    if (p->line == LINE_CONNECTING)
        all->connecting--;
    p->line = LINE_UP;
    p->backoff_ms = BACKOFF_MIN;
    all->figures.reconnects += p->was_up;
    p->was_up = true;
    listen_to(p);
}

static void note_refusal(crowd *all, const char *format, ...) PRINTF_LIKE(2, 3);
static void note_refusal(crowd *all, const char *format, ...) {
    if (*all->figures.first_refusal)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(all->figures.first_refusal, sizeof all->figures.first_refusal, format, args);
    va_end(args);
}

static void acked(person *p, const mqtt_event *e) {
    crowd *all = p->all;
    CLEANUP(parcel_freep) parcel *what = outbox_acked(&p->out, e->packet);
    if (!what)
        return;
    if (what->tag == TAG_FORBIDDEN) {
        /* its refusal is told on `rejected` */
    } else if (e->reason >= MQTT_REFUSED_AT) {
        all->figures.refused++;
        note_refusal(all, "%s: %s", what->topic, mqtt_reason_name(e->reason));
    } else {
        all->figures.acked++;
    }
    if (all->on_acked)
        all->on_acked(all->context, p, what, e->reason, e->at);
}

static void heard(person *p, const mqtt_event *e) {
    static const text rejected = {"/rejected", 9};
    text topic = e->topic;
    if (topic.len < rejected.len ||
        !text_equal((text){topic.ptr + topic.len - rejected.len, rejected.len}, rejected)) {
        if (p->all->on_message)
            p->all->on_message(p->all->context, p, e);
        return;
    }
    CLEANUP(json_freep) json *body = NULL;
    bool parsed = json_parse_once(e->body, &body) == JSON_OK;
    if (parsed && *p->forbidden && text_equal(json_get_string(body, "id"), text_of(p->forbidden))) {
        p->all->on_message(p->all->context, p, e);
        return;
    }
    p->all->figures.rejected++;
    if (!parsed)
        return;
    text about = json_get_string(body, "topic"), code = json_get_string(body, "code"),
         detail = json_get_string(body, "detail");
    note_refusal(p->all, "%.*s: %.*s: %.*s", (int)about.len, about.ptr ? about.ptr : "", (int)code.len,
                 code.ptr ? code.ptr : "", (int)detail.len, detail.ptr ? detail.ptr : "");
}

static void handle(crowd *all, const mqtt_event *e, instant now) {
    person *p = e->user;
    switch (e->kind) {
    case MQTT_QUIET:
        break;
    case MQTT_SUBSCRIBED:
        p->listening = p->line == LINE_UP;
        break;
    case MQTT_STOP:
        all->stopping = true;
        break;
    case MQTT_UP:
        arrived(p);
        break;
    case MQTT_REFUSED:
        all->figures.refused++;
        note_refusal(all, "%s may not connect: %s", p->sub, e->why);
        p->backoff_ms = BACKOFF_MAX;
        away(p, now);
        break;
    case MQTT_UNREACHABLE:
        all->figures.unreachable++;
        away(p, now);
        break;
    case MQTT_DOWN:
        all->figures.lost_connections++;
        away(p, now);
        break;
    case MQTT_ACKED:
        acked(p, e);
        break;
    case MQTT_MESSAGE:
        heard(p, e);
        break;
    }
}

static void send_on(person *p) {
    crowd_figures *f = &p->all->figures;
    int packet;
    for (parcel *next; (next = outbox_next(&p->out));) {
        if (mqtt_publish(p->client, next->topic, text_of(next->body), &packet) < 0)
            return; /* the connection is ending; MQTT_DOWN comes, and everything goes again */
        f->sent += next->times_sent == 0 && next->tag != TAG_FORBIDDEN;
        f->resent += next->times_sent > 0;
        outbox_sent(&p->out, next, packet);
    }
}

void crowd_turn(crowd *all, int timeout_ms) {
    const mqtt_event *e = mqtt_wait(all->hub, timeout_ms);
    for (int i = 0; e->kind != MQTT_QUIET && i < EVENTS_MAX; i++) {
        handle(all, e, instant_now());
        e = mqtt_wait(all->hub, 0);
    }
    if (e->kind != MQTT_QUIET)
        handle(all, e, instant_now());
    instant now = instant_now();
    all->figures.dropped = 0;
    for (size_t i = 0; i < all->count; i++) {
        person *p = &all->people[i];
        if (p->line == LINE_DOWN && now >= p->connect_at && all->connecting < CONNECTING_MAX)
            come(p, now);
        else if (p->line == LINE_UP)
            send_on(p);
        all->figures.dropped += p->out.dropped;
    }
}

size_t crowd_connected(const crowd *all) {
    size_t up = 0;
    for (size_t i = 0; i < all->count; i++)
        up += all->people[i].line == LINE_UP;
    return up;
}

size_t crowd_unacked(const crowd *all) {
    size_t waiting = 0;
    for (size_t i = 0; i < all->count; i++)
        waiting += all->people[i].out.ordinary + all->people[i].out.urgent;
    return waiting;
}
