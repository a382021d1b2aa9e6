/* http.c - see http.h. The only file that knows libmicrohttpd.
 *
 * What a stranger can take is bounded: connections, the time and the memory each may use, the body each may
 * send.
 *
 * Threads: a connection is one of some threads' for as long as it lives; routes may be asked by several at
 * once: one that waits for the disk holds nobody else up, and several that do are written together
 * (local/letters.c). The list of connections has a lock. */
#include "gateway/http/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS      256
#define CONNECTIONS_EACH 224 /* of one address: a proxy has one, too */
#define THREADS          8   /* they mostly wait for the disk */
#define IDLE_S           10
#define REQUEST_S        20 /* for a whole request, however busily it trickles */
#define MEMORY_EACH      (32 << 10)
#define ALLOW_MAX        64

/* A connection's line in the list of those that are watched. */
typedef struct caller {
    struct caller *next, **at;
    int fd;
    int64_t since_s; /* when its request began, or the one before was over */
} caller;

struct http {
    struct MHD_Daemon *daemon;
    const http_scope *scope;
    pthread_mutex_t lock; /* of the list */
    caller *callers;
};

/* A request that is coming in. */
typedef struct incoming {
    char *query; /* NULL: none */
    char *body;
    size_t len, room;
    bool begun;
} incoming;

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

static bool has_method(const char *methods, text wanted) {
    text rest = text_of(methods), one;
    while (text_next(&rest, ' ', &one))
        if (text_equal(one, wanted))
            return true;
    return false;
}

static bool answers(const route *r, text method) {
    return has_method(r->methods, method) ||
           (text_equal(method, TEXT("HEAD")) && has_method(r->methods, TEXT("GET")));
}

static bool is_at(const route *r, text path) {
    text own = text_of(r->path);
    if (own.ptr[own.len - 1] == '*')
        return text_starts_with(path, (text){own.ptr, own.len - 1});
    return text_equal(path, own);
}

static void list_methods(const route *r, char *to, size_t room) {
    text rest = text_of(r->methods), one;
    size_t len = 0;
    while (text_next(&rest, ' ', &one)) {
        int more = snprintf(to + len, room - len, "%s%.*s%s", len ? ", " : "", (int)one.len, one.ptr,
                            text_equal(one, TEXT("GET")) ? ", HEAD" : "");
        if (more < 0 || (size_t)more >= room - len)
            return;
        len += (size_t)more;
    }
}

/* NULL with ret_allow "" when there is no such path, else the methods it has. */
static const route *find(text method, text path, char ret_allow[ALLOW_MAX]) {
    ret_allow[0] = '\0';
    for (const route *const *r = routes; *r; r++) {
        if (!is_at(*r, path))
            continue;
        if (answers(*r, method))
            return *r;
        list_methods(*r, ret_allow, ALLOW_MAX);
    }
    return NULL;
}

/* Takes the body over. */
static enum MHD_Result send_reply(struct MHD_Connection *c, http_reply *reply, const char *header,
                                  const char *value) {
    size_t len = reply->body.len;
    char *body = buf_steal(&reply->body);
    if (!body && len == 0)
        body = calloc(1, 1);
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

static enum MHD_Result serve(const http *h, struct MHD_Connection *c, const http_request *request) {
    char allow[ALLOW_MAX];
    const route *r = find(request->method, request->path, allow);
    if (!r && !*allow)
        return refuse(c, MHD_HTTP_NOT_FOUND, "there is nothing here", NULL, NULL);
    if (!r)
        return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "not this method", MHD_HTTP_HEADER_ALLOW, allow);
    if (r->role) /* closed, until this side of the gateway can tell who asks */
        return refuse(c, MHD_HTTP_UNAUTHORIZED, "not without a token", MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                      "Bearer");
    http_reply reply = {
        .status = MHD_HTTP_OK, .type = "text/plain; charset=utf-8", .body = BUF(HTTP_ANSWER_MAX)};
    int fault = r->answer(h->scope, request, &reply);
    if (fault == 0 && buf_failed(&reply.body) == 0)
        return send_reply(c, &reply, NULL, NULL);
    buf_release(&reply.body);
    return refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "that went wrong here", NULL, NULL);
}

/* ---- a request comes in ---- */

/* The first that is heard of a request: its target as it was sent, the query with it. What signs it signs
 * that. */
static void *note_target(void *context, const char *target, struct MHD_Connection *c) {
    incoming *in = calloc(1, sizeof *in);
    const char *query = strchr(target, '?');
    (void)context;
    (void)c;
    if (in && query && !(in->query = text_copy(text_of(query + 1)))) {
        free(in);
        in = NULL;
    }
    return in;
}

/* Its length must be known beforehand, so that a body needs not be read to see that it is too long. */
static bool body_fits(struct MHD_Connection *c, incoming *in) {
    const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    int64_t bytes = 0;
    if (MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) ||
        (length && text_to_i64(text_of(length), 0, REQUEST_BODY_MAX, &bytes) < 0))
        return false;
    in->room = (size_t)bytes;
    return true;
}

static enum MHD_Result take_piece(incoming *in, const char *piece, size_t len) {
    if (len > in->room - in->len)
        return MHD_NO;
    if (!in->body && !(in->body = malloc(in->room)))
        return MHD_NO;
    memcpy(in->body + in->len, piece, len);
    in->len += len;
    return MHD_YES;
}

typedef struct gathering {
    http_request *request;
    bool overflow;
} gathering;

static enum MHD_Result add_header(void *context, enum MHD_ValueKind kind, const char *name,
                                  const char *value) {
    gathering *g = context;
    http_request *r = g->request;
    (void)kind;
    if (r->header_count == REQUEST_HEADERS_MAX) {
        g->overflow = true;
        return MHD_NO;
    }
    r->headers[r->header_count++] = (request_header){text_of(name), text_of(value)};
    return MHD_YES;
}

static enum MHD_Result complete(const http *h, struct MHD_Connection *c, const char *path, const char *method,
                                const incoming *in) {
    http_request request = {.method = text_of(method),
                            .path = text_of(path),
                            .query = text_of(in->query),
                            .body = {in->body, in->len}};
    gathering g = {.request = &request};
    (void)MHD_get_connection_values(c, MHD_HEADER_KIND, add_header, &g);
    if (g.overflow)
        return refuse(c, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "too many headers", NULL, NULL);
    return serve(h, c, &request);
}

/* Comes once with the headers, then with each piece of the body, then once more. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *c, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **progress) {
    incoming *in = *progress;
    (void)version;
    if (!in)
        return MHD_NO;
    if (!in->begun) {
        in->begun = true;
        return body_fits(c, in) ? MHD_YES
                                : refuse(c, MHD_HTTP_CONTENT_TOO_LARGE, "that is too much",
                                         MHD_HTTP_HEADER_CONNECTION, "close");
    }
    if (*upload_len) {
        enum MHD_Result taken = take_piece(in, upload, *upload_len);
        *upload_len = 0;
        return taken;
    }
    return complete(context, c, path, method, in);
}

/* ---- those who are connected ---- */

static int64_t clock_s(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static caller *caller_of(struct MHD_Connection *c) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void on_over(void *context, struct MHD_Connection *c, void **progress,
                    enum MHD_RequestTerminationCode how) {
    http *h = context;
    caller *who = caller_of(c);
    incoming *in = *progress;
    (void)how;
    if (in) {
        free(in->query);
        free(in->body);
        free(in);
    }
    *progress = NULL;
    if (!who)
        return;
    (void)pthread_mutex_lock(&h->lock);
    who->since_s = clock_s();
    (void)pthread_mutex_unlock(&h->lock);
}

static void add_caller(http *h, caller *who) {
    who->next = h->callers;
    who->at = &h->callers;
    if (who->next)
        who->next->at = &who->next;
    h->callers = who;
}

static void drop_caller(caller *who) {
    *who->at = who->next;
    if (who->next)
        who->next->at = who->at;
    free(who);
}

/* The end is told before its socket is closed, so whoever is in the list has one. Without memory somebody is
 * just not watched. */
static void on_connection(void *context, struct MHD_Connection *c, void **own,
                          enum MHD_ConnectionNotificationCode what) {
    http *h = context;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    (void)pthread_mutex_lock(&h->lock);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        caller *who = info ? calloc(1, sizeof *who) : NULL;
        if (who) {
            who->fd = info->connect_fd;
            who->since_s = clock_s();
            add_caller(h, who);
        }
        *own = who;
    } else if (*own) {
        drop_caller(*own);
        *own = NULL;
    }
    (void)pthread_mutex_unlock(&h->lock);
}

/* libmicrohttpd has a time for silence alone: who sends a byte now and then would stay for ever. */
void http_tend(http *h) {
    if (!h)
        return;
    (void)pthread_mutex_lock(&h->lock);
    for (caller *who = h->callers; who; who = who->next)
        if (clock_s() - who->since_s > REQUEST_S)
            (void)shutdown(who->fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&h->lock);
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
    (void)pthread_mutex_init(&h->lock, NULL);
    /* With poll(): with epoll libmicrohttpd 0.9.75 keeps a connection that ended in the middle of a request
     * until its time is over, so that a few dozen of those would shut everybody else out. */
    h->daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_EACH, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)MEMORY_EACH, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes,
        NULL, MHD_OPTION_URI_LOG_CALLBACK, note_target, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_over, h,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_END);
    if (!h->daemon) {
        (void)snprintf(ret_why, HTTP_WHY_MAX, "%.100s: the HTTP daemon can't be started", spelled);
        (void)close(fd);
        (void)pthread_mutex_destroy(&h->lock);
        free(h);
        return -EIO;
    }
    *ret_http = h;
    return 0;
}

http *http_stop(http *h) {
    if (h) {
        MHD_stop_daemon(h->daemon);
        (void)pthread_mutex_destroy(&h->lock);
        free(h);
    }
    return NULL;
}
