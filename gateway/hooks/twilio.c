/* twilio.c - Twilio's webhooks: forms, signed with the account's token over the address they were sent to.
 *
 * That address is ours as they know it: public_url, whatever a proxy made of the request. Their own clients
 * disagree on whether a port is part of it, so that both spellings are good. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/uuid.h"
#include "core/mac.h"
#include "gateway/hook.h"
#include "gateway/twilio.h"

extern const hook hook_twilio;

#define PAIRS_MAX 256
#define URL_MAX   (16 << 10)
#define QUERY_MAX 1024 /* of the space, for what the address says */

typedef struct form {
    form_pair pairs[PAIRS_MAX];
    size_t count;
} form;

static text value_of(const form *f, const char *name) {
    for (size_t i = 0; i < f->count; i++)
        if (text_equal(f->pairs[i].name, text_of(name)))
            return f->pairs[i].value;
    return (text){0};
}

/* ---- is it theirs ---- */

static int compare(text a, text b) {
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_name_and_value(const void *a, const void *b) {
    const form_pair *one = a, *other = b;
    int order = compare(one->name, other->name);
    return order ? order : compare(one->value, other->value);
}

static bool same(const form_pair *a, const form_pair *b) {
    return text_equal(a->name, b->name) && text_equal(a->value, b->value);
}

/* The address, then every name and value in order; what is said twice counts once. */
static bool is_signed(text token, text url, const form *sorted, text signature) {
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

static bool is_theirs(const accounts *a, const http_request *r, const form *sorted) {
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

/* A body that is no form is not in the signature: its digest is in the address. */
static bool digest_is(text body, text wanted) {
    uint8_t digest[SHA256_LEN];
    CLEANUP(buf_release) buf hex = BUF(2 * SHA256_LEN);
    if (sha256(body, digest) < 0)
        return false;
    hex_add(digest, sizeof digest, &hex);
    return buf_failed(&hex) == 0 && wanted.len == hex.len && strncasecmp(wanted.ptr, hex.ptr, hex.len) == 0;
}

static bool is_json(const http_request *r) {
    static const text json_type = TEXT("application/json");
    text type = request_header_of(r, "Content-Type");
    return type.len >= json_type.len && strncasecmp(type.ptr, json_type.ptr, json_type.len) == 0;
}

/* ---- what does it say ---- */

static hook_verdict read_status(const form *f, hook_event *e) {
    text message = value_of(f, "MessageSid"), call = value_of(f, "CallSid"), code = value_of(f, "ErrorCode");
    bool is_text = message.len > 0;
    e->provider = is_text ? "twilio-sms" : "twilio-voice";
    e->reference = is_text ? message : call;
    e->said = value_of(f, is_text ? "MessageStatus" : "CallStatus");
    e->code = code.len ? code : value_of(f, "AnsweredBy");
    e->receipt = twilio_receipt(e->said);
    if (!provider_reference_good(e->reference) || e->said.len == 0)
        return HOOK_MALFORMED;
    e->kind = is_text || e->receipt != RECEIPT_UNKNOWN ? HOOK_RECEIPT : HOOK_NOTHING;
    return HOOK_GOOD;
}

/* Somebody without a number, a short code or a name, can't be one of ours. */
static hook_verdict read_text(const form *f, hook_event *e) {
    e->provider = "twilio-sms";
    e->reference = value_of(f, "MessageSid");
    e->from = value_of(f, "From");
    e->said = value_of(f, "Body");
    if (!provider_reference_good(e->reference) || e->from.len == 0)
        return HOOK_MALFORMED;
    e->kind = e->from.ptr[0] == '+' ? HOOK_TEXT : HOOK_NOTHING;
    return HOOK_GOOD;
}

static hook_verdict read_key(const form *f, hook_event *e) {
    e->provider = "twilio-voice";
    e->reference = value_of(f, "CallSid");
    e->said = value_of(f, "Digits");
    if (!provider_reference_good(e->reference))
        return HOOK_MALFORMED;
    e->kind = e->said.len ? HOOK_KEY : HOOK_NOTHING; /* asked, and nobody pressed one */
    return HOOK_GOOD;
}

static hook_verdict read_event(const form *f, text what, hook_event *e) {
    if (text_equal(what, TEXT("status")))
        return read_status(f, e);
    if (text_equal(what, TEXT("text")))
        return read_text(f, e);
    return text_equal(what, TEXT("key")) ? read_key(f, e) : HOOK_MALFORMED;
}

/* From our own address; what is none of our ids is nobody's. */
static text notification_of(const http_request *r, char *space) {
    uuid id;
    text n = form_value(r->query, "n", space, QUERY_MAX);
    return uuid_parse(n, &id) == 0 ? n : (text){0};
}

/* What is stored later can't hold a NUL. */
static void without_nul(char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (bytes[i] == '\0')
            bytes[i] = ' ';
}

static hook_verdict read(const accounts *a, const http_request *r, text what, instant now, hook_space *space,
                         hook_event *ret_event) {
    (void)now; /* their signature carries no time */
    char *bytes = space->bytes + QUERY_MAX, digest[2 * SHA256_LEN + 1];
    size_t size = sizeof space->bytes - QUERY_MAX;
    form f = {0};
    hook_event e = {0};
    text body_digest = form_value(r->query, "bodySHA256", digest, sizeof digest);
    bool is_form = !is_json(r);
    memset(space->bytes, ' ', sizeof space->bytes);
    int count = is_form ? form_read(r->body, bytes, size, f.pairs, PAIRS_MAX) : 0;
    f.count = count > 0 ? (size_t)count : 0;
    qsort(f.pairs, f.count, sizeof f.pairs[0], by_name_and_value);
    if (count < 0 || !is_theirs(a, r, &f) || (!is_form && !digest_is(r->body, body_digest)))
        return HOOK_FORGED;
    hook_verdict verdict = is_form ? read_event(&f, what, &e) : HOOK_GOOD;
    if (verdict != HOOK_GOOD)
        return verdict;
    without_nul(bytes, size);
    e.notification = notification_of(r, space->bytes);
    *ret_event = e;
    return HOOK_GOOD;
}

static int speak(const accounts *a, text notification, text say, text menu, text lang, buf *to,
                 const char **ret_type) {
    twiml_add(a->s, notification, say, menu, lang, 1, to);
    if (buf_failed(to) < 0)
        return buf_failed(to);
    *ret_type = "text/xml; charset=utf-8";
    return 0;
}

const hook hook_twilio = {.account = "twilio", .read = read, .speak = speak};
