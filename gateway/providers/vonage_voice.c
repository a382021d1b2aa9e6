/* vonage_voice.c - calls by Vonage: POST /v1/calls with the application's token and an NCCO. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/phone.h"
#include "gateway/vonage.h"

extern const provider provider_vonage_voice;

#define CALL_MAX_S 300                  /* nobody listens longer; and what a machine took ends */
#define SLACK      (5 * INSTANT_SECOND) /* two calls to one person look alike: the wrong one must not be near */
#define PAGE       100                  /* the most they give */

static bool is_set(const char *value) {
    return value && *value;
}

static bool ready(const accounts *a, char ret_why[ACCOUNTS_WHY_MAX]) {
    const char *missing = !is_set(a->s->vonage_application)  ? "application_id"
                          : !is_set(a->vonage_key_pem)       ? "private_key_file"
                          : !is_set(a->s->vonage_voice_from) ? "voice_from"
                          : !is_set(a->s->vonage_api_url)    ? "api_url"
                                                             : NULL;
    if (missing)
        (void)snprintf(ret_why, ACCOUNTS_WHY_MAX, "[vonage] %s is not set", missing);
    return !missing;
}

static void begin(const accounts *a, const char *method, provider_request *to) {
    to->method = method;
    url_base_add(&to->url, a->s->vonage_api_url);
    buf_add_text(&to->url, TEXT("/v1/calls"));
    buf_add_text(&to->headers, TEXT("Accept: application/json\n"));
}

/* ---- the call ---- */

static json *phone_new(text number) {
    json *one = json_new_object();
    if (!one || json_put(one, "type", json_new_string(TEXT("phone"))) < 0 ||
        json_put(one, "number", json_new_string(phone_digits(number))) < 0)
        return json_free(one);
    return one;
}

static json *list_of(json *only) {
    json *list = json_new_array();
    if (!list)
        return json_free(only);
    return json_append(list, only) == 0 ? list : json_free(list);
}

static json *call_new(const accounts *a, const provider_message *m, text sender, text event_url) {
    json *call = json_new_object();
    int64_t ring = seconds_within(a->s->notify_ring_ms, 1, 120);
    if (!call || json_put(call, "to", list_of(phone_new(m->to))) < 0 ||
        json_put(call, "from", phone_new(sender)) < 0 ||
        json_put(call, "ncco", ncco_new(a->s, m->id, m->body, m->menu, m->lang, 2)) < 0 ||
        json_put(call, "ringing_timer", json_new_integer(ring)) < 0 ||
        json_put(call, "length_timer", json_new_integer(CALL_MAX_S)) < 0)
        return json_free(call);
    if (event_url.len > 0 && (json_put(call, "event_url", list_of(json_new_string(event_url))) < 0 ||
                              json_put(call, "event_method", json_new_string(TEXT("POST"))) < 0))
        return json_free(call);
    return call;
}

static int build(const accounts *a, const provider_message *m, provider_request *to) {
    text sender = phone_sender(text_of(a->s->vonage_voice_from), m->to);
    if (!sender.ptr)
        return -EINVAL;
    CLEANUP(buf_release) buf event_url = BUF(4096);
    hook_url_add(&event_url, a->s, "vonage", "event", m->id);
    if (buf_failed(&event_url) < 0)
        return buf_failed(&event_url);
    CLEANUP(json_freep) json *call = call_new(a, m, sender, buf_text(&event_url));
    if (!call)
        return -ENOMEM;
    begin(a, "POST", to);
    buf_add_text(&to->headers, TEXT("Content-Type: application/json\n"));
    json_print(call, &to->body);
    int fault = vonage_token_add(a, m->now, m->attempt, to);
    return fault < 0 ? fault : vonage_failed(to);
}

/* 4xx. What does not speak as they do stands in between: the way's fault, not the message's. */
static void read_refusal(const provider_reply *reply, provider_result *r) {
    CLEANUP(json_freep) json *body = provider_body(reply);
    text title = json_get_string(body, "title");
    if (title.len == 0)
        title = json_get_string(body, "error_title");
    if (title.len == 0)
        r->blame = BLAME_PROVIDER;
    else
        provider_code_add(r->code, TEXT(" "));
    provider_code_add(r->code, title);
}

static void read(const provider_reply *reply, provider_result *ret_result) {
    provider_result r;
    reply_class c = provider_judge(reply, &r);
    if (c == REPLY_REFUSED) {
        read_refusal(reply, &r);
    } else if (c == REPLY_GOOD) {
        CLEANUP(json_freep) json *body = provider_body(reply);
        text uuid = json_get_string(body, "uuid");
        provider_receipt receipt = vonage_call_receipt(json_get_string(body, "status"));
        if (provider_reference_good(uuid) && receipt == RECEIPT_FAILED)
            r = (provider_result){.outcome = PROVIDER_REFUSED, .blame = BLAME_MESSAGE, .code = "failed"};
        else if (provider_reference_good(uuid) && receipt != RECEIPT_UNKNOWN)
            provider_sent(&r, uuid);
    }
    *ret_result = r;
}

/* ---- is it in their list ---- */

static void add_moment(buf *url, char before, const char *name, instant at) {
    CLEANUP(buf_release) buf spelled = BUF(64);
    moment_add(&spelled, at);
    buf_printf(url, "%c%s=", before, name);
    url_add(url, buf_text(&spelled));
}

/* A token has a name of its own, so that it is not taken for the one before. */
static int add_token(const accounts *a, instant at, const char *what, text name, provider_request *to) {
    CLEANUP(buf_release) buf known = BUF(256);
    buf_printf(&known, "%s-", what);
    buf_add_text(&known, name);
    return buf_failed(&known) < 0 ? buf_failed(&known) : vonage_token_add(a, at, buf_text(&known), to);
}

static int search(const accounts *a, const provider_message *m, instant since, provider_request *to) {
    begin(a, "GET", to);
    add_moment(&to->url, '?', "date_start", since - SLACK);
    add_moment(&to->url, '&', "date_end", m->now + SLACK);
    buf_printf(&to->url, "&page_size=%d&record_index=0&order=desc", PAGE);
    int fault = add_token(a, m->now, "search", m->attempt, to);
    return fault < 0 ? fault : vonage_failed(to);
}

/* One endpoint, or a list of them. */
static text number_of(const json *to) {
    if (json_kind_of(to) == JSON_ARRAY)
        to = json_at(to, 0);
    return json_get_string(to, "number");
}

static list_entry look_at(const json *call, const provider_message *m) {
    text number = number_of(json_get(call, "to"));
    if (!number.ptr)
        return ENTRY_UNSURE;
    if (!text_equal(phone_digits(number), phone_digits(m->to)) ||
        text_equal(json_get_string(call, "direction"), TEXT("inbound")))
        return ENTRY_OTHER;
    return vonage_call_receipt(json_get_string(call, "status")) == RECEIPT_FAILED ? ENTRY_OURS_FAILED
                                                                                  : ENTRY_OURS;
}

static void found(const provider_reply *reply, const provider_message *m, instant since,
                  provider_result *ret_result) {
    provider_result r;
    (void)since; /* the list has nothing older */
    if (provider_judge(reply, &r) == REPLY_GOOD) {
        CLEANUP(json_freep) json *body = provider_body(reply);
        const json *calls = json_get(json_get(body, "_embedded"), "calls"), *count = json_get(body, "count");
        list_search s = {0};
        if (json_kind_of(calls) == JSON_ARRAY) {
            for (size_t i = 0; i < json_length(calls); i++)
                list_note(&s, look_at(json_at(calls, i), m), json_get_string(json_at(calls, i), "uuid"));
            bool whole = json_kind_of(count) == JSON_INTEGER && json_integer(count) >= 0 &&
                         (uint64_t)json_integer(count) <= json_length(calls);
            list_settle(&s, whole, true, &r);
            *ret_result = r;
            return;
        }
    }
    provider_unsettled(&r);
    *ret_result = r;
}

/* ---- what became of it ---- */

static int ask(const accounts *a, text reference, instant sent_at, provider_request *to) {
    if (!provider_reference_good(reference))
        return -EINVAL;
    begin(a, "GET", to);
    buf_add_char(&to->url, '/');
    buf_add_text(&to->url, reference);
    int fault = add_token(a, sent_at, "ask", reference, to);
    return fault < 0 ? fault : vonage_failed(to);
}

static provider_receipt told(const provider_reply *reply, text reference, char ret_code[PROVIDER_CODE_MAX]) {
    provider_result r;
    ret_code[0] = '\0';
    if (provider_judge(reply, &r) == REPLY_GOOD) {
        CLEANUP(json_freep) json *body = provider_body(reply);
        if (reference.len > 0 && text_equal(json_get_string(body, "uuid"), reference)) {
            text status = json_get_string(body, "status");
            provider_code_add(ret_code, status);
            return vonage_call_receipt(status);
        }
    }
    provider_code_add(ret_code, text_of(r.code));
    return RECEIPT_UNKNOWN;
}

const provider provider_vonage_voice = {.name = "vonage-voice",
                                        .account = "vonage",
                                        .kind = "voice",
                                        .ready = ready,
                                        .build = build,
                                        .read = read,
                                        .search = search,
                                        .found = found,
                                        .ask = ask,
                                        .told = told};
