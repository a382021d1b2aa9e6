/* http.h - the gateway's HTTP: a daemon (libmicrohttpd, seen by http.c alone) with some threads of its own,
 * and the routes it answers.
 *
 * A new route is gateway/routes/<name>.c with one row, and its word in that CMake list. The row says who may
 * ask: there is no other way to be reached, so no route can exist unguarded.
 *
 * Threads: http_start(), http_tend() and http_stop() from main(); answers run on the daemon's threads,
 * several at a time, and wait for nothing but this machine's disk: no database, no broker. */
#ifndef MAYDAY_GATEWAY_HTTP_HTTP_H
#define MAYDAY_GATEWAY_HTTP_HTTP_H

#include <stdatomic.h>

#include "base/buf.h"
#include "gateway/bus/broker_figures.h"
#include "gateway/edge/edge.h"
#include "gateway/host.h"
#include "gateway/http/request.h"

#define HTTP_ANSWER_MAX (4 << 20)

/* What routes look at; all of it locks itself. */
typedef struct http_scope {
    service_host *host;
    broker_figures *brokers;
    edge *_Atomic edge; /* NULL: no sensors here */
} http_scope;

typedef struct http_reply {
    unsigned status;  /* 200 unless the route says otherwise */
    const char *type; /* of the content; a literal */
    buf body;         /* BUF(HTTP_ANSWER_MAX) */
} http_reply;

typedef struct route {
    const char *methods; /* "GET", by which HEAD is answered too; several with spaces between them */
    const char *path;    /* the whole of it; or, with '*' as its last sign, all that begin so */
    const char *role;    /* NULL: for whoever reaches the address. Else a token's: nobody's, as long as HTTP
                            takes none */
    /* Returns 0, or a negative errno: then the answer is 500. */
    int (*answer)(const http_scope *scope, const http_request *request, http_reply *reply);
} route;

/* All of them, ended by NULL. */
extern const route *const routes[];

typedef struct http http;

#define HTTP_WHY_MAX 256

/* "127.0.0.1:8080", "[::1]:8080", "localhost:8080", ":8080" (every address of this machine). */
bool http_address_good(const char *spelled);

/* Listens and answers from now on. `scope` is borrowed. Returns 0, -EINVAL for a bad address, or what the
 * system says, with a sentence in ret_why. */
NODISCARD int http_start(const char *spelled, const http_scope *scope, http **ret_http,
                         char ret_why[HTTP_WHY_MAX]);
http *http_stop(http *h); /* takes NULL, returns NULL */

/* Ends the connections that take too long for a request: call it about every second. Takes NULL. */
void http_tend(http *h);

#endif
