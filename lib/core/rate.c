/* rate.c - see rate.h.
 *
 * A bucket is one number: the moment at which it will be full again. One token puts it 1/rate further off;
 * when that is more than burst/rate from now, there is none. Buckets stand in one array, are found by hash
 * (chains of indexes) and form a heap by that moment, whose first is the one to forget.
 *
 * Time is kept apart from the caller's clock: it starts at nothing and only grows, so that a clock set back
 * neither fills nor empties a bucket. */
#include "core/rate.h"

#include <errno.h>
#include <stdlib.h>

#define NO_BUCKET  UINT32_MAX
#define LEAST      0.001
#define MOST       1e6
#define MOST_LIMIT ((size_t)1 << 30)

typedef struct bucket {
    uint64_t who;
    double full_at; /* microseconds of r->time */
    uint32_t what;
    uint32_t next;  /* in the chain */
    uint32_t place; /* in the heap */
} bucket;

struct rates {
    size_t limit, count, mask;
    uint64_t seed;
    instant clock; /* the caller's, last time; -1: never yet */
    double time;
    bucket *buckets;
    uint32_t *heads; /* of the chains: mask + 1 of them */
    uint32_t *heap;
};

rates *rates_new(size_t limit, uint64_t seed) {
    if (limit < 1 || limit > MOST_LIMIT)
        limit = limit < 1 ? 1 : MOST_LIMIT;
    size_t chains = 2;
    while (chains < limit)
        chains *= 2;
    rates *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    *r = (rates){.limit = limit, .mask = chains - 1, .seed = seed, .clock = -1};
    r->buckets = calloc(limit, sizeof *r->buckets);
    r->heap = calloc(limit, sizeof *r->heap);
    r->heads = calloc(chains, sizeof *r->heads);
    if (!r->buckets || !r->heap || !r->heads)
        return rates_free(r);
    for (size_t i = 0; i < chains; i++)
        r->heads[i] = NO_BUCKET;
    return r;
}

rates *rates_free(rates *r) {
    if (r) {
        free(r->buckets);
        free(r->heads);
        free(r->heap);
        free(r);
    }
    return NULL;
}

size_t rates_count(const rates *r) {
    return r->count;
}

static uint32_t *chain(const rates *r, uint64_t who, uint32_t what) {
    uint64_t h = (who ^ r->seed) + what * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return &r->heads[(h ^ h >> 32) & r->mask];
}

static void place(rates *r, size_t at, uint32_t b) {
    r->heap[at] = b;
    r->buckets[b].place = (uint32_t)at;
}

static double key(const rates *r, size_t at) {
    return r->buckets[r->heap[at]].full_at;
}

/* A bucket's moment only ever grows, but for a new one's, which starts below: sifting down is all there is.
 */
static void sift_down(rates *r, size_t at) {
    uint32_t moving = r->heap[at];
    double full_at = r->buckets[moving].full_at;
    for (size_t child = 2 * at + 1; child < r->count; child = 2 * at + 1) {
        if (child + 1 < r->count && key(r, child + 1) < key(r, child))
            child++;
        if (key(r, child) >= full_at)
            break;
        place(r, at, r->heap[child]);
        at = child;
    }
    place(r, at, moving);
}

static void sift_up(rates *r, size_t at) {
    uint32_t moving = r->heap[at];
    double full_at = r->buckets[moving].full_at;
    for (; at > 0 && key(r, (at - 1) / 2) > full_at; at = (at - 1) / 2)
        place(r, at, r->heap[(at - 1) / 2]);
    place(r, at, moving);
}

static bucket *find(const rates *r, uint64_t who, uint32_t what) {
    for (uint32_t i = *chain(r, who, what); i != NO_BUCKET; i = r->buckets[i].next)
        if (r->buckets[i].who == who && r->buckets[i].what == what)
            return &r->buckets[i];
    return NULL;
}

static void unchain(rates *r, uint32_t gone) {
    uint32_t *link = chain(r, r->buckets[gone].who, r->buckets[gone].what);
    while (*link != gone)
        link = &r->buckets[*link].next;
    *link = r->buckets[gone].next;
}

/* A full bucket for (who, what): the first of the heap is used again if that is full, or if there is no
 * other. */
static bucket *make(rates *r, uint64_t who, uint32_t what) {
    uint32_t index = r->count > 0 ? r->heap[0] : 0;
    bool again = r->count == r->limit || (r->count > 0 && r->buckets[index].full_at <= r->time);
    if (again)
        unchain(r, index);
    else
        index = (uint32_t)r->count;
    uint32_t *head = chain(r, who, what);
    bucket *b = &r->buckets[index];
    *b = (bucket){.who = who, .what = what, .full_at = r->time, .next = *head, .place = b->place};
    *head = index;
    if (again) {
        sift_down(r, b->place);
    } else {
        place(r, r->count++, index);
        sift_up(r, b->place);
    }
    return b;
}

static void pass_time(rates *r, instant now) {
    if (r->clock >= 0 && now > r->clock)
        r->time += (double)(now - r->clock);
    r->clock = now;
}

bool rates_take(rates *r, uint64_t who, unsigned what, const rate_rule *rule, instant now) {
    pass_time(r, now);
    if (!(rule->per_second > 0))
        return true;
    double token = (double)INSTANT_SECOND / rule->per_second;
    bucket *b = find(r, who, what);
    double full_at = b && b->full_at > r->time ? b->full_at : r->time;
    /* half a microsecond's grace: the sum of many tokens is rounded */
    if (full_at + token > r->time + token * rule->burst + 0.5)
        return false;
    if (!b)
        b = make(r, who, what);
    b->full_at = full_at + token;
    sift_down(r, b->place);
    return true;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Digits, perhaps a point and more of them; whatever the locale says a point is. */
static bool decimal(text t, double *ret_value) {
    double value = 0, scale = 1;
    size_t i = 0;
    for (; i < t.len && is_digit(t.ptr[i]); i++)
        value = value * 10 + (t.ptr[i] - '0');
    if (i == 0 || t.len > 16)
        return false;
    if (i < t.len && t.ptr[i] == '.') {
        if (++i == t.len)
            return false;
        for (; i < t.len && is_digit(t.ptr[i]); i++) {
            scale *= 10;
            value = value * 10 + (t.ptr[i] - '0');
        }
    }
    *ret_value = value / scale;
    return i == t.len;
}

int rate_parse(text spelled, rate_rule *ret_rule) {
    text rest = text_trim(spelled), first;
    rate_rule rule = {0};
    if (text_equal(rest, TEXT("off"))) {
        *ret_rule = rule;
        return 0;
    }
    if (!text_next(&rest, ' ', &first) || !rest.ptr || !decimal(first, &rule.per_second) ||
        !decimal(text_trim(rest), &rule.burst))
        return -EINVAL;
    if (rule.per_second < LEAST || rule.per_second > MOST || rule.burst < 1 || rule.burst > MOST)
        return -EINVAL;
    *ret_rule = rule;
    return 0;
}
