/* local.c - see local.h: the file's life, and what its statements share.
 *
 * Keys, names and bodies are blobs: any bytes, compared as bytes. Several statements that belong together are
 * one transaction; a single one is its own. */
#include "gateway/local/inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

static const char tables[] =
    "CREATE TABLE IF NOT EXISTS mail (number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE,"
    " body BLOB NOT NULL, answer INTEGER NOT NULL, received_at INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS mail_order ON mail (answer DESC, number);"
    "CREATE TABLE IF NOT EXISTS seen (key BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS seen_at ON seen (at);"
    "CREATE TABLE IF NOT EXISTS document (shelf BLOB NOT NULL, name BLOB NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY (shelf, name));";

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

static const sqlite_shape shape = {.manners = "PRAGMA journal_size_limit = 67108864",
                                   .tables = tables,
                                   .version = 1,
                                   .words = words,
                                   .count = LOCAL_STATEMENTS};

void local_lock(local *l) {
    (void)pthread_mutex_lock(&l->lock);
}

void local_unlock(local *l) {
    (void)pthread_mutex_unlock(&l->lock);
}

sqlite3_stmt *local_ready(local *l, local_statement which) {
    return l->statements[which];
}

int local_run(local *l, local_statement which) {
    return sqlite_run(l->statements[which]);
}

int local_end(local *l, int fault) {
    return sqlite_end(l->db, l->statements[LOCAL_COMMIT], l->statements[LOCAL_ROLLBACK], fault);
}

/* ---- its life ---- */

static int open_file(local *l, const char *path, char ret_why[LOCAL_WHY_MAX]) {
    int64_t letters = 0;
    int fault = sqlite_open(path, &shape, &l->db, l->statements, ret_why);
    if (fault == 0)
        fault = sqlite_ask(l->db, words[LOCAL_COUNT_LETTERS], &letters);
    atomic_store(&l->letters, (size_t)letters);
    return fault;
}

int local_open(const char *state_dir, const char *gateway, local **ret_local, char ret_why[LOCAL_WHY_MAX]) {
    char path[SQLITE_PATH_MAX];
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
    int fault = l->mail_fd < 0 ? -errno : open_file(l, path, ret_why);
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
    sqlite_shut(&l->db, l->statements, LOCAL_STATEMENTS);
    if (l->mail_fd >= 0)
        (void)close(l->mail_fd);
    (void)pthread_mutex_destroy(&l->lock);
    (void)pthread_mutex_destroy(&l->gate);
    (void)pthread_cond_destroy(&l->posted);
    free(l);
    return NULL;
}
