/* A process that appends as fast as it can is killed at a random moment, over and over in one directory: all
 * that it acknowledged is there once, in order, and the journal goes on. MAYDAY_ROUNDS rounds (30),
 * MAYDAY_SEED repeats a failing run. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "store/journal.h"

enum {
    SEGMENT = 64 << 10,
    ROUNDS = 30
};

static char dir[64];
static unsigned seed;

static journal *open_journal(void) {
    const journal_options options = {dir, SEGMENT, UINT64_C(1) << 30, 0, 5};
    char why[JOURNAL_WHY_MAX] = "";
    journal_report report;
    journal *j = NULL;
    int fault = journal_open(&options, &j, &report, why);
    ck_assert_msg(fault == 0, "seed %u: %s", seed, why);
    /* The kernel looks for SIGKILL between the pages of a write, so the record that was being written may be
     * torn: it was not acknowledged. Nothing else is damaged. */
    ck_assert_msg(report.discarded_places <= 1, "seed %u: a killed process damages what it wrote: %s", seed,
                  report.first_reason);
    return j;
}

static text body_of(uint64_t number, char space[512]) {
    int len = snprintf(space, 512, "%016lx %0*d", (unsigned long)number, (int)(number * 7919 % 400) + 1, 0);
    return (text){space, (size_t)len};
}

/* Never returns: appends from `number` on and tells each one that was taken. */
static void append_until_killed(uint64_t number, int to_parent) {
    char space[512];
    journal *j = open_journal();
    for (;; number++) {
        uint64_t seq;
        if (journal_append(j, body_of(number, space), JOURNAL_URGENT, number % 64 == 0, &seq) < 0)
            _exit(2);
        if (write(to_parent, &number, sizeof number) != (ssize_t)sizeof number)
            _exit(3);
    }
}

/* The last number that the child acknowledged before it was killed, or `none`. */
static uint64_t one_life(uint64_t number, uint64_t none) {
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        close(pipes[0]);
        append_until_killed(number, pipes[1]);
    }
    close(pipes[1]);
    uint64_t last = none, quota = 1 + (uint64_t)rand_r(&seed) % 3000, got = 0, one;
    while (read(pipes[0], &one, sizeof one) == (ssize_t)sizeof one) {
        last = one;
        if (++got == quota)
            ck_assert_int_eq(kill(child, SIGKILL), 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status), "seed %u: the child gave up with %d", seed, status);
    close(pipes[0]);
    return last;
}

/* Everything from 1 to at least `acked`, once, in order; returns the number of the last one. */
static uint64_t check_all(uint64_t acked) {
    journal *j = open_journal();
    journal_reader *r = NULL;
    journal_entry entry;
    uint64_t number = 0, last_seq = 0;
    char space[512];
    ck_assert_int_eq(journal_reader_open(j, 0, &r), 0);
    while (journal_read(r, &entry) == 1) {
        number++;
        ck_assert_msg(text_equal(entry.body, body_of(number, space)), "seed %u: record %lu is wrong", seed,
                      (unsigned long)number);
        ck_assert(entry.seq > last_seq);
        last_seq = entry.seq;
    }
    ck_assert_msg(number >= acked, "seed %u: %lu acknowledged, %lu there", seed, (unsigned long)acked,
                  (unsigned long)number);
    journal_reader_free(r);
    journal_close(j);
    return number;
}

START_TEST(what_a_killed_process_acknowledged_is_there_once) {
    const char *rounds_text = getenv("MAYDAY_ROUNDS"), *seed_text = getenv("MAYDAY_SEED");
    int64_t rounds = ROUNDS, wanted = (int64_t)(time(NULL) ^ getpid()) & 0x7fffffff;
    if (rounds_text)
        ck_assert_int_eq(text_to_i64(text_of(rounds_text), 1, 1000000, &rounds), 0);
    if (seed_text)
        ck_assert_int_eq(text_to_i64(text_of(seed_text), 0, 0x7fffffff, &wanted), 0);
    seed = (unsigned)wanted;
    printf("journal_kill: MAYDAY_SEED=%u\n", seed);
    (void)snprintf(dir, sizeof dir, "/tmp/mayday-kill-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    uint64_t number = 0;
    for (int64_t round = 0; round < rounds; round++)
        number = check_all(one_life(number + 1, number));
    DIR *folder = opendir(dir);
    for (struct dirent *e; (e = readdir(folder));)
        (void)unlinkat(dirfd(folder), e->d_name, 0);
    closedir(folder);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

Suite *suite_journal_kill(void) {
    Suite *s = suite_create("journal_kill");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 0);
    tcase_add_test(t, what_a_killed_process_acknowledged_is_there_once);
    suite_add_tcase(s, t);
    return s;
}
