/* sealer.c - the gateway's sealer by itself, without a broker: `sealer CONF once` seals what is pending and
 * ends cleanly, `sealer CONF abandon` likewise without the end, `sealer CONF run` goes on until SIGTERM. */
#include "gateway/service.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern const service service_sealer;

static volatile sig_atomic_t stop;

static void on_signal(int number) {
    (void)number;
    stop = 1;
}

bool service_stopping(const service_context *s) {
    (void)s;
    return stop != 0;
}

void service_log(const service_context *s, log_level level, const char *format, ...) {
    va_list args;
    fprintf(stderr, "<%d>%s: ", (int)level, s->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void service_count(service_context *s, const char *name, uint64_t by) {
    (void)s;
    if (by > 0)
        printf("%s +%llu\n", name, (unsigned long long)by);
}

void service_gauge(service_context *s, const char *name, double value) {
    (void)s;
    (void)name;
    (void)value;
}

static pg *reach(const settings *conf) {
    char why[PG_WHY_MAX];
    pg *c = NULL;
    pg_options options = {.conninfo = conf->gateway_database,
                          .application = "sealer",
                          .connect_ms = 10000,
                          .patience_ms = 60000,
                          .interrupt_fd = -1};
    if (pg_connect(&options, &c, why) != PG_DONE)
        fprintf(stderr, "%s\n", why);
    return c;
}

static void rest(void) {
    struct timespec pause = {.tv_nsec = 20000000};
    (void)nanosleep(&pause, NULL);
}

/* False: it failed, which only a run survives. */
static bool work(service_context *s, void *state, bool forever) {
    for (bool again = true; again || (forever && !stop);) {
        again = false;
        if (!s->c && !(s->c = reach(s->settings)))
            return false;
        if (service_sealer.step(s, state, &again) != PG_DONE) {
            fprintf(stderr, "step: %s\n", pg_why(s->c));
            s->c = pg_close(s->c);
            if (!forever)
                return false;
        }
        if (forever && !again)
            rest();
    }
    return true;
}

int main(int argc, char **argv) {
    char why[CONF_WHY_MAX] = "";
    settings conf = {0};
    if (argc != 3 || conf_load(&settings_table, argv[1], &conf, why) < 0) {
        fprintf(stderr, "usage: sealer CONF once|abandon|run\n%s\n", why);
        return 2;
    }
    (void)signal(SIGTERM, on_signal);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    service_context s = {.name = "sealer", .settings = &conf};
    void *state = service_sealer.begin(&s);
    bool good = state && work(&s, state, strcmp(argv[2], "run") == 0);
    s.c = pg_close(s.c);
    if (strcmp(argv[2], "abandon") == 0)
        _Exit(good ? 0 : 1);
    service_sealer.end(state);
    conf_release(&settings_table, &conf);
    return good ? 0 : 1;
}
