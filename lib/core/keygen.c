/* keygen.c - make private JSON Web Keys and take their public halves; see sign.h.
 * Which members a type of key has, in which order a thumbprint wants them and where OpenSSL keeps each, is
 * one table. */
#include "core/sign.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include "core/algorithm.h"
#include "core/base64url.h"

#define RSA_BITS_DEFAULT 3072
#define NUMBER_MAX       512 /* bytes: 4096 bits */
#define JWK_TEXT_MAX     (64 << 10)

typedef enum part_kind {
    PART_NAME = 0, /* kty, crv */
    PART_PUBLIC,
    PART_PRIVATE,
} part_kind;

typedef struct part {
    const char *kty;
    const char *member;
    part_kind kind;
    const char *parameter; /* OpenSSL's name of a number; NULL for none */
} part;

/* The members that a thumbprint covers come first for each type, in lexicographic order (RFC 7638 3.2). */
static const part parts[] = {
    {"EC", "crv", PART_NAME, NULL},
    {"EC", "kty", PART_NAME, NULL},
    {"EC", "x", PART_PUBLIC, OSSL_PKEY_PARAM_EC_PUB_X},
    {"EC", "y", PART_PUBLIC, OSSL_PKEY_PARAM_EC_PUB_Y},
    {"EC", "d", PART_PRIVATE, OSSL_PKEY_PARAM_PRIV_KEY},
    {"OKP", "crv", PART_NAME, NULL},
    {"OKP", "kty", PART_NAME, NULL},
    {"OKP", "x", PART_PUBLIC, NULL},
    {"OKP", "d", PART_PRIVATE, NULL},
    {"RSA", "e", PART_PUBLIC, OSSL_PKEY_PARAM_RSA_E},
    {"RSA", "kty", PART_NAME, NULL},
    {"RSA", "n", PART_PUBLIC, OSSL_PKEY_PARAM_RSA_N},
    {"RSA", "d", PART_PRIVATE, OSSL_PKEY_PARAM_RSA_D},
    {"RSA", "p", PART_PRIVATE, OSSL_PKEY_PARAM_RSA_FACTOR1},
    {"RSA", "q", PART_PRIVATE, OSSL_PKEY_PARAM_RSA_FACTOR2},
    {"RSA", "dp", PART_PRIVATE, OSSL_PKEY_PARAM_RSA_EXPONENT1},
    {"RSA", "dq", PART_PRIVATE, OSSL_PKEY_PARAM_RSA_EXPONENT2},
    {"RSA", "qi", PART_PRIVATE, OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
    {"oct", "k", PART_PUBLIC, NULL}, /* "public" to a verifier: it has to know the secret */
    {"oct", "kty", PART_NAME, NULL},
};

static bool belongs(const part *p, const json *jwk) {
    return text_equal(json_get_string(jwk, "kty"), text_of(p->kty));
}

static int put_string(json *to, const char *name, const char *value) {
    return json_put(to, name, json_new_string(text_of(value)));
}

static int put_bytes(json *to, const char *name, const unsigned char *bytes, size_t len) {
    CLEANUP(buf_release) buf encoded = BUF(2048);
    base64url_encode((text){(const char *)bytes, len}, &encoded);
    int fault = buf_failed(&encoded) < 0 ? -ENOMEM : json_put(to, name, json_new_string(buf_text(&encoded)));
    if (encoded.ptr)
        OPENSSL_cleanse(encoded.ptr, encoded.len);
    return fault;
}

/* Numbers on a curve have the curve's length, those of RSA have no leading zero bytes. */
static int put_number(json *to, const part *p, const EVP_PKEY *pkey, int width) {
    unsigned char bytes[NUMBER_MAX];
    BIGNUM *number = NULL;
    int fault = -ENOMEM;
    if (EVP_PKEY_get_bn_param(pkey, p->parameter, &number) == 1) {
        int len = width ? width : BN_num_bytes(number);
        if (len <= NUMBER_MAX && BN_bn2binpad(number, bytes, len) == len)
            fault = put_bytes(to, p->member, bytes, (size_t)len);
    }
    BN_clear_free(number);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return fault;
}

static int put_raw_halves(json *to, const EVP_PKEY *pkey) {
    unsigned char x[64], d[64];
    size_t x_len = sizeof x, d_len = sizeof d;
    int fault = -ENOMEM;
    if (EVP_PKEY_get_raw_public_key(pkey, x, &x_len) == 1 &&
        EVP_PKEY_get_raw_private_key(pkey, d, &d_len) == 1) {
        fault = put_bytes(to, "x", x, x_len);
        if (fault == 0)
            fault = put_bytes(to, "d", d, d_len);
    }
    OPENSSL_cleanse(d, sizeof d);
    return fault;
}

static EVP_PKEY *generate(const algorithm *alg, int rsa_bits) {
    if (alg->family == FAMILY_ECDSA)
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", alg->group);
    if (alg->family == FAMILY_EDDSA)
        return EVP_PKEY_Q_keygen(NULL, NULL, alg->group);
    return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)rsa_bits);
}

static int put_pair(json *to, const algorithm *alg, int rsa_bits) {
    int fault = -ENOMEM;
    EVP_PKEY *pkey = generate(alg, rsa_bits);
    if (!pkey)
        return fault;
    if (alg->family == FAMILY_EDDSA) {
        fault = put_raw_halves(to, pkey);
    } else {
        fault = 0;
        for (size_t i = 0; fault == 0 && i < ARRAY_LEN(parts); i++)
            if (parts[i].parameter && belongs(&parts[i], to))
                fault = put_number(to, &parts[i], pkey, (int)alg->signature_len / 2);
    }
    EVP_PKEY_free(pkey);
    return fault;
}

static int put_secret(json *to, const algorithm *alg) {
    unsigned char secret[64];
    int fault = RAND_priv_bytes(secret, (int)alg->digest_len) == 1
                    ? put_bytes(to, "k", secret, alg->digest_len)
                    : -ENOMEM;
    OPENSSL_cleanse(secret, sizeof secret);
    return fault;
}

static int put_material(json *to, const algorithm *alg, int rsa_bits) {
    ERR_set_mark();
    int fault = alg->family == FAMILY_HMAC ? put_secret(to, alg) : put_pair(to, alg, rsa_bits);
    ERR_pop_to_mark();
    return fault;
}

int sign_new_key(text alg_name, int rsa_bits, json **ret_private) {
    CLEANUP(json_freep) json *key = json_new_object();
    CLEANUP(buf_release) buf kid = BUF(128);
    const algorithm *alg = algorithm_named(alg_name);
    bool is_rsa = alg && (alg->family == FAMILY_PKCS1 || alg->family == FAMILY_PSS);
    if (is_rsa && rsa_bits == 0)
        rsa_bits = RSA_BITS_DEFAULT;
    if (!alg || (is_rsa ? rsa_bits < SIGN_RSA_BITS_MIN || rsa_bits > SIGN_RSA_BITS_MAX || rsa_bits % 8 != 0
                        : rsa_bits != 0))
        return -EINVAL;
    if (!key || put_string(key, "kty", alg->kty) < 0 ||
        (alg->curve && put_string(key, "crv", alg->curve) < 0) || put_string(key, "alg", alg->name) < 0 ||
        put_string(key, "use", "sig") < 0)
        return -ENOMEM;
    int fault = put_material(key, alg, rsa_bits);
    if (fault == 0)
        fault = sign_thumbprint(key, &kid);
    if (fault == 0)
        fault = json_put(key, "kid", json_new_string(buf_text(&kid)));
    if (fault < 0)
        return fault;
    *ret_private = key;
    key = NULL;
    return 0;
}

bool sign_is_shared_secret(const json *jwk) {
    return text_equal(json_get_string(jwk, "kty"), TEXT("oct"));
}

static int copy_member(const json *from, json *to, const char *name) {
    const json *value = json_get(from, name);
    return value ? json_put(to, name, json_share(value)) : 0;
}

int sign_verifying_half(const json *jwk, json **ret_key) {
    static const char *const common[] = {"kid", "alg", "use"};
    CLEANUP(json_freep) json *key = json_new_object();
    if (!key)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (belongs(&parts[i], jwk) && parts[i].kind != PART_PRIVATE &&
            copy_member(jwk, key, parts[i].member) < 0)
            return -ENOMEM;
    if (json_length(key) == 0)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(common); i++)
        if (copy_member(jwk, key, common[i]) < 0)
            return -ENOMEM;
    *ret_key = key;
    key = NULL;
    return 0;
}

int sign_thumbprint(const json *jwk, buf *to) {
    CLEANUP(json_freep) json *covered = json_new_object();
    CLEANUP(buf_release) buf printed = BUF(JWK_TEXT_MAX);
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t len = 0;
    if (!covered)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!belongs(&parts[i], jwk) || parts[i].kind == PART_PRIVATE)
            continue;
        if (!json_get_string(jwk, parts[i].member).ptr)
            return -EINVAL;
        if (copy_member(jwk, covered, parts[i].member) < 0)
            return -ENOMEM;
    }
    if (json_length(covered) == 0)
        return -EINVAL;
    json_print(covered, &printed);
    if (buf_failed(&printed) < 0 ||
        EVP_Q_digest(NULL, "SHA2-256", NULL, printed.ptr, printed.len, digest, &len) != 1)
        return -ENOMEM;
    base64url_encode((text){(const char *)digest, len}, to);
    return buf_failed(to);
}
