/* uuid.h - UUIDs (RFC 9562); Mayday's ids are version 7: 48 bits of Unix milliseconds, then random bits.
 * Pure: the caller brings the time and the randomness. */
#ifndef MAYDAY_BASE_UUID_H
#define MAYDAY_BASE_UUID_H

#include "base/text.h"

#define UUID_TEXT_LEN 36

typedef struct uuid {
    uint8_t bytes[16];
} uuid;

/* The 36-character form, lower or upper case, any version. Returns 0 or -EINVAL. */
NODISCARD int uuid_parse(text t, uuid *ret_id);

/* True for the canonical form of a version 7 UUID: lower case, version 7, variant 10. */
bool uuid_is_v7_text(text t);

void uuid_format(const uuid *id, char ret_text[UUID_TEXT_LEN + 1]); /* lower case, NUL-terminated */
uuid uuid7_make(int64_t unix_ms, const uint8_t random[10]);
int64_t uuid7_unix_ms(const uuid *id);
bool uuid_equal(const uuid *a, const uuid *b);

#endif
