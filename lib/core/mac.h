/* mac.h - message authentication codes and digests by which webhooks are known (RFC 2104, FIPS 180-4).
 * Threads: no state. */
#ifndef MAYDAY_CORE_MAC_H
#define MAYDAY_CORE_MAC_H

#include "base/buf.h"

#define SHA1_LEN   20
#define SHA256_LEN 32
#define MD5_LEN    16

/* Each returns 0 or -EIO (the library refused). */
NODISCARD int hmac_sha1(text key, text message, uint8_t ret_mac[SHA1_LEN]);
NODISCARD int hmac_sha256(text key, text message, uint8_t ret_mac[SHA256_LEN]);
NODISCARD int sha256(text message, uint8_t ret_digest[SHA256_LEN]);
/* Names things as PostgreSQL's md5() does; proves nothing. */
NODISCARD int md5(text message, uint8_t ret_digest[MD5_LEN]);

/* In a time that does not depend on where they differ. Their lengths are no secret. Two empty ones prove
 * nothing and are not equal. */
bool mac_equal(text a, text b);

void hex_add(const uint8_t *bytes, size_t len, buf *to);    /* lower case */
void base64_add(const uint8_t *bytes, size_t len, buf *to); /* with padding (RFC 4648, 4) */

/* Appends a compact JWS over `payload`: RS256 with a private key in PEM (PKCS #1 or #8). Returns 0, -EBADMSG
 * (no RSA key of 2048 bits or more, or locked by a password), -EIO, or the buffer's fault. */
NODISCARD int jws_rs256(const char *pem, text payload, buf *to);
/* Is it a compact JWS signed by HS256? Then its payload, decoded, is appended to `to`. False: wrong
 * signature, another algorithm, a header we would have to understand ('crit'), no JWS, an empty secret. */
bool jws_hs256_good(text token, text secret, buf *to);

#endif
