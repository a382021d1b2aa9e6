/* backlog_send.c - see backlog.h: what goes up next, live and from the disk, and what comes of it. For the
 * one thread that sends. */
#include "gateway/edge/backlog_inside.h"

#define LATER_MS 5000 /* what was refused waits so long in memory */

size_t backlog_live(backlog *b, sample **ret_samples, size_t most) {
    size_t count = 0;
    int64_t now = backlog_ms();
    backlog_lock(b);
    for (int alarms = 1; alarms >= 0; alarms--)
        for (sample *s = b->first; s && count < most; s = s->next)
            if (s->alarm == (alarms == 1) && !s->on_way && !s->finished && s->later_ms <= now) {
                s->on_way = true;
                ret_samples[count++] = s;
            }
    backlog_unlock(b);
    return count;
}

/* What is in memory with a number was written while on its way: its fate comes from there. */
static bool is_here(const backlog *b, int64_t number) {
    for (const sample *s = b->first; s; s = s->next)
        if (s->number == number)
            return true;
    return false;
}

static size_t take_old(backlog *b, bool alarms, sample **ret_samples, size_t most) {
    size_t count = 0, kept = 0;
    int64_t *behind = alarms ? &b->alarmed : &b->read;
    if (most == 0 || backlog_file_read(backlog_file_of(b), alarms, *behind, ret_samples, most, &count) < 0)
        return 0;
    backlog_lock(b);
    for (size_t i = 0; i < count; i++) {
        sample *s = ret_samples[i];
        *behind = s->number;
        if (is_here(b, s->number)) {
            (void)sample_free(s);
            continue;
        }
        s->on_way = true;
        backlog_append(b, s);
        ret_samples[kept++] = s;
    }
    backlog_unlock(b);
    return kept;
}

/* On a disk that is full nothing can be dropped: then what was sent may come again when something was not,
 * but all of it never does. */
static bool is_ready_to_read(backlog *b) {
    if (b->drop_first || b->new_round) {
        int fault = backlog_drop_gone(b);
        if (fault < 0 && b->new_round)
            return false;
    }
    b->drop_first = b->new_round = false;
    return true;
}

size_t backlog_old(backlog *b, sample **ret_samples, size_t most) {
    backlog_file *f = backlog_file_of(b);
    if (!f || backlog_file_count(f) == 0 || !is_ready_to_read(b))
        return 0;
    size_t count = take_old(b, true, ret_samples, most);
    count += take_old(b, false, ret_samples + count, most - count);
    backlog_lock(b);
    size_t gone = b->gone_count;
    backlog_unlock(b);
    if (count == 0 && backlog_file_count(f) > gone) {
        b->read = b->alarmed = 0;
        b->new_round = true;
    }
    return count;
}

/* Behind all others, or out of the way for good; an alarm never is. */
static void put_back(backlog *b, sample *s) {
    int64_t number = s->number;
    bool hopeless = !s->alarm && s->tries + 1 >= BACKLOG_TRIES_MAX;
    s->tries++;
    b->given_up += hopeless;
    if (number == 0 && !hopeless) { /* the writer takes it from here */
        s->on_way = false;
        s->later_ms = backlog_ms() + LATER_MS;
        return;
    }
    if (hopeless) {
        backlog_drop_sent(b, s);
        return;
    }
    backlog_drop_one(b, s);
    backlog_unlock(b);
    int fault = backlog_file_put_back(backlog_file_of(b), number);
    backlog_lock(b);
    b->drop_first |= fault < 0;
}

static void read_again(backlog *b, const sample *s) {
    int64_t *behind = s->alarm && s->tries == 0 ? &b->alarmed : &b->read;
    if (s->number && s->number <= *behind)
        *behind = s->number - 1;
    b->drop_first = true;
}

void backlog_done(backlog *b, sample *s, sample_fate fate) {
    backlog_lock(b);
    if (!s->being_written)
        backlog_settle_time(s);
    if (fate == FATE_SENT && s->being_written) {
        s->finished = true;
    } else if (fate == FATE_SENT) {
        backlog_drop_sent(b, s);
    } else if (fate == FATE_REFUSED && !s->being_written) {
        put_back(b, s);
    } else {
        s->on_way = false;
        if (s->number && !s->being_written) {
            if (fate != FATE_LATER)
                read_again(b, s);
            backlog_drop_one(b, s);
        }
    }
    backlog_unlock(b);
}
