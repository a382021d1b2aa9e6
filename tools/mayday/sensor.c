/* sensor.c - `mayday sensor`: the sensors of this machine's gateway, whether a configuration is good, and
 * what can be configured. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "health.h"
#include "msg/sensor_file.h"

extern const command command_sensor;
static const command *const self = &command_sensor;

/* ---- check ---- */

static int read_file(const settings *conf, const char *path, sensor_file **ret_file) {
    char why[SENSOR_FILE_WHY_MAX] = "";
    int fault = sensor_file_read(conf->schema_dir, path, ret_file, why);
    return fault < 0 ? command_fail(self, EXIT_REFUSED, "%s", *why ? why : strerror(-fault)) : EXIT_DONE;
}

static int check(const settings *conf, const char *path) {
    CLEANUP(sensor_file_freep) sensor_file *f = NULL;
    int code = read_file(conf, path, &f);
    if (code != EXIT_DONE)
        return code;
    printf("%s is good: %zu sensor%s\n", path, f->count, f->count == 1 ? "" : "s");
    for (size_t i = 0; i < f->count; i++)
        printf("  %-24s %-10s %.*s%s%.*s\n", f->all[i].name, f->all[i].kind, (int)f->all[i].org.len,
               f->all[i].org.ptr, f->all[i].person.len ? " " : "", (int)f->all[i].person.len,
               f->all[i].person.ptr ? f->all[i].person.ptr : "");
    return EXIT_DONE;
}

/* ---- kinds ---- */

static int show_option(void *context, const char *name, const json *option) {
    text what = json_get_string(option, "description");
    (void)context;
    printf("    %-14s %.*s\n", name, (int)what.len, what.ptr ? what.ptr : "");
    return 0;
}

static void show_kind(void *context, const char *name, const json *options) {
    text title = json_get_string(options, "title"), what = json_get_string(options, "description");
    bool *any = context;
    printf("%s%s - %.*s\n  %.*s\n", *any ? "\n" : "", name, (int)title.len, title.ptr ? title.ptr : "",
           (int)what.len, what.ptr ? what.ptr : "");
    *any = true;
    (void)json_each(json_get(options, "properties"), show_option, NULL);
}

static int kinds(const settings *conf) {
    char why[SENSOR_FILE_WHY_MAX] = "";
    bool any = false;
    int fault = sensor_file_kinds(conf->schema_dir, show_kind, &any, why);
    return fault < 0 ? command_fail(self, EXIT_REFUSED, "%s", why) : EXIT_DONE;
}

/* ---- list ---- */

typedef struct listing {
    const sensor_file *file; /* NULL: whose they are is not known */
    size_t count;
} listing;

static text whose(const sensor_file *f, const char *name) {
    for (size_t i = 0; f && i < f->count; i++)
        if (strcmp(f->all[i].name, name) == 0)
            return f->all[i].person;
    return (text){0};
}

static void print_ago(const json *seconds) {
    char ago[32] = "never";
    double s = json_number(seconds);
    if (seconds && s < 120)
        (void)snprintf(ago, sizeof ago, "%.0f s ago", s);
    else if (seconds && s < 7200)
        (void)snprintf(ago, sizeof ago, "%.0f min ago", s / 60);
    else if (seconds)
        (void)snprintf(ago, sizeof ago, "%.0f h ago", s / 3600);
    printf(" %-12s", ago);
}

static int list_one(void *context, const char *name, const json *s) {
    listing *l = context;
    const json *battery = json_get(s, "battery"), *contact = json_get(s, "contact");
    text kind = json_get_string(s, "kind"), state = json_get_string(s, "state");
    text why = json_get_string(s, "why"), person = whose(l->file, name);
    if (l->count++ == 0)
        printf("%-24s %-10s %-8s %-12s %-8s %-8s %10s  %s\n", "SENSOR", "KIND", "STATE", "HEARD", "BATTERY",
               "SKIN", "READINGS", "PERSON");
    printf("%-24s %-10.*s %-8.*s", name, (int)kind.len, kind.ptr ? kind.ptr : "", (int)state.len,
           state.ptr ? state.ptr : "");
    print_ago(json_get(s, "silent_seconds"));
    if (battery)
        printf(" %3.0f %%   ", json_number(battery));
    else
        printf(" %-8s", "-");
    printf(" %-8s %10lld  %.*s\n",
           !contact                ? "-"
           : json_boolean(contact) ? "yes"
                                   : "no",
           (long long)json_integer(json_get(s, "heard")), (int)person.len, person.ptr ? person.ptr : "");
    if (why.len)
        printf("%24s %.*s\n", "", (int)why.len, why.ptr);
    return 0;
}

static int list_json(void *context, const char *name, const json *s) {
    CLEANUP(buf_release) buf line = BUF(64 << 10);
    CLEANUP(json_freep) json *one = json_new_object();
    listing *l = context;
    text person = whose(l->file, name);
    if (!one || json_put(one, "sensor", json_new_string(text_of(name))) < 0 ||
        (person.len && json_put(one, "person", json_new_string(person)) < 0) ||
        json_put(one, "is", json_share(s)) < 0)
        return -ENOMEM;
    json_print(one, &line);
    printf("%s\n", line.ptr ? line.ptr : "");
    return buf_failed(&line);
}

static void print_waiting(const json *backlog) {
    int64_t waiting = json_integer(json_get(backlog, "waiting"));
    text oldest = json_get_string(backlog, "oldest");
    if (waiting)
        printf("%lld readings wait for the broker%s%.*s\n", (long long)waiting,
               oldest.len ? ", the oldest of " : "", (int)oldest.len, oldest.ptr ? oldest.ptr : "");
    if (json_boolean(json_get(backlog, "disk_full")))
        printf("the disk takes nothing: what waits is kept in memory alone\n");
}

static int list(const settings *conf, bool as_json) {
    CLEANUP(sensor_file_freep) sensor_file *f = NULL;
    CLEANUP(json_freep) json *health = NULL;
    char why[SENSOR_FILE_WHY_MAX] = "";
    const char *where = conf->gateway_http ? conf->gateway_http : "";
    int fault = health_ask(where, &health);
    if (fault < 0)
        return command_fail(self, EXIT_UNREACHABLE, "no gateway answers at '%s': %s", where,
                            fault == -EBADMSG ? "it is something else" : strerror(-fault));
    if (conf->sensors_file && sensor_file_read(conf->schema_dir, conf->sensors_file, &f, why) < 0)
        f = NULL; /* then whose they are is not shown */
    listing l = {.file = f};
    const json *sensors = json_get(health, "sensors");
    text trouble = json_get_string(health, "sensors_why");
    if (trouble.len)
        fprintf(stderr, "mayday sensor: %.*s\n", (int)trouble.len, trouble.ptr);
    if (json_each(sensors, as_json ? list_json : list_one, &l) < 0)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    if (!as_json && l.count == 0)
        puts("it reads no sensors");
    if (!as_json)
        print_waiting(json_get(health, "backlog"));
    return EXIT_DONE;
}

/* ---- the command ---- */

static int do_word(const settings *conf, int argc, char **argv, bool as_json) {
    if (argc == 1 && strcmp(argv[0], "list") == 0)
        return list(conf, as_json);
    if (argc == 1 && strcmp(argv[0], "kinds") == 0)
        return kinds(conf);
    if (strcmp(argv[0], "check") == 0 && argc <= 2 && (argc == 2 || conf->sensors_file))
        return check(conf, argc == 2 ? argv[1] : conf->sensors_file);
    return command_fail(self, EXIT_USAGE,
                        "expected 'list', 'check [FILE]' or 'kinds'; see 'mayday sensor --help'");
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
    bool as_json = false;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o != 'j')
            return EXIT_USAGE;
        as_json = true;
    }
    if (optind >= argc)
        return command_fail(self, EXIT_USAGE, "expected 'list', 'check [FILE]' or 'kinds'");
    settings conf = {0};
    int code = command_settings(config_path, &conf);
    if (code != EXIT_DONE)
        return code;
    code = do_word(&conf, argc - optind, argv + optind, as_json);
    conf_release(&settings_table, &conf);
    return code;
}

const command command_sensor = {
    .name = "sensor",
    .summary = "see the sensors of this machine's gateway, and check their configuration",
    .help = "Usage: mayday sensor list|check|kinds [FILE] [OPTION...]\n"
            "\n"
            "list           the sensors the gateway at [gateway] http reads: connected or not and why, when\n"
            "               each was last heard, its battery, whether it touches the skin, what waits\n"
            "check [FILE]   is it well-formed? Without FILE: the one of [sensors] file\n"
            "kinds          what can be read, with the options of each kind\n"
            "\n"
            "A changed file is taken up by 'systemctl reload mayday-gateway'.\n"
            "\n"
            "  --json             list: one line of JSON for each sensor\n"
            "\n"
            "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 no gateway answers.\n",
    .run = run,
};
