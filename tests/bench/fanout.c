/* fanout.c - one publisher, many subscribers to the same topic: how many deliveries a second.
 *
 * The first of the crowd publishes, the others subscribe (their topic is the filter). The publisher is never
 * more than the window ahead of what has been delivered on average, so that no queue of the broker
 * overflows; every delivery must arrive, so that a broker that drops can't look fast. */
#include "forge.h"
#include "histogram.h"
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct fanning {
    forge forge;
    int64_t sent, acked, delivered, delivered_in_time, limit;
    int64_t begun, ends;
    int subscribers;
} fanning;

static bool may_send(const loop *l, const fanning *f) {
    return f->sent < f->limit && l->now < f->ends &&
           f->sent - f->delivered / f->subscribers < l->options->window &&
           f->sent - f->acked < l->options->window;
}

static void fill(loop *l, fanning *f) {
    conn *k = &l->conns[0];
    if (!may_send(l, f))
        return;
    forge_tick(&f->forge);
    for (; may_send(l, f); f->sent++)
        wire_publish(&k->out, l->options->version, k->who->topic, forge_location(&f->forge), 1,
                     (uint16_t)(f->sent % 60000 + 1));
    if (!k->blocked)
        conn_flush(l, k);
}

static void take(loop *l, conn *k, const wire_packet *packet) {
    fanning *f = l->mode;
    wire_message m;
    if (packet->type == WIRE_PUBACK) {
        f->acked++;
        if (wire_code(packet, l->options->version) >= 0x80)
            fail("a message was refused, code %d", wire_code(packet, l->options->version));
        return;
    }
    if (packet->type != WIRE_PUBLISH || !wire_read_publish(packet, l->options->version, &m))
        fail("packet type %d was not expected, or is malformed", packet->type);
    if (m.qos)
        wire_puback(&k->out, m.id);
    f->delivered++;
    if (l->now <= f->ends)
        f->delivered_in_time++;
}

static void flush(loop *l, conn *k) {
    if (k->out.len && !k->blocked)
        conn_flush(l, k);
    fill(l, l->mode);
}

static void run_all(loop *l, fanning *f) {
    int64_t seen = -1, until = 0;
    fill(l, f);
    while ((f->sent < f->limit && l->now < f->ends) || f->acked < f->sent ||
           f->delivered < f->sent * f->subscribers) {
        loop_turn(l, 100);
        fill(l, f);
        if (f->delivered > seen) {
            seen = f->delivered;
            until = l->now + (int64_t)(l->options->patience * 1e9);
        } else if (l->now > until) {
            fail("%lld of %lld deliveries never arrived",
                 (long long)(f->sent * f->subscribers - f->delivered), (long long)(f->sent * f->subscribers));
        }
    }
}

static void print(const loop *l, const fanning *f) {
    int64_t ended = l->now < f->ends ? l->now : f->ends;
    double seconds = (double)(ended - f->begun) / 1e9;
    printf("{\"mode\":\"fanout\",\"subscribers\":%d,\"qos\":%d,\"seconds\":%.3f,\"sent\":%lld,"
           "\"delivered\":%lld,\"rate\":%.0f}\n",
           f->subscribers, l->options->qos, seconds, (long long)f->sent, (long long)f->delivered,
           (double)f->delivered_in_time / seconds);
}

static void run(const load_options *o) {
    static fanning f;
    f.subscribers = o->connections;
    f.limit = o->count ? o->count : INT64_MAX;
    if (forge_start(&f.forge) != 0)
        fail("cannot start: %s", strerror(errno));
    crowd people =
        crowd_gather(o->credentials, (size_t)o->connections + 1, "mayday/v1/bench/user/u/location");
    loop l = loop_make(o, o->connections + 1, (conn_events){.packet = take, .drained = flush}, &f);
    conn_events measured = l.events;
    l.events = (conn_events){0};
    loop_open_all(&l, &people, 50);
    for (int i = 1; i < l.count; i++)
        loop_subscribe(&l, &l.conns[i], people.people[i].topic, o->qos);
    l.events = measured;
    l.now = f.begun = clock_ns();
    f.ends = o->seconds > 0 ? f.begun + (int64_t)(o->seconds * 1e9) : INT64_MAX;
    run_all(&l, &f);
    print(&l, &f);
    loop_leave_all(&l);
    loop_release(&l);
    crowd_release(&people);
}

const load_mode load_mode_fanout = {
    "fanout",
    "one publisher to many subscribers (--connections): deliveries a second",
    {.connections = 200, .window = 20, .seconds = 5},
    run,
};
