/* backlog_file.c - see backlog_inside.h: the backlog's SQLite file.
 *
 * Numbers grow and are never used again, so what is read behind a number is in the order it was written, and
 * a number that was dropped stays dropped. */
#include "gateway/edge/backlog_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/conf.h"

#define BUSY_MS    2000
#define VERSION    "1"
#define PATH_LIMIT (BACKLOG_WHY_MAX - 128)
#define THIN_MOST  16 /* rounds */
#define BOOT_ID    "/proc/sys/kernel/random/boot_id"

static const char manners[] = "PRAGMA journal_mode = WAL;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA cache_size = -1024;"
                              "PRAGMA journal_size_limit = 4194304;";

static const char tables[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS sample (number INTEGER PRIMARY KEY AUTOINCREMENT, alarm INTEGER NOT NULL,"
    " ours INTEGER NOT NULL, run INTEGER NOT NULL, at INTEGER NOT NULL, tries INTEGER NOT NULL,"
    " id BLOB NOT NULL, org BLOB NOT NULL, topic BLOB NOT NULL, body BLOB NOT NULL);"
    "CREATE INDEX IF NOT EXISTS sample_alarm ON sample (number) WHERE alarm = 1;"
    "PRAGMA user_version = " VERSION ";"
    "COMMIT;";

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
    THIN,
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
    [PUT_BACK] =
        "INSERT INTO sample (alarm, ours, run, at, tries, id, org, topic, body)"
        " SELECT alarm, ours, run, at, tries + 1, id, org, topic, body FROM sample WHERE number = ?1",
    [READ_ALARMS] = "SELECT number, alarm, ours, at, tries, id, org, topic, body FROM sample"
                    " WHERE alarm = 1 AND number > ?1 ORDER BY number LIMIT ?2",
    [READ_REST] = "SELECT number, alarm, ours, at, tries, id, org, topic, body FROM sample"
                  " WHERE number > ?1 AND alarm = 0 ORDER BY number LIMIT ?2",
    [SHIFT] = "UPDATE sample SET at = at + ?1 WHERE run = ?2 AND ours = 1",
    /* Each person's by itself: the thinned past has everybody in it. */
    [THIN] = "DELETE FROM sample WHERE number IN (SELECT number FROM (SELECT number, row_number() OVER"
             " (PARTITION BY org, topic ORDER BY number) AS place FROM (SELECT number, org, topic FROM sample"
             "  WHERE alarm = 0 ORDER BY number LIMIT ?1)) WHERE place % 2 = ?2)",
    [COUNT] = "SELECT count(*) FROM sample",
    [OLDEST] = "SELECT at FROM sample ORDER BY number LIMIT 1",
};

struct backlog_file {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    pthread_mutex_t lock;
    int64_t run; /* of this start of the machine */
    instant before;
    _Atomic uint64_t count, bytes;
};

static int fault_of(int code) {
    switch (code & 0xFF) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return 0;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    default:
        return -EIO;
    }
}

static int run(backlog_file *f, statement which) {
    sqlite3_stmt *s = f->statements[which];
    int code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW)
        continue;
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return fault_of(code);
}

static int end(backlog_file *f, int fault) {
    if (fault == 0)
        fault = run(f, COMMIT);
    if (fault < 0 && !sqlite3_get_autocommit(f->db) && run(f, ROLLBACK) < 0)
        return fault;
    return fault;
}

/* The first value of a question; -1 when there is none. */
static int64_t ask(sqlite3 *db, const char *sql) {
    sqlite3_stmt *s = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        value = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return value;
}

static void weigh(backlog_file *f) {
    int64_t pages = ask(f->db, "PRAGMA page_count"), spare = ask(f->db, "PRAGMA freelist_count");
    int64_t size = ask(f->db, "PRAGMA page_size");
    if (pages >= spare && spare >= 0 && size > 0)
        atomic_store(&f->bytes, (uint64_t)((pages - spare) * size));
}

static void lock(backlog_file *f) {
    (void)pthread_mutex_lock(&f->lock);
}

static void unlock(backlog_file *f) {
    (void)pthread_mutex_unlock(&f->lock);
}

/* ---- opening ---- */

static bool is_sound(sqlite3 *db, int *ret_code) {
    sqlite3_stmt *s = NULL;
    bool sound = false;
    *ret_code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &s, NULL);
    if (*ret_code == SQLITE_OK)
        *ret_code = sqlite3_step(s);
    if (*ret_code == SQLITE_ROW)
        sound = strcmp((const char *)sqlite3_column_text(s, 0), "ok") == 0;
    (void)sqlite3_finalize(s);
    return sound;
}

static int prepare(backlog_file *f) {
    int code = SQLITE_OK;
    if (!is_sound(f->db, &code))
        return code == SQLITE_ROW ? SQLITE_CORRUPT : code;
    code = sqlite3_exec(f->db, manners, NULL, NULL, NULL);
    int64_t version = ask(f->db, "PRAGMA user_version");
    if (code == SQLITE_OK && version == 0)
        code = sqlite3_exec(f->db, tables, NULL, NULL, NULL);
    else if (code == SQLITE_OK && version != 1)
        code = SQLITE_MISMATCH;
    for (int i = 0; code == SQLITE_OK && i < STATEMENTS; i++)
        code = sqlite3_prepare_v3(f->db, words[i], -1, SQLITE_PREPARE_PERSISTENT, &f->statements[i], NULL);
    if (code == SQLITE_OK) {
        int64_t count = ask(f->db, words[COUNT]);
        atomic_store(&f->count, count > 0 ? (uint64_t)count : 0);
        weigh(f);
    }
    return code;
}

static void close_db(backlog_file *f) {
    for (int i = 0; i < STATEMENTS; i++) {
        (void)sqlite3_finalize(f->statements[i]);
        f->statements[i] = NULL;
    }
    (void)sqlite3_close(f->db);
    f->db = NULL;
}

static int open_db(backlog_file *f, const char *path, char ret_why[BACKLOG_WHY_MAX]) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* its neighbours get its rights */
    if (fd < 0) {
        int fault = -errno;
        (void)snprintf(ret_why, BACKLOG_WHY_MAX, "%s: %s", path, strerror(-fault));
        return fault;
    }
    (void)close(fd);
    int code = sqlite3_open_v2(path, &f->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(f->db, BUSY_MS);
    if (code == SQLITE_OK)
        code = prepare(f);
    if (code == SQLITE_OK)
        return 0;
    (void)snprintf(ret_why, BACKLOG_WHY_MAX, "%s: %s", path,
                   code == SQLITE_MISMATCH ? "it is of another version of mayday-gateway"
                                           : sqlite3_errstr(code));
    close_db(f);
    return fault_of(code);
}

/* With what SQLite keeps beside it. */
static int set_aside(const char *path) {
    static const char *const tails[] = {"", "-wal", "-shm"};
    char from[PATH_LIMIT + 8], to[PATH_LIMIT + 48];
    long long now = (long long)time(NULL);
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        (void)snprintf(from, sizeof from, "%s%s", path, tails[i]);
        (void)snprintf(to, sizeof to, "%s.damaged-%lld%s", path, now, tails[i]);
        if (rename(from, to) < 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

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
    char wal[PATH_LIMIT + 8];
    instant latest = stat(path, &now) == 0 && now.st_size ? (instant)now.st_mtime * INSTANT_SECOND : 0;
    (void)snprintf(wal, sizeof wal, "%s-wal", path);
    if (stat(wal, &now) == 0 && (instant)now.st_mtime * INSTANT_SECOND > latest)
        latest = (instant)now.st_mtime * INSTANT_SECOND;
    return latest;
}

int backlog_file_open(const char *state_dir, const char *gateway, backlog_file **ret_file,
                      char ret_why[BACKLOG_WHY_MAX]) {
    char path[PATH_LIMIT], why[BACKLOG_WHY_MAX] = "";
    ret_why[0] = '\0';
    int len = snprintf(path, sizeof path, "%s/backlog-%s.db", state_dir, gateway);
    backlog_file *f = len < 0 || (size_t)len >= sizeof path ? NULL : calloc(1, sizeof *f);
    if (!f) {
        (void)snprintf(ret_why, BACKLOG_WHY_MAX, "no room for its name");
        return -ENOMEM;
    }
    (void)pthread_mutex_init(&f->lock, NULL);
    f->run = this_run();
    f->before = written_at(path);
    int fault = open_db(f, path, ret_why);
    if (fault == -EBADMSG && set_aside(path) == 0 && (fault = open_db(f, path, why)) == 0) {
        size_t said = strlen(ret_why);
        (void)snprintf(ret_why + said, BACKLOG_WHY_MAX - said, "; it was set aside, and a new one begun");
    }
    if (fault < 0)
        (void)backlog_file_close(f);
    else
        *ret_file = f;
    return fault;
}

backlog_file *backlog_file_close(backlog_file *f) {
    if (!f)
        return NULL;
    close_db(f);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
    return NULL;
}

/* ---- samples ---- */

static void bind_text(sqlite3_stmt *s, int at, text bytes) {
    (void)sqlite3_bind_blob64(s, at, bytes.len ? bytes.ptr : "", bytes.len, SQLITE_STATIC);
}

static text column(sqlite3_stmt *s, int at) {
    const char *bytes = sqlite3_column_blob(s, at); /* before its length: SQLite says so */
    return (text){bytes ? bytes : "", (size_t)sqlite3_column_bytes(s, at)};
}

static int add(backlog_file *f, sample *one) {
    sqlite3_stmt *s = f->statements[ADD];
    uuid id;
    if (uuid_parse(text_of(one->id), &id) < 0)
        return -EINVAL;
    (void)sqlite3_bind_int(s, 1, one->alarm);
    (void)sqlite3_bind_int(s, 2, one->ours);
    (void)sqlite3_bind_int64(s, 3, f->run);
    (void)sqlite3_bind_int64(s, 4, one->at);
    (void)sqlite3_bind_int(s, 5, (int)one->tries);
    (void)sqlite3_bind_blob(s, 6, id.bytes, sizeof id.bytes, SQLITE_STATIC);
    bind_text(s, 7, one->org);
    bind_text(s, 8, one->topic);
    bind_text(s, 9, one->body);
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
    text id = column(s, 5);
    sample *one = sample_new(column(s, 6), column(s, 7), column(s, 8));
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
    return count ? 0 : fault_of(code);
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

/* One round. Of those that are alone in what is left of their person's past, the first of a round go at last.
 */
static int thin(backlog_file *f, int64_t *gone) {
    int64_t quarter = (int64_t)atomic_load(&f->count) / 4 + 1, before = sqlite3_total_changes(f->db);
    int fault = 0;
    for (int place = 0; place < 2 && fault == 0 && sqlite3_total_changes(f->db) == before; place++) {
        (void)sqlite3_bind_int64(f->statements[THIN], 1, quarter);
        (void)sqlite3_bind_int(f->statements[THIN], 2, place);
        fault = run(f, THIN);
    }
    int64_t changed = sqlite3_total_changes(f->db) - before;
    if (fault == 0) {
        atomic_fetch_sub(&f->count, (uint64_t)changed);
        *gone += changed;
    }
    return fault < 0 ? fault : changed > 0 ? 1 : 0;
}

int64_t backlog_file_thin(backlog_file *f, int64_t max_bytes) {
    int64_t gone = 0;
    int more = 1;
    lock(f);
    for (int i = 0; i < THIN_MOST && more > 0 && (int64_t)atomic_load(&f->bytes) > max_bytes; i++) {
        more = thin(f, &gone);
        weigh(f);
    }
    unlock(f);
    return more < 0 ? more : gone;
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

instant backlog_file_before(const backlog_file *f) {
    return f->before;
}
