/* writer_inside.h - what writer.c (life, figures) and carry.c (the work) share; nobody else includes it. */
#ifndef MAYDAY_STORE_WRITER_INSIDE_H
#define MAYDAY_STORE_WRITER_INSIDE_H

#include "store/load.h"
#include "store/members.h"
#include "store/writer.h"

#include <pthread.h>

struct writer {
    /* set before the thread starts, then only read */
    journal *j;
    results *back;
    char *conninfo, *node, *application;
    char identity[UUID_TEXT_LEN + 1];
    size_t batch_records;
    int batch_wait_ms, retry_max_ms, partitions_ahead;
    effect_rules rules;
    uint64_t base_seq; /* the journal's newest record when we began */
    int interrupt_fd;  /* eventfd: readable once the grace is over */
    pthread_t thread;

    /* the thread's own */
    batch *batch;
    journal_reader *reader;
    pg *c;
    load load;
    members members;
    uint64_t sent_seq; /* the newest record in any transaction we tried to commit */
    bool met_before;   /* connected at least once */
    bool first_entry;  /* the next record read is the first behind `read_after` */
    uint64_t read_after;
    int64_t partitions_at; /* monotonic ms: when to make partitions next */
    int backoff_ms;
    int64_t complained_at; /* when the last complaint was logged, monotonic ms */
    char complaint[PG_WHY_MAX];

    /* shared, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* stopping or finished */
    bool stopping, finished;
    writer_figures figures;
};

/* The thread's whole work, until it is told to stop. */
void carry(writer *w);

bool writer_stopping(writer *w);
bool writer_pause(writer *w, int ms); /* false when told to stop meanwhile */
int64_t writer_clock_ms(void);        /* monotonic */

#endif
