#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/local/inside.h"

static char folder[64], file[128];

static void make_folder(void) {
    (void)snprintf(folder, sizeof folder, "/tmp/mayday-local-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(file, sizeof file, "%s/gateway-gw1.db", folder);
}

static void drop_folder(void) {
    pid_t child = fork();
    if (child == 0) {
        (void)execlp("rm", "rm", "-rf", folder, (char *)NULL);
        _exit(1);
    }
    (void)waitpid(child, NULL, 0);
}

static local *open_it(void) {
    local *l = NULL;
    char why[LOCAL_WHY_MAX];
    int fault = local_open(folder, "gw1", &l, why);
    ck_assert_msg(fault == 0, "%s", why);
    ck_assert_str_eq(why, "");
    return l;
}

typedef struct heard {
    size_t count;
    int64_t numbers[512];
    char said[8192]; /* "key=body!" with '!' for an answer */
} heard;

static void hear(void *context, const letter *one) {
    heard *h = context;
    size_t len = strlen(h->said);
    h->numbers[h->count++] = one->number;
    (void)snprintf(h->said + len, sizeof h->said - len, "%.*s=%.*s%s ", (int)one->key.len, one->key.ptr,
                   (int)one->body.len, one->body.ptr, one->answer ? "!" : "");
}

static void hear_document(void *context, text name, text body) {
    letter one = {.key = name, .body = body};
    hear(context, &one);
}

static void put_letter(local *l, const char *key, const char *body, bool answer, instant now) {
    ck_assert_int_eq(local_put_mail(l, text_of(key), text_of(body), answer, now), 0);
}

static bool is_readable(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

START_TEST(letters_come_in_their_order_and_answers_first) {
    local *l = open_it();
    heard h = {0}, few = {0}, behind = {0};
    put_letter(l, "a", "1", false, 1);
    put_letter(l, "b", "2", true, 2);
    put_letter(l, "c", "3", false, 3);
    put_letter(l, "d", "4", true, 4);
    ck_assert_uint_eq(local_mail_count(l), 4);
    ck_assert_int_eq(local_read_mail(l, 100, hear, &h), 0);
    ck_assert_str_eq(h.said, "b=2! d=4! a=1 c=3 ");
    ck_assert_int_eq(local_read_mail(l, 3, hear, &few), 0);
    ck_assert_str_eq(few.said, "b=2! d=4! a=1 ");
    ck_assert_int_eq(local_read_answers(l, h.numbers[0], 100, hear, &behind), 0);
    ck_assert_str_eq(behind.said, "d=4! ");
    (void)local_close(l);
}
END_TEST

START_TEST(a_letter_that_was_said_within_a_day_is_the_same_letter) {
    const instant day = INT64_C(86400) * INSTANT_SECOND;
    local *l = open_it();
    heard h = {0};
    put_letter(l, "a", "1", false, 0);
    put_letter(l, "a", "2", false, 1);
    ck_assert_int_eq(local_read_mail(l, 100, hear, &h), 0);
    ck_assert_str_eq(h.said, "a=1 ");
    ck_assert_int_eq(local_drop_mail(l, h.numbers, h.count), 0);
    put_letter(l, "a", "3", false, day);
    ck_assert_uint_eq(local_mail_count(l), 0);
    put_letter(l, "b", "4", false, 2 * day); /* time passes for all */
    put_letter(l, "a", "5", false, 2 * day);
    ck_assert_uint_eq(local_mail_count(l), 2);
    put_letter(l, "c", "6", false, 4 * day);
    put_letter(l, "a", "7", false, 4 * day); /* it is there still */
    ck_assert_uint_eq(local_mail_count(l), 3);
    (void)local_close(l);
}
END_TEST

START_TEST(what_was_dropped_is_gone_and_the_rest_is_not) {
    local *l = open_it();
    heard h = {0}, after = {0};
    put_letter(l, "a", "1", false, 1);
    put_letter(l, "b", "2", false, 1);
    ck_assert_int_eq(local_read_mail(l, 1, hear, &h), 0);
    ck_assert_int_eq(local_drop_mail(l, h.numbers, h.count), 0);
    ck_assert_int_eq(local_drop_mail(l, h.numbers, h.count), 0);
    (void)local_close(l);
    l = open_it();
    ck_assert_uint_eq(local_mail_count(l), 1);
    ck_assert_int_eq(local_read_mail(l, 100, hear, &after), 0);
    ck_assert_str_eq(after.said, "b=2 ");
    (void)local_close(l);
}
END_TEST

START_TEST(whoever_waits_is_woken_by_a_letter_and_by_those_that_are_left) {
    eventfd_t count;
    local *l = open_it();
    ck_assert(!is_readable(local_mail_fd(l)));
    put_letter(l, "a", "1", false, 1);
    ck_assert(is_readable(local_mail_fd(l)));
    ck_assert_int_eq(eventfd_read(local_mail_fd(l), &count), 0);
    put_letter(l, "a", "1", false, 1);
    ck_assert(!is_readable(local_mail_fd(l)));
    (void)local_close(l);
    l = open_it();
    ck_assert(is_readable(local_mail_fd(l)));
    (void)local_close(l);
}
END_TEST

START_TEST(documents_are_replaced_found_by_name_and_dropped) {
    local *l = open_it();
    heard h = {0}, none = {0};
    CLEANUP(buf_release) buf got = BUF(1024);
    CLEANUP(buf_release) buf small = BUF(2);
    ck_assert_int_eq(local_put(l, TEXT("ledger"), TEXT("b"), TEXT("2")), 0);
    ck_assert_int_eq(local_put(l, TEXT("ledger"), TEXT("a"), TEXT("1")), 0);
    ck_assert_int_eq(local_put(l, TEXT("ledger"), TEXT("b"), TEXT("three")), 0);
    ck_assert_int_eq(local_put(l, TEXT("other"), TEXT("a"), TEXT("")), 0);
    ck_assert_int_eq(local_each(l, TEXT("ledger"), hear_document, &h), 0);
    ck_assert_str_eq(h.said, "a=1 b=three ");
    ck_assert_int_eq(local_get(l, TEXT("ledger"), TEXT("b"), &got), 0);
    ck_assert_str_eq(got.ptr, "three");
    ck_assert_int_eq(local_get(l, TEXT("ledger"), TEXT("b"), &small), -EMSGSIZE);
    ck_assert_int_eq(local_get(l, TEXT("ledger"), TEXT("c"), &got), -ENOENT);
    ck_assert(!local_empty(l, TEXT("ledger")) && local_empty(l, TEXT("nothing")));
    ck_assert_int_eq(local_get(l, TEXT("other"), TEXT("a"), &got), 0);
    ck_assert_uint_eq(got.len, 5);
    ck_assert_int_eq(local_drop(l, TEXT("ledger"), TEXT("a")), 0);
    ck_assert_int_eq(local_drop(l, TEXT("ledger"), TEXT("a")), 0);
    ck_assert_int_eq(local_drop(l, TEXT("ledger"), TEXT("b")), 0);
    ck_assert_int_eq(local_each(l, TEXT("ledger"), hear_document, &none), 0);
    ck_assert_uint_eq(none.count, 0);
    ck_assert(local_empty(l, TEXT("ledger")));
    (void)local_close(l);
}
END_TEST

START_TEST(of_what_calls_said_the_newest_are_kept) {
    local *l = open_it();
    heard h = {0};
    CLEANUP(buf_release) buf got = BUF(1024);
    char name[16];
    ck_assert_int_eq(local_put(l, TEXT("ledger"), TEXT("old"), TEXT("1")), 0);
    for (int i = 0; i < 100; i++) { /* names that are no order */
        (void)snprintf(name, sizeof name, "%02d", (i * 37) % 100);
        ck_assert_int_eq(local_put(l, TEXT("spoken"), text_of(name), TEXT("x")), 0);
        ck_assert_int_eq(local_trim(l, TEXT("spoken"), 8), 0);
    }
    ck_assert_int_eq(local_each(l, TEXT("spoken"), hear_document, &h), 0);
    ck_assert_uint_ge(h.count, 8);
    ck_assert_uint_le(h.count, 9);
    for (int i = 92; i < 100; i++) {
        (void)snprintf(name, sizeof name, "%02d", (i * 37) % 100);
        ck_assert_int_eq(local_get(l, TEXT("spoken"), text_of(name), &got), 0);
    }
    ck_assert_int_eq(local_get(l, TEXT("ledger"), TEXT("old"), &got), 0);
    (void)local_close(l);
}
END_TEST

START_TEST(any_bytes_are_kept_as_they_are) {
    static const text odd = {"\0\xFF'; DROP TABLE document; --\0", 29};
    local *l = open_it();
    CLEANUP(buf_release) buf got = BUF(1024);
    ck_assert_int_eq(local_put(l, odd, odd, odd), 0);
    ck_assert_int_eq(local_get(l, odd, odd, &got), 0);
    ck_assert(text_equal(buf_text(&got), odd));
    (void)local_close(l);
}
END_TEST

START_TEST(when_there_are_too_many_the_oldest_receipt_makes_room_and_no_answer_does) {
    heard h = {0}, full = {0};
    local *l = open_it();
    ck_assert_uint_eq(l->most, LOCAL_MAIL_MAX);
    l->most = 4;
    put_letter(l, "A", "1", true, 1);
    put_letter(l, "a", "1", false, 1);
    put_letter(l, "b", "1", false, 1);
    put_letter(l, "B", "1", true, 1);
    put_letter(l, "C", "1", true, 1);
    put_letter(l, "c", "1", false, 1);
    ck_assert_int_eq(local_read_mail(l, 10, hear, &h), 0);
    ck_assert_str_eq(h.said, "A=1! B=1! C=1! c=1 ");
    put_letter(l, "D", "1", true, 1);
    ck_assert_int_eq(local_put_mail(l, TEXT("E"), TEXT("1"), true, 1), -ENOSPC);
    ck_assert_int_eq(local_put_mail(l, TEXT("e"), TEXT("1"), false, 1), -ENOSPC);
    ck_assert_uint_eq(local_mail_count(l), 4);
    ck_assert_int_eq(local_read_mail(l, 10, hear, &full), 0);
    ck_assert_str_eq(full.said, "A=1! B=1! C=1! D=1! ");
    l->most = 5; /* what was refused was not seen: its sender tries again */
    put_letter(l, "E", "1", true, 1);
    ck_assert_uint_eq(local_mail_count(l), 5);
    (void)local_close(l);
}
END_TEST

START_TEST(others_cannot_read_the_file) {
    struct stat s;
    static const char *const tails[] = {"", "-wal", "-shm"};
    char path[160];
    local *l = open_it();
    put_letter(l, "a", "1", false, 1);
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        (void)snprintf(path, sizeof path, "%s%s", file, tails[i]);
        ck_assert_int_eq(stat(path, &s), 0);
        ck_assert_uint_eq(s.st_mode & 0777, 0600);
    }
    (void)local_close(l);
}
END_TEST

static void overwrite(off_t at, size_t len) {
    int fd = open(file, O_RDWR);
    ck_assert_int_ge(fd, 0);
    for (size_t i = 0; i < len; i++)
        ck_assert_int_eq((int)pwrite(fd, "\xA5", 1, at + (off_t)i), 1);
    (void)close(fd);
}

START_TEST(a_damaged_file_is_set_aside_and_a_new_one_begun) {
    static const struct {
        off_t at;
        size_t len;
    } rows[] = {{0, 100}, {4096 * 2, 4096}, {0, 65536}};
    char why[LOCAL_WHY_MAX], body[3000];
    heard h = {0};
    local *l = open_it();
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    put_letter(l, "a", body, false, 1);
    put_letter(l, "b", body, false, 1);
    (void)local_close(l);
    overwrite(rows[_i].at, rows[_i].len);
    ck_assert_int_eq(local_open(folder, "gw1", &l, why), 0);
    ck_assert_msg(strstr(why, "damaged"), "%s", why);
    ck_assert_uint_eq(local_mail_count(l), 0);
    put_letter(l, "a", "1", false, 1);
    (void)local_close(l);
    l = open_it();
    ck_assert_int_eq(local_read_mail(l, 10, hear, &h), 0);
    ck_assert_str_eq(h.said, "a=1 ");
    (void)local_close(l);
}
END_TEST

START_TEST(a_folder_that_is_not_to_be_had_is_named) {
    local *l = NULL;
    char why[LOCAL_WHY_MAX];
    ck_assert_int_lt(local_open("/proc/nowhere/at-all", "gw1", &l, why), 0);
    ck_assert_msg(strstr(why, "/proc/nowhere/at-all"), "%s", why);
    ck_assert_int_eq(mkdir(file, 0700), 0);
    ck_assert_int_lt(local_open(folder, "gw1", &l, why), 0);
    ck_assert_msg(strstr(why, file), "%s", why);
    ck_assert_ptr_null(l);
}
END_TEST

/* ---- kill -9 ---- */

/* Puts for ever, and says through the pipe what returned 0. */
static void put_for_ever(int to) {
    char why[LOCAL_WHY_MAX], key[24];
    local *l = NULL;
    if (local_open(folder, "gw1", &l, why) < 0)
        _exit(1);
    uint32_t first = (uint32_t)local_mail_count(l);
    for (uint32_t i = first;; i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        if (local_put(l, TEXT("ledger"), text_of(key), text_of(key)) < 0 ||
            local_put_mail(l, text_of(key), text_of(key), false, 1) < 0 ||
            write(to, &i, sizeof i) != (ssize_t)sizeof i)
            _exit(2);
    }
}

START_TEST(whoever_is_killed_between_puts_has_kept_all_that_returned_zero) {
    long last = -1;
    srandom(7);
    for (int round = 0; round < 12; round++) {
        int ends[2];
        uint32_t said = 0;
        ck_assert_int_eq(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0)
            put_for_ever(ends[1]);
        (void)close(ends[1]);
        long wanted = 1 + random() % 20;
        for (long i = 0; i < wanted; i++) {
            ck_assert_int_eq((int)read(ends[0], &said, sizeof said), (int)sizeof said);
            last = (long)said;
        }
        (void)usleep((useconds_t)(random() % 3000));
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        while (read(ends[0], &said, sizeof said) == (ssize_t)sizeof said)
            last = (long)said;
        (void)close(ends[0]);

        CLEANUP(buf_release) buf body = BUF(64);
        char key[24];
        local *l = open_it();
        ck_assert_uint_ge(local_mail_count(l), (size_t)last + 1);
        for (long i = 0; i <= last; i++) {
            (void)snprintf(key, sizeof key, "%ld", i);
            buf_clear(&body);
            ck_assert_int_eq(local_get(l, TEXT("ledger"), text_of(key), &body), 0);
            ck_assert_str_eq(body.ptr, key);
        }
        (void)local_close(l);
    }
    ck_assert_int_gt(last, 12);
}
END_TEST

/* ---- threads ---- */

static void *put_some(void *context) {
    local *l = context;
    char key[32];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(key, sizeof key, "%lx-%d", (unsigned long)pthread_self(), i);
        if (local_put_mail(l, text_of(key), TEXT("x"), false, 1) < 0 ||
            local_put(l, TEXT("s"), text_of(key), TEXT("y")) < 0)
            return context;
    }
    return NULL;
}

START_TEST(threads_do_not_mix_their_letters) {
    pthread_t threads[4];
    heard h = {0};
    local *l = open_it();
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_some, l), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *fault = l;
        ck_assert_int_eq(pthread_join(threads[i], &fault), 0);
        ck_assert_ptr_null(fault);
    }
    ck_assert_uint_eq(local_mail_count(l), 160);
    ck_assert_int_eq(local_each(l, TEXT("s"), hear_document, &h), 0);
    ck_assert_uint_eq(h.count, 160);
    (void)local_close(l);
}
END_TEST

typedef struct writer {
    pthread_t thread;
    local *to;
    const char *key;
    int fault;
} writer;

static void *write_one(void *context) {
    writer *w = context;
    w->fault = local_put_mail(w->to, text_of(w->key), TEXT("x"), true, 1);
    return NULL;
}

static size_t waiting(local *l) {
    size_t count = 0;
    (void)pthread_mutex_lock(&l->gate);
    for (const posting *p = l->first; p; p = p->next)
        count++;
    (void)pthread_mutex_unlock(&l->gate);
    return count;
}

/* The disk is slow: what comes meanwhile is one transaction. */
START_TEST(letters_that_are_written_together_are_judged_one_by_one) {
    writer w[] = {{.key = "a"}, {.key = "b"}, {.key = "b"}, {.key = "c"}, {.key = "d"}, {.key = "e"}};
    size_t good = 0, refused = 0;
    heard h = {0};
    local *l = open_it();
    l->most = 4;
    local_lock(l);
    for (size_t i = 0; i < ARRAY_LEN(w); i++) {
        w[i].to = l;
        ck_assert_int_eq(pthread_create(&w[i].thread, NULL, write_one, &w[i]), 0);
        bool begun = false;
        while (i == 0 && !begun) { /* the first is at it, the others gather */
            (void)pthread_mutex_lock(&l->gate);
            begun = l->posting;
            (void)pthread_mutex_unlock(&l->gate);
        }
    }
    while (waiting(l) < ARRAY_LEN(w) - 1)
        (void)usleep(1000);
    local_unlock(l);
    for (size_t i = 0; i < ARRAY_LEN(w); i++) {
        ck_assert_int_eq(pthread_join(w[i].thread, NULL), 0);
        good += w[i].fault == 0;
        refused += w[i].fault == -ENOSPC;
    }
    ck_assert_uint_eq(good, 5); /* a, both b, and two of c, d, e */
    ck_assert_uint_eq(refused, 1);
    ck_assert_uint_eq(local_mail_count(l), 4);
    ck_assert_int_eq(local_read_mail(l, 10, hear, &h), 0);
    ck_assert_uint_eq(h.count, 4);
    l->most = 5; /* what was refused was not seen */
    for (size_t i = 0; i < ARRAY_LEN(w); i++)
        ck_assert_int_eq(local_put_mail(l, text_of(w[i].key), TEXT("x"), true, 1), 0);
    ck_assert_uint_eq(local_mail_count(l), 5);
    (void)local_close(l);
}
END_TEST

Suite *suite_local(void) {
    Suite *s = suite_create("local");
    TCase *c = tcase_create("local");
    tcase_add_checked_fixture(c, make_folder, drop_folder);
    tcase_add_test(c, letters_come_in_their_order_and_answers_first);
    tcase_add_test(c, a_letter_that_was_said_within_a_day_is_the_same_letter);
    tcase_add_test(c, what_was_dropped_is_gone_and_the_rest_is_not);
    tcase_add_test(c, whoever_waits_is_woken_by_a_letter_and_by_those_that_are_left);
    tcase_add_test(c, documents_are_replaced_found_by_name_and_dropped);
    tcase_add_test(c, of_what_calls_said_the_newest_are_kept);
    tcase_add_test(c, any_bytes_are_kept_as_they_are);
    tcase_add_test(c, when_there_are_too_many_the_oldest_receipt_makes_room_and_no_answer_does);
    tcase_add_test(c, others_cannot_read_the_file);
    tcase_add_loop_test(c, a_damaged_file_is_set_aside_and_a_new_one_begun, 0, 3);
    tcase_add_test(c, a_folder_that_is_not_to_be_had_is_named);
    tcase_add_test(c, whoever_is_killed_between_puts_has_kept_all_that_returned_zero);
    tcase_add_test(c, threads_do_not_mix_their_letters);
    tcase_add_test(c, letters_that_are_written_together_are_judged_one_by_one);
    suite_add_tcase(s, c);
    return s;
}
