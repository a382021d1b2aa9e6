/* tcx.c - TCX (Training Center XML) to fixes and readings; see recording_format in sense.h. A Trackpoint has
 * its time always, a position and a heart rate where there was one; the sums of a lap are none of ours. */
#include "sense/inside.h"
#include "sense/xml.h"

#include <math.h>
#include <string.h>

typedef struct tcx {
    bool in_point, timed;
    fix place;
    reading body;
    bool (*visit)(void *context, const sensed *one);
    void *context;
} tcx;

static void on_open(void *context, const char *name, const char *const *attributes) {
    tcx *t = context;
    (void)attributes;
    if (strcmp(name, "Trackpoint") != 0)
        return;
    t->in_point = true;
    t->timed = false;
    t->place = fix_at(0, NAN, NAN);
    t->body = reading_at(0);
}

static void take(tcx *t, const char *name, const char *parent, text content) {
    double value;
    if (strcmp(name, "Time") == 0) {
        t->timed = parse_moment(content, &t->place.at);
        return;
    }
    if (!parse_number(content, false, &value))
        return;
    if (strcmp(name, "LatitudeDegrees") == 0)
        t->place.lat = value;
    else if (strcmp(name, "LongitudeDegrees") == 0)
        t->place.lon = value;
    else if (strcmp(name, "AltitudeMeters") == 0)
        t->place.altitude = value;
    else if (strcmp(name, "Speed") == 0)
        t->place.speed = value;
    else if (strcmp(name, "Value") == 0 && strcmp(parent, "HeartRateBpm") == 0)
        sense_put(&t->body, VITAL_HR, value);
}

static bool end_point(tcx *t) {
    t->in_point = false;
    if (!t->timed)
        return true;
    t->body.at = t->place.at;
    sensed place = {.kind = SENSED_FIX, .fix = t->place};
    if (sense_tidy(&place.fix) && !t->visit(t->context, &place))
        return false;
    sensed body = {.kind = SENSED_READING, .reading = t->body};
    return !reading_says_anything(&t->body) || t->visit(t->context, &body);
}

static bool on_close(void *context, const char *name, const char *parent, text content) {
    tcx *t = context;
    if (!t->in_point)
        return true;
    if (strcmp(name, "Trackpoint") == 0)
        return end_point(t);
    take(t, name, parent, content);
    return true;
}

static int play(const unsigned char *bytes, size_t len, bool (*visit)(void *context, const sensed *one),
                void *context, char ret_why[256]) {
    tcx t = {.visit = visit, .context = context};
    return xml_read(bytes, len, &(xml_visitor){.open = on_open, .close = on_close, .context = &t}, ret_why);
}

static bool fits(const unsigned char *bytes, size_t len) {
    return xml_begins_with(bytes, len, "TrainingCenterDatabase");
}

extern const recording_format recording_tcx;
const recording_format recording_tcx = {.name = "tcx", .fits = fits, .play = play};
