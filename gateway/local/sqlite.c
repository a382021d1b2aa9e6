/* sqlite.c - see sqlite.h. */
#include "gateway/local/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUSY_MS 2000 /* somebody looks into the file with a tool */

static const char manners[] = "PRAGMA journal_mode = WAL;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA temp_store = MEMORY;";

int sqlite_fault(int code) {
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

/* ---- statements ---- */

void sqlite_bind(sqlite3_stmt *s, int at, text bytes) {
    (void)sqlite3_bind_blob64(s, at, bytes.len ? bytes.ptr : "", bytes.len, SQLITE_STATIC);
}

text sqlite_column(sqlite3_stmt *s, int at) {
    const char *bytes = sqlite3_column_blob(s, at); /* before its length: SQLite says so */
    return (text){bytes ? bytes : "", (size_t)sqlite3_column_bytes(s, at)};
}

void sqlite_rest(sqlite3_stmt *s) {
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
}

int sqlite_run(sqlite3_stmt *s) {
    int code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW)
        continue;
    sqlite_rest(s);
    return sqlite_fault(code);
}

int sqlite_end(sqlite3 *db, sqlite3_stmt *commit, sqlite3_stmt *rollback, int fault) {
    if (fault == 0)
        fault = sqlite_run(commit);
    if (fault < 0 && !sqlite3_get_autocommit(db)) /* some faults have rolled back by themselves */
        (void)!sqlite_run(rollback);
    return fault;
}

int sqlite_ask(sqlite3 *db, const char *sql, int64_t *ret_value) {
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(s);
    if (code == SQLITE_ROW)
        *ret_value = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return code == SQLITE_ROW ? 0 : code == SQLITE_DONE ? -ENODATA : sqlite_fault(code);
}

/* ---- opening ---- */

static int run(sqlite3 *db, const char *sql) {
    return sql ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_OK;
}

/* Damaged inside counts as damaged: what is wrong today is silence tomorrow. */
static int prove(sqlite3 *db) {
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &s, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(s);
    if (code == SQLITE_ROW)
        code = strcmp((const char *)sqlite3_column_text(s, 0), "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
    (void)sqlite3_finalize(s);
    return code;
}

static int make_tables(sqlite3 *db, const sqlite_shape *shape) {
    char version[48];
    (void)snprintf(version, sizeof version, "PRAGMA user_version = %d", shape->version);
    int code = run(db, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK)
        code = run(db, shape->tables);
    if (code == SQLITE_OK)
        code = run(db, version);
    return code == SQLITE_OK ? run(db, "COMMIT") : code; /* else closing it rolls back */
}

static int prepare(sqlite3 *db, const sqlite_shape *shape, bool alone, sqlite3_stmt **statements) {
    int64_t version = 0;
    int code = run(db, alone ? "PRAGMA locking_mode = EXCLUSIVE" : NULL);
    if (code == SQLITE_OK)
        code = prove(db);
    if (code == SQLITE_OK)
        code = run(db, manners);
    if (code == SQLITE_OK)
        code = run(db, shape->manners);
    if (code == SQLITE_OK && sqlite_ask(db, "PRAGMA user_version", &version) < 0)
        code = SQLITE_ERROR;
    /* Only a new file needs to be written: one that is there opens on a full disk, too. */
    if (code == SQLITE_OK && version == 0)
        code = make_tables(db, shape);
    else if (code == SQLITE_OK && version != shape->version)
        code = SQLITE_MISMATCH;
    for (int i = 0; code == SQLITE_OK && i < shape->count; i++)
        code = sqlite3_prepare_v3(db, shape->words[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], NULL);
    return code;
}

/* SQLite gives what it makes beside the file the file's own rights. */
static int make_file(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    (void)close(fd);
    return 0;
}

static int open_so(const char *path, const sqlite_shape *shape, bool alone, sqlite3 **db,
                   sqlite3_stmt **statements) {
    int code =
        sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(*db, BUSY_MS);
    if (code == SQLITE_OK)
        code = prepare(*db, shape, alone, statements);
    if (code != SQLITE_OK)
        sqlite_shut(db, statements, shape->count);
    return code;
}

static int open_once(const char *path, const sqlite_shape *shape, sqlite3 **db, sqlite3_stmt **statements,
                     char why[SQLITE_WHY_MAX]) {
    int fault = make_file(path);
    if (fault < 0) {
        (void)snprintf(why, SQLITE_WHY_MAX, "%s: %s", path, strerror(-fault));
        return fault;
    }
    int code = open_so(path, shape, false, db, statements);
    /* A full disk has no room for the memory that is shared with those who look in: then nobody can. */
    if ((code & 0xFF) == SQLITE_IOERR || (code & 0xFF) == SQLITE_FULL || (code & 0xFF) == SQLITE_CANTOPEN)
        code = open_so(path, shape, true, db, statements);
    if (code == SQLITE_OK)
        return 0;
    (void)snprintf(why, SQLITE_WHY_MAX, "%s: %s", path,
                   code == SQLITE_MISMATCH ? "it is of another version of mayday-gateway"
                                           : sqlite3_errstr(code));
    return sqlite_fault(code);
}

/* With what SQLite keeps beside it: a log that is taken for another file's would damage that one. */
static int set_aside(const char *path, long long now) {
    static const char *const tails[] = {"", "-wal", "-shm"};
    char from[SQLITE_PATH_MAX + 8], to[SQLITE_PATH_MAX + 48];
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        (void)snprintf(from, sizeof from, "%s%s", path, tails[i]);
        (void)snprintf(to, sizeof to, "%s.damaged-%lld%s", path, now, tails[i]);
        if (rename(from, to) < 0 && !(errno == ENOENT && i > 0))
            return -errno;
    }
    return 0;
}

int sqlite_open(const char *path, const sqlite_shape *shape, sqlite3 **ret_db, sqlite3_stmt **ret_statements,
                char ret_why[SQLITE_WHY_MAX]) {
    sqlite3 *db = NULL;
    long long now = (long long)time(NULL);
    ret_why[0] = '\0';
    for (int i = 0; i < shape->count; i++)
        ret_statements[i] = NULL;
    if (strlen(path) >= SQLITE_PATH_MAX) {
        (void)snprintf(ret_why, SQLITE_WHY_MAX, "%.100s...: the path is too long", path);
        return -ENAMETOOLONG;
    }
    int fault = open_once(path, shape, &db, ret_statements, ret_why);
    if (fault == -EBADMSG) {
        int moved = set_aside(path, now);
        if (moved < 0) {
            (void)snprintf(ret_why, SQLITE_WHY_MAX, "%s is damaged and can't be set aside: %s", path,
                           strerror(-moved));
            return fault;
        }
        fault = open_once(path, shape, &db, ret_statements, ret_why);
        if (fault == 0)
            (void)snprintf(
                ret_why, SQLITE_WHY_MAX,
                "%s was damaged; it is set aside with .damaged-%lld behind its name, and a new one "
                "was begun",
                path, now);
    }
    if (fault == 0)
        *ret_db = db;
    return fault;
}

void sqlite_shut(sqlite3 **db, sqlite3_stmt **statements, int count) {
    for (int i = 0; i < count; i++) {
        (void)sqlite3_finalize(statements[i]);
        statements[i] = NULL;
    }
    (void)sqlite3_close(*db);
    *db = NULL;
}
