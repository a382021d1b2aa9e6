/* mqtt.c - wearables that already publish JSON over MQTT, at topics of their own: a filter, where to find
 * each value, and whose it is (the sensor's person; a level of the topic; a value of the message; by a list
 * of names, if there is one).
 *
 * The broker must let the gateway read there: a line `read <filter>` for its role in the access policy. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/topic.h"
#include "gateway/sensors/sensor.h"
#include "gateway/sensors/sensor_json.h"

extern const sensor_kind sensor_kind_mqtt;

typedef struct wearable {
    sensor *s;
    json_map *map;
    json *people;  /* NULL: nobody is renamed */
    int64_t level; /* of the topic; 0: none */
} wearable;

static text level_of(text topic, int64_t level) {
    text rest = topic, part = {0};
    for (int64_t i = 0; i < level; i++)
        if (!text_next(&rest, '/', &part))
            return (text){0};
    return part;
}

/* Empty: nobody. */
static text whose(const wearable *w, text topic, text said) {
    char name[TOPIC_LEVEL_MAX + 1];
    text fixed = sensor_person(w->s), found = w->level ? level_of(topic, w->level) : said;
    if (fixed.len)
        return fixed;
    if (!w->people || found.len >= sizeof name || memchr(found.ptr ? found.ptr : "", '\0', found.len))
        return w->people ? (text){0} : found;
    (void)snprintf(name, sizeof name, "%.*s", (int)found.len, found.ptr ? found.ptr : "");
    return json_get_string(w->people, name);
}

static void hear(void *state, text topic, text payload) {
    wearable *w = state;
    CLEANUP(json_freep) json *tree = NULL;
    static json_found found; /* one thread runs all sensors */
    sense_verdict verdict = json_map_read(w->map, payload, &tree, &found);
    if (verdict != SENSE_GOOD) {
        sensor_refused(w->s, verdict);
        return;
    }
    text person = whose(w, topic, found.person);
    if (!person.len) {
        sensor_refused(w->s, SENSE_INVALID);
        return;
    }
    if (found.body.kind != SENSED_NOTHING)
        sensor_sensed_of(w->s, person, &found.body);
    if (found.place.kind != SENSED_NOTHING)
        sensor_sensed_of(w->s, person, &found.place);
}

static void close_wearable(void *state) {
    wearable *w = state;
    if (!w)
        return;
    (void)json_map_free(w->map);
    (void)json_free(w->people);
    free(w);
}

/* Mayday's own messages come from whom they say they come from, and need no sensor. */
static bool is_foreign(text filter) {
    return topic_filter_valid(filter) && !text_starts_with(filter, TEXT("mayday/")) &&
           !text_starts_with(filter, TEXT("$")) && !text_starts_with(filter, TEXT("+")) &&
           !text_starts_with(filter, TEXT("#"));
}

static bool says_whose(const wearable *w, const json *fields) {
    return sensor_person(w->s).len || w->level || !fields || json_get(fields, "person");
}

static int open_wearable(sensor *s, sd_event *loop, const json *options, void **ret_state,
                         char ret_why[SENSOR_WHY_MAX]) {
    const json *fields = json_get(options, "fields"), *people = json_get(options, "people");
    const json *level = json_get(options, "person_level");
    CLEANUP(freep) char *filter = text_copy(json_get_string(options, "topic"));
    wearable *w = calloc(1, sizeof *w);
    int fault = filter && w ? json_map_new(fields, &w->map) : -ENOMEM;
    (void)loop;
    if (fault == 0) {
        w->s = s;
        w->level = level ? json_integer(level) : 0;
        if (people && !(w->people = json_share(people)))
            fault = -ENOMEM;
    }
    if (fault == 0 && !is_foreign(text_of(filter))) {
        (void)snprintf(ret_why, SENSOR_WHY_MAX,
                       "'topic' must be a filter of topics outside mayday/, with a name at its first level");
        fault = -EINVAL;
    } else if (fault == 0 && !says_whose(w, fields)) {
        (void)snprintf(ret_why, SENSOR_WHY_MAX,
                       "whose is it? 'person', 'person_level' or the field 'person'");
        fault = -EINVAL;
    }
    if (fault == 0)
        fault = sensor_listen(s, filter, hear, w);
    if (fault == -ENOSPC)
        (void)snprintf(ret_why, SENSOR_WHY_MAX,
                       "there are too many different topics; those no longer configured count until the "
                       "gateway is restarted");
    if (fault < 0) {
        close_wearable(w);
        return fault;
    }
    sensor_says(s, SENSOR_OPEN, "");
    *ret_state = w;
    return 0;
}

const sensor_kind sensor_kind_mqtt = {
    .name = "mqtt",
    .measures = "whatever a wearable publishes as JSON: vital signs, positions, battery",
    .open = open_wearable,
    .close = close_wearable,
};
