/* rate.h - token buckets, one for each (who, what): how many messages a second, and how many at once.
 * Pure; the caller passes the time. Bounded: when `limit` buckets are in use, full ones are forgotten first (they say
 * nothing), then the one unused longest. Threads: belongs to one thread. */
#ifndef MAYDAY_CORE_RATE_H
#define MAYDAY_CORE_RATE_H

#include "base/instant.h"
#include "base/text.h"

typedef struct rate_rule {
    double per_second; /* 0: no limit */
    double burst;
} rate_rule;

/* "20 200": twenty a second, two hundred at once; "off": no limit. Returns 0 or -EINVAL. */
NODISCARD int rate_parse(text spelled, rate_rule *ret_rule);

typedef struct rates rates;
NODISCARD rates *rates_new(size_t limit, uint64_t seed); /* NULL when memory is short */
rates *rates_free(rates *r);
DEFINE_CLEANUP(rates, rates_free)

/* Takes one token of the bucket `who` (a hash of organisation and person) has for `what` (a small number). False:
 * there was none. */
bool rates_take(rates *r, uint64_t who, unsigned what, const rate_rule *rule, instant now);

#endif
