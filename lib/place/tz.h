/* tz.h - the clock on the wall of a place, from the system's time zone files (TZif, RFC 9636). libc knows one
 * zone for a whole process; a gateway has one for each fence.
 *
 * Threads: a tz never changes once it is read; share it. */
#ifndef MAYDAY_PLACE_TZ_H
#define MAYDAY_PLACE_TZ_H

#include "base/attr.h"
#include "base/instant.h"

#define TZ_FOLDER "/usr/share/zoneinfo"

typedef struct tz tz;
/* "Africa/Johannesburg". 0, -ENOMEM, -ENOENT (there is no such zone), -EBADMSG (its file cannot be read). */
NODISCARD int tz_named(text name, tz **ret_tz);
/* From the bytes of a file. 0, -ENOMEM or -EBADMSG. */
NODISCARD int tz_read(text bytes, tz **ret_tz);
tz *tz_free(tz *z); /* takes NULL, returns NULL */
DEFINE_CLEANUP(tz, tz_free)

int64_t tz_offset(const tz *z, instant at); /* seconds east of UTC; of NULL: 0 */

#endif
