/* database.h - how commands reach the database: one connection, as its owner, and questions whose answers are
 * printed as a table for people or as lines of JSON for scripts. Threads: one. */
#ifndef MAYDAY_TOOLS_DATABASE_H
#define MAYDAY_TOOLS_DATABASE_H

#include <stdio.h>

#include "command.h"
#include "store/pg.h"

/* The value of the option --database, for getopt_long. */
#define DATABASE_OPTION 1100
#define DATABASE_OPTIONS                                                                                     \
    { "database", required_argument, NULL, DATABASE_OPTION }
#define DATABASE_HELP                                                                                        \
    "  --database TEXT    a libpq connection string (default: $MAYDAY_DSN, or '[database] admin')\n"

/* `conninfo` may be NULL. EXIT_DONE; EXIT_UNREACHABLE or EXIT_REFUSED, complaining itself. */
NODISCARD int database_open(const command *c, const char *config_path, const char *conninfo, pg **ret_db);

/* One statement with bound parameters. EXIT_DONE, or an exit code, complaining itself. */
NODISCARD int database_ask(const command *c, pg *db, const char *sql, size_t count, const char *const *params,
                           pg_rows **ret_rows);

/* The first `count` columns under these heads, as wide as they need to be. What others wrote cannot steer the
 * terminal. */
void database_table(FILE *to, const pg_rows *rows, const char *const *heads, size_t count);

/* On stdout: as a table of the first `count` columns, or as lines of JSON from the one behind them. `nothing`
 * is said to people when there are no rows. */
void database_print(const pg_rows *rows, const char *const *heads, size_t count, bool as_json,
                    const char *nothing);

void database_lines(FILE *to, const pg_rows *rows); /* two columns, label and value, without heads */

#endif
