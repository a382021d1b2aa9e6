/* judge.h - how detection does on a simulated day: the shipped way (core/body.h with its conversation,
 * core/distress.h) and, on the very same readings, the usual way: fixed thresholds for some seconds.
 *
 * What counts: whoever is asked or alarmed about while nothing is wrong is a false alarm. Once something is
 * wrong, the first question or alarm finds it, and the clock runs from when it became true; what comes
 * between the first sign and then has been early, and is no false alarm. Who is well answers every question
 * "OK" after ANSWER_S; who is in peril cannot answer, so that silence raises.
 *
 * Threads: no state; one body at a time for each judge. */
#ifndef MAYDAY_PEOPLE_JUDGE_H
#define MAYDAY_PEOPLE_JUDGE_H

#include <stdio.h>
#include "core/distress.h"
#include "people/people.h"

#define ANSWER_S 20

/* A fixed rule, as patient as one can be: it looks past a sensor that says it is off the skin; each limit
 * speaks once until it has been kept for a minute, and, as ours, not again within the quiet time. That it
 * would go on speaking is held for it, not against it: it finds what begins while a limit is broken anyway,
 * once its quiet time is over, but its repetitions while nothing is wrong are not counted. */
typedef struct fixed_rule {
    const char *name;
    double pulse_below, pulse_above, spo2_below;
    int64_t for_s;
    double quality; /* percent: looks past what is trusted less; 0: takes what comes */
    double motion;  /* g: begins anew where somebody moves so much; 0: knows nothing of movement */
} fixed_rule;

#define FIXED_RULES 7
extern const fixed_rule
    fixed_rules[FIXED_RULES]; /* the first is the usual one, the last one that of watches */

#define VERDICT_WORDS 480

typedef struct verdict {
    bool struck;          /* there was something to find */
    bool found;           /* and it was: somebody asked, or an alarm */
    bool anyhow;          /* of a day without (day_without): something was said in that time, too */
    double sign_s;        /* until the first question or alarm; early: 0 */
    double raised_s;      /* until the alarm; NAN: none */
    int64_t false_alarms; /* questions and alarms while nothing was wrong */
    int64_t alarms;       /* of them, those that were not asked first */
    int64_t notes;        /* what only dispatch was told, while nothing was wrong */
    int64_t readings;
    char first[VERDICT_WORDS]; /* what was said first: by the second, in words */
} verdict;

/* The same day, and nothing comes over them: what is said in the time of the peril all the same was no
 * finding of it. Alarms at everybody who runs find whoever collapses in a run, and the verdict alone would
 * not show. */
void day_without(const day *d, day *ret_without);

/* `fixed`: NULL, or FIXED_RULES of them. `tell`: NULL, or where each thing said goes, a line each. With
 * neither of them a day ends with the alarm for whoever is in peril: nothing of the verdict can change. 0, or
 * -ENOMEM. */
NODISCARD int judge_day(const day *d, const body_limits *limits, verdict *ret_ours, verdict *ret_fixed,
                        FILE *tell);

#endif
