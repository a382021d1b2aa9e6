/* spell.c - see edge/spell.h. */
#include "gateway/edge/spell.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *spell_leaf(const sensed *one) {
    switch (one->kind) {
    case SENSED_NOTHING:
    case SENSED_BATTERY:
        break;
    case SENSED_READING:
        return "vitals";
    case SENSED_FIX:
        return "location";
    }
    return NULL;
}

/* Without the zeros at its end. */
static void number(const char *name, double value, int digits, buf *to) {
    char spelled[64];
    if (!isfinite(value))
        return;
    int len = snprintf(spelled, sizeof spelled, "%.*f", digits, value);
    if (len < 0 || (size_t)len >= sizeof spelled)
        return;
    while (digits > 0 && len > 1 && spelled[len - 1] == '0')
        len--;
    if (spelled[len - 1] == '.')
        len--;
    buf_printf(to, ",\"%s\":%.*s", name, len, len == 2 && memcmp(spelled, "-0", 2) == 0 ? "0" : spelled);
}

static void beats(const reading *r, buf *to) {
    for (size_t i = 0; i < r->rr_count && i < READING_RR_MAX; i++)
        buf_printf(to, "%s%.0f", i ? "," : ",\"rr_ms\":[", r->rr_ms[i]);
    if (r->rr_count)
        buf_add_char(to, ']');
}

static void body_of_reading(const reading *r, double battery, buf *to) {
    for (vital v = 0; v < VITALS; v++)
        if (reading_has(r, v))
            number(vital_name(v), r->value[v], 1, to);
    beats(r, to);
    if (r->contact != CONTACT_UNKNOWN)
        buf_printf(to, ",\"contact\":%s", r->contact == CONTACT_GOOD ? "true" : "false");
    number("quality", r->quality, 1, to);
    number("motion", r->motion, 3, to);
    if (r->event != EVENT_NOTHING)
        buf_printf(to, ",\"event\":\"%s\"", r->event == EVENT_FALL ? "fall" : "still");
    number("battery", isnan(r->battery) ? battery : r->battery, 0, to);
}

static void body_of_fix(const fix *f, double battery, buf *to) {
    number("lat", f->lat, 7, to);
    number("lon", f->lon, 7, to);
    number("accuracy", f->accuracy, 1, to);
    number("altitude", f->altitude, 1, to);
    number("speed", f->speed, 2, to);
    number("heading", f->heading, 1, to);
    buf_printf(to, ",\"source\":\"gps\"");
    number("battery", battery, 0, to);
}

/* Names come from a configuration that forbids control characters. */
static void line(const char *name, const char *value, buf *to) {
    buf_printf(to, ",\"%s\":\"", name);
    for (const char *p = value; *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_add_char(to, '\\');
        buf_add_char(to, *p);
    }
    buf_add_char(to, '"');
}

void spell_body(const sensed *one, const char *sensor, double battery, buf *to) {
    if (one->kind == SENSED_READING) {
        body_of_reading(&one->reading, battery, to);
        line("sensor", sensor, to);
    } else {
        body_of_fix(&one->fix, battery, to);
    }
    buf_add_char(to, '}');
}

void spell_message(const char *id, instant at, bool waited, text body, buf *to) {
    char when[INSTANT_TEXT_LEN + 1];
    instant_format(at, when);
    buf_printf(to, "{\"v\":1,\"id\":\"%s\",\"ts\":\"%s\"%s", id, when, waited ? ",\"offline\":true" : "");
    buf_add_text(to, body);
}
