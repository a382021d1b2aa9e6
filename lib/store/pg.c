/* pg.c - see pg.h: connecting, waiting, and what an answer means. COPY is in pg_copy.c. */
#include "store/pg_inside.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t monotonic_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* libpq's messages are multi-line; a log line and a table's cell are not. */
void pg_one_line(const char *message, char *ret_line, size_t size) {
    size_t at = 0;
    for (const char *p = message; *p && at + 1 < size; p++) {
        bool space = *p == '\n' || *p == '\t' || *p == ' ';
        if (space && (at == 0 || ret_line[at - 1] == ' '))
            continue;
        ret_line[at++] = space ? ' ' : *p;
    }
    while (at > 0 && ret_line[at - 1] == ' ')
        at--;
    ret_line[at] = '\0';
}

pg_verdict pg_lost(pg *c, const char *why) {
    c->broken = true;
    c->sqlstate[0] = '\0';
    pg_one_line(why, c->why, sizeof c->why);
    return PG_RETRY;
}

/* Waits for `events` on a descriptor. 1: ready; 0: patience is over; -EINTR: interrupted. */
static int wait_on(int fd, short events, int interrupt_fd, int64_t until_ms) {
    for (;;) {
        int64_t left = until_ms - monotonic_ms();
        struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = interrupt_fd, .events = POLLIN}};
        int n = poll(fds, 2, left > 0 ? (int)left : 0);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0 && fds[1].revents)
            return -EINTR;
        if (n > 0 && fds[0].revents)
            return 1;
        if (left <= 0)
            return 0;
    }
}

pg_verdict pg_await(pg *c, short events) {
    int r = wait_on(PQsocket(c->conn), events, c->interrupt_fd, monotonic_ms() + c->patience_ms);
    if (r == 1)
        return PG_DONE;
    return pg_lost(c, r == 0 ? "the server was silent for too long" : "interrupted");
}

pg_verdict pg_flush(pg *c) {
    int r;
    while ((r = PQflush(c->conn)) == 1) {
        /* Reading while writing: the server may be stuck telling us something. */
        if (pg_await(c, POLLIN | POLLOUT) != PG_DONE)
            return PG_RETRY;
        if (PQconsumeInput(c->conn) == 0)
            return pg_lost(c, PQerrorMessage(c->conn));
    }
    return r == 0 ? PG_DONE : pg_lost(c, PQerrorMessage(c->conn));
}

pg_verdict pg_next_result(pg *c, PGresult **ret_result) {
    while (PQisBusy(c->conn)) {
        if (pg_await(c, POLLIN) != PG_DONE)
            return PG_RETRY;
        if (PQconsumeInput(c->conn) == 0)
            return pg_lost(c, PQerrorMessage(c->conn));
    }
    *ret_result = PQgetResult(c->conn);
    return PG_DONE;
}

static bool begins_with_one_of(const char *sqlstate, const char *const *classes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strncmp(sqlstate, classes[i], strlen(classes[i])) == 0)
            return true;
    return false;
}

/* Everything that is not plainly the data's fault is worth another try: a missing table or right is an
 * operator's slip, and no message may be given up for it. */
pg_verdict pg_judge(pg *c, const PGresult *result) {
    static const char *const data[] = {"22", "23"};
    static const char *const fatal[] = {"08", "57P01", "57P02", "57P03", "57P05", "25P03"};
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!sqlstate || PQstatus(c->conn) == CONNECTION_BAD)
        return pg_lost(c, primary ? primary : PQresultErrorMessage(result));
    (void)snprintf(c->sqlstate, sizeof c->sqlstate, "%s", sqlstate);
    char line[PG_WHY_MAX - 16];
    pg_one_line(primary ? primary : "no message", line, sizeof line);
    (void)snprintf(c->why, sizeof c->why, "%s: %s", sqlstate, line);
    c->broken = c->broken || begins_with_one_of(sqlstate, fatal, ARRAY_LEN(fatal));
    return begins_with_one_of(sqlstate, data, ARRAY_LEN(data)) ? PG_DATA : PG_RETRY;
}

static bool is_success(const PGresult *result) {
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

pg_verdict pg_collect(pg *c, PGresult **ret_last) {
    pg_verdict verdict = PG_DONE;
    PGresult *last = NULL, *result = NULL;
    while (pg_next_result(c, &result) == PG_DONE && result) {
        if (is_success(result)) {
            PQclear(last);
            last = result;
            continue;
        }
        if (verdict == PG_DONE)
            verdict = pg_judge(c, result);
        PQclear(result);
    }
    if (c->broken)
        verdict = PG_RETRY;
    if (verdict == PG_DONE && ret_last)
        *ret_last = last;
    else
        PQclear(last);
    return verdict;
}

pg_verdict pg_run(pg *c, const char *sql) {
    if (c->broken)
        return PG_RETRY;
    if (PQsendQuery(c->conn, sql) == 0)
        return pg_lost(c, PQerrorMessage(c->conn));
    return pg_flush(c) == PG_DONE ? pg_collect(c, NULL) : PG_RETRY;
}

pg_verdict pg_query(pg *c, const char *sql, size_t count, const char *const *params, pg_rows **ret_rows) {
    PGresult *last = NULL;
    if (c->broken)
        return PG_RETRY;
    if (PQsendQueryParams(c->conn, sql, (int)count, NULL, params, NULL, NULL, 0) == 0)
        return pg_lost(c, PQerrorMessage(c->conn));
    pg_verdict verdict = pg_flush(c) == PG_DONE ? pg_collect(c, &last) : PG_RETRY;
    if (verdict == PG_DONE && ret_rows)
        *ret_rows = (pg_rows *)last;
    else
        PQclear(last);
    return verdict;
}

size_t pg_rows_count(const pg_rows *rows) {
    return (size_t)PQntuples((const PGresult *)rows);
}

const char *pg_value(const pg_rows *rows, size_t row, size_t column) {
    return PQgetvalue((const PGresult *)rows, (int)row, (int)column);
}

bool pg_is_null(const pg_rows *rows, size_t row, size_t column) {
    return PQgetisnull((const PGresult *)rows, (int)row, (int)column) != 0;
}

pg_rows *pg_rows_free(pg_rows *rows) {
    PQclear((PGresult *)rows);
    return NULL;
}

pg_verdict pg_notifications(pg *c, pg_notified visit, void *context) {
    if (c->broken)
        return PG_RETRY;
    if (PQconsumeInput(c->conn) == 0)
        return pg_lost(c, PQerrorMessage(c->conn));
    PGnotify *n;
    while ((n = PQnotifies(c->conn)) != NULL) {
        visit(context, n->relname, n->extra);
        PQfreemem(n);
    }
    return PG_DONE;
}

/* Hands on what came and remembers that something did. */
typedef struct witness {
    pg_notified visit;
    void *context;
    bool seen;
} witness;

static void bear_witness(void *context, const char *channel, const char *payload) {
    witness *w = context;
    w->seen = true;
    w->visit(w->context, channel, payload);
}

pg_verdict pg_wait(pg *c, int ms, pg_notified visit, void *context) {
    witness w = {.visit = visit, .context = context};
    int64_t until = monotonic_ms() + ms;
    int r = 1;
    /* Looks before it waits: one that came along with an answer lies in libpq already, and wakes no poll. */
    while (pg_notifications(c, bear_witness, &w) == PG_DONE) {
        if (w.seen || r != 1)
            return PG_DONE;
        r = wait_on(PQsocket(c->conn), POLLIN, c->interrupt_fd, until);
        if (r < 0 && r != -EINTR)
            return pg_lost(c, "waiting for the server failed");
    }
    return PG_RETRY;
}

int pg_socket(const pg *c) {
    return c->broken ? -1 : PQsocket(c->conn);
}

bool pg_broken(const pg *c) {
    return c->broken;
}

const char *pg_why(const pg *c) {
    return c->why;
}

const char *pg_sqlstate(const pg *c) {
    return c->sqlstate;
}

/* The administrator's string first, then what it leaves open: libpq lets the later of two equal keywords win,
 * so ours come before the expanded string. Keepalives end a connection whose host vanished while it was idle.
 * Our statements run for milliseconds; on a server that compiles plans (jit, as PostgreSQL is shipped) some
 * of them would be compiled for half a second first. */
static PGconn *start(const pg_options *options) {
    static const char *const keywords[] = {"keepalives_idle",
                                           "keepalives_interval",
                                           "keepalives_count",
                                           "tcp_user_timeout",
                                           "client_encoding",
                                           "application_name",
                                           "options",
                                           "dbname",
                                           NULL};
    const char *values[] = {
        "10", "5", "3", "30000", "UTF8", options->application, "-c jit=off", options->conninfo, NULL};
    return PQconnectStartParams(keywords, values, 1);
}

static pg_verdict shake_hands(PGconn *conn, const pg_options *options, char why[PG_WHY_MAX]) {
    int64_t until = monotonic_ms() + options->connect_ms;
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        int r = PQstatus(conn) == CONNECTION_BAD
                    ? 1
                    : wait_on(PQsocket(conn), events, options->interrupt_fd, until);
        if (r != 1) {
            (void)snprintf(why, PG_WHY_MAX, "%s", r == 0 ? "the server does not answer" : "interrupted");
            return PG_RETRY;
        }
        state = PQconnectPoll(conn);
        if (state == PGRES_POLLING_FAILED) {
            pg_one_line(PQerrorMessage(conn), why, PG_WHY_MAX);
            return PG_RETRY;
        }
    }
    return PG_DONE;
}

/* What the server says beside its answers goes nowhere: the plugin has no stderr of its own. */
static void ignore_notice(void *context, const char *message) {
    (void)context;
    (void)message;
}

pg_verdict pg_connect(const pg_options *options, pg **ret_pg, char ret_why[PG_WHY_MAX]) {
    pg *c = calloc(1, sizeof *c);
    PGconn *conn = c ? start(options) : NULL;
    if (!conn) {
        free(c);
        (void)snprintf(ret_why, PG_WHY_MAX, "out of memory");
        return PG_RETRY;
    }
    c->conn = conn;
    c->patience_ms = options->patience_ms;
    c->interrupt_fd = options->interrupt_fd;
    (void)PQsetNoticeProcessor(conn, ignore_notice, NULL);
    if (shake_hands(conn, options, ret_why) != PG_DONE || PQsetnonblocking(conn, 1) != 0) {
        pg_close(c);
        return PG_RETRY;
    }
    *ret_pg = c;
    return PG_DONE;
}

pg *pg_close(pg *c) {
    if (c) {
        PQfinish(c->conn);
        free(c);
    }
    return NULL;
}
