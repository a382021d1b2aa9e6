/* algorithm.h - the signature algorithms of tokens (RFC 7518 section 3, RFC 8037), one row each.
 * Pure; the rows are constants. 'none' has no row, so nothing can select it. */
#ifndef MAYDAY_CORE_ALGORITHM_H
#define MAYDAY_CORE_ALGORITHM_H

#include "base/text.h"

typedef enum algorithm_family {
    FAMILY_NONE = 0,
    FAMILY_HMAC,
    FAMILY_PKCS1,
    FAMILY_PSS,
    FAMILY_ECDSA,
    FAMILY_EDDSA,
} algorithm_family;

typedef struct algorithm {
    const char *name; /* as 'alg' has it */
    algorithm_family family;
    const char *kty;      /* the key type it needs */
    const char *curve;    /* 'crv' of its keys, or NULL */
    const char *group;    /* the curve as OpenSSL calls it, or NULL */
    const char *digest;   /* as OpenSSL calls it; NULL when it hashes by itself */
    size_t digest_len;    /* bytes */
    size_t signature_len; /* bytes, exactly; 0 when the key decides (RSA) */
} algorithm;

const algorithm *algorithm_at(size_t index); /* NULL behind the last */
const algorithm *algorithm_named(text name); /* NULL when unknown; names are case-sensitive */

/* The one a key without 'alg' is pinned to; NULL when the type or curve is unknown. */
const algorithm *algorithm_default(text kty, text curve);

#endif
