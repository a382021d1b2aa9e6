/* histogram.c - log-linear buckets: exact below 2^FINE ns, then 2^FINE buckets to each power of two. */
#include "histogram.h"

#include <time.h>

static size_t bucket_of(uint64_t value) {
    if (value < 1u << HISTOGRAM_FINE)
        return (size_t)value;
    int top = 63 - __builtin_clzll(value);
    int shift = top - HISTOGRAM_FINE;
    size_t index =
        ((size_t)(shift + 1) << HISTOGRAM_FINE) + (size_t)(value >> shift) - (1u << HISTOGRAM_FINE);
    return index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1;
}

/* The middle of the bucket. */
static double value_of(size_t index) {
    if (index < 1u << HISTOGRAM_FINE)
        return (double)index;
    int shift = (int)(index >> HISTOGRAM_FINE) - 1;
    uint64_t low = ((index & ((1u << HISTOGRAM_FINE) - 1)) + (1u << HISTOGRAM_FINE)) << shift;
    return (double)low + (double)(UINT64_C(1) << shift) / 2;
}

void histogram_add(histogram *h, int64_t nanoseconds) {
    if (nanoseconds < 0)
        nanoseconds = 0;
    h->count++;
    h->buckets[bucket_of((uint64_t)nanoseconds)]++;
    if (nanoseconds > h->max)
        h->max = nanoseconds;
}

double histogram_us(const histogram *h, double quantile) {
    uint64_t rank = (uint64_t)((double)h->count * quantile), seen = 0;
    if (rank >= h->count)
        return (double)h->max / 1e3;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > rank)
            return value_of(i) / 1e3;
    }
    return (double)h->max / 1e3;
}

void histogram_print(const histogram *h, FILE *to) {
    fprintf(to, "{\"count\":%llu,\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}",
            (unsigned long long)h->count, histogram_us(h, 0.50), histogram_us(h, 0.99),
            histogram_us(h, 0.999), (double)h->max / 1e3);
}

int64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
