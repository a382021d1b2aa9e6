/* plan.c - `mayday plan`: an organisation's escalation plan, over the database. An edition is never changed:
 * a change is a new one, and what is under way goes on by the edition it began with. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "database.h"
#include "plan_file.h"

extern const command command_plan;
static const command *const self = &command_plan;

typedef struct plan_options {
    const char *config_path, *database, *org;
    int64_t edition;
    bool json;
} plan_options;

static void warn(const char *what) {
    printf("warn  %s\n", what);
}

static bool any_webhook(const plan_file *p) {
    return json_length(json_get(p->body, "webhooks")) > 0;
}

static int look_at_webhook(void *context, const char *name, const json *value) {
    const bool *plain = context;
    if (!*plain && text_starts_with(json_string(value), TEXT("http:")))
        printf("warn  webhook '%s': plain HTTP, which [webhook] plain_http does not allow\n", name);
    return 0;
}

/* What is well-formed and yet will not work: said, and never in the way. */
static int look_around(const settings *conf, pg *db, const char *org, const plan_file *p) {
    CLEANUP(pg_rows_freep) pg_rows *gaps = NULL;
    CLEANUP(pg_rows_freep) pg_rows *phoneless = NULL;
    const char *params[] = {org, p->printed};
    bool plain = conf->webhook_plain;
    int code = database_ask(self, db, "SELECT what FROM mayday.plan_gaps($1, $2::jsonb)", 2, params, &gaps);
    if (code == EXIT_DONE)
        code = database_ask(self, db,
                            "SELECT count(p), string_agg(p, ', ') FROM (SELECT p FROM "
                            "mayday.plan_phoneless($1, $2::jsonb) p LIMIT 20) q",
                            2, params, &phoneless);
    if (code != EXIT_DONE)
        return code;
    for (size_t i = 0; i < pg_rows_count(gaps); i++)
        warn(pg_value(gaps, i, 0));
    if (pg_rows_count(phoneless) && strcmp(pg_value(phoneless, 0, 0), "0") != 0)
        printf("warn  no phone is entered for %s: over the app alone (mayday person channel)\n",
               pg_value(phoneless, 0, 1));
    if (any_webhook(p) && (!conf->webhook_secret_file || !*conf->webhook_secret_file))
        warn("webhooks are named, and [webhook] secret_file is not set here");
    (void)json_each(json_get(p->body, "webhooks"), look_at_webhook, &plain);
    return EXIT_DONE;
}

static void say_what(const plan_file *p) {
    size_t count = plan_policies(p->parsed);
    printf("%zu polic%s:", count, count == 1 ? "y" : "ies");
    for (size_t i = 0; i < count; i++) {
        const policy *each = plan_policy(p->parsed, i);
        printf("%s %.*s (%zu level%s)", i ? "," : "", (int)each->name.len, each->name.ptr, each->level_count,
               each->level_count == 1 ? "" : "s");
    }
    putchar('\n');
}

static int check(const plan_options *o, const settings *conf, const char *path) {
    CLEANUP(plan_file_release) plan_file p = {0};
    CLEANUP(pg_closep) pg *db = NULL;
    int code = plan_file_read(self, conf, path, &p);
    if (code != EXIT_DONE)
        return code;
    printf("%s is well-formed; ", path);
    say_what(&p);
    if (!o->org)
        return EXIT_DONE;
    code = database_open(self, o->config_path, o->database, &db);
    return code == EXIT_DONE ? look_around(conf, db, o->org, &p) : code;
}

static int apply(const plan_options *o, const settings *conf, const char *org, const char *path) {
    CLEANUP(plan_file_release) plan_file p = {0};
    CLEANUP(pg_closep) pg *db = NULL;
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    int code = plan_file_read(self, conf, path, &p);
    if (code == EXIT_DONE)
        code = database_open(self, o->config_path, o->database, &db);
    if (code != EXIT_DONE)
        return code;
    const char *params[] = {org, p.printed};
    code = database_ask(self, db, "SELECT edition, fresh FROM mayday.apply_plan($1, $2::jsonb)", 2, params,
                        &rows);
    if (code != EXIT_DONE)
        return code;
    bool fresh = strcmp(pg_value(rows, 0, 1), "t") == 0;
    printf("edition %s for %s%s; ", pg_value(rows, 0, 0),
           strcmp(org, "*") == 0 ? "all without one of their own" : org, fresh ? "" : ", as before");
    say_what(&p);
    return look_around(conf, db, org, &p);
}

static int show(const plan_options *o, const char *org) {
    static const char sql[] =
        "SELECT p.org, p.edition, p.made_by, to_char(p.made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),"
        " jsonb_pretty(p.body), p.body FROM mayday.plan p"
        " WHERE CASE WHEN $2::integer IS NULL THEN (p.org, p.edition) = (SELECT (q).org, (q).edition FROM"
        "  mayday.plan_of($1) q) ELSE p.org = $1 AND p.edition = $2::integer END";
    CLEANUP(pg_closep) pg *db = NULL;
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char edition[24];
    (void)snprintf(edition, sizeof edition, "%lld", (long long)o->edition);
    const char *params[] = {org, o->edition ? edition : NULL};
    int code = database_open(self, o->config_path, o->database, &db);
    if (code == EXIT_DONE)
        code = database_ask(self, db, sql, 2, params, &rows);
    if (code != EXIT_DONE)
        return code;
    if (pg_rows_count(rows) == 0)
        return command_fail(self, EXIT_REFUSED, "there is no such plan");
    if (!o->json) /* not on stdout, so that it can be edited and applied */
        fprintf(stderr, "edition %s of %s, by %s at %s UTC\n", pg_value(rows, 0, 1),
                strcmp(pg_value(rows, 0, 0), "*") == 0 ? "'*', for all without a plan of their own"
                                                       : pg_value(rows, 0, 0),
                pg_value(rows, 0, 2), pg_value(rows, 0, 3));
    puts(pg_value(rows, 0, o->json ? 5 : 4));
    return EXIT_DONE;
}

static int history(const plan_options *o, const char *org) {
    static const char sql[] =
        "SELECT p.edition, to_char(p.made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), p.made_by,"
        " (SELECT count(*) FROM mayday.escalation e WHERE e.edition_org = p.org AND e.edition = p.edition"
        "  AND e.status <> 'ended'),"
        " (SELECT string_agg(l->>'name', ', ') FROM jsonb_array_elements(p.body->'policies') l),"
        " jsonb_build_object('org', p.org, 'edition', p.edition, 'made_at', mayday.spell(p.made_at), "
        "'made_by',"
        "  p.made_by, 'body', p.body)"
        " FROM mayday.plan p WHERE p.org = $1 ORDER BY p.edition DESC";
    static const char *const heads[] = {"EDITION", "MADE, UTC", "BY", "UNDER WAY", "POLICIES"};
    CLEANUP(pg_closep) pg *db = NULL;
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    int code = database_open(self, o->config_path, o->database, &db);
    if (code == EXIT_DONE)
        code = database_ask(self, db, sql, 1, &org, &rows);
    if (code == EXIT_DONE)
        database_print(rows, heads, ARRAY_LEN(heads), o->json, "no plan of its own: that of '*' counts");
    return code;
}

static bool take_option(plan_options *o, int option, const char *value) {
    switch (option) {
    case 'o':
        o->org = value;
        return true;
    case 'e':
        return arg_count(self, "edition", value, 1, INT32_MAX, &o->edition);
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

static int do_word(const plan_options *o, const settings *conf, char **words) {
    if (strcmp(words[0], "check") == 0)
        return check(o, conf, words[1]);
    if (strcmp(words[0], "apply") == 0)
        return apply(o, conf, words[1], words[2]);
    return strcmp(words[0], "show") == 0 ? show(o, words[1]) : history(o, words[1]);
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"org", required_argument, NULL, 'o'},
        {"edition", required_argument, NULL, 'e'},
        {"json", no_argument, NULL, 'j'},
        DATABASE_OPTIONS,
        {0},
    };
    static const struct {
        const char *name;
        int words;
    } usages[] = {{"check", 2}, {"apply", 3}, {"show", 2}, {"history", 2}};
    plan_options o = {.config_path = config_path};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&o, option, optarg))
            return EXIT_USAGE;
    bool good = false;
    for (size_t i = 0; optind < argc && i < ARRAY_LEN(usages); i++)
        good = good || (strcmp(argv[optind], usages[i].name) == 0 && argc - optind == usages[i].words);
    if (!good)
        return command_fail(self, EXIT_USAGE,
                            "expected 'check FILE', 'apply ORG FILE', 'show ORG' or 'history ORG'; see "
                            "'mayday plan --help'");
    settings conf = {0};
    int code = command_settings(config_path, &conf);
    if (code != EXIT_DONE)
        return code;
    code = do_word(&o, &conf, argv + optind);
    conf_release(&settings_table, &conf);
    return code;
}

const command command_plan = {
    .name = "plan",
    .summary = "say whom an alarm tells, and when",
    .help =
        "Usage: mayday plan check|apply|show|history [ORG] [FILE] [OPTION...]\n"
        "\n"
        "check FILE       is it well-formed? With --org: does it fit that organisation's people and teams?\n"
        "apply ORG FILE   from now on it counts for new alarms; those under way go on by the edition they\n"
        "                 began with. '*' as ORG: for all organisations without a plan of their own\n"
        "show ORG         the plan that counts, to be edited and applied\n"
        "history ORG      its editions, newest first\n"
        "\n"
        "A plan that is not well-formed is refused with the place. One that names people, roles or teams\n"
        "that do not exist, or reaches nobody at a level, is taken and warned of. See what it would do with\n"
        "'mayday escalation test'.\n"
        "\n"
        "  --org NAME         check against this organisation\n"
        "  --edition N        show an older one\n"
        "  --json             show and history: one line of JSON each\n" DATABASE_HELP "\n"
        "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the database could not be reached.\n",
    .run = run,
};
