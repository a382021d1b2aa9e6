/* algorithm.c - see algorithm.h. The first row that fits a key's type and curve is its default. */
#include "core/algorithm.h"

#include <stddef.h>

#define HMAC_ROW(bits)                                                                                       \
    { "HS" #bits, FAMILY_HMAC, "oct", NULL, NULL, "SHA2-" #bits, (bits) / 8, (bits) / 8 }
#define RSA_ROW(prefix, family, bits)                                                                        \
    { prefix #bits, family, "RSA", NULL, NULL, "SHA2-" #bits, (bits) / 8, 0 }
#define EC_ROW(bits, crv, group, half)                                                                       \
    { "ES" #bits, FAMILY_ECDSA, "EC", crv, group, "SHA2-" #bits, (bits) / 8, 2 * (half) }

static const algorithm rows[] = {
    HMAC_ROW(256),
    HMAC_ROW(384),
    HMAC_ROW(512),
    RSA_ROW("RS", FAMILY_PKCS1, 256),
    RSA_ROW("RS", FAMILY_PKCS1, 384),
    RSA_ROW("RS", FAMILY_PKCS1, 512),
    RSA_ROW("PS", FAMILY_PSS, 256),
    RSA_ROW("PS", FAMILY_PSS, 384),
    RSA_ROW("PS", FAMILY_PSS, 512),
    EC_ROW(256, "P-256", "P-256", 32),
    EC_ROW(384, "P-384", "P-384", 48),
    EC_ROW(512, "P-521", "P-521", 66),
    {"EdDSA", FAMILY_EDDSA, "OKP", "Ed25519", "ED25519", NULL, 0, 64},
};

const algorithm *algorithm_at(size_t index) {
    return index < ARRAY_LEN(rows) ? &rows[index] : NULL;
}

const algorithm *algorithm_named(text name) {
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (text_equal(name, text_of(rows[i].name)))
            return &rows[i];
    return NULL;
}

const algorithm *algorithm_default(text kty, text curve) {
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (text_equal(kty, text_of(rows[i].kty)) &&
            (!rows[i].curve || text_equal(curve, text_of(rows[i].curve))))
            return &rows[i];
    return NULL;
}
