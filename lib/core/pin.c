/* pin.c - see pin.h. */
#include "core/pin.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>

#define METHOD     "pbkdf2-sha256"
#define SALT_LEN   16 /* of the hashes made here */
#define SALT_MAX   32 /* of those read */
#define HASH_LEN   32
#define PIN_MAX    1024
#define ROUNDS_MAX 10000000 /* more is damage, and would stop the caller for minutes */

/* What a spelled hash says. */
typedef struct parts {
    int rounds;
    size_t salt_len;
    unsigned char salt[SALT_MAX], hash[HASH_LEN];
} parts;

static bool derive(text pin, const parts *p, unsigned char to[HASH_LEN]) {
    ERR_set_mark();
    bool done =
        pin.len <= PIN_MAX && PKCS5_PBKDF2_HMAC(pin.ptr ? pin.ptr : "", (int)pin.len, p->salt,
                                                (int)p->salt_len, p->rounds, EVP_sha256(), HASH_LEN, to) == 1;
    ERR_pop_to_mark();
    return done;
}

static void spell_hex(const unsigned char *bytes, size_t count, char *to) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    *to = '\0';
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(text hex, size_t min, size_t max, unsigned char *to, size_t *ret_count) {
    if (hex.len % 2 != 0 || hex.len < 2 * min || hex.len > 2 * max)
        return false;
    for (size_t i = 0; i < hex.len / 2; i++) {
        int high = hex_digit(hex.ptr[2 * i]), low = hex_digit(hex.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        to[i] = (unsigned char)(high << 4 | low);
    }
    *ret_count = hex.len / 2;
    return true;
}

static bool take_apart(text spelled, parts *ret_parts) {
    text rest = spelled, method, rounds, salt, hash, more;
    int64_t count = 0;
    size_t hash_len = 0;
    parts p = {0};
    if (!text_next(&rest, '$', &method) || !text_next(&rest, '$', &rounds) || !text_next(&rest, '$', &salt) ||
        !text_next(&rest, '$', &hash) || text_next(&rest, '$', &more))
        return false;
    if (!text_equal(method, TEXT(METHOD)) || text_to_i64(rounds, 1, ROUNDS_MAX, &count) < 0 ||
        !read_hex(salt, 1, SALT_MAX, p.salt, &p.salt_len) ||
        !read_hex(hash, HASH_LEN, HASH_LEN, p.hash, &hash_len))
        return false;
    p.rounds = (int)count;
    *ret_parts = p;
    return true;
}

int pin_hash(text pin, char ret_hash[PIN_HASH_MAX]) {
    parts p = {.rounds = PIN_ROUNDS, .salt_len = SALT_LEN};
    char salt[2 * SALT_LEN + 1], hash[2 * HASH_LEN + 1];
    if (RAND_bytes(p.salt, SALT_LEN) != 1 || !derive(pin, &p, p.hash))
        return -ENOMEM;
    spell_hex(p.salt, SALT_LEN, salt);
    spell_hex(p.hash, HASH_LEN, hash);
    (void)snprintf(ret_hash, PIN_HASH_MAX, METHOD "$%d$%s$%s", PIN_ROUNDS, salt, hash);
    return 0;
}

bool pin_fits(text pin, text hash) {
    unsigned char derived[HASH_LEN] = {0};
    /* Without a hash as much is done as with one: the time does not tell whether there is a second PIN. */
    parts p = {.rounds = PIN_ROUNDS, .salt_len = SALT_LEN};
    bool known = take_apart(hash, &p);
    bool done = derive(pin, &p, derived);
    bool equal = CRYPTO_memcmp(derived, p.hash, HASH_LEN) == 0;
    OPENSSL_cleanse(derived, sizeof derived);
    return known && done && equal;
}

pin_verdict pin_judge(text pin, text hash, text duress_hash) {
    bool right = pin_fits(pin, hash), duress = pin_fits(pin, duress_hash);
    if (duress) /* also when somebody gave the same PIN for both: help comes too often rather than not at all
                 */
        return PIN_DURESS;
    return right ? PIN_RIGHT : PIN_WRONG;
}
