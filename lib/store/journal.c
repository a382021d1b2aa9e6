/* journal.c - appending: the broker thread's side of the journal; see journal.h.
 *
 * An append in steady state is one pwritev() and a few atomic stores: no lock, no allocation. The lock is
 * taken once for each segment (rotation) and once for each `sync` record.
 *
 * A record whose write or fdatasync failed is overwritten where it stands and its sequence number is not used
 * again. The overwriting may fail too, or never reach the disk: then the record can appear after a restart,
 * although its sender was refused. The sender repeats it with the same id, so that is a duplicate, never a
 * loss. */
#include "store/journal_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static uint64_t get(const _Atomic uint64_t *value) {
    return atomic_load_explicit(value, memory_order_relaxed);
}

int64_t journal_clock_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* lock held. The segment stays in the list; the flusher closes it. */
static void seal(segment *s) {
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->sealed = true;
}

/* Puts a new segment in the place of the current one. */
static int rotate(journal *j, journal_class class_) {
    segment *s = NULL;
    int fault = 0;
    pthread_mutex_lock(&j->lock);
    while (j->state == SPARE_MAKING)
        pthread_cond_wait(&j->made, &j->lock);
    if (j->state == SPARE_READY) {
        s = j->spare;
        j->spare = NULL;
    } else {
        journal_spare_set(j, SPARE_MAKING); /* the flusher is late, or failed: try here and now */
        fault = journal_segment_make(j, class_, &s);
    }
    if (fault < 0) {
        journal_spare_set(j, SPARE_DENIED);
    } else {
        if (j->current)
            seal(j->current);
        journal_list_append(j, s);
        j->current = s;
        journal_spare_set(j, journal_has_room(j, JOURNAL_ORDINARY) ? SPARE_WANTED : SPARE_DENIED);
    }
    pthread_cond_signal(&j->work);
    pthread_mutex_unlock(&j->lock);
    return fault;
}

static bool fits(const segment *s, uint64_t space) {
    return s && !atomic_load_explicit(&s->failed, memory_order_relaxed) && get(&s->end) + space <= s->size;
}

/* Nobody has made the next segment yet. Ordinary records may not use up the one in which urgent ones would
 * have to wait for it: half of it they leave alone. */
static bool must_have_spare(const journal *j, const segment *s, uint64_t space) {
    return !atomic_load_explicit(&j->spare_ready, memory_order_relaxed) && get(&s->end) + space > s->size / 2;
}

/* The flusher is very late: makes the spare here and now. */
static void ensure_spare(journal *j) {
    pthread_mutex_lock(&j->lock);
    while (j->state == SPARE_MAKING)
        pthread_cond_wait(&j->made, &j->lock);
    if (j->state == SPARE_WANTED)
        journal_spare_make(j);
    pthread_mutex_unlock(&j->lock);
}

static int admit_ordinary(journal *j, uint64_t space) {
    if (!atomic_load(&j->in_reserve) && j->current && must_have_spare(j, j->current, space))
        ensure_spare(j);
    return atomic_load(&j->in_reserve) ? -ENOSPC : 0;
}

/* Makes j->current a segment that has `space` bytes left and that this class may use. */
static int make_room(journal *j, uint64_t space, journal_class class_) {
    if (class_ == JOURNAL_ORDINARY && atomic_load(&j->in_reserve))
        return -ENOSPC;
    if (j->current && atomic_load_explicit(&j->current->failed, memory_order_relaxed)) {
        journal_account(j, j->current, get(&j->current->appended), true);
        pthread_mutex_lock(&j->lock);
        seal(j->current);
        pthread_mutex_unlock(&j->lock);
        j->current = NULL;
    }
    if (!fits(j->current, space)) {
        int fault = rotate(j, class_);
        if (fault < 0)
            return fault;
        if (!fits(j->current, space))
            return -ENOSPC;
    }
    return class_ == JOURNAL_ORDINARY ? admit_ordinary(j, space) : 0;
}

static void publish(journal *j, segment *s, uint64_t seq, uint64_t space) {
    if (get(&s->first_seq) == 0)
        atomic_store_explicit(&s->first_seq, seq, memory_order_relaxed);
    atomic_store_explicit(&s->last_seq, seq, memory_order_relaxed);
    atomic_store_explicit(&s->appended, get(&s->appended) + 1, memory_order_release);
    atomic_store_explicit(&s->end, get(&s->end) + space, memory_order_release);
    atomic_store_explicit(&j->appends, get(&j->appends) + 1, memory_order_relaxed);
    atomic_store(&j->published_seq, seq); /* sequentially consistent, against journal_wait() */
    if (atomic_load(&j->waiting) && atomic_exchange(&j->waiting, false))
        journal_ring(j);
}

/* The record must not come to light later as if it had been accepted. */
static void withdraw(journal *j, segment *s) {
    frame nothing = {0};
    ssize_t wrote = pwrite(s->fd, &nothing, sizeof nothing, (off_t)get(&s->end));
    (void)wrote; /* see the top of the file */
    journal_account(j, s, get(&s->appended), true);
    pthread_mutex_lock(&j->lock);
    seal(s);
    pthread_cond_signal(&j->work);
    pthread_mutex_unlock(&j->lock);
    j->current = NULL;
}

int journal_append(journal *j, text body, journal_class class_, bool sync, uint64_t *ret_seq) {
    if (body.len > JOURNAL_RECORD_MAX ||
        frame_space(body.len) > j->options.segment_size - SEGMENT_HEADER_SPACE)
        return -EMSGSIZE;
    uint64_t space = frame_space(body.len);
    int fault = make_room(j, space, class_);
    if (fault == 0) {
        segment *s = j->current;
        uint64_t seq = j->next_seq++;
        fault = segment_write(s->fd, get(&s->end), s->mark, seq, body);
        if (fault == 0 && sync)
            fault = journal_flush(j, s, s->fd);
        if (fault == 0) {
            publish(j, s, seq, space);
            if (sync)
                journal_account(j, s, get(&s->appended), false);
            *ret_seq = seq;
            return 0;
        }
        withdraw(j, s);
    }
    atomic_fetch_add_explicit(&j->refused, 1, memory_order_relaxed);
    return fault;
}

const uuid *journal_identity(const journal *j) {
    return &j->identity;
}

void journal_figures_get(const journal *j, journal_figures *ret_figures) {
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&j->lock; /* locking changes nothing one can see */
    pthread_mutex_lock(lock);
    uint64_t held = j->held;
    pthread_mutex_unlock(lock);
    *ret_figures = (journal_figures){
        .last_seq = get(&j->published_seq),
        .released_seq = get(&j->released_seq),
        .bytes = held,
        .appends = get(&j->appends),
        .refused = get(&j->refused),
        .flushes = get(&j->flushes),
        .flush_us_last = get(&j->flush_us_last),
        .flush_us_max = get(&j->flush_us_max),
        .flush_us_sum = get(&j->flush_us_sum),
        .doubtful = get(&j->doubtful),
        .skipped_places = get(&j->skipped_places),
        .skipped_bytes = get(&j->skipped_bytes),
        .in_reserve = atomic_load(&j->in_reserve),
    };
}

static int check_options(const journal_options *o, char why[JOURNAL_WHY_MAX]) {
    if (o->segment_size < SEGMENT_SIZE_MIN || o->segment_size > SEGMENT_SIZE_MAX)
        return journal_why(why, -EINVAL, "the journal's segment_size must be from %u to %u bytes",
                           SEGMENT_SIZE_MIN, SEGMENT_SIZE_MAX);
    if (o->max_size / 3 < o->segment_size)
        return journal_why(why, -EINVAL,
                           "the journal's max_size (%llu bytes) must be at least three times its "
                           "segment_size (%llu bytes): one to read, one to write, one in reserve",
                           (unsigned long long)o->max_size, (unsigned long long)o->segment_size);
    if (o->flush_ms < 1)
        return journal_why(why, -EINVAL, "the journal's flush_interval must be at least 1 ms");
    return 0;
}

static journal *journal_new(const journal_options *options) {
    journal *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->options = *options;
    j->options.segment_size &= ~UINT64_C(4095);
    j->dir = j->lock_file = -1;
    j->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    j->segments_end = &j->segments;
    j->next_number = 1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->work, &monotonic);
    pthread_cond_init(&j->made, NULL);
    pthread_condattr_destroy(&monotonic);
    j->options.dir = text_copy(text_of(options->dir));
    return j->options.dir && j->wake_fd >= 0 ? j : journal_close(j);
}

int journal_open(const journal_options *options, journal **ret_journal, journal_report *ret_report,
                 char ret_why[JOURNAL_WHY_MAX]) {
    int fault = check_options(options, ret_why);
    if (fault < 0)
        return fault;
    CLEANUP(journal_closep) journal *j = journal_new(options);
    if (!j)
        return journal_why(ret_why, -ENOMEM, "out of memory");
    journal_report report = {0};
    fault = journal_recover(j, &report, ret_why);
    if (fault < 0)
        return fault;
    fault = journal_flusher_start(j);
    if (fault < 0)
        return journal_why(ret_why, fault, "the journal's flusher can't be started: %s", strerror(-fault));
    *ret_journal = j;
    *ret_report = report;
    j = NULL;
    return 0;
}

/* Says on disk that this segment ends where it ends: nothing was lost behind. */
static void finish(journal *j, segment *s) {
    uint64_t appended = get(&s->appended);
    if (s->flush_fd < 0 || atomic_load(&s->failed))
        return;
    if (appended != s->accounted) {
        int fault = journal_flush(j, s, s->flush_fd);
        journal_account(j, s, appended, fault < 0);
        if (fault < 0)
            return;
    }
    if (get(&s->end) > SEGMENT_HEADER_SPACE) {
        if (ftruncate(s->flush_fd, (off_t)get(&s->end)) < 0)
            return; /* the next opening will skip some sequence numbers, no more */
        return;
    }
    segment_header header;
    if (segment_header_read(s->flush_fd, &header) == 0) {
        header.flags |= SEGMENT_UNTOUCHED;
        int fault = segment_header_write(s->flush_fd, &header);
        (void)fault; /* as above */
    }
}

journal *journal_close(journal *j) {
    if (!j)
        return NULL;
    if (j->threaded)
        journal_flusher_stop(j);
    for (segment *s = j->segments, *next; s; s = next) {
        next = s->next;
        finish(j, s);
        segment_free(s);
    }
    if (j->spare)
        finish(j, j->spare);
    segment_free(j->spare);
    if (j->lock_file >= 0)
        close(j->lock_file);
    if (j->dir >= 0)
        close(j->dir);
    if (j->wake_fd >= 0)
        close(j->wake_fd);
    pthread_cond_destroy(&j->made);
    pthread_cond_destroy(&j->work);
    pthread_mutex_destroy(&j->lock);
    free((char *)(uintptr_t)j->options.dir);
    free(j);
    return NULL;
}
