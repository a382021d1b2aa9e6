/* inspect.h - `mayday token inspect`, a part of token.c. */
#ifndef MAYDAY_TOOLS_INSPECT_H
#define MAYDAY_TOOLS_INSPECT_H

#include "core/token_settings.h"
#include "command.h"

/* The keys and rules that a broker with these settings would go by. EXIT_DONE, or what to exit with after a
 * message. `keys_file` NULL: the configured one. */
NODISCARD int token_judge_new(const command *c, const settings *s, const char *keys_file, keyset **ret_keys,
                              token_rules **ret_rules);

int token_inspect(const char *config_path, int argc, char **argv); /* argv[0] is "inspect" */

#endif
