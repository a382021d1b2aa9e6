#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gateway/edge/backlog_inside.h"

#define T0 (INT64_C(1800000000) * INSTANT_SECOND)

static char folder[64], file[160], said[4096];
static _Atomic int wakes;

static void make_folder(void) {
    (void)snprintf(folder, sizeof folder, "/tmp/mayday-backlog-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(file, sizeof file, "%s/backlog-gw1.db", folder);
    said[0] = '\0';
}

static void drop_folder(void) {
    pid_t child = fork();
    if (child == 0) {
        (void)execlp("rm", "rm", "-rf", folder, (char *)NULL);
        _exit(1);
    }
    (void)waitpid(child, NULL, 0);
}

static void wake(void *context) {
    (void)context;
    wakes++;
}

static void tell(void *context, bool error, const char *line) {
    (void)context;
    (void)error;
    size_t len = strlen(said);
    (void)snprintf(said + len, sizeof said - len, "%s\n", line);
}

static backlog *open_with(int64_t max_bytes) {
    backlog *b = NULL;
    backlog_options o = {
        .state_dir = folder, .gateway = "gw1", .max_bytes = max_bytes, .wake = wake, .tell = tell};
    ck_assert_int_eq(backlog_open(&o, &b), 0);
    return b;
}

static backlog *open_it(void) {
    return open_with(INT64_C(1) << 30);
}

static sample *new_sample(int n, bool alarm) {
    char body[64];
    (void)snprintf(body, sizeof body, ",\"hr\":%d}", n);
    sample *s = sample_new(TEXT("acme"), TEXT("user/ann/vitals"), text_of(body));
    uint8_t noise[10] = {0};
    ck_assert_ptr_nonnull(s);
    memcpy(noise, &n, sizeof n);
    uuid id = uuid7_make(T0 / 1000, noise);
    uuid_format(&id, s->id);
    s->at = T0 + n * INSTANT_SECOND;
    s->alarm = alarm;
    s->ours = n % 2 == 0;
    return s;
}

static void put(backlog *b, int n, bool alarm) {
    backlog_put(b, new_sample(n, alarm));
}

static int number_of(const sample *s) {
    return (int)((s->at - T0) / INSTANT_SECOND);
}

static void nap(void) {
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static backlog_figures look(backlog *b) {
    backlog_figures f;
    backlog_look(b, &f);
    return f;
}

static void wait_for_disk(backlog *b, uint64_t samples) {
    for (int i = 0; i < 1000 && look(b).disk != samples; i++)
        nap();
    ck_assert_uint_eq(look(b).disk, samples);
}

/* Takes all of the disk in batches, and ends each as `fate` says. Returns how many. */
static size_t drain(backlog *b, int *numbers, size_t most, sample_fate fate) {
    sample *some[7];
    size_t total = 0, count;
    while ((count = backlog_old(b, some, 7)) > 0)
        for (size_t i = 0; i < count; i++) {
            ck_assert_uint_lt(total, most);
            ck_assert(some[i]->waited);
            numbers[total++] = number_of(some[i]);
            backlog_done(b, some[i], fate);
        }
    return total;
}

START_TEST(what_the_broker_takes_at_once_never_touches_the_disk) {
    backlog *b = open_it();
    sample *some[8];
    int before = wakes;
    put(b, 1, false);
    put(b, 2, false);
    ck_assert_int_eq(wakes - before, 2);
    ck_assert_uint_eq(backlog_live(b, some, 8), 2);
    ck_assert_int_eq(number_of(some[0]), 1);
    ck_assert(text_equal(some[0]->topic, TEXT("user/ann/vitals")) && !some[0]->waited);
    ck_assert_uint_eq(backlog_live(b, some + 2, 6), 0); /* they are on their way */
    backlog_done(b, some[0], FATE_SENT);
    backlog_done(b, some[1], FATE_SENT);
    ck_assert_uint_eq(look(b).memory, 0);
    b = backlog_close(b);
    b = open_it();
    ck_assert_uint_eq(look(b).disk, 0);
    (void)backlog_close(b);
}
END_TEST

START_TEST(what_is_not_taken_is_on_disk_within_a_second_and_comes_in_order_alarms_first) {
    int numbers[100];
    backlog *b = open_it();
    for (int i = 1; i <= 40; i++)
        put(b, i, i == 20 || i == 30);
    wait_for_disk(b, 40);
    ck_assert_uint_eq(look(b).memory, 0);
    ck_assert_uint_eq(drain(b, numbers, 100, FATE_SENT), 40);
    ck_assert_int_eq(numbers[0], 20);
    ck_assert_int_eq(numbers[1], 30);
    for (int i = 2; i < 40; i++)
        ck_assert_int_eq(numbers[i], i - 1 + (i > 20 ? i > 29 ? 2 : 1 : 0));
    wait_for_disk(b, 0);
    (void)backlog_close(b);
}
END_TEST

START_TEST(live_samples_are_handed_out_alarms_first) {
    backlog *b = open_it();
    sample *some[4];
    put(b, 1, false);
    put(b, 2, true);
    ck_assert_uint_eq(backlog_live(b, some, 1), 1);
    ck_assert_int_eq(number_of(some[0]), 2);
    (void)backlog_close(b);
}
END_TEST

START_TEST(what_was_on_its_way_and_is_not_sent_waits_and_what_was_sent_while_it_was_written_does_not) {
    int numbers[8];
    sample *some[4];
    backlog *b = open_it();
    put(b, 1, false);
    put(b, 2, false);
    ck_assert_uint_eq(backlog_live(b, some, 4), 2);
    wait_for_disk(b, 2); /* so long it took */
    backlog_done(b, some[0], FATE_SENT);
    backlog_done(b, some[1], FATE_UNSENT);
    ck_assert_uint_eq(look(b).memory, 0);
    ck_assert_uint_eq(drain(b, numbers, 8, FATE_SENT), 1);
    ck_assert_int_eq(numbers[0], 2);
    wait_for_disk(b, 0);
    (void)backlog_close(b);
}
END_TEST

START_TEST(a_batch_that_did_not_get_through_comes_again_in_order) {
    int numbers[100];
    sample *some[10];
    backlog *b = open_it();
    for (int i = 1; i <= 20; i++)
        put(b, i, false);
    wait_for_disk(b, 20);
    ck_assert_uint_eq(backlog_old(b, some, 10), 10);
    for (int i = 0; i < 10; i++)
        backlog_done(b, some[i], i < 5 ? FATE_SENT : FATE_UNSENT);
    ck_assert_uint_eq(drain(b, numbers, 100, FATE_SENT), 15);
    for (int i = 0; i < 15; i++)
        ck_assert_int_eq(numbers[i], i + 6);
    (void)backlog_close(b);
}
END_TEST

START_TEST(what_nobody_takes_now_lets_those_behind_it_pass_and_comes_in_another_round) {
    int numbers[8];
    sample *some[4];
    backlog *b = open_it();
    for (int i = 1; i <= 4; i++)
        put(b, i, false);
    wait_for_disk(b, 4);
    ck_assert_uint_eq(backlog_old(b, some, 2), 2);
    backlog_done(b, some[0], FATE_LATER);
    backlog_done(b, some[1], FATE_LATER);
    ck_assert_uint_eq(backlog_old(b, some, 2), 2);
    ck_assert_int_eq(number_of(some[0]), 3);
    backlog_done(b, some[0], FATE_SENT);
    backlog_done(b, some[1], FATE_SENT);
    ck_assert_uint_eq(backlog_old(b, some, 2), 0); /* the round is over */
    ck_assert_uint_eq(drain(b, numbers, 8, FATE_SENT), 2);
    ck_assert_int_eq(numbers[0], 1);
    (void)backlog_close(b);
}
END_TEST

START_TEST(what_the_broker_refuses_goes_behind_all_others_and_is_given_up_at_last) {
    sample *some[4];
    backlog *b = open_it();
    put(b, 1, false);
    put(b, 2, false);
    wait_for_disk(b, 2);
    ck_assert_uint_eq(backlog_old(b, some, 1), 1);
    backlog_done(b, some[0], FATE_REFUSED);
    ck_assert_uint_eq(backlog_old(b, some, 4), 2);
    ck_assert_int_eq(number_of(some[0]), 2);
    ck_assert_int_eq(number_of(some[1]), 1);
    ck_assert_uint_eq(some[1]->tries, 1);
    backlog_done(b, some[0], FATE_SENT);
    backlog_done(b, some[1], FATE_REFUSED);
    for (unsigned tries = 2; tries < BACKLOG_TRIES_MAX; tries++) {
        ck_assert_uint_eq(backlog_old(b, some, 4), 1);
        ck_assert_uint_eq(some[0]->tries, tries);
        backlog_done(b, some[0], FATE_REFUSED);
    }
    ck_assert_uint_eq(backlog_old(b, some, 4), 0);
    ck_assert_uint_eq(look(b).given_up, 1);
    wait_for_disk(b, 0);
    (void)backlog_close(b);
}
END_TEST

START_TEST(what_was_live_and_refused_is_not_offered_at_once_again) {
    sample *some[4];
    backlog *b = open_it();
    put(b, 1, false);
    ck_assert_uint_eq(backlog_live(b, some, 4), 1);
    backlog_done(b, some[0], FATE_REFUSED);
    ck_assert_uint_eq(backlog_live(b, some, 4), 0);
    wait_for_disk(b, 1);
    ck_assert_uint_eq(backlog_old(b, some, 4), 1);
    ck_assert_uint_eq(some[0]->tries, 1);
    (void)backlog_close(b);
}
END_TEST

START_TEST(what_waits_survives_a_killed_process) {
    int numbers[100];
    int ready[2];
    char one;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        backlog *b = open_it();
        for (int i = 1; i <= 50; i++)
            put(b, i, i == 7);
        wait_for_disk(b, 50);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        (void)pause();
        _exit(1);
    }
    ck_assert_int_eq(read(ready[0], &one, 1), 1);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    (void)close(ready[0]);
    (void)close(ready[1]);
    backlog *b = open_it();
    ck_assert_str_eq(said, "");
    ck_assert_uint_eq(drain(b, numbers, 100, FATE_SENT), 50);
    ck_assert_int_eq(numbers[0], 7);
    ck_assert_int_gt(backlog_before(b), 0);
    (void)backlog_close(b);
}
END_TEST

START_TEST(closing_writes_what_is_in_memory_also_what_is_on_its_way) {
    int numbers[8];
    sample *some[4];
    backlog *b = open_it();
    put(b, 1, false);
    ck_assert_uint_eq(backlog_live(b, some, 4), 1);
    put(b, 2, false);
    (void)backlog_close(b);
    b = open_it();
    ck_assert_uint_eq(drain(b, numbers, 8, FATE_SENT), 2);
    (void)backlog_close(b);
}
END_TEST

START_TEST(without_room_the_oldest_part_grows_coarse_and_alarms_and_the_newest_stay) {
    enum {
        COUNT = 24000
    };
    static int numbers[COUNT];
    static bool there[COUNT + 1];
    size_t of_quarter[4] = {0}, alarms = 0;
    memset(there, 0, sizeof there);
    backlog *b = open_with(1 << 20);
    for (int i = 1; i <= COUNT; i++) {
        put(b, i, i % 1000 == 0);
        if (i % 2000 == 0)
            for (int k = 0; k < 500 && look(b).memory > 1000; k++)
                nap();
    }
    for (int i = 0; i < 1000 && (look(b).memory || look(b).bytes > 1 << 20); i++)
        nap();
    backlog_figures f = look(b);
    ck_assert_uint_gt(f.thinned, 0);
    ck_assert_uint_le(f.bytes, 1 << 20);
    size_t count = drain(b, numbers, COUNT, FATE_SENT);
    ck_assert_uint_eq(count + f.thinned, COUNT);
    for (size_t i = 0; i < count; i++) {
        there[numbers[i]] = true;
        of_quarter[(numbers[i] - 1) / (COUNT / 4)]++;
        alarms += numbers[i] % 1000 == 0;
    }
    ck_assert_uint_eq(alarms, COUNT / 1000);
    ck_assert_uint_eq(of_quarter[3], COUNT / 4); /* the newest is whole */
    ck_assert_uint_lt(of_quarter[0], COUNT / 8);
    ck_assert_uint_gt(of_quarter[0], 10); /* and the oldest is not gone */
    ck_assert_uint_le(of_quarter[0], of_quarter[1]);
    (void)backlog_close(b);
}
END_TEST

START_TEST(what_our_clock_timed_moves_when_it_is_set_and_what_devices_timed_does_not) {
    sample *some[8];
    backlog *b = open_it();
    put(b, 1, false);
    put(b, 2, false); /* ours */
    wait_for_disk(b, 2);
    put(b, 4, false); /* ours, in memory */
    backlog_shift(b, 1000 * INSTANT_SECOND);
    ck_assert_uint_eq(backlog_live(b, some, 8), 1);
    ck_assert_int_eq(number_of(some[0]), 1004);
    backlog_done(b, some[0], FATE_SENT);
    ck_assert_uint_eq(backlog_old(b, some, 8), 2);
    ck_assert_int_eq(number_of(some[0]), 1);
    ck_assert_int_eq(number_of(some[1]), 1002);
    (void)backlog_close(b);
}
END_TEST

START_TEST(a_clock_that_is_set_again_and_again_moves_each_by_what_came_after_it) {
    sample *some[8];
    backlog *b = open_it();
    put(b, 2, false);
    put(b, 4, false);
    wait_for_disk(b, 2);
    backlog_shift(b, 1000 * INSTANT_SECOND);
    put(b, 6, false);
    wait_for_disk(b, 3);
    backlog_shift(b, 50 * INSTANT_SECOND);
    ck_assert_uint_eq(backlog_old(b, some, 1), 1);
    ck_assert_int_eq(number_of(some[0]), 1052);
    backlog_done(b, some[0], FATE_REFUSED); /* behind the others, with the time it has by now */
    backlog_shift(b, -INSTANT_SECOND);
    put(b, 8, false);
    wait_for_disk(b, 4);
    ck_assert_uint_eq(backlog_old(b, some, 8), 4);
    ck_assert_int_eq(number_of(some[0]), 1053);
    ck_assert_int_eq(number_of(some[1]), 55);
    ck_assert_int_eq(number_of(some[2]), 1051);
    ck_assert_int_eq(number_of(some[3]), 8);
    for (int i = 0; i < 4; i++)
        backlog_done(b, some[i], FATE_SENT);
    wait_for_disk(b, 0);
    put(b, 10, false);
    wait_for_disk(b, 1);
    ck_assert_uint_eq(backlog_old(b, some, 8), 1);
    ck_assert_int_eq(number_of(some[0]), 10);
    (void)backlog_close(b);
}
END_TEST

START_TEST(a_damaged_file_is_set_aside_and_told) {
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_eq(write(fd, "no database, but long enough to be taken for one, surely", 56), 56);
    (void)close(fd);
    backlog *b = open_it();
    ck_assert_msg(strstr(said, "set aside"), "%s", said);
    put(b, 1, false);
    wait_for_disk(b, 1);
    (void)backlog_close(b);
}
END_TEST

START_TEST(without_a_file_it_goes_on_in_memory_within_bounds) {
    sample *some[4];
    (void)snprintf(folder, sizeof folder, "/tmp/mayday-not-there");
    backlog *b = open_it();
    ck_assert_msg(strstr(said, "memory alone"), "%s", said);
    for (int i = 1; i <= 3 * BACKLOG_MEMORY_MAX; i++)
        put(b, i, i == 1);
    backlog_figures f = look(b);
    ck_assert(f.full);
    ck_assert_uint_le(f.memory, BACKLOG_MEMORY_MAX);
    ck_assert_uint_eq(f.memory + f.thinned, 3 * BACKLOG_MEMORY_MAX);
    ck_assert_uint_eq(backlog_live(b, some, 4), 4);
    ck_assert_int_eq(number_of(some[0]), 1); /* the alarm */
    (void)backlog_close(b);
}
END_TEST

START_TEST(a_file_only_its_owner_can_read) {
    struct stat at;
    backlog *b = open_it();
    ck_assert_int_eq(stat(file, &at), 0);
    ck_assert_int_eq(at.st_mode & 077, 0);
    (void)backlog_close(b);
}
END_TEST

START_TEST(an_alarm_that_is_refused_waits_behind_the_rest_and_is_never_given_up) {
    sample *some[4];
    backlog *b = open_it();
    put(b, 1, true);
    put(b, 2, false);
    wait_for_disk(b, 2);
    ck_assert_uint_eq(backlog_old(b, some, 1), 1);
    ck_assert_int_eq(number_of(some[0]), 1);
    backlog_done(b, some[0], FATE_REFUSED);
    ck_assert_uint_eq(backlog_old(b, some, 4), 2); /* no longer in front */
    ck_assert_int_eq(number_of(some[0]), 2);
    backlog_done(b, some[0], FATE_SENT);
    backlog_done(b, some[1], FATE_UNSENT);
    for (unsigned tries = 1; tries < 2 * BACKLOG_TRIES_MAX; tries++) {
        ck_assert_uint_eq(backlog_old(b, some, 4), 1);
        ck_assert(some[0]->alarm && some[0]->tries == tries);
        backlog_done(b, some[0], FATE_REFUSED);
    }
    ck_assert_uint_eq(look(b).given_up, 0);
    ck_assert_uint_eq(backlog_old(b, some, 4), 1);
    backlog_done(b, some[0], FATE_SENT);
    wait_for_disk(b, 0);
    (void)backlog_close(b);
}
END_TEST

static int64_t id_ms(const sample *s) {
    uuid id;
    ck_assert_int_eq(uuid_parse(text_of(s->id), &id), 0);
    return uuid7_unix_ms(&id);
}

START_TEST(an_id_made_by_a_wrong_clock_moves_with_its_sample) {
    sample *some[4];
    char before[UUID_TEXT_LEN + 1];
    const int64_t years = INT64_C(4) * 365 * 86400 * INSTANT_SECOND;
    backlog *b = open_it();
    put(b, 2, false); /* ours */
    put(b, 3, false);
    wait_for_disk(b, 2);
    put(b, 4, false);
    ck_assert_uint_eq(backlog_live(b, some, 4), 1);
    memcpy(before, some[0]->id, sizeof before);
    backlog_shift(b, -years);
    ck_assert_str_eq(some[0]->id, before); /* it may be being spelled */
    backlog_done(b, some[0], FATE_UNSENT);
    put(b, 6, false);
    backlog_shift(b, -INSTANT_SECOND); /* so little needs no other id */
    ck_assert_uint_eq(backlog_live(b, some, 4), 2);
    ck_assert_int_eq(some[0]->at, T0 + 3 * INSTANT_SECOND - years);
    ck_assert_int_eq(id_ms(some[0]), (T0 + 4 * INSTANT_SECOND - years) / 1000);
    ck_assert_str_eq(some[0]->id + 14, before + 14); /* as unique as it was */
    ck_assert_int_eq(id_ms(some[1]), T0 / 1000);
    backlog_done(b, some[0], FATE_SENT);
    backlog_done(b, some[1], FATE_SENT);
    ck_assert_uint_eq(backlog_old(b, some, 4), 2);
    ck_assert_int_eq(id_ms(some[0]), some[0]->at / 1000);
    ck_assert_int_eq(id_ms(some[1]), T0 / 1000); /* the device's own time, and a right one */
    (void)backlog_close(b);
}
END_TEST

START_TEST(what_is_on_its_way_while_the_clock_is_set_moves_before_it_comes_again) {
    sample *some[4];
    backlog *b = open_it();
    put(b, 2, false);
    ck_assert_uint_eq(backlog_live(b, some, 4), 1);
    backlog_shift(b, 1000 * INSTANT_SECOND);
    ck_assert_int_eq(number_of(some[0]), 2);
    wait_for_disk(b, 1); /* it was written meanwhile */
    backlog_done(b, some[0], FATE_UNSENT);
    ck_assert_uint_eq(backlog_old(b, some, 4), 1);
    ck_assert_int_eq(number_of(some[0]), 1002);
    (void)backlog_close(b);
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_is_tried_again) {
    int numbers[8];
    char away[96];
    (void)snprintf(away, sizeof away, "%s/later", folder);
    backlog *b = NULL;
    backlog_options o = {
        .state_dir = away, .gateway = "gw1", .max_bytes = 1 << 20, .wake = wake, .tell = tell};
    ck_assert_int_eq(backlog_open(&o, &b), 0);
    put(b, 1, false);
    ck_assert(look(b).full);
    ck_assert_int_eq(mkdir(away, 0700), 0);
    wait_for_disk(b, 1);
    ck_assert(!look(b).full);
    ck_assert_msg(strstr(said, "open now"), "%s", said);
    ck_assert_uint_eq(drain(b, numbers, 8, FATE_SENT), 1);
    (void)backlog_close(b);
}
END_TEST

Suite *suite_backlog(void) {
    Suite *s = suite_create("backlog");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, make_folder, drop_folder);
    tcase_add_test(c, what_the_broker_takes_at_once_never_touches_the_disk);
    tcase_add_test(c, what_is_not_taken_is_on_disk_within_a_second_and_comes_in_order_alarms_first);
    tcase_add_test(c, live_samples_are_handed_out_alarms_first);
    tcase_add_test(c,
                   what_was_on_its_way_and_is_not_sent_waits_and_what_was_sent_while_it_was_written_does_not);
    tcase_add_test(c, a_batch_that_did_not_get_through_comes_again_in_order);
    tcase_add_test(c, what_nobody_takes_now_lets_those_behind_it_pass_and_comes_in_another_round);
    tcase_add_test(c, what_the_broker_refuses_goes_behind_all_others_and_is_given_up_at_last);
    tcase_add_test(c, what_was_live_and_refused_is_not_offered_at_once_again);
    tcase_add_test(c, what_waits_survives_a_killed_process);
    tcase_add_test(c, closing_writes_what_is_in_memory_also_what_is_on_its_way);
    tcase_add_test(c, without_room_the_oldest_part_grows_coarse_and_alarms_and_the_newest_stay);
    tcase_add_test(c, what_our_clock_timed_moves_when_it_is_set_and_what_devices_timed_does_not);
    tcase_add_test(c, a_clock_that_is_set_again_and_again_moves_each_by_what_came_after_it);
    tcase_add_test(c, a_damaged_file_is_set_aside_and_told);
    tcase_add_test(c, without_a_file_it_goes_on_in_memory_within_bounds);
    tcase_add_test(c, a_file_only_its_owner_can_read);
    tcase_add_test(c, an_alarm_that_is_refused_waits_behind_the_rest_and_is_never_given_up);
    tcase_add_test(c, an_id_made_by_a_wrong_clock_moves_with_its_sample);
    tcase_add_test(c, what_is_on_its_way_while_the_clock_is_set_moves_before_it_comes_again);
    tcase_add_test(c, a_file_that_cannot_be_opened_is_tried_again);
    suite_add_tcase(s, c);
    return s;
}
