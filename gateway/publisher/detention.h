/* detention.h - lanes of the outbox that are left alone for a while, because the broker refused what they
 * said or the database could not say it: so they hold nobody else up. A plain list: there are few, or
 * something is badly wrong. Pure: the caller brings the time. Threads: one. */
#ifndef MAYDAY_GATEWAY_PUBLISHER_DETENTION_H
#define MAYDAY_GATEWAY_PUBLISHER_DETENTION_H

#include "base/buf.h"

#define DETENTION_MAX 256 /* beyond, who is to be free first is forgotten */

typedef struct detention detention;

NODISCARD detention *detention_new(void);
detention *detention_free(detention *d); /* takes NULL, returns NULL */

/* Once more, twice as long as the last time: 100 ms up to half a minute. Returns how often in a row by now.
 */
unsigned detention_add(detention *d, const char *org, const char *lane, int64_t now_ms);
void detention_end(detention *d, const char *org, const char *lane); /* it went well */

/* The keys org/lane of those to be left alone now, as a PostgreSQL array. */
void detention_keys(const detention *d, int64_t now_ms, buf *to);

#endif
