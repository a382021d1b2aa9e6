/* Damage: every cut, every flipped bit, forged records. In each case exactly the records that were not
 * touched come back, never a wrong body, and the journal goes on. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "store/segment.h"

enum {
    SEGMENT = 64 << 10,
    RECORDS = 30
};

static char dir[64];
static char why[JOURNAL_WHY_MAX];
static journal_report report;
static char bodies[RECORDS][128];
static uint64_t ends[RECORDS + 1]; /* ends[i]: behind record i - 1; ends[0]: behind the header */
static char *image;
static size_t image_len;

static void path_in(const char *name, char path[160]) {
    (void)snprintf(path, 160, "%s/%s", dir, name);
}

static void write_file(const char *name, const char *bytes, size_t len) {
    char path[160];
    path_in(name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, bytes, len), (int)len);
    close(fd);
}

static void empty_dir(void) {
    DIR *folder = opendir(dir);
    for (struct dirent *e; (e = readdir(folder));)
        if (strcmp(e->d_name, "identity") != 0)
            (void)unlinkat(dirfd(folder), e->d_name, 0);
    closedir(folder);
}

static journal *open_journal(void) {
    const journal_options options = {dir, SEGMENT, 8 * SEGMENT, 0, 1000};
    journal *j = NULL;
    int fault = journal_open(&options, &j, &report, why);
    ck_assert_msg(fault == 0, "%s", why);
    return j;
}

/* A journal of 30 records, whose one segment is kept as an image. */
static void make_image(void) {
    char path[160];
    (void)snprintf(dir, sizeof dir, "%s/mayday-cuts-XXXXXX", /* no need to wait for a disk */
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    journal *j = open_journal();
    ends[0] = SEGMENT_HEADER_SPACE;
    for (int i = 0; i < RECORDS; i++) {
        uint64_t seq;
        (void)snprintf(bodies[i], sizeof bodies[i], "record %d %.*s", i, i % 9 * 3,
                       "abcdefghijklmnopqrstuvwxyz");
        ck_assert_int_eq(journal_append(j, text_of(bodies[i]), JOURNAL_ORDINARY, false, &seq), 0);
        ends[i + 1] = ends[i] + frame_space(strlen(bodies[i]));
    }
    journal_close(j);
    path_in("00000001.segment", path);
    int fd = open(path, O_RDONLY);
    image_len = (size_t)ends[RECORDS];
    image = malloc(SEGMENT);
    ck_assert_int_eq((int)read(fd, image, SEGMENT), (int)image_len);
    close(fd);
    memset(image + image_len, 0, SEGMENT - image_len);
}

static void remove_image(void) {
    empty_dir();
    char path[160];
    path_in("identity", path);
    (void)unlink(path);
    (void)rmdir(dir);
    free(image);
}

static bool is_record(const journal_entry *entry, int i) {
    return text_equal(entry->body, text_of(bodies[i])) && entry->seq == (uint64_t)i + 1;
}

/* Opens `bytes` as the newest segment; the records must be all but [lost_from, lost_to). */
static void expect_all_but(const char *bytes, size_t len, int lost_from, int lost_to, const char *when,
                           uint64_t at) {
    empty_dir();
    write_file("00000001.segment", bytes, len);
    journal *j = open_journal();
    journal_reader *r = NULL;
    journal_entry entry;
    uint64_t seq;
    ck_assert_int_eq(journal_append(j, TEXT("new"), JOURNAL_ORDINARY, false, &seq), 0);
    ck_assert_int_eq(journal_reader_open(j, 0, &r), 0);
    for (int i = 0; i < RECORDS; i++) {
        if (i >= lost_from && i < lost_to)
            continue;
        ck_assert_msg(journal_read(r, &entry) == 1, "%s %lu: record %d is missing", when, (unsigned long)at,
                      i);
        ck_assert_msg(is_record(&entry, i), "%s %lu: record %d came as %lu '%.*s'", when, (unsigned long)at,
                      i, (unsigned long)entry.seq, (int)entry.body.len, entry.body.ptr);
    }
    ck_assert_msg(journal_read(r, &entry) == 1 && text_equal(entry.body, TEXT("new")) && entry.seq == seq,
                  "%s %lu: the new record did not come", when, (unsigned long)at);
    ck_assert_int_eq(journal_read(r, &entry), 0);
    journal_reader_free(r);
    journal_close(j);
}

START_TEST(a_journal_cut_at_any_byte_gives_what_is_whole) {
    for (size_t len = 0; len <= image_len; len += len < ends[0] - 8 && len > 80 ? 501 : 1) {
        int whole = 0;
        while (whole < RECORDS && ends[whole + 1] <= len)
            whole++;
        expect_all_but(image, len, whole, RECORDS, "cut at", len);
        bool clean = len == ends[whole] || len == 0;
        if (len >= ends[0] && !clean) { /* padding may be cut off without harm to the body */
            bool zeros = true;
            for (size_t k = (size_t)ends[whole]; k < len; k++)
                zeros = zeros && image[k] == 0;
            ck_assert_msg(zeros || report.discarded_places == 1, "cut at %zu: not reported", len);
        }
    }
}
END_TEST

static int record_at(size_t at) {
    int i = 0;
    while (i < RECORDS && ends[i + 1] <= at)
        i++;
    return i;
}

START_TEST(a_flipped_bit_costs_the_record_it_is_in_and_no_other) {
    for (size_t at = 0; at < image_len + 40; at += at == 64 ? 2048 - 64 : at == 2048 + 64 ? 2048 - 64 : 1) {
        int bit = (int)(at * 5 % 8);
        image[at] = (char)(image[at] ^ 1 << bit);
        int i = record_at(at);
        bool padding = i < RECORDS && at >= ends[i] + sizeof(frame) + strlen(bodies[i]);
        bool touched = at >= ends[0] && i < RECORDS && !padding;
        expect_all_but(image, SEGMENT, touched ? i : RECORDS, touched ? i + 1 : RECORDS, "flip at", at);
        if (touched || at >= image_len)
            ck_assert_msg(report.discarded_places == 1 && report.first_reason[0], "flip at %zu: not reported",
                          at);
        image[at] = (char)(image[at] ^ 1 << bit);
    }
}
END_TEST

START_TEST(a_zeroed_page_costs_what_was_in_it) {
    char *holed = malloc(SEGMENT);
    memcpy(holed, image, SEGMENT);
    memset(holed + ends[5] + 3, 0, (size_t)(ends[9] - ends[5]));
    expect_all_but(holed, SEGMENT, 5, 10, "hole at", ends[5]);
    ck_assert_uint_eq(report.discarded_places, 1);
    ck_assert_uint_eq(report.discarded_bytes, ends[10] - ends[5]);
    free(holed);
}
END_TEST

/* The record in front of the forgery is damaged, so the reader looks for the next one inside the payload. */
static void expect_no_forgery(const char *forged, size_t len, bool true_mark) {
    empty_dir();
    journal *j = open_journal();
    journal_reader *r = NULL;
    journal_entry entry;
    uint64_t seq;
    char path[160];
    ck_assert_int_eq(journal_append(j, (text){forged, len}, JOURNAL_ORDINARY, false, &seq), 0);
    ck_assert_int_eq(journal_append(j, TEXT("honest"), JOURNAL_ORDINARY, false, &seq), 0);
    path_in("00000001.segment", path);
    int fd = open(path, O_RDWR);
    segment_header header;
    ck_assert_int_eq(segment_header_read(fd, &header), 0);
    if (true_mark) { /* as if copied from elsewhere in this very file */
        frame f = {.mark = header.mark, .seq = 2, .length = 8};
        f.crc = frame_crc(&f, SEGMENT_HEADER_SPACE + 512, forged + sizeof f);
        ck_assert_int_eq((int)pwrite(fd, &f, sizeof f, SEGMENT_HEADER_SPACE + sizeof f), (int)sizeof f);
    }
    ck_assert_int_eq((int)pwrite(fd, "\xff\xff", 2, SEGMENT_HEADER_SPACE + 16), 2); /* its length */
    close(fd);
    ck_assert_int_eq(journal_reader_open(j, 0, &r), 0);
    ck_assert_int_eq(journal_read(r, &entry), 1);
    ck_assert_msg(text_equal(entry.body, TEXT("honest")), "a forged record surfaced: '%.*s'",
                  (int)entry.body.len, entry.body.ptr);
    journal_reader_free(r);
    journal_close(j);
}

START_TEST(a_record_inside_a_payload_never_surfaces) {
    /* The records of another segment, as they stand in its file, at each alignment. */
    for (size_t shift = 0; shift < 8; shift++) {
        char *forged = calloc(1, image_len + 8);
        memcpy(forged + shift, image + ends[0], (size_t)(ends[RECORDS] - ends[0]));
        expect_no_forgery(forged, (size_t)(ends[RECORDS] - ends[0]) + shift, false);
        free(forged);
    }
    /* One that is right in everything but its mark. */
    struct {
        frame f;
        char body[8];
    } right = {.f = {.mark = 1, .seq = 2, .length = 8}, .body = "forged!"};
    right.f.crc = frame_crc(&right.f, SEGMENT_HEADER_SPACE + sizeof(frame), right.body);
    expect_no_forgery((const char *)&right, sizeof right, false);
    /* And one with the right mark, that is valid in another place. */
    expect_no_forgery((const char *)&right, sizeof right, true);
}
END_TEST

START_TEST(a_record_copied_inside_its_own_segment_does_not_repeat) {
    char *twice = malloc(SEGMENT);
    memcpy(twice, image, SEGMENT);
    memcpy(twice + image_len, image + ends[RECORDS - 1], (size_t)(ends[RECORDS] - ends[RECORDS - 1]));
    expect_all_but(twice, SEGMENT, RECORDS, RECORDS, "copy at", image_len);
    ck_assert_uint_eq(report.discarded_places, 1);
    free(twice);
}
END_TEST

Suite *suite_journal_cuts(void) {
    Suite *s = suite_create("journal_cuts");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, make_image, remove_image);
    tcase_set_timeout(t, 600);
    tcase_add_test(t, a_journal_cut_at_any_byte_gives_what_is_whole);
    tcase_add_test(t, a_flipped_bit_costs_the_record_it_is_in_and_no_other);
    tcase_add_test(t, a_zeroed_page_costs_what_was_in_it);
    tcase_add_test(t, a_record_inside_a_payload_never_surfaces);
    tcase_add_test(t, a_record_copied_inside_its_own_segment_does_not_repeat);
    suite_add_tcase(s, t);
    return s;
}
