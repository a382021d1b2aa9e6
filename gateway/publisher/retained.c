/* retained.c - see retained.h. */
#include "gateway/publisher/retained.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/topic.h"
#include "gateway/pg_array.h"

#define ARRAY_BYTES (64 << 20)
#define BATCH       1000

/* A retained message that a broker handed out. */
typedef struct sight {
    struct sight *next;
    bool is_alert; /* else a person */
    char *id;
    char org[];
} sight;

/* The connection of an organisation that was answered last. */
typedef struct posted {
    struct posted *next;
    uint64_t generation; /* posted for */
    uint64_t now;        /* what the bus says */
    char org[];
} posted;

struct retained {
    bus *b;
    posted *orgs; /* the publisher's thread's own */
    sight *taken; /* likewise: being looked at */
    pthread_mutex_t lock;
    sight *seen;
    size_t count;
};

/* ---- Paho's thread ---- */

static void see(void *context, text org, text topic, text payload, text sender, bool is_retained) {
    retained *r = context;
    address where;
    (void)sender;
    if (!is_retained || payload.len == 0 || !address_parse(topic, &where))
        return;
    sight *s = malloc(sizeof *s + org.len + where.id.len + 2);
    if (!s)
        return; /* it is seen again at the next connection */
    s->is_alert = where.family == ADDRESS_ALERT;
    s->id = s->org + org.len + 1;
    memcpy(s->org, org.ptr, org.len);
    s->org[org.len] = '\0';
    memcpy(s->id, where.id.ptr, where.id.len);
    s->id[where.id.len] = '\0';
    (void)pthread_mutex_lock(&r->lock);
    bool room = r->count < RETAINED_COLLECT_MAX;
    if (room) {
        s->next = r->seen;
        r->seen = s;
        r->count++;
    }
    (void)pthread_mutex_unlock(&r->lock);
    if (!room)
        free(s);
}

/* ---- the publisher's thread ---- */

static sight *free_sights(sight *list) {
    while (list) {
        sight *next = list->next;
        free(list);
        list = next;
    }
    return NULL;
}

retained *retained_new(bus *b) {
    retained *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->b = b;
    (void)pthread_mutex_init(&r->lock, NULL);
    if (bus_listen(b, "alert/+/state", see, r) < 0 || bus_listen(b, "alert/+/dispatch", see, r) < 0 ||
        bus_listen(b, "user/+/presence", see, r) < 0)
        abort(); /* more listeners than the bus was made for: a slip of ours, seen at the first start */
    return r;
}

retained *retained_free(retained *r) {
    if (!r)
        return NULL;
    while (r->orgs) {
        posted *next = r->orgs->next;
        free(r->orgs);
        r->orgs = next;
    }
    r->taken = free_sights(r->taken);
    r->seen = free_sights(r->seen);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
    return NULL;
}

static void note_generation(void *context, text org, bool up, uint64_t generation) {
    retained *r = context;
    posted *p = r->orgs;
    while (p && !text_equal(text_of(p->org), org))
        p = p->next;
    if (!p && (p = calloc(1, sizeof *p + org.len + 1))) {
        memcpy(p->org, org.ptr, org.len);
        p->next = r->orgs;
        r->orgs = p;
    }
    if (p && up)
        p->now = generation;
}

/* What waits already need not be said twice. */
static const char post_all[] =
    "WITH posted AS (INSERT INTO mayday.outbox (org, lane, kind)"
    " SELECT a.org, 'alert/' || a.id, 'state' FROM mayday.alert a WHERE a.org = $1 AND a.retired_at IS NULL"
    " AND NOT EXISTS (SELECT FROM mayday.outbox o WHERE o.org = a.org AND o.lane = 'alert/' || a.id AND "
    "o.kind = "
    "'state')"
    " UNION ALL SELECT p.org, 'user/' || p.person, 'presence' FROM mayday.person p WHERE p.org = $1"
    " AND NOT EXISTS (SELECT FROM mayday.outbox o WHERE o.org = p.org AND o.lane = 'user/' || p.person AND "
    "o.kind = "
    "'presence')"
    " RETURNING 1) SELECT count(*), pg_notify('mayday_outbox', '') FROM posted";

static pg_verdict post_org(service_context *s, posted *p) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    uint64_t generation = p->now;
    pg_verdict verdict = pg_query(s->c, post_all, 1, (const char *[]){p->org}, &rows);
    if (verdict == PG_DONE) {
        p->generation = generation;
        service_log(s, LOG_LEVEL_INFO, "%s: connected anew; %s retained messages are said again", p->org,
                    pg_value(rows, 0, 0));
    }
    return verdict;
}

static const char post_unknown_alerts[] =
    "INSERT INTO mayday.outbox (org, lane, kind) SELECT DISTINCT t.org, 'alert/' || t.id, 'state'"
    " FROM unnest($1::text[], $2::text[]) t(org, id) WHERE NOT EXISTS (SELECT FROM mayday.alert a"
    " WHERE a.org = t.org AND a.id = t.id::uuid AND a.retired_at IS NULL)";
static const char post_unknown_persons[] =
    "INSERT INTO mayday.outbox (org, lane, kind) SELECT DISTINCT t.org, 'user/' || t.id, 'presence'"
    " FROM unnest($1::text[], $2::text[]) t(org, id) WHERE NOT EXISTS (SELECT FROM mayday.person p"
    " WHERE p.org = t.org AND p.person = t.id)";

/* The first BATCH of those taken, of one kind. */
static pg_verdict post_unknown(retained *r, service_context *s, bool alerts) {
    CLEANUP(buf_release) buf orgs = BUF(ARRAY_BYTES);
    CLEANUP(buf_release) buf ids = BUF(ARRAY_BYTES);
    size_t i = 0, count = 0;
    pg_array_begin(&orgs);
    pg_array_begin(&ids);
    for (const sight *x = r->taken; x && i < BATCH; x = x->next, i++)
        if (x->is_alert == alerts) {
            pg_array_add(&orgs, text_of(x->org));
            pg_array_add(&ids, text_of(x->id));
            count++;
        }
    pg_array_end(&orgs);
    pg_array_end(&ids);
    if (count == 0 || buf_failed(&orgs) < 0 || buf_failed(&ids) < 0)
        return PG_DONE;
    return pg_query(s->c, alerts ? post_unknown_alerts : post_unknown_persons, 2,
                    (const char *[]){orgs.ptr, ids.ptr}, NULL);
}

static void drop_batch(retained *r) {
    for (size_t i = 0; r->taken && i < BATCH; i++) {
        sight *next = r->taken->next;
        free(r->taken);
        r->taken = next;
    }
}

static void take(retained *r) {
    if (r->taken)
        return;
    (void)pthread_mutex_lock(&r->lock);
    r->taken = r->seen;
    r->seen = NULL;
    r->count = 0;
    (void)pthread_mutex_unlock(&r->lock);
}

pg_verdict retained_step(retained *r, service_context *s) {
    pg_verdict verdict = PG_DONE;
    bus_each(r->b, note_generation, r);
    for (posted *p = r->orgs; verdict == PG_DONE && p; p = p->next)
        if (p->generation != p->now)
            verdict = post_org(s, p);
    take(r);
    while (verdict == PG_DONE && r->taken && !service_stopping(s)) {
        verdict = post_unknown(r, s, true);
        if (verdict == PG_DONE)
            verdict = post_unknown(r, s, false);
        if (verdict == PG_DONE)
            drop_batch(r);
    }
    return verdict;
}
