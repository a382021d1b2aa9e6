/* histogram.h - how long things took: counts in buckets that are at most 1.6 % wide, up to about 18 minutes.
 * Plain data; zeroed is empty. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdio.h>
#include <stdint.h>

#define HISTOGRAM_FINE    6 /* bits within a power of two */
#define HISTOGRAM_BUCKETS ((40 - HISTOGRAM_FINE + 2) << HISTOGRAM_FINE)

typedef struct histogram {
    uint64_t count;
    int64_t max; /* nanoseconds */
    uint64_t buckets[HISTOGRAM_BUCKETS];
} histogram;

void histogram_add(histogram *h, int64_t nanoseconds);
double histogram_us(const histogram *h, double quantile); /* microseconds; 0 when empty */
void histogram_print(const histogram *h, FILE *to);       /* a JSON object, microseconds */

int64_t clock_ns(void); /* monotonic */

#endif
