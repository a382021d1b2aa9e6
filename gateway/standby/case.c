/* case.c - see standby.h: an incident and its notices, as they are kept, and as they are brought in.
 */
#include "gateway/standby/standby.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const status_names[] = {
    [NOTICE_WAITING] = "waiting", [NOTICE_SENDING] = "sending", [NOTICE_DOUBT] = "doubt",
    [NOTICE_SENT] = "sent",       [NOTICE_FAILED] = "failed",   [NOTICE_WITHDRAWN] = "withdrawn",
};
static const char *const blame_names[] = {
    [BLAME_NOBODY] = NULL,     [BLAME_PROVIDER] = "provider", [BLAME_MESSAGE] = "message",
    [BLAME_NUMBER] = "number", [BLAME_NO_TEXT] = "no_text",   [BLAME_OPTED_OUT] = "opted_out",
};

static bool copy(char **to, text t) {
    *to = t.ptr ? text_copy(t) : NULL;
    return !t.ptr || *to;
}

static void note_id(char to[UUID_TEXT_LEN + 1], text id) {
    (void)snprintf(to, UUID_TEXT_LEN + 1, "%.*s", (int)id.len, id.ptr ? id.ptr : "");
}

told *told_new(text org, text alert, text raiser, const char *purpose, const json *raise, instant heard_at) {
    told *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->heard_at = heard_at;
    note_id(t->alert, alert);
    t->raise = raise ? json_share(raise) : NULL;
    if (copy(&t->org, org) && copy(&t->raiser, raiser.ptr ? raiser : TEXT("")) &&
        copy(&t->purpose, text_of(purpose)) && (!raise || t->raise))
        return t;
    return told_free(t);
}

static void notice_free(notice *n) {
    free(n->person);
    free(n->kind);
    free(n->address);
    free(n->lang);
    free(n->body);
    free(n);
}

told *told_free(told *t) {
    if (!t)
        return NULL;
    for (size_t i = 0; i < t->count; i++)
        notice_free(t->notices[i]);
    free(t->notices);
    free(t->org);
    free(t->raiser);
    free(t->purpose);
    (void)json_free(t->raise);
    free(t);
    return NULL;
}

notice *told_add(told *t, text person, const char *kind, text address, text lang, bool family, int64_t place,
                 instant due_at) {
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 8;
        notice **grown = reallocarray(t->notices, room, sizeof(notice *));
        if (!grown)
            return NULL;
        t->notices = grown;
        t->room = room;
    }
    notice *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    *n = (notice){.of = t, .family = family, .place = place, .due_at = due_at, .made_at = due_at};
    if (!copy(&n->person, person) || !copy(&n->kind, text_of(kind)) || !copy(&n->address, address) ||
        !copy(&n->lang, lang)) {
        notice_free(n);
        return NULL;
    }
    t->notices[t->count++] = n;
    return n;
}

bool told_is(const told *t, text org, text alert) {
    bool is = text_equal(text_of(t->alert), alert);
    for (size_t i = 0; !is && i < t->joined_count; i++)
        is = text_equal(text_of(t->joined[i]), alert);
    return is && text_equal(text_of(t->org), org);
}

int told_rank(const told *t) {
    static const char *const ranks[] = {"", "low", "medium", "high", "critical"};
    text priority = json_get_string(t->raise, "priority"), type = json_get_string(t->raise, "type");
    for (int i = 1; priority.ptr && i < (int)ARRAY_LEN(ranks); i++)
        if (text_equal(text_of(ranks[i]), priority))
            return i;
    if (!t->raise)
        return 1;
    /* As mayday.urgency() has it. */
    return text_equal(type, TEXT("security")) ? 3 : text_equal(type, TEXT("general")) ? 2 : 4;
}

bool told_settled(const told *t) {
    for (size_t i = 0; i < t->count; i++)
        if (t->notices[i]->under_way || t->notices[i]->status == NOTICE_WAITING ||
            t->notices[i]->status == NOTICE_SENDING || t->notices[i]->status == NOTICE_DOUBT)
            return false;
    return true;
}

static bool same(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* By any place of theirs. */
static bool was_reached(const told *t, const notice *one) {
    for (size_t i = 0; i < t->count; i++)
        if (t->notices[i]->status == NOTICE_SENT && same(t->notices[i]->person, one->person) &&
            (one->person || same(t->notices[i]->address, one->address)))
            return true;
    return false;
}

bool told_reached(const told *t) {
    for (size_t i = 0; i < t->count; i++)
        if (!was_reached(t, t->notices[i]))
            return false;
    return t->count > 0;
}

size_t told_sent(const told *t) {
    size_t sent = 0;
    for (size_t i = 0; i < t->count; i++)
        sent += t->notices[i]->status == NOTICE_SENT;
    return sent;
}

static const char *const kinds[NOTICE_KINDS] = {"sms", "voice", "mqtt", "webhook"};

static size_t kind_of(const notice *n) {
    for (size_t i = 0; i + 1 < NOTICE_KINDS; i++)
        if (strcmp(kinds[i], n->kind) == 0)
            return i;
    return NOTICE_KINDS - 1;
}

void ahead_note(ahead *a, const notice *n) {
    if (!n->family && (n->status == NOTICE_SENT || n->status == NOTICE_SENDING || n->status == NOTICE_DOUBT))
        a->anybody[kind_of(n)] = true;
}

ahead ahead_of(const told *t) {
    ahead a = {0};
    for (size_t i = 0; i < t->count; i++)
        ahead_note(&a, t->notices[i]);
    return a;
}

bool notice_behind(const notice *n, const ahead *a) {
    return n->status != NOTICE_DOUBT && (n->family || a->anybody[kind_of(n)]);
}

static bool same_person(const notice *a, const notice *b) {
    return a->person && b->person && strcmp(a->person, b->person) == 0;
}

void notice_next(notice *n, instant now) {
    notice *next = NULL;
    for (size_t i = 0; i < n->of->count; i++) {
        notice *x = n->of->notices[i];
        if (same_person(x, n) && x->place > n->place && x->status == NOTICE_WAITING &&
            (!next || x->place < next->place))
            next = x;
    }
    if (next && next->due_at > now)
        next->due_at = now;
}

/* ---- spelling ---- */

static int put_text(json *to, const char *name, const char *value) {
    return value && *value ? json_put(to, name, json_new_string(text_of(value))) : 0;
}

static int put_number(json *to, const char *name, int64_t value) {
    return json_put(to, name, json_new_integer(value));
}

static int put_true(json *to, const char *name, bool value) {
    return value ? json_put(to, name, json_new_bool(true)) : 0;
}

void told_name(const told *t, buf *to) {
    buf_printf(to, "%s/%s", t->org, t->alert);
    if (!*t->alert)
        buf_printf(to, "%s %s", t->purpose, t->raiser);
}

static json *spell_try(const notice_try *x) {
    json *one = json_new_object();
    if (!one || put_text(one, "id", x->id) < 0 || put_text(one, "provider", x->row->name) < 0 ||
        put_number(one, "begun_at", x->begun_at) < 0)
        return json_free(one);
    if (x->ended_at &&
        (put_number(one, "ended_at", x->ended_at) < 0 || put_number(one, "http", x->http) < 0 ||
         put_number(one, "outcome", x->result.outcome) < 0 || put_number(one, "blame", x->result.blame) < 0 ||
         put_text(one, "code", x->result.code) < 0 || put_text(one, "reference", x->result.reference) < 0))
        return json_free(one);
    return one;
}

static json *spell_notice(const notice *n) {
    json *one = json_new_object(), *tries = json_new_array();
    int fault = one && tries ? 0 : -ENOMEM;
    for (size_t i = 0; fault == 0 && i < n->try_count; i++)
        fault = json_append(tries, spell_try(&n->tries[i]));
    if (fault == 0 && put_text(one, "id", n->id) == 0 && put_text(one, "person", n->person) == 0 &&
        put_text(one, "kind", n->kind) == 0 && put_text(one, "address", n->address) == 0 &&
        put_text(one, "lang", n->lang) == 0 && put_text(one, "body", n->body) == 0 &&
        put_text(one, "code", n->code) == 0 && put_text(one, "why", n->why) == 0 &&
        put_true(one, "family", n->family) == 0 && put_true(one, "connected", n->connected) == 0 &&
        put_number(one, "place", n->place) == 0 && put_text(one, "status", status_names[n->status]) == 0 &&
        put_number(one, "made_at", n->made_at) == 0 && put_number(one, "due_at", n->due_at) == 0 &&
        put_number(one, "sent_at", n->sent_at) == 0)
        return json_put(one, "tries", tries) == 0 ? one : json_free(one);
    (void)json_free(tries);
    return json_free(one);
}

static json *spell_joined(const told *t) {
    json *list = json_new_array();
    for (size_t i = 0; list && i < t->joined_count; i++)
        if (json_append(list, json_new_string(text_of(t->joined[i]))) < 0)
            return json_free(list);
    return list;
}

static json *spell_notices(const told *t) {
    json *list = json_new_array();
    for (size_t i = 0; list && i < t->count; i++)
        if (json_append(list, spell_notice(t->notices[i])) < 0)
            return json_free(list);
    return list;
}

void told_spell(const told *t, buf *to) {
    CLEANUP(json_freep) json *body = json_new_object();
    if (!body || put_number(body, "v", 1) < 0 || put_text(body, "org", t->org) < 0 ||
        put_text(body, "alert", t->alert) < 0 || put_text(body, "raiser", t->raiser) < 0 ||
        put_text(body, "purpose", t->purpose) < 0 || put_number(body, "heard_at", t->heard_at) < 0 ||
        put_number(body, "told_at", t->told_at) < 0 || put_true(body, "everyone", t->everyone) < 0 ||
        put_true(body, "answered", t->answered) < 0 || put_true(body, "over", t->over) < 0 ||
        (t->raise && json_put(body, "raise", json_share(t->raise)) < 0) ||
        json_put(body, "joined", spell_joined(t)) < 0 || json_put(body, "notices", spell_notices(t)) < 0) {
        to->fault = -ENOMEM;
        return;
    }
    json_print(body, to);
}

/* ---- and back ---- */

static int64_t number_of(const json *from, const char *name) {
    const json *value = json_get(from, name);
    return json_kind_of(value) == JSON_INTEGER ? json_integer(value) : 0;
}

static bool truth_of(const json *from, const char *name) {
    return json_boolean(json_get(from, name));
}

static bool read_try(const json *from, notice_try *to) {
    to->row = provider_named(json_get_string(from, "provider"));
    note_id(to->id, json_get_string(from, "id"));
    to->begun_at = number_of(from, "begun_at");
    to->ended_at = number_of(from, "ended_at");
    to->http = (int)number_of(from, "http");
    int64_t outcome = number_of(from, "outcome"), blame = number_of(from, "blame");
    to->result.outcome =
        outcome >= 0 && outcome <= PROVIDER_REFUSED ? (provider_outcome)outcome : PROVIDER_UNKNOWN;
    to->result.blame = blame >= 0 && blame <= BLAME_OPTED_OUT ? (provider_blame)blame : BLAME_NOBODY;
    text code = json_get_string(from, "code"), reference = json_get_string(from, "reference");
    (void)snprintf(to->result.code, sizeof to->result.code, "%.*s", (int)code.len, code.ptr ? code.ptr : "");
    (void)snprintf(to->result.reference, sizeof to->result.reference, "%.*s", (int)reference.len,
                   reference.ptr ? reference.ptr : "");
    return to->row != NULL;
}

static notice_status status_of(text name) {
    for (size_t i = 0; i < ARRAY_LEN(status_names); i++)
        if (text_equal(text_of(status_names[i]), name))
            return (notice_status)i;
    return NOTICE_WAITING;
}

static int read_notice(told *t, const json *from) {
    static const text none = {0};
    CLEANUP(freep)
    char *kind = text_copy(json_get_string(from, "kind").ptr ? json_get_string(from, "kind") : TEXT(""));
    const json *tries = json_get(from, "tries");
    notice *n = kind ? told_add(t, json_get_string(from, "person"), kind, json_get_string(from, "address"),
                                json_get_string(from, "lang"), truth_of(from, "family"),
                                number_of(from, "place"), number_of(from, "due_at"))
                     : NULL;
    if (!n || !copy(&n->body, json_get_string(from, "body")))
        return -ENOMEM;
    text code = json_get_string(from, "code"), why = json_get_string(from, "why");
    code = code.ptr ? code : none;
    note_id(n->id, json_get_string(from, "id"));
    (void)snprintf(n->code, sizeof n->code, "%.*s", (int)code.len, code.ptr ? code.ptr : "");
    (void)snprintf(n->why, sizeof n->why, "%.*s", (int)why.len, why.ptr ? why.ptr : "");
    n->connected = truth_of(from, "connected");
    n->status = status_of(json_get_string(from, "status"));
    n->made_at = number_of(from, "made_at");
    n->sent_at = number_of(from, "sent_at");
    for (size_t i = 0; i < json_length(tries) && n->try_count < NOTICE_TRIES_MAX; i++)
        n->try_count += read_try(json_at(tries, i), &n->tries[n->try_count]);
    /* The process that sent it has ended: it may have gone out. */
    if (n->status == NOTICE_SENDING)
        n->status = NOTICE_DOUBT;
    return 0;
}

int told_read(text spelled, told **ret_told) {
    CLEANUP(json_freep) json *body = NULL;
    json_verdict verdict = json_parse_once(spelled, &body);
    if (verdict != JSON_OK)
        return verdict == JSON_NO_MEMORY ? -ENOMEM : -EBADMSG;
    text org = json_get_string(body, "org"), alert = json_get_string(body, "alert");
    CLEANUP(freep) char *purpose = text_copy(json_get_string(body, "purpose"));
    const json *joined = json_get(body, "joined"), *notices = json_get(body, "notices");
    if (!org.ptr || !json_get_string(body, "purpose").ptr)
        return -EBADMSG;
    if (!purpose)
        return -ENOMEM;
    CLEANUP(told_freep)
    told *t = told_new(org, alert, json_get_string(body, "raiser"), purpose, json_get(body, "raise"),
                       number_of(body, "heard_at"));
    if (!t)
        return -ENOMEM;
    t->told_at = number_of(body, "told_at");
    t->everyone = truth_of(body, "everyone");
    t->answered = truth_of(body, "answered");
    t->over = truth_of(body, "over");
    for (size_t i = 0; i < json_length(joined) && t->joined_count < TOLD_JOINED_MAX; i++)
        note_id(t->joined[t->joined_count++], json_string(json_at(joined, i)));
    for (size_t i = 0; i < json_length(notices); i++)
        if (read_notice(t, json_at(notices, i)) < 0)
            return -ENOMEM;
    *ret_told = t;
    t = NULL;
    return 0;
}

/* ---- as the database takes it ---- */

static int64_t age_ms(instant now, instant at) {
    return (now - at) / 1000;
}

static json *bring_try(const notice_try *x, instant now) {
    json *one = json_new_object();
    if (!one || put_text(one, "id", x->id) < 0 || put_text(one, "provider", x->row->name) < 0 ||
        put_number(one, "begun_ms", age_ms(now, x->begun_at)) < 0)
        return json_free(one);
    if (x->ended_at &&
        (put_number(one, "ended_ms", age_ms(now, x->ended_at)) < 0 ||
         put_text(one, "outcome", provider_outcome_name(x->result.outcome)) < 0 ||
         (x->http && put_number(one, "http", x->http) < 0) || put_text(one, "code", x->result.code) < 0 ||
         put_text(one, "blame", blame_names[x->result.blame]) < 0 ||
         put_text(one, "reference", x->result.reference) < 0))
        return json_free(one);
    return one;
}

static json *bring_notice(const told *t, const notice *n, instant now, int64_t validity_ms) {
    json *one = json_new_object(), *tries = json_new_array();
    int fault = one && tries ? 0 : -ENOMEM;
    for (size_t i = 0; fault == 0 && i < n->try_count; i++)
        fault = json_append(tries, bring_try(&n->tries[i], now));
    int64_t left_ms = validity_ms - age_ms(now, n->due_at);
    if (fault == 0 && put_text(one, "id", n->id) == 0 && put_text(one, "org", t->org) == 0 &&
        put_text(one, "alert", t->alert) == 0 && put_text(one, "purpose", t->purpose) == 0 &&
        put_text(one, "person", n->person) == 0 && put_text(one, "kind", n->kind) == 0 &&
        put_text(one, "address", n->address) == 0 && json_put(one, "family", json_new_bool(n->family)) == 0 &&
        put_number(one, "place", n->place) == 0 && put_number(one, "rank", told_rank(t)) == 0 &&
        put_text(one, "lang", n->lang) == 0 && put_text(one, "code", n->code) == 0 &&
        put_text(one, "body", n->body) == 0 && put_text(one, "status", status_names[n->status]) == 0 &&
        put_text(one, "why", n->why) == 0 && put_number(one, "made_ms", age_ms(now, n->made_at)) == 0 &&
        put_number(one, "due_ms", -age_ms(now, n->due_at)) == 0 &&
        put_number(one, "valid_ms", left_ms > 1000 ? left_ms : 1000) == 0 &&
        (n->sent_at == 0 || put_number(one, "sent_ms", age_ms(now, n->sent_at)) == 0))
        return json_put(one, "attempts", tries) == 0 ? one : json_free(one);
    (void)json_free(tries);
    return json_free(one);
}

int told_bring(const told *t, instant now, int64_t validity_ms, json *list) {
    int fault = 0;
    for (size_t i = 0; fault == 0 && i < t->count; i++)
        if (!t->notices[i]->brought)
            fault = json_append(list, bring_notice(t, t->notices[i], now, validity_ms));
    return fault;
}
