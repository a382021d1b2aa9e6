/* walk.c - looking at a journal's directory from outside, without its lock: for `mayday journal`.
 *
 * The process that uses the journal may write while we read, so that a record is there by half. A damaged
 * place is therefore read a second time before it is reported, and a file that vanishes meanwhile was
 * released. */
#include "store/journal_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    SETTLE_MS = 20
};

typedef struct walk {
    const char *dir_name;
    int dir;
    uuid identity;
    char *why;
    cursor cursor;
    uint64_t last_seq;
} walk;

/* 1 when opened, with its size; 0 when it is not there any more; *ret_where says what is wrong with it, if
 * so. */
static int open_segment(walk *w, uint64_t number, int *ret_fd, struct stat *ret_status,
                        const char **ret_where, segment_header *ret_header) {
    char name[SEGMENT_NAME_MAX];
    segment_name(number, name);
    int fd = openat(w->dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, ret_status) < 0) {
        int fault = -errno;
        if (fd >= 0)
            close(fd);
        return journal_why(w->why, fault, "%s/%s can't be opened: %s", w->dir_name, name, strerror(-fault));
    }
    int fault = segment_header_read(fd, ret_header);
    *ret_where = fault == -EPROTONOSUPPORT ? "its format is not known to this version"
                 : fault < 0               ? "its header is damaged"
                 : memcmp(ret_header->identity, w->identity.bytes, sizeof w->identity.bytes) != 0 ||
                         ret_header->number != number
                     ? "it belongs to another journal"
                     : NULL;
    *ret_fd = fd;
    return 1;
}

static int walk_open(walk *w, const char *dir, char why[JOURNAL_WHY_MAX]) {
    *w = (walk){.dir_name = dir, .why = why, .dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (w->dir < 0)
        return journal_why(why, -errno, "%s can't be opened: %m", dir);
    int fault = journal_identity_read(w->dir, &w->identity);
    if (fault == 0)
        return 0;
    close(w->dir);
    w->dir = -1;
    if (fault == -ENOENT)
        return journal_why(why, fault, "%s is not a journal: it has no file 'identity'", dir);
    return journal_why(why, fault, "%s/identity can't be read: %s", dir, strerror(-fault));
}

static void walk_close(walk *w) {
    cursor_release(&w->cursor);
    if (w->dir >= 0)
        close(w->dir);
}

/* cursor_next(), sure of damage. */
static int step_surely(walk *w, cursor_item *ret_item) {
    uint64_t last_seq = w->cursor.last_seq;
    int step = cursor_next(&w->cursor, ret_item);
    if (step != CURSOR_DAMAGE)
        return step;
    const struct timespec settle = {0, SETTLE_MS * 1000000L};
    (void)nanosleep(&settle, NULL);
    w->cursor.last_seq = last_seq;
    cursor_seek(&w->cursor, ret_item->from);
    return cursor_next(&w->cursor, ret_item);
}

static int walk_segment(walk *w, uint64_t number, uint64_t after_seq, journal_visit visit, void *context) {
    int fd = -1;
    struct stat status = {0};
    segment_header header = {0};
    const char *wrong = NULL;
    char where[JOURNAL_WHY_MAX];
    int opened = open_segment(w, number, &fd, &status, &wrong, &header);
    if (opened <= 0)
        return opened;
    int result = 0;
    if (wrong) {
        (void)snprintf(where, sizeof where, "segment %" PRIu64 ": %s", number, wrong);
        result = visit(context, NULL, where);
        close(fd);
        return result;
    }
    cursor_start(&w->cursor, fd, header.mark, (uint64_t)status.st_size, w->last_seq);
    cursor_item item;
    int step;
    while (result == 0 && (step = step_surely(w, &item)) > 0) {
        if (step == CURSOR_RECORD) {
            w->last_seq = item.entry.seq;
            result = item.entry.seq > after_seq ? visit(context, &item.entry, NULL) : 0;
            continue;
        }
        (void)snprintf(where, sizeof where,
                       "segment %" PRIu64 " at byte %" PRIu64 ": %s; %" PRIu64 " bytes lost", number,
                       item.from, item.reason, item.to - item.from);
        result = visit(context, NULL, where);
    }
    close(fd);
    if (result == 0 && step < 0)
        return journal_why(w->why, step, "segment %" PRIu64 " can't be read: %s", number, strerror(-step));
    return result;
}

int journal_walk(const char *dir, uint64_t after_seq, journal_visit visit, void *context,
                 char ret_why[JOURNAL_WHY_MAX]) {
    walk w;
    CLEANUP(freep) uint64_t *numbers = NULL;
    size_t count = 0;
    int fault = walk_open(&w, dir, ret_why);
    if (fault < 0)
        return fault;
    fault = journal_list(w.dir, &numbers, &count);
    if (fault < 0)
        (void)!journal_why(ret_why, fault, "%s can't be listed: %s", dir, strerror(-fault));
    for (size_t i = 0; fault == 0 && i < count; i++)
        fault = walk_segment(&w, numbers[i], after_seq, visit, context);
    walk_close(&w);
    return fault;
}

static bool is_locked(int dir) {
    int fd = openat(dir, "lock", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool locked = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    close(fd); /* lets go of what we may have taken */
    return locked;
}

/* The first record of a segment, or all of them: 0 when there is none. */
static int look_segment(walk *w, uint64_t number, bool to_the_end, journal_segment_figures *ret_figures,
                        uint64_t *ret_last) {
    int fd = -1;
    struct stat status = {0};
    segment_header header = {0};
    const char *wrong = NULL;
    int opened = open_segment(w, number, &fd, &status, &wrong, &header);
    if (opened <= 0)
        return opened;
    *ret_figures = (journal_segment_figures){.number = number, .bytes = (uint64_t)status.st_size};
    *ret_last = 0;
    int step = CURSOR_END;
    if (!wrong) {
        cursor_item item;
        cursor_start(&w->cursor, fd, header.mark, (uint64_t)status.st_size, 0);
        while ((step = cursor_next(&w->cursor, &item)) > 0) {
            if (step == CURSOR_DAMAGE)
                continue;
            if (ret_figures->first_seq == 0)
                ret_figures->first_seq = item.entry.seq;
            *ret_last = item.entry.seq;
            if (!to_the_end)
                break;
        }
    }
    close(fd);
    return step < 0
               ? journal_why(w->why, step, "segment %" PRIu64 " can't be read: %s", number, strerror(-step))
               : 1;
}

int journal_look(const char *dir, journal_segment_visit visit, void *context, journal_overview *ret_overview,
                 char ret_why[JOURNAL_WHY_MAX]) {
    walk w;
    CLEANUP(freep) uint64_t *numbers = NULL;
    size_t count = 0;
    int fault = walk_open(&w, dir, ret_why);
    if (fault < 0)
        return fault;
    journal_overview overview = {.identity = w.identity, .in_use = is_locked(w.dir)};
    uint64_t newest = 0, last = 0;
    journal_segment_figures figures;
    fault = journal_list(w.dir, &numbers, &count);
    if (fault < 0)
        (void)!journal_why(ret_why, fault, "%s can't be listed: %s", dir, strerror(-fault));
    for (size_t i = 0; fault == 0 && i < count; i++) {
        fault = look_segment(&w, numbers[i], false, &figures, &last);
        if (fault <= 0)
            continue;
        overview.segments++;
        overview.bytes += figures.bytes;
        if (overview.first_seq == 0)
            overview.first_seq = figures.first_seq;
        if (figures.first_seq)
            newest = figures.number;
        fault = visit ? visit(context, &figures) : 0;
    }
    if (fault == 0 && newest)
        fault = look_segment(&w, newest, true, &figures, &overview.last_seq);
    walk_close(&w);
    if (fault < 0)
        return fault;
    *ret_overview = overview;
    return 0;
}
