/* gateway.c - does the gateway run, is it ready, and is it as new as this? By its own GET /health; and the
 * database as the gateway sees it, for the checks behind this one. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "doctor/check.h"

#define PATIENCE_MS 5000
#define ANSWER_MAX  (256 << 10)

extern const check check_gateway;

bool calls_people(const doctor *d) {
    return (d->conf.notify_sms && *d->conf.notify_sms) || (d->conf.notify_voice && *d->conf.notify_voice);
}

/* Without a gateway nobody is called; where nobody is to be called much still works. */
static finding gravity(const doctor *d) {
    return calls_people(d) ? FINDING_FAIL : FINDING_WARN;
}

/* ---- one HTTP request ---- */

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

/* ---- what it says ---- */

static void judge(doctor *d, const char *where, const json *health) {
    text version = json_get_string(health, "version"), name = json_get_string(health, "gateway");
    const json *why = json_get(health, "why");
    text first = json_string(json_at(why, 0));
    if (!name.ptr)
        found(d, gravity(d), "Give the gateway another port: [gateway] http.",
              "what answers at %s is no gateway", where);
    else if (!json_boolean(json_get(health, "ready")))
        found(d, FINDING_FAIL, "See its log: journalctl -u mayday-gateway.", "%.*s is not ready: %.*s",
              (int)name.len, name.ptr, (int)first.len, first.ptr ? first.ptr : "");
    else if (!text_equal(version, TEXT(MAYDAY_VERSION)))
        found(d, FINDING_WARN, "systemctl restart mayday-gateway, after an upgrade.",
              "%.*s runs version %.*s, and this is " MAYDAY_VERSION, (int)name.len, name.ptr,
              (int)version.len, version.ptr ? version.ptr : "");
    else
        found(d, FINDING_OK, NULL, "%.*s is ready", (int)name.len, name.ptr);
}

static void look_at_health(doctor *d) {
    const char *where = d->conf.gateway_http ? d->conf.gateway_http : "";
    CLEANUP(buf_release) buf answer = BUF(ANSWER_MAX);
    CLEANUP(json_freep) json *health = NULL;
    char host[256], port[8];
    if (!*where) {
        found(d, FINDING_SKIPPED, NULL, "it answers nowhere: [gateway] http is empty");
        return;
    }
    int fault = split(where, host, port) ? fetch(host, port, &answer) : -EINVAL;
    const char *body = fault == 0 && answer.len > 0 ? strstr(answer.ptr, "\r\n\r\n") : NULL;
    if (fault < 0)
        found(d, gravity(d),
              "systemctl start mayday-gateway, unless it runs on another machine: without one no state "
              "moves, and nobody is "
              "called.",
              "no gateway answers at %s: %s", where, strerror(-fault));
    else if (!body || json_parse_once(text_trim(text_of(body)), &health) != JSON_OK)
        found(d, gravity(d), "Give the gateway another port: [gateway] http.",
              "what answers at %s is no gateway", where);
    else
        judge(d, where, health);
}

static void open_database(doctor *d) {
    char why[PG_WHY_MAX] = "";
    pg_options options = {.conninfo = d->conf.gateway_database ? d->conf.gateway_database : "",
                          .application = "mayday doctor",
                          .connect_ms = PATIENCE_MS,
                          .patience_ms = PATIENCE_MS,
                          .interrupt_fd = -1};
    if (pg_connect(&options, &d->as_gateway, why) == PG_DONE)
        return;
    d->as_gateway = NULL;
    found(d, gravity(d), "See [gateway] database; run the doctor as root, or as the gateway's user.",
          "the database cannot be reached as the gateway does: %s", why);
}

static void run(doctor *d) {
    look_at_health(d);
    open_database(d);
}

const check check_gateway = {.name = "gateway", .needs_conf = true, .run = run};
