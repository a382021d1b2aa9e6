/* batch.h - the records of one transaction: decoded, bound and encoded, one lane of rows for each message
 * type. It keeps the records as they came too, for dead letters and for incidents. Memory is bounded by
 * batch_full(). Threads: one. */
#ifndef MAYDAY_STORE_BATCH_H
#define MAYDAY_STORE_BATCH_H

#include "store/journal.h"
#include "store/record.h"
#include "store/row.h"
#include "store/seen.h"

typedef enum batch_fate {
    BATCH_REFUSED = 0, /* goes to mayday.dead_letter, `why` says why */
    BATCH_FRESH,
    BATCH_DUPLICATE, /* stored already, the very same */
} batch_fate;

typedef struct batch_row {
    uint64_t seq;
    batch_fate fate;
    const msg_type *type; /* NULL when the record could not be understood */
    uuid id;
    uint64_t digest;
    size_t lane;    /* which lane, when type is set */
    size_t at, len; /* of the encoded row in its lane */
    size_t raw_at, raw_len;
    bool repeat;    /* RECORD_REPEAT */
    bool collapsed; /* another one of the batch stands for it */
    char *why;      /* owned */
} batch_row;

typedef struct batch_lane {
    const msg_type *type;
    char *copy; /* the COPY statement */
    buf bytes;
    size_t rows;
} batch_lane;

typedef struct batch {
    batch_row *rows;
    size_t count, limit;
    batch_lane *lanes; /* one for each stored type */
    size_t lane_count;
    buf raw, scratch;
    json_parser *parser;
    seen *seen;
    const char *node;
    uint64_t last_seq; /* of the newest record looked at; 0: empty */
    instant last_received_at;
    uint64_t repeats; /* noticed by `seen`, without a row */
    bool hurry;       /* holds a record that must not wait for company */
} batch;

NODISCARD batch *batch_new(size_t limit, const char *node); /* borrows `node` */
batch *batch_free(batch *b);
DEFINE_CLEANUP(batch, batch_free)
void batch_clear(batch *b);

/* Returns 0, also when the record is refused (it then waits in the batch as a dead letter), or -ENOMEM: then
 * give the batch up (batch_clear, seen_clear) and read it again. */
NODISCARD int batch_add(batch *b, const journal_entry *entry);

bool batch_empty(const batch *b);
bool batch_full(const batch *b);
text batch_raw(const batch *b, const batch_row *row);
void batch_retry(batch *b); /* forgets what a try that was rolled back found out about the rows */
void batch_refuse(batch_row *row, const char *why);

#endif
