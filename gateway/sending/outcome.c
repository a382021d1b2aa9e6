/* outcome.c - what came of requests, and what is next; see services/sender.c. */
#include "gateway/sending/inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/pg_array.h"

#define ROWS_BYTES  (16 << 20)
#define FIRST_ASK   15000 /* after a message was sent: receipts come by themselves in less */
#define SOON_ASK    3000  /* when nobody can tell us by themselves */
#define STILL_AT_IT 2000  /* a provider that did not answer may still be at it for so long */
#define RESULTS_MAX 100000

int64_t sender_clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int put_text(json *row, const char *name, const char *value) {
    return value ? json_put(row, name, json_new_string(text_of(value))) : 0;
}

/* ---- errands ---- */

errand *errand_new(sender *x, errand_kind what, const char *id) {
    errand *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->owner = x;
    e->what = what;
    (void)snprintf(e->id, sizeof e->id, "%s", id);
    provider_request_init(&e->request);
    e->next = x->errands;
    if (e->next)
        e->next->previous = e;
    x->errands = e;
    x->searching += what == ERRAND_SEARCH;
    x->asking += what == ERRAND_ASK;
    return e;
}

void errand_free(errand *e) {
    if (!e)
        return;
    sender *x = e->owner;
    if (e->previous)
        e->previous->next = e->next;
    else
        x->errands = e->next;
    if (e->next)
        e->next->previous = e->previous;
    x->searching -= e->what == ERRAND_SEARCH;
    x->asking -= e->what == ERRAND_ASK;
    provider_request_release(&e->request);
    free(e->to);
    free(e->body);
    free(e->lang);
    free(e->menu);
    free(e->reference);
    free(e);
}

provider_message errand_message(const errand *e) {
    return (provider_message){.id = text_of(e->id),
                              .attempt = text_of(e->attempt),
                              .to = text_of(e->to),
                              .body = text_of(e->body),
                              .lang = text_of(e->lang),
                              .menu = text_of(e->menu),
                              .validity_ms = e->validity_ms,
                              .now = instant_now()};
}

size_t read_tries(const json *tried, carrier_try tries[TRIES_MAX]) {
    size_t count = json_length(tried), from = count > TRIES_MAX ? count - TRIES_MAX : 0;
    for (size_t i = from; i < count; i++) {
        const json *one = json_at(tried, i);
        text blame = json_get_string(one, "blame");
        tries[i - from] = (carrier_try){
            .row = provider_named(json_get_string(one, "provider")),
            .refused = text_equal(json_get_string(one, "outcome"), TEXT("refused")) &&
                       text_equal(blame, TEXT("message")),
        };
    }
    return count - from;
}

/* ---- results ---- */

static void add_copy(results *r, char *row) {
    if (row && r->count == r->capacity && r->count < RESULTS_MAX) {
        size_t capacity = r->capacity ? r->capacity * 2 : 16;
        char **more = realloc(r->rows, capacity * sizeof *more);
        if (more) {
            r->rows = more;
            r->capacity = capacity;
        }
    }
    if (row && r->count < r->capacity)
        r->rows[r->count++] = row;
    else
        free(row);
}

void results_add(results *r, json *row) {
    CLEANUP(buf_release) buf spelled = BUF(1 << 16);
    if (!row)
        return;
    json_print(row, &spelled);
    (void)json_free(row);
    add_copy(r, buf_steal(&spelled));
}

void results_add_id(results *r, const char *id) {
    add_copy(r, text_copy(text_of(id)));
}

static void forget(results *r, size_t count) {
    r->kept -= count < r->kept ? count : r->kept;
    for (size_t i = 0; i < count; i++)
        free(r->rows[i]);
    memmove(r->rows, r->rows + count, (r->count - count) * sizeof *r->rows);
    r->count -= count;
}

void results_release(results *r) {
    if (r->count)
        forget(r, r->count);
    free(r->rows);
    *r = (results){0};
}

/* ---- an outcome ---- */

typedef struct next_step {
    const char *then, *why;
    int64_t ms;
} next_step;

static const char *blame_name(provider_blame b) {
    switch (b) {
    case BLAME_NOBODY:
        return NULL;
    case BLAME_PROVIDER:
        return "provider";
    case BLAME_MESSAGE:
        return "message";
    case BLAME_NUMBER:
        return "number";
    case BLAME_NO_TEXT:
        return "no_text";
    case BLAME_OPTED_OUT:
        return "opted_out";
    }
    return NULL;
}

static next_step again(const errand *e, const provider_result *r) {
    return (next_step){
        "again", "provider",
        carriers_pause(&e->owner->carriers, e->row->kind, e->tries, e->try_count, r, (uint64_t)random())};
}

static next_step refused(errand *e, const provider_result *r) {
    switch (r->blame) {
    case BLAME_PROVIDER:
        return again(e, r);
    case BLAME_NUMBER:
        return (next_step){"fail", "bad_number", 0};
    case BLAME_NO_TEXT:
        return (next_step){"fail", "no_text", 0};
    case BLAME_OPTED_OUT:
        return (next_step){"fail", "opted_out", 0};
    case BLAME_NOBODY:
    case BLAME_MESSAGE:
        break;
    }
    e->tries[e->try_count - 1].refused = true;
    return carriers_any_left(&e->owner->carriers, e->row->kind, e->tries, e->try_count)
               ? (next_step){"again", "refused", 0}
               : (next_step){"fail", "refused", 0};
}

static bool told_by_itself(const settings *s) {
    return s->notify_public_url && *s->notify_public_url;
}

static next_step next_of(errand *e, const provider_reply *reply, const provider_result *r) {
    switch (r->outcome) {
    case PROVIDER_SENT:
        return (next_step){"sent", NULL, told_by_itself(e->owner->s->settings) ? FIRST_ASK : SOON_ASK};
    case PROVIDER_UNKNOWN:
        if (!e->row->search)
            return again(e, r);
        return (next_step){"doubt", "doubt", reply->status > 0 ? 0 : STILL_AT_IT};
    case PROVIDER_RETRY:
        return again(e, r);
    case PROVIDER_REFUSED:
        return refused(e, r);
    }
    return again(e, r);
}

/* The row of end_attempts(). Who refused the message for itself is remembered by the blame. */
static json *row_of(const errand *e, const provider_reply *reply, const provider_result *r,
                    const next_step *v) {
    provider_blame blame =
        r->outcome == PROVIDER_REFUSED && r->blame == BLAME_NOBODY ? BLAME_MESSAGE : r->blame;
    json *row = json_new_object();
    if (!row || put_text(row, "attempt", e->attempt) < 0 ||
        put_text(row, "outcome", provider_outcome_name(r->outcome)) < 0 ||
        put_text(row, "code", *r->code ? r->code : NULL) < 0 ||
        put_text(row, "blame", blame_name(blame)) < 0 ||
        put_text(row, "reference", *r->reference ? r->reference : NULL) < 0 ||
        put_text(row, "then", v->then) < 0 || put_text(row, "why", v->why) < 0 ||
        json_put(row, "ms", json_new_integer(v->ms)) < 0 ||
        (reply->status > 0 && json_put(row, "http", json_new_integer(reply->status)) < 0))
        return json_free(row);
    return row;
}

static void count(sender *x, const errand *e, const provider_result *r) {
    char labels[96];
    (void)snprintf(labels, sizeof labels, "provider=\"%s\",outcome=\"%s\"", e->row->name,
                   provider_outcome_name(r->outcome));
    service_count_of(x->s, "mayday_gateway_attempts_total", labels, 1);
}

/* Said when it begins and when it is over. */
static void say_breaker(sender *x, const carrier *one, carrier_breaker before) {
    carrier_breaker now = carriers_breaker(one, sender_clock_ms());
    if (before == BREAKER_CLOSED && now == BREAKER_OPEN)
        service_log(x->s, LOG_LEVEL_WARNING, "%s fails: it is left alone for a while", one->row->name);
    else if (before != BREAKER_CLOSED && now == BREAKER_CLOSED)
        service_log(x->s, LOG_LEVEL_NOTICE, "%s works again", one->row->name);
}

static void settle(errand *e, const provider_reply *reply, const provider_result *r) {
    sender *x = e->owner;
    if (e->try_count == TRIES_MAX)
        memmove(e->tries, e->tries + 1, --e->try_count * sizeof *e->tries);
    e->tries[e->try_count++] = (carrier_try){.row = e->row};
    carrier_breaker before = carriers_breaker(e->by, sender_clock_ms());
    carriers_ended(&x->carriers, e->by, e->rank, e->trying, r, sender_clock_ms());
    say_breaker(x, e->by, before);
    next_step v = next_of(e, reply, r);
    count(x, e, r);
    results_add(&x->ended, row_of(e, reply, r, &v));
    errand_free(e);
    x->look = true; /* there is room */
}

static void done(void *context, const provider_reply *reply) {
    errand *e = context;
    provider_result r = {0};
    provider_read(e->row, reply, &r);
    settle(e, reply, &r);
}

void sender_not_sent(errand *e, const char *why) {
    provider_reply none = {.why = why};
    provider_result r = {.outcome = PROVIDER_RETRY, .blame = BLAME_NOBODY};
    (void)snprintf(r.code, sizeof r.code, "%s", why);
    settle(e, &none, &r);
}

static void search_done(void *context, const provider_reply *reply) {
    sender_found(context, reply);
}

static void ask_done(void *context, const provider_reply *reply) {
    sender_told(context, reply);
}

client_done sender_done_of(errand_kind what) {
    switch (what) {
    case ERRAND_SEND:
        return done;
    case ERRAND_SEARCH:
        return search_done;
    case ERRAND_ASK:
        return ask_done;
    }
    return done;
}

/* ---- storing ---- */

static pg_verdict run(pg *c, const char *sql, char **rows, size_t count, results *marks) {
    CLEANUP(buf_release) buf all = BUF(ROWS_BYTES);
    CLEANUP(pg_rows_freep) pg_rows *ids = NULL;
    for (size_t i = 0; i < count; i++) {
        buf_add_char(&all, i == 0 ? '[' : ',');
        buf_add_text(&all, text_of(rows[i]));
    }
    buf_add_char(&all, ']');
    if (buf_failed(&all) < 0)
        return PG_RETRY;
    pg_verdict verdict = pg_query(c, sql, 1, (const char *[]){all.ptr}, &ids);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(ids); i++)
        results_add_id(marks, pg_value(ids, i, 0));
    return verdict;
}

/* All at once; when the database refuses one of them, one by one without it. */
static pg_verdict store(sender *x, pg *c, const char *sql, results *r, results *marks) {
    if (r->count == 0)
        return PG_DONE;
    size_t most = r->count < 500 ? r->count : 500;
    pg_verdict verdict = run(c, sql, r->rows, most, marks);
    if (verdict == PG_DONE)
        forget(r, most);
    if (verdict != PG_DATA)
        return verdict;
    while (most-- > 0) {
        verdict = run(c, sql, r->rows, 1, marks);
        if (verdict == PG_RETRY)
            return verdict;
        if (verdict == PG_DATA)
            service_log(x->s, LOG_LEVEL_ERROR, "an outcome can't be stored: %s", pg_why(c));
        forget(r, 1);
    }
    return PG_DONE;
}

/* Those whose incident somebody else has locked are left for the next time. */
static pg_verdict mark(pg *c, results *r, bool delivered) {
    CLEANUP(pg_rows_freep) pg_rows *left = NULL;
    CLEANUP(buf_release) buf ids = BUF(ROWS_BYTES);
    if (r->count == 0)
        return PG_DONE;
    pg_array_begin(&ids);
    for (size_t i = 0; i < r->count; i++)
        pg_array_add(&ids, text_of(r->rows[i]));
    pg_array_end(&ids);
    if (buf_failed(&ids) < 0)
        return PG_RETRY;
    pg_verdict verdict = pg_query(
        c, "SELECT u.id FROM unnest($1::uuid[]) u(id) WHERE NOT mayday.mark_reached(u.id, $2::boolean)", 2,
        (const char *[]){ids.ptr, delivered ? "true" : "false"}, &left);
    if (verdict != PG_DONE)
        return verdict;
    forget(r, r->count);
    for (size_t i = 0; i < pg_rows_count(left); i++)
        results_add_id(r, pg_value(left, i, 0));
    return PG_DONE;
}

/* ---- while the database is away ---- */

static const text shelf = {"outcomes", 8};

void sender_keep(sender *x) {
    for (; x->s->local && x->ended.kept < x->ended.count; x->ended.kept++) {
        CLEANUP(json_freep) json *row = NULL;
        text spelled = text_of(x->ended.rows[x->ended.kept]);
        if (json_parse_once(spelled, &row) != JSON_OK ||
            local_put(x->s->local, shelf, json_get_string(row, "attempt"), spelled) < 0)
            return; /* no room: it is an orphan then, should we end before the database is back */
        x->shelved = true;
    }
}

static void recall(void *context, text name, text body) {
    sender *x = context;
    (void)name;
    add_copy(&x->ended, text_copy(body));
}

void sender_recall(sender *x) {
    if (x->s->local && local_each(x->s->local, shelf, recall, x) == 0)
        x->ended.kept = x->ended.count;
    x->shelved = x->ended.kept > 0;
}

static void note_name(void *context, text name, text body) {
    (void)body;
    add_copy(context, text_copy(name));
}

/* Storing one twice changes nothing: what can't be dropped now, is stored once more by whoever comes next. */
static void drop_kept(sender *x) {
    results names = {0};
    if (!x->shelved)
        return;
    bool good = local_each(x->s->local, shelf, note_name, &names) == 0;
    for (size_t i = 0; good && i < names.count; i++)
        good = local_drop(x->s->local, shelf, text_of(names.rows[i])) == 0;
    results_release(&names);
    x->shelved = false;
}

pg_verdict sender_store(sender *x, pg *c) {
    pg_verdict verdict = PG_DONE;
    while (x->ended.count > 0 && verdict == PG_DONE)
        verdict = store(x, c, "SELECT * FROM mayday.end_attempts($1::jsonb)", &x->ended, &x->notified);
    if (verdict == PG_DONE)
        drop_kept(x);
    if (verdict == PG_DONE)
        verdict = store(x, c, "SELECT * FROM mayday.settle_doubts($1::jsonb)", &x->settled, &x->notified);
    if (verdict == PG_DONE)
        verdict =
            store(x, c, "SELECT * FROM mayday.settle_receipts_asked($1::jsonb)", &x->receipts, &x->delivered);
    if (verdict == PG_DONE)
        verdict = mark(c, &x->notified, false);
    return verdict == PG_DONE ? mark(c, &x->delivered, true) : verdict;
}
