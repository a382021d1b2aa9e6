#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "core/token.h"
#include "core/token_settings.h"
#include "gateway/bus/badge.h"

/* "only for tests, and long enough it is" as an oct key */
#define KEYS                                                                                                 \
    "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"k\",\"alg\":\"HS256\",\"k\":"                                     \
    "\"b25seSBmb3IgdGVzdHMsIGFuZCBsb25nIGVub3VnaCBpdCBpcw\"}]}"
#define NOW (INT64_C(1900000000) * INSTANT_SECOND)

/* A file of its own for each test; its name in `path`. */
static void write_file(const char *content, char path[32]) {
    (void)snprintf(path, 32, "/tmp/badge-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    (void)close(fd);
}

static settings with(const char *member_org, const char *member_roles) {
    settings s = {0};
    char why[CONF_WHY_MAX];
    ck_assert_int_eq(conf_load(&settings_table, NULL, &s, why), 0);
    if (member_org) {
        free(s.claim_org);
        s.claim_org = strdup(member_org);
    }
    if (member_roles) {
        free(s.claim_roles);
        s.claim_roles = strdup(member_roles);
    }
    return s;
}

static void is_let_in(const settings *s, const char *token, const char *sub, const char *org) {
    CLEANUP(keyset_freep) keyset *keys = NULL;
    CLEANUP(token_rules_freep) token_rules *rules = NULL;
    CLEANUP(claims_freep) claims *who = NULL;
    char why[TOKEN_WHY_MAX];
    token_rules_spec spec = token_spec_of(s);
    ck_assert_int_eq(keyset_parse(text_of(KEYS), &keys, why), 0);
    ck_assert_int_eq(token_rules_new(&spec, &rules, why), 0);
    ck_assert_int_eq(token_verify(keys, rules, text_of(token), NOW / INSTANT_SECOND, &who), TOKEN_ACCEPTED);
    ck_assert_str_eq(who->subject, sub);
    ck_assert_str_eq(who->org, org);
    ck_assert_uint_eq(who->n_roles, 1);
    ck_assert_str_eq(who->roles[0], "gateway");
}

START_TEST(its_token_is_what_a_broker_of_the_same_settings_accepts) {
    static const struct {
        const char *org, *roles, *issuer, *audience, *parties;
    } rows[] = {
        {NULL, NULL, NULL, NULL, NULL},
        {"o.id org_id", "o.rol org_role", NULL, NULL, NULL},
        {"o.id", "o.deep.roles", "https://issuer", "mayday", "app other"},
    };
    char path[32];
    write_file(KEYS, path);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        settings s = with(rows[i].org, rows[i].roles);
        CLEANUP(freep) char *token = NULL;
        char why[BADGE_WHY_MAX] = "";
        instant until = 0;
        free(s.gateway_signing_keys);
        free(s.issuer);
        free(s.audience);
        free(s.authorized_parties);
        s.gateway_signing_keys = strdup(path);
        s.issuer = rows[i].issuer ? strdup(rows[i].issuer) : NULL;
        s.audience = rows[i].audience ? strdup(rows[i].audience) : NULL;
        s.authorized_parties = rows[i].parties ? strdup(rows[i].parties) : NULL;
        ck_assert_int_eq(badge_make(&s, "gw1", "acme", NOW, &token, &until, why), 0);
        ck_assert_int_eq(until, NOW + 3600 * INSTANT_SECOND);
        is_let_in(&s, token, "gw1", "acme");
        conf_release(&settings_table, &s);
    }
    (void)unlink(path);
}
END_TEST

START_TEST(a_token_from_a_file_says_who_it_is_and_until_when) {
    char path[32], keys[32], why[BADGE_WHY_MAX] = "";
    CLEANUP(freep) char *minted = NULL;
    CLEANUP(freep) char *id = NULL;
    CLEANUP(freep) char *org = NULL;
    CLEANUP(freep) char *read_back = NULL;
    instant until = 0;
    settings s = with(NULL, NULL);
    write_file(KEYS, keys);
    free(s.gateway_signing_keys);
    s.gateway_signing_keys = strdup(keys);
    ck_assert_int_eq(badge_make(&s, "filed", "acme", NOW, &minted, &until, why), 0);
    write_file(minted, path);
    free(s.gateway_token_file);
    s.gateway_token_file = strdup(path);
    ck_assert_int_eq(badge_identity(&s, &id, &org, why), 0);
    ck_assert_str_eq(id, "filed");
    ck_assert_str_eq(org, "acme");
    until = 0;
    ck_assert_int_eq(badge_make(&s, id, org, NOW, &read_back, &until, why), 0);
    ck_assert_str_eq(read_back, minted);
    ck_assert_int_eq(until, NOW + 3600 * INSTANT_SECOND);
    free(s.gateway_id);
    s.gateway_id = strdup("another");
    CLEANUP(freep) char *no_id = NULL;
    CLEANUP(freep) char *no_org = NULL;
    ck_assert_int_eq(badge_identity(&s, &no_id, &no_org, why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "another"));
    conf_release(&settings_table, &s);
    (void)unlink(path);
    (void)unlink(keys);
}
END_TEST

START_TEST(what_cannot_sign_is_named) {
    static const char *const rows[] = {"",
                                       "{",
                                       "{}",
                                       "{\"keys\":[]}",
                                       "{\"keys\":{}}",
                                       "{\"keys\":[{}]}",
                                       "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char path[32], why[BADGE_WHY_MAX] = "";
        char *token = NULL;
        instant until = 0;
        settings s = with(NULL, NULL);
        write_file(rows[i], path);
        free(s.gateway_signing_keys);
        s.gateway_signing_keys = strdup(path);
        ck_assert_int_lt(badge_make(&s, "gw1", "acme", NOW, &token, &until, why), 0);
        ck_assert_msg(strstr(why, path) != NULL, "%s", why);
        ck_assert_ptr_null(token);
        conf_release(&settings_table, &s);
        (void)unlink(path);
    }
}
END_TEST

START_TEST(a_name_that_is_no_level_of_a_topic_is_refused) {
    static const char *const rows[] = {"a/b", "a+b", "#", "line\nbreak"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char why[BADGE_WHY_MAX] = "";
        char *id = NULL, *org = NULL;
        settings s = with(NULL, NULL);
        free(s.gateway_id);
        s.gateway_id = strdup(rows[i]);
        ck_assert_int_eq(badge_identity(&s, &id, &org, why), -EINVAL);
        conf_release(&settings_table, &s);
    }
}
END_TEST

Suite *suite_badge(void) {
    Suite *s = suite_create("badge");
    TCase *t = tcase_create("badge");
    tcase_add_test(t, its_token_is_what_a_broker_of_the_same_settings_accepts);
    tcase_add_test(t, a_token_from_a_file_says_who_it_is_and_until_when);
    tcase_add_test(t, what_cannot_sign_is_named);
    tcase_add_test(t, a_name_that_is_no_level_of_a_topic_is_refused);
    suite_add_tcase(s, t);
    return s;
}
