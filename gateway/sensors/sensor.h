/* sensor.h - sensors at the edge: a family, one file each in sensors/. A kind opens what it reads on the loop
 * it is given and calls sensor_sensed() for what it hears; everything else (whose it is, keeping, publishing,
 * judging, reporting) is the same for all and not its business.
 *
 * Threads: the edge's thread alone runs the loop and calls all of this; it never waits. */
#ifndef MAYDAY_GATEWAY_SENSORS_SENSOR_H
#define MAYDAY_GATEWAY_SENSORS_SENSOR_H

#include <systemd/sd-event.h>

#include "base/json.h"
#include "sense/sense.h"

typedef struct sensor sensor; /* one that is configured: its name, kind, organisation, person */

#define SENSOR_WHY_MAX 256

typedef struct sensor_kind {
    const char *name; /* "serial": the word in sensors.json */
    const char
        *measures; /* for people: "heart rate, oxygen saturation, temperature, blood pressure, battery" */

    /* `options`: its object in sensors.json, checked against the schema already. What is not there yet (a
     * port, a daemon, a strap) is no fault: it is tried again by the kind itself, and said by sensor_says().
     * 0, or a negative errno with a sentence when it can never work. */
    int (*open)(sensor *s, sd_event *loop, const json *options, void **ret_state,
                char ret_why[SENSOR_WHY_MAX]);
    void (*close)(void *state); /* takes NULL */
} sensor_kind;

extern const sensor_kind *const sensor_kinds[]; /* ended by NULL; from the list in sensors/CMakeLists.txt */

/* What it heard, whole and in order. A flood is bounded there. */
void sensor_sensed(sensor *s, const sensed *one);
/* Of somebody else than its own person (a kind that carries many: mqtt). */
void sensor_sensed_of(sensor *s, text person, const sensed *one);
/* The time as it is known here: what a reading without a time of its own is dated with. `at` 0 in what is
 * sensed means the same. */
instant sensor_now(sensor *s);
/* It knows the time by itself, as GPS receivers do: believed when the machine's clock is plainly wrong. */
void sensor_knows_time(sensor *s, instant utc);
/* Its time runs so many times faster than ours: a recording that is played. */
void sensor_hastens(sensor *s, double times);
/* Bytes that were no reading: counted, and said once in a while. */
void sensor_refused(sensor *s, sense_verdict verdict);

typedef enum sensor_state {
    SENSOR_CLOSED = 0,
    SENSOR_SEEKING, /* it is not there; being tried again */
    SENSOR_OPEN,    /* connected */
} sensor_state;
/* Its state, and why (a sentence; "" none): logged when it changes, seen in /health, /metrics, `mayday
 * sensor`. */
void sensor_says(sensor *s, sensor_state state, const char *why);

int64_t sensor_patience(const sensor *s); /* ms: silent for longer, it is reported */

const char *sensor_name(const sensor *s);
text sensor_org(const sensor *s);
text sensor_person(const sensor *s); /* empty: it says whose each reading is */

/* What `filter` brings, on the edge's thread like everything else: a topic filter, whole. For as long as the
 * sensor is open. 0, -ENOSPC (too many filters), -ENOMEM. */
typedef void (*sensor_heard)(void *state, text topic, text payload);
NODISCARD int sensor_listen(sensor *s, const char *filter, sensor_heard heard, void *state);

#endif
