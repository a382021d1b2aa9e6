/* Appender, reader and release at the same time, with a journal so small that it is full again and again.
 * Nothing is lost, repeated or out of order. Meant for the thread sanitizer; true without it. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "store/journal.h"

enum {
    SEGMENT = 64 << 10,
    RECORDS = 30000
};

static void *append_all(void *argument) {
    journal *j = argument;
    char body[200];
    memset(body, 'x', sizeof body);
    for (uint64_t i = 1; i <= RECORDS; i++) {
        uint64_t seq = 0;
        int fault;
        memcpy(body, &i, sizeof i);
        do {
            fault = journal_append(j, (text){body, 8 + i % 190}, i % 50 ? JOURNAL_ORDINARY : JOURNAL_URGENT,
                                   i % 500 == 0, &seq);
            if (fault == -ENOSPC)
                usleep(100);
        } while (fault == -ENOSPC);
        if (fault < 0)
            return argument;
    }
    return NULL;
}

static void *watch(void *argument) {
    journal *j = argument;
    for (int i = 0; i < 200; i++) {
        journal_figures figures;
        journal_figures_get(j, &figures);
        if (figures.bytes > 5 * SEGMENT)
            return argument;
        journal_wake(j);
        usleep(500);
    }
    return NULL;
}

START_TEST(appender_reader_and_release_do_not_disturb_each_other) {
    char dir[] = "/tmp/mayday-stress-XXXXXX", why[JOURNAL_WHY_MAX] = "";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    const journal_options options = {dir, SEGMENT, 5 * SEGMENT, 0, 2};
    journal_report report;
    journal *j = NULL;
    journal_reader *r = NULL;
    ck_assert_msg(journal_open(&options, &j, &report, why) == 0, "%s", why);
    ck_assert_int_eq(journal_reader_open(j, 0, &r), 0);
    pthread_t appender, watcher;
    ck_assert_int_eq(pthread_create(&appender, NULL, append_all, j), 0);
    ck_assert_int_eq(pthread_create(&watcher, NULL, watch, j), 0);
    uint64_t expected = 1, last_seq = 0;
    while (expected <= RECORDS) {
        journal_entry entry;
        int got = journal_read(r, &entry);
        ck_assert_int_ge(got, 0);
        if (got == 0) {
            journal_release(j, last_seq);
            journal_wait(r, 3600 * 1000); /* a wake that gets lost would hang here */
            continue;
        }
        last_seq = entry.seq;
        uint64_t number;
        memcpy(&number, entry.body.ptr, sizeof number);
        ck_assert_uint_eq(number, expected);
        ck_assert_uint_eq(entry.body.len, 8 + number % 190);
        if (expected++ % 300 == 0)
            journal_release(j, entry.seq);
    }
    void *failed;
    ck_assert_int_eq(pthread_join(appender, &failed), 0);
    ck_assert_ptr_null(failed);
    ck_assert_int_eq(pthread_join(watcher, &failed), 0);
    ck_assert_msg(failed == NULL, "the journal grew past its size");
    journal_reader_free(r);
    journal_close(j);
    DIR *folder = opendir(dir);
    for (struct dirent *e; (e = readdir(folder));)
        (void)unlinkat(dirfd(folder), e->d_name, 0);
    closedir(folder);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

Suite *suite_journal_stress(void) {
    Suite *s = suite_create("journal_stress");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, appender_reader_and_release_do_not_disturb_each_other);
    suite_add_tcase(s, t);
    return s;
}
