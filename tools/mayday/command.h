/* command.h - the family of subcommands of `mayday`: one row, one file each (list in tools/CMakeLists.txt).
 * Exit codes: 0 done, 1 refused or found wanting (the command says what), 2 wrong usage, 3 something needed
 * could not be reached. */
#ifndef MAYDAY_TOOLS_COMMAND_H
#define MAYDAY_TOOLS_COMMAND_H

#include "core/settings.h"

enum {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3,
};

typedef struct command {
    const char *name;    /* "token" */
    const char *summary; /* one line, for `mayday --help` */
    const char *help;    /* the whole help text, for `mayday NAME --help` and the manual */
    int (*run)(const char *config_path, int argc,
               char **argv); /* argv[0] is the command's name; getopt_long from index 1 */
} command;

extern const command *const commands[]; /* ended by NULL */

/* Loads the settings, or says why not on stderr and returns EXIT_REFUSED. 0 when loaded. `config_path` NULL:
 * MAYDAY_CONF of the environment, or /etc/mayday/mayday.conf. */
NODISCARD int command_settings(const char *config_path, settings *ret_settings);

/* "mayday NAME: message" on stderr; returns `code`, so that a command can `return command_fail(...)`. */
int command_fail(const command *c, int code, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
