/* reading.h - what sensors say of one person at one moment, whatever the sensor is: a reading of the body, a
 * fix of the place, or both. Plain values; a decoder (lib/sense) or a message (vitals, location) makes them,
 * the rules (core/body.h) and fences (place/fence.h) judge them.
 *
 * Units as in schemas/vitals.json and schemas/location.json. A value that is not known is NAN; `has` says
 * which vitals are there. Threads: no state. */
#ifndef MAYDAY_CORE_READING_H
#define MAYDAY_CORE_READING_H

#include "base/attr.h"
#include "base/instant.h"

typedef enum vital {
    VITAL_HR = 0, /* beats per minute */
    VITAL_SPO2,   /* percent */
    VITAL_RESP,   /* breaths per minute */
    VITAL_TEMP,   /* degrees Celsius */
    VITAL_SYS,    /* mmHg */
    VITAL_DIA,    /* mmHg */
    VITALS
} vital;

typedef enum skin_contact {
    CONTACT_UNKNOWN = 0,
    CONTACT_NONE,
    CONTACT_GOOD,
} skin_contact;

/* What a device itself noticed. */
typedef enum body_event {
    EVENT_NOTHING = 0,
    EVENT_FALL,  /* it fell, by the device's own judgement */
    EVENT_STILL, /* it has not moved for as long as the device waits */
} body_event;

#define READING_RR_MAX 128 /* as schemas/vitals.json has it */

typedef struct reading {
    instant at;   /* by the clock of the device */
    unsigned has; /* bit 1u << vital for each value that is there */
    double value[VITALS];
    size_t rr_count;
    double rr_ms[READING_RR_MAX]; /* times between beats, oldest first */
    skin_contact contact;
    double quality; /* percent: how far the sensor trusts itself */
    double motion;  /* g: root mean square of acceleration without gravity */
    double battery; /* percent */
    body_event event;
} reading;

/* An empty one: nothing known. */
reading reading_at(instant at);
void reading_put(reading *r, vital which, double value); /* NAN and infinities are not put */
bool reading_has(const reading *r, vital which);
bool reading_says_anything(const reading *r); /* a vital, intervals, contact or an event */
const char *vital_name(vital which);          /* "hr", "spo2", ... as in the schema */

typedef struct fix {
    instant at;
    double lat, lon; /* WGS 84, degrees */
    double accuracy; /* metres, two of three; NAN: not known */
    double altitude; /* metres */
    double speed;    /* m/s over ground */
    double heading;  /* degrees clockwise from true north, 0 <= heading < 360 */
} fix;

fix fix_at(instant at, double lat, double lon); /* the rest NAN */
/* Great-circle distance in metres: haversine on a sphere of 6,371,008.8 m (the mean radius of IUGG). */
double fix_distance(const fix *a, const fix *b);

#endif
