/* request.c - see request.h. */
#include "gateway/http/request.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_LEN 64

text request_header_of(const http_request *r, const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < r->header_count; i++) {
        const request_header *h = &r->headers[i];
        if (h->name.len == len && strncasecmp(h->name.ptr, name, len) == 0)
            return (text){h->value.ptr ? h->value.ptr : "", h->value.len};
    }
    return (text){0};
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte at *at of an encoded text, and *at behind it; -1 when it is no escape. */
static int next_byte(text t, size_t *at) {
    char c = t.ptr[(*at)++];
    if (c == '+')
        return ' ';
    if (c != '%')
        return (unsigned char)c;
    if (t.len - *at < 2)
        return -1;
    int high = hex_value(t.ptr[*at]), low = hex_value(t.ptr[*at + 1]);
    *at += 2;
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Returns 0, -EBADMSG, or -EMSGSIZE. */
static int decode(text t, char *space, size_t size, text *ret_decoded) {
    size_t len = 0;
    for (size_t at = 0; at < t.len;) {
        int byte = next_byte(t, &at);
        if (byte < 0)
            return -EBADMSG;
        if (len == size)
            return -EMSGSIZE;
        space[len++] = (char)byte;
    }
    text decoded = {size ? space : "", len};
    if (!text_is_utf8(decoded))
        return -EBADMSG;
    *ret_decoded = decoded;
    return 0;
}

/* The next "name=value" that is not empty; what stands without '=' is a name. */
static bool next_pair(text *rest, form_pair *ret_raw) {
    text piece;
    while (text_next(rest, '&', &piece)) {
        if (piece.len == 0)
            continue;
        text value = piece;
        (void)text_next(&value, '=', &ret_raw->name);
        ret_raw->value = value.ptr ? value : (text){"", 0};
        return true;
    }
    return false;
}

text form_value(text form, const char *name, char *space, size_t size) {
    char named[NAME_MAX_LEN];
    form_pair raw;
    while (next_pair(&form, &raw)) {
        text found;
        if (decode(raw.name, named, sizeof named, &found) < 0 || !text_equal(found, text_of(name)))
            continue;
        return decode(raw.value, space, size, &found) < 0 ? (text){0} : found;
    }
    return (text){0};
}

int form_read(text form, char *space, size_t size, form_pair *ret_pairs, size_t most) {
    size_t count = 0, used = 0;
    form_pair raw;
    while (next_pair(&form, &raw)) {
        if (count == most)
            return -EMSGSIZE;
        form_pair *one = &ret_pairs[count++];
        int fault = decode(raw.name, space + used, size - used, &one->name);
        if (fault == 0) {
            used += one->name.len;
            fault = decode(raw.value, space + used, size - used, &one->value);
        }
        if (fault < 0)
            return fault;
        used += one->value.len;
    }
    return (int)count;
}
