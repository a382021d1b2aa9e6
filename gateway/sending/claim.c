/* claim.c - takes what is due and sends it; see services/sender.c.
 *
 * One transaction: the claim locks rows, for each it is decided here what is done with it, and that is stored
 * before anything leaves. The ids of attempts are ours, so when the answer to the COMMIT is lost it can be
 * said later that they never left. */
#include "gateway/sending/inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/phone.h"
#include "gateway/pg_array.h"

#define CLAIM_MOST   100   /* of a kind at once */
#define MARGIN_MS    5000  /* beyond its timeout: then nobody is at a request any more */
#define STALL_MS     4000  /* from the claim to the start of a request: less than MARGIN_MS */
#define VALIDITY_MIN 60000 /* of a text: what takes longer to arrive is late, not useless */
#define ROWS_BYTES   (8 << 20)

enum {
    KIND_SMS = 0,
    KIND_VOICE,
    KIND_WEBHOOK,
    KIND_MQTT,
    KINDS
};
static const char *const kinds[KINDS] = {"sms", "voice", "webhook", "mqtt"};

/* The columns of mayday.claim_notifications. */
enum {
    C_ID = 0,
    C_ORG,
    C_ALERT,
    C_PERSON,
    C_KIND,
    C_ADDRESS,
    C_PURPOSE,
    C_RANK,
    C_LANG,
    C_CODE,
    C_BODY,
    C_LEFT,
    C_CONNECTED,
    C_FAULT,
    C_TRIED,
    C_FACTS
};

typedef struct batch {
    sender *x;
    const pg_rows *rows;
    json *actions;
    errand *ready[4 * CLAIM_MOST];
    size_t ready_count;
    int64_t begun;
    bool waits; /* some found no room */
} batch;

static json *action(batch *b, size_t row, const char *what) {
    json *one = json_new_object();
    if (!one || put_text(one, "id", pg_value(b->rows, row, C_ID)) < 0 || put_text(one, "do", what) < 0)
        return json_free(one);
    return one;
}

static int act(batch *b, json *one) {
    return one ? json_append(b->actions, one) : -ENOMEM;
}

static int give_up(batch *b, size_t row, const char *why) {
    char labels[64];
    json *one = action(b, row, "fail");
    if (!one || put_text(one, "why", why) < 0) {
        (void)json_free(one);
        return -ENOMEM;
    }
    (void)snprintf(labels, sizeof labels, "why=\"%s\"", why);
    service_count_of(b->x->s, "mayday_gateway_notifications_given_up_total", labels, 1);
    return act(b, one);
}

static bool new_id(char ret_id[UUID_TEXT_LEN + 1]) {
    uint8_t noise[10];
    if (getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise)
        return false;
    uuid fresh = uuid7_make(instant_now() / 1000, noise);
    uuid_format(&fresh, ret_id);
    return true;
}

/* Whoever only hears how it goes on has no keys: pressing one would seem to do something. */
static bool asks_for_answer(const speech_about *about) {
    static const char *const purposes[] = {"raise", "forgotten", "exhausted", "test"};
    for (size_t i = 0; !about->family && i < ARRAY_LEN(purposes); i++)
        if (strcmp(about->purpose, purposes[i]) == 0)
            return true;
    return false;
}

/* What it says; what it said the last time, if that may have gone out: so that it can be found in a list. */
static int compose(batch *b, size_t row, const json *facts, errand *e) {
    sender *x = b->x;
    const char *kind = pg_value(b->rows, row, C_KIND);
    CLEANUP(buf_release) buf body = BUF(PROVIDER_REQUEST_MAX), menu = BUF(PROVIDER_REQUEST_MAX);
    speech_about about = {.kind = kind,
                          .purpose = pg_value(b->rows, row, C_PURPOSE),
                          .family = json_boolean(json_get(facts, "family")),
                          .lang = text_of(pg_value(b->rows, row, C_LANG)),
                          .facts = facts};
    text lang = about.lang.len ? about.lang : text_of(x->speech.fallback);
    int fault = 0;
    if (!pg_is_null(b->rows, row, C_BODY))
        buf_add_text(&body, text_of(pg_value(b->rows, row, C_BODY)));
    else if (strcmp(kind, "webhook") == 0)
        fault = speech_webhook(&about, text_of(e->id), instant_now(), &body);
    else
        fault = speech_say(&x->speech, &about, &body, &lang);
    if (fault == 0 && strcmp(kind, "voice") == 0 && asks_for_answer(&about))
        fault = speech_menu(&x->speech, lang, &menu);
    if (fault < 0 || buf_failed(&body) < 0)
        return fault < 0 ? fault : buf_failed(&body);
    e->body = text_copy(buf_text(&body));
    e->menu = text_copy(buf_text(&menu));
    e->lang = text_copy(lang);
    return e->body && e->menu && e->lang ? 0 : -ENOMEM;
}

static int post(batch *b, size_t row, const errand *e) {
    json *one = action(b, row, "post");
    if (!one || put_text(one, "body", e->body) < 0 || put_text(one, "lang", e->lang) < 0) {
        (void)json_free(one);
        return -ENOMEM;
    }
    return act(b, one);
}

static int send_action(batch *b, size_t row, const errand *e) {
    json *one = action(b, row, "send");
    int64_t until = b->x->s->settings->notify_timeout_ms + MARGIN_MS;
    if (!one || put_text(one, "attempt", e->attempt) < 0 || put_text(one, "provider", e->row->name) < 0 ||
        put_text(one, "body", e->body) < 0 || json_put(one, "until_ms", json_new_integer(until)) < 0) {
        (void)json_free(one);
        return -ENOMEM;
    }
    return act(b, one);
}

/* Nobody is configured, here or at another gateway (it would have been left to that), or nobody is left. Said
 * once in the log: an operator has to know. */
static int nobody(batch *b, size_t row, int kind, carrier_choice choice) {
    sender *x = b->x;
    if (choice == CHOICE_EXHAUSTED)
        return give_up(b, row, "refused");
    if (!x->missed[kind])
        service_log(x->s, LOG_LEVEL_WARNING,
                    "%s: nobody is configured to carry it, so nobody is reached that way", kinds[kind]);
    x->missed[kind] = true;
    return give_up(b, row, "no_provider");
}

/* Somebody who builds the request. Whoever has no sender for that number is passed over as if it had refused.
 */
static int choose(batch *b, size_t row, int kind, errand *e) {
    sender *x = b->x;
    for (;;) {
        carrier *one = NULL;
        carrier_choice choice =
            carriers_choose(&x->carriers, kinds[kind], e->rank, e->tries, e->try_count, b->begun, &one);
        if (choice == CHOICE_BUSY) {
            b->waits = true;
            return -EBUSY;
        }
        if (choice != CHOICE_GOOD) {
            int fault = nobody(b, row, kind, choice);
            return fault < 0 ? fault : -EBUSY;
        }
        e->row = one->row;
        e->by = one;
        provider_message m = errand_message(e);
        provider_request_release(&e->request);
        provider_request_init(&e->request);
        int fault = provider_build(one->row, x->s->accounts, &m, &e->request);
        if (fault == 0 || fault == -ENOMEM)
            return fault;
        if (e->try_count == TRIES_MAX)
            return -EBUSY;
        e->tries[e->try_count++] = (carrier_try){.row = one->row, .refused = true};
    }
}

static const char *fault_of(const batch *b, size_t row, int kind, text to) {
    if (strtoll(pg_value(b->rows, row, C_LEFT), NULL, 10) <= 0)
        return "expired";
    if (kind == KIND_MQTT)
        return NULL;
    if (kind == KIND_WEBHOOK)
        return to.len ? NULL : "no_webhook";
    if (!pg_is_null(b->rows, row, C_FAULT))
        return pg_value(b->rows, row, C_FAULT);
    switch (phone_judge(to, text_of(b->x->s->settings->notify_emergency))) {
    case PHONE_MALFORMED:
        return "bad_number";
    case PHONE_EMERGENCY:
        return "emergency_number";
    case PHONE_GOOD:
        return NULL;
    }
    return "bad_number";
}

static int64_t validity(const batch *b, size_t row) {
    int64_t left = strtoll(pg_value(b->rows, row, C_LEFT), NULL, 10);
    return left < VALIDITY_MIN ? VALIDITY_MIN : left;
}

/* What is said in a call is kept for whoever asks to hear it again. Lost, it is something more general. */
static void keep_spoken(const batch *b, const errand *e) {
    CLEANUP(buf_release) buf kept = BUF(PROVIDER_REQUEST_MAX);
    CLEANUP(json_freep) json *body = json_new_object();
    if (!b->x->s->local || !body || put_text(body, "text", e->body) < 0 ||
        put_text(body, "lang", e->lang) < 0)
        return;
    json_print(body, &kept);
    if (buf_failed(&kept) < 0 || local_put_spoken(b->x->s->local, text_of(e->id), buf_text(&kept)) < 0)
        service_log(b->x->s, LOG_LEVEL_WARNING, "what a call says can't be kept: it can't be heard again");
}

static int prepare(batch *b, size_t row, int kind, const json *facts, errand *e) {
    const char *to = pg_value(b->rows, row, C_ADDRESS);
    e->to = kind == KIND_WEBHOOK ? text_copy(json_get_string(facts, "url")) : text_copy(text_of(to));
    e->rank = (int)strtol(pg_value(b->rows, row, C_RANK), NULL, 10);
    e->validity_ms = validity(b, row);
    if (!e->to || !new_id(e->attempt))
        return -ENOMEM;
    const char *fault_word = fault_of(b, row, kind, text_of(e->to));
    int fault = fault_word ? give_up(b, row, fault_word) : compose(b, row, facts, e);
    if (fault_word || fault < 0)
        return fault < 0 ? fault : -EBUSY;
    if (kind == KIND_MQTT) {
        fault = post(b, row, e);
        return fault < 0 ? fault : -EBUSY;
    }
    fault = choose(b, row, kind, e);
    return fault == 0 ? send_action(b, row, e) : fault;
}

static int kind_of(const char *name) {
    for (int k = 0; k < KINDS; k++)
        if (strcmp(kinds[k], name) == 0)
            return k;
    return KIND_MQTT;
}

static int decide(batch *b, size_t row) {
    CLEANUP(json_freep) json *tried = NULL;
    CLEANUP(json_freep) json *facts = NULL;
    errand *e = errand_new(b->x, ERRAND_SEND, pg_value(b->rows, row, C_ID));
    if (!e || json_parse_once(text_of(pg_value(b->rows, row, C_TRIED)), &tried) != JSON_OK ||
        json_parse_once(text_of(pg_value(b->rows, row, C_FACTS)), &facts) != JSON_OK) {
        errand_free(e);
        return -ENOMEM;
    }
    e->try_count = read_tries(tried, e->tries);
    int kind = kind_of(pg_value(b->rows, row, C_KIND));
    int fault = prepare(b, row, kind, facts, e);
    if (fault < 0) {
        errand_free(e);
        return fault == -EBUSY ? 0 : fault; /* it is nothing to send, or not now */
    }
    carriers_started(&b->x->carriers, e->by, e->rank, b->begun, &e->trying);
    if (kind == KIND_VOICE)
        keep_spoken(b, e);
    b->ready[b->ready_count++] = e;
    return 0;
}

static void number_add(buf *to, size_t number) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%zu", number);
    pg_array_add(to, (text){digits, (size_t)len});
}

static pg_verdict take(batch *b, pg_rows **ret_rows) {
    sender *x = b->x;
    CLEANUP(buf_release) buf names = BUF(256);
    CLEANUP(buf_release) buf most = BUF(256);
    CLEANUP(buf_release) buf routine = BUF(256);
    pg_array_begin(&names);
    pg_array_begin(&most);
    pg_array_begin(&routine);
    for (int k = 0; k < KINDS; k++) {
        pg_array_add(&names, text_of(kinds[k]));
        number_add(&most, carriers_room(&x->carriers, kinds[k], false, CLAIM_MOST, b->begun));
        number_add(&routine, carriers_room(&x->carriers, kinds[k], true, CLAIM_MOST, b->begun));
    }
    pg_array_end(&names);
    pg_array_end(&most);
    pg_array_end(&routine);
    if (buf_failed(&names) < 0 || buf_failed(&most) < 0 || buf_failed(&routine) < 0)
        return PG_RETRY;
    return pg_query(
        x->s->c,
        "SELECT * FROM mayday.claim_notifications($1, $2::text[], $3::text[], $4::integer[], $5::integer[])",
        5, (const char *[]){x->s->gateway, sender_orgs(x), names.ptr, most.ptr, routine.ptr}, ret_rows);
}

/* Those the database did not take have failed there, so they must not leave. */
static void hold_back(batch *b, const pg_rows *refused) {
    for (size_t r = 0; r < pg_rows_count(refused); r++) {
        service_log(b->x->s, LOG_LEVEL_ERROR, "notification %s cannot be stored: %s", pg_value(refused, r, 0),
                    pg_value(refused, r, 1));
        for (size_t i = 0; i < b->ready_count; i++)
            if (strcmp(b->ready[i]->id, pg_value(refused, r, 0)) == 0)
                b->ready[i]->refused = true;
    }
}

static pg_verdict store(batch *b) {
    CLEANUP(buf_release) buf rows = BUF(ROWS_BYTES);
    CLEANUP(pg_rows_freep) pg_rows *refused = NULL;
    json_print(b->actions, &rows);
    if (buf_failed(&rows) < 0)
        return PG_RETRY;
    pg_verdict verdict = pg_query(b->x->s->c,
                                  "SELECT id, why FROM mayday.begin_notifications($1, $2::jsonb,"
                                  " (SELECT backend_start FROM pg_stat_get_activity(pg_backend_pid())))",
                                  2, (const char *[]){b->x->s->gateway, rows.ptr}, &refused);
    if (verdict == PG_DONE)
        hold_back(b, refused);
    return verdict;
}

static void start_all(batch *b, bool stored) {
    sender *x = b->x;
    for (size_t i = 0; i < b->ready_count; i++) {
        errand *e = b->ready[i];
        if (!stored || e->refused)
            sender_not_sent(e, "not stored");
        else if (sender_clock_ms() - b->begun > STALL_MS) /* somebody may take it for lost by now */
            sender_not_sent(e, "stalled");
        else if (client_start(x->client, &e->request, sender_done_of(ERRAND_SEND), e) < 0)
            sender_not_sent(e, "no room");
        else
            provider_request_release(&e->request);
    }
}

static pg_verdict work(batch *b, size_t *ret_claimed) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    pg *c = b->x->s->c;
    pg_verdict verdict = pg_run(c, "BEGIN");
    if (verdict == PG_DONE)
        verdict = take(b, &rows);
    if (verdict != PG_DONE)
        return verdict;
    *ret_claimed = pg_rows_count(rows);
    b->rows = rows;
    for (size_t i = 0; i < *ret_claimed; i++)
        if (decide(b, i) < 0)
            verdict = PG_RETRY;
    b->rows = NULL;
    if (verdict == PG_DONE && json_length(b->actions) > 0)
        verdict = store(b);
    if (verdict == PG_DONE)
        verdict = pg_run(c, "COMMIT");
    start_all(b, verdict == PG_DONE);
    return verdict;
}

pg_verdict sender_claim(sender *x) {
    batch b = {.x = x, .begun = sender_clock_ms(), .actions = json_new_array()};
    size_t claimed = 0;
    if (!b.actions)
        return PG_RETRY;
    pg_verdict verdict = work(&b, &claimed);
    (void)json_free(b.actions);
    if (verdict == PG_DONE && b.ready_count > 0)
        x->look = true; /* there may be more than there was room for in one claim */
    if (verdict == PG_DONE && b.waits)
        x->look_at = b.begun + carriers_wait(&x->carriers, b.begun);
    return verdict;
}
