/* vonage_voice.c - calls by Vonage: POST /v1/calls with the application's token and an NCCO. */
#include <errno.h>

#include "gateway/providers/vonage.h"

extern const provider provider_vonage_voice;

#define SLACK (5 * INSTANT_SECOND) /* two calls to one person look alike: the wrong one must not be near */
#define PAGE  100                  /* the most they give */

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

static json *call_new(const accounts *a, const provider_message *m) {
    json *call = json_new_object();
    int64_t ring = seconds_within(a->s->notify_ring_ms, 1, 120);
    if (!call || json_put(call, "to", vonage_list_of(phone_new(m->to))) < 0 ||
        json_put(call, "from", phone_new(m->from)) < 0 ||
        json_put(call, "ncco", ncco_new(a->s, m->id, m->body, m->menu, m->lang, 2)) < 0 ||
        json_put(call, "ringing_timer", json_new_integer(ring)) < 0 ||
        json_put(call, "length_timer", json_new_integer(CALL_MAX_S)) < 0)
        return json_free(call);
    if (m->callback.len > 0 &&
        (json_put(call, "event_url", vonage_list_of(json_new_string(m->callback))) < 0 ||
         json_put(call, "event_method", json_new_string(TEXT("POST"))) < 0))
        return json_free(call);
    return call;
}

static int build(const provider *p, const accounts *a, const provider_message *m, provider_request *to) {
    CLEANUP(json_freep) json *call = call_new(a, m);
    (void)p;
    if (!call)
        return -ENOMEM;
    begin(a, "POST", to);
    buf_add_text(&to->headers, TEXT("Content-Type: application/json\n"));
    json_print(call, &to->body);
    return vonage_token_add(a, m->now, m->attempt, to);
}

/* 4xx. What does not speak as they do stands in between: the way's fault, not the message's. */
static void read_refusal(const json *body, provider_result *r) {
    text title = json_get_string(body, "title");
    if (title.len == 0)
        title = json_get_string(body, "error_title");
    if (title.len == 0)
        r->blame = BLAME_PROVIDER;
    else
        provider_code_add(r->code, TEXT(" "));
    provider_code_add(r->code, title);
}

static void read_made(const json *body, provider_result *r) {
    text uuid = json_get_string(body, "uuid");
    provider_receipt receipt = vonage_call_receipt(json_get_string(body, "status"));
    if (!provider_reference_good(uuid) || receipt == RECEIPT_UNKNOWN)
        return;
    if (receipt == RECEIPT_FAILED)
        *r = (provider_result){.outcome = PROVIDER_REFUSED, .blame = BLAME_MESSAGE, .code = "failed"};
    else
        provider_sent(r, uuid);
}

static void read(const provider *p, reply_class c, const json *body, provider_result *r) {
    (void)p;
    if (c == REPLY_REFUSED)
        read_refusal(body, r);
    else if (c == REPLY_GOOD)
        read_made(body, r);
}

/* ---- is it in their list ---- */

/* A token has a name of its own, so that it is not taken for the one before. */
static int add_token(const accounts *a, instant at, const char *what, text name, provider_request *to) {
    CLEANUP(buf_release) buf known = BUF(256);
    buf_printf(&known, "%s-", what);
    buf_add_text(&known, name);
    return buf_failed(&known) < 0 ? buf_failed(&known) : vonage_token_add(a, at, buf_text(&known), to);
}

static int search(const provider *p, const accounts *a, const provider_message *m, instant since,
                  provider_request *to) {
    (void)p;
    begin(a, "GET", to);
    vonage_moment_add(&to->url, '?', "date_start", since - SLACK);
    vonage_moment_add(&to->url, '&', "date_end", m->now + SLACK);
    buf_printf(&to->url, "&page_size=%d&record_index=0&order=desc", PAGE);
    return add_token(a, m->now, "search", m->attempt, to);
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

static bool found(const provider *p, const json *body, const provider_message *m, instant since,
                  list_search *s) {
    const json *calls = json_get(json_get(body, "_embedded"), "calls"), *count = json_get(body, "count");
    (void)p;
    (void)since; /* the list has nothing older */
    if (json_kind_of(calls) != JSON_ARRAY)
        return false;
    for (size_t i = 0; i < json_length(calls); i++)
        list_note(s, look_at(json_at(calls, i), m), json_get_string(json_at(calls, i), "uuid"));
    s->look_alike = true;
    s->whole = json_kind_of(count) == JSON_INTEGER && json_integer(count) >= 0 &&
               (uint64_t)json_integer(count) <= json_length(calls);
    return true;
}

/* ---- what became of it ---- */

static int ask(const provider *p, const accounts *a, text reference, instant sent_at, provider_request *to) {
    (void)p;
    begin(a, "GET", to);
    buf_add_char(&to->url, '/');
    buf_add_text(&to->url, reference);
    return add_token(a, sent_at, "ask", reference, to);
}

static bool told(const provider *p, const json *body, text reference, provider_receipt *ret_receipt,
                 char ret_code[PROVIDER_CODE_MAX]) {
    text status = json_get_string(body, "status");
    (void)p;
    if (!text_equal(json_get_string(body, "uuid"), reference))
        return false;
    provider_code_add(ret_code, status);
    *ret_receipt = vonage_call_receipt(status);
    return true;
}

const provider provider_vonage_voice = {.name = "vonage-voice",
                                        .account = "vonage",
                                        .kind = "voice",
                                        .tells = "event",
                                        .needs = {NEED("application_id", SETTING, vonage_application),
                                                  NEED_FILE("private_key_file", vonage_key_pem),
                                                  NEED("voice_from", SENDER, vonage_voice_from),
                                                  NEED("api_url", SETTING, vonage_api_url)},
                                        .build = build,
                                        .read = read,
                                        .search = search,
                                        .found = found,
                                        .ask = ask,
                                        .told = told};
