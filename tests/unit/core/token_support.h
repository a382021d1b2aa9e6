/* token_support.h - a signer and the key set that verifies it, for the tests around tokens. */
#ifndef MAYDAY_TESTS_TOKEN_SUPPORT_H
#define MAYDAY_TESTS_TOKEN_SUPPORT_H

#include <check.h>
#include <errno.h>
#include <string.h>
#include "core/sign.h"
#include "core/token.h"

#define NOW INT64_C(1700000000)

typedef struct issuer {
    json *key;
    signer *signer;
    keyset *keys;
} issuer;

static inline void issuer_release(issuer *i) {
    (void)json_free(i->key);
    (void)signer_free(i->signer);
    (void)keyset_free(i->keys);
}

static inline keyset *keyset_of(text jwks) {
    char why[TOKEN_WHY_MAX] = "";
    keyset *keys = NULL;
    ck_assert_msg(keyset_parse(jwks, &keys, why) == 0, "%s", why);
    return keys;
}

static inline issuer issuer_of(const char *alg) {
    issuer i = {0};
    char why[SIGN_WHY_MAX] = "";
    CLEANUP(json_freep) json *half = NULL;
    CLEANUP(buf_release) buf set = BUF(16384);
    bool is_rsa = strncmp(alg, "RS", 2) == 0 || strncmp(alg, "PS", 2) == 0;
    ck_assert_int_eq(sign_new_key(text_of(alg), is_rsa ? 2048 : 0, &i.key), 0);
    ck_assert_msg(signer_new(i.key, &i.signer, why) == 0, "%s", why);
    ck_assert_int_eq(sign_verifying_half(i.key, &half), 0);
    buf_add_text(&set, TEXT("{\"keys\":["));
    json_print(half, &set);
    buf_add_text(&set, TEXT("]}"));
    i.keys = keyset_of(buf_text(&set));
    return i;
}

static inline token_rules *rules_of(token_rules_spec spec) {
    char why[TOKEN_WHY_MAX] = "";
    token_rules *rules = NULL;
    ck_assert_msg(token_rules_new(&spec, &rules, why) == 0, "%s", why);
    return rules;
}

/* The verdict on `payload` signed by `i`; *ret_claims is written when it is accepted. */
static inline token_verdict judged(const issuer *i, token_rules_spec spec, text payload,
                                   claims **ret_claims) {
    CLEANUP(buf_release) buf token = BUF(1 << 20);
    CLEANUP(token_rules_freep) token_rules *rules = rules_of(spec);
    ck_assert_int_eq(signer_sign(i->signer, payload, &token), 0);
    return token_verify(i->keys, rules, buf_text(&token), NOW, ret_claims);
}

#endif
