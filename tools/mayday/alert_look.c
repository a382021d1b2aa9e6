/* alert_look.c - incidents as the database has them: the list, one of them whole, and who is near. It is the
 * truth, under duress too, read with the owner's rights; so what is read of one person's incident is noted in
 * the audit trail. */
#include "alert.h"

#include <stdio.h>
#include <string.h>

#include "database.h"
#include "nearest.h"

#define MOMENT(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
#define CLOCK(column)  "to_char(" column " AT TIME ZONE 'UTC', 'HH24:MI:SS.MS')"

#define MEMBERS(relation)                                                                                    \
    "(SELECT string_agg(m.person, ' ' ORDER BY m.person) FROM mayday.membership m"                           \
    " WHERE m.org = a.org AND m.family = 'alert' AND m.id = a.id::text AND m.relation = '" relation "'"      \
    " AND m.until IS NULL)"

/* One incident as an object, for scripts. */
#define OBJECT                                                                                               \
    "jsonb_strip_nulls(jsonb_build_object('id', a.id, 'org', a.org, 'status', a.status, 'version', "         \
    "a.version,"                                                                                             \
    " 'type', a.type, 'priority', a.priority, 'raised_by', a.raised_by,"                                     \
    " 'raised_at', mayday.spell(a.raised_at), 'received_at', mayday.spell(a.received_at),"                   \
    " 'acknowledged_by', a.acknowledged_by, 'acknowledged_at', mayday.spell(a.acknowledged_at),"             \
    " 'presses', a.presses, 'cause', a.cause, 'duress_at', mayday.spell(a.duress_at),"                       \
    " 'closed_at', mayday.spell(a.closed_at), 'joined_to', a.joined_to,"                                     \
    " 'assigned', to_jsonb(string_to_array(" MEMBERS("assigned") ", ' '))))"

enum {
    LIST_COLUMNS = 9, /* what people see; the column behind them is the object */
};
static const char list_sql[] =
    "SELECT a.id, a.org, a.status || CASE WHEN a.duress_at IS NULL THEN '' ELSE ' (duress)' END, a.priority,"
    " a.type, a.raised_by, " MOMENT("a.raised_at") ", a.version, " MEMBERS(
        "assigned") ", " OBJECT " FROM mayday.alert a"
                    " WHERE ($1::text IS NULL OR a.org = $1) AND ($2::boolean OR a.closed_at IS NULL) AND "
                    "a.joined_to IS NULL"
                    " ORDER BY a.raised_at DESC, a.id LIMIT $3::bigint";

/* The newest that was measured when Mayday raised it; NULL of an alarm without. */
#define READINGS                                                                                             \
    "(SELECT concat_ws(', ', 'pulse ' || round((r.readings->>'hr')::numeric) || '/min',"                     \
    " 'oxygen saturation ' || round((r.readings->>'spo2')::numeric) || ' %',"                                \
    " 'breathing ' || round((r.readings->>'resp')::numeric) || '/min',"                                      \
    " 'temperature ' || round((r.readings->>'temp')::numeric, 1) || ' °C',"                                 \
    " 'pressure ' || round((r.readings->>'sys')::numeric) || ' mmHg',"                                       \
    " 'NEWS2 ' || (r.readings->>'news2') || CASE WHEN (r.readings->>'partial')::boolean THEN ' (partial)'"   \
    "  ELSE '' END) || coalesce(' at ' || " CLOCK(                                                           \
        "(r.readings->>'at')::timestamptz") ", '')"                                                          \
                                            " FROM mayday.raise r WHERE r.org = a.org AND r.alert = a.id "   \
                                            "AND r.readings IS NOT NULL"                                     \
                                            " ORDER BY r.at, r.id LIMIT 1)"

/* Label and value, in the order in which they are read. */
/* clang-format off */
static const char head_sql[] =
    "SELECT line.label, line.value FROM mayday.alert a CROSS JOIN LATERAL (VALUES"
    " (1, 'incident', a.id || ' of ' || a.org),"
    " (2, 'status', a.status || ', version ' || a.version || ', since ' || " MOMENT("a.changed_at") "),"
    " (3, 'duress', 'canceled with the duress PIN at ' || " MOMENT("a.duress_at")
    "   || ': the phone shows ''canceled'', and the danger goes on'),"
    " (4, 'what', a.priority || ' ' || a.type || CASE WHEN a.silent THEN ', silent' ELSE '' END"
    "   || CASE WHEN a.presses > 1 THEN ', pressed ' || a.presses || ' times' ELSE '' END"
    "   || CASE WHEN a.cause <> 'person' THEN ', raised by Mayday: ' || a.cause ELSE '' END),"
    " (5, 'raised by', a.raised_by || ' at ' || " MOMENT("a.raised_at")
    "   || CASE WHEN a.offline THEN ', waited on the device until ' || " MOMENT("a.received_at") " ELSE '' END),"
    " (6, 'joined', 'the incident ' || a.joined_to || ', which was open already'),"
    " (7, 'where', round(ST_Y(a.position::geometry)::numeric, 6) || ',' ||"
    "   round(ST_X(a.position::geometry)::numeric, 6)),"
    " (8, 'readings', " READINGS "),"
    " (9, 'receipts', concat_ws('  ', 'received ' || " CLOCK("a.received_at") ", 'stored ' || " CLOCK("a.stored_at") ","
    "   'notified ' || " CLOCK("a.notified_at") ", 'delivered ' || " CLOCK("a.delivered_at") ","
    "   'acknowledged ' || " CLOCK("a.acknowledged_at") " || ' by ' || a.acknowledged_by)),"
    " (10, 'closed', " MOMENT("a.closed_at") ")"
    ") line(place, label, value) WHERE a.id = $1::uuid AND ($2::text IS NULL OR a.org = $2)"
    " AND line.value IS NOT NULL ORDER BY a.org, line.place";
/* clang-format on */

static const char members_sql[] = "SELECT m.person, m.relation, " MOMENT("m.since") ", " MOMENT(
    "m.until") ", m.changed_by"
               " FROM mayday.membership m WHERE m.family = 'alert' AND m.id = $1 AND ($2::text IS NULL OR "
               "m.org = $2)"
               " ORDER BY m.since, m.person";

/* The timeline, with what became of each action, and with the replies to its checks. */
#define TIMELINE(alert)                                                                                      \
    "(SELECT t.at, t.received_at, t.kind, t.id, t.org, t.sender, t.detail || CASE WHEN x.id IS NULL THEN "   \
    "'{}'"                                                                                                   \
    "  ELSE jsonb_strip_nulls(jsonb_build_object('verdict', x.verdict, 'to_status', x.to_status,"            \
    "  'version', x.version)) END AS detail"                                                                 \
    " FROM mayday.timeline(" alert ") t LEFT JOIN mayday.action x ON t.kind = 'action' AND x.id = t.id"      \
    " WHERE t.kind NOT IN ('check', 'reply') UNION ALL SELECT * FROM mayday.checks_of(" alert "))"

/* What Mayday itself did to reach somebody; everything about it is in 'mayday escalation show'. */
#define REACHED                                                                                              \
    "CASE t.kind"                                                                                            \
    " WHEN 'escalation' THEN concat_ws(', ', replace(t.detail->>'step', '_', ' '),"                          \
    "  'round ' || (t.detail->>'round')::integer + 1, 'level ' || nullif(t.detail->>'level', '0'),"          \
    "  (t.detail->>'people') || ' people')"                                                                  \
    " WHEN 'notification' THEN concat_ws(' ', coalesce(t.detail->>'person', 'a webhook') || ':',"            \
    "  t.detail->>'purpose', 'by ' || (t.detail->>'by'), '-> ' || (t.detail->>'status'),"                    \
    "  '(' || (t.detail->>'why') || ')')"                                                                    \
    " WHEN 'attempt' THEN concat_ws(' ', coalesce(t.detail->>'person', 'a webhook') || ':',"                 \
    "  t.detail->>'provider', '-> ' || coalesce(t.detail->>'outcome', 'under way'), t.detail->>'code',"      \
    "  '(' || (t.detail->>'receipt') || ')')"                                                                \
    " WHEN 'finding' THEN concat_ws(' ', (t.detail->>'person') || ':', t.detail->>'words',"                  \
    "  CASE t.detail->>'kind' WHEN 'grows' THEN '(worse)' WHEN 'ends' THEN '(over)' END,"                    \
    "  CASE t.detail->>'response' WHEN 'ask' THEN '-> asked' WHEN 'raise' THEN '-> the alarm' END)"          \
    " END"

/* The detail in a line: what was done or said, the rest as 'name value', and what came of it. */
static const char timeline_sql[] = "SELECT " CLOCK(
    "t.at") ", t.kind, t.sender, coalesce(" REACHED
            ", concat_ws('  ', t.detail->>'action', CASE t.kind WHEN 'reply' THEN "
            "t.detail->>'answer' END,"
            " '\"' || replace(t.detail->>'text', E'\\n', '. ') || '\"', (SELECT string_agg(d.key || ' ' || "
            "d.value, '  ')"
            "  FROM jsonb_each_text(t.detail - "
            "'{text,action,answer,verdict,to_status,version,lang,due_at,received_at,answered_at,respond_"
            "within,check,readings}'::text[]) d"
            "  WHERE d.value <> 'false'),"
            " CASE t.detail->>'verdict' WHEN 'applied' THEN '-> ' || (t.detail->>'to_status') || ', version '"
            "  || (t.detail->>'version') WHEN 'noted' THEN NULL ELSE '-> changed nothing: ' || "
            "(t.detail->>'verdict') END))"
            " FROM " TIMELINE("$1::uuid") " t WHERE ($2::text IS NULL OR t.org = $2)"
                                          " AND ($3::boolean OR t.kind <> 'location') ORDER BY t.at, t.id";

static const char whole_sql[] =
    "SELECT jsonb_build_object('incident', " OBJECT ", 'dispatch', mayday.dispatch_of(a.org, a.id),"
    " 'members', (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('person', m.person,"
    "   'relation', m.relation, 'since', mayday.spell(m.since), 'until', mayday.spell(m.until),"
    "   'changed_by', m.changed_by)) ORDER BY m.since), '[]') FROM mayday.membership m"
    "   WHERE m.org = a.org AND m.family = 'alert' AND m.id = a.id::text),"
    " 'timeline', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', mayday.spell(t.at),"
    "   'received_at', mayday.spell(t.received_at), 'kind', t.kind, 'id', t.id, 'sender', t.sender,"
    "   'detail', t.detail) ORDER BY t.at, t.id), '[]') FROM " TIMELINE(
        "a.id") " t"
                "   WHERE t.org = a.org AND ($3::boolean OR t.kind <> 'location')))"
                " FROM mayday.alert a WHERE a.id = $1::uuid AND ($2::text IS NULL OR a.org = $2) ORDER BY "
                "a.org";

static const char note_sql[] =
    "SELECT mayday.record_audit(a.org, 'read', session_user::text, a.raised_by, a.id,"
    " '{\"with\": \"mayday alert show\"}') FROM mayday.alert a"
    " WHERE a.id = $1::uuid AND ($2::text IS NULL OR a.org = $2)";

int alert_list(const command *c, const alert_options *o) {
    static const char *const heads[LIST_COLUMNS] = {"ID",        "ORG",         "STATUS",  "PRIORITY", "TYPE",
                                                    "RAISED BY", "RAISED, UTC", "VERSION", "ASSIGNED"};
    CLEANUP(pg_closep) pg *db = NULL;
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char limit[24];
    (void)snprintf(limit, sizeof limit, "%lld", (long long)o->limit);
    const char *params[] = {o->link.org, o->all ? "true" : "false", limit};
    int code = database_open(c, o->config_path, o->database, &db);
    if (code == EXIT_DONE)
        code = database_ask(c, db, list_sql, ARRAY_LEN(params), params, &rows);
    if (code != EXIT_DONE)
        return code;
    database_print(rows, heads, LIST_COLUMNS, o->json,
                   o->all ? "there are no incidents" : "there are no open incidents");
    return EXIT_DONE;
}

static int unknown(const command *c, const alert_options *o) {
    return command_fail(c, EXIT_REFUSED, "there is no incident %s%s%s", o->id, o->link.org ? " in " : "",
                        o->link.org ? o->link.org : "");
}

static int ask(const command *c, const alert_options *o, pg *db, const char *sql, bool locations,
               pg_rows **ret_rows) {
    const char *params[] = {o->id, o->link.org, locations ? "true" : "false"};
    return database_ask(c, db, sql, strstr(sql, "$3") ? 3 : 2, params, ret_rows);
}

static int show_json(const command *c, const alert_options *o, pg *db) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    int code = ask(c, o, db, whole_sql, o->locations, &rows);
    if (code != EXIT_DONE)
        return code;
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        puts(pg_value(rows, i, 0));
    return pg_rows_count(rows) ? EXIT_DONE : unknown(c, o);
}

static int show_section(const command *c, const alert_options *o, pg *db, const char *title, const char *sql,
                        const char *const *heads, size_t columns) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    int code = ask(c, o, db, sql, o->locations, &rows);
    if (code != EXIT_DONE)
        return code;
    printf("\n%s\n", title);
    database_table(stdout, rows, heads, columns);
    return EXIT_DONE;
}

static int show_text(const command *c, const alert_options *o, pg *db) {
    static const char *const member_heads[] = {"PERSON", "RELATION", "SINCE, UTC", "UNTIL", "BY"};
    static const char *const timeline_heads[] = {"AT, UTC", "KIND", "SENDER", "WHAT"};
    CLEANUP(pg_rows_freep) pg_rows *head = NULL;
    int code = ask(c, o, db, head_sql, false, &head);
    if (code != EXIT_DONE)
        return code;
    if (pg_rows_count(head) == 0)
        return unknown(c, o);
    database_lines(stdout, head);
    code = show_section(c, o, db, "members", members_sql, member_heads, ARRAY_LEN(member_heads));
    if (code == EXIT_DONE)
        code = show_section(c, o, db, "timeline", timeline_sql, timeline_heads, ARRAY_LEN(timeline_heads));
    return code;
}

int alert_show(const command *c, const alert_options *o) {
    CLEANUP(pg_closep) pg *db = NULL;
    CLEANUP(pg_rows_freep) pg_rows *noted = NULL;
    int code = database_open(c, o->config_path, o->database, &db);
    if (code == EXIT_DONE) /* before anything is shown */
        code = ask(c, o, db, note_sql, false, &noted);
    if (code != EXIT_DONE)
        return code;
    return o->json ? show_json(c, o, db) : show_text(c, o, db);
}

int alert_nearest(const command *c, const alert_options *o) {
    static const char where_sql[] =
        "SELECT a.org, ST_Y(p.position::geometry), ST_X(p.position::geometry) FROM mayday.alert a"
        " CROSS JOIN LATERAL (SELECT coalesce((SELECT l.position FROM mayday.location l WHERE l.alert = a.id"
        " AND l.org = a.org AND l.person = a.raised_by ORDER BY l.at DESC LIMIT 1), a.position) AS position) "
        "p"
        " WHERE a.id = $1::uuid AND ($2::text IS NULL OR a.org = $2)";
    CLEANUP(pg_closep) pg *db = NULL;
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    int code = database_open(c, o->config_path, o->database, &db);
    if (code == EXIT_DONE)
        code = ask(c, o, db, where_sql, false, &rows);
    if (code != EXIT_DONE)
        return code;
    if (pg_rows_count(rows) == 0)
        return unknown(c, o);
    if (pg_is_null(rows, 0, 1))
        return command_fail(c, EXIT_REFUSED, "nobody knows where the incident %s is", o->id);
    return nearest_print(c, db, pg_value(rows, 0, 0), pg_value(rows, 0, 1), pg_value(rows, 0, 2), o->limit,
                         o->json);
}
