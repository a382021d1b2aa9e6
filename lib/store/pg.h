/* pg.h - one connection to PostgreSQL; the only door to libpq besides the pg*.c files behind it.
 *
 * libpq runs non-blocking and every wait is ours: it ends when the server answers, when the server has been
 * silent for longer than the connection's patience (a host that vanished sends no error), or when another
 * thread makes the interrupt descriptor readable. After PG_RETRY with pg_broken() the connection is of no
 * more use. Threads: a connection belongs to one thread; the interrupt descriptor (an eventfd) to whoever
 * wants to interrupt. */
#ifndef MAYDAY_STORE_PG_H
#define MAYDAY_STORE_PG_H

#include "base/buf.h"

#define PG_WHY_MAX 512

typedef struct pg pg;
typedef struct pg_rows pg_rows;

/* Whose fault it is. */
typedef enum pg_verdict {
    PG_RETRY =
        0, /* not the data's: connection lost, no space, deadlock, missing table or right, interrupted */
    PG_DONE,
    PG_DATA, /* the data's: a value that does not fit or breaks a constraint (SQLSTATE classes 22 and 23) */
} pg_verdict;

typedef struct pg_options {
    const char *conninfo;
    const char *application; /* as pg_stat_activity shows it */
    int connect_ms;          /* the longest time to connect */
    int patience_ms;         /* the longest silence of the server */
    int interrupt_fd;        /* -1: none */
} pg_options;

/* PG_DONE or PG_RETRY with a sentence in ret_why. Copies what it keeps. */
NODISCARD pg_verdict pg_connect(const pg_options *options, pg **ret_pg, char ret_why[PG_WHY_MAX]);
pg *pg_close(pg *c); /* takes NULL, returns NULL */
DEFINE_CLEANUP(pg, pg_close)

bool pg_broken(const pg *c);          /* the connection is lost or in doubt */
const char *pg_why(const pg *c);      /* the last failure: "SQLSTATE: primary message", without detail */
const char *pg_sqlstate(const pg *c); /* of the last failure; "" when it was not the server's */

/* `sql` may hold several statements; rows are thrown away. */
NODISCARD pg_verdict pg_run(pg *c, const char *sql);

/* One statement with bound parameters in text form (NULL: null). Rows go to *ret_rows, which may be NULL. */
NODISCARD pg_verdict pg_query(pg *c, const char *sql, size_t count, const char *const *params,
                              pg_rows **ret_rows);
size_t pg_rows_count(const pg_rows *rows);
const char *pg_value(const pg_rows *rows, size_t row, size_t column); /* "" for null */
bool pg_is_null(const pg_rows *rows, size_t row, size_t column);
pg_rows *pg_rows_free(pg_rows *rows); /* takes NULL, returns NULL */
DEFINE_CLEANUP(pg_rows, pg_rows_free)

/* COPY ... FROM STDIN: begin, any number of puts, end. A failed begin or put needs no end. pg_copy_put hands
 * the bytes to the socket, waiting when the server is behind: at most a socket's buffer is on its way. */
NODISCARD pg_verdict pg_copy_begin(pg *c, const char *sql);
NODISCARD pg_verdict pg_copy_put(pg *c, const char *bytes, size_t len);
NODISCARD pg_verdict pg_copy_end(pg *c);

/* Takes what the server sent unasked and calls `visit` for each notification. PG_RETRY when the connection is
 * lost. */
typedef void (*pg_notified)(void *context, const char *channel, const char *payload);
NODISCARD pg_verdict pg_notifications(pg *c, pg_notified visit, void *context);

/* Waits until a notification came (then calls `visit` for it and for those behind it), at most `ms`, and not
 * once the interrupt descriptor is readable: unlike a query's, this wait leaves the connection good. PG_RETRY
 * only when the connection is lost. Call it outside a transaction: inside one no notification comes. */
NODISCARD pg_verdict pg_wait(pg *c, int ms, pg_notified visit, void *context);

int pg_socket(
    const pg *c); /* readable: pg_notifications() may have something; -1 when the connection is lost */

#endif
