/* doctor.c - `mayday doctor`: runs the checks of doctor/ in order and prints what they find. */
#include "doctor/check.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

extern const command command_doctor;
static const command *const self = &command_doctor;

static const char *finding_name(finding f) {
    switch (f) {
    case FINDING_OK:
        return "ok";
    case FINDING_WARN:
        return "warn";
    case FINDING_SKIPPED:
        return "skip";
    case FINDING_FAIL:
        break;
    }
    return "FAIL";
}

static void print_line(const doctor *d, finding f, const char *what, const char *remedy) {
    printf("%-4s  %-13s  %s\n", finding_name(f), d->checking, what);
    if (remedy)
        printf("      %-13s  -> %s\n", "", remedy);
    (void)fflush(stdout);
}

/* A finding that finds no memory is counted all the same. */
static void keep(doctor *d, finding f, const char *what, const char *remedy) {
    json *one = json_new_object();
    if (json_put(one, "check", json_new_string(text_of(d->checking))) < 0 ||
        json_put(one, "finding", json_new_string(text_of(finding_name(f)))) < 0 ||
        json_put(one, "what", json_new_string(text_of(what))) < 0 ||
        (remedy && json_put(one, "remedy", json_new_string(text_of(remedy))) < 0)) {
        (void)json_free(one);
        return;
    }
    (void)!json_append(d->findings, one);
}

void found(doctor *d, finding f, const char *remedy, const char *format, ...) {
    char what[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    d->fails += f == FINDING_FAIL;
    d->warns += f == FINDING_WARN;
    if (d->findings)
        keep(d, f, what, remedy);
    else
        print_line(d, f, what, remedy);
}

static void examine(doctor *d) {
    for (const check *const *c = checks; *c; c++) {
        d->checking = (*c)->name;
        if ((*c)->needs_conf && !d->has_conf)
            found(d, FINDING_SKIPPED, NULL, "needs the configuration");
        else
            (*c)->run(d);
    }
}

static int print_json(doctor *d) {
    CLEANUP(json_freep) json *out = json_new_object();
    CLEANUP(buf_release) buf line = BUF(1 << 20);
    json *findings = d->findings;
    d->findings = NULL;
    if (json_put(out, "ok", json_new_bool(d->fails == 0)) < 0 ||
        json_put(out, "fails", json_new_integer(d->fails)) < 0 ||
        json_put(out, "warns", json_new_integer(d->warns)) < 0) {
        (void)json_free(findings);
        return command_fail(self, EXIT_REFUSED, "out of memory");
    }
    if (json_put(out, "findings", findings) < 0)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    json_print_pretty(out, &line);
    puts(buf_failed(&line) < 0 ? "{}" : line.ptr);
    return EXIT_DONE;
}

static int report(doctor *d) {
    if (d->findings && print_json(d) != EXIT_DONE)
        return EXIT_REFUSED;
    return d->fails ? EXIT_REFUSED : EXIT_DONE;
}

static void say_total(const doctor *d) {
    if (d->fails)
        printf("\n%u to repair, %u to look at\n", d->fails, d->warns);
    else if (d->warns)
        printf("\nit works; %u to look at\n", d->warns);
    else
        printf("\nall is well\n");
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"sql", required_argument, NULL, 's'},
        LINK_BROKER_OPTIONS,
        {0},
    };
    const char *configured = config_path ? config_path : getenv("MAYDAY_CONF");
    doctor d = {.command = self, .config_path = configured ? configured : SETTINGS_DEFAULT_PATH};
    bool as_json = false;
    link_defaults(&d.link);
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'j')
            as_json = true;
        else if (option == 's')
            d.sql_dir = optarg;
        else if (link_option(self, &d.link, option, optarg) != LINK_TAKEN)
            return EXIT_USAGE;
    }
    if (optind < argc)
        return command_fail(self, EXIT_USAGE, "unexpected '%s'; see 'mayday doctor --help'", argv[optind]);
    if (as_json && !(d.findings = json_new_array()))
        return command_fail(self, EXIT_REFUSED, "out of memory");
    examine(&d);
    if (!as_json)
        say_total(&d);
    int code = report(&d);
    d.database = pg_close(d.database);
    d.as_gateway = pg_close(d.as_gateway);
    if (d.has_conf)
        conf_release(&settings_table, &d.conf);
    return code;
}

const command command_doctor = {
    .name = "doctor",
    .summary = "look whether everything is in order, and say what to do",
    .help =
        "Usage: mayday [--config FILE] doctor [OPTION...]\n"
        "\n"
        "Looks at the configuration, keys, secrets, policy, schemas, texts, state, journal, database,\n"
        "partitions, progress, broker, gateway, providers, escalation, audit, clock and versions. Each line\n"
        "begins with\n"
        "  ok     this is as it should be\n"
        "  warn   it works, but not as it should\n"
        "  FAIL   something people rely on does not work\n"
        "  skip   could not be looked at, because of what was found before\n"
        "and is followed by what to do. Nothing is changed. Run it as root or as the broker's user.\n"
        "\n"
        "  --sql DIR          where the migrations are (default: [database] sql_dir)\n"
        "  --org NAME         whose token is tried on the broker (default mayday)\n"
        "  --keys FILE        the JWK Set to make it with (default: signing-keys.json beside the configured\n"
        "                     keys_file)\n"
        "  --json             everything as one JSON object: ok, fails, warns, findings\n"
        "\n" LINK_BROKER_HELP "\n"
        "Exit codes: 0 nothing failed, 1 something did, 2 wrong usage.\n",
    .run = run,
};
