/* escalator.c - tells people of incidents, level by level, until somebody answers. What comes next is decided
 * by lib/core/escalation.h; what it needs and what comes of it is in sql/0015_engine.sql.
 *
 * A step is one transaction: escalations that are due are claimed and locked (the incident first, as the
 * brokers' writers do), decided, and stored with the notifications that come of them. So a gateway that is
 * killed has done all of a step or nothing, and of two gateways one does it. An answer that is stored before
 * the step is seen by it; one that comes during the step waits for it, and withdraws what it made. It is
 * woken by NOTIFY and sleeps until the next one is due. */
#include "base/json.h"
#include "core/escalation.h"
#include "gateway/pg_array.h"
#include "gateway/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

extern const service service_escalator;

#define EVERY_MS    30000
#define LOCKED_MS   20 /* what is due, and somebody has locked: until we look again */
#define CLAIMS      16 /* whoever answers one of them waits for the others */
#define STEPS_LIMIT (16u << 20)
#define PLANS_MAX   64
#define KEY_MAX     320
#define ORGS_LIMIT  (1u << 20)

/* For an organisation whose plan cannot be read: whoever dispatches, then whoever can help. */
static const char last_resort[] =
    "{\"v\":1,\"policies\":[{\"name\":\"last resort\",\"rounds\":2,\"levels\":["
    "{\"after\":0,\"targets\":[{\"role\":\"dispatcher\"},{\"role\":\"supervisor\"},{\"family\":true}]},"
    "{\"after\":300,\"targets\":[{\"role\":\"dispatcher\"},{\"role\":\"supervisor\"},{\"role\":\"responder\"}"
    "]}"
    "]}]}";

typedef struct phrase {
    const char *lang, *text;
} phrase;

static const phrase nobody_answered[] = {
    {"en", "Nobody has answered the alarm of %s (%s, %s). Everybody was told."},
    {"de", "Niemand hat auf den Alarm von %s (%s, %s) geantwortet. Alle wurden benachrichtigt."},
    {"fr", "Personne n'a répondu à l'alarme de %s (%s, %s). Tous ont été prévenus."},
    {"es", "Nadie ha respondido a la alarma de %s (%s, %s). Se avisó a todos."},
    {"af", "Niemand het op die alarm van %s (%s, %s) geantwoord nie. Almal is laat weet."},
};

typedef struct cached {
    char key[KEY_MAX];
    plan *plan;
} cached;

typedef struct escalator {
    cached plans[PLANS_MAX]; /* by organisation and edition; an edition never changes */
    size_t next_slot;
    plan *last_resort;
    buf orgs; /* those this gateway is for, as a PostgreSQL array; empty: all */
    int claims;
} escalator;

/* The columns of mayday.escalation_claim. */
enum {
    ORG,
    ALERT,
    EDITION_ORG,
    EDITION,
    POLICY,
    STATUS,
    ROUND,
    FIRST_ROUND,
    LEVEL,
    WANTED_LEVEL,
    BEGUN,
    ANSWERED,
    HELD,
    MOVED,
    FORGOTTEN,
    ALL_ANSWERED,
    INCIDENT,
    TYPE,
    PRIORITY,
    DECOYED,
    WHO,
    AT
};

static text cell(const pg_rows *rows, size_t row, size_t column) {
    return text_of(pg_value(rows, row, column));
}

static int64_t number(const pg_rows *rows, size_t row, size_t column) {
    int64_t value = 0;
    (void)!text_to_i64(cell(rows, row, column), INT64_MIN, INT64_MAX, &value);
    return value;
}

static bool yes(const pg_rows *rows, size_t row, size_t column) {
    return *pg_value(rows, row, column) == 't';
}

/* ---- plans ---- */

static plan *understand(service_context *s, const char *key, text body) {
    CLEANUP(json_freep) json *spelled = NULL;
    char why[PLAN_WHY_MAX] = "it is no JSON";
    plan *p = NULL;
    if (json_parse_once(body, &spelled) != JSON_OK || plan_parse(spelled, &p, why) < 0)
        service_log(s, LOG_LEVEL_ERROR, "the plan %s cannot be read, and that of last resort is used: %s",
                    key, why);
    return p;
}

static pg_verdict read_plan(service_context *s, escalator *e, const char *key, const char *org,
                            const char *edition, cached **ret_slot) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *with[] = {org, edition};
    pg_verdict verdict =
        pg_query(s->c, "SELECT body FROM mayday.plan WHERE org = $1 AND edition = $2", 2, with, &rows);
    if (verdict != PG_DONE)
        return verdict;
    cached *slot = &e->plans[e->next_slot++ % PLANS_MAX];
    (void)plan_free(slot->plan);
    (void)snprintf(slot->key, sizeof slot->key, "%s", key);
    slot->plan = understand(s, key, pg_rows_count(rows) == 1 ? cell(rows, 0, 0) : TEXT(""));
    *ret_slot = slot;
    return PG_DONE;
}

/* The plan that an escalation began with. */
static pg_verdict plan_of(service_context *s, escalator *e, const pg_rows *rows, size_t i,
                          const plan **ret_plan) {
    char key[KEY_MAX];
    cached *slot = NULL;
    (void)snprintf(key, sizeof key, "%s/%s", pg_value(rows, i, EDITION_ORG), pg_value(rows, i, EDITION));
    for (size_t k = 0; k < PLANS_MAX && !slot; k++)
        slot = strcmp(e->plans[k].key, key) == 0 ? &e->plans[k] : NULL;
    pg_verdict verdict =
        slot ? PG_DONE
             : read_plan(s, e, key, pg_value(rows, i, EDITION_ORG), pg_value(rows, i, EDITION), &slot);
    if (verdict != PG_DONE)
        return verdict;
    if (!slot->plan)
        service_count(s, "mayday_gateway_escalation_failures_total", 1);
    *ret_plan = slot->plan ? slot->plan : e->last_resort;
    return PG_DONE;
}

/* ---- what is stored ---- */

static int put_number(json *to, const char *name, int64_t value) {
    return json_put(to, name, json_new_integer(value));
}

static int put_word(json *to, const char *name, text word) {
    return json_put(to, name, json_new_string(word));
}

static int put_yes(json *to, const char *name, bool value) {
    return value ? json_put(to, name, json_new_bool(true)) : 0;
}

static json *spell_target(const plan_target *t) {
    json *one = json_new_object();
    const char *word = plan_target_word(t->kind);
    int fault = !one;
    if (!fault && t->kind == PLAN_NEAREST)
        fault =
            put_number(one, word, t->count) < 0 || (t->metres && put_number(one, "within", t->metres) < 0);
    else if (!fault && t->kind == PLAN_FAMILY)
        fault = put_yes(one, word, true) < 0;
    else if (!fault)
        fault = put_word(one, word, t->name) < 0;
    return fault ? json_free(one) : one;
}

static int put_targets(json *to, const char *name, const plan_target *targets, size_t count) {
    json *list = json_new_array();
    for (size_t i = 0; list && i < count; i++)
        if (json_append(list, spell_target(&targets[i])) < 0)
            list = json_free(list);
    return json_put(to, name, list);
}

static int put_level(json *to, const plan_level *l, const escalation_step *step) {
    json *kinds = l->channels[0] ? json_new_array() : NULL;
    int fault = l->channels[0] && !kinds ? -1 : 0;
    for (const plan_channel *c = l->channels; fault == 0 && *c; c++)
        fault = json_append(kinds, json_new_string(text_of(plan_channel_word(*c))));
    if (kinds && json_put(to, "kinds", kinds) < 0)
        fault = -1;
    if (fault == 0)
        fault = put_targets(to, "tell", l->targets, l->target_count);
    if (fault == 0)
        fault = put_word(to, "purpose", step->forgotten > 0 ? TEXT("forgotten") : TEXT("raise"));
    return fault < 0 ? fault : put_number(to, "gap_ms", l->gap_ms);
}

static const phrase *phrase_in(const char *lang) {
    size_t len = strcspn(lang, "-");
    for (size_t i = 0; i < ARRAY_LEN(nobody_answered); i++)
        if (strlen(nobody_answered[i].lang) == len && strncasecmp(nobody_answered[i].lang, lang, len) == 0)
            return &nobody_answered[i];
    return &nobody_answered[0];
}

static int put_exhausted(service_context *s, const pg_rows *rows, size_t i, const policy *w, json *to) {
    const phrase *said = phrase_in(s->settings->notify_lang);
    char words[1024];
    /* A format from the table above: a person, a type, a priority. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(words, sizeof words, said->text, pg_value(rows, i, WHO), pg_value(rows, i, TYPE),
                   pg_value(rows, i, PRIORITY));
#pragma GCC diagnostic pop
    text whole = text_of(words);
    while (!text_is_utf8(whole)) /* cut within a sign, the database would take none of the steps */
        whole.len--;
    if (put_word(to, "words", whole) < 0 || put_word(to, "lang", text_of(said->lang)) < 0)
        return -1;
    return put_targets(to, "exhausted", w->exhausted, w->exhausted_count);
}

/* Family hears what the raiser's side shows; see mayday.escalation_follow. */
static text follow_up(const pg_rows *rows, size_t i, const escalation_step *step) {
    if (yes(rows, i, DECOYED))
        return TEXT("canceled");
    if (step->status == ESCALATION_ENDED)
        return cell(rows, i, INCIDENT);
    return step->follow ? TEXT("acknowledged") : TEXT("");
}

static int put_state(json *to, const pg_rows *rows, size_t i, const policy *w, const escalation_step *step) {
    static const char *const begins[] = {
        [ESCALATION_BEGINS_FORGOTTEN] = "forgotten", [ESCALATION_BEGINS_AGAIN] = "begun_again"};
    if (put_word(to, "org", cell(rows, i, ORG)) < 0 || put_word(to, "alert", cell(rows, i, ALERT)) < 0 ||
        put_word(to, "policy", w->name) < 0 ||
        put_word(to, "status", text_of(escalation_status_name(step->status))) < 0 ||
        put_number(to, "round", step->round) < 0 || put_number(to, "first_round", step->first_round) < 0 ||
        put_number(to, "level", step->level) < 0 || put_number(to, "forgotten", step->forgotten) < 0 ||
        put_number(to, "begun_us", step->begun_at) < 0 || put_yes(to, "everyone", step->everyone) < 0 ||
        put_yes(to, "anew", step->anew) < 0 || put_yes(to, "withdraw", step->withdraw) < 0)
        return -1;
    if (step->next_at != NEVER && put_number(to, "due_us", step->next_at) < 0)
        return -1;
    return step->begins ? put_word(to, "begins", text_of(begins[step->begins])) : 0;
}

static int add_step(service_context *s, const pg_rows *rows, size_t i, const policy *w,
                    const escalation_step *step, json *steps) {
    json *one = json_new_object();
    text follow = w->family_follows ? follow_up(rows, i, step) : TEXT("");
    int fault = one ? put_state(one, rows, i, w, step) : -1;
    if (fault == 0 && step->tell)
        fault = put_level(one, &w->levels[step->level - 1], step);
    if (fault == 0 && step->tell_exhausted)
        fault = put_exhausted(s, rows, i, w, one);
    if (fault == 0 && follow.len > 0)
        fault = put_word(one, "follow", follow);
    return json_append(steps, fault < 0 ? json_free(one) : one);
}

/* ---- a step ---- */

static escalation escalation_of(const pg_rows *rows, size_t i) {
    return (escalation){
        .status = escalation_status_named(cell(rows, i, STATUS)),
        .round = number(rows, i, ROUND),
        .first_round = number(rows, i, FIRST_ROUND),
        .level = number(rows, i, LEVEL),
        .wanted_level = number(rows, i, WANTED_LEVEL),
        .begun_at = number(rows, i, BEGUN),
        .answered_at = number(rows, i, ANSWERED),
        .held_until = number(rows, i, HELD),
        .forgotten = number(rows, i, FORGOTTEN),
        .incident = incident_status_named(cell(rows, i, INCIDENT)),
        .moved_at = number(rows, i, MOVED),
        .all_answered = yes(rows, i, ALL_ANSWERED),
    };
}

static pg_verdict decide(service_context *s, escalator *e, const pg_rows *rows, size_t i, json *steps) {
    const plan *p = NULL;
    pg_verdict verdict = plan_of(s, e, rows, i, &p);
    if (verdict != PG_DONE)
        return verdict;
    const policy *w = pg_is_null(rows, i, POLICY) ? NULL : plan_named(p, cell(rows, i, POLICY));
    if (!w)
        w = plan_choose(p, cell(rows, i, TYPE), cell(rows, i, PRIORITY));
    const escalation now = escalation_of(rows, i);
    const escalation_step step = escalation_next(w, &now, number(rows, i, AT));
    service_count(s, "mayday_gateway_escalation_levels_total", step.tell);
    service_count(s, "mayday_gateway_escalations_exhausted_total", step.tell_exhausted);
    return add_step(s, rows, i, w, &step, steps) < 0 ? PG_RETRY : PG_DONE;
}

static pg_verdict store(service_context *s, const json *steps) {
    CLEANUP(buf_release) buf spelled = BUF(STEPS_LIMIT);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char validity[32];
    (void)snprintf(validity, sizeof validity, "%lld ms", (long long)s->settings->notify_validity_ms);
    json_print(steps, &spelled);
    if (buf_failed(&spelled) < 0)
        return PG_RETRY;
    const char *with[] = {spelled.ptr, validity};
    pg_verdict verdict = pg_query(s->c, "SELECT mayday.escalation_store($1, $2)", 2, with, &rows);
    if (verdict == PG_DONE && number(rows, 0, 0) > 0) {
        service_log(s, LOG_LEVEL_ERROR,
                    "%s steps of escalations cannot be stored, and are tried again; the audit trail says why",
                    pg_value(rows, 0, 0));
        service_count(s, "mayday_gateway_escalation_failures_total", (uint64_t)number(rows, 0, 0));
    }
    return verdict;
}

static void add_org(void *context, text org, bool up, uint64_t generation) {
    (void)up;
    (void)generation;
    pg_array_add(context, org);
}

static bool is_set(const char *value) {
    return value && *value;
}

/* A gateway that the configuration gives some organisations to leaves the others alone. */
static bool find_orgs(service_context *s, escalator *e) {
    buf_clear(&e->orgs);
    if (!is_set(s->settings->gateway_orgs) && !is_set(s->settings->gateway_token_file))
        return true;
    pg_array_begin(&e->orgs);
    bus_each(s->bus, add_org, &e->orgs);
    pg_array_end(&e->orgs);
    return buf_failed(&e->orgs) == 0;
}

static const char *orgs_of(const escalator *e) {
    return e->orgs.len > 0 ? e->orgs.ptr : NULL;
}

static pg_verdict claim_and_store(service_context *s, escalator *e, size_t *ret_count) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    CLEANUP(json_freep) json *steps = json_new_array();
    char most[16];
    (void)snprintf(most, sizeof most, "%d", e->claims);
    const char *with[] = {orgs_of(e), most};
    if (!steps)
        return PG_RETRY;
    pg_verdict verdict =
        pg_query(s->c, "SELECT * FROM mayday.escalation_claim($1, $2)", ARRAY_LEN(with), with, &rows);
    size_t count = verdict == PG_DONE ? pg_rows_count(rows) : 0;
    for (size_t i = 0; verdict == PG_DONE && i < count; i++)
        verdict = decide(s, e, rows, i, steps);
    if (verdict == PG_DONE && count > 0)
        verdict = store(s, steps);
    *ret_count = count;
    return verdict;
}

/* How long nothing is due. */
static pg_verdict sleep_until_due(service_context *s, const escalator *e, size_t count, bool *ret_again) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *with[] = {orgs_of(e)};
    pg_verdict verdict = pg_query(s->c, "SELECT mayday.escalation_sleep($1)", ARRAY_LEN(with), with, &rows);
    if (verdict != PG_DONE || pg_is_null(rows, 0, 0))
        return verdict;
    int64_t ms = number(rows, 0, 0);
    *ret_again = ms == 0 && count > 0;
    s->sleep_ms = ms == 0 ? LOCKED_MS : ms < EVERY_MS ? (int)ms : EVERY_MS;
    return PG_DONE;
}

/* Levels of thousands of people take their time: what together took longer than we wait for, is done one by
 * one. */
static void pace(escalator *e, bool good, size_t count) {
    if (!good)
        e->claims = 1;
    else if (count > 0 && e->claims < CLAIMS)
        e->claims *= 2;
}

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    escalator *e = state;
    size_t count = 0;
    *ret_again = false;
    if (service_waits(s)) {
        s->sleep_ms = LOCKED_MS;
        return PG_DONE;
    }
    if (!find_orgs(s, e))
        return PG_RETRY;
    pg_verdict verdict = pg_run(s->c, "BEGIN");
    if (verdict == PG_DONE)
        verdict = claim_and_store(s, e, &count);
    if (verdict == PG_DONE)
        verdict = pg_run(s->c, "COMMIT");
    pace(e, verdict == PG_DONE, count);
    return verdict == PG_DONE ? sleep_until_due(s, e, count, ret_again) : verdict;
}

static void end(void *state) {
    escalator *e = state;
    if (!e)
        return;
    for (size_t i = 0; i < PLANS_MAX; i++)
        (void)plan_free(e->plans[i].plan);
    (void)plan_free(e->last_resort);
    buf_release(&e->orgs);
    free(e);
}

static void *begin(service_context *s) {
    escalator *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->orgs = BUF(ORGS_LIMIT);
    e->claims = CLAIMS;
    e->last_resort = understand(s, "of last resort", text_of(last_resort));
    if (e->last_resort)
        return e;
    end(e);
    return NULL;
}

const service service_escalator = {
    .name = "escalator",
    .channel = "mayday_escalation",
    .every_ms = EVERY_MS,
    .step = step,
    .begin = begin,
    .end = end,
};
