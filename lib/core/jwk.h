/* jwk.h - one JSON Web Key (RFC 7517, 7518 section 6, 8037) as an OpenSSL key.
 * Private to the crypto files of this room. Pure; a jwk owns its kid, its key and its secret. */
#ifndef MAYDAY_CORE_JWK_H
#define MAYDAY_CORE_JWK_H

#include <openssl/evp.h>
#include "base/json.h"
#include "core/algorithm.h"

#define JWK_WHY_MAX    128
#define JWK_KID_MAX    256
#define JWK_SECRET_MAX 1024 /* bytes of an HMAC key */

typedef enum jwk_verdict {
    JWK_MALFORMED = 0,
    JWK_OK,
    JWK_SKIPPED, /* well-formed, but not for verifying with an algorithm known here */
    JWK_NO_MEMORY,
} jwk_verdict;

typedef enum jwk_half {
    JWK_PUBLIC = 0, /* private members are not looked at */
    JWK_PRIVATE,    /* they must be there, and fit the public ones */
} jwk_half;

typedef struct jwk {
    const algorithm *alg; /* the only one this key is ever used with */
    char *kid;            /* NUL-terminated; NULL when absent */
    size_t kid_len;
    EVP_PKEY *pkey; /* NULL for oct */
    unsigned char *secret;
    size_t secret_len;
} jwk;

void jwk_release(jwk *key); /* leaves it zeroed */

/* Writes `ret_why` with everything but JWK_OK: what is wrong, without the key's name. */
NODISCARD jwk_verdict jwk_read(const json *from, jwk_half half, jwk *ret_key, char ret_why[JWK_WHY_MAX]);

#endif
