/* pg_array.h - an array as PostgreSQL reads it in a text parameter: {"a","b"}. Begin, add, end; a fault stays
 * in the buffer. Pure. */
#ifndef MAYDAY_GATEWAY_PG_ARRAY_H
#define MAYDAY_GATEWAY_PG_ARRAY_H

#include "base/buf.h"

void pg_array_begin(buf *to);
void pg_array_add(buf *to, text element); /* quoted, so it fits every type */
void pg_array_end(buf *to);

#endif
