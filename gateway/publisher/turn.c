/* turn.c - see turn.h. */
#include "gateway/publisher/turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/topic.h"
#include "gateway/pg_array.h"

void turn_release(turn *t) {
    for (size_t i = 0; t->topics && i < t->message_count; i++)
        free(t->topics[i]);
    free(t->topics);
    free(t->messages);
    free(t->entries);
    (void)pg_rows_free(t->lane_rows);
    (void)pg_rows_free(t->entry_rows);
    (void)pg_rows_free(t->truth_rows);
}

/* ---- taking lanes ---- */

/* Incidents first: a crowd that comes back after a broker's restart changes the presence of thousands, and no
 * alert waits for that. */
#define OF_ALERT "lane LIKE 'alert/%'"
#define WAITING                                                                                              \
    " AND org = ANY ($1::text[]) AND NOT (org || '/' || lane = ANY ($2::text[]))"                            \
    " ORDER BY entry LIMIT $3::bigint)"
static const char claim_sql[] =
    "WITH head AS MATERIALIZED (SELECT o.org, o.lane, min(o.entry) AS first FROM ("
    "(SELECT org, lane, entry FROM mayday.outbox WHERE " OF_ALERT WAITING " UNION ALL "
    "(SELECT org, lane, entry FROM mayday.outbox WHERE NOT " OF_ALERT WAITING
    ") o GROUP BY o.org, o.lane ORDER BY NOT (o." OF_ALERT "), 3)"
    " SELECT count(*)::text, NULL FROM head UNION ALL (SELECT org, lane FROM head"
    " WHERE pg_try_advisory_xact_lock(hashtextextended(org || '/' || lane, 0)) LIMIT $4::bigint)";

pg_verdict turn_claim(turn *t, service_context *s, const char *served, const char *detained, size_t window,
                      size_t most, bool *ret_all_taken) {
    char within[24], limit[24];
    (void)snprintf(within, sizeof within, "%zu", window);
    (void)snprintf(limit, sizeof limit, "%zu", most < LANES_MAX ? most : (size_t)LANES_MAX);
    pg_verdict verdict =
        pg_query(s->c, claim_sql, 4, (const char *[]){served, detained, within, limit}, &t->lane_rows);
    if (verdict != PG_DONE)
        return verdict;
    for (size_t i = 1; i < pg_rows_count(t->lane_rows) && t->lane_count < LANES_MAX; i++)
        t->lanes[t->lane_count++] =
            (lane){.org = pg_value(t->lane_rows, i, 0), .name = pg_value(t->lane_rows, i, 1)};
    *ret_all_taken = t->lane_count == 0 && strcmp(pg_value(t->lane_rows, 0, 0), "0") != 0;
    return PG_DONE;
}

/* ---- reading ---- */

static const char entries_sql[] =
    "SELECT c.n, o.entry, o.kind, o.leaf, o.payload::text"
    " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY c(org, lane, n) CROSS JOIN LATERAL"
    " (SELECT * FROM mayday.outbox x WHERE x.org = c.org AND x.lane = c.lane ORDER BY x.entry LIMIT "
    "$3::bigint) o"
    " ORDER BY c.n, o.entry";

bool turn_asks_for_truth(const entry *e) {
    return strcmp(e->kind, "message") != 0;
}

static pg_verdict read_entries(turn *t, service_context *s) {
    CLEANUP(buf_release) buf orgs = BUF(ARRAY_BYTES);
    CLEANUP(buf_release) buf lanes = BUF(ARRAY_BYTES);
    char most[24];
    (void)snprintf(most, sizeof most, "%d", ENTRIES_MAX);
    pg_array_begin(&orgs);
    pg_array_begin(&lanes);
    for (size_t i = 0; i < t->lane_count; i++) {
        pg_array_add(&orgs, text_of(t->lanes[i].org));
        pg_array_add(&lanes, text_of(t->lanes[i].name));
    }
    pg_array_end(&orgs);
    pg_array_end(&lanes);
    if (buf_failed(&orgs) < 0 || buf_failed(&lanes) < 0)
        return PG_RETRY;
    pg_verdict verdict =
        pg_query(s->c, entries_sql, 3, (const char *[]){orgs.ptr, lanes.ptr, most}, &t->entry_rows);
    if (verdict != PG_DONE)
        return verdict;
    size_t count = pg_rows_count(t->entry_rows);
    t->entries = calloc(count ? count : 1, sizeof *t->entries);
    if (!t->entries)
        return PG_RETRY;
    for (size_t i = 0; i < count; i++) {
        entry *e = &t->entries[i];
        *e = (entry){.lane = (size_t)strtoul(pg_value(t->entry_rows, i, 0), NULL, 10) - 1,
                     .id = pg_value(t->entry_rows, i, 1),
                     .kind = pg_value(t->entry_rows, i, 2),
                     .leaf = pg_value(t->entry_rows, i, 3),
                     .payload = pg_value(t->entry_rows, i, 4)};
        if (turn_asks_for_truth(e)) {
            t->lanes[e->lane].last_truth = i + 1;
            t->lanes[e->lane].wants_state |= strcmp(e->kind, "dispatch") != 0;
        }
    }
    t->entry_count = count;
    return PG_DONE;
}

/* What is true now; NULL: nothing is to be retained. Also whether anybody has been told of the incident.
 * OFFSET 0 keeps the inner query apart: merged into the outer one, dispatch_of() would run once for each time
 * its answer is used. */
static const char truth_sql[] =
    "SELECT c.n, t.state::text, t.dispatch::text,"
    " (t.dispatch ->> 'status') NOT IN ('resolved', 'canceled') AND t.dispatch -> 'receipts' -> 'notified' "
    "IS NULL"
    " FROM unnest($1::int[], $2::text[], $3::text[]) c(n, org, lane) CROSS JOIN LATERAL"
    " (SELECT mayday.state_of(c.org, substr(c.lane, 7)::uuid) AS state,"
    " mayday.dispatch_of(c.org, substr(c.lane, 7)::uuid) AS dispatch OFFSET 0) t WHERE c.lane LIKE 'alert/%'"
    " UNION ALL SELECT c.n, mayday.presence_of(c.org, substr(c.lane, 6))::text, NULL, false"
    " FROM unnest($1::int[], $2::text[], $3::text[]) c(n, org, lane) WHERE c.lane LIKE 'user/%'";

static pg_verdict read_truth(turn *t, service_context *s) {
    CLEANUP(buf_release) buf numbers = BUF(ARRAY_BYTES);
    CLEANUP(buf_release) buf orgs = BUF(ARRAY_BYTES);
    CLEANUP(buf_release) buf lanes = BUF(ARRAY_BYTES);
    bool any = false;
    pg_array_begin(&numbers);
    pg_array_begin(&orgs);
    pg_array_begin(&lanes);
    for (size_t i = 0; i < t->lane_count; i++) {
        char number[24];
        if (t->lanes[i].last_truth == 0)
            continue;
        any = true;
        (void)snprintf(number, sizeof number, "%zu", i);
        pg_array_add(&numbers, text_of(number));
        pg_array_add(&orgs, text_of(t->lanes[i].org));
        pg_array_add(&lanes, text_of(t->lanes[i].name));
    }
    pg_array_end(&numbers);
    pg_array_end(&orgs);
    pg_array_end(&lanes);
    if (buf_failed(&numbers) < 0 || buf_failed(&orgs) < 0 || buf_failed(&lanes) < 0)
        return PG_RETRY;
    return any ? pg_query(s->c, truth_sql, 3, (const char *[]){numbers.ptr, orgs.ptr, lanes.ptr},
                          &t->truth_rows)
               : PG_DONE;
}

pg_verdict turn_read(turn *t, service_context *s) {
    pg_verdict verdict = read_entries(t, s);
    return verdict == PG_DONE ? read_truth(t, s) : verdict;
}

/* ---- saying ---- */

static bool add_message(turn *t, const lane *l, const char *leaf, const char *payload, bool retain) {
    CLEANUP(buf_release) buf topic = BUF(TOPIC_MAX);
    buf_printf(&topic, "mayday/v1/%s/%s/%s", l->org, l->name, leaf);
    char *name = buf_steal(&topic);
    if (!name)
        return false;
    t->topics[t->message_count] = name;
    t->messages[t->message_count++] = (bus_message){
        .org = text_of(l->org), .topic = text_of(name), .payload = text_of(payload), .retain = retain};
    return true;
}

static bool add_truth(turn *t, lane *l, size_t row) {
    const pg_rows *rows = t->truth_rows;
    bool is_alert = strncmp(l->name, "alert/", 6) == 0;
    l->truth_at = t->message_count;
    l->not_notified = is_alert && strcmp(pg_value(rows, row, 3), "t") == 0;
    bool done =
        !l->wants_state || add_message(t, l, is_alert ? "state" : "presence", pg_value(rows, row, 1), true);
    done = done && (!is_alert || add_message(t, l, "dispatch", pg_value(rows, row, 2), true));
    l->truth_count = t->message_count - l->truth_at;
    return done;
}

/* The row of each lane's truth, plus one; 0: none. */
static void index_truth(const turn *t, size_t ret_rows[LANES_MAX]) {
    memset(ret_rows, 0, LANES_MAX * sizeof *ret_rows);
    for (size_t i = 0; t->truth_rows && i < pg_rows_count(t->truth_rows); i++) {
        size_t at = (size_t)strtoul(pg_value(t->truth_rows, i, 0), NULL, 10);
        if (at < t->lane_count)
            ret_rows[at] = i + 1;
    }
}

bool turn_compose(turn *t) {
    size_t truth[LANES_MAX], most = t->entry_count + 2 * t->lane_count;
    t->messages = calloc(most ? most : 1, sizeof *t->messages);
    t->topics = calloc(most ? most : 1, sizeof *t->topics);
    if (!t->messages || !t->topics)
        return false;
    index_truth(t, truth);
    for (size_t i = 0; i < t->entry_count; i++) {
        entry *e = &t->entries[i];
        lane *l = &t->lanes[e->lane];
        e->message = t->message_count;
        if (!turn_asks_for_truth(e)) {
            if (!add_message(t, l, e->leaf, e->payload, false))
                return false;
        } else if (l->last_truth == i + 1 && truth[e->lane] && !add_truth(t, l, truth[e->lane] - 1)) {
            return false;
        }
    }
    return true;
}

bool turn_taken(const bus_message *m) {
    return m->acked && m->reason < REFUSED_AT;
}

/* The messages that speak for an entry. */
static const bus_message *messages_of(const turn *t, const entry *e, size_t *ret_count) {
    const lane *l = &t->lanes[e->lane];
    *ret_count = turn_asks_for_truth(e) ? l->truth_count : 1;
    return &t->messages[turn_asks_for_truth(e) ? l->truth_at : e->message];
}

bool turn_said(const turn *t, const entry *e) {
    size_t of;
    const bus_message *m = messages_of(t, e, &of);
    for (size_t i = 0; i < of; i++)
        if (!turn_taken(&m[i]))
            return false;
    return true;
}

bool turn_refused(const turn *t, const entry *e) {
    size_t of;
    const bus_message *m = messages_of(t, e, &of);
    for (size_t i = 0; i < of; i++)
        if (m[i].acked && m[i].reason >= REFUSED_AT)
            return true;
    return false;
}

/* ---- what came of it ---- */

pg_verdict turn_delete(const turn *t, service_context *s) {
    CLEANUP(buf_release) buf ids = BUF(ARRAY_BYTES);
    bool any = false;
    pg_array_begin(&ids);
    for (size_t i = 0; i < t->entry_count; i++)
        if (turn_said(t, &t->entries[i])) {
            pg_array_add(&ids, text_of(t->entries[i].id));
            any = true;
        }
    pg_array_end(&ids);
    if (buf_failed(&ids) < 0)
        return PG_RETRY;
    return any ? pg_query(s->c, "DELETE FROM mayday.outbox WHERE entry = ANY ($1::bigint[])", 1,
                          (const char *[]){ids.ptr}, NULL)
               : PG_DONE;
}
