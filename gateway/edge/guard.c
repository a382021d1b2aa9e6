/* guard.c - see edge/guard.h. */
#include "gateway/edge/guard.h"

#include <math.h>

#define AHEAD        (2 * INSTANT_SECOND)
#define WORTH_SAYING (60 * INSTANT_SECOND)
#define LONG_AGO     (31 * 86400 * INSTANT_SECOND)
#define SAME_SKEW    (2 * INSTANT_SECOND)
#define STEADY_COUNT 4
#define STEADY_MS    3000
#define FASTEST      350.0 /* m/s */
#define LEAPS_MAX    3     /* then it has really been taken there */
#define STILL_MS     (15 * 60 * 1000)
#define STILL_COUNT  60
#define PLACES_MAX   60

bool guard_flows(guard_flow *f, double rate, int64_t ms) {
    double most = rate * 2 < 2 ? 2 : rate * 2;
    if (!f->at_ms)
        f->left = most;
    else
        f->left += rate * (double)(ms - f->at_ms) / 1000;
    f->at_ms = ms ? ms : 1;
    if (f->left > most)
        f->left = most;
    if (f->left < 1)
        return false;
    f->left -= 1;
    return true;
}

/* ---- time ---- */

static int64_t distance_of(int64_t a, int64_t b) {
    return a > b ? a - b : b - a;
}

/* A store being emptied comes faster than it was filled, so its skew moves; a wrong clock's stands. */
static bool is_off(guard *g, int64_t skew, int64_t ms) {
    if (distance_of(skew, g->skew) > SAME_SKEW || g->steady == 0) {
        g->steady = 0;
        g->steady_ms = ms;
    }
    g->skew = skew;
    g->steady++;
    return g->steady >= STEADY_COUNT && ms - g->steady_ms >= STEADY_MS;
}

static instant time_of(guard *g, instant at, instant now, int64_t ms, unsigned *wrong) {
    if (at <= 0)
        return now;
    int64_t skew = at - now;
    bool off = is_off(g, skew, ms);
    if (skew > AHEAD || skew < -LONG_AGO || (off && skew < -WORTH_SAYING)) {
        if (skew > WORTH_SAYING || skew < -WORTH_SAYING)
            *wrong |= GUARD_RETIMED;
        return now;
    }
    return at;
}

/* ---- values ---- */

static const struct {
    double least, most;
} possible[VITALS] = {
    [VITAL_HR] = {15, 300},  [VITAL_SPO2] = {20, 100}, [VITAL_RESP] = {0, 120},
    [VITAL_TEMP] = {20, 46}, [VITAL_SYS] = {30, 320},  [VITAL_DIA] = {10, 250},
};

static void clear(reading *r, vital which, unsigned *wrong) {
    r->has &= ~(1u << which);
    r->value[which] = NAN;
    *wrong |= GUARD_CLEARED;
}

static void bound(double *value, double least, double most, unsigned *wrong) {
    if (isnan(*value) || (*value >= least && *value <= most))
        return;
    *value = NAN;
    *wrong |= GUARD_CLEARED;
}

/* A strap that lies on a table says 0 beats. */
static void look_for_skin(reading *r) {
    if (reading_has(r, VITAL_HR) && r->value[VITAL_HR] == 0 && r->contact == CONTACT_UNKNOWN)
        r->contact = CONTACT_NONE;
}

static void clear_beats(reading *r, unsigned *wrong) {
    size_t kept = 0, count = r->rr_count < READING_RR_MAX ? r->rr_count : READING_RR_MAX;
    for (size_t i = 0; i < count; i++)
        if (r->rr_ms[i] >= 150 && r->rr_ms[i] <= 10000)
            r->rr_ms[kept++] = r->rr_ms[i];
    *wrong |= kept < r->rr_count ? GUARD_CLEARED : 0;
    r->rr_count = kept;
}

static void clear_reading(reading *r, unsigned *wrong) {
    look_for_skin(r);
    for (vital v = 0; v < VITALS; v++)
        if (reading_has(r, v) && !(r->value[v] >= possible[v].least && r->value[v] <= possible[v].most))
            clear(r, v, wrong);
    if (reading_has(r, VITAL_SYS) && reading_has(r, VITAL_DIA) && r->value[VITAL_DIA] > r->value[VITAL_SYS]) {
        clear(r, VITAL_SYS, wrong);
        clear(r, VITAL_DIA, wrong);
    }
    clear_beats(r, wrong);
    bound(&r->quality, 0, 100, wrong);
    bound(&r->motion, 0, 50, wrong);
    bound(&r->battery, 0, 100, wrong);
}

/* No heart beats by the same number for a quarter of an hour. */
static void look_for_stillness(guard *g, reading *r, int64_t ms, unsigned *wrong) {
    if (!reading_has(r, VITAL_HR))
        return;
    bool same = g->hr_count && r->value[VITAL_HR] == g->hr;
    bool varied = false;
    for (size_t i = 1; i < r->rr_count; i++)
        varied |= r->rr_ms[i] != r->rr_ms[0];
    if (!same || varied) {
        g->hr = r->value[VITAL_HR];
        g->hr_count = 0;
        g->hr_ms = ms;
    }
    g->hr_count++;
    if (g->hr_count >= STILL_COUNT && ms - g->hr_ms >= STILL_MS) {
        r->quality = 0;
        *wrong |= GUARD_STUCK;
    }
}

/* ---- places ---- */

static bool is_possible(const fix *f) {
    return isfinite(f->lat) && isfinite(f->lon) && fabs(f->lat) <= 90 && fabs(f->lon) <= 180 &&
           !(f->lat == 0 && f->lon == 0); /* what receivers say that know nothing */
}

static void clear_fix(fix *f, unsigned *wrong) {
    bound(&f->accuracy, 0, 1000000, wrong);
    bound(&f->altitude, -12000, 100000, wrong);
    bound(&f->speed, 0, FASTEST, wrong);
    bound(&f->heading, 0, 360, wrong);
    if (f->heading == 360)
        f->heading = 0;
}

static double doubt(const fix *f) {
    return isnan(f->accuracy) ? 50 : f->accuracy;
}

static bool leaps(guard *g, const fix *f) {
    double seconds = (double)distance_of(f->at, g->last.at) / (double)INSTANT_SECOND;
    double fastest = FASTEST * (g->haste > 1 ? g->haste : 1);
    if (!g->last.at || fix_distance(&g->last, f) <= fastest * (seconds + 1) + doubt(f) + doubt(&g->last))
        return false;
    return ++g->leaps <= LEAPS_MAX;
}

static guard_verdict judge_fix(guard *g, fix *f, unsigned *wrong) {
    if (!is_possible(f) || leaps(g, f))
        return GUARD_IMPOSSIBLE;
    clear_fix(f, wrong);
    bool same = g->last.at && f->lat == g->last.lat && f->lon == g->last.lon && f->speed > 2;
    g->place_count = same ? g->place_count + 1 : 0;
    if (g->place_count >= PLACES_MAX)
        *wrong |= GUARD_STUCK;
    g->last = *f;
    g->leaps = 0;
    return GUARD_TAKEN;
}

guard_verdict guard_judge(guard *g, sensed *one, instant now, int64_t ms, unsigned *ret_wrong) {
    unsigned wrong = 0;
    guard_verdict verdict = GUARD_IMPOSSIBLE;
    switch (one->kind) {
    case SENSED_NOTHING:
        break;
    case SENSED_READING:
        one->reading.at = time_of(g, one->reading.at, now, ms, &wrong);
        clear_reading(&one->reading, &wrong);
        look_for_stillness(g, &one->reading, ms, &wrong);
        verdict = reading_says_anything(&one->reading) ? GUARD_TAKEN : GUARD_IMPOSSIBLE;
        break;
    case SENSED_FIX:
        one->fix.at = time_of(g, one->fix.at, now, ms, &wrong);
        verdict = judge_fix(g, &one->fix, &wrong);
        break;
    case SENSED_BATTERY:
        bound(&one->reading.battery, 0, 100, &wrong);
        verdict = isnan(one->reading.battery) ? GUARD_IMPOSSIBLE : GUARD_TAKEN;
        break;
    }
    *ret_wrong = wrong;
    return verdict;
}
