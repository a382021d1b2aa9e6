/* load_careful.c - the careful way of load.h, for a batch the database objects to. */
#include "store/load_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REUSED      "id already used"
#define PIECE_LIMIT (64u << 20)

/* The rows of one lane that are still to be stored. */
typedef struct chosen {
    batch_row **rows;
    size_t count;
} chosen;

static void add_ids(const chosen *rows, buf *to) {
    char id[UUID_TEXT_LEN + 1];
    buf_add_char(to, '{');
    for (size_t i = 0; i < rows->count; i++) {
        uuid_format(&rows->rows[i]->id, id);
        buf_printf(to, "%s%s", i > 0 ? "," : "", id);
    }
    buf_add_char(to, '}');
}

static int by_id(const void *a, const void *b) {
    const batch_row *const *x = a, *const *y = b;
    return memcmp((*x)->id.bytes, (*y)->id.bytes, sizeof(*x)->id.bytes);
}

static void settle(batch_row *row, uint64_t stored_digest) {
    if (row->digest == stored_digest)
        row->fate = BATCH_DUPLICATE;
    else
        batch_refuse(row, REUSED);
}

/* `rows` are sorted by id; several may have the same. */
static void settle_id(const chosen *rows, const uuid *id, uint64_t stored_digest) {
    batch_row key = {.id = *id}, *wanted = &key;
    batch_row **found = bsearch(&wanted, rows->rows, rows->count, sizeof *rows->rows, by_id);
    if (!found)
        return;
    while (found > rows->rows && uuid_equal(&found[-1]->id, id))
        found--;
    for (; found < rows->rows + rows->count && uuid_equal(&(*found)->id, id); found++)
        settle(*found, stored_digest);
}

/* Settles the rows whose ids are stored already. */
static pg_verdict settle_known(pg *c, const char *table, const chosen *rows) {
    static const char sql[] = "SELECT id, digest FROM mayday.known_ids($1, $2)";
    CLEANUP(buf_release) buf ids = BUF(PIECE_LIMIT);
    CLEANUP(pg_rows_freep) pg_rows *known = NULL;
    add_ids(rows, &ids);
    if (buf_failed(&ids) < 0)
        return PG_RETRY;
    const char *params[] = {table, ids.ptr};
    pg_verdict verdict = pg_query(c, sql, ARRAY_LEN(params), params, &known);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(known); i++) {
        uuid id;
        int64_t digest;
        if (uuid_parse(text_of(pg_value(known, i, 0)), &id) == 0 &&
            text_to_i64(text_of(pg_value(known, i, 1)), INT64_MIN, INT64_MAX, &digest) == 0)
            settle_id(rows, &id, (uint64_t)digest);
    }
    return verdict;
}

static pg_verdict copy_rows(pg *c, const batch_lane *lane, const chosen *rows) {
    CLEANUP(buf_release) buf piece = BUF(PIECE_LIMIT);
    buf_add_text(&piece, row_stream_head);
    for (size_t i = 0; i < rows->count; i++)
        buf_add(&piece, lane->bytes.ptr + rows->rows[i]->at, rows->rows[i]->len);
    buf_add_text(&piece, row_stream_tail);
    if (buf_failed(&piece) < 0)
        return PG_RETRY;
    pg_verdict verdict = pg_copy_begin(c, lane->copy);
    if (verdict == PG_DONE)
        verdict = pg_copy_put(c, piece.ptr, piece.len);
    return verdict == PG_DONE ? pg_copy_end(c) : verdict;
}

/* One row alone was refused: stored in the meantime, or by a row before it in this batch? Else it is dead. */
static pg_verdict settle_one(pg *c, const batch_lane *lane, const chosen *one, const char *sqlstate,
                             const char *why) {
    pg_verdict verdict = PG_DONE;
    if (strcmp(sqlstate, "23505") == 0)
        verdict = settle_known(c, lane->type->table, one);
    if (verdict == PG_DONE && one->rows[0]->fate == BATCH_FRESH)
        batch_refuse(one->rows[0], why);
    return verdict;
}

/* Recursion ends: the rows are halved each time. */
static pg_verdict store(pg *c, const batch_lane *lane, const chosen *rows) {
    char sqlstate[8], why[PG_WHY_MAX];
    if (rows->count == 0)
        return PG_DONE;
    pg_verdict verdict = pg_run(c, "SAVEPOINT piece");
    if (verdict != PG_DONE)
        return verdict;
    verdict = copy_rows(c, lane, rows);
    if (verdict == PG_DONE)
        return pg_run(c, "RELEASE SAVEPOINT piece");
    if (verdict == PG_RETRY)
        return verdict;
    (void)snprintf(sqlstate, sizeof sqlstate, "%s", pg_sqlstate(c));
    (void)snprintf(why, sizeof why, "%s", pg_why(c));
    verdict = pg_run(c, "ROLLBACK TO SAVEPOINT piece; RELEASE SAVEPOINT piece");
    if (verdict != PG_DONE)
        return verdict;
    if (rows->count == 1)
        return settle_one(c, lane, rows, sqlstate, why);
    chosen head = {rows->rows, rows->count / 2};
    chosen tail = {rows->rows + head.count, rows->count - head.count};
    verdict = store(c, lane, &head);
    return verdict == PG_DONE ? store(c, lane, &tail) : verdict;
}

static void choose(batch *b, size_t lane, chosen *rows) {
    rows->count = 0;
    for (size_t i = 0; i < b->count; i++)
        if (b->rows[i].fate == BATCH_FRESH && b->rows[i].lane == lane)
            rows->rows[rows->count++] = &b->rows[i];
}

static int by_seq(const void *a, const void *b) {
    const batch_row *const *x = a, *const *y = b;
    return ((*x)->seq > (*y)->seq) - ((*x)->seq < (*y)->seq);
}

static pg_verdict load_lane(pg *c, batch *b, size_t lane, chosen *rows) {
    choose(b, lane, rows);
    if (rows->count == 0)
        return PG_DONE;
    qsort(rows->rows, rows->count, sizeof *rows->rows, by_id);
    pg_verdict verdict = settle_known(c, b->lanes[lane].type->table, rows);
    if (verdict != PG_DONE)
        return verdict;
    choose(b, lane, rows);
    qsort(rows->rows, rows->count, sizeof *rows->rows, by_seq); /* of two with one id, the first counts */
    return store(c, &b->lanes[lane], rows);
}

/* An effect the database refuses makes a dead letter of its message, so that somebody sees it. */
static pg_verdict load_effects_singly(load *l) {
    pg *c = l->c;
    batch *b = l->b;
    pg_verdict verdict = effects_prepare(l);
    for (size_t i = 0; verdict == PG_DONE && i < b->count; i++) {
        if (!effect_exists(&b->rows[i]))
            continue;
        verdict = pg_run(c, "SAVEPOINT effect");
        if (verdict == PG_DONE)
            verdict = effect_of(l, &b->rows[i]);
        if (verdict == PG_DATA) {
            batch_refuse(&b->rows[i], pg_why(c));
            verdict = pg_run(c, "ROLLBACK TO SAVEPOINT effect");
        }
        if (verdict == PG_DONE)
            verdict = pg_run(c, "RELEASE SAVEPOINT effect");
    }
    return verdict;
}

/* Most often it was a row that the database objected to (a repeat), and no effect: then they can run
 * together, as on the fast way. One by one, thousands of presses of one person, each in a savepoint, take a
 * minute and more. */
static pg_verdict load_effects(load *l) {
    pg_verdict verdict = pg_run(l->c, "SAVEPOINT effects");
    if (verdict == PG_DONE)
        verdict = effects_of_all(l);
    if (verdict == PG_DONE)
        return pg_run(l->c, "RELEASE SAVEPOINT effects");
    if (verdict == PG_DATA)
        verdict = pg_run(l->c, "ROLLBACK TO SAVEPOINT effects; RELEASE SAVEPOINT effects");
    return verdict == PG_DONE ? load_effects_singly(l) : verdict;
}

pg_verdict load_carefully(load *l) {
    batch *b = l->b;
    chosen rows = {calloc(b->count + 1, sizeof *rows.rows), 0};
    pg_verdict verdict = rows.rows ? PG_DONE : PG_RETRY;
    batch_retry(b);
    for (size_t i = 0; verdict == PG_DONE && i < b->lane_count; i++)
        if (b->lanes[i].rows > 0)
            verdict = load_lane(l->c, b, i, &rows);
    free(rows.rows);
    if (verdict == PG_DONE)
        verdict = load_settle(l, SETTLE_BEFORE, true);
    if (verdict == PG_DONE)
        verdict = load_effects(l);
    if (verdict == PG_DONE)
        verdict = load_settle(l, SETTLE_AFTER, true);
    return verdict == PG_DONE ? load_feed(l, true) : verdict;
}
