/* hook.c - see hook.h. */
#include "gateway/hooks/hook.h"

#include <string.h>
#include <strings.h>

#include "base/uuid.h"
#include "core/mac.h"
#include "gateway/providers/inside.h"

#define QUERY_MAX 64 /* of the space, for the notification */

text hook_value(const hook_said *s, const char *name) {
    for (size_t i = 0; i < s->count; i++)
        if (text_equal(s->pairs[i].name, text_of(name)))
            return s->pairs[i].value;
    return (text){0};
}

text hook_keep(hook_said *s, text t) {
    if (s->left < t.len) {
        s->overflow = true;
        return (text){0};
    }
    text kept = {s->space, t.len};
    if (t.len)
        memcpy(s->space, t.ptr, t.len);
    s->space += t.len;
    s->left -= t.len;
    return kept;
}

bool hook_take_form(hook_said *s, text form) {
    int count = form_read(form, s->space, s->left, s->pairs, HOOK_PAIRS_MAX);
    if (count < 0)
        return false;
    s->count = (size_t)count;
    for (size_t i = 0; i < s->count; i++) { /* decoded one behind the other */
        size_t used = s->pairs[i].name.len + s->pairs[i].value.len;
        s->space += used;
        s->left -= used;
    }
    return true;
}

int hook_order(text a, text b) {
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

bool hook_digest_is(text body, text wanted) {
    uint8_t digest[SHA256_LEN];
    CLEANUP(buf_release) buf hex = BUF(2 * SHA256_LEN);
    if (sha256(body, digest) < 0)
        return false;
    hex_add(digest, sizeof digest, &hex);
    return buf_failed(&hex) == 0 && wanted.len == hex.len && strncasecmp(wanted.ptr, hex.ptr, hex.len) == 0;
}

hook_verdict hook_say_key(hook_event *e) {
    if (!provider_reference_good(e->reference))
        return HOOK_MALFORMED;
    e->kind = e->said.len ? HOOK_KEY : HOOK_NOTHING;
    return HOOK_GOOD;
}

static hook_reader *reader_of(const hook *h, text what) {
    const struct {
        const char *what;
        hook_reader *reader;
    } readers[] = {{"status", h->status}, {"text", h->text}, {"key", h->key}, {"event", h->event}};
    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        if (text_equal(what, text_of(readers[i].what)))
            return readers[i].reader;
    return NULL;
}

/* From our own address; what is none of our ids is nobody's. */
static text notification_of(const http_request *r, char space[QUERY_MAX]) {
    uuid id;
    text n = form_value(r->query, "n", space, QUERY_MAX);
    return uuid_parse(n, &id) == 0 ? n : (text){0};
}

/* What is stored later can't hold a NUL. */
static void without_nul(hook_space *space) {
    for (size_t i = 0; i < sizeof space->bytes; i++)
        if (space->bytes[i] == '\0')
            space->bytes[i] = ' ';
}

hook_verdict hook_read(const hook *h, const accounts *a, const http_request *r, text what, instant now,
                       hook_space *space, hook_event *ret_event) {
    hook_said s = {.space = space->bytes + QUERY_MAX, .left = sizeof space->bytes - QUERY_MAX};
    hook_event e = {0};
    memset(space->bytes, ' ', sizeof space->bytes);
    hook_verdict verdict = h->take(a, r, now, &s);
    if (verdict != HOOK_GOOD)
        return verdict;
    hook_reader *reader = reader_of(h, what);
    if (!s.strange)
        verdict = reader ? reader(&s, &e) : HOOK_MALFORMED;
    if (verdict != HOOK_GOOD)
        return verdict;
    if (!e.notification.ptr)
        e.notification = notification_of(r, space->bytes);
    without_nul(space);
    *ret_event = e;
    return HOOK_GOOD;
}
