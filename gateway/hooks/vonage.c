/* vonage.c - Vonage's webhooks: JSON, forms, or queries, signed in one of two ways with the account's
 * signature secret:
 *
 *   - a JWT (HS256) in Authorization, whose payload_hash is the SHA-256 of the body. It says nothing of the
 *     query, so that whatever comes without a body is not believed by it;
 *   - `sig` among the parameters, an HMAC-SHA256 over the others. (MD5, which an account may be set to, is
 * not believed.)
 *
 * Both carry a time. They repeat for a day what was not taken, perhaps under the time of the first try, so
 * that a day is good: what is said twice is one event to us. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/uuid.h"
#include "core/mac.h"
#include "gateway/hooks/hook.h"
#include "gateway/providers/vonage.h"

extern const hook hook_vonage;

#define MESSAGE_MAX (64 << 10)
#define AHEAD_S     300 /* how far their clock may be from ours */
#define BEHIND_S    (24 * 3600 + AHEAD_S)

/* ---- taking it down ---- */

static void take_down(hook_said *s, const char *name, text value) {
    if (s->count == HOOK_PAIRS_MAX) {
        s->overflow = true;
        return;
    }
    form_pair *one = &s->pairs[s->count];
    one->name = hook_keep(s, text_of(name));
    one->value = hook_keep(s, value);
    if (!s->overflow)
        s->count++;
}

/* "dtmf" is an object, and in its older form the digits themselves. */
static int take_down_member(void *context, const char *name, const json *value) {
    char digits[32];
    hook_said *s = context;
    if (strcmp(name, "dtmf") == 0 && json_kind_of(value) == JSON_OBJECT)
        value = json_get(value, "digits");
    text t = provider_scalar(value, digits);
    if (t.ptr)
        take_down(s, name, t);
    return 0;
}

static bool take_down_json(const http_request *r, hook_said *s) {
    CLEANUP(json_freep) json *body = NULL;
    if (json_parse_once(r->body, &body) != JSON_OK || json_kind_of(body) != JSON_OBJECT)
        return false;
    (void)json_each(body, take_down_member, s);
    return !s->overflow;
}

static bool is_json(const http_request *r) {
    text body = text_trim(r->body);
    return body.len > 0 && body.ptr[0] == '{';
}

/* ---- is it theirs ---- */

static bool is_recent(int64_t at, instant now) {
    int64_t seconds = now / INSTANT_SECOND;
    return at >= seconds - BEHIND_S && at <= seconds + AHEAD_S;
}

static bool claims_good(const json *claims, const http_request *r, instant now) {
    const json *iat = json_get(claims, "iat"), *exp = json_get(claims, "exp");
    if (json_kind_of(iat) != JSON_INTEGER || !is_recent(json_integer(iat), now))
        return false;
    if (exp && (json_kind_of(exp) != JSON_INTEGER || json_integer(exp) < now / INSTANT_SECOND - AHEAD_S))
        return false;
    return r->body.len > 0 && hook_digest_is(r->body, json_get_string(claims, "payload_hash"));
}

static bool token_good(text secret, text token, const http_request *r, instant now) {
    CLEANUP(buf_release) buf payload = BUF(REQUEST_BODY_MAX);
    CLEANUP(json_freep) json *claims = NULL;
    return jws_hs256_good(token, secret, &payload) &&
           json_parse_once(buf_text(&payload), &claims) == JSON_OK && claims_good(claims, r, now);
}

static int by_name(const void *a, const void *b) {
    const form_pair *one = a, *other = b;
    return hook_order(one->name, other->name);
}

/* "&name=value" of each, sorted; what would look like a separator in a value is '_'. */
static void add_signed(const form_pair *pair, buf *to) {
    buf_add_char(to, '&');
    buf_add_text(to, pair->name);
    buf_add_char(to, '=');
    for (size_t i = 0; i < pair->value.len; i++) {
        char c = pair->value.ptr[i];
        buf_add_char(to, c == '&' || c == '=' ? '_' : c);
    }
}

/* `ours`: count what our own address added to their query. */
static bool sig_good(text secret, const hook_said *s, bool ours) {
    uint8_t mac[SHA256_LEN];
    form_pair sorted[HOOK_PAIRS_MAX];
    char wanted[2 * SHA256_LEN];
    CLEANUP(buf_release) buf message = BUF(MESSAGE_MAX);
    CLEANUP(buf_release) buf expected = BUF(2 * SHA256_LEN);
    text sig = hook_value(s, "sig");
    if (s->count > 0)
        memcpy(sorted, s->pairs, s->count * sizeof sorted[0]);
    qsort(sorted, s->count, sizeof sorted[0], by_name);
    for (size_t i = 0; i < s->count; i++)
        if (!text_equal(sorted[i].name, TEXT("sig")) && (ours || !text_equal(sorted[i].name, TEXT("n"))))
            add_signed(&sorted[i], &message);
    if (sig.len != sizeof wanted || buf_failed(&message) < 0 ||
        hmac_sha256(secret, buf_text(&message), mac) < 0)
        return false;
    hex_add(mac, sizeof mac, &expected);
    for (size_t i = 0; i < sizeof wanted; i++)
        wanted[i] = sig.ptr[i] >= 'A' && sig.ptr[i] <= 'F' ? (char)(sig.ptr[i] + 32) : sig.ptr[i];
    return buf_failed(&expected) == 0 && mac_equal(buf_text(&expected), (text){wanted, sizeof wanted});
}

static bool is_theirs(const accounts *a, const http_request *r, const hook_said *s, instant now) {
    static const text bearer = TEXT("Bearer ");
    text secret = text_of(a->vonage_signature), given = request_header_of(r, "Authorization");
    int64_t at = 0;
    if (secret.len == 0)
        return false;
    if (given.len > bearer.len && strncasecmp(given.ptr, bearer.ptr, bearer.len) == 0)
        return token_good(secret, text_trim((text){given.ptr + bearer.len, given.len - bearer.len}), r, now);
    return text_to_i64(hook_value(s, "timestamp"), 0, INT64_MAX / INSTANT_SECOND, &at) == 0 &&
           is_recent(at, now) && (sig_good(secret, s, false) || sig_good(secret, s, true));
}

static hook_verdict take(const accounts *a, const http_request *r, instant now, hook_said *s) {
    bool understood = is_json(r) ? take_down_json(r, s) : hook_take_form(s, r->body.len ? r->body : r->query);
    if (!is_theirs(a, r, s, now))
        return HOOK_FORGED;
    return understood ? HOOK_GOOD : HOOK_MALFORMED;
}

/* ---- what does it say ---- */

static text first_of(const hook_said *s, const char *name, const char *or_else) {
    text t = hook_value(s, name);
    return t.len ? t : hook_value(s, or_else);
}

static hook_verdict read_text_status(hook_said *s, hook_event *e) {
    uuid id;
    text ours = hook_value(s, "client-ref");
    e->provider = "vonage-sms";
    e->reference = first_of(s, "messageId", "message-id");
    e->said = hook_value(s, "status");
    e->code = hook_value(s, "err-code");
    e->receipt = vonage_text_receipt(e->said);
    if (uuid_parse(ours, &id) == 0)
        e->notification = ours; /* signed, which the address is not */
    if (!provider_reference_good(e->reference) || e->said.len == 0)
        return HOOK_MALFORMED;
    e->kind = HOOK_RECEIPT;
    return HOOK_GOOD;
}

/* Much happens in a call that is nothing to us. */
static hook_verdict read_call_event(hook_said *s, hook_event *e) {
    e->provider = "vonage-voice";
    e->reference = hook_value(s, "uuid");
    e->said = hook_value(s, "status");
    e->code = first_of(s, "detail", "reason");
    e->receipt = vonage_call_receipt(e->said);
    bool known = provider_reference_good(e->reference) && e->receipt != RECEIPT_UNKNOWN;
    e->kind = known ? HOOK_RECEIPT : HOOK_NOTHING;
    return HOOK_GOOD;
}

static bool all_digits(text t) {
    for (size_t i = 0; i < t.len; i++)
        if (t.ptr[i] < '0' || t.ptr[i] > '9')
            return false;
    return t.len > 0;
}

static hook_verdict read_text(hook_said *s, hook_event *e) {
    text number = hook_value(s, "msisdn");
    e->provider = "vonage-sms";
    e->reference = first_of(s, "messageId", "message-id");
    e->said = hook_value(s, "text");
    if (!provider_reference_good(e->reference) || number.len == 0)
        return HOOK_MALFORMED;
    text plus = hook_keep(s, TEXT("+"));
    text digits = hook_keep(s, number);
    if (s->overflow)
        return HOOK_MALFORMED;
    e->from = (text){plus.ptr, plus.len + digits.len};
    e->kind = all_digits(number) ? HOOK_TEXT : HOOK_NOTHING;
    return HOOK_GOOD;
}

static hook_verdict read_key(hook_said *s, hook_event *e) {
    e->provider = "vonage-voice";
    e->reference = hook_value(s, "uuid");
    e->said = hook_value(s, "dtmf");
    return hook_say_key(e);
}

static int speak(const accounts *a, text notification, text say, text menu, text lang, buf *to,
                 const char **ret_type) {
    CLEANUP(json_freep) json *all = ncco_new(a->s, notification, say, menu, lang, 1);
    if (!all)
        return -ENOMEM;
    json_print(all, to);
    if (buf_failed(to) < 0)
        return buf_failed(to);
    *ret_type = "application/json";
    return 0;
}

const hook hook_vonage = {.account = "vonage",
                          .take = take,
                          .status = read_text_status,
                          .text = read_text,
                          .key = read_key,
                          .event = read_call_event,
                          .speak = speak};
