#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/conf.h"
#include "store/ledger.h"

static char folder[] = "/tmp/mayday-ledger-XXXXXX";
static char path[64];

static void make_folder(void) {
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/ledger", folder);
}

static void remove_folder(void) {
    unlink(path);
    rmdir(folder);
}

/* What was heard, as "key=value;" and "-key;". */
static int hear(void *context, text key, text value) {
    buf *heard = context;
    if (!value.ptr)
        buf_add_char(heard, '-');
    buf_add_text(heard, key);
    if (value.ptr)
        buf_printf(heard, "=%.*s", (int)value.len, value.ptr);
    buf_add_char(heard, ';');
    return 0;
}

static ledger *reopen(ledger *l, buf *heard, ledger_report *report) {
    (void)ledger_close(l);
    buf_clear(heard);
    l = NULL;
    ck_assert_int_eq(ledger_open(path, hear, heard, &l, report), 0);
    return l;
}

START_TEST(facts_are_played_back_in_order_with_any_bytes) {
    CLEANUP(buf_release) buf heard = BUF(4096);
    ledger_report report;
    ledger *l = reopen(NULL, &heard, &report);
    ck_assert_int_eq(ledger_put(l, TEXT("a"), TEXT("1"), true), 0);
    ck_assert_int_eq(ledger_put(l, TEXT("b c"), TEXT("x\ny"), false), 0);
    ck_assert_int_eq(ledger_drop(l, TEXT("a"), false), 0);
    ck_assert_int_eq(ledger_put(l, TEXT("e"), TEXT(""), false), 0);
    l = reopen(l, &heard, &report);
    ck_assert_str_eq(heard.ptr, "a=1;b c=x\ny;-a;e=;");
    ck_assert_uint_eq(report.damaged, 0);
    (void)ledger_close(l);
}
END_TEST

START_TEST(cut_at_every_byte_it_keeps_every_whole_line_and_goes_on) {
    CLEANUP(buf_release) buf heard = BUF(4096);
    CLEANUP(buf_release) buf whole = BUF(4096);
    ledger_report report;
    ledger *l = reopen(NULL, &heard, &report);
    ck_assert_int_eq(ledger_put(l, TEXT("first"), TEXT("1"), false), 0);
    ck_assert_int_eq(ledger_put(l, TEXT("second"), TEXT("2"), false), 0);
    (void)ledger_close(l);
    ck_assert_int_eq(file_read(path, 4096, &whole), 0);
    size_t first_line = (size_t)(strchr(whole.ptr, '\n') - whole.ptr);
    for (size_t cut = 0; cut < whole.len - 1; cut++) {
        FILE *f = fopen(path, "w");
        ck_assert_uint_eq(fwrite(whole.ptr, 1, cut, f), cut);
        fclose(f);
        l = reopen(NULL, &heard, &report);
        ck_assert_str_eq(buf_text(&heard).ptr, cut < first_line ? "" : "first=1;");
        ck_assert_int_eq(ledger_put(l, TEXT("after"), TEXT("3"), false), 0);
        l = reopen(l, &heard, &report);
        ck_assert_str_eq(heard.ptr, cut < first_line ? "after=3;" : "first=1;after=3;");
        (void)ledger_close(l);
    }
}
END_TEST

START_TEST(a_flipped_bit_costs_one_fact_at_most) {
    CLEANUP(buf_release) buf heard = BUF(4096);
    CLEANUP(buf_release) buf whole = BUF(4096);
    ledger_report report;
    ledger *l = reopen(NULL, &heard, &report);
    for (char key = 'a'; key <= 'd'; key++)
        ck_assert_int_eq(ledger_put(l, (text){&key, 1}, TEXT("value"), false), 0);
    (void)ledger_close(l);
    ck_assert_int_eq(file_read(path, 4096, &whole), 0);
    for (size_t bit = 0; bit < whole.len * 8; bit++) {
        whole.ptr[bit / 8] = (char)(whole.ptr[bit / 8] ^ (1 << (bit % 8)));
        FILE *f = fopen(path, "w");
        ck_assert_uint_eq(fwrite(whole.ptr, 1, whole.len, f), whole.len);
        fclose(f);
        whole.ptr[bit / 8] = (char)(whole.ptr[bit / 8] ^ (1 << (bit % 8)));
        l = reopen(NULL, &heard, &report);
        /* a newline that is hit joins two lines: both may be lost */
        ck_assert_uint_ge(report.facts, 2);
        for (const char *p = heard.ptr; *p; p += 8)
            ck_assert_msg(strncmp(p + 1, "=value;", 7) == 0, "bit %zu: %s", bit, heard.ptr);
        (void)ledger_close(l);
    }
}
END_TEST

static int emit_one(void *context, ledger *fresh) {
    (void)context;
    return ledger_put(fresh, TEXT("only"), TEXT("one"), false);
}

static int emit_fault(void *context, ledger *fresh) {
    (void)context, (void)fresh;
    return -EIO;
}

START_TEST(a_rewrite_keeps_what_is_emitted_and_a_failed_one_keeps_all) {
    CLEANUP(buf_release) buf heard = BUF(1 << 20);
    ledger_report report;
    ledger *l = reopen(NULL, &heard, &report);
    for (int i = 0; i < 1100; i++)
        ck_assert_int_eq(ledger_put(l, TEXT("k"), TEXT("v"), false), 0);
    ck_assert(ledger_wants_rewrite(l, 1));
    ck_assert(!ledger_wants_rewrite(l, 1000));
    ck_assert_int_eq(ledger_rewrite(l, emit_fault, NULL), -EIO);
    l = reopen(l, &heard, &report);
    ck_assert_uint_eq(report.facts, 1100);
    ck_assert_int_eq(ledger_rewrite(l, emit_one, NULL), 0);
    ck_assert_int_eq(ledger_put(l, TEXT("more"), TEXT("2"), true), 0);
    l = reopen(l, &heard, &report);
    ck_assert_str_eq(heard.ptr, "only=one;more=2;");
    (void)ledger_close(l);
}
END_TEST

/* The disk is full half way through a line; then there is room again. */
START_TEST(a_line_that_was_cut_short_costs_no_other_fact) {
    CLEANUP(buf_release) buf heard = BUF(4096);
    CLEANUP(buf_release) buf whole = BUF(4096);
    ledger_report report;
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    for (rlim_t room = 0; room < 24; room++) {
        unlink(path);
        ledger *l = reopen(NULL, &heard, &report);
        ck_assert_int_eq(ledger_put(l, TEXT("first"), TEXT("1"), true), 0);
        buf_clear(&whole);
        ck_assert_int_eq(file_read(path, 4096, &whole), 0);
        struct rlimit tight = {.rlim_cur = whole.len + room, .rlim_max = before.rlim_max};
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
        ck_assert_int_eq(ledger_put(l, TEXT("second"), TEXT("22222"), true), -EFBIG);
        ck_assert_int_eq(ledger_put(l, TEXT("second"), TEXT("22222"), true), -EFBIG);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
        ck_assert_int_eq(ledger_put(l, TEXT("third"), TEXT("3"), true), 0);
        l = reopen(l, &heard, &report);
        ck_assert_str_eq(heard.ptr, "first=1;third=3;");
        (void)ledger_close(l);
    }
}
END_TEST

Suite *suite_ledger(void) {
    Suite *s = suite_create("ledger");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, make_folder, remove_folder);
    tcase_add_test(t, facts_are_played_back_in_order_with_any_bytes);
    tcase_add_test(t, cut_at_every_byte_it_keeps_every_whole_line_and_goes_on);
    tcase_add_test(t, a_flipped_bit_costs_one_fact_at_most);
    tcase_add_test(t, a_rewrite_keeps_what_is_emitted_and_a_failed_one_keeps_all);
    tcase_add_test(t, a_line_that_was_cut_short_costs_no_other_fact);
    suite_add_tcase(s, t);
    return s;
}
