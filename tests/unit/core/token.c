#include "token_support.h"
#include "core/base64url.h"

#define WHO  "\"sub\":\"ada\",\"org\":\"north\",\"exp\":1700000060"
#define GOOD TEXT("{" WHO "}")

static token_verdict verdict_of(const issuer *i, text token) {
    CLEANUP(token_rules_freep) token_rules *rules = rules_of((token_rules_spec){0});
    CLEANUP(claims_freep) claims *who = NULL;
    token_verdict verdict = token_verify(i->keys, rules, token, NOW, &who);
    ck_assert((who != NULL) == (verdict == TOKEN_ACCEPTED));
    return verdict;
}

START_TEST(a_header_that_is_not_ours_is_refused) {
    static const struct {
        text header;
        token_verdict want;
    } rows[] = {
        {TEXT("{\"alg\":\"ES256\"}"), TOKEN_ACCEPTED},
        {TEXT("{\"alg\":\"ES256\",\"typ\":\"JWT\"}"), TOKEN_ACCEPTED},
        {TEXT("{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}"), TOKEN_ACCEPTED},
        {TEXT("{\"alg\":\"ES256\",\"typ\":\"AT+JWT\"}"), TOKEN_ACCEPTED},
        {TEXT("{\"alg\":\"ES256\",\"typ\":\"application/at+jwt\"}"), TOKEN_ACCEPTED},
        {TEXT("{\"alg\":\"ES256\",\"jku\":\"https://elsewhere.example/keys\"}"), TOKEN_ACCEPTED},
        {TEXT("{\"alg\":\"ES256\",\"typ\":\"logout+jwt\"}"), TOKEN_REFUSED},
        {TEXT("{\"alg\":\"ES256\",\"typ\":1}"), TOKEN_REFUSED},
        {TEXT("{\"alg\":\"ES256\",\"typ\":null}"), TOKEN_REFUSED},
        {TEXT("{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}"), TOKEN_REFUSED},
        {TEXT("{\"alg\":\"ES256\",\"crit\":null}"), TOKEN_REFUSED},
        {TEXT("{\"alg\":\"ES256\",\"alg\":\"ES256\"}"), TOKEN_REFUSED},
        {TEXT("{\"alg\":\"ES256\",\"kid\":7}"), TOKEN_REFUSED},
        {TEXT("{\"alg\":\"ES256\",\"kid\":null}"), TOKEN_REFUSED},
        {TEXT("{\"alg\":\"ES256\",\"kid\":\"\"}"), TOKEN_UNKNOWN_KEY},
        {TEXT("{\"alg\":\"ES256\",\"kid\":\"another\"}"), TOKEN_UNKNOWN_KEY},
        {TEXT("{\"alg\":\"none\"}"), TOKEN_WRONG_ALGORITHM},
        {TEXT("{\"alg\":\"None\"}"), TOKEN_WRONG_ALGORITHM},
        {TEXT("{\"alg\":\"es256\"}"), TOKEN_WRONG_ALGORITHM},
        {TEXT("{\"alg\":\"ES384\"}"), TOKEN_WRONG_ALGORITHM},
        {TEXT("{\"alg\":\"HS256\"}"), TOKEN_WRONG_ALGORITHM},
        {TEXT("{\"alg\":\"\"}"), TOKEN_WRONG_ALGORITHM},
        {TEXT("{\"alg\":[\"ES256\"]}"), TOKEN_REFUSED},
        {TEXT("{}"), TOKEN_REFUSED},
        {TEXT("[]"), TOKEN_REFUSED},
        {TEXT("null"), TOKEN_REFUSED},
        {TEXT("\"ES256\""), TOKEN_REFUSED},
        {TEXT("{\"alg\":\"ES256\"} {}"), TOKEN_REFUSED},
        {TEXT(""), TOKEN_REFUSED},
        {TEXT("{\"alg\":\"ES256\",\"x\":\"\xFF\"}"), TOKEN_REFUSED},
    };
    CLEANUP(issuer_release) issuer i = issuer_of("ES256");
    for (size_t n = 0; n < ARRAY_LEN(rows); n++) {
        CLEANUP(buf_release) buf token = BUF(8192);
        ck_assert_int_eq(signer_sign_as(i.signer, rows[n].header, GOOD, &token), 0);
        token_verdict verdict = verdict_of(&i, buf_text(&token));
        ck_assert_msg(verdict == rows[n].want, "%s: %s", rows[n].header.ptr, token_verdict_name(verdict));
    }
}
END_TEST

START_TEST(an_unsigned_token_is_refused) {
    static const char *const headers[] = {"{\"alg\":\"none\"}", "{\"alg\":\"ES256\"}"};
    static const token_verdict want[] = {TOKEN_WRONG_ALGORITHM, TOKEN_BAD_SIGNATURE};
    CLEANUP(issuer_release) issuer i = issuer_of("ES256");
    for (size_t n = 0; n < ARRAY_LEN(headers); n++) {
        CLEANUP(buf_release) buf token = BUF(8192);
        base64url_encode(text_of(headers[n]), &token);
        buf_add_char(&token, '.');
        base64url_encode(GOOD, &token);
        buf_add_char(&token, '.');
        ck_assert_int_eq(verdict_of(&i, buf_text(&token)), want[n]);
    }
}
END_TEST

/* The attack: an RSA or EC public key, which everyone has, used as the secret of an HMAC. */
START_TEST(a_public_key_is_no_hmac_secret) {
    static const char *const algs[] = {"RS256", "PS256", "ES256", "EdDSA"};
    static const char *const members[] = {"n", "n", "x", "x"};
    for (size_t n = 0; n < ARRAY_LEN(algs); n++) {
        CLEANUP(issuer_release) issuer i = issuer_of(algs[n]);
        CLEANUP(signer_freep) signer *forger = NULL;
        CLEANUP(json_freep) json *forged = json_new_object();
        CLEANUP(buf_release) buf token = BUF(8192);
        char why[SIGN_WHY_MAX] = "";
        ck_assert_int_eq(json_put(forged, "kty", json_new_string(TEXT("oct"))), 0);
        ck_assert_int_eq(json_put(forged, "k", json_new_string(json_get_string(i.key, members[n]))), 0);
        ck_assert_int_eq(json_put(forged, "kid", json_new_string(json_get_string(i.key, "kid"))), 0);
        ck_assert_msg(signer_new(forged, &forger, why) == 0, "%s", why);
        ck_assert_int_eq(signer_sign(forger, GOOD, &token), 0);
        ck_assert_int_eq(verdict_of(&i, buf_text(&token)), TOKEN_WRONG_ALGORITHM);
    }
}
END_TEST

START_TEST(a_token_with_any_character_changed_is_refused) {
    static const char *const algs[] = {"HS256", "ES256", "EdDSA", "RS256"};
    for (size_t n = 0; n < ARRAY_LEN(algs); n++) {
        CLEANUP(issuer_release) issuer i = issuer_of(algs[n]);
        CLEANUP(buf_release) buf token = BUF(8192);
        ck_assert_int_eq(signer_sign(i.signer, GOOD, &token), 0);
        ck_assert_int_eq(verdict_of(&i, buf_text(&token)), TOKEN_ACCEPTED);
        for (size_t at = 0; at < token.len; at++) {
            char was = token.ptr[at];
            token.ptr[at] = was == 'A' ? 'B' : 'A';
            token_verdict verdict = verdict_of(&i, buf_text(&token));
            ck_assert_msg(verdict != TOKEN_ACCEPTED, "%s: byte %zu", algs[n], at);
            token.ptr[at] = was;
        }
        for (size_t len = 0; len < token.len; len++)
            ck_assert_int_ne(verdict_of(&i, (text){token.ptr, len}), TOKEN_ACCEPTED);
    }
}
END_TEST

START_TEST(a_token_is_three_strict_parts) {
    CLEANUP(issuer_release) issuer i = issuer_of("ES256");
    CLEANUP(buf_release) buf good = BUF(8192);
    ck_assert_int_eq(signer_sign(i.signer, GOOD, &good), 0);
    static const char *const before[] = {"", " ", "", "", "", "", "a."};
    static const char *const behind[] = {"", "", "\n", "=", "==", ".", ""};
    for (size_t n = 0; n < ARRAY_LEN(before); n++) {
        CLEANUP(buf_release) buf token = BUF(8192);
        buf_printf(&token, "%s%s%s", before[n], good.ptr, behind[n]);
        ck_assert_int_eq(verdict_of(&i, buf_text(&token)), n == 0 ? TOKEN_ACCEPTED : TOKEN_REFUSED);
    }
    static const text shapes[] = {TEXT(""),    TEXT("."),   TEXT(".."),
                                  TEXT("..."), TEXT("a.b"), TEXT("e30.e30.")};
    for (size_t n = 0; n < ARRAY_LEN(shapes); n++)
        ck_assert_int_eq(verdict_of(&i, shapes[n]), TOKEN_REFUSED);
    ck_assert_int_eq(verdict_of(&i, (text){0}), TOKEN_REFUSED);
}
END_TEST

START_TEST(a_token_longer_than_allowed_is_refused_unread) {
    CLEANUP(issuer_release) issuer i = issuer_of("ES256");
    CLEANUP(buf_release) buf token = BUF(8192);
    ck_assert_int_eq(signer_sign(i.signer, GOOD, &token), 0);
    for (int spare = -1; spare <= 0; spare++) {
        CLEANUP(claims_freep) claims *who = NULL;
        CLEANUP(token_rules_freep)
        token_rules *rules = rules_of((token_rules_spec){.max_len = spare < 0 ? token.len - 1 : token.len});
        ck_assert_int_eq(token_verify(i.keys, rules, buf_text(&token), NOW, &who),
                         spare < 0 ? TOKEN_TOO_LONG : TOKEN_ACCEPTED);
    }
}
END_TEST

/* Two keys of one algorithm: the kid decides, and without one there is no telling. */
START_TEST(the_kid_selects_the_key) {
    CLEANUP(issuer_release) issuer a = issuer_of("ES256"), b = issuer_of("ES256"), c = issuer_of("EdDSA");
    CLEANUP(buf_release) buf set = BUF(8192);
    buf_add_text(&set, TEXT("{\"keys\":["));
    const issuer *all[] = {&a, &b, &c};
    for (size_t n = 0; n < 3; n++) {
        CLEANUP(json_freep) json *half = NULL;
        ck_assert_int_eq(sign_verifying_half(all[n]->key, &half), 0);
        buf_add(&set, ",", n > 0);
        json_print(half, &set);
    }
    buf_add_text(&set, TEXT("]}"));
    CLEANUP(issuer_release) issuer both = {.keys = keyset_of(buf_text(&set))};
    ck_assert_uint_eq(keyset_count(both.keys), 3);
    for (size_t n = 0; n < 3; n++) {
        CLEANUP(buf_release) buf token = BUF(8192);
        ck_assert_int_eq(signer_sign(all[n]->signer, GOOD, &token), 0);
        ck_assert_int_eq(verdict_of(&both, buf_text(&token)), TOKEN_ACCEPTED);
    }
    CLEANUP(buf_release) buf unnamed = BUF(8192), only = BUF(8192), crossed = BUF(8192), header = BUF(512);
    ck_assert_int_eq(signer_sign_as(a.signer, TEXT("{\"alg\":\"ES256\"}"), GOOD, &unnamed), 0);
    ck_assert_int_eq(verdict_of(&both, buf_text(&unnamed)), TOKEN_UNKNOWN_KEY);
    ck_assert_int_eq(signer_sign_as(c.signer, TEXT("{\"alg\":\"EdDSA\"}"), GOOD, &only), 0);
    ck_assert_int_eq(verdict_of(&both, buf_text(&only)), TOKEN_ACCEPTED);
    text kid = json_get_string(c.key, "kid");
    buf_printf(&header, "{\"alg\":\"ES256\",\"kid\":\"%.*s\"}", (int)kid.len, kid.ptr);
    ck_assert_int_eq(signer_sign_as(a.signer, buf_text(&header), GOOD, &crossed), 0);
    ck_assert_int_eq(verdict_of(&both, buf_text(&crossed)), TOKEN_WRONG_ALGORITHM);
}
END_TEST

START_TEST(every_verdict_has_a_name_of_its_own) {
    for (int v = 0; v < TOKEN_VERDICTS; v++)
        for (int w = 0; w < v; w++)
            ck_assert_str_ne(token_verdict_name((token_verdict)v), token_verdict_name((token_verdict)w));
    ck_assert_str_eq(token_verdict_name(TOKEN_VERDICTS), "unknown");
}
END_TEST

Suite *suite_token(void) {
    Suite *s = suite_create("token");
    TCase *t = tcase_create("token");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_header_that_is_not_ours_is_refused);
    tcase_add_test(t, an_unsigned_token_is_refused);
    tcase_add_test(t, a_public_key_is_no_hmac_secret);
    tcase_add_test(t, a_token_with_any_character_changed_is_refused);
    tcase_add_test(t, a_token_is_three_strict_parts);
    tcase_add_test(t, a_token_longer_than_allowed_is_refused_unread);
    tcase_add_test(t, the_kid_selects_the_key);
    tcase_add_test(t, every_verdict_has_a_name_of_its_own);
    suite_add_tcase(s, t);
    return s;
}
