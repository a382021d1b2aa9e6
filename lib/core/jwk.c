/* jwk.c - see jwk.h.
 *
 * What is malformed refuses the key; what is merely foreign to us (another use, key type or curve) skips it,
 * as RFC 7517 section 5 wants, so that an identity provider can add a kind of key without locking us out. */
#include "core/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base64url.h"

#define RSA_BITS_MIN   2048
#define RSA_BITS_MAX   16384
#define MEMBER_MAX     (RSA_BITS_MAX / 8 + 1) /* decoded bytes of one member */
#define COORDINATE_MAX 66

/* A member's decoded bytes, wiped when it leaves scope: it may be a private one. */
typedef struct bytes {
    unsigned char *ptr;
    size_t len;
} bytes;

static void bytes_release(bytes *b) {
    OPENSSL_clear_free(b->ptr, b->len);
    *b = (bytes){0};
}

/* The parts of a key on their way into OpenSSL. */
typedef struct parts {
    OSSL_PARAM_BLD *builder;
    BIGNUM *numbers[8];
    size_t n_numbers;
} parts;

static void parts_release(parts *p) {
    OSSL_PARAM_BLD_free(p->builder);
    for (size_t i = 0; i < p->n_numbers; i++)
        BN_clear_free(p->numbers[i]);
}

static jwk_verdict say(jwk_verdict verdict, char *why, const char *format, ...) PRINTF_LIKE(3, 4);

static jwk_verdict say(jwk_verdict verdict, char *why, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, JWK_WHY_MAX, format, args);
    va_end(args);
    return verdict;
}

static jwk_verdict short_of_memory(char *why) {
    return say(JWK_NO_MEMORY, why, "out of memory");
}

void jwk_release(jwk *key) {
    free(key->kid);
    EVP_PKEY_free(key->pkey);
    OPENSSL_clear_free(key->secret, key->secret_len);
    *key = (jwk){0};
}

static jwk_verdict member(const json *from, const char *name, bytes *ret_bytes, char *why) {
    text value = json_get_string(from, name);
    if (!value.ptr || value.len == 0)
        return say(JWK_MALFORMED, why, "'%s' is missing or not a string", name);
    if (value.len > MEMBER_MAX * 4 / 3)
        return say(JWK_MALFORMED, why, "'%s' is too long", name);
    bytes decoded = {OPENSSL_malloc(BASE64URL_DECODED_MAX(value.len)), 0};
    if (!decoded.ptr)
        return short_of_memory(why);
    if (base64url_decode(value, decoded.ptr, &decoded.len) < 0) {
        OPENSSL_free(decoded.ptr);
        return say(JWK_MALFORMED, why, "'%s' is not base64url without padding", name);
    }
    *ret_bytes = decoded;
    return JWK_OK;
}

static jwk_verdict member_sized(const json *from, const char *name, size_t len, bytes *ret_bytes, char *why) {
    jwk_verdict verdict = member(from, name, ret_bytes, why);
    if (verdict == JWK_OK && ret_bytes->len != len)
        return say(JWK_MALFORMED, why, "'%s' is %zu bytes long instead of %zu", name, ret_bytes->len, len);
    return verdict;
}

/* Adds the big-endian number in member `name` as OpenSSL's parameter `parameter`; *ret_number is borrowed. */
static jwk_verdict add_number(parts *p, const json *from, const char *name, const char *parameter,
                              BIGNUM **ret_number, char *why) {
    CLEANUP(bytes_release) bytes raw = {0};
    jwk_verdict verdict = member(from, name, &raw, why);
    if (verdict != JWK_OK)
        return verdict;
    BIGNUM *number = BN_bin2bn(raw.ptr, (int)raw.len, NULL);
    if (!number)
        return short_of_memory(why);
    p->numbers[p->n_numbers++] = number;
    if (OSSL_PARAM_BLD_push_BN(p->builder, parameter, number) != 1)
        return short_of_memory(why);
    *ret_number = number;
    return JWK_OK;
}

static jwk_verdict build(parts *p, const char *type, jwk_half half, EVP_PKEY **ret_pkey, char *why) {
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(p->builder);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;
    jwk_verdict verdict = short_of_memory(why);
    if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1) {
        int selection = half == JWK_PRIVATE ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
        bool built = EVP_PKEY_fromdata(ctx, &pkey, selection, params) == 1;
        verdict = built ? JWK_OK : say(JWK_MALFORMED, why, "it is no valid %s key", type);
    }
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    if (verdict == JWK_OK)
        *ret_pkey = pkey;
    return verdict;
}

static jwk_verdict add_private_rsa(parts *p, const json *from, char *why) {
    static const struct {
        const char *member, *parameter;
    } rows[] = {
        {"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
        {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
        {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
    };
    BIGNUM *unused;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        jwk_verdict verdict = add_number(p, from, rows[i].member, rows[i].parameter, &unused, why);
        if (verdict != JWK_OK)
            return verdict;
    }
    return JWK_OK;
}

static jwk_verdict read_rsa(const json *from, jwk_half half, jwk *key, parts *p, char *why) {
    BIGNUM *n = NULL, *e = NULL;
    jwk_verdict verdict = add_number(p, from, "n", OSSL_PKEY_PARAM_RSA_N, &n, why);
    if (verdict == JWK_OK)
        verdict = add_number(p, from, "e", OSSL_PKEY_PARAM_RSA_E, &e, why);
    if (verdict != JWK_OK)
        return verdict;
    int bits = BN_num_bits(n);
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX || !BN_is_odd(n))
        return say(JWK_MALFORMED, why, "'n' must be an odd number of %d to %d bits, it has %d", RSA_BITS_MIN,
                   RSA_BITS_MAX, bits);
    if (!BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > 64)
        return say(JWK_MALFORMED, why, "'e' must be an odd number from 3 to 64 bits");
    if (half == JWK_PRIVATE)
        verdict = add_private_rsa(p, from, why);
    return verdict == JWK_OK ? build(p, "RSA", half, &key->pkey, why) : verdict;
}

static jwk_verdict read_ec(const json *from, jwk_half half, jwk *key, parts *p, char *why) {
    size_t width = key->alg->signature_len / 2;
    CLEANUP(bytes_release) bytes x = {0}, y = {0};
    unsigned char point[1 + 2 * COORDINATE_MAX];
    jwk_verdict verdict = member_sized(from, "x", width, &x, why);
    if (verdict == JWK_OK)
        verdict = member_sized(from, "y", width, &y, why);
    if (verdict != JWK_OK)
        return verdict;
    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    memcpy(point + 1, x.ptr, width);         // NOLINT(clang-analyzer-core.NonNullParamChecker)
    memcpy(point + 1 + width, y.ptr, width); // NOLINT(clang-analyzer-core.NonNullParamChecker)
    if (OSSL_PARAM_BLD_push_utf8_string(p->builder, OSSL_PKEY_PARAM_GROUP_NAME, key->alg->group, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(p->builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * width) != 1)
        return short_of_memory(why);
    if (half == JWK_PRIVATE) {
        BIGNUM *unused;
        verdict = add_number(p, from, "d", OSSL_PKEY_PARAM_PRIV_KEY, &unused, why);
        if (verdict != JWK_OK)
            return verdict;
    }
    return build(p, "EC", half, &key->pkey, why); /* refuses a point that is not on the curve */
}

static jwk_verdict read_okp(const json *from, jwk_half half, jwk *key, parts *p, char *why) {
    CLEANUP(bytes_release) bytes x = {0}, d = {0};
    jwk_verdict verdict = member_sized(from, "x", 32, &x, why);
    if (verdict == JWK_OK && half == JWK_PRIVATE)
        verdict = member_sized(from, "d", 32, &d, why);
    if (verdict != JWK_OK)
        return verdict;
    if (OSSL_PARAM_BLD_push_octet_string(p->builder, OSSL_PKEY_PARAM_PUB_KEY, x.ptr, x.len) != 1 ||
        (d.ptr && OSSL_PARAM_BLD_push_octet_string(p->builder, OSSL_PKEY_PARAM_PRIV_KEY, d.ptr, d.len) != 1))
        return short_of_memory(why);
    return build(p, key->alg->group, half, &key->pkey, why);
}

static jwk_verdict read_oct(const json *from, jwk *key, char *why) {
    bytes secret = {0};
    jwk_verdict verdict = member(from, "k", &secret, why);
    if (verdict != JWK_OK)
        return verdict;
    if (secret.len < key->alg->digest_len || secret.len > JWK_SECRET_MAX) {
        verdict = say(JWK_MALFORMED, why, "%s needs a key of %zu to %d bytes, 'k' has %zu", key->alg->name,
                      key->alg->digest_len, JWK_SECRET_MAX, secret.len);
        bytes_release(&secret);
        return verdict;
    }
    key->secret = secret.ptr;
    key->secret_len = secret.len;
    return JWK_OK;
}

/* The private half must belong to the public one: otherwise tokens would be signed that nobody can verify. */
static bool halves_fit(EVP_PKEY *pkey) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool fit = ctx && EVP_PKEY_pairwise_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return fit;
}

static jwk_verdict read_material(const json *from, jwk_half half, jwk *key, char *why) {
    /* the caller has found the algorithm. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    if (key->alg->family == FAMILY_HMAC)
        return read_oct(from, key, why);
    CLEANUP(parts_release) parts p = {.builder = OSSL_PARAM_BLD_new()};
    jwk_verdict verdict = JWK_MALFORMED;
    if (!p.builder)
        return short_of_memory(why);
    switch (key->alg->family) {
    case FAMILY_PKCS1:
    case FAMILY_PSS:
        verdict = read_rsa(from, half, key, &p, why);
        break;
    case FAMILY_ECDSA:
        verdict = read_ec(from, half, key, &p, why);
        break;
    case FAMILY_EDDSA:
        verdict = read_okp(from, half, key, &p, why);
        break;
    case FAMILY_NONE:
    case FAMILY_HMAC:
        break;
    }
    if (verdict == JWK_OK && half == JWK_PRIVATE && !halves_fit(key->pkey))
        return say(JWK_MALFORMED, why, "its private and public members do not belong together");
    return verdict;
}

static bool lists(const json *array, text wanted) {
    for (size_t i = 0; i < json_length(array); i++)
        if (text_equal(json_string(json_at(array, i)), wanted))
            return true;
    return false;
}

static jwk_verdict is_for_signatures(const json *from, jwk_half half, char *why) {
    const json *use = json_get(from, "use"), *operations = json_get(from, "key_ops");
    if (use && json_kind_of(use) != JSON_STRING)
        return say(JWK_MALFORMED, why, "'use' is not a string");
    if (operations && json_kind_of(operations) != JSON_ARRAY)
        return say(JWK_MALFORMED, why, "'key_ops' is not an array");
    if (use && !text_equal(json_string(use), TEXT("sig")))
        return say(JWK_SKIPPED, why, "its use is not \"sig\"");
    const char *needed = half == JWK_PRIVATE ? "sign" : "verify";
    if (operations && !lists(operations, text_of(needed)))
        return say(JWK_SKIPPED, why, "its key_ops do not hold \"%s\"", needed);
    return JWK_OK;
}

static jwk_verdict pin_algorithm(const json *from, const algorithm **ret_alg, char *why) {
    text kty = json_get_string(from, "kty"), crv = json_get_string(from, "crv");
    if (!kty.ptr || kty.len == 0)
        return say(JWK_MALFORMED, why, "'kty' is missing or not a string");
    bool has_curve = text_equal(kty, TEXT("EC")) || text_equal(kty, TEXT("OKP"));
    if (has_curve && (!crv.ptr || crv.len == 0))
        return say(JWK_MALFORMED, why, "'crv' is missing or not a string");
    const algorithm *alg = algorithm_default(kty, crv);
    if (!alg)
        return say(JWK_SKIPPED, why, "its key type or curve is not supported");
    const json *given = json_get(from, "alg");
    if (given) {
        text curve = alg->curve ? text_of(alg->curve) : (text){0};
        alg = algorithm_named(json_string(given));
        if (!alg)
            return say(JWK_MALFORMED, why, "'alg' is no signature algorithm known here");
        if (!text_equal(kty, text_of(alg->kty)) || (curve.ptr && !text_equal(curve, text_of(alg->curve))))
            return say(JWK_MALFORMED, why, "'alg' %s does not fit its key type or curve", alg->name);
    }
    *ret_alg = alg;
    return JWK_OK;
}

static jwk_verdict read_kid(const json *from, jwk *key, char *why) {
    const json *kid = json_get(from, "kid");
    if (!kid)
        return JWK_OK;
    text name = json_string(kid);
    if (!name.ptr || name.len == 0 || name.len > JWK_KID_MAX)
        return say(JWK_MALFORMED, why, "'kid' is not a string of 1 to %d bytes", JWK_KID_MAX);
    key->kid = text_copy(name);
    key->kid_len = name.len;
    return key->kid ? JWK_OK : short_of_memory(why);
}

jwk_verdict jwk_read(const json *from, jwk_half half, jwk *ret_key, char ret_why[JWK_WHY_MAX]) {
    CLEANUP(jwk_release) jwk key = {0};
    if (json_kind_of(from) != JSON_OBJECT)
        return say(JWK_MALFORMED, ret_why, "it is not an object");
    ERR_set_mark();
    jwk_verdict verdict = is_for_signatures(from, half, ret_why);
    if (verdict == JWK_OK)
        verdict = pin_algorithm(from, &key.alg, ret_why);
    if (verdict == JWK_OK)
        verdict = read_kid(from, &key, ret_why);
    if (verdict == JWK_OK)
        verdict = read_material(from, half, &key, ret_why);
    ERR_pop_to_mark();
    if (verdict == JWK_OK) {
        *ret_key = key;
        key = (jwk){0};
    }
    return verdict;
}
