#include <check.h>
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "store/segment.h"

enum {
    SEGMENT = 64 << 10
};

static char dir[64];
static char why[JOURNAL_WHY_MAX];
static journal_report report;

static void make_dir(void) {
    (void)snprintf(dir, sizeof dir, "/tmp/mayday-journal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void) {
    DIR *folder = opendir(dir);
    for (struct dirent *e; (e = readdir(folder));)
        (void)unlinkat(dirfd(folder), e->d_name, 0);
    closedir(folder);
    ck_assert_int_eq(rmdir(dir), 0);
}

static journal_options options_of(uint64_t max_size) {
    return (journal_options){
        .dir = dir, .segment_size = SEGMENT, .max_size = max_size, .min_free = 0, .flush_ms = 5};
}

static journal *open_journal(uint64_t max_size) {
    journal_options options = options_of(max_size);
    journal *j = NULL;
    int fault = journal_open(&options, &j, &report, why);
    ck_assert_msg(fault == 0, "%s", why);
    return j;
}

/* A body that says which one it is, of a length that varies. */
static text body_of(int i, char *space) {
    int len =
        snprintf(space, 256, "record %d %.*s", i, i * 37 % 200,
                 "----------------------------------------------------------------------------------------"
                 "----------------------------------------------------------------------------------------"
                 "------------------------");
    return (text){space, (size_t)len};
}

static uint64_t append(journal *j, int i) {
    char space[256];
    uint64_t seq = 0;
    int fault = journal_append(j, body_of(i, space), JOURNAL_ORDINARY, false, &seq);
    ck_assert_msg(fault == 0, "append %d: %s", i, strerror(-fault));
    return seq;
}

static void expect(journal_reader *r, int i) {
    char space[256];
    journal_entry entry;
    ck_assert_int_eq(journal_read(r, &entry), 1);
    ck_assert_msg(text_equal(entry.body, body_of(i, space)), "wanted %d, got '%.*s'", i, (int)entry.body.len,
                  entry.body.ptr);
}

static void expect_end(journal_reader *r) {
    journal_entry entry;
    ck_assert_int_eq(journal_read(r, &entry), 0);
}

static journal_reader *reader_at(journal *j, uint64_t after) {
    journal_reader *r = NULL;
    ck_assert_int_eq(journal_reader_open(j, after, &r), 0);
    return r;
}

START_TEST(records_come_back_in_order) {
    CLEANUP(journal_closep) journal *j = open_journal(16 * SEGMENT);
    CLEANUP(journal_reader_freep) journal_reader *r = reader_at(j, 0);
    expect_end(r);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(append(j, i), (uint64_t)i + 1);
    for (int i = 0; i < 100; i++)
        expect(r, i);
    expect_end(r);
    append(j, 100);
    expect(r, 100);
    expect_end(r);
}
END_TEST

START_TEST(an_empty_body_and_the_greatest_are_kept_and_a_greater_one_is_refused) {
    CLEANUP(journal_closep) journal *j = open_journal(16 * SEGMENT);
    CLEANUP(journal_reader_freep) journal_reader *r = reader_at(j, 0);
    size_t most = SEGMENT - SEGMENT_HEADER_SPACE - sizeof(frame);
    CLEANUP(freep) char *body = malloc(most + 1);
    memset(body, 'm', most + 1);
    uint64_t seq;
    journal_entry entry;
    ck_assert_int_eq(journal_append(j, TEXT(""), JOURNAL_ORDINARY, true, &seq), 0);
    ck_assert_int_eq(journal_append(j, (text){body, most}, JOURNAL_ORDINARY, false, &seq), 0);
    ck_assert_int_eq(journal_append(j, (text){body, most + 1}, JOURNAL_URGENT, false, &seq), -EMSGSIZE);
    ck_assert_int_eq(journal_read(r, &entry), 1);
    ck_assert_uint_eq(entry.body.len, 0);
    ck_assert_int_eq(journal_read(r, &entry), 1);
    ck_assert(text_equal(entry.body, (text){body, most}));
}
END_TEST

START_TEST(a_journal_closed_in_order_goes_on_where_it_was) {
    journal *j = open_journal(16 * SEGMENT);
    uuid identity = *journal_identity(j);
    for (int i = 0; i < 10; i++)
        append(j, i);
    journal_close(j);
    for (int again = 0; again < 3; again++) {
        j = open_journal(16 * SEGMENT);
        ck_assert(uuid_equal(&identity, journal_identity(j)));
        ck_assert_uint_eq(report.last_seq, 10);
        ck_assert_uint_eq(report.first_seq, 1);
        ck_assert_uint_eq(report.discarded_places, 0);
        journal_close(j);
    }
    j = open_journal(16 * SEGMENT);
    ck_assert_uint_eq(append(j, 10), 11);
    journal_reader *r = reader_at(j, 4);
    for (int i = 4; i < 11; i++)
        expect(r, i);
    expect_end(r);
    journal_reader_free(r);
    journal_close(j);
}
END_TEST

START_TEST(many_segments_are_read_through_and_found_by_number) {
    CLEANUP(journal_closep) journal *j = open_journal(64 * SEGMENT);
    uint64_t last = 0;
    for (int i = 0; i < 5000; i++)
        last = append(j, i);
    ck_assert_uint_eq(last, 5000);
    static const int starts[] = {0, 1, 499, 2500, 4998, 4999, 5000};
    for (size_t k = 0; k < ARRAY_LEN(starts); k++) {
        CLEANUP(journal_reader_freep) journal_reader *r = reader_at(j, (uint64_t)starts[k]);
        for (int i = starts[k]; i < 5000; i++)
            expect(r, i);
        expect_end(r);
    }
}
END_TEST

static uint64_t held(journal *j) {
    journal_figures figures;
    journal_figures_get(j, &figures);
    return figures.bytes;
}

static bool in_reserve(journal *j) {
    journal_figures figures;
    journal_figures_get(j, &figures);
    return figures.in_reserve;
}

/* Appends ordinary records until one is refused; how many were taken. */
static int fill(journal *j, journal_class class_) {
    char space[256];
    uint64_t seq;
    for (int i = 0;; i++) {
        int fault = journal_append(j, body_of(i, space), class_, false, &seq);
        if (fault < 0) {
            ck_assert_int_eq(fault, -ENOSPC);
            return i;
        }
        ck_assert_int_lt(i, 100000);
    }
}

/* The flusher closes sealed segments in its own time. */
static void wait_until_held_at_most(journal *j, uint64_t bytes) {
    for (int i = 0; i < 2000 && held(j) > bytes; i++)
        usleep(5000);
    ck_assert_uint_le(held(j), bytes);
}

START_TEST(released_segments_give_their_space_back_but_never_the_current_one) {
    CLEANUP(journal_closep) journal *j = open_journal(64 * SEGMENT);
    uint64_t last = 0;
    for (int i = 0; i < 5000; i++)
        last = append(j, i);
    uint64_t before = held(j);
    journal_release(j, last / 2);
    wait_until_held_at_most(j, before * 2 / 3);
    CLEANUP(journal_reader_freep) journal_reader *r = reader_at(j, last / 2);
    for (int i = (int)(last / 2); i < 5000; i++)
        expect(r, i);
    journal_release(j, last);
    wait_until_held_at_most(j, 2 * SEGMENT);
    append(j, 5000);
    expect(r, 5000);
}
END_TEST

START_TEST(when_full_ordinary_records_are_refused_and_urgent_ones_have_a_segment_left) {
    CLEANUP(journal_closep) journal *j = open_journal(4 * SEGMENT);
    int ordinary = fill(j, JOURNAL_ORDINARY);
    ck_assert(in_reserve(j));
    int urgent = fill(j, JOURNAL_URGENT);
    ck_assert_int_gt(ordinary, 2 * urgent); /* three segments against one */
    ck_assert_int_gt(urgent, ordinary / 4);
    ck_assert_uint_le(held(j), 4 * SEGMENT);
    CLEANUP(journal_reader_freep) journal_reader *r = reader_at(j, 0);
    for (int i = 0; i < ordinary; i++)
        expect(r, i);
    for (int i = 0; i < urgent; i++)
        expect(r, i);
    expect_end(r);
    journal_figures figures;
    journal_figures_get(j, &figures);
    ck_assert_uint_eq(figures.refused, 2);
    journal_release(j, (uint64_t)ordinary);
    for (int i = 0; i < 2000 && in_reserve(j); i++)
        usleep(5000);
    append(j, 7);
    expect(r, 7);
}
END_TEST

START_TEST(a_full_journal_opens_again_and_never_grows_past_its_size) {
    for (int round = 0; round < 4; round++) {
        journal *j = open_journal(4 * SEGMENT);
        (void)fill(j, JOURNAL_ORDINARY);
        (void)fill(j, JOURNAL_URGENT);
        ck_assert_uint_le(held(j), 4 * SEGMENT);
        journal_close(j);
    }
    journal *j = open_journal(4 * SEGMENT);
    CLEANUP(journal_reader_freep) journal_reader *r = reader_at(j, 0);
    journal_entry entry;
    uint64_t last = 0;
    while (journal_read(r, &entry) == 1)
        last = entry.seq;
    journal_release(j, last);
    for (int i = 0; i < 2000 && in_reserve(j); i++)
        usleep(5000);
    append(j, 0);
    expect(r, 0);
    journal_close(j);
}
END_TEST

START_TEST(a_disk_with_too_little_free_takes_urgent_records_alone) {
    journal_options options = options_of(8 * SEGMENT);
    options.min_free = UINT64_C(1) << 60;
    journal *j = NULL;
    char space[256];
    uint64_t seq;
    ck_assert_int_eq(journal_open(&options, &j, &report, why), 0);
    ck_assert(in_reserve(j));
    ck_assert_int_eq(journal_append(j, body_of(0, space), JOURNAL_ORDINARY, false, &seq), -ENOSPC);
    ck_assert_int_eq(journal_append(j, body_of(0, space), JOURNAL_URGENT, true, &seq), 0);
    journal_close(j);
}
END_TEST

START_TEST(bad_limits_are_refused_with_a_reason) {
    static const struct {
        uint64_t segment, max;
        int flush_ms;
        const char *says;
    } rows[] = {
        {1000, 1 << 20, 50, "segment_size"},
        {UINT64_C(1) << 40, UINT64_C(1) << 42, 50, "segment_size"},
        {SEGMENT, 3 * SEGMENT - 1, 50, "three times"},
        {SEGMENT, 3 * SEGMENT, 0, "flush_interval"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        journal_options options = {dir, rows[i].segment, rows[i].max, 0, rows[i].flush_ms};
        journal *j = NULL;
        ck_assert_int_eq(journal_open(&options, &j, &report, why), -EINVAL);
        ck_assert_msg(strstr(why, rows[i].says) != NULL, "%s", why);
    }
}
END_TEST

START_TEST(a_second_process_is_kept_out_by_name) {
    CLEANUP(journal_closep) journal *j = open_journal(4 * SEGMENT);
    journal_options options = options_of(4 * SEGMENT);
    journal *second = NULL;
    char number[24];
    (void)snprintf(number, sizeof number, "process %d", (int)getpid());
    ck_assert_int_eq(journal_open(&options, &second, &report, why), -EBUSY);
    ck_assert_msg(strstr(why, number) != NULL, "%s", why);
}
END_TEST

static void path_of(uint64_t number, char path[128]) {
    char name[SEGMENT_NAME_MAX];
    segment_name(number, name);
    (void)snprintf(path, 128, "%s/%s", dir, name);
}

START_TEST(segments_of_another_journal_are_ignored_and_reported) {
    char path[128], other[128];
    journal *j = open_journal(4 * SEGMENT);
    append(j, 1);
    journal_close(j);
    path_of(1, path);
    path_of(90, other);
    ck_assert_int_eq(rename(path, other), 0);
    (void)snprintf(path, sizeof path, "%s/identity", dir);
    FILE *identity = fopen(path, "w");
    fputs("01940000-0000-7000-8000-000000000000\n", identity);
    fclose(identity);
    j = open_journal(4 * SEGMENT);
    ck_assert_ptr_nonnull(strstr(report.first_reason, "another journal"));
    CLEANUP(journal_reader_freep) journal_reader *r = reader_at(j, 0);
    expect_end(r);
    append(j, 2);
    expect(r, 2);
    journal_close(j);
    ck_assert_int_eq(access(other, F_OK), 0);
}
END_TEST

START_TEST(a_lost_identity_is_taken_from_the_segments) {
    char path[128];
    journal *j = open_journal(4 * SEGMENT);
    uuid identity = *journal_identity(j);
    append(j, 1);
    journal_close(j);
    (void)snprintf(path, sizeof path, "%s/identity", dir);
    ck_assert_int_eq(unlink(path), 0);
    j = open_journal(4 * SEGMENT);
    ck_assert(uuid_equal(&identity, journal_identity(j)));
    CLEANUP(journal_reader_freep) journal_reader *r = reader_at(j, 0);
    expect(r, 1);
    journal_close(j);
}
END_TEST

START_TEST(waiting_ends_with_a_record_or_a_wake) {
    CLEANUP(journal_closep) journal *j = open_journal(4 * SEGMENT);
    CLEANUP(journal_reader_freep) journal_reader *r = reader_at(j, 0);
    expect_end(r);
    journal_wait(r, 1); /* returns: the time passed */
    journal_wake(j);
    journal_wait(r, 3600 * 1000); /* returns: it was woken */
    append(j, 1);
    journal_wait(r, 3600 * 1000); /* returns: there is a record */
    expect(r, 1);
}
END_TEST

static void die_after_appending(int records) {
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        journal *j = open_journal(16 * SEGMENT);
        for (int i = 0; i < records; i++)
            append(j, i);
        _exit(0); /* as a killed process: nothing is closed in order */
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

START_TEST(numbers_that_a_power_cut_may_have_taken_are_not_used_again) {
    char path[128];
    die_after_appending(20);
    path_of(1, path);
    int fd = open(path, O_RDWR);
    char zeros[SEGMENT - SEGMENT_HEADER_SPACE - 512] = {
        0}; /* all but the first records never reached the disk */
    ck_assert_int_eq((int)pwrite(fd, zeros, sizeof zeros, SEGMENT_HEADER_SPACE + 512), (int)sizeof zeros);
    close(fd);
    journal *j = open_journal(16 * SEGMENT);
    ck_assert_uint_lt(report.last_seq, 20);
    uint64_t seq = append(j, 99);
    ck_assert_uint_gt(seq, 20);
    CLEANUP(journal_reader_freep) journal_reader *r = reader_at(j, 20);
    expect(r, 99); /* the database had 20, and still gets this one */
    journal_close(j);
}
END_TEST

typedef struct tally {
    int records, damaged, segments, stop_at;
    uint64_t last;
    char where[JOURNAL_WHY_MAX];
} tally;

static int count_record(void *context, const journal_entry *entry, const char *where) {
    tally *t = context;
    if (entry) {
        t->records++;
        t->last = entry->seq;
    } else {
        t->damaged++;
        (void)snprintf(t->where, sizeof t->where, "%s", where);
    }
    return t->stop_at && t->records == t->stop_at;
}

static int count_segment(void *context, const journal_segment_figures *s) {
    tally *t = context;
    t->segments += s->bytes > 0;
    return 0;
}

START_TEST(a_journal_in_use_can_be_walked_and_looked_at) {
    journal *j = open_journal(16 * SEGMENT);
    for (int i = 0; i < 1000; i++)
        append(j, i);
    tally all = {0}, some = {.stop_at = 5}, looked = {0};
    journal_overview o;
    ck_assert_int_eq(journal_walk(dir, 0, count_record, &all, why), 0);
    ck_assert_int_eq(all.records, 1000);
    ck_assert_int_eq(all.damaged, 0);
    ck_assert_int_eq(journal_walk(dir, 990, count_record, &some, why), 1);
    ck_assert_uint_eq(some.last, 995);
    ck_assert_int_eq(journal_look(dir, count_segment, &looked, &o, why), 0);
    ck_assert(o.in_use);
    ck_assert_uint_eq(o.first_seq, 1);
    ck_assert_uint_eq(o.last_seq, 1000);
    ck_assert_uint_eq(o.segments, (uint64_t)looked.segments);
    ck_assert(uuid_equal(&o.identity, journal_identity(j)));
    journal_close(j);
    ck_assert_int_eq(journal_look(dir, NULL, NULL, &o, why), 0);
    ck_assert(!o.in_use);
}
END_TEST

START_TEST(a_walk_names_each_damaged_place) {
    char path[128];
    journal *j = open_journal(4 * SEGMENT);
    for (int i = 0; i < 10; i++)
        append(j, i);
    journal_close(j);
    path_of(1, path);
    int fd = open(path, O_RDWR);
    ck_assert_int_eq((int)pwrite(fd, "!", 1, SEGMENT_HEADER_SPACE + 30), 1);
    close(fd);
    tally t = {0};
    ck_assert_int_eq(journal_walk(dir, 0, count_record, &t, why), 0);
    ck_assert_int_eq(t.records, 9);
    ck_assert_int_eq(t.damaged, 1);
    ck_assert_str_eq(t.where, "segment 1 at byte 4096: the checksum differs; 40 bytes lost");
}
END_TEST

START_TEST(what_is_no_journal_is_named) {
    journal_overview o;
    tally t = {0};
    ck_assert_int_eq(journal_look("/nonexistent", NULL, NULL, &o, why), -ENOENT);
    ck_assert_ptr_nonnull(strstr(why, "/nonexistent"));
    ck_assert_int_eq(journal_walk(dir, 0, count_record, &t, why), -ENOENT);
    ck_assert_ptr_nonnull(strstr(why, "is not a journal"));
}
END_TEST

START_TEST(a_segment_whose_header_is_lost_is_set_aside_not_deleted) {
    char path[128], aside[160];
    journal *j = open_journal(4 * SEGMENT);
    append(j, 1);
    journal_close(j);
    path_of(1, path);
    int fd = open(path, O_RDWR);
    static const char noise[SEGMENT_HEADER_SPACE] = {1, 2, 3};
    ck_assert_int_eq((int)pwrite(fd, noise, sizeof noise, 0), (int)sizeof noise);
    close(fd);
    j = open_journal(4 * SEGMENT);
    ck_assert_ptr_nonnull(strstr(report.first_reason, "its header is damaged"));
    CLEANUP(journal_reader_freep) journal_reader *r = reader_at(j, 0);
    uint64_t seq = append(j, 2);
    expect(r, 2);
    journal_release(j, seq);
    journal_close(j);
    (void)snprintf(aside, sizeof aside, "%s.damaged", path);
    ck_assert_int_eq(access(aside, F_OK), 0);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

Suite *suite_journal(void) {
    Suite *s = suite_create("journal");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, make_dir, remove_dir);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, records_come_back_in_order);
    tcase_add_test(t, an_empty_body_and_the_greatest_are_kept_and_a_greater_one_is_refused);
    tcase_add_test(t, a_journal_closed_in_order_goes_on_where_it_was);
    tcase_add_test(t, many_segments_are_read_through_and_found_by_number);
    tcase_add_test(t, released_segments_give_their_space_back_but_never_the_current_one);
    tcase_add_test(t, when_full_ordinary_records_are_refused_and_urgent_ones_have_a_segment_left);
    tcase_add_test(t, a_full_journal_opens_again_and_never_grows_past_its_size);
    tcase_add_test(t, a_disk_with_too_little_free_takes_urgent_records_alone);
    tcase_add_test(t, bad_limits_are_refused_with_a_reason);
    tcase_add_test(t, a_second_process_is_kept_out_by_name);
    tcase_add_test(t, segments_of_another_journal_are_ignored_and_reported);
    tcase_add_test(t, a_lost_identity_is_taken_from_the_segments);
    tcase_add_test(t, waiting_ends_with_a_record_or_a_wake);
    tcase_add_test(t, numbers_that_a_power_cut_may_have_taken_are_not_used_again);
    tcase_add_test(t, a_journal_in_use_can_be_walked_and_looked_at);
    tcase_add_test(t, a_walk_names_each_damaged_place);
    tcase_add_test(t, what_is_no_journal_is_named);
    tcase_add_test(t, a_segment_whose_header_is_lost_is_set_aside_not_deleted);
    suite_add_tcase(s, t);
    return s;
}
