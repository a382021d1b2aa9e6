/* person_channel.c - see person_channel.h. Whoever looks at whole numbers is in the audit trail. */
#include "person_channel.h"

#include <stdio.h>
#include <string.h>

#include "args.h"
#include "core/phone.h"

typedef struct asked {
    const command *command;
    const channel_options *o;
    const char *org, *person, *kind, *number; /* number NULL: the app */
} asked;

/* Is the number one that may be called? An exit code. */
static int judge(const asked *a) {
    settings conf = {0};
    int code = command_settings(a->o->config_path, &conf);
    if (code != EXIT_DONE)
        return code;
    phone_verdict verdict = phone_judge(text_of(a->number), text_of(conf.notify_emergency));
    conf_release(&settings_table, &conf);
    switch (verdict) {
    case PHONE_GOOD:
        return EXIT_DONE;
    case PHONE_EMERGENCY:
        return command_fail(
            a->command, EXIT_REFUSED,
            "%s is an emergency service, which is never dialled by itself; see [notify] emergency_numbers",
            a->number);
    case PHONE_MALFORMED:
        break;
    }
    return command_fail(
        a->command, EXIT_REFUSED,
        "'%s' is no number as the whole world dials it: '+', the country's code, the rest without its "
        "leading zero, as +27821234567",
        a->number);
}

static int add(const asked *a, pg *db) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char place[24];
    (void)snprintf(place, sizeof place, "%lld", (long long)a->o->place);
    const char *params[] = {a->org, a->person, a->kind, a->number, a->o->place ? place : NULL};
    int code = database_ask(a->command, db, "SELECT mayday.add_channel($1, $2, $3, $4, $5)",
                            ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        printf("%s is reached by %s at place %s\n", a->person, a->kind, pg_value(rows, 0, 0));
    return code;
}

static int take_away(const asked *a, pg *db) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {a->org, a->person, a->kind, a->number};
    int code = database_ask(a->command, db, "SELECT mayday.remove_channel($1, $2, $3, $4)", ARRAY_LEN(params),
                            params, &rows);
    if (code == EXIT_DONE)
        printf("%s: %s\n", a->person,
               strcmp(pg_value(rows, 0, 0), "t") == 0 ? "removed" : "there was no such channel");
    return code;
}

static int list(const asked *a, pg *db) {
    static const char sql[] =
        "WITH note AS (SELECT CASE WHEN $3::boolean THEN mayday.record_audit($1, 'read', session_user::text, "
        "$2, NULL,"
        "  '{\"with\": \"mayday person channel list --full\"}') END)"
        " SELECT w.place, w.kind, CASE WHEN $3::boolean THEN coalesce(w.number, '') ELSE"
        "  coalesce(mayday.mask_number(w.number), '') END, coalesce(w.trouble, ''),"
        "  CASE WHEN EXISTS (SELECT FROM mayday.channel c WHERE c.org = $1 AND c.person = $2) THEN '' ELSE "
        "'not entered' END,"
        "  jsonb_strip_nulls(jsonb_build_object('place', w.place, 'kind', w.kind, 'number', CASE WHEN "
        "$3::boolean"
        "   THEN w.number ELSE mayday.mask_number(w.number) END, 'trouble', w.trouble))"
        " FROM mayday.known_person($1, $2), note, mayday.ways_of($1, $2, NULL) w ORDER BY w.place";
    static const char *const heads[] = {"PLACE", "KIND", "NUMBER", "TROUBLE", ""};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {a->org, a->person, a->o->full ? "true" : "false"};
    int code = database_ask(a->command, db, sql, ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), a->o->json, "");
    return code;
}

static int expected(const command *c) {
    return command_fail(
        c, EXIT_USAGE,
        "expected 'channel ORG PERSON list', 'channel ORG PERSON add|remove sms|voice NUMBER' or "
        "'... mqtt'; see 'mayday person --help'");
}

int person_channel(const command *c, const channel_options *o, char **words, int count) {
    asked a = {.command = c, .o = o};
    if (count < 3)
        return expected(c);
    a.org = words[0];
    a.person = words[1];
    bool adds = strcmp(words[2], "add") == 0, lists = strcmp(words[2], "list") == 0;
    if (!lists && !adds && strcmp(words[2], "remove") != 0)
        return expected(c);
    a.kind = count > 3 ? words[3] : "";
    a.number = count > 4 ? words[4] : NULL;
    bool app = strcmp(a.kind, "mqtt") == 0,
         phone = strcmp(a.kind, "sms") == 0 || strcmp(a.kind, "voice") == 0;
    if (lists ? count != 3 : !((app && count == 4) || (phone && count == 5)))
        return expected(c);
    CLEANUP(pg_closep) pg *db = NULL;
    int code = adds && phone ? judge(&a) : EXIT_DONE;
    if (code == EXIT_DONE)
        code = database_open(c, o->config_path, o->database, &db);
    if (code != EXIT_DONE)
        return code;
    return lists ? list(&a, db) : adds ? add(&a, db) : take_away(&a, db);
}
