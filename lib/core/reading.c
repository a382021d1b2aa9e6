/* reading.c - see reading.h. */
#include "core/reading.h"

#include <math.h>

#define EARTH_M 6371008.8

static const char *const names[VITALS] = {
    [VITAL_HR] = "hr",     [VITAL_SPO2] = "spo2", [VITAL_RESP] = "resp",
    [VITAL_TEMP] = "temp", [VITAL_SYS] = "sys",   [VITAL_DIA] = "dia",
};

reading reading_at(instant at) {
    reading r = {.at = at, .quality = NAN, .motion = NAN, .battery = NAN};
    for (size_t i = 0; i < VITALS; i++)
        r.value[i] = NAN;
    return r;
}

void reading_put(reading *r, vital which, double value) {
    if (!isfinite(value))
        return;
    r->value[which] = value;
    r->has |= 1u << which;
}

bool reading_has(const reading *r, vital which) {
    return (r->has & 1u << which) != 0;
}

bool reading_says_anything(const reading *r) {
    return r->has || r->rr_count > 0 || r->contact != CONTACT_UNKNOWN || r->event != EVENT_NOTHING;
}

const char *vital_name(vital which) {
    return which < VITALS ? names[which] : "";
}

fix fix_at(instant at, double lat, double lon) {
    return (fix){at, lat, lon, NAN, NAN, NAN, NAN};
}

double fix_distance(const fix *a, const fix *b) {
    const double rad = 3.14159265358979323846 / 180;
    double up = sin((b->lat - a->lat) * rad / 2), aside = sin((b->lon - a->lon) * rad / 2);
    double h = up * up + cos(a->lat * rad) * cos(b->lat * rad) * aside * aside;
    return 2 * EARTH_M * asin(sqrt(h > 1 ? 1 : h));
}
