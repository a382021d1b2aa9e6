/* retention.c - `mayday retention`: how long an organisation's positions and vital signs are kept, over the
 * database. The gateway's janitor does the rest. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "database.h"

extern const command command_retention;
static const command *const self = &command_retention;

#define DAYS_MAX 36500

typedef struct retention_options {
    const char *org, *database;
    int64_t full, thin;
    bool json;
} retention_options;

static int show(const retention_options *o, pg *db) {
    static const char sql[] =
        "SELECT r.org, r.full_days, r.thin_days, coalesce(sum(k.removed), 0),"
        " to_char(r.changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),"
        " jsonb_build_object('org', r.org, 'full_days', r.full_days, 'thin_days', r.thin_days, 'removed',"
        "  coalesce(sum(k.removed), 0), 'changed_at', mayday.spell(r.changed_at))"
        " FROM mayday.retention r LEFT JOIN mayday.retention_day k ON k.org = r.org"
        " WHERE $1::text IS NULL OR r.org = $1 GROUP BY r.org ORDER BY r.org";
    static const char *const heads[] = {"ORG", "FULL, DAYS", "THEN THIN, UP TO DAYS", "REMOVED", "SET, UTC"};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {o->org};
    int code = database_ask(self, db, sql, ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), o->json,
                       "nothing is set: all is kept in full as long as its tables keep it");
    return code;
}

static int set(const retention_options *o, pg *db) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char full[24], thin[24];
    (void)snprintf(full, sizeof full, "%lld", (long long)o->full);
    (void)snprintf(thin, sizeof thin, "%lld", (long long)o->thin);
    const char *params[] = {o->org, full, thin};
    int code =
        database_ask(self, db, "SELECT mayday.set_retention($1, $2, $3)", ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        printf("%s: %s\n", strcmp(pg_value(rows, 0, 0), "t") == 0 ? "set" : "was so already", o->org);
    return code;
}

static bool take_option(retention_options *o, int option, const char *value) {
    switch (option) {
    case 'o':
        o->org = value;
        return true;
    case 'f':
        return arg_count(self, "full", value, 1, DAYS_MAX, &o->full);
    case 't':
        return arg_count(self, "thin", value, 1, DAYS_MAX, &o->thin);
    case 'j':
        o->json = true;
        return true;
    case DATABASE_OPTION:
        o->database = value;
        return true;
    default:
        return false;
    }
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"org", required_argument, NULL, 'o'},
        {"full", required_argument, NULL, 'f'},
        {"thin", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        DATABASE_OPTIONS,
        {0},
    };
    retention_options o = {0};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&o, option, optarg))
            return EXIT_USAGE;
    const char *word = argc - optind == 1 ? argv[optind] : "";
    bool sets = strcmp(word, "set") == 0;
    if (!sets && strcmp(word, "show") != 0)
        return command_fail(self, EXIT_USAGE, "expected 'show' or 'set'; see 'mayday retention --help'");
    if (sets && (!o.org || !o.full || !o.thin))
        return command_fail(self, EXIT_USAGE, "set needs --org, --full and --thin");
    if (sets && o.full > o.thin)
        return command_fail(self, EXIT_USAGE,
                            "--thin: thinned positions are kept at least as long as full ones");
    CLEANUP(pg_closep) pg *db = NULL;
    int code = database_open(self, config_path, o.database, &db);
    if (code != EXIT_DONE)
        return code;
    return sets ? set(&o, db) : show(&o, db);
}

const command command_retention = {
    .name = "retention",
    .summary = "how long positions and vital signs are kept",
    .help =
        "Usage: mayday retention show [OPTION...]\n"
        "       mayday retention set --org NAME --full DAYS --thin DAYS\n"
        "\n"
        "For each organisation: every position and every vital sign for --full days, then one a minute until "
        "they\n"
        "are --thin days old, then none. A gateway removes them bit by bit. What was sent to an incident "
        "stays as\n"
        "long as incidents do. What is removed cannot be brought back; who set it is in the audit trail.\n"
        "\n"
        "  --org NAME         the organisation (show, default: all)\n"
        "  --full DAYS        so long all of it\n"
        "  --thin DAYS        so long, counted from the same day, one a minute; the same as --full for none\n"
        "  --json             a line of JSON for each\n" DATABASE_HELP "\n"
        "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the database could not be reached.\n",
    .run = run,
};
