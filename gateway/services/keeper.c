/* keeper.c - keeps time for what must happen when nobody does anything: an "Are you OK?" that got no answer,
 * or was answered with a call for help, becomes an alarm; an incident that was closed long enough ago is put
 * away; a clock that waits go by, and that was set; a timer that ran out asks its question
 * (gateway/timers/ask.c).
 *
 * An alarm is a raise like any other, published through the broker's journal. Its ids and words are fixed in
 * the database before it is sent (sql/0011_checks.sql), a claim there lasts for seconds and locks nothing:
 * whoever dies in between, another try sends the same message again, which changes nothing more. */
#include "base/json.h"
#include "gateway/phrases.h"
#include "gateway/service.h"
#include "gateway/timers/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern const service service_keeper;

#define EVERY_MS    250
#define CLAIMS      "64"
#define CLAIMS_MAX  64
#define LEASE       "3 seconds"
#define PUBLISH_MS  2000 /* less than the lease */
#define RETIRE_MS   1000
#define LOOK_MS     2000 /* at the database's clock */
#define ABSENT_MS   1500 /* a longer pause between two steps: the database was away, or we were */
#define CATCH_UP_MS 2000 /* then brokers may still hold answers; so long silence is not taken for one */
#define ORGS_LIMIT  (1u << 20)
#define TEXT_LIMIT  (64u << 10)

typedef struct keeper {
    int64_t last_ms, silence_from_ms, retire_at_ms; /* monotonic */
    int64_t looked_ms;
    const pg *looked_by; /* the connection */
    bool failing;
} keeper;

/* The columns of mayday.claim_checks. */
enum {
    CHECK,
    ORG,
    ALERT,
    MESSAGE,
    ALARM,
    PERSON,
    LANG,
    HELP,
    ASKED_BY,
    QUESTION,
    ANSWER,
    REASON,
    FINDING
};

typedef struct alarm {
    buf topic, payload;
} alarm;

static int64_t clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the message */

static void add_line(buf *to, const char *label, const char *said) {
    if (*said)
        buf_printf(to, "\n%s: %s", label, said);
}

static void compose(const pg_rows *rows, size_t i, bool help, const phrases *p, buf *to) {
    bool timer = strcmp(pg_value(rows, i, REASON), "timer") == 0 && !help;
    buf_printf(to, "%s: %s", pg_value(rows, i, PERSON), timer ? p->timer : help ? p->help : p->silence);
    const char *reason = pg_value(rows, i, REASON);
    bool ours = strcmp(reason, "vitals") == 0 ||
                strcmp(reason, "zone") == 0; /* a gateway's name tells people nothing */
    if (!timer)
        buf_printf(to, " %s", ours ? "Mayday" : pg_value(rows, i, ASKED_BY));
    add_line(to, p->question, pg_value(rows, i, QUESTION));
    add_line(to, p->answer, pg_value(rows, i, ANSWER));
    add_line(to, p->readings, pg_value(rows, i, FINDING));
}

/* Leaves the payload empty when the alarm meanwhile is another one. */
static pg_verdict spell(service_context *s, const pg_rows *rows, size_t i, buf *to) {
    CLEANUP(buf_release) buf words = BUF(TEXT_LIMIT);
    CLEANUP(pg_rows_freep) pg_rows *spelled = NULL;
    bool help = strcmp(pg_value(rows, i, HELP), "t") == 0;
    bool body = strcmp(pg_value(rows, i, REASON), "vitals") == 0;
    const phrases *p = phrases_of(pg_value(rows, i, LANG));
    compose(rows, i, help, p, &words);
    if (buf_failed(&words) < 0)
        return PG_RETRY;
    const char *with[] = {
        pg_value(rows, i, CHECK),
        pg_value(rows, i, MESSAGE),
        body   ? "medical"
        : help ? "panic"
               : "general",
        help || body ? "critical" : "high",
        words.ptr,
        p->lang,
    };
    pg_verdict verdict =
        pg_query(s->c, "SELECT mayday.spell_alarm($1, $2, $3, $4, $5, $6)", ARRAY_LEN(with), with, &spelled);
    if (verdict == PG_DONE && pg_rows_count(spelled) == 1)
        buf_add_text(to, text_of(pg_value(spelled, 0, 0)));
    return verdict;
}

static pg_verdict prepare(service_context *s, const pg_rows *rows, size_t i, alarm *a) {
    *a = (alarm){BUF(TEXT_LIMIT), BUF(TEXT_LIMIT)};
    buf_printf(&a->topic, "mayday/v1/%s/alert/%s/raise", pg_value(rows, i, ORG), pg_value(rows, i, ALERT));
    if (!pg_is_null(rows, i, ALARM))
        buf_add_text(&a->payload, text_of(pg_value(rows, i, ALARM)));
    pg_verdict verdict = pg_is_null(rows, i, ALARM) ? spell(s, rows, i, &a->payload) : PG_DONE;
    if (buf_failed(&a->topic) < 0 || buf_failed(&a->payload) < 0)
        return PG_RETRY;
    return verdict;
}

/* ---- sending it */

static pg_verdict mark(service_context *s, const pg_rows *rows, size_t i) {
    const char *with[] = {pg_value(rows, i, CHECK), pg_value(rows, i, MESSAGE), s->gateway};
    return pg_query(s->c, "SELECT mayday.mark_alarmed($1, $2, $3)", ARRAY_LEN(with), with, NULL);
}

static void note(service_context *s, keeper *k, size_t wanted, size_t sent, uint8_t reason) {
    service_count(s, "mayday_gateway_check_alarms_total", sent);
    if (sent == wanted) {
        if (k->failing)
            service_log(s, LOG_LEVEL_NOTICE, "alarms get through again");
        k->failing = false;
        return;
    }
    if (!k->failing)
        service_log(s, LOG_LEVEL_WARNING,
                    "%zu of %zu alarms were not taken by the broker (reason %#x); trying again",
                    wanted - sent, wanted, (unsigned)reason);
    k->failing = true;
}

static pg_verdict send_all(service_context *s, keeper *k, const pg_rows *rows, const alarm *alarms,
                           size_t count, size_t *ret_sent) {
    bus_message messages[CLAIMS_MAX] = {0};
    size_t row_of[CLAIMS_MAX], n = 0;
    pg_verdict verdict = PG_DONE;
    for (size_t i = 0; i < count; i++) {
        if (alarms[i].payload.len == 0)
            continue;
        messages[n] = (bus_message){.org = text_of(pg_value(rows, i, ORG)),
                                    .topic = buf_text(&alarms[i].topic),
                                    .payload = buf_text(&alarms[i].payload)};
        row_of[n++] = i;
    }
    uint8_t reason = 0;
    size_t sent = n > 0 ? bus_publish(s->bus, messages, n, PUBLISH_MS) : 0;
    for (size_t i = 0; verdict == PG_DONE && i < n; i++) {
        if (messages[i].acked && messages[i].reason < 0x80)
            verdict = mark(s, rows, row_of[i]);
        else if (messages[i].acked)
            reason = messages[i].reason;
    }
    note(s, k, n, sent, reason);
    *ret_sent = sent;
    return verdict;
}

static pg_verdict alarm_all(service_context *s, keeper *k, const pg_rows *rows, size_t *ret_sent) {
    alarm alarms[CLAIMS_MAX] = {0};
    size_t count = pg_rows_count(rows) < CLAIMS_MAX ? pg_rows_count(rows) : CLAIMS_MAX;
    pg_verdict verdict = PG_DONE;
    for (size_t i = 0; i < count && verdict == PG_DONE; i++) {
        verdict = prepare(s, rows, i, &alarms[i]);
        if (verdict == PG_DATA) { /* one that cannot be spelled must not stop the others */
            service_log(s, LOG_LEVEL_ERROR, "an alarm cannot be made: %s", pg_why(s->c));
            buf_clear(&alarms[i].payload);
            verdict = PG_DONE;
        }
    }
    if (verdict == PG_DONE)
        verdict = send_all(s, k, rows, alarms, count, ret_sent);
    for (size_t i = 0; i < count; i++) {
        buf_release(&alarms[i].topic);
        buf_release(&alarms[i].payload);
    }
    return verdict;
}

/* ---- the database's clock */

static void say_step(service_context *s, int64_t ms, bool watched) {
    static const char name[] = "mayday_gateway_clock_steps_total";
    if (ms < 0) {
        service_log(s, LOG_LEVEL_WARNING,
                    "the database's clock went back by %.1f s: what waits is moved back with it",
                    (double)-ms / 1000);
        service_count_of(s, name, "direction=\"back\"", 1);
    } else if (ms > 0 && watched) {
        service_log(s, LOG_LEVEL_WARNING,
                    "the database's clock went ahead by about %.1f s: what became due by it is done now",
                    (double)ms / 1000);
        service_count_of(s, name, "direction=\"ahead\"", 1);
    }
}

/* What waits must not wait longer because that clock was set; see sql/0020_clock.sql. Where this gateway has
 * not looked itself lately, it was away. */
static pg_verdict look_at_clock(service_context *s, keeper *k) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    bool first = k->looked_by != s->c;
    int64_t now = clock_ms(), ms = 0, since = now - k->looked_ms;
    if (!first && since < LOOK_MS)
        return PG_DONE;
    const char *with[] = {first ? "true" : "false"};
    pg_verdict verdict = pg_query(s->c, "SELECT mayday.clock_look($1)", ARRAY_LEN(with), with, &rows);
    if (verdict != PG_DONE)
        return verdict;
    (void)!text_to_i64(text_of(pg_value(rows, 0, 0)), INT64_MIN, INT64_MAX, &ms);
    say_step(s, ms, k->looked_ms > 0 && since < ms / 2);
    k->looked_by = s->c;
    k->looked_ms = now;
    return PG_DONE;
}

/* ---- the steps */

static void add_org(void *context, text org, bool up, uint64_t generation) {
    json *orgs = context;
    (void)generation;
    if (up) /* an organisation that memory is too short for now is one of the next step's */
        (void)!json_append(orgs, json_new_string(org));
}

/* The organisations we have a connection for, as a JSON array; nothing when there are none. */
static void spell_orgs(service_context *s, buf *to) {
    CLEANUP(json_freep) json *orgs = json_new_array();
    if (!orgs)
        return;
    bus_each(s->bus, add_org, orgs);
    if (json_length(orgs) > 0)
        json_print(orgs, to);
}

static pg_verdict raise_due(service_context *s, keeper *k, const char *orgs, bool *ret_again) {
    static const char sql[] =
        "SELECT * FROM mayday.claim_checks(ARRAY(SELECT jsonb_array_elements_text($1::jsonb)), "
        "$2, " CLAIMS ", '" LEASE "')";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    size_t sent = 0;
    const char *with[] = {orgs, clock_ms() >= k->silence_from_ms ? "true" : "false"};
    pg_verdict verdict = pg_query(s->c, sql, ARRAY_LEN(with), with, &rows);
    if (verdict == PG_DONE && pg_rows_count(rows) > 0)
        verdict = alarm_all(s, k, rows, &sent);
    *ret_again = verdict == PG_DONE && sent == CLAIMS_MAX;
    return verdict;
}

/* What brokers still hold may end a timer as it may answer a check. */
static pg_verdict keep_time(service_context *s, keeper *k, bool *ret_again) {
    CLEANUP(buf_release) buf orgs = BUF(ORGS_LIMIT);
    bool more = false;
    spell_orgs(s, &orgs);
    if (buf_failed(&orgs) < 0 || orgs.len == 0)
        return PG_DONE;
    pg_verdict verdict = raise_due(s, k, orgs.ptr, ret_again);
    if (verdict == PG_DONE && clock_ms() >= k->silence_from_ms)
        verdict = timers_ask(s, orgs.ptr, &more);
    *ret_again |= more;
    return verdict;
}

static pg_verdict retire(service_context *s, keeper *k) {
    char grace[32];
    const char *with[] = {grace};
    if (clock_ms() < k->retire_at_ms)
        return PG_DONE;
    k->retire_at_ms = clock_ms() + RETIRE_MS;
    (void)snprintf(grace, sizeof grace, "%lld ms", (long long)s->settings->grace_ms);
    return pg_query(s->c, "SELECT mayday.retire_incidents($1)", ARRAY_LEN(with), with, NULL);
}

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    keeper *k = state;
    *ret_again = false;
    if (k->last_ms == 0 || clock_ms() - k->last_ms > ABSENT_MS)
        k->silence_from_ms = clock_ms() + CATCH_UP_MS;
    pg_verdict verdict = look_at_clock(s, k);
    if (verdict == PG_DONE)
        verdict = keep_time(s, k, ret_again);
    if (verdict == PG_DONE)
        verdict = retire(s, k);
    if (verdict == PG_DONE)
        k->last_ms = clock_ms();
    return verdict;
}

static void *begin(service_context *s) {
    (void)s;
    return calloc(1, sizeof(keeper));
}

const service service_keeper = {
    .name = "keeper",
    .channel = "mayday_keeper",
    .every_ms = EVERY_MS,
    .step = step,
    .begin = begin,
    .end = free,
};
