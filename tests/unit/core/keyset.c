#include "token_support.h"

#define OCT       "\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"" /* 32 bytes */
#define EC_X      "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""
#define EC_Y      "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define EC        "\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X "," EC_Y
#define SET(keys) TEXT("{\"keys\":[" keys "]}")

START_TEST(a_set_is_taken_whole_or_refused_with_the_offending_key) {
    static const struct {
        text jwks;
        size_t count; /* 0: refused */
        const char *why;
    } rows[] = {
        {SET("{" OCT "}"), 1, ""},
        {SET("{" EC "}"), 1, ""},
        {SET("{" EC ",\"alg\":\"ES256\",\"use\":\"sig\",\"key_ops\":[\"verify\"],\"x5t\":\"ignored\"}"), 1,
         ""},
        {SET("{" EC ",\"kid\":\"a\"},{" OCT ",\"kid\":\"b\"}"), 2, ""},
        {TEXT("{\"keys\":[{" OCT "}],\"more\":1}"), 1, ""},
        /* foreign keys are passed over */
        {SET("{" EC "},{" OCT ",\"use\":\"enc\"}"), 1, ""},
        {SET("{" EC "},{" OCT ",\"key_ops\":[\"sign\"]}"), 1, ""},
        {SET("{" EC "},{\"kty\":\"AKP\"}"), 1, ""},
        {SET("{" EC "},{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"alg\":\"ES256K\"}"), 1, ""},
        {SET("{" EC "},{\"kty\":\"OKP\",\"crv\":\"Ed448\",\"alg\":\"EdDSA\"}"), 1, ""},
        {SET("{" EC ",\"use\":\"enc\"}"), 0, "no key that a token can be verified with"},
        {SET(""), 0, "no key that a token can be verified with"},
        /* the set */
        {TEXT(""), 0, "malformed"},
        {TEXT("[]"), 0, "JWK Set"},
        {TEXT("{}"), 0, "JWK Set"},
        {TEXT("{\"keys\":{}}"), 0, "JWK Set"},
        {TEXT("{" OCT "}"), 0, "JWK Set"},
        {TEXT("{\"keys\":[{" OCT "}]"), 0, "malformed"},
        {SET("{" EC ",\"kid\":\"a\"},{" OCT ",\"kid\":\"a\"}"), 0, "key 2 (kid 'a'): another key"},
        {SET("{" EC ",\"kid\":\"a\"},{" OCT "}"), 0, "no 'kid'"},
        {SET("{" EC "},7"), 0, "key 2: it is not an object"},
        {SET("{" EC "},null"), 0, "key 2: it is not an object"},
        /* one key */
        {SET("{\"k\":\"AAAA\"}"), 0, "'kty'"},
        {SET("{\"kty\":7}"), 0, "'kty'"},
        {SET("{\"kty\":\"oct\"}"), 0, "'k'"},
        {SET("{\"kty\":\"oct\",\"k\":\"AAAA\"}"), 0, "HS256 needs a key of 32"},
        {SET("{" OCT ",\"alg\":\"HS512\"}"), 0, "HS512 needs a key of 64"},
        {SET("{" OCT ",\"alg\":\"RS256\"}"), 0, "does not fit"},
        {SET("{" OCT ",\"alg\":\"none\"}"), 0, "no signature algorithm"},
        {SET("{" OCT ",\"alg\":256}"), 0, "no signature algorithm"},
        {SET("{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}"), 0, "base64url"},
        {SET("{" OCT ",\"kid\":\"\"}"), 0, "'kid'"},
        {SET("{" OCT ",\"kid\":1}"), 0, "'kid'"},
        {SET("{" OCT ",\"use\":1}"), 0, "'use'"},
        {SET("{" OCT ",\"key_ops\":\"verify\"}"), 0, "'key_ops'"},
        {SET("{" EC ",\"alg\":\"ES384\"}"), 0, "does not fit"},
        {SET("{" EC ",\"alg\":\"HS256\"}"), 0, "does not fit"},
        {SET("{\"kty\":\"EC\"," EC_X "," EC_Y "}"), 0, "'crv'"},
        {SET("{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X "}"), 0, "'y'"},
        {SET("{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X ",\"y\":\"AAAA\"}"), 0,
         "'y' is 3 bytes long instead of 32"},
        {SET("{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_X
             ",\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}"),
         0, "no valid EC key"},
        {SET("{\"kty\":\"EC\",\"crv\":\"P-384\"," EC_X "," EC_Y "}"), 0,
         "'x' is 32 bytes long instead of 48"},
        {SET("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}"), 0, "'x' is 3 bytes"},
        {SET("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}"), 0, "'n' must be an odd number of 2048"},
        {SET("{\"kty\":\"RSA\",\"e\":\"AQAB\"}"), 0, "'n'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(keyset_freep) keyset *keys = NULL;
        char why[TOKEN_WHY_MAX] = "";
        int fault = keyset_parse(rows[i].jwks, &keys, why);
        ck_assert_msg(fault == (rows[i].count ? 0 : -EBADMSG), "%s: %s", rows[i].jwks.ptr, why);
        ck_assert_msg(strstr(why, rows[i].why), "%s: %s", rows[i].jwks.ptr, why);
        ck_assert_uint_eq(keys ? keyset_count(keys) : 0, rows[i].count);
    }
}
END_TEST

START_TEST(an_rsa_exponent_that_weakens_the_key_is_refused) {
    static const char *const exponents[] = {"AQ", "Ag", "AA", "AQAA", "AQAAAAAAAAAB"};
    CLEANUP(json_freep) json *key = NULL;
    ck_assert_int_eq(sign_new_key(TEXT("RS256"), 2048, &key), 0);
    for (size_t i = 0; i < ARRAY_LEN(exponents); i++) {
        CLEANUP(keyset_freep) keyset *keys = NULL;
        CLEANUP(buf_release) buf set = BUF(8192);
        char why[TOKEN_WHY_MAX] = "";
        ck_assert_int_eq(json_put(key, "e", json_new_string(text_of(exponents[i]))), 0);
        buf_add_text(&set, TEXT("{\"keys\":["));
        json_print(key, &set);
        buf_add_text(&set, TEXT("]}"));
        ck_assert_int_eq(keyset_parse(buf_text(&set), &keys, why), -EBADMSG);
        ck_assert_msg(strstr(why, "'e'"), "%s", why);
    }
}
END_TEST

START_TEST(a_kid_that_would_disturb_a_log_line_is_not_quoted) {
    CLEANUP(keyset_freep) keyset *keys = NULL;
    char why[TOKEN_WHY_MAX] = "";
    ck_assert_int_eq(keyset_parse(SET("{\"kty\":\"oct\",\"kid\":\"a\\nb\",\"k\":\"AAAA\"}"), &keys, why),
                     -EBADMSG);
    ck_assert_msg(strncmp(why, "key 1: ", 7) == 0, "%s", why);
}
END_TEST

START_TEST(a_set_holds_at_most_256_keys) {
    for (int n = 256; n <= 257; n++) {
        CLEANUP(keyset_freep) keyset *keys = NULL;
        CLEANUP(buf_release) buf set = BUF(1 << 20);
        char why[TOKEN_WHY_MAX] = "";
        buf_add_text(&set, TEXT("{\"keys\":["));
        for (int i = 0; i < n; i++)
            buf_printf(&set, "%s{" OCT ",\"kid\":\"%d\"}", i ? "," : "", i);
        buf_add_text(&set, TEXT("]}"));
        ck_assert_int_eq(keyset_parse(buf_text(&set), &keys, why), n == 256 ? 0 : -EBADMSG);
    }
}
END_TEST

Suite *suite_keyset(void) {
    Suite *s = suite_create("keyset");
    TCase *t = tcase_create("keyset");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_set_is_taken_whole_or_refused_with_the_offending_key);
    tcase_add_test(t, an_rsa_exponent_that_weakens_the_key_is_refused);
    tcase_add_test(t, a_kid_that_would_disturb_a_log_line_is_not_quoted);
    tcase_add_test(t, a_set_holds_at_most_256_keys);
    suite_add_tcase(s, t);
    return s;
}
