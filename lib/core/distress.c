/* distress.c - see distress.h. Where to go and what to do is in one table; time is looked at before it:
 * silence that has lasted is an event of its own. */
#include "core/distress.h"

#define MS (INSTANT_SECOND / 1000)

/* What time makes of an event, behind those of the header. */
enum {
    HEEDED =
        DISTRESS_EVENTS, /* a question that may be asked: no OK is remembered, or it does not cover this */
    SILENCE,             /* the answer is overdue */
    REMINDER,
    ROWS
};

typedef struct move {
    distress_state to;
    distress_does does;
} move;

#define STAYS(state)                                                                                         \
    { DISTRESS_##state, DISTRESS_WAIT }

static const move moves[DISTRESS_STATES][ROWS] = {
    [DISTRESS_CALM] =
        {
            [DISTRESS_NOTHING] = STAYS(CALM),
            [DISTRESS_FINDING] = STAYS(CALM), /* within the quiet time; else it is HEEDED */
            [DISTRESS_WORSE] = STAYS(CALM),
            [DISTRESS_GRAVE] = {DISTRESS_ALARMED, DISTRESS_RAISE},
            [DISTRESS_OK] = STAYS(CALM),
            [DISTRESS_HELP] = {DISTRESS_ALARMED, DISTRESS_RAISE},
            [DISTRESS_RAISED] = STAYS(TAKEN),
            [DISTRESS_CLOSED] = STAYS(CALM),
            [DISTRESS_OVER] = STAYS(CALM),
            [HEEDED] = {DISTRESS_ASKED, DISTRESS_ASK},
        },
    [DISTRESS_ASKED] =
        {
            [DISTRESS_NOTHING] = STAYS(ASKED),
            [DISTRESS_FINDING] = STAYS(ASKED),
            [DISTRESS_WORSE] = STAYS(ASKED),
            [DISTRESS_GRAVE] = {DISTRESS_ALARMED, DISTRESS_RAISE},
            [DISTRESS_OK] = {DISTRESS_CALM, DISTRESS_CLOSE},
            [DISTRESS_HELP] = {DISTRESS_ALARMED, DISTRESS_RAISE},
            [DISTRESS_RAISED] = {DISTRESS_TAKEN, DISTRESS_CLOSE},
            [DISTRESS_CLOSED] = {DISTRESS_CALM, DISTRESS_CLOSE},
            [DISTRESS_OVER] = STAYS(ASKED), /* of an earlier one: this question is not answered by that */
            [HEEDED] = STAYS(ASKED),
            [SILENCE] = {DISTRESS_ALARMED, DISTRESS_RAISE},
            [REMINDER] = {DISTRESS_ASKED, DISTRESS_REMIND},
        },
    [DISTRESS_ALARMED] =
        {
            [DISTRESS_NOTHING] = STAYS(ALARMED),
            [DISTRESS_FINDING] = STAYS(ALARMED),
            [DISTRESS_WORSE] = STAYS(ALARMED),
            [DISTRESS_GRAVE] = STAYS(ALARMED),
            [DISTRESS_OK] = STAYS(ALARMED), /* an alarm is closed by people who have looked */
            [DISTRESS_HELP] = STAYS(ALARMED),
            [DISTRESS_RAISED] = STAYS(TAKEN),
            [DISTRESS_CLOSED] = STAYS(ALARMED),
            [DISTRESS_OVER] = STAYS(CALM),
            [HEEDED] = STAYS(ALARMED),
        },
    [DISTRESS_TAKEN] =
        {
            [DISTRESS_NOTHING] = STAYS(TAKEN),
            [DISTRESS_FINDING] = STAYS(TAKEN),
            [DISTRESS_WORSE] = STAYS(TAKEN),
            [DISTRESS_GRAVE] = STAYS(TAKEN),
            [DISTRESS_OK] = STAYS(TAKEN),
            [DISTRESS_HELP] = STAYS(TAKEN),
            [DISTRESS_RAISED] = STAYS(TAKEN),
            [DISTRESS_CLOSED] = STAYS(TAKEN),
            [DISTRESS_OVER] = STAYS(CALM),
            [HEEDED] = STAYS(TAKEN),
        },
};

distress_times distress_times_default(void) {
    return (distress_times){60000, 15 * 60000, 20000};
}

distress_event distress_of(const finding *f) {
    if (f->kind == FINDING_NONE || f->kind == FINDING_ENDS || f->response == BODY_NOTE)
        return DISTRESS_NOTHING;
    if (f->response == BODY_RAISE)
        return DISTRESS_GRAVE;
    return f->worse ? DISTRESS_WORSE : DISTRESS_FINDING;
}

static instant later(instant at, int64_t ms) {
    instant sum;
    if (__builtin_mul_overflow(ms, MS, &sum) || __builtin_add_overflow(at, sum, &sum))
        return INT64_MAX;
    return sum;
}

/* An answer that comes in time for the call that hears it counts, even when the call is late. */
static int row_of(const distress *d, distress_event event, instant now) {
    switch (event) {
    case DISTRESS_NOTHING:
    case DISTRESS_FINDING:
    case DISTRESS_WORSE:
        if (d->state == DISTRESS_ASKED && now >= d->due_at)
            return SILENCE;
        if (d->state == DISTRESS_ASKED && d->remind_at && now >= d->remind_at)
            return REMINDER;
        if (event == DISTRESS_WORSE || (event == DISTRESS_FINDING && now >= d->quiet_until))
            return HEEDED;
        return (int)event;
    case DISTRESS_GRAVE:
    case DISTRESS_OK:
    case DISTRESS_HELP:
    case DISTRESS_RAISED:
    case DISTRESS_CLOSED:
    case DISTRESS_OVER:
        return (int)event;
    }
    return DISTRESS_NOTHING;
}

/* The next reminder that lies ahead; none at or behind the end of the wait. */
static instant reminder(const distress *d, const distress_times *times, instant now) {
    if (times->remind_ms <= 0)
        return 0;
    instant next = later(now, times->remind_ms);
    return next < d->due_at ? next : 0;
}

static void asked(distress *d, const distress_times *times, instant now) {
    d->asked_at = now;
    d->due_at = later(now, times->answer_ms);
    d->quiet_until = 0;
    d->remind_at = reminder(d, times, now);
}

distress_does distress_next(distress *d, const distress_times *times, distress_event event, instant now) {
    int row = row_of(d, event, now);
    const move *m = &moves[d->state][row];
    bool was_asked = d->state == DISTRESS_ASKED;
    d->state = m->to;
    if (m->does == DISTRESS_ASK)
        asked(d, times, now);
    else if (m->does == DISTRESS_REMIND)
        d->remind_at = reminder(d, times, now);
    if (d->state != DISTRESS_ASKED)
        d->asked_at = d->due_at = d->remind_at = 0;
    if (was_asked && d->state == DISTRESS_CALM)
        d->quiet_until = later(now, times->quiet_ms);
    else if (d->state != DISTRESS_CALM)
        d->quiet_until = 0;
    return m->does;
}

instant distress_due(const distress *d) {
    if (d->state != DISTRESS_ASKED)
        return INT64_MAX;
    return d->remind_at && d->remind_at < d->due_at ? d->remind_at : d->due_at;
}
