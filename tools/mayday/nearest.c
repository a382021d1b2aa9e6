/* nearest.c - see nearest.h. */
#include "nearest.h"

#include <stdio.h>

enum {
    COLUMNS = 5 /* what people see; the column behind them is the object */
};

int nearest_print(const command *c, pg *db, const char *org, const char *lat, const char *lon, int64_t limit,
                  bool as_json) {
    static const char sql[] =
        "SELECT n.person, round(n.distance::numeric), coalesce(n.duty, ''), array_to_string(n.roles, ' '),"
        " to_char(n.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),"
        " jsonb_strip_nulls(jsonb_build_object('person', n.person, 'distance', round(n.distance::numeric, 1),"
        "  'at', mayday.spell(n.at), 'accuracy', n.accuracy, 'duty', n.duty, 'roles', n.roles))"
        " FROM mayday.nearest($1, $2::double precision, $3::double precision, how_many => $4::integer) n"
        " ORDER BY n.distance, n.person";
    static const char *const heads[COLUMNS] = {"PERSON", "METRES", "DUTY", "ROLES", "SEEN THERE, UTC"};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char most[24];
    (void)snprintf(most, sizeof most, "%lld", (long long)limit);
    const char *params[] = {org, lat, lon, most};
    int code = database_ask(c, db, sql, ARRAY_LEN(params), params, &rows);
    if (code != EXIT_DONE)
        return code;
    database_print(rows, heads, COLUMNS, as_json, "nobody is connected, free and known to be anywhere");
    return EXIT_DONE;
}
