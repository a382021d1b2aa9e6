/* provider.c - see provider.h and provider_inside.h. */
#include "gateway/provider.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gateway/provider_inside.h"

#define USER_MAX 1024

const char *provider_outcome_name(provider_outcome o) {
    switch (o) {
    case PROVIDER_UNKNOWN:
        return "unknown";
    case PROVIDER_SENT:
        return "sent";
    case PROVIDER_RETRY:
        return "retry";
    case PROVIDER_REFUSED:
        return "refused";
    }
    return "unknown";
}

const provider *provider_named(text name) {
    for (const provider *const *p = providers; *p; p++)
        if (text_equal(text_of((*p)->name), name))
            return *p;
    return NULL;
}

void provider_request_init(provider_request *r) {
    *r = (provider_request){.method = "POST",
                            .url = BUF(PROVIDER_REQUEST_MAX),
                            .body = BUF(PROVIDER_REQUEST_MAX),
                            .headers = BUF(PROVIDER_REQUEST_MAX),
                            .user = BUF(USER_MAX)};
}

static void wipe(buf *b) {
    if (b->ptr)
        explicit_bzero(b->ptr, b->capacity);
    buf_release(b);
}

/* Credentials are in each of them but the address. */
void provider_request_release(provider_request *r) {
    buf_release(&r->url);
    wipe(&r->body);
    wipe(&r->headers);
    wipe(&r->user);
}

/* ---- what an answer means ---- */

static provider_result verdict(provider_outcome outcome, provider_blame blame) {
    return (provider_result){.outcome = outcome, .blame = blame};
}

static provider_result of_status(int status) {
    switch (status) {
    case 425: /* too early, too many: never processed */
    case 429:
        return verdict(PROVIDER_RETRY, BLAME_PROVIDER);
    case 401: /* who we are, what we pay, where we asked: wrong for every message */
    case 402:
    case 403:
    case 404:
    case 405:
    case 407:
    case 410:
        return verdict(PROVIDER_REFUSED, BLAME_PROVIDER);
    case 408: /* says that it waited for the rest, and some say it of what stands behind them */
        return verdict(PROVIDER_UNKNOWN, BLAME_PROVIDER);
    }
    return status >= 400 && status < 500 ? verdict(PROVIDER_REFUSED, BLAME_MESSAGE)
                                         : verdict(PROVIDER_UNKNOWN, BLAME_PROVIDER);
}

reply_class provider_judge(const provider_reply *reply, provider_result *ret_result) {
    int status = reply->status;
    provider_result r;
    reply_class c = REPLY_SETTLED;
    if (status == 0) {
        r = verdict(reply->left ? PROVIDER_UNKNOWN : PROVIDER_RETRY, BLAME_PROVIDER);
        provider_code_add(r.code, text_of(reply->why ? reply->why : "no answer"));
    } else if (status >= 200 && status < 300) {
        r = verdict(PROVIDER_UNKNOWN, BLAME_PROVIDER);
        provider_code_add(r.code, TEXT("unreadable"));
        c = REPLY_GOOD;
    } else {
        r = of_status(status);
        (void)snprintf(r.code, sizeof r.code, "http %d", status);
        if (r.outcome == PROVIDER_REFUSED)
            c = REPLY_REFUSED;
    }
    r.retry_after_ms = reply->retry_after_ms > 0 ? reply->retry_after_ms : 0;
    *ret_result = r;
    return c;
}

void provider_unsettled(provider_result *r) {
    r->outcome = PROVIDER_UNKNOWN;
    r->reference[0] = '\0';
}

json *provider_body(const provider_reply *reply) {
    json *root = NULL;
    if (reply->cut || json_parse_once(reply->body, &root) != JSON_OK)
        return NULL;
    json_kind kind = json_kind_of(root);
    return kind == JSON_OBJECT || kind == JSON_ARRAY ? root : json_free(root);
}

void provider_code_add(char code[PROVIDER_CODE_MAX], text word) {
    size_t len = strnlen(code, PROVIDER_CODE_MAX - 1);
    for (size_t i = 0; i < word.len && len < PROVIDER_CODE_MAX - 1; i++) {
        char c = word.ptr[i];
        code[len++] = c >= ' ' && c <= '~' ? c : '?'; /* ASCII, so that cutting splits no sign */
    }
    code[len] = '\0';
}

text provider_scalar(const json *value, char space[32]) {
    if (json_kind_of(value) == JSON_STRING)
        return json_string(value);
    if (json_kind_of(value) != JSON_INTEGER)
        return (text){0};
    int len = snprintf(space, 32, "%lld", (long long)json_integer(value));
    return (text){space, (size_t)len};
}

bool provider_reference_good(text reference) {
    if (reference.len == 0 || reference.len >= PROVIDER_REFERENCE_MAX)
        return false;
    for (size_t i = 0; i < reference.len; i++) {
        char c = reference.ptr[i];
        bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                    c == '_';
        if (!good)
            return false;
    }
    return true;
}

void provider_sent(provider_result *r, text reference) {
    *r = verdict(PROVIDER_SENT, BLAME_NOBODY);
    memcpy(r->reference, reference.ptr, reference.len);
    r->reference[reference.len] = '\0';
}

/* ---- lists ---- */

void list_note(list_search *s, list_entry e, text reference) {
    switch (e) {
    case ENTRY_OTHER:
        return;
    case ENTRY_OURS:
    case ENTRY_OURS_FAILED:
        if (!provider_reference_good(reference))
            break;
        s->ours++;
        if (!s->reference.ptr || (s->failed && e == ENTRY_OURS)) {
            s->reference = reference;
            s->failed = e == ENTRY_OURS_FAILED;
        }
        return;
    case ENTRY_UNSURE:
        break;
    }
    s->unsure++;
}

void list_settle(const list_search *s, bool whole, bool one_only, provider_result *r) {
    bool open = s->unsure > 0 || !whole;
    r->code[0] = '\0';
    if (s->ours > 0 && (!one_only || (s->ours == 1 && !open))) {
        provider_sent(r, s->reference);
        return;
    }
    *r = verdict(s->ours > 0 || open ? PROVIDER_UNKNOWN : PROVIDER_RETRY, BLAME_NOBODY);
    provider_code_add(r->code, s->ours > 0 ? TEXT("several")
                               : open      ? TEXT("list not whole")
                                           : TEXT("not there"));
}

/* ---- spelling ---- */

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
