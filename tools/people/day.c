/* day.c - what will happen to somebody: who they are, what they do, what goes wrong with their devices, and
 * what comes over them.
 *
 * Energy of activities in multiples of rest (METs): Ainsworth et al. 2011, Compendium of Physical Activities
 * (Med Sci Sports Exerc 43:1575). Highest pulse 208 - 0.7 x age with a deviation of 10: Tanaka et al. 2001
 * (J Am Coll Cardiol 37:153); under beta blockade 164 - 0.7 x age: Brawner et al. 2004 (Am Heart J 148:910).
 * Resting pulses of 40 to 95 cover nearly all of 92,457 wearers: Quer et al. 2020 (PLoS One 15:e0227709). */
#include <string.h>
#include "people/private.h"

static const pursuit pursuits[DOINGS] = {
    [DOING_REST] = {"rest", 1.0, 1.3, 0.006, 0.03, 0, 0, 0, 0, true},
    [DOING_SLEEP] = {"sleep", 0.85, 0.95, 0.003, 0.006, 0, 0, 0, 0, true},
    [DOING_DESK] = {"desk", 1.3, 1.8, 0.02, 0.07, 0, 0, 0, 0, true},
    [DOING_STAND] = {"stand", 1.8, 2.5, 0.04, 0.2, 0, 0.5, 0, 0, false},
    [DOING_WALK] = {"walk", 2.8, 4.5, 0.16, 0.35, 1.0, 1.8, 98, 125, false},
    [DOING_RUN] = {"run", 7.5, 13, 0.7, 1.5, 2.2, 4.2, 152, 182, false},
    [DOING_STAIRS] = {"stairs", 5.0, 8.8, 0.25, 0.5, 0.2, 0.5, 90, 122, true},
    [DOING_CYCLE] = {"cycle", 5.5, 9.0, 0.1, 0.3, 4.0, 8.0, 0, 0, false},
    [DOING_SPIN] = {"spin", 5.0, 8.5, 0.04, 0.14, 0, 0, 0, 0, true},
    [DOING_LIFT] = {"lift", 3.5, 6.0, 0.15, 0.5, 0, 0, 0, 0, true},
    [DOING_DRIVE] = {"drive", 1.6, 2.5, 0.03, 0.1, 6, 25, 0, 0, false},
    [DOING_DOWN] = {"down", 0.85, 0.95, 0.003, 0.008, 0, 0, 0, 0, false},
};
static const char *const perils[PERILS] = {
    [PERIL_NONE] = "none",
    [PERIL_ARREST] = "arrest",
    [PERIL_ARRHYTHMIA] = "arrhythmia",
    [PERIL_SLOW_HEART] = "slow-heart",
    [PERIL_HYPOXIA] = "hypoxia",
    [PERIL_HEAT] = "heat",
    [PERIL_FALL] = "fall",
    [PERIL_FEAR] = "fear",
};
static const char *const hitches[HITCHES] = {
    [HITCH_NONE] = "none",         [HITCH_OFF_SKIN] = "off-skin", [HITCH_LOOSE] = "loose",
    [HITCH_ARTEFACT] = "artefact", [HITCH_COLD] = "cold",         [HITCH_DROPOUT] = "dropout",
    [HITCH_FLAT] = "flat",         [HITCH_STREET] = "street",
};

const pursuit *pursuit_of(doing what) {
    return &pursuits[what];
}

const char *doing_name(doing d) {
    return pursuits[d].name;
}

const char *peril_name(peril p) {
    return perils[p];
}

const char *hitch_name(hitch h) {
    return hitches[h];
}

bool peril_named(text word, peril *ret_peril) {
    for (size_t i = 0; i < PERILS; i++)
        if (text_equal(text_of(perils[i]), word)) {
            *ret_peril = (peril)i;
            return true;
        }
    return false;
}

/* ---- who ---- */

static double within(double x, double least, double most) {
    return x < least ? least : x > most ? most : x;
}

traits traits_of(uint64_t seed) {
    chance c = chance_of(seed, 1);
    traits t = {.age = (int)chance_whole(&c, 20, 67), .fitness = chance_unit(&c)};
    t.blocker = chance_hits(&c, t.age > 45 ? 0.15 : 0.02);
    t.apnoea = chance_hits(&c, 0.1);
    t.resting = within(80 - 26 * t.fitness + 7 * chance_normal(&c) - (t.blocker ? 9 : 0), 40, 95);
    t.highest = (t.blocker ? 164 : 208) - 0.7 * t.age + 10 * chance_normal(&c);
    t.highest = within(t.highest, t.resting + 50, 215);
    t.spo2 = within(97.3 + 0.8 * chance_normal(&c), 95, 99);
    t.temp = within(36.7 + 0.2 * chance_normal(&c), 36.2, 37.2);
    t.breaths = within(14.5 + 1.8 * chance_normal(&c), 10, 19);
    t.sway = within(4.5 - 0.05 * t.age + 1.2 * chance_normal(&c), 0.8, 6);
    t.strap = chance_hits(&c, 0.25);
    t.tells_contact = chance_hits(&c, 0.85);
    t.feels_falls = chance_hits(&c, 0.6);
    t.period_s = chance_hits(&c, 0.7) ? 1 : chance_hits(&c, 0.6) ? 2 : 5;
    t.warms = within(2 + 0.3 * chance_normal(&c), 1.3, 2.8) + (chance_hits(&c, 0.1) ? 0.5 : 0);
    return t;
}

/* ---- a day by hand ---- */

void day_begin(uint64_t seed, const traits *who, instant begins, day *d) {
    memset(d, 0, sizeof *d);
    d->seed = seed;
    d->who = *who;
    d->begins = begins;
}

void day_add(day *d, doing what, double effort, int64_t seconds) {
    if (d->spell_count == DAY_SPELLS || seconds <= 0)
        return;
    d->spells[d->spell_count++] = (spell){what, within(effort, 0, 1), d->seconds, d->seconds + seconds};
    d->seconds += seconds;
}

void day_hitch(day *d, hitch what, int64_t from_s, int64_t seconds) {
    if (d->trouble_count < DAY_TROUBLES)
        d->troubles[d->trouble_count++] = (trouble){what, from_s, from_s + seconds};
}

void day_strike(day *d, peril what, int64_t from_s, int64_t seconds) {
    d->peril = what;
    d->peril_from_s = from_s;
    d->peril_to_s = from_s + seconds;
}

/* ---- a working day ---- */

static int64_t minutes(chance *c, double least, double most) {
    return (int64_t)(60 * chance_between(c, least, most));
}

static doing exercise_of(chance *c) {
    double x = chance_unit(c);
    return x < 0.6 ? DOING_RUN : x < 0.77 ? DOING_CYCLE : x < 0.94 ? DOING_LIFT : DOING_SPIN;
}

static void exercise(day *d, chance *c) {
    doing what = exercise_of(c);
    day_add(d, DOING_WALK, 0.6, minutes(c, 2, 6));
    day_add(d, what, chance_between(c, 0.1, 0.9), minutes(c, 20, 60));
    day_add(d, DOING_STAND, 0.4, minutes(c, 1, 4));
    int64_t over = d->seconds;
    day_add(d, DOING_REST, 0.5, minutes(c, 10, 30));
    if (chance_hits(c, 0.4)) /* under the shower without it, at once */
        day_hitch(d, HITCH_OFF_SKIN, over + minutes(c, 0, 5), minutes(c, 5, 15));
}

/* An hour or so of work: in the office, on the beat, in the car; stairs and a sprint now and then. */
static void work(day *d, chance *c) {
    bool desk = chance_hits(c, 0.4);
    day_add(d, desk ? DOING_DESK : DOING_STAND, chance_unit(c), minutes(c, 10, 35));
    if (chance_hits(c, 0.5))
        day_add(d, DOING_STAIRS, chance_unit(c), minutes(c, 0.5, 3));
    day_add(d, desk ? DOING_DESK : DOING_WALK, chance_unit(c), minutes(c, 10, 25));
    if (chance_hits(c, 0.15))
        day_add(d, DOING_RUN, chance_unit(c), minutes(c, 0.3, 2)); /* after somebody, or a bus */
    if (chance_hits(c, 0.4))
        day_add(d, DOING_DRIVE, chance_unit(c), minutes(c, 8, 25));
}

static bool outside(const spell *s) {
    return s->what == DOING_WALK || s->what == DOING_RUN || s->what == DOING_STAND || s->what == DOING_DRIVE;
}

static bool with_steps(const spell *s) {
    return pursuits[s->what].steps_most > 0;
}

/* What goes wrong with devices, wherever it comes. */
static void hitches_of(day *d, chance *c) {
    for (size_t i = 0; i < d->spell_count; i++) {
        const spell *s = &d->spells[i];
        int64_t length = s->to_s - s->from_s;
        if (with_steps(s) && chance_hits(c, 0.25))
            day_hitch(d, HITCH_LOOSE, s->from_s + length / 4, length / 2);
        if (outside(s) && chance_hits(c, 0.4))
            day_hitch(d, HITCH_STREET, s->from_s, length);
        if (outside(s) && chance_hits(c, 0.05))
            day_hitch(d, HITCH_COLD, s->from_s, length);
    }
    for (int64_t k = chance_whole(c, 2, 8); k > 0; k--)
        day_hitch(d, HITCH_ARTEFACT, chance_whole(c, 0, d->seconds - 1200), minutes(c, 0.5, 4));
    for (int64_t k = chance_whole(c, 1, 6); k > 0; k--)
        day_hitch(d, HITCH_DROPOUT, chance_whole(c, 0, d->seconds - 1200), minutes(c, 0.2, 15));
    if (chance_hits(c, 0.5))
        day_hitch(d, HITCH_OFF_SKIN, chance_whole(c, 0, d->seconds - 7200), minutes(c, 1, 60));
    if (chance_hits(c, 0.15))
        day_hitch(d, HITCH_FLAT, chance_whole(c, d->seconds / 2, d->seconds - 7200), minutes(c, 30, 110));
}

void day_calm(uint64_t seed, instant begins, day *d) {
    traits who = traits_of(seed);
    chance c = chance_of(seed, 2);
    day_begin(seed, &who, begins, d);
    day_add(d, DOING_SLEEP, 0.5, minutes(&c, 15, 45));
    day_add(d, DOING_REST, 0.6, minutes(&c, 10, 40));
    bool early = chance_hits(&c, 0.4);
    if (early)
        exercise(d, &c);
    day_add(d, DOING_REST, 0.5, minutes(&c, 20, 40));
    day_add(d, DOING_DRIVE, 0.5, minutes(&c, 10, 40));
    while (d->seconds < 11 * 3600 && d->spell_count < DAY_SPELLS - 16)
        work(d, &c);
    day_add(d, DOING_DRIVE, 0.5, minutes(&c, 10, 40));
    if (!early)
        exercise(d, &c);
    day_add(d, DOING_STAND, 0.3, minutes(&c, 30, 60)); /* cooks */
    while (d->seconds < 61200)
        day_add(d, DOING_REST, chance_unit(&c), minutes(&c, 40, 90));
    day_add(d, DOING_SLEEP, 0.5, DAY_SECONDS - d->seconds);
    hitches_of(d, &c);
}

/* ---- a day of peril ---- */

static doing struck_at(peril what, chance *c) {
    static const doing hard[] = {DOING_RUN,   DOING_RUN,  DOING_STAIRS, DOING_WALK,
                                 DOING_STAND, DOING_REST, DOING_DESK};
    static const doing still[] = {DOING_REST, DOING_REST, DOING_DESK, DOING_SLEEP, DOING_STAND};
    static const doing afraid[] = {DOING_REST, DOING_DESK, DOING_STAND, DOING_WALK};
    static const doing up[] = {DOING_WALK, DOING_WALK, DOING_STAIRS, DOING_STAND, DOING_RUN};
    switch (what) {
    case PERIL_HEAT:
        return chance_hits(c, 0.6) ? DOING_RUN : DOING_WALK;
    case PERIL_HYPOXIA:
        return still[chance_whole(c, 0, (int64_t)ARRAY_LEN(still) - 1)];
    case PERIL_FEAR:
        return afraid[chance_whole(c, 0, (int64_t)ARRAY_LEN(afraid) - 1)];
    case PERIL_FALL:
        return up[chance_whole(c, 0, (int64_t)ARRAY_LEN(up) - 1)];
    case PERIL_NONE:
    case PERIL_ARREST:
    case PERIL_ARRHYTHMIA:
    case PERIL_SLOW_HEART:
    case PERILS:
        break;
    }
    return hard[chance_whole(c, 0, (int64_t)ARRAY_LEN(hard) - 1)];
}

void day_of_peril(uint64_t seed, peril what, instant begins, day *d) {
    traits who = traits_of(seed);
    chance c = chance_of(seed, 100 + (uint64_t)what);
    day_begin(seed, &who, begins, d);
    day_add(d, DOING_REST, chance_unit(&c), minutes(&c, 15, 30));
    day_add(d, DOING_DESK, chance_unit(&c), minutes(&c, 2, 15));
    day_add(d, DOING_WALK, chance_unit(&c), minutes(&c, 3, 15));
    if (chance_hits(&c, 0.5))
        day_add(d, DOING_STAND, chance_unit(&c), minutes(&c, 2, 10));
    doing at = struck_at(what, &c);
    bool slow = what == PERIL_HEAT;
    int64_t before = minutes(&c, slow ? 10 : 3, slow ? 20 : 25);
    day_add(d, at, chance_unit(&c), before + (slow ? 5400 : 1500));
    int64_t lasts = slow ? 5400 : what == PERIL_FEAR ? minutes(&c, 4, 20) : 1500;
    day_strike(d, what, d->seconds - (slow ? 5400 : 1500), lasts);
    if (chance_hits(&c, 0.3))
        day_hitch(d, HITCH_ARTEFACT, d->peril_from_s - minutes(&c, 1, 10), 60);
    if (with_steps(&d->spells[d->spell_count - 1]) && chance_hits(&c, 0.3))
        day_hitch(d, HITCH_LOOSE, d->peril_from_s - 120, 900);
    if (outside(&d->spells[d->spell_count - 1]) && chance_hits(&c, 0.4))
        day_hitch(d, HITCH_STREET, 0, d->seconds);
}
