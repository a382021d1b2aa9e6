/* publish.c - locations at QoS 1 from many connections, each with a window of unacknowledged messages.
 *
 * The packet id is the place in the window, so a PUBACK leads straight to when its message was sent, and the
 * next message takes the place. Without --rate every free place is used at once; with it a turn sends what
 * the clock has made due, going round the connections. What is measured ends with the sending time; after
 * it the rest of the acknowledgements must still come. */
#include "forge.h"
#include "histogram.h"
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct lane {
    int64_t *sent_at;  /* by packet id - 1 */
    uint16_t *free_id; /* a stack of the places that are free */
    int free_count;
} lane;

typedef struct publishing {
    forge forge;
    histogram latency;
    lane *lanes;
    int window;
    int64_t sent, acked, refused, limit;
    int64_t begun, ends;
    int64_t acked_in_time;
    int next; /* the lane whose turn it is, with --rate */
} publishing;

static void lane_make(lane *n, int window) {
    n->sent_at = calloc((size_t)window, sizeof(*n->sent_at));
    n->free_id = calloc((size_t)window, sizeof(*n->free_id));
    if (!n->sent_at || !n->free_id)
        fail("out of memory");
    for (n->free_count = 0; n->free_count < window; n->free_count++)
        n->free_id[n->free_count] = (uint16_t)(window - n->free_count);
}

static bool may_send(const loop *l, const publishing *p) {
    return p->begun && p->sent < p->limit && l->now < p->ends;
}

static void send_one(loop *l, publishing *p, conn *k) {
    lane *n = &p->lanes[k->index];
    uint16_t id = n->free_id[--n->free_count];
    n->sent_at[id - 1] = l->now;
    wire_publish(&k->out, l->options->version, k->who->topic, forge_location(&p->forge), 1, id);
    p->sent++;
}

static void fill(loop *l, conn *k) {
    publishing *p = l->mode;
    if (l->options->rate > 0)
        return;
    forge_tick(&p->forge);
    while (p->lanes[k->index].free_count > 0 && may_send(l, p))
        send_one(l, p, k);
    if (k->out.len && !k->blocked)
        conn_flush(l, k);
}

static void take(loop *l, conn *k, const wire_packet *packet) {
    publishing *p = l->mode;
    lane *n = &p->lanes[k->index];
    uint16_t id = wire_id(packet);
    if (packet->type != WIRE_PUBACK || id == 0 || id > p->window || n->free_count >= p->window)
        fail("packet type %d, id %u was not expected", packet->type, id);
    n->free_id[n->free_count++] = id;
    if (wire_code(packet, l->options->version) >= 0x80)
        p->refused++;
    p->acked++;
    if (l->now <= p->ends) {
        p->acked_in_time++;
        histogram_add(&p->latency, l->now - n->sent_at[id - 1]);
    }
}

/* Sends what the rate has made due by now, at most what the windows hold. */
static void pace(loop *l, publishing *p) {
    int64_t due = (int64_t)((double)(l->now - p->begun) / 1e9 * l->options->rate);
    forge_tick(&p->forge);
    for (int passed = 0; p->sent < due && may_send(l, p) && passed < l->count; p->next++) {
        conn *k = &l->conns[p->next % l->count];
        if (p->lanes[k->index].free_count == 0) {
            passed++;
            continue;
        }
        passed = 0;
        send_one(l, p, k);
    }
    for (int i = 0; i < l->count; i++)
        if (l->conns[i].out.len && !l->conns[i].blocked)
            conn_flush(l, &l->conns[i]);
}

static void run_until_acknowledged(loop *l, publishing *p) {
    int64_t seen = -1, until = 0;
    bool paced = l->options->rate > 0;
    while (may_send(l, p) || p->acked < p->sent) {
        loop_turn(l, paced ? 1 : 100);
        if (paced && may_send(l, p))
            pace(l, p);
        if (p->acked > seen || p->acked == p->sent) {
            seen = p->acked;
            until = l->now + (int64_t)(l->options->patience * 1e9);
        } else if (l->now > until) {
            fail("%lld of %lld messages were never acknowledged", (long long)(p->sent - p->acked),
                 (long long)p->sent);
        }
    }
}

static void print(const loop *l, const publishing *p) {
    int64_t ended = l->now < p->ends ? l->now : p->ends;
    double seconds = (double)(ended - p->begun) / 1e9;
    printf("{\"mode\":\"publish\",\"connections\":%d,\"window\":%d,\"seconds\":%.3f,\"sent\":%lld,"
           "\"acked\":%lld,\"refused\":%lld,\"rate\":%.0f,\"latency_us\":",
           l->count, p->window, seconds, (long long)p->sent, (long long)p->acked, (long long)p->refused,
           (double)p->acked_in_time / seconds);
    histogram_print(&p->latency, stdout);
    puts("}");
}

static void run(const load_options *o) {
    static publishing p;
    p.window = o->window;
    p.limit = o->count ? o->count : INT64_MAX;
    p.lanes = calloc((size_t)o->connections, sizeof(lane));
    if (!p.lanes || forge_start(&p.forge) != 0)
        fail("cannot start: %s", strerror(errno));
    for (int i = 0; i < o->connections; i++)
        lane_make(&p.lanes[i], p.window);
    crowd people = crowd_gather(o->credentials, (size_t)o->connections, "mayday/v1/bench/user/u%d/location");
    loop l = loop_make(o, o->connections, (conn_events){.packet = take, .drained = fill}, &p);
    loop_open_all(&l, &people, 50);
    l.now = p.begun = clock_ns();
    p.ends = o->seconds > 0 ? p.begun + (int64_t)(o->seconds * 1e9) : INT64_MAX;
    for (int i = 0; i < l.count; i++)
        fill(&l, &l.conns[i]);
    run_until_acknowledged(&l, &p);
    print(&l, &p);
    loop_leave_all(&l);
    loop_release(&l);
    crowd_release(&people);
    for (int i = 0; i < o->connections; i++) {
        free(p.lanes[i].sent_at);
        free(p.lanes[i].free_id);
    }
    free(p.lanes);
}

const load_mode load_mode_publish = {
    "publish",
    "locations at QoS 1: rate and latency of the acknowledgements",
    {.connections = 50, .window = 20, .seconds = 5},
    run,
};
