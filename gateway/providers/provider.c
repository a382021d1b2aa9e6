/* provider.c - see provider.h and providers/inside.h. */
#include "gateway/providers/provider.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/phone.h"
#include "gateway/providers/inside.h"

#define USER_MAX    1024
#define ADDRESS_MAX 4096

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

/* What the status alone says. What may have been processed is never called anything but unknown: an answer
 * that was lost, a server's error (its request may have got through before it failed), a redirection (not
 * followed: who knows who answers there). */
static reply_class judge(const provider_reply *reply, provider_result *ret_result) {
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
        c = r.outcome == PROVIDER_REFUSED    ? REPLY_REFUSED
            : status >= 500 && status <= 599 ? REPLY_BROKEN
                                             : REPLY_SETTLED;
    }
    r.retry_after_ms = reply->retry_after_ms > 0 ? reply->retry_after_ms : 0;
    *ret_result = r;
    return c;
}

/* The whole body as an object or an array; NULL when it is anything else, or not all of it came. */
static json *body_of(const provider_reply *reply) {
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

static void settle(const list_search *s, provider_result *r) {
    bool open = s->unsure > 0 || !s->whole;
    r->code[0] = '\0';
    if (s->ours > 0 && (!s->look_alike || (s->ours == 1 && !open))) {
        provider_sent(r, s->reference);
        return;
    }
    *r = verdict(s->ours > 0 || open ? PROVIDER_UNKNOWN : PROVIDER_RETRY, BLAME_NOBODY);
    provider_code_add(r->code, s->ours > 0 ? TEXT("several")
                               : open      ? TEXT("list not whole")
                                           : TEXT("not there"));
}

/* ---- is all there ---- */

static const char *value_of(const provider_need *n, const accounts *a) {
    const char *base = n->kind == NEED_SECRET ? (const char *)a : (const char *)a->s;
    const char *value;
    memcpy(&value, base + n->at, sizeof value);
    return value ? value : "";
}

bool provider_ready(const provider *p, const accounts *a, char ret_why[ACCOUNTS_WHY_MAX]) {
    for (const provider_need *n = p->needs; n->key; n++) {
        if (*value_of(n, a))
            continue;
        (void)snprintf(ret_why, ACCOUNTS_WHY_MAX, "[%s] %s is not set", p->account, n->key);
        return false;
    }
    for (const provider_need *n = p->needs; n->key; n++) {
        if (n->kind != NEED_WORD || provider_reference_good(text_of(value_of(n, a))))
            continue;
        (void)snprintf(ret_why, ACCOUNTS_WHY_MAX, "[%s] %s is none", p->account, n->key);
        return false;
    }
    return true;
}

/* ---- requests ---- */

static int failed(const provider_request *r) {
    const buf *all[] = {&r->url, &r->headers, &r->user, &r->body};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (buf_failed(all[i]) < 0)
            return buf_failed(all[i]);
    return 0;
}

/* False: nobody is configured to send to that number. */
static bool find_sender(const provider *p, const accounts *a, provider_message *m) {
    for (const provider_need *n = p->needs; n->key; n++) {
        if (n->kind != NEED_SENDER)
            continue;
        m->from = phone_sender(text_of(value_of(n, a)), m->to);
        return m->from.ptr != NULL;
    }
    return true;
}

int provider_build(const provider *p, const accounts *a, const provider_message *m, provider_request *to) {
    CLEANUP(buf_release) buf callback = BUF(ADDRESS_MAX);
    provider_message whole = *m;
    if (!find_sender(p, a, &whole))
        return -EINVAL;
    if (p->tells)
        hook_url_add(&callback, a->s, p->account, p->tells, m->id);
    whole.callback = buf_text(&callback);
    int fault = buf_failed(&callback);
    if (fault == 0)
        fault = p->build(p, a, &whole, to);
    return fault < 0 ? fault : failed(to);
}

int provider_search(const provider *p, const accounts *a, const provider_message *m, instant since,
                    provider_request *to) {
    int fault = p->search(p, a, m, since, to);
    return fault < 0 ? fault : failed(to);
}

int provider_ask(const provider *p, const accounts *a, text reference, instant sent_at,
                 provider_request *to) {
    if (!provider_reference_good(reference))
        return -EINVAL;
    int fault = p->ask(p, a, reference, sent_at, to);
    return fault < 0 ? fault : failed(to);
}

/* ---- answers ---- */

void provider_read(const provider *p, const provider_reply *reply, provider_result *ret_result) {
    provider_result r;
    reply_class c = judge(reply, &r);
    CLEANUP(json_freep) json *body = c == REPLY_GOOD || c == REPLY_REFUSED ? body_of(reply) : NULL;
    p->read(p, c, body, &r);
    *ret_result = r;
}

/* Anything but an answer that can be read leaves the question open. */
void provider_found(const provider *p, const provider_reply *reply, const provider_message *m, instant since,
                    provider_result *ret_result) {
    list_search s = {0};
    provider_result r;
    CLEANUP(json_freep) json *body = judge(reply, &r) == REPLY_GOOD ? body_of(reply) : NULL;
    if (body && p->found(p, body, m, since, &s))
        settle(&s, &r);
    else
        r.outcome = PROVIDER_UNKNOWN;
    *ret_result = r;
}

provider_receipt provider_told(const provider *p, const provider_reply *reply, text reference,
                               char ret_code[PROVIDER_CODE_MAX]) {
    provider_receipt receipt = RECEIPT_UNKNOWN;
    provider_result r;
    CLEANUP(json_freep) json *body = judge(reply, &r) == REPLY_GOOD ? body_of(reply) : NULL;
    ret_code[0] = '\0';
    if (!body || reference.len == 0 || !p->told(p, body, reference, &receipt, ret_code))
        provider_code_add(ret_code, text_of(r.code));
    return receipt;
}
