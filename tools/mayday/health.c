/* health.c - see health.h: one HTTP request. */
#include "health.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 5000
#define ANSWER_MAX  (4 << 20)

/* "address:port", "[::1]:8080", ":8080": all of this machine's. */
static bool split(const char *spelled, char ret_host[256], char ret_port[8]) {
    const char *colon = strrchr(spelled, ':');
    if (!colon || strlen(colon + 1) >= 8 || (size_t)(colon - spelled) >= 256)
        return false;
    bool bracketed = spelled[0] == '[' && colon > spelled + 1 && colon[-1] == ']';
    int len = (int)(colon - spelled) - (bracketed ? 2 : 0);
    (void)snprintf(ret_host, 256, "%.*s", len, spelled + bracketed);
    (void)snprintf(ret_port, 8, "%s", colon + 1);
    if (!*ret_host)
        (void)snprintf(ret_host, 256, "localhost");
    return true;
}

static bool ready_for(int fd, short what) {
    struct pollfd waits = {.fd = fd, .events = what};
    return poll(&waits, 1, PATIENCE_MS) == 1;
}

/* A connected socket, or a negative errno. */
static int connect_to(const struct addrinfo *at) {
    int fault = 0;
    socklen_t len = sizeof fault;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, at->ai_addr, at->ai_addrlen) < 0)
        fault = errno;
    if (fault == EINPROGRESS &&
        (!ready_for(fd, POLLOUT) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &len) < 0))
        fault = ETIMEDOUT;
    if (!fault)
        return fd;
    (void)close(fd);
    return -fault;
}

static int reach(const char *host, const char *port) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *all = NULL;
    if (getaddrinfo(host, port, &hints, &all) != 0)
        return -EADDRNOTAVAIL;
    int fd = -EADDRNOTAVAIL;
    for (const struct addrinfo *at = all; at && fd < 0; at = at->ai_next)
        fd = connect_to(at);
    freeaddrinfo(all);
    return fd;
}

/* The whole answer, head and body. 0 or a negative errno. */
static int fetch(const char *host, const char *port, buf *answer) {
    static const char request[] = "GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n";
    char part[4096];
    int fd = reach(host, port);
    if (fd < 0)
        return fd;
    ssize_t came = -1;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1)
        while (ready_for(fd, POLLIN) && (came = recv(fd, part, sizeof part, 0)) > 0)
            buf_add(answer, part, (size_t)came);
    (void)close(fd);
    return came == 0 && buf_failed(answer) == 0 ? 0 : -ETIMEDOUT;
}

int health_ask(const char *where, json **ret_health) {
    CLEANUP(buf_release) buf answer = BUF(ANSWER_MAX);
    CLEANUP(json_freep) json *health = NULL;
    char host[256], port[8];
    int fault = split(where, host, port) ? fetch(host, port, &answer) : -EINVAL;
    if (fault < 0)
        return fault;
    const char *body = answer.len > 0 ? strstr(answer.ptr, "\r\n\r\n") : NULL;
    if (!body || json_parse_once(text_trim(text_of(body)), &health) != JSON_OK ||
        json_kind_of(health) != JSON_OBJECT)
        return -EBADMSG;
    *ret_health = health;
    health = NULL;
    return 0;
}
