/* detention.c - see detention.h. */
#include "gateway/publisher/detention.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/pg_array.h"

#define SHORTEST_MS 100
#define LONGEST_MS  30000
#define KEY_MAX     1024

typedef struct inmate {
    char *key; /* org/lane: an organisation has no slash in it */
    int64_t until_ms;
    unsigned times;
} inmate;

struct detention {
    inmate inmates[DETENTION_MAX];
    size_t count;
};

detention *detention_new(void) {
    return calloc(1, sizeof(detention));
}

detention *detention_free(detention *d) {
    if (d)
        for (size_t i = 0; i < d->count; i++)
            free(d->inmates[i].key);
    free(d);
    return NULL;
}

static void make_key(const char *org, const char *lane, buf *to) {
    buf_printf(to, "%s/%s", org, lane);
}

static inmate *find(detention *d, text key) {
    for (size_t i = 0; i < d->count; i++)
        if (text_equal(text_of(d->inmates[i].key), key))
            return &d->inmates[i];
    return NULL;
}

static void forget(detention *d, inmate *i) {
    free(i->key);
    *i = d->inmates[--d->count];
}

static inmate *first_to_go(detention *d) {
    inmate *first = &d->inmates[0];
    for (size_t i = 1; i < d->count; i++)
        if (d->inmates[i].until_ms < first->until_ms)
            first = &d->inmates[i];
    return first;
}

unsigned detention_add(detention *d, const char *org, const char *lane, int64_t now_ms) {
    CLEANUP(buf_release) buf key = BUF(KEY_MAX);
    make_key(org, lane, &key);
    inmate *i = buf_failed(&key) < 0 ? NULL : find(d, buf_text(&key));
    if (!i) {
        char *copy = buf_steal(&key);
        if (!copy)
            return 1;
        if (d->count == DETENTION_MAX)
            forget(d, first_to_go(d));
        i = &d->inmates[d->count++];
        *i = (inmate){.key = copy};
    }
    int64_t term = i->times < 9 ? SHORTEST_MS * ((int64_t)1 << i->times) : LONGEST_MS;
    i->times++;
    i->until_ms = now_ms + (term < LONGEST_MS ? term : LONGEST_MS);
    return i->times;
}

void detention_end(detention *d, const char *org, const char *lane) {
    if (d->count == 0)
        return;
    CLEANUP(buf_release) buf key = BUF(KEY_MAX);
    make_key(org, lane, &key);
    inmate *i = find(d, buf_text(&key));
    if (i)
        forget(d, i);
}

void detention_keys(const detention *d, int64_t now_ms, buf *to) {
    pg_array_begin(to);
    for (size_t i = 0; i < d->count; i++)
        if (d->inmates[i].until_ms > now_ms)
            pg_array_add(to, text_of(d->inmates[i].key));
    pg_array_end(to);
}
