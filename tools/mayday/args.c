/* args.c - see args.h. */
#include "args.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool arg_number(const command *c, const char *option, const char *value, double min, double max,
                double *ret_number) {
    char *end = NULL;
    double number = strtod(value, &end);
    if (end == value || *end || !(number >= min && number <= max)) { /* also when it is no number at all */
        (void)command_fail(c, EXIT_USAGE, "--%s: '%s' is not a number from %g to %g", option, value, min,
                           max);
        return false;
    }
    *ret_number = number;
    return true;
}

bool arg_count(const command *c, const char *option, const char *value, int64_t min, int64_t max,
               int64_t *ret_count) {
    if (text_to_i64(text_of(value), min, max, ret_count) == 0)
        return true;
    (void)command_fail(c, EXIT_USAGE, "--%s: '%s' is not a whole number from %lld to %lld", option, value,
                       (long long)min, (long long)max);
    return false;
}

bool arg_duration(const command *c, const char *option, const char *value, int64_t *ret_ms) {
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"ms", 1}, {"s", 1e3}, {"", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
    char *unit = NULL;
    double number = strtod(value, &unit);
    for (size_t i = 0; unit != value && i < ARRAY_LEN(units); i++)
        if (strcmp(unit, units[i].unit) == 0 && number >= 0 && number * units[i].ms < 1e15) {
            *ret_ms = (int64_t)(number * units[i].ms);
            return true;
        }
    (void)command_fail(c, EXIT_USAGE, "--%s: '%s' is not a duration such as 500ms, 10s, 5m or 1h", option,
                       value);
    return false;
}

bool arg_choice(const command *c, const char *option, const char *value, const char *const *choices) {
    CLEANUP(buf_release) buf all = BUF(1024);
    for (const char *const *choice = choices; *choice; choice++) {
        if (strcmp(*choice, value) == 0)
            return true;
        buf_printf(&all, "%s%s", all.len ? ", " : "", *choice);
    }
    (void)command_fail(c, EXIT_USAGE, "--%s: '%s' is not one of %s", option, value, all.ptr ? all.ptr : "");
    return false;
}
