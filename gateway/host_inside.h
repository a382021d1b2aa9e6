/* host_inside.h - what host.c and runner.c share; nobody else includes it. */
#ifndef MAYDAY_GATEWAY_HOST_INSIDE_H
#define MAYDAY_GATEWAY_HOST_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/host.h"

#define FIGURES_MAX 256
#define LABELS_MAX  96

typedef struct figure {
    const char *name;
    char labels[LABELS_MAX]; /* as Prometheus spells them: "provider=\"x\",outcome=\"y\""; "": none */
    bool is_counter;
    uint64_t count;
    double level;
} figure;

/* A service and its thread. Its thread owns all of it but the atomics. */
typedef struct runner {
    service_host *host;
    const service *row;
    service_context s;
    void *state;
    pthread_t thread;
    bool started;
    int64_t backoff_ms;
    bool failing; /* and said so */
    _Atomic int64_t moved_ms;
    atomic_bool connected, reached;
    char why[SERVICE_WHY_MAX]; /* under the host's lock */
    _Atomic uint64_t steps, failures;
} runner;

struct service_host {
    host_options o;
    instant since;
    int stop_fd; /* readable once everything is to end */
    atomic_bool stopping;
    pthread_mutex_t lock; /* of the figures */
    figure figures[FIGURES_MAX];
    size_t figure_count;
    runner runners[SERVICES_MAX];
    size_t runner_count;
};

int64_t host_clock_ms(void);
void *runner_main(void *the_runner);
bool runner_moves(const runner *r);

#endif
