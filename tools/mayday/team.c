/* team.c - `mayday team`: who is on call, over the database. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "database.h"

extern const command command_team;
static const command *const self = &command_team;

typedef struct team_options {
    const char *people, *first, *shift, *timezone, *from, *until, *at, *database;
    bool json;
} team_options;

static int set(const team_options *o, pg *db, char **words) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {words[1], words[2], o->people, o->first, o->shift, o->timezone};
    int code = database_ask(
        self, db,
        "SELECT mayday.set_team($1, $2, string_to_array($3, ','), $4::timestamptz, $5::interval, $6),"
        " mayday.on_call($1, $2)",
        ARRAY_LEN(params), params, &rows);
    if (code != EXIT_DONE)
        return code;
    rows = pg_rows_free(rows); /* who is on call by what is set now */
    code = database_ask(self, db, "SELECT mayday.on_call($1, $2)", 2, params, &rows);
    if (code == EXIT_DONE)
        printf("%s: on call now is %s\n", words[2], pg_value(rows, 0, 0));
    return code;
}

static int list(const team_options *o, pg *db, char **words) {
    static const char sql[] =
        "SELECT t.team, mayday.on_call(t.org, t.team), array_to_string(t.people, ' '), t.shift::text,"
        " to_char(t.first_at AT TIME ZONE t.timezone, 'YYYY-MM-DD HH24:MI'), t.timezone,"
        " coalesce((SELECT string_agg(c.person || ' ' || to_char(c.from_at AT TIME ZONE t.timezone, 'MM-DD "
        "HH24:MI')"
        "   || ' to ' || to_char(c.until_at AT TIME ZONE t.timezone, 'MM-DD HH24:MI'), ', ' ORDER BY "
        "c.from_at)"
        "  FROM mayday.team_cover c WHERE c.org = t.org AND c.team = t.team AND c.until_at > now()), ''),"
        " jsonb_build_object('team', t.team, 'org', t.org, 'people', t.people, 'on_call', "
        "mayday.on_call(t.org, t.team),"
        "  'shift', t.shift::text, 'first_at', mayday.spell(t.first_at), 'timezone', t.timezone,"
        "  'covers', (SELECT coalesce(jsonb_agg(jsonb_build_object('person', c.person, 'from', "
        "mayday.spell(c.from_at),"
        "    'until', mayday.spell(c.until_at)) ORDER BY c.from_at), '[]') FROM mayday.team_cover c"
        "   WHERE c.org = t.org AND c.team = t.team AND c.until_at > now()))"
        " FROM mayday.team t WHERE t.org = $1 ORDER BY t.team";
    static const char *const heads[] = {"TEAM",         "ON CALL",   "PEOPLE",    "SHIFT",
                                        "FIRST, LOCAL", "TIME ZONE", "COVERED BY"};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {words[1]};
    int code = database_ask(self, db, sql, 1, params, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), o->json, "there are no teams");
    return code;
}

static int cover(const team_options *o, pg *db, char **words) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {words[1], words[2], words[3], o->from, o->until};
    if (!o->until)
        return command_fail(self, EXIT_USAGE, "--until: how long does %s stand in?", words[3]);
    int code =
        database_ask(self, db, "SELECT mayday.cover_team($1, $2, $3, $4::timestamptz, $5::timestamptz)",
                     ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        printf("%s stands in for %s until %s\n", words[3], words[2], o->until);
    return code;
}

static int who(const team_options *o, pg *db, char **words) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {words[1], words[2], o->at};
    int code = database_ask(self, db, "SELECT mayday.on_call($1, $2, coalesce($3::timestamptz, now()))",
                            ARRAY_LEN(params), params, &rows);
    if (code != EXIT_DONE)
        return code;
    if (pg_is_null(rows, 0, 0))
        return command_fail(self, EXIT_REFUSED, "there is no team %s in %s", words[2], words[1]);
    puts(pg_value(rows, 0, 0));
    return EXIT_DONE;
}

static int take_away(const team_options *o, pg *db, char **words) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {words[1], words[2]};
    (void)o;
    int code =
        database_ask(self, db, "DELETE FROM mayday.team t WHERE t.org = $1 AND t.team = $2 RETURNING 1",
                     ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        printf("%s: %s\n", words[2], pg_rows_count(rows) ? "removed" : "there was no such team");
    return code;
}

static bool take_option(team_options *o, int option, const char *value) {
    const char **texts[] = {['p'] = &o->people, ['f'] = &o->first, ['s'] = &o->shift, ['z'] = &o->timezone,
                            ['F'] = &o->from,   ['u'] = &o->until, ['a'] = &o->at};
    if (option == 'j')
        o->json = true;
    else if (option == DATABASE_OPTION)
        o->database = value;
    else if (option > 0 && (size_t)option < ARRAY_LEN(texts) && texts[option])
        *texts[option] = value;
    else
        return false;
    return true;
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"people", required_argument, NULL, 'p'},
        {"first", required_argument, NULL, 'f'},
        {"shift", required_argument, NULL, 's'},
        {"timezone", required_argument, NULL, 'z'},
        {"from", required_argument, NULL, 'F'},
        {"until", required_argument, NULL, 'u'},
        {"at", required_argument, NULL, 'a'},
        {"json", no_argument, NULL, 'j'},
        DATABASE_OPTIONS,
        {0},
    };
    static const struct {
        const char *name;
        int words;
        int (*act)(const team_options *o, pg *db, char **words);
    } usages[] = {
        {"set", 3, set}, {"list", 2, list}, {"cover", 4, cover}, {"who", 3, who}, {"remove", 3, take_away}};
    team_options o = {0};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&o, option, optarg))
            return EXIT_USAGE;
    for (size_t i = 0; optind < argc && i < ARRAY_LEN(usages); i++) {
        if (strcmp(argv[optind], usages[i].name) != 0 || argc - optind != usages[i].words)
            continue;
        CLEANUP(pg_closep) pg *db = NULL;
        int code = database_open(self, config_path, o.database, &db);
        return code == EXIT_DONE ? usages[i].act(&o, db, argv + optind) : code;
    }
    return command_fail(
        self, EXIT_USAGE,
        "expected 'set ORG TEAM', 'list ORG', 'cover ORG TEAM PERSON', 'who ORG TEAM' or 'remove ORG "
        "TEAM'; see 'mayday team --help'");
}

const command command_team = {
    .name = "team",
    .summary = "say who is on call",
    .help = "Usage: mayday team set|list|cover|who|remove ORG [TEAM] [PERSON] [OPTION...]\n"
            "\n"
            "set ORG TEAM            make a team, or change it: what is not said stays\n"
            "list ORG                the teams, and who is on call now\n"
            "cover ORG TEAM PERSON   somebody stands in for whoever's turn it is\n"
            "who ORG TEAM            who is on call\n"
            "remove ORG TEAM         the team, with its covers\n"
            "\n"
            "  --people NAMES     set: who takes turns, in this order, separated by commas\n"
            "  --first TIME       set: when the first one's first turn begins (default: midnight)\n"
            "  --shift T          set: how long a turn is, as '8 hours' or '1 week' (default 1 day)\n"
            "  --timezone NAME    set: shifts change by this place's clock, as Africa/Johannesburg (default "
            "UTC)\n"
            "  --from TIME        cover: from then on (default now)\n"
            "  --until TIME       cover: and so long\n"
            "  --at TIME          who: then (default now)\n"
            "  --json             list as lines of JSON\n" DATABASE_HELP "\n"
            "Times are written as PostgreSQL reads them: '2026-12-24 18:00+02'. 'mayday team list' shows "
            "them by the\n"
            "team's own clock.\n"
            "\n"
            "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the database could not be reached.\n",
    .run = run,
};
