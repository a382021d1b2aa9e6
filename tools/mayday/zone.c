/* zone.c - `mayday zone`: an organisation's geofences, over the database; GeoJSON in and out. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "database.h"
#include "msg/schema.h"
#include "place/fence.h"
#include "zone_file.h"

extern const command command_zone;
static const command *const self = &command_zone;

#define ZONE_FILE_MAX (32 << 20)
#define ZONES_MAX     10000

typedef struct zone_options {
    const char *config_path, *database;
    bool json, geojson;
} zone_options;

/* ---- files ---- */

static int read_body(const char *path, json **ret_body) {
    CLEANUP(buf_release) buf file = BUF(ZONE_FILE_MAX);
    int fault = file_read(path, ZONE_FILE_MAX, &file);
    if (fault < 0)
        return command_fail(self, EXIT_REFUSED, "cannot read %s: %s", path, strerror(-fault));
    json_verdict verdict = json_parse_once(buf_text(&file), ret_body);
    if (verdict != JSON_OK)
        return command_fail(self, EXIT_REFUSED, "%s: no JSON: %s", path, json_verdict_name(verdict));
    return EXIT_DONE;
}

static int open_schema(const settings *conf, schema **ret_schema) {
    CLEANUP(buf_release) buf path = BUF(4096);
    char why[SCHEMA_READ_WHY_MAX] = "";
    buf_printf(&path, "%s/documents/zone.json", conf->schema_dir);
    if (buf_failed(&path) < 0 || schema_read(path.ptr, ret_schema, why) < 0)
        return command_fail(self, EXIT_REFUSED, "%s", *why ? why : "out of memory");
    return EXIT_DONE;
}

/* By the rules of lib/place, which knows why; then by the schema, in case that is stricter. */
static int check_one(const char *path, fences *all, const schema *shape, const json *zone) {
    char why[FENCE_WHY_MAX] = "", where[SCHEMA_WHY_MAX] = "";
    text name = json_get_string(zone, "zone");
    size_t before = fences_count(all);
    int fault = fences_put(all, zone, why);
    if (fault == -EBADMSG)
        return command_fail(self, EXIT_REFUSED, "%s: zone '%.*s': %s", path, (int)name.len,
                            name.len ? name.ptr : "", why);
    if (fault < 0)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    if (fences_count(all) == before)
        return command_fail(self, EXIT_REFUSED, "%s: there are two zones '%.*s'", path, (int)name.len,
                            name.ptr);
    if (!schema_accepts(shape, zone, where))
        return command_fail(self, EXIT_REFUSED, "%s: zone '%.*s': %s", path, (int)name.len, name.ptr, where);
    return EXIT_DONE;
}

/* The zones of a file, each of them good. */
static int read_zones(const zone_options *o, const char *path, json **ret_zones) {
    CLEANUP(json_freep) json *body = NULL;
    CLEANUP(json_freep) json *zones = json_new_array();
    CLEANUP(fences_freep) fences *all = NULL;
    CLEANUP(schema_freep) schema *shape = NULL;
    settings conf = {0};
    char why[ZONE_FILE_WHY_MAX] = "";
    int code = command_settings(o->config_path, &conf);
    if (code == EXIT_DONE) {
        code = open_schema(&conf, &shape);
        conf_release(&settings_table, &conf);
    }
    if (code == EXIT_DONE)
        code = read_body(path, &body);
    if (code != EXIT_DONE)
        return code;
    int fault = zones && fences_new(&all) == 0 ? zones_of_file(body, zones, why) : -ENOMEM;
    if (fault < 0)
        return command_fail(self, EXIT_REFUSED, "%s: %s", path, *why ? why : "out of memory");
    if (json_length(zones) == 0 || json_length(zones) > ZONES_MAX)
        return command_fail(self, EXIT_REFUSED, "%s: must hold 1 to %d zones", path, ZONES_MAX);
    for (size_t i = 0; code == EXIT_DONE && i < json_length(zones); i++)
        code = check_one(path, all, shape, json_at(zones, i));
    if (code == EXIT_DONE) {
        *ret_zones = zones;
        zones = NULL;
    }
    return code;
}

static int check(const zone_options *o, char **words) {
    CLEANUP(json_freep) json *zones = NULL;
    int code = read_zones(o, words[1], &zones);
    if (code == EXIT_DONE)
        printf("%s: %zu good zone%s\n", words[1], json_length(zones), json_length(zones) == 1 ? "" : "s");
    return code;
}

/* ---- the database ---- */

static int ask(const zone_options *o, const char *sql, size_t count, const char *const *params,
               pg_rows **ret_rows) {
    CLEANUP(pg_closep) pg *db = NULL;
    int code = database_open(self, o->config_path, o->database, &db);
    return code == EXIT_DONE ? database_ask(self, db, sql, count, params, ret_rows) : code;
}

/* All of a file or nothing of it. */
static int put(const zone_options *o, char **words) {
    static const char sql[] = "SELECT count(*), count(*) FILTER (WHERE mayday.put_zone($1, z)) "
                              "FROM jsonb_array_elements($2::jsonb) z";
    CLEANUP(json_freep) json *zones = NULL;
    CLEANUP(buf_release) buf spelled = BUF(ZONE_FILE_MAX * 2);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    int code = read_zones(o, words[2], &zones);
    if (code != EXIT_DONE)
        return code;
    json_print(zones, &spelled);
    if (buf_failed(&spelled) < 0)
        return command_fail(self, EXIT_REFUSED, "%s: too long", words[2]);
    const char *params[] = {words[1], spelled.ptr};
    code = ask(o, sql, 2, params, &rows);
    if (code == EXIT_DONE)
        printf("%s zone%s for %s, %s of them changed\n", pg_value(rows, 0, 0),
               strcmp(pg_value(rows, 0, 0), "1") == 0 ? "" : "s", words[1], pg_value(rows, 0, 1));
    return code;
}

static int drop(const zone_options *o, char **words) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {words[1], words[2]};
    int code = ask(o, "SELECT mayday.drop_zone($1, $2)", 2, params, &rows);
    if (code == EXIT_DONE)
        printf("%s: %s\n", words[2],
               strcmp(pg_value(rows, 0, 0), "t") == 0 ? "dropped" : "there was no such zone");
    return code;
}

static int list(const zone_options *o, char **words) {
    static const char sql[] =
        "SELECT z.zone, z.document->>'name', CASE WHEN z.document->'shape' ? 'circle' THEN 'circle'"
        "  WHEN z.document->'shape' ? 'corridor' THEN 'corridor' ELSE lower(z.document->'shape'->>'type') "
        "END,"
        " round(ST_Area(z.area))::text, (SELECT count(*) FROM mayday.zone_inside i WHERE i.org = z.org AND "
        "i.zone = z.zone),"
        " coalesce(z.document->>'alarm', 'none'), to_char(z.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD "
        "HH24:MI:SS'), z.document"
        " FROM mayday.zone z WHERE z.org = $1 ORDER BY 1";
    static const char *const heads[] = {"ZONE",   "NAME",  "SHAPE",       "SQUARE METRES",
                                        "INSIDE", "ALARM", "CHANGED, UTC"};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {words[1]};
    int code = ask(o, sql, 1, params, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), o->json, "no zones");
    return code;
}

static int who(const zone_options *o, char **words) {
    static const char sql[] =
        "SELECT i.zone, i.person, to_char(i.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),"
        " to_char(i.seen AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), CASE WHEN i.checked_in THEN 'yes' "
        "ELSE "
        "'' END,"
        " jsonb_build_object('zone', i.zone, 'person', i.person, 'since', mayday.spell(i.since), 'seen',"
        " mayday.spell(i.seen), 'dwelled', i.dwelled, 'checked_in', i.checked_in)"
        " FROM mayday.zone_inside i WHERE i.org = $1 AND ($2::text IS NULL OR i.zone = $2) ORDER BY i.zone, "
        "i.since";
    static const char *const heads[] = {"ZONE", "PERSON", "SINCE, UTC", "SEEN, UTC", "CHECKED IN"};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {words[1], words[2]};
    int code = ask(o, sql, 2, params, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), o->json, "nobody");
    return code;
}

static int print_pretty(const json *value) {
    CLEANUP(buf_release) buf spelled = BUF(ZONE_FILE_MAX * 2);
    json_print_pretty(value, &spelled);
    if (buf_failed(&spelled) < 0)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    puts(spelled.ptr);
    return EXIT_DONE;
}

static int add_zone(json *to, const char *spelled, bool as_feature) {
    CLEANUP(json_freep) json *zone = NULL;
    if (json_parse_once(text_of(spelled), &zone) != JSON_OK)
        return -EBADMSG;
    return json_append(to, as_feature ? zone_feature(zone) : json_share(zone));
}

static int print_zones(const pg_rows *rows, bool geojson) {
    CLEANUP(json_freep) json *whole = json_new_object();
    json *zones = json_new_array();
    int fault = whole && zones ? 0 : -ENOMEM;
    for (size_t i = 0; fault == 0 && i < pg_rows_count(rows); i++)
        fault = add_zone(zones, pg_value(rows, i, 0), geojson);
    if (fault == 0 && !geojson) {
        int code = print_pretty(json_length(zones) == 1 ? json_at(zones, 0) : zones);
        (void)json_free(zones);
        return code;
    }
    if (fault == 0)
        fault = json_put(whole, "type", json_new_string(TEXT("FeatureCollection")));
    if (fault < 0) {
        (void)json_free(zones);
        return command_fail(self, EXIT_REFUSED, "%s", strerror(-fault));
    }
    return json_put(whole, "features", zones) < 0 ? command_fail(self, EXIT_REFUSED, "out of memory")
                                                  : print_pretty(whole);
}

static int show(const zone_options *o, char **words) {
    static const char sql[] =
        "SELECT z.document FROM mayday.zone z WHERE z.org = $1 AND ($2::text IS NULL OR "
        "z.zone = $2) ORDER BY z.zone";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {words[1], words[2]};
    int code = ask(o, sql, 2, params, &rows);
    if (code != EXIT_DONE)
        return code;
    if (words[2] && pg_rows_count(rows) == 0)
        return command_fail(self, EXIT_REFUSED, "there is no such zone");
    return print_zones(rows, o->geojson);
}

/* ---- the command ---- */

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"geojson", no_argument, NULL, 'g'},
        DATABASE_OPTIONS,
        {0},
    };
    static const struct {
        const char *name;
        int least, most;
        int (*act)(const zone_options *o, char **words);
    } usages[] = {{"list", 2, 2, list}, {"show", 2, 3, show},   {"put", 3, 3, put},
                  {"drop", 3, 3, drop}, {"check", 2, 2, check}, {"who", 2, 3, who}};
    zone_options o = {.config_path = config_path};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'j')
            o.json = true;
        else if (option == 'g')
            o.geojson = true;
        else if (option == DATABASE_OPTION)
            o.database = optarg;
        else
            return EXIT_USAGE;
    }
    int count = argc - optind;
    for (size_t i = 0; count > 0 && i < ARRAY_LEN(usages); i++)
        if (strcmp(argv[optind], usages[i].name) == 0 && count >= usages[i].least && count <= usages[i].most)
            return usages[i].act(&o, argv + optind); /* argv ends with a NULL: what is left out is NULL */
    return command_fail(
        self, EXIT_USAGE,
        "expected 'list ORG', 'show ORG [ZONE]', 'put ORG FILE', 'drop ORG ZONE', 'check FILE' or "
        "'who ORG [ZONE]'; see 'mayday zone --help'");
}

const command command_zone = {
    .name = "zone",
    .summary = "geofences: put them, look at them, see who is inside",
    .help =
        "Usage: mayday zone list|show|put|drop|check|who [ORG] [ZONE|FILE] [OPTION...]\n"
        "\n"
        "list ORG          the zones, and how many people are inside\n"
        "show ORG [ZONE]   one or all, to be edited and put\n"
        "put ORG FILE      add or replace the zones of a file: all of them or, if one is not good, none. It\n"
        "                  counts at once\n"
        "drop ORG ZONE     forget a zone; of those inside nothing is said\n"
        "check FILE        is it good? Nothing is stored\n"
        "who ORG [ZONE]    who is inside, since when, and when they were last seen there\n"
        "\n"
        "A file holds a zone as schemas/documents/zone.json has it, a GeoJSON Feature, a FeatureCollection, "
        "or\n"
        "a list of them. Of a Feature, Polygon and MultiPolygon are the shape, Point with the property "
        "'radius'\n"
        "is a circle, LineString with 'width' a corridor; the other properties are the zone's members.\n"
        "\n"
        "  --geojson          show: as a FeatureCollection, for a map and back\n"
        "  --json             list and who: one line of JSON each\n" DATABASE_HELP "\n"
        "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the database could not be reached.\n",
    .run = run,
};
