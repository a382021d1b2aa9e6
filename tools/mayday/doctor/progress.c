/* progress.c - does what the broker accepts arrive in the database? */
#include <stdlib.h>

#include "doctor/check.h"

#define BEHIND_RECORDS 10000
#define BEHIND_SECONDS 60

extern const check check_progress;

static const char query[] = "SELECT seq, extract(epoch FROM now() - updated_at)::bigint FROM "
                            "mayday.journal_progress WHERE journal = $1";

static void judge(doctor *d, uint64_t written, long age_s) {
    uint64_t last = d->journal.last_seq;
    uint64_t behind = last > written ? last - written : 0;
    bool stuck = behind > 0 && age_s > BEHIND_SECONDS;
    if (behind > BEHIND_RECORDS || stuck)
        found(d, FINDING_WARN,
              "Is the broker running? Its log says what holds the writer up; nothing is lost.",
              "%llu records of the journal wait for the database; the last was written %ld s ago",
              (unsigned long long)behind, age_s);
    else
        found(d, FINDING_OK, NULL, "the database has the journal up to %llu of %llu",
              (unsigned long long)written, (unsigned long long)last);
}

static void run(doctor *d) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char id[UUID_TEXT_LEN + 1];
    const char *param = id;
    if (!d->database || !d->has_journal) {
        found(d, FINDING_SKIPPED, NULL, "needs both the journal and the database");
        return;
    }
    uuid_format(&d->journal.identity, id);
    if (pg_query(d->database, query, 1, &param, &rows) != PG_DONE)
        found(d, FINDING_FAIL, "Run 'mayday migrate'; may the writer's role read mayday.journal_progress?",
              "%s", pg_why(d->database));
    else if (pg_rows_count(rows) > 0)
        judge(d, strtoull(pg_value(rows, 0, 0), NULL, 10), strtol(pg_value(rows, 0, 1), NULL, 10));
    else if (d->journal.last_seq > 0)
        found(d, FINDING_WARN, "Is the broker running with this configuration and this database?",
              "nothing of this journal was ever written, but it holds records up to %llu",
              (unsigned long long)d->journal.last_seq);
    else
        found(d, FINDING_OK, NULL, "nothing was accepted yet");
}

const check check_progress = {.name = "progress", .needs_conf = true, .run = run};
