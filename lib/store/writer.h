/* writer.h - the one thread that moves records from the journal into PostgreSQL.
 *
 * It owns its connection, its journal reader and its catalog of rows. Each batch is one transaction: rows,
 * incidents, memberships and the journal position together, so a batch that is repeated changes nothing. A
 * record the database refuses goes to mayday.dead_letter with the reason; it never stops the stream. While
 * the database is away the journal keeps everything; memory stays bounded by one batch.
 *
 * Threads: start and stop from the broker's thread; figures may be read by anyone. */
#ifndef MAYDAY_STORE_WRITER_H
#define MAYDAY_STORE_WRITER_H

#include "store/journal.h"
#include "store/load.h"
#include "store/results.h"

typedef struct writer writer;

typedef struct writer_options {
    const char *conninfo;
    const char *node; /* this broker's name, kept with each row */
    size_t batch_records;
    int batch_wait_ms;
    int retry_max_ms;
    int partitions_ahead; /* days */
    effect_rules rules;
} writer_options;

/* Copies the options; borrows journal and results until writer_stop(). */
NODISCARD int writer_start(const writer_options *options, journal *j, results *back, writer **ret_writer);
/* Tries for at most `grace_ms` to write what the journal holds, then stops and joins. */
writer *writer_stop(writer *w, int grace_ms);

typedef struct writer_figures {
    bool connected;
    uint64_t written_seq;        /* committed journal position */
    instant written_received_at; /* received_at of the last committed record, 0 when none yet */
    uint64_t rows, duplicates, dead_letters, batches, failed_batches, reconnects;
    uint64_t batch_us_last, batch_us_max, batch_us_sum;
} writer_figures;

void writer_figures_get(const writer *w, writer_figures *ret_figures);

#endif
