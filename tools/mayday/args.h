/* args.h - values in command lines. Each complains about a bad one ("mayday NAME: --lat: 'x' is not ...") and
 * returns false. Pure but for that. */
#ifndef MAYDAY_TOOLS_ARGS_H
#define MAYDAY_TOOLS_ARGS_H

#include "command.h"

NODISCARD bool arg_number(const command *c, const char *option, const char *value, double min, double max,
                          double *ret_number);
NODISCARD bool arg_count(const command *c, const char *option, const char *value, int64_t min, int64_t max,
                         int64_t *ret_count);
/* 500ms, 10s, 5m, 1h, 2d; a bare number is seconds. */
NODISCARD bool arg_duration(const command *c, const char *option, const char *value, int64_t *ret_ms);
/* One of `choices`, which end with NULL. */
NODISCARD bool arg_choice(const command *c, const char *option, const char *value,
                          const char *const *choices);

#endif
