/* http.c - sends prepared HTTP/1.1 requests over a few connections that are kept, the next one on each as
 * soon as the last was answered, and counts the answers: what a server of many small requests can do.
 *
 * Usage: http PORT CONNECTIONS FILE [PATIENCE]. FILE holds the requests, each behind a line with its length
 * in bytes. Every request must be answered: a closed connection, an answer without a length, or PATIENCE
 * seconds (20) without any end it with a sentence and status 1. One line of JSON on stdout. One thread,
 * poll(). */
#include "histogram.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define ANSWER_MAX      (64 << 10)
#define STATUS_MAX      600

typedef struct lane {
    int fd;
    bool busy;
    int64_t sent_at;
    size_t len;
    char answer[ANSWER_MAX];
} lane;

typedef struct run {
    text requests; /* what is left of the file */
    lane *lanes;
    int count;
    int64_t begun, last;
    uint64_t answers, statuses[STATUS_MAX];
    histogram took;
} run;

_Noreturn static void PRINTF_LIKE(1, 2) fail(const char *format, ...) {
    va_list args;
    fputs("http: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

static text read_file(const char *path) {
    FILE *f = fopen(path, "rb");
    struct stat s;
    if (!f || fstat(fileno(f), &s) != 0)
        fail("%s: %s", path, strerror(errno));
    size_t size = (size_t)s.st_size;
    char *bytes = malloc(size + 1);
    if (!bytes || fread(bytes, 1, size, f) != size)
        fail("%s cannot be read", path);
    bytes[size] = '\0';
    (void)fclose(f);
    return (text){bytes, size};
}

/* False at the end of the file. */
static bool next_request(run *r, text *ret_request) {
    char *end = NULL;
    if (r->requests.len == 0)
        return false;
    size_t length = strtoul(r->requests.ptr, &end, 10);
    size_t head = (size_t)(end - r->requests.ptr) + 1;
    if (*end != '\n' || length == 0 || head + length > r->requests.len)
        fail("the file of requests is broken");
    *ret_request = (text){r->requests.ptr + head, length};
    r->requests = (text){r->requests.ptr + head + length, r->requests.len - head - length};
    return true;
}

static int open_one(uint16_t port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
        fail("cannot connect to port %u: %s", port, strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

/* Requests are small: what the socket does not take at once, it takes soon. */
static void send_next(run *r, lane *l) {
    text request;
    l->len = 0;
    l->busy = next_request(r, &request);
    if (!l->busy)
        return;
    l->sent_at = clock_ns();
    for (size_t done = 0; done < request.len;) {
        ssize_t n = send(l->fd, request.ptr + done, request.len - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            fail("the server closed a connection: %s", strerror(errno));
        done += n > 0 ? (size_t)n : 0;
    }
}

/* How long the body is: Content-Length, or nothing where a status has no body. */
static size_t body_length(const char *head, const char *end, unsigned long status) {
    for (const char *line = head; line && line < end; line = memmem(line, (size_t)(end - line), "\r\n", 2)) {
        line += line == head ? 0 : 2;
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            return strtoul(line + 15, NULL, 10);
    }
    if (status != 204)
        fail("an answer (%lu) does not say how long it is", status);
    return 0;
}

static bool whole(const lane *l, unsigned long *ret_status) {
    const char *end = memmem(l->answer, l->len, "\r\n\r\n", 4);
    if (!end)
        return false;
    if (l->len < 12 || memcmp(l->answer, "HTTP/1.", 7) != 0)
        fail("the answer is no HTTP");
    unsigned long status = strtoul(l->answer + 9, NULL, 10);
    if (status < 100 || status >= STATUS_MAX)
        fail("an answer has the status %lu", status);
    if (l->len < (size_t)(end - l->answer) + 4 + body_length(l->answer, end, status))
        return false;
    *ret_status = status;
    return true;
}

static void take(run *r, lane *l) {
    unsigned long status = 0;
    ssize_t n = recv(l->fd, l->answer + l->len, ANSWER_MAX - 1 - l->len, 0);
    if (n <= 0 && errno == EINTR && n < 0)
        return;
    if (n <= 0)
        fail("the server closed a connection, or answers without end");
    l->len += (size_t)n;
    l->answer[l->len] = '\0';
    if (!whole(l, &status))
        return;
    r->last = clock_ns();
    histogram_add(&r->took, r->last - l->sent_at);
    r->answers++;
    r->statuses[status]++;
    send_next(r, l);
}

static void run_all(run *r, double patience) {
    struct pollfd wait[CONNECTIONS_MAX];
    r->begun = clock_ns();
    for (int i = 0; i < r->count; i++)
        send_next(r, &r->lanes[i]);
    for (;;) {
        nfds_t busy = 0;
        lane *of[CONNECTIONS_MAX];
        for (int i = 0; i < r->count; i++)
            if (r->lanes[i].busy) {
                of[busy] = &r->lanes[i];
                wait[busy++] = (struct pollfd){.fd = r->lanes[i].fd, .events = POLLIN};
            }
        if (busy == 0)
            return;
        int ready = poll(wait, busy, (int)(patience * 1000));
        if (ready == 0)
            fail("%u requests were never answered", (unsigned)busy);
        for (nfds_t i = 0; ready > 0 && i < busy; i++)
            if (wait[i].revents)
                take(r, of[i]);
    }
}

static void print(const run *r) {
    double seconds = (double)(r->last - r->begun) / 1e9;
    const char *comma = "";
    printf("{\"mode\":\"http\",\"answers\":%llu,\"seconds\":%.6f,\"rate\":%.1f,\"statuses\":{",
           (unsigned long long)r->answers, seconds, seconds > 0 ? (double)r->answers / seconds : 0);
    for (int i = 0; i < STATUS_MAX; i++) {
        if (r->statuses[i] == 0)
            continue;
        printf("%s\"%d\":%llu", comma, i, (unsigned long long)r->statuses[i]);
        comma = ",";
    }
    fputs("},\"latency_us\":", stdout);
    histogram_print(&r->took, stdout);
    puts("}");
}

int main(int argc, char **argv) {
    static run r;
    if (argc < 4) {
        fputs("usage: http PORT CONNECTIONS FILE [PATIENCE]\n", stderr);
        return EXIT_FAILURE;
    }
    unsigned long port = strtoul(argv[1], NULL, 10), count = strtoul(argv[2], NULL, 10);
    double patience = argc > 4 ? strtod(argv[4], NULL) : 20;
    if (port < 1 || port > 65535 || count < 1 || count > CONNECTIONS_MAX || !(patience > 0))
        fail("a port, 1 to %d connections and a positive patience are needed", CONNECTIONS_MAX);
    r.requests = read_file(argv[3]);
    char *bytes = (char *)(uintptr_t)r.requests.ptr;
    r.count = (int)count;
    r.lanes = calloc(count, sizeof *r.lanes);
    if (!r.lanes)
        fail("there is no memory");
    for (int i = 0; i < r.count; i++)
        r.lanes[i].fd = open_one((uint16_t)port);
    run_all(&r, patience);
    print(&r);
    for (int i = 0; i < r.count; i++)
        (void)close(r.lanes[i].fd);
    free(r.lanes);
    free(bytes);
    return EXIT_SUCCESS;
}
