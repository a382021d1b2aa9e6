/* instant.h - moments in time as values: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
 * Pure: only instant_now() reads a clock, and only hosts call it. */
#ifndef MAYDAY_BASE_INSTANT_H
#define MAYDAY_BASE_INSTANT_H

#include "base/text.h"

typedef int64_t instant; /* microseconds, UTC */

#define INSTANT_SECOND   INT64_C(1000000)
#define INSTANT_TEXT_LEN 24 /* 2026-11-21T02:40:00.123Z */

/* RFC 3339 in UTC with exactly three fractional digits ("2026-11-21T02:40:00.123Z"), years 1970 to 9999;
 * second 60 is refused. Returns 0 or -EINVAL. */
NODISCARD int instant_parse(text t, instant *ret_at);
void instant_format(instant at, char ret_text[INSTANT_TEXT_LEN + 1]); /* to the millisecond, rounded down */

instant instant_now(void); /* the host's wall clock */

#endif
