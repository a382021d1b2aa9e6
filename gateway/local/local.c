/* local.c - see local.h: the file's life, and what its statements share.
 *
 * Keys, names and bodies are blobs: any bytes, compared as bytes. Several statements that belong together are
 * one transaction; a single one is its own. */
#include "gateway/local/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUSY_MS 2000 /* somebody looks into the file with a tool */
#define VERSION "1"

#define LOCAL_PATH_MAX (LOCAL_WHY_MAX - 128) /* so that a sentence with it fits */

/* In WAL mode FULL is one flush for each transaction, before it counts as done. */
static const char manners[] = "PRAGMA journal_mode = WAL;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA journal_size_limit = 67108864;";

static const char tables[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS mail (number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE,"
    " body BLOB NOT NULL, answer INTEGER NOT NULL, received_at INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS mail_order ON mail (answer DESC, number);"
    "CREATE TABLE IF NOT EXISTS seen (key BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS seen_at ON seen (at);"
    "CREATE TABLE IF NOT EXISTS document (shelf BLOB NOT NULL, name BLOB NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY (shelf, name));"
    "PRAGMA user_version = " VERSION ";"
    "COMMIT;";

static const char *const words[LOCAL_STATEMENTS] = {
    [LOCAL_BEGIN] = "BEGIN IMMEDIATE",
    [LOCAL_COMMIT] = "COMMIT",
    [LOCAL_ROLLBACK] = "ROLLBACK",
    [LOCAL_SAVE] = "SAVEPOINT letter",
    [LOCAL_UNDO] = "ROLLBACK TO letter",
    [LOCAL_SAVED] = "RELEASE letter",
    [LOCAL_FORGET] =
        "DELETE FROM seen WHERE key IN (SELECT key FROM seen WHERE at < ?1 ORDER BY at LIMIT 10)",
    [LOCAL_SEE] = "INSERT INTO seen (key, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [LOCAL_MAKE_ROOM] =
        "DELETE FROM mail WHERE number = (SELECT number FROM mail WHERE answer = 0 ORDER BY number LIMIT 1)",
    [LOCAL_ADD_LETTER] = "INSERT INTO mail (key, body, answer, received_at) VALUES (?1, ?2, ?3, ?4)"
                         " ON CONFLICT DO NOTHING",
    [LOCAL_LETTERS] = "SELECT number, key, body, received_at, answer FROM mail"
                      " ORDER BY answer DESC, number LIMIT ?1",
    [LOCAL_ANSWERS] = "SELECT number, key, body, received_at, answer FROM mail"
                      " WHERE answer = 1 AND number > ?2 ORDER BY number LIMIT ?1",
    [LOCAL_DROP_LETTER] = "DELETE FROM mail WHERE number = ?1",
    [LOCAL_COUNT_LETTERS] = "SELECT count(*) FROM mail",
    [LOCAL_PUT] = "INSERT INTO document (shelf, name, body) VALUES (?1, ?2, ?3)"
                  " ON CONFLICT (shelf, name) DO UPDATE SET body = excluded.body",
    [LOCAL_EACH] = "SELECT name, body FROM document WHERE shelf = ?1 ORDER BY name",
    [LOCAL_GET] = "SELECT body FROM document WHERE shelf = ?1 AND name = ?2",
    [LOCAL_ANY] = "SELECT 1 FROM document WHERE shelf = ?1 LIMIT 1",
    [LOCAL_DROP] = "DELETE FROM document WHERE shelf = ?1 AND name = ?2",
    /* Some at once: each time is a flush. */
    [LOCAL_TRIM] =
        "DELETE FROM document WHERE shelf = ?1 AND rowid <= (SELECT rowid FROM document WHERE shelf = ?1"
        " ORDER BY rowid DESC LIMIT 1 OFFSET ?2)"
        " AND EXISTS (SELECT 1 FROM document WHERE shelf = ?1 LIMIT 1 OFFSET ?2 + ?2 / 8)",
};

int local_fault(int sqlite_code) {
    switch (sqlite_code & 0xFF) {
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

void local_lock(local *l) {
    (void)pthread_mutex_lock(&l->lock);
}

void local_unlock(local *l) {
    (void)pthread_mutex_unlock(&l->lock);
}

sqlite3_stmt *local_ready(local *l, local_statement which) {
    return l->statements[which];
}

void local_bind(sqlite3_stmt *s, int at, text bytes) {
    (void)sqlite3_bind_blob64(s, at, bytes.len ? bytes.ptr : "", bytes.len, SQLITE_STATIC);
}

text local_column(sqlite3_stmt *s, int at) {
    const char *bytes = sqlite3_column_blob(s, at); /* before its length: SQLite says so */
    return (text){bytes ? bytes : "", (size_t)sqlite3_column_bytes(s, at)};
}

int local_run(local *l, local_statement which) {
    sqlite3_stmt *s = l->statements[which];
    int code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW)
        continue;
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return local_fault(code);
}

int local_end(local *l, int fault) {
    if (fault == 0)
        fault = local_run(l, LOCAL_COMMIT);
    /* Some faults have rolled back by themselves. */
    if (fault < 0 && !sqlite3_get_autocommit(l->db) && local_run(l, LOCAL_ROLLBACK) < 0)
        return fault;
    return fault;
}

/* ---- opening ---- */

static int run(sqlite3 *db, const char *sql) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* The first value of a question. */
static int ask(sqlite3 *db, const char *sql, char *ret_value, size_t size) {
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(s);
    if (code == SQLITE_ROW)
        (void)snprintf(ret_value, size, "%s", (const char *)sqlite3_column_text(s, 0));
    (void)sqlite3_finalize(s);
    return code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_DONE ? SQLITE_ERROR : code;
}

/* Damaged inside counts as damaged: what is wrong today is silence tomorrow. */
static int prove(sqlite3 *db) {
    char said[64];
    int code = ask(db, "PRAGMA quick_check(1)", said, sizeof said);
    return code == SQLITE_OK && strcmp(said, "ok") != 0 ? SQLITE_CORRUPT : code;
}

static int prepare(local *l) {
    char version[16], count[24];
    int code = prove(l->db);
    if (code == SQLITE_OK)
        code = run(l->db, manners);
    if (code == SQLITE_OK)
        code = ask(l->db, "PRAGMA user_version", version, sizeof version);
    /* Only a new file needs to be written: one that is there opens on a full disk, too. */
    if (code == SQLITE_OK && strcmp(version, VERSION) != 0)
        code = strcmp(version, "0") == 0 ? run(l->db, tables) : SQLITE_MISMATCH;
    for (int i = 0; code == SQLITE_OK && i < LOCAL_STATEMENTS; i++)
        code = sqlite3_prepare_v3(l->db, words[i], -1, SQLITE_PREPARE_PERSISTENT, &l->statements[i], NULL);
    if (code == SQLITE_OK)
        code = ask(l->db, words[LOCAL_COUNT_LETTERS], count, sizeof count);
    int64_t letters = 0;
    if (code == SQLITE_OK && text_to_i64(text_of(count), 0, INT32_MAX, &letters) < 0)
        code = SQLITE_CORRUPT;
    atomic_store(&l->letters, (size_t)letters);
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

static void close_file(local *l) {
    for (int i = 0; i < LOCAL_STATEMENTS; i++) {
        (void)sqlite3_finalize(l->statements[i]);
        l->statements[i] = NULL;
    }
    (void)sqlite3_close(l->db);
    l->db = NULL;
}

static int open_file(local *l, const char *path, char ret_why[LOCAL_WHY_MAX]) {
    int fault = make_file(path);
    if (fault < 0) {
        (void)snprintf(ret_why, LOCAL_WHY_MAX, "%s: %s", path, strerror(-fault));
        return fault;
    }
    int code = sqlite3_open_v2(path, &l->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(l->db, BUSY_MS);
    if (code == SQLITE_OK)
        code = prepare(l);
    if (code == SQLITE_OK)
        return 0;
    (void)snprintf(ret_why, LOCAL_WHY_MAX, "%s: %s", path,
                   code == SQLITE_MISMATCH ? "it is of another version of mayday-gateway"
                                           : sqlite3_errstr(code));
    close_file(l);
    return local_fault(code);
}

/* With what SQLite keeps beside it: a log that is taken for another file's would damage that one. */
static int set_aside(const char *path, char *ret_to, size_t size) {
    static const char *const tails[] = {"", "-wal", "-shm"};
    char from[LOCAL_PATH_MAX + 8], to[LOCAL_PATH_MAX + 40];
    long long now = (long long)time(NULL);
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        (void)snprintf(from, sizeof from, "%s%s", path, tails[i]);
        (void)snprintf(to, sizeof to, "%s.damaged-%lld%s", path, now, tails[i]);
        if (i == 0)
            (void)snprintf(ret_to, size, "%s", to);
        if (rename(from, to) < 0 && !(errno == ENOENT && i > 0))
            return -errno;
    }
    return 0;
}

static int open_or_begin_anew(local *l, const char *path, char ret_why[LOCAL_WHY_MAX]) {
    char aside[LOCAL_PATH_MAX + 40];
    int fault = open_file(l, path, ret_why);
    if (fault != -EBADMSG)
        return fault;
    fault = set_aside(path, aside, sizeof aside);
    if (fault < 0) {
        (void)snprintf(ret_why, LOCAL_WHY_MAX, "%s is damaged and can't be set aside: %s", path,
                       strerror(-fault));
        return fault;
    }
    fault = open_file(l, path, ret_why);
    if (fault == 0)
        (void)snprintf(ret_why, LOCAL_WHY_MAX, "it was damaged and is now %s; a new one was begun", aside);
    return fault;
}

int local_open(const char *state_dir, const char *gateway, local **ret_local, char ret_why[LOCAL_WHY_MAX]) {
    char path[LOCAL_PATH_MAX];
    ret_why[0] = '\0';
    if (mkdir(state_dir, 0700) < 0 && errno != EEXIST) {
        int fault = -errno;
        (void)snprintf(ret_why, LOCAL_WHY_MAX, "%.100s: %s", state_dir, strerror(-fault));
        return fault;
    }
    if (snprintf(path, sizeof path, "%s/gateway-%s.db", state_dir, gateway) >= (int)sizeof path) {
        (void)snprintf(ret_why, LOCAL_WHY_MAX, "%.100s: the path is too long", state_dir);
        return -ENAMETOOLONG;
    }
    local *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_mutex_init(&l->gate, NULL);
    (void)pthread_cond_init(&l->posted, NULL);
    l->end = &l->first;
    l->most = LOCAL_MAIL_MAX;
    l->mail_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int fault = l->mail_fd < 0 ? -errno : open_or_begin_anew(l, path, ret_why);
    if (fault < 0) {
        if (!*ret_why)
            (void)snprintf(ret_why, LOCAL_WHY_MAX, "%s: %s", path, strerror(-fault));
        (void)local_close(l);
        return fault;
    }
    if (atomic_load(&l->letters) > 0)
        (void)eventfd_write(l->mail_fd, 1);
    *ret_local = l;
    return 0;
}

local *local_close(local *l) {
    if (!l)
        return NULL;
    close_file(l);
    if (l->mail_fd >= 0)
        (void)close(l->mail_fd);
    (void)pthread_mutex_destroy(&l->lock);
    (void)pthread_mutex_destroy(&l->gate);
    (void)pthread_cond_destroy(&l->posted);
    free(l);
    return NULL;
}
