/* sqlite.h - a SQLite file of the gateway's own: opened with its tables and statements, its faults as those
 * of the system. What stands in it is the business of those who open one: local.c, edge/backlog_file.c.
 *
 * In WAL mode with synchronous=FULL: one flush for each transaction, before it counts as done. A damaged file
 * is set aside and a new one begun.
 *
 * Threads: as SQLite without its own locks: one at a time for each file. */
#ifndef MAYDAY_GATEWAY_LOCAL_SQLITE_H
#define MAYDAY_GATEWAY_LOCAL_SQLITE_H

#include <sqlite3.h>

#include "base/text.h"

#define SQLITE_WHY_MAX  640
#define SQLITE_PATH_MAX (SQLITE_WHY_MAX - 192) /* so that a sentence with it fits */

typedef struct sqlite_shape {
    const char *manners;      /* PRAGMAs besides those that all have */
    const char *tables;       /* what a new file gets, in one transaction */
    int version;              /* of the tables, from 1 on; a file of another is refused */
    const char *const *words; /* of the statements, prepared once */
    int count;
} sqlite_shape;

/* Sets shape->count statements, too. ret_why: a sentence that names the file when it can't be opened, and
 * when a new one was begun; else "". 0, -EBADMSG (damaged, and can't be set aside), -ENOSPC, -EIO... */
NODISCARD int sqlite_open(const char *path, const sqlite_shape *shape, sqlite3 **ret_db,
                          sqlite3_stmt **ret_statements, char ret_why[SQLITE_WHY_MAX]);
void sqlite_shut(sqlite3 **db, sqlite3_stmt **statements, int count); /* sets all to NULL; takes NULLs */

int sqlite_fault(int code);                            /* 0 or a negative errno */
void sqlite_bind(sqlite3_stmt *s, int at, text bytes); /* a blob; it must live until the statement is reset */
text sqlite_column(sqlite3_stmt *s, int at);
NODISCARD int sqlite_run(sqlite3_stmt *s); /* steps it to its end, and resets it */
void sqlite_rest(sqlite3_stmt *s);         /* resets one that was stepped by hand */
/* Ends a transaction: `commit` when `fault` is 0, else `rollback`. Returns what came of it. */
NODISCARD int sqlite_end(sqlite3 *db, sqlite3_stmt *commit, sqlite3_stmt *rollback, int fault);
/* The first value of a question. -ENODATA: it has no answer. */
NODISCARD int sqlite_ask(sqlite3 *db, const char *sql, int64_t *ret_value);

#endif
