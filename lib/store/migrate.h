/* migrate.h - numbered migrations: sql/NNNN_name.sql, each in a transaction of its own, under an advisory
 * lock. Threads: any; blocking. */
#ifndef MAYDAY_STORE_MIGRATE_H
#define MAYDAY_STORE_MIGRATE_H

#include "base/text.h"

#define MIGRATE_WHY_MAX 1024

typedef enum migrate_verdict {
    MIGRATE_REFUSED = 0, /* see ret_why */
    MIGRATE_DONE,
    MIGRATE_UP_TO_DATE,
    MIGRATE_NEWER, /* the database holds a version this Mayday does not know */
    MIGRATE_UNREACHABLE,
} migrate_verdict;

typedef void (*migrate_progress)(void *context, int version, const char *name);

NODISCARD migrate_verdict migrate_run(const char *conninfo, const char *sql_dir, migrate_progress progress,
                                      void *context, char ret_why[MIGRATE_WHY_MAX]);

/* The version of the database and the newest of `sql_dir`. MIGRATE_UP_TO_DATE, MIGRATE_NEWER, MIGRATE_DONE
 * (behind), ... */
NODISCARD migrate_verdict migrate_look(const char *conninfo, const char *sql_dir, int *ret_database,
                                       int *ret_known, char ret_why[MIGRATE_WHY_MAX]);

/* Drops the partitions that are past their table's time (mayday.message_table) and the oldest lines of the
 * feed; `progress` gets each name, and 0. MIGRATE_UP_TO_DATE when there was nothing to drop. */
NODISCARD migrate_verdict migrate_prune(const char *conninfo, migrate_progress progress, void *context,
                                        char ret_why[MIGRATE_WHY_MAX]);

#endif
