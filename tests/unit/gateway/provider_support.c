#include "provider_support.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include "core/base64url.h"
#include "gateway/http/request.h"

static EVP_PKEY *key;
static char *pem;

const char *test_pem(void) {
    if (pem)
        return pem;
    key = EVP_RSA_gen(2048);
    BIO *to = BIO_new(BIO_s_mem());
    if (!key || !to || PEM_write_bio_PrivateKey(to, key, NULL, NULL, 0, NULL, NULL) != 1)
        abort(); /* there may be no test yet that could fail */
    char *bytes = NULL;
    long len = BIO_get_mem_data(to, &bytes);
    pem = text_copy((text){bytes, (size_t)len});
    BIO_free(to);
    return pem;
}

bool test_pem_verifies(const char *token, size_t len) {
    const char *dot = memrchr(token, '.', len);
    ck_assert_ptr_nonnull(dot);
    size_t before = (size_t)(dot - token), signature_len = 0;
    text spelled = {dot + 1, len - before - 1};
    unsigned char *signature = malloc(BASE64URL_DECODED_MAX(spelled.len));
    ck_assert_int_eq(base64url_decode(spelled, signature, &signature_len), 0);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = EVP_DigestVerifyInit_ex(ctx, NULL, "SHA2-256", NULL, NULL, key, NULL) == 1 &&
                EVP_DigestVerify(ctx, signature, signature_len, (const unsigned char *)token, before) == 1;
    EVP_MD_CTX_free(ctx);
    free(signature);
    return good;
}

char *test_form_value(const buf *form, const char *name) {
    static char space[32 << 10];
    text value = form_value(buf_text(form), name, space, sizeof space);
    return value.ptr ? text_copy(value) : NULL;
}
