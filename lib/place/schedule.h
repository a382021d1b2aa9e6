/* schedule.h - when a zone counts: days of the week and hours of the day, by the clock on the wall of a
 * place. Days name the day on which the hours begin; hours may run over midnight. When clocks are put back
 * the hour that comes twice counts twice; when they are put forward, what would begin in the missing hour
 * begins after it. Threads: never changes once it is read. */
#ifndef MAYDAY_PLACE_SCHEDULE_H
#define MAYDAY_PLACE_SCHEDULE_H

#include "base/json.h"
#include "place/tz.h"

typedef struct schedule {
    unsigned days;   /* bit 1u << day, Monday first; 0: no schedule, always */
    int from, until; /* minutes after midnight; equal: the whole day */
    tz *zone;        /* owned; NULL: UTC */
} schedule;

#define SCHEDULE_WHY_MAX 160
/* {"timezone": "Africa/Johannesburg", "days": ["mon", ...], "from": "22:00", "to": "06:00"}, each of which
 * may be missing: UTC, every day, midnight, midnight. 0, -ENOMEM, or -EBADMSG with a sentence. */
NODISCARD int schedule_read(const json *from, schedule *ret_schedule, char ret_why[SCHEDULE_WHY_MAX]);
void schedule_release(schedule *s);
bool schedule_on(const schedule *s, instant at);

#endif
