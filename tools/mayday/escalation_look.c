/* escalation_look.c - what is under way, and everything that was done for one incident, over the database.
 * Numbers are masked: whoever needs one finds it with the person. */
#include <stdio.h>
#include <string.h>

#include "database.h"
#include "escalation_tool.h"

#define MOMENT(time) "to_char(" time " AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
#define CLOCK(time)  "to_char(" time " AT TIME ZONE 'UTC', 'HH24:MI:SS.MS')"
/* "in 12 s", "12 s ago" */
#define FROM_NOW(time)                                                                                       \
    "CASE WHEN " time " > now() THEN 'in ' || extract(epoch FROM " time " - now())::bigint || ' s'"          \
    " ELSE extract(epoch FROM now() - " time ")::bigint || ' s ago' END"
/* "sms +27*****89"; what a person has without a phone is their app */
#define HOW(n)                                                                                               \
    "concat_ws(' ', " n ".kind, CASE WHEN " n ".kind = 'webhook' THEN " n                                    \
    ".address ELSE mayday.mask_number(" n ".address) END)"

static const char list_sql[] =
    "SELECT e.alert, e.status || CASE WHEN e.forgotten > 0 THEN ' (forgotten ' || e.forgotten || ')' ELSE '' "
    "END,"
    " a.priority, a.type, a.raised_by, " MOMENT(
        "a.received_at") ", e.policy, e.round + 1, e.level,"
                         " coalesce(" FROM_NOW(
                             "coalesce(e.next_at, e.due_at)") ", ''),"
                                                              " (SELECT count(DISTINCT n.person) FROM "
                                                              "mayday.notification n WHERE "
                                                              "n.org = e.org AND n.alert = e.alert),"
                                                              " jsonb_strip_nulls(jsonb_build_object('alert',"
                                                              " e.alert, 'org', "
                                                              "e.org, 'status', e.status, 'policy', e.policy,"
                                                              "  'edition', e.edition, 'edition_org', "
                                                              "e.edition_org, 'round', "
                                                              "e.round + 1, 'level', e.level,"
                                                              "  'begun_at', mayday.spell(e.begun_at), "
                                                              "'due_at', "
                                                              "mayday.spell(e.due_at), 'held_until', "
                                                              "mayday.spell(e.held_until),"
                                                              "  'answered_at', mayday.spell(e.answered_at), "
                                                              "'exhausted_at', "
                                                              "mayday.spell(e.exhausted_at), 'forgotten', "
                                                              "e.forgotten,"
                                                              "  'raised_by', a.raised_by, 'type', a.type, "
                                                              "'priority', "
                                                              "a.priority))"
                                                              " FROM mayday.escalation e JOIN mayday.alert a "
                                                              "ON a.org = e.org AND "
                                                              "a.id = e.alert"
                                                              " WHERE e.org = $1 AND ($2::boolean OR "
                                                              "e.status <> 'ended') ORDER "
                                                              "BY a.received_at DESC, e.alert LIMIT "
                                                              "$3::bigint";

static const char head_sql[] =
    "SELECT line.label, line.value FROM mayday.escalation e JOIN mayday.alert a ON a.org = e.org AND a.id = "
    "e.alert"
    " CROSS JOIN LATERAL (VALUES"
    " (1, 'incident', a.id || ' of ' || a.org || ': ' || a.priority || ' ' || a.type || ' of ' || "
    "a.raised_by || ', ' || a.status),"
    " (2, 'escalation', e.status || ', round ' || e.round + 1 || ', level ' || e.level),"
    " (3, 'policy', nullif(e.policy, '') || ', edition ' || e.edition || CASE e.edition_org WHEN '*' THEN ' "
    "of all' ELSE '' END),"
    " (4, 'begun', " MOMENT(
        "e.begun_at") "),"
                      " (5, 'next', CASE WHEN e.status IN ('running', 'held', 'answered') THEN " FROM_NOW(
                          "coalesce(e.next_at, e.due_at)") " END),"
                                                           " (6, 'held until', CASE e.status WHEN 'held' "
                                                           "THEN " MOMENT(
                                                               "e.held_until") " END),"
                                                                               " (7, 'answered', " MOMENT(
                                                                                   "e.answered_at") " || "
                                                                                                    "coalesce"
                                                                                                    "(' by ' "
                                                                                                    "|| "
                                                                                                    "a."
                                                                                                    "acknowle"
                                                                                                    "dged_by,"
                                                                                                    " '')),"
                                                                                                    " (8, "
                                                                                                    "'forgott"
                                                                                                    "en', "
                                                                                                    "CASE "
                                                                                                    "WHEN "
                                                                                                    "e."
                                                                                                    "forgotte"
                                                                                                    "n > 0 "
                                                                                                    "THEN "
                                                                                                    "e."
                                                                                                    "forgotte"
                                                                                                    "n || ' "
                                                                                                    "times "
                                                                                                    "answered"
                                                                                                    ", and "
                                                                                                    "nothing "
                                                                                                    "done "
                                                                                                    "since' "
                                                                                                    "END),"
                                                                                                    " (9, "
                                                                                                    "'exhaust"
                                                                                                    "ed',"
                                                                                                    " " MOMENT(
                                                                                                        "e."
                                                                                                        "exha"
                                                                                                        "uste"
                                                                                                        "d_"
                                                                                                        "at") " || ': "
                                                                                                              "nobody "
                                                                                                              "answere"
                                                                                                              "d')"
                                                                                                              ") "
                                                                                                              "line("
                                                                                                              "place, "
                                                                                                              "label, "
                                                                                                              "value)"
                                                                                                              " WHERE "
                                                                                                              "e.org "
                                                                                                              "= $1 "
                                                                                                              "AND "
                                                                                                              "e."
                                                                                                              "alert "
                                                                                                              "= "
                                                                                                              "$2::"
                                                                                                              "uuid "
                                                                                                              "AND "
                                                                                                              "line."
                                                                                                              "value "
                                                                                                              "IS NOT "
                                                                                                              "NULL "
                                                                                                              "ORDER "
                                                                                                              "BY "
                                                                                                              "line."
                                                                                                              "place";

static const char told_sql[] = "SELECT " CLOCK(
    "n.made_at") ", coalesce(n.person, '') || CASE WHEN n.family THEN ' (family)' ELSE '' "
                 "END, " HOW("n") ","
                                  " CASE WHEN n.level > 0 THEN n.round + 1 || '.' || n.level ELSE '' "
                                  "END, n.purpose,"
                                  " n.status || coalesce(' (' || n.why || ')', ''),"
                                  " coalesce(" CLOCK("n.sent_at") ", ''), coalesce(" CLOCK(
                                      "n.done_at") ", ''),"
                                                   " CASE WHEN n.status IN ('waiting', 'doubt') "
                                                   "THEN " FROM_NOW(
                                                       "n.due_at") " ELSE '' END"
                                                                   " FROM mayday.notification n "
                                                                   "WHERE n.org = $1 AND n.alert = "
                                                                   "$2::uuid"
                                                                   " ORDER BY n.made_at, n.round, "
                                                                   "n.level, n.person, n.place, n.id";

static const char attempts_sql[] = "SELECT " CLOCK("t.begun_at") ", coalesce(n.person, ''), " HOW(
    "n") ", t.provider, t.gateway,"
         " coalesce(t.outcome, 'under way'), coalesce(t.http_status::text, ''), coalesce(t.code, ''),"
         " CASE WHEN t.ended_at IS NULL THEN '' ELSE round(extract(epoch FROM t.ended_at - t.begun_at) * "
         "1000) || ' ms' END,"
         " coalesce(t.receipt || ' ' || " CLOCK(
             "t.receipt_at") ", t.receipt, ''), coalesce(t.reference, '')"
                             " FROM mayday.attempt t JOIN mayday.notification n ON n.id = t.notification"
                             " WHERE n.org = $1 AND n.alert = $2::uuid ORDER BY t.begun_at, t.id";

static const char answers_sql[] = "SELECT " CLOCK(
    "w.at") ", w.person, w.how, w.answer, CASE WHEN w.done THEN 'handed on' ELSE 'waits' END"
            " FROM mayday.answer w WHERE w.org = $1 AND w.alert = $2::uuid ORDER BY w.at, w.id";

static const char whole_sql[] = "SELECT jsonb_build_object('escalation', to_jsonb(e),"
                                " 'notifications', (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(n) "
                                "- '{body,code,org,alert}'::text[]"
                                "   || jsonb_build_object('address', CASE WHEN n.kind = 'webhook' THEN "
                                "n.address ELSE mayday.mask_number(n.address) END))"
                                "   ORDER BY n.made_at, n.round, n.level, n.person, n.place, n.id), '[]')"
                                "   FROM mayday.notification n WHERE n.org = e.org AND n.alert = e.alert),"
                                " 'attempts', (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(t) - "
                                "'{org,alert,pid,pid_since}'::text[])"
                                "   ORDER BY t.begun_at, t.id), '[]') FROM mayday.attempt t JOIN "
                                "mayday.notification n ON n.id = t.notification"
                                "   WHERE n.org = e.org AND n.alert = e.alert),"
                                " 'answers', (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(w) - "
                                "'{org,alert}'::text[]) ORDER BY w.at, w.id), '[]')"
                                "   FROM mayday.answer w WHERE w.org = e.org AND w.alert = e.alert))"
                                " FROM mayday.escalation e WHERE e.org = $1 AND e.alert = $2::uuid";

static const char note_sql[] = "SELECT mayday.record_audit(e.org, 'read', session_user::text, NULL, e.alert, "
                               "'{\"with\": \"mayday escalation show\"}')"
                               " FROM mayday.escalation e WHERE e.org = $1 AND e.alert = $2::uuid";

int escalation_list(const command *c, const escalation_options *o) {
    static const char *const heads[] = {"ALERT",  "STATUS", "PRIORITY", "TYPE", "RAISED BY",  "RECEIVED, UTC",
                                        "POLICY", "ROUND",  "LEVEL",    "NEXT", "PEOPLE TOLD"};
    CLEANUP(pg_closep) pg *db = NULL;
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char limit[24];
    (void)snprintf(limit, sizeof limit, "%lld", (long long)o->limit);
    const char *params[] = {o->org, o->all ? "true" : "false", limit};
    int code = database_open(c, o->act.config_path, o->act.database, &db);
    if (code == EXIT_DONE)
        code = database_ask(c, db, list_sql, ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), o->act.json,
                       o->all ? "there are no escalations" : "no escalation is under way");
    return code;
}

static int section(const command *c, const escalation_options *o, pg *db, const char *title, const char *sql,
                   const char *const *heads, size_t columns) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {o->org, o->act.id};
    int code = database_ask(c, db, sql, ARRAY_LEN(params), params, &rows);
    if (code != EXIT_DONE)
        return code;
    printf("\n%s\n", title);
    if (pg_rows_count(rows))
        database_table(stdout, rows, heads, columns);
    else
        puts("none");
    return EXIT_DONE;
}

static int show_text(const command *c, const escalation_options *o, pg *db, const pg_rows *head) {
    static const char *const told[] = {"MADE, UTC", "WHO",  "HOW",  "LEVEL", "PURPOSE",
                                       "STATUS",    "SENT", "DONE", "DUE"};
    static const char *const attempts[] = {"AT, UTC", "WHO",  "HOW",  "PROVIDER", "GATEWAY",  "OUTCOME",
                                           "HTTP",    "CODE", "TOOK", "RECEIPT",  "REFERENCE"};
    static const char *const answers[] = {"AT, UTC", "WHO", "HOW", "ANSWER", "ACTION"};
    database_lines(stdout, head);
    int code = section(c, o, db, "told", told_sql, told, ARRAY_LEN(told));
    if (code == EXIT_DONE)
        code = section(c, o, db, "attempts", attempts_sql, attempts, ARRAY_LEN(attempts));
    if (code == EXIT_DONE)
        code = section(c, o, db, "answers by phone", answers_sql, answers, ARRAY_LEN(answers));
    return code;
}

int escalation_show(const command *c, const escalation_options *o) {
    CLEANUP(pg_closep) pg *db = NULL;
    CLEANUP(pg_rows_freep) pg_rows *noted = NULL;
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {o->org, o->act.id};
    int code = database_open(c, o->act.config_path, o->act.database, &db);
    if (code == EXIT_DONE) /* before anything is shown */
        code = database_ask(c, db, note_sql, ARRAY_LEN(params), params, &noted);
    if (code == EXIT_DONE)
        code = database_ask(c, db, o->act.json ? whole_sql : head_sql, ARRAY_LEN(params), params, &rows);
    if (code != EXIT_DONE)
        return code;
    if (pg_rows_count(rows) == 0)
        return command_fail(c, EXIT_REFUSED, "there is no escalation of %s in %s", o->act.id, o->org);
    if (!o->act.json)
        return show_text(c, o, db, rows);
    puts(pg_value(rows, 0, 0));
    return EXIT_DONE;
}
