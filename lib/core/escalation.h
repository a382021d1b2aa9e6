/* escalation.h - what an escalation does next: one pure function over the policy and what is so now.
 *
 *   running -> (level 1 ... level n) x rounds -> exhausted
 *   running -> answered by somebody; nothing done for forgotten_ms -> running again, from level 1
 *   held    -> running when the hold is over; any escalation now ends it
 *   ended   when the incident is closed; running again, from the start, when it is reopened
 *
 * Somebody may ask for a level, the next one or any: it is told now, and the ones behind it follow at their
 * distances. A level that this round has told already, and any level once all is exhausted, begins a new
 * round. Who asks wants an answer: those given before don't count any more.
 *
 * A night is run in a test by calling escalation_next() with the time it asked for. Threads: no state. */
#ifndef MAYDAY_CORE_ESCALATION_H
#define MAYDAY_CORE_ESCALATION_H

#include "core/incident.h"
#include "core/plan.h"

typedef enum escalation_status {
    ESCALATION_NONE = 0,
    ESCALATION_RUNNING,
    ESCALATION_HELD,
    ESCALATION_ANSWERED,
    ESCALATION_EXHAUSTED,
    ESCALATION_ENDED,
} escalation_status;

const char *escalation_status_name(escalation_status s);
escalation_status escalation_status_named(text name); /* ESCALATION_NONE when unknown */

#define NEVER INT64_MAX

/* What is so now. Moments in microseconds, Unix time, of the database. */
typedef struct escalation {
    escalation_status status;
    int64_t round, first_round, level; /* as mayday.escalation has them */
    int64_t wanted_level;              /* somebody asked for it, perhaps for more than there are; 0: nobody */
    instant begun_at;                  /* of this round */
    instant answered_at;               /* somebody did, since anybody was last asked; 0: nobody */
    instant held_until;                /* status held */
    int64_t forgotten;                 /* how often before */
    incident_status incident;
    instant moved_at;  /* when somebody last did something about the incident */
    bool all_answered; /* everyone told at the current level has answered for themselves */
} escalation;

/* Why it began anew, if it did. */
typedef enum escalation_begins {
    ESCALATION_GOES_ON = 0,
    ESCALATION_BEGINS_FORGOTTEN, /* it was answered, and then nothing was done */
    ESCALATION_BEGINS_AGAIN,     /* the incident is open again */
} escalation_begins;

/* What to do now. */
typedef struct escalation_step {
    escalation_status status; /* from now on */
    int64_t round, first_round, level, forgotten;
    instant begun_at;
    escalation_begins begins;
    bool tell;           /* tell level `level` (of the policy's levels, from 1 on) */
    bool tell_exhausted; /* nobody answered: dispatch, and whom the policy names, hear it */
    bool withdraw;       /* what waits to be sent is not wanted any more */
    bool anew;           /* answers given so far don't count any more */
    bool everyone;       /* whoever was told at `level` has to answer for themselves */
    bool follow;         /* family who was told may hear that it is answered, or over */
    instant next_at;     /* when to ask again by itself; NEVER */
} escalation_step;

/* At most one level is told by a step; when another is due already, next_at is `now`. Asking too early
 * changes nothing (and says when to come again); asking twice for the same moment does not tell twice, when
 * the first answer was stored. A level that was overtaken (the engine stood still) is told none the less, one
 * after the other. */
escalation_step escalation_next(const policy *p, const escalation *now, instant at);

#endif
