/* base64url.c - see base64url.h. */
#include "core/base64url.h"

#include <errno.h>

/* The six bits a character stands for, or -1. */
static int six_bits(unsigned char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int base64url_decode(text t, unsigned char *to, size_t *ret_len) {
    uint32_t bits = 0;
    unsigned held = 0; /* how many of the low bits are not written yet */
    size_t len = 0;
    if (t.len % 4 == 1)
        return -EINVAL;
    for (size_t i = 0; i < t.len; i++) {
        int value = six_bits((unsigned char)t.ptr[i]);
        if (value < 0)
            return -EINVAL;
        bits = (bits << 6) | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            to[len++] = (unsigned char)(bits >> held);
        }
    }
    if (bits & ((1U << held) - 1))
        return -EINVAL;
    *ret_len = len;
    return 0;
}

void base64url_encode(text bytes, buf *to) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = (bits << 8) | (unsigned char)bytes.ptr[i];
        held += 8;
        while (held >= 6) {
            held -= 6;
            buf_add_char(to, alphabet[(bits >> held) & 63]);
        }
    }
    if (held > 0)
        buf_add_char(to, alphabet[(bits << (6 - held)) & 63]);
}
