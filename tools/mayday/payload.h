/* payload.h - the messages the tools send, as the protocol has them. A payload keeps failing once it failed,
 * so that it is checked once, at payload_print(). Threads: one. */
#ifndef MAYDAY_TOOLS_PAYLOAD_H
#define MAYDAY_TOOLS_PAYLOAD_H

#include "base/json.h"
#include "base/uuid.h"

typedef struct payload {
    json *root;
    char id[UUID_TEXT_LEN + 1];
    bool failed;
} payload;

payload payload_new(const uuid *id, int64_t at); /* v, id and ts; `at`: microseconds, as instant */
void payload_release(payload *p);                /* fits CLEANUP */
void payload_text(payload *p, const char *name, const char *value); /* nothing when `value` is NULL */
void payload_texts(payload *p, const char *name, const char *only); /* an array that holds this one text */
void payload_flag(payload *p, const char *name, bool value);        /* nothing when false */
void payload_bool(payload *p, const char *name, bool value);        /* false, too */
void payload_number(payload *p, const char *name, double value, int decimals);
void payload_numbers(payload *p, const char *name, const double *values, size_t count, int decimals);
void payload_position(payload *p, double lat, double lon, double accuracy); /* an object, `location` */

/* Compact JSON. Returns 0 or -ENOMEM. */
NODISCARD int payload_print(const payload *p, buf *to);

#endif
