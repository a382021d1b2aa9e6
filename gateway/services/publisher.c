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

#include "core/topic.h"
#include "gateway/detention.h"
#include "gateway/pg_array.h"
#include "gateway/retained.h"

extern const service service_publisher;

#define LANES_MAX    64
#define ENTRIES_MAX  200 /* of one lane in one step */
#define WINDOW       512 /* how far into the outbox it looks for lanes; more while all of those are taken */
#define WINDOW_MAX   65536
#define STALL_S      5
#define SEND_MS      4000 /* from the first lock to the last PUBACK: less than STALL_S */
#define REFUSED_AT   0x80
#define REFUSALS_MAX 5  /* then a message, never a state, makes room for the next */
#define CAREFUL      64 /* steps with one lane each, after the database refused one of many */
#define TIDY_MS      2000
#define ARRAY_BYTES  (16 << 20)

typedef struct publisher {
    retained *retained;
    detention *detained;
    buf served; /* organisations with a connection, as an array */
    bool any_up;
    size_t window;
    int careful;
    int64_t tidied_ms;
} publisher;

/* One lane of a step. Texts borrow from the rows of the step. */
typedef struct lane {
    const char *org, *name;
    size_t last_truth; /* the last of its entries that asks for what is true now; entries count from 1, 0:
                          none */
    size_t truth_at, truth_count; /* its messages, at most two */
    bool refused;
    bool not_notified; /* its incident, as far as the state says */
} lane;

typedef struct entry {
    size_t lane;
    const char *id, *kind, *leaf, *payload;
    size_t message; /* of kind 'message' */
} entry;

typedef struct round {
    int64_t begun_ms;
    pg_rows *lane_rows, *entry_rows, *truth_rows;
    lane lanes[LANES_MAX];
    size_t lane_count;
    entry *entries;
    size_t entry_count;
    bus_message *messages;
    char **topics;
    size_t message_count;
} round;

static int64_t clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void round_release(round *r) {
    for (size_t i = 0; r->topics && i < r->message_count; i++)
        free(r->topics[i]);
    free(r->topics);
    free(r->messages);
    free(r->entries);
    (void)pg_rows_free(r->lane_rows);
    (void)pg_rows_free(r->entry_rows);
    (void)pg_rows_free(r->truth_rows);
}

/* ---- taking lanes ---- */

static const char claim_sql[] =
    "WITH head AS MATERIALIZED (SELECT o.org, o.lane, min(o.entry) AS first FROM (SELECT org, lane, entry"
    " FROM mayday.outbox WHERE org = ANY ($1::text[]) AND NOT (org || '/' || lane = ANY ($2::text[]))"
    " ORDER BY entry LIMIT $3::bigint) o GROUP BY o.org, o.lane ORDER BY 3)"
    " SELECT count(*)::text, NULL FROM head UNION ALL (SELECT org, lane FROM head"
    " WHERE pg_try_advisory_xact_lock(hashtextextended(org || '/' || lane, 0)) LIMIT $4::bigint)";

static pg_verdict claim(publisher *p, service_context *s, round *r) {
    CLEANUP(buf_release) buf detained = BUF(ARRAY_BYTES);
    char window[24], most[24];
    detention_keys(p->detained, r->begun_ms, &detained);
    if (buf_failed(&detained) < 0)
        return PG_RETRY;
    (void)snprintf(window, sizeof window, "%zu", p->window);
    (void)snprintf(most, sizeof most, "%d", p->careful > 0 ? 1 : LANES_MAX);
    pg_verdict verdict = pg_query(s->c, claim_sql, 4,
                                  (const char *[]){p->served.ptr, detained.ptr, window, most}, &r->lane_rows);
    if (verdict != PG_DONE)
        return verdict;
    for (size_t i = 1; i < pg_rows_count(r->lane_rows) && r->lane_count < LANES_MAX; i++)
        r->lanes[r->lane_count++] =
            (lane){.org = pg_value(r->lane_rows, i, 0), .name = pg_value(r->lane_rows, i, 1)};
    bool all_taken = r->lane_count == 0 && strcmp(pg_value(r->lane_rows, 0, 0), "0") != 0;
    p->window = !all_taken ? WINDOW : p->window < WINDOW_MAX ? p->window * 2 : WINDOW_MAX;
    return PG_DONE;
}

/* ---- reading ---- */

static const char entries_sql[] =
    "SELECT c.n, o.entry, o.kind, o.leaf, o.payload::text"
    " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY c(org, lane, n) CROSS JOIN LATERAL"
    " (SELECT * FROM mayday.outbox x WHERE x.org = c.org AND x.lane = c.lane ORDER BY x.entry LIMIT "
    "$3::bigint) o"
    " ORDER BY c.n, o.entry";

static bool asks_for_truth(const entry *e) {
    return strcmp(e->kind, "message") != 0;
}

static pg_verdict read_entries(service_context *s, round *r) {
    CLEANUP(buf_release) buf orgs = BUF(ARRAY_BYTES);
    CLEANUP(buf_release) buf lanes = BUF(ARRAY_BYTES);
    char most[24];
    (void)snprintf(most, sizeof most, "%d", ENTRIES_MAX);
    pg_array_begin(&orgs);
    pg_array_begin(&lanes);
    for (size_t i = 0; i < r->lane_count; i++) {
        pg_array_add(&orgs, text_of(r->lanes[i].org));
        pg_array_add(&lanes, text_of(r->lanes[i].name));
    }
    pg_array_end(&orgs);
    pg_array_end(&lanes);
    if (buf_failed(&orgs) < 0 || buf_failed(&lanes) < 0)
        return PG_RETRY;
    pg_verdict verdict =
        pg_query(s->c, entries_sql, 3, (const char *[]){orgs.ptr, lanes.ptr, most}, &r->entry_rows);
    if (verdict != PG_DONE)
        return verdict;
    size_t count = pg_rows_count(r->entry_rows);
    r->entries = calloc(count ? count : 1, sizeof *r->entries);
    if (!r->entries)
        return PG_RETRY;
    for (size_t i = 0; i < count; i++) {
        entry *e = &r->entries[i];
        *e = (entry){.lane = (size_t)strtoul(pg_value(r->entry_rows, i, 0), NULL, 10) - 1,
                     .id = pg_value(r->entry_rows, i, 1),
                     .kind = pg_value(r->entry_rows, i, 2),
                     .leaf = pg_value(r->entry_rows, i, 3),
                     .payload = pg_value(r->entry_rows, i, 4)};
        if (asks_for_truth(e))
            r->lanes[e->lane].last_truth = i + 1;
    }
    r->entry_count = count;
    return PG_DONE;
}

/* What is true now; NULL: nothing is to be retained. Also whether anybody has been told of the incident. */
static const char truth_sql[] =
    "SELECT c.n, t.state::text, t.dispatch::text,"
    " (t.dispatch ->> 'status') NOT IN ('resolved', 'canceled') AND t.dispatch -> 'receipts' -> 'notified' "
    "IS NULL"
    " FROM unnest($1::int[], $2::text[], $3::text[]) c(n, org, lane) CROSS JOIN LATERAL"
    " (SELECT mayday.state_of(c.org, substr(c.lane, 7)::uuid) AS state,"
    " mayday.dispatch_of(c.org, substr(c.lane, 7)::uuid) AS dispatch) t WHERE c.lane LIKE 'alert/%'"
    " UNION ALL SELECT c.n, mayday.presence_of(c.org, substr(c.lane, 6))::text, NULL, false"
    " FROM unnest($1::int[], $2::text[], $3::text[]) c(n, org, lane) WHERE c.lane LIKE 'user/%'";

static pg_verdict read_truth(service_context *s, round *r) {
    CLEANUP(buf_release) buf numbers = BUF(ARRAY_BYTES);
    CLEANUP(buf_release) buf orgs = BUF(ARRAY_BYTES);
    CLEANUP(buf_release) buf lanes = BUF(ARRAY_BYTES);
    bool any = false;
    pg_array_begin(&numbers);
    pg_array_begin(&orgs);
    pg_array_begin(&lanes);
    for (size_t i = 0; i < r->lane_count; i++) {
        char number[24];
        if (r->lanes[i].last_truth == 0)
            continue;
        any = true;
        (void)snprintf(number, sizeof number, "%zu", i);
        pg_array_add(&numbers, text_of(number));
        pg_array_add(&orgs, text_of(r->lanes[i].org));
        pg_array_add(&lanes, text_of(r->lanes[i].name));
    }
    pg_array_end(&numbers);
    pg_array_end(&orgs);
    pg_array_end(&lanes);
    if (buf_failed(&numbers) < 0 || buf_failed(&orgs) < 0 || buf_failed(&lanes) < 0)
        return PG_RETRY;
    return any ? pg_query(s->c, truth_sql, 3, (const char *[]){numbers.ptr, orgs.ptr, lanes.ptr},
                          &r->truth_rows)
               : PG_DONE;
}

/* ---- saying ---- */

static bool add_message(round *r, const lane *l, const char *leaf, const char *payload, bool retain) {
    CLEANUP(buf_release) buf topic = BUF(TOPIC_MAX);
    buf_printf(&topic, "mayday/v1/%s/%s/%s", l->org, l->name, leaf);
    char *name = buf_steal(&topic);
    if (!name)
        return false;
    r->topics[r->message_count] = name;
    r->messages[r->message_count++] = (bus_message){
        .org = text_of(l->org), .topic = text_of(name), .payload = text_of(payload), .retain = retain};
    return true;
}

static bool add_truth(round *r, lane *l, size_t row) {
    const pg_rows *rows = r->truth_rows;
    bool is_alert = strncmp(l->name, "alert/", 6) == 0;
    l->truth_at = r->message_count;
    l->not_notified = is_alert && strcmp(pg_value(rows, row, 3), "t") == 0;
    bool done = add_message(r, l, is_alert ? "state" : "presence", pg_value(rows, row, 1), true) &&
                (!is_alert || add_message(r, l, "dispatch", pg_value(rows, row, 2), true));
    l->truth_count = r->message_count - l->truth_at;
    return done;
}

/* The row of each lane's truth, plus one; 0: none. */
static void index_truth(const round *r, size_t ret_rows[LANES_MAX]) {
    memset(ret_rows, 0, LANES_MAX * sizeof *ret_rows);
    for (size_t i = 0; r->truth_rows && i < pg_rows_count(r->truth_rows); i++) {
        size_t at = (size_t)strtoul(pg_value(r->truth_rows, i, 0), NULL, 10);
        if (at < r->lane_count)
            ret_rows[at] = i + 1;
    }
}

/* In the order of the entries; the truth takes the place of the last entry that asks for it. */
static bool compose(round *r) {
    size_t truth[LANES_MAX], most = r->entry_count + 2 * r->lane_count;
    r->messages = calloc(most ? most : 1, sizeof *r->messages);
    r->topics = calloc(most ? most : 1, sizeof *r->topics);
    if (!r->messages || !r->topics)
        return false;
    index_truth(r, truth);
    for (size_t i = 0; i < r->entry_count; i++) {
        entry *e = &r->entries[i];
        lane *l = &r->lanes[e->lane];
        e->message = r->message_count;
        if (!asks_for_truth(e)) {
            if (!add_message(r, l, e->leaf, e->payload, false))
                return false;
        } else if (l->last_truth == i + 1 && truth[e->lane] && !add_truth(r, l, truth[e->lane] - 1)) {
            return false;
        }
    }
    return true;
}

static bool taken(const bus_message *m) {
    return m->acked && m->reason < REFUSED_AT;
}

static bool said(const round *r, const entry *e) {
    const lane *l = &r->lanes[e->lane];
    size_t from = asks_for_truth(e) ? l->truth_at : e->message;
    size_t to = asks_for_truth(e) ? from + l->truth_count : from + 1;
    for (size_t i = from; i < to; i++)
        if (!taken(&r->messages[i]))
            return false;
    return true;
}

/* ---- what came of it ---- */

static pg_verdict delete_entries(service_context *s, const round *r) {
    CLEANUP(buf_release) buf ids = BUF(ARRAY_BYTES);
    bool any = false;
    pg_array_begin(&ids);
    for (size_t i = 0; i < r->entry_count; i++)
        if (said(r, &r->entries[i])) {
            pg_array_add(&ids, text_of(r->entries[i].id));
            any = true;
        }
    pg_array_end(&ids);
    if (buf_failed(&ids) < 0)
        return PG_RETRY;
    return any ? pg_query(s->c, "DELETE FROM mayday.outbox WHERE entry = ANY ($1::bigint[])", 1,
                          (const char *[]){ids.ptr}, NULL)
               : PG_DONE;
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

static pg_verdict judge_refusals(publisher *p, service_context *s, round *r) {
    pg_verdict verdict = PG_DONE;
    for (size_t i = 0; i < r->lane_count && verdict == PG_DONE; i++) {
        lane *l = &r->lanes[i];
        const entry *first = NULL;
        uint8_t reason = 0;
        for (size_t k = 0; k < r->entry_count; k++) {
            const entry *e = &r->entries[k];
            const bus_message *m = &r->messages[asks_for_truth(e) ? l->truth_at : e->message];
            if (e->lane != i || said(r, e))
                continue;
            bool refused = m->acked && m->reason >= REFUSED_AT;
            if (asks_for_truth(e) && !refused && l->truth_count == 2)
                refused = m[1].acked && m[1].reason >= REFUSED_AT;
            l->refused = l->refused || refused;
            if (refused && !first && !asks_for_truth(e)) {
                first = e;
                reason = m->reason;
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

static void count(service_context *s, const round *r) {
    uint64_t truths = 0, messages = 0, lost = 0;
    for (size_t i = 0; i < r->message_count; i++) {
        bool good = taken(&r->messages[i]);
        truths += good && r->messages[i].retain;
        messages += good && !r->messages[i].retain;
        lost += !r->messages[i].acked;
    }
    service_count(s, "mayday_gateway_states_published_total", truths);
    service_count(s, "mayday_gateway_messages_published_total", messages);
    service_count(s, "mayday_gateway_publish_unanswered_total", lost);
}

/* Somebody who can act on it is connected, and its retained state is out: then they are notified. Comes after
 * the commit: what it posts is for the next round. */
static pg_verdict mark_notified(service_context *s, const round *r) {
    CLEANUP(buf_release) buf orgs = BUF(ARRAY_BYTES);
    CLEANUP(buf_release) buf ids = BUF(ARRAY_BYTES);
    bool any = false;
    pg_array_begin(&orgs);
    pg_array_begin(&ids);
    for (size_t i = 0; i < r->lane_count; i++) {
        const lane *l = &r->lanes[i];
        if (!l->not_notified || l->truth_count < 2 || !taken(&r->messages[l->truth_at + 1]))
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
                    "SELECT mayday.mark_notified(a.org, a.id) FROM unnest($1::text[], $2::uuid[]) a(org, id)"
                    " WHERE EXISTS (SELECT FROM mayday.connection c JOIN mayday.person p USING (org, person)"
                    " WHERE c.org = a.org AND p.roles && '{dispatcher,supervisor}')",
                    2, (const char *[]){orgs.ptr, ids.ptr}, NULL);
}

/* ---- a step ---- */

static pg_verdict say(publisher *p, service_context *s, round *r) {
    if (!compose(r))
        return PG_RETRY;
    int64_t left = SEND_MS - (clock_ms() - r->begun_ms);
    if (left <= 0) /* we stood still: what was read may be old by now */
        return pg_run(s->c, "ROLLBACK");
    (void)bus_publish(s->bus, r->messages, r->message_count, (int)left);
    pg_verdict verdict = delete_entries(s, r);
    if (verdict == PG_DONE)
        verdict = judge_refusals(p, s, r);
    if (verdict == PG_DONE)
        verdict = pg_run(s->c, "COMMIT");
    if (verdict == PG_DONE)
        count(s, r);
    return verdict == PG_DONE ? mark_notified(s, r) : verdict;
}

static pg_verdict work(publisher *p, service_context *s, round *r) {
    char begin[96];
    (void)snprintf(begin, sizeof begin, "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '%ds'",
                   STALL_S);
    pg_verdict verdict = pg_run(s->c, begin);
    if (verdict == PG_DONE)
        verdict = claim(p, s, r);
    if (verdict == PG_DONE && r->lane_count == 0)
        return pg_run(s->c, "ROLLBACK");
    if (verdict == PG_DONE)
        verdict = read_entries(s, r);
    if (verdict == PG_DONE)
        verdict = read_truth(s, r);
    return verdict == PG_DONE ? say(p, s, r) : verdict;
}

/* The database refused something, and did not just go away: one lane at a time tells which it was, and the
 * others get through. */
static void become_careful(publisher *p, service_context *s, const round *r) {
    if (!*pg_sqlstate(s->c) || r->lane_count == 0)
        return;
    if (p->careful > 0 && r->lane_count == 1) {
        (void)detention_add(p->detained, r->lanes[0].org, r->lanes[0].name, clock_ms());
        service_log(s, LOG_LEVEL_ERROR, "%s: %s can't be published: %s", r->lanes[0].org, r->lanes[0].name,
                    pg_why(s->c));
    }
    p->careful = CAREFUL;
}

static pg_verdict publish_some(publisher *p, service_context *s, bool *ret_again) {
    CLEANUP(round_release) round r = {.begun_ms = clock_ms()};
    size_t most = p->careful > 0 ? 1 : LANES_MAX;
    pg_verdict verdict = work(p, s, &r);
    if (verdict != PG_DONE) {
        become_careful(p, s, &r);
        return verdict;
    }
    p->careful -= p->careful > 0;
    bool any = false;
    for (size_t i = 0; i < r.entry_count; i++)
        any = any || said(&r, &r.entries[i]);
    *ret_again = any && (r.lane_count == most || r.entry_count >= ENTRIES_MAX);
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
                 " AND EXISTS (SELECT FROM mayday.connection c JOIN mayday.person p USING (org, person)"
                 " WHERE c.org = a.org AND p.roles && '{dispatcher,supervisor}')",
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
