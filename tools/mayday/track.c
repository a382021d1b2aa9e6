/* track.c - `mayday track`: where people are and were, over the database. Whose way is read is noted in the
 * audit trail. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "database.h"
#include "track_gpx.h"

extern const command command_track;
static const command *const self = &command_track;

#define LIST_ROWS "1000"
#define LIST_MAX  1000000

typedef struct track_options {
    const char *org, *from, *to, *area, *gpx, *database;
    const char *lat, *lon, *metres; /* of the area, within `split` */
    char split[96];
    int64_t limit;
    bool stats, json;
} track_options;

/* LAT,LON,METRES */
static bool take_area(track_options *o, const char *value) {
    double number;
    if ((size_t)snprintf(o->split, sizeof o->split, "%s", value) >= sizeof o->split)
        return command_fail(self, EXIT_USAGE, "--area: expected LAT,LON,METRES") == EXIT_DONE;
    char *rest = o->split;
    o->lat = strsep(&rest, ",");
    o->lon = rest ? strsep(&rest, ",") : NULL;
    o->metres = rest;
    if (!o->metres)
        return command_fail(self, EXIT_USAGE, "--area: expected LAT,LON,METRES") == EXIT_DONE;
    return arg_number(self, "area", o->lat, -90, 90, &number) &&
           arg_number(self, "area", o->lon, -180, 180, &number) &&
           arg_number(self, "area", o->metres, 0, 20000000, &number);
}

/* In every statement: $1 organisation, $2 person, $3 and $4 the times. */
#define TIMES                                                                                                \
    "coalesce($3::timestamptz, now() - interval '1 day'), coalesce($4::timestamptz, now() + interval '1 "    \
    "day')"
#define NOTED(with)                                                                                          \
    "WITH note AS MATERIALIZED (SELECT mayday.record_audit($1, 'read', session_user::text, $2, NULL,"        \
    "  jsonb_strip_nulls(jsonb_build_object('with', '" with "', 'from', $3::text, 'to', $4::text))))"

static int now_known(const track_options *o, pg *db) {
    static const char sql[] =
        "SELECT k.person, round(ST_Y(k.position::geometry)::numeric, 6), "
        "round(ST_X(k.position::geometry)::numeric, 6),"
        " coalesce(round(k.accuracy)::text, ''), to_char(k.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),"
        " to_char(greatest(now() - k.at, interval '0'), 'HH24:MI:SS'),"
        " jsonb_strip_nulls(jsonb_build_object('person', k.person, 'org', k.org, 'lat', "
        "ST_Y(k.position::geometry),"
        "  'lon', ST_X(k.position::geometry), 'accuracy', k.accuracy, 'at', mayday.spell(k.at), 'speed', "
        "k.speed,"
        "  'heading', k.heading, 'altitude', k.altitude, 'source', k.source, 'battery', k.battery, 'alert', "
        "k.alert))"
        " FROM mayday.last_known($1, now() - coalesce($2::timestamptz, now() - interval '1 day')) k"
        " ORDER BY k.person LIMIT coalesce($3::bigint, " LIST_ROWS ")";
    static const char *const heads[] = {"PERSON", "LAT", "LON", "± M", "SEEN THERE, UTC", "AGO"};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char most[24];
    (void)snprintf(most, sizeof most, "%lld", (long long)o->limit);
    const char *params[] = {o->org, o->from, o->limit ? most : NULL};
    int code = database_ask(self, db, sql, ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), o->json, "nobody has said where they are");
    return code;
}

static int fixes(const track_options *o, pg *db, const char *person) {
    static const char sql[] =
        NOTED("mayday track show") " SELECT to_char(l.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),"
                                   " round(ST_Y(l.position::geometry)::numeric, 6), "
                                   "round(ST_X(l.position::geometry)::numeric, 6),"
                                   " coalesce(round(l.accuracy)::text, ''), coalesce(round(l.speed::numeric, "
                                   "1)::text, ''), "
                                   "coalesce(l.source, ''),"
                                   " jsonb_strip_nulls(jsonb_build_object('at', mayday.spell(l.at), 'lat', "
                                   "ST_Y(l.position::geometry), "
                                   "'lon',"
                                   "  ST_X(l.position::geometry), 'accuracy', l.accuracy, 'altitude', "
                                   "l.altitude, 'speed', l.speed, "
                                   "'heading',"
                                   "  l.heading, 'source', l.source, 'alert', l.alert, 'offline', l.offline))"
                                   " FROM note, mayday.track_within($1, $2, " TIMES
                                   ", $5::double precision, $6::double precision, $7::double precision) l"
                                   " ORDER BY l.at, l.id LIMIT coalesce($8::bigint, " LIST_ROWS ")";
    static const char *const heads[] = {"AT, UTC", "LAT", "LON", "± M", "M/S", "FROM"};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char most[24];
    (void)snprintf(most, sizeof most, "%lld", (long long)o->limit);
    const char *params[] = {o->org, person, o->from,   o->to,
                            o->lat, o->lon, o->metres, o->limit ? most : NULL};
    int code = database_ask(self, db, sql, ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), o->json, "nothing is known of them then and there");
    return code;
}

static int totals(const track_options *o, pg *db, const char *person) {
    static const char sql[] =
        "SELECT 'distance', round(s.metres::numeric) || ' m' FROM mayday.track_statistics($1, $2, " TIMES
        ") s"
        " UNION ALL SELECT 'moving', date_trunc('second', s.moving)::text FROM mayday.track_statistics($1, "
        "$2, " TIMES ") s"
        " UNION ALL SELECT 'stopped', date_trunc('second', s.stopped)::text || ', ' || s.stops || ' times' "
        "FROM"
        "  mayday.track_statistics($1, $2, " TIMES ") s"
        " UNION ALL SELECT 'unknown', date_trunc('second', s.unknown)::text FROM mayday.track_statistics($1, "
        "$2, " TIMES ") s"
        " UNION ALL SELECT 'fixes', s.fixes || ', ' || s.accepted || ' accepted' FROM"
        "  mayday.track_statistics($1, $2, " TIMES ") s";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {o->org, person, o->from, o->to};
    int code = database_ask(self, db, sql, ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        database_lines(stdout, rows);
    return code;
}

static int statistics(const track_options *o, pg *db, const char *person) {
    static const char sql[] =
        NOTED("mayday track show --stats") " SELECT s.kind, to_char(s.begins AT TIME ZONE 'UTC', 'YYYY-MM-DD "
                                           "HH24:MI:SS'),"
                                           " date_trunc('second', s.ends - s.begins), "
                                           "round(s.metres::numeric), round(s.lat::numeric, 6),"
                                           " round(s.lon::numeric, 6),"
                                           " jsonb_build_object('kind', s.kind, 'from', "
                                           "mayday.spell(s.begins), 'to', mayday.spell(s.ends), "
                                           "'metres',"
                                           "  round(s.metres::numeric, 1), 'lat', s.lat, 'lon', s.lon)"
                                           " FROM note, mayday.track_stretches($1, $2, " TIMES
                                           ") s ORDER BY s.begins, s.ends";
    static const char *const heads[] = {"WHAT", "FROM, UTC", "FOR", "METRES", "LAT", "LON"};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {o->org, person, o->from, o->to};
    int code = database_ask(self, db, sql, ARRAY_LEN(params), params, &rows);
    if (code != EXIT_DONE)
        return code;
    database_print(rows, heads, ARRAY_LEN(heads), o->json, "nothing is known of them then");
    return o->json ? EXIT_DONE : totals(o, db, person);
}

static int export_gpx(const track_options *o, pg *db, const char *person) {
    static const char sql[] =
        NOTED("mayday track show --gpx") " SELECT mayday.spell(l.at), ST_Y(l.position::geometry), "
                                         "ST_X(l.position::geometry),"
                                         " l.altitude, l.at - lag(l.at) OVER (ORDER BY l.at, l.id) > "
                                         "interval '10 minutes'"
                                         " FROM note, mayday.track_within($1, $2, " TIMES
                                         ", $5::double precision, $6::double precision, $7::double "
                                         "precision) l ORDER BY l.at, l.id";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {o->org, person, o->from, o->to, o->lat, o->lon, o->metres};
    int code = database_ask(self, db, sql, ARRAY_LEN(params), params, &rows);
    if (code != EXIT_DONE)
        return code;
    int r = track_gpx_write(o->gpx, person, rows);
    if (r < 0)
        return command_fail(self, EXIT_REFUSED, "%s: %s", o->gpx, strerror(-r));
    return EXIT_DONE;
}

static int seen_in(const track_options *o, pg *db) {
    static const char sql[] =
        "WITH note AS MATERIALIZED (SELECT mayday.record_audit($1, 'read', session_user::text, NULL, NULL,"
        "  jsonb_strip_nulls(jsonb_build_object('with', 'mayday track in', 'lat', $4::double precision, "
        "'lon',"
        "   $5::double precision, 'metres', $6::double precision, 'from', $2::text, 'to', $3::text))))"
        " SELECT s.person, to_char(s.first_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),"
        " to_char(s.last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), s.fixes, round(s.nearest::numeric),"
        " jsonb_build_object('person', s.person, 'first_at', mayday.spell(s.first_at), 'last_at', "
        "mayday.spell(s.last_at),"
        "  'fixes', s.fixes, 'nearest', round(s.nearest::numeric, 1))"
        " FROM note, mayday.seen_in($1, ST_SetSRID(ST_MakePoint($5::double precision, $4::double precision), "
        "4326)::geography,"
        " coalesce($2::timestamptz, now() - interval '1 hour'), coalesce($3::timestamptz, now() + interval "
        "'1 day'),"
        " $6::double precision) s";
    static const char *const heads[] = {"PERSON", "FIRST, UTC", "LAST, UTC", "FIXES", "NEAREST, M"};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {o->org, o->from, o->to, o->lat, o->lon, o->metres};
    int code = database_ask(self, db, sql, ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), o->json, "nobody was seen there");
    return code;
}

static bool take_option(track_options *o, int option, const char *value) {
    switch (option) {
    case 'o':
        o->org = value;
        return true;
    case 'f':
        o->from = value;
        return true;
    case 't':
        o->to = value;
        return true;
    case 'a':
        o->area = value;
        return take_area(o, value);
    case 'g':
        o->gpx = value;
        return true;
    case 's':
        o->stats = true;
        return true;
    case 'n':
        return arg_count(self, "limit", value, 1, LIST_MAX, &o->limit);
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

typedef enum track_word {
    WORD_NONE = 0,
    WORD_NOW,
    WORD_SHOW,
    WORD_IN,
} track_word;

static track_word word_of(const char *word) {
    return strcmp(word, "now") == 0    ? WORD_NOW
           : strcmp(word, "show") == 0 ? WORD_SHOW
           : strcmp(word, "in") == 0   ? WORD_IN
                                       : WORD_NONE;
}

static int show(const track_options *o, pg *db, const char *person) {
    return o->gpx ? export_gpx(o, db, person) : o->stats ? statistics(o, db, person) : fixes(o, db, person);
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"org", required_argument, NULL, 'o'},
        {"from", required_argument, NULL, 'f'},
        {"to", required_argument, NULL, 't'},
        {"area", required_argument, NULL, 'a'},
        {"gpx", required_argument, NULL, 'g'},
        {"stats", no_argument, NULL, 's'},
        {"limit", required_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        DATABASE_OPTIONS,
        {0},
    };
    track_options o = {0};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&o, option, optarg))
            return EXIT_USAGE;
    track_word word = word_of(optind < argc ? argv[optind] : "");
    if (word == WORD_NONE || argc - optind != 1 + (word == WORD_SHOW))
        return command_fail(self, EXIT_USAGE,
                            "expected 'now', 'show PERSON' or 'in'; see 'mayday track --help'");
    if (!o.org)
        return command_fail(self, EXIT_USAGE, "--org: of which organisation?");
    if (word == WORD_IN && !o.area)
        return command_fail(self, EXIT_USAGE, "--area: who was in which?");
    if (o.area && (word == WORD_NOW || o.stats))
        return command_fail(self, EXIT_USAGE, "--area is for 'show' without --stats, and for 'in'");
    CLEANUP(pg_closep) pg *db = NULL;
    int code = database_open(self, config_path, o.database, &db);
    if (code != EXIT_DONE)
        return code;
    return word == WORD_NOW  ? now_known(&o, db)
           : word == WORD_IN ? seen_in(&o, db)
                             : show(&o, db, argv[optind + 1]);
}

const command command_track = {
    .name = "track",
    .summary = "where people are and were: last known, their way, who was in an area",
    .help =
        "Usage: mayday track now --org NAME [OPTION...]\n"
        "       mayday track show PERSON --org NAME [OPTION...]\n"
        "       mayday track in --org NAME --area LAT,LON,METRES [OPTION...]\n"
        "\n"
        "now            where everybody was last, if that was within a day, or since --from\n"
        "show PERSON    the way of a person, since a day ago if nothing else is said\n"
        "in             who was within so many metres of a place, since an hour ago if nothing else is said\n"
        "\n"
        "  --org NAME              the organisation\n"
        "  --from TIME --to TIME   between these times: '2026-11-21 14:00+02', or RFC 3339\n"
        "  --area LAT,LON,METRES   only what lies in this circle\n"
        "  --stats                 show: distance, stops and time on the way instead of every fix\n"
        "  --gpx FILE              show: write a GPX file; '-' is the standard output\n"
        "  --limit N               how many rows at most (1000)\n"
        "  --json                  a line of JSON for each\n" DATABASE_HELP "\n"
        "'show' and 'in' are noted in the audit trail.\n"
        "\n"
        "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the database could not be reached.\n",
    .run = run,
};
