/* distress.h - the conversation that follows a finding: one pure table of what happens next.
 *
 *   calm -> asked -> calm (OK; remembered: no second question for quiet_ms, unless it gets worse)
 *                 -> alarmed (help, the duress word, silence)
 *   calm -> alarmed (a finding that nobody could answer to; a call for help)
 *   asked -> calm (dispatch closed the question: remembered like an OK)
 *   calm|asked|alarmed -> taken (an incident of this person is open)
 *   alarmed|taken -> calm when the incident is over
 *
 * Threads: no state. Times in microseconds. */
#ifndef MAYDAY_CORE_DISTRESS_H
#define MAYDAY_CORE_DISTRESS_H

#include "base/instant.h"
#include "core/body.h"

typedef enum distress_state {
    DISTRESS_CALM = 0,
    DISTRESS_ASKED,
    DISTRESS_ALARMED,
    DISTRESS_TAKEN,
} distress_state;
#define DISTRESS_STATES (DISTRESS_TAKEN + 1)

typedef enum distress_event {
    DISTRESS_NOTHING = 0, /* only time passed */
    DISTRESS_FINDING,     /* one with BODY_ASK */
    DISTRESS_WORSE,       /* one that the person's last OK does not cover */
    DISTRESS_GRAVE,       /* one with BODY_RAISE */
    DISTRESS_OK,
    DISTRESS_HELP,   /* "help", or the duress word */
    DISTRESS_RAISED, /* an incident of this person is open: their own press, or somebody's */
    DISTRESS_CLOSED, /* dispatch closed the question: they know better */
    DISTRESS_OVER,   /* the incident is closed */
} distress_event;
#define DISTRESS_EVENTS (DISTRESS_OVER + 1)

typedef struct distress_times {
    int64_t answer_ms; /* how long silence may last; default 60 s */
    int64_t quiet_ms;  /* after OK; default 15 min */
    int64_t remind_ms; /* the question is repeated (same id) so often while it waits; 0: never */
} distress_times;

distress_times distress_times_default(void); /* reminds every 20 s */

typedef struct distress {
    distress_state state;
    instant asked_at, due_at, quiet_until, remind_at; /* 0: not */
} distress;

typedef enum distress_does {
    DISTRESS_WAIT = 0,
    DISTRESS_ASK,    /* send the question, due at due_at */
    DISTRESS_REMIND, /* again, the same */
    DISTRESS_RAISE,  /* the medical alarm */
    DISTRESS_CLOSE,  /* withdraw the question: it is answered */
} distress_does;

/* What a finding is to the conversation; NOTHING: not a matter for it. */
distress_event distress_of(const finding *f);

/* Moves `d` and says what to do. `now` never runs backwards between calls of one conversation. */
distress_does distress_next(distress *d, const distress_times *times, distress_event event, instant now);
instant distress_due(const distress *d); /* when to call again with DISTRESS_NOTHING; INT64_MAX: never */

#endif
