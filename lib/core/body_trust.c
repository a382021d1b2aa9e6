/* body_trust.c - what of a reading can be believed.
 *
 * A value is doubted when the sensor is off the skin or does not trust itself, when no living body has it,
 * when it stands still as no heart does, when it comes faster than bodies change, and when it is a step away
 * that bodies do not make. A step is remembered as a rumour: three values in four seconds that agree with
 * each other are the truth, because a heart that stops makes a step, too; noise seldom agrees with itself. */
#include <string.h>
#include "core/body_private.h"

#define FLOOD_US        (100 * MS)
#define RUMOUR_STAYS_US (4 * INSTANT_SECOND)
#define RUMOUR_GAP_US   (30 * INSTANT_SECOND)
#define RUMOUR_AGREE    3
#define JUMP_MOST       20.0
#define UNREST          3
#define UNREST_MOST     6
#define STEP_MOST_US    (60 * INSTANT_SECOND)
#define SELDOM_MOST_US  (180 * INSTANT_SECOND)
#define RR_LEAST_MS     240 /* 250/min */
#define RR_MOST_MS      3000

typedef struct plausible {
    double least, most;
    double slack, per_s; /* how far from the last: slack + per_s * seconds; slack 0: any step */
    int64_t stale_s;
} plausible;

static const plausible rows[VITALS] = {
    [VITAL_HR] = {20, 250, 12, 2, 15},  [VITAL_SPO2] = {50, 100, 3, 0.7, 30},
    [VITAL_RESP] = {2, 70, 8, 1, 30},   [VITAL_TEMP] = {25, 45, 0.6, 0.02, 1800},
    [VITAL_SYS] = {40, 300, 0, 0, 900}, [VITAL_DIA] = {20, 200, 0, 0, 900},
};

int64_t body_stale_us(const body *b, vital which) {
    if (which >= VITALS)
        return 30 * INSTANT_SECOND;
    int64_t least = rows[which].stale_s * INSTANT_SECOND, seldom = b->of[which].gap_us * 9 / 4;
    if (seldom > SELDOM_MOST_US)
        seldom = SELDOM_MOST_US;
    return seldom > least ? seldom : least;
}

bool body_fresh(const body *b, vital which, instant at) {
    return !isnan(b->of[which].value) && at - b->of[which].at <= body_stale_us(b, which);
}

/* Follows sensors that speak more often at once, seldomer ones slowly: a single silence is no habit. */
static void space(course *c, instant at) {
    int64_t us = at - c->at;
    if (!c->at)
        return;
    if (us < c->gap_us || c->gap_us == 0)
        c->gap_us = c->gap_us ? (c->gap_us + us) / 2 : us < SELDOM_MOST_US ? us : SELDOM_MOST_US;
    else
        c->gap_us += ((us < 2 * c->gap_us ? us : 2 * c->gap_us) - c->gap_us) / 8;
}

/* ---- steps ---- */

static bool near(double a, double b, const plausible *p, int64_t us) {
    int64_t most = us < STEP_MOST_US ? us : STEP_MOST_US;
    return fabs(a - b) <= p->slack + p->per_s * (double)most / INSTANT_SECOND;
}

/* A step from what is known: true when it has stayed long enough. */
static bool stays(course *c, const plausible *p, double value, instant at) {
    bool agrees = c->rumour_count > 0 && at - c->rumour_at <= RUMOUR_GAP_US &&
                  near(value, c->rumour, p, at - c->rumour_at);
    if (!agrees) {
        c->rumour_since = at;
        c->rumour_count = 0;
    }
    c->rumour = value;
    c->rumour_at = at;
    c->rumour_count++;
    return c->rumour_count >= RUMOUR_AGREE && at - c->rumour_since >= RUMOUR_STAYS_US;
}

/* Of values on an even course the second difference is 0; of white noise it is 2.45 times its deviation wide,
 * in the mean of its amounts 1.95 times. One step is bounded, it is no noise. */
static void jump(course *c, double value) {
    if (!isnan(c->raw_before)) {
        double off = fmin(fabs(value - 2 * c->raw + c->raw_before), JUMP_MOST) / 1.95;
        c->noise += (off - c->noise) * 0.2;
    }
    c->raw_before = c->raw;
}

/* After the first few values that contradict each other, and until as many do not. */
static bool restless(course *c, const plausible *p, double value, instant at) {
    bool agrees = isnan(c->raw) || near(value, c->raw, p, at - c->raw_at);
    c->unrest += agrees ? -1 : 1;
    c->unrest = c->unrest < 0 ? 0 : c->unrest > UNREST_MOST ? UNREST_MOST : c->unrest;
    jump(c, value);
    c->raw = value;
    c->raw_at = at;
    return c->unrest >= UNREST;
}

static bool believable_step(course *c, const plausible *p, double value, instant at) {
    if (!(p->slack > 0))
        return true;
    bool noise = restless(c, p, value, at);
    bool known = isnan(c->value) || near(value, c->value, p, at - c->at);
    if (noise || !(known || stays(c, p, value, at)))
        return false;
    c->rumour_count = 0;
    return true;
}

/* ---- a pulse that stands still ---- */

static bool stuck(body *b, const body_limits *l, const reading *r, double pulse, instant at) {
    if (!(fabs(pulse - b->of[VITAL_HR].value) < 1e-9)) {
        b->same_since = at;
        b->same_count = 0;
    }
    b->same_count++;
    return b->same_count >= BODY_STUCK_COUNT && r->rr_count == 0 &&
           (double)(at - b->same_since) >= l->settings[SETTING_STUCK_S] * INSTANT_SECOND;
}

/* ---- a pulse from the times between beats ---- */

static double pulse_of_beats(const reading *r) {
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < r->rr_count && i < READING_RR_MAX; i++)
        if (r->rr_ms[i] >= RR_LEAST_MS && r->rr_ms[i] <= RR_MOST_MS) {
            sum += r->rr_ms[i];
            count++;
        }
    return count > 0 ? 60000 * (double)count / sum : NAN;
}

/* ---- all of it ---- */

static bool believable(body *b, const body_limits *l, const reading *r, vital which, double value,
                       instant at) {
    const plausible *p = &rows[which];
    if (!(value >= p->least && value <= p->most))
        return false;
    if (which == VITAL_DIA && reading_has(r, VITAL_SYS) && value >= r->value[VITAL_SYS])
        return false;
    if (which == VITAL_HR && stuck(b, l, r, value, at))
        return false;
    return believable_step(&b->of[which], p, value, at);
}

/* A sensor that has doubted itself lately has to be sure for a while: in noise every value has its chance to
 * look good. */
static double quality_of(body *b, const reading *r) {
    double now = r->quality;
    if (!(now >= 0 && now <= 100)) {
        b->quality = b->quality_before = NAN;
        return 100;
    }
    double before = isnan(b->quality_before) ? now : b->quality_before;
    b->quality = isnan(b->quality) ? now : b->quality + (now - b->quality) * 0.3;
    b->quality_before = now;
    return fmin(fmin(now, before), b->quality);
}

/* Light through moving or cold skin reads saturation too low long before it loses the pulse. */
static bool steady(const body *b, const body_limits *l, const reading *r, double quality) {
    const double *s = l->settings;
    double moves = isnan(r->motion) ? b->motion : fmax(r->motion, isnan(b->motion) ? 0 : b->motion);
    return quality >= s[SETTING_SPO2_QUALITY] && !(moves >= s[SETTING_SPO2_STEADY_G]);
}

unsigned body_believe(body *b, const body_limits *l, const reading *r, instant at, body_trust *ret_trust) {
    double quality = quality_of(b, r);
    bool trusted = r->contact != CONTACT_NONE && quality >= l->settings[SETTING_QUALITY];
    unsigned said = 0, news = 0;
    for (vital which = VITAL_HR; which < VITALS; which++) {
        double value = reading_has(r, which) ? r->value[which] : which == VITAL_HR ? pulse_of_beats(r) : NAN;
        course *c = &b->of[which];
        if (isnan(value) || at <= c->at)
            continue;
        said |= 1u << which;
        if (!trusted || (which == VITAL_SPO2 && !steady(b, l, r, quality)))
            continue;
        if ((c->at && at - c->at < FLOOD_US) || !believable(b, l, r, which, value, at))
            continue;
        space(c, at);
        c->value = value;
        c->at = at;
        news |= 1u << which;
    }
    if (news != said)
        b->doubted++;
    *ret_trust = news == said ? TRUST_ALL : news ? TRUST_PART : TRUST_NOTHING;
    return news;
}
