/* cursor.c - reads a segment file record by record, stepping over damage; see segment.h.
 * Believes nothing: lengths are bounded by the file, bodies by their checksum, sequence numbers must grow. */
#include "store/segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CHUNK = 256 << 10,
    BLOCK = 4096,
};

void cursor_start(cursor *c, int fd, uint64_t mark, uint64_t limit, uint64_t last_seq) {
    c->fd = fd;
    c->mark = mark;
    c->limit = limit;
    c->last_seq = last_seq;
    c->unreadable_to = 0;
    if (c->chunk == 0)
        c->chunk = CHUNK;
    cursor_seek(c, SEGMENT_HEADER_SPACE);
}

void cursor_release(cursor *c) {
    free(c->buffer);
    *c = (cursor){.fd = -1};
}

void cursor_seek(cursor *c, uint64_t at) {
    c->at = at;
    c->filled = 0;
}

/* Reads until `len` bytes are there or the file ends. A block the disk can't read becomes zeros: one bad
 * sector must not hold back all that was written behind it. */
static int read_around(cursor *c, size_t len) {
    while (c->filled < len) {
        uint64_t from = c->buffer_at + c->filled;
        ssize_t got = pread(c->fd, c->buffer + c->filled, len - c->filled, (off_t)from);
        if (got == 0)
            break;
        if (got > 0) {
            c->filled += (size_t)got;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EIO)
            return -errno;
        size_t part = BLOCK - (size_t)(from % BLOCK);
        if (part > len - c->filled)
            part = len - c->filled;
        got = pread(c->fd, c->buffer + c->filled, part, (off_t)from);
        if (got <= 0) {
            memset(c->buffer + c->filled, 0, part);
            got = (ssize_t)part;
            c->unreadable_to = from + part;
        }
        c->filled += (size_t)got;
    }
    return 0;
}

/* Makes the bytes [at, at + len) available; 1, 0 when the file ends before them, or a negative errno. */
static int window(cursor *c, uint64_t at, size_t len, const char **ret_bytes) {
    if (at >= c->buffer_at && at + len <= c->buffer_at + c->filled) {
        *ret_bytes = c->buffer + (at - c->buffer_at);
        return 1;
    }
    size_t want = len > c->chunk ? len : c->chunk;
    if (want > c->limit - at)
        want = (size_t)(c->limit - at);
    if (want > c->capacity) {
        char *grown = realloc(c->buffer, want > c->chunk ? want : c->chunk);
        if (!grown)
            return -ENOMEM;
        c->buffer = grown;
        c->capacity = want > c->chunk ? want : c->chunk;
    }
    c->buffer_at = at;
    c->filled = 0;
    int fault = read_around(c, want);
    if (fault < 0)
        return fault;
    *ret_bytes = c->buffer;
    return c->filled >= len;
}

/* Is there a valid record at c->at? Returns 1 with the entry, 0 with the reason, or a negative errno. */
static int try_record(cursor *c, journal_entry *ret_entry, const char **ret_reason) {
    const char *bytes;
    frame f;
    if (c->limit - c->at < sizeof f) {
        *ret_reason = "a record is cut off";
        return 0;
    }
    int there = window(c, c->at, sizeof f, &bytes);
    if (there <= 0) {
        *ret_reason = "a record is cut off";
        return there;
    }
    memcpy(&f, bytes, sizeof f);
    if (f.mark != c->mark) {
        *ret_reason = "no record begins here";
        return 0;
    }
    if (f.length > JOURNAL_RECORD_MAX) {
        *ret_reason = "the length is impossible";
        return 0;
    }
    if (frame_space(f.length) > c->limit - c->at) {
        *ret_reason = "a record is cut off";
        return 0;
    }
    there = window(c, c->at, sizeof f + f.length, &bytes);
    if (there <= 0) {
        *ret_reason = "a record is cut off";
        return there;
    }
    if (f.crc != frame_crc(&f, c->at, bytes + sizeof f)) {
        *ret_reason = "the checksum differs";
        return 0;
    }
    if (f.seq <= c->last_seq) {
        *ret_reason = "the sequence number does not grow";
        return 0;
    }
    *ret_entry = (journal_entry){f.seq, {bytes + sizeof f, f.length}};
    return 1;
}

/* Moves c->at behind what can't be a record: to the next word that equals the mark, or to the limit.
 * *dirty_to follows the last word that is not zero. */
static int skip_to_mark(cursor *c, uint64_t *dirty_to) {
    while (c->limit - c->at >= sizeof(uint64_t)) {
        const char *bytes;
        int there = window(c, c->at, sizeof(uint64_t), &bytes);
        if (there < 0)
            return there;
        if (there == 0)
            break;
        const char *end = c->buffer + c->filled;
        for (; end - bytes >= (ptrdiff_t)sizeof(uint64_t); bytes += sizeof(uint64_t)) {
            uint64_t word;
            memcpy(&word, bytes, sizeof word);
            if (word == c->mark)
                return 0;
            c->at += sizeof word;
            if (word)
                *dirty_to = c->at;
        }
    }
    const char *bytes;
    for (; c->at < c->limit; c->at++) {
        int there = window(c, c->at, 1, &bytes);
        if (there < 0)
            return there;
        if (there == 0)
            break;
        if (*bytes)
            *dirty_to = c->at + 1;
    }
    c->at = c->limit;
    return 0;
}

/* Holes read as zeros: asking the filesystem spares us reading what was allocated and never written. */
static bool only_a_hole_is_left(const cursor *c) {
    off_t data = lseek(c->fd, (off_t)c->at, SEEK_DATA);
    return (data < 0 && errno == ENXIO) || (data >= 0 && (uint64_t)data >= c->limit);
}

int cursor_next(cursor *c, cursor_item *ret_item) {
    cursor_item item = {.from = c->at, .to = c->at};
    const char *reason = NULL;
    while (c->at < c->limit) {
        int valid = try_record(c, &item.entry, &reason);
        if (valid < 0)
            return valid;
        if (valid && c->at == item.from) {
            c->last_seq = item.entry.seq;
            c->at += frame_space(item.entry.body.len);
            item.to = c->at;
            *ret_item = item;
            return CURSOR_RECORD;
        }
        if (valid) {
            item.to = c->at; /* the record comes with the next call */
            break;
        }
        if (!item.reason)
            item.reason = reason;
        if (only_a_hole_is_left(c)) {
            c->at = c->limit;
            break;
        }
        const char *word; /* step over a mark that no valid record belongs to */
        int there = c->limit - c->at >= sizeof c->mark ? window(c, c->at, sizeof c->mark, &word) : 0;
        if (there < 0)
            return there;
        if (there && memcmp(word, &c->mark, sizeof c->mark) == 0) {
            c->at += sizeof c->mark;
            item.to = c->at;
        }
        int fault = skip_to_mark(c, &item.to);
        if (fault < 0)
            return fault;
    }
    if (c->unreadable_to > item.to && c->unreadable_to <= c->at) {
        item.to = c->unreadable_to;
        item.reason = "the disk could not read this";
    }
    if (item.to == item.from)
        return CURSOR_END;
    *ret_item = item;
    return CURSOR_DAMAGE;
}
