/* conn.h - MQTT connections on non-blocking sockets, and the epoll loop that turns them.
 *
 * A loop owns its connections, in an array of fixed length. A mode opens conns, appends packets to conn->out
 * and flushes; packets that arrive are handed to the loop's `packet` function, one at a time, and after the
 * last of a read to its `drained` function, so that answers leave in one write. Input is read into one buffer
 * of the loop; a connection keeps only the piece of a packet that has not arrived whole. Anything unexpected
 * fails the program. One thread. */
#ifndef BENCH_CONN_H
#define BENCH_CONN_H

#include "crowd.h"
#include "load.h"

typedef enum conn_stage {
    CONN_CLOSED = 0,
    CONN_CONNECTING, /* TCP */
    CONN_GREETING,   /* CONNECT sent, CONNACK awaited */
    CONN_UP,
    CONN_LEAVING, /* DISCONNECT sent, the broker's close awaited */
} conn_stage;

typedef struct conn {
    int fd;
    int index;
    conn_stage stage;
    const person *who;
    buf out;  /* to be written; bytes before `written` are */
    buf part; /* the beginning of a packet */
    size_t written;
    bool blocked;   /* waits for the socket to take more */
    int64_t opened; /* clock_ns() of the last conn_open() */
} conn;

typedef struct loop loop;

typedef struct conn_events {
    void (*up)(loop *l, conn *k); /* CONNACK accepted; may be NULL, like the others */
    void (*packet)(loop *l, conn *k, const wire_packet *packet);
    void (*drained)(loop *l, conn *k);
    void (*left)(loop *l, conn *k); /* closed after conn_leave() */
} conn_events;

struct loop {
    const load_options *options;
    conn_events events;
    void *mode; /* the mode's own state */
    conn *conns;
    int count;
    int up; /* connections in CONN_UP */
    int epoll;
    int64_t now; /* clock_ns() at the start of the present read */
    uint8_t *input;
};

loop loop_make(const load_options *o, int count, conn_events events, void *mode);
void loop_release(loop *l);

/* Handles what is ready, waiting at most `wait_ms` for it. */
void loop_turn(loop *l, int wait_ms);

void conn_open(loop *l, int index, const person *who);
void conn_flush(loop *l, conn *k); /* writes what conn->out holds, now or as soon as it can be */
void conn_leave(loop *l, conn *k); /* DISCONNECT */

/* Opens every connection with the crowd's people, at most `parallel` at a time, and waits until all are up.
 */
void loop_open_all(loop *l, const crowd *people, int parallel);
void loop_leave_all(loop *l);

/* Subscribes and waits for the SUBACK; the loop's events are not called meanwhile. */
void loop_subscribe(loop *l, conn *k, text filter, int qos);

#endif
