/* schemas.c - do the schemas of all message types compile? */
#include "doctor/check.h"
#include "msg/catalog.h"

extern const check check_schemas;

static size_t type_count(void) {
    size_t count = 0;
    while (msg_types[count])
        count++;
    return count;
}

static void run(doctor *d) {
    char why[CATALOG_WHY_MAX] = "";
    CLEANUP(catalog_freep) catalog *compiled = NULL;
    catalog_limits limits = {.payload_max = (size_t)d->conf.payload_max,
                             .depth_max = (int)d->conf.depth_max,
                             .clock_skew = d->conf.clock_skew_ms * 1000};
    const char *dir = d->conf.schema_dir ? d->conf.schema_dir : "";
    if (catalog_load(dir, &limits, &compiled, why) < 0)
        found(d, FINDING_FAIL, "Put the shipped schemas there, or correct [messages] schema_dir.", "%s", why);
    else
        found(d, FINDING_OK, NULL, "%zu message types have their schema in %s", type_count(), dir);
}

const check check_schemas = {.name = "schemas", .needs_conf = true, .run = run};
