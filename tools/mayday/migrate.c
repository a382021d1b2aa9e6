/* migrate.c - `mayday migrate`: brings the database's schema up to date, or says whether it is. */
#include "command.h"
#include "store/migrate.h"

#include <getopt.h>
#include <stdio.h>

extern const command command_migrate;

typedef enum task {
    TASK_RUN,
    TASK_CHECK,
    TASK_PRUNE
} task;

static void applied(void *context, int version, const char *name) {
    (void)context;
    (void)version;
    printf("applied %s\n", name);
}

static void dropped(void *context, int version, const char *name) {
    (void)context;
    (void)version;
    printf("dropped %s\n", name);
}

static int answer(migrate_verdict verdict, int done, const char *done_text, const char *none_text,
                  const char *why) {
    switch (verdict) {
    case MIGRATE_DONE:
        puts(done_text);
        return done;
    case MIGRATE_UP_TO_DATE:
        puts(none_text);
        return EXIT_DONE;
    case MIGRATE_UNREACHABLE:
        return command_fail(&command_migrate, EXIT_UNREACHABLE, "%s", why);
    case MIGRATE_NEWER:
    case MIGRATE_REFUSED:
        break;
    }
    return command_fail(&command_migrate, EXIT_REFUSED, "%s", why);
}

static int check(const char *conninfo, const char *sql_dir) {
    char why[MIGRATE_WHY_MAX] = "", behind[128] = "";
    int database = 0, known = 0;
    migrate_verdict verdict = migrate_look(conninfo, sql_dir, &database, &known, why);
    (void)snprintf(behind, sizeof behind, "the database is at version %d of %d: run 'mayday migrate'",
                   database, known);
    return answer(verdict, EXIT_REFUSED, behind, "the database is up to date", why);
}

static int perform(task what, const char *conninfo, const char *sql_dir) {
    char why[MIGRATE_WHY_MAX] = "";
    switch (what) {
    case TASK_CHECK:
        return check(conninfo, sql_dir);
    case TASK_PRUNE:
        return answer(migrate_prune(conninfo, dropped, NULL, why), EXIT_DONE, "the old is gone",
                      "nothing is past its time", why);
    case TASK_RUN:
        break;
    }
    return answer(migrate_run(conninfo, sql_dir, applied, NULL, why), EXIT_DONE, "the database is up to date",
                  "the database was up to date already", why);
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"check", no_argument, NULL, 'k'},
        {"prune", no_argument, NULL, 'p'},
        {"sql", required_argument, NULL, 's'},
        {"database", required_argument, NULL, 'd'},
        {0},
    };
    task what = TASK_RUN;
    const char *sql_dir = NULL, *conninfo = NULL;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'k')
            what = TASK_CHECK;
        else if (o == 'p')
            what = TASK_PRUNE;
        else if (o == 's')
            sql_dir = optarg;
        else if (o == 'd')
            conninfo = optarg;
        else
            return EXIT_USAGE;
    }
    if (optind < argc)
        return command_fail(&command_migrate, EXIT_USAGE, "unexpected '%s'", argv[optind]);
    if (conninfo && sql_dir)
        return perform(what, conninfo, sql_dir);
    settings loaded = {0};
    int code = command_settings(config_path, &loaded);
    if (code != EXIT_DONE)
        return code;
    if (!conninfo)
        conninfo = loaded.database_admin ? loaded.database_admin : "";
    code = perform(what, conninfo, sql_dir ? sql_dir : loaded.sql_dir ? loaded.sql_dir : ".");
    conf_release(&settings_table, &loaded);
    return code;
}

const command command_migrate = {
    .name = "migrate",
    .summary = "bring the database's schema up to date, or say whether it is",
    .help =
        "Usage: mayday [--config FILE] migrate [--check | --prune] [--sql DIR] [--database CONNINFO]\n"
        "\n"
        "Applies the numbered migrations the database lacks, each in a transaction of its own; stopped "
        "half-way\n"
        "it goes on where it was. Connects as '[database] admin' of the configuration says: as mayday_owner, "
        "or\n"
        "the first time as a superuser, who also makes the roles and the PostGIS extension "
        "(DIR/prepare.sql).\n"
        "\n"
        "--check              change nothing: 0 up to date, 1 not, 3 unreachable\n"
        "--prune              drop what is older than mayday.message_table says it is kept (run it daily)\n"
        "--sql DIR            where the migrations are; default: '[database] sql_dir'\n"
        "--database CONNINFO  a libpq connection string in place of the configuration's\n",
    .run = run,
};
