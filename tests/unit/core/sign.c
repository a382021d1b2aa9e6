#include "token_support.h"
#include "core/algorithm.h"

#define GOOD TEXT("{\"sub\":\"ada\",\"org\":\"north\",\"roles\":[\"member\"],\"exp\":1700000060}")

START_TEST(every_algorithm_signs_what_it_verifies) {
    const algorithm *alg;
    for (size_t n = 0; (alg = algorithm_at(n)); n++) {
        CLEANUP(issuer_release) issuer i = issuer_of(alg->name);
        CLEANUP(token_rules_freep) token_rules *rules = rules_of((token_rules_spec){0});
        for (int round = 0; round < 20; round++) { /* signatures differ: short r and s occur */
            CLEANUP(buf_release) buf token = BUF(8192);
            CLEANUP(claims_freep) claims *who = NULL;
            ck_assert_int_eq(signer_sign(i.signer, GOOD, &token), 0);
            token_verdict verdict = token_verify(i.keys, rules, buf_text(&token), NOW, &who);
            ck_assert_msg(verdict == TOKEN_ACCEPTED, "%s: %s", alg->name, token_verdict_name(verdict));
            ck_assert_str_eq(who->subject, "ada");
        }
    }
}
END_TEST

START_TEST(a_key_verifies_only_its_own_signatures) {
    const algorithm *alg;
    for (size_t n = 0; (alg = algorithm_at(n)); n++) {
        CLEANUP(issuer_release) issuer ours = issuer_of(alg->name), theirs = issuer_of(alg->name);
        CLEANUP(token_rules_freep) token_rules *rules = rules_of((token_rules_spec){0});
        CLEANUP(buf_release) buf token = BUF(8192), header = BUF(512);
        CLEANUP(claims_freep) claims *who = NULL;
        buf_printf(&header, "{\"alg\":\"%s\"}", alg->name);
        ck_assert_int_eq(signer_sign_as(theirs.signer, buf_text(&header), GOOD, &token), 0);
        ck_assert_int_eq(token_verify(ours.keys, rules, buf_text(&token), NOW, &who), TOKEN_BAD_SIGNATURE);
    }
}
END_TEST

START_TEST(the_verifying_half_keeps_no_private_member) {
    static const char *const names[] = {"d", "p", "q", "dp", "dq", "qi"};
    const algorithm *alg;
    for (size_t n = 0; (alg = algorithm_at(n)); n++) {
        CLEANUP(json_freep) json *key = NULL, *half = NULL;
        char why[SIGN_WHY_MAX];
        signer *s = NULL;
        bool secret = alg->family == FAMILY_HMAC;
        ck_assert_int_eq(sign_new_key(text_of(alg->name), 0, &key), 0);
        ck_assert_int_eq(sign_verifying_half(key, &half), 0);
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            ck_assert_msg(!json_get(half, names[i]), "%s: %s", alg->name, names[i]);
        ck_assert(sign_is_shared_secret(key) == secret);
        ck_assert_int_eq(signer_new(half, &s, why), secret ? 0 : -EBADMSG);
        s = signer_free(s);
    }
}
END_TEST

START_TEST(a_thumbprint_is_that_of_the_rfc) {
    CLEANUP(json_freep) json *key = NULL;
    CLEANUP(buf_release) buf print = BUF(64);
    ck_assert_int_eq(json_parse_once(TEXT("{\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"crv\":"
                                          "\"Ed25519\",\"kid\":\"no part of it\",\"kty\":\"OKP\"}"),
                                     &key),
                     JSON_OK);
    ck_assert_int_eq(sign_thumbprint(key, &print), 0);
    ck_assert_str_eq(print.ptr, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}
END_TEST

START_TEST(only_known_algorithms_and_sizes_make_keys) {
    static const struct {
        text alg;
        int bits;
        int want;
    } rows[] = {
        {TEXT("none"), 0, -EINVAL},     {TEXT("es256"), 0, -EINVAL},    {TEXT(""), 0, -EINVAL},
        {TEXT("ES256"), 256, -EINVAL},  {TEXT("RS256"), 1024, -EINVAL}, {TEXT("RS256"), 8192, -EINVAL},
        {TEXT("RS256"), 2049, -EINVAL}, {TEXT("HS256"), 512, -EINVAL},  {TEXT("PS256"), 2048, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(json_freep) json *key = NULL;
        ck_assert_int_eq(sign_new_key(rows[i].alg, rows[i].bits, &key), rows[i].want);
        ck_assert((key != NULL) == (rows[i].want == 0));
    }
}
END_TEST

START_TEST(halves_of_two_keys_make_no_signer) {
    static const char *const algs[] = {"ES256", "RS256", "EdDSA"};
    for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
        CLEANUP(issuer_release) issuer a = issuer_of(algs[i]), b = issuer_of(algs[i]);
        char why[SIGN_WHY_MAX] = "";
        signer *s = NULL;
        ck_assert_int_eq(json_put(a.key, "d", json_new_string(json_get_string(b.key, "d"))), 0);
        ck_assert_int_eq(signer_new(a.key, &s, why), -EBADMSG);
        ck_assert_ptr_null(s);
    }
}
END_TEST

Suite *suite_sign(void) {
    Suite *s = suite_create("sign");
    TCase *t = tcase_create("sign");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_algorithm_signs_what_it_verifies);
    tcase_add_test(t, a_key_verifies_only_its_own_signatures);
    tcase_add_test(t, the_verifying_half_keeps_no_private_member);
    tcase_add_test(t, a_thumbprint_is_that_of_the_rfc);
    tcase_add_test(t, only_known_algorithms_and_sizes_make_keys);
    tcase_add_test(t, halves_of_two_keys_make_no_signer);
    suite_add_tcase(s, t);
    return s;
}
