/* doubt.c - asks providers: is it in your list, what became of it; see services/sender.c. */
#include "gateway/sending/inside.h"

#include <stdio.h>
#include <stdlib.h>

#define AHEAD           (3600 * INSTANT_SECOND)
#define LEASE_MARGIN_MS 2000
#define FIRST_ASK_MS    3000

/* The connections there are, as this role sees them: its own, which are the gateways'. */
pg_verdict sender_find_orphans(sender *x) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    pg_verdict verdict = pg_query(x->s->c,
                                  "SELECT mayday.find_orphans(array_agg(s.pid), array_agg(s.backend_start))"
                                  " FROM pg_stat_activity s WHERE s.backend_start IS NOT NULL",
                                  0, NULL, &rows);
    if (verdict != PG_DONE)
        return verdict;
    uint64_t found = strtoull(pg_value(rows, 0, 0), NULL, 10);
    if (found > 0) {
        service_log(x->s, LOG_LEVEL_WARNING,
                    "%llu requests of a gateway that is gone: their providers are asked what became of them",
                    (unsigned long long)found);
        service_count(x->s, "mayday_gateway_orphans_total", found);
        x->look = true;
    }
    return PG_DONE;
}

/* ---- in doubt ---- */

static void settle(sender *x, const char *id, const char *attempt, const char *found,
                   const provider_result *r) {
    char labels[48];
    json *row = json_new_object();
    if (row && (put_text(row, "id", id) < 0 || put_text(row, "attempt", attempt) < 0 ||
                put_text(row, "found", found) < 0 ||
                put_text(row, "reference", r && *r->reference ? r->reference : NULL) < 0 ||
                json_put(row, "ms", json_new_integer(FIRST_ASK_MS)) < 0))
        row = json_free(row);
    results_add(&x->settled, row);
    (void)snprintf(labels, sizeof labels, "found=\"%s\"", found);
    service_count_of(x->s, "mayday_gateway_searches_total", labels, 1);
}

void sender_found(errand *e, const provider_reply *reply) {
    provider_result r = {0};
    provider_message m = errand_message(e);
    provider_found(e->row, reply, &m, e->since, &r);
    settle(e->owner, e->id, e->attempt,
           r.outcome == PROVIDER_SENT    ? "sent"
           : r.outcome == PROVIDER_RETRY ? "absent"
                                         : "unclear",
           &r);
    errand_free(e);
}

static char *copy_of(const pg_rows *rows, size_t row, size_t column) {
    return text_copy(text_of(pg_value(rows, row, column)));
}

/* By the clock of the database, which is ahead of ours, or was: then the message is in the list before it was
 * sent. */
static instant since(const char *begun_us) {
    instant begun = strtoll(begun_us, NULL, 10), now = instant_now();
    return begun <= now ? begun : now - AHEAD;
}

/* id, kind, address, body, attempt, provider, begun_us, rank, tried */
static void search_one(sender *x, const pg_rows *rows, size_t row) {
    const char *id = pg_value(rows, row, 0), *attempt = pg_value(rows, row, 4);
    const provider *p = provider_named(text_of(pg_value(rows, row, 5)));
    errand *e = p && p->search && x->s->accounts ? errand_new(x, ERRAND_SEARCH, id) : NULL;
    if (e) {
        e->row = p;
        e->to = copy_of(rows, row, 2);
        e->body = copy_of(rows, row, 3);
        (void)snprintf(e->attempt, sizeof e->attempt, "%s", attempt);
        e->since = since(pg_value(rows, row, 6));
        provider_message m = errand_message(e);
        if (e->to && e->body && provider_search(p, x->s->accounts, &m, e->since, &e->request) == 0 &&
            client_start(x->client, &e->request, sender_done_of(ERRAND_SEARCH), e) == 0) {
            provider_request_release(&e->request);
            return;
        }
        errand_free(e);
    }
    settle(x, id, attempt, "unclear", NULL);
}

pg_verdict sender_search(sender *x) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char most[16], lease[32];
    if (x->searching >= SEARCHES_MAX)
        return PG_DONE;
    (void)snprintf(most, sizeof most, "%zu", SEARCHES_MAX - x->searching);
    (void)snprintf(lease, sizeof lease, "%lld ms",
                   (long long)x->s->settings->notify_timeout_ms + LEASE_MARGIN_MS);
    pg_verdict verdict =
        pg_query(x->s->c, "SELECT * FROM mayday.claim_doubts($1, $2::text[], $3::integer, $4::interval)", 4,
                 (const char *[]){x->s->gateway, sender_orgs(x), most, lease}, &rows);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++)
        search_one(x, rows, i);
    return verdict;
}

/* ---- receipts ---- */

static void tell(sender *x, const char *id, const char *attempt, const char *receipt, const char *code) {
    json *row = json_new_object();
    if (row &&
        (put_text(row, "id", id) < 0 || put_text(row, "attempt", attempt) < 0 ||
         put_text(row, "receipt", receipt) < 0 || put_text(row, "code", code && *code ? code : NULL) < 0))
        row = json_free(row);
    results_add(&x->receipts, row);
}

static const char *receipt_name(provider_receipt r) {
    switch (r) {
    case RECEIPT_UNKNOWN:
        return NULL;
    case RECEIPT_PENDING:
        return "pending";
    case RECEIPT_DELIVERED:
        return "delivered";
    case RECEIPT_FAILED:
        return "failed";
    }
    return NULL;
}

void sender_told(errand *e, const provider_reply *reply) {
    char code[PROVIDER_CODE_MAX] = "";
    const char *receipt = receipt_name(provider_told(e->row, reply, text_of(e->reference), code));
    if (receipt) /* else it is asked again */
        tell(e->owner, e->id, e->attempt, receipt, code);
    errand_free(e);
}

/* id, attempt, provider, reference, sent_us */
static void ask_one(sender *x, const pg_rows *rows, size_t row) {
    const char *id = pg_value(rows, row, 0), *attempt = pg_value(rows, row, 1);
    const provider *p = provider_named(text_of(pg_value(rows, row, 2)));
    if (!p || !p->ask || !x->s->accounts) {
        tell(x, id, attempt, "none", NULL);
        return;
    }
    errand *e = errand_new(x, ERRAND_ASK, id);
    if (!e)
        return;
    e->row = p;
    e->reference = copy_of(rows, row, 3);
    (void)snprintf(e->attempt, sizeof e->attempt, "%s", attempt);
    e->since = strtoll(pg_value(rows, row, 4), NULL, 10);
    if (e->reference && provider_ask(p, x->s->accounts, text_of(e->reference), e->since, &e->request) == 0 &&
        client_start(x->client, &e->request, sender_done_of(ERRAND_ASK), e) == 0)
        provider_request_release(&e->request);
    else
        errand_free(e);
}

pg_verdict sender_ask(sender *x) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char most[16];
    if (x->asking >= ASKS_MAX)
        return PG_DONE;
    (void)snprintf(most, sizeof most, "%zu", ASKS_MAX - x->asking);
    pg_verdict verdict = pg_query(x->s->c, "SELECT * FROM mayday.claim_receipts($1, $2::text[], $3::integer)",
                                  3, (const char *[]){x->s->gateway, sender_orgs(x), most}, &rows);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++)
        ask_one(x, rows, i);
    return verdict;
}
