/* judge.c - see judge.h. */
#include "people/judge.h"

#include <math.h>
#include <string.h>

#define LATELY_S 10 /* a speed is that of now */
#define CALM_S   60 /* until a fixed rule may speak anew */
#define HOME_LAT 51.5072
#define HOME_LON (-0.1276)

/* Bedside monitors come with 50 to 120 and 90 %; watches tell of 120, or 40, in ten minutes without activity.
 */
const fixed_rule fixed_rules[FIXED_RULES] = {
    {"pulse < 40 or > 130, SpO2 < 90, 10 s", 40, 130, 90, 10, 0, 0},
    {"pulse < 40 or > 120, SpO2 < 90, 10 s", 40, 120, 90, 10, 0, 0},
    {"pulse < 40 or > 150, SpO2 < 90, 10 s", 40, 150, 90, 10, 0, 0},
    {"pulse < 40 or > 150, SpO2 < 90, 10 s, by trusted readings", 40, 150, 90, 10, 40, 0},
    {"pulse < 50 or > 120, SpO2 < 90, 10 s, as bedside monitors come", 50, 120, 90, 10, 0, 0},
    {"pulse < 40 or > 150, SpO2 < 88, 60 s, by trusted readings", 40, 150, 88, 60, 40, 0},
    {"pulse < 40 or > 120 in 10 min without movement, as watches", 40, 120, 0, 600, 40, 0.1},
};

/* ---- what both have in common: what was said, and when ---- */

static void said(verdict *v, const day *d, const moment *m, bool raised, const char *words, FILE *tell) {
    bool early = d->peril != PERIL_NONE && m->second >= d->peril_from_s;
    bool over = d->peril != PERIL_NONE && m->second >= d->peril_to_s;
    if (!v->first[0])
        (void)snprintf(v->first, sizeof v->first, "%lld s, %s%s%s: %s", (long long)m->second,
                       doing_name(m->doing), m->peril ? ", in " : "", m->peril ? peril_name(m->peril) : "",
                       words);
    if (tell)
        fprintf(tell, "%6lld %-6s %-10s %s\n", (long long)m->second, doing_name(m->doing),
                peril_name(m->peril), words);
    v->anyhow =
        v->anyhow || (d->peril == PERIL_NONE && m->second >= d->peril_from_s && m->second < d->peril_to_s);
    v->false_alarms += !early;
    v->alarms += !early && raised;
    if (!early || over)
        return;
    double took = m->peril ? (double)(m->second - m->peril_since_s) : 0;
    if (!v->found)
        v->sign_s = took;
    if (raised && isnan(v->raised_s))
        v->raised_s = took;
    v->found = true;
}

/* ---- ours ---- */

typedef struct ours {
    body *body;
    const body_limits *limits;
    distress talk;
    instant answer_at; /* 0: nobody is asked */
    double speed;
    instant speed_at;
    verdict *to;
    const day *day;
    FILE *tell;
} ours;

static void talk(ours *o, const moment *m, distress_event event, const char *words, instant now) {
    distress_times times = distress_times_default();
    switch (distress_next(&o->talk, &times, event, now)) {
    case DISTRESS_WAIT:
    case DISTRESS_REMIND:
    case DISTRESS_CLOSE:
        return;
    case DISTRESS_ASK:
        said(o->to, o->day, m, false, words, o->tell);
        o->answer_at = now + ANSWER_S * INSTANT_SECOND;
        return;
    case DISTRESS_RAISE:
        said(o->to, o->day, m, true, words, o->tell);
        return;
    }
}

static void note(ours *o, const moment *m, const finding *f) {
    if (o->tell)
        fprintf(o->tell, "%6lld %-6s %-10s (note) %s\n", (long long)m->second, doing_name(m->doing),
                peril_name(m->peril), f->words);
    o->to->notes += o->day->peril == PERIL_NONE || m->second < o->day->peril_from_s;
}

static void heard(ours *o, const moment *m, const finding *found, size_t count, instant now) {
    for (size_t i = 0; i < count; i++) {
        const finding *f = &found[i];
        if (f->kind != FINDING_BEGINS && f->kind != FINDING_GROWS)
            continue;
        if (f->response == BODY_NOTE)
            note(o, m, f);
        else
            talk(o, m, distress_of(f), f->words, now);
    }
}

/* Who is well says so, and an alarm about them is over then. */
static void answer(ours *o, const moment *m, instant now) {
    bool able = m->peril == PERIL_NONE && m->doing != DOING_DOWN;
    if (able && o->answer_at && now >= o->answer_at) {
        o->answer_at = 0;
        talk(o, m, DISTRESS_OK, "OK", now);
        body_excuse(o->body, o->limits, now);
    }
    if (able && o->talk.state == DISTRESS_ALARMED) {
        talk(o, m, DISTRESS_OVER, "over", now);
        body_excuse(o->body, o->limits, now);
    }
}

static void ours_second(ours *o, const moment *m, instant now) {
    finding found[BODY_FINDINGS_MAX];
    body_trust trust;
    if (m->placed) {
        o->speed = m->place.speed;
        o->speed_at = now;
    }
    double speed = o->speed_at && now - o->speed_at <= LATELY_S * INSTANT_SECOND ? o->speed : (double)NAN;
    if (m->said)
        heard(o, m, found, body_take(o->body, o->limits, &m->body, speed, now, found, &trust), now);
    else
        heard(o, m, found, body_pass(o->body, o->limits, now, found), now);
    o->to->readings += m->said;
    answer(o, m, now);
    talk(o, m, DISTRESS_NOTHING, "no answer", now);
}

/* ---- the usual ---- */

typedef enum limit {
    LIMIT_LOW = 0,
    LIMIT_HIGH,
    LIMIT_SPO2,
    LIMITS
} limit;

typedef struct usual {
    const fixed_rule *rule;
    verdict *to;
    struct {
        instant broken_since, well_since, quiet_until; /* 0: not */
        bool alarmed;
    } of[LIMITS];
} usual;

/* -1: not known, 0: well, 1: broken */
static int breaks(const fixed_rule *r, const reading *b, limit which) {
    vital of = which == LIMIT_SPO2 ? VITAL_SPO2 : VITAL_HR;
    double value = b->value[of];
    if (b->contact == CONTACT_NONE || b->quality < r->quality || !reading_has(b, of))
        return -1;
    return which == LIMIT_LOW    ? value < r->pulse_below
           : which == LIMIT_HIGH ? value > r->pulse_above
                                 : value < r->spo2_below;
}

static void usual_limit(usual *u, limit which, const day *d, const moment *m, instant now, FILE *tell) {
    bool able = m->peril == PERIL_NONE && m->doing != DOING_DOWN;
    bool moves = u->rule->motion > 0 && m->said && m->body.motion >= u->rule->motion;
    int broken = moves ? 0 : m->said ? breaks(u->rule, &m->body, which) : -1;
    if (broken < 0)
        return;
    if (!broken) {
        u->of[which].broken_since = 0;
        u->of[which].well_since = u->of[which].well_since ? u->of[which].well_since : now;
        if (now - u->of[which].well_since >= CALM_S * INSTANT_SECOND)
            u->of[which].alarmed = false;
        return;
    }
    u->of[which].well_since = 0;
    u->of[which].broken_since = u->of[which].broken_since ? u->of[which].broken_since : now;
    if (now - u->of[which].broken_since < u->rule->for_s * INSTANT_SECOND || now < u->of[which].quiet_until ||
        (able && u->of[which].alarmed))
        return;
    u->of[which].alarmed = true;
    u->of[which].quiet_until = now + (ANSWER_S * 1000 + distress_times_default().quiet_ms) * 1000;
    said(u->to, d, m, true, u->rule->name, tell);
}

static void usual_second(usual *u, const day *d, const moment *m, instant now, FILE *tell) {
    for (limit which = LIMIT_LOW; which < LIMITS; which++)
        usual_limit(u, which, d, m, now, tell);
}

/* ---- a day ---- */

static void begin(verdict *v, const day *d) {
    *v = (verdict){.struck = d->peril != PERIL_NONE, .sign_s = NAN, .raised_s = NAN};
}

void day_without(const day *d, day *ret_without) {
    *ret_without = *d;
    ret_without->peril = PERIL_NONE;
}

int judge_day(const day *d, const body_limits *limits, verdict *ret_ours, verdict *ret_fixed, FILE *tell) {
    CLEANUP(body_freep) body *b = NULL;
    usual others[FIXED_RULES];
    life l;
    moment m;
    int error = body_new(&b);
    if (error < 0)
        return error;
    ours o = {.body = b, .limits = limits, .speed = NAN, .to = ret_ours, .day = d, .tell = tell};
    begin(ret_ours, d);
    for (size_t i = 0; ret_fixed && i < FIXED_RULES; i++) {
        begin(&ret_fixed[i], d);
        others[i] = (usual){.rule = &fixed_rules[i], .to = &ret_fixed[i]};
    }
    life_begin(d, HOME_LAT, HOME_LON, &l);
    while (life_next(&l, &m)) {
        instant now = d->begins + m.second * INSTANT_SECOND;
        ours_second(&o, &m, now);
        if (!ret_fixed && !tell && !isnan(ret_ours->raised_s))
            break;
        for (size_t i = 0; ret_fixed && i < FIXED_RULES; i++)
            usual_second(&others[i], d, &m, now, NULL);
    }
    return 0;
}
