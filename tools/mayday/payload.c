/* payload.c - see payload.h. */
#include "payload.h"

#include <errno.h>
#include <stdio.h>

#include "base/instant.h"

#define DEGREE_DECIMALS 7 /* about a centimetre */

static void put(payload *p, json *object, const char *name, json *value) {
    if (!object || json_put(object, name, value) < 0)
        p->failed = true;
}

/* A number with just so many decimals: parsed from its own spelling, which the tree then keeps. */
static json *decimal(double value, int decimals) {
    char spelled[64];
    (void)snprintf(spelled, sizeof spelled, "%.*f", decimals, value);
    json *number = NULL;
    return json_parse_once(text_of(spelled), &number) == JSON_OK ? number : NULL;
}

payload payload_new(const uuid *id, int64_t at) {
    payload p = {.root = json_new_object()};
    char ts[INSTANT_TEXT_LEN + 1];
    uuid_format(id, p.id);
    instant_format(at, ts);
    put(&p, p.root, "v", json_new_integer(1));
    put(&p, p.root, "id", json_new_string(text_of(p.id)));
    put(&p, p.root, "ts", json_new_string(text_of(ts)));
    return p;
}

void payload_release(payload *p) {
    p->root = json_free(p->root);
}

void payload_text(payload *p, const char *name, const char *value) {
    if (value)
        put(p, p->root, name, json_new_string(text_of(value)));
}

void payload_texts(payload *p, const char *name, const char *only) {
    json *list = json_new_array();
    if (!list || json_append(list, json_new_string(text_of(only))) < 0)
        p->failed = true;
    put(p, p->root, name, list);
}

void payload_flag(payload *p, const char *name, bool value) {
    if (value)
        put(p, p->root, name, json_new_bool(true));
}

void payload_bool(payload *p, const char *name, bool value) {
    put(p, p->root, name, json_new_bool(value));
}

void payload_number(payload *p, const char *name, double value, int decimals) {
    put(p, p->root, name, decimal(value, decimals));
}

void payload_numbers(payload *p, const char *name, const double *values, size_t count, int decimals) {
    json *list = json_new_array();
    for (size_t i = 0; list && i < count; i++)
        if (json_append(list, decimal(values[i], decimals)) < 0)
            p->failed = true;
    put(p, p->root, name, list);
}

void payload_position(payload *p, double lat, double lon, double accuracy) {
    json *position = json_new_object();
    put(p, position, "lat", decimal(lat, DEGREE_DECIMALS));
    put(p, position, "lon", decimal(lon, DEGREE_DECIMALS));
    if (accuracy > 0)
        put(p, position, "accuracy", decimal(accuracy, 1));
    put(p, p->root, "location", position);
}

int payload_print(const payload *p, buf *to) {
    if (p->failed)
        return -ENOMEM;
    json_print(p->root, to);
    return buf_failed(to);
}
