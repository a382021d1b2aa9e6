/* body_context.c - what the person is doing: at rest, moving, in exercise, or just after.
 *
 * Motion decides where it is known; speed over ground alone tells moving from nothing, not rest: who stands
 * still on the map may be lifting weights, and who moves fast may sit in a car. */
#include "core/body_private.h"

#define PACE_STALE_US    (30 * INSTANT_SECOND)
#define SMOOTH_US        (4 * INSTANT_SECOND)
#define EFFORT_MS        10000 /* of exercise, until a fast heart afterwards is explained by it */
#define EFFORT_SLACK_MS  60000
#define LIGHT_RECOVERY_S 300 /* after moving that was hard on the heart, but no exercise */
#define FALL_GRACE_US    (5 * INSTANT_SECOND)
#define STIR_MS          5000
#define STEP_MOST_US     (10 * INSTANT_SECOND)

static const char *const words[] = {
    [CONTEXT_UNKNOWN] = "unknown",   [CONTEXT_REST] = "rest",         [CONTEXT_MOVING] = "moving",
    [CONTEXT_EXERCISE] = "exercise", [CONTEXT_RECOVERY] = "recovery",
};

const char *body_context_word(body_context c) {
    return words[c];
}

/* How long motion and speed hold: longer for sensors that speak seldom. */
static int64_t stale_us(const body *b) {
    int64_t seldom = body_stale_us(b, VITAL_HR);
    return seldom > PACE_STALE_US ? seldom : PACE_STALE_US;
}

static int64_t since_us(instant then, instant at) {
    int64_t us = then ? at - then : 0;
    return us < 0 ? 0 : us > STEP_MOST_US ? STEP_MOST_US : us;
}

static body_context pace_of(const body *b, const body_limits *l, double motion, double speed) {
    const double *s = l->settings;
    bool on_foot = speed < s[SETTING_VEHICLE_MPS];
    if (isnan(motion)) {
        if (on_foot && speed >= s[SETTING_EXERCISE_MPS])
            return CONTEXT_EXERCISE;
        return on_foot && speed >= s[SETTING_MOVING_MPS] ? CONTEXT_MOVING : CONTEXT_UNKNOWN;
    }
    if (b->motion >= s[SETTING_EXERCISE_G])
        return CONTEXT_EXERCISE;
    if (b->motion < s[SETTING_REST_G])
        return CONTEXT_REST;
    return on_foot && speed >= s[SETTING_EXERCISE_MPS] ? CONTEXT_EXERCISE : CONTEXT_MOVING;
}

static void smooth(body *b, double motion, instant at) {
    int64_t us = at - b->motion_at;
    if (isnan(b->motion) || us > stale_us(b))
        b->motion = motion;
    else if (us > 0)
        b->motion += (motion - b->motion) * (double)us / (double)(us + SMOOTH_US);
    b->motion_at = at;
}

/* Who stirs for some seconds after a fall, or after the device missed movement, is up again. */
static void stir(body *b, bool moves, int64_t us, instant at) {
    instant missed = b->fall_at > b->still_at ? b->fall_at : b->still_at;
    if (!missed || !moves || at <= missed + FALL_GRACE_US)
        return;
    b->stir_ms += us / MS;
    if (b->stir_ms >= STIR_MS)
        b->fall_at = b->still_at = 0;
}

static void exert(body *b, int64_t us, instant at) {
    b->exercise_ms += b->pace == CONTEXT_EXERCISE ? us / MS : -us / MS;
    if (b->exercise_ms < 0)
        b->exercise_ms = 0;
    if (b->exercise_ms > EFFORT_SLACK_MS)
        b->exercise_ms = EFFORT_SLACK_MS;
    if (b->pace == CONTEXT_EXERCISE && b->exercise_ms >= EFFORT_MS) {
        b->effort_at = at;
        b->effort_hard = true;
    }
}

void body_move(body *b, const body_limits *l, const reading *r, double speed, instant at) {
    bool known = r->motion >= 0 && r->motion <= 50;
    double still_us = (double)(at - b->motion_at);
    if (at < b->pace_at)
        return;
    if (known)
        smooth(b, r->motion, at);
    else if (!isnan(b->motion) && still_us <= (double)stale_us(b))
        return; /* a sensor without motion beside one that has it */
    body_context pace = pace_of(b, l, known ? r->motion : NAN, speed);
    if (!known && pace == CONTEXT_UNKNOWN && isnan(speed))
        return;
    int64_t us = since_us(b->pace_at, at);
    b->pace = pace;
    b->pace_at = at;
    if (known && (b->moved_at == 0 || r->motion >= l->settings[SETTING_STILL_G]))
        b->moved_at = at;
    if (pace == CONTEXT_MOVING || pace == CONTEXT_EXERCISE)
        b->active_at = at;
    stir(b, known ? r->motion >= l->settings[SETTING_REST_G] : pace > CONTEXT_REST, us, at);
    exert(b, us, at);
}

double body_still_s(const body *b, instant at) {
    if (b->moved_at == 0 || at - b->motion_at > stale_us(b))
        return NAN;
    return (double)(at - b->moved_at) / INSTANT_SECOND;
}

/* Is a fast heart still explained by effort that has ended? */
static bool recovering(body *b, const body_limits *l, instant at) {
    if (b->effort_at == 0)
        return false;
    const double *s = l->settings;
    double since = (double)(at - b->effort_at) / INSTANT_SECOND;
    double most = b->effort_hard ? s[SETTING_RECOVERY_MOST_S] : LIGHT_RECOVERY_S;
    bool calm = body_fresh(b, VITAL_HR, at) &&
                b->of[VITAL_HR].value <= body_supposed(b, l, VITAL_HR) + s[SETTING_RECOVERED_OVER];
    if (since < most && !(calm && since >= s[SETTING_RECOVERY_LEAST_S]))
        return true;
    b->effort_at = 0;
    b->effort_hard = false;
    return false;
}

/* Moving that made the heart fast is an effort, too. */
static void strain(body *b, const body_limits *l, instant at) {
    if (b->pace == CONTEXT_MOVING && !b->effort_hard && body_fresh(b, VITAL_HR, at) &&
        b->of[VITAL_HR].value > body_supposed(b, l, VITAL_HR) + l->settings[SETTING_RECOVERED_OVER])
        b->effort_at = at;
}

void body_settle(body *b, const body_limits *l, instant at) {
    body_context pace = b->pace_at && at - b->pace_at <= stale_us(b) ? b->pace : CONTEXT_UNKNOWN;
    strain(b, l, at);
    if (pace == CONTEXT_EXERCISE)
        b->context = CONTEXT_EXERCISE;
    else if (recovering(b, l, at))
        b->context = CONTEXT_RECOVERY;
    else if (pace == CONTEXT_REST && b->active_at &&
             (double)(at - b->active_at) < l->settings[SETTING_SETTLE_S] * INSTANT_SECOND)
        b->context = CONTEXT_MOVING;
    else
        b->context = pace;
}
