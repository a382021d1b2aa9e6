/* catalog.h - the compiled schemas of all message types, and the judgement of one payload.
 * Reads files only in catalog_load(). Threads: a catalog belongs to one thread at a time. */
#ifndef MAYDAY_MSG_CATALOG_H
#define MAYDAY_MSG_CATALOG_H

#include "msg/schema.h"
#include "msg/type.h"

#define CATALOG_WHY_MAX 512

typedef struct catalog catalog;

typedef struct catalog_limits {
    size_t payload_max; /* bytes */
    int depth_max;
    instant clock_skew; /* how far `ts` may lie ahead of `now`, microseconds */
} catalog_limits;

/* Compiles <dir>/<schema>.json for every type. Returns 0 or a negative errno with a sentence naming file and
 * reason. */
NODISCARD int catalog_load(const char *dir, const catalog_limits *limits, catalog **ret_catalog,
                           char ret_why[CATALOG_WHY_MAX]);
catalog *catalog_free(catalog *c);
DEFINE_CLEANUP(catalog, catalog_free)

typedef enum msg_verdict {
    MSG_REFUSED = 0,
    MSG_ACCEPTED,
    MSG_TOO_LARGE,
    MSG_NOT_UTF8,
    MSG_MALFORMED,
    MSG_TOO_DEEP,
    MSG_INVALID, /* against its schema */
    MSG_FROM_FUTURE,
    MSG_NO_MEMORY,
    MSG_VERDICTS,
} msg_verdict;

const char *
msg_verdict_name(msg_verdict v); /* "too_large": the `code` of a rejected message, a label in statistics */

/* What a page of other messages may have on top of payload_max, so that the largest message fits into one. */
#define CATALOG_PAGE_ROOM 4096

typedef struct msg_checked {
    const msg_type *type; /* as msg_type_of() has it */
    json *body;           /* the caller's, to json_free() */
    uuid id;
    instant at; /* when it happened on the device */
} msg_checked;

/* Borrows `payload`. Writes *ret_checked only on MSG_ACCEPTED. ret_why: a sentence for the sender, without
 * private values. When the payload is JSON with a proper `id` but refused, ret_id (36 characters and NUL)
 * names it, else it is "". */
NODISCARD msg_verdict msg_check(catalog *c, const msg_type *type, text payload, instant now,
                                msg_checked *ret_checked, char ret_why[CATALOG_WHY_MAX],
                                char ret_id[UUID_TEXT_LEN + 1]);

#endif
