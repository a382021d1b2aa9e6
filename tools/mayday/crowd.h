/* crowd.h - many simulated devices in one loop: each with its own token, connection and outbox. A device
 * that loses its connection comes back with a growing, scattered pause and sends again what was not
 * acknowledged. What the devices say is the caller's business. Threads: one. */
#ifndef MAYDAY_TOOLS_CROWD_H
#define MAYDAY_TOOLS_CROWD_H

#include "mint.h"
#include "outbox.h"
#include "payload.h"
#include "walk.h"

typedef struct crowd crowd;

typedef enum line_state {
    LINE_DOWN = 0,
    LINE_CONNECTING,
    LINE_UP,
} line_state;

typedef struct person {
    crowd *all;
    char *sub;
    const char *roles;
    const char *const *listens; /* filters below mayday/v1/<org>/, ended by NULL; besides one's own
                                   `rejected`. A '*' is one's own name */
    char *org;
    mqtt_client *client;
    line_state line;
    instant connect_at; /* when LINE_DOWN */
    int backoff_ms;
    outbox out;
    walk walk;
    instant next_fix, last_fix;
    bool was_up;
    bool listening;                    /* connected, and the subscriptions are answered */
    char forbidden[UUID_TEXT_LEN + 1]; /* the newest message said with TAG_FORBIDDEN */
} person;

#define TAG_FORBIDDEN (-1) /* to be refused is what it is for: counted neither as sent nor as refused */

typedef struct crowd_figures {
    uint64_t sent, resent, acked, refused, rejected, dropped, reconnects, lost_connections, unreachable;
    char first_refusal[256]; /* a sentence */
} crowd_figures;

/* Called for a PUBACK (before the parcel goes), and for a message on one of `listens` or the refusal of a
 * forbidden one. */
typedef void (*crowd_acked)(void *context, person *p, const parcel *what, uint8_t reason, instant at);
typedef void (*crowd_message)(void *context, person *p, const mqtt_event *e);

struct crowd {
    const command *command;
    const link_options *link;
    mint *keys;
    mqtt_hub *hub;
    person *people;
    size_t count;
    size_t connecting;
    crowd_figures figures;
    crowd_acked on_acked;
    crowd_message on_message;
    void *context;
    bool stopping;    /* SIGINT or SIGTERM came */
    int refused_code; /* not EXIT_DONE: nobody can connect, and why is said already */
    uint64_t jitter;  /* state of the walk-independent randomness */
};

/* Adds nobody: fills people[index]. `sub` is copied. */
NODISCARD int crowd_enter(crowd *all, size_t index, const char *sub, const char *org, const char *roles,
                          const char *const *listens);
void crowd_release(crowd *all);

/* Queues a message below mayday/v1/<org>/; it goes out as soon as the connection allows. An exit code. */
NODISCARD int crowd_say(person *p, const char *below, const payload *what, bool urgent, int tag);

/* Ends the connection and stays away; and comes back. */
void crowd_leave(person *p);
void crowd_return(person *p, instant now);

/* Waits for events at most `timeout_ms`, handles all there are, connects whom it is time for, sends. */
void crowd_turn(crowd *all, int timeout_ms);

size_t crowd_connected(const crowd *all);
size_t crowd_unacked(const crowd *all);

#endif
