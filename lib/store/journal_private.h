/* journal_private.h - what the files of the journal share: journal.c (append), flusher.c (the flusher thread,
 * making segments, releasing them), directory.c
 * and recover.c (opening), reader.c.
 *
 * Who touches what. The list of segments, the segment in hand (spare) and the members marked "lock" belong to
 * `lock`, which nobody holds during a system call that can wait for a disk. `current` and `next_seq` belong
 * to the appender. The rest is atomic: the appender publishes, others read. A segment leaves the list only
 * when it is sealed, flushed and closed (flush_fd -1), so the flusher may use one without the lock. */
#ifndef MAYDAY_STORE_JOURNAL_PRIVATE_H
#define MAYDAY_STORE_JOURNAL_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include "store/segment.h"

typedef struct segment {
    struct segment *next; /* lock */
    uint64_t number, mark, base_seq;
    uint64_t size;        /* lock: bytes of disk held */
    int fd;               /* the appender's; -1 when sealed */
    int flush_fd;         /* the flusher's own, since the kernel tells each open file of a failed
                             write once; -1 when there is nothing left to flush */
    bool sealed;          /* lock: nothing is appended any more */
    bool readable;        /* its header was whole */
    uint64_t accounted;   /* lock: of `appended`, how many are flushed or counted as doubtful */
    atomic_bool failed;   /* a write or flush failed: never use this file again */
    _Atomic uint64_t end; /* behind the last published record */
    _Atomic uint64_t first_seq, last_seq; /* 0: none. last_seq of an old segment is an upper bound */
    _Atomic uint64_t appended;            /* records, by this process */
} segment;

typedef enum spare_state {
    SPARE_DENIED = 0, /* there is no room for one: ordinary records are refused */
    SPARE_WANTED,
    SPARE_MAKING, /* by the flusher or the appender, whoever set this; `made` tells when it's over */
    SPARE_READY,
} spare_state;

struct journal {
    journal_options options;
    uuid identity;
    int dir, lock_file;

    segment *current;  /* appender; NULL after a failure or when there is no room */
    uint64_t next_seq; /* appender */

    pthread_mutex_t lock;
    pthread_cond_t work; /* for the flusher */
    pthread_cond_t made;
    segment *segments, **segments_end; /* lock: oldest first, the spare not among them */
    segment *spare;                    /* lock */
    spare_state state;                 /* lock */
    int64_t retry_at_ms;               /* lock: when a denied spare is tried for again */
    uint64_t next_number;              /* lock */
    uint64_t held;                     /* lock: bytes of all segments and the spare, also of one being made */
    bool stopping;                     /* lock */
    bool threaded;
    pthread_t flusher;

    _Atomic uint64_t published_seq, released_seq;
    atomic_bool in_reserve, spare_ready;
    _Atomic uint64_t appends, refused, flushes, flush_us_last, flush_us_max, flush_us_sum, doubtful;
    _Atomic uint64_t skipped_places, skipped_bytes;

    int wake_fd;         /* an eventfd that the reader sleeps on */
    atomic_bool waiting; /* it does, or is about to */
    atomic_bool woken;
};

int64_t journal_clock_us(void); /* CLOCK_MONOTONIC */

void journal_ring(const journal *j); /* reader.c: ends the reader's sleep */

/* segment objects */
NODISCARD segment *segment_new(uint64_t number);
segment *segment_free(segment *s); /* closes its files */
void journal_list_append(journal *j, segment *s);

/* flusher.c. "locked": called with the lock held, which they may drop and take again. */
NODISCARD int journal_flusher_start(journal *j);
void journal_flusher_stop(journal *j);
bool journal_has_room(const journal *j, journal_class class_); /* locked; for one more segment */
NODISCARD int journal_segment_make(journal *j, journal_class class_, segment **ret_segment); /* locked */
void journal_spare_set(journal *j, spare_state state);                                       /* locked */
void journal_spare_make(journal *j); /* locked; READY or DENIED after it */
NODISCARD int journal_flush(journal *j, segment *s,
                            int fd); /* not locked; one fdatasync, measured, accounted */
void journal_account(journal *j, segment *s, uint64_t upto, bool lost); /* not locked */

/* recover.c: the segments that are there. Leaves a current segment when
 * there is room for one. */
NODISCARD int journal_recover(journal *j, journal_report *report, char why[JOURNAL_WHY_MAX]);
NODISCARD int journal_why(char why[JOURNAL_WHY_MAX], int fault, const char *format, ...) PRINTF_LIKE(3, 4);

/* directory.c */
NODISCARD int journal_directory_lock(journal *j,
                                     char why[JOURNAL_WHY_MAX]); /* opens it, makes it if need be */
/* The identity kept there; else that of the segments; else a new one. */
NODISCARD int journal_identity_take(journal *j, const uint64_t *numbers, size_t count,
                                    char why[JOURNAL_WHY_MAX]);
/* The numbers of the segments in a directory, ascending, to free(). */
NODISCARD int journal_list(int dir, uint64_t **ret_numbers, size_t *ret_count);
NODISCARD int journal_identity_read(int dir, uuid *ret_identity); /* 0, -ENOENT, -EBADMSG */

#endif
