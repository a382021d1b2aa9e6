/* progress.c - does what brokers accept arrive in the database? */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "doctor/check.h"

#define BEHIND_RECORDS 10000
#define BEHIND_SECONDS 60

extern const check check_progress;

static const char query[] =
    "SELECT seq, extract(epoch FROM now() - updated_at)::bigint FROM mayday.journal_progress"
    " WHERE node = $1 ORDER BY updated_at DESC LIMIT 1";

static void judge(doctor *d, const char *node, uint64_t written, long age_s) {
    uint64_t behind = d->journal_last > written ? d->journal_last - written : 0;
    bool stuck = behind > 0 && age_s > BEHIND_SECONDS;
    if (behind > BEHIND_RECORDS || stuck)
        found(d, FINDING_WARN,
              "Is the broker running? Its log says why the writer is held up; nothing is lost.",
              "%s is %llu records behind; the last was written %ld s ago", node, (unsigned long long)behind,
              age_s);
    else
        found(d, FINDING_OK, NULL, "%s has everything in the database up to %llu of %llu", node,
              (unsigned long long)written, (unsigned long long)d->journal_last);
}

static void run(doctor *d) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char host[HOST_NAME_MAX + 1] = "";
    if (!d->database || !d->has_journal) {
        found(d, FINDING_SKIPPED, NULL, "needs both the journal and the database");
        return;
    }
    (void)gethostname(host, sizeof host - 1);
    const char *node = d->conf.node_name ? d->conf.node_name : host;
    if (pg_query(d->database, query, 1, &node, &rows) != PG_DONE)
        found(d, FINDING_FAIL, "Run 'mayday migrate'; may the writer's role read mayday.journal_progress?",
              "%s", pg_why(d->database));
    else if (pg_rows_count(rows) == 0 && d->journal_last > 0)
        found(d, FINDING_WARN, "Is the broker running with this configuration and this database?",
              "nothing of %s was ever written, but its journal holds records up to %llu", node,
              (unsigned long long)d->journal_last);
    else if (pg_rows_count(rows) == 0)
        found(d, FINDING_OK, NULL, "%s has accepted nothing yet", node);
    else
        judge(d, node, strtoull(pg_value(rows, 0, 0), NULL, 10), strtol(pg_value(rows, 0, 1), NULL, 10));
}

const check check_progress = {.name = "progress", .needs_conf = true, .run = run};
