/* state.c - people raise at a fixed pace, each an incident of their own, and hear from the gateway how far it
 * got.
 *
 * Every line of the crowd but the last is a person who raises once, on a topic whose %s is the new alert's
 * id, and has subscribed to that topic with the leaf `state` and a wildcard. The last is a dispatcher, who
 * has the leaf `dispatch`. Both leaves count once they carry the receipt `stored`; a raise that is not
 * acknowledged or of which one of the two is not told fails the run. The clock starts when the raise is
 * handed to the socket. */
#include "forge.h"
#include "histogram.h"
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC_BYTES 256

typedef struct raised {
    int64_t sent_at;
    bool acked, told, shown;
} raised;

typedef struct telling {
    forge forge;
    histogram acknowledged, told, shown; /* PUBACK; `state` at the raiser; `dispatch` at the dispatcher */
    raised *raises;                      /* by number, which is the connection's */
    int count, sent;
    int64_t steps; /* of three for each raise */
    int64_t begun;
} telling;

/* "before%safter" with the id in the place of %s, and `leaf` instead of the last level. */
static text spell(text format, text id, text leaf, char to[TOPIC_BYTES]) {
    const char *mark = memmem(format.ptr, format.len, "%s/", 3);
    size_t head = mark ? (size_t)(mark - format.ptr) : 0;
    if (!mark || head + id.len + 1 + leaf.len >= TOPIC_BYTES)
        fail("the topic '%.*s' has no %%s for the alert's id, or is too long", (int)format.len, format.ptr);
    memcpy(to, format.ptr, head);
    memcpy(to + head, id.ptr, id.len);
    to[head + id.len] = '/';
    memcpy(to + head + id.len + 1, leaf.ptr, leaf.len);
    return (text){to, head + id.len + 1 + leaf.len};
}

static void raise_one(loop *l, telling *t) {
    char id_text[UUID_TEXT_LEN + 1], topic[TOPIC_BYTES];
    conn *k = &l->conns[t->sent];
    forge_tick(&t->forge);
    uuid id = forge_id(&t->forge, (uint32_t)t->sent);
    uuid_format(&id, id_text);
    wire_publish(&k->out, l->options->version, spell(k->who->topic, text_of(id_text), TEXT("raise"), topic),
                 forge_raise(&t->forge, &id), 1, 1);
    t->raises[t->sent++].sent_at = clock_ns();
    conn_flush(l, k);
}

static void note(telling *t, bool *done, histogram *h, int64_t took) {
    if (*done)
        return;
    *done = true;
    t->steps++;
    histogram_add(h, took);
}

static void take_ack(loop *l, telling *t, const conn *k, const wire_packet *packet) {
    raised *r = &t->raises[k->index];
    if (k->index >= t->sent || r->acked)
        fail("a raise was acknowledged that nobody sent");
    if (wire_code(packet, l->options->version) >= 0x80)
        fail("a raise was refused, code %d", wire_code(packet, l->options->version));
    note(t, &r->acked, &t->acknowledged, l->now - r->sent_at);
}

static bool ends_with(text t, text end) {
    return t.len >= end.len && memcmp(t.ptr + t.len - end.len, end.ptr, end.len) == 0;
}

static bool of_the_leaf(text topic, text leaf, uint32_t *ret_number) {
    size_t tail = leaf.len + UUID_TEXT_LEN;
    return topic.len > tail && ends_with(topic, leaf) &&
           forge_tail((text){topic.ptr + topic.len - tail, UUID_TEXT_LEN}, ret_number);
}

static void take_truth(loop *l, telling *t, conn *k, const wire_packet *packet) {
    wire_message m;
    uint32_t number;
    if (!wire_read_publish(packet, l->options->version, &m))
        fail("a delivered message is malformed");
    if (m.qos)
        wire_puback(&k->out, m.id);
    if (!memmem(m.payload.ptr, m.payload.len, "\"stored\":", 9))
        return;
    if (of_the_leaf(m.topic, TEXT("/state"), &number) && number == (uint32_t)k->index && k->index < t->sent)
        note(t, &t->raises[number].told, &t->told, l->now - t->raises[number].sent_at);
    else if (of_the_leaf(m.topic, TEXT("/dispatch"), &number) && k->index == t->count &&
             number < (uint32_t)t->sent)
        note(t, &t->raises[number].shown, &t->shown, l->now - t->raises[number].sent_at);
    else
        fail("%.*s was told of '%.*s', which is not theirs", (int)k->who->client.len, k->who->client.ptr,
             (int)m.topic.len, m.topic.ptr);
}

static void take(loop *l, conn *k, const wire_packet *packet) {
    if (packet->type == WIRE_PUBACK)
        take_ack(l, l->mode, k, packet);
    else if (packet->type == WIRE_PUBLISH)
        take_truth(l, l->mode, k, packet);
}

static void flush(loop *l, conn *k) {
    if (k->out.len && !k->blocked)
        conn_flush(l, k);
}

static int count_steps(const telling *t, size_t which) {
    int n = 0;
    for (int i = 0; i < t->count; i++)
        n += which == 0 ? t->raises[i].acked : which == 1 ? t->raises[i].told : t->raises[i].shown;
    return n;
}

static void run_all(loop *l, telling *t, double rate) {
    int64_t until = 0, seen = -1;
    while (t->steps < 3 * (int64_t)t->count) {
        int64_t due = t->begun + (int64_t)((double)t->sent / rate * 1e9);
        int64_t wait = t->sent < t->count ? (due - clock_ns()) / 1000000 : 100;
        loop_turn(l, wait < 0 ? 0 : (int)wait);
        if (t->sent < t->count && clock_ns() >= due)
            raise_one(l, t);
        if (t->steps > seen) {
            seen = t->steps;
            until = clock_ns() + (int64_t)(l->options->patience * 1e9);
        } else if (clock_ns() > until) {
            fail("of %d raises %d were acknowledged, %d came back as `state` and %d as `dispatch`", t->sent,
                 count_steps(t, 0), count_steps(t, 1), count_steps(t, 2));
        }
    }
}

static void print(const telling *t, double rate) {
    printf("{\"mode\":\"state\",\"raises\":%d,\"pace\":%.1f,\"puback_us\":", t->count, rate);
    histogram_print(&t->acknowledged, stdout);
    fputs(",\"state_us\":", stdout);
    histogram_print(&t->told, stdout);
    fputs(",\"dispatch_us\":", stdout);
    histogram_print(&t->shown, stdout);
    puts("}");
}

static void run(const load_options *o) {
    static telling t;
    char filter[TOPIC_BYTES];
    double rate = o->rate > 0 ? o->rate : 50;
    size_t lines = o->credentials ? crowd_lines(o->credentials) : 0;
    if (lines < 2)
        fail("the crowd needs a person and a dispatcher");
    t.count = (int)lines - 1;
    t.raises = calloc((size_t)t.count, sizeof(*t.raises));
    if (!t.raises || forge_start(&t.forge) != 0)
        fail("cannot start: %s", strerror(errno));
    crowd people = crowd_gather(o->credentials, lines, "mayday/v1/bench/alert/%%s/raise");
    loop l = loop_make(o, t.count + 1, (conn_events){.packet = take, .drained = flush}, &t);
    loop_open_all(&l, &people, 50);
    for (int i = 0; i <= t.count; i++)
        loop_subscribe(
            &l, &l.conns[i],
            spell(people.people[i].topic, TEXT("+"), i < t.count ? TEXT("state") : TEXT("dispatch"), filter),
            1);
    t.begun = clock_ns();
    run_all(&l, &t, rate);
    print(&t, rate);
    loop_leave_all(&l);
    loop_release(&l);
    crowd_release(&people);
    free(t.raises);
}

const load_mode load_mode_state = {
    "state",
    "everyone of --credentials but the last raises once, at a pace (--rate): time until they are told it is "
    "stored",
    {.window = 1},
    run,
};
