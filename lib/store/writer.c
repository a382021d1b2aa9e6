/* writer.c - see writer.h: the life of the writer's thread, and its figures. Its work is in carry.c. */
#include "store/writer_inside.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define NICE_BELOW_BROKER 5

int64_t writer_clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct timespec in_ms(int ms) {
    int64_t at = writer_clock_ms() + ms;
    return (struct timespec){.tv_sec = (time_t)(at / 1000), .tv_nsec = (long)(at % 1000) * 1000000};
}

bool writer_stopping(writer *w) {
    (void)pthread_mutex_lock(&w->lock);
    bool stopping = w->stopping;
    (void)pthread_mutex_unlock(&w->lock);
    return stopping;
}

bool writer_pause(writer *w, int ms) {
    struct timespec until = in_ms(ms);
    int r = 0;
    (void)pthread_mutex_lock(&w->lock);
    while (!w->stopping && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&w->changed, &w->lock, &until);
    bool go_on = !w->stopping;
    (void)pthread_mutex_unlock(&w->lock);
    return go_on;
}

static void *thread_main(void *context) {
    writer *w = context;
    (void)pthread_setname_np(pthread_self(), "mayday-writer");
    /* On Linux this is the thread's own nice: where both want a processor, the broker's thread goes first. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE_BELOW_BROKER);
    carry(w);
    (void)pthread_mutex_lock(&w->lock);
    w->finished = true;
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

static writer *writer_free(writer *w) {
    if (!w)
        return NULL;
    pg_close(w->c);
    members_release(&w->members);
    journal_reader_free(w->reader);
    batch_free(w->batch);
    free(w->conninfo);
    free(w->node);
    free(w->application);
    if (w->interrupt_fd >= 0)
        (void)close(w->interrupt_fd);
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
    return NULL;
}

static void make_condition(pthread_cond_t *condition) {
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

static writer *writer_new(const writer_options *options, journal *j, results *back) {
    writer *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    (void)pthread_mutex_init(&w->lock, NULL);
    make_condition(&w->changed);
    journal_figures figures;
    journal_figures_get(j, &figures);
    uuid_format(journal_identity(j), w->identity);
    w->j = j;
    w->back = w->members.back = back;
    w->base_seq = figures.last_seq;
    w->batch_records = options->batch_records > 0 ? options->batch_records : 1;
    w->batch_wait_ms = options->batch_wait_ms;
    w->retry_max_ms = options->retry_max_ms;
    w->partitions_ahead = options->partitions_ahead;
    w->rules = options->rules;
    w->interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->conninfo = strdup(options->conninfo ? options->conninfo : "");
    w->node = strdup(options->node ? options->node : "");
    CLEANUP(buf_release) buf application = BUF(256);
    buf_printf(&application, "mayday %s", w->node ? w->node : "");
    w->application = buf_steal(&application);
    w->members.node = w->node;
    w->batch = w->node ? batch_new(w->batch_records, w->node) : NULL;
    if (!w->conninfo || !w->application || !w->batch || w->interrupt_fd < 0)
        return writer_free(w);
    return w;
}

/* Signals are the broker's business: the thread is born with all of them blocked. */
static int start_thread(writer *w) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&w->thread, NULL, thread_main, w);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

int writer_start(const writer_options *options, journal *j, results *back, writer **ret_writer) {
    writer *w = writer_new(options, j, back);
    if (!w)
        return -ENOMEM;
    int r = start_thread(w);
    if (r < 0) {
        writer_free(w);
        return r;
    }
    *ret_writer = w;
    return 0;
}

writer *writer_stop(writer *w, int grace_ms) {
    if (!w)
        return NULL;
    struct timespec until = in_ms(grace_ms > 0 ? grace_ms : 0);
    uint64_t one = 1;
    int r = 0;
    (void)pthread_mutex_lock(&w->lock);
    w->stopping = true;
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
    journal_wake(w->j);
    (void)pthread_mutex_lock(&w->lock);
    while (!w->finished && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&w->changed, &w->lock, &until);
    (void)pthread_mutex_unlock(&w->lock);
    /* Whatever it waits for now, it stops waiting. */
    if (write(w->interrupt_fd, &one, sizeof one) < 0)
        (void)0;
    journal_wake(w->j);
    (void)pthread_join(w->thread, NULL);
    return writer_free(w);
}

void writer_figures_get(const writer *w, writer_figures *ret_figures) {
    writer *shared = (writer *)w; /* the lock is not part of what is const */
    (void)pthread_mutex_lock(&shared->lock);
    *ret_figures = shared->figures;
    (void)pthread_mutex_unlock(&shared->lock);
}
