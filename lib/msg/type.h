/* type.h - the family of message types: one row, one file each (see the list in CMakeLists.txt).
 * A row says where the message travels, how durable it must be, which schema it obeys, and into which table
 * and columns it goes. It describes the values neutrally: nothing here knows of PostgreSQL. */
#ifndef MAYDAY_MSG_TYPE_H
#define MAYDAY_MSG_TYPE_H

#include "base/instant.h"
#include "base/json.h"
#include "base/uuid.h"
#include "core/topic.h"

typedef enum msg_kind {
    MSG_TEXT,
    MSG_UUID,
    MSG_INTEGER, /* 32 bits */
    MSG_REAL,    /* 64-bit floating point */
    MSG_REAL4,   /* 32-bit floating point */
    MSG_BOOL,
    MSG_TIME,  /* microseconds, UTC */
    MSG_POINT, /* WGS 84 */
    MSG_JSON,  /* any value, kept as JSON text */
} msg_kind;

typedef enum msg_source {
    MSG_FROM_BODY = 0, /* the member named by `path`, of the payload; dots go into objects; NULL path: the
                          column's name */
    MSG_FROM_TOPIC,    /* the <id> level of the topic */
    MSG_FROM_SENDER,   /* the subject of the session */
    MSG_FROM_POINT,    /* lat and lon of the object at `path`, or of the body itself when `path` is NULL */
} msg_source;

typedef struct msg_column {
    const char *name;
    msg_kind kind;
    msg_source source;
    const char *path;
} msg_column;

/* Which of the [limits] counts what one person sends of it. */
typedef enum msg_limit {
    MSG_BY_MAYDAY = 0, /* people don't send it */
    MSG_TELEMETRY,
    MSG_TALK,
    MSG_ACTION,
    MSG_REQUEST,
    MSG_RAISE,
    MSG_LIMITS,
} msg_limit;

typedef struct msg_type {
    const char *name;   /* "raise", "user_location": unique; a label in statistics */
    const char *schema; /* "raise": schemas/raise.json; several types may share one */
    address_family family;
    const char *leaf;
    msg_limit limit;
    const char *kind;   /* set: what Mayday itself puts where another type lives, told from that by the
                           payload's   member `kind`. Only a gateway may send it */
    bool stored;        /* journaled, and written to the table */
    bool sync;          /* on stable storage before PUBACK */
    bool urgent;        /* may use the journal's reserve */
    bool retained;      /* the publisher may retain it; only what Mayday itself publishes is */
    bool internal;      /* the plugin's own records: no client may publish one */
    bool secret;        /* its payload may hold a PIN: kept out of dead letters, and of what is delivered */
    bool fed;           /* part of what `sync` gives to those who were away */
    const char *settle; /* NULL, or the SQL function mayday.<settle>(uuid[]): once per batch, with the ids of
                           the rows that are new, in the transaction that stores them */
    const char *table;  /* in schema mayday; NULL when not stored */
    const msg_column *columns; /* besides the common ones: id, org, sender, node, at, received_at, offline */
    size_t column_count;
} msg_type;

/* All of them, ended by NULL. */
extern const msg_type *const msg_types[];

/* NULL when no client message travels at that address. Never faults. */
const msg_type *msg_type_at(const address *where);

/* Of the types at one address the one this payload is of: `found` itself, or one told by its `kind`. */
const msg_type *msg_type_of(const msg_type *found, const json *body);

/* One value of one row; text and JSON borrow from the body. */
typedef struct msg_value {
    bool null;
    union {
        text text; /* MSG_TEXT, MSG_JSON (printed into the scratch buffer) */
        uuid uuid;
        int64_t integer;
        double real;
        bool boolean;
        instant time;
        struct {
            double lat, lon;
        } point;
    } as;
} msg_value;

/* Fills ret_values[type->column_count]. `scratch` holds what had to be printed (JSON columns); its bytes must
 * not move before the values are used, so it is sized by the call. Returns 0, -EBADMSG when the body does not
 * fit its type after all, or -ENOMEM. */
NODISCARD int msg_bind(const msg_type *type, const json *body, const address *where, text sender,
                       buf *scratch, msg_value *ret_values);

#endif
