#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/sending/client.h"

/* A server that does with each request what its path says. Each connection has a thread, which ends with it.
 */
#define BIG (1 << 20)

typedef struct server {
    int fd, port;
    pthread_t thread;
    atomic_int requests, connections, open;
    atomic_bool stopping;
    char last[4096]; /* the last request */
} server;

static server it;
static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER; /* of it.last, among those who serve */

static void say(int fd, const char *what) {
    (void)send(fd, what, strlen(what), MSG_NOSIGNAL);
}

/* One request with its body; false when the client is gone. */
static bool hear(int fd, char *into, size_t size) {
    size_t len = 0, want = size;
    while (len < want && len + 1 < size) {
        ssize_t n = recv(fd, into + len, size - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        into[len] = '\0';
        const char *end = strstr(into, "\r\n\r\n"), *length = strstr(into, "Content-Length: ");
        if (end)
            want = (size_t)(end + 4 - into) + (length ? strtoul(length + 16, NULL, 10) : 0);
    }
    return true;
}

static void say_big(int fd) {
    static char big[BIG];
    memset(big, 'x', sizeof big);
    char head[96];
    (void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG);
    say(fd, head);
    (void)send(fd, big, sizeof big, MSG_NOSIGNAL);
}

static void say_headers(int fd) {
    say(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 20000; i++)
        say(fd, "X-More: 0123456789012345678901234567890123456789\r\n");
    say(fd, "\r\n");
}

/* False: it hangs up. */
static bool answer(int fd, const char *request) {
    const char *path = strchr(request, '/');
    if (strncmp(path, "/ok", 3) == 0) {
        say(fd, "HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\ngood");
        return true;
    }
    if (strncmp(path, "/after", 6) == 0) {
        say(fd, "HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
        return true;
    }
    if (strncmp(path, "/elsewhere", 10) == 0)
        say(fd, "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n");
    else if (strncmp(path, "/early", 6) == 0)
        say(fd, "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf");
    else if (strncmp(path, "/garbage", 8) == 0)
        say(fd, "well, hello\n\n");
    else if (strncmp(path, "/big", 4) == 0)
        say_big(fd);
    else if (strncmp(path, "/headers", 8) == 0)
        say_headers(fd);
    else if (strncmp(path, "/slow", 5) == 0)
        while (!atomic_load(&it.stopping) && recv(fd, (char[1]){0}, 1, MSG_DONTWAIT) != 0)
            (void)usleep(5000);
    return false;
}

static void *serve(void *context) {
    int fd = *(int *)context;
    char request[4096];
    free(context);
    bool go_on = true;
    while (go_on && hear(fd, request, sizeof request)) {
        (void)pthread_mutex_lock(&last_lock);
        memcpy(it.last, request, sizeof request);
        (void)pthread_mutex_unlock(&last_lock);
        atomic_fetch_add(&it.requests, 1);
        go_on = answer(fd, request);
    }
    (void)close(fd);
    atomic_fetch_sub(&it.open, 1);
    return NULL;
}

static void *accept_all(void *unused) {
    (void)unused;
    for (;;) {
        pthread_t thread;
        int fd = accept(it.fd, NULL, NULL), *own = malloc(sizeof *own);
        if (fd < 0 || !own) {
            free(own);
            return NULL;
        }
        *own = fd;
        atomic_fetch_add(&it.connections, 1);
        atomic_fetch_add(&it.open, 1);
        ck_assert_int_eq(pthread_create(&thread, NULL, serve, own), 0);
        (void)pthread_detach(thread);
    }
}

static int listening(int *ret_port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static void setup(void) {
    memset(&it, 0, sizeof it);
    it.fd = listening(&it.port);
    ck_assert_int_eq(pthread_create(&it.thread, NULL, accept_all, NULL), 0);
}

static void teardown(void) {
    atomic_store(&it.stopping, true);
    (void)shutdown(it.fd, SHUT_RDWR);
    (void)pthread_join(it.thread, NULL);
    (void)close(it.fd);
    while (atomic_load(&it.open) > 0)
        (void)usleep(1000);
}

/* ---- the client's side ---- */

typedef struct heard {
    int times, status;
    bool left, cut;
    char why[32], body[64];
    size_t len;
    int64_t retry_after_ms;
} heard;

static void note(void *context, const provider_reply *reply) {
    heard *h = context;
    h->times++;
    h->status = reply->status;
    h->left = reply->left;
    h->cut = reply->cut;
    h->len = reply->body.len;
    h->retry_after_ms = reply->retry_after_ms;
    (void)snprintf(h->why, sizeof h->why, "%s", reply->why ? reply->why : "");
    (void)snprintf(h->body, sizeof h->body, "%.*s", (int)(reply->body.len < 60 ? reply->body.len : 60),
                   reply->body.len ? reply->body.ptr : "");
}

static client *with(int64_t timeout_ms) {
    client_options o = {.timeout_ms = timeout_ms, .most = 8, .agent = "Mayday/test"};
    client *c = NULL;
    ck_assert_int_eq(client_new(&o, &c), 0);
    return c;
}

static int start(client *c, const char *method, const char *host, int port, const char *path, heard *h) {
    provider_request r = {
        .method = method, .url = BUF(256), .body = BUF(256), .headers = BUF(256), .user = BUF(64)};
    buf_printf(&r.url, "%s:%d%s", host, port, path);
    buf_add_text(&r.body, TEXT("To=me"));
    buf_add_text(&r.headers, TEXT("X-One: 1\nX-Two: 2\n"));
    buf_add_text(&r.user, TEXT("name:word"));
    int fault = client_start(c, &r, note, h);
    buf_release(&r.url);
    buf_release(&r.body);
    buf_release(&r.headers);
    buf_release(&r.user);
    return fault;
}

static heard ask_port(client *c, const char *host, int port, const char *path) {
    heard h = {0};
    ck_assert_int_eq(start(c, "POST", host, port, path, &h), 0);
    for (int i = 0; i < 2000 && h.times == 0; i++)
        client_turn(c, 100, -1, -1);
    ck_assert_int_eq(h.times, 1);
    ck_assert_uint_eq(client_count(c), 0);
    return h;
}

static heard ask(client *c, const char *path) {
    return ask_port(c, "http://127.0.0.1", it.port, path);
}

START_TEST(an_answer_is_told_whole) {
    CLEANUP(client_freep) client *c = with(5000);
    heard h = ask(c, "/ok?a=b");
    ck_assert_int_eq(h.status, 201);
    ck_assert_str_eq(h.body, "good");
    ck_assert_str_eq(h.why, "");
    ck_assert(h.left && !h.cut);
    ck_assert_ptr_nonnull(strstr(it.last, "POST /ok?a=b HTTP/1.1"));
    ck_assert_ptr_nonnull(strstr(it.last, "X-One: 1\r\nX-Two: 2\r\n"));
    ck_assert_ptr_nonnull(strstr(it.last, "User-Agent: Mayday/test"));
    ck_assert_ptr_nonnull(strstr(it.last, "Authorization: Basic bmFtZTp3b3Jk"));
    ck_assert_ptr_nonnull(strstr(it.last, "\r\n\r\nTo=me"));
}
END_TEST

START_TEST(a_connection_is_used_again) {
    CLEANUP(client_freep) client *c = with(5000);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(ask(c, "/ok").status, 201);
    ck_assert_int_eq(atomic_load(&it.connections), 1);
    ck_assert_int_eq(atomic_load(&it.requests), 5);
}
END_TEST

START_TEST(whatever_goes_wrong_says_whether_the_request_had_left) {
    static const struct {
        const char *path;
        int status;
        bool left, cut;
        const char *why;
    } rows[] = {
        {"/cut", 0, true, false, "cut"},           {"/slow", 0, true, false, "timeout"},
        {"/early", 201, true, true, "cut"},        {"/big", 200, true, true, "too long"},
        {"/headers", 200, true, true, "too long"}, {"/elsewhere", 302, true, false, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(client_freep) client *c = with(600);
        int before = atomic_load(&it.requests);
        heard h = ask(c, rows[i].path);
        ck_assert_msg(h.status == rows[i].status && h.left == rows[i].left && h.cut == rows[i].cut &&
                          strcmp(h.why, rows[i].why) == 0,
                      "%s: status %d, left %d, cut %d, '%s'", rows[i].path, h.status, h.left, h.cut, h.why);
        ck_assert_uint_le(h.len, PROVIDER_BODY_MAX);
        ck_assert_int_eq(atomic_load(&it.requests), before + 1);
    }
}
END_TEST

START_TEST(garbage_is_no_answer) {
    CLEANUP(client_freep) client *c = with(600);
    heard h = ask(c, "/garbage");
    ck_assert_int_eq(h.status, 0);
    ck_assert(h.left);
    ck_assert_str_ne(h.why, "");
}
END_TEST

START_TEST(what_cannot_be_reached_has_not_left) {
    int port, full;
    (void)close(listening(&port));
    CLEANUP(client_freep) client *c = with(600);
    heard h = ask_port(c, "http://127.0.0.1", port, "/ok");
    ck_assert(h.status == 0 && !h.left);
    ck_assert_str_eq(h.why, "connect");
    h = ask_port(c, "http://no-such-host.invalid", 80, "/ok");
    ck_assert(h.status == 0 && !h.left);
    h = ask_port(c, "https://127.0.0.1", it.port, "/ok"); /* it speaks no TLS */
    ck_assert(h.status == 0 && !h.left);
    h = ask_port(c, "ftp://127.0.0.1", it.port, "/ok");
    ck_assert(h.status == 0 && !h.left);
    ck_assert_str_eq(h.why, "address");
    /* nobody takes what waits there, and nobody says so */
    int fd = listening(&full), waiting[64];
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)full), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(listen(fd, 0), 0);
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(waiting[i], (struct sockaddr *)&at, sizeof at);
    }
    h = ask_port(c, "http://127.0.0.1", full, "/ok");
    ck_assert(h.status == 0 && !h.left);
    ck_assert_str_eq(h.why, "connect");
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
        (void)close(waiting[i]);
    (void)close(fd);
}
END_TEST

START_TEST(a_request_is_never_sent_twice_on_its_own) {
    CLEANUP(client_freep) client *c = with(2000);
    ck_assert_int_eq(ask(c, "/ok").status, 201);
    heard h = ask(c, "/cut"); /* on the connection that is kept, which ends without an answer */
    ck_assert_int_eq(h.status, 0);
    ck_assert(h.left);
    ck_assert_int_eq(atomic_load(&it.requests), 2);
}
END_TEST

START_TEST(it_is_told_when_to_try_again) {
    CLEANUP(client_freep) client *c = with(2000);
    heard h = ask(c, "/after");
    ck_assert_int_eq(h.status, 429);
    ck_assert_int_eq(h.retry_after_ms, 7000);
}
END_TEST

START_TEST(many_are_under_way_at_once_and_no_more_than_agreed) {
    CLEANUP(client_freep) client *c = with(20000);
    heard h[9] = {0};
    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(start(c, "GET", "http://127.0.0.1", it.port, i < 7 ? "/slow" : "/ok", &h[i]), 0);
    ck_assert_int_eq(start(c, "GET", "http://127.0.0.1", it.port, "/ok", &h[8]), -EBUSY);
    while (h[7].times == 0)
        client_turn(c, 100, -1, -1);
    ck_assert_int_eq(h[7].status, 201);
    ck_assert_uint_eq(client_count(c), 7);
    ck_assert_int_eq(start(c, "GET", "http://127.0.0.1", it.port, "/ok", &h[8]), 0);
    while (h[8].times == 0)
        client_turn(c, 100, -1, -1);
    ck_assert_ptr_nonnull(strstr(it.last, "GET /ok"));
    /* the others are given up with the client, and told nothing */
    c = client_free(c);
    for (size_t i = 0; i < 7; i++)
        ck_assert_int_eq(h[i].times, 0);
}
END_TEST

START_TEST(a_descriptor_that_becomes_readable_ends_the_wait) {
    CLEANUP(client_freep) client *c = with(2000);
    int pair[2];
    ck_assert_int_eq(pipe(pair), 0);
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    client_turn(c, 600000, -1, pair[0]); /* the test's own limit would end it */
    client_turn(c, 600000, pair[0], -1);
    (void)close(pair[0]);
    (void)close(pair[1]);
}
END_TEST

Suite *suite_client(void) {
    Suite *s = suite_create("client");
    TCase *t = tcase_create("client");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_answer_is_told_whole);
    tcase_add_test(t, a_connection_is_used_again);
    tcase_add_test(t, whatever_goes_wrong_says_whether_the_request_had_left);
    tcase_add_test(t, garbage_is_no_answer);
    tcase_add_test(t, what_cannot_be_reached_has_not_left);
    tcase_add_test(t, a_request_is_never_sent_twice_on_its_own);
    tcase_add_test(t, it_is_told_when_to_try_again);
    tcase_add_test(t, many_are_under_way_at_once_and_no_more_than_agreed);
    tcase_add_test(t, a_descriptor_that_becomes_readable_ends_the_wait);
    suite_add_tcase(s, t);
    return s;
}
