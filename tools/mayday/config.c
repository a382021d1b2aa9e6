/* config.c - `mayday config`: the sample configuration, and a check of a real one. */
#include "command.h"
#include "core/rate.h"

#include <stdio.h>
#include <string.h>

extern const command command_config;

static int sample(void) {
    CLEANUP(buf_release) buf out = BUF(1 << 20);
    conf_sample(
        &settings_table,
        "Mayday's configuration. Every key is shown with its default; remove the '#' to change one. A "
        "changed file "
        "takes effect when the broker starts; keys, policy and certificates that it names are watched.",
        &out);
    if (buf_failed(&out) < 0)
        return command_fail(&command_config, EXIT_REFUSED, "out of memory");
    fwrite(out.ptr, 1, out.len, stdout);
    return EXIT_DONE;
}

/* The rows of [limits] are text to the configuration; the broker would not start with a bad one. */
static int check_limits(const settings *loaded) {
    for (size_t i = 0; i < settings_table.count; i++) {
        const conf_row *row = &settings_table.rows[i];
        rate_rule rule;
        if (strcmp(row->section, "limits") != 0)
            continue;
        const char *spelled = *(char *const *)((const char *)loaded + row->offset);
        if (rate_parse(text_of(spelled), &rule) < 0)
            return command_fail(
                &command_config, EXIT_REFUSED,
                "[limits] %s = %s: messages a second and how many at once, as in \"20 200\", or \"off\"",
                row->key, spelled);
    }
    return EXIT_DONE;
}

static int check(const char *config_path) {
    settings loaded = {0};
    int code = command_settings(config_path, &loaded);
    if (code != EXIT_DONE)
        return code;
    code = check_limits(&loaded);
    conf_release(&settings_table, &loaded);
    if (code == EXIT_DONE)
        puts("the configuration is well-formed");
    return code;
}

static int run(const char *config_path, int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "sample") == 0)
        return sample();
    if (argc == 2 && strcmp(argv[1], "check") == 0)
        return check(config_path);
    return command_fail(&command_config, EXIT_USAGE,
                        "expected 'sample' or 'check'; see 'mayday config --help'");
}

const command command_config = {
    .name = "config",
    .summary = "print a sample configuration, or check one",
    .help = "Usage: mayday config sample\n"
            "       mayday [--config FILE] config check\n"
            "\n"
            "sample  prints a complete configuration file with every key, its meaning and its default.\n"
            "check   reads the configuration and says what is wrong with it, with file and line.\n",
    .run = run,
};
