/* backlog_inside.h - what the files of backlog share; nobody else includes it, but their test.
 *
 * Locks: `lock` for what is in memory, held for moments; the file's own for SQLite, held as long as the disk
 * takes. The first may be taken inside the second, never the other way round. */
#ifndef MAYDAY_GATEWAY_EDGE_BACKLOG_INSIDE_H
#define MAYDAY_GATEWAY_EDGE_BACKLOG_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/edge/backlog.h"

#define BACKLOG_TRIES_MAX 32
#define BACKLOG_BATCH     4096  /* written at once */
#define BACKLOG_GONE_MAX  65536 /* sent, and not dropped yet */

typedef struct backlog_file backlog_file;

/* Says in ret_why what was wrong, also when it could begin anew; "" when all is well. */
NODISCARD int backlog_file_open(const char *state_dir, const char *gateway, backlog_file **ret_file,
                                char ret_why[BACKLOG_WHY_MAX]);
backlog_file *backlog_file_close(backlog_file *f);

/* One transaction. Sets the numbers. -ENOSPC, -EIO... */
NODISCARD int backlog_file_write(backlog_file *f, sample *const *samples, size_t count);
NODISCARD int backlog_file_drop(backlog_file *f, const int64_t *numbers, size_t count);
/* To the end, with one try more; an alarm, too: first comes what has not been refused. */
NODISCARD int backlog_file_put_back(backlog_file *f, int64_t number);
/* Behind `behind`, alarms or the rest; new samples. */
NODISCARD int backlog_file_read(backlog_file *f, bool alarms, int64_t behind, sample **ret_samples,
                                size_t most, size_t *ret_count);
/* With `too` called between: nothing is written in the middle of it. */
NODISCARD int backlog_file_shift(backlog_file *f, int64_t step_us,
                                 void (*too)(void *context, int64_t step_us), void *context);
/* So that the time inside its id is its own: that of a clock which was wrong puts it where the database has
 * thrown all away, or ahead of now, which the broker refuses. What a device kept for a while may differ. */
void sample_date_id(sample *s); /* backlog.c */

/* Every second of the oldest quarter, until it fits. Returns how many went, or a negative errno. */
int64_t backlog_file_thin(backlog_file *f, int64_t max_bytes);

uint64_t backlog_file_count(const backlog_file *f);
uint64_t backlog_file_bytes(const backlog_file *f); /* in use, as of the last write */
instant backlog_file_oldest(backlog_file *f);       /* 0: none */
/* When it was last written; 0: it is new. */
instant backlog_file_before(const char *state_dir, const char *gateway);

/* ---- backlog.c ---- */

struct backlog {
    backlog_options o;
    _Atomic(backlog_file *) file; /* NULL: memory alone; set by the writer */
    int64_t open_ms;              /* when that was tried last */
    instant before;
    pthread_mutex_t lock;
    pthread_mutex_t dropping; /* taken before both locks */
    pthread_cond_t duty;
    pthread_t thread;
    bool started, closing;
    sample *first, *last;
    size_t count;
    /* on disk and sent: to be dropped */
    int64_t gone[BACKLOG_GONE_MAX];
    size_t gone_count;
    bool drop_first;       /* before reading again: some of it would come once more */
    bool new_round;        /* all was read; what is left comes again once the rest is dropped */
    int64_t read, alarmed; /* read up to here: of the rest, of the alarms */
    bool full;
    uint64_t thinned, given_up, written;
    instant oldest;
    int64_t oldest_ms;
    _Atomic int64_t moved_ms;
    sample *batch[BACKLOG_BATCH]; /* the writer's */
};

int64_t backlog_ms(void);
backlog_file *backlog_file_of(const backlog *b); /* NULL: memory alone */
void backlog_lock(backlog *b);
void backlog_unlock(backlog *b);

/* With the lock held. */
void backlog_append(backlog *b, sample *s);
void backlog_drop_one(backlog *b, sample *s);  /* out of memory */
void backlog_drop_sent(backlog *b, sample *s); /* and off the disk */
void backlog_settle_time(sample *s);           /* the clock was set while it was under way */

/* Without. Drops from the disk what was sent. */
int backlog_drop_gone(backlog *b);

#endif
