#include "gateway/providers/accounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "provider_support.h"

/* A file of its own for each test; its name in `path`. */
static void write_file(const char *content, char path[32]) {
    (void)snprintf(path, 32, "/tmp/account-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    (void)close(fd);
}

START_TEST(secrets_are_read_without_what_stands_around_them) {
    char token[32], pem[32], why[ACCOUNTS_WHY_MAX] = "";
    CLEANUP(accounts_freep) accounts *a = NULL;
    settings s = {0};
    write_file("  s3cret\n\n", token);
    write_file(test_pem(), pem);
    s.twilio_token_file = token;
    s.vonage_signature_file = token;
    s.vonage_private_key = pem;
    ck_assert_msg(accounts_read(&s, &a, why) == 0, "%s", why);
    ck_assert_str_eq(a->twilio_token, "s3cret");
    ck_assert_str_eq(a->vonage_signature, "s3cret");
    ck_assert_int_eq(strncmp(a->vonage_key_pem, "-----BEGIN", 10), 0);
    ck_assert_ptr_null(a->vonage_secret);
    ck_assert_ptr_null(a->webhook_secret);
    (void)unlink(token);
    (void)unlink(pem);
}
END_TEST

START_TEST(without_any_there_is_an_empty_account) {
    char why[ACCOUNTS_WHY_MAX] = "";
    CLEANUP(accounts_freep) accounts *a = NULL;
    const settings s = {0};
    ck_assert_int_eq(accounts_read(&s, &a, why), 0);
    ck_assert_ptr_eq(a->s, &s);
    ck_assert_ptr_null(accounts_free(NULL));
}
END_TEST

START_TEST(what_is_wrong_is_named) {
    char empty[32], word[32];
    write_file(" \n", empty);
    write_file("no key", word);
    const struct {
        settings s;
        int fault;
        const char *named;
    } rows[] = {
        {{.twilio_token_file = A("/nonexistent/token")}, -ENOENT, "[twilio] token_file: /nonexistent/token"},
        {{.vonage_secret_file = empty}, -EINVAL, "[vonage] secret_file"},
        {{.webhook_secret_file = empty}, -EINVAL, "[webhook] secret_file"},
        {{.vonage_private_key = word}, -EBADMSG, "[vonage] private_key_file"},
        {{.notify_public_url = A("alarm.example.org")}, -EINVAL, "[notify] public_url"},
        {{.notify_public_url = A("https://alarm.example.org/")}, -EINVAL, "[notify] public_url"},
        {{.notify_public_url = A("https://alarm.example.org?x")}, -EINVAL, "[notify] public_url"},
        {{.twilio_url = A("ftp://x")}, -EINVAL, "[twilio] url"},
        {{.twilio_url = A("http://api.twilio.com")}, -EINVAL, "[twilio] url"},
        {{.vonage_sms_url = A("http://127.0.0.1.example.org")}, -EINVAL, "[vonage] sms_url"},
        {{.vonage_sms_url = A("http://localhost@example.org")}, -EINVAL, "[vonage] sms_url"},
        {{.notify_public_url = A("http://alarm.example.org")}, -EINVAL, "[notify] public_url"},
        {{.vonage_api_url = A("https://user@x")}, -EINVAL, "[vonage] api_url"},
        {{.twilio_voice_from = A("MAYDAY")}, -EINVAL, "[twilio] voice_from"},
        {{.vonage_voice_from = A("+27=MAYDAY")}, -EINVAL, "[vonage] voice_from"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char why[ACCOUNTS_WHY_MAX] = "";
        accounts *a = NULL;
        ck_assert_msg(accounts_read(&rows[i].s, &a, why) == rows[i].fault, "%s: %s", rows[i].named, why);
        ck_assert_msg(strstr(why, rows[i].named), "%s: %s", rows[i].named, why);
        ck_assert_ptr_null(a);
    }
    (void)unlink(empty);
    (void)unlink(word);
}
END_TEST

START_TEST(addresses_and_senders_that_are_good_are_taken) {
    const settings s = test_settings();
    char why[ACCOUNTS_WHY_MAX] = "";
    CLEANUP(accounts_freep) accounts *a = NULL;
    ck_assert_msg(accounts_read(&s, &a, why) == 0, "%s", why);
}
END_TEST

START_TEST(without_tls_a_provider_is_on_this_machine_alone) {
    const char *const urls[] = {"http://127.0.0.1", "http://127.0.0.1:8080", "http://localhost:8080/x",
                                "http://[::1]:8080"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        const settings s = {.twilio_url = A(urls[i]), .notify_public_url = A(urls[i])};
        char why[ACCOUNTS_WHY_MAX] = "";
        CLEANUP(accounts_freep) accounts *a = NULL;
        ck_assert_msg(accounts_read(&s, &a, why) == 0, "%s", why);
    }
}
END_TEST

Suite *suite_accounts(void) {
    Suite *s = suite_create("accounts");
    (void)test_pem(); /* once, for all the processes of these tests */
    TCase *t = tcase_create("reading");
    tcase_add_test(t, secrets_are_read_without_what_stands_around_them);
    tcase_add_test(t, without_any_there_is_an_empty_account);
    tcase_add_test(t, what_is_wrong_is_named);
    tcase_add_test(t, addresses_and_senders_that_are_good_are_taken);
    tcase_add_test(t, without_tls_a_provider_is_on_this_machine_alone);
    suite_add_tcase(s, t);
    return s;
}
