/* recover.c - opening a journal: what the last run left behind, and where to go on.
 *
 * Sequence numbers must never be used twice, even when a power cut took records that the reader had already
 * brought to the database: the database would take new records for old ones. So the first new number leaves
 * out as many as could have been lost: one for each smallest possible record in the unused room of the last
 * segments. A segment that was closed in order says so (its file ends with its last record, or its header has
 * SEGMENT_UNTOUCHED) and costs none.
 *
 * Nothing of the old files is changed before the new first number is on stable storage, in the header of the
 * segment that will be written next (the last empty one of the old run, or a new one) or, when the disk has
 * no room for that, of an old one. */
#include "store/journal_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FIRST_LOOK = 16 << 10
}; /* bytes read of a segment to learn its first sequence number */

typedef struct recovery {
    journal *j;
    journal_report *report;
    char *why;
    segment **found; /* owned, ascending */
    size_t count;
    size_t scanned; /* found[scanned..] were read to their end */
    uint64_t floor; /* the greatest sequence number seen, or implied by a header */
    uint64_t room;  /* records that may have been lost */
} recovery;

static void note(recovery *r, uint64_t number, uint64_t at, uint64_t bytes, const char *reason) {
    r->report->discarded_bytes += bytes;
    if (r->report->discarded_places++ == 0)
        (void)snprintf(r->report->first_reason, JOURNAL_WHY_MAX,
                       "segment %" PRIu64 " at byte %" PRIu64 ": %s", number, at, reason);
}

/* Opens one old segment and reads its header. *ret_segment stays NULL for one that is not ours to touch. */
static int look_at(recovery *r, uint64_t number, segment **ret_segment, bool *ret_untouched) {
    char name[SEGMENT_NAME_MAX];
    segment_name(number, name);
    segment *s = segment_new(number);
    if (!s)
        return journal_why(r->why, -ENOMEM, "out of memory");
    s->sealed = true;
    struct stat status;
    s->fd = openat(r->j->dir, name, O_RDWR | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &status) < 0) {
        int fault = -errno;
        segment_free(s);
        return journal_why(r->why, fault, "%s/%s can't be opened: %s", r->j->options.dir, name,
                           strerror(-fault));
    }
    s->size = (uint64_t)status.st_size;
    atomic_store(&s->end, s->size);
    segment_header header = {0};
    int fault = segment_header_read(s->fd, &header);
    if (fault == -EPROTONOSUPPORT) {
        segment_free(s);
        return journal_why(r->why, fault, "%s/%s has a format that this version does not know",
                           r->j->options.dir, name);
    }
    s->readable = fault == 0;
    if (s->readable && (memcmp(header.identity, r->j->identity.bytes, sizeof header.identity) != 0 ||
                        header.number != number)) {
        note(r, number, 0, 0, "it belongs to another journal and is ignored");
        segment_free(s);
        return 0;
    }
    s->mark = header.mark;
    s->base_seq = header.base_seq;
    *ret_untouched = header.flags & SEGMENT_UNTOUCHED;
    *ret_segment = s;
    return 0;
}

/* Reads a whole segment: where its records end, and what is damaged in it. `virgin`: nothing was ever
 * written. */
static int scan(recovery *r, segment *s, uint64_t *ret_data_end, bool *ret_virgin) {
    cursor c = {0};
    cursor_item item;
    uint64_t data_end = SEGMENT_HEADER_SPACE, valid_end = SEGMENT_HEADER_SPACE;
    int step = CURSOR_END;
    if (!s->readable) {
        if (s->size > 0)
            note(r, s->number, 0, s->size, "its header is damaged");
        *ret_data_end = s->size;
        *ret_virgin = s->size == 0;
        r->room += s->size / sizeof(frame);
        return 0;
    }
    cursor_start(&c, s->fd, s->mark, s->size, 0);
    while ((step = cursor_next(&c, &item)) > 0) {
        data_end = item.to;
        if (step == CURSOR_DAMAGE) {
            note(r, s->number, item.from, item.to - item.from, item.reason);
            continue;
        }
        valid_end = item.to;
        if (atomic_load(&s->first_seq) == 0)
            atomic_store(&s->first_seq, item.entry.seq);
        atomic_store(&s->last_seq, item.entry.seq);
    }
    cursor_release(&c);
    if (step < 0)
        return journal_why(r->why, step, "segment %" PRIu64 " of the journal can't be read: %s", s->number,
                           strerror(-step));
    if (s->size > valid_end)
        r->room += (s->size - valid_end) / sizeof(frame);
    *ret_data_end = data_end;
    *ret_virgin = data_end == SEGMENT_HEADER_SPACE;
    return 0;
}

/* Learns the first sequence number of a segment that is not scanned. */
static int first_of(recovery *r, segment *s) {
    cursor c = {.chunk = FIRST_LOOK};
    cursor_item item;
    int step = CURSOR_END;
    if (!s->readable)
        return 0;
    cursor_start(&c, s->fd, s->mark, s->size, 0);
    while ((step = cursor_next(&c, &item)) == CURSOR_DAMAGE)
        ;
    if (step == CURSOR_RECORD)
        atomic_store(&s->first_seq, item.entry.seq);
    cursor_release(&c);
    return step >= 0 ? 0
                     : journal_why(r->why, step, "segment %" PRIu64 " of the journal can't be read: %s",
                                   s->number, strerror(-step));
}

/* Of segments that were not read to their end, the next one's first number tells the last. */
static void fill_last_seqs(recovery *r) {
    uint64_t next_first = 0;
    for (size_t i = r->count; i-- > 0;) {
        segment *s = r->found[i];
        uint64_t first = atomic_load(&s->first_seq);
        if (i < r->scanned && first)
            atomic_store(&s->last_seq, next_first ? next_first - 1 : r->floor);
        if (first)
            next_first = first;
    }
    uint64_t last = 0;
    for (size_t i = 0; i < r->count; i++) { /* one without records goes when those before it go */
        segment *s = r->found[i];
        if (atomic_load(&s->first_seq) == 0)
            atomic_store(&s->last_seq, last);
        last = atomic_load(&s->last_seq);
    }
}

/* What comes before the last segment with records was sealed in order; only its first number is needed. */
static int survey(recovery *r, bool *untouched, uint64_t *data_end, bool *virgin) {
    int fault = 0;
    uint64_t last = 0;
    r->scanned = r->count;
    while (fault == 0 && r->scanned > 0 && last == 0) {
        size_t i = --r->scanned;
        uint64_t room = r->room;
        fault = scan(r, r->found[i], &data_end[i], &virgin[i]);
        if (fault == 0 && virgin[i] && untouched[i])
            r->room = room;
        last = atomic_load(&r->found[i]->last_seq);
    }
    for (size_t i = 0; fault == 0 && i < r->scanned; i++) {
        virgin[i] = false;
        fault = first_of(r, r->found[i]);
    }
    if (last > r->floor)
        r->floor = last;
    for (size_t i = 0; i < r->count; i++)
        if (r->found[i]->base_seq > r->floor + 1)
            r->floor = r->found[i]->base_seq - 1;
    return fault;
}

static void set_current(journal *j, segment *s) {
    s->sealed = false;
    atomic_store(&s->end, SEGMENT_HEADER_SPACE);
    atomic_store(&s->first_seq, 0);
    atomic_store(&s->last_seq, 0);
    journal_list_append(j, s);
    j->current = s;
}

/* Gives an empty segment of the old run a new header, and with it a new mark. */
static int adopt(journal *j, segment *s) {
    char name[SEGMENT_NAME_MAX];
    segment_header header;
    int fault = segment_header_make(&j->identity, s->number, j->next_seq, &header);
    if (fault == 0)
        fault = segment_header_write(s->fd, &header);
    if (fault < 0)
        return fault;
    segment_name(s->number, name);
    s->flush_fd = openat(j->dir, name, O_RDWR | O_CLOEXEC);
    if (s->flush_fd < 0)
        return -errno;
    s->mark = header.mark;
    s->base_seq = header.base_seq;
    s->readable = true;
    set_current(j, s);
    return 0;
}

/* Old segments become part of the list; zeros behind their data go back to the disk. */
static void keep(journal *j, segment *s, uint64_t data_end) {
    if (data_end < s->size && ftruncate(s->fd, (off_t)data_end) == 0) {
        j->held -= s->size - data_end;
        s->size = data_end;
    }
    atomic_store(&s->end, s->size);
    close(s->fd);
    s->fd = -1;
}

static void drop(journal *j, segment *s) {
    char name[SEGMENT_NAME_MAX];
    segment_name(s->number, name);
    (void)unlinkat(j->dir, name, 0);
    j->held -= s->size;
    segment_free(s);
}

static int make_current(journal *j) {
    segment *s = NULL;
    atomic_store(&j->published_seq, j->next_seq - 1); /* the base of the new segment */
    pthread_mutex_lock(&j->lock);
    int fault = journal_segment_make(j, JOURNAL_URGENT, &s);
    pthread_mutex_unlock(&j->lock);
    if (fault == 0)
        set_current(j, s);
    return fault;
}

/* No new segment can be had before the old ones are tidied: the number to go on from is kept in an old one.
 */
static int remember_next(recovery *r) {
    for (size_t i = r->count; i-- > 0;) {
        segment_header header;
        if (r->found[i]->size < SEGMENT_HEADER_SPACE || segment_header_read(r->found[i]->fd, &header) < 0)
            continue;
        header.base_seq = r->j->next_seq;
        return segment_header_write(r->found[i]->fd, &header);
    }
    return 0;
}

/* Makes the current segment, then tidies the old ones, in this order: see the top of the file. */
static int begin(recovery *r, const uint64_t *data_end, const bool *virgin) {
    journal *j = r->j;
    size_t kept = r->count; /* found[kept..] are empty */
    while (kept > r->scanned && virgin[kept - 1])
        kept--;
    bool adopts = kept < r->count && r->found[kept]->size == j->options.segment_size;
    int fault = adopts ? adopt(j, r->found[kept]) : make_current(j);
    if (fault == -ENOSPC)
        fault = remember_next(r);
    if (fault < 0)
        return journal_why(r->why, fault, "a segment can't be made in %s: %s", j->options.dir,
                           strerror(-fault));
    segment *current = j->current;
    j->segments = NULL; /* once more, in the order of their numbers */
    j->segments_end = &j->segments;
    for (size_t i = 0; i < kept; i++) {
        journal_list_append(j, r->found[i]);
        keep(j, r->found[i], i >= r->scanned ? data_end[i] : r->found[i]->size);
    }
    for (size_t i = kept + adopts; i < r->count; i++)
        drop(j, r->found[i]);
    r->count = 0; /* all belong to the list now */
    if (current)
        journal_list_append(j, current);
    else if ((fault = make_current(j)) < 0 && fault != -ENOSPC)
        return journal_why(r->why, fault, "a segment can't be made in %s: %s", j->options.dir,
                           strerror(-fault));
    /* Without a current segment appends are refused until there is room for one. */
    atomic_store(&j->published_seq, j->current ? r->floor : j->next_seq - 1);
    return 0;
}

static void report_on(recovery *r) {
    r->report->segments = r->count;
    for (size_t i = 0; i < r->count; i++) {
        uint64_t first = atomic_load(&r->found[i]->first_seq), last = atomic_load(&r->found[i]->last_seq);
        if (first && r->report->first_seq == 0)
            r->report->first_seq = first;
        if (first)
            r->report->last_seq = last;
    }
}

static int take_over(recovery *r, const uint64_t *numbers, size_t count, bool *untouched, bool *virgin,
                     uint64_t *data_end) {
    journal *j = r->j;
    for (size_t i = 0; i < count; i++) {
        segment *s = NULL;
        int fault = look_at(r, numbers[i], &s, &untouched[r->count]);
        if (fault < 0)
            return fault;
        if (s) {
            r->found[r->count++] = s;
            j->held += s->size;
        }
        j->next_number = numbers[i] + 1;
    }
    int fault = survey(r, untouched, data_end, virgin);
    if (fault < 0)
        return fault;
    fill_last_seqs(r);
    report_on(r);
    j->next_seq = r->floor + 1 + r->room;
    return begin(r, data_end, virgin);
}

/* Files that were being made when the last run ended. */
static void sweep_unfinished(journal *j, uint64_t newest) {
    for (uint64_t number = newest + 1; number <= newest + 8; number++) {
        char name[SEGMENT_NAME_MAX], unfinished[SEGMENT_NAME_MAX + 4];
        segment_name(number, name);
        (void)snprintf(unfinished, sizeof unfinished, "%s.new", name);
        (void)unlinkat(j->dir, unfinished, 0);
    }
}

int journal_recover(journal *j, journal_report *report, char why[JOURNAL_WHY_MAX]) {
    CLEANUP(freep) uint64_t *numbers = NULL;
    size_t count = 0;
    int fault = journal_directory_lock(j, why);
    if (fault < 0)
        return fault;
    fault = journal_list(j->dir, &numbers, &count);
    if (fault < 0)
        return journal_why(why, fault, "%s can't be listed: %s", j->options.dir, strerror(-fault));
    fault = journal_identity_take(j, numbers, count, why);
    if (fault < 0)
        return fault;
    sweep_unfinished(j, count ? numbers[count - 1] : 0);
    recovery r = {.j = j, .report = report, .why = why};
    CLEANUP(freep) segment **found = calloc(count + 1, sizeof *found);
    CLEANUP(freep) bool *untouched = calloc(count + 1, sizeof *untouched);
    CLEANUP(freep) bool *virgin = calloc(count + 1, sizeof *virgin);
    CLEANUP(freep) uint64_t *data_end = calloc(count + 1, sizeof *data_end);
    if (!found || !untouched || !virgin || !data_end)
        return journal_why(why, -ENOMEM, "out of memory");
    r.found = found;
    fault = take_over(&r, numbers, count, untouched, virgin, data_end);
    for (size_t i = 0; fault < 0 && i < r.count; i++)
        if (r.found[i] != j->current)
            segment_free(r.found[i]);
    if (fault < 0)
        return fault;
    pthread_mutex_lock(&j->lock);
    journal_spare_set(j, j->current && journal_has_room(j, JOURNAL_ORDINARY) ? SPARE_WANTED : SPARE_DENIED);
    pthread_mutex_unlock(&j->lock);
    return 0;
}
