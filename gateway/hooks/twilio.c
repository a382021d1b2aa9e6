/* twilio.c - Twilio's webhooks: forms, signed with the account's token over the address they were sent to.
 *
 * That address is ours as they know it: public_url, whatever a proxy made of the request. Their own clients
 * disagree on whether a port is part of it, so that both spellings are good. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mac.h"
#include "gateway/hooks/hook.h"
#include "gateway/providers/twilio.h"

extern const hook hook_twilio;

#define URL_MAX (16 << 10)

/* ---- is it theirs ---- */

static int by_name_and_value(const void *a, const void *b) {
    const form_pair *one = a, *other = b;
    int order = hook_order(one->name, other->name);
    return order ? order : hook_order(one->value, other->value);
}

static bool same(const form_pair *a, const form_pair *b) {
    return text_equal(a->name, b->name) && text_equal(a->value, b->value);
}

/* The address, then every name and value in order; what is said twice counts once. */
static bool is_signed(text token, text url, const hook_said *sorted, text signature) {
    uint8_t mac[SHA1_LEN];
    CLEANUP(buf_release) buf message = BUF(URL_MAX + REQUEST_BODY_MAX);
    CLEANUP(buf_release) buf expected = BUF(64);
    buf_add_text(&message, url);
    for (size_t i = 0; i < sorted->count; i++) {
        if (i > 0 && same(&sorted->pairs[i], &sorted->pairs[i - 1]))
            continue;
        buf_add_text(&message, sorted->pairs[i].name);
        buf_add_text(&message, sorted->pairs[i].value);
    }
    if (buf_failed(&message) < 0 || hmac_sha1(token, buf_text(&message), mac) < 0)
        return false;
    base64_add(mac, sizeof mac, &expected);
    return buf_failed(&expected) == 0 && mac_equal(buf_text(&expected), signature);
}

/* Where the port of an address is, ':' included, and what it would be by itself. */
static void find_port(text url, text *ret_port, text *ret_usual) {
    bool tls = text_starts_with(url, TEXT("https://"));
    size_t start = tls ? 8 : 7, end = start;
    size_t colon = SIZE_MAX;
    for (; end < url.len && !strchr("/?", url.ptr[end]); end++) {
        if (url.ptr[end] == ':')
            colon = end;
        else if (url.ptr[end] == ']')
            colon = SIZE_MAX; /* those before belong to an IPv6 address */
    }
    if (colon == SIZE_MAX)
        colon = end;
    *ret_port = (text){url.ptr + colon, end - colon};
    *ret_usual = tls ? TEXT(":443") : TEXT(":80");
}

static void add_url(const http_request *r, text base, text port, text instead, buf *to) {
    size_t before = (size_t)(port.ptr - base.ptr);
    buf_add(to, base.ptr, before);
    buf_add_text(to, instead);
    buf_add(to, port.ptr + port.len, base.len - before - port.len);
    buf_add_text(to, r->path);
    if (r->query.ptr) {
        buf_add_char(to, '?');
        buf_add_text(to, r->query);
    }
}

static bool is_theirs(const accounts *a, const http_request *r, const hook_said *sorted) {
    text signature = request_header_of(r, "X-Twilio-Signature");
    text base = text_of(a->s->notify_public_url), token = text_of(a->twilio_token), port, usual;
    if (signature.len == 0 || base.len < sizeof "https://" || token.len == 0)
        return false;
    CLEANUP(buf_release) buf as_set = BUF(URL_MAX);
    CLEANUP(buf_release) buf other = BUF(URL_MAX);
    find_port(base, &port, &usual);
    add_url(r, base, port, port, &as_set);
    add_url(r, base, port, port.len ? (text){0} : usual, &other);
    if (buf_failed(&as_set) < 0 || buf_failed(&other) < 0)
        return false;
    bool first = is_signed(token, buf_text(&as_set), sorted, signature);
    bool second = is_signed(token, buf_text(&other), sorted, signature);
    return first || second;
}

static bool is_json(const http_request *r) {
    static const text json_type = TEXT("application/json");
    text type = request_header_of(r, "Content-Type");
    return type.len >= json_type.len && strncasecmp(type.ptr, json_type.ptr, json_type.len) == 0;
}

/* A body that is no form is not in the signature: its digest is in the address. */
static hook_verdict take(const accounts *a, const http_request *r, instant now, hook_said *s) {
    char digest[2 * SHA256_LEN + 1];
    (void)now; /* their signature carries no time */
    s->strange = is_json(r);
    if (!s->strange && !hook_take_form(s, r->body))
        return HOOK_FORGED;
    qsort(s->pairs, s->count, sizeof s->pairs[0], by_name_and_value);
    text wanted = form_value(r->query, "bodySHA256", digest, sizeof digest);
    bool good = is_theirs(a, r, s) && (!s->strange || hook_digest_is(r->body, wanted));
    return good ? HOOK_GOOD : HOOK_FORGED;
}

/* ---- what does it say ---- */

static hook_verdict read_status(hook_said *s, hook_event *e) {
    text message = hook_value(s, "MessageSid"), call = hook_value(s, "CallSid"),
         code = hook_value(s, "ErrorCode");
    bool is_text = message.len > 0;
    e->provider = is_text ? "twilio-sms" : "twilio-voice";
    e->reference = is_text ? message : call;
    e->said = hook_value(s, is_text ? "MessageStatus" : "CallStatus");
    e->code = code.len ? code : hook_value(s, "AnsweredBy");
    e->receipt = twilio_receipt(e->said);
    if (!provider_reference_good(e->reference) || e->said.len == 0)
        return HOOK_MALFORMED;
    e->kind = is_text || e->receipt != RECEIPT_UNKNOWN ? HOOK_RECEIPT : HOOK_NOTHING;
    return HOOK_GOOD;
}

/* Somebody without a number, a short code or a name, can't be one of ours. */
static hook_verdict read_text(hook_said *s, hook_event *e) {
    e->provider = "twilio-sms";
    e->reference = hook_value(s, "MessageSid");
    e->from = hook_value(s, "From");
    e->said = hook_value(s, "Body");
    if (!provider_reference_good(e->reference) || e->from.len == 0)
        return HOOK_MALFORMED;
    e->kind = e->from.len > 1 && e->from.ptr[0] == '+' ? HOOK_TEXT : HOOK_NOTHING;
    return HOOK_GOOD;
}

static hook_verdict read_key(hook_said *s, hook_event *e) {
    e->provider = "twilio-voice";
    e->reference = hook_value(s, "CallSid");
    e->said = hook_value(s, "Digits");
    return hook_say_key(e);
}

static int speak(const accounts *a, text notification, text say, text menu, text lang, buf *to,
                 const char **ret_type) {
    twiml_add(a->s, notification, say, menu, lang, 1, to);
    if (buf_failed(to) < 0)
        return buf_failed(to);
    *ret_type = "text/xml; charset=utf-8";
    return 0;
}

const hook hook_twilio = {.account = "twilio",
                          .take = take,
                          .status = read_status,
                          .text = read_text,
                          .key = read_key,
                          .speak = speak};
