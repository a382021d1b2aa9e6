/* Webhooks of plans. */
#include <errno.h>
#include <stdio.h>
#include "provider_support.h"

static const provider *row(void) {
    return provider_named(TEXT("webhook"));
}

START_TEST(it_is_signed_with_its_time) {
    const settings s = test_settings();
    const accounts a = test_accounts(&s);
    provider_message m = test_message("webhook");
    CLEANUP(provider_request_release) provider_request r;
    provider_request_init(&r);
    ck_assert_int_eq(provider_build(row(), &a, &m, &r), 0);
    ck_assert_str_eq(r.url.ptr, "https://hooks.example.com/mayday?team=1");
    ck_assert_str_eq(r.body.ptr, "{\"v\":1}");
    /* openssl dgst -sha256 -hmac "webhook secret" of '1800000000.{"v":1}' */
    ck_assert_str_eq(r.headers.ptr, "Content-Type: application/json\nX-Mayday-Id: " NOTIFICATION
                                    "\nX-Mayday-Signature: t=1800000000,"
                                    "v1=c26141760d0ff6b24ee3c0ab4a1be0d8415e78fbb89734ba298940794cdcfaf2\n");
}
END_TEST

START_TEST(only_addresses_that_are_safe_are_posted_to) {
    static const struct {
        const char *url;
        bool with_tls_only, with_plain;
    } rows[] = {
        {"https://example.com", true, true},
        {"https://example.com:8443/a?b=c#d", true, true},
        {"https://example.com/a@b", true, true},
        {"http://example.com/", false, true},
        {"https://", false, false},
        {"https:///path", false, false},
        {"http://", false, false},
        {"https://user:password@example.com/", false, false},
        {"https://example.com/a b", false, false},
        {"https://example.com/\nX-Evil: 1", false, false},
        {"https://ex\xc3\xa4mple.com/", false, false},
        {"HTTPS://example.com/", false, false},
        {"file:///etc/passwd", false, false},
        {"", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int plain = 0; plain < 2; plain++) {
            settings s = test_settings();
            s.webhook_plain = plain;
            const accounts a = test_accounts(&s);
            provider_message m = test_message("webhook");
            CLEANUP(provider_request_release) provider_request r;
            provider_request_init(&r);
            m.to = text_of(rows[i].url);
            bool good = plain ? rows[i].with_plain : rows[i].with_tls_only;
            ck_assert_msg(provider_build(row(), &a, &m, &r) == (good ? 0 : -EINVAL), "%s", rows[i].url);
        }
    }
}
END_TEST

START_TEST(its_answers_blame_no_other_webhook) {
    static const struct {
        int status;
        provider_outcome outcome;
        provider_blame blame;
    } rows[] = {
        {200, PROVIDER_SENT, BLAME_NOBODY},     {204, PROVIDER_SENT, BLAME_NOBODY},
        {301, PROVIDER_UNKNOWN, BLAME_NOBODY},  {400, PROVIDER_REFUSED, BLAME_MESSAGE},
        {401, PROVIDER_REFUSED, BLAME_MESSAGE}, {404, PROVIDER_REFUSED, BLAME_MESSAGE},
        {429, PROVIDER_RETRY, BLAME_NOBODY},    {500, PROVIDER_RETRY, BLAME_NOBODY},
        {503, PROVIDER_RETRY, BLAME_NOBODY},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        provider_result r = read_with(row(), rows[i].status, "whatever it says");
        ck_assert_msg(r.outcome == rows[i].outcome && r.blame == rows[i].blame, "%d: %s %d", rows[i].status,
                      provider_outcome_name(r.outcome), r.blame);
    }
}
END_TEST

Suite *suite_webhook(void) {
    Suite *s = suite_create("webhook");
    (void)test_pem(); /* once, for all the processes of these tests */
    TCase *t = tcase_create("posts");
    tcase_add_test(t, it_is_signed_with_its_time);
    tcase_add_test(t, only_addresses_that_are_safe_are_posted_to);
    tcase_add_test(t, its_answers_blame_no_other_webhook);
    suite_add_tcase(s, t);
    return s;
}
