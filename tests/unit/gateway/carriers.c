#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/sending/carriers.h"

static settings s;
static accounts a;
static carriers c;
static char said[256];

static void hear(void *context, const char *who, const char *why) {
    (void)context;
    (void)why;
    (void)snprintf(said + strlen(said), sizeof said - strlen(said), "%s;", who);
}

static void put(char **member, const char *value) {
    free(*member);
    *member = strdup(value);
}

static void begin(const char *sms, const char *rate, int64_t concurrency) {
    put(&s.notify_sms, sms);
    put(&s.notify_rate, rate);
    s.notify_concurrency = concurrency;
    said[0] = '\0';
    carriers_begin(&c, &s, &a, 0, hear, NULL);
}

static void setup(void) {
    char why[CONF_WHY_MAX];
    ck_assert_int_eq(conf_load(&settings_table, NULL, &s, why), 0);
    put(&s.twilio_account, "AC00000000000000000000000000000000");
    put(&s.twilio_sms_from, "+15551230000");
    put(&s.vonage_key, "key");
    put(&s.vonage_sms_from, "+15551230001");
    a = (accounts){.s = &s, .twilio_token = strdup("token"), .vonage_secret = strdup("secret")};
    begin("twilio vonage", "off", 64);
}

static void teardown(void) {
    free(a.twilio_token);
    free(a.vonage_secret);
    conf_release(&settings_table, &s);
}

static const provider *named(const char *name) {
    return provider_named(text_of(name));
}

/* The name of whoever takes it; or "none", "exhausted", "busy". */
static const char *chosen(int rank, const carrier_try *tries, size_t count, int64_t now) {
    carrier *one = NULL;
    switch (carriers_choose(&c, "sms", rank, tries, count, now, &one)) {
    case CHOICE_NONE:
        return "none";
    case CHOICE_GOOD:
        return one->row->name;
    case CHOICE_EXHAUSTED:
        return "exhausted";
    case CHOICE_BUSY:
        return "busy";
    }
    return "?";
}

static carrier *of(const char *name) {
    for (size_t i = 0; i < c.count; i++)
        if (strcmp(c.all[i].row->name, name) == 0)
            return &c.all[i];
    ck_abort_msg("there is no %s", name);
    return NULL;
}

static const provider_result good = {.outcome = PROVIDER_SENT};
static const provider_result bad = {.outcome = PROVIDER_RETRY, .blame = BLAME_PROVIDER, .code = "http 503"};

static void attempt(const char *name, int rank, const provider_result *r, int64_t now) {
    bool trying;
    carriers_started(&c, of(name), rank, now, &trying);
    carriers_ended(&c, of(name), rank, trying, r, now);
}

START_TEST(the_first_in_order_is_chosen_and_whoever_tried_it_least_before) {
    carrier_try tries[] = {{named("twilio-sms"), false}, {named("vonage-sms"), false}};
    ck_assert_str_eq(chosen(3, NULL, 0, 0), "twilio-sms");
    ck_assert_str_eq(chosen(3, tries, 1, 0), "vonage-sms");
    ck_assert_str_eq(chosen(3, tries, 2, 0), "twilio-sms");
    begin("vonage twilio", "off", 64);
    ck_assert_str_eq(chosen(3, NULL, 0, 0), "vonage-sms");
}
END_TEST

START_TEST(who_refused_a_message_is_not_asked_again) {
    carrier_try tries[] = {{named("twilio-sms"), true}, {named("vonage-sms"), true}};
    ck_assert_str_eq(chosen(3, tries, 1, 0), "vonage-sms");
    ck_assert(carriers_any_left(&c, "sms", tries, 1));
    ck_assert_str_eq(chosen(3, tries, 2, 0), "exhausted");
    ck_assert(!carriers_any_left(&c, "sms", tries, 2));
}
END_TEST

START_TEST(what_is_missing_or_unknown_is_said) {
    put(&s.vonage_sms_from, "");
    begin("twilio vonage pigeon", "off", 64);
    ck_assert_str_eq(said, "vonage-sms;pigeon;");
    ck_assert_uint_eq(c.count, 1);
    begin("", "off", 64);
    ck_assert_str_eq(chosen(4, NULL, 0, 0), "none");
    ck_assert_uint_eq(carriers_room(&c, "sms", false, 7, 0), 7);
}
END_TEST

START_TEST(after_three_failures_in_a_row_it_is_left_alone_for_a_while) {
    attempt("twilio-sms", 3, &bad, 0);
    attempt("twilio-sms", 3, &bad, 1);
    attempt("twilio-sms", 3, &good, 2);
    attempt("twilio-sms", 3, &bad, 3);
    attempt("twilio-sms", 3, &bad, 4);
    ck_assert_str_eq(chosen(3, NULL, 0, 5), "twilio-sms");
    attempt("twilio-sms", 3, &bad, 5);
    ck_assert_int_eq(carriers_breaker(of("twilio-sms"), 5), BREAKER_OPEN);
    ck_assert_str_eq(chosen(3, NULL, 0, 5), "vonage-sms");
    /* then one that is not so urgent tries it, alone */
    ck_assert_int_eq(carriers_breaker(of("twilio-sms"), 5005), BREAKER_TRYING);
    ck_assert_str_eq(chosen(4, NULL, 0, 5005), "vonage-sms");
    ck_assert_str_eq(chosen(2, NULL, 0, 5005), "twilio-sms");
    bool trying;
    carriers_started(&c, of("twilio-sms"), 2, 5005, &trying);
    ck_assert(trying);
    ck_assert_str_eq(chosen(2, NULL, 0, 5005), "vonage-sms");
    /* it fails: for twice as long */
    carriers_ended(&c, of("twilio-sms"), 2, trying, &bad, 5006);
    ck_assert_int_eq(carriers_breaker(of("twilio-sms"), 15005), BREAKER_OPEN);
    ck_assert_int_eq(carriers_breaker(of("twilio-sms"), 15006), BREAKER_TRYING);
    attempt("twilio-sms", 2, &good, 15006);
    ck_assert_int_eq(carriers_breaker(of("twilio-sms"), 15006), BREAKER_CLOSED);
    /* whoever nobody tries for long is tried by the urgent, too */
    for (int i = 0; i < 3; i++)
        attempt("twilio-sms", 3, &bad, 20000);
    ck_assert_str_eq(chosen(4, NULL, 0, 30000), "vonage-sms");
    ck_assert_str_eq(chosen(4, NULL, 0, 400000), "twilio-sms");
}
END_TEST

START_TEST(when_all_are_left_alone_an_alert_goes_out_nevertheless) {
    for (int i = 0; i < 3; i++) {
        attempt("twilio-sms", 3, &bad, 0);
        attempt("vonage-sms", 3, &bad, 0);
    }
    ck_assert_str_eq(chosen(0, NULL, 0, 1), "busy");
    ck_assert_str_eq(chosen(1, NULL, 0, 1), "twilio-sms");
    carrier_try tries[] = {{named("twilio-sms"), false}};
    ck_assert_str_eq(chosen(4, tries, 1, 1), "vonage-sms");
}
END_TEST

START_TEST(what_failed_together_opens_once) {
    bool trying;
    for (int i = 0; i < 20; i++)
        carriers_started(&c, of("twilio-sms"), 3, 0, &trying);
    for (int i = 0; i < 20; i++)
        carriers_ended(&c, of("twilio-sms"), 3, false, &bad, 0);
    ck_assert_int_eq(carriers_breaker(of("twilio-sms"), 4999), BREAKER_OPEN);
    ck_assert_int_eq(carriers_breaker(of("twilio-sms"), 5000), BREAKER_TRYING);
}
END_TEST

START_TEST(a_pause_that_it_asks_for_is_kept) {
    const provider_result slow_down = {
        .outcome = PROVIDER_RETRY, .blame = BLAME_PROVIDER, .retry_after_ms = 7000};
    attempt("twilio-sms", 3, &slow_down, 0);
    ck_assert_str_eq(chosen(3, NULL, 0, 6999), "vonage-sms");
    ck_assert_str_eq(chosen(3, NULL, 0, 7000), "twilio-sms");
}
END_TEST

START_TEST(failures_that_are_not_the_providers_open_nothing) {
    static const provider_result others[] = {
        {.outcome = PROVIDER_REFUSED, .blame = BLAME_NUMBER},
        {.outcome = PROVIDER_REFUSED, .blame = BLAME_MESSAGE},
        {.outcome = PROVIDER_REFUSED, .blame = BLAME_OPTED_OUT},
        {.outcome = PROVIDER_RETRY, .blame = BLAME_NOBODY},
    };
    for (int i = 0; i < 40; i++)
        attempt("twilio-sms", 3, &others[i % 4], 0);
    ck_assert_int_eq(carriers_breaker(of("twilio-sms"), 0), BREAKER_CLOSED);
    ck_assert_uint_eq(of("twilio-sms")->refused, 30);
}
END_TEST

START_TEST(routine_takes_a_quarter_and_one_provider_half) {
    bool trying;
    begin("twilio vonage", "off", 16);
    for (int i = 0; i < 4; i++) {
        ck_assert_str_eq(chosen(0, NULL, 0, 0), "twilio-sms");
        carriers_started(&c, of("twilio-sms"), 0, 0, &trying);
    }
    ck_assert_str_eq(chosen(0, NULL, 0, 0), "busy");
    ck_assert_uint_eq(carriers_room(&c, "sms", true, 100, 0), 0);
    ck_assert_uint_eq(carriers_room(&c, "sms", false, 100, 0), 12);
    for (int i = 0; i < 4; i++)
        carriers_started(&c, of("twilio-sms"), 3, 0, &trying);
    ck_assert_str_eq(chosen(3, NULL, 0, 0), "vonage-sms");
    for (int i = 0; i < 8; i++)
        carriers_started(&c, of("vonage-sms"), 3, 0, &trying);
    ck_assert_str_eq(chosen(4, NULL, 0, 0), "busy");
    carriers_ended(&c, of("twilio-sms"), 0, false, &good, 0);
    ck_assert_str_eq(chosen(4, NULL, 0, 0), "twilio-sms");
}
END_TEST

START_TEST(half_of_the_rate_is_kept_for_alerts) {
    bool trying;
    begin("twilio", "10 20", 1000);
    int routine = 0, alerts = 0;
    while (strcmp(chosen(0, NULL, 0, 0), "busy") != 0 && routine < 100) {
        carriers_started(&c, of("twilio-sms"), 0, 0, &trying);
        carriers_ended(&c, of("twilio-sms"), 0, trying, &good, 0);
        routine++;
    }
    ck_assert_int_eq(routine, 10);
    while (strcmp(chosen(1, NULL, 0, 0), "busy") != 0 && alerts < 100) {
        carriers_started(&c, of("twilio-sms"), 1, 0, &trying);
        carriers_ended(&c, of("twilio-sms"), 1, trying, &good, 0);
        alerts++;
    }
    ck_assert_int_eq(alerts, 10);
    /* a second later there are ten more, five of them for routine */
    ck_assert_uint_eq(carriers_room(&c, "sms", false, 100, 1000), 10);
    ck_assert_uint_eq(carriers_room(&c, "sms", true, 100, 1000), 5);
    /* a clock that stands still or goes back gives none */
    ck_assert_uint_eq(carriers_room(&c, "sms", false, 100, 500), 10);
}
END_TEST

START_TEST(somebody_else_is_tried_at_once_and_all_of_them_again_after_a_pause_that_grows) {
    carrier_try tries[TRIES_MAX];
    int64_t last = 0;
    for (size_t round = 1; round <= 8; round++) {
        size_t n = 0;
        for (size_t i = 0; i < round; i++)
            tries[n++] = (carrier_try){named("twilio-sms"), false};
        for (size_t i = 1; i < round; i++)
            tries[n++] = (carrier_try){named("vonage-sms"), false};
        ck_assert_int_eq(carriers_pause(&c, "sms", tries, n, &bad, 0), 0);
        tries[n++] = (carrier_try){named("vonage-sms"), false};
        int64_t pause = carriers_pause(&c, "sms", tries, n, &bad, 0);
        ck_assert_int_ge(pause, last);
        ck_assert_int_ge(pause, 750);
        ck_assert_int_le(carriers_pause(&c, "sms", tries, n, &bad, UINT64_MAX), 37500);
        last = pause;
    }
    ck_assert_int_eq(last, 22500);
    const provider_result slow_down = {.outcome = PROVIDER_RETRY, .retry_after_ms = 50000};
    carrier_try both[] = {{named("twilio-sms"), false}, {named("vonage-sms"), false}};
    ck_assert_int_eq(carriers_pause(&c, "sms", both, 2, &slow_down, 0), 50000);
}
END_TEST

Suite *suite_carriers(void) {
    Suite *suite = suite_create("carriers");
    TCase *t = tcase_create("carriers");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_first_in_order_is_chosen_and_whoever_tried_it_least_before);
    tcase_add_test(t, who_refused_a_message_is_not_asked_again);
    tcase_add_test(t, what_is_missing_or_unknown_is_said);
    tcase_add_test(t, after_three_failures_in_a_row_it_is_left_alone_for_a_while);
    tcase_add_test(t, when_all_are_left_alone_an_alert_goes_out_nevertheless);
    tcase_add_test(t, what_failed_together_opens_once);
    tcase_add_test(t, a_pause_that_it_asks_for_is_kept);
    tcase_add_test(t, failures_that_are_not_the_providers_open_nothing);
    tcase_add_test(t, routine_takes_a_quarter_and_one_provider_half);
    tcase_add_test(t, half_of_the_rate_is_kept_for_alerts);
    tcase_add_test(t, somebody_else_is_tried_at_once_and_all_of_them_again_after_a_pause_that_grows);
    suite_add_tcase(suite, t);
    return suite;
}
