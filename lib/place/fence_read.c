/* fence_read.c - a zone as JSON has it (schemas/documents/zone.json), checked, and made a fence_zone. */
#include "place/fence_inside.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLYGONS_MAX 100
#define RINGS_MAX    1000
#define LINE_MAX     1000
#define LIST_MAX     100
#define TITLE_MAX    400 /* bytes: 100 characters */
#define DWELL_MAX    604800
#define SPEED_MAX    350
#define MARGIN_PART  0.1
#define MARGIN_LEAST 20.0

fence_zone *fence_zone_free(fence_zone *z) {
    if (!z)
        return NULL;
    (void)shape_free(z->where);
    schedule_release(&z->when);
    (void)json_free(z->document);
    free(z->name);
    free(z);
    return NULL;
}

PRINTF_LIKE(2, 3) static int refuse(char *why, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, FENCE_WHY_MAX, format, args);
    va_end(args);
    return -EBADMSG;
}

/* ---- members ---- */

typedef struct known {
    const char *place;
    const char *const *names;
    size_t count;
    char *why;
} known;

static int see_member(void *context, const char *name, const json *value) {
    known *k = context;
    (void)value;
    for (size_t i = 0; i < k->count; i++)
        if (strcmp(k->names[i], name) == 0)
            return 0;
    return refuse(k->why, "%s%sthere is no '%.40s' here", k->place, *k->place ? ": " : "", name);
}

#define KNOWN(value, place, why, ...)                                                                        \
    object(value, place, (const char *const[]){__VA_ARGS__},                                                 \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *), why)

static int object(const json *value, const char *place, const char *const *names, size_t count, char *why) {
    if (json_kind_of(value) != JSON_OBJECT)
        return refuse(why, "%s%smust be an object", place, *place ? ": " : "");
    return json_each(value, see_member, &(known){place, names, count, why});
}

static bool is_number(const json *value) {
    json_kind kind = json_kind_of(value);
    return (kind == JSON_INTEGER || kind == JSON_NUMBER) && isfinite(json_number(value));
}

/* `*ret_value` stays when there is no such member. */
static int number(const json *in, const char *name, double least, double most, double *ret_value, char *why) {
    const json *value;
    if (!json_member(in, name, &value))
        return 0;
    if (!is_number(value) || json_number(value) < least || json_number(value) > most)
        return refuse(why, "%s: must be a number from %g to %g", name, least, most);
    *ret_value = json_number(value);
    return 0;
}

/* ---- shapes ---- */

static int read_spot(const json *value, spot *ret_spot, char *why) {
    const json *lon = json_at(value, 0), *lat = json_at(value, 1);
    if (json_kind_of(value) != JSON_ARRAY || json_length(value) < 2 || json_length(value) > 3 ||
        !is_number(lon) || !is_number(lat))
        return refuse(why, "shape: a position must be [longitude, latitude]");
    spot s = {json_number(lon), json_number(lat)};
    if (fabs(s.lon) > 180 || fabs(s.lat) > 90)
        return refuse(why,
                      "shape: there is no longitude %g, latitude %g; positions are [longitude, latitude]",
                      s.lon, s.lat);
    *ret_spot = s;
    return 0;
}

static void outline_release(outline *o) {
    free(o->spots);
    free(o->ring_ends);
    free(o->polygon_ends);
}

static int add_ring(outline *o, const json *ring, char *why) {
    size_t count = json_length(ring), from = o->spot_count;
    if (json_kind_of(ring) != JSON_ARRAY || count < 4)
        return refuse(why, "shape: a ring must be a list of at least four positions");
    if (o->ring_count == RINGS_MAX || count > SHAPE_POINTS_MAX - o->spot_count)
        return refuse(why, "shape: more than %d rings or %d positions", RINGS_MAX, SHAPE_POINTS_MAX);
    for (size_t i = 0; i < count; i++) {
        int fault = read_spot(json_at(ring, i), &o->spots[o->spot_count++], why);
        if (fault < 0)
            return fault;
    }
    const spot *first = &o->spots[from], *last = &o->spots[o->spot_count - 1];
    if (first->lon != last->lon || first->lat != last->lat)
        return refuse(why, "shape: a ring must end where it begins");
    o->ring_ends[o->ring_count++] = o->spot_count;
    return 0;
}

static int add_polygon(outline *o, const json *rings, char *why) {
    size_t count = json_length(rings);
    int fault = 0;
    if (json_kind_of(rings) != JSON_ARRAY || count == 0)
        return refuse(why, "shape: a polygon must be a list of rings");
    for (size_t i = 0; fault == 0 && i < count; i++)
        fault = add_ring(o, json_at(rings, i), why);
    if (fault == 0)
        o->polygon_ends[o->polygon_count++] = o->ring_count;
    return fault;
}

static int read_outline(const json *polygons, bool many, outline *o, char *why) {
    size_t count = many ? json_length(polygons) : 1;
    if (many && (json_kind_of(polygons) != JSON_ARRAY || count == 0 || count > POLYGONS_MAX))
        return refuse(why, "shape: must have 1 to %d polygons", POLYGONS_MAX);
    o->spots = calloc(SHAPE_POINTS_MAX, sizeof *o->spots);
    o->ring_ends = calloc(RINGS_MAX, sizeof *o->ring_ends);
    o->polygon_ends = calloc(POLYGONS_MAX, sizeof *o->polygon_ends);
    int fault = o->spots && o->ring_ends && o->polygon_ends ? 0 : -ENOMEM;
    for (size_t i = 0; fault == 0 && i < count; i++)
        fault = add_polygon(o, many ? json_at(polygons, i) : polygons, why);
    return fault;
}

/* What shape.c refuses is said of "shape". */
static int say(int fault, const char *why_not, char *why) {
    return fault == -EBADMSG ? refuse(why, "shape: %s", why_not) : fault;
}

static int read_polygons(yard *y, const json *from, bool many, shape **ret_shape, char *why) {
    CLEANUP(outline_release) outline o = {0};
    char not [SHAPE_WHY_MAX] = "";
    int fault = KNOWN(from, "shape", why, "type", "coordinates");
    if (fault == 0)
        fault = read_outline(json_get(from, "coordinates"), many, &o, why);
    return fault < 0 ? fault : say(shape_polygons(y, &o, ret_shape, not ), not, why);
}

static int read_circle(yard *y, const json *circle, shape **ret_shape, char *why) {
    char not [SHAPE_WHY_MAX] = "";
    spot middle = {NAN, NAN};
    double radius = NAN;
    int fault = KNOWN(circle, "shape.circle", why, "lat", "lon", "radius");
    if (fault == 0)
        fault = number(circle, "lat", -90, 90, &middle.lat, why);
    if (fault == 0)
        fault = number(circle, "lon", -180, 180, &middle.lon, why);
    if (fault == 0)
        fault = number(circle, "radius", 5, SHAPE_ACROSS_MAX / 2, &radius, why);
    if (fault == 0 && (isnan(middle.lat) || isnan(middle.lon) || isnan(radius)))
        return refuse(why, "shape.circle: must have lat, lon and radius");
    return fault < 0 ? fault : say(shape_circle(y, middle, radius, ret_shape, not ), not, why);
}

static int read_line(const json *line, spot **ret_line, size_t *ret_count, char *why) {
    size_t count = json_length(line);
    if (json_kind_of(line) != JSON_ARRAY || count < 2 || count > LINE_MAX)
        return refuse(why, "shape.corridor.line: must be a list of 2 to %d positions", LINE_MAX);
    spot *made = calloc(count, sizeof *made);
    int fault = made ? 0 : -ENOMEM;
    for (size_t i = 0; fault == 0 && i < count; i++)
        fault = read_spot(json_at(line, i), &made[i], why);
    if (fault < 0) {
        free(made);
        return fault;
    }
    *ret_line = made;
    *ret_count = count;
    return 0;
}

static int read_corridor(yard *y, const json *corridor, shape **ret_shape, char *why) {
    CLEANUP(freep) spot *line = NULL;
    char not [SHAPE_WHY_MAX] = "";
    size_t count = 0;
    double width = NAN;
    int fault = KNOWN(corridor, "shape.corridor", why, "line", "width");
    if (fault == 0)
        fault = number(corridor, "width", 10, 10000, &width, why);
    if (fault == 0 && isnan(width))
        return refuse(why, "shape.corridor: must have a line and a width");
    if (fault == 0)
        fault = read_line(json_get(corridor, "line"), &line, &count, why);
    return fault < 0 ? fault : say(shape_corridor(y, line, count, width, ret_shape, not ), not, why);
}

static int read_shape(yard *y, const json *from, shape **ret_shape, char *why) {
    text type = json_get_string(from, "type");
    const json *circle = json_get(from, "circle"), *corridor = json_get(from, "corridor");
    int fault;
    if (type.ptr && (text_equal(type, TEXT("Polygon")) || text_equal(type, TEXT("MultiPolygon"))))
        return read_polygons(y, from, text_equal(type, TEXT("MultiPolygon")), ret_shape, why);
    if (circle) {
        fault = KNOWN(from, "shape", why, "circle");
        return fault < 0 ? fault : read_circle(y, circle, ret_shape, why);
    }
    if (corridor) {
        fault = KNOWN(from, "shape", why, "corridor");
        return fault < 0 ? fault : read_corridor(y, corridor, ret_shape, why);
    }
    return refuse(why, "shape: must be a circle, a corridor, or GeoJSON's Polygon or MultiPolygon");
}

/* ---- the rest ---- */

static int read_list(const json *in, const char *name, const json **ret_list, char *why) {
    const json *list;
    if (!json_member(in, name, &list))
        return 0;
    if (json_kind_of(list) != JSON_ARRAY || json_length(list) == 0 || json_length(list) > LIST_MAX)
        return refuse(why, "for.%s: must be a list of 1 to %d", name, LIST_MAX);
    for (size_t i = 0; i < json_length(list); i++)
        if (json_string(json_at(list, i)).len == 0)
            return refuse(why, "for.%s: must be a list of names", name);
    *ret_list = list;
    return 0;
}

static int read_for(fence_zone *z, char *why) {
    const json *whom;
    if (!json_member(z->document, "for", &whom))
        return 0;
    int fault = KNOWN(whom, "for", why, "roles", "people");
    if (fault == 0)
        fault = read_list(whom, "roles", &z->roles, why);
    if (fault == 0)
        fault = read_list(whom, "people", &z->people, why);
    return fault == 0 && !z->roles && !z->people ? refuse(why, "for: must name roles or people") : fault;
}

static int read_alarm(const json *document, char *why) {
    static const char *const words[] = {"none", "note", "ask", "raise"};
    const json *value, *on = NULL;
    bool good = false, none = false;
    (void)json_member(document, "alarm_on", &on);
    if (!json_member(document, "alarm", &value))
        return on ? refuse(why, "alarm_on: there is no alarm") : 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        good = good || text_equal(json_string(value), text_of(words[i]));
    if (!good)
        return refuse(why, "alarm: must be none, note, ask or raise");
    none = text_equal(json_string(value), TEXT("none"));
    if (!none && (json_kind_of(on) != JSON_ARRAY || json_length(on) == 0))
        return refuse(why, "alarm_on: must be a list of what it is for: entered, left, dwelled, passed, "
                           "left_unchecked, speeding");
    for (size_t i = 0; i < json_length(on); i++)
        if (fence_kind_of(json_string(json_at(on, i))) == FENCE_NONE)
            return refuse(why,
                          "alarm_on: must be of entered, left, dwelled, passed, left_unchecked, speeding");
    return 0;
}

static int read_flags(fence_zone *z, char *why) {
    double dwell = 0;
    const json *value;
    z->limit = NAN;
    double within = 0;
    int fault = number(z->document, "dwell", 1, DWELL_MAX, &dwell, why);
    if (fault == 0)
        fault = number(z->document, "answer_within", 10, 3600, &within, why);
    if (fault == 0)
        fault = number(z->document, "speed_limit", 0.5, SPEED_MAX, &z->limit, why);
    if (fault == 0 && json_member(z->document, "check_in", &value)) {
        if (json_kind_of(value) != JSON_BOOL)
            return refuse(why, "check_in: must be true or false");
        z->check_in = json_boolean(value);
    }
    z->dwell = (instant)(dwell * (double)INSTANT_SECOND);
    return fault;
}

static int read_name(fence_zone *z, char *why) {
    text name = json_get_string(z->document, "zone");
    bool good = name.len > 0 && name.len <= FENCE_ZONE_MAX && text_is_utf8(name);
    for (size_t i = 0; good && i < name.len; i++) /* the C1 controls are 0xc2 0x80 to 0xc2 0x9f */
        good = !strchr("/+#\x7f", name.ptr[i]) && (uint8_t)name.ptr[i] >= 0x20 &&
               !(i > 0 && (uint8_t)name.ptr[i - 1] == 0xc2 && (uint8_t)name.ptr[i] < 0xa0);
    if (!good)
        return refuse(why, "zone: must be a name of 1 to %d bytes that fits into a level of a topic",
                      FENCE_ZONE_MAX);
    z->name = text_copy(name);
    return z->name ? 0 : -ENOMEM;
}

/* What people see and hear: in messages that have their bounds. */
static int read_title(fence_zone *z, char *why) {
    const json *value;
    if (!json_member(z->document, "name", &value))
        return 0;
    text name = json_string(value);
    bool good = name.len > 0 && name.len <= TITLE_MAX && text_is_utf8(name);
    for (size_t i = 0; good && i < name.len; i++)
        good = (uint8_t)name.ptr[i] >= 0x20 && name.ptr[i] != 0x7f;
    return good ? 0 : refuse(why, "name: must be a name of 1 to 100 characters");
}

static int read_schedule(fence_zone *z, char *why) {
    const json *value;
    char not [SCHEDULE_WHY_MAX] = "";
    if (!json_member(z->document, "schedule", &value))
        return 0;
    int fault = schedule_read(value, &z->when, not );
    return fault == -EBADMSG ? refuse(why, "%s", not ) : fault;
}

static int read_all(yard *y, fence_zone *z, char *why) {
    int fault = KNOWN(z->document, "", why, "v", "zone", "name", "shape", "schedule", "dwell", "speed_limit",
                      "check_in", "for", "alarm", "alarm_on", "answer_within");
    if (fault == 0)
        fault = read_name(z, why);
    if (fault == 0)
        fault = read_title(z, why);
    if (fault == 0)
        fault = read_flags(z, why);
    if (fault == 0)
        fault = read_for(z, why);
    if (fault == 0)
        fault = read_alarm(z->document, why);
    if (fault == 0)
        fault = read_schedule(z, why);
    if (fault == 0)
        fault = read_shape(y, json_get(z->document, "shape"), &z->where, why);
    return fault;
}

int fence_zone_read(yard *y, const json *from, fence_zone **ret_zone, char ret_why[FENCE_WHY_MAX]) {
    if (json_kind_of(from) != JSON_OBJECT)
        return refuse(ret_why, "a zone must be an object");
    fence_zone *z = calloc(1, sizeof *z);
    int fault = z && (z->document = json_share(from)) ? 0 : -ENOMEM;
    if (fault == 0)
        fault = read_all(y, z, ret_why);
    if (fault < 0) {
        (void)fence_zone_free(z);
        return fault;
    }
    z->margin = fmax(MARGIN_LEAST, MARGIN_PART * shape_size(z->where));
    *ret_zone = z;
    return 0;
}

static bool holds(const json *list, text name) {
    for (size_t i = 0; i < json_length(list); i++)
        if (text_equal(json_string(json_at(list, i)), name))
            return true;
    return false;
}

bool fence_zone_for(const fence_zone *z, text person, const text *roles, size_t role_count) {
    if (!z->roles && !z->people)
        return true;
    if (holds(z->people, person))
        return true;
    for (size_t i = 0; i < role_count; i++)
        if (holds(z->roles, roles[i]))
            return true;
    return false;
}
