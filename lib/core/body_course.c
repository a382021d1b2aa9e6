/* body_course.c - what is usual for this person, where a vital is going, and heart-rate variability.
 *
 * Usual is a mean over time at rest, long and slow: it begins with what most people have, as if that had been
 * seen for a minute, and no single value moves it far. Nothing is learned while something is wrong.
 * The trend is the distance of two running means: of a value that rises evenly, a mean lags by its own time,
 * so that two a minute apart differ by what it rises in a minute. */
#include <string.h>
#include "core/body_private.h"

#define FAST_S         15.0
#define SLOW_S         75.0 /* one minute behind the other */
#define GAP_US         (600 * INSTANT_SECOND)
#define LEARN_MOST_MS  (4 * 3600 * INT64_C(1000))
#define LEARN_FIRST_MS INT64_C(60000)
#define KNOWN_MS       INT64_C(60000)
#define LEARN_STEP_US  (30 * INSTANT_SECOND)
#define FINE_US        (900 * INSTANT_SECOND)
#define REST_FIRST_US  (60 * INSTANT_SECOND)
#define PEAK_US        (5 * INSTANT_SECOND)
#define BEAT_US        (30 * INSTANT_SECOND)
#define RR_PAIRS       30 /* fewer differences say nothing */

typedef struct ordinary {
    double value, least, most, far; /* of most people at rest; how far a single value counts */
} ordinary;

static const ordinary rows[VITALS] = {
    [VITAL_HR] = {70, 36, 100, 20},     [VITAL_SPO2] = {97, 90, 100, 3},  [VITAL_RESP] = {15, 8, 24, 5},
    [VITAL_TEMP] = {36.8, 36, 37.8, 1}, [VITAL_SYS] = {120, 90, 160, 20}, [VITAL_DIA] = {80, 50, 100, 15},
};

void body_begin(body *b) {
    for (vital v = VITAL_HR; v < VITALS; v++)
        b->of[v] = (course){.value = NAN,
                            .usual = NAN,
                            .fast = NAN,
                            .slow = NAN,
                            .rumour = NAN,
                            .raw = NAN,
                            .raw_before = NAN};
    b->rr_usual = b->rr_last = b->motion = b->quality = b->quality_before = NAN;
}

/* ---- usual ---- */

static double given(const body_limits *l, vital which) {
    return which == VITAL_HR ? l->settings[SETTING_USUAL_PULSE] : NAN;
}

double body_usual(const body *b, const body_limits *l, vital which) {
    return b->of[which].learned_ms >= KNOWN_MS ? b->of[which].usual : given(l, which);
}

double body_supposed(const body *b, const body_limits *l, vital which) {
    if (!isnan(b->of[which].usual))
        return b->of[which].usual;
    double told = given(l, which);
    return isnan(told) ? rows[which].value : told;
}

/* What the person has called OK is learned from, too: a heart that has always been slow would else be asked
 * about again and again. */
static bool learnable(const body *b, instant at) {
    bool troubled = b->trouble_at && at - b->trouble_at < REST_FIRST_US;
    bool fine = b->excused_at && at - b->excused_at < FINE_US;
    return b->context == CONTEXT_REST && (b->active_at == 0 || at - b->active_at >= REST_FIRST_US) &&
           (!troubled || fine);
}

static void learn_usual(body *b, const body_limits *l, vital which, int64_t us) {
    course *c = &b->of[which];
    const ordinary *o = &rows[which];
    if (isnan(c->usual))
        c->usual = body_supposed(b, l, which);
    int64_t ms = (us < LEARN_STEP_US ? us : LEARN_STEP_US) / MS;
    double off = fmax(-o->far, fmin(o->far, c->value - c->usual));
    c->usual += off * (double)ms / (double)(c->learned_ms + LEARN_FIRST_MS + ms);
    c->usual = fmax(o->least, fmin(o->most, c->usual));
    if (c->learned_ms < LEARN_MOST_MS)
        c->learned_ms += ms;
}

/* ---- where it goes ---- */

static void follow(course *c, int64_t us) {
    double s = (double)us / INSTANT_SECOND;
    if (isnan(c->fast) || us > GAP_US) {
        c->fast = c->slow = c->value;
        return;
    }
    c->fast += (c->value - c->fast) * s / (s + FAST_S);
    c->slow += (c->value - c->slow) * s / (s + SLOW_S);
}

double body_trend(const body *b, vital which, instant at) {
    return body_fresh(b, which, at) ? b->of[which].fast - b->of[which].slow : NAN;
}

/* The highest of the last minute, of the running mean: one wrong value makes no peak. */
static void peak(body *b, instant at) {
    int64_t now = at / PEAK_US;
    if (now - b->peak_bucket >= DROP_BUCKETS)
        memset(b->peak, 0, sizeof b->peak);
    else
        for (int64_t i = b->peak_bucket + 1; i <= now; i++)
            b->peak[i % DROP_BUCKETS] = 0;
    double *top = &b->peak[now % DROP_BUCKETS];
    *top = fmax(*top, b->of[VITAL_HR].fast);
    b->peak_bucket = now;
}

double body_drop(const body *b, instant at) {
    if (!body_fresh(b, VITAL_HR, at))
        return NAN;
    double top = 0;
    for (size_t i = 0; i < DROP_BUCKETS; i++)
        top = fmax(top, b->peak[i]);
    return top - b->of[VITAL_HR].value;
}

void body_learn(body *b, const body_limits *l, unsigned news, const instant before[VITALS], instant at) {
    bool at_rest = learnable(b, at);
    for (vital v = VITAL_HR; v < VITALS; v++) {
        if (!(news & 1u << v))
            continue;
        int64_t us = before[v] ? at - before[v] : 0;
        follow(&b->of[v], us);
        if (at_rest && !(b->odd & 1 << v))
            learn_usual(b, l, v, us);
    }
    if (news & 1u << VITAL_HR)
        peak(b, at);
}

/* ---- heart-rate variability: RMSSD over five minutes (Task Force 1996), beats that are none left out ----
 */

static void new_bucket(body *b, instant at) {
    int64_t now = at / BEAT_US;
    int64_t from = now - b->rr_bucket >= RR_BUCKETS ? now - RR_BUCKETS : b->rr_bucket;
    for (int64_t i = from + 1; i <= now; i++) {
        b->rr_sum[i % RR_BUCKETS] = 0;
        b->rr_count[i % RR_BUCKETS] = 0;
    }
    if (now - b->rr_bucket > 1)
        b->rr_last = NAN; /* beats are missing in between */
    b->rr_bucket = now;
}

/* An interval a fifth off the mean of its neighbours is of no sinus beat (Kleiger 1987); six in a row are a
 * rhythm of their own. */
static bool ectopic(body *b, double ms) {
    bool odd = !(ms >= 300 && ms <= 2000) || fabs(ms - b->rr_usual) > 0.2 * b->rr_usual;
    if (!odd || isnan(b->rr_usual)) {
        b->rr_outliers = 0;
        return odd;
    }
    if (++b->rr_outliers < RR_OUTLIERS)
        return true;
    b->rr_outliers = 0;
    b->rr_usual = b->rr_last = NAN;
    return true;
}

void body_beats(body *b, const reading *r, instant at) {
    new_bucket(b, at);
    size_t count = r->rr_count < READING_RR_MAX ? r->rr_count : READING_RR_MAX;
    for (size_t i = 0; i < count; i++) {
        double ms = r->rr_ms[i];
        if (ectopic(b, ms)) {
            b->rr_last = NAN; /* neither the pair before it nor the one behind counts */
            continue;
        }
        b->rr_usual = isnan(b->rr_usual) ? ms : b->rr_usual + (ms - b->rr_usual) * 0.2;
        if (!isnan(b->rr_last)) {
            b->rr_sum[b->rr_bucket % RR_BUCKETS] += (ms - b->rr_last) * (ms - b->rr_last);
            b->rr_count[b->rr_bucket % RR_BUCKETS]++;
        }
        b->rr_last = ms;
    }
}

double body_rmssd(const body *b, instant at) {
    double sum = 0;
    int64_t count = 0;
    if (at / BEAT_US - b->rr_bucket > 1)
        return NAN;
    for (size_t i = 0; i < RR_BUCKETS; i++) {
        sum += b->rr_sum[i];
        count += b->rr_count[i];
    }
    return count >= RR_PAIRS ? sqrt(sum / (double)count) : NAN;
}
