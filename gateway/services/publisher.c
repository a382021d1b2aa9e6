/* publisher.c - says on MQTT what the outbox holds.
 *
 * A step is one transaction. It takes the advisory locks of some lanes, passing over those that another
 * gateway has; reads their entries, and what is true of their incidents and people now (several entries
 * become one message); publishes all of it at once and waits for the PUBACKs; deletes the entries whose
 * messages the broker took; commits. Whatever stops it in between is repeated by whoever comes next.
 *
 * Reading comes in a statement behind the one that takes the locks, so that its snapshot holds what the
 * lane's last holder committed. A gateway that stands still while it holds locks loses its session after
 * STALL_S, and what it might still send afterwards meets the plugin's fence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/publisher/detention.h"
#include "gateway/pg_array.h"
#include "gateway/publisher/retained.h"
#include "gateway/publisher/turn.h"

extern const service service_publisher;

#define WINDOW       512 /* how far into the outbox it looks for lanes; more while all of those are taken */
#define WINDOW_MAX   65536
#define STALL_S      5
#define SEND_MS      4000 /* from the first lock to the last PUBACK: less than STALL_S */
#define REFUSALS_MAX 5    /* then a message, never a state, makes room for the next */
#define CAREFUL      64   /* steps with one lane each, after the database refused one of many */
#define TIDY_MS      2000

typedef struct publisher {
    retained *retained;
    detention *detained;
    buf served; /* organisations with a connection, as an array */
    bool any_up;
    size_t window;
    int careful;
    int64_t tidied_ms;
} publisher;

static int64_t clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A message that the broker keeps refusing must not keep back what comes behind it. */
static pg_verdict put_aside(service_context *s, const entry *e, const lane *l, uint8_t reason) {
    char code[8];
    (void)snprintf(code, sizeof code, "%d", reason);
    service_log(s, LOG_LEVEL_ERROR,
                "%s: the broker keeps refusing a message to %s/%s (reason %s): it is put into %s", l->org,
                l->name, e->leaf, code, "mayday.outbox_refused");
    service_count(s, "mayday_gateway_messages_put_aside_total", 1);
    return pg_query(s->c,
                    "WITH gone AS (DELETE FROM mayday.outbox WHERE entry = $1::bigint RETURNING *)"
                    " INSERT INTO mayday.outbox_refused (entry, org, lane, leaf, payload, at, reason)"
                    " SELECT entry, org, lane, leaf, payload, at, $2::int FROM gone",
                    2, (const char *[]){e->id, code}, NULL);
}

static pg_verdict judge_refusals(publisher *p, service_context *s, turn *t) {
    pg_verdict verdict = PG_DONE;
    for (size_t i = 0; i < t->lane_count && verdict == PG_DONE; i++) {
        lane *l = &t->lanes[i];
        const entry *first = NULL;
        uint8_t reason = 0;
        for (size_t k = 0; k < t->entry_count; k++) {
            const entry *e = &t->entries[k];
            if (e->lane != i || !turn_refused(t, e))
                continue;
            l->refused = true;
            if (!first && !turn_asks_for_truth(e)) {
                first = e;
                reason = t->messages[e->message].reason;
            }
        }
        if (!l->refused) {
            detention_end(p->detained, l->org, l->name);
            continue;
        }
        unsigned times = detention_add(p->detained, l->org, l->name, clock_ms());
        service_count(s, "mayday_gateway_refusals_total", 1);
        if (times == 1)
            service_log(s, LOG_LEVEL_WARNING, "%s: the broker refused what %s says; trying again", l->org,
                        l->name);
        if (times >= REFUSALS_MAX && first)
            verdict = put_aside(s, first, l, reason);
    }
    return verdict;
}

static void count(service_context *s, const turn *t) {
    uint64_t truths = 0, messages = 0, lost = 0;
    for (size_t i = 0; i < t->message_count; i++) {
        bool good = turn_taken(&t->messages[i]);
        truths += good && t->messages[i].retain;
        messages += good && !t->messages[i].retain;
        lost += !t->messages[i].acked;
    }
    service_count(s, "mayday_gateway_states_published_total", truths);
    service_count(s, "mayday_gateway_messages_published_total", messages);
    service_count(s, "mayday_gateway_publish_unanswered_total", lost);
}

/* A dispatcher is connected who is not the one in danger. */
#define SOMEBODY_HEARS                                                                                       \
    "EXISTS (SELECT FROM mayday.connection c JOIN mayday.person p USING (org, person)"                       \
    " WHERE c.org = a.org AND c.person <> a.raised_by AND p.roles && '{dispatcher,supervisor}')"

/* Somebody who can act on it is connected, and its retained state is out: then they are notified. Comes after
 * the commit: what it posts is for the next round. */
static pg_verdict mark_notified(service_context *s, const turn *t) {
    CLEANUP(buf_release) buf orgs = BUF(ARRAY_BYTES);
    CLEANUP(buf_release) buf ids = BUF(ARRAY_BYTES);
    bool any = false;
    pg_array_begin(&orgs);
    pg_array_begin(&ids);
    for (size_t i = 0; i < t->lane_count; i++) {
        const lane *l = &t->lanes[i];
        if (!l->not_notified || l->truth_count == 0 ||
            !turn_taken(&t->messages[l->truth_at + l->truth_count - 1]))
            continue;
        any = true;
        pg_array_add(&orgs, text_of(l->org));
        pg_array_add(&ids, text_of(l->name + strlen("alert/")));
    }
    pg_array_end(&orgs);
    pg_array_end(&ids);
    if (!any || buf_failed(&orgs) < 0 || buf_failed(&ids) < 0)
        return PG_DONE;
    return pg_query(s->c,
                    "SELECT mayday.mark_notified(u.org, u.id) FROM unnest($1::text[], $2::uuid[]) u(org, id)"
                    " JOIN mayday.alert a USING (org, id) WHERE " SOMEBODY_HEARS,
                    2, (const char *[]){orgs.ptr, ids.ptr}, NULL);
}

/* ---- a step ---- */

static size_t most_lanes(const publisher *p) {
    return p->careful > 0 ? 1 : LANES_MAX;
}

static pg_verdict claim(publisher *p, service_context *s, turn *t) {
    CLEANUP(buf_release) buf detained = BUF(ARRAY_BYTES);
    bool all_taken = false;
    detention_keys(p->detained, t->begun_ms, &detained);
    if (buf_failed(&detained) < 0)
        return PG_RETRY;
    pg_verdict verdict = turn_claim(t, s, p->served.ptr, detained.ptr, p->window, most_lanes(p), &all_taken);
    if (verdict == PG_DONE)
        p->window = !all_taken ? WINDOW : p->window < WINDOW_MAX ? p->window * 2 : WINDOW_MAX;
    return verdict;
}

static pg_verdict say(publisher *p, service_context *s, turn *t) {
    if (!turn_compose(t))
        return PG_RETRY;
    int64_t left = SEND_MS - (clock_ms() - t->begun_ms);
    if (left <= 0) /* we stood still: what was read may be old by now */
        return pg_run(s->c, "ROLLBACK");
    (void)bus_publish(s->bus, t->messages, t->message_count, (int)left);
    pg_verdict verdict = turn_delete(t, s);
    if (verdict == PG_DONE)
        verdict = judge_refusals(p, s, t);
    if (verdict == PG_DONE)
        verdict = pg_run(s->c, "COMMIT");
    if (verdict == PG_DONE)
        count(s, t);
    return verdict == PG_DONE ? mark_notified(s, t) : verdict;
}

static pg_verdict work(publisher *p, service_context *s, turn *t) {
    char begin[96];
    (void)snprintf(begin, sizeof begin, "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '%ds'",
                   STALL_S);
    pg_verdict verdict = pg_run(s->c, begin);
    if (verdict == PG_DONE)
        verdict = claim(p, s, t);
    if (verdict == PG_DONE && t->lane_count == 0)
        return pg_run(s->c, "ROLLBACK");
    if (verdict == PG_DONE)
        verdict = turn_read(t, s);
    return verdict == PG_DONE ? say(p, s, t) : verdict;
}

/* The database refused something, and did not just go away: one lane at a time tells which it was, and the
 * others get through. */
static void become_careful(publisher *p, service_context *s, const turn *t) {
    if (!*pg_sqlstate(s->c) || t->lane_count == 0)
        return;
    if (p->careful > 0 && t->lane_count == 1) {
        (void)detention_add(p->detained, t->lanes[0].org, t->lanes[0].name, clock_ms());
        service_log(s, LOG_LEVEL_ERROR, "%s: %s can't be published: %s", t->lanes[0].org, t->lanes[0].name,
                    pg_why(s->c));
    }
    p->careful = CAREFUL;
}

static pg_verdict publish_some(publisher *p, service_context *s, bool *ret_again) {
    CLEANUP(turn_release) turn t = {.begun_ms = clock_ms()};
    size_t most = most_lanes(p);
    pg_verdict verdict = work(p, s, &t);
    if (verdict != PG_DONE) {
        become_careful(p, s, &t);
        return verdict;
    }
    p->careful -= p->careful > 0;
    bool any = false;
    for (size_t i = 0; i < t.entry_count; i++)
        any = any || turn_said(&t, &t.entries[i]);
    *ret_again = any && (t.lane_count == most || t.entry_count >= ENTRIES_MAX);
    return PG_DONE;
}

/* Dispatchers who came after the alert; and what a crash between commit and mark left out. Figures, too. */
static pg_verdict tidy(publisher *p, service_context *s) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    if (clock_ms() - p->tidied_ms < TIDY_MS)
        return PG_DONE;
    p->tidied_ms = clock_ms();
    pg_verdict verdict =
        pg_query(s->c,
                 "SELECT mayday.mark_notified(a.org, a.id) FROM mayday.alert a WHERE a.org = ANY ($1::text[])"
                 " AND a.closed_at IS NULL AND a.notified_at IS NULL AND a.joined_to IS NULL AND NOT EXISTS "
                 "(SELECT FROM "
                 "mayday.outbox o WHERE o.org = a.org AND o.lane = 'alert/' || a.id)"
                 " AND " SOMEBODY_HEARS,
                 1, (const char *[]){p->served.ptr}, NULL);
    if (verdict != PG_DONE)
        return verdict;
    verdict =
        pg_query(s->c, "SELECT count(*), coalesce(extract(epoch FROM now() - min(at)), 0) FROM mayday.outbox",
                 0, NULL, &rows);
    if (verdict == PG_DONE) {
        service_gauge(s, "mayday_gateway_outbox_entries", strtod(pg_value(rows, 0, 0), NULL));
        service_gauge(s, "mayday_gateway_outbox_oldest_seconds", strtod(pg_value(rows, 0, 1), NULL));
    }
    return verdict;
}

static void note_served(void *context, text org, bool up, uint64_t generation) {
    publisher *p = context;
    (void)generation;
    if (up) {
        pg_array_add(&p->served, org);
        p->any_up = true;
    }
}

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    publisher *p = state;
    *ret_again = false;
    p->any_up = false;
    pg_array_begin(&p->served);
    bus_each(s->bus, note_served, p);
    pg_array_end(&p->served);
    if (!p->any_up || buf_failed(&p->served) < 0)
        return PG_DONE;
    pg_verdict verdict = retained_step(p->retained, s);
    if (verdict == PG_DONE)
        verdict = publish_some(p, s, ret_again);
    return verdict == PG_DONE ? tidy(p, s) : verdict;
}

static void end(void *state) {
    publisher *p = state;
    if (!p)
        return;
    (void)retained_free(p->retained);
    (void)detention_free(p->detained);
    buf_release(&p->served);
    free(p);
}

static void *begin(service_context *s) {
    publisher *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->served = BUF(ARRAY_BYTES);
    p->window = WINDOW;
    p->retained = retained_new(s->bus);
    p->detained = detention_new();
    if (!p->retained || !p->detained) {
        end(p);
        return NULL;
    }
    return p;
}

const service service_publisher = {
    .name = "publisher",
    .channel = "mayday_outbox",
    .every_ms = 200,
    .step = step,
    .begin = begin,
    .end = end,
};
