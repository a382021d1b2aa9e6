/* connect.c - CONNECT, CONNACK, DISCONNECT, close, again and again on a few parallel places.
 *
 * A cycle ends when the broker has closed the connection, so that all its work for the session is in it. The
 * people of the crowd take turns (place i: person i, i + places, ...), so that a broker can't live off having
 * seen a token a moment ago unless the crowd is that small. */
#include "histogram.h"
#include "conn.h"

#include <stdlib.h>

typedef struct cycling {
    crowd people;
    histogram connack;
    int64_t cycles, started, limit;
    int64_t begun, ends;
    size_t *turn; /* by place: its next person */
} cycling;

static void start(loop *l, int place) {
    cycling *c = l->mode;
    size_t number = c->turn[place];
    c->turn[place] = number + (size_t)l->count < c->people.count ? number + (size_t)l->count : (size_t)place;
    c->started++;
    conn_open(l, place, &c->people.people[number]);
}

static void greeted(loop *l, conn *k) {
    cycling *c = l->mode;
    histogram_add(&c->connack, l->now - k->opened);
    conn_leave(l, k);
}

static void left(loop *l, conn *k) {
    cycling *c = l->mode;
    if (l->now <= c->ends)
        c->cycles++;
    if (l->now < c->ends && c->started < c->limit)
        start(l, k->index);
}

static bool busy(const loop *l) {
    for (int i = 0; i < l->count; i++)
        if (l->conns[i].stage != CONN_CLOSED)
            return true;
    return false;
}

static void run_all(loop *l, cycling *c) {
    int64_t seen = -1, until = 0;
    for (int i = 0; i < l->count; i++)
        start(l, i);
    while (busy(l)) {
        loop_turn(l, 100);
        if (c->cycles > seen) {
            seen = c->cycles;
            until = l->now + (int64_t)(l->options->patience * 1e9);
        } else if (l->now > until) {
            fail("the broker has stopped answering after %lld cycles", (long long)c->cycles);
        }
    }
}

static void run(const load_options *o) {
    static cycling c;
    size_t people = o->credentials ? crowd_lines(o->credentials) : (size_t)o->connections;
    if (people < (size_t)o->connections)
        fail("%s holds %zu people, %d are needed", o->credentials, people, o->connections);
    c.people = crowd_gather(o->credentials, people, "unused/%d");
    c.limit = o->count ? o->count : INT64_MAX;
    c.turn = calloc((size_t)o->connections, sizeof(*c.turn));
    if (!c.turn)
        fail("out of memory");
    for (int i = 0; i < o->connections; i++)
        c.turn[i] = (size_t)i;
    loop l = loop_make(o, o->connections, (conn_events){.up = greeted, .left = left}, &c);
    l.now = c.begun = clock_ns();
    c.ends = o->seconds > 0 ? c.begun + (int64_t)(o->seconds * 1e9) : INT64_MAX;
    run_all(&l, &c);
    double seconds = (double)((l.now < c.ends ? l.now : c.ends) - c.begun) / 1e9;
    printf("{\"mode\":\"connect\",\"parallel\":%d,\"seconds\":%.3f,\"cycles\":%lld,\"rate\":%.1f,"
           "\"connack_us\":",
           o->connections, seconds, (long long)c.cycles, (double)c.cycles / seconds);
    histogram_print(&c.connack, stdout);
    puts("}");
    loop_release(&l);
    crowd_release(&c.people);
    free(c.turn);
}

const load_mode load_mode_connect = {
    "connect",
    "CONNECT and DISCONNECT on a few parallel places (--connections): cycles a second",
    {.connections = 8, .window = 1, .seconds = 5},
    run,
};
