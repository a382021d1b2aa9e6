#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "store/batch.h"
#include "store/ledger.h"
#include "store/results.h"
#include "store/writer.h"
#include "support/heap.h"

enum {
    SEGMENT = 64 << 10,
    TRIES = 500
};

static char dir[64];

static void make_dir(void) {
    (void)snprintf(dir, sizeof dir, "/tmp/mayday-heap-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void) {
    DIR *folder = opendir(dir);
    for (struct dirent *e; (e = readdir(folder));)
        (void)unlinkat(dirfd(folder), e->d_name, 0);
    closedir(folder);
    ck_assert_int_eq(rmdir(dir), 0);
}

static record record_of(const char *topic, const char *payload) {
    return (record){
        .received_at = 1795000000123456,
        .org = TEXT("acme"),
        .sender = TEXT("ann"),
        .client = TEXT("ann:watch"),
        .roles = TEXT("member"),
        .topic = text_of(topic),
        .payload = text_of(payload),
    };
}

START_TEST(a_record_is_encoded_whole_or_not) {
    CLEANUP(buf_release) buf whole = BUF(4096);
    record r = record_of("mayday/v1/acme/user/ann/location", "{\"v\":1}"), back;
    record_encode(&r, &whole);
    ck_assert_int_eq(buf_failed(&whole), 0);
    for (long n = 0;; n++) {
        CLEANUP(buf_release) buf b = BUF(4096);
        heap_allow(n);
        record_encode(&r, &b);
        if (heap_allow_all() == 0) {
            ck_assert(text_equal(buf_text(&b), buf_text(&whole)));
            ck_assert_int_gt(n, 1);
            break;
        }
        ck_assert_int_eq(buf_failed(&b), -ENOMEM);
        ck_assert_int_eq(record_decode(buf_text(&b), &back), -EBADMSG);
    }
}
END_TEST

/* the ledger */

static int hear(void *context, text key, text value) {
    buf *heard = context;
    buf_printf(heard, "%.*s=%.*s;", (int)key.len, key.ptr, (int)value.len, value.ptr ? value.ptr : "");
    return 0;
}

static int emit(void *context, ledger *fresh) {
    (void)context;
    int fault = ledger_put(fresh, TEXT("c"), TEXT("3"), false);
    return fault < 0 ? fault : ledger_put(fresh, TEXT("d"), TEXT("4"), false);
}

/* Opens as often as it takes, with one more allocation each time. */
static ledger *open_ledger(buf *heard, const char *wanted) {
    char path[96];
    ledger *l = NULL;
    ledger_report report;
    int fault = -ENOMEM;
    (void)snprintf(path, sizeof path, "%s/ledger", dir);
    for (long n = 0; fault == -ENOMEM && n < TRIES; n++) {
        buf_clear(heard);
        heap_allow(n);
        fault = ledger_open(path, hear, heard, &l, &report);
        (void)heap_allow_all();
        ck_assert((fault == 0) == (l != NULL));
    }
    ck_assert_int_eq(fault, 0);
    ck_assert_str_eq(heard->ptr ? heard->ptr : "", wanted);
    return l;
}

START_TEST(a_ledger_that_finds_no_memory_forgets_nothing) {
    CLEANUP(buf_release) buf heard = BUF(4096);
    buf_add_text(&heard, TEXT("room for what is heard, so that hearing needs no memory"));
    ledger *l = open_ledger(&heard, "");
    ck_assert_int_eq(ledger_put(l, TEXT("a"), TEXT("1"), false), 0);
    (void)ledger_close(l);
    l = open_ledger(&heard, "a=1;");
    heap_allow(0);
    int fault = ledger_put(l, TEXT("b"), TEXT("2"), true);
    (void)heap_allow_all();
    ck_assert_int_eq(fault, -ENOMEM);
    ck_assert_int_eq(ledger_put(l, TEXT("b"), TEXT("2"), true), 0);
    (void)ledger_close(l);
    l = open_ledger(&heard, "a=1;b=2;");
    fault = -ENOMEM;
    long failures = 0;
    for (; fault == -ENOMEM && failures < TRIES; failures++) {
        heap_allow(failures);
        fault = ledger_rewrite(l, emit, NULL);
        (void)heap_allow_all();
        if (fault == -ENOMEM)
            (void)ledger_close(open_ledger(&heard, "a=1;b=2;"));
    }
    ck_assert_int_eq(fault, 0);
    ck_assert_int_gt(failures, 2);
    (void)ledger_close(l);
    (void)ledger_close(open_ledger(&heard, "c=3;d=4;"));
}
END_TEST

/* the journal */

static journal_options options_of(uint64_t segments) {
    return (journal_options){
        .dir = dir, .segment_size = SEGMENT, .max_size = segments * SEGMENT, .min_free = 0, .flush_ms = 5};
}

static journal *open_journal(long *ret_failures) {
    journal_options options = options_of(64);
    journal *j = NULL;
    journal_report report;
    int fault = -ENOMEM;
    long n = 0;
    for (; fault == -ENOMEM && n < TRIES; n++) {
        char why[JOURNAL_WHY_MAX] = "";
        heap_allow(n);
        fault = journal_open(&options, &j, &report, why);
        (void)heap_allow_all();
        ck_assert_msg(fault == 0 ? j != NULL : fault == -ENOMEM && !j && why[0], "%ld: %d %s", n, fault, why);
    }
    ck_assert_int_eq(fault, 0);
    *ret_failures = n;
    return j;
}

static text body_of(int i, char space[600]) {
    memset(space, '-', 600);
    int len = snprintf(space, 600, "record %d", i);
    space[len] = ' ';
    return (text){space, 100 + (size_t)(i * 37 % 500)};
}

/* Reads everything; each step is first tried without memory. */
static int read_all(journal *j, int expected) {
    journal_reader *r = NULL;
    heap_allow(0);
    int fault = journal_reader_open(j, 0, &r), starved = 0;
    (void)heap_allow_all();
    ck_assert_int_eq(fault, -ENOMEM);
    ck_assert_int_eq(journal_reader_open(j, 0, &r), 0);
    for (int i = 0; i < expected; i++) {
        char space[600];
        journal_entry entry;
        heap_allow(0);
        int step = journal_read(r, &entry);
        (void)heap_allow_all();
        if (step == -ENOMEM) {
            starved++;
            step = journal_read(r, &entry);
        }
        ck_assert_int_eq(step, 1);
        ck_assert_msg(text_equal(entry.body, body_of(i, space)), "wanted %d, got %.20s", i, entry.body.ptr);
    }
    journal_entry none;
    ck_assert_int_eq(journal_read(r, &none), 0);
    (void)journal_reader_free(r);
    return starved;
}

START_TEST(a_journal_is_opened_or_left_as_it_was) {
    int written = 0;
    for (int run = 0; run < 4; run++) { /* each opening finds more segments */
        long failures = 0;
        journal *j = open_journal(&failures);
        ck_assert_int_gt(failures, 5);
        ck_assert_int_gt(read_all(j, written), -1);
        for (int i = 0; i < 300; i++, written++) {
            char space[600];
            uint64_t seq;
            ck_assert_int_eq(journal_append(j, body_of(written, space), JOURNAL_ORDINARY, i % 50 == 0, &seq),
                             0);
        }
        ck_assert_int_gt(read_all(j, written), 0);
        (void)journal_close(j);
    }
}
END_TEST

/* Nobody gets memory for a while, the flusher neither. What was taken is there once, in order; what was not
 * is not. */
START_TEST(appends_without_memory_are_taken_or_refused_and_never_both) {
    enum {
        RECORDS = 6000
    };
    long failures = 0;
    journal *j = open_journal(&failures);
    CLEANUP(journal_reader_freep) journal_reader *r = NULL;
    ck_assert_int_eq(journal_reader_open(j, 0, &r), 0);
    int taken = 0, refused = 0, read = 0;
    for (int i = 0; i < RECORDS; i++) {
        char space[600];
        uint64_t seq;
        bool starve = i / 500 % 2;
        heap_starve_others(starve);
        if (starve)
            heap_allow(0);
        int fault =
            journal_append(j, body_of(taken, space), i % 3 ? JOURNAL_ORDINARY : JOURNAL_URGENT, false, &seq);
        (void)heap_allow_all();
        ck_assert_msg(fault == 0 || fault == -ENOMEM || fault == -ENOSPC, "%d: %s", i, strerror(-fault));
        taken += fault == 0;
        refused += fault < 0;
        for (journal_entry entry; i % 500 == 0 && journal_read(r, &entry) == 1; read++) {
            ck_assert(text_equal(entry.body, body_of(read, space)));
            journal_release(j, entry.seq);
        }
        if (starve && i % 500 == 499) { /* memory is back: the journal finds its way by itself */
            heap_starve_others(false);
            while (journal_append(j, body_of(taken, space), JOURNAL_ORDINARY, false, &seq) < 0)
                usleep(1000);
            taken++;
        }
    }
    heap_starve_others(false);
    for (journal_entry entry; journal_read(r, &entry) == 1; read++) {
        char space[600];
        ck_assert(text_equal(entry.body, body_of(read, space)));
    }
    ck_assert_int_eq(read, taken);
    ck_assert_int_gt(refused, 0);
    r = journal_reader_free(r);
    (void)journal_close(j);
}
END_TEST

/* results */

START_TEST(a_queue_without_memory_loses_log_lines_and_says_so_of_memberships) {
    heap_allow(0);
    results *none = results_new(4);
    (void)heap_allow_all();
    ck_assert_ptr_null(none);
    results *q = results_new(4);
    ck_assert(results_member(q, RESULT_MEMBER_SET, TEXT("acme"), ADDRESS_ROOM, TEXT("r"), TEXT("ann"),
                             RELATION_MEMBER));
    heap_allow(0);
    results_log(q, RESULT_WARNING, "nobody will read %s", "this");
    bool kept = results_member(q, RESULT_MEMBER_SET, TEXT("acme"), ADDRESS_ROOM, TEXT("r"), TEXT("bob"),
                               RELATION_MEMBER);
    (void)heap_allow_all();
    ck_assert(!kept);
    result *r = results_take(q);
    ck_assert(text_equal(r->person, TEXT("ann")));
    free(r);
    ck_assert_ptr_null(results_take(q));
    (void)results_free(q);
}
END_TEST

/* batches */

#define ID(n)                                                                                                \
    "\"v\":1,\"id\":\"01a1fc46-6243-7007-bb85-9a8bb94cbb8" n "\",\"ts\":\"2026-11-21T02:40:00.123Z\""

static const struct {
    const char *topic, *payload;
    batch_fate fate;
} messages[] = {
    {"mayday/v1/acme/user/ann/location", "{" ID("1") ",\"lat\":1,\"lon\":2,\"accuracy\":3}", BATCH_FRESH},
    {"mayday/v1/acme/alert/01a1fc46-6243-7007-bb85-9a8bb94cbb80/raise",
     "{" ID("2") ",\"type\":\"panic\",\"text\":\"help\",\"location\":{\"lat\":1,\"lon\":2}}", BATCH_FRESH},
    {"mayday/v1/acme/room/north/chat",
     "{" ID("3") ",\"text\":\"look\",\"media\":[{\"url\":\"https://x/y\",\"type\":\"image/png\"}]}",
     BATCH_FRESH},
    {"mayday/v1/acme/user/ann/vitals", "{" ID("4") ",\"hr\":72,\"rr_ms\":[810,830.5],\"contact\":true}",
     BATCH_FRESH},
    {"mayday/v1/acme/user/ann/location", "{", BATCH_REFUSED},
    {"mayday/v1/acme/nowhere/ann/at", "{}", BATCH_REFUSED},
};

/* 0, or the fault of the first that found no memory. */
static int add_all(batch *b, const buf encoded[]) {
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        journal_entry entry = {i + 1, buf_text(&encoded[i])};
        int fault = batch_add(b, &entry);
        if (fault < 0)
            return fault;
    }
    return 0;
}

static bool same_lanes(const batch *a, const batch *b) {
    for (size_t i = 0; i < a->lane_count; i++)
        if (!text_equal(buf_text(&a->lanes[i].bytes), buf_text(&b->lanes[i].bytes)) ||
            a->lanes[i].rows != b->lanes[i].rows)
            return false;
    return true;
}

START_TEST(a_batch_is_made_or_not) {
    batch *b = NULL;
    long failures = 0;
    for (; !b && failures < TRIES; failures++) {
        heap_allow(failures);
        b = batch_new(8, "node");
        (void)heap_allow_all();
    }
    ck_assert_ptr_nonnull(b);
    ck_assert_int_gt(failures, 10);
    (void)batch_free(b);
}
END_TEST

START_TEST(a_batch_given_up_for_want_of_memory_is_read_again_to_the_same_rows) {
    buf encoded[ARRAY_LEN(messages)];
    CLEANUP(batch_freep) batch *whole = batch_new(8, "node");
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        record r = record_of(messages[i].topic, messages[i].payload);
        encoded[i] = BUF(4096);
        record_encode(&r, &encoded[i]);
    }
    ck_assert_int_eq(add_all(whole, encoded), 0);
    for (size_t i = 0; i < ARRAY_LEN(messages); i++)
        ck_assert_msg(whole->rows[i].fate == messages[i].fate, "%zu: %s", i, whole->rows[i].why);

    long failures = 0;
    for (bool short_of = true; short_of && failures < TRIES; failures++) {
        CLEANUP(batch_freep) batch *b = batch_new(8, "node"); /* its buffers have to grow again */
        heap_allow(failures);
        int fault = add_all(b, encoded);
        short_of = heap_allow_all() > 0;
        ck_assert(fault == 0 || (fault == -ENOMEM && short_of));
        if (fault == -ENOMEM) {
            batch_clear(b);
            seen_clear(b->seen);
            ck_assert(batch_empty(b));
            ck_assert_int_eq(add_all(b, encoded), 0);
        }
        ck_assert_uint_eq(b->count, ARRAY_LEN(messages));
        ck_assert_uint_eq(b->last_seq, ARRAY_LEN(messages));
        ck_assert(same_lanes(whole, b));
        for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
            ck_assert_int_eq((int)b->rows[i].fate, (int)messages[i].fate);
            ck_assert(text_equal(batch_raw(b, &b->rows[i]), buf_text(&encoded[i])));
        }
    }
    ck_assert_int_gt(failures, 8);
    for (size_t i = 0; i < ARRAY_LEN(messages); i++)
        buf_release(&encoded[i]);
}
END_TEST

START_TEST(a_writer_is_started_or_not) {
    long failures = 0;
    journal *j = open_journal(&failures);
    results *back = results_new(64);
    const writer_options options = {.conninfo = "host=/nonexistent dbname=none",
                                    .node = "node",
                                    .batch_records = 16,
                                    .retry_max_ms = 100,
                                    .partitions_ahead = 1};
    writer *w = NULL;
    int fault = -ENOMEM;
    for (failures = 0; fault == -ENOMEM && failures < TRIES; failures++) {
        heap_allow(failures);
        fault = writer_start(&options, j, back, &w);
        (void)heap_allow_all();
        ck_assert((fault == 0) == (w != NULL));
    }
    ck_assert_int_eq(fault, 0);
    ck_assert_int_gt(failures, 10);
    (void)writer_stop(w, 0);
    (void)results_free(back);
    (void)journal_close(j);
}
END_TEST

Suite *suite_heap(void) {
    Suite *s = suite_create("heap");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, make_dir, remove_dir);
    tcase_add_test(t, a_record_is_encoded_whole_or_not);
    tcase_add_test(t, a_ledger_that_finds_no_memory_forgets_nothing);
    tcase_add_test(t, a_journal_is_opened_or_left_as_it_was);
    tcase_add_test(t, appends_without_memory_are_taken_or_refused_and_never_both);
    tcase_add_test(t, a_queue_without_memory_loses_log_lines_and_says_so_of_memberships);
    tcase_add_test(t, a_batch_is_made_or_not);
    tcase_add_test(t, a_batch_given_up_for_want_of_memory_is_read_again_to_the_same_rows);
    tcase_add_test(t, a_writer_is_started_or_not);
    suite_add_tcase(s, t);
    return s;
}
