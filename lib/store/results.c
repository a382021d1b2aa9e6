/* results.c - see results.h. A linked list under a mutex that is never held longer than a few pointer moves.
 */
#include "store/results.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_LINE_MAX 1024

struct results {
    pthread_mutex_t lock;
    result *first, *last;
    size_t count, limit;
    atomic_size_t changes; /* of them: all but log lines */
};

results *results_new(size_t limit) {
    results *q = calloc(1, sizeof *q);
    if (q) {
        (void)pthread_mutex_init(&q->lock, NULL);
        q->limit = limit > 0 ? limit : 1;
    }
    return q;
}

results *results_free(results *q) {
    if (!q)
        return NULL;
    for (result *r = q->first, *next; r; r = next) {
        next = r->next;
        free(r);
    }
    (void)pthread_mutex_destroy(&q->lock);
    free(q);
    return NULL;
}

/* Unlinks the oldest log line, which is the one thing that may be lost. */
static result *oldest_log(results *q) {
    result *before = NULL;
    for (result *r = q->first; r; before = r, r = r->next) {
        if (r->kind != RESULT_LOG)
            continue;
        if (before)
            before->next = r->next;
        else
            q->first = r->next;
        if (q->last == r)
            q->last = before;
        q->count--;
        return r;
    }
    return NULL;
}

static bool put(results *q, result *r) {
    result *dropped = NULL;
    (void)pthread_mutex_lock(&q->lock);
    if (q->count >= q->limit)
        dropped = oldest_log(q);
    bool room = q->count < q->limit;
    if (room) {
        if (q->last)
            q->last->next = r;
        else
            q->first = r;
        q->last = r;
        q->count++;
        if (r->kind != RESULT_LOG)
            atomic_fetch_add(&q->changes, 1);
    }
    (void)pthread_mutex_unlock(&q->lock);
    free(dropped);
    if (!room)
        free(r);
    return room;
}

/* Copies a text into the block behind the struct. */
static text keep(char **at, text t) {
    if (t.len)
        memcpy(*at, t.ptr, t.len);
    (*at)[t.len] = '\0';
    text kept = {*at, t.len};
    *at += t.len + 1;
    return kept;
}

void results_log(results *q, result_level level, const char *format, ...) {
    char line[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    text message = text_of(line);
    result *r = calloc(1, sizeof *r + message.len + 1);
    if (!r)
        return;
    char *at = (char *)(r + 1);
    r->kind = RESULT_LOG;
    r->level = level;
    r->message = keep(&at, message);
    (void)put(q, r);
}

bool results_member(results *q, result_kind kind, text org, address_family family, text id, text person,
                    relation relation_) {
    result *r = calloc(1, sizeof *r + org.len + id.len + person.len + 3);
    if (!r)
        return false;
    char *at = (char *)(r + 1);
    r->kind = kind;
    r->family = family;
    r->relation = relation_;
    r->org = keep(&at, org);
    r->id = keep(&at, id);
    r->person = keep(&at, person);
    return put(q, r);
}

bool results_revocation(results *q, result_kind kind, text org, revocation_kind what, text value,
                        int64_t until, text node) {
    result *r = calloc(1, sizeof *r + org.len + value.len + node.len + 3);
    if (!r)
        return false;
    char *at = (char *)(r + 1);
    r->kind = kind;
    r->what = what;
    r->until = until;
    r->org = keep(&at, org);
    r->value = keep(&at, value);
    r->node = keep(&at, node);
    return put(q, r);
}

bool results_pending(const results *q) {
    return atomic_load_explicit(&q->changes, memory_order_acquire) > 0;
}

result *results_take(results *q) {
    (void)pthread_mutex_lock(&q->lock);
    result *r = q->first;
    if (r) {
        q->first = r->next;
        if (!q->first)
            q->last = NULL;
        q->count--;
        r->next = NULL;
        if (r->kind != RESULT_LOG)
            atomic_fetch_sub(&q->changes, 1);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return r;
}
