/* gpx.c - GPX 1.0 and 1.1 to fixes and readings; see recording_format in sense.h. Track points only:
 * waypoints and routes are plans, not recordings. The heart rate comes from any maker's extension (an element
 * `hr` or `heartrate` inside the point); cadence, power and the temperature of the air are none of ours. */
#include "sense/inside.h"
#include "sense/xml.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define RANGE_ERROR 5.0 /* metres for a dilution of 1, as in nmea.c */

typedef struct gpx {
    bool in_point, timed;
    fix place;
    reading body;
    uint64_t points, timeless;
    bool (*visit)(void *context, const sensed *one);
    void *context;
    bool ended;
} gpx;

static void begin_point(gpx *g, const char *const *attributes) {
    g->in_point = true;
    g->timed = false;
    g->place = fix_at(0, NAN, NAN);
    g->body = reading_at(0);
    for (size_t i = 0; attributes[i]; i += 2) {
        text value = text_trim(text_of(attributes[i + 1]));
        if (strcmp(attributes[i], "lat") == 0)
            (void)!parse_number(value, false, &g->place.lat);
        else if (strcmp(attributes[i], "lon") == 0)
            (void)!parse_number(value, false, &g->place.lon);
    }
}

static void on_open(void *context, const char *name, const char *const *attributes) {
    if (strcmp(name, "trkpt") == 0)
        begin_point(context, attributes);
}

static void take(gpx *g, const char *name, const char *parent, text content) {
    double value;
    if (strcmp(name, "time") == 0 && strcmp(parent, "trkpt") == 0) {
        g->timed = parse_moment(content, &g->place.at);
        return;
    }
    if (!parse_number(content, false, &value))
        return;
    if (strcmp(name, "ele") == 0)
        g->place.altitude = value;
    else if (strcmp(name, "speed") == 0)
        g->place.speed = value;
    else if (strcmp(name, "course") == 0)
        g->place.heading = value;
    else if (strcmp(name, "hdop") == 0 && value > 0)
        g->place.accuracy = value * RANGE_ERROR;
    else if (strcmp(name, "hr") == 0 || strcmp(name, "heartrate") == 0)
        sense_put(&g->body, VITAL_HR, value);
}

static bool show(gpx *g, const sensed *one) {
    g->ended = !g->visit(g->context, one);
    return !g->ended;
}

static bool end_point(gpx *g) {
    g->in_point = false;
    g->points++;
    g->timeless += !g->timed;
    if (!g->timed)
        return true;
    g->body.at = g->place.at;
    sensed place = {.kind = SENSED_FIX, .fix = g->place};
    if (sense_tidy(&place.fix) && !show(g, &place))
        return false;
    sensed body = {.kind = SENSED_READING, .reading = g->body};
    return !reading_says_anything(&g->body) || show(g, &body);
}

static bool on_close(void *context, const char *name, const char *parent, text content) {
    gpx *g = context;
    if (!g->in_point)
        return true;
    if (strcmp(name, "trkpt") == 0)
        return end_point(g);
    take(g, name, parent, content);
    return true;
}

static int play(const unsigned char *bytes, size_t len, bool (*visit)(void *context, const sensed *one),
                void *context, char ret_why[256]) {
    gpx g = {.visit = visit, .context = context};
    int fault =
        xml_read(bytes, len, &(xml_visitor){.open = on_open, .close = on_close, .context = &g}, ret_why);
    if (fault == 0 && !g.ended && g.points > 0 && g.timeless == g.points) {
        (void)snprintf(ret_why, 256, "none of its %llu points has a time: it is a way to go, not a recording",
                       (unsigned long long)g.points);
        return -EBADMSG;
    }
    return fault;
}

static bool fits(const unsigned char *bytes, size_t len) {
    return xml_begins_with(bytes, len, "gpx");
}

extern const recording_format recording_gpx;
const recording_format recording_gpx = {.name = "gpx", .fits = fits, .play = play};
