/* configuration.c - is there a configuration, and is it well-formed? */
#include "doctor/check.h"

extern const check check_configuration;

static void run(doctor *d) {
    char why[CONF_WHY_MAX] = "";
    if (conf_load(&settings_table, d->config_path, &d->conf, why) == 0) {
        d->has_conf = true;
        found(d, FINDING_OK, NULL, "%s is well-formed", d->config_path);
        return;
    }
    found(d, FINDING_FAIL,
          "Correct it; 'mayday config sample' prints every key, its meaning and its default. Another file is "
          "named with --config or MAYDAY_CONF.",
          "%s", why);
}

const check check_configuration = {.name = "configuration", .run = run};
