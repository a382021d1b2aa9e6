/* audit_export.c - `mayday audit export`: what the trail says of a person or an incident.
 *
 * Who reads this reads protected data, so the export is recorded first, and committed, before a line is
 * shown. Each entry comes with the chain hash before it: with that, its own fields and core/audit.h, anybody
 * can check it. */
#include "audit_tool.h"

#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/uuid.h"

#define FETCH "FETCH 1000 FROM trail"

typedef enum format {
    FORMAT_TEXT,
    FORMAT_JSON,
    FORMAT_CSV
} format;

typedef struct request {
    const char *conninfo, *person, *alert, *org, *since;
    format format;
} request;

static const char *const columns[] = {
    "position", "id",         "at",         "sealed_at",          "org", "kind", "actor", "person", "alert",
    "detail",   "entry_hash", "chain_hash", "previous_chain_hash"};

enum {
    POSITION = 0,
    AT = 2,
    ORG = 4,
    KIND,
    ACTOR,
    PERSON,
    ALERT,
    DETAIL,
    ENTRY_HASH,
    CHAIN_HASH
};

static const char *login(void) {
    const struct passwd *me = getpwuid(getuid());
    return me ? me->pw_name : "?";
}

static const char *format_name(format f) {
    switch (f) {
    case FORMAT_JSON:
        return "json";
    case FORMAT_CSV:
        return "csv";
    case FORMAT_TEXT:
        break;
    }
    return "text";
}

static int record(const request *r, pg *c) {
    static const char sql[] =
        "SELECT mayday.record_audit($1, 'audit.export', $2 || '/' || session_user, $3, $4::uuid,"
        " jsonb_strip_nulls(jsonb_build_object('format', $5::text, 'since', $6::timestamptz)))";
    const char *params[] = {r->org, login(), r->person, r->alert, format_name(r->format), r->since};
    pg_verdict verdict = pg_query(c, sql, ARRAY_LEN(params), params, NULL);
    if (verdict == PG_DATA)
        return command_fail(&command_audit, EXIT_USAGE, "--since: %s", pg_why(c));
    return verdict == PG_DONE ? EXIT_DONE : audit_sql_failed(c);
}

static void print_csv_value(const char *value) {
    if (!strpbrk(value, "\",\r\n")) {
        fputs(value, stdout);
        return;
    }
    putchar('"');
    for (; *value; value++) {
        if (*value == '"')
            putchar('"');
        putchar(*value);
    }
    putchar('"');
}

/* A null is an empty field, an empty text a quoted one. */
static void print_csv(const pg_rows *rows, size_t row) {
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        if (i > 0)
            putchar(',');
        if (!pg_is_null(rows, row, i) && *pg_value(rows, row, i) == '\0')
            fputs("\"\"", stdout);
        else
            print_csv_value(pg_value(rows, row, i));
    }
    fputs("\r\n", stdout);
}

/* What people wrote must not drive the terminal. */
static void print_plain(const char *value) {
    for (; *value; value++)
        if ((unsigned char)*value < 0x20 || *value == 0x7f)
            printf("\\x%02x", (unsigned char)*value);
        else
            putchar(*value);
}

static void print_text(const pg_rows *rows, size_t row) {
    static const int shown[] = {ORG, KIND, ACTOR, PERSON, ALERT, DETAIL};
    printf("%s  %s", pg_value(rows, row, POSITION), pg_value(rows, row, AT));
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        fputs("  ", stdout);
        print_plain(pg_is_null(rows, row, (size_t)shown[i]) ? "-" : pg_value(rows, row, (size_t)shown[i]));
    }
    printf("\n    entry %s  chain %s\n", pg_value(rows, row, ENTRY_HASH), pg_value(rows, row, CHAIN_HASH));
}

/* NULL: a null, which is left out, or memory is short. */
static json *member_of(const pg_rows *rows, size_t row, size_t column) {
    text value = text_of(pg_value(rows, row, column));
    json *detail = NULL;
    if (column == POSITION)
        return json_new_integer(audit_integer(rows, row, column));
    if (column == DETAIL && json_parse_once(value, &detail) == JSON_OK)
        return detail;
    return pg_is_null(rows, row, column) ? NULL : json_new_string(value);
}

static int print_json(const pg_rows *rows, size_t row) {
    CLEANUP(json_freep) json *object = json_new_object();
    CLEANUP(buf_release) buf line = BUF(64 << 20);
    bool good = object != NULL;
    for (size_t i = 0; good && i < ARRAY_LEN(columns); i++) {
        json *member = member_of(rows, row, i);
        if (member)
            good = json_put(object, columns[i], member) == 0;
        else
            good = pg_is_null(rows, row, i) || i == DETAIL;
    }
    json_print(object, &line);
    if (!good || buf_failed(&line) < 0)
        return command_fail(&command_audit, EXIT_UNREACHABLE, "entry %s can't be printed as JSON",
                            pg_value(rows, row, POSITION));
    puts(line.ptr);
    return EXIT_DONE;
}

static int print_row(const request *r, const pg_rows *rows, size_t row) {
    switch (r->format) {
    case FORMAT_JSON:
        return print_json(rows, row);
    case FORMAT_CSV:
        print_csv(rows, row);
        return EXIT_DONE;
    case FORMAT_TEXT:
        print_text(rows, row);
        break;
    }
    return EXIT_DONE;
}

#define MOMENT(column) "to_char(a." column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
#define DECLARE                                                                                              \
    "DECLARE trail NO SCROLL CURSOR FOR SELECT a.position, a.id, " MOMENT("at") ", " MOMENT(                 \
        "sealed_at") ","                                                                                     \
                     " a.org, a.kind, a.actor, a.person, a.alert, a.detail, encode(a.entry_hash, 'hex'),"    \
                     " encode(a.chain_hash, 'hex'), CASE WHEN a.position = 1 THEN repeat('0', 64) ELSE"      \
                     " (SELECT encode(b.chain_hash, 'hex') FROM mayday.audit b WHERE b.position = "          \
                     "a.position - 1 LIMIT 1) END"                                                           \
                     " FROM mayday.audit a WHERE ($2::text IS NULL OR a.org = $2) AND ($3::timestamptz IS "  \
                     "NULL OR a.at >= $3) AND "

static int show(const request *r, pg *c) {
    static const char of_person[] = DECLARE "(a.person = $1 OR a.actor = $1) ORDER BY a.position";
    static const char of_alert[] = DECLARE "a.alert = $1::uuid ORDER BY a.position";
    const char *params[] = {r->person ? r->person : r->alert, r->org, r->since};
    if (pg_run(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") != PG_DONE ||
        pg_query(c, r->person ? of_person : of_alert, ARRAY_LEN(params), params, NULL) != PG_DONE)
        return audit_sql_failed(c);
    for (size_t i = 0; r->format == FORMAT_CSV && i < ARRAY_LEN(columns); i++)
        printf("%s%s", columns[i], i + 1 < ARRAY_LEN(columns) ? "," : "\r\n");
    for (size_t n = 1; n > 0;) {
        CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
        if (pg_query(c, FETCH, 0, NULL, &rows) != PG_DONE)
            return audit_sql_failed(c);
        n = pg_rows_count(rows);
        for (size_t i = 0; i < n; i++) {
            int code = print_row(r, rows, i);
            if (code != EXIT_DONE)
                return code;
        }
    }
    return fflush(stdout) == 0
               ? EXIT_DONE
               : command_fail(&command_audit, EXIT_UNREACHABLE, "the output can't be written");
}

static int parse(request *r, int argc, char **argv) {
    static const struct option options[] = {
        {"person", required_argument, NULL, 'p'},
        {"alert", required_argument, NULL, 'a'},
        {"org", required_argument, NULL, 'o'},
        {"since", required_argument, NULL, 's'},
        {"database", required_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'},
        {"csv", no_argument, NULL, 'c'},
        {0},
    };
    optind = 0; /* start afresh: main() wanted options before the command */
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'p':
            r->person = optarg;
            break;
        case 'a':
            r->alert = optarg;
            break;
        case 'o':
            r->org = optarg;
            break;
        case 's':
            r->since = optarg;
            break;
        case 'd':
            r->conninfo = optarg;
            break;
        case 'j':
            r->format = FORMAT_JSON;
            break;
        case 'c':
            r->format = FORMAT_CSV;
            break;
        default:
            return EXIT_USAGE;
        }
    }
    uuid id;
    if (optind < argc)
        return command_fail(&command_audit, EXIT_USAGE, "unexpected '%s'", argv[optind]);
    if (!r->person == !r->alert)
        return command_fail(&command_audit, EXIT_USAGE, "expected either --person or --alert");
    if (r->alert && uuid_parse(text_of(r->alert), &id) < 0)
        return command_fail(&command_audit, EXIT_USAGE, "--alert: '%s' is not an incident's id", r->alert);
    return EXIT_DONE;
}

int audit_export(const settings *conf, int argc, char **argv) {
    CLEANUP(pg_closep) pg *c = NULL;
    request r = {0};
    int code = parse(&r, argc, argv);
    if (code == EXIT_DONE)
        code = audit_connect(conf, r.conninfo, &c);
    if (code == EXIT_DONE)
        code = record(&r, c);
    return code == EXIT_DONE ? show(&r, c) : code;
}
