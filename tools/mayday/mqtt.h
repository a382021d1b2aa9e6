/* mqtt.h - an MQTT client for the tools: many connections, one queue of events.
 *
 * A hub owns its clients. The MQTT library works in two threads of its own, however many clients there are;
 * what they see becomes an event in the hub's queue, and the caller takes events one by one with
 * mqtt_wait(). So a command stays one loop in one thread: it calls, and reads what came of it.
 *
 * Nothing is retried here. A connection that ends is told as MQTT_DOWN, all that was published and not
 * acknowledged before it is forgotten, and the caller connects and publishes again, with the same ids.
 *
 * Threads: every function belongs to the caller's one thread. The hub takes SIGINT and SIGTERM over while it
 * lives and tells them as MQTT_STOP. One hub a process. */
#ifndef MAYDAY_TOOLS_MQTT_H
#define MAYDAY_TOOLS_MQTT_H

#include "base/instant.h"

#define MQTT_WHY_MAX     160
#define MQTT_QUEUE_MAX   100000 /* messages that wait to be taken; what comes beyond is dropped and counted */
#define MQTT_FILTERS_MAX 16
#define MQTT_REFUSED_AT  0x80 /* reason codes from here on are refusals */

typedef struct mqtt_hub mqtt_hub;
typedef struct mqtt_client mqtt_client;

typedef struct mqtt_options {
    const char *host;
    int port;
    bool websocket, tls, v311;
    const char *cafile; /* NULL: the system's certificates */
    const char *client_id;
    const char *username; /* may be NULL in MQTT 5 */
    const char *token;    /* the password; NULL for none */
    int connect_timeout_s;
} mqtt_options;

typedef enum mqtt_event_kind {
    MQTT_QUIET = 0,   /* the time was over */
    MQTT_STOP,        /* SIGINT or SIGTERM */
    MQTT_UP,          /* connected */
    MQTT_REFUSED,     /* the broker said no to the connection: `reason`, `why` */
    MQTT_UNREACHABLE, /* no broker there, or none that speaks MQTT: `why` */
    MQTT_DOWN,        /* the connection ended: `why` */
    MQTT_ACKED,       /* PUBACK: `packet`, `reason` */
    MQTT_SUBSCRIBED,  /* SUBACK: `packet`, and one reason code for each filter in `body` */
    MQTT_MESSAGE,     /* `topic`, `body`, `retained` */
} mqtt_event_kind;

/* Valid until the next mqtt_wait() on the same hub. */
typedef struct mqtt_event {
    mqtt_event_kind kind;
    void *user; /* of the client it is about */
    int packet;
    uint8_t reason;
    bool retained;
    instant at; /* when the library's thread saw it */
    text topic;
    text body;
    char why[MQTT_WHY_MAX];
} mqtt_event;

NODISCARD mqtt_hub *mqtt_hub_new(void);
mqtt_hub *mqtt_hub_free(mqtt_hub *hub); /* disconnects and frees its clients; takes NULL, returns NULL */
DEFINE_CLEANUP(mqtt_hub, mqtt_hub_free)

/* A client that is not connected yet. Copies the options. `user` comes back with each of its events. */
NODISCARD int mqtt_client_new(mqtt_hub *hub, const mqtt_options *options, void *user,
                              mqtt_client **ret_client);

/* Begins to connect, with a clean start; MQTT_UP, MQTT_REFUSED or MQTT_UNREACHABLE follows. `token` replaces
 * the one of the options unless NULL. Returns 0 or -EIO. */
NODISCARD int mqtt_connect(mqtt_client *c, const char *token);
void mqtt_disconnect(mqtt_client *c); /* politely, within a second; no event follows */

/* QoS 1, not retained. *ret_packet comes back in MQTT_ACKED, or never when the connection ends first.
 * Returns 0, -ENOTCONN or -EIO. */
NODISCARD int mqtt_publish(mqtt_client *c, const char *topic, text body, int *ret_packet);

/* QoS 1, at most MQTT_FILTERS_MAX, one subscription at a time. *ret_packet comes back in MQTT_SUBSCRIBED. */
NODISCARD int mqtt_subscribe(mqtt_client *c, const char *const *filters, size_t count, int *ret_packet);

/* The next event; after `timeout_ms` MQTT_QUIET. Never NULL. */
const mqtt_event *mqtt_wait(mqtt_hub *hub, int timeout_ms);

uint64_t mqtt_dropped(const mqtt_hub *hub);   /* messages dropped because the queue was full */
const char *mqtt_reason_name(uint8_t reason); /* "not authorised" */

#endif
