/* carry.c - the writer's work: connect, read a batch, commit it, again.
 *
 * A batch stays in memory until it is known to be committed. When the connection is lost during COMMIT, the
 * position in the database says, on the next connection, whether it was. The position also says when database
 * and journal are not a pair any more: one of them was restored from a backup. Then everything the journal
 * has is read again; what is stored already is noticed by its id. */
#include "store/writer_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_MS       10000
#define PATIENCE_MS      90000 /* more than statement_timeout: let the server speak first */
#define IDLE_MS          1000  /* journal and server both wake us; this is for what nobody thought of */
#define PAGE_MS          5     /* between pages of memberships; the broker's thread takes them up meanwhile */
#define UPKEEP_MS        (10 * 60 * 1000)
#define COMPLAIN_MS      60000
#define FIRST_BACKOFF    50
#define AHEAD_EVERY      32 /* records */
#define PROGRESS_AT_MOST INT64_MAX

static void complain(writer *w, const char *what, const char *why) {
    char line[PG_WHY_MAX];
    int64_t now = writer_clock_ms();
    if (writer_stopping(w)) /* being interrupted is no failure */
        return;
    (void)snprintf(line, sizeof line, "%.100s: %.400s", what, why);
    if (strcmp(line, w->complaint) == 0 && now - w->complained_at < COMPLAIN_MS)
        return;
    (void)snprintf(w->complaint, sizeof w->complaint, "%s", line);
    w->complained_at = now;
    results_log(w->back, RESULT_WARNING, "writer: %s; trying again, the journal keeps everything meanwhile",
                line);
}

static void show_connected(writer *w, bool connected) {
    (void)pthread_mutex_lock(&w->lock);
    w->figures.connected = connected;
    w->figures.reconnects += connected && w->met_before;
    w->met_before = w->met_before || connected;
    (void)pthread_mutex_unlock(&w->lock);
}

static void disconnect(writer *w) {
    if (!w->c)
        return;
    w->c = pg_close(w->c);
    w->load = (load){0};
    show_connected(w, false);
}

/* Reads on behind `after_seq`. What the batch held is read again. */
static bool reopen_reader(writer *w, uint64_t after_seq) {
    journal_reader *r = NULL;
    w->reader = journal_reader_free(w->reader);
    batch_clear(w->batch);
    seen_clear(w->batch->seen);
    int fault = journal_reader_open(w->j, after_seq, &r);
    if (fault < 0) {
        complain(w, "the journal cannot be read", strerror(-fault));
        return false;
    }
    (void)pthread_mutex_lock(&w->lock);
    w->figures.written_seq = after_seq;
    (void)pthread_mutex_unlock(&w->lock);
    w->reader = r;
    w->read_after = after_seq;
    w->first_entry = true;
    return true;
}

static bool progress_read(writer *w, bool *ret_known, uint64_t *ret_seq) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {w->identity};
    int64_t seq = 0;
    if (pg_query(w->c, "SELECT seq FROM mayday.journal_progress WHERE journal = $1", 1, params, &rows) !=
        PG_DONE)
        return false;
    *ret_known =
        pg_rows_count(rows) > 0 && text_to_i64(text_of(pg_value(rows, 0, 0)), 0, PROGRESS_AT_MOST, &seq) == 0;
    *ret_seq = (uint64_t)seq;
    return true;
}

static void committed(writer *w, const load_counts *counts, int64_t took_us) {
    writer_figures *f = &w->figures;
    (void)pthread_mutex_lock(&w->lock);
    f->written_seq = w->batch->last_seq;
    f->written_received_at = w->batch->last_received_at ? w->batch->last_received_at : f->written_received_at;
    f->rows += counts->rows;
    f->duplicates += counts->duplicates;
    f->dead_letters += counts->dead_letters;
    f->failed_batches += counts->careful;
    f->batches++;
    f->batch_us_last = (uint64_t)took_us;
    f->batch_us_sum += (uint64_t)took_us;
    if (f->batch_us_last > f->batch_us_max)
        f->batch_us_max = f->batch_us_last;
    (void)pthread_mutex_unlock(&w->lock);
    if (counts->dead_letters > 0)
        results_log(w->back, RESULT_WARNING,
                    "writer: %" PRIu64 " messages could not be stored; see mayday.dead_letter",
                    counts->dead_letters);
    journal_release(w->j, w->batch->last_seq);
    batch_clear(w->batch);
    w->load.spoiled = false;
    w->backoff_ms = FIRST_BACKOFF;
    w->complaint[0] = '\0';
}

/* Where to read on, given where the database says it is. False: not now. */
static bool align(writer *w) {
    bool known = false;
    uint64_t seq = 0;
    if (!progress_read(w, &known, &seq))
        return false;
    uint64_t ours = w->sent_seq > w->base_seq ? w->sent_seq : w->base_seq;
    if (known && seq > ours) {
        results_log(w->back, RESULT_ERROR,
                    "writer: the database has this journal's records up to %" PRIu64
                    ", but the journal only knows of "
                    "%" PRIu64
                    ": it was restored, or lost its end in a crash; all it has is written again, and what "
                    "is stored already is recognised",
                    seq, ours);
        return reopen_reader(w, 0);
    }
    if (w->reader && !batch_empty(w->batch) && seq == w->batch->last_seq) {
        load_counts counts = {0}; /* lost with the answer; the rows are not */
        committed(w, &counts, 0);
        return true;
    }
    if (w->reader && seq == w->figures.written_seq && w->sent_seq > 0)
        return true;
    if (w->reader && w->sent_seq > 0)
        results_log(w->back, RESULT_ERROR,
                    "writer: the database went back to record %" PRIu64 "; reading on from there", seq);
    return reopen_reader(w, seq);
}

/* Making a partition needs a moment without readers. If somebody's long query stands in the way, the default
 * partitions take what comes and the next try moves it: no reason to stop. */
static bool upkeep(writer *w) {
    char days[16];
    CLEANUP(pg_rows_freep) pg_rows *made = NULL;
    (void)snprintf(days, sizeof days, "%d", w->partitions_ahead);
    const char *params[] = {days};
    w->partitions_at = writer_clock_ms() + UPKEEP_MS;
    if (pg_run(w->c, "SET lock_timeout = '2s'") != PG_DONE)
        return false;
    if (pg_query(w->c, "SELECT mayday.make_partitions($1)", 1, params, &made) != PG_DONE) {
        complain(w, "partitions could not be made", pg_why(w->c));
        return !pg_broken(w->c) && pg_run(w->c, "SET lock_timeout = '20s'") == PG_DONE;
    }
    if (strcmp(pg_value(made, 0, 0), "0") != 0)
        results_log(w->back, RESULT_INFO, "writer: made %s partitions", pg_value(made, 0, 0));
    return pg_run(w->c, "SET lock_timeout = '20s'") == PG_DONE;
}

/* Everything the writer asks for is asked for by key; a table whose statistics are from when it was small
 * must not be read from end to end for it. */
static bool greet(writer *w) {
    static const char session[] = "SET synchronous_commit = on; SET client_min_messages = warning;"
                                  "SET enable_seqscan = off;"
                                  "SET statement_timeout = '60s';"
                                  "SET idle_in_transaction_session_timeout = '60s'; SET timezone = 'UTC'";
    if (pg_run(w->c, session) == PG_DONE && upkeep(w) && align(w) &&
        members_listen(&w->members, w->c) == PG_DONE)
        return true;
    if (*pg_why(w->c))
        complain(w,
                 strncmp(pg_sqlstate(w->c), "42", 2) == 0 || strncmp(pg_sqlstate(w->c), "3F", 2) == 0
                     ? "the database is not ready ('mayday migrate')"
                     : "the database does not let us begin",
                 pg_why(w->c));
    return false;
}

static bool connect_once(writer *w) {
    char why[PG_WHY_MAX] = "";
    pg_options options = {.conninfo = w->conninfo,
                          .application = w->application,
                          .connect_ms = CONNECT_MS,
                          .patience_ms = PATIENCE_MS,
                          .interrupt_fd = w->interrupt_fd};
    if (pg_connect(&options, &w->c, why) != PG_DONE) {
        complain(w, "the database cannot be reached", why);
        return false;
    }
    show_connected(w, true);
    w->load = (load){.c = w->c, .b = w->batch, .journal = w->identity, .rules = w->rules};
    if (!greet(w)) {
        disconnect(w);
        return false;
    }
    results_log(w->back, RESULT_NOTICE,
                "writer: connected to the database, reading on behind record %" PRIu64,
                batch_empty(w->batch) ? w->read_after : w->figures.written_seq);
    return true;
}

/* Exponential, and between half and all of it, so that many brokers don't come back in step. */
static bool back_off(writer *w) {
    int full = w->backoff_ms < FIRST_BACKOFF ? FIRST_BACKOFF : w->backoff_ms;
    int jitter =
        (int)(((uint64_t)writer_clock_ms() * UINT64_C(6364136223846793005) >> 33) % (uint64_t)(full / 2 + 1));
    w->backoff_ms = full * 2 > w->retry_max_ms ? w->retry_max_ms : full * 2;
    return writer_pause(w, full / 2 + jitter);
}

static void note_gap(writer *w, uint64_t first_seq) {
    w->first_entry = false;
    if (first_seq > w->read_after + 1)
        results_log(w->back, w->read_after == 0 ? RESULT_NOTICE : RESULT_ERROR,
                    "writer: %" PRIu64 " records between %" PRIu64 " and %" PRIu64
                    " are not in the journal any more; the database had not all of them",
                    first_seq - w->read_after - 1, w->read_after, first_seq);
}

typedef enum fill_verdict {
    FILL_FAULT = 0,
    FILL_IDLE,
    FILL_READY
} fill_verdict;

/* One record into the batch, and what is worth it to the server. */
static bool take(writer *w, const journal_entry *entry) {
    if (w->first_entry)
        note_gap(w, entry->seq);
    if (batch_add(w->batch, entry) < 0) {
        complain(w, "the batch was given up", "out of memory");
        return false;
    }
    if (w->batch->count % AHEAD_EVERY != 0)
        return true;
    if (load_ahead(&w->load) == PG_DONE)
        return true;
    complain(w, "a batch failed", pg_why(w->c));
    return false;
}

/* What the server has told meanwhile: while a transaction is open it tells nothing. */
static bool heed(writer *w) {
    if (w->load.begun || members_heed(&w->members, w->c) == PG_DONE)
        return true;
    complain(w, "the connection failed", pg_why(w->c));
    return false;
}

/* Reads until the batch is full, an alert is in it, or telemetry has waited long enough for company. */
static fill_verdict fill(writer *w) {
    int64_t until = 0;
    while (!batch_full(w->batch)) {
        journal_entry entry;
        int r = journal_read(w->reader, &entry);
        if (r < 0) {
            complain(w, "the journal cannot be read", strerror(-r));
            return FILL_FAULT;
        }
        if (r > 0) {
            if (!take(w, &entry))
                return FILL_FAULT;
            continue;
        }
        if (batch_empty(w->batch))
            return FILL_IDLE;
        int64_t now = writer_clock_ms();
        if (until == 0)
            until = now + w->batch_wait_ms;
        if (w->batch->hurry || now >= until || writer_stopping(w))
            break;
        journal_wait_on(w->reader, pg_socket(w->c), (int)(until - now));
        if (!heed(w))
            return FILL_FAULT;
    }
    return FILL_READY;
}

static bool commit(writer *w) {
    load_counts counts = {0};
    struct timespec begin, end;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    w->sent_seq = w->batch->last_seq > w->sent_seq ? w->batch->last_seq : w->sent_seq;
    if (load_commit(&w->load, &counts) != PG_DONE) {
        (void)pthread_mutex_lock(&w->lock);
        w->figures.failed_batches++;
        (void)pthread_mutex_unlock(&w->lock);
        complain(w, "a batch failed", pg_why(w->c));
        return false;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    committed(w, &counts,
              (end.tv_sec - begin.tv_sec) * INSTANT_SECOND + (end.tv_nsec - begin.tv_nsec) / 1000);
    return true;
}

/* Between batches: now and then partitions, and memberships. These last: what the server tells along with an
 * answer makes its socket readable no second time. False: the connection is of no more use. */
static bool between(writer *w) {
    if ((writer_clock_ms() < w->partitions_at || upkeep(w)) && members_step(&w->members, w->c) == PG_DONE)
        return true;
    complain(w, "the connection failed", pg_why(w->c));
    return false;
}

static void lose(writer *w, bool reread) {
    disconnect(w);
    if (reread)
        (void)reopen_reader(w, w->figures.written_seq);
}

/* One turn. False: nothing is left to do, or nothing can be done, for now. */
static bool turn(writer *w) {
    bool kept = !batch_empty(w->batch); /* from a connection that was lost */
    fill_verdict filled = kept ? FILL_READY : fill(w);
    if (filled == FILL_FAULT) {
        lose(w, true);
        return false;
    }
    if ((filled == FILL_READY && !commit(w)) || !between(w)) {
        lose(w, false);
        return false;
    }
    w->backoff_ms = FIRST_BACKOFF;
    return filled == FILL_READY;
}

void carry(writer *w) {
    w->backoff_ms = FIRST_BACKOFF;
    for (;;) {
        if (!w->c && !connect_once(w)) {
            if (writer_stopping(w) || !back_off(w))
                return;
            continue;
        }
        if (turn(w))
            continue;
        if (writer_stopping(w))
            return;
        if (!w->c)
            (void)back_off(w);
        else
            journal_wait_on(w->reader, pg_socket(w->c), w->members.loading ? PAGE_MS : IDLE_MS);
    }
}
