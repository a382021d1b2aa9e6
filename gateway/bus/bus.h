/* bus.h - the gateway on MQTT: one connection to the broker for each organisation it serves. The only door to
 * Paho.
 *
 * A connection is made with the gateway's own token, a persistent Will on gateway/<id>/status, and is made
 * again by itself with backoff; each time it is up, `bus_generation` moves, by which the services know that a
 * broker may have forgotten what it retained. Paho's threads are behind this wall.
 *
 * Threads: every function from any service's thread. Publishing waits: a service is one loop that does one
 * thing after the other, and what waits for the broker waits here. */
#ifndef MAYDAY_GATEWAY_BUS_BUS_H
#define MAYDAY_GATEWAY_BUS_BUS_H

#include "base/buf.h"
#include "base/instant.h"
#include "core/settings.h"

typedef struct bus bus;

typedef struct bus_message {
    text org, topic; /* the topic whole: mayday/v1/<org>/... */
    text payload;    /* empty and `retain`: clears what is retained there */
    bool retain;
    /* what came of it */
    bool acked;     /* the broker took it: it is in its journal, if the type is stored */
    uint8_t reason; /* MQTT 5 reason code; from 0x80 on refused */
} bus_message;

/* Sends all (QoS 1), then waits until each has its PUBACK, or its connection is lost, or `timeout_ms` is
 * over. Returns how many were acked and not refused. One that was not may have arrived nevertheless. */
size_t bus_publish(bus *b, bus_message *messages, size_t count, int timeout_ms);

/* Every organisation served, in no order. `visit` is called under a lock: keep it short, and call nothing of
 * the bus. */
typedef void (*bus_visit)(void *context, text org, bool up, uint64_t generation);
void bus_each(bus *b, bus_visit visit, void *context);

/* Why there is no connection for this organisation; "" when there is one, or none was tried yet. */
#define BUS_WHY_MAX 256
void bus_why(bus *b, text org, char ret_why[BUS_WHY_MAX]);

bool bus_up(bus *b, text org);             /* is there a connection for this organisation? */
uint64_t bus_generation(bus *b, text org); /* grows each time its connection is made; 0: never yet */

/* Calls `seen` from Paho's thread for each message that arrives at `filter` ("alert/+/state", behind
 * mayday/v1/<org>/; or "$SYS/..." whole), for every organisation, now and after each reconnect; `topic` is
 * the whole topic, `sender` who sent it, as far as our broker says so (raises, actions, positions of an
 * incident), else empty. Keep it short: no other connection moves meanwhile. It must call nothing of the bus.
 * At most BUS_LISTENERS_MAX, with literals as filters; -ENOSPC. Our own messages come, too. QoS 0: what must
 * not be missed is in the database. */
#define BUS_LISTENERS_MAX 40 /* one of them the bus's own */
typedef void (*bus_seen)(void *context, text org, text topic, text payload, text sender, bool retained);
NODISCARD int bus_listen(bus *b, const char *filter, bus_seen seen, void *context);

/* The same for one organisation's connection alone, with a filter that is whole: for what others publish at
 * topics of their own. Both are borrowed for the bus's life. */
NODISCARD int bus_listen_whole(bus *b, const char *org, const char *filter, bus_seen seen, void *context);

/* What we told without the database. */
typedef struct bus_told {
    const char *const *alerts; /* of which everybody was reached: the newest */
    size_t count;
    int64_t sent; /* messages */
} bus_told;

/* Our own status as it is published, with that (gateway_status.json). The fault, if any, stays in the buffer.
 */
void bus_spell_status(const bus *b, instant now, const bus_told *told, buf *to);

/* ---- for main() ---- */

typedef struct bus_options {
    const settings *settings; /* borrowed for the bus's life, as is `gateway` */
    const char *gateway;
    const char *version;
} bus_options;

NODISCARD int bus_open(const bus_options *options, bus **ret_bus);
bus *bus_close(
    bus *b); /* says "offline", waits a moment for the PUBACK, disconnects; takes NULL, returns NULL */

/* Serves an organisation from now on; serving it already is fine. Returns 0 or -ENOMEM. */
NODISCARD int bus_serve(bus *b, text org);

void bus_renew(bus *b);   /* makes every connection again, with a fresh token */
void bus_give_up(bus *b); /* ends all waiting in bus_publish(), now and from now on: before bus_close() */

#endif
