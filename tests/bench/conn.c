/* conn.c - sockets, epoll and the handshake. */
#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "histogram.h"

#define INPUT_MAX         (256u << 10)
#define OUTPUT_MAX        (16u << 20)
#define EVENTS_MAX        256
#define PORTS_PER_ADDRESS 20000 /* connections from one source address; the kernel has about 28,000 ports */
#define NS_PER_S          1e9

loop loop_make(const load_options *o, int count, conn_events events, void *mode) {
    loop l = {.options = o, .events = events, .mode = mode, .count = count, .now = clock_ns()};
    l.conns = calloc((size_t)count, sizeof(conn));
    l.input = malloc(INPUT_MAX);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!l.conns || !l.input || l.epoll < 0)
        fail("cannot make the event loop: %s", strerror(errno));
    for (int i = 0; i < count; i++)
        l.conns[i] = (conn){.fd = -1, .index = i, .out = BUF(OUTPUT_MAX), .part = BUF(INPUT_MAX)};
    return l;
}

static void close_socket(conn *k) {
    if (k->fd >= 0)
        close(k->fd);
    k->fd = -1;
    k->stage = CONN_CLOSED;
    k->blocked = false;
    k->written = 0;
    buf_clear(&k->out);
    buf_clear(&k->part);
}

void loop_release(loop *l) {
    for (int i = 0; i < l->count; i++) {
        close_socket(&l->conns[i]);
        buf_release(&l->conns[i].out);
        buf_release(&l->conns[i].part);
    }
    close(l->epoll);
    free(l->conns);
    free(l->input);
}

static int client_len(const conn *k) {
    return (int)k->who->client.len;
}

static void watch(loop *l, conn *k, int operation, bool output) {
    struct epoll_event e = {.events = EPOLLIN | (output ? (uint32_t)EPOLLOUT : 0), .data.ptr = k};
    if (epoll_ctl(l->epoll, operation, k->fd, &e) != 0)
        fail("epoll_ctl: %s", strerror(errno));
    k->blocked = output;
}

/* Beyond what one source address has ports for, the next loopback address is used. */
static void choose_source(const conn *k) {
    if (k->index < PORTS_PER_ADDRESS)
        return;
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(k->index / PORTS_PER_ADDRESS));
    int yes = 1;
    setsockopt(k->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
    if (bind(k->fd, (struct sockaddr *)&from, sizeof(from)) != 0)
        fail("cannot use a further loopback address: %s", strerror(errno));
}

static void set_options(const conn *k) {
    int yes = 1;
    struct linger abrupt = {.l_onoff = 1}; /* leaves no TIME_WAIT: ports must not run out */
    setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    setsockopt(k->fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof(abrupt));
}

void conn_open(loop *l, int index, const person *who) {
    conn *k = &l->conns[index];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(l->options->port)};
    if (inet_pton(AF_INET, l->options->host, &to.sin_addr) != 1)
        fail("'%s' is no IPv4 address", l->options->host);
    k->who = who;
    k->opened = clock_ns();
    k->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (k->fd < 0)
        fail("cannot open socket %d: %s", index, strerror(errno));
    set_options(k);
    choose_source(k);
    if (connect(k->fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)
        fail("cannot connect to %s:%u: %s", l->options->host, l->options->port, strerror(errno));
    k->stage = CONN_CONNECTING;
    watch(l, k, EPOLL_CTL_ADD, true);
}

void conn_flush(loop *l, conn *k) {
    if (buf_failed(&k->out))
        fail("the broker does not read what %.*s sends", client_len(k), k->who->client.ptr);
    while (k->written < k->out.len) {
        ssize_t n = send(k->fd, k->out.ptr + k->written, k->out.len - k->written, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            if (!k->blocked)
                watch(l, k, EPOLL_CTL_MOD, true);
            return;
        }
        if (n < 0)
            fail("lost the connection of %.*s: %s", client_len(k), k->who->client.ptr, strerror(errno));
        k->written += (size_t)n;
    }
    buf_clear(&k->out);
    k->written = 0;
    if (k->blocked)
        watch(l, k, EPOLL_CTL_MOD, false);
}

void conn_leave(loop *l, conn *k) {
    k->stage = CONN_LEAVING;
    l->up--;
    wire_disconnect(&k->out, l->options->version);
    conn_flush(l, k);
}

static void greet(loop *l, conn *k) {
    int fault = 0;
    socklen_t size = sizeof(fault);
    getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &fault, &size);
    if (fault)
        fail("cannot connect to %s:%u: %s", l->options->host, l->options->port, strerror(fault));
    k->stage = CONN_GREETING;
    wire_connect(&k->out, l->options->version, k->who->client, k->who->client, k->who->token);
    conn_flush(l, k);
}

static void take_connack(loop *l, conn *k, const wire_packet *p) {
    int code = wire_code(p, l->options->version);
    if (p->type != WIRE_CONNACK)
        fail("the broker answered CONNECT with packet type %d", p->type);
    if (code)
        fail("the broker refused %.*s: %s (code %d)", client_len(k), k->who->client.ptr,
             wire_connack_reason(code, l->options->version), code);
    k->stage = CONN_UP;
    l->up++;
    if (l->events.up)
        l->events.up(l, k);
}

static void take_packet(loop *l, conn *k, const wire_packet *p) {
    if (k->stage == CONN_GREETING)
        take_connack(l, k, p);
    else if (p->type == WIRE_DISCONNECT)
        fail("the broker disconnected %.*s, code %d", client_len(k), k->who->client.ptr,
             wire_code(p, l->options->version));
    else if (k->stage == CONN_UP && l->events.packet)
        l->events.packet(l, k, p);
}

static void take_input(loop *l, conn *k, size_t len) {
    size_t at = 0, used;
    wire_packet p;
    wire_verdict verdict;
    while ((verdict = wire_take(l->input + at, len - at, &p, &used)) == WIRE_COMPLETE) {
        at += used;
        take_packet(l, k, &p);
    }
    if (verdict == WIRE_MALFORMED || len - at >= INPUT_MAX)
        fail("the broker sent %.*s something that is no MQTT packet", client_len(k), k->who->client.ptr);
    if (at < len)
        buf_add(&k->part, l->input + at, len - at);
    if (l->events.drained && k->stage == CONN_UP)
        l->events.drained(l, k);
}

static void lost(loop *l, conn *k, const char *why) {
    if (k->stage != CONN_LEAVING)
        fail("the broker closed the connection of %.*s%s%s", client_len(k), k->who->client.ptr,
             k->stage == CONN_GREETING ? " without answering CONNECT" : "", why);
    close_socket(k);
    if (l->events.left)
        l->events.left(l, k);
}

static void read_socket(loop *l, conn *k) {
    size_t have = k->part.len;
    if (have)
        memcpy(l->input, k->part.ptr, have);
    buf_clear(&k->part);
    ssize_t n = recv(k->fd, l->input + have, INPUT_MAX - have, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        buf_add(&k->part, l->input, have);
        return;
    }
    l->now = clock_ns();
    if (n > 0)
        take_input(l, k, have + (size_t)n);
    else
        lost(l, k, n < 0 ? ": reset" : "");
}

void loop_turn(loop *l, int wait_ms) {
    struct epoll_event ready[EVENTS_MAX];
    int n = epoll_wait(l->epoll, ready, EVENTS_MAX, wait_ms);
    if (n < 0 && errno != EINTR)
        fail("epoll_wait: %s", strerror(errno));
    l->now = clock_ns();
    for (int i = 0; i < n; i++) {
        conn *k = ready[i].data.ptr;
        if (k->stage == CONN_CONNECTING) {
            greet(l, k);
            continue;
        }
        if (ready[i].events & EPOLLOUT)
            conn_flush(l, k);
        if (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && k->fd >= 0)
            read_socket(l, k);
    }
}

static int64_t deadline(const loop *l) {
    return clock_ns() + (int64_t)(l->options->patience * NS_PER_S);
}

void loop_open_all(loop *l, const crowd *people, int parallel) {
    int opened = 0;
    int64_t until = deadline(l);
    while (l->up < l->count) {
        while (opened < l->count && opened - l->up < parallel) {
            conn_open(l, opened, &people->people[opened]);
            opened++;
        }
        int before = l->up;
        loop_turn(l, 100);
        if (l->up > before)
            until = deadline(l);
        else if (clock_ns() > until)
            fail("only %d of %d connections were accepted in time", l->up, l->count);
    }
}

void loop_leave_all(loop *l) {
    int64_t until = deadline(l);
    bool waiting = true;
    l->events = (conn_events){0};
    for (int i = 0; i < l->count; i++)
        if (l->conns[i].stage == CONN_UP)
            conn_leave(l, &l->conns[i]);
    while (waiting && clock_ns() < until) {
        waiting = false;
        for (int i = 0; i < l->count && !waiting; i++)
            waiting = l->conns[i].stage != CONN_CLOSED;
        if (waiting)
            loop_turn(l, 100);
    }
}

static void await_suback(loop *l, conn *k, const wire_packet *p) {
    bool *answered = l->mode;
    if (p->type != WIRE_SUBACK)
        return; /* a retained message may come first */
    if (wire_code(p, l->options->version) >= 0x80)
        fail("the broker refused the subscription of %.*s", client_len(k), k->who->client.ptr);
    *answered = true;
}

void loop_subscribe(loop *l, conn *k, text filter, int qos) {
    conn_events kept = l->events;
    void *mode = l->mode;
    bool answered = false;
    int64_t until = deadline(l);
    l->events = (conn_events){.packet = await_suback};
    l->mode = &answered;
    wire_subscribe(&k->out, l->options->version, filter, qos, 1);
    conn_flush(l, k);
    while (!answered) {
        loop_turn(l, 100);
        if (clock_ns() > until)
            fail("no answer to the subscription of %.*s", client_len(k), k->who->client.ptr);
    }
    l->events = kept;
    l->mode = mode;
}
