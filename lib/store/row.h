/* row.h - one message as one row of PostgreSQL's binary COPY format, and the statement that takes such rows.
 * Pure; knows the format, not libpq. */
#ifndef MAYDAY_STORE_ROW_H
#define MAYDAY_STORE_ROW_H

#include "msg/type.h"

#define ROW_COLUMNS_MAX 32 /* of a type, besides the common ones */

/* What every stored message has. */
typedef struct row_common {
    uuid id;
    instant at, received_at;
    text org, sender, node;
    bool offline;
} row_common;

/* Appends the row. *ret_digest: a hash of everything but `received_at` and `node`, so that the same message
 * sent again, also through another broker, has the same. It is stored: never change how it is made. A fault
 * stays in `to`. */
void row_encode(const msg_type *type, const row_common *common, const msg_value *values, buf *to,
                uint64_t *ret_digest);

void row_copy_statement(const msg_type *type,
                        buf *to); /* COPY mayday."..." (...) FROM STDIN (FORMAT binary) */

extern const text row_stream_head, row_stream_tail; /* around the rows of one COPY */

#endif
