/* backlog.c - see backlog.h: what is in memory, and the thread that writes it down.
 *
 * A sample stays in the list until its fate is known or it is on disk alone; what is being written may be
 * finished meanwhile, and is then taken care of by the writer. */
#include "gateway/edge/backlog_inside.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK_MS   250
#define SETTLE_MS 500 /* so long it may be on its way before it is written */
#define OLDEST_MS 5000
#define OPEN_MS   5000 /* one that could not be opened is tried again */

/* How far the time inside an id may be from the sample's own. */
#define ID_OURS   (INT64_C(3600) * 1000)
#define ID_DEVICE (INT64_C(86400) * 1000)

int64_t backlog_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

sample *sample_new(text org, text topic, text body) {
    sample *s = calloc(1, sizeof *s + org.len + topic.len + body.len + 1);
    if (!s)
        return NULL;
    text *const to[] = {&s->org, &s->topic, &s->body};
    const text from[] = {org, topic, body};
    char *at = s->bytes;
    for (size_t i = 0; i < ARRAY_LEN(to); i++) {
        if (from[i].len)
            memcpy(at, from[i].ptr, from[i].len);
        *to[i] = (text){at, from[i].len};
        at += from[i].len;
    }
    return s;
}

static int64_t size_of(int64_t step) {
    return step < 0 ? -step : step;
}

void sample_date_id(sample *s) {
    uuid id;
    int64_t ms = s->at / 1000, most = s->ours ? ID_OURS : ID_DEVICE;
    if (ms <= 0 || uuid_parse(text_of(s->id), &id) < 0 || size_of(uuid7_unix_ms(&id) - ms) <= most)
        return;
    for (int i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    uuid_format(&id, s->id);
}

sample *sample_free(sample *s) {
    free(s);
    return NULL;
}

void backlog_lock(backlog *b) {
    (void)pthread_mutex_lock(&b->lock);
}

backlog_file *backlog_file_of(const backlog *b) {
    return atomic_load(&((backlog *)b)->file);
}

void backlog_unlock(backlog *b) {
    (void)pthread_mutex_unlock(&b->lock);
}

static void PRINTF_LIKE(3, 4) tell(backlog *b, bool error, const char *format, ...) {
    char line[BACKLOG_WHY_MAX + 128];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    b->o.tell(b->o.context, error, line);
}

/* ---- the list, with the lock held ---- */

void backlog_append(backlog *b, sample *s) {
    s->next = NULL;
    s->before = b->last;
    *(b->last ? &b->last->next : &b->first) = s;
    b->last = s;
    b->count++;
}

void backlog_drop_one(backlog *b, sample *s) {
    *(s->before ? &s->before->next : &b->first) = s->next;
    *(s->next ? &s->next->before : &b->last) = s->before;
    b->count--;
    (void)sample_free(s);
}

/* The list of what is to be dropped is bounded: beyond it a sample is sent twice after a restart at worst. */
void backlog_drop_sent(backlog *b, sample *s) {
    if (s->number && b->gone_count < BACKLOG_GONE_MAX)
        b->gone[b->gone_count++] = s->number;
    backlog_drop_one(b, s);
}

static void thin_memory(backlog *b) {
    size_t quarter = b->count / 4, seen = 0;
    bool odd = false;
    for (sample *s = b->first, *next; s && seen < quarter; s = next, seen++) {
        next = s->next;
        if (s->alarm || s->on_way || s->being_written)
            continue;
        odd = !odd;
        if (odd) {
            backlog_drop_one(b, s);
            b->thinned++;
        }
    }
}

void backlog_put(backlog *b, sample *s) {
    s->put_ms = backlog_ms();
    backlog_lock(b);
    backlog_append(b, s);
    if (b->count > BACKLOG_MEMORY_MAX)
        thin_memory(b);
    backlog_unlock(b);
    b->o.wake(b->o.context);
}

/* The clock was set while it was under way. */
void backlog_settle_time(sample *s) {
    s->at += s->moved_us;
    if (s->moved_us)
        sample_date_id(s);
    s->moved_us = 0;
}

/* ---- writing ---- */

/* The writer does, and whoever reads again; one after the other, because each takes from the front. */
int backlog_drop_gone(backlog *b) {
    static const size_t at_once = 4096;
    int64_t numbers[4096];
    size_t count;
    int fault = 0;
    (void)pthread_mutex_lock(&b->dropping);
    do {
        backlog_lock(b);
        count = b->gone_count < at_once ? b->gone_count : at_once;
        memcpy(numbers, b->gone, count * sizeof *numbers);
        backlog_unlock(b);
        fault = count ? backlog_file_drop(backlog_file_of(b), numbers, count) : 0;
        if (!count || fault < 0)
            break;
        backlog_lock(b); /* what came meanwhile stands behind */
        b->gone_count -= count;
        memmove(b->gone, b->gone + count, b->gone_count * sizeof *b->gone);
        backlog_unlock(b);
    } while (count == at_once);
    (void)pthread_mutex_unlock(&b->dropping);
    return fault;
}

/* With the lock held. What is on its way still gets its moment. */
static size_t collect(backlog *b, sample **ret_samples, bool all) {
    int64_t before = backlog_ms() - SETTLE_MS;
    size_t count = 0;
    for (sample *s = b->first; s && count < BACKLOG_BATCH; s = s->next)
        if (s->number == 0 && !s->finished && (all || s->put_ms <= before)) {
            s->being_written = true;
            ret_samples[count++] = s;
        }
    return count;
}

static void say_full(backlog *b, int fault) {
    if (fault < 0 && !b->full)
        tell(b, true, "the backlog can't be written: %s; what waits is kept in memory, and grows coarse",
             fault == -ENOSPC ? "the disk is full" : strerror(-fault));
    if (fault == 0 && b->full)
        tell(b, false, "the backlog can be written again");
    backlog_lock(b);
    b->full = fault < 0;
    backlog_unlock(b);
}

static void settle(backlog *b, sample **samples, size_t count, int fault) {
    backlog_lock(b);
    for (size_t i = 0; i < count; i++) {
        sample *s = samples[i];
        s->being_written = false;
        if (!s->on_way)
            backlog_settle_time(s);
        if (s->finished)
            backlog_drop_sent(b, s);
        else if (fault == 0 && !s->on_way)
            backlog_drop_one(b, s); /* it is the backlog's now */
    }
    b->written += fault == 0 ? count : 0;
    backlog_unlock(b);
}

/* A file that takes nothing more may still take something when it is thinned. */
static int make_room(backlog *b, int64_t max_bytes) {
    int64_t gone = backlog_file_thin(backlog_file_of(b), max_bytes);
    if (gone > 0) {
        backlog_lock(b);
        b->thinned += (uint64_t)gone;
        backlog_unlock(b);
    }
    return gone < 0 ? (int)gone : 0;
}

static bool write_some(backlog *b, bool all) {
    sample **batch = b->batch;
    backlog_file *f = backlog_file_of(b);
    backlog_lock(b);
    size_t count = f ? collect(b, batch, all) : 0;
    backlog_unlock(b);
    if (count == 0)
        return false;
    int fault = backlog_file_write(f, batch, count);
    if (fault == -ENOSPC && make_room(b, (int64_t)backlog_file_bytes(f) * 7 / 8) == 0)
        fault = backlog_file_write(f, batch, count);
    settle(b, batch, count, fault);
    say_full(b, fault);
    if (fault == 0 && (int64_t)backlog_file_bytes(f) > b->o.max_bytes)
        (void)make_room(b, b->o.max_bytes);
    return fault == 0 && count == BACKLOG_BATCH;
}

/* Also later on: a disk that was full when the gateway started is cleared some day. */
static void open_file(backlog *b, bool first) {
    char why[BACKLOG_WHY_MAX] = "";
    backlog_file *f = NULL;
    int64_t now = backlog_ms();
    if (backlog_file_of(b) || (!first && now - b->open_ms < OPEN_MS))
        return;
    b->open_ms = now;
    int fault = backlog_file_open(b->o.state_dir, b->o.gateway, &f, why);
    if (fault == 0)
        atomic_store(&b->file, f);
    if (fault < 0 && first)
        tell(b, true, "the backlog can't be opened: %s; what waits is kept in memory alone, for now", why);
    else if (fault == 0 && *why)
        tell(b, true, "the backlog: %s", why);
    else if (fault == 0 && !first)
        tell(b, false, "the backlog is open now");
}

static void look_at_oldest(backlog *b) {
    int64_t now = backlog_ms();
    if (now - b->oldest_ms < OLDEST_MS && b->oldest_ms)
        return;
    b->oldest_ms = now;
    instant oldest = backlog_file_count(backlog_file_of(b)) ? backlog_file_oldest(backlog_file_of(b)) : 0;
    backlog_lock(b);
    b->oldest = oldest;
    backlog_unlock(b);
}

static void rest(backlog *b) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_cond_timedwait(&b->duty, &b->lock, &until);
}

static void *keep(void *the_backlog) {
    backlog *b = the_backlog;
    (void)pthread_setname_np(pthread_self(), "mg-backlog");
    backlog_lock(b);
    while (!b->closing) {
        rest(b);
        backlog_unlock(b);
        atomic_store(&b->moved_ms, backlog_ms());
        open_file(b, false);
        while (write_some(b, false))
            atomic_store(&b->moved_ms, backlog_ms());
        if (backlog_file_of(b)) {
            (void)backlog_drop_gone(b);
            look_at_oldest(b);
        }
        backlog_lock(b);
    }
    backlog_unlock(b);
    return NULL;
}

/* ---- the rest ---- */

static void shift_memory(void *the_backlog, int64_t step_us) {
    backlog *b = the_backlog;
    backlog_lock(b);
    for (sample *s = b->first; s; s = s->next)
        if (s->ours && !s->waited) {
            s->moved_us += step_us;
            if (!s->on_way) /* whoever sends it reads it */
                backlog_settle_time(s);
        }
    backlog_unlock(b);
}

void backlog_shift(backlog *b, int64_t step_us) {
    if (!backlog_file_of(b))
        shift_memory(b, step_us);
    else if (backlog_file_shift(backlog_file_of(b), step_us, shift_memory, b) < 0)
        tell(b, true, "the times in the backlog can't be put right");
}

void backlog_look(backlog *b, backlog_figures *ret_figures) {
    backlog_file *f = backlog_file_of(b);
    backlog_lock(b);
    *ret_figures = (backlog_figures){.memory = b->count,
                                     .disk = f ? backlog_file_count(f) : 0,
                                     .bytes = f ? backlog_file_bytes(f) : 0,
                                     .thinned = b->thinned,
                                     .given_up = b->given_up,
                                     .written = b->written,
                                     .full = b->full || !f,
                                     .oldest = b->oldest};
    backlog_unlock(b);
}

int64_t backlog_moved_ms(const backlog *b) {
    return atomic_load(&((backlog *)b)->moved_ms);
}

instant backlog_before(const backlog *b) {
    return b->before;
}

int backlog_open(const backlog_options *options, backlog **ret_backlog) {
    pthread_condattr_t monotonic;
    backlog *b = calloc(1, sizeof *b);
    if (!b)
        return -ENOMEM;
    b->o = *options;
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)pthread_mutex_init(&b->dropping, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&b->duty, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    b->before = backlog_file_before(b->o.state_dir, b->o.gateway);
    open_file(b, true);
    atomic_store(&b->moved_ms, backlog_ms());
    int fault = -pthread_create(&b->thread, NULL, keep, b);
    if (fault < 0) {
        (void)backlog_close(b);
        return fault;
    }
    b->started = true;
    *ret_backlog = b;
    return 0;
}

backlog *backlog_close(backlog *b) {
    if (!b)
        return NULL;
    backlog_lock(b);
    b->closing = true;
    (void)pthread_cond_signal(&b->duty);
    backlog_unlock(b);
    if (b->started)
        (void)pthread_join(b->thread, NULL);
    while (write_some(b, true))
        continue;
    if (backlog_file_of(b))
        (void)backlog_drop_gone(b);
    while (b->first)
        backlog_drop_one(b, b->first);
    atomic_store(&b->file, backlog_file_close(backlog_file_of(b)));
    (void)pthread_cond_destroy(&b->duty);
    (void)pthread_mutex_destroy(&b->lock);
    (void)pthread_mutex_destroy(&b->dropping);
    free(b);
    return NULL;
}
