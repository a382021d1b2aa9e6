/* inside.h - what bus.c, bus/link.c and bus/paho.c share; nobody else includes it.
 *
 * A link is an organisation, and stays; a session is one connection of it, with a Paho client of its own that
 * ends with it: what Paho still had to send dies with the connection instead of being said, late, on the next
 * one.
 *
 * Locks. Paho calls back with its own lock held, and the callbacks take ours: so Paho is never called with
 * our lock held. A session that is in use is not destroyed: `users` counts those who call Paho with it or
 * wait for its answers. Once MQTTAsync_destroy() has returned, no callback of it runs or comes. */
#ifndef MAYDAY_GATEWAY_BUS_INSIDE_H
#define MAYDAY_GATEWAY_BUS_INSIDE_H

#include <pthread.h>

#include "base/buf.h"
#include "base/instant.h"
#include "gateway/bus/bus.h"

#define BUS_WINDOW 512  /* messages on their way at once, as far as the broker allows it */
#define REFUSED_AT 0x80 /* reason codes from here on are refusals */

typedef enum session_state {
    SESSION_OVER = 0, /* waits for its users, then it is destroyed */
    SESSION_CONNECTING,
    SESSION_FRESH, /* connected, and not yet told to anybody */
    SESSION_UP,
    SESSION_DRAINING, /* takes no more, waits for what is on its way */
} session_state;

typedef struct session {
    struct link *link;
    void *paho; /* MQTTAsync */
    session_state state;
    bool was_up;
    uint8_t reason; /* of the broker's refusal or DISCONNECT; 0: none */
    char why[BUS_WHY_MAX];
    size_t users;
    size_t on_way, window;
    int64_t begun_ms, renew_ms;             /* renew_ms: when its token has lived long enough; 0: never */
    size_t heard;                           /* how many listeners it has subscribed to */
    char last_online[INSTANT_TEXT_LEN + 1]; /* when the session before it said "online"; "": there was none */
    uint16_t answers[65536];                /* by packet id: 0 none yet, else ANSWERED | reason */
} session;
#define ANSWERED 0x100

typedef struct link {
    struct link *next;
    bus *b;
    char *org;
    session *now; /* NULL between two connections */
    uint64_t generation;
    int64_t next_try_ms, backoff_ms;
    bool renew, complained;
    char why[BUS_WHY_MAX]; /* why there is no connection; "" when there is one */
    char last_online[INSTANT_TEXT_LEN + 1];
} link;

typedef struct listener {
    const char *filter;
    const char *org; /* whose connection alone, and then `filter` is whole; NULL: everybody's */
    bus_seen seen;
    void *context;
} listener;

struct bus {
    bus_options o;
    char since[INSTANT_TEXT_LEN + 1];
    char *own_status; /* the filter of the bus's own listener */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* for those who publish */
    pthread_cond_t duty;    /* for the manager */
    link *links;
    listener listeners[BUS_LISTENERS_MAX];
    size_t listener_count;
    bool giving_up; /* nobody waits any more */
    bool closing;   /* the manager says goodbye and ends */
    void *anchor;   /* a client that never connects: while there is one, Paho keeps its threads */
    pthread_t manager;
    bool has_manager;
};

int64_t bus_clock_ms(void);
void bus_lock(bus *b);
void bus_unlock(bus *b);
void bus_stir(bus *b);                         /* with the lock held: wakes all who wait, the manager too */
void bus_tell(bus *b);                         /* likewise, without the manager */
void bus_rest_until(bus *b, int64_t until_ms); /* likewise: the manager's wait */
bool bus_wait_until(bus *b, int64_t until_ms); /* likewise; false: it is that time */

/* With the lock held. The first reason counts, what follows is its echo; "": our own wish. */
void session_end(session *x, const char *why);

/* bus/paho.c; without the lock, but those that say so. */
NODISCARD int paho_anchor(bus *b);
void paho_unanchor(bus *b);
NODISCARD int paho_begin(link *l, session **ret_session, char ret_why[BUS_WHY_MAX]);
session *paho_end(session *x); /* disconnects politely if it is connected; takes NULL, returns NULL */
/* With `tell`, its answer is noted in x->answers, for somebody to take. */
NODISCARD int paho_send(session *x, const char *topic, text payload, bool retain, bool tell, int *ret_packet);
NODISCARD int paho_subscribe(session *x, size_t from, size_t to); /* of the bus's listeners */

/* bus/link.c: the manager's thread, which makes and ends sessions. */
void *bus_manage(void *the_bus);
void bus_see_rival(void *the_bus, text org, text topic, text payload, text sender,
                   bool retained); /* a bus_seen */
/* gateway_status.json */
NODISCARD int bus_status(const bus *b, const char *status, instant now, const bus_told *told, buf *to);
void bus_status_topic(const link *l, buf *to);

#endif
