/* sensor_json.h - readings and fixes out of JSON that others made: where each value stands is configured
 * (`fields` in schemas/documents/sensors/mqtt.json and serial.json).
 *
 * Pure. Ownership: a map copies what it is given. Threads: belongs to one. */
#ifndef MAYDAY_GATEWAY_SENSORS_SENSOR_JSON_H
#define MAYDAY_GATEWAY_SENSORS_SENSOR_JSON_H

#include "base/json.h"
#include "sense/sense.h"

typedef struct json_map json_map;

/* NULL: each value by our name for it, at the top. */
NODISCARD int json_map_new(const json *fields, json_map **ret_map);
json_map *json_map_free(json_map *m); /* takes NULL, returns NULL */
DEFINE_CLEANUP(json_map, json_map_free)

typedef struct json_found {
    sensed body, place; /* SENSED_NOTHING: not there; at 0: it does not say when */
    text person;        /* borrowed from the text's tree; empty: it does not say whose */
} json_found;

/* SENSE_IGNORED: there is nothing of ours in it. *ret_tree is to be freed when this is SENSE_GOOD. */
sense_verdict json_map_read(json_map *m, text payload, json **ret_tree, json_found *ret_found);

#endif
