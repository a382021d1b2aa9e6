/* webhook.c - a POST of JSON to an address of a plan, signed so that whoever receives it knows it is ours:
 *
 *   X-Mayday-Id: <notification>                 the same for every repeat, by which a repeat is known
 *   X-Mayday-Signature: t=<unix>,v1=<hex>       HMAC-SHA256 of "<t>.<body>" with [webhook] secret_file
 *
 * Whoever answers stands for one address of one plan: what is wrong there is nobody else's fault, so that the
 * breaker of all webhooks is never blamed. */
#include <errno.h>
#include <string.h>

#include "core/mac.h"
#include "gateway/providers/inside.h"

extern const provider provider_webhook;

/* With TLS, unless plain HTTP is allowed; nothing in it that ends a line; no names and passwords, which would
 * be seen wherever addresses are. */
static bool address_good(const settings *s, text url) {
    static const text tls = TEXT("https://"), plain = TEXT("http://");
    size_t scheme = text_starts_with(url, tls) ? tls.len : plain.len;
    if (!text_starts_with(url, tls) && !(s->webhook_plain && text_starts_with(url, plain)))
        return false;
    text rest = {url.ptr + scheme, url.len - scheme};
    for (size_t i = 0; i < rest.len; i++)
        if (rest.ptr[i] <= ' ' || rest.ptr[i] > '~')
            return false;
    text host = rest;
    for (size_t i = 0; i < rest.len; i++) {
        if (strchr("/?#", rest.ptr[i])) {
            host.len = i;
            break;
        }
    }
    return host.len > 0 && !memchr(host.ptr, '@', host.len);
}

static int sign(const accounts *a, const provider_message *m, buf *headers) {
    uint8_t mac[SHA256_LEN];
    CLEANUP(buf_release) buf message = BUF(PROVIDER_REQUEST_MAX);
    long long now = m->now / INSTANT_SECOND;
    buf_printf(&message, "%lld.", now);
    buf_add_text(&message, m->body);
    if (buf_failed(&message) < 0)
        return buf_failed(&message);
    int fault = hmac_sha256(text_of(a->webhook_secret), buf_text(&message), mac);
    if (fault < 0)
        return fault;
    buf_printf(headers, "X-Mayday-Signature: t=%lld,v1=", now);
    hex_add(mac, sizeof mac, headers);
    buf_add_char(headers, '\n');
    return 0;
}

static int build(const provider *p, const accounts *a, const provider_message *m, provider_request *to) {
    (void)p;
    if (!address_good(a->s, m->to) || !provider_reference_good(m->id))
        return -EINVAL;
    to->method = "POST";
    buf_add_text(&to->url, m->to);
    buf_add_text(&to->body, m->body);
    buf_add_text(&to->headers, TEXT("Content-Type: application/json\nX-Mayday-Id: "));
    buf_add_text(&to->headers, m->id);
    buf_add_char(&to->headers, '\n');
    return sign(a, m, &to->headers);
}

/* A server's error is its word that it went wrong; a repeat is harmless, because its id is known. */
static void read(const provider *p, reply_class c, const json *body, provider_result *r) {
    (void)p;
    (void)body;
    if (c == REPLY_GOOD) {
        r->outcome = PROVIDER_SENT;
        r->code[0] = '\0';
    } else if (c == REPLY_BROKEN) {
        r->outcome = PROVIDER_RETRY;
    }
    r->blame = r->outcome == PROVIDER_REFUSED ? BLAME_MESSAGE : BLAME_NOBODY;
}

const provider provider_webhook = {.name = "webhook",
                                   .account = "webhook",
                                   .kind = "webhook",
                                   .needs = {NEED_FILE("secret_file", webhook_secret)},
                                   .build = build,
                                   .read = read};
