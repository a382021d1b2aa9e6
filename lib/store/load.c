/* load.c - see load.h: the transaction around a batch, and the fast way. The careful way is in
 * load_careful.c. */
#include "store/load_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define AHEAD_WORTH (64u << 10) /* bytes: about what a socket takes at once */

static pg_verdict begin(load *l) {
    pg_verdict verdict = l->begun ? PG_DONE : pg_run(l->c, "BEGIN");
    l->begun = verdict == PG_DONE;
    return verdict;
}

static pg_verdict lane_begin(load *l, batch_lane *lane) {
    pg_verdict verdict = pg_copy_begin(l->c, lane->copy);
    if (verdict == PG_DONE)
        verdict = pg_copy_put(l->c, row_stream_head.ptr, row_stream_head.len);
    if (verdict == PG_DONE) {
        l->open = lane;
        l->sent = 0;
    }
    return verdict;
}

static pg_verdict lane_send(load *l) {
    text rest = {l->open->bytes.ptr + l->sent, l->open->bytes.len - l->sent};
    l->sent = l->open->bytes.len;
    return pg_copy_put(l->c, rest.ptr, rest.len);
}

static pg_verdict lane_end(load *l) {
    pg_verdict verdict = lane_send(l);
    if (verdict == PG_DONE)
        verdict = pg_copy_put(l->c, row_stream_tail.ptr, row_stream_tail.len);
    return verdict == PG_DONE ? pg_copy_end(l->c) : verdict;
}

static pg_verdict send_ahead(load *l) {
    pg_verdict verdict = begin(l);
    for (size_t i = 0; verdict == PG_DONE && !l->open && i < l->b->lane_count; i++)
        if (l->b->lanes[i].bytes.len >= AHEAD_WORTH)
            verdict = lane_begin(l, &l->b->lanes[i]);
    return verdict == PG_DONE && l->open ? lane_send(l) : verdict;
}

static bool worth_it(const load *l) {
    if (l->open)
        return l->open->bytes.len - l->sent >= AHEAD_WORTH;
    for (size_t i = 0; i < l->b->lane_count; i++)
        if (l->b->lanes[i].bytes.len >= AHEAD_WORTH)
            return true;
    return false;
}

pg_verdict load_ahead(load *l) {
    if (l->spoiled || !worth_it(l))
        return PG_DONE;
    pg_verdict verdict = send_ahead(l);
    if (verdict != PG_DATA)
        return verdict;
    l->spoiled = true; /* the rest of the batch is read first, then the careful way sorts it out */
    return PG_DONE;
}

static pg_verdict send_lanes(load *l) {
    pg_verdict verdict = PG_DONE;
    batch_lane *ahead = l->open;
    if (ahead)
        verdict = lane_end(l);
    for (size_t i = 0; verdict == PG_DONE && i < l->b->lane_count; i++) {
        if (l->b->lanes[i].rows == 0 || &l->b->lanes[i] == ahead)
            continue;
        verdict = lane_begin(l, &l->b->lanes[i]);
        if (verdict == PG_DONE)
            verdict = lane_end(l);
    }
    l->open = NULL;
    return verdict;
}

static pg_verdict note_progress(load *l) {
    static const char sql[] =
        "INSERT INTO mayday.journal_progress AS p (journal, node, seq) VALUES ($1, $2, $3)"
        " ON CONFLICT (journal) DO UPDATE SET node = excluded.node, seq = excluded.seq,"
        " updated_at = excluded.updated_at";
    char seq[24];
    (void)snprintf(seq, sizeof seq, "%" PRIu64, l->b->last_seq);
    const char *params[] = {l->journal, l->b->node, seq};
    return pg_query(l->c, sql, ARRAY_LEN(params), params, NULL);
}

static pg_verdict fast(load *l) {
    batch_retry(l->b);
    pg_verdict verdict = begin(l);
    if (verdict == PG_DONE)
        verdict = send_lanes(l);
    if (verdict == PG_DONE)
        verdict = load_settle(l, SETTLE_BEFORE, false);
    if (verdict == PG_DONE)
        verdict = effects_of_all(l);
    if (verdict == PG_DONE)
        verdict = load_settle(l, SETTLE_AFTER, false);
    return verdict == PG_DONE ? load_feed(l, false) : verdict;
}

static pg_verdict careful(load *l) {
    l->open = NULL;
    pg_verdict verdict = pg_run(l->c, "ROLLBACK");
    l->begun = false;
    if (verdict == PG_DONE)
        verdict = begin(l);
    return verdict == PG_DONE ? load_carefully(l) : verdict;
}

static load_counts count(const load *l) {
    load_counts counts = {.duplicates = l->b->repeats, .careful = l->spoiled};
    for (size_t i = 0; i < l->b->count; i++) {
        counts.rows += l->b->rows[i].fate == BATCH_FRESH;
        counts.duplicates += l->b->rows[i].fate == BATCH_DUPLICATE;
        counts.dead_letters += l->b->rows[i].fate == BATCH_REFUSED;
    }
    return counts;
}

pg_verdict load_commit(load *l, load_counts *ret_counts) {
    pg_verdict verdict = l->spoiled ? PG_DATA : fast(l);
    if (verdict == PG_DATA) {
        l->spoiled = true;
        verdict = careful(l);
    }
    if (verdict == PG_DONE)
        verdict = load_bury(l);
    if (verdict == PG_DONE)
        verdict = note_progress(l);
    if (verdict == PG_DONE)
        verdict = pg_run(l->c, "COMMIT");
    if (verdict != PG_DONE)
        return PG_RETRY;
    l->begun = false;
    *ret_counts = count(l);
    return PG_DONE;
}
