/* mac.c - see mac.h. */
#include "core/mac.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>
#include "base/json.h"
#include "core/base64url.h"

#define RSA_BITS_MIN  2048 /* RFC 7518, 3.3 */
#define RSA_BYTES_MAX 2048 /* of a signature: a key of 16384 bits */
#define HEADER_MAX    1024 /* of a JWS, decoded */

/* OpenSSL wants pointers also to nothing. */
static const unsigned char *bytes_of(text t) {
    return (const unsigned char *)(t.ptr ? t.ptr : "");
}

static int hmac(const char *digest, text key, text message, uint8_t *to, size_t len) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t made = 0;
    ERR_set_mark();
    bool done = EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, bytes_of(key), key.len, bytes_of(message),
                          message.len, mac, sizeof mac, &made) &&
                made == len;
    ERR_pop_to_mark();
    if (!done)
        return -EIO;
    memcpy(to, mac, len);
    return 0;
}

int hmac_sha1(text key, text message, uint8_t ret_mac[SHA1_LEN]) {
    return hmac("SHA1", key, message, ret_mac, SHA1_LEN);
}

int hmac_sha256(text key, text message, uint8_t ret_mac[SHA256_LEN]) {
    return hmac("SHA2-256", key, message, ret_mac, SHA256_LEN);
}

static int digest_of(const char *algorithm, text message, uint8_t *ret_digest, size_t len) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t made = 0;
    ERR_set_mark();
    bool done = EVP_Q_digest(NULL, algorithm, NULL, bytes_of(message), message.len, digest, &made) == 1 &&
                made == len;
    ERR_pop_to_mark();
    if (!done)
        return -EIO;
    memcpy(ret_digest, digest, len);
    return 0;
}

int sha256(text message, uint8_t ret_digest[SHA256_LEN]) {
    return digest_of("SHA2-256", message, ret_digest, SHA256_LEN);
}

int md5(text message, uint8_t ret_digest[MD5_LEN]) {
    return digest_of("MD5", message, ret_digest, MD5_LEN);
}

bool mac_equal(text a, text b) {
    return a.len == b.len && a.len > 0 && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}

void hex_add(const uint8_t *bytes, size_t len, buf *to) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        buf_add_char(to, digits[bytes[i] >> 4]);
        buf_add_char(to, digits[bytes[i] & 15]);
    }
}

void base64_add(const uint8_t *bytes, size_t len, buf *to) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t three = (uint32_t)bytes[i] << 16;
        if (left > 1)
            three |= (uint32_t)bytes[i + 1] << 8;
        if (left > 2)
            three |= bytes[i + 2];
        buf_add_char(to, alphabet[three >> 18]);
        buf_add_char(to, alphabet[(three >> 12) & 63]);
        buf_add_char(to, left > 1 ? alphabet[(three >> 6) & 63] : '=');
        buf_add_char(to, left > 2 ? alphabet[three & 63] : '=');
    }
}

/* Without it OpenSSL would ask a terminal for the password of a locked key. */
static int no_password(char *to, int size, int writing, void *context) {
    (void)to;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

static EVP_PKEY *read_rsa(const char *pem) {
    BIO *source = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = source ? PEM_read_bio_PrivateKey(source, NULL, no_password, NULL) : NULL;
    BIO_free(source);
    if (key && (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < RSA_BITS_MIN ||
                EVP_PKEY_get_size(key) > RSA_BYTES_MAX)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static int sign_rsa(EVP_PKEY *key, text message, unsigned char *to, size_t *ret_len) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = RSA_BYTES_MAX;
    bool done = ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA2-256", NULL, NULL, key, NULL) == 1 &&
                EVP_DigestSign(ctx, to, &len, bytes_of(message), message.len) == 1;
    EVP_MD_CTX_free(ctx);
    if (!done)
        return -EIO;
    *ret_len = len;
    return 0;
}

int jws_rs256(const char *pem, text payload, buf *to) {
    unsigned char signature[RSA_BYTES_MAX];
    size_t len = 0, start = to->len;
    ERR_set_mark();
    EVP_PKEY *key = pem ? read_rsa(pem) : NULL;
    int fault = key ? 0 : -EBADMSG;
    if (fault == 0) {
        base64url_encode(TEXT("{\"alg\":\"RS256\",\"typ\":\"JWT\"}"), to);
        buf_add_char(to, '.');
        base64url_encode(payload, to);
        fault = buf_failed(to);
    }
    if (fault == 0)
        fault = sign_rsa(key, (text){to->ptr + start, to->len - start}, signature, &len);
    EVP_PKEY_free(key);
    ERR_pop_to_mark();
    if (fault < 0)
        return fault;
    buf_add_char(to, '.');
    base64url_encode((text){(const char *)signature, len}, to);
    return buf_failed(to);
}

/* Appends what `encoded` says. */
static bool decode(text encoded, buf *to) {
    size_t start = to->len, len = 0;
    char *room = buf_extend(to, BASE64URL_DECODED_MAX(encoded.len));
    if (!room)
        return false;
    bool done = base64url_decode(encoded, (unsigned char *)room, &len) == 0;
    to->len = start + (done ? len : 0);
    to->ptr[to->len] = '\0';
    return done;
}

/* HS256 and nothing that has to be understood besides (RFC 7515, 4.1.11). */
static bool header_is_ours(text encoded) {
    CLEANUP(buf_release) buf decoded = BUF(HEADER_MAX);
    CLEANUP(json_freep) json *header = NULL;
    const json *critical = NULL;
    return decode(encoded, &decoded) && json_parse_once(buf_text(&decoded), &header) == JSON_OK &&
           text_equal(json_get_string(header, "alg"), TEXT("HS256")) &&
           !json_member(header, "crit", &critical);
}

bool jws_hs256_good(text token, text secret, buf *to) {
    text rest = token, header, payload, signature, more;
    uint8_t mac[SHA256_LEN];
    unsigned char given[BASE64URL_DECODED_MAX(43)]; /* 32 bytes are 43 signs */
    size_t len = 0;
    if (secret.len == 0 || !text_next(&rest, '.', &header) || !text_next(&rest, '.', &payload) ||
        !text_next(&rest, '.', &signature) || text_next(&rest, '.', &more))
        return false;
    if (signature.len != 43 || base64url_decode(signature, given, &len) < 0 || !header_is_ours(header) ||
        hmac_sha256(secret, (text){token.ptr, header.len + 1 + payload.len}, mac) < 0 ||
        !mac_equal((text){(const char *)mac, sizeof mac}, (text){(const char *)given, len}))
        return false;
    return decode(payload, to);
}
