/* text.c - see text.h. */
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

text text_of(const char *string) {
    return (text){string, string ? strlen(string) : 0};
}

bool text_equal(text a, text b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool text_starts_with(text whole, text prefix) {
    return whole.len >= prefix.len && (prefix.len == 0 || memcmp(whole.ptr, prefix.ptr, prefix.len) == 0);
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

text text_trim(text t) {
    while (t.len > 0 && is_space(t.ptr[0])) {
        t.ptr++;
        t.len--;
    }
    while (t.len > 0 && is_space(t.ptr[t.len - 1]))
        t.len--;
    return t;
}

bool text_next(text *rest, char separator, text *ret_head) {
    if (!rest->ptr)
        return false;
    const char *at = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    if (at) {
        size_t used = (size_t)(at - rest->ptr);
        *ret_head = (text){rest->ptr, used};
        *rest = (text){at + 1, rest->len - used - 1};
    } else {
        *ret_head = *rest;
        *rest = (text){NULL, 0};
    }
    return true;
}

/* The length of the well-formed sequence at `p`, or 0. Follows the table 3-7 of the Unicode standard. */
static size_t utf8_sequence(const unsigned char *p, size_t left) {
    unsigned char lead = p[0];
    if (lead < 0x80)
        return 1;
    size_t need = lead >= 0xC2 && lead <= 0xDF   ? 2
                  : lead >= 0xE0 && lead <= 0xEF ? 3
                  : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                 : 0;
    if (need == 0 || left < need)
        return 0;
    unsigned char low = 0x80, high = 0xBF;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if (p[i] < 0x80 || p[i] > 0xBF)
            return 0;
    return need;
}

bool text_is_utf8(text t) {
    const unsigned char *p = (const unsigned char *)t.ptr;
    size_t at = 0;
    while (at < t.len) {
        uint64_t eight;
        if (t.len - at >= sizeof eight) {
            memcpy(&eight, p + at, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        size_t step = utf8_sequence(p + at, t.len - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

size_t text_code_points(text t) {
    size_t count = 0;
    for (size_t i = 0; i < t.len; i++)
        count += ((unsigned char)t.ptr[i] & 0xC0) != 0x80;
    return count;
}

int text_to_i64(text t, int64_t min, int64_t max, int64_t *ret_value) {
    char digits[24];
    if (t.len == 0 || t.len >= sizeof digits || is_space(t.ptr[0]) || t.ptr[0] == '+')
        return -EINVAL;
    memcpy(digits, t.ptr, t.len);
    digits[t.len] = '\0';
    char *end = NULL;
    errno = 0;
    long long value = strtoll(digits, &end, 10);
    if (end != digits + t.len)
        return -EINVAL;
    if (errno != 0 || value < min || value > max)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

char *text_copy(text t) {
    char *copy = malloc(t.len + 1);
    if (!copy)
        return NULL;
    if (t.len)
        memcpy(copy, t.ptr, t.len);
    copy[t.len] = '\0';
    return copy;
}

void freep(void *pointer_to_pointer) {
    void *memory;
    memcpy(&memory, pointer_to_pointer, sizeof memory);
    free(memory);
}
