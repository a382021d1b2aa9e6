/* load.c - finds the kind of load and its options, and runs it. */
#include "load.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void fail(const char *format, ...) {
    va_list args;
    fputs("load: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

static void usage(FILE *to) {
    fputs("Usage: load MODE --port P [OPTION...]\n\nModes:\n", to);
    for (const load_mode *const *m = load_modes; *m; m++)
        fprintf(to, "  %-8s %s\n", (*m)->name, (*m)->summary);
    fputs("\nOptions:\n"
          "  --host A          IPv4 address of the broker (127.0.0.1)\n"
          "  --port P          its port\n"
          "  --v5              MQTT 5 instead of 3.1.1\n"
          "  --credentials F   lines of client id, topic and token, separated by tabs\n"
          "  --connections N   connections, parallel cycles, subscribers or sessions, by mode\n"
          "  --window N        messages in flight on a connection\n"
          "  --qos Q           0 or 1, of fanout\n"
          "  --seconds T       how long, or\n"
          "  --count N         how many\n"
          "  --rate R          messages a second over all connections\n"
          "  --patience T      seconds to wait for anything that is due (20)\n"
          "  --pid P           the broker, whose memory idle reads\n"
          "One line of JSON on stdout; any failure is a sentence and status 1.\n",
          to);
}

static double number(const char *option, const char *value, double min, double max) {
    char *end = NULL;
    double n = strtod(value, &end);
    if (end == value || *end || !(n >= min && n <= max))
        fail("--%s takes a number from %.0f to %.0f, not '%s'", option, min, max, value);
    return n;
}

static const load_mode *find(const char *name) {
    for (const load_mode *const *m = load_modes; *m; m++)
        if (strcmp((*m)->name, name) == 0)
            return *m;
    fail("there is no mode '%s'; see load --help", name);
}

static const struct option options[] = {
    {"host", required_argument, NULL, 'H'},
    {"port", required_argument, NULL, 'p'},
    {"v5", no_argument, NULL, '5'},
    {"credentials", required_argument, NULL, 'c'},
    {"window", required_argument, NULL, 'w'},
    {"connections", required_argument, NULL, 'n'},
    {"qos", required_argument, NULL, 'q'},
    {"seconds", required_argument, NULL, 's'},
    {"count", required_argument, NULL, 'N'},
    {"rate", required_argument, NULL, 'r'},
    {"pid", required_argument, NULL, 'P'},
    {"patience", required_argument, NULL, 't'},
    {0},
};

static void take_option(load_options *o, int letter, const char *name, const char *value) {
    switch (letter) {
    case 'H':
        o->host = value;
        break;
    case 'p':
        o->port = (uint16_t)number(name, value, 1, 65535);
        break;
    case '5':
        o->version = WIRE_V5;
        break;
    case 'c':
        o->credentials = value;
        break;
    case 'w':
        o->window = (int)number(name, value, 1, 60000);
        break;
    case 'n':
        o->connections = (int)number(name, value, 1, 1000000);
        break;
    case 'q':
        o->qos = (int)number(name, value, 0, 1);
        break;
    case 's':
        o->seconds = number(name, value, 0.01, 86400);
        o->count = 0;
        break;
    case 'N':
        o->count = (int64_t)number(name, value, 1, 1e12);
        o->seconds = 0;
        break;
    case 'r':
        o->rate = number(name, value, 0.01, 1e7);
        break;
    case 'P':
        o->pid = (pid_t)number(name, value, 1, 1 << 22);
        break;
    case 't':
        o->patience = number(name, value, 0.01, 3600);
        break;
    default:
        usage(stderr);
        exit(EXIT_FAILURE);
    }
}

int main(int argc, char **argv) {
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    const load_mode *mode = find(argv[1]);
    load_options o = mode->defaults;
    o.host = "127.0.0.1";
    o.version = WIRE_V311;
    o.patience = 20;
    argc--;
    argv++;
    for (int letter, index = 0; (letter = getopt_long(argc, argv, "", options, &index)) != -1;)
        take_option(&o, letter, letter == '?' ? "" : options[index].name, optarg);
    if (!o.port || optind < argc)
        fail("a port is needed, and nothing but options; see load --help");
    signal(SIGPIPE, SIG_IGN);
    mode->run(&o);
    return EXIT_SUCCESS;
}
