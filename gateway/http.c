/* http.c - see http.h. The only file that knows libmicrohttpd.
 *
 * What a stranger can take is bounded: connections, the time and the memory each may use, the body each may
 * send. */
#include "gateway/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS      64
#define CONNECTIONS_EACH 48 /* of one address: a proxy has one, too */
#define IDLE_S           10
#define MEMORY_EACH      (32 << 10)
#define BODY_MAX         (16 << 10) /* no route reads one yet: what comes is thrown away */
#define ALLOW_MAX        64

struct http {
    struct MHD_Daemon *daemon;
    const http_scope *scope;
};

/* ---- where to listen ---- */

typedef struct address {
    char host[256], port[8];
} address;

static bool split(const char *spelled, address *ret_address) {
    text whole = text_trim(text_of(spelled)), host = {0}, port = {0};
    int64_t number;
    for (size_t i = whole.len; i > 0 && !port.ptr; i--)
        if (whole.ptr[i - 1] == ':') {
            host = (text){whole.ptr, i - 1};
            port = (text){whole.ptr + i, whole.len - i};
        }
    if (!port.ptr || text_to_i64(port, 1, 65535, &number) < 0)
        return false;
    bool bracketed = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (bracketed)
        host = (text){host.ptr + 1, host.len - 2};
    if (host.len >= sizeof ret_address->host || (!bracketed && memchr(host.ptr, ':', host.len)))
        return false;
    (void)snprintf(ret_address->host, sizeof ret_address->host, "%.*s", (int)host.len, host.ptr);
    (void)snprintf(ret_address->port, sizeof ret_address->port, "%d", (int)number);
    return true;
}

bool http_address_good(const char *spelled) {
    address a;
    return split(spelled, &a);
}

/* A socket, or a negative errno. */
static int listen_at(const struct addrinfo *at) {
    int yes = 1, no = 0;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (at->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, CONNECTIONS) < 0) {
        int fault = -errno;
        (void)close(fd);
        return fault;
    }
    return fd;
}

static int open_socket(const char *spelled, char ret_why[HTTP_WHY_MAX]) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    address a;
    if (!split(spelled, &a)) {
        (void)snprintf(ret_why, HTTP_WHY_MAX, "'%.100s' is no address and port", spelled);
        return -EINVAL;
    }
    int unknown = getaddrinfo(a.host[0] ? a.host : NULL, a.port, &hints, &found);
    if (unknown) {
        (void)snprintf(ret_why, HTTP_WHY_MAX, "%.100s: %s", spelled, gai_strerror(unknown));
        return -EADDRNOTAVAIL;
    }
    int fd = -EADDRNOTAVAIL;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = listen_at(at);
    freeaddrinfo(found);
    if (fd < 0)
        (void)snprintf(ret_why, HTTP_WHY_MAX, "%.100s: %s", spelled, strerror(-fd));
    return fd;
}

/* ---- answering ---- */

static bool is_head(const char *method) {
    return strcmp(method, "HEAD") == 0;
}

/* NULL with ret_allow "" when there is no such path, else the methods it has. */
static const route *find(const char *method, const char *path, char ret_allow[ALLOW_MAX]) {
    size_t len = 0;
    ret_allow[0] = '\0';
    for (const route *const *r = routes; *r; r++) {
        if (strcmp((*r)->path, path) != 0)
            continue;
        bool get = strcmp((*r)->method, "GET") == 0;
        if (strcmp((*r)->method, method) == 0 || (get && is_head(method)))
            return *r;
        int more = snprintf(ret_allow + len, ALLOW_MAX - len, "%s%s%s", len ? ", " : "", (*r)->method,
                            get ? ", HEAD" : "");
        if (more > 0 && (size_t)more < ALLOW_MAX - len)
            len += (size_t)more;
    }
    return NULL;
}

/* Takes the body over. */
static enum MHD_Result send_reply(struct MHD_Connection *c, http_reply *reply, const char *header,
                                  const char *value) {
    size_t len = reply->body.len;
    char *body = buf_steal(&reply->body);
    if (!body)
        return MHD_NO;
    struct MHD_Response *r = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
    if (!r) {
        free(body);
        return MHD_NO;
    }
    enum MHD_Result done = MHD_NO;
    if (MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type) == MHD_YES &&
        MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
        MHD_add_response_header(r, "X-Content-Type-Options", "nosniff") == MHD_YES &&
        (!header || MHD_add_response_header(r, header, value) == MHD_YES))
        done = MHD_queue_response(c, reply->status, r);
    MHD_destroy_response(r);
    return done;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *sentence,
                              const char *header, const char *value) {
    http_reply reply = {.status = status, .type = "text/plain; charset=utf-8", .body = BUF(256)};
    buf_printf(&reply.body, "%s\n", sentence);
    return send_reply(c, &reply, header, value);
}

static enum MHD_Result serve(const http *h, struct MHD_Connection *c, const char *path, const char *method) {
    char allow[ALLOW_MAX];
    const route *r = find(method, path, allow);
    if (!r && !*allow)
        return refuse(c, MHD_HTTP_NOT_FOUND, "there is nothing here", NULL, NULL);
    if (!r)
        return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "not this method", MHD_HTTP_HEADER_ALLOW, allow);
    if (r->role) /* closed, until this side of the gateway can tell who asks */
        return refuse(c, MHD_HTTP_UNAUTHORIZED, "not without a token", MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                      "Bearer");
    http_reply reply = {
        .status = MHD_HTTP_OK, .type = "text/plain; charset=utf-8", .body = BUF(HTTP_ANSWER_MAX)};
    int fault = r->answer(h->scope, &reply);
    if (fault == 0 && buf_failed(&reply.body) == 0)
        return send_reply(c, &reply, NULL, NULL);
    buf_release(&reply.body);
    return refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "that went wrong here", NULL, NULL);
}

/* Its length must be known beforehand, so that a body needs not be read to see that it is too long. */
static bool body_fits(struct MHD_Connection *c) {
    const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    int64_t bytes;
    if (MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING))
        return false;
    return !length || text_to_i64(text_of(length), 0, BODY_MAX, &bytes) == 0;
}

/* Comes once with the headers, then with each piece of the body, then once more. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *c, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **progress) {
    static char begun;
    (void)version;
    (void)upload;
    if (!*progress) {
        *progress = &begun;
        return body_fits(c) ? MHD_YES
                            : refuse(c, MHD_HTTP_CONTENT_TOO_LARGE, "that is too much",
                                     MHD_HTTP_HEADER_CONNECTION, "close");
    }
    if (*upload_len) {
        *upload_len = 0;
        return MHD_YES;
    }
    return serve(context, c, path, method);
}

/* A path is compared as it was sent: nothing spells the same in two ways, and no %00 ends it early. */
static size_t keep_escapes(void *context, struct MHD_Connection *c, char *at) {
    (void)context;
    (void)c;
    return strlen(at);
}

/* ---- its life ---- */

int http_start(const char *spelled, const http_scope *scope, http **ret_http, char ret_why[HTTP_WHY_MAX]) {
    http *h = calloc(1, sizeof *h);
    if (!h) {
        (void)snprintf(ret_why, HTTP_WHY_MAX, "out of memory");
        return -ENOMEM;
    }
    h->scope = scope;
    int fd = open_socket(spelled, ret_why);
    if (fd < 0) {
        free(h);
        return fd;
    }
    /* With poll(): with epoll libmicrohttpd 0.9.75 keeps a connection that ended in the middle of a request
     * until its time is over, so that a few dozen of those would shut everybody else out. */
    h->daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_EACH, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_EACH, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
    if (!h->daemon) {
        (void)snprintf(ret_why, HTTP_WHY_MAX, "%.100s: the HTTP daemon can't be started", spelled);
        (void)close(fd);
        free(h);
        return -EIO;
    }
    *ret_http = h;
    return 0;
}

http *http_stop(http *h) {
    if (h) {
        MHD_stop_daemon(h->daemon);
        free(h);
    }
    return NULL;
}
