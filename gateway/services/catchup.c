/* catchup.c - answers `sync`: those who were away are given what they missed, in pages, through their inbox.
 *
 * The questions wait in mayday.sync_open. A step locks one, reads the next part of its answer from the feed
 * (sql/0012_feed.sql), publishes it as pages that are all on their way at once, and when the broker has them
 * notes how far it got. Then it is the turn of whoever waited longest. A gateway that dies lets its lock go
 * and another goes on from the last note: pages may come twice then, and none is missing. */
#include <stdio.h>
#include <sys/random.h>

#include "base/uuid.h"
#include "gateway/publisher/page.h"
#include "gateway/service.h"

extern const service service_catchup;

#define ENTRIES    "1000" /* looked up at a time */
#define NOTES      1000   /* moved into the feed at a time */
#define PAGES      16     /* on their way at once */
#define PUBLISH_MS 10000
#define REFUSED    0x80
#define ENTRY_MAX  (2u << 20)
#define ORGS_MAX   (1u << 20)

/* One question, while a step answers a part of it. */
typedef struct answer {
    service_context *s;
    const char *id, *org, *topic;
    page page;
    buf ready[PAGES];
    size_t ready_count;
    bool lost;    /* the broker did not take a page: later again */
    bool refused; /* the broker will not have it, ever: the client asks again */
} answer;

typedef struct org_list {
    buf *text; /* as PostgreSQL spells an array */
    size_t count;
} org_list;

static void add_org(void *context, text org, bool up, uint64_t generation) {
    org_list *list = context;
    (void)generation;
    if (!up)
        return;
    buf_add_text(list->text, list->count++ > 0 ? TEXT(",\"") : TEXT("{\""));
    for (size_t i = 0; i < org.len; i++) {
        if (org.ptr[i] == '"' || org.ptr[i] == '\\')
            buf_add_char(list->text, '\\');
        buf_add_char(list->text, org.ptr[i]);
    }
    buf_add_char(list->text, '"');
}

static pg_verdict settle(service_context *s) {
    int64_t moved = NOTES;
    while (moved == NOTES && !service_stopping(s)) {
        CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
        char most[16];
        (void)snprintf(most, sizeof most, "%d", NOTES);
        const char *params[] = {most};
        pg_verdict verdict = pg_query(s->c, "SELECT mayday.feed_settle($1)", 1, params, &rows);
        if (verdict != PG_DONE)
            return verdict;
        if (text_to_i64(text_of(pg_value(rows, 0, 0)), 0, NOTES, &moved) < 0)
            return PG_RETRY;
    }
    return PG_DONE;
}

/* What the broker said to the pages that were on their way. */
static void publish(answer *a) {
    bus_message messages[PAGES] = {0};
    if (a->ready_count == 0 || a->lost || a->refused)
        return;
    for (size_t i = 0; i < a->ready_count; i++) {
        messages[i] = (bus_message){
            .org = text_of(a->org), .topic = text_of(a->topic), .payload = buf_text(&a->ready[i])};
        a->lost = a->lost || buf_failed(&a->ready[i]) < 0;
    }
    if (a->lost)
        return;
    (void)bus_publish(a->s->bus, messages, a->ready_count, PUBLISH_MS);
    for (size_t i = 0; i < a->ready_count; i++) {
        a->refused = a->refused || (messages[i].acked && messages[i].reason >= REFUSED);
        a->lost = a->lost || !messages[i].acked;
        if (messages[i].acked && messages[i].reason >= REFUSED)
            service_log(a->s, LOG_LEVEL_WARNING, "the broker refused a page of missed messages (0x%02x)",
                        messages[i].reason);
    }
    service_count(a->s, "mayday_gateway_sync_pages_total", a->ready_count);
    a->ready_count = 0;
}

static void close_page(answer *a, bool more) {
    char id[UUID_TEXT_LEN + 1];
    uint8_t random[10];
    instant now = instant_now();
    if (a->ready_count == PAGES)
        publish(a);
    if (a->lost || a->refused)
        return;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        a->lost = true;
        return;
    }
    uuid fresh = uuid7_make(now / 1000, random);
    uuid_format(&fresh, id);
    buf_clear(&a->ready[a->ready_count]);
    page_close(&a->page, more, id, now, &a->ready[a->ready_count++]);
}

/* True when the answer is complete. */
static bool pack(answer *a, const pg_rows *rows) {
    size_t count = pg_rows_count(rows);
    bool last = false;
    for (size_t i = 0; i < count && !a->lost && !a->refused; i++) {
        text entry = text_of(pg_value(rows, i, 0));
        last = *pg_value(rows, i, 3) == 't';
        if (!pg_is_null(rows, i, 0) && !page_add(&a->page, entry)) {
            close_page(a, true);
            (void)page_add(&a->page, entry); /* an empty page takes anything */
        }
        page_reach(&a->page, text_of(pg_value(rows, i, 1)));
    }
    a->lost = a->lost || buf_failed(&a->page.entries) < 0;
    close_page(a, !last);
    publish(a);
    return last;
}

/* Of a part that did not get through all is said again. */
static pg_verdict served(answer *a, const char *began, bool last) {
    bool complete = a->refused || (last && !a->lost);
    const char *params[] = {a->id, a->lost ? began : a->page.after, complete ? "true" : "false"};
    if (complete)
        service_count(a->s, "mayday_gateway_syncs_total", 1);
    return pg_query(a->s->c, "SELECT mayday.sync_served($1, $2, $3)", ARRAY_LEN(params), params, NULL);
}

/* The next part of one answer. `claim`: id, org, person, cursor. */
static pg_verdict give(service_context *s, const pg_rows *claim, bool *ret_given) {
    static const char sql[] =
        "SELECT entry, cursor, reset, last FROM mayday.sync_entries($1, $2, $3, " ENTRIES ")";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    CLEANUP(buf_release) buf topic = BUF(1 << 16);
    const char *cursor = pg_is_null(claim, 0, 3) ? NULL : pg_value(claim, 0, 3);
    const char *params[] = {pg_value(claim, 0, 1), pg_value(claim, 0, 2), cursor};
    pg_verdict verdict = pg_query(s->c, sql, 3, params, &rows);
    buf_printf(&topic, "mayday/v1/%s/user/%s/inbox", params[0], params[1]);
    if (verdict != PG_DONE || buf_failed(&topic) < 0)
        return verdict == PG_DONE ? PG_RETRY : verdict;

    answer a = {.s = s, .id = pg_value(claim, 0, 0), .org = params[0], .topic = topic.ptr};
    a.page.most = (size_t)s->settings->payload_max;
    a.page.entries = BUF(ENTRY_MAX + a.page.most);
    for (size_t i = 0; i < PAGES; i++)
        a.ready[i] = BUF(ENTRY_MAX + a.page.most + PAGE_HEAD_MAX);
    (void)snprintf(a.page.request, sizeof a.page.request, "%s", a.id);
    (void)snprintf(a.page.after, sizeof a.page.after, "%s", cursor ? cursor : "");
    a.page.reset = pg_rows_count(rows) > 0 && *pg_value(rows, 0, 2) == 't';

    verdict = served(&a, cursor, pack(&a, rows));
    *ret_given = !a.lost;
    for (size_t i = 0; i < PAGES; i++)
        buf_release(&a.ready[i]);
    page_release(&a.page);
    return verdict;
}

static pg_verdict answer_one(service_context *s, const char *orgs, bool *ret_given) {
    CLEANUP(pg_rows_freep) pg_rows *claim = NULL;
    const char *params[] = {orgs, s->gateway};
    pg_verdict verdict =
        pg_query(s->c, "SELECT id, org, person, cursor FROM mayday.sync_claim($1, $2)", 2, params, &claim);
    if (verdict == PG_DONE && pg_rows_count(claim) > 0)
        verdict = give(s, claim, ret_given);
    return verdict;
}

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    CLEANUP(buf_release) buf orgs = BUF(ORGS_MAX);
    org_list up = {.text = &orgs};
    (void)state;
    *ret_again = false;
    bus_each(s->bus, add_org, &up);
    buf_add_char(&orgs, '}');
    if (up.count == 0 || buf_failed(&orgs) < 0)
        return PG_DONE;
    pg_verdict verdict = settle(s);
    if (verdict == PG_DONE)
        verdict = pg_run(s->c, "BEGIN");
    if (verdict == PG_DONE)
        verdict = answer_one(s, orgs.ptr, ret_again);
    return verdict == PG_DONE ? pg_run(s->c, "COMMIT") : verdict;
}

const service service_catchup = {
    .name = "catchup",
    .channel = "mayday_sync",
    .every_ms = 1000,
    .step = step,
};
