#include "token_support.h"
#include "core/token_settings.h"

#define WHO   "\"sub\":\"ada\",\"org\":\"north\","
#define EXP   "\"exp\":1700000060"
#define EIGHT "\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\","

static const token_rules_spec hosted = {
    .issuer = {"https://login.example", 21},
    .authorized_parties = {"https://app.example https://desk.example", 40},
    .claim_org = {"o.id org_id", 11},
    .claim_roles = {"o.rol org_role", 14},
    .role_map = {"org:admin=admin org:member=member owner=admin", 45},
};
#define HOSTED "\"iss\":\"https://login.example\",\"sub\":\"user_1\"," EXP

typedef struct claims_row {
    token_rules_spec spec;
    text payload;
    token_verdict want;
} claims_row;

static const claims_row rows[] = {
    {{0}, TEXT("{" WHO EXP "}"), TOKEN_ACCEPTED},
    /* times */
    {{0}, TEXT("{" WHO "\"exp\":1700000001}"), TOKEN_ACCEPTED},
    {{0}, TEXT("{" WHO "\"exp\":1700000000}"), TOKEN_EXPIRED},
    {{0}, TEXT("{" WHO "\"exp\":1700000000.9}"), TOKEN_EXPIRED},
    {{0}, TEXT("{" WHO "\"exp\":1700000001.5}"), TOKEN_ACCEPTED},
    {{0}, TEXT("{" WHO "\"exp\":1.8e9}"), TOKEN_ACCEPTED},
    {{0}, TEXT("{" WHO "\"exp\":0}"), TOKEN_EXPIRED},
    {{.leeway_s = 5}, TEXT("{" WHO "\"exp\":1699999996}"), TOKEN_ACCEPTED},
    {{.leeway_s = 5}, TEXT("{" WHO "\"exp\":1699999995}"), TOKEN_EXPIRED},
    {{0}, TEXT("{\"sub\":\"ada\",\"org\":\"north\"}"), TOKEN_MISSING_CLAIM},
    {{0}, TEXT("{" WHO "\"exp\":null}"), TOKEN_MISSING_CLAIM},
    {{0}, TEXT("{" WHO "\"exp\":\"1700000060\"}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO "\"exp\":-1}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO "\"exp\":9007199254740992}"), TOKEN_ACCEPTED},
    {{0}, TEXT("{" WHO "\"exp\":9007199254740994}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO "\"exp\":1e400}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO "\"exp\":99999999999999999999999}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO "\"exp\":true}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO EXP ",\"nbf\":1700000000}"), TOKEN_ACCEPTED},
    {{0}, TEXT("{" WHO EXP ",\"nbf\":1700000000.1}"), TOKEN_NOT_YET_VALID},
    {{.leeway_s = 5}, TEXT("{" WHO EXP ",\"nbf\":1700000005}"), TOKEN_ACCEPTED},
    {{.leeway_s = 5}, TEXT("{" WHO EXP ",\"nbf\":1700000006}"), TOKEN_NOT_YET_VALID},
    {{0}, TEXT("{" WHO EXP ",\"nbf\":\"soon\"}"), TOKEN_BAD_CLAIM},
    {{.leeway_s = 5}, TEXT("{" WHO EXP ",\"iat\":1700000005}"), TOKEN_ACCEPTED},
    {{.leeway_s = 5}, TEXT("{" WHO EXP ",\"iat\":1700000006}"), TOKEN_NOT_YET_VALID},
    {{0}, TEXT("{" WHO EXP ",\"iat\":{}}"), TOKEN_BAD_CLAIM},
    /* issuer, audience, party, required */
    {{.issuer = {"i", 1}}, TEXT("{" WHO EXP ",\"iss\":\"i\"}"), TOKEN_ACCEPTED},
    {{.issuer = {"i", 1}}, TEXT("{" WHO EXP ",\"iss\":\"j\"}"), TOKEN_WRONG_ISSUER},
    {{.issuer = {"i", 1}}, TEXT("{" WHO EXP ",\"iss\":[\"i\"]}"), TOKEN_WRONG_ISSUER},
    {{.issuer = {"i", 1}}, TEXT("{" WHO EXP "}"), TOKEN_WRONG_ISSUER},
    {{.audience = {"m", 1}}, TEXT("{" WHO EXP ",\"aud\":\"m\"}"), TOKEN_ACCEPTED},
    {{.audience = {"m", 1}}, TEXT("{" WHO EXP ",\"aud\":[\"x\",\"m\"]}"), TOKEN_ACCEPTED},
    {{.audience = {"m", 1}}, TEXT("{" WHO EXP ",\"aud\":[\"x\",1]}"), TOKEN_WRONG_AUDIENCE},
    {{.audience = {"m", 1}}, TEXT("{" WHO EXP ",\"aud\":\"mm\"}"), TOKEN_WRONG_AUDIENCE},
    {{.audience = {"m", 1}}, TEXT("{" WHO EXP ",\"aud\":{\"m\":\"m\"}}"), TOKEN_WRONG_AUDIENCE},
    {{.audience = {"m", 1}}, TEXT("{" WHO EXP ",\"aud\":[]}"), TOKEN_WRONG_AUDIENCE},
    {{.audience = {"m", 1}}, TEXT("{" WHO EXP "}"), TOKEN_WRONG_AUDIENCE},
    {{.authorized_parties = {"a b", 3}}, TEXT("{" WHO EXP ",\"azp\":\"b\"}"), TOKEN_ACCEPTED},
    {{.authorized_parties = {"a b", 3}}, TEXT("{" WHO EXP ",\"azp\":\"a b\"}"), TOKEN_WRONG_PARTY},
    {{.authorized_parties = {"a b", 3}}, TEXT("{" WHO EXP "}"), TOKEN_WRONG_PARTY},
    {{.required_claims = {"jti x.y", 7}},
     TEXT("{" WHO EXP ",\"jti\":\"1\",\"x\":{\"y\":0}}"),
     TOKEN_ACCEPTED},
    {{.required_claims = {"jti x.y", 7}}, TEXT("{" WHO EXP ",\"jti\":\"1\",\"x\":{}}"), TOKEN_MISSING_CLAIM},
    {{.required_claims = {"jti", 3}}, TEXT("{" WHO EXP ",\"jti\":null}"), TOKEN_MISSING_CLAIM},
    /* who */
    {{0}, TEXT("{\"org\":\"north\"," EXP "}"), TOKEN_MISSING_CLAIM},
    {{0}, TEXT("{\"sub\":\"ada\"," EXP "}"), TOKEN_MISSING_CLAIM},
    {{0}, TEXT("{\"sub\":1,\"org\":\"north\"," EXP "}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{\"sub\":\"\",\"org\":\"north\"," EXP "}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{\"sub\":\"a/b\",\"org\":\"north\"," EXP "}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{\"sub\":\"+\",\"org\":\"north\"," EXP "}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{\"sub\":\"a#\",\"org\":\"north\"," EXP "}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{\"sub\":\"ada\",\"org\":\"#\"," EXP "}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{\"sub\":\"a\\u0000b\",\"org\":\"north\"," EXP "}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{\"sub\":\"a\\n\",\"org\":\"north\"," EXP "}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{\"sub\":\"a\\u007f\",\"org\":\"north\"," EXP "}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{\"sub\":\"a\\u0085\",\"org\":\"north\"," EXP "}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{\"sub\":\"auth0|\\u00e5sa @:x\",\"org\":\"n\\u00f8rd\"," EXP "}"), TOKEN_ACCEPTED},
    {{0}, TEXT("{" WHO EXP ",\"jti\":5}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO EXP ",\"jti\":\"a\\u0000\"}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO EXP ",\"sid\":[]}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO EXP ",\"sub\":\"eve\"}"), TOKEN_REFUSED},
    {{0}, TEXT("[]"), TOKEN_REFUSED},
    {{0}, TEXT(""), TOKEN_REFUSED},
    {{0}, TEXT("{" WHO EXP ",\"deep\":[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]}"), TOKEN_REFUSED},
    /* roles */
    {{0},
     TEXT("{" WHO EXP ",\"roles\":[" EIGHT "\"i\",\"j\",\"k\",\"l\",\"m\",\"n\",\"o\",\"p\",\"a\"]}"),
     TOKEN_ACCEPTED},
    {{0},
     TEXT("{" WHO EXP ",\"roles\":[" EIGHT "\"i\",\"j\",\"k\",\"l\",\"m\",\"n\",\"o\",\"p\",\"q\"]}"),
     TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO EXP ",\"roles\":[\"a\",1]}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO EXP ",\"roles\":[null]}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO EXP ",\"roles\":{\"a\":\"b\"}}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO EXP ",\"roles\":\"\"}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO EXP ",\"roles\":7,\"role\":\"member\"}"), TOKEN_BAD_CLAIM},
    {{0}, TEXT("{" WHO EXP ",\"roles\":[\"a/b\"]}"), TOKEN_BAD_CLAIM},
};

START_TEST(claims_are_judged_one_by_one) {
    CLEANUP(issuer_release) issuer i = issuer_of("HS256");
    for (size_t n = 0; n < ARRAY_LEN(rows); n++) {
        CLEANUP(claims_freep) claims *who = NULL;
        token_verdict verdict = judged(&i, rows[n].spec, rows[n].payload, &who);
        ck_assert_msg(verdict == rows[n].want, "%s: %s", rows[n].payload.ptr, token_verdict_name(verdict));
        ck_assert((who != NULL) == (verdict == TOKEN_ACCEPTED));
    }
}
END_TEST

START_TEST(a_subject_is_at_most_128_bytes) {
    CLEANUP(issuer_release) issuer i = issuer_of("HS256");
    for (int len = 127; len <= 129; len++) {
        CLEANUP(claims_freep) claims *who = NULL;
        CLEANUP(buf_release) buf payload = BUF(512);
        buf_printf(&payload, "{\"sub\":\"%0*d\",\"org\":\"north\"," EXP "}", len, 0);
        ck_assert_int_eq(judged(&i, (token_rules_spec){0}, buf_text(&payload), &who),
                         len <= 128 ? TOKEN_ACCEPTED : TOKEN_BAD_CLAIM);
    }
}
END_TEST

static void expect_roles(const claims *who, const char *const *want) {
    size_t n = 0;
    for (; want[n]; n++) {
        ck_assert_uint_lt(n, who->n_roles);
        ck_assert_str_eq(who->roles[n], want[n]);
    }
    ck_assert_uint_eq(who->n_roles, n);
}

START_TEST(tokens_of_hosted_providers_work_as_issued) {
    static const struct {
        text payload;
        token_verdict want;
        const char *org;
        const char *roles[4];
    } cases[] = {
        {TEXT("{" HOSTED ",\"azp\":\"https://app.example\",\"o\":{\"id\":\"org_1\",\"rol\":\"admin\"}}"),
         TOKEN_ACCEPTED,
         "org_1",
         {"admin"}},
        {TEXT("{" HOSTED
              ",\"azp\":\"https://desk.example\",\"org_id\":\"org_2\",\"org_role\":\"org:member\"}"),
         TOKEN_ACCEPTED,
         "org_2",
         {"member"}},
        {TEXT("{" HOSTED ",\"azp\":\"https://app.example\",\"o\":{},\"org_id\":\"org_3\"}"),
         TOKEN_ACCEPTED,
         "org_3",
         {NULL}},
        {TEXT("{" HOSTED ",\"azp\":\"https://app.example\",\"o.id\":\"org_4\",\"o\":{\"rol\":"
              "[\"org:admin\",\"owner\",\"custom\"]}}"),
         TOKEN_ACCEPTED,
         "org_4",
         {"admin", "custom"}},
        {TEXT("{" HOSTED ",\"azp\":\"https://evil.example\",\"o\":{\"id\":\"org_1\"}}"),
         TOKEN_WRONG_PARTY,
         NULL,
         {NULL}},
        {TEXT("{" HOSTED ",\"azp\":\"https://app.example\",\"o\":{\"id\":1}}"),
         TOKEN_BAD_CLAIM,
         NULL,
         {NULL}},
        {TEXT("{" HOSTED ",\"azp\":\"https://app.example\",\"o\":\"id\"}"),
         TOKEN_MISSING_CLAIM,
         NULL,
         {NULL}},
    };
    CLEANUP(issuer_release) issuer i = issuer_of("EdDSA");
    for (size_t n = 0; n < ARRAY_LEN(cases); n++) {
        CLEANUP(claims_freep) claims *who = NULL;
        token_verdict verdict = judged(&i, hosted, cases[n].payload, &who);
        ck_assert_msg(verdict == cases[n].want, "%s: %s", cases[n].payload.ptr, token_verdict_name(verdict));
        if (!who)
            continue;
        ck_assert_str_eq(who->org, cases[n].org);
        expect_roles(who, cases[n].roles);
    }
}
END_TEST

START_TEST(accepted_claims_say_what_the_token_said) {
    static const char *const roles[] = {"officer", "dispatcher", NULL};
    CLEANUP(issuer_release) issuer i = issuer_of("HS256");
    CLEANUP(claims_freep) claims *who = NULL, *kept = NULL;
    CLEANUP(buf_release) buf printed = BUF(1024), again = BUF(1024);
    ck_assert_int_eq(judged(&i, (token_rules_spec){0},
                            TEXT("{" WHO "\"roles\":[\"officer\",\"dispatcher\",\"officer\"],\"jti\":\"t-1\","
                                 "\"sid\":\"s-1\",\"iat\":1699999000," EXP "}"),
                            &who),
                     TOKEN_ACCEPTED);
    claims_print(who, &printed);
    ck_assert_int_eq(claims_parse(buf_text(&printed), &kept), 0);
    const claims *both[] = {who, kept};
    for (size_t n = 0; n < 2; n++) {
        ck_assert_str_eq(both[n]->subject, "ada");
        ck_assert_str_eq(both[n]->org, "north");
        ck_assert_str_eq(both[n]->token_id, "t-1");
        ck_assert_str_eq(both[n]->session_id, "s-1");
        ck_assert_int_eq(both[n]->issued_at, 1699999000);
        ck_assert_int_eq(both[n]->expires_at, 1700000060);
        expect_roles(both[n], roles);
    }
    claims_print(kept, &again);
    ck_assert_str_eq(printed.ptr, again.ptr);
}
END_TEST

START_TEST(kept_claims_are_read_as_strictly_as_a_token) {
    static const text bad[] = {
        TEXT(""),
        TEXT("[]"),
        TEXT("{}"),
        TEXT("{\"sub\":\"a\",\"org\":\"o\",\"jti\":\"\",\"sid\":\"\",\"iat\":0,\"exp\":1}"),
        TEXT("{\"sub\":\"a/b\",\"org\":\"o\",\"roles\":[],\"jti\":\"\",\"sid\":\"\",\"iat\":0,\"exp\":1}"),
        TEXT("{\"sub\":\"a\",\"org\":\"o\",\"roles\":[1],\"jti\":\"\",\"sid\":\"\",\"iat\":0,\"exp\":1}"),
        TEXT("{\"sub\":\"a\",\"org\":\"o\",\"roles\":[],\"sid\":\"\",\"iat\":0,\"exp\":1}"),
        TEXT("{\"sub\":\"a\",\"org\":\"o\",\"roles\":[],\"jti\":\"\",\"sid\":\"\",\"iat\":0,\"exp\":\"1\"}"),
    };
    for (size_t n = 0; n < ARRAY_LEN(bad); n++) {
        CLEANUP(claims_freep) claims *who = NULL;
        ck_assert_msg(claims_parse(bad[n], &who) == -EBADMSG, "%s", bad[n].ptr);
        ck_assert_ptr_null(who);
    }
}
END_TEST

START_TEST(rules_that_make_no_sense_are_refused) {
    static const token_rules_spec specs[] = {
        {.leeway_s = -1},
        {.leeway_s = 1000000},
        {.claim_org = {"o..id", 5}},
        {.claim_subject = {".sub", 4}},
        {.required_claims = {"a b.", 4}},
        {.role_map = {"a=b c", 5}},
        {.role_map = {"=b", 2}},
        {.role_map = {"a=", 2}},
    };
    for (size_t n = 0; n < ARRAY_LEN(specs); n++) {
        CLEANUP(token_rules_freep) token_rules *rules = NULL;
        char why[TOKEN_WHY_MAX] = "";
        ck_assert_int_eq(token_rules_new(&specs[n], &rules, why), -EBADMSG);
        ck_assert_str_ne(why, "");
        ck_assert_ptr_null(rules);
    }
}
END_TEST

START_TEST(the_default_settings_make_rules_that_take_a_plain_token) {
    CLEANUP(issuer_release) issuer i = issuer_of("ES256");
    CLEANUP(claims_freep) claims *who = NULL;
    char why[CONF_WHY_MAX] = "";
    settings s;
    ck_assert_msg(conf_load(&settings_table, NULL, &s, why) == 0, "%s", why);
    token_rules_spec spec = token_spec_of(&s);
    ck_assert_int_eq(spec.leeway_s, 5);
    ck_assert_uint_eq(spec.max_len, 8192);
    ck_assert_int_eq(judged(&i, spec, TEXT("{" WHO "\"role\":\"member\"," EXP "}"), &who), TOKEN_ACCEPTED);
    expect_roles(who, (const char *const[]){"member", NULL});
    conf_release(&settings_table, &s);
}
END_TEST

Suite *suite_claims(void) {
    Suite *s = suite_create("claims");
    TCase *t = tcase_create("claims");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, claims_are_judged_one_by_one);
    tcase_add_test(t, a_subject_is_at_most_128_bytes);
    tcase_add_test(t, tokens_of_hosted_providers_work_as_issued);
    tcase_add_test(t, accepted_claims_say_what_the_token_said);
    tcase_add_test(t, kept_claims_are_read_as_strictly_as_a_token);
    tcase_add_test(t, rules_that_make_no_sense_are_refused);
    tcase_add_test(t, the_default_settings_make_rules_that_take_a_plain_token);
    suite_add_tcase(s, t);
    return s;
}
