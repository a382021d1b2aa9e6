/* wire.h - the few MQTT packets a load generator needs, written and read as bytes (3.1.1 and 5).
 * Pure. Writing appends to a buf, whose fault stays in it; reading borrows from the bytes it was given. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include "base/buf.h"

typedef enum wire_version {
    WIRE_V311 = 4,
    WIRE_V5 = 5,
} wire_version;

enum {
    WIRE_CONNACK = 2,
    WIRE_PUBLISH = 3,
    WIRE_PUBACK = 4,
    WIRE_SUBACK = 9,
    WIRE_DISCONNECT = 14,
};

typedef struct wire_packet {
    int type;
    int flags;
    const uint8_t *body;
    size_t len;
} wire_packet;

typedef enum wire_verdict {
    WIRE_MALFORMED = 0,
    WIRE_COMPLETE,
    WIRE_INCOMPLETE,
} wire_verdict;

/* Takes one packet off the front of `bytes`. On WIRE_COMPLETE *ret_used is how much it took. */
NODISCARD wire_verdict wire_take(const uint8_t *bytes, size_t len, wire_packet *ret_packet, size_t *ret_used);

/* Keep-alive is off and the session clean. An empty password sends neither user name nor password. */
void wire_connect(buf *to, wire_version version, text client, text username, text password);
void wire_publish(buf *to, wire_version version, text topic, text payload, int qos, uint16_t id);
void wire_subscribe(buf *to, wire_version version, text filter, int qos, uint16_t id);
void wire_puback(buf *to, uint16_t id);
void wire_disconnect(buf *to, wire_version version);

/* The packet's code: 0 is success; CONNACK of both versions, PUBACK and SUBACK (from 0x80 refused). */
int wire_code(const wire_packet *packet, wire_version version);
const char *wire_connack_reason(int code, wire_version version);

uint16_t wire_id(const wire_packet *packet); /* of PUBACK or SUBACK; 0 when there is none */

typedef struct wire_message {
    text topic;
    text payload;
    int qos;
    uint16_t id;
} wire_message;

NODISCARD bool wire_read_publish(const wire_packet *packet, wire_version version, wire_message *ret_message);

#endif
