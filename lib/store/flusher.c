/* flusher.c - the journal's own thread: forces records to disk, keeps a segment in hand, closes sealed ones;
 * and what it shares with the appender and the reader: making segments and letting them go. */
#include "store/journal_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    RETRY_MS = 1000, /* between attempts to get a segment that was denied */
    WASTE_WORTH_CUTTING = 4096,
};

segment *segment_new(uint64_t number) {
    segment *s = calloc(1, sizeof *s);
    if (s) {
        s->number = number;
        s->fd = s->flush_fd = -1;
        s->readable = true;
        atomic_init(&s->end, SEGMENT_HEADER_SPACE);
    }
    return s;
}

segment *segment_free(segment *s) {
    if (!s)
        return NULL;
    if (s->fd >= 0)
        close(s->fd);
    if (s->flush_fd >= 0)
        close(s->flush_fd);
    free(s);
    return NULL;
}

void journal_list_append(journal *j, segment *s) {
    s->next = NULL;
    *j->segments_end = s;
    j->segments_end = &s->next;
}

void journal_spare_set(journal *j, spare_state state) {
    if (j->state == SPARE_MAKING && state != SPARE_MAKING)
        pthread_cond_broadcast(&j->made);
    if (state == SPARE_DENIED)
        j->retry_at_ms = journal_clock_us() / 1000 + RETRY_MS;
    j->state = state;
    atomic_store(&j->spare_ready, state == SPARE_READY);
    /* While one is being made for the second time the answer is still the old one. */
    if (state != SPARE_MAKING)
        atomic_store(&j->in_reserve, state == SPARE_DENIED);
}

static bool disk_has_room(const journal *j, uint64_t size) {
    struct statvfs disk;
    if (fstatvfs(j->dir, &disk) < 0)
        return false;
    uint64_t available = (uint64_t)disk.f_bavail * disk.f_frsize;
    return available >= size && available - size >= j->options.min_free;
}

bool journal_has_room(const journal *j, journal_class class_) {
    uint64_t size = j->options.segment_size;
    if (j->held > j->options.max_size || j->options.max_size - j->held < size)
        return false;
    return class_ == JOURNAL_URGENT || disk_has_room(j, size);
}

/* An urgent record in need takes what is left below max_size, and does not mind min_free. */
static uint64_t affordable(const journal *j, journal_class class_) {
    if (journal_has_room(j, class_))
        return j->options.segment_size;
    if (class_ == JOURNAL_ORDINARY || j->held >= j->options.max_size)
        return 0;
    uint64_t left = (j->options.max_size - j->held) & ~UINT64_C(4095);
    return left < SEGMENT_SIZE_MIN ? 0 : left;
}

/* Opens the file a second time: see flush_fd. */
static int open_again(journal *j, segment *s) {
    char name[SEGMENT_NAME_MAX];
    segment_name(s->number, name);
    s->flush_fd = openat(j->dir, name, O_RDWR | O_CLOEXEC);
    if (s->flush_fd >= 0)
        return 0;
    int fault = -errno;
    (void)unlinkat(j->dir, name, 0);
    return fault;
}

static int create(journal *j, segment *s, uint64_t base_seq) {
    segment_header header;
    int fault = segment_header_make(&j->identity, s->number, base_seq, &header);
    if (fault < 0)
        return fault;
    fault = segment_create(j->dir, &header, s->size, &s->fd);
    if (fault < 0)
        return fault;
    s->mark = header.mark;
    s->base_seq = header.base_seq;
    return open_again(j, s);
}

int journal_segment_make(journal *j, journal_class class_, segment **ret_segment) {
    uint64_t size = affordable(j, class_);
    if (size == 0)
        return -ENOSPC;
    segment *s = segment_new(j->next_number);
    if (!s)
        return -ENOMEM;
    j->next_number++;
    j->held += size;
    s->size = size;
    pthread_mutex_unlock(&j->lock);
    /* Other records may be appended before this segment is used: a bound, not its first number. */
    int fault = create(j, s, atomic_load(&j->published_seq) + 1);
    pthread_mutex_lock(&j->lock);
    if (fault < 0) {
        j->held -= size;
        j->next_number = s->number; /* one at a time makes segments, so nobody took the next one */
        segment_free(s);
        return fault;
    }
    *ret_segment = s;
    return 0;
}

static void raise_to(_Atomic uint64_t *value, uint64_t at_least) {
    uint64_t now = atomic_load(value);
    while (now < at_least && !atomic_compare_exchange_weak(value, &now, at_least))
        ;
}

int journal_flush(journal *j, segment *s, int fd) {
    int64_t began = journal_clock_us();
    int fault = fdatasync(fd) < 0 ? -errno : 0;
    if (fault < 0)
        atomic_store(&s->failed, true); /* at once, before the other thread appends any more to it */
    uint64_t took = (uint64_t)(journal_clock_us() - began);
    atomic_fetch_add(&j->flushes, 1);
    atomic_fetch_add(&j->flush_us_sum, took);
    atomic_store(&j->flush_us_last, took);
    raise_to(&j->flush_us_max, took);
    return fault;
}

void journal_account(journal *j, segment *s, uint64_t upto, bool lost) {
    pthread_mutex_lock(&j->lock);
    if (lost)
        atomic_store(&s->failed, true);
    if (upto > s->accounted) {
        if (atomic_load(&s->failed)) /* a success after a failure proves nothing */
            atomic_fetch_add(&j->doubtful, upto - s->accounted);
        s->accounted = upto;
    }
    pthread_mutex_unlock(&j->lock);
}

/* Takes what may go out of the list: everything up to released_seq that is closed and not the newest. */
static segment *detach_released(journal *j) {
    segment *gone = NULL, **gone_end = &gone;
    uint64_t released = atomic_load(&j->released_seq);
    while (released && j->segments && j->segments->sealed && j->segments->flush_fd < 0 &&
           atomic_load(&j->segments->last_seq) <= released) {
        segment *s = j->segments;
        j->segments = s->next;
        if (!j->segments)
            j->segments_end = &j->segments;
        s->next = NULL;
        *gone_end = s;
        gone_end = &s->next;
    }
    return gone;
}

/* Deletes the files of segments that are no longer listed. The directory is not forced to disk: a file that
 * comes back after a power cut holds nothing new. */
static void delete_detached(journal *j, segment *gone) {
    uint64_t freed = 0;
    for (segment *s = gone, *next; s; s = next) {
        char name[SEGMENT_NAME_MAX], aside[SEGMENT_NAME_MAX + 8];
        next = s->next;
        segment_name(s->number, name);
        (void)snprintf(aside, sizeof aside, "%s.damaged", name);
        if (s->readable ||
            renameat(j->dir, name, j->dir, aside) < 0) /* what nobody could read stays for people */
            (void)unlinkat(j->dir, name, 0);
        freed += s->size;
        segment_free(s);
    }
    if (freed == 0)
        return;
    pthread_mutex_lock(&j->lock);
    j->held -= freed;
    if (j->state == SPARE_DENIED)
        j->retry_at_ms = 0;
    pthread_cond_signal(&j->work);
    pthread_mutex_unlock(&j->lock);
}

static void reap(journal *j) {
    pthread_mutex_lock(&j->lock);
    segment *gone = detach_released(j);
    pthread_mutex_unlock(&j->lock);
    delete_detached(j, gone);
}

void journal_release(journal *j, uint64_t seq) {
    raise_to(&j->released_seq, seq);
    reap(j);
}

/* locked. Flushes one segment; a sealed one is closed for good. */
static void tend_segment(journal *j, segment *s) {
    bool sealed = s->sealed;
    uint64_t appended = atomic_load_explicit(&s->appended, memory_order_acquire);
    if (appended != s->accounted && !atomic_load(&s->failed)) {
        pthread_mutex_unlock(&j->lock);
        int fault = journal_flush(j, s, s->flush_fd);
        journal_account(j, s, appended, fault < 0);
        pthread_mutex_lock(&j->lock);
    }
    if (!sealed)
        return;
    int fd = s->flush_fd;
    uint64_t end = atomic_load(&s->end), waste = s->size - end;
    bool cut = waste >= WASTE_WORTH_CUTTING && !atomic_load(&s->failed);
    pthread_mutex_unlock(&j->lock);
    cut = cut && ftruncate(fd, (off_t)end) == 0;
    close(fd);
    pthread_mutex_lock(&j->lock);
    if (cut) {
        s->size = end;
        j->held -= waste;
    }
    s->flush_fd = -1;
}

static void tend_segments(journal *j) {
    for (segment *s = j->segments; s; s = s->next)
        if (s->flush_fd >= 0)
            tend_segment(j, s);
}

void journal_spare_make(journal *j) {
    segment *s = NULL;
    journal_spare_set(j, SPARE_MAKING);
    int fault = journal_segment_make(j, JOURNAL_ORDINARY, &s);
    if (fault == 0)
        j->spare = s;
    journal_spare_set(j, fault == 0 ? SPARE_READY : SPARE_DENIED);
}

/* locked */
static void tend_spare(journal *j) {
    bool due =
        j->state == SPARE_WANTED || (j->state == SPARE_DENIED && j->retry_at_ms <= journal_clock_us() / 1000);
    if (due && !j->stopping)
        journal_spare_make(j);
}

static struct timespec timespec_of_us(int64_t us) {
    return (struct timespec){us / 1000000, us % 1000000 * 1000};
}

static void *flusher_main(void *argument) {
    journal *j = argument;
    pthread_mutex_lock(&j->lock);
    while (!j->stopping) {
        int64_t next = journal_clock_us() + (int64_t)j->options.flush_ms * 1000;
        tend_segments(j);
        tend_spare(j);
        pthread_mutex_unlock(&j->lock);
        reap(j);
        pthread_mutex_lock(&j->lock);
        bool due = j->state == SPARE_WANTED || (j->state == SPARE_DENIED && j->retry_at_ms == 0);
        struct timespec until = timespec_of_us(next);
        if (!j->stopping && !due)
            pthread_cond_timedwait(&j->work, &j->lock, &until);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

int journal_flusher_start(journal *j) {
    sigset_t all, before; /* signals are the host's business */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int fault = -pthread_create(&j->flusher, NULL, flusher_main, j);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    j->threaded = fault == 0;
    return fault;
}

void journal_flusher_stop(journal *j) {
    pthread_mutex_lock(&j->lock);
    j->stopping = true;
    pthread_cond_signal(&j->work);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->flusher, NULL);
    j->threaded = false;
}
