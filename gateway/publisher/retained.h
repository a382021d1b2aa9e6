/* retained.h - keeps what brokers retain in step with the database: a broker that was killed has forgotten,
 * or kept what is no longer true.
 *
 * Whenever a connection is made, every incident that is not retired and everybody's presence is posted to the
 * outbox again, and what the broker hands out as retained is compared with the database: what is unknown
 * there is posted, too, and so cleared. Threads: Paho's thread collects, under a lock; the rest belongs to
 * the publisher's. */
#ifndef MAYDAY_GATEWAY_PUBLISHER_RETAINED_H
#define MAYDAY_GATEWAY_PUBLISHER_RETAINED_H

#include "gateway/service.h"

#define RETAINED_COLLECT_MAX                                                                                 \
    200000 /* topics waiting to be looked at; more are left to the next connection                           \
            */

typedef struct retained retained;

NODISCARD retained *retained_new(bus *b); /* NULL: out of memory */
retained *retained_free(retained *r); /* only after the bus has stopped listening; takes NULL, returns NULL */

/* Posts what is due. To be called often: it looks at the database only when there is something. */
NODISCARD pg_verdict retained_step(retained *r, service_context *s);

#endif
