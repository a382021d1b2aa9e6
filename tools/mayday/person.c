/* person.c - `mayday person`: the people Mayday has met or was told of, over the database. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "nearest.h"
#include "person_channel.h"

#define LIST_ROWS    200
#define LIST_MAX     100000
#define NEAREST_ROWS 10
#define PLACE_MAX    20

extern const command command_person;
static const command *const self = &command_person;

typedef struct person_options {
    const char *org, *roles, *lang, *name, *lat, *lon, *database;
    int64_t limit, place;
    bool connected, full, json;
} person_options;

static int list(const person_options *o, pg *db) {
    static const char sql[] =
        "SELECT p.person, p.org, coalesce(p.name, ''), array_to_string(p.roles, ' '), CASE WHEN p.connected "
        "THEN 'yes' ELSE 'no' "
        "END,"
        " coalesce(p.duty, ''), to_char(p.last_seen AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),"
        " jsonb_strip_nulls(jsonb_build_object('person', p.person, 'org', p.org, 'name', p.name, 'roles', "
        "p.roles,"
        "  'connected', p.connected, 'duty', p.duty, 'lang', p.lang, 'pin', p.pin IS NOT NULL,"
        "  'last_seen', mayday.spell(p.last_seen)))"
        " FROM mayday.person p WHERE ($1::text IS NULL OR p.org = $1) AND (NOT $2::boolean OR p.connected)"
        " ORDER BY p.org, p.person LIMIT $3::bigint";
    static const char *const heads[] = {"PERSON",    "ORG",  "NAME",          "ROLES",
                                        "CONNECTED", "DUTY", "LAST SEEN, UTC"};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char most[24];
    (void)snprintf(most, sizeof most, "%lld", (long long)(o->limit ? o->limit : LIST_ROWS));
    const char *params[] = {o->org, o->connected ? "true" : "false", most};
    int code = database_ask(self, db, sql, ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), o->json, "nobody is known");
    return code;
}

/* One of a person's two forms: lines of label and value, or one object. */
static int show(const person_options *o, pg *db, const char *who) {
    static const char sql[] =
        "WITH p AS (SELECT p.*, k.at AS k_at, ST_Y(k.position::geometry) AS lat, ST_X(k.position::geometry) "
        "AS lon,"
        "  k.accuracy, t.state, t.minutes, t.repeat, t.text, t.due_at, t.alert AS timer_alert"
        " FROM mayday.known_person($1, $2), mayday.person p LEFT JOIN mayday.timer_now t ON t.org = p.org "
        "AND t.person = p.person"
        " LEFT JOIN mayday.last_known($1, '1 day') k ON k.person = p.person WHERE p.org = $1 AND p.person = "
        "$2)";
    static const char lines[] =
        " SELECT l.label, l.said FROM p, LATERAL (VALUES (1, 'person', p.person), (2, 'name', p.name),"
        "  (3, 'roles', array_to_string(p.roles, ' ')), (4, 'language', p.lang), (5, 'connected', CASE WHEN "
        "p.connected"
        "   THEN 'since ' ELSE 'not since ' END || mayday.spell(coalesce(p.connected_since, p.first_seen))),"
        "  (6, 'duty', p.duty), (7, 'last known', round(p.lat::numeric, 6) || ' ' || round(p.lon::numeric, "
        "6) ||"
        "   coalesce(' ± ' || round(p.accuracy) || ' m', '') || ', ' || mayday.spell(p.k_at)),"
        "  (8, 'timer', p.state || ', ' || p.minutes || ' minutes' || CASE WHEN p.repeat THEN ', again' ELSE "
        "'' END ||"
        "   coalesce(', until ' || mayday.spell(p.due_at), '') || coalesce(': ' || p.text, '')))"
        "  AS l (nth, label, said) WHERE l.said <> '' ORDER BY l.nth";
    static const char object[] = " SELECT jsonb_strip_nulls(jsonb_build_object('person', p.person, 'org', "
                                 "p.org, 'name', p.name, 'roles', p.roles,"
                                 "  'lang', p.lang, 'connected', p.connected, 'duty', p.duty, 'last_seen', "
                                 "mayday.spell(p.last_seen), 'location',"
                                 "  CASE WHEN p.lat IS NOT NULL THEN jsonb_build_object('lat', p.lat, 'lon', "
                                 "p.lon, 'accuracy', p.accuracy, 'at',"
                                 "   mayday.spell(p.k_at)) END, 'timer', CASE WHEN p.state IS NOT NULL THEN "
                                 "jsonb_build_object('state', p.state,"
                                 "   'minutes', p.minutes, 'repeat', p.repeat, 'text', p.text, 'due_at', "
                                 "mayday.spell(p.due_at), 'alert',"
                                 "   p.timer_alert) END)) FROM p";
    CLEANUP(buf_release) buf whole = BUF(8192);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {o->org, who};
    buf_printf(&whole, "%s%s", sql, o->json ? object : lines);
    if (buf_failed(&whole) < 0)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    int code = database_ask(self, db, whole.ptr, ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE && o->json)
        database_print(rows, NULL, 0, true, "");
    else if (code == EXIT_DONE)
        database_lines(stdout, rows);
    return code;
}

static int enter(const person_options *o, pg *db, const char *who) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {o->org, who, o->roles, o->lang, o->name};
    int code = database_ask(self, db, "SELECT mayday.enter_person($1, $2, string_to_array($3, ','), $4, $5)",
                            ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        printf("%s: %s\n", strcmp(pg_value(rows, 0, 0), "t") == 0 ? "entered" : "known already", who);
    return code;
}

static int nearest(const person_options *o, pg *db) {
    return nearest_print(self, db, o->org, o->lat, o->lon, o->limit ? o->limit : NEAREST_ROWS, o->json);
}

static bool take_option(person_options *o, int option, const char *value) {
    double degrees;
    switch (option) {
    case 'o':
        o->org = value;
        return true;
    case 'r':
        o->roles = value;
        return true;
    case 'l':
        o->lang = value;
        return true;
    case 'N':
        o->name = value;
        return true;
    case 'p':
        return arg_count(self, "place", value, 1, PLACE_MAX, &o->place);
    case 'f':
        o->full = true;
        return true;
    case 'a':
        o->lat = value;
        return arg_number(self, "lat", value, -90, 90, &degrees);
    case 'b':
        o->lon = value;
        return arg_number(self, "lon", value, -180, 180, &degrees);
    case 'n':
        return arg_count(self, "limit", value, 1, LIST_MAX, &o->limit);
    case 'c':
        o->connected = true;
        return true;
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
        {"roles", required_argument, NULL, 'r'},
        {"lang", required_argument, NULL, 'l'},
        {"name", required_argument, NULL, 'N'},
        {"place", required_argument, NULL, 'p'},
        {"full", no_argument, NULL, 'f'},
        {"lat", required_argument, NULL, 'a'},
        {"lon", required_argument, NULL, 'b'},
        {"limit", required_argument, NULL, 'n'},
        {"connected", no_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        DATABASE_OPTIONS,
        {0},
    };
    person_options o = {0};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&o, option, optarg))
            return EXIT_USAGE;
    const char *word = optind < argc ? argv[optind] : "";
    if (strcmp(word, "channel") == 0) {
        const channel_options channel = {config_path, o.database, o.place, o.full, o.json};
        return person_channel(self, &channel, argv + optind + 1, argc - optind - 1);
    }
    bool enters = strcmp(word, "enter") == 0, lists = strcmp(word, "list") == 0,
         shows = strcmp(word, "show") == 0;
    if ((!enters && !lists && !shows && strcmp(word, "nearest") != 0) ||
        argc - optind != 1 + (enters || shows))
        return command_fail(self, EXIT_USAGE,
                            "expected 'list', 'show PERSON', 'enter PERSON', 'nearest' or 'channel'; see "
                            "'mayday person --help'");
    if (!lists && !o.org)
        return command_fail(self, EXIT_USAGE, "--org: of which organisation?");
    if (!lists && !enters && !shows && (!o.lat || !o.lon))
        return command_fail(self, EXIT_USAGE, "--lat and --lon: nearest to where?");
    CLEANUP(pg_closep) pg *db = NULL;
    int code = database_open(self, config_path, o.database, &db);
    if (code != EXIT_DONE)
        return code;
    if (shows)
        return show(&o, db, argv[optind + 1]);
    return enters ? enter(&o, db, argv[optind + 1]) : lists ? list(&o, db) : nearest(&o, db);
}

const command command_person = {
    .name = "person",
    .summary = "list people, enter them, say how they are reached, find who is near",
    .help =
        "Usage: mayday person list|show|enter|nearest [PERSON] [OPTION...]\n"
        "       mayday person channel ORG PERSON list\n"
        "       mayday person channel ORG PERSON add|remove sms|voice NUMBER\n"
        "       mayday person channel ORG PERSON add|remove mqtt\n"
        "\n"
        "list           who is known: everybody who ever connected or was entered\n"
        "show PERSON    one of them: connected, on duty, where they were last, and their timer\n"
        "enter PERSON   make a person known before they first connect, or change their roles, language or "
        "name.\n"
        "               PERSON is the subject of their tokens\n"
        "nearest        who is nearest to a place and free: connected, on duty, assigned to nothing\n"
        "channel        how a person is reached when an alarm tells them, in this order; as long as nothing "
        "is\n"
        "               entered, by the app alone. Numbers are as the whole world dials them: +27821234567.\n"
        "               Those of emergency services are refused\n"
        "\n"
        "  --org NAME         the organisation (list, default: all)\n"
        "  --roles NAMES      of the person to enter, separated by commas\n"
        "  --lang CODE        likewise: their language\n"
        "  --name TEXT        likewise: what others know them as; '' for none\n"
        "  --lat D --lon D    the place, in degrees\n"
        "  --connected        list only who is connected now\n"
        "  --limit N          how many rows at most (list 200, nearest 10)\n"
        "  --place N          channel add: at this place, before those that are there (default: behind all)\n"
        "  --full             channel list: whole numbers, which is noted in the audit trail\n"
        "  --json             a line of JSON for each\n" DATABASE_HELP "\n"
        "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the database could not be reached.\n",
    .run = run,
};
