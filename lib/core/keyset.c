/* keyset.c - a JWK Set, made ready to verify.
 *
 * All that OpenSSL looks up by name (digests, signature and MAC implementations) is looked up here once, and
 * each key keeps a context on which a verification can start at once. That makes a verification cost little
 * more than its arithmetic; it also makes a set belong to one thread at a time. */
#include "core/keyset_private.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/jwk.h"

#define TOKEN_DEPTH    16 /* of arrays and objects in a token */
#define COORDINATE_MAX 66
#define DER_MAX        (3 + 2 * (3 + COORDINATE_MAX))

struct ready_key {
    jwk key;
    EVP_MD *digest;       /* RSA, EC */
    EVP_PKEY_CTX *verify; /* RSA, EC: initialised, padding and digest set */
    EVP_MD_CTX *message;  /* EdDSA: initialised */
    EVP_MAC_CTX *mac;     /* HMAC: keyed */
};

struct keyset {
    ready_key *keys;
    size_t count;
    EVP_MD_CTX *hash;
    json_parser *parser;
};

static void ready_key_release(ready_key *r) {
    EVP_PKEY_CTX_free(r->verify);
    EVP_MD_CTX_free(r->message);
    EVP_MAC_CTX_free(r->mac);
    EVP_MD_free(r->digest);
    jwk_release(&r->key);
}

static bool set_padding(EVP_PKEY_CTX *ctx, algorithm_family family) {
    if (family == FAMILY_PKCS1)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    if (family == FAMILY_PSS)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    return true;
}

static bool prepare_digest_key(ready_key *r) {
    r->digest = EVP_MD_fetch(NULL, r->key.alg->digest, NULL);
    r->verify = EVP_PKEY_CTX_new_from_pkey(NULL, r->key.pkey, NULL);
    return r->digest && r->verify && EVP_PKEY_verify_init(r->verify) == 1 &&
           set_padding(r->verify, r->key.alg->family) &&
           EVP_PKEY_CTX_set_signature_md(r->verify, r->digest) == 1;
}

static bool prepare_eddsa(ready_key *r) {
    r->message = EVP_MD_CTX_new();
    return r->message && EVP_DigestVerifyInit(r->message, NULL, NULL, NULL, r->key.pkey) == 1;
}

static bool prepare_hmac(ready_key *r) {
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)r->key.alg->digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    r->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    return r->mac && EVP_MAC_init(r->mac, r->key.secret, r->key.secret_len, params) == 1;
}

static bool prepare(ready_key *r) {
    switch (r->key.alg->family) {
    case FAMILY_HMAC:
        return prepare_hmac(r);
    case FAMILY_PKCS1:
    case FAMILY_PSS:
    case FAMILY_ECDSA:
        return prepare_digest_key(r);
    case FAMILY_EDDSA:
        return prepare_eddsa(r);
    case FAMILY_NONE:
        break;
    }
    return false;
}

/* Only a kid that cannot disturb a log line is quoted. */
static bool is_quotable(text kid) {
    for (size_t i = 0; i < kid.len; i++)
        if (kid.ptr[i] <= ' ' || kid.ptr[i] > '~')
            return false;
    return kid.ptr && kid.len > 0 && kid.len <= 64;
}

static int refuse(char *why, size_t index, text kid, const char *what) {
    if (is_quotable(kid))
        (void)snprintf(why, TOKEN_WHY_MAX, "key %zu (kid '%.*s'): %s", index + 1, (int)kid.len, kid.ptr,
                       what);
    else
        (void)snprintf(why, TOKEN_WHY_MAX, "key %zu: %s", index + 1, what);
    return -EBADMSG;
}

static int refuse_all(char *why, int fault, const char *what) {
    (void)snprintf(why, TOKEN_WHY_MAX, "%s", what);
    return fault;
}

static text kid_of(const ready_key *r) {
    return (text){r->key.kid, r->key.kid_len};
}

/* Takes one element of the set over into keys->keys[keys->count], unless it is not for us. */
static int add_key(keyset *keys, const json *element, size_t index, char *why) {
    char what[JWK_WHY_MAX];
    ready_key *r = &keys->keys[keys->count];
    text kid = json_get_string(element, "kid");
    switch (jwk_read(element, JWK_PUBLIC, &r->key, what)) {
    case JWK_SKIPPED:
        return 0;
    case JWK_MALFORMED:
        return refuse(why, index, kid, what);
    case JWK_NO_MEMORY:
        return refuse_all(why, -ENOMEM, "out of memory");
    case JWK_OK:
        break;
    }
    keys->count++; /* from here on keyset_free() takes care of it */
    for (size_t i = 0; r->key.kid && i + 1 < keys->count; i++)
        if (text_equal(kid_of(&keys->keys[i]), kid))
            return refuse(why, index, kid, "another key has the same kid");
    return prepare(r) ? 0 : refuse_all(why, -ENOMEM, "out of memory, or a cipher that OpenSSL lacks");
}

/* Without a kid a key can be chosen only when it is alone. */
static int check_names(const keyset *keys, char *why) {
    for (size_t i = 0; keys->count > 1 && i < keys->count; i++)
        if (!keys->keys[i].key.kid)
            return refuse_all(why, -EBADMSG, "of several keys, one has no 'kid'");
    return 0;
}

static int add_keys(keyset *keys, const json *root, char *why) {
    const json *list = json_get(root, "keys");
    size_t n = json_length(list);
    if (json_kind_of(list) != JSON_ARRAY)
        return refuse_all(why, -EBADMSG, "not a JWK Set: an object with an array 'keys' is expected");
    if (n > KEYSET_KEYS_MAX)
        return refuse_all(why, -EBADMSG, "it holds more than 256 keys");
    keys->keys = calloc(n ? n : 1, sizeof *keys->keys);
    keys->hash = EVP_MD_CTX_new();
    keys->parser = json_parser_new(TOKEN_DEPTH);
    if (!keys->keys || !keys->hash || !keys->parser)
        return refuse_all(why, -ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        int fault = add_key(keys, json_at(list, i), i, why);
        if (fault < 0)
            return fault;
    }
    if (keys->count == 0)
        return refuse_all(why, -EBADMSG, "it holds no key that a token can be verified with");
    return check_names(keys, why);
}

int keyset_parse(text jwks, keyset **ret_keys, char ret_why[TOKEN_WHY_MAX]) {
    CLEANUP(json_freep) json *root = NULL;
    CLEANUP(keyset_freep) keyset *keys = calloc(1, sizeof *keys);
    if (!keys)
        return refuse_all(ret_why, -ENOMEM, "out of memory");
    json_verdict verdict = json_parse_once(jwks, &root);
    if (verdict != JSON_OK)
        return refuse_all(ret_why, verdict == JSON_NO_MEMORY ? -ENOMEM : -EBADMSG,
                          json_verdict_name(verdict));
    ERR_set_mark();
    int fault = add_keys(keys, root, ret_why);
    ERR_pop_to_mark();
    if (fault < 0)
        return fault;
    *ret_keys = keys;
    keys = NULL;
    return 0;
}

keyset *keyset_free(keyset *keys) {
    if (keys) {
        for (size_t i = 0; i < keys->count; i++)
            ready_key_release(&keys->keys[i]);
        free(keys->keys);
        EVP_MD_CTX_free(keys->hash);
        (void)json_parser_free(keys->parser);
        free(keys);
    }
    return NULL;
}

size_t keyset_count(const keyset *keys) {
    return keys->count;
}

json_parser *keyset_parser(const keyset *keys) {
    return keys->parser;
}

/* A token that names no key means the only one of its algorithm. */
static token_verdict choose_unnamed(const keyset *keys, const algorithm *alg, const ready_key **ret_key) {
    const ready_key *only = NULL;
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->keys[i].key.alg != alg)
            continue;
        if (only)
            return TOKEN_UNKNOWN_KEY;
        only = &keys->keys[i];
    }
    if (!only)
        return TOKEN_WRONG_ALGORITHM;
    *ret_key = only;
    return TOKEN_ACCEPTED;
}

token_verdict keyset_choose(const keyset *keys, text kid, const algorithm *alg, const ready_key **ret_key) {
    if (!alg)
        return TOKEN_WRONG_ALGORITHM;
    if (!kid.ptr)
        return choose_unnamed(keys, alg, ret_key);
    for (size_t i = 0; i < keys->count; i++) {
        if (!keys->keys[i].key.kid || !text_equal(kid, kid_of(&keys->keys[i])))
            continue;
        if (keys->keys[i].key.alg != alg)
            return TOKEN_WRONG_ALGORITHM;
        *ret_key = &keys->keys[i];
        return TOKEN_ACCEPTED;
    }
    return TOKEN_UNKNOWN_KEY;
}

static bool hash(const keyset *keys, const ready_key *key, text message, unsigned char *to) {
    return EVP_DigestInit_ex2(keys->hash, key->digest, NULL) == 1 &&
           EVP_DigestUpdate(keys->hash, message.ptr, message.len) == 1 &&
           EVP_DigestFinal_ex(keys->hash, to, NULL) == 1;
}

/* An unsigned big-endian number as a DER INTEGER; returns the bytes written. */
static size_t der_integer(const unsigned char *number, size_t len, unsigned char *to) {
    while (len > 1 && number[0] == 0) {
        number++;
        len--;
    }
    size_t sign = number[0] & 0x80 ? 1 : 0; /* a leading zero keeps it positive */
    to[0] = 0x02;
    to[1] = (unsigned char)(len + sign);
    to[2] = 0;
    memcpy(to + 2 + sign, number, len);
    return 2 + sign + len;
}

/* r||s as the DER SEQUENCE that OpenSSL expects (RFC 3279 section 2.2.3); returns its length. */
static size_t der_signature(const unsigned char *raw, size_t half, unsigned char to[DER_MAX]) {
    unsigned char body[DER_MAX];
    size_t len = der_integer(raw, half, body);
    len += der_integer(raw + half, half, body + len);
    size_t head = len < 0x80 ? 2 : 3; /* P-521 needs the long form */
    to[0] = 0x30;
    to[1] = 0x81;
    to[head - 1] = (unsigned char)len;
    memcpy(to + head, body, len);
    return head + len;
}

static bool check_digest_signature(const keyset *keys, const ready_key *key, text message, text signature) {
    unsigned char digest[EVP_MAX_MD_SIZE], der[DER_MAX];
    const unsigned char *raw = (const unsigned char *)signature.ptr;
    size_t len = signature.len;
    if (key->key.alg->family == FAMILY_ECDSA) {
        len = der_signature(raw, len / 2, der);
        raw = der;
    }
    return hash(keys, key, message, digest) &&
           EVP_PKEY_verify(key->verify, raw, len, digest, key->key.alg->digest_len) == 1;
}

static bool check_hmac(const ready_key *key, text message, text signature) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t len = 0;
    return EVP_MAC_init(key->mac, NULL, 0, NULL) == 1 && /* starts again under the same key */
           EVP_MAC_update(key->mac, (const unsigned char *)message.ptr, message.len) == 1 &&
           EVP_MAC_final(key->mac, mac, &len, sizeof mac) == 1 && len == signature.len &&
           CRYPTO_memcmp(mac, signature.ptr, len) == 0;
}

static bool check_eddsa(const ready_key *key, text message, text signature) {
    return EVP_DigestVerify(key->message, (const unsigned char *)signature.ptr, signature.len,
                            (const unsigned char *)message.ptr, message.len) == 1;
}

static size_t signature_len(const ready_key *key) {
    size_t fixed = key->key.alg->signature_len;
    return fixed ? fixed : (size_t)EVP_PKEY_get_size(key->key.pkey);
}

token_verdict keyset_check_signature(const keyset *keys, const ready_key *key, text signed_part,
                                     text signature) {
    bool right = false;
    if (signature.len != signature_len(key))
        return TOKEN_BAD_SIGNATURE;
    ERR_set_mark(); /* a refusal must not be left for the host's TLS to stumble over */
    switch (key->key.alg->family) {
    case FAMILY_HMAC:
        right = check_hmac(key, signed_part, signature);
        break;
    case FAMILY_PKCS1:
    case FAMILY_PSS:
    case FAMILY_ECDSA:
        right = check_digest_signature(keys, key, signed_part, signature);
        break;
    case FAMILY_EDDSA:
        right = check_eddsa(key, signed_part, signature);
        break;
    case FAMILY_NONE:
        break;
    }
    ERR_pop_to_mark();
    return right ? TOKEN_ACCEPTED : TOKEN_BAD_SIGNATURE;
}
