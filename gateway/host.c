/* host.c - see host.h: the host's life, and the services' side of it. */
#include "gateway/host_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "gateway/log.h"

#define STANDBY_MS 5000

int64_t host_clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int host_new(const host_options *options, service_host **ret_host) {
    service_host *h = calloc(1, sizeof *h);
    if (!h)
        return -ENOMEM;
    (void)pthread_mutex_init(&h->lock, NULL);
    h->o = *options;
    h->since = instant_now();
    h->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->stop_fd < 0) {
        int fault = -errno;
        (void)host_free(h);
        return fault;
    }
    *ret_host = h;
    return 0;
}

service_host *host_free(service_host *h) {
    if (!h)
        return NULL;
    for (size_t i = 0; i < h->runner_count; i++)
        if (h->runners[i].row->end)
            h->runners[i].row->end(h->runners[i].state);
    if (h->stop_fd >= 0)
        (void)close(h->stop_fd);
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
    return NULL;
}

static int start_one(service_host *h, const service *row) {
    if (h->runner_count == SERVICES_MAX)
        return -ENOSPC;
    runner *r = &h->runners[h->runner_count];
    r->host = h;
    r->row = row;
    r->s = (service_context){.host = h,
                             .runner = r,
                             .name = row->name,
                             .settings = h->o.settings,
                             .gateway = h->o.gateway,
                             .bus = h->o.bus,
                             .accounts = h->o.accounts,
                             .texts = h->o.texts,
                             .local = h->o.local,
                             .intake = h->o.intake,
                             .channel = row->channel};
    atomic_store(&r->moved_ms, host_clock_ms());
    if (row->begin && !(r->state = row->begin(&r->s)))
        return -ENOMEM;
    h->runner_count++;
    int fault = pthread_create(&r->thread, NULL, runner_main, r);
    r->started = fault == 0;
    return -fault;
}

int host_start(service_host *h) {
    for (const service *const *row = services; *row; row++) {
        int fault = start_one(h, *row);
        if (fault < 0) {
            log_line("gateway", LOG_LEVEL_ERROR, "the service %s can't be started: %s", (*row)->name,
                     strerror(-fault));
            return fault;
        }
    }
    return 0;
}

/* By the monotonic clock, as well as it goes: the deadline of each wait is spelled in the other one, because
 * ThreadSanitizer does not know pthread_clockjoin_np(). */
static bool joins(runner *r, int64_t end_ms) {
    struct timespec until;
    int64_t left = end_ms - host_clock_ms();
    left = left < 0 ? 0 : left;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += left / 1000;
    until.tv_nsec += (long)(left % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_timedjoin_np(r->thread, NULL, &until) == 0;
}

int host_stop(service_host *h, int ms) {
    uint64_t one = 1;
    int64_t end_ms = host_clock_ms() + ms;
    atomic_store(&h->stopping, true);
    if (write(h->stop_fd, &one, sizeof one) < 0)
        return -errno;
    for (size_t i = 0; i < h->runner_count; i++) {
        runner *r = &h->runners[i];
        if (!r->started)
            continue;
        if (!joins(r, end_ms)) {
            log_line("gateway", LOG_LEVEL_ERROR, "the service %s does not end", r->row->name);
            return -ETIMEDOUT;
        }
        r->started = false;
    }
    return 0;
}

bool host_moves(service_host *h, const char **ret_name) {
    for (size_t i = 0; i < h->runner_count; i++)
        if (!runner_moves(&h->runners[i])) {
            *ret_name = h->runners[i].row->name;
            return false;
        }
    return true;
}

const settings *host_settings(const service_host *h) {
    return h->o.settings;
}

bus *host_bus(const service_host *h) {
    return h->o.bus;
}

const accounts *host_accounts(const service_host *h) {
    return h->o.accounts;
}

const texts *host_texts(const service_host *h) {
    return h->o.texts;
}

local *host_local(const service_host *h) {
    return h->o.local;
}

const char *host_gateway(const service_host *h) {
    return h->o.gateway;
}

const char *host_version(const service_host *h) {
    return h->o.version;
}

instant host_since(const service_host *h) {
    return h->since;
}

size_t host_reports(service_host *h, service_report ret_reports[SERVICES_MAX]) {
    int64_t now = host_clock_ms();
    (void)pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < h->runner_count; i++) {
        runner *r = &h->runners[i];
        ret_reports[i] = (service_report){.name = r->row->name,
                                          .reached = atomic_load(&r->reached),
                                          .connected = atomic_load(&r->connected),
                                          .moves = runner_moves(r),
                                          .silent_ms = now - atomic_load(&r->moved_ms),
                                          .steps = atomic_load(&r->steps),
                                          .failures = atomic_load(&r->failures)};
        memcpy(ret_reports[i].why, r->why, sizeof r->why);
    }
    (void)pthread_mutex_unlock(&h->lock);
    return h->runner_count;
}

void host_figures(service_host *h, figure_visit visit, void *context) {
    (void)pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < h->figure_count; i++) {
        const figure *first = &h->figures[i];
        bool visited = false;
        for (size_t k = 0; k < i && !visited; k++)
            visited = strcmp(h->figures[k].name, first->name) == 0;
        for (size_t k = i; k < h->figure_count && !visited; k++) {
            const figure *f = &h->figures[k];
            if (strcmp(f->name, first->name) == 0)
                visit(context, f->name, f->labels, f->is_counter,
                      f->is_counter ? (double)f->count : f->level);
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
}

/* ---- what services call ---- */

bool service_stopping(const service_context *s) {
    atomic_store(&s->runner->moved_ms, host_clock_ms());
    return atomic_load(&s->host->stopping);
}

bool service_waits(const service_context *s) {
    return host_clock_ms() - s->connected_ms < STANDBY_MS && !local_empty(s->local, TEXT("ledger"));
}

void service_log(const service_context *s, log_level level, const char *format, ...) {
    va_list args;
    va_start(args, format);
    log_line_v(s->name, level, format, args);
    va_end(args);
}

/* NULL when there are too many: the table of names is ours, so that is a slip of the programmer. */
static figure *figure_named(service_host *h, const char *name, const char *labels, bool is_counter) {
    for (size_t i = 0; i < h->figure_count; i++)
        if (strcmp(h->figures[i].name, name) == 0 && strcmp(h->figures[i].labels, labels) == 0)
            return &h->figures[i];
    if (h->figure_count == FIGURES_MAX)
        return NULL;
    figure *f = &h->figures[h->figure_count++];
    *f = (figure){.name = name, .is_counter = is_counter};
    (void)snprintf(f->labels, sizeof f->labels, "%s", labels);
    return f;
}

static void count_of(service_host *h, const char *name, const char *labels, uint64_t by) {
    (void)pthread_mutex_lock(&h->lock);
    figure *f = figure_named(h, name, labels, true);
    if (f)
        f->count += by;
    (void)pthread_mutex_unlock(&h->lock);
}

void host_count(service_host *h, const char *name, uint64_t by) {
    count_of(h, name, "", by);
}

void service_count_of(service_context *s, const char *name, const char *labels, uint64_t by) {
    count_of(s->host, name, labels, by);
}

void service_count(service_context *s, const char *name, uint64_t by) {
    count_of(s->host, name, "", by);
}

void service_gauge_of(service_context *s, const char *name, const char *labels, double value) {
    service_host *h = s->host;
    (void)pthread_mutex_lock(&h->lock);
    figure *f = figure_named(h, name, labels, false);
    if (f)
        f->level = value;
    (void)pthread_mutex_unlock(&h->lock);
}

void service_gauge(service_context *s, const char *name, double value) {
    service_gauge_of(s, name, "", value);
}
