/* track_gpx.h - a way as a GPX 1.1 file, which maps and watches read. */
#ifndef MAYDAY_TOOLS_TRACK_GPX_H
#define MAYDAY_TOOLS_TRACK_GPX_H

#include "store/pg.h"

/* Rows: time (RFC 3339), lat, lon, altitude or NULL, and whether a new segment begins ("t"). "-": on stdout.
 * 0 or a negative errno. */
NODISCARD int track_gpx_write(const char *path, const char *name, const pg_rows *rows);

#endif
