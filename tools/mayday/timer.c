/* timer.c - `mayday timer`: who works alone and wants to be checked on, over the database. */
#include <getopt.h>
#include <string.h>

#include "database.h"

extern const command command_timer;
static const command *const self = &command_timer;

typedef struct timer_options {
    const char *org, *database;
    bool all, json;
} timer_options;

static int list(const timer_options *o, pg *db) {
    static const char sql[] =
        "SELECT t.person, t.org, t.state, t.minutes || CASE WHEN t.repeat THEN ', again' ELSE '' END,"
        " CASE t.state WHEN 'running' THEN to_char(t.due_at - clock_timestamp(), 'HH24:MI:SS')"
        "  WHEN 'asked' THEN to_char(t.answer_by - clock_timestamp(), 'HH24:MI:SS') ELSE '' END,"
        " coalesce(t.text, ''), coalesce(t.alert::text, ''),"
        " jsonb_strip_nulls(jsonb_build_object('person', t.person, 'org', t.org, 'state', t.state, "
        "'minutes', "
        "  t.minutes, 'repeat', t.repeat, 'text', t.text, 'started_at', mayday.spell(t.started_at), 'due_at',"
        "  mayday.spell(t.due_at), 'asked_at', mayday.spell(t.asked_at), 'answer_by', "
        "mayday.spell(t.answer_by),"
        "  'alert', t.alert, 'ended_at', mayday.spell(t.ended_at), 'ended_by', t.ended_by))"
        " FROM mayday.timer_now t WHERE ($1::text IS NULL OR t.org = $1) AND ($2::boolean OR t.state <> "
        "'ended')"
        " ORDER BY t.due_at, t.org, t.person";
    static const char *const heads[] = {"PERSON", "ORG", "STATE", "MINUTES", "LEFT", "WHY", "INCIDENT"};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {o->org, o->all ? "true" : "false"};
    int code = database_ask(self, db, sql, ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), o->json, "nobody has a timer running");
    return code;
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"org", required_argument, NULL, 'o'},
        {"all", no_argument, NULL, 'a'},
        {"json", no_argument, NULL, 'j'},
        DATABASE_OPTIONS,
        {0},
    };
    timer_options o = {0};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'o')
            o.org = optarg;
        else if (option == 'a')
            o.all = true;
        else if (option == 'j')
            o.json = true;
        else if (option == DATABASE_OPTION)
            o.database = optarg;
        else
            return EXIT_USAGE;
    }
    if (argc - optind != 1 || strcmp(argv[optind], "list") != 0)
        return command_fail(self, EXIT_USAGE, "expected 'list'; see 'mayday timer --help'");
    CLEANUP(pg_closep) pg *db = NULL;
    int code = database_open(self, config_path, o.database, &db);
    return code == EXIT_DONE ? list(&o, db) : code;
}

const command command_timer = {
    .name = "timer",
    .summary = "list who works alone and wants to be checked on",
    .help =
        "Usage: mayday timer list [OPTION...]\n"
        "\n"
        "Whose timer is running, what is left of it, who has been asked and has not answered yet, and for "
        "whom\n"
        "the alarm was raised. People set and end their timers themselves, from their devices.\n"
        "\n"
        "  --org NAME         of this organisation alone (default: all)\n"
        "  --all              also those that have ended\n"
        "  --json             a line of JSON for each\n" DATABASE_HELP "\n"
        "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the database could not be reached.\n",
    .run = run,
};
