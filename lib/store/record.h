/* record.h - what the journal holds of one accepted message: the payload as it came, and who sent it where
 * and when. Pure encoding: version byte, flags, times and length-prefixed texts, big-endian. Decoding borrows
 * from the bytes and trusts nothing. */
#ifndef MAYDAY_STORE_RECORD_H
#define MAYDAY_STORE_RECORD_H

#include "base/buf.h"
#include "base/instant.h"

typedef enum record_flags {
    RECORD_WILL = 1 << 0,   /* published by the broker for a client that vanished */
    RECORD_REPEAT = 1 << 1, /* a raise beyond the rate of its person: the last of a batch stands for all */
} record_flags;

typedef struct record {
    instant received_at;
    unsigned flags;
    text org;
    text sender;
    text client; /* MQTT client id */
    text roles;  /* space separated */
    text topic;
    text payload;
} record;

void record_encode(const record *r, buf *to);                /* a fault stays in the buffer */
NODISCARD int record_decode(text bytes, record *ret_record); /* 0 or -EBADMSG */

bool has_role(text roles, text role); /* of roles as a record spells them */

/* Whose doing the message is: its sender's, unless Mayday's gateway sent it on behalf of the person `by`. */
text record_actor(const record *r, text by);

#endif
