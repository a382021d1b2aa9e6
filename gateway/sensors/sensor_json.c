/* sensor_json.c - see sensor_json.h. */
#include "gateway/sensors/sensor_json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH       16
#define MILLIS_FROM 1e11 /* a larger Unix time counts milliseconds: in seconds it would be the year 5138 */

typedef enum field {
    FIELD_AT,
    FIELD_PERSON,
    FIELD_RR,
    FIELD_CONTACT,
    FIELD_EVENT,
    FIELD_NUMBERS, /* from here on */
    FIELD_HR = FIELD_NUMBERS,
    FIELD_SPO2,
    FIELD_RESP,
    FIELD_TEMP,
    FIELD_SYS,
    FIELD_DIA,
    FIELD_QUALITY,
    FIELD_MOTION,
    FIELD_BATTERY,
    FIELD_LAT,
    FIELD_LON,
    FIELD_ACCURACY,
    FIELD_ALTITUDE,
    FIELD_SPEED,
    FIELD_HEADING,
    FIELDS,
} field;

static const char *const names[FIELDS] = {
    [FIELD_AT] = "at",           [FIELD_PERSON] = "person",     [FIELD_RR] = "rr_ms",
    [FIELD_CONTACT] = "contact", [FIELD_EVENT] = "event",       [FIELD_HR] = "hr",
    [FIELD_SPO2] = "spo2",       [FIELD_RESP] = "resp",         [FIELD_TEMP] = "temp",
    [FIELD_SYS] = "sys",         [FIELD_DIA] = "dia",           [FIELD_QUALITY] = "quality",
    [FIELD_MOTION] = "motion",   [FIELD_BATTERY] = "battery",   [FIELD_LAT] = "lat",
    [FIELD_LON] = "lon",         [FIELD_ACCURACY] = "accuracy", [FIELD_ALTITUDE] = "altitude",
    [FIELD_SPEED] = "speed",     [FIELD_HEADING] = "heading",
};

struct json_map {
    json_parser *parser;
    struct {
        char *at; /* a JSON pointer; NULL: not looked for */
        double times, plus;
    } fields[FIELDS];
};

/* ---- the map ---- */

static int put(json_map *m, field f, const json *how) {
    const json *times = json_get(how, "times"), *plus = json_get(how, "plus");
    text at = json_kind_of(how) == JSON_STRING ? json_string(how) : json_get_string(how, "at");
    m->fields[f].at = text_copy(at);
    m->fields[f].times = times ? json_number(times) : 1;
    m->fields[f].plus = plus ? json_number(plus) : 0;
    return m->fields[f].at ? 0 : -ENOMEM;
}

static int put_usual(json_map *m, field f) {
    CLEANUP(buf_release) buf at = BUF(64);
    buf_printf(&at, "/%s", names[f]);
    m->fields[f].at = buf_steal(&at);
    m->fields[f].times = 1;
    return m->fields[f].at ? 0 : -ENOMEM;
}

int json_map_new(const json *fields, json_map **ret_map) {
    CLEANUP(json_map_freep) json_map *m = calloc(1, sizeof *m);
    int fault = m && (m->parser = json_parser_new(DEPTH)) ? 0 : -ENOMEM;
    for (field f = 0; f < FIELDS && fault == 0; f++) {
        const json *how = fields ? json_get(fields, names[f]) : NULL;
        if (how || !fields)
            fault = how ? put(m, f, how) : put_usual(m, f);
    }
    if (fault < 0)
        return fault;
    *ret_map = m;
    m = NULL;
    return 0;
}

json_map *json_map_free(json_map *m) {
    if (!m)
        return NULL;
    for (field f = 0; f < FIELDS; f++)
        free(m->fields[f].at);
    (void)json_parser_free(m->parser);
    free(m);
    return NULL;
}

/* ---- pointers (RFC 6901) ---- */

static bool unescape(text part, char *to, size_t size) {
    size_t len = 0;
    for (size_t i = 0; i < part.len; i++) {
        char c = part.ptr[i];
        if (c == '~' && i + 1 < part.len)
            c = part.ptr[++i] == '1' ? '/' : '~';
        if (len + 1 >= size || c == '\0')
            return false;
        to[len++] = c;
    }
    to[len] = '\0';
    return true;
}

static const json *at_pointer(const json *from, const char *pointer) {
    text rest = {pointer + 1, strlen(pointer + 1)}, part;
    while (from && text_next(&rest, '/', &part)) {
        char name[257];
        int64_t index;
        if (json_kind_of(from) == JSON_ARRAY)
            from = text_to_i64(part, 0, INT32_MAX, &index) == 0 ? json_at(from, (size_t)index) : NULL;
        else
            from = unescape(part, name, sizeof name) ? json_get(from, name) : NULL;
    }
    return from;
}

static const json *value_of(const json_map *m, field f, const json *tree) {
    return m->fields[f].at ? at_pointer(tree, m->fields[f].at) : NULL;
}

/* ---- values ---- */

/* Some say numbers in quotes. */
static double number_in(const json *value) {
    char copy[48], *end;
    json_kind kind = json_kind_of(value);
    if (kind == JSON_INTEGER || kind == JSON_NUMBER)
        return json_number(value);
    text spelled = kind == JSON_STRING ? text_trim(json_string(value)) : (text){0};
    if (spelled.len == 0 || spelled.len >= sizeof copy)
        return NAN;
    memcpy(copy, spelled.ptr, spelled.len);
    copy[spelled.len] = '\0';
    double number = strtod(copy, &end);
    return end == copy + spelled.len && isfinite(number) ? number : NAN;
}

static double number(const json_map *m, field f, const json *tree) {
    return number_in(value_of(m, f, tree)) * m->fields[f].times + m->fields[f].plus;
}

/* RFC 3339 in any of its forms: instant_parse() takes ours alone. */
static instant spelled_time(text t) {
    char copy[40];
    int year, month, day, hour, minute, used = 0, off_h = 0, off_m = 0;
    double second, sign = 0;
    if (t.len >= sizeof copy || t.len < 19)
        return 0;
    memcpy(copy, t.ptr, t.len);
    copy[t.len] = '\0';
    // the widths bound every number: NOLINTNEXTLINE(cert-err34-c)
    if (sscanf(copy, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%lf%n", &year, &month, &day, &hour, &minute, &second,
               &used) != 6)
        return 0;
    const char *zone = copy + used;
    if (*zone == '+' || *zone == '-') {
        sign = *zone == '+' ? 1 : -1;
        // NOLINTNEXTLINE(cert-err34-c)
        if (sscanf(zone + 1, "%2d:%2d", &off_h, &off_m) != 2)
            return 0;
    } else if (*zone != 'Z' && *zone != 'z' && *zone != '\0') {
        return 0;
    }
    char plain[64];
    instant at;
    if (second < 0 || second >= 60 || year < 1970 || year > 9999 ||
        snprintf(plain, sizeof plain, "%04d-%02d-%02dT%02d:%02d:%06.3fZ", year, month, day, hour, minute,
                 second > 59.999 ? 59.999 : second) != INSTANT_TEXT_LEN ||
        instant_parse(text_of(plain), &at) < 0)
        return 0;
    return at - (instant)(sign * (off_h * 3600 + off_m * 60)) * INSTANT_SECOND;
}

static instant time_in(const json_map *m, const json *tree) {
    const json *value = value_of(m, FIELD_AT, tree);
    double at = number_in(value);
    if (isnan(at))
        return json_kind_of(value) == JSON_STRING ? spelled_time(text_trim(json_string(value))) : 0;
    at = at * m->fields[FIELD_AT].times + m->fields[FIELD_AT].plus;
    double seconds = at >= MILLIS_FROM ? at / 1000 : at;
    return seconds > 0 && seconds < 253402300800.0 ? (instant)(seconds * (double)INSTANT_SECOND) : 0;
}

static void read_beats(const json_map *m, const json *tree, reading *r) {
    const json *list = value_of(m, FIELD_RR, tree);
    for (size_t i = 0;
         i < json_length(list) && json_kind_of(list) == JSON_ARRAY && r->rr_count < READING_RR_MAX; i++) {
        double beat = number_in(json_at(list, i)) * m->fields[FIELD_RR].times;
        if (isfinite(beat))
            r->rr_ms[r->rr_count++] = beat;
    }
}

static void read_body(const json_map *m, const json *tree, instant at, sensed *ret_body) {
    static const vital vitals[] = {VITAL_HR, VITAL_SPO2, VITAL_RESP, VITAL_TEMP, VITAL_SYS, VITAL_DIA};
    reading r = reading_at(at);
    for (size_t i = 0; i < ARRAY_LEN(vitals); i++)
        reading_put(&r, vitals[i], number(m, (field)(FIELD_HR + i), tree));
    read_beats(m, tree, &r);
    const json *contact = value_of(m, FIELD_CONTACT, tree);
    if (json_kind_of(contact) == JSON_BOOL)
        r.contact = json_boolean(contact) ? CONTACT_GOOD : CONTACT_NONE;
    else if (!isnan(number_in(contact)))
        r.contact = number_in(contact) != 0 ? CONTACT_GOOD : CONTACT_NONE;
    text event = json_string(value_of(m, FIELD_EVENT, tree));
    r.event = text_equal(event, TEXT("fall"))    ? EVENT_FALL
              : text_equal(event, TEXT("still")) ? EVENT_STILL
                                                 : EVENT_NOTHING;
    r.quality = number(m, FIELD_QUALITY, tree);
    r.motion = number(m, FIELD_MOTION, tree);
    r.battery = number(m, FIELD_BATTERY, tree);
    sensed_kind kind = reading_says_anything(&r) ? SENSED_READING
                       : !isnan(r.battery)       ? SENSED_BATTERY
                                                 : SENSED_NOTHING;
    *ret_body = (sensed){.kind = kind, .reading = r};
}

static void read_place(const json_map *m, const json *tree, instant at, sensed *ret_place) {
    fix f = fix_at(at, number(m, FIELD_LAT, tree), number(m, FIELD_LON, tree));
    f.accuracy = number(m, FIELD_ACCURACY, tree);
    f.altitude = number(m, FIELD_ALTITUDE, tree);
    f.speed = number(m, FIELD_SPEED, tree);
    f.heading = number(m, FIELD_HEADING, tree);
    bool there = isfinite(f.lat) && isfinite(f.lon);
    *ret_place = (sensed){.kind = there ? SENSED_FIX : SENSED_NOTHING, .fix = f};
}

sense_verdict json_map_read(json_map *m, text payload, json **ret_tree, json_found *ret_found) {
    CLEANUP(json_freep) json *tree = NULL;
    if (json_parse(m->parser, payload, &tree, NULL) != JSON_OK || json_kind_of(tree) != JSON_OBJECT)
        return SENSE_MALFORMED;
    instant at = time_in(m, tree);
    read_body(m, tree, at, &ret_found->body);
    read_place(m, tree, at, &ret_found->place);
    ret_found->person = json_string(value_of(m, FIELD_PERSON, tree));
    if (ret_found->body.kind == SENSED_NOTHING && ret_found->place.kind == SENSED_NOTHING)
        return SENSE_IGNORED;
    *ret_tree = tree;
    tree = NULL;
    return SENSE_GOOD;
}
