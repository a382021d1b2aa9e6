/* vitals_rules.c - see vitals_tool.h: rules as documents. The words that call for help stand in the same
 * document and are not rules: they are taken out before those are read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "database.h"
#include "document.h"
#include "vitals_tool.h"

#define RULES_MAX (4 << 20)

static const command *const self = &command_vitals;

static int copy_rule(void *context, const char *name, const json *value) {
    return strcmp(name, "duress_words") == 0 ? 0 : json_put(context, name, json_share(value));
}

int rules_of_document(const char *name, const json *document, body_rules **ret_rules) {
    CLEANUP(json_freep) json *bare = json_new_object();
    char why[BODY_WHY_MAX] = "";
    if (!bare || json_each(document, copy_rule, bare) != 0)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    if (body_rules_parse(bare, ret_rules, why) < 0)
        return command_fail(self, EXIT_REFUSED, "%s: %s", name, *why ? why : "out of memory");
    return EXIT_DONE;
}

int rules_read(const settings *conf, const char *path, json **ret_body, body_rules **ret_rules) {
    CLEANUP(json_freep) json *document = NULL;
    int code = document_read(self, conf, path, "body", &document);
    if (code == EXIT_DONE)
        code = rules_of_document(path, document, ret_rules);
    if (code == EXIT_DONE && ret_body)
        *ret_body = json_share(document);
    return code;
}

static void print_pretty(const json *document) {
    CLEANUP(buf_release) buf printed = BUF(RULES_MAX);
    json_print_pretty(document, &printed);
    if (buf_failed(&printed) == 0)
        puts(printed.ptr);
}

static int show_shipped(void) {
    CLEANUP(json_freep) json *document = NULL;
    if (json_parse_once(body_rules_shipped(), &document) != JSON_OK)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    print_pretty(document);
    return EXIT_DONE;
}

int rules_show(const vitals_options *o, const char *org) {
    static const char sql[] =
        "SELECT (r).org, (r).edition, (r).made_by, to_char((r).made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD "
        "HH24:MI:SS'), jsonb_pretty((r).body), (r).body FROM mayday.body_rules_of($1) r WHERE (r).org IS NOT "
        "NULL";
    CLEANUP(pg_closep) pg *db = NULL;
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    if (!org)
        return show_shipped();
    int code = database_open(self, o->config_path, o->database, &db);
    if (code == EXIT_DONE)
        code = database_ask(self, db, sql, 1, &org, &rows);
    if (code != EXIT_DONE)
        return code;
    if (pg_rows_count(rows) == 0) {
        fputs("no rules of its own: those that are shipped count ('mayday vitals rules show --shipped')\n",
              stderr);
        puts("{\"v\": 1, \"rules\": []}");
        return EXIT_DONE;
    }
    if (!o->json) /* not on stdout, so that it can be edited and set */
        fprintf(stderr, "edition %s of %s, by %s at %s UTC; they lie over the shipped ones\n",
                pg_value(rows, 0, 1), pg_value(rows, 0, 0), pg_value(rows, 0, 2), pg_value(rows, 0, 3));
    puts(pg_value(rows, 0, o->json ? 5 : 4));
    return EXIT_DONE;
}

static void say_rules(const body_limits *limits) {
    static const char *const then[] = {"dispatch sees it", "the person is asked", "the alarm at once"};
    body_rule_view rule;
    for (size_t i = 0; body_limits_rule(limits, i, &rule); i++)
        printf("%-20s %s%s\n", rule.name, rule.off ? "off; else " : "", then[rule.response]);
}

int rules_check(const settings *conf, const char *path) {
    CLEANUP(body_rules_freep) body_rules *rules = NULL;
    const body_limits *limits = NULL;
    int code = rules_read(conf, path, NULL, &rules);
    if (code != EXIT_DONE)
        return code;
    if (body_rules_for(rules, TEXT(""), NULL, 0, &limits) < 0)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    printf("%s is well-formed; with those that are shipped, for somebody without words of their own:\n",
           path);
    say_rules(limits);
    return EXIT_DONE;
}

int rules_set(const vitals_options *o, const settings *conf, const char *org, const char *path) {
    CLEANUP(body_rules_freep) body_rules *rules = NULL;
    CLEANUP(json_freep) json *document = NULL;
    CLEANUP(buf_release) buf printed = BUF(RULES_MAX);
    CLEANUP(pg_closep) pg *db = NULL;
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    int code = rules_read(conf, path, &document, &rules);
    if (code == EXIT_DONE)
        code = database_open(self, o->config_path, o->database, &db);
    if (code != EXIT_DONE)
        return code;
    json_print(document, &printed);
    if (buf_failed(&printed) < 0)
        return command_fail(self, EXIT_REFUSED, "%s: too long", path);
    const char *params[] = {org, printed.ptr};
    code = database_ask(self, db, "SELECT edition, fresh FROM mayday.apply_body_rules($1, $2::jsonb)", 2,
                        params, &rows);
    if (code == EXIT_DONE)
        printf("edition %s for %s%s\n", pg_value(rows, 0, 0),
               strcmp(org, "*") == 0 ? "all without rules of their own" : org,
               strcmp(pg_value(rows, 0, 1), "t") == 0 ? "" : ", as before");
    return code;
}
