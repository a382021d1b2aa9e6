/* base64url.h - base64url without padding (RFC 7515 section 2), strictly: no '=', no space, and no bits left
 * over, so that every value has exactly one spelling. Pure. */
#ifndef MAYDAY_CORE_BASE64URL_H
#define MAYDAY_CORE_BASE64URL_H

#include "base/buf.h"

#define BASE64URL_DECODED_MAX(len) ((len) / 4 * 3 + 2)

/* Writes at most BASE64URL_DECODED_MAX(t.len) bytes to `to`. Returns 0 or -EINVAL. */
NODISCARD int base64url_decode(text t, unsigned char *to, size_t *ret_len);

void base64url_encode(text bytes, buf *to); /* a fault stays in the buffer */

#endif
