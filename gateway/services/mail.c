/* mail.c - carries what providers told us (gateway/routes/hooks.c) from the gateway's own store into the
 * database, and says on MQTT what people answered: as actions of theirs, through the broker's journal.
 *
 * Each letter may be carried again after a kill, and each action published again, by this gateway or another:
 * a letter has its key, an action its id, and what comes twice changes nothing. A letter leaves the store
 * when the database has it; an answer is done when the broker has it. So neither an absent database nor an
 * absent broker loses one. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/uuid.h"
#include "gateway/local/mail.h"
#include "gateway/pg_array.h"
#include "gateway/service.h"

extern const service service_mail;

#define EVERY_MS       1000
#define WAIT_MS        250
#define LETTERS        64 /* carried at a time */
#define ANSWERS        64
#define ANSWERS_TEXT   "64"
#define EARLY_MS       10000 /* of a connection: gateways still bring what they did without the database */
#define PUBLISH_MS     2000  /* less than a claim lasts */
#define ARRAY_MAX      (8u << 20)
#define PAYLOAD_MAX    (64u << 10)
#define SPOKEN_MS      INT64_C(259200000) /* three days */
#define SPOKEN_AT_ONCE 1000
#define CLEAR_MS       600000

typedef struct carrier {
    vocabulary *words;
    const pg *seen; /* the connection of the last step; NULL: it failed */
    int64_t since_ms, said_ms, clear_ms;
    bool failing; /* the broker, and it was said */
    bool stuck;   /* a letter, and it was said */
} carrier;

static int64_t clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- letters ---- */

typedef struct bag {
    const carrier *k;
    size_t count;
    int64_t numbers[LETTERS];
    char keys[LETTERS][MAIL_KEY_LEN + 1];
    buf bodies[LETTERS]; /* as mayday.mail_take() takes them; empty: nobody can read it */
    bool waits[LETTERS];
    char why[PG_WHY_MAX]; /* one of them waits; empty: it is early */
    int fault;
} bag;

static void bag_release(bag *b) {
    for (size_t i = 0; i < b->count; i++)
        buf_release(&b->bodies[i]);
}

/* Beside the event: when it came, and what it means. What somebody wrote stays behind. */
static int spell(const carrier *k, const letter *one, const hook_event *e, json *body, buf *to) {
    char at[INSTANT_TEXT_LEN + 1], code[MAIL_CODE_LEN + 1] = "";
    instant_format(one->received_at, at);
    int fault = json_put(body, "key", json_new_string(one->key));
    if (fault == 0)
        fault = json_put(body, "received_at", json_new_string(text_of(at)));
    if (fault == 0 && (e->kind == HOOK_TEXT || e->kind == HOOK_KEY)) {
        mail_meaning m =
            e->kind == HOOK_TEXT ? mail_understand(k->words, e->said, code) : mail_key_pressed(e->said);
        fault = json_put(body, "meaning", json_new_string(text_of(mail_meaning_name(m))));
    }
    if (fault == 0 && e->kind == HOOK_TEXT)
        fault = json_put(body, "said", json_new_string(TEXT("")));
    if (fault == 0 && *code)
        fault = json_put(body, "answer_code", json_new_string(text_of(code)));
    if (fault == 0)
        json_print(body, to);
    return fault < 0 ? fault : buf_failed(to);
}

static void collect(void *context, const letter *one) {
    bag *b = context;
    hook_event event;
    CLEANUP(json_freep) json *body = NULL;
    size_t i = b->count;
    if (i == LETTERS || b->fault < 0)
        return;
    b->bodies[i] = BUF(PAYLOAD_MAX);
    b->numbers[i] = one->number;
    (void)snprintf(b->keys[i], sizeof b->keys[i], "%.*s", (int)one->key.len, one->key.ptr);
    int fault = mail_read(one->body, &body, &event);
    if (fault == 0)
        fault = spell(b->k, one, &event, body, &b->bodies[i]);
    if (fault == -ENOMEM)
        b->fault = fault;
    if (fault < 0)
        buf_clear(&b->bodies[i]);
    b->count++;
}

static void note_waiting(bag *b, const pg_rows *keys) {
    for (size_t r = 0; r < pg_rows_count(keys); r++) {
        for (size_t i = 0; i < b->count; i++)
            b->waits[i] |= strcmp(b->keys[i], pg_value(keys, r, 0)) == 0;
        if (!pg_is_null(keys, r, 1))
            (void)snprintf(b->why, sizeof b->why, "%s", pg_value(keys, r, 1));
    }
}

/* Likely an operator's slip. They stay where they are, those behind them are carried, and it is said once. */
static void note_stuck(service_context *s, carrier *k, const bag *b) {
    bool stuck = b->why[0] != '\0';
    if (stuck && !k->stuck)
        service_log(s, LOG_LEVEL_ERROR, "what a provider sent can't be stored now, and is kept: %s", b->why);
    k->stuck = stuck;
}

/* Letters from..until in one statement. */
static pg_verdict hand_over(service_context *s, const carrier *k, bag *b, size_t from, size_t until) {
    CLEANUP(buf_release) buf letters = BUF(ARRAY_MAX);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    buf_add_char(&letters, '[');
    for (size_t i = from; i < until; i++) {
        if (b->bodies[i].len == 0)
            continue;
        if (letters.len > 1)
            buf_add_char(&letters, ',');
        buf_add_text(&letters, buf_text(&b->bodies[i]));
    }
    buf_add_char(&letters, ']');
    if (buf_failed(&letters) < 0)
        return PG_RETRY;
    const char *with[] = {letters.ptr, clock_ms() - k->since_ms < EARLY_MS ? "true" : "false"};
    pg_verdict verdict =
        pg_query(s->c, "SELECT key, why FROM mayday.mail_take($1::jsonb, $2)", ARRAY_LEN(with), with, &rows);
    if (verdict == PG_DONE)
        note_waiting(b, rows);
    return verdict;
}

/* One that the database will never take must not stop those behind it. */
static pg_verdict hand_over_singly(service_context *s, const carrier *k, bag *b) {
    for (size_t i = 0; i < b->count; i++) {
        pg_verdict verdict = hand_over(s, k, b, i, i + 1);
        if (verdict == PG_RETRY)
            return verdict;
        if (verdict == PG_DATA) {
            service_count(s, "mayday_gateway_mail_refused_total", 1);
            service_log(s, LOG_LEVEL_ERROR, "what a provider sent can't be stored: %s", pg_why(s->c));
        }
    }
    return PG_DONE;
}

static void drop(service_context *s, const bag *b) {
    int64_t numbers[LETTERS];
    size_t count = 0;
    for (size_t i = 0; i < b->count; i++) {
        if (b->bodies[i].len == 0) {
            service_count(s, "mayday_gateway_mail_refused_total", 1);
            service_log(s, LOG_LEVEL_ERROR, "a letter in the gateway's own store makes no sense");
        }
        if (!b->waits[i])
            numbers[count++] = b->numbers[i];
    }
    service_count(s, "mayday_gateway_mail_total", count);
    if (local_drop_mail(s->local, numbers, count) < 0) /* they come again, and change nothing more */
        service_log(s, LOG_LEVEL_ERROR, "the gateway's own store does not take anything now");
}

/* *ret_more: there are others behind them. */
static pg_verdict carry(service_context *s, carrier *k, bool *ret_more) {
    CLEANUP(freep) bag *b = calloc(1, sizeof *b);
    if (!b)
        return PG_RETRY;
    b->k = k;
    int fault = local_read_mail(s->local, LETTERS, collect, b);
    pg_verdict verdict = PG_DONE;
    if (fault < 0)
        service_log(s, LOG_LEVEL_ERROR, "the gateway's own store can't be read");
    else if (b->fault < 0)
        verdict = PG_RETRY;
    else if (b->count > 0)
        verdict = hand_over(s, k, b, 0, b->count);
    if (verdict == PG_DATA)
        verdict = hand_over_singly(s, k, b);
    if (verdict == PG_DONE && b->count > 0) {
        note_stuck(s, k, b);
        drop(s, b);
    }
    size_t waiting = 0;
    for (size_t i = 0; i < b->count; i++)
        waiting += b->waits[i];
    *ret_more = verdict == PG_DONE && b->count == LETTERS && waiting < LETTERS;
    bag_release(b);
    return verdict;
}

/* ---- answers ---- */

/* The columns of mayday.answers_claim. */
enum {
    ID,
    ORG,
    ALERT,
    PERSON,
    ACTION,
    AT
};

typedef struct saying {
    buf topic, payload;
} saying;

static int compose(const pg_rows *rows, size_t i, saying *to) {
    CLEANUP(json_freep) json *body = json_new_object();
    *to = (saying){BUF(PAYLOAD_MAX), BUF(PAYLOAD_MAX)};
    if (!body || json_put(body, "v", json_new_integer(1)) < 0 ||
        json_put(body, "id", json_new_string(text_of(pg_value(rows, i, ID)))) < 0 ||
        json_put(body, "ts", json_new_string(text_of(pg_value(rows, i, AT)))) < 0 ||
        json_put(body, "action", json_new_string(text_of(pg_value(rows, i, ACTION)))) < 0 ||
        json_put(body, "by", json_new_string(text_of(pg_value(rows, i, PERSON)))) < 0)
        return -1;
    json_print(body, &to->payload);
    buf_printf(&to->topic, "mayday/v1/%s/alert/%s/action", pg_value(rows, i, ORG), pg_value(rows, i, ALERT));
    return buf_failed(&to->topic) < 0 || buf_failed(&to->payload) < 0 ? -1 : 0;
}

static void add_org(void *context, text org, bool up, uint64_t generation) {
    (void)generation;
    if (up)
        pg_array_add(context, org);
}

static void note(service_context *s, carrier *k, size_t wanted, size_t taken, uint8_t reason) {
    service_count(s, "mayday_gateway_answers_total", taken);
    if (taken == wanted && k->failing)
        service_log(s, LOG_LEVEL_NOTICE, "answers get through again");
    if (taken < wanted && !k->failing)
        service_log(s, LOG_LEVEL_WARNING,
                    "%zu of %zu answers were not taken by the broker (reason %#x); trying again",
                    wanted - taken, wanted, (unsigned)reason);
    k->failing = taken < wanted;
}

static pg_verdict publish(service_context *s, carrier *k, const pg_rows *rows, const saying *sayings,
                          size_t count) {
    bus_message messages[ANSWERS] = {0};
    CLEANUP(buf_release) buf ids = BUF(ARRAY_MAX);
    uint8_t reason = 0;
    size_t taken = 0;
    for (size_t i = 0; i < count; i++)
        messages[i] = (bus_message){.org = text_of(pg_value(rows, i, ORG)),
                                    .topic = buf_text(&sayings[i].topic),
                                    .payload = buf_text(&sayings[i].payload)};
    (void)bus_publish(s->bus, messages, count, PUBLISH_MS);
    pg_array_begin(&ids);
    for (size_t i = 0; i < count; i++) {
        if (messages[i].acked && messages[i].reason < 0x80) {
            pg_array_add(&ids, text_of(pg_value(rows, i, ID)));
            taken++;
        } else if (messages[i].acked) {
            reason = messages[i].reason;
        }
    }
    pg_array_end(&ids);
    note(s, k, count, taken, reason);
    if (taken == 0 || buf_failed(&ids) < 0)
        return PG_DONE;
    const char *with[] = {ids.ptr};
    return pg_query(s->c, "SELECT mayday.answers_done($1)", ARRAY_LEN(with), with, NULL);
}

static pg_verdict say_all(service_context *s, carrier *k, const pg_rows *rows) {
    saying sayings[ANSWERS] = {0};
    size_t count = pg_rows_count(rows) < ANSWERS ? pg_rows_count(rows) : ANSWERS, made = 0;
    int fault = 0;
    for (; fault == 0 && made < count; made++)
        fault = compose(rows, made, &sayings[made]);
    pg_verdict verdict = fault < 0 ? PG_RETRY : publish(s, k, rows, sayings, count);
    for (size_t i = 0; i < made; i++) {
        buf_release(&sayings[i].topic);
        buf_release(&sayings[i].payload);
    }
    return verdict;
}

static pg_verdict say(service_context *s, carrier *k) {
    static const char sql[] =
        "SELECT id, org, alert, person, action, at FROM mayday.answers_claim($1, " ANSWERS_TEXT ")";
    CLEANUP(buf_release) buf orgs = BUF(ARRAY_MAX);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    pg_array_begin(&orgs);
    bus_each(s->bus, add_org, &orgs);
    pg_array_end(&orgs);
    if (buf_failed(&orgs) < 0)
        return PG_DONE;
    const char *with[] = {orgs.ptr};
    k->said_ms = clock_ms();
    pg_verdict verdict = pg_query(s->c, sql, ARRAY_LEN(with), with, &rows);
    return verdict == PG_DONE && pg_rows_count(rows) > 0 ? say_all(s, k, rows) : verdict;
}

/* ---- what calls said ---- */

typedef struct shelf {
    int64_t before_ms;
    size_t count;
    char names[SPOKEN_AT_ONCE][UUID_TEXT_LEN + 1];
} shelf;

static void find_old(void *context, text name, text body) {
    shelf *old = context;
    uuid id;
    (void)body;
    if (old->count < SPOKEN_AT_ONCE && uuid_parse(name, &id) == 0 && uuid7_unix_ms(&id) < old->before_ms)
        uuid_format(&id, old->names[old->count++]);
}

/* Kept so that a call can say it again (gateway/routes/hooks.c); nobody asks after days. An id has the time
 * of its incident. */
static void clear_spoken(service_context *s, carrier *k) {
    if (clock_ms() < k->clear_ms)
        return;
    CLEANUP(freep) shelf *old = calloc(1, sizeof *old);
    k->clear_ms = clock_ms() + CLEAR_MS;
    if (!old)
        return;
    old->before_ms = instant_now() / 1000 - SPOKEN_MS;
    if (local_each(s->local, TEXT("spoken"), find_old, old) < 0)
        return;
    for (size_t i = 0; i < old->count && !service_stopping(s); i++)
        if (local_drop(s->local, TEXT("spoken"), text_of(old->names[i])) < 0)
            return;
}

/* ---- the steps ---- */

/* Until a letter comes, or for a while. The watchdog sees each round. */
static void await_letters(service_context *s) {
    eventfd_t count;
    struct pollfd mail = {.fd = local_mail_fd(s->local), .events = POLLIN};
    if (poll(&mail, 1, WAIT_MS) > 0)
        (void)eventfd_read(mail.fd, &count);
}

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    carrier *k = state;
    bool more = false, any = local_mail_count(s->local) > 0;
    if (k->seen != s->c) {
        k->seen = s->c;
        k->since_ms = clock_ms();
        k->said_ms = 0;
    }
    pg_verdict verdict = any && !service_waits(s) ? carry(s, k, &more) : PG_DONE;
    if (verdict == PG_DONE && (any || clock_ms() - k->said_ms >= EVERY_MS))
        verdict = say(s, k);
    if (verdict != PG_DONE) {
        k->seen = NULL;
    } else if (!more && !service_stopping(s)) {
        clear_spoken(s, k);
        await_letters(s);
    }
    *ret_again = true;
    return verdict;
}

static void *begin(service_context *s) {
    carrier *k = calloc(1, sizeof *k);
    if (k && !(k->words = vocabulary_new(s->texts))) {
        free(k);
        k = NULL;
    }
    return k;
}

static void end(void *state) {
    carrier *k = state;
    if (k)
        (void)vocabulary_free(k->words);
    free(k);
}

const service service_mail = {
    .name = "mail",
    .every_ms = EVERY_MS,
    .step = step,
    .begin = begin,
    .end = end,
};
