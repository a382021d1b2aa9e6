/* pg_inside.h - what pg.c and pg_copy.c share; nobody else includes it. */
#ifndef MAYDAY_STORE_PG_INSIDE_H
#define MAYDAY_STORE_PG_INSIDE_H

#include "store/pg.h"

#include <libpq-fe.h>

struct pg {
    PGconn *conn;
    int patience_ms;
    int interrupt_fd;
    bool broken;
    char sqlstate[6];
    char why[PG_WHY_MAX];
};

void pg_one_line(const char *message, char *ret_line, size_t size);
pg_verdict pg_lost(pg *c, const char *why); /* always PG_RETRY */
NODISCARD pg_verdict pg_await(pg *c, short events);
NODISCARD pg_verdict pg_flush(pg *c);
NODISCARD pg_verdict pg_next_result(pg *c, PGresult **ret_result); /* *ret_result NULL: the command is over */
NODISCARD pg_verdict pg_judge(pg *c, const PGresult *result);
NODISCARD pg_verdict pg_collect(pg *c, PGresult **ret_last); /* everything up to the end of the command */

#endif
