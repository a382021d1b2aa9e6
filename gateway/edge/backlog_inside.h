/* backlog_inside.h - what backlog.c and backlog_file.c share; nobody else includes it, but their test.
 *
 * Locks: `lock` for what is in memory, held for moments; the file's own for SQLite, held as long as the disk
 * takes. The first may be taken inside the second, never the
 * other way round. */
#ifndef MAYDAY_GATEWAY_EDGE_BACKLOG_INSIDE_H
#define MAYDAY_GATEWAY_EDGE_BACKLOG_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/edge/backlog.h"

#define BACKLOG_TRIES_MAX 32

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
void sample_date_id(sample *s);

/* Every second of the oldest quarter, until it fits. Returns how many went, or a negative errno. */
int64_t backlog_file_thin(backlog_file *f, int64_t max_bytes);

uint64_t backlog_file_count(const backlog_file *f);
uint64_t backlog_file_bytes(const backlog_file *f); /* in use, as of the last write */
instant backlog_file_oldest(backlog_file *f);       /* 0: none */
/* When it was last written; 0: it is new. */
instant backlog_file_before(const char *state_dir, const char *gateway);

#endif
