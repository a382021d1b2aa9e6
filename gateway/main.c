/* main.c - `mayday-gateway`: settings, then the bus and the services, then signals until it is time to go.
 *
 * Threads: main() waits for signals and tells systemd how it goes; each service has a thread (runner.c), the
 * bus has one (bus/link.c) beside Paho's, HTTP has one (http.c), and the sensors have three (edge.h). All are
 * born with every signal blocked, so that only main() meets them. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "gateway/bus/badge.h"
#include "gateway/edge/edge.h"
#include "gateway/host.h"
#include "gateway/http/http.h"
#include "gateway/log.h"
#include "msg/texts_dir.h"

enum {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,
    EXIT_USAGE = 2,
};

#define STOP_MS       3000 /* for the services; the bus then takes a second at most */
#define LOOK_MS       1000
#define HTTP_AGAIN_US 5000000

typedef struct gateway {
    settings conf;
    bool has_conf;
    char *id, *only_org;
    accounts *accounts;
    texts *texts;
    local *local;
    intake *intake;
    edge *edge; /* NULL: no sensors here */
    bus *bus;
    service_host *host;
    http_scope scope;
    http *http;          /* NULL: not wanted, or not to be had yet */
    int64_t http_try_us; /* when to try again; 0: now */
    bool http_missed;    /* and said so */
} gateway;

static void usage(FILE *to) {
    fputs("Usage: mayday-gateway [--config FILE] [--check]\n\n"
          "Speaks for Mayday: publishes the state of incidents and who is there, and does what is due in "
          "time.\n\n"
          "  -c, --config FILE  the configuration; default: $MAYDAY_CONF, or " SETTINGS_DEFAULT_PATH "\n"
          "      --check        say whether the configuration is good, and end\n"
          "  -V, --version      print the version\n"
          "  -h, --help         print this\n\n"
          "SIGTERM and SIGINT end it, SIGHUP makes its connections to the broker again with a fresh token, "
          "and\n"
          "takes up a changed sensors.json.\n"
          "Exit codes: 0 ended as asked, 1 refused or failed, 2 wrong usage.\n",
          to);
}

static void complain(void *context, const char *why) {
    (void)context;
    fprintf(stderr, "mayday-gateway: %s\n", why);
}

/* What reaches people: the providers' accounts, and the words. A language that can't be read leaves the
 * others. */
static int load_what_it_says(gateway *g) {
    char accounts_why[ACCOUNTS_WHY_MAX] = "", texts_why[TEXTS_DIR_WHY_MAX] = "";
    const char *why = accounts_why;
    int fault = accounts_read(&g->conf, &g->accounts, accounts_why);
    if (fault == 0) {
        why = texts_why;
        fault = texts_load_dir(g->conf.schema_dir, complain, NULL, &g->texts, texts_why);
    }
    if (fault < 0)
        complain(NULL, *why ? why : strerror(-fault));
    return fault < 0 ? EXIT_REFUSED : EXIT_DONE;
}

static int load(const char *path, gateway *g) {
    char why[CONF_WHY_MAX] = "", badge_why[BADGE_WHY_MAX] = "";
    path = path ? path : getenv("MAYDAY_CONF");
    if (conf_load(&settings_table, path ? path : SETTINGS_DEFAULT_PATH, &g->conf, why) < 0) {
        fprintf(stderr, "mayday-gateway: %s\n", why);
        return EXIT_REFUSED;
    }
    g->has_conf = true;
    CLEANUP(freep) char *token = NULL;
    instant until;
    if (g->conf.gateway_http && !http_address_good(g->conf.gateway_http)) {
        fprintf(stderr, "mayday-gateway: [gateway] http: '%s' is no address and port\n",
                g->conf.gateway_http);
        return EXIT_REFUSED;
    }
    int fault = badge_identity(&g->conf, &g->id, &g->only_org, badge_why);
    if (fault == 0) /* and once for nobody, to see that it can be done */
        fault = badge_make(&g->conf, g->id, g->only_org ? g->only_org : "-", instant_now(), &token, &until,
                           badge_why);
    if (fault < 0) {
        fprintf(stderr, "mayday-gateway: %s\n", *badge_why ? badge_why : strerror(-fault));
        return EXIT_REFUSED;
    }
    return load_what_it_says(g);
}

static int serve_named(gateway *g) {
    text rest = text_of(g->only_org ? g->only_org : g->conf.gateway_orgs ? g->conf.gateway_orgs : ""), org;
    int fault = 0;
    while (fault == 0 && text_next(&rest, ' ', &org))
        if (org.len)
            fault = bus_serve(g->bus, org);
    return fault;
}

static int open_local(gateway *g) {
    char why[LOCAL_WHY_MAX] = "";
    int fault = local_open(g->conf.state_dir, g->id, &g->local, why);
    if (fault < 0)
        log_line("gateway", LOG_LEVEL_ERROR, "its own store can't be opened: %s", why);
    else if (*why)
        log_line("gateway", LOG_LEVEL_ERROR, "its own store: %s", why);
    return fault;
}

/* Sensors are read also when there is nobody to tell yet. */
static int start_edge(gateway *g) {
    edge_options o = {.settings = &g->conf, .gateway = g->id, .bus = g->bus, .intake = g->intake};
    edge *e = NULL;
    int fault = edge_start(&o, &e);
    atomic_store(&g->scope.edge, e);
    g->edge = e;
    return fault;
}

/* Only now there may be some. */
static void reload_edge(gateway *g) {
    int fault = 0;
    if (g->edge)
        edge_reload(g->edge);
    else
        fault = start_edge(g);
    if (fault < 0)
        log_line("gateway", LOG_LEVEL_ERROR, "its sensors can't be read: %s", strerror(-fault));
}

static int start(gateway *g) {
    bus_options for_bus = {.settings = &g->conf, .gateway = g->id, .version = MAYDAY_VERSION};
    int fault = open_local(g);
    if (fault == 0)
        fault = intake_new(&g->intake);
    if (fault == 0)
        fault = bus_open(&for_bus, &g->bus);
    if (fault == 0)
        fault = serve_named(g);
    host_options for_host = {.settings = &g->conf,
                             .gateway = g->id,
                             .version = MAYDAY_VERSION,
                             .bus = g->bus,
                             .accounts = g->accounts,
                             .texts = g->texts,
                             .local = g->local,
                             .intake = g->intake};
    if (fault == 0)
        fault = host_new(&for_host, &g->host);
    g->scope.host = g->host;
    g->scope.brokers = broker_figures_new();
    if (fault == 0 && !g->scope.brokers)
        fault = -ENOMEM;
    if (fault == 0)
        fault = broker_figures_listen(g->scope.brokers, g->bus);
    if (fault == 0)
        fault = start_edge(g);
    if (fault == 0)
        fault = host_start(g->host);
    return fault;
}

/* False when something hangs: then nothing may be freed, and the process just ends. */
static bool stop(gateway *g) {
    bool ended = true;
    g->http = http_stop(g->http);
    if (g->bus)
        bus_give_up(g->bus);
    ended = edge_end(g->edge, STOP_MS) == 0;
    if (!ended)
        log_line("gateway", LOG_LEVEL_ERROR, "what reads the sensors does not end");
    if (g->host)
        ended &= host_stop(g->host, STOP_MS) == 0;
    if (!ended)
        return false;
    g->bus = bus_close(g->bus); /* first: it calls what the services gave it to call */
    g->edge = edge_free(g->edge);
    g->host = host_free(g->host);
    g->scope.brokers = broker_figures_free(g->scope.brokers);
    g->intake = intake_free(g->intake);
    g->local = local_close(g->local);
    return true;
}

static int64_t clock_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* An address that is taken (by a gateway that is about to end, by something else) stops nothing that matters
 * more: it is tried again. */
static void tend_http(gateway *g) {
    char why[HTTP_WHY_MAX] = "";
    http_tend(g->http);
    if (g->http || !g->conf.gateway_http || clock_us() < g->http_try_us)
        return;
    if (http_start(g->conf.gateway_http, &g->scope, &g->http, why) == 0) {
        log_line("gateway", LOG_LEVEL_NOTICE, "/health and /metrics are answered at %s",
                 g->conf.gateway_http);
        return;
    }
    if (!g->http_missed)
        log_line("gateway", LOG_LEVEL_ERROR, "/health and /metrics are not answered: %s; trying again", why);
    g->http_missed = true;
    g->http_try_us = clock_us() + HTTP_AGAIN_US;
}

/* The watchdog is fed only while every service moves: a gateway that hangs is started again. */
static void feed_watchdog(gateway *g, int64_t every_us, int64_t *fed_us) {
    const char *still = NULL;
    if (every_us == 0 || clock_us() - *fed_us < every_us / 2)
        return;
    if (host_moves(g->host, &still) && edge_moves(g->edge, &still)) {
        (void)sd_notify(0, "WATCHDOG=1");
        *fed_us = clock_us();
    } else {
        log_line("gateway", LOG_LEVEL_ERROR, "the service %s hangs", still);
    }
}

static int wait_for_signals(gateway *g, const sigset_t *signals) {
    uint64_t watchdog_us = 0;
    int64_t fed_us = 0;
    if (sd_watchdog_enabled(0, &watchdog_us) <= 0)
        watchdog_us = 0;
    int64_t look_us = LOOK_MS * 1000;
    if (watchdog_us && (int64_t)watchdog_us / 4 < look_us)
        look_us = (int64_t)watchdog_us / 4;
    struct timespec look = {.tv_sec = look_us / 1000000, .tv_nsec = look_us % 1000000 * 1000};
    for (;;) {
        feed_watchdog(g, (int64_t)watchdog_us, &fed_us);
        tend_http(g);
        int got = sigtimedwait(signals, NULL, &look);
        if (got == SIGTERM || got == SIGINT)
            return got;
        if (got == SIGHUP) {
            log_line("gateway", LOG_LEVEL_NOTICE,
                     "SIGHUP: the connections to the broker are made again, the sensors read anew");
            bus_renew(g->bus);
            reload_edge(g);
        }
    }
}

static void block_signals(sigset_t *ret_signals) {
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(ret_signals);
    (void)sigaddset(ret_signals, SIGTERM);
    (void)sigaddset(ret_signals, SIGINT);
    (void)sigaddset(ret_signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, ret_signals, NULL);
}

static int run(gateway *g) {
    sigset_t signals;
    block_signals(&signals);
    srandom((unsigned)(time(NULL) ^ getpid()));
    int fault = start(g);
    if (fault < 0) {
        log_line("gateway", LOG_LEVEL_ERROR, "it can't start: %s", strerror(-fault));
    } else {
        log_line("gateway", LOG_LEVEL_NOTICE, "mayday-gateway " MAYDAY_VERSION " serves as '%s'", g->id);
        (void)sd_notify(0, "READY=1");
        (void)wait_for_signals(g, &signals);
        log_line("gateway", LOG_LEVEL_NOTICE, "stopping");
    }
    (void)sd_notify(0, "STOPPING=1");
    if (!stop(g))
        _exit(EXIT_REFUSED);
    log_line("gateway", LOG_LEVEL_NOTICE, "ended");
    return fault < 0 ? EXIT_REFUSED : EXIT_DONE;
}

static int take_options(int argc, char **argv, const char **ret_config, bool *ret_check, bool *ret_run) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    *ret_run = false;
    for (int o; (o = getopt_long(argc, argv, "c:hV", options, NULL)) != -1;) {
        if (o == 'c') {
            *ret_config = optarg;
        } else if (o == 'k') {
            *ret_check = true;
        } else if (o == 'h') {
            usage(stdout);
            return EXIT_DONE;
        } else if (o == 'V') {
            puts("mayday-gateway " MAYDAY_VERSION);
            return EXIT_DONE;
        } else {
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    *ret_run = optind >= argc;
    if (!*ret_run)
        usage(stderr);
    return *ret_run ? EXIT_DONE : EXIT_USAGE;
}

int main(int argc, char **argv) {
    gateway g = {0};
    const char *config = NULL;
    bool check = false, go_on = false;
    int code = take_options(argc, argv, &config, &check, &go_on);
    if (!go_on)
        return code;
    code = load(config, &g);
    if (code == EXIT_DONE && check)
        puts("the configuration is good");
    else if (code == EXIT_DONE)
        code = run(&g);
    free(g.id);
    free(g.only_org);
    (void)texts_free(g.texts);
    (void)accounts_free(g.accounts);
    if (g.has_conf)
        conf_release(&settings_table, &g.conf);
    return code;
}
