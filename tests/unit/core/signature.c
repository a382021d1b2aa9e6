/* Signatures that others made: the examples of RFC 7515 appendix A and RFC 8037 appendix A. */
#include <check.h>
#include <errno.h>
#include <openssl/err.h>
#include "core/base64url.h"
#include "core/keyset_private.h"

typedef struct example {
    const char *alg;
    const char *jwk;
    const char *signed_part;
    const char *signature;
} example;

#define CLAIMS_PART                                                                                          \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

static const example examples[] = {
    {"HS256",
     "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
     "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}",
     "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS_PART, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
    {"RS256",
     "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":"
     "\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-"
     "yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-"
     "KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
     "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}",
     "eyJhbGciOiJSUzI1NiJ9." CLAIMS_PART,
     "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
     "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07"
     "Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
     "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
     "IoypGlUPQGe77Rw"},
    {"ES256",
     "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
     "eyJhbGciOiJFUzI1NiJ9." CLAIMS_PART,
     "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {"ES512",
     "{\"kty\":\"EC\",\"crv\":\"P-521\","
     "\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\","
     "\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}",
     "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA",
     "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_"
     "7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"},
    {"EdDSA", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
     "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

static keyset *keys_of(const example *e) {
    CLEANUP(buf_release) buf set = BUF(8192);
    char why[TOKEN_WHY_MAX] = "";
    keyset *keys = NULL;
    buf_printf(&set, "{\"keys\":[%s]}", e->jwk);
    ck_assert_msg(keyset_parse(buf_text(&set), &keys, why) == 0, "%s: %s", e->alg, why);
    return keys;
}

static token_verdict check(const keyset *keys, const example *e, text message, text signature) {
    const ready_key *key = NULL;
    ck_assert_int_eq(keyset_choose(keys, (text){0}, algorithm_named(text_of(e->alg)), &key), TOKEN_ACCEPTED);
    return keyset_check_signature(keys, key, message, signature);
}

START_TEST(published_signatures_are_right) {
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        const example *e = &examples[i];
        CLEANUP(keyset_freep) keyset *keys = keys_of(e);
        unsigned char signature[512];
        size_t len;
        ck_assert_int_eq(base64url_decode(text_of(e->signature), signature, &len), 0);
        for (int again = 0; again < 3; again++) { /* a context is used many times */
            ck_assert_msg(check(keys, e, text_of(e->signed_part), (text){(char *)signature, len}) ==
                              TOKEN_ACCEPTED,
                          "%s, time %d", e->alg, again);
            ck_assert_int_eq(check(keys, e, TEXT("something else"), (text){(char *)signature, len}),
                             TOKEN_BAD_SIGNATURE);
        }
    }
}
END_TEST

START_TEST(a_signature_with_any_byte_changed_is_wrong) {
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        const example *e = &examples[i];
        CLEANUP(keyset_freep) keyset *keys = keys_of(e);
        unsigned char signature[512];
        size_t len;
        ck_assert_int_eq(base64url_decode(text_of(e->signature), signature, &len), 0);
        for (size_t at = 0; at < len; at++) {
            signature[at] ^= 1;
            ck_assert_int_eq(check(keys, e, text_of(e->signed_part), (text){(char *)signature, len}),
                             TOKEN_BAD_SIGNATURE);
            signature[at] ^= 1;
        }
    }
}
END_TEST

START_TEST(a_signature_of_another_length_is_wrong) {
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        const example *e = &examples[i];
        CLEANUP(keyset_freep) keyset *keys = keys_of(e);
        unsigned char signature[513] = {0};
        size_t len;
        ck_assert_int_eq(base64url_decode(text_of(e->signature), signature, &len), 0);
        const size_t lengths[] = {0, 1, len - 2, len - 1, len + 1};
        for (size_t n = 0; n < ARRAY_LEN(lengths); n++)
            ck_assert_int_eq(check(keys, e, text_of(e->signed_part), (text){(char *)signature, lengths[n]}),
                             TOKEN_BAD_SIGNATURE);
    }
}
END_TEST

/* The broker's TLS reads the same queue: a stale entry there would end an innocent connection. */
START_TEST(refusals_leave_the_error_queue_as_it_was) {
    ERR_clear_error();
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        const example *e = &examples[i];
        CLEANUP(keyset_freep) keyset *keys = keys_of(e), *none = NULL;
        char why[TOKEN_WHY_MAX], zeros[512] = {0};
        size_t len = algorithm_named(text_of(e->alg))->signature_len;
        ck_assert_int_eq(check(keys, e, TEXT("x"), (text){zeros, len ? len : 256}), TOKEN_BAD_SIGNATURE);
        ck_assert_uint_eq(ERR_peek_error(), 0);
        ck_assert_int_eq(keyset_parse(TEXT("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
                                           "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"y\":"
                                           "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}"),
                                      &none, why),
                         -EBADMSG);
        ck_assert_uint_eq(ERR_peek_error(), 0);
    }
}
END_TEST

START_TEST(base64url_has_one_spelling_for_each_value) {
    static const struct {
        text t;
        int want;
    } rows[] = {
        {TEXT(""), 0},
        {TEXT("AA"), 0},
        {TEXT("AAA"), 0},
        {TEXT("AAAA"), 0},
        {TEXT("-_-_"), 0},
        {TEXT("A"), -EINVAL},
        {TEXT("AAAAA"), -EINVAL},
        {TEXT("AB"), -EINVAL},
        {TEXT("AAB"), -EINVAL},
        {TEXT("AA=="), -EINVAL},
        {TEXT("AA A"), -EINVAL},
        {TEXT("+/+/"), -EINVAL},
        {TEXT("AAA."), -EINVAL},
        {TEXT("AA\n"), -EINVAL},
        {TEXT("AA\0"), -EINVAL},
        {TEXT("\xFF\xFF"), -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned char bytes[16];
        size_t len = 0;
        CLEANUP(buf_release) buf again = BUF(64);
        ck_assert_msg(base64url_decode(rows[i].t, bytes, &len) == rows[i].want, "%s", rows[i].t.ptr);
        base64url_encode((text){(char *)bytes, len}, &again);
        ck_assert_msg(rows[i].want < 0 || text_equal(buf_text(&again), rows[i].t), "%s", rows[i].t.ptr);
    }
}
END_TEST

Suite *suite_signature(void) {
    Suite *s = suite_create("signature");
    TCase *t = tcase_create("signature");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, published_signatures_are_right);
    tcase_add_test(t, a_signature_with_any_byte_changed_is_wrong);
    tcase_add_test(t, a_signature_of_another_length_is_wrong);
    tcase_add_test(t, refusals_leave_the_error_queue_as_it_was);
    tcase_add_test(t, base64url_has_one_spelling_for_each_value);
    suite_add_tcase(s, t);
    return s;
}
