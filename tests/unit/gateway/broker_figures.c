#include "gateway/bus/broker_figures.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *heard_at;
static bus_seen heard_by;
static void *heard_with;

/* In place of the bus. */
int bus_listen(bus *b, const char *filter, bus_seen seen, void *context) {
    (void)b;
    heard_at = filter;
    heard_by = seen;
    heard_with = context;
    return 0;
}

static void say(broker_figures *f, const char *below, const char *payload) {
    char topic[400];
    (void)snprintf(topic, sizeof topic, "$SYS/broker/mayday/%s", below);
    broker_figures_hear(f, text_of(topic), text_of(payload));
}

static bool says(broker_figures *f, const char *line) {
    CLEANUP(buf_release) buf to = BUF(1 << 20);
    CLEANUP(buf_release) buf wanted = BUF(1024);
    buf_add_char(&to, '\n');
    broker_figures_print(f, &to);
    buf_printf(&wanted, "\n%s\n", line);
    return strstr(to.ptr, wanted.ptr) != NULL;
}

START_TEST(a_known_figure_gets_its_name_and_its_label) {
    static const struct {
        const char *below, *payload, *line;
    } rows[] = {
        {"journal/records", "17", "mayday_broker_journal_records_total 17"},
        {"journal/flush_us/mean", "1500", "mayday_broker_journal_flush_seconds{of=\"mean\"} 0.0015"},
        {"tokens/accepted", "3", "mayday_broker_tokens_total{verdict=\"accepted\"} 3"},
        {"sessions/live", "4", "mayday_broker_sessions 4"},
        {"sessions/role/dispatcher", "2", "mayday_broker_sessions_by_role{role=\"dispatcher\"} 2"},
        {"sessions/ended_expired", "1", "mayday_broker_sessions_ended_total{reason=\"expired\"} 1"},
        {"journal/lag_seconds", "0.5", "mayday_broker_journal_lag_seconds 0.5"},
        {"something/new", "9", "mayday_broker_figure{name=\"something/new\"} 9"},
        {"tokens/", "5", "mayday_broker_figure{name=\"tokens/\"} 5"},
        {"od\"d", "6", "mayday_broker_figure{name=\"od\\\"d\"} 6"},
    };
    broker_figures *f = broker_figures_new();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        say(f, rows[i].below, rows[i].payload);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_msg(says(f, rows[i].line), "%s", rows[i].line);
    say(f, "journal/records", "18");
    ck_assert(says(f, "mayday_broker_journal_records_total 18"));
    ck_assert(!says(f, "mayday_broker_journal_records_total 17"));
    (void)broker_figures_free(f);
}
END_TEST

START_TEST(what_is_no_number_is_not_taken) {
    static const char *const payloads[] = {"", "x", "1 2", "1x", "nan", "inf", "1e999"};
    broker_figures *f = broker_figures_new();
    for (size_t i = 0; i < ARRAY_LEN(payloads); i++)
        say(f, "memberships", payloads[i]);
    broker_figures_hear(f, TEXT("$SYS/broker/uptime"), TEXT("7"));
    ck_assert(!says(f, "mayday_broker_memberships 1"));
    CLEANUP(buf_release) buf to = BUF(4096);
    broker_figures_print(f, &to);
    ck_assert_ptr_null(strstr(to.ptr, "memberships"));
    ck_assert_ptr_null(strstr(to.ptr, "figure{"));
    (void)broker_figures_free(f);
}
END_TEST

START_TEST(there_is_room_for_so_many_and_the_rest_is_counted) {
    char below[300];
    broker_figures *f = broker_figures_new();
    for (int i = 0; i < BROKER_FIGURES_MAX + 30; i++) {
        (void)snprintf(below, sizeof below, "many/%d", i);
        say(f, below, "1");
    }
    memset(below, 'x', 120);
    below[120] = '\0';
    say(f, below, "1");
    say(f, "many/0", "2");
    ck_assert(says(f, "mayday_broker_figures_dropped_total 31"));
    ck_assert(says(f, "mayday_broker_figure{name=\"many/0\"} 2"));
    ck_assert(says(f, "mayday_broker_figure{name=\"many/511\"} 1"));
    ck_assert(!says(f, "mayday_broker_figure{name=\"many/512\"} 1"));
    (void)broker_figures_free(f);
}
END_TEST

START_TEST(it_hears_through_the_bus) {
    broker_figures *f = broker_figures_new();
    ck_assert_int_eq(broker_figures_listen(f, NULL), 0);
    ck_assert_str_eq(heard_at, "$SYS/broker/mayday/#");
    heard_by(heard_with, TEXT("acme"), TEXT("$SYS/broker/mayday/revocations"), TEXT("12"), TEXT(""), true);
    ck_assert(says(f, "mayday_broker_revocations 12"));
    (void)broker_figures_free(f);
}
END_TEST

Suite *suite_broker_figures(void) {
    Suite *s = suite_create("broker figures");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_known_figure_gets_its_name_and_its_label);
    tcase_add_test(t, what_is_no_number_is_not_taken);
    tcase_add_test(t, there_is_room_for_so_many_and_the_rest_is_counted);
    tcase_add_test(t, it_hears_through_the_bus);
    suite_add_tcase(s, t);
    return s;
}
