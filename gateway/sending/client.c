/* client.c - see client.h. libcurl's multi interface; nobody else sees it.
 *
 * libcurl sends a request once more by itself when a kept connection dies without an answer. To a provider
 * that could be a second text to the same phone, so the second time is refused when anything of the first had
 * left: before_request() is asked each time a request is about to be written. By what was written since then
 * it is also known whether a request that failed had left.
 *
 * HTTP/1.1 alone: one request on a connection at a time, so that "left" has a meaning. A name that resolves
 * slowly is waited for by a thread of libcurl's own, never by ours. */
#include "gateway/sending/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS    3000
#define IDLE_S        60L /* a connection unused for longer is not used again */
#define HEADERS_MAX   (64 << 10)
#define RETRY_AFTER_S 3600

typedef struct request {
    client *owner;
    CURL *easy;
    struct curl_slist *headers;
    buf sent, got; /* bodies */
    size_t headers_len;
    bool too_long;
    bool begun;       /* it was about to be written */
    long before;      /* what libcurl had written by then */
    bool sent_before; /* and wanted to write it again */
    client_done done;
    void *context;
    struct request *previous, *next;
} request;

struct client {
    CURLM *multi;
    client_options o;
    char *cafile, *agent;
    request *first;
    size_t count;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool library_good;

static void open_library(void) {
    library_good = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

int client_new(const client_options *o, client **ret_client) {
    (void)pthread_once(&once, open_library);
    client *c = calloc(1, sizeof *c);
    if (!library_good || !c) {
        free(c);
        return -ENOMEM;
    }
    c->o = *o;
    c->multi = curl_multi_init();
    c->cafile = o->cafile && *o->cafile ? strdup(o->cafile) : NULL;
    c->agent = strdup(o->agent);
    if (!c->multi || !c->agent || (o->cafile && *o->cafile && !c->cafile)) {
        (void)client_free(c);
        return -ENOMEM;
    }
    (void)curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)o->most);
    *ret_client = c;
    return 0;
}

static void forget(request *r) {
    client *c = r->owner;
    if (r->previous)
        r->previous->next = r->next;
    else
        c->first = r->next;
    if (r->next)
        r->next->previous = r->previous;
    c->count--;
}

static void free_request(request *r) {
    curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->headers);
    buf_release(&r->sent);
    buf_release(&r->got);
    free(r);
}

client *client_free(client *c) {
    if (!c)
        return NULL;
    while (c->first) {
        request *r = c->first;
        forget(r);
        (void)curl_multi_remove_handle(c->multi, r->easy);
        free_request(r);
    }
    if (c->multi)
        (void)curl_multi_cleanup(c->multi);
    free(c->cafile);
    free(c->agent);
    free(c);
    return NULL;
}

/* ---- what libcurl calls ---- */

static long written(const request *r) {
    long bytes = 0;
    (void)curl_easy_getinfo(r->easy, CURLINFO_REQUEST_SIZE, &bytes);
    return bytes;
}

static int before_request(void *context, char *to_ip, char *from_ip, int to_port, int from_port) {
    request *r = context;
    (void)to_ip;
    (void)from_ip;
    (void)to_port;
    (void)from_port;
    if (r->begun && written(r) > r->before) {
        r->sent_before = true;
        return CURL_PREREQFUNC_ABORT;
    }
    r->begun = true;
    r->before = written(r);
    return CURL_PREREQFUNC_OK;
}

static size_t take_body(char *bytes, size_t one, size_t len, void *context) {
    request *r = context;
    (void)one;
    buf_add(&r->got, bytes, len);
    r->too_long = buf_failed(&r->got) < 0;
    return r->too_long ? 0 : len;
}

/* Only counted: nothing of them is kept but what libcurl reads itself. */
static size_t take_header(char *bytes, size_t one, size_t len, void *context) {
    request *r = context;
    (void)bytes;
    (void)one;
    r->headers_len += len;
    r->too_long = r->headers_len > HEADERS_MAX;
    return r->too_long ? 0 : len;
}

/* ---- a request ---- */

static int take_headers(request *r, const buf *lines) {
    text rest = buf_text(lines), line;
    while (lines->len && text_next(&rest, '\n', &line)) {
        if (line.len == 0)
            continue;
        CLEANUP(freep) char *copy = text_copy(line);
        struct curl_slist *more = copy ? curl_slist_append(r->headers, copy) : NULL;
        if (!more)
            return -ENOMEM;
        r->headers = more;
    }
    return 0;
}

static bool set_safety(const request *r) {
    const client *c = r->owner;
    CURL *e = r->easy;
    long connect_ms = c->o.timeout_ms < CONNECT_MS ? (long)c->o.timeout_ms : CONNECT_MS;
    bool good = curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)c->o.timeout_ms) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, IDLE_S) == CURLE_OK &&
                /* a resolver that hangs is left behind instead of waited for */
                curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK;
    if (good && c->cafile)
        good = curl_easy_setopt(e, CURLOPT_CAINFO, c->cafile) == CURLE_OK;
    return good;
}

static bool set_calls(request *r) {
    CURL *e = r->easy;
    return curl_easy_setopt(e, CURLOPT_PRIVATE, r) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, before_request) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PREREQDATA, r) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEDATA, r) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HEADERDATA, r) == CURLE_OK;
}

static bool set_request(request *r, const provider_request *from) {
    CURL *e = r->easy;
    bool good = curl_easy_setopt(e, CURLOPT_URL, from->url.ptr) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_USERAGENT, r->owner->agent) == CURLE_OK &&
                curl_easy_setopt(e, CURLOPT_HTTPHEADER, r->headers) == CURLE_OK;
    if (good && from->user.len)
        good = curl_easy_setopt(e, CURLOPT_USERPWD, from->user.ptr) == CURLE_OK;
    if (!good || strcmp(from->method, "GET") == 0)
        return good;
    return curl_easy_setopt(e, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)r->sent.len) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->sent.len ? r->sent.ptr : "") == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, from->method) == CURLE_OK;
}

static request *make(client *c, const provider_request *from) {
    request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->owner = c;
    r->sent = BUF(PROVIDER_REQUEST_MAX);
    r->got = BUF(PROVIDER_BODY_MAX);
    buf_add_text(&r->sent, buf_text(&from->body));
    r->easy = curl_easy_init();
    if (r->easy && buf_failed(&r->sent) == 0 && take_headers(r, &from->headers) == 0 && set_safety(r) &&
        set_calls(r) && set_request(r, from))
        return r;
    free_request(r);
    return NULL;
}

/* ---- what came of it ---- */

static const char *name_of(CURLcode code) {
    static const struct {
        CURLcode code;
        const char *name;
    } names[] = {
        {CURLE_OPERATION_TIMEDOUT, "timeout"},    {CURLE_COULDNT_RESOLVE_HOST, "resolve"},
        {CURLE_COULDNT_RESOLVE_PROXY, "resolve"}, {CURLE_COULDNT_CONNECT, "connect"},
        {CURLE_SSL_CONNECT_ERROR, "tls"},         {CURLE_PEER_FAILED_VERIFICATION, "certificate"},
        {CURLE_SSL_CACERT_BADFILE, "cafile"},     {CURLE_UNSUPPORTED_PROTOCOL, "address"},
        {CURLE_URL_MALFORMAT, "address"},         {CURLE_OUT_OF_MEMORY, "memory"},
        {CURLE_WRITE_ERROR, "too long"},          {CURLE_WEIRD_SERVER_REPLY, "garbage"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].code == code)
            return names[i].name;
    return "cut";
}

static void tell(request *r, CURLcode code) {
    long status = 0;
    curl_off_t after = 0;
    (void)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &after);
    if (after < 0 || after > RETRY_AFTER_S)
        after = after < 0 ? 0 : RETRY_AFTER_S;
    bool failed = code != CURLE_OK || r->too_long;
    provider_reply reply = {
        .status = status >= 100 && status <= 999 ? (int)status : 0,
        .left = r->sent_before || status > 0 || (r->begun && written(r) > r->before),
        .cut = failed && status > 0,
        .body = buf_text(&r->got),
        .why = !failed && status > 0                           ? NULL
               : code == CURLE_OPERATION_TIMEDOUT && !r->begun ? "connect"
                                                               : name_of(code),
        .retry_after_ms = (int64_t)after * 1000,
    };
    r->done(r->context, &reply);
}

static bool reap(client *c) {
    bool any = false;
    int left = 0;
    for (const CURLMsg *m; (m = curl_multi_info_read(c->multi, &left)) != NULL;) {
        if (m->msg != CURLMSG_DONE)
            continue;
        request *r = NULL;
        CURLcode code = m->data.result; /* `m` ends with the handle */
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r);
        (void)curl_multi_remove_handle(c->multi, r->easy);
        forget(r);
        tell(r, code);
        free_request(r);
        any = true;
    }
    return any;
}

static bool move(client *c) {
    int running = 0;
    (void)curl_multi_perform(c->multi, &running);
    return reap(c);
}

int client_start(client *c, const provider_request *from, client_done done, void *context) {
    int running = 0;
    if (c->count >= c->o.most)
        return -EBUSY;
    request *r = make(c, from);
    if (!r)
        return -ENOMEM;
    r->done = done;
    r->context = context;
    if (curl_multi_add_handle(c->multi, r->easy) != CURLM_OK) {
        free_request(r);
        return -ENOMEM;
    }
    r->next = c->first;
    if (r->next)
        r->next->previous = r;
    c->first = r;
    c->count++;
    (void)curl_multi_perform(c->multi, &running); /* what is over already is told by client_turn() */
    return 0;
}

void client_turn(client *c, int ms, int fd, int fd2) {
    struct curl_waitfd fds[2];
    unsigned count = 0;
    int ready = 0;
    if (move(c))
        return;
    if (fd >= 0)
        fds[count++] = (struct curl_waitfd){.fd = fd, .events = CURL_WAIT_POLLIN};
    if (fd2 >= 0)
        fds[count++] = (struct curl_waitfd){.fd = fd2, .events = CURL_WAIT_POLLIN};
    (void)curl_multi_poll(c->multi, fds, count, ms, &ready);
    (void)move(c);
}

size_t client_count(const client *c) {
    return c->count;
}
