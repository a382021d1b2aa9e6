/* journal.h - the append-only log between the broker's thread and everything slow.
 *
 * A journal is a directory with numbered segment files of fixed size, allocated ahead. Records are opaque
 * bytes with a sequence number, a length and a checksum salted by the segment, so that bytes inside a payload
 * can never pass for a record. Opening always begins a new segment: old ones are only ever read. One segment
 * is always kept in hand; when the next can't be had (max_size, min_free, a full disk), ordinary records are
 * refused and urgent ones still have that last segment.
 *
 * Durability. A record is in the page cache when journal_append() returns (it survives the process), and on
 * stable storage when it returns for a `sync` record; all others are forced there by the flusher thread
 * within flush_ms. A failed fdatasync is never retried on the same file: the segment is sealed, its unflushed
 * records are counted as doubtful, and appends go on in a new one.
 *
 * Threads: one appender; one reader (readers never lock the appender out); the journal's own flusher thread.
 * journal_release() belongs to the reader's thread. Statistics may be read by anyone. A second process is
 * kept out by a lock file (-EBUSY). */
#ifndef MAYDAY_STORE_JOURNAL_H
#define MAYDAY_STORE_JOURNAL_H

#include "base/buf.h"
#include "base/instant.h"
#include "base/uuid.h"

#define JOURNAL_RECORD_MAX (2u << 20) /* bytes of one record's body */
#define JOURNAL_WHY_MAX    256

typedef struct journal journal;

typedef struct journal_options {
    const char *dir; /* made when missing, mode 0700 */
    uint64_t segment_size;
    uint64_t max_size;
    uint64_t min_free;
    int flush_ms;
} journal_options;

/* What opening found. Nothing in here is an error: the journal works. */
typedef struct journal_report {
    uint64_t segments;
    uint64_t first_seq, last_seq; /* 0 when empty */
    uint64_t discarded_bytes;     /* in the newest segment: damaged or cut off */
    uint64_t discarded_places;
    char first_reason[JOURNAL_WHY_MAX]; /* "segment 12 at byte 4096: checksum differs" */
} journal_report;

NODISCARD int journal_open(const journal_options *options, journal **ret_journal, journal_report *ret_report,
                           char ret_why[JOURNAL_WHY_MAX]);
journal *journal_close(journal *j); /* flushes; takes NULL; returns NULL */
DEFINE_CLEANUP(journal, journal_close)

const uuid *
journal_identity(const journal *j); /* made with the directory; the database keeps progress under it */

typedef enum journal_class {
    JOURNAL_ORDINARY = 0,
    JOURNAL_URGENT, /* may use the reserve */
} journal_class;

/* Returns 0; -ENOSPC when the class finds no room; -EMSGSIZE; or what the disk said. After any failure the
 * record is not in the journal and the sender must keep it. */
NODISCARD int journal_append(journal *j, text body, journal_class class_, bool sync, uint64_t *ret_seq);

typedef struct journal_entry {
    uint64_t seq;
    text body; /* borrowed until the reader's next call */
} journal_entry;

typedef struct journal_reader journal_reader;

/* Begins behind `after_seq` (0: at the oldest record there is). */
NODISCARD int journal_reader_open(journal *j, uint64_t after_seq, journal_reader **ret_reader);
journal_reader *journal_reader_free(journal_reader *r);
DEFINE_CLEANUP(journal_reader, journal_reader_free)

/* 1 with an entry, 0 when there is no more for now, or a negative errno. Damaged places are skipped and
 * counted. */
NODISCARD int journal_read(journal_reader *r, journal_entry *ret_entry);

/* Waits until something is appended behind what was read, journal_wake() is called, or `timeout_ms` pass. */
void journal_wait(journal_reader *r, int timeout_ms);
/* Or until the other descriptor is readable as well (-1: none). */
void journal_wait_on(journal_reader *r, int other_fd, int timeout_ms);
void journal_wake(journal *j); /* any thread */

/* Everything up to `seq` is safe in the database: whole segments behind it may go. */
void journal_release(journal *j, uint64_t seq);

typedef struct journal_figures {
    uint64_t last_seq; /* appended */
    uint64_t released_seq;
    uint64_t bytes; /* of disk held */
    uint64_t appends, refused;
    uint64_t flushes;                                   /* fdatasync calls */
    uint64_t flush_us_last, flush_us_max, flush_us_sum; /* duration, microseconds; max since journal_open */
    uint64_t doubtful;                                  /* records whose flush failed */
    uint64_t skipped_places, skipped_bytes;             /* damage met while reading */
    bool in_reserve;                                    /* ordinary records are being refused */
} journal_figures;

void journal_figures_get(const journal *j, journal_figures *ret_figures);

/* For `mayday journal`: these read a directory without locking or changing anything, also while a broker uses
 * it. `visit` is called for each record behind `after_seq` and each damaged place (entry NULL, `where` says
 * what); non-zero stops and is returned. */
typedef int (*journal_visit)(void *context, const journal_entry *entry, const char *where);
NODISCARD int journal_walk(const char *dir, uint64_t after_seq, journal_visit visit, void *context,
                           char ret_why[JOURNAL_WHY_MAX]);

typedef struct journal_segment_figures {
    uint64_t number;
    uint64_t bytes;     /* of disk held */
    uint64_t first_seq; /* 0: it holds no record */
} journal_segment_figures;

typedef struct journal_overview {
    uuid identity;
    bool in_use; /* a process has it open */
    uint64_t segments, bytes;
    uint64_t first_seq, last_seq; /* 0 when empty */
} journal_overview;

/* `visit` may be NULL; it is called for each segment, oldest first. */
typedef int (*journal_segment_visit)(void *context, const journal_segment_figures *s);
NODISCARD int journal_look(const char *dir, journal_segment_visit visit, void *context,
                           journal_overview *ret_overview, char ret_why[JOURNAL_WHY_MAX]);

#endif
