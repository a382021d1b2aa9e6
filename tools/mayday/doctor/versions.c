/* versions.c - what is at work here, for whoever is asked for help. */
#include <sys/utsname.h>

#include "doctor/check.h"

extern const check check_versions;

static void run(doctor *d) {
    struct utsname system = {0};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *postgis = "unknown";
    (void)uname(&system);
    if (d->database &&
        pg_query(d->database, "SELECT extversion FROM pg_extension WHERE extname = 'postgis'", 0, NULL,
                 &rows) == PG_DONE &&
        pg_rows_count(rows) == 1)
        postgis = pg_value(rows, 0, 0);
    found(d, FINDING_OK, NULL, "mayday %s, PostGIS %s, %s %s %s", MAYDAY_VERSION, postgis, system.sysname,
          system.release, system.machine);
}

const check check_versions = {.name = "versions", .run = run};
