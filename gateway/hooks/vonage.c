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
#include "gateway/hook.h"
#include "gateway/vonage.h"

extern const hook hook_vonage;

#define PAIRS_MAX   128
#define MESSAGE_MAX (64 << 10)
#define AHEAD_S     300 /* how far their clock may be from ours */
#define BEHIND_S    (24 * 3600 + AHEAD_S)

/* What was said, whatever it came as. The texts lie in a hook_space. */
typedef struct said {
    form_pair pairs[PAIRS_MAX];
    size_t count;
    char *space;
    size_t left;
    bool overflow;
} said;

static text value_of(const said *s, const char *name) {
    for (size_t i = 0; i < s->count; i++)
        if (text_equal(s->pairs[i].name, text_of(name)))
            return s->pairs[i].value;
    return (text){0};
}

/* ---- taking it down ---- */

static text keep(said *s, text t) {
    if (s->left < t.len) {
        s->overflow = true;
        return (text){0};
    }
    text kept = {s->space, t.len};
    if (t.len)
        memcpy(s->space, t.ptr, t.len);
    s->space += t.len;
    s->left -= t.len;
    return kept;
}

static void take_down(said *s, const char *name, text value) {
    if (s->count == PAIRS_MAX) {
        s->overflow = true;
        return;
    }
    form_pair *one = &s->pairs[s->count];
    one->name = keep(s, text_of(name));
    one->value = keep(s, value);
    if (!s->overflow)
        s->count++;
}

/* "dtmf" is an object, and in its older form the digits themselves. */
static int take_down_member(void *context, const char *name, const json *value) {
    char digits[32];
    said *s = context;
    if (strcmp(name, "dtmf") == 0 && json_kind_of(value) == JSON_OBJECT)
        value = json_get(value, "digits");
    text t = provider_scalar(value, digits);
    if (t.ptr)
        take_down(s, name, t);
    return 0;
}

static bool take_down_json(const http_request *r, said *s) {
    CLEANUP(json_freep) json *body = NULL;
    if (json_parse_once(r->body, &body) != JSON_OK || json_kind_of(body) != JSON_OBJECT)
        return false;
    (void)json_each(body, take_down_member, s);
    return !s->overflow;
}

static bool take_down_form(text form, said *s) {
    int count = form_read(form, s->space, s->left, s->pairs, PAIRS_MAX);
    if (count < 0)
        return false;
    s->count = (size_t)count;
    for (size_t i = 0; i < s->count; i++) { /* decoded one behind the other */
        size_t used = s->pairs[i].name.len + s->pairs[i].value.len;
        s->space += used;
        s->left -= used;
    }
    return true;
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

static bool digest_is(text body, text wanted) {
    uint8_t digest[SHA256_LEN];
    CLEANUP(buf_release) buf hex = BUF(2 * SHA256_LEN);
    if (sha256(body, digest) < 0)
        return false;
    hex_add(digest, sizeof digest, &hex);
    return buf_failed(&hex) == 0 && wanted.len == hex.len && strncasecmp(wanted.ptr, hex.ptr, hex.len) == 0;
}

static bool claims_good(const json *claims, const http_request *r, instant now) {
    const json *iat = json_get(claims, "iat"), *exp = json_get(claims, "exp");
    if (json_kind_of(iat) != JSON_INTEGER || !is_recent(json_integer(iat), now))
        return false;
    if (exp && (json_kind_of(exp) != JSON_INTEGER || json_integer(exp) < now / INSTANT_SECOND - AHEAD_S))
        return false;
    return r->body.len > 0 && digest_is(r->body, json_get_string(claims, "payload_hash"));
}

static bool token_good(text secret, text token, const http_request *r, instant now) {
    CLEANUP(buf_release) buf payload = BUF(REQUEST_BODY_MAX);
    CLEANUP(json_freep) json *claims = NULL;
    return jws_hs256_good(token, secret, &payload) &&
           json_parse_once(buf_text(&payload), &claims) == JSON_OK && claims_good(claims, r, now);
}

static int by_name(const void *a, const void *b) {
    const form_pair *one = a, *other = b;
    size_t common = one->name.len < other->name.len ? one->name.len : other->name.len;
    int order = common ? memcmp(one->name.ptr, other->name.ptr, common) : 0;
    return order ? order : (one->name.len > other->name.len) - (one->name.len < other->name.len);
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
static bool sig_good(text secret, const said *s, bool ours) {
    uint8_t mac[SHA256_LEN];
    form_pair sorted[PAIRS_MAX];
    char wanted[2 * SHA256_LEN];
    CLEANUP(buf_release) buf message = BUF(MESSAGE_MAX);
    CLEANUP(buf_release) buf expected = BUF(2 * SHA256_LEN);
    text sig = value_of(s, "sig");
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

static bool is_theirs(const accounts *a, const http_request *r, const said *s, instant now) {
    static const text bearer = TEXT("Bearer ");
    text secret = text_of(a->vonage_signature), given = request_header_of(r, "Authorization");
    int64_t at = 0;
    if (secret.len == 0)
        return false;
    if (given.len > bearer.len && strncasecmp(given.ptr, bearer.ptr, bearer.len) == 0)
        return token_good(secret, text_trim((text){given.ptr + bearer.len, given.len - bearer.len}), r, now);
    return text_to_i64(value_of(s, "timestamp"), 0, INT64_MAX / INSTANT_SECOND, &at) == 0 &&
           is_recent(at, now) && (sig_good(secret, s, false) || sig_good(secret, s, true));
}

/* ---- what does it say ---- */

static text first_of(const said *s, const char *name, const char *or_else) {
    text t = value_of(s, name);
    return t.len ? t : value_of(s, or_else);
}

static hook_verdict read_text_status(const said *s, hook_event *e) {
    uuid id;
    text ours = value_of(s, "client-ref");
    e->provider = "vonage-sms";
    e->reference = first_of(s, "messageId", "message-id");
    e->said = value_of(s, "status");
    e->code = value_of(s, "err-code");
    e->receipt = vonage_text_receipt(e->said);
    if (uuid_parse(ours, &id) == 0)
        e->notification = ours; /* signed, which the address is not */
    if (!provider_reference_good(e->reference) || e->said.len == 0)
        return HOOK_MALFORMED;
    e->kind = HOOK_RECEIPT;
    return HOOK_GOOD;
}

/* Much happens in a call that is nothing to us. */
static hook_verdict read_call_event(const said *s, hook_event *e) {
    e->provider = "vonage-voice";
    e->reference = value_of(s, "uuid");
    e->said = value_of(s, "status");
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

static hook_verdict read_text(said *s, hook_event *e) {
    text number = value_of(s, "msisdn");
    e->provider = "vonage-sms";
    e->reference = first_of(s, "messageId", "message-id");
    e->said = value_of(s, "text");
    if (!provider_reference_good(e->reference) || number.len == 0)
        return HOOK_MALFORMED;
    text plus = keep(s, TEXT("+"));
    text digits = keep(s, number);
    if (s->overflow)
        return HOOK_MALFORMED;
    e->from = (text){plus.ptr, plus.len + digits.len};
    e->kind = all_digits(number) ? HOOK_TEXT : HOOK_NOTHING;
    return HOOK_GOOD;
}

static hook_verdict read_key(const said *s, hook_event *e) {
    e->provider = "vonage-voice";
    e->reference = value_of(s, "uuid");
    e->said = value_of(s, "dtmf");
    if (!provider_reference_good(e->reference))
        return HOOK_MALFORMED;
    e->kind = e->said.len ? HOOK_KEY : HOOK_NOTHING; /* asked, and nobody pressed one */
    return HOOK_GOOD;
}

static hook_verdict read_event(said *s, text what, hook_event *e) {
    if (text_equal(what, TEXT("status")))
        return read_text_status(s, e);
    if (text_equal(what, TEXT("text")))
        return read_text(s, e);
    if (text_equal(what, TEXT("event")))
        return read_call_event(s, e);
    return text_equal(what, TEXT("key")) ? read_key(s, e) : HOOK_MALFORMED;
}

static text notification_of(const http_request *r, said *s) {
    uuid id;
    char n[64];
    text given = form_value(r->query, "n", n, sizeof n);
    return uuid_parse(given, &id) == 0 ? keep(s, given) : (text){0};
}

/* What is stored later can't hold a NUL. */
static void without_nul(hook_space *space) {
    for (size_t i = 0; i < sizeof space->bytes; i++)
        if (space->bytes[i] == '\0')
            space->bytes[i] = ' ';
}

static hook_verdict read(const accounts *a, const http_request *r, text what, instant now, hook_space *space,
                         hook_event *ret_event) {
    said s = {.space = space->bytes, .left = sizeof space->bytes};
    hook_event e = {0};
    memset(space->bytes, ' ', sizeof space->bytes);
    bool understood =
        is_json(r) ? take_down_json(r, &s) : take_down_form(r->body.len ? r->body : r->query, &s);
    if (!is_theirs(a, r, &s, now))
        return HOOK_FORGED;
    if (!understood)
        return HOOK_MALFORMED;
    hook_verdict verdict = read_event(&s, what, &e);
    if (verdict != HOOK_GOOD)
        return verdict;
    if (!e.notification.ptr)
        e.notification = notification_of(r, &s);
    without_nul(space);
    *ret_event = e;
    return HOOK_GOOD;
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

const hook hook_vonage = {.account = "vonage", .read = read, .speak = speak};
