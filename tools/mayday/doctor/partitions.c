/* partitions.c - are there partitions for today's messages, and for those to come? The catalogues of
 * PostgreSQL tell, which every role may read. */
#include <string.h>

#include "doctor/check.h"

extern const check check_partitions;

static const char query[] =
    "SELECT p.relname,"
    "       bool_or(c.relname IN (p.relname || to_char(now() AT TIME ZONE 'UTC', '_YYYYMMDD'),"
    "                             p.relname || to_char(now() AT TIME ZONE 'UTC', '_YYYYMM'))),"
    "       bool_or(c.relname IN (p.relname || to_char(now() AT TIME ZONE 'UTC' + interval '1 day', "
    "'_YYYYMMDD'),"
    "                             p.relname || to_char(now() AT TIME ZONE 'UTC' + interval '1 day', "
    "'_YYYYMM')))"
    "  FROM pg_class p JOIN pg_namespace n ON n.oid = p.relnamespace"
    "  LEFT JOIN pg_inherits i ON i.inhparent = p.oid LEFT JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE n.nspname = 'mayday' AND p.relkind = 'p' GROUP BY 1 ORDER BY 1";

static void run(doctor *d) {
    static const char *const remedy =
        "The broker makes them at its start and every day; is it running, and its "
        "database connection up? Until then messages go to the default partition.";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    if (!d->database) {
        found(d, FINDING_SKIPPED, NULL, "the database was not reached");
        return;
    }
    if (pg_query(d->database, query, 0, NULL, &rows) != PG_DONE) {
        found(d, FINDING_FAIL, NULL, "cannot be looked at: %s", pg_why(d->database));
        return;
    }
    const char *lacking = NULL;
    for (size_t i = 0; i < pg_rows_count(rows) && !lacking; i++)
        if (strcmp(pg_value(rows, i, 1), "t") != 0 || strcmp(pg_value(rows, i, 2), "t") != 0)
            lacking = pg_value(rows, i, 0);
    if (pg_rows_count(rows) == 0)
        found(d, FINDING_SKIPPED, "Run 'mayday migrate'.", "there are no tables yet");
    else if (lacking)
        found(d, FINDING_WARN, remedy, "mayday.%s has none for today or tomorrow", lacking);
    else
        found(d, FINDING_OK, NULL, "all %zu tables have theirs for today and tomorrow", pg_rows_count(rows));
}

const check check_partitions = {.name = "partitions", .needs_conf = true, .run = run};
