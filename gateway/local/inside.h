/* inside.h - what the files of local share; nobody else includes it, but their test. */
#ifndef MAYDAY_GATEWAY_LOCAL_INSIDE_H
#define MAYDAY_GATEWAY_LOCAL_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/local/local.h"
#include "gateway/local/sqlite.h"

/* Prepared once, when the file is opened; their words are in local.c. */
typedef enum local_statement {
    LOCAL_BEGIN,
    LOCAL_COMMIT,
    LOCAL_ROLLBACK,
    LOCAL_SAVE,   /* from here on ... */
    LOCAL_UNDO,   /* ... undone, */
    LOCAL_SAVED,  /* ... or not: its end either way */
    LOCAL_FORGET, /* what was seen more than a day ago */
    LOCAL_SEE,
    LOCAL_MAKE_ROOM,
    LOCAL_ADD_LETTER,
    LOCAL_LETTERS,
    LOCAL_ANSWERS,
    LOCAL_DROP_LETTER,
    LOCAL_COUNT_LETTERS,
    LOCAL_PUT,
    LOCAL_EACH,
    LOCAL_GET,
    LOCAL_ANY,
    LOCAL_DROP,
    LOCAL_TRIM,
    LOCAL_STATEMENTS,
} local_statement;

/* A letter that somebody waits for, on their stack. */
typedef struct posting {
    struct posting *next;
    text key, body;
    bool answer, is_new, over;
    instant now;
    int fault;
} posting;

struct local {
    sqlite3 *db;
    sqlite3_stmt *statements[LOCAL_STATEMENTS];
    pthread_mutex_t lock;
    pthread_mutex_t gate; /* of what follows; taken before `lock`, never while holding it */
    pthread_cond_t posted;
    posting *first, **end;
    bool posting; /* somebody is at it, and takes what comes meanwhile along */
    atomic_size_t letters;
    size_t most; /* letters: LOCAL_MAIL_MAX */
    int mail_fd;
};

void local_lock(local *l);
void local_unlock(local *l);

/* With the lock held. A statement is ready to be bound; the bytes must live until it is reset. */
sqlite3_stmt *local_ready(local *l, local_statement which);
NODISCARD int local_run(local *l, local_statement which);
/* Ends the transaction: commits when `fault` is 0, else rolls back. Returns what came of it. */
NODISCARD int local_end(local *l, int fault);

#endif
