/* body.c - see body.h and body_private.h: the way of one reading. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/body_private.h"

#define AHEAD_US    (5 * INSTANT_SECOND)  /* a clock may be ahead of ours so far */
#define BACK_US     (60 * INSTANT_SECOND) /* ours went back so far: moments are moved with it */
#define CATCH_UP_US (30 * INSTANT_SECOND) /* older than what passing time has been judged by: it waited */
#define FORGET_US   (3600 * INSTANT_SECOND)
#define BEHIND_US   (60 * INSTANT_SECOND) /* a fall told by a device that is behind another is one */
#define UP_AGAIN_US (5 * INSTANT_SECOND)

static const char *const responses[] = {[BODY_NOTE] = "note", [BODY_ASK] = "ask", [BODY_RAISE] = "raise"};

const char *body_response_word(body_response r) {
    return responses[r];
}

size_t body_size(void) {
    return sizeof(body);
}

int body_new(body **ret_body) {
    body *b = calloc(1, sizeof *b);
    if (!b)
        return -ENOMEM;
    body_begin(b);
    *ret_body = b;
    return 0;
}

body *body_free(body *b) {
    free(b);
    return NULL;
}

/* ---- clocks ---- */

static void shift(instant *t, int64_t by) {
    if (*t)
        *t = *t - by > 1 ? *t - by : 1;
}

/* Our own clock went back: what is remembered goes with it, or nothing new would be news for as long. */
static void move_back(body *b, int64_t by) {
    instant *const all[] = {&b->clock,   &b->heard,    &b->judged,     &b->same_since, &b->motion_at,
                            &b->pace_at, &b->moved_at, &b->active_at,  &b->effort_at,  &b->contact_at,
                            &b->fall_at, &b->still_at, &b->trouble_at, &b->excused_at, &b->closed_at};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        shift(all[i], by);
    for (size_t i = 0; i < VITALS; i++) {
        shift(&b->of[i].at, by);
        shift(&b->of[i].rumour_at, by);
        shift(&b->of[i].rumour_since, by);
        shift(&b->of[i].raw_at, by);
    }
    for (size_t i = 0; i < BODY_RULES_MAX; i++) {
        shift(&b->slots[i].since, by);
        shift(&b->slots[i].excused_until, by);
    }
    memset(b->peak, 0, sizeof b->peak);
    memset(b->rr_sum, 0, sizeof b->rr_sum);
    memset(b->rr_count, 0, sizeof b->rr_count);
    b->peak_bucket = b->rr_bucket = 0;
}

static void follow_clock(body *b, instant now) {
    if (b->clock > now + BACK_US)
        move_back(b, b->clock - now);
}

/* ---- a reading ---- */

/* A device noticed something, lately, and nothing that came since says that the person moves. */
static bool noticed(const body *b, const reading *r, instant at) {
    if (r->event == EVENT_NOTHING)
        return false;
    return at >= b->clock || (b->clock - at <= BEHIND_US && b->active_at <= at + UP_AGAIN_US);
}

static bool news_in(const body *b, const reading *r, instant at) {
    for (vital v = VITAL_HR; v < VITALS; v++)
        if (reading_has(r, v) && at > b->of[v].at)
            return true;
    if (r->rr_count > 0 && at > b->of[VITAL_HR].at)
        return true;
    return at > b->clock || (noticed(b, r, at) && !(r->event == EVENT_FALL ? b->fall_at : b->still_at));
}

static void touch(body *b, const reading *r, instant at) {
    if (at >= b->clock && r->contact != CONTACT_UNKNOWN && r->contact != b->contact) {
        b->contact = r->contact;
        b->contact_at = at;
    }
    if (!noticed(b, r, at))
        return;
    instant *of = r->event == EVENT_FALL ? &b->fall_at : &b->still_at;
    *of = *of ? *of : at;
    b->stir_ms = 0;
}

/* What was begun is told by its end; what is an hour old is nobody's fall any more. */
static void outlive(body *b, instant at) {
    if (b->fall_at && at - b->fall_at > FORGET_US)
        b->fall_at = 0;
    if (b->still_at && at - b->still_at > FORGET_US)
        b->still_at = 0;
}

static void take(body *b, const body_limits *l, const reading *r, double speed, instant at,
                 body_trust *ret_trust) {
    instant before[VITALS];
    bool beats = r->rr_count > 0 && at > b->of[VITAL_HR].at && r->contact != CONTACT_NONE &&
                 !(r->quality < l->settings[SETTING_QUALITY]);
    for (vital v = VITAL_HR; v < VITALS; v++)
        before[v] = b->of[v].at;
    touch(b, r, at);
    if (beats)
        body_beats(b, r, at);
    unsigned news = body_believe(b, l, r, at, ret_trust);
    if (*ret_trust == TRUST_NOTHING && r->has == 0 && r->rr_count == 0 && reading_says_anything(r))
        *ret_trust = TRUST_ALL; /* contact or an event alone */
    b->clock = at > b->clock ? at : b->clock;
    body_move(b, l, r, speed, at);
    body_settle(b, l, b->clock);
    body_learn(b, l, news, before, at);
    outlive(b, b->clock);
}

size_t body_take(body *b, const body_limits *l, const reading *r, double speed, instant now,
                 finding ret_findings[BODY_FINDINGS_MAX], body_trust *ret_trust) {
    follow_clock(b, now);
    instant at = r->at > now + AHEAD_US ? now : r->at;
    *ret_trust = TRUST_NOTHING;
    if (at <= 0 || !news_in(b, r, at)) {
        b->late++; /* nobody is watched by what is no news: it is silence, too */
        return 0;
    }
    b->heard = now;
    b->taken++;
    take(b, l, r, speed, at, ret_trust);
    if (b->judged - b->clock > CATCH_UP_US)
        b->judged = b->clock;
    return body_judge(b, l, b->clock > b->judged ? b->clock : b->judged, 0, ret_findings);
}

size_t body_pass(body *b, const body_limits *l, instant now, finding ret_findings[BODY_FINDINGS_MAX]) {
    follow_clock(b, now);
    int64_t silent_us = b->heard && now > b->heard ? now - b->heard : 0;
    instant at = b->clock + silent_us;
    if (!b->clock || at <= b->judged)
        return 0;
    body_settle(b, l, at);
    return body_judge(b, l, at, silent_us, ret_findings);
}

/* ---- an OK ---- */

/* Is it of a value itself, not of where it goes? */
static bool of_level(signal s) {
    return s <= SIGNAL_TEMP_OVER_USUAL || s == SIGNAL_HR_OF_MAX;
}

/* Asked about, or about to be; and what is of the value of the same vital as such a rule. Where it goes is
 * another matter: whose pulse is fast and who is well is not well when it plunges. */
static bool covers(const body *b, const body_limits *l, size_t i) {
    const rule *r = &l->rules[i];
    if (b->slots[i].begun || b->slots[i].charge_ms > 0)
        return true;
    vital of = signal_of(r->is.of)->of;
    for (size_t k = 0; of != VITALS && of_level(r->is.of) && k < l->count; k++) {
        const rule *other = &l->rules[k];
        if (b->slots[k].begun && other->response == BODY_ASK && of_level(other->is.of) &&
            signal_of(other->is.of)->of == of && other->is.below == r->is.below)
            return true;
    }
    return false;
}

void body_excuse(body *b, const body_limits *l, instant now) {
    double signals[SIGNALS];
    news2_score score;
    int64_t silent_us = b->heard && now > b->heard ? now - b->heard : 0;
    instant at = b->clock + silent_us;
    bool covered[BODY_RULES_MAX];
    body_signals(b, l, at, silent_us, signals, &score);
    for (size_t i = 0; i < l->count; i++)
        covered[i] = b->stamp == l->stamp && covers(b, l, i);
    for (size_t i = 0; i < l->count; i++) {
        double value = signals[l->rules[i].is.of];
        if (isnan(value))
            value = (double)b->slots[i].said;
        if (covered[i] && l->rules[i].response == BODY_ASK && !isnan(value)) {
            b->slots[i].excused_until = at + l->rules[i].quiet_ms * MS;
            b->slots[i].excused = (float)value;
        }
    }
    b->excused_at = at;
}

void body_close(body *b, instant now) {
    b->closed_at = now;
}

/* ---- what is known ---- */

void body_look(const body *b, instant now, body_view *ret_view) {
    int64_t silent_us = b->heard && now > b->heard ? now - b->heard : 0;
    instant at = b->clock + silent_us;
    *ret_view = (body_view){.latest = reading_at(b->clock),
                            .rmssd_ms = body_rmssd(b, at),
                            .context = b->context,
                            .taken = b->taken,
                            .doubted = b->doubted,
                            .late = b->late};
    news2_input in = {.body = reading_at(at), .oxygen = -1, .alert = -1};
    for (vital v = VITAL_HR; v < VITALS; v++) {
        const course *c = &b->of[v];
        reading_put(&ret_view->latest, v, c->value);
        ret_view->latest_at[v] = c->at;
        ret_view->usual[v] = c->usual;
        ret_view->trend_per_min[v] = body_trend(b, v, at);
        if (body_fresh(b, v, at))
            reading_put(&in.body, v, c->value);
    }
    ret_view->latest.contact = b->contact;
    ret_view->latest.motion = b->motion;
    if (b->context == CONTEXT_REST && in.body.has)
        ret_view->score = news2(&in);
}
