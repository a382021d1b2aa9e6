/* spelling.c - the spelling of addresses, forms, dates and XML; see providers/inside.h. */
#include <stdio.h>
#include <time.h>

#include "gateway/providers/inside.h"

void url_add(buf *to, text value) {
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                     c == '_' || c == '.' || c == '~';
        if (plain) {
            buf_add_char(to, (char)c);
        } else {
            const char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
            buf_add(to, escape, sizeof escape);
        }
    }
}

void url_base_add(buf *to, const char *base) {
    text t = text_of(base);
    while (t.len && t.ptr[t.len - 1] == '/')
        t.len--;
    buf_add_text(to, t);
}

void form_add(buf *to, const char *name, text value) {
    if (to->len > 0)
        buf_add_char(to, '&');
    url_add(to, text_of(name));
    buf_add_char(to, '=');
    url_add(to, value);
}

void form_add_number(buf *to, const char *name, int64_t value) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)value);
    form_add(to, name, (text){digits, (size_t)len});
}

void hook_url_add(buf *to, const settings *s, const char *account, const char *what, text notification) {
    if (!s->notify_public_url || !*s->notify_public_url)
        return;
    url_base_add(to, s->notify_public_url);
    buf_printf(to, "/hooks/%s/%s?n=", account, what);
    url_add(to, notification);
}

static bool parts_of(instant at, struct tm *ret_parts) {
    time_t seconds = (time_t)(at / INSTANT_SECOND);
    return gmtime_r(&seconds, ret_parts) != NULL;
}

void date_add(buf *to, instant at) {
    char spelled[32];
    struct tm parts;
    if (parts_of(at, &parts))
        buf_add(to, spelled, strftime(spelled, sizeof spelled, "%Y-%m-%d", &parts));
}

void moment_add(buf *to, instant at) {
    char spelled[32];
    struct tm parts;
    if (parts_of(at, &parts))
        buf_add(to, spelled, strftime(spelled, sizeof spelled, "%Y-%m-%dT%H:%M:%SZ", &parts));
}

void xml_add(buf *to, text t) {
    for (size_t i = 0; i < t.len; i++) {
        unsigned char c = (unsigned char)t.ptr[i];
        if (c == '<')
            buf_add_text(to, TEXT("&lt;"));
        else if (c == '>')
            buf_add_text(to, TEXT("&gt;"));
        else if (c == '&')
            buf_add_text(to, TEXT("&amp;"));
        else if (c == '"')
            buf_add_text(to, TEXT("&quot;"));
        else if (c == '\'')
            buf_add_text(to, TEXT("&apos;"));
        else if (c == 0xEF && t.len - i >= 3 && (unsigned char)t.ptr[i + 1] == 0xBF &&
                 (unsigned char)t.ptr[i + 2] >= 0xBE)
            i += 2; /* U+FFFE and U+FFFF: XML has no way to write them */
        else
            buf_add_char(to, c < ' ' ? ' ' : (char)c);
    }
}

text text_cut(text t, size_t most) {
    size_t units = 0;
    for (size_t i = 0; i < t.len; i++) {
        unsigned char c = (unsigned char)t.ptr[i];
        if ((c & 0xC0) == 0x80)
            continue;
        units += c >= 0xF0 ? 2 : 1;
        if (units > most)
            return (text){t.ptr, i};
    }
    return t;
}

text phone_digits(text number) {
    return number.len && number.ptr[0] == '+' ? (text){number.ptr + 1, number.len - 1} : number;
}

int64_t seconds_within(int64_t ms, int64_t min, int64_t max) {
    int64_t s = ms / 1000;
    return s < min ? min : s > max ? max : s;
}
