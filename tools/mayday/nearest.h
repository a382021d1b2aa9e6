/* nearest.h - who is nearest to a place and free. Threads: one. */
#ifndef MAYDAY_TOOLS_NEAREST_H
#define MAYDAY_TOOLS_NEAREST_H

#include "database.h"

/* At most `limit` rows, as a table or as lines of JSON. `lat` and `lon` in degrees, as text. An exit code,
 * complaining itself. */
NODISCARD int nearest_print(const command *c, pg *db, const char *org, const char *lat, const char *lon,
                            int64_t limit, bool as_json);

#endif
