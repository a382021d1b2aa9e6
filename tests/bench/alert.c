/* alert.c - a person raises alerts at a fixed pace, a dispatcher hears them.
 *
 * Two connections: the first of the crowd raises, on a topic whose %s is the new alert's id; the second
 * subscribes. The number of an alert is hidden in its id, so what arrives leads back to when it was sent. An
 * alert that is never acknowledged or never heard fails the run. */
#include "forge.h"
#include "histogram.h"
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC_BYTES 256

typedef struct alerting {
    forge forge;
    histogram acknowledged, heard;
    int64_t *sent_at; /* by number */
    bool *was_heard;
    int64_t sent, acked, delivered, limit;
    int64_t begun;
} alerting;

/* "before%safter" with the id in the place of %s, or with "+". */
static text spell(text format, text id, char to[TOPIC_BYTES]) {
    const char *mark = memmem(format.ptr, format.len, "%s", 2);
    if (!mark || format.len + id.len >= TOPIC_BYTES)
        fail("the topic '%.*s' has no %%s for the alert's id, or is too long", (int)format.len, format.ptr);
    size_t head = (size_t)(mark - format.ptr), tail = format.len - head - 2;
    memcpy(to, format.ptr, head);
    memcpy(to + head, id.ptr, id.len);
    memcpy(to + head + id.len, mark + 2, tail);
    return (text){to, head + id.len + tail};
}

static void raise_one(loop *l, alerting *a, conn *k) {
    char id_text[UUID_TEXT_LEN + 1], topic[TOPIC_BYTES];
    forge_tick(&a->forge);
    uuid id = forge_id(&a->forge, (uint32_t)a->sent);
    uuid_format(&id, id_text);
    a->sent_at[a->sent] = clock_ns();
    text where = spell(k->who->topic, text_of(id_text), topic);
    wire_publish(&k->out, l->options->version, where, forge_raise(&a->forge, &id), 1,
                 (uint16_t)(a->sent % 60000 + 1));
    a->sent++;
    conn_flush(l, k);
}

static void take_ack(loop *l, alerting *a, const wire_packet *packet) {
    if (wire_id(packet) != a->acked % 60000 + 1)
        fail("an alert was acknowledged out of order");
    if (wire_code(packet, l->options->version) >= 0x80)
        fail("an alert was refused, code %d", wire_code(packet, l->options->version));
    histogram_add(&a->acknowledged, l->now - a->sent_at[a->acked++]);
}

static void take_alert(loop *l, alerting *a, conn *k, const wire_packet *packet) {
    wire_message m;
    uint32_t number;
    if (!wire_read_publish(packet, l->options->version, &m))
        fail("a delivered message is malformed");
    if (m.qos)
        wire_puback(&k->out, m.id);
    const char *id = memmem(m.payload.ptr, m.payload.len, "\"id\":\"", 6);
    if (!id || (size_t)(m.payload.ptr + m.payload.len - id) < 6 + UUID_TEXT_LEN ||
        !forge_tail((text){id + 6, UUID_TEXT_LEN}, &number) || number >= a->sent)
        fail("the dispatcher heard something nobody raised");
    if (!a->was_heard[number]) {
        a->was_heard[number] = true;
        a->delivered++;
        histogram_add(&a->heard, l->now - a->sent_at[number]);
    }
}

static void take(loop *l, conn *k, const wire_packet *packet) {
    if (packet->type == WIRE_PUBACK)
        take_ack(l, l->mode, packet);
    else if (packet->type == WIRE_PUBLISH)
        take_alert(l, l->mode, k, packet);
}

static void flush(loop *l, conn *k) {
    if (k->out.len && !k->blocked)
        conn_flush(l, k);
}

/* Busy-waits below a millisecond would take the broker's core: a turn waits until the next alert is due. */
static void run_all(loop *l, alerting *a, double rate) {
    int64_t until = 0, seen = -1;
    while (a->acked < a->limit || a->delivered < a->limit) {
        int64_t due = a->begun + (int64_t)((double)a->sent / rate * 1e9);
        int64_t wait = a->sent < a->limit ? (due - clock_ns()) / 1000000 : 100;
        loop_turn(l, wait < 0 ? 0 : (int)wait);
        if (a->sent < a->limit && clock_ns() >= due)
            raise_one(l, a, &l->conns[0]);
        if (a->acked + a->delivered > seen || a->sent == seen) {
            seen = a->acked + a->delivered;
            until = clock_ns() + (int64_t)(l->options->patience * 1e9);
        } else if (clock_ns() > until) {
            fail("of %lld alerts %lld were acknowledged and %lld heard", (long long)a->sent,
                 (long long)a->acked, (long long)a->delivered);
        }
    }
}

static void print(const alerting *a, double rate) {
    printf("{\"mode\":\"alert\",\"alerts\":%lld,\"pace\":%.1f,\"puback_us\":", (long long)a->sent, rate);
    histogram_print(&a->acknowledged, stdout);
    fputs(",\"heard_us\":", stdout);
    histogram_print(&a->heard, stdout);
    puts("}");
}

static void run(const load_options *o) {
    static alerting a;
    char filter[TOPIC_BYTES];
    double rate = o->rate > 0 ? o->rate : 50;
    a.limit = o->count ? o->count : (int64_t)(o->seconds * rate) + 1;
    a.sent_at = calloc((size_t)a.limit, sizeof(*a.sent_at));
    a.was_heard = calloc((size_t)a.limit, sizeof(*a.was_heard));
    if (!a.sent_at || !a.was_heard || forge_start(&a.forge) != 0)
        fail("cannot start: %s", strerror(errno));
    crowd people = crowd_gather(o->credentials, 2, "mayday/v1/bench/alert/%%s/raise");
    loop l = loop_make(o, 2, (conn_events){.packet = take, .drained = flush}, &a);
    loop_open_all(&l, &people, 2);
    loop_subscribe(&l, &l.conns[1], spell(people.people[1].topic, TEXT("+"), filter), 1);
    a.begun = clock_ns();
    run_all(&l, &a, rate);
    print(&a, rate);
    loop_leave_all(&l);
    loop_release(&l);
    crowd_release(&people);
    free(a.sent_at);
    free(a.was_heard);
}

const load_mode load_mode_alert = {
    "alert",
    "alerts at a pace (--rate): time to the acknowledgement and to the dispatcher",
    {.connections = 2, .window = 1, .seconds = 5},
    run,
};
