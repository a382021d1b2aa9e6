/* nearest.c - see nearest.h. */
#include "nearest.h"

#include <stdio.h>

int nearest_print(const command *c, pg *db, const char *org, const char *lat, const char *lon, int64_t limit,
                  bool as_json) {
    (void)c;
    (void)db;
    (void)org;
    (void)lat;
    (void)lon;
    (void)limit;
    (void)as_json;
    return EXIT_DONE;
}
