/* Webhooks as they arrive, signed or nearly so. */
#ifndef MAYDAY_TESTS_HOOK_SUPPORT_H
#define MAYDAY_TESTS_HOOK_SUPPORT_H

#include "core/base64url.h"
#include "core/mac.h"
#include "gateway/hooks/hook.h"
#include "provider_support.h"

static inline const hook *hook_named(const char *account) {
    for (const hook *const *h = hooks; *h; h++)
        if (strcmp((*h)->account, account) == 0)
            return *h;
    ck_abort_msg("no hooks of %s", account);
    return NULL;
}

static inline void add_header(http_request *r, text name, text value) {
    r->headers[r->header_count++] = (request_header){name, value};
}

/* Signs `said` as Twilio does; appends the signature. */
static inline void twilio_sign(const char *token, text said, buf *to) {
    uint8_t mac[SHA1_LEN];
    ck_assert_int_eq(hmac_sha1(text_of(token), said, mac), 0);
    base64_add(mac, sizeof mac, to);
}

/* A JWT of `claims`, HS256; appended behind "Bearer ". */
static inline void vonage_bearer(const char *secret, text header, text claims, buf *to) {
    uint8_t mac[SHA256_LEN];
    buf_add_text(to, TEXT("Bearer "));
    size_t start = to->len;
    base64url_encode(header, to);
    buf_add_char(to, '.');
    base64url_encode(claims, to);
    ck_assert_int_eq(hmac_sha256(text_of(secret), (text){to->ptr + start, to->len - start}, mac), 0);
    buf_add_char(to, '.');
    base64url_encode((text){(const char *)mac, sizeof mac}, to);
}

#endif
