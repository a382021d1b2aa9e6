/* client.h - HTTP requests to providers, many at once: libcurl's multi interface, seen by client.c alone.
 * TLS 1.2 and better, certificates verified, no redirects, bounded bodies and times, connections kept for the
 * next request. Threads: a client belongs to one. */
#ifndef MAYDAY_GATEWAY_SENDING_CLIENT_H
#define MAYDAY_GATEWAY_SENDING_CLIENT_H

#include "gateway/providers/provider.h"

typedef struct client client;

typedef struct client_options {
    int64_t timeout_ms; /* of a whole request */
    const char *cafile; /* NULL: the system's */
    size_t most;        /* requests under way at once */
    const char *agent;  /* "Mayday/0.1.0" */
} client_options;

NODISCARD int client_new(const client_options *o, client **ret_client);
client *client_free(client *c); /* gives up what is under way; takes NULL, returns NULL */
DEFINE_CLEANUP(client, client_free)

/* Called from client_turn() when a request is over; the reply's texts live as long as the call. */
typedef void (*client_done)(void *context, const provider_reply *reply);

/* Starts a request; copies what it needs of `r`. It begins to leave at once. Returns 0, -ENOMEM, -EBUSY when
 * there are too many. `done` is called exactly once for each that was started, unless the client is freed
 * before. */
NODISCARD int client_start(client *c, const provider_request *r, client_done done, void *context);

/* Moves everything forward and waits at most `ms` for something to happen: on a request, or on `fd` or `fd2`
 * (-1: none) becoming readable. */
void client_turn(client *c, int ms, int fd, int fd2);
size_t client_count(const client *c); /* under way */

#endif
