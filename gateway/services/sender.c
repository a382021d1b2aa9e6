/* sender.c - reaches people: sends what is due through the providers, and finds out what came of it.
 *
 *   claim    one transaction: what is due is locked, what is done with it decided (carriers.c, speech.c) and
 *            stored, with an attempt for each request; then the requests leave (sending/claim.c)
 *   outcome  stored when a request is over, together with what is next (sending/outcome.c)
 *   doubt    a request whose outcome nobody knows: its provider's list is searched first (sending/doubt.c)
 *   receipt  a provider that has not said what became of a message is asked
 *
 * There are no batches that wait for each other: a step is one turn of a loop that never waits for one
 * request, so a slow provider holds nobody up. While requests are under way the step waits for them and for
 * the database together; else it returns, and the runner waits for a notification or the next due time.
 *
 * What it has no provider for, it leaves to another gateway that has one and was seen of late
 * (left_to_others() in sql/0016_sending.sql); when there is none, it gives up what waits, so that the next
 * place goes on.
 *
 * A gateway that is killed leaves attempts without an outcome, held by a connection that is gone: any gateway
 * finds them. One that loses the database finishes what is under way and keeps the outcomes until it is back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/pg_array.h"
#include "gateway/sending/inside.h"

extern const service service_sender;

#define SLEEP_MS     1000 /* at most, between two looks */
#define TURN_MS      100  /* at most, while requests are under way: then somebody may want us to stop */
#define WAIT_MS      50   /* for what was told without the database */
#define ORPHANS_MS   1000
#define STATE_MS     3000 /* well below what mayday.left_to_others() waits for a gateway */
#define END_MS       2000 /* for what is under way, when the gateway ends */
#define CONNECT_MS   1000
#define STATES_BYTES (16 << 10)

static void woken(void *context, const char *channel, const char *payload) {
    (void)channel;
    (void)payload;
    ((sender *)context)->look = true;
}

/* ---- what operators see ---- */

static void gauge(sender *x, const carrier *one, int64_t now) {
    char labels[64];
    (void)snprintf(labels, sizeof labels, "provider=\"%s\"", one->row->name);
    service_gauge_of(x->s, "mayday_gateway_provider_open", labels,
                     carriers_breaker(one, now) != BREAKER_CLOSED);
    service_gauge_of(x->s, "mayday_gateway_provider_under_way", labels, (double)one->under_way);
}

static int put_count(json *row, const char *name, uint64_t count) {
    return json_put(row, name, json_new_integer((int64_t)count));
}

static json *state_of(const carrier *one, carrier_breaker b) {
    json *row = json_new_object();
    if (!row || put_text(row, "provider", one->row->name) < 0 || put_text(row, "kind", one->row->kind) < 0 ||
        put_text(row, "breaker", carrier_breaker_name(b)) < 0 ||
        put_count(row, "in_flight", one->under_way) < 0 || put_count(row, "sent", one->sent) < 0 ||
        put_count(row, "retry", one->retry) < 0 || put_count(row, "refused", one->refused) < 0 ||
        put_count(row, "unknown", one->unknown) < 0 ||
        put_text(row, "failure", one->failed_lately && *one->last_failure ? one->last_failure : NULL) < 0)
        return json_free(row);
    return row;
}

/* Also when nothing changed: who has no provider of a kind leaves it to whoever said so of late. */
static pg_verdict note_states(sender *x, int64_t now) {
    CLEANUP(buf_release) buf rows = BUF(STATES_BYTES);
    CLEANUP(json_freep) json *all = json_new_array();
    int fault = all ? 0 : -ENOMEM;
    for (size_t i = 0; i < x->carriers.count && fault == 0; i++) {
        const carrier *one = &x->carriers.all[i];
        json *row = state_of(one, carriers_breaker(one, now));
        fault = row ? json_append(all, row) : -ENOMEM;
    }
    if (fault == 0)
        json_print(all, &rows);
    if (fault < 0 || buf_failed(&rows) < 0)
        return PG_RETRY;
    pg_verdict verdict = pg_query(x->s->c, "SELECT mayday.note_providers($1, $2::text[], $3::jsonb)", 3,
                                  (const char *[]){x->s->gateway, sender_orgs(x), rows.ptr}, NULL);
    for (size_t i = 0; i < x->carriers.count && verdict == PG_DONE; i++)
        x->carriers.all[i].failed_lately = false;
    return verdict;
}

static pg_verdict show(sender *x, int64_t now) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    for (size_t i = 0; i < x->carriers.count; i++)
        gauge(x, &x->carriers.all[i], now);
    pg_verdict verdict = note_states(x, now);
    if (verdict == PG_DONE)
        verdict = pg_query(x->s->c,
                           "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(due_at)), 0)"
                           " FROM mayday.notification WHERE status = 'waiting' AND due_at <= now()",
                           0, NULL, &rows);
    if (verdict == PG_DONE) {
        service_gauge(x->s, "mayday_gateway_notifications_due", strtod(pg_value(rows, 0, 0), NULL));
        service_gauge(x->s, "mayday_gateway_notifications_late_seconds", strtod(pg_value(rows, 0, 1), NULL));
    }
    return verdict;
}

/* ---- a step ---- */

static pg_verdict now_and_then(sender *x, int64_t now) {
    pg_verdict verdict = PG_DONE;
    if (now >= x->orphans_at) {
        x->orphans_at = now + ORPHANS_MS;
        verdict = sender_find_orphans(x);
    }
    if (verdict == PG_DONE && now >= x->state_at) {
        x->state_at = now + STATE_MS;
        verdict = show(x, now);
    }
    return verdict;
}

/* When there is something to do again, by the database. */
static pg_verdict ask_when(sender *x, int64_t now) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    pg_verdict verdict = pg_query(x->s->c, "SELECT mayday.sending_sleep($1, $2::text[])", 2,
                                  (const char *[]){x->s->gateway, sender_orgs(x)}, &rows);
    if (verdict != PG_DONE)
        return verdict;
    int64_t ms = pg_is_null(rows, 0, 0) ? SLEEP_MS : strtoll(pg_value(rows, 0, 0), NULL, 10);
    int64_t least = carriers_wait(&x->carriers, now); /* what is due and still here, waits for room */
    ms = ms < least ? least : ms > SLEEP_MS ? SLEEP_MS : ms;
    if (x->look_at <= now || now + ms < x->look_at)
        x->look_at = now + ms;
    return PG_DONE;
}

/* What is to be sent goes first. */
static pg_verdict look(sender *x, int64_t now) {
    x->look = false;
    pg_verdict verdict = sender_claim(x);
    if (verdict == PG_DONE)
        verdict = sender_search(x);
    if (verdict == PG_DONE)
        verdict = sender_ask(x);
    return verdict == PG_DONE && !x->look ? ask_when(x, now) : verdict;
}

static bool has_results(const sender *x) {
    return x->ended.count + x->settled.count + x->receipts.count > 0;
}

static void add_org(void *context, text org, bool up, uint64_t generation) {
    (void)up;
    (void)generation;
    pg_array_add(context, org);
}

/* Those it was told to serve; NULL is all. */
static bool find_orgs(sender *x) {
    const settings *s = x->s->settings;
    bool some = (s->gateway_orgs && *s->gateway_orgs) || (s->gateway_token_file && *s->gateway_token_file);
    buf_clear(&x->orgs);
    if (!some)
        return true;
    pg_array_begin(&x->orgs);
    bus_each(x->s->bus, add_org, &x->orgs);
    pg_array_end(&x->orgs);
    return buf_failed(&x->orgs) == 0;
}

const char *sender_orgs(const sender *x) {
    return x->orgs.len > 0 ? x->orgs.ptr : NULL;
}

static pg_verdict turn(sender *x) {
    pg_verdict verdict = sender_store(x, x->s->c);
    if (verdict == PG_DONE)
        verdict = now_and_then(x, sender_clock_ms());
    int64_t now = sender_clock_ms();
    if (service_waits(x->s)) {
        x->look = false;
        x->look_at = now + WAIT_MS;
    }
    if (verdict == PG_DONE && (x->look || now >= x->look_at))
        verdict = look(x, now);
    /* What a search without a request came to, is settled before anything is waited for. */
    if (verdict == PG_DONE && client_count(x->client) > 0 && !has_results(x) && !x->look) {
        verdict = pg_notifications(x->s->c, woken, x);
        int64_t ms = x->look_at - sender_clock_ms();
        ms = x->look || ms < 0 ? 0 : ms > TURN_MS ? TURN_MS : ms;
        if (verdict == PG_DONE) {
            client_turn(x->client, (int)ms, pg_socket(x->s->c), -1);
            verdict = pg_notifications(x->s->c, woken, x);
        }
    }
    return verdict;
}

/* Lets what is under way come to its end; its outcomes are kept. */
static void finish(sender *x, int64_t most_ms, bool ending) {
    int64_t until = sender_clock_ms() + most_ms;
    while (client_count(x->client) > 0 && sender_clock_ms() < until && (ending || !service_stopping(x->s)))
        client_turn(x->client, TURN_MS, -1, -1);
}

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    sender *x = state;
    x->s = s;
    pg_verdict verdict = find_orgs(x) ? turn(x) : PG_RETRY;
    if (verdict != PG_DONE) {
        x->look = true;
        finish(x, s->settings->notify_timeout_ms + TURN_MS, false);
        sender_keep(x);
        return verdict;
    }
    *ret_again = client_count(x->client) > 0 || has_results(x) || x->look || service_stopping(s);
    if (!*ret_again) {
        int64_t ms = x->look_at - sender_clock_ms();
        s->sleep_ms = ms < 1 ? 1 : (int)ms;
        if (x->notified.count + x->delivered.count > 0 && s->sleep_ms > TURN_MS)
            s->sleep_ms = TURN_MS;
        x->look = true; /* whatever wakes us */
    }
    return PG_DONE;
}

/* ---- its life ---- */

/* The step's connection is gone by now: it ends with the signal to stop. */
static void store_last(sender *x) {
    CLEANUP(pg_closep) pg *c = NULL;
    char why[PG_WHY_MAX];
    pg_options options = {.conninfo = x->s->settings->gateway_database,
                          .application = "mayday-gateway sender, ending",
                          .connect_ms = CONNECT_MS,
                          .patience_ms = CONNECT_MS,
                          .interrupt_fd = -1};
    if (pg_connect(&options, &c, why) == PG_DONE && sender_store(x, c) == PG_DONE)
        return;
    sender_keep(x);
    service_log(x->s, LOG_LEVEL_WARNING,
                "what came of %zu requests can't be stored: it will be when this gateway is back",
                x->ended.count);
}

static void end(void *state) {
    sender *x = state;
    if (!x)
        return;
    if (x->client && client_count(x->client) > 0)
        finish(x, END_MS, true);
    if (has_results(x))
        store_last(x);
    x->client = client_free(x->client);
    while (x->errands)
        errand_free(x->errands);
    buf_release(&x->orgs);
    results_release(&x->ended);
    results_release(&x->settled);
    results_release(&x->receipts);
    results_release(&x->notified);
    results_release(&x->delivered);
    free(x);
}

static void say_missing(void *context, const char *who, const char *why) {
    service_log(context, LOG_LEVEL_ERROR, "%s can't be used: %s", who, why);
}

static void *begin(service_context *s) {
    sender *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->s = s;
    x->look = true;
    x->orgs = BUF(1 << 20);
    x->speech = (speech){
        .texts = s->texts, .fallback = s->settings->notify_lang, .map_url = s->settings->notify_map_url};
    carriers_begin(&x->carriers, s->settings, s->accounts, sender_clock_ms(), say_missing, s);
    sender_recall(x);
    client_options options = {.timeout_ms = s->settings->notify_timeout_ms,
                              .cafile = s->settings->notify_cafile,
                              .most = (size_t)s->settings->notify_concurrency + SEARCHES_MAX + ASKS_MAX,
                              .agent = "Mayday/" MAYDAY_VERSION};
    if (client_new(&options, &x->client) < 0) {
        end(x);
        return NULL;
    }
    return x;
}

const service service_sender = {
    .name = "sender",
    .channel = "mayday_notify",
    .every_ms = SLEEP_MS,
    .step = step,
    .begin = begin,
    .end = end,
};
