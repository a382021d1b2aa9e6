/* Any bytes as a webhook: the first byte chooses whose and what, the rest is the query, a line feed, the
 * body. Sent as it is it is always forged; signed here, by a way of our own, it is never. What is understood
 * lies in the space it was given, holds no NUL, and can be spoken. */
#include <stdlib.h>
#include <string.h>
#include "core/base64url.h"
#include "core/mac.h"
#include "gateway/hooks/hook.h"

#define NOW    (INT64_C(1800000000) * INSTANT_SECOND)
#define SECRET "known to the fuzzer"
#define URL    "https://alarm.example.org"
#define PATH   "/hooks/x/y"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const whats[] = {"status", "text", "key", "event", "else"};

/* ---- signing ---- */

static int compare(text a, text b) {
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_pairs(const form_pair *a, const form_pair *b) {
    int order = compare(a->name, b->name);
    return order ? order : compare(a->value, b->value);
}

/* The smallest pair that is greater than the last, and so on. False: it is no form. */
static bool sign_twilio(const http_request *r, buf *to) {
    static char space[HOOK_SPACE];
    form_pair pairs[256];
    uint8_t mac[SHA1_LEN];
    int count = form_read(r->body, space, 16 << 10, pairs, ARRAY_LEN(pairs));
    CLEANUP(buf_release) buf said = BUF(1 << 20);
    buf_add_text(&said, TEXT(URL PATH));
    if (r->query.ptr) {
        buf_add_char(&said, '?');
        buf_add_text(&said, r->query);
    }
    for (const form_pair *last = NULL, *next; count > 0; last = next) {
        next = NULL;
        for (int i = 0; i < count; i++)
            if ((!last || compare_pairs(&pairs[i], last) > 0) &&
                (!next || compare_pairs(&pairs[i], next) < 0))
                next = &pairs[i];
        if (!next)
            break;
        buf_add_text(&said, next->name);
        buf_add_text(&said, next->value);
    }
    if (count < 0 || hmac_sha1(TEXT(SECRET), buf_text(&said), mac) < 0)
        return false;
    base64_add(mac, sizeof mac, to);
    return true;
}

static bool sign_vonage(const http_request *r, buf *to) {
    uint8_t mac[SHA256_LEN];
    CLEANUP(buf_release) buf claims = BUF(4096);
    if (r->body.len == 0 || sha256(r->body, mac) < 0)
        return false;
    buf_add_text(&claims, TEXT("{\"iat\":1800000000,\"payload_hash\":\""));
    hex_add(mac, sizeof mac, &claims);
    buf_add_text(&claims, TEXT("\"}"));
    buf_add_text(to, TEXT("Bearer "));
    base64url_encode(TEXT("{\"alg\":\"HS256\"}"), to);
    buf_add_char(to, '.');
    base64url_encode(buf_text(&claims), to);
    if (hmac_sha256(TEXT(SECRET), (text){to->ptr + 7, to->len - 7}, mac) < 0)
        return false;
    buf_add_char(to, '.');
    base64url_encode((text){(const char *)mac, sizeof mac}, to);
    return true;
}

/* ---- what has to hold ---- */

static void is_within(text t, const hook_space *space) {
    if (t.len == 0)
        return;
    if (t.ptr < space->bytes || t.ptr + t.len > space->bytes + sizeof space->bytes ||
        memchr(t.ptr, '\0', t.len))
        abort();
}

static void check(const hook *h, const accounts *a, const hook_event *e, const hook_space *space) {
    const char *type = NULL;
    CLEANUP(buf_release) buf spoken = BUF(1 << 20);
    is_within(e->reference, space);
    is_within(e->notification, space);
    is_within(e->from, space);
    is_within(e->said, space);
    is_within(e->code, space);
    if (e->kind == HOOK_KEY && (e->said.len == 0 || e->reference.len == 0))
        abort();
    if (e->kind == HOOK_TEXT && (e->from.len < 2 || e->from.ptr[0] != '+'))
        abort();
    if (e->kind != HOOK_NOTHING && !provider_named(text_of(e->provider)))
        abort();
    if (h->speak(a, e->notification, e->said, e->code, e->from, &spoken, &type) < 0 || !type)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static hook_space space;
    const settings s = {.notify_public_url = (char *)URL};
    const accounts a = {.s = &s, .twilio_token = (char *)SECRET, .vonage_signature = (char *)SECRET};
    hook_event e;
    if (size == 0 || size > REQUEST_BODY_MAX)
        return 0;
    bool twilio = data[0] & 1;
    text rest = {(const char *)data + 1, size - 1}, what = text_of(whats[(data[0] >> 1) % ARRAY_LEN(whats)]);
    http_request r = {.method = TEXT("POST"), .path = TEXT(PATH), .header_count = 1};
    (void)text_next(&rest, '\n', &r.query);
    r.body = rest;
    const hook *h = hooks[0];
    for (size_t i = 0; hooks[i]; i++)
        if (strcmp(hooks[i]->account, twilio ? "twilio" : "vonage") == 0)
            h = hooks[i];
    r.headers[0] = (request_header){twilio ? TEXT("X-Twilio-Signature") : TEXT("Authorization"),
                                    (text){(const char *)data, size}};
    if (hook_read(h, &a, &r, what, NOW, &space, &e) != HOOK_FORGED)
        abort();
    CLEANUP(buf_release) buf signature = BUF(8192);
    if (!(twilio ? sign_twilio(&r, &signature) : sign_vonage(&r, &signature)))
        return 0;
    r.headers[0].value = buf_text(&signature);
    hook_verdict v = hook_read(h, &a, &r, what, NOW, &space, &e);
    if (v == HOOK_FORGED)
        abort();
    if (v == HOOK_GOOD)
        check(h, &a, &e, &space);
    return 0;
}
