/* pg_copy.c - COPY ... FROM STDIN; see pg.h. */
#include "store/pg_inside.h"

#include <poll.h>

pg_verdict pg_copy_begin(pg *c, const char *sql) {
    PGresult *result = NULL;
    if (c->broken)
        return PG_RETRY;
    if (PQsendQuery(c->conn, sql) == 0)
        return pg_lost(c, PQerrorMessage(c->conn));
    if (pg_flush(c) != PG_DONE || pg_next_result(c, &result) != PG_DONE)
        return PG_RETRY;
    if (PQresultStatus(result) == PGRES_COPY_IN) {
        PQclear(result);
        return PG_DONE;
    }
    pg_verdict verdict = pg_judge(c, result);
    PQclear(result);
    pg_verdict rest = pg_collect(c, NULL);
    return rest == PG_DONE ? verdict : rest;
}

/* The server says why it gave up only once the copy is over. */
static pg_verdict give_up(pg *c) {
    pg_verdict verdict = pg_collect(c, NULL);
    return verdict == PG_DONE ? pg_lost(c, "the server ended the copy") : verdict;
}

pg_verdict pg_copy_put(pg *c, const char *bytes, size_t len) {
    enum {
        PIECE = 1 << 16
    };
    while (len > 0) {
        size_t piece = len < PIECE ? len : PIECE;
        int r = PQputCopyData(c->conn, bytes, (int)piece);
        if (r < 0)
            return PQstatus(c->conn) == CONNECTION_BAD ? pg_lost(c, PQerrorMessage(c->conn)) : give_up(c);
        if (pg_flush(c) != PG_DONE)
            return PG_RETRY;
        if (r == 1) {
            bytes += piece;
            len -= piece;
        }
    }
    return PG_DONE;
}

pg_verdict pg_copy_end(pg *c) {
    int r;
    while ((r = PQputCopyEnd(c->conn, NULL)) == 0)
        if (pg_await(c, POLLOUT) != PG_DONE)
            return PG_RETRY;
    if (r < 0)
        return PQstatus(c->conn) == CONNECTION_BAD ? pg_lost(c, PQerrorMessage(c->conn)) : give_up(c);
    return pg_flush(c) == PG_DONE ? pg_collect(c, NULL) : PG_RETRY;
}
