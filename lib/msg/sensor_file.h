/* sensor_file.h - sensors.json: which sensors a gateway reads, and whose they are. Checked against
 * schemas/documents/sensors.json, the options of each against schemas/documents/sensors/<kind>.json: what has
 * such a file is a kind.
 *
 * Ownership: a file owns everything in it. Threads: never changes once read. */
#ifndef MAYDAY_MSG_SENSOR_FILE_H
#define MAYDAY_MSG_SENSOR_FILE_H

#include "base/json.h"
#include "core/reading.h"

#define SENSOR_FILE_WHY_MAX 768
#define SENSORS_MAX         1000

/* How often it is heard, and how much of that is said. */
typedef struct sensor_manners {
    int64_t every_ms;     /* one reading in so long at most; what comes between is merged */
    int64_t heartbeat_ms; /* while nothing changes, only so often; 0: all is said always */
    int64_t silent_ms;    /* not heard for so long: it is reported */
    double rate;          /* things sensed a second, at most; a flood is cut there */
    double bands[VITALS]; /* a change by less is none */
    double distance;      /* metres, likewise */
} sensor_manners;

typedef struct sensor_entry {
    const char *name, *kind; /* owned by the file */
    text org, person;        /* person empty: the sensor says whose each reading is */
    sensor_manners manners;
    const json *options; /* an object */
    const json *whole;   /* as it is written */
} sensor_entry;

typedef struct sensor_file {
    json *body;
    sensor_entry *all;
    size_t count;
} sensor_file;

/* 0 or a negative errno with a sentence that names the file, the sensor and the place. */
NODISCARD int sensor_file_read(const char *schema_dir, const char *path, sensor_file **ret_file,
                               char ret_why[SENSOR_FILE_WHY_MAX]);
sensor_file *sensor_file_free(sensor_file *f); /* takes NULL, returns NULL */
DEFINE_CLEANUP(sensor_file, sensor_file_free)

/* The kinds there are, by name: `visit` gets what they are for, and their options as JSON Schema. 0 or a
 * negative errno with a sentence. */
typedef void (*sensor_kind_visit)(void *context, const char *name, const json *options);
NODISCARD int sensor_file_kinds(const char *schema_dir, sensor_kind_visit visit, void *context,
                                char ret_why[SENSOR_FILE_WHY_MAX]);

#endif
