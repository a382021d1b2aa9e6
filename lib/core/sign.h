/* sign.h - make keys and sign tokens: for the tools and the tests. The plugin only ever verifies.
 * Keys are JSON Web Keys as json.h trees. Threads: no shared state; randomness comes from OpenSSL. */
#ifndef MAYDAY_CORE_SIGN_H
#define MAYDAY_CORE_SIGN_H

#include "base/json.h"

#define SIGN_WHY_MAX      128
#define SIGN_RSA_BITS_MIN 2048
#define SIGN_RSA_BITS_MAX 4096

/* A new private key for the algorithm, with 'use', 'alg' and 'kid' (its RFC 7638 thumbprint). `rsa_bits`: 0
 * for 3072; other key types have no choice. Returns 0, -ENOMEM (also when OpenSSL fails), -EINVAL for an
 * unknown algorithm or bits out of range. */
NODISCARD int sign_new_key(text alg, int rsa_bits, json **ret_private);

/* What a verifier needs of a key: its public members; an oct key, which has no public half, whole. Returns 0,
 * -ENOMEM, or -EINVAL for another type of key. */
NODISCARD int sign_verifying_half(const json *jwk, json **ret_key);

bool sign_is_shared_secret(const json *jwk); /* an oct key: who can verify with it can also sign */

/* The RFC 7638 thumbprint (SHA-256, base64url). Returns 0, -ENOMEM, or -EINVAL for another type of key. */
NODISCARD int sign_thumbprint(const json *jwk, buf *to);

typedef struct signer signer;

/* Takes a private key up for signing. Returns 0, -ENOMEM, or -EBADMSG with what is wrong in ret_why. */
NODISCARD int signer_new(const json *jwk, signer **ret_signer, char ret_why[SIGN_WHY_MAX]);
signer *signer_free(signer *s);
DEFINE_CLEANUP(signer, signer_free)

/* Appends header.payload.signature to `to`; the header names alg, typ JWT and, when the key has one, kid.
 * `payload` is signed as it is, valid claims or not. Returns 0 or -ENOMEM. */
NODISCARD int signer_sign(const signer *s, text payload, buf *to);

/* The same with another typ: for what is signed and is no token. */
NODISCARD int signer_sign_typed(const signer *s, text typ, text payload, buf *to);

/* The same under a header of the caller's: tests need wrong ones. */
NODISCARD int signer_sign_as(const signer *s, text header, text payload, buf *to);

#endif
