/* janitor.c - removes positions and vital signs that their organisation keeps no longer, or not every one of
 * (mayday.retention, sql/0024_tracks.sql).
 *
 * In short transactions with pauses between them, so that the brokers' writers have the disk; of several
 * gateways one does it at a time, by a lock in the database. Stopped anywhere, the next step goes on. */
#include <string.h>

#include "gateway/service.h"

extern const service service_janitor;

#define EVERY_MS 600000
#define PAUSE_MS 200
#define ROWS_SQL "5000"

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    int64_t removed = 0;
    (void)state;
    *ret_again = false;
    pg_verdict verdict =
        pg_query(s->c, "SELECT removed, more FROM mayday.tidy(" ROWS_SQL ")", 0, NULL, &rows);
    if (verdict != PG_DONE)
        return verdict;
    (void)!text_to_i64(text_of(pg_value(rows, 0, 0)), 0, INT64_MAX, &removed);
    service_count(s, "mayday_gateway_tidied_rows_total", (uint64_t)removed);
    if (strcmp(pg_value(rows, 0, 1), "t") == 0)
        s->sleep_ms = PAUSE_MS;
    return PG_DONE;
}

const service service_janitor = {
    .name = "janitor",
    .channel = "mayday_janitor",
    .every_ms = EVERY_MS,
    .step = step,
};
