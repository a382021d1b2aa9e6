/* load_tail.c - what follows the rows and effects of a batch, type by type with the ids that are new: the
 * settle functions, and the feed. They work on sets and are not meant to refuse anything; should one of them
 * all the same, the careful way finds the guilty message and goes on without it. */
#include "store/load_inside.h"

#include <stdio.h>

#define IDS_LIMIT (16u << 20)

/* One statement over ids: its last parameter is their array, `table` the one before when it has two. */
typedef struct over {
    const char *sql, *table;
} over;

static void add_id(const uuid *id, buf *to) {
    char spelled[UUID_TEXT_LEN + 1];
    uuid_format(id, spelled);
    buf_printf(to, "%s%s", to->len > 1 ? "," : "", spelled);
}

static bool is_fresh(const batch_row *row, size_t lane) {
    return row->type && row->len > 0 && row->lane == lane && row->fate == BATCH_FRESH;
}

static pg_verdict run_over(load *l, const over *o, const char *ids) {
    const char *both[] = {o->table, ids};
    return o->table ? pg_query(l->c, o->sql, 2, both, NULL) : pg_query(l->c, o->sql, 1, both + 1, NULL);
}

static pg_verdict over_all(load *l, const over *o, size_t lane) {
    CLEANUP(buf_release) buf ids = BUF(IDS_LIMIT);
    buf_add_char(&ids, '{');
    for (size_t i = 0; i < l->b->count; i++)
        if (is_fresh(&l->b->rows[i], lane))
            add_id(&l->b->rows[i].id, &ids);
    bool none = ids.len == 1;
    buf_add_char(&ids, '}');
    if (buf_failed(&ids) < 0)
        return PG_RETRY;
    return none ? PG_DONE : run_over(l, o, ids.ptr);
}

/* Ends a savepoint; what was done since stands or falls by `verdict`. */
static pg_verdict close_savepoint(load *l, pg_verdict verdict) {
    if (verdict == PG_RETRY)
        return PG_RETRY;
    pg_verdict closed = pg_run(l->c, verdict == PG_DATA ? "ROLLBACK TO SAVEPOINT tail; RELEASE SAVEPOINT tail"
                                                        : "RELEASE SAVEPOINT tail");
    return closed == PG_DONE ? verdict : PG_RETRY;
}

static pg_verdict over_one(load *l, const over *o, batch_row *row) {
    char ids[UUID_TEXT_LEN + 3] = "{";
    uuid_format(&row->id, ids + 1);
    (void)snprintf(ids + 1 + UUID_TEXT_LEN, 2, "}");
    pg_verdict verdict = pg_run(l->c, "SAVEPOINT tail");
    if (verdict == PG_DONE)
        verdict = run_over(l, o, ids);
    if (verdict == PG_DATA)
        batch_refuse(row, pg_why(l->c));
    return close_savepoint(l, verdict) == PG_RETRY ? PG_RETRY : PG_DONE;
}

static pg_verdict over_carefully(load *l, const over *o, size_t lane) {
    pg_verdict verdict = pg_run(l->c, "SAVEPOINT tail");
    if (verdict == PG_DONE)
        verdict = close_savepoint(l, over_all(l, o, lane));
    if (verdict != PG_DATA)
        return verdict;
    verdict = PG_DONE;
    for (size_t i = 0; verdict == PG_DONE && i < l->b->count; i++)
        if (is_fresh(&l->b->rows[i], lane))
            verdict = over_one(l, o, &l->b->rows[i]);
    return verdict;
}

pg_verdict load_settle(load *l, settle_when when, bool careful) {
    pg_verdict verdict = PG_DONE;
    for (size_t i = 0; verdict == PG_DONE && i < l->b->lane_count; i++) {
        const batch_lane *lane = &l->b->lanes[i];
        char sql[128];
        if (!lane->type->settle || lane->rows == 0 || lane->type->internal != (when == SETTLE_BEFORE))
            continue;
        (void)snprintf(sql, sizeof sql, "SELECT mayday.%s($1)", lane->type->settle);
        over o = {sql, NULL};
        verdict = careful ? over_carefully(l, &o, i) : over_all(l, &o, i);
    }
    return verdict;
}

pg_verdict load_feed(load *l, bool careful) {
    pg_verdict verdict = PG_DONE;
    for (size_t i = 0; verdict == PG_DONE && i < l->b->lane_count; i++) {
        const batch_lane *lane = &l->b->lanes[i];
        if (!lane->type->fed || lane->rows == 0)
            continue;
        over o = {"SELECT mayday.feed_rows($1, $2)", lane->type->table};
        verdict = careful ? over_carefully(l, &o, i) : over_all(l, &o, i);
    }
    return verdict;
}
