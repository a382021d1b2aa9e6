/* main.c - `mayday`: finds the subcommand and runs it. */
#include "command.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const command *find(const char *name) {
    for (const command *const *c = commands; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

static void usage(FILE *to) {
    fputs("Usage: mayday [--config FILE] COMMAND [ARGUMENT...]\n\nCommands:\n", to);
    for (const command *const *c = commands; *c; c++)
        fprintf(to, "  %-10s %s\n", (*c)->name, (*c)->summary);
    fputs("\n'mayday COMMAND --help' tells more. The configuration is FILE, or $MAYDAY_CONF, "
          "or\n" SETTINGS_DEFAULT_PATH
          ".\nExit codes: 0 done, 1 refused, 2 wrong usage, 3 something could not be reached.\n",
          to);
}

int command_settings(const char *config_path, settings *ret_settings) {
    char why[CONF_WHY_MAX] = "";
    const char *path = config_path ? config_path : getenv("MAYDAY_CONF");
    if (conf_load(&settings_table, path ? path : SETTINGS_DEFAULT_PATH, ret_settings, why) == 0)
        return 0;
    fprintf(stderr, "mayday: %s\n", why);
    return EXIT_REFUSED;
}

int command_fail(const command *c, int code, const char *format, ...) {
    va_list args;
    fprintf(stderr, "mayday %s: ", c->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return code;
}

static bool asks_for_help(int argc, char **argv) {
    return argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    const char *config_path = NULL;
    for (int o; (o = getopt_long(argc, argv, "+c:hV", options, NULL)) != -1;) {
        switch (o) {
        case 'c':
            config_path = optarg;
            break;
        case 'h':
            usage(stdout);
            return EXIT_DONE;
        case 'V':
            puts("mayday " MAYDAY_VERSION);
            return EXIT_DONE;
        default:
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (optind >= argc) {
        usage(stderr);
        return EXIT_USAGE;
    }
    const command *c = find(argv[optind]);
    if (!c) {
        fprintf(stderr, "mayday: there is no command '%s'; see 'mayday --help'\n", argv[optind]);
        return EXIT_USAGE;
    }
    argc -= optind;
    argv += optind;
    if (asks_for_help(argc, argv)) {
        fputs(c->help, stdout);
        return EXIT_DONE;
    }
    optind = 0; /* glibc begins anew: without the '+' above, a command's options may stand behind its words */
    return c->run(config_path, argc, argv);
}
