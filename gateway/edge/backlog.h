/* backlog.h - store and forward: what is sensed goes up at once while the broker is there, and waits on disk
 * while it is not.
 *
 * What is put lies in memory first, where the live way up takes it from. Whatever is still there after half a
 * second is written, all of it in one transaction, to <state_dir>/backlog-<gateway>.db (SQLite in WAL mode,
 * synchronous=FULL; seen by backlog*.c alone): so a moment of the broker costs no disk, and a killed gateway
 * or a power cut loses a second at most. What was written while it was not on its way is the backlog, and
 * goes up behind and beside what is live, in its order, alarms first.
 *
 * Bounded in bytes: then every second sample of the oldest quarter goes, so that a long outage becomes coarse
 * from its beginning instead of missing its end. In memory likewise, when the disk takes nothing. What is an
 * alarm is never dropped.
 *
 * A sample keeps its own time. Those timed by this machine's clock can be shifted while they wait, when that
 * clock is put right.
 *
 * Threads: put, shift and look from any thread, and they never wait for the disk, but shift; live, old and
 * done from one. A thread of its own ("mg-backlog") writes. */
#ifndef MAYDAY_GATEWAY_EDGE_BACKLOG_H
#define MAYDAY_GATEWAY_EDGE_BACKLOG_H

#include "base/buf.h"
#include "base/instant.h"
#include "base/uuid.h"

#define BACKLOG_WHY_MAX    640
#define BACKLOG_MEMORY_MAX 8192 /* samples */

typedef struct sample {
    char id[UUID_TEXT_LEN + 1];
    instant at;
    bool alarm;
    bool ours;             /* timed by this machine's clock, not by the device's own */
    text org, topic, body; /* topic behind mayday/v1/<org>/; body as spell_body() has it */

    /* backlog's */
    bool waited;    /* it comes from the disk */
    int64_t number; /* on disk; 0: not there */
    unsigned tries; /* how often the broker has refused it */
    struct sample *next, *before;
    int64_t put_ms, later_ms; /* not before then */
    int64_t moved_us;         /* the clock was set by so much while it was on its way */
    bool on_way, being_written, finished;
    char bytes[];
} sample;

sample *sample_new(text org, text topic, text body); /* copies; NULL when memory is short */
sample *sample_free(sample *s);                      /* takes NULL, returns NULL */

typedef struct backlog backlog;

typedef struct backlog_options {
    const char *state_dir, *gateway;
    int64_t max_bytes;
    void (*wake)(void *context); /* there is something to send; called from any thread, under no lock */
    void (*tell)(void *context, bool error, const char *line); /* for the log */
    void *context;
} backlog_options;

/* A damaged file is set aside and a new one begun; one that can't be opened leaves memory alone until it can:
 * both are told, and no fault. 0 or -ENOMEM. */
NODISCARD int backlog_open(const backlog_options *options, backlog **ret_backlog);
backlog *backlog_close(backlog *b); /* writes what is in memory; takes NULL, returns NULL */

void backlog_put(backlog *b, sample *s); /* takes it over */

/* The rest until backlog_shift() is for the one thread that sends. What it gets is the backlog's still, and
 * stays as it is until backlog_done(). */

/* What is in memory and not on its way, alarms first. Returns how many. */
size_t backlog_live(backlog *b, sample **ret_samples, size_t most);
/* From the disk, in order, alarms first. */
size_t backlog_old(backlog *b, sample **ret_samples, size_t most);

typedef enum sample_fate {
    FATE_UNSENT = 0, /* it waits on, and comes again next */
    FATE_LATER,      /* it waits on; first those behind it */
    FATE_SENT,       /* the broker has it */
    FATE_REFUSED,    /* it said no: again later, behind all others; given up some day, but for alarms */
} sample_fate;
void backlog_done(backlog *b, sample *s, sample_fate fate);

/* Our clock was off by `step` until now: what it timed, in memory and since this machine was started, moves.
 */
void backlog_shift(backlog *b, int64_t step_us);

typedef struct backlog_figures {
    size_t memory;     /* samples there */
    uint64_t disk;     /* on disk */
    uint64_t bytes;    /* of the file, in use */
    uint64_t thinned;  /* since the start */
    uint64_t given_up; /* refused too often */
    uint64_t written;
    bool full;      /* the disk takes nothing */
    instant oldest; /* 0: nothing waits on disk */
} backlog_figures;
void backlog_look(backlog *b, backlog_figures *ret_figures);
int64_t backlog_moved_ms(const backlog *b); /* when its thread last moved, by CLOCK_MONOTONIC */

/* When the file was last written before this start; 0: it is new. What the clock says before that is wrong.
 */
instant backlog_before(const backlog *b);

#endif
