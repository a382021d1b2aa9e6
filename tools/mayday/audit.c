/* audit.c - `mayday audit`: whether the audit trail is whole (audit_verify.c), and parts of it
 * (audit_export.c). */
#include "audit_tool.h"

#include <string.h>

#include "keyfile.h"

#define CONNECT_MS  10000
#define PATIENCE_MS 1800000 /* sorting a trail of years takes its time */

int audit_connect(const settings *conf, const char *conninfo, pg **ret_pg) {
    char why[PG_WHY_MAX] = "";
    pg_options options = {.conninfo = conninfo               ? conninfo
                                      : conf->database_admin ? conf->database_admin
                                                             : "",
                          .application = "mayday audit",
                          .connect_ms = CONNECT_MS,
                          .patience_ms = PATIENCE_MS,
                          .interrupt_fd = -1};
    if (pg_connect(&options, ret_pg, why) == PG_DONE)
        return EXIT_DONE;
    return command_fail(&command_audit, EXIT_UNREACHABLE, "cannot reach the database: %s", why);
}

int audit_sql_failed(pg *c) {
    return command_fail(&command_audit, EXIT_UNREACHABLE, "the database: %s", pg_why(c));
}

int64_t audit_integer(const pg_rows *rows, size_t row, size_t column) {
    int64_t value = 0;
    return text_to_i64(text_of(pg_value(rows, row, column)), INT64_MIN, INT64_MAX, &value) == 0 ? value : 0;
}

static const struct {
    const char *name;
    int (*run)(const settings *conf, int argc, char **argv);
} actions[] = {{"verify", audit_verify}, {"export", audit_export}};

static int run(const char *config_path, int argc, char **argv) {
    settings conf = {0};
    for (size_t i = 0; argc > 1 && i < ARRAY_LEN(actions); i++) {
        if (strcmp(argv[1], actions[i].name) != 0)
            continue;
        if (keyfile_settings(config_path, &conf) != EXIT_DONE)
            return EXIT_UNREACHABLE; /* 1 is kept for a trail that was tampered with */
        int code = actions[i].run(&conf, argc - 1, argv + 1);
        conf_release(&settings_table, &conf);
        return code;
    }
    return command_fail(&command_audit, EXIT_USAGE, "expected verify or export; see 'mayday audit --help'");
}

const command command_audit = {
    .name = "audit",
    .summary = "verify the audit trail, or export what it says of a person or an incident",
    .help =
        "Usage: mayday [--config FILE] audit verify [--checkpoints FILE] [--keys FILE] [--from N]\n"
        "       mayday [--config FILE] audit export (--person P | --alert A) [--org O] [--since MOMENT]\n"
        "                                           [--json | --csv]\n"
        "\n"
        "verify   reads the whole trail, computes every hash anew and holds the chain against its signed\n"
        "         checkpoints. Names each entry that was altered, each position that is missing, and each\n"
        "         stretch that was written anew. Exit code 0: intact; 1: tampered with; 3: could not be "
        "told.\n"
        "export   the entries about (or by) a person, or about an incident, in order, each with its position "
        "and\n"
        "         hashes. The export itself is recorded in the trail.\n"
        "\n"
        "  --checkpoints FILE   checkpoints kept outside of the database, one a line; may be repeated. Those "
        "in\n"
        "                       [node] state_dir are taken by themselves when they are there\n"
        "  --keys FILE          the JWK Set to verify checkpoints with; default: [audit] signing_keys\n"
        "  --from N             begin at position N\n"
        "  --person P           a subject\n"
        "  --alert A            an incident's id\n"
        "  --org O              of this organisation alone\n"
        "  --since MOMENT       not older, as PostgreSQL reads moments: '2026-11-01', 'yesterday'\n"
        "  --json, --csv        one JSON object a line; or comma-separated values with a header\n"
        "  --database CONNINFO  a libpq connection string in place of [database] admin\n",
    .run = run,
};
