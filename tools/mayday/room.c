/* room.c - `mayday room`: who is in which room, over the database. Every broker takes a change up at once. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "database.h"

extern const command command_room;
static const command *const self = &command_room;

typedef struct room_options {
    const char *org, *database;
    bool json;
} room_options;

static int list(const room_options *o, pg *db) {
    static const char sql[] =
        "SELECT m.id, m.org, count(*), string_agg(m.person, ' ' ORDER BY m.person),"
        " jsonb_build_object('room', m.id, 'org', m.org, 'members', jsonb_agg(m.person ORDER BY m.person))"
        " FROM mayday.membership m"
        " WHERE m.family = 'room' AND m.until IS NULL AND ($1::text IS NULL OR m.org = $1)"
        " GROUP BY m.org, m.id ORDER BY m.org, m.id";
    static const char *const heads[] = {"ROOM", "ORG", "COUNT", "MEMBERS"};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {o->org};
    int code = database_ask(self, db, sql, ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), o->json, "there are no rooms with anybody in them");
    return code;
}

static int change(const room_options *o, pg *db, bool joins, const char *room, const char *who) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {o->org, room, who};
    int code = database_ask(
        self, db, joins ? "SELECT mayday.join_room($1, $2, $3)" : "SELECT mayday.leave_room($1, $2, $3)",
        ARRAY_LEN(params), params, &rows);
    if (code != EXIT_DONE)
        return code;
    bool changed = strcmp(pg_value(rows, 0, 0), "t") == 0;
    printf("%s %s %s\n", who,
           joins ? (changed ? "joined" : "was already in") : (changed ? "left" : "was not in"), room);
    return EXIT_DONE;
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"org", required_argument, NULL, 'o'},
        {"json", no_argument, NULL, 'j'},
        DATABASE_OPTIONS,
        {0},
    };
    room_options o = {0};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'o')
            o.org = optarg;
        else if (option == 'j')
            o.json = true;
        else if (option == DATABASE_OPTION)
            o.database = optarg;
        else
            return EXIT_USAGE;
    }
    const char *word = optind < argc ? argv[optind] : "";
    bool lists = strcmp(word, "list") == 0, joins = strcmp(word, "join") == 0;
    if ((!lists && !joins && strcmp(word, "leave") != 0) || argc - optind != (lists ? 1 : 3))
        return command_fail(
            self, EXIT_USAGE,
            "expected 'list', 'join ROOM PERSON' or 'leave ROOM PERSON'; see 'mayday room --help'");
    if (!lists && !o.org)
        return command_fail(self, EXIT_USAGE, "--org: of which organisation?");
    CLEANUP(pg_closep) pg *db = NULL;
    int code = database_open(self, config_path, o.database, &db);
    if (code != EXIT_DONE)
        return code;
    return lists ? list(&o, db) : change(&o, db, joins, argv[optind + 1], argv[optind + 2]);
}

const command command_room = {
    .name = "room",
    .summary = "say who is in which room",
    .help = "Usage: mayday room list|join|leave [ROOM PERSON] [OPTION...]\n"
            "\n"
            "list               the rooms and who is in them\n"
            "join ROOM PERSON   from now on the person reads and writes in the room\n"
            "leave ROOM PERSON  and no longer\n"
            "\n"
            "Every broker takes a change up at once, for live sessions, too.\n"
            "\n"
            "  --org NAME         the organisation (list, default: all)\n"
            "  --json             list as a line of JSON for each room\n" DATABASE_HELP "\n"
            "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the database could not be reached.\n",
    .run = run,
};
