/* sealer.c - the second step of the audit trail: takes what was noted (mayday.audit_pending), hangs it on the
 * chain (mayday.audit) and signs where the chain stands (mayday.audit_checkpoint).
 *
 * One transaction moves up to a thousand entries; it holds an advisory lock, so of several gateways one seals
 * at a time, and whichever comes next goes on from what is stored. Notes become visible in the order of their
 * commits, not of their numbers: each batch takes what is there, and a position says when an entry was
 * sealed, `at` when it happened.
 *
 * The chain goes on from its last entry, or, where a checkpoint is signed for a later position than any entry
 * has, from that: somebody cut the end off (or an older backup was restored), and the gap that stays names
 * what is missing. The file of checkpoints is written behind the COMMIT: what is in it was sealed for
 * certain. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/uuid.h"
#include "gateway/checkpoints.h"
#include "gateway/service.h"

extern const service service_sealer;

#define BATCH            1000
#define BATCH_TEXT       "1000"
#define CHECKPOINT_S     60
#define LISTS_MAX        (1 << 20)
#define LAST_CONNECT_MS  1000 /* for the checkpoint of a clean stop */
#define LAST_PATIENCE_MS 3000

typedef struct sealer {
    service_context *s;
    checkpoints *checkpoints;
    audit_hasher *hasher;
    uint64_t signed_to; /* the position of our last checkpoint; 0: none yet */
    instant signed_at;
    int open_month;   /* its partitions are there; as month_of() */
    bool cannot_sign; /* and said so */
    bool cannot_keep; /* likewise */
} sealer;

/* Where the chain stands. */
typedef struct place {
    uint64_t position; /* 0: before the first entry */
    audit_hash chain;
    int64_t made_ms; /* the time in its entry's id; 0: it is no entry's */
} place;

/* One transaction. */
typedef struct sealing {
    sealer *me;
    pg *c;
    bool last; /* the gateway stops: sign now */
    place head;
    instant now; /* the database's clock */
    char now_text[64];
    int64_t id_ms; /* the time of the ids made here: never before the head's */
    size_t sealed;
    struct {
        audit_checkpoint checkpoint;
        buf jws;
    } fresh[2];
    size_t fresh_count;
} sealing;

static void sealing_release(sealing *x) {
    for (size_t i = 0; i < ARRAY_LEN(x->fresh); i++)
        buf_release(&x->fresh[i].jws);
}

static int64_t integer(const pg_rows *rows, size_t row, size_t column) {
    int64_t value = 0;
    return text_to_i64(text_of(pg_value(rows, row, column)), INT64_MIN, INT64_MAX, &value) == 0 ? value : 0;
}

static int month_of(int64_t unix_ms) {
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm t;
    return gmtime_r(&seconds, &t) ? t.tm_year * 12 + t.tm_mon : 0;
}

/* ---- where the chain stands ---- */

/* A checkpoint of a position that no entry has. */
static void go_on_behind(sealing *x, const audit_checkpoint *c, const char *where) {
    if (c->position <= x->head.position)
        return;
    service_log(x->me->s, LOG_LEVEL_ERROR,
                "the audit trail ends at %" PRIu64 ", but %s has a signed checkpoint of %" PRIu64
                ": entries are missing. Run 'mayday audit verify'",
                x->head.position, where, c->position);
    x->head = (place){.position = c->position, .chain = c->chain};
}

static pg_verdict find_head(sealing *x) {
    static const char sql[] =
        "SELECT (extract(epoch FROM n.t) * 1000000)::bigint, n.t::text, coalesce(a.position, 0),"
        " encode(a.chain_hash, 'hex'), a.id, coalesce(c.position, 0), c.signature"
        " FROM (SELECT clock_timestamp() AS t) n"
        " LEFT JOIN LATERAL (SELECT * FROM mayday.audit ORDER BY position DESC, id DESC LIMIT 1) a ON true"
        " LEFT JOIN LATERAL (SELECT * FROM mayday.audit_checkpoint ORDER BY position DESC, id DESC LIMIT 1) c"
        " ON true";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    audit_checkpoint c;
    uuid id;
    pg_verdict verdict = pg_query(x->c, sql, 0, NULL, &rows);
    if (verdict != PG_DONE)
        return verdict;
    x->now = integer(rows, 0, 0);
    (void)snprintf(x->now_text, sizeof x->now_text, "%s", pg_value(rows, 0, 1));
    x->head = (place){.position = (uint64_t)integer(rows, 0, 2), .chain = audit_origin};
    if (x->head.position > 0 && audit_hash_parse(text_of(pg_value(rows, 0, 3)), &x->head.chain) < 0)
        return PG_DATA;
    if (uuid_parse(text_of(pg_value(rows, 0, 4)), &id) == 0)
        x->head.made_ms = uuid7_unix_ms(&id);
    x->id_ms = x->now / 1000 > x->head.made_ms ? x->now / 1000 : x->head.made_ms;
    if ((uint64_t)integer(rows, 0, 5) > x->head.position &&
        checkpoints_ours(x->me->checkpoints, text_of(pg_value(rows, 0, 6)), &c))
        go_on_behind(x, &c, "the database");
    const audit_checkpoint *kept = checkpoints_newest(x->me->checkpoints);
    if (kept)
        go_on_behind(x, kept, "the file of checkpoints");
    return PG_DONE;
}

/* ---- checkpoints ---- */

static bool random_id(const sealing *x, char ret_id[UUID_TEXT_LEN + 1]) {
    uint8_t random[10];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    uuid id = uuid7_make(x->id_ms, random);
    uuid_format(&id, ret_id);
    return true;
}

static pg_verdict store_checkpoint(sealing *x, const audit_checkpoint *c, const char *kid, const char *jws) {
    static const char sql[] =
        "INSERT INTO mayday.audit_checkpoint (id, position, chain_hash, at, kid, signature)"
        " VALUES ($1, $2, decode($3, 'hex'), $4, nullif($5, ''), $6)";
    char id[UUID_TEXT_LEN + 1], position[24], hex[AUDIT_HEX_LEN + 1], at[INSTANT_TEXT_LEN + 1];
    if (!random_id(x, id))
        return PG_RETRY;
    (void)snprintf(position, sizeof position, "%" PRIu64, c->position);
    audit_hash_print(&c->chain, hex);
    instant_format(c->at, at);
    const char *params[] = {id, position, hex, at, kid, jws};
    return pg_query(x->c, sql, ARRAY_LEN(params), params, NULL);
}

/* Signs the head. Entries are sealed also when that fails: unsigned is better than lost. */
static pg_verdict sign_head(sealing *x, bool ends_month) {
    char kid[AUDIT_KID_MAX], why[CHECKPOINTS_WHY_MAX];
    sealer *me = x->me;
    if (!checkpoints_wanted(me->checkpoints) || x->head.position == 0)
        return PG_DONE;
    audit_checkpoint c = {x->head.position, x->head.chain, x->now - x->now % 1000, ends_month};
    buf *jws = &x->fresh[x->fresh_count].jws;
    *jws = BUF(AUDIT_SIGNED_MAX);
    int fault = checkpoints_sign(me->checkpoints, &c, jws, kid, why);
    if (fault < 0 && !me->cannot_sign)
        service_log(me->s, LOG_LEVEL_ERROR, "no checkpoint can be signed: %s", why);
    if (fault == 0 && me->cannot_sign)
        service_log(me->s, LOG_LEVEL_NOTICE, "checkpoints are signed again");
    me->cannot_sign = fault < 0;
    if (fault < 0) {
        buf_release(jws);
        return PG_DONE;
    }
    pg_verdict verdict = store_checkpoint(x, &c, kid, jws->ptr);
    x->fresh[x->fresh_count++].checkpoint = c;
    return verdict;
}

/* Each gateway signs for itself, so that each has a file of its own: at its start, then every minute in which
 * the trail grew, and at its end. What the database says was signed is not asked: anybody may have put it
 * there. */
static bool is_due(const sealer *me, uint64_t position, instant now, bool last) {
    instant age = now - me->signed_at;
    return checkpoints_wanted(me->checkpoints) && position > me->signed_to &&
           (last || me->signed_to == 0 || age < 0 || age >= CHECKPOINT_S * INSTANT_SECOND);
}

static void keep_checkpoints(sealing *x) {
    char why[CHECKPOINTS_WHY_MAX];
    sealer *me = x->me;
    for (size_t i = 0; i < x->fresh_count; i++) {
        int fault =
            checkpoints_keep(me->checkpoints, &x->fresh[i].checkpoint, buf_text(&x->fresh[i].jws), why);
        if (fault < 0 && !me->cannot_keep)
            service_log(me->s, LOG_LEVEL_ERROR, "a checkpoint is in the database alone: %s", why);
        me->cannot_keep = fault < 0;
        me->signed_to = x->fresh[i].checkpoint.position;
        me->signed_at = x->now;
    }
    service_count(me->s, "mayday_gateway_audit_checkpoints_total", x->fresh_count);
}

/* ---- entries ---- */

/* What the hashes and places are handed to the database in: PostgreSQL's arrays as text. */
typedef struct lists {
    buf entries, positions, ids, entry_hashes, chain_hashes;
} lists;

static void lists_release(lists *l) {
    buf_release(&l->entries);
    buf_release(&l->positions);
    buf_release(&l->ids);
    buf_release(&l->entry_hashes);
    buf_release(&l->chain_hashes);
}

static text nullable(const pg_rows *rows, size_t row, size_t column) {
    return pg_is_null(rows, row, column) ? (text){NULL, 0} : text_of(pg_value(rows, row, column));
}

static bool add_hash(buf *to, char separator, const audit_hash *hash) {
    char hex[AUDIT_HEX_LEN + 1];
    audit_hash_print(hash, hex);
    buf_printf(to, "%c%s", separator, hex);
    return buf_failed(to) == 0;
}

static bool chain_row(sealing *x, const pg_rows *rows, size_t row, lists *l) {
    char id[UUID_TEXT_LEN + 1], separator = row == 0 ? '{' : ',';
    audit_hash hash;
    if (!random_id(x, id))
        return false;
    audit_entry e = {.position = x->head.position + 1,
                     .id = text_of(id),
                     .at = integer(rows, row, 1),
                     .sealed_at = x->now,
                     .org = text_of(pg_value(rows, row, 2)),
                     .kind = text_of(pg_value(rows, row, 3)),
                     .actor = text_of(pg_value(rows, row, 4)),
                     .person = nullable(rows, row, 5),
                     .alert = nullable(rows, row, 6),
                     .detail = text_of(pg_value(rows, row, 7))};
    if (audit_hash_entry(x->me->hasher, &e, &hash) < 0 ||
        audit_hash_chain(x->me->hasher, &x->head.chain, &hash, &x->head.chain) < 0)
        return false;
    x->head.position = e.position;
    buf_printf(&l->entries, "%c%s", separator, pg_value(rows, row, 0));
    buf_printf(&l->positions, "%c%" PRIu64, separator, e.position);
    buf_printf(&l->ids, "%c%s", separator, id);
    return buf_failed(&l->entries) == 0 && buf_failed(&l->positions) == 0 && buf_failed(&l->ids) == 0 &&
           add_hash(&l->entry_hashes, separator, &hash) &&
           add_hash(&l->chain_hashes, separator, &x->head.chain);
}

static bool close_lists(lists *l) {
    buf *const all[] = {&l->entries, &l->positions, &l->ids, &l->entry_hashes, &l->chain_hashes};
    bool good = true;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        buf_add_char(all[i], '}');
        good = good && buf_failed(all[i]) == 0;
    }
    return good;
}

/* The values themselves stay in the database: what it has is moved, and what was hashed was read from it. */
static pg_verdict move(sealing *x, const lists *l, size_t count) {
    static const char sql[] =
        "WITH h AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::text[], $5::text[])"
        " AS h(entry, position, id, entry_hash, chain_hash)),"
        " taken AS (DELETE FROM mayday.audit_pending p USING h WHERE p.entry = h.entry RETURNING p.*),"
        " sealed AS (INSERT INTO mayday.audit (id, position, at, sealed_at, org, kind, actor, person, alert,"
        "  detail, entry_hash, chain_hash)"
        "  SELECT h.id, h.position, t.at, $6::timestamptz, t.org, t.kind, t.actor, t.person, t.alert, "
        "t.detail,"
        "  decode(h.entry_hash, 'hex'), decode(h.chain_hash, 'hex') FROM taken t JOIN h USING (entry)"
        "  ORDER BY h.position RETURNING 1)"
        " SELECT count(*) FROM sealed";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {l->entries.ptr,      l->positions.ptr,    l->ids.ptr,
                            l->entry_hashes.ptr, l->chain_hashes.ptr, x->now_text};
    pg_verdict verdict = pg_query(x->c, sql, ARRAY_LEN(params), params, &rows);
    if (verdict == PG_DONE && integer(rows, 0, 0) != (int64_t)count) {
        service_log(x->me->s, LOG_LEVEL_ERROR, "entries vanished while they were sealed; again");
        return PG_RETRY;
    }
    return verdict;
}

/* The first entry of a month: its partition, and the signed end of the one before, from which on the trail
 * can be verified once the older months are dropped. */
static pg_verdict turn_month(sealing *x) {
    int month = month_of(x->id_ms);
    pg_verdict verdict = PG_DONE;
    if (x->me->open_month != month) {
        char seconds[24];
        (void)snprintf(seconds, sizeof seconds, "%" PRId64, x->id_ms / 1000);
        const char *params[] = {seconds};
        verdict = pg_query(x->c, "SELECT mayday.open_audit_month(to_timestamp($1))", 1, params, NULL);
    }
    if (verdict == PG_DONE && x->head.made_ms > 0 && month_of(x->head.made_ms) != month)
        verdict = sign_head(x, true);
    if (verdict == PG_DONE)
        x->me->open_month = month;
    return verdict;
}

static pg_verdict seal(sealing *x) {
    static const char sql[] =
        "SELECT entry, (extract(epoch FROM at) * 1000000)::bigint, org, kind, actor, person,"
        " alert, detail FROM mayday.audit_pending ORDER BY entry LIMIT " BATCH_TEXT;
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    CLEANUP(lists_release)
    lists l = {BUF(LISTS_MAX), BUF(LISTS_MAX), BUF(LISTS_MAX), BUF(LISTS_MAX), BUF(LISTS_MAX)};
    pg_verdict verdict = pg_query(x->c, sql, 0, NULL, &rows);
    if (verdict != PG_DONE || pg_rows_count(rows) == 0)
        return verdict;
    verdict = turn_month(x);
    bool good = true;
    for (size_t i = 0; verdict == PG_DONE && good && i < pg_rows_count(rows); i++)
        good = chain_row(x, rows, i, &l);
    if (verdict != PG_DONE)
        return verdict;
    if (!good || !close_lists(&l)) {
        service_log(x->me->s, LOG_LEVEL_ERROR, "out of memory");
        return PG_RETRY;
    }
    x->sealed = pg_rows_count(rows);
    return move(x, &l, x->sealed);
}

/* ---- the transaction ---- */

/* At the end it is worth waiting for: the one who has it will be done in a moment. */
static pg_verdict locked(sealing *x, bool *ret_locked) {
    static const char wait[] = "SELECT pg_advisory_xact_lock(hashtext('mayday.seal_audit'))";
    static const char try[] = "SELECT pg_try_advisory_xact_lock(hashtext('mayday.seal_audit'))";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    pg_verdict verdict = pg_query(x->c, x->last ? wait : try, 0, NULL, &rows);
    if (verdict == PG_DONE)
        *ret_locked = x->last || *pg_value(rows, 0, 0) == 't';
    return verdict;
}

static pg_verdict inside(sealing *x) {
    bool mine = false;
    pg_verdict verdict = locked(x, &mine);
    if (verdict != PG_DONE || !mine)
        return verdict; /* another gateway is at it */
    verdict = find_head(x);
    if (verdict == PG_DONE)
        verdict = seal(x);
    if (verdict == PG_DONE && is_due(x->me, x->head.position, x->now, x->last))
        verdict = sign_head(x, false);
    return verdict;
}

static pg_verdict seal_once(sealer *me, pg *c, bool last, size_t *ret_sealed) {
    CLEANUP(sealing_release) sealing x = {.me = me, .c = c, .last = last};
    pg_verdict verdict = pg_run(c, "BEGIN ISOLATION LEVEL READ COMMITTED");
    if (verdict == PG_DONE)
        verdict = inside(&x);
    if (verdict == PG_DONE)
        verdict = pg_run(c, "COMMIT");
    if (verdict != PG_DONE)
        return verdict;
    keep_checkpoints(&x);
    service_count(me->s, "mayday_gateway_audit_sealed_total", x.sealed);
    *ret_sealed = x.sealed;
    return PG_DONE;
}

/* Is there something to do? Looked at outside the transaction, since mostly there is not. */
static pg_verdict look(sealer *me, pg *c, bool last, bool *ret_work) {
    static const char sql[] =
        "SELECT (SELECT count(*) FROM (SELECT FROM mayday.audit_pending ORDER BY entry LIMIT 10000) p),"
        " (SELECT extract(epoch FROM clock_timestamp() - at) FROM mayday.audit_pending ORDER BY entry LIMIT "
        "1),"
        " coalesce((SELECT max(position) FROM mayday.audit), 0),"
        " (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    pg_verdict verdict = pg_query(c, sql, 0, NULL, &rows);
    if (verdict != PG_DONE)
        return verdict;
    int64_t pending = integer(rows, 0, 0);
    service_gauge(me->s, "mayday_gateway_audit_pending", (double)pending);
    service_gauge(me->s, "mayday_gateway_audit_lag_seconds", strtod(pg_value(rows, 0, 1), NULL));
    *ret_work = pending > 0 || is_due(me, (uint64_t)integer(rows, 0, 2), integer(rows, 0, 3), last);
    return PG_DONE;
}

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    sealer *me = state;
    bool work = false;
    size_t sealed = 0;
    pg_verdict verdict = look(me, s->c, false, &work);
    if (verdict == PG_DONE && work)
        verdict = seal_once(me, s->c, false, &sealed);
    if (verdict == PG_DATA)
        service_log(s, LOG_LEVEL_ERROR, "an entry can't be sealed: %s", pg_why(s->c));
    if (verdict == PG_DONE)
        *ret_again = sealed == BATCH;
    return verdict;
}

static void end(void *state);

static void *begin(service_context *s) {
    sealer *me = calloc(1, sizeof *me);
    if (!me)
        return NULL;
    me->s = s;
    me->hasher = audit_hasher_new();
    me->checkpoints = checkpoints_new(s->settings);
    if (!me->hasher || !me->checkpoints) {
        end(me);
        return NULL;
    }
    if (!checkpoints_wanted(me->checkpoints))
        service_log(
            s, LOG_LEVEL_WARNING,
            "there is no [audit] signing_keys: the trail is chained, but nobody signs where it stands");
    return me;
}

/* The service's own connection is over by now. What is pending or unsigned gets its checkpoint at once, if
 * the database is there; if not, the next gateway sees to it. */
static void finish(sealer *me) {
    CLEANUP(pg_closep) pg *c = NULL;
    char why[PG_WHY_MAX];
    bool work = false;
    size_t sealed;
    pg_options options = {.conninfo = me->s->settings->gateway_database,
                          .application = "mayday-gateway sealer ends",
                          .connect_ms = LAST_CONNECT_MS,
                          .patience_ms = LAST_PATIENCE_MS,
                          .interrupt_fd = -1};
    if (pg_connect(&options, &c, why) == PG_DONE && look(me, c, true, &work) == PG_DONE && work &&
        seal_once(me, c, true, &sealed) != PG_DONE)
        service_log(me->s, LOG_LEVEL_WARNING, "the last checkpoint was not signed: %s", pg_why(c));
}

static void end(void *state) {
    sealer *me = state;
    if (!me)
        return;
    if (me->hasher && me->checkpoints)
        finish(me);
    (void)audit_hasher_free(me->hasher);
    (void)checkpoints_free(me->checkpoints);
    free(me);
}

const service service_sealer = {
    .name = "sealer",
    .every_ms = 500,
    .step = step,
    .begin = begin,
    .end = end,
};
