/* body_judge.c - rules over time.
 *
 * Each rule has a charge: while it is broken it fills with the time that passes, while it is not it empties
 * twice as fast, and what is not known lets it stand. Full, the finding begins. So one wrong value neither
 * makes a finding nor hides one. It ends once the value has been on the good side of its limit, by a margin,
 * for a while. Time that passes between two looks counts as broken only when both found it broken. */
#include <string.h>
#include "core/body_private.h"

#define UNKNOWN_RESETS_MS 120000 /* a charge that nothing is known of any more */
#define UNKNOWN_ENDS_MS   600000
#define TROUBLE_MS        5000
#define MOST_MS           86400000
#define ON_ITS_WAY_US     (5 * INSTANT_SECOND)

typedef enum standing {
    STANDING_UNKNOWN = 0,
    STANDING_BROKEN,
    STANDING_BETWEEN, /* not broken, and not far enough from it to be over */
    STANDING_GOOD,
} standing;

/* ---- signals ---- */

static double seconds(instant since, instant at) {
    return since ? (double)(at - since) / INSTANT_SECOND : NAN;
}

static news2_score score(const body *b, const body_limits *l, instant at) {
    double oxygen = l->settings[SETTING_OXYGEN];
    news2_input in = {.body = reading_at(at),
                      .scale2 = l->settings[SETTING_SCALE2] > 0,
                      .oxygen = isnan(oxygen) ? -1 : oxygen > 0,
                      .alert = -1};
    unsigned known = 0;
    for (vital v = VITAL_HR; v < VITALS; v++)
        if (body_fresh(b, v, at)) {
            reading_put(&in.body, v, b->of[v].value);
            known |= 1u << v;
        }
    return b->context == CONTEXT_REST && known ? news2(&in) : (news2_score){0};
}

static double lost_s(const body *b, instant at) {
    const course *c = &b->of[b->of[VITAL_HR].at ? VITAL_HR : VITAL_SPO2];
    /* between two values there always is some time */
    return c->at ? fmax(0, (double)(at - c->at - 2 * c->gap_us) / INSTANT_SECOND) : (double)NAN;
}

static double lost_worrying_s(const body *b, const body_limits *l, instant at) {
    double lost = lost_s(b, at), trouble = seconds(b->trouble_at, at), ok = seconds(b->excused_at, at);
    if (ok < lost) /* they have been heard of since */
        return NAN;
    return !isnan(trouble) && trouble - lost <= l->settings[SETTING_WORRY_S] ? lost : NAN;
}

static void of_vitals(const body *b, const body_limits *l, instant at, double s[SIGNALS]) {
    for (vital v = VITAL_HR; v < VITALS; v++)
        s[v] = body_fresh(b, v, at) ? b->of[v].value : NAN;
    for (vital v = VITAL_HR; v <= VITAL_TEMP; v++) {
        s[SIGNAL_HR_OVER_USUAL + v] = s[v] - body_supposed(b, l, v);
        s[SIGNAL_HR_TREND + v] = body_trend(b, v, at);
    }
    /* Tanaka, Monahan, Seals 2001: the highest pulse is 208 - 0.7 x age */
    s[SIGNAL_HR_OF_MAX] = s[SIGNAL_HR] * 100 / (208 - 0.7 * l->settings[SETTING_AGE]);
    s[SIGNAL_HR_OF_USUAL] = s[SIGNAL_HR] * 100 / body_supposed(b, l, VITAL_HR);
    s[SIGNAL_HR_NOISE] = b->of[VITAL_HR].at ? b->of[VITAL_HR].noise : (double)NAN;
    s[SIGNAL_HR_DROP] = body_drop(b, at);
    s[SIGNAL_RMSSD] = body_rmssd(b, at);
}

void body_signals(const body *b, const body_limits *l, instant at, int64_t silent_us, double s[SIGNALS],
                  news2_score *ret_score) {
    of_vitals(b, l, at, s);
    *ret_score = score(b, l, at);
    bool scored = ret_score->risk != NEWS2_UNKNOWN;
    s[SIGNAL_NEWS2] = scored ? (double)ret_score->total : (double)NAN;
    s[SIGNAL_NEWS2_SINGLE] = scored ? (double)ret_score->highest : (double)NAN;
    s[SIGNAL_STILL] = body_still_s(b, at);
    s[SIGNAL_ACTIVE_AGO] = seconds(b->active_at, at);
    s[SIGNAL_FALL] = seconds(b->fall_at, at);
    s[SIGNAL_STILL_DEVICE] = seconds(b->still_at, at);
    s[SIGNAL_LOST] = lost_s(b, at);
    s[SIGNAL_LOST_WORRYING] = lost_worrying_s(b, l, at);
    s[SIGNAL_TOUCHING] = b->contact == CONTACT_UNKNOWN ? NAN : b->contact == CONTACT_GOOD;
    s[SIGNAL_OFF_SKIN] = b->contact == CONTACT_NONE ? seconds(b->contact_at, at) : 0;
    s[SIGNAL_SILENT] = b->heard ? (double)silent_us / INSTANT_SECOND : NAN;
    s[SIGNAL_HR_STUCK] = b->same_count >= BODY_STUCK_COUNT ? seconds(b->same_since, at) : NAN;
}

/* ---- one rule, now ---- */

static bool holds(const condition *c, double value) {
    return c->below ? value < c->limit : value > c->limit;
}

static bool worse_by(const condition *c, double value, double than, double step) {
    return step > 0 && (c->below ? value <= than - step : value >= than + step);
}

static standing stands(const body *b, const rule *r, const double s[SIGNALS]) {
    double value = s[r->is.of];
    if (!(r->when & 1u << b->context))
        return STANDING_GOOD;
    if (isnan(value)) /* of a time that is not running nothing is known, but it is over */
        return signal_of(r->is.of)->keeps ? STANDING_GOOD : STANDING_UNKNOWN;
    if (!holds(&r->is, value)) {
        double back = r->is.below ? value - r->is.limit : r->is.limit - value;
        return back >= r->margin ? STANDING_GOOD : STANDING_BETWEEN;
    }
    bool unknown = false;
    for (size_t i = 0; i < r->also_count; i++) {
        if (isnan(s[r->also[i].of]))
            unknown = true;
        else if (!holds(&r->also[i], s[r->also[i].of]))
            return STANDING_GOOD;
    }
    return unknown ? STANDING_UNKNOWN : STANDING_BROKEN;
}

static instant began(const rule *r, double value, instant at) {
    /* a time that is running began when it did */
    bool time = signal_of(r->is.of)->keeps && r->is.of != SIGNAL_TOUCHING;
    return time ? at - (instant)(value * INSTANT_SECOND) : at;
}

typedef struct look {
    body *b;
    const body_limits *l;
    instant at;
    int64_t ms; /* since the last look */
    double signals[SIGNALS];
    news2_score score;
    finding *to;
    size_t count;
} look;

static void find(look *k, const rule *r, const slot *s, finding_kind kind, body_response response,
                 bool worse) {
    vital of = signal_of(r->is.of)->of;
    finding *f = &k->to[k->count++];
    *f = (finding){.kind = kind,
                   .response = response,
                   .since = s->since,
                   .at = k->at,
                   .which = of,
                   .value = k->signals[r->is.of],
                   .limit = r->is.limit,
                   .usual = of < VITALS ? body_usual(k->b, k->l, of) : NAN,
                   .context = k->b->context,
                   .score = k->score,
                   .worse = worse};
    memcpy(f->rule, r->name, sizeof f->rule);
    body_say(k->b, r, k->signals, f);
}

static bool excused(const slot *s, const rule *r, double value, instant at) {
    return s->excused_until > at && !worse_by(&r->is, value, s->excused, r->step);
}

/* The last OK was about this, and it is only old by now. */
static bool old_matter(const body *b, const rule *r, const slot *s, instant at) {
    return s->excused_until && s->excused_until <= at && s->excused_until == b->excused_at + r->quiet_ms * MS;
}

/* Nothing was heard since the incident was closed, but for what was on its way: whoever helps has taken the
 * sensor off, and how it ends is nothing new. */
static bool taken_off(const body *b) {
    return b->closed_at && b->heard <= b->closed_at + ON_ITS_WAY_US;
}

static void say(look *k, const rule *r, slot *s, finding_kind kind) {
    double value = k->signals[r->is.of];
    bool asks = r->response == BODY_ASK, covered = asks && excused(s, r, value, k->at);
    bool other = k->b->excused_at && !covered && !old_matter(k->b, r, s, k->at);
    s->said = (float)value;
    if (s->excused_until <= k->at)
        s->excused_until = 0;
    find(k, r, s, kind, covered || taken_off(k->b) ? BODY_NOTE : r->response, asks && other);
}

static void forget(slot *s) {
    s->broken = s->begun = false;
    s->charge_ms = s->clear_ms = s->unknown_ms = 0;
    s->since = 0;
}

static int32_t sum(int32_t ms, int64_t more) {
    int64_t all = ms + more;
    return (int32_t)(all < 0 ? 0 : all > MOST_MS ? MOST_MS : all);
}

static void charge(look *k, const rule *r, slot *s, standing now) {
    int64_t most = body_stale_us(k->b, signal_of(r->is.of)->of) / MS;
    int64_t credit = k->ms < most ? k->ms : most;
    if (now == STANDING_UNKNOWN) {
        s->broken = false;
        s->unknown_ms = sum(s->unknown_ms, k->ms);
        if (s->unknown_ms >= UNKNOWN_RESETS_MS)
            forget(s);
        return;
    }
    s->unknown_ms = 0;
    if (now == STANDING_BROKEN) {
        s->since = s->since ? s->since : began(r, k->signals[r->is.of], k->at);
        s->charge_ms = sum(s->charge_ms, s->broken ? credit : 0);
        s->broken = true;
        if (s->charge_ms >= r->for_ms) {
            s->begun = true;
            s->clear_ms = 0;
            say(k, r, s, FINDING_BEGINS);
        }
        return;
    }
    s->broken = false;
    s->charge_ms = sum(s->charge_ms, -2 * k->ms);
    if (s->charge_ms == 0)
        s->since = 0;
}

/* An OK counts for a while: who is as bad as then is asked again when it is over. */
static bool due_again(const slot *s, const rule *r, instant at) {
    return s->excused_until && s->excused_until <= at && r->response == BODY_ASK;
}

static void watch(look *k, const rule *r, slot *s, standing now) {
    if (now == STANDING_UNKNOWN) {
        s->unknown_ms = sum(s->unknown_ms, k->ms);
    } else {
        s->unknown_ms = 0;
    }
    s->broken = now == STANDING_BROKEN;
    if (now == STANDING_BROKEN) {
        s->clear_ms = 0;
        if (due_again(s, r, k->at) || worse_by(&r->is, k->signals[r->is.of], s->said, r->step))
            say(k, r, s, FINDING_GROWS);
        return;
    }
    s->clear_ms = sum(s->clear_ms, now == STANDING_GOOD ? k->ms : 0);
    if ((now == STANDING_GOOD && s->clear_ms >= r->clear_ms) || s->unknown_ms >= UNKNOWN_ENDS_MS) {
        find(k, r, s, FINDING_ENDS, r->response, false);
        forget(s);
    }
}

/* A departure from what is usual must not keep that from being learned. */
static void mark_odd(body *b, const rule *r, const slot *s) {
    if (s->broken && r->is.of < (signal)VITALS)
        b->odd |= 1 << r->is.of;
}

/* Was something wrong with heart or breath that somebody would be asked about? */
static void trouble(look *k, const rule *r, const slot *s) {
    int64_t least = r->for_ms / 3 > TROUBLE_MS ? r->for_ms / 3 : TROUBLE_MS;
    if (least > r->for_ms)
        least = r->for_ms;
    if (r->response != BODY_NOTE && signal_of(r->is.of)->of <= VITAL_RESP && s->broken &&
        (s->begun || s->charge_ms >= least))
        k->b->trouble_at = k->at;
}

/* ---- slots: in the order of the rules, until the rules change ---- */

static void align(body *b, const body_limits *l) {
    if (b->stamp == l->stamp)
        return;
    slot old[BODY_RULES_MAX];
    memcpy(old, b->slots, sizeof old);
    memset(b->slots, 0, sizeof b->slots);
    for (size_t i = 0; i < l->count; i++) {
        b->slots[i].said = b->slots[i].excused = NAN;
        for (size_t k = 0; k < BODY_RULES_MAX; k++)
            if (old[k].rule == l->hashes[i])
                b->slots[i] = old[k];
        b->slots[i].rule = l->hashes[i];
    }
    b->stamp = l->stamp;
}

static int64_t passed_ms(body *b, instant at) {
    int64_t us = b->judged ? at - b->judged : 0;
    b->judged = at;
    return us > 0 ? us / MS : 0;
}

size_t body_judge(body *b, const body_limits *l, instant at, int64_t silent_us,
                  finding ret_findings[BODY_FINDINGS_MAX]) {
    look k = {.b = b, .l = l, .at = at, .ms = passed_ms(b, at), .to = ret_findings};
    align(b, l);
    b->odd = 0;
    body_signals(b, l, at, silent_us, k.signals, &k.score);
    for (size_t i = 0; i < l->count && k.count < BODY_FINDINGS_MAX; i++) {
        const rule *r = &l->rules[i];
        slot *s = &b->slots[i];
        if (!r->name[0] || r->off) {
            forget(s);
            continue;
        }
        standing now = stands(b, r, k.signals);
        if (s->begun)
            watch(&k, r, s, now);
        else
            charge(&k, r, s, now);
        trouble(&k, r, s);
        mark_odd(b, r, s);
    }
    return k.count;
}
