/* backlog_file.c - see backlog_inside.h: the backlog's SQLite file.
 *
 * Numbers grow and are never used again, so what is read behind a number is in the order it was written, and
 * a number that was dropped stays dropped.
 *
 * When the clock is set, what stands there keeps the time it was written with, and `moved` says by how much
 * all up to a number is off: a line, where a day's readings would be written anew. */
#include "gateway/edge/backlog_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/conf.h"
#include "gateway/local/sqlite.h"

#define THIN_MOST  16   /* rounds */
#define THIN_CHUNK 4096 /* rows looked at in one transaction: small in memory, and in the log */
#define BOOT_ID    "/proc/sys/kernel/random/boot_id"

static const char tables[] =
    "CREATE TABLE IF NOT EXISTS sample (number INTEGER PRIMARY KEY AUTOINCREMENT, alarm INTEGER NOT NULL,"
    " ours INTEGER NOT NULL, run INTEGER NOT NULL, at INTEGER NOT NULL, tries INTEGER NOT NULL,"
    " id BLOB NOT NULL, org BLOB NOT NULL, topic BLOB NOT NULL, body BLOB NOT NULL);"
    "CREATE INDEX IF NOT EXISTS sample_alarm ON sample (number) WHERE alarm = 1;"
    "CREATE TABLE IF NOT EXISTS moved (run INTEGER NOT NULL, until INTEGER NOT NULL, step INTEGER NOT NULL);";

/* The time of a sample. */
#define AT                                                                                                   \
    "at + CASE ours WHEN 1 THEN coalesce((SELECT sum(step) FROM moved WHERE moved.run = sample.run"          \
    " AND until >= sample.number), 0) ELSE 0 END"

typedef enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    ADD,
    DROP,
    PUT_BACK,
    READ_ALARMS,
    READ_REST,
    SHIFT,
    SETTLE,
    THIN,
    CHUNK,
    COUNT,
    OLDEST,
    STATEMENTS,
} statement;

static const char *const words[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [ADD] = "INSERT INTO sample (alarm, ours, run, at, tries, id, org, topic, body)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [DROP] = "DELETE FROM sample WHERE number = ?1",
    [PUT_BACK] = "INSERT INTO sample (alarm, ours, run, at, tries, id, org, topic, body)"
                 " SELECT CASE alarm WHEN 0 THEN 0 ELSE 2 END, ours, run, " AT ", tries + 1, id, org, topic, "
                 "body FROM sample WHERE number = ?1",
    [READ_ALARMS] = "SELECT number, alarm, ours, " AT ", tries, id, org, topic, body FROM sample"
                    " WHERE alarm = 1 AND number > ?1 ORDER BY number LIMIT ?2",
    [READ_REST] = "SELECT number, alarm, ours, " AT ", tries, id, org, topic, body FROM sample"
                  " WHERE number > ?1 AND alarm <> 1 ORDER BY number LIMIT ?2",
    [SHIFT] = "INSERT INTO moved (run, until, step) SELECT ?2, number, ?1 FROM sample"
              " ORDER BY number DESC LIMIT 1",
    [SETTLE] = "DELETE FROM moved WHERE until < coalesce((SELECT min(number) FROM sample), until + 1)",
    /* Each person's by itself: the thinned past has everybody in it. */
    [THIN] = "DELETE FROM sample WHERE number IN (SELECT number FROM (SELECT number, row_number() OVER"
             " (PARTITION BY org, topic ORDER BY number) AS place FROM sample"
             "  WHERE alarm = 0 AND number > ?1 AND number <= ?2) WHERE place % 2 = ?3)",
    /* Of so many from there on the last; none: NULL. */
    [CHUNK] = "SELECT max(number), count(*) FROM"
              " (SELECT number FROM sample WHERE number > ?1 AND alarm = 0 ORDER BY number LIMIT ?2)",
    [COUNT] = "SELECT count(*) FROM sample",
    [OLDEST] = "SELECT " AT " FROM sample ORDER BY number LIMIT 1",
};

struct backlog_file {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    pthread_mutex_t lock;
    int64_t run; /* of this start of the machine */
    _Atomic uint64_t count, bytes;
};

static const sqlite_shape shape = {
    .manners = "PRAGMA cache_size = -1024; PRAGMA journal_size_limit = 4194304",
    .tables = tables,
    .version = 2,
    .words = words,
    .count = STATEMENTS,
};

static int run(backlog_file *f, statement which) {
    return sqlite_run(f->statements[which]);
}

static int end(backlog_file *f, int fault) {
    return sqlite_end(f->db, f->statements[COMMIT], f->statements[ROLLBACK], fault);
}

static void weigh(backlog_file *f) {
    int64_t pages, spare, size;
    if (sqlite_ask(f->db, "PRAGMA page_count", &pages) == 0 &&
        sqlite_ask(f->db, "PRAGMA freelist_count", &spare) == 0 &&
        sqlite_ask(f->db, "PRAGMA page_size", &size) == 0 && pages >= spare)
        atomic_store(&f->bytes, (uint64_t)((pages - spare) * size));
}

static void lock(backlog_file *f) {
    (void)pthread_mutex_lock(&f->lock);
}

static void unlock(backlog_file *f) {
    (void)pthread_mutex_unlock(&f->lock);
}

/* ---- opening ---- */

static int64_t this_run(void) {
    CLEANUP(buf_release) buf id = BUF(64);
    uint64_t hash = UINT64_C(1469598103934665603);
    if (file_read(BOOT_ID, 64, &id) < 0)
        return 0;
    for (size_t i = 0; i < id.len; i++)
        hash = (hash ^ (unsigned char)id.ptr[i]) * UINT64_C(1099511628211);
    return (int64_t)(hash >> 1);
}

static instant written_at(const char *path) {
    struct stat now;
    char wal[SQLITE_PATH_MAX + 8];
    instant latest = stat(path, &now) == 0 && now.st_size ? (instant)now.st_mtime * INSTANT_SECOND : 0;
    (void)snprintf(wal, sizeof wal, "%s-wal", path);
    if (stat(wal, &now) == 0 && (instant)now.st_mtime * INSTANT_SECOND > latest)
        latest = (instant)now.st_mtime * INSTANT_SECOND;
    return latest;
}

static int path_of(const char *state_dir, const char *gateway, char ret_path[SQLITE_PATH_MAX]) {
    int len = snprintf(ret_path, SQLITE_PATH_MAX, "%s/backlog-%s.db", state_dir, gateway);
    return len < 0 || len >= SQLITE_PATH_MAX ? -ENAMETOOLONG : 0;
}

instant backlog_file_before(const char *state_dir, const char *gateway) {
    char path[SQLITE_PATH_MAX];
    return path_of(state_dir, gateway, path) == 0 ? written_at(path) : 0;
}

int backlog_file_open(const char *state_dir, const char *gateway, backlog_file **ret_file,
                      char ret_why[BACKLOG_WHY_MAX]) {
    char path[SQLITE_PATH_MAX];
    int64_t count = 0;
    int fault = path_of(state_dir, gateway, path);
    backlog_file *f = fault == 0 ? calloc(1, sizeof *f) : NULL;
    if (!f) {
        (void)snprintf(ret_why, BACKLOG_WHY_MAX, "no room for its name");
        return -ENOMEM;
    }
    (void)pthread_mutex_init(&f->lock, NULL);
    f->run = this_run();
    fault = sqlite_open(path, &shape, &f->db, f->statements, ret_why);
    if (fault == 0 && (fault = sqlite_ask(f->db, words[COUNT], &count)) < 0)
        (void)snprintf(ret_why, BACKLOG_WHY_MAX, "%s: %s", path, strerror(-fault));
    if (fault < 0) {
        (void)backlog_file_close(f);
        return fault;
    }
    atomic_store(&f->count, (uint64_t)count);
    weigh(f);
    *ret_file = f;
    return 0;
}

backlog_file *backlog_file_close(backlog_file *f) {
    if (!f)
        return NULL;
    sqlite_shut(&f->db, f->statements, STATEMENTS);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
    return NULL;
}

/* ---- samples ---- */

static int add(backlog_file *f, sample *one) {
    sqlite3_stmt *s = f->statements[ADD];
    uuid id;
    if (uuid_parse(text_of(one->id), &id) < 0)
        return -EINVAL;
    (void)sqlite3_bind_int(s, 1, !one->alarm ? 0 : one->tries ? 2 : 1);
    (void)sqlite3_bind_int(s, 2, one->ours);
    (void)sqlite3_bind_int64(s, 3, f->run);
    (void)sqlite3_bind_int64(s, 4, one->at + one->moved_us);
    (void)sqlite3_bind_int(s, 5, (int)one->tries);
    (void)sqlite3_bind_blob(s, 6, id.bytes, sizeof id.bytes, SQLITE_STATIC);
    sqlite_bind(s, 7, one->org);
    sqlite_bind(s, 8, one->topic);
    sqlite_bind(s, 9, one->body);
    int fault = run(f, ADD);
    if (fault == 0)
        one->number = sqlite3_last_insert_rowid(f->db);
    return fault;
}

int backlog_file_write(backlog_file *f, sample *const *samples, size_t count) {
    lock(f);
    int fault = run(f, BEGIN);
    for (size_t i = 0; fault == 0 && i < count; i++)
        fault = add(f, samples[i]);
    fault = end(f, fault);
    if (fault == 0)
        atomic_fetch_add(&f->count, count);
    for (size_t i = 0; fault < 0 && i < count; i++)
        samples[i]->number = 0;
    weigh(f);
    unlock(f);
    return fault;
}

int backlog_file_drop(backlog_file *f, const int64_t *numbers, size_t count) {
    uint64_t gone = 0;
    lock(f);
    int fault = run(f, BEGIN);
    for (size_t i = 0; fault == 0 && i < count; i++) {
        (void)sqlite3_bind_int64(f->statements[DROP], 1, numbers[i]);
        fault = run(f, DROP);
        gone += fault == 0 ? (uint64_t)sqlite3_changes(f->db) : 0;
    }
    if (fault == 0)
        fault = run(f, SETTLE);
    fault = end(f, fault);
    if (fault == 0)
        atomic_fetch_sub(&f->count, gone);
    weigh(f);
    unlock(f);
    return fault;
}

int backlog_file_put_back(backlog_file *f, int64_t number) {
    lock(f);
    int fault = run(f, BEGIN);
    (void)sqlite3_bind_int64(f->statements[PUT_BACK], 1, number);
    if (fault == 0)
        fault = run(f, PUT_BACK);
    (void)sqlite3_bind_int64(f->statements[DROP], 1, number);
    if (fault == 0)
        fault = run(f, DROP);
    fault = end(f, fault);
    unlock(f);
    return fault;
}

static sample *read_one(sqlite3_stmt *s) {
    text id = sqlite_column(s, 5);
    sample *one = sample_new(sqlite_column(s, 6), sqlite_column(s, 7), sqlite_column(s, 8));
    uuid parsed;
    if (!one || id.len != sizeof parsed.bytes)
        return sample_free(one);
    memcpy(parsed.bytes, id.ptr, id.len);
    uuid_format(&parsed, one->id);
    one->number = sqlite3_column_int64(s, 0);
    one->alarm = sqlite3_column_int(s, 1) != 0;
    one->ours = sqlite3_column_int(s, 2) != 0;
    one->at = sqlite3_column_int64(s, 3);
    one->tries = (unsigned)sqlite3_column_int(s, 4);
    one->waited = true;
    sample_date_id(one);
    return one;
}

int backlog_file_read(backlog_file *f, bool alarms, int64_t behind, sample **ret_samples, size_t most,
                      size_t *ret_count) {
    size_t count = 0;
    int code = SQLITE_DONE;
    lock(f);
    sqlite3_stmt *s = f->statements[alarms ? READ_ALARMS : READ_REST];
    (void)sqlite3_bind_int64(s, 1, behind);
    (void)sqlite3_bind_int64(s, 2, (sqlite3_int64)most);
    while (count < most && (code = sqlite3_step(s)) == SQLITE_ROW) {
        sample *one = read_one(s);
        if (!one)
            break;
        ret_samples[count++] = one;
    }
    (void)sqlite3_reset(s);
    unlock(f);
    *ret_count = count;
    return count ? 0 : sqlite_fault(code);
}

int backlog_file_shift(backlog_file *f, int64_t step_us, void (*too)(void *context, int64_t step_us),
                       void *context) {
    lock(f);
    too(context, step_us);
    (void)sqlite3_bind_int64(f->statements[SHIFT], 1, step_us);
    (void)sqlite3_bind_int64(f->statements[SHIFT], 2, f->run);
    int fault = run(f, SHIFT);
    unlock(f);
    return fault;
}

/* Looks at some of them behind *from, which moves. Of those that are alone there, the first go when `place`
 * is 1. Returns how many were looked at, or a negative errno. */
static int64_t thin_some(backlog_file *f, int64_t *from, int64_t most, int place, int64_t *gone) {
    int64_t last = 0, looked = 0, before = sqlite3_total_changes(f->db);
    sqlite3_stmt *chunk = f->statements[CHUNK];
    (void)sqlite3_bind_int64(chunk, 1, *from);
    (void)sqlite3_bind_int64(chunk, 2, most < THIN_CHUNK ? most : THIN_CHUNK);
    int code = sqlite3_step(chunk);
    if (code == SQLITE_ROW) {
        last = sqlite3_column_int64(chunk, 0);
        looked = sqlite3_column_int64(chunk, 1);
    }
    sqlite_rest(chunk);
    if (sqlite_fault(code) < 0 || looked == 0)
        return sqlite_fault(code);
    (void)sqlite3_bind_int64(f->statements[THIN], 1, *from);
    (void)sqlite3_bind_int64(f->statements[THIN], 2, last);
    (void)sqlite3_bind_int(f->statements[THIN], 3, place);
    int fault = run(f, THIN);
    if (fault < 0)
        return fault;
    int64_t changed = sqlite3_total_changes(f->db) - before;
    atomic_fetch_sub(&f->count, (uint64_t)changed);
    *gone += changed;
    *from = last;
    return looked;
}

/* The oldest quarter once. The lock is free now and then: who sends needs it. */
static int thin_quarter(backlog_file *f, int place, int64_t *gone) {
    int64_t left = (int64_t)atomic_load(&f->count) / 4 + 1, from = 0, looked = 1;
    while (left > 0 && looked > 0) {
        lock(f);
        looked = thin_some(f, &from, left, place, gone);
        weigh(f);
        unlock(f);
        left -= looked;
    }
    return looked < 0 ? (int)looked : 0;
}

int64_t backlog_file_thin(backlog_file *f, int64_t max_bytes) {
    int64_t gone = 0;
    int fault = 0;
    for (int i = 0; i < THIN_MOST && fault == 0 && (int64_t)atomic_load(&f->bytes) > max_bytes; i++) {
        int64_t before = gone;
        fault = thin_quarter(f, 0, &gone);
        if (fault == 0 && gone == before)
            fault = thin_quarter(f, 1, &gone);
        if (gone == before)
            break;
    }
    return fault < 0 && gone == 0 ? fault : gone;
}

uint64_t backlog_file_count(const backlog_file *f) {
    return atomic_load(&((backlog_file *)f)->count);
}

uint64_t backlog_file_bytes(const backlog_file *f) {
    return atomic_load(&((backlog_file *)f)->bytes);
}

instant backlog_file_oldest(backlog_file *f) {
    instant at = 0;
    lock(f);
    sqlite3_stmt *s = f->statements[OLDEST];
    if (sqlite3_step(s) == SQLITE_ROW)
        at = sqlite3_column_int64(s, 0);
    (void)sqlite3_reset(s);
    unlock(f);
    return at;
}
