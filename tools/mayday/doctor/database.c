/* database.c - is the database there, and does its schema fit this Mayday? */
#include <stdlib.h>

#include "doctor/check.h"
#include "store/migrate.h"

#define PATIENCE_MS 5000
#define OLDEST      130000 /* PostgreSQL 13: the oldest that is still cared for */

extern const check check_database;

static void look_at_schema(doctor *d) {
    char why[MIGRATE_WHY_MAX] = "";
    int version = 0, known = 0;
    const char *sql_dir = d->sql_dir ? d->sql_dir : d->conf.sql_dir ? d->conf.sql_dir : ".";
    switch (migrate_look(d->conf.database ? d->conf.database : "", sql_dir, &version, &known, why)) {
    case MIGRATE_UP_TO_DATE:
        found(d, FINDING_OK, NULL, "its schema is up to date (version %d)", known);
        break;
    case MIGRATE_DONE:
        found(d, FINDING_FAIL, "Run 'mayday migrate'.", "its schema is at version %d of %d", version, known);
        break;
    case MIGRATE_NEWER:
        found(d, FINDING_FAIL, "Install the Mayday that made it: an older one must not write there.", "%s",
              why);
        break;
    case MIGRATE_REFUSED:
    case MIGRATE_UNREACHABLE:
        found(d, FINDING_FAIL,
              "Run 'mayday migrate'; the migrations are looked for where [database] sql_dir says.", "%s",
              why);
        break;
    }
}

static void run(doctor *d) {
    char why[PG_WHY_MAX] = "";
    pg_options options = {.conninfo = d->conf.database ? d->conf.database : "",
                          .application = "mayday doctor",
                          .connect_ms = PATIENCE_MS,
                          .patience_ms = PATIENCE_MS,
                          .interrupt_fd = -1};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    if (pg_connect(&options, &d->database, why) != PG_DONE) {
        d->database = NULL;
        found(
            d, FINDING_FAIL,
            "See [database] writer; is PostgreSQL running, and may this user log in? Meanwhile messages wait "
            "in the journal.",
            "cannot be reached: %s", why);
        return;
    }
    if (pg_query(d->database,
                 "SELECT current_setting('server_version_num'), current_setting('server_version')", 0, NULL,
                 &rows) != PG_DONE ||
        pg_rows_count(rows) != 1)
        found(d, FINDING_FAIL, "See PostgreSQL's log.", "does not answer: %s", pg_why(d->database));
    else if (strtol(pg_value(rows, 0, 0), NULL, 10) < OLDEST)
        found(d, FINDING_WARN, "Use PostgreSQL 13 or newer.", "PostgreSQL %s is too old",
              pg_value(rows, 0, 1));
    else
        found(d, FINDING_OK, NULL, "PostgreSQL %s answers", pg_value(rows, 0, 1));
    look_at_schema(d);
}

const check check_database = {.name = "database", .needs_conf = true, .run = run};
