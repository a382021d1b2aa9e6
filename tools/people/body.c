/* body.c - the body, a second at a time.
 *
 * Pulse: the share of the heart's reserve that is used is the share of the oxygen reserve (Swain and
 * Leutholtz 1997, Med Sci Sports Exerc 29:410), up to the individual maximum. It follows effort in two parts,
 * at once and over minutes, so that it drifts upwards in long effort (Coyle and Gonzalez-Alonso 2001, Exerc
 * Sport Sci Rev 29:88) and comes down fast at first and then slowly (Imai et al. 1994, J Am Coll Cardiol
 * 24:1529); faster in the trained. A healthy pulse falls by 12 to 60 in the first minute (Cole et al. 1999, N
 * Engl J Med 341:1351). It varies with breath and with the slow waves of pressure, less under effort (Task
 * Force 1996, Circulation 93:1043).
 *
 * Excitement adds to it: a little often, a lot seldom. Fear adds 50 to 85, as in officers before a
 * confrontation (Anderson et al. 2002, Policing 25:399).
 *
 * When the blood stands still, consciousness goes within 5 to 15 s (Rossen et al. 1943, Arch Neurol
 * Psychiatry 50:510). Core temperature rises with effort and settles (Saltin and Hermansen 1966, J Appl
 * Physiol 21:1757), on a hot day higher: runners who are well reach 39 and more (Ely et al. 2009, J Appl
 * Physiol 107:1519; Byrne et al. 2006, Med Sci Sports Exerc 38:803); in heat stroke it does not settle. */
#include "people/private.h"

#define TWO_PI 6.28318530717958647692

static double towards(double from, double to, double tau) {
    return from + (to - from) / (tau + 1);
}

static bool struck(const life *l) {
    return l->of->peril != PERIL_NONE && l->second >= l->of->peril_from_s && l->second < l->of->peril_to_s;
}

static int64_t struck_s(const life *l) {
    return l->second - l->of->peril_from_s;
}

/* ---- effort ---- */

/* The trained can do 16 times rest, the untrained 8: the share of the reserve that this takes. */
static double share(const traits *t, doing what, double effort) {
    const pursuit *p = pursuit_of(what);
    double most = 8 + 8 * t->fitness - (t->age - 20) * 0.05;
    double used = (part(p->mets_least, p->mets_most, effort) - 1) / (most - 1);
    return fmin(used, 0.93); /* nobody goes on at the very top */
}

/* Weights: in sets of half a minute or so, and longer pauses. */
static double in_sets(life *l, double used) {
    flesh *f = &l->body;
    chance *c = &l->flesh_chance;
    if (l->second >= f->set_until) {
        f->lifting = !f->lifting;
        f->set_until = l->second + (f->lifting ? chance_whole(c, 25, 55) : chance_whole(c, 50, 150));
    }
    return f->lifting ? used * 1.35 : used * 0.5;
}

static void follow_effort(life *l, const spell *now, doing what) {
    const traits *t = &l->of->who;
    flesh *f = &l->body;
    double used = share(t, what, now->effort);
    if (what == DOING_LIFT)
        used = in_sets(l, used);
    double to = used * (t->highest - t->resting);
    if (what == DOING_SLEEP)
        to -= 7;
    double fast = 0.75 * to, slow = 0.25 * to;
    f->fast = towards(f->fast, fast, fast > f->fast ? 32 - 14 * t->fitness : 58 - 26 * t->fitness);
    f->slow = towards(f->slow, slow, slow > f->slow ? 300 : 420 - 160 * t->fitness);
}

/* ---- excitement ---- */

static void excite(life *l, doing what) {
    flesh *f = &l->body;
    chance *c = &l->flesh_chance;
    if (l->second >= f->stir_until) {
        f->stir_to = 0;
        if (what != DOING_SLEEP && what != DOING_DOWN && chance_hits(c, 1.5 / 3600)) {
            f->stir_to = fmin(chance_rare(c, 8), 40);
            f->stir_until = l->second + chance_whole(c, 20, 240);
        } else if (what != DOING_SLEEP && what != DOING_DOWN && chance_hits(c, 0.4 / DAY_SECONDS)) {
            f->stir_to = chance_between(c, 25, 50); /* a speech, a quarrel, a match */
            f->stir_until = l->second + chance_whole(c, 180, 900);
        }
    }
    double to = f->stir_to;
    if (struck(l) && l->of->peril == PERIL_FEAR)
        to = 50 + 35 * f->severity;
    f->stir = towards(f->stir, to * (l->of->who.blocker ? 0.6 : 1), to > f->stir ? 8 : 50);
}

/* ---- what varies by itself ---- */

static double sway(life *l) {
    const traits *t = &l->of->who;
    flesh *f = &l->body;
    chance *c = &l->flesh_chance;
    double used = fmax(0, fmin(1, (f->fast + f->slow) / (t->highest - t->resting)));
    double calm = (1 - used) * (1 - used);
    f->breath_turn += TWO_PI * f->breaths / 60;
    f->slow_turn += TWO_PI * 0.1 + 0.15 * chance_normal(c);
    f->drift = 0.995 * f->drift + 0.25 * chance_normal(c);
    return calm * t->sway * (0.8 * sin(f->breath_turn) + 0.6 * sin(f->slow_turn)) + f->drift +
           0.5 * chance_normal(c);
}

static void breathe(life *l, doing what) {
    const traits *t = &l->of->who;
    flesh *f = &l->body;
    double used = fmax(0, (f->fast + f->slow) / (t->highest - t->resting));
    f->breaths =
        towards(f->breaths, t->breaths + 26 * used + 0.08 * f->stir - (what == DOING_SLEEP ? 1.5 : 0), 25) +
        0.1 * chance_normal(&l->flesh_chance);
    if (t->apnoea && what == DOING_SLEEP && f->apnoea_s <= 0 && chance_hits(&l->flesh_chance, 12.0 / 3600))
        f->apnoea_s = chance_between(&l->flesh_chance, 12, 40);
    f->apnoea_s -= 1;
    double to = t->spo2 - used - (what == DOING_SLEEP ? 0.7 : 0);
    if (f->apnoea_s > 0)
        f->arterial -= 0.22;
    else
        f->arterial = towards(f->arterial, to, 12);
}

static void warm(life *l) {
    const traits *t = &l->of->who;
    flesh *f = &l->body;
    double used = fmax(0, (f->fast + f->slow) / (t->highest - t->resting));
    double hours = (double)l->second / 3600 + 6;
    double to = t->temp + 0.25 * sin(TWO_PI * (hours - 11) / 24) + t->warms * used * used;
    f->core = towards(f->core, to, 900);
}

/* ---- movement ---- */

static void move(life *l, const spell *now, doing what) {
    const pursuit *p = pursuit_of(what);
    flesh *f = &l->body;
    chance *c = &l->flesh_chance;
    double level = part(p->motion_least, p->motion_most, now->effort);
    if (what == DOING_LIFT && !f->lifting)
        level = 0.05;
    f->motion = level * exp(0.35 * chance_normal(c));
    if ((what == DOING_REST || what == DOING_SLEEP) && chance_hits(c, what == DOING_REST ? 0.02 : 0.0015))
        f->motion += chance_between(c, 0.05, 0.4); /* turns over, reaches for something */
    if (what == DOING_STAND && chance_hits(c, 0.08))
        f->motion += chance_between(c, 0.05, 0.3);
    f->cadence = p->steps_most > 0 ? part(p->steps_least, p->steps_most, now->effort) + chance_normal(c) : 0;
    f->speed = p->speed_most > 0
                   ? fmax(0, part(p->speed_least, p->speed_most, now->effort) + 0.1 * chance_normal(c))
                   : 0;
    if (struck(l) && l->of->peril == PERIL_FEAR) { /* frozen, trembling */
        f->motion = 0.02 * exp(0.5 * chance_normal(c));
        f->cadence = f->speed = 0;
    }
}

/* ---- what comes over them ---- */

static void fall_down(flesh *f, int64_t second) {
    if (f->down)
        return;
    f->down = true;
    f->down_at = second;
}

static void arrest(life *l, int64_t s) {
    l->body.pulse = s < 4 ? l->body.pulse * (1 - 0.22 * (double)s) : 0;
    if (s >= l->body.faint_after)
        fall_down(&l->body, l->second);
    l->body.arterial -= s > 10 ? 0.15 : 0;
}

static void race(life *l, int64_t s) {
    flesh *f = &l->body;
    double to = 175 + 60 * f->severity;
    if (f->variant == 0) { /* erratic: what reaches the wrist is any part of the beats */
        f->rhythm = 32;
        to = 130 + 60 * f->severity;
    }
    f->pulse += (to - f->pulse) * fmin(1, (double)(s + 1) / 5);
    if (s >= f->faint_after * 3)
        fall_down(f, l->second);
}

static void slow_down(life *l, int64_t s) {
    flesh *f = &l->body;
    double to = 22 + 14 * f->severity;
    f->pulse += (to - f->pulse) * fmin(1, (double)(s + 1) / 8);
    if (s >= f->faint_after * 2)
        fall_down(f, l->second);
}

static void suffocate(life *l, int64_t s) {
    flesh *f = &l->body;
    double least = 58 + 14 * f->severity;
    f->arterial = fmax(least, l->of->who.spo2 - (0.08 + 0.3 * f->severity) * (double)s);
    double lack = fmax(0, 94 - f->arterial);
    if (f->variant == 0) { /* poisoned or drugged: breath goes first, and the heart with it */
        f->breaths = fmax(3, f->breaths - 0.25);
        f->pulse -= 0.6 * lack;
    } else {
        f->breaths += 0.02 * lack;
        f->pulse += 1.2 * lack;
    }
    f->pulse = fmax(f->pulse, 35);
    if (f->arterial < 75)
        fall_down(f, l->second);
}

static void overheat(life *l, int64_t s) {
    flesh *f = &l->body;
    const traits *t = &l->of->who;
    double rate = (0.05 + 0.06 * f->severity) / 60;
    f->core = fmin(41.8, fmax(f->core, 37.6 + rate * (double)s));
    f->pulse += (0.97 * t->highest - f->pulse) * fmax(0, fmin(1, (f->core - 38) / 2.3));
    if (f->core > 40.9 + 0.6 * f->severity)
        fall_down(f, l->second);
}

static void strike(life *l) {
    int64_t s = struck_s(l);
    switch (l->of->peril) {
    case PERIL_NONE:
    case PERIL_FEAR:
    case PERILS:
        return;
    case PERIL_ARREST:
        arrest(l, s);
        return;
    case PERIL_ARRHYTHMIA:
        race(l, s);
        return;
    case PERIL_SLOW_HEART:
        slow_down(l, s);
        return;
    case PERIL_HYPOXIA:
        suffocate(l, s);
        return;
    case PERIL_HEAT:
        overheat(l, s);
        return;
    case PERIL_FALL:
        fall_down(&l->body, l->second);
        return;
    }
}

peril flesh_peril(const life *l) {
    if (!struck(l))
        return PERIL_NONE;
    if ((l->of->peril == PERIL_HYPOXIA && l->body.arterial >= 90) ||
        (l->of->peril == PERIL_HEAT && l->body.core < 40))
        return PERIL_NONE; /* not yet */
    return l->of->peril;
}

/* ---- a second ---- */

void flesh_begin(life *l) {
    const traits *t = &l->of->who;
    flesh *f = &l->body;
    chance c = chance_of(l->of->seed, 200 + (uint64_t)l->of->peril);
    l->flesh_chance = chance_of(l->of->seed, 3);
    *f = (flesh){.arterial = t->spo2, .core = t->temp, .breaths = t->breaths, .pulse = t->resting};
    f->severity = chance_unit(&c);
    f->variant = (int)chance_whole(&c, 0, 3);
    f->faint_after = chance_whole(&c, 5, 15);
}

void flesh_live(life *l, const spell *now) {
    const traits *t = &l->of->who;
    flesh *f = &l->body;
    doing what = f->down ? DOING_DOWN : now->what;
    if (struck(l) && l->of->peril == PERIL_FEAR)
        what = DOING_STAND; /* whatever they were about to do */
    follow_effort(l, now, what);
    excite(l, what);
    breathe(l, what);
    warm(l);
    f->rhythm = 0;
    f->pulse = fmax(30, fmin(t->highest * 1.02, t->resting + f->fast + f->slow + f->stir + sway(l)));
    if (struck(l))
        strike(l);
    f->pulse += f->rhythm * chance_normal(&l->flesh_chance);
    f->pulse = f->pulse < 1 ? 0 : fmin(f->pulse, 260);
    f->arterial = fmax(40, fmin(100, f->arterial));
    move(l, now, f->down ? DOING_DOWN : what);
    if (f->down && l->second == f->down_at)
        f->motion = chance_between(&l->flesh_chance, 0.8, 2.5); /* the blow */
}
