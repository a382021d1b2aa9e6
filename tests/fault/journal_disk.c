/* A disk that fails: fallocate, pwritev, fdatasync and pread are wrapped by the linker and fail on demand. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "store/segment.h"

enum {
    SEGMENT = 64 << 10
};

int __real_fallocate(int fd, int mode, off_t offset, off_t len);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t len);
ssize_t __real_pwritev(int fd, const struct iovec *parts, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int count, off_t offset);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
ssize_t __real_pread(int fd, void *to, size_t len, off_t offset);
ssize_t __wrap_pread(int fd, void *to, size_t len, off_t offset);

static atomic_int allocate_errno, write_errno, sync_errno; /* 0: as the system does */
static atomic_int allocations_left;                        /* that succeed although allocate_errno is set */
static atomic_int write_short;                             /* bytes to write before the disk is full */
static atomic_long bad_block = -1;                         /* a place in a file that can't be read */

int __wrap_fallocate(int fd, int mode, off_t offset, off_t len) {
    if (atomic_load(&allocate_errno) && atomic_fetch_sub(&allocations_left, 1) <= 0) {
        errno = atomic_load(&allocate_errno);
        return -1;
    }
    return __real_fallocate(fd, mode, offset, len);
}

ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    int part = atomic_exchange(&write_short, 0), fault = atomic_exchange(&write_errno, 0);
    if (part) {
        struct iovec cut = {parts[0].iov_base, (size_t)part};
        return __real_pwritev(fd, &cut, 1, offset);
    }
    if (fault) {
        errno = fault;
        return -1;
    }
    return __real_pwritev(fd, parts, count, offset);
}

int __wrap_fdatasync(int fd) {
    int fault = atomic_exchange(&sync_errno, 0);
    if (fault) {
        errno = fault;
        return -1;
    }
    return __real_fdatasync(fd);
}

ssize_t __wrap_pread(int fd, void *to, size_t len, off_t offset) {
    long bad = atomic_load(&bad_block);
    if (bad >= 0 && offset < bad + 4096 && offset + (off_t)len > bad) {
        errno = EIO;
        return -1;
    }
    return __real_pread(fd, to, len, offset);
}

static char dir[64];
static char why[JOURNAL_WHY_MAX];
static journal_report report;

static void make_dir(void) {
    (void)snprintf(dir, sizeof dir, "/tmp/mayday-disk-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void) {
    DIR *folder = opendir(dir);
    for (struct dirent *e; (e = readdir(folder));)
        (void)unlinkat(dirfd(folder), e->d_name, 0);
    closedir(folder);
    ck_assert_int_eq(rmdir(dir), 0);
}

static journal *open_journal(int flush_ms) {
    const journal_options options = {dir, SEGMENT, 16 * SEGMENT, 0, flush_ms};
    journal *j = NULL;
    int fault = journal_open(&options, &j, &report, why);
    ck_assert_msg(fault == 0, "%s", why);
    return j;
}

static int append(journal *j, const char *body, journal_class class_, bool sync) {
    uint64_t seq = 0;
    return journal_append(j, text_of(body), class_, sync, &seq);
}

static journal_figures figures(const journal *j) {
    journal_figures f;
    journal_figures_get(j, &f);
    return f;
}

/* Everything in the journal, joined by commas. */
static const char *content(journal *j) {
    static char all[4096];
    journal_reader *r = NULL;
    journal_entry entry;
    size_t len = 0;
    int got;
    ck_assert_int_eq(journal_reader_open(j, 0, &r), 0);
    while ((got = journal_read(r, &entry)) == 1 && len < sizeof all - 64)
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%.*s", len ? "," : "", (int)entry.body.len,
                                entry.body.ptr);
    ck_assert_int_eq(got, 0);
    all[len] = '\0';
    journal_reader_free(r);
    return all;
}

START_TEST(a_failed_write_is_refused_and_the_next_record_goes_to_a_new_segment) {
    static const struct {
        int fault, part, says;
    } rows[] = {{EIO, 0, -EIO}, {ENOSPC, 0, -ENOSPC}, {0, 11, -ENOSPC}, {0, 24, -ENOSPC}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        make_dir();
        journal *j = open_journal(1000);
        ck_assert_int_eq(append(j, "one", JOURNAL_ORDINARY, false), 0);
        atomic_store(&write_errno, rows[i].fault);
        atomic_store(&write_short, rows[i].part);
        ck_assert_int_eq(append(j, "lost", JOURNAL_URGENT, false), rows[i].says);
        ck_assert_int_eq(append(j, "two", JOURNAL_ORDINARY, false), 0);
        ck_assert_str_eq(content(j), "one,two");
        ck_assert_uint_eq(figures(j).refused, 1);
        ck_assert_uint_eq(figures(j).doubtful, 1);
        journal_close(j);
        j = open_journal(1000);
        ck_assert_str_eq(content(j), "one,two");
        journal_close(j);
        remove_dir();
    }
}
END_TEST

START_TEST(a_failed_flush_is_not_retried_and_its_sync_record_is_refused) {
    make_dir();
    journal *j = open_journal(100000); /* the flusher stays out of the way */
    ck_assert_int_eq(append(j, "one", JOURNAL_ORDINARY, true), 0);
    ck_assert_int_eq(append(j, "two", JOURNAL_ORDINARY, false), 0);
    atomic_store(&sync_errno, EIO);
    ck_assert_int_eq(append(j, "lost", JOURNAL_URGENT, true), -EIO);
    ck_assert_uint_eq(figures(j).doubtful, 1); /* "two": it was never forced to disk */
    ck_assert_int_eq(append(j, "three", JOURNAL_URGENT, true), 0);
    ck_assert_str_eq(content(j), "one,two,three");
    journal_close(j);
    j = open_journal(1000);
    ck_assert_str_eq(content(j), "one,two,three");
    journal_close(j);
    remove_dir();
}
END_TEST

START_TEST(a_flush_that_fails_in_the_background_is_counted_and_the_segment_left) {
    make_dir();
    journal *j = open_journal(2);
    atomic_store(&sync_errno, EIO);
    ck_assert_int_eq(append(j, "one", JOURNAL_ORDINARY, false), 0);
    for (int i = 0; i < 5000 && figures(j).doubtful == 0; i++)
        usleep(2000);
    ck_assert_uint_eq(figures(j).doubtful, 1);
    ck_assert_int_eq(append(j, "two", JOURNAL_ORDINARY, true), 0);
    journal_overview o;
    ck_assert_int_eq(journal_look(dir, NULL, NULL, &o, why), 0);
    ck_assert_uint_ge(o.segments, 2);
    ck_assert_str_eq(content(j), "one,two");
    ck_assert_uint_eq(figures(j).doubtful, 1);
    journal_close(j);
    remove_dir();
}
END_TEST

START_TEST(a_full_disk_leaves_the_segment_in_hand_to_urgent_records) {
    make_dir();
    atomic_store(&allocations_left,
                 2); /* the segment in use and the one in hand, whenever the flusher makes it */
    atomic_store(&allocate_errno, ENOSPC);
    journal *j = open_journal(2);
    for (int i = 0; i < 5000 && figures(j).bytes < 2 * SEGMENT; i++)
        usleep(2000);
    int ordinary = 0, urgent = 0, fault;
    while ((fault = append(j, "0123456789012345678901234567890123456789", JOURNAL_ORDINARY, false)) == 0)
        ordinary++;
    ck_assert_int_eq(fault, -ENOSPC);
    while ((fault = append(j, "0123456789012345678901234567890123456789", JOURNAL_URGENT, false)) == 0)
        urgent++;
    ck_assert_int_eq(fault, -ENOSPC);
    ck_assert_int_gt(ordinary, 900);
    ck_assert_int_gt(urgent, 0);
    ck_assert_int_ge(ordinary + urgent, 2 * ((SEGMENT - 4096) / 64)); /* both segments to the last byte */
    ck_assert(figures(j).in_reserve);
    atomic_store(&allocations_left, 0);
    atomic_store(&allocate_errno, 0); /* someone made room: noticed without a restart */
    for (int i = 0; i < 5000 && figures(j).in_reserve; i++)
        usleep(2000);
    ck_assert_int_eq(append(j, "again", JOURNAL_ORDINARY, false), 0);
    journal_close(j);
    remove_dir();
}
END_TEST

START_TEST(a_filesystem_without_fallocate_is_filled_with_zeros) {
    make_dir();
    atomic_store(&allocate_errno, EOPNOTSUPP);
    journal *j = open_journal(1000);
    ck_assert_int_eq(append(j, "one", JOURNAL_ORDINARY, true), 0);
    ck_assert_str_eq(content(j), "one");
    ck_assert_uint_ge(figures(j).bytes, SEGMENT);
    journal_close(j);
    atomic_store(&allocate_errno, 0);
    remove_dir();
}
END_TEST

START_TEST(a_block_that_cannot_be_read_costs_what_is_in_it) {
    char body[1001] = "";
    make_dir();
    journal *j = open_journal(1000);
    for (int i = 0; i < 40; i++) {
        memset(body, 'a' + i % 26, 1000);
        ck_assert_int_eq(append(j, body, JOURNAL_ORDINARY, false), 0);
    }
    atomic_store(&bad_block, 16384);
    journal_reader *r = NULL;
    journal_entry entry;
    int got, count = 0;
    uint64_t last = 0;
    ck_assert_int_eq(journal_reader_open(j, 0, &r), 0);
    while ((got = journal_read(r, &entry)) == 1) {
        count++;
        last = entry.seq;
        ck_assert_int_eq(entry.body.ptr[0], 'a' + (int)(entry.seq - 1) % 26);
    }
    ck_assert_int_eq(got, 0);
    ck_assert_uint_eq(last, 40);
    ck_assert_int_ge(count, 34); /* 4096 bytes touch at most 6 records of 1024 */
    ck_assert_int_lt(count, 40);
    ck_assert_uint_eq(figures(j).skipped_places, 1);
    atomic_store(&bad_block, -1);
    journal_reader_free(r);
    journal_close(j);
    remove_dir();
}
END_TEST

Suite *suite_journal_disk(void) {
    Suite *s = suite_create("journal_disk");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_failed_write_is_refused_and_the_next_record_goes_to_a_new_segment);
    tcase_add_test(t, a_failed_flush_is_not_retried_and_its_sync_record_is_refused);
    tcase_add_test(t, a_flush_that_fails_in_the_background_is_counted_and_the_segment_left);
    tcase_add_test(t, a_full_disk_leaves_the_segment_in_hand_to_urgent_records);
    tcase_add_test(t, a_filesystem_without_fallocate_is_filled_with_zeros);
    tcase_add_test(t, a_block_that_cannot_be_read_costs_what_is_in_it);
    suite_add_tcase(s, t);
    return s;
}
