/* reader.c - the reader's side of the journal: follows the appender through the published end of each
 * segment. It opens files itself and takes the lock only to find a segment or to ask whether it is sealed. */
#include "store/journal_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

struct journal_reader {
    journal *j;
    cursor cursor;
    int fd;            /* of the segment being read, -1 for none */
    uint64_t number;   /* of that segment, or the first that may come next */
    bool sealed;       /* cursor.limit is where it ends for good */
    uint64_t after;    /* sequence numbers up to this one are not returned */
    uint64_t seen_seq; /* what was published when we last found no more */
};

/* lock held. The first segment from `number` on. */
static segment *find(const journal *j, uint64_t number) {
    for (segment *s = j->segments; s; s = s->next)
        if (s->number >= number)
            return s;
    return NULL;
}

/* lock held. Where the record behind `seq` is, if it is anywhere. */
static uint64_t find_number(const journal *j, uint64_t seq) {
    uint64_t number = 0;
    for (segment *s = j->segments; s; s = s->next) {
        uint64_t first = atomic_load(&s->first_seq);
        if (number == 0 || (first && first <= seq + 1))
            number = s->number;
    }
    return number;
}

int journal_reader_open(journal *j, uint64_t after_seq, journal_reader **ret_reader) {
    journal_reader *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->j = j;
    r->fd = -1;
    r->after = after_seq;
    pthread_mutex_lock(&j->lock);
    r->number = after_seq ? find_number(j, after_seq) : 0;
    pthread_mutex_unlock(&j->lock);
    *ret_reader = r;
    return 0;
}

static void leave_segment(journal_reader *r) {
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

journal_reader *journal_reader_free(journal_reader *r) {
    if (!r)
        return NULL;
    leave_segment(r);
    cursor_release(&r->cursor);
    free(r);
    return NULL;
}

static void count_damage(journal_reader *r, uint64_t bytes) {
    atomic_fetch_add_explicit(&r->j->skipped_places, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&r->j->skipped_bytes, bytes, memory_order_relaxed);
}

/* Opens the segment that is due; 1, 0 when there is none yet, or a negative errno. */
static int enter_segment(journal_reader *r) {
    for (;;) {
        pthread_mutex_lock(&r->j->lock);
        const segment *s = find(r->j, r->number);
        uint64_t number = s ? s->number : 0, mark = s ? s->mark : 0, size = s ? s->size : 0;
        bool readable = s && s->readable, sealed = s && s->sealed;
        uint64_t end = s ? atomic_load_explicit(&s->end, memory_order_acquire) : 0;
        pthread_mutex_unlock(&r->j->lock);
        if (!s)
            return 0;
        char name[SEGMENT_NAME_MAX];
        segment_name(number, name);
        int fd = readable ? openat(r->j->dir, name, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0) {
            if (readable && errno != ENOENT && errno != EIO)
                return -errno;
            count_damage(r, size); /* its header is damaged, or someone removed the file */
            r->number = number + 1;
            continue;
        }
        r->fd = fd;
        r->number = number;
        r->sealed = sealed;
        cursor_start(&r->cursor, fd, mark, end, 0);
        return 1;
    }
}

/* The end of what we knew of: is there more of this segment? */
static bool extend(journal_reader *r) {
    bool sealed = true;
    uint64_t end = r->cursor.limit;
    pthread_mutex_lock(&r->j->lock);
    const segment *s = find(r->j, r->number);
    if (s && s->number == r->number) {
        sealed = s->sealed;
        end = atomic_load_explicit(&s->end, memory_order_acquire);
    }
    pthread_mutex_unlock(&r->j->lock);
    bool grew = end > r->cursor.limit;
    r->sealed = sealed;
    if (grew)
        r->cursor.limit = end;
    return grew;
}

int journal_read(journal_reader *r, journal_entry *ret_entry) {
    uint64_t published = atomic_load(&r->j->published_seq);
    for (;;) {
        if (r->fd < 0) {
            int entered = enter_segment(r);
            if (entered <= 0) {
                r->seen_seq = published;
                return entered;
            }
        }
        cursor_item item;
        int step = cursor_next(&r->cursor, &item);
        if (step < 0)
            return step;
        if (step == CURSOR_DAMAGE) {
            count_damage(r, item.to - item.from);
            continue;
        }
        if (step == CURSOR_RECORD) {
            if (item.entry.seq <= r->after)
                continue;
            r->after = item.entry.seq;
            *ret_entry = item.entry;
            return 1;
        }
        if (!r->sealed && extend(r))
            continue;
        if (!r->sealed) {
            r->seen_seq = published;
            return 0;
        }
        leave_segment(r);
        r->number++;
    }
}

static bool something_new(journal_reader *r) {
    return atomic_load(&r->j->published_seq) > r->seen_seq || atomic_exchange(&r->j->woken, false);
}

void journal_ring(const journal *j) {
    const uint64_t one = 1;
    ssize_t wrote = write(j->wake_fd, &one, sizeof one);
    (void)wrote; /* it fails only when it has rung very often already */
}

static void hear_ring(const journal *j) {
    uint64_t rings;
    ssize_t got = read(j->wake_fd, &rings, sizeof rings);
    (void)got;
}

/* True when there is a reason to look: the other descriptor, or nothing more can be waited for. */
static bool sleep_once(const journal *j, int other_fd, int64_t until_us) {
    int64_t left_ms = (until_us - journal_clock_us() + 999) / 1000;
    struct pollfd on[] = {{.fd = j->wake_fd, .events = POLLIN}, {.fd = other_fd, .events = POLLIN}};
    if (left_ms <= 0)
        return true;
    int r = poll(on, ARRAY_LEN(on), left_ms > INT_MAX ? INT_MAX : (int)left_ms);
    if (r < 0)
        return errno != EINTR;
    if (on[0].revents)
        hear_ring(j);
    return on[1].revents != 0;
}

void journal_wait_on(journal_reader *r, int other_fd, int timeout_ms) {
    journal *j = r->j;
    int64_t until_us = journal_clock_us() + (int64_t)timeout_ms * 1000;
    bool over = false;
    /* Both sides write, then read, in one total order: either the appender sees us waiting, or we its record.
     */
    for (;;) {
        atomic_store(&j->waiting, true);
        if (something_new(r) || over)
            break;
        over = sleep_once(j, other_fd, until_us);
    }
    atomic_store(&j->waiting, false);
}

void journal_wait(journal_reader *r, int timeout_ms) {
    journal_wait_on(r, -1, timeout_ms);
}

void journal_wake(journal *j) {
    atomic_store(&j->woken, true);
    journal_ring(j);
}
