/* rate.h - token buckets, one for each (who, what): how many messages a second, and how many at once.
 * Pure; the caller passes the time, which may jump: backwards it stands still, forwards it fills the buckets.
 * Bounded: a full bucket says nothing and is forgotten to make room; when `limit` buckets are in use and none
 * is full, the one that would be full soonest is forgotten. So those who send least lose nothing, and who
 * floods stays known. Threads: belongs to one thread. */
#ifndef MAYDAY_CORE_RATE_H
#define MAYDAY_CORE_RATE_H

#include "base/instant.h"
#include "base/text.h"

typedef struct rate_rule {
    double per_second; /* 0: no limit */
    double burst;
} rate_rule;

/* "20 200": twenty a second, two hundred at once; "0.5 10"; "off": no limit. Both within 0.001 and a million,
 * the second at least 1. Returns 0 or -EINVAL. */
NODISCARD int rate_parse(text spelled, rate_rule *ret_rule);

typedef struct rates rates;
/* All of its memory is taken here: some 40 bytes for each of `limit` buckets. NULL when it is short. `seed`:
 * any number that clients don't know. */
NODISCARD rates *rates_new(size_t limit, uint64_t seed);
rates *rates_free(rates *r);
DEFINE_CLEANUP(rates, rates_free)

/* Takes one token of the bucket `who` (a hash of organisation and person) has for `what` (a small number).
 * False: there was none. */
bool rates_take(rates *r, uint64_t who, unsigned what, const rate_rule *rule, instant now);

size_t rates_count(const rates *r); /* buckets in use */

#endif
