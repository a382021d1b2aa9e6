/* vitals_show.c - see vitals_tool.h: one person. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "database.h"
#include "vitals_tool.h"

static const command *const self = &command_vitals;

/* What is usual, from what the gateway keeps; "" unknown. */
static void spell_usual(const body_view *seen, bool known, vital which, char ret_text[32]) {
    ret_text[0] = '\0';
    if (known && isfinite(seen->usual[which]))
        (void)snprintf(ret_text, 32, "%.0f", seen->usual[which]);
}

static int look_at_body(pg *db, const char *const *params, body_view *ret_view, bool *ret_known) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    CLEANUP(body_freep) body *kept = NULL;
    *ret_known = false;
    int code = database_ask(self, db, "SELECT body FROM mayday.body WHERE org = $1 AND person = $2", 2,
                            params, &rows);
    if (code == EXIT_DONE && pg_rows_count(rows) == 1 &&
        body_read(text_of(pg_value(rows, 0, 0)), &kept) == 0) {
        body_look(kept, instant_now(), ret_view);
        *ret_known = true;
    }
    return code;
}

/* The newest of each, by one look into the index for each. */
static int show_values(pg *db, const char *const *params, const vitals_options *o) {
    static const struct {
        vital which;
        const char *label, *unit;
    } rows_of[] = {{VITAL_HR, "hr", "/min"},   {VITAL_SPO2, "spo2", "%"},  {VITAL_RESP, "resp", "/min"},
                   {VITAL_TEMP, "temp", "°C"}, {VITAL_SYS, "sys", "mmHg"}, {VITAL_DIA, "dia", "mmHg"}};
    static const char sql[] =
        "SELECT v.hr, v.spo2, v.resp, v.temp, v.sys, v.dia,"
        " to_char(v.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), v.sensor, v.contact FROM mayday.vitals v"
        " WHERE v.org = $1 AND v.person = $2 AND v.at > now() - interval '30 days'"
        " AND CASE $3::integer WHEN 0 THEN v.hr WHEN 1 THEN v.spo2 WHEN 2 THEN v.resp WHEN 3 THEN v.temp"
        " WHEN 4 THEN v.sys ELSE v.dia END IS NOT NULL ORDER BY v.at DESC LIMIT 1";
    body_view seen;
    bool known, any = false;
    int code = look_at_body(db, params, &seen, &known);
    for (size_t i = 0; code == EXIT_DONE && i < ARRAY_LEN(rows_of); i++) {
        CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
        char number[4], usual[32];
        (void)snprintf(number, sizeof number, "%zu", i);
        const char *with[] = {params[0], params[1], number};
        code = database_ask(self, db, sql, 3, with, &rows);
        if (code != EXIT_DONE || pg_rows_count(rows) == 0)
            continue;
        spell_usual(&seen, known, rows_of[i].which, usual);
        if (o->json)
            printf("{\"vital\":\"%s\",\"value\":%s,\"at\":\"%s\"%s%s}\n", rows_of[i].label,
                   pg_value(rows, 0, i), pg_value(rows, 0, 6), *usual ? ",\"usual\":" : "", usual);
        else
            printf("%-5s %s %s at %s UTC%s%s\n", rows_of[i].label, pg_value(rows, 0, i), rows_of[i].unit,
                   pg_value(rows, 0, 6), *usual ? "; usual " : "", usual);
        any = true;
    }
    if (code == EXIT_DONE && !any && !o->json)
        puts("no readings in the last 30 days");
    return code;
}

static int show_findings(pg *db, const char *const *params, const vitals_options *o) {
    static const char sql[] =
        "SELECT to_char(v.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), v.rule, v.kind,"
        " CASE WHEN v.response = 'raise' THEN 'alarm at once' WHEN v.response = 'note' THEN 'noted'"
        "  WHEN w.answer IS NOT NULL THEN 'asked, answered ' || w.answer"
        "  WHEN w.alarmed_at IS NOT NULL THEN 'asked, no answer: alarm' ELSE 'asked' END,"
        " v.words, jsonb_strip_nulls(jsonb_build_object('finding', v.id, 'at', mayday.spell(v.at), 'rule', "
        "v.rule,"
        "  'kind', v.kind, 'response', v.response, 'words', v.words, 'readings', v.readings, 'check', "
        "v.check_id,"
        "  'answer', w.answer, 'alert', coalesce(v.alert, CASE WHEN w.alarmed_at IS NOT NULL THEN "
        "w.alarm_alert END)))"
        " FROM mayday.vital_alert v LEFT JOIN mayday.check_watch w ON w.check_id = v.check_id"
        " WHERE v.org = $1 AND v.person = $2 ORDER BY v.at DESC, v.id DESC LIMIT 20";
    static const char *const heads[] = {"FOUND, UTC", "RULE", "", "THEN", "WHAT"};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    int code = database_ask(self, db, sql, 2, params, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), o->json, "nothing was found");
    return code;
}

int vitals_show(const vitals_options *o, const char *org, const char *person) {
    CLEANUP(pg_closep) pg *db = NULL;
    const char *params[] = {org, person};
    int code = database_open(self, o->config_path, o->database, &db);
    if (code == EXIT_DONE)
        code = show_values(db, params, o);
    if (code == EXIT_DONE && !o->json)
        putchar('\n');
    return code == EXIT_DONE ? show_findings(db, params, o) : code;
}
