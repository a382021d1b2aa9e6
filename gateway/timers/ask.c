/* ask.c - see ask.h. The id of each question is fixed in the database when the timer is set and its
 * words when it is claimed, a claim lasts for seconds and locks nothing: whoever dies in between, another try
 * sends the same message again, which changes nothing more. From then on it is a check like any other. */
#include "gateway/timers/ask.h"

#include <stdio.h>

#define CLAIMS     "64"
#define CLAIMS_MAX 64
#define LEASE      "3 seconds"
#define PUBLISH_MS 2000 /* less than the lease */
#define LIMIT      (64u << 10)

/* The columns of mayday.claim_timers. */
enum {
    ORG,
    PERSON,
    CHECK,
    ASK
};

static size_t send_all(service_context *s, const pg_rows *rows, size_t count, buf *topics,
                       bus_message *messages) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        buf_printf(&topics[i], "mayday/v1/%s/user/%s/check", pg_value(rows, i, ORG),
                   pg_value(rows, i, PERSON));
        if (buf_failed(&topics[i]) < 0)
            break; /* the others are those of the next step */
        messages[n++] = (bus_message){.org = text_of(pg_value(rows, i, ORG)),
                                      .topic = buf_text(&topics[i]),
                                      .payload = text_of(pg_value(rows, i, ASK))};
    }
    size_t sent = n > 0 ? bus_publish(s->bus, messages, n, PUBLISH_MS) : 0;
    service_count(s, "mayday_gateway_timer_checks_total", sent);
    if (sent < n)
        service_log(s, LOG_LEVEL_WARNING,
                    "%zu of %zu questions of timers were not taken by the broker; trying again", n - sent, n);
    return n;
}

static pg_verdict ask_all(service_context *s, const pg_rows *rows, size_t count) {
    bus_message messages[CLAIMS_MAX] = {0};
    buf topics[CLAIMS_MAX] = {0};
    pg_verdict verdict = PG_DONE;
    for (size_t i = 0; i < count; i++)
        topics[i] = (buf)BUF(LIMIT);
    size_t n = send_all(s, rows, count, topics, messages);
    for (size_t i = 0; verdict == PG_DONE && i < n; i++) {
        const char *with[] = {pg_value(rows, i, CHECK)};
        if (messages[i].acked && messages[i].reason < 0x80)
            verdict = pg_query(s->c, "SELECT mayday.mark_asked($1)", ARRAY_LEN(with), with, NULL);
    }
    for (size_t i = 0; i < count; i++)
        buf_release(&topics[i]);
    return verdict;
}

pg_verdict timers_ask(service_context *s, const char *orgs, bool *ret_again) {
    static const char sql[] =
        "SELECT * FROM mayday.claim_timers(ARRAY(SELECT jsonb_array_elements_text($1::jsonb)), $2, " CLAIMS
        ", '" LEASE "')";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char within[24];
    (void)snprintf(within, sizeof within, "%lld", (long long)s->settings->timer_answer_ms / 1000);
    const char *with[] = {orgs, within};
    pg_verdict verdict = pg_query(s->c, sql, ARRAY_LEN(with), with, &rows);
    if (verdict != PG_DONE)
        return verdict;
    size_t count = pg_rows_count(rows) < CLAIMS_MAX ? pg_rows_count(rows) : CLAIMS_MAX;
    *ret_again = count == CLAIMS_MAX;
    return count > 0 ? ask_all(s, rows, count) : PG_DONE;
}
