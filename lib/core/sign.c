/* sign.c - sign tokens; see sign.h. Making the keys is keygen.c. */
#include "core/sign.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/base64url.h"
#include "core/jwk.h"

#define SIGNATURE_MAX 2048 /* RSA of 16384 bits */

struct signer {
    jwk key;
};

int signer_new(const json *jwk_json, signer **ret_signer, char ret_why[SIGN_WHY_MAX]) {
    _Static_assert(SIGN_WHY_MAX >= JWK_WHY_MAX, "a key's fault fits");
    signer *s = calloc(1, sizeof *s);
    if (!s) {
        (void)snprintf(ret_why, SIGN_WHY_MAX, "out of memory");
        return -ENOMEM;
    }
    jwk_verdict verdict = jwk_read(jwk_json, JWK_PRIVATE, &s->key, ret_why);
    if (verdict != JWK_OK) {
        (void)signer_free(s);
        return verdict == JWK_NO_MEMORY ? -ENOMEM : -EBADMSG;
    }
    *ret_signer = s;
    return 0;
}

signer *signer_free(signer *s) {
    if (s) {
        jwk_release(&s->key);
        free(s);
    }
    return NULL;
}

static bool sign_hmac(const jwk *key, text message, unsigned char *to, size_t *ret_len) {
    return EVP_Q_mac(NULL, "HMAC", NULL, key->alg->digest, NULL, key->secret, key->secret_len,
                     (const unsigned char *)message.ptr, message.len, to, SIGNATURE_MAX, ret_len) != NULL;
}

static bool set_padding(EVP_PKEY_CTX *ctx, algorithm_family family) {
    if (family != FAMILY_PSS)
        return true; /* PKCS #1 is what RSA starts with, the others have none */
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool sign_with_pkey(const jwk *key, text message, unsigned char *to, size_t *ret_len) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL; /* belongs to ctx */
    *ret_len = SIGNATURE_MAX;
    bool done = ctx &&
                EVP_DigestSignInit_ex(ctx, &options, key->alg->digest, NULL, NULL, key->pkey, NULL) == 1 &&
                set_padding(options, key->alg->family) &&
                EVP_DigestSign(ctx, to, ret_len, (const unsigned char *)message.ptr, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    return done;
}

/* OpenSSL's DER in place becomes r||s, each as long as the curve's order. */
static bool unwrap_ecdsa(const jwk *key, unsigned char *signature, size_t *len) {
    const unsigned char *der = signature;
    int half = (int)key->alg->signature_len / 2;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)*len);
    bool done = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, half) == half &&
                BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + half, half) == half;
    ECDSA_SIG_free(sig);
    *len = key->alg->signature_len;
    return done;
}

static bool sign_bytes(const jwk *key, text message, unsigned char *to, size_t *ret_len) {
    switch (key->alg->family) {
    case FAMILY_HMAC:
        return sign_hmac(key, message, to, ret_len);
    case FAMILY_PKCS1:
    case FAMILY_PSS:
    case FAMILY_EDDSA:
        return sign_with_pkey(key, message, to, ret_len);
    case FAMILY_ECDSA:
        return sign_with_pkey(key, message, to, ret_len) && unwrap_ecdsa(key, to, ret_len);
    case FAMILY_NONE:
        break;
    }
    return false;
}

int signer_sign_as(const signer *s, text header, text payload, buf *to) {
    unsigned char signature[SIGNATURE_MAX];
    size_t len = 0, start = to->len;
    base64url_encode(header, to);
    buf_add_char(to, '.');
    base64url_encode(payload, to);
    if (buf_failed(to) < 0)
        return buf_failed(to);
    ERR_set_mark();
    bool done = sign_bytes(&s->key, (text){to->ptr + start, to->len - start}, signature, &len);
    ERR_pop_to_mark();
    if (!done)
        return -ENOMEM;
    buf_add_char(to, '.');
    base64url_encode((text){(const char *)signature, len}, to);
    return buf_failed(to);
}

int signer_sign_typed(const signer *s, text typ, text payload, buf *to) {
    CLEANUP(json_freep) json *header = json_new_object();
    CLEANUP(buf_release) buf printed = BUF(4096);
    text kid = {s->key.kid, s->key.kid_len};
    if (!header || json_put(header, "alg", json_new_string(text_of(s->key.alg->name))) < 0 ||
        json_put(header, "typ", json_new_string(typ)) < 0 ||
        (kid.ptr && json_put(header, "kid", json_new_string(kid)) < 0))
        return -ENOMEM;
    json_print(header, &printed);
    return buf_failed(&printed) < 0 ? buf_failed(&printed)
                                    : signer_sign_as(s, buf_text(&printed), payload, to);
}

int signer_sign(const signer *s, text payload, buf *to) {
    return signer_sign_typed(s, TEXT("JWT"), payload, to);
}
