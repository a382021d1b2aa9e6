/* sensor.c - what a sensor makes of a body.
 *
 * A watch sees light: it shows a mean of some seconds, errs more the more the arm moves, and on a loose band
 * counts steps for beats (Navalta et al. 2020, PLoS One 15:e0238569; Jo et al. 2016, J Sports Sci Med
 * 15:540). A strap sees the heart's current: it is right, and gives the times between beats. Saturation comes
 * late, by half a minute at a limb (Young et al. 1992, Anesth Analg 74:189), errs by two percent (ISO
 * 80601-2-61), and reads low when the skin is cold or the sensor moves. Temperature comes later still.
 *
 * Where there is no pulse, devices differ: they say nothing, say 0, keep the last they had, or find one in
 * the noise. Some know that it is worth little. */
#include "people/private.h"

#define PROBE_TAU 11.0 /* s, of each of two stages */
#define SKIN_TAU  120.0
#define LIFETIME  108000.0 /* s of a battery */

hitch life_hitch(const life *l, hitch which) {
    for (size_t i = 0; i < l->of->trouble_count; i++) {
        const trouble *t = &l->of->troubles[i];
        if (t->what == which && l->second >= t->from_s && l->second < t->to_s)
            return which;
    }
    return HITCH_NONE;
}

void device_begin(life *l) {
    const traits *t = &l->of->who;
    l->device_chance = chance_of(l->of->seed, 4);
    l->sensor = (device){.pulse = t->resting,
                         .probe = {t->spo2, t->spo2},
                         .skin = t->temp,
                         .battery = chance_between(&l->device_chance, 45, 100)};
}

/* ---- pulse ---- */

/* What shakes the light of a watch is the arm, so that there is movement, too; a strap slips without. A third
 * of it goes unnoticed by the device. */
static void knock(life *l) {
    device *v = &l->sensor;
    chance *c = &l->device_chance;
    if (l->second >= v->burst_until) {
        v->burst = 0;
        if (!life_hitch(l, HITCH_ARTEFACT) || l->body.down || !chance_hits(c, 0.05))
            return;
        v->burst_until = l->second + chance_whole(c, 3, 20);
        /* steps and shakes are counted as well, or every other beat is overlooked */
        v->burst = chance_hits(c, 0.75) ? chance_between(c, 8, 65) : -v->pulse * chance_between(c, 0.1, 0.45);
        v->burst_hidden = chance_hits(c, 0.3);
    }
    if (!l->of->who.strap)
        l->body.motion += fabs(v->burst) / 200 * (0.5 + chance_unit(c));
}

static void show_pulse(life *l) {
    device *v = &l->sensor;
    double tau = l->of->who.strap ? 2 : 5;
    v->pulse += (l->body.pulse - v->pulse) / (tau + 1);
}

static bool locked(const life *l) {
    return !l->of->who.strap && l->body.cadence > 0 && life_hitch(l, HITCH_LOOSE);
}

/* No pulse reaches the sensor. */
static void without(life *l, reading *r) {
    device *v = &l->sensor;
    chance *c = &l->device_chance;
    switch (l->body.variant) {
    case 0: /* says nothing */
        r->quality = 0;
        return;
    case 1:
        reading_put(r, VITAL_HR, 0);
        r->quality = chance_between(c, 0, 20);
        return;
    case 2: /* keeps what it had, and believes it less and less */
        reading_put(r, VITAL_HR, floor(fmax(v->pulse, 20)));
        r->quality = fmax(5, 60 - (double)(l->second - l->of->peril_from_s));
        return;
    default: /* finds one in the noise */
        reading_put(r, VITAL_HR, floor(chance_between(c, 35, 190)));
        r->quality = chance_between(c, 5, 45);
        return;
    }
}

static void read_pulse(life *l, reading *r) {
    device *v = &l->sensor;
    chance *c = &l->device_chance;
    const flesh *f = &l->body;
    bool strap = l->of->who.strap;
    double pulse = v->pulse + (strap ? 0.4 : 0.9 + 3.5 * f->motion) * chance_normal(c);
    double trust = strap ? 97 : 92 - 35 * fmin(f->motion, 1);
    if (f->pulse <= 0 && v->pulse < 25) {
        without(l, r);
        return;
    }
    if (f->pulse > 0 && locked(l))
        pulse = f->cadence + 1.5 * chance_normal(c);
    if (l->second < v->burst_until) {
        pulse += v->burst * (strap ? 0.4 : 1) + 6 * chance_normal(c);
        trust = v->burst_hidden ? trust : chance_between(c, 5, 50);
    }
    reading_put(r, VITAL_HR, fmax(0, floor(pulse + 0.5)));
    r->quality = fmax(0, fmin(100, trust + 4 * chance_normal(c)));
}

/* The times between beats since the last reading. */
static void read_beats(life *l, reading *r) {
    device *v = &l->sensor;
    chance *c = &l->device_chance;
    if (!l->of->who.strap || l->body.pulse < 15)
        return;
    v->clock_s += (double)l->of->who.period_s;
    double ms = 60000 / fmax(v->pulse, 20);
    while (v->clock_s * 1000 >= ms && r->rr_count < READING_RR_MAX) {
        double beat = ms * (1 + 0.012 * chance_normal(c));
        if (chance_hits(c, 0.003)) /* one before its time */
            beat *= 0.65;
        if (l->body.rhythm > 0)
            beat *= exp(0.3 * chance_normal(c));
        r->rr_ms[r->rr_count++] = floor(beat * 1.024) / 1.024; /* in steps of 1/1024 s */
        v->clock_s -= beat / 1000;
    }
}

/* ---- saturation, breath, temperature ---- */

static void probe(life *l) {
    device *v = &l->sensor;
    v->probe[0] += (l->body.arterial - v->probe[0]) / PROBE_TAU;
    v->probe[1] += (v->probe[0] - v->probe[1]) / PROBE_TAU;
    v->probe_drift = 0.97 * v->probe_drift + 0.18 * chance_normal(&l->device_chance);
    v->skin += (l->body.core - v->skin) / SKIN_TAU;
}

static void read_rest(life *l, reading *r) {
    device *v = &l->sensor;
    chance *c = &l->device_chance;
    const flesh *f = &l->body;
    double spo2 = v->probe[1] + v->probe_drift;
    if (f->pulse <= 0)
        return;
    v->probe_shake = 0.9 * v->probe_shake + 0.44 * chance_normal(c);
    if (!l->of->who.strap && f->motion > 0.08)
        spo2 -= fabs(v->probe_shake) * fmin(6, 9 * f->motion);
    if (life_hitch(l, HITCH_COLD)) {
        spo2 -= 5 + 4 * sin((double)l->second / 70);
        r->quality = fmin(r->quality, 34 + 12 * sin((double)l->second / 200) + 3 * chance_normal(c));
    }
    if (l->second < v->burst_until)
        spo2 -= fabs(v->burst) / 8;
    reading_put(r, VITAL_SPO2, fmax(0, fmin(100, floor(spo2 + 0.5))));
    if (l->second % 10 < l->of->who.period_s)
        reading_put(r, VITAL_TEMP, floor((v->skin + 0.05 * chance_normal(c)) * 10 + 0.5) / 10);
    if (l->of->who.strap)
        reading_put(r, VITAL_RESP, fmax(0, floor(f->breaths + 0.8 * chance_normal(c) + 0.5)));
}

/* ---- the device itself ---- */

static void notice(life *l, reading *r) {
    const flesh *f = &l->body;
    device *v = &l->sensor;
    if (!f->down || v->told)
        return;
    bool fell = l->of->who.feels_falls && l->second >= f->down_at + 2;
    if (!fell && l->second < f->down_at + 90)
        return;
    r->event = l->of->who.feels_falls ? EVENT_FALL : EVENT_STILL;
    v->told = true;
}

/* On a table: it has nothing, or finds something in the light of the room. */
static void off_skin(life *l, reading *r) {
    chance *c = &l->device_chance;
    r->contact = l->of->who.tells_contact ? CONTACT_NONE : CONTACT_UNKNOWN;
    r->motion = 0.002;
    r->quality = chance_between(c, 0, 25);
    if (chance_hits(c, 0.2))
        reading_put(r, VITAL_HR, floor(chance_between(c, 40, 160)));
}

bool device_read(life *l, instant at, reading *r) {
    const traits *t = &l->of->who;
    device *v = &l->sensor;
    show_pulse(l);
    probe(l);
    knock(l);
    v->battery = fmax(1, v->battery - 100 / LIFETIME);
    v->shaken += l->body.motion * l->body.motion; /* with what knock() has added */
    if (l->second % t->period_s)
        return false;
    double shaken = v->shaken; /* over all the time since the last reading */
    v->shaken = 0;
    if (life_hitch(l, HITCH_DROPOUT) || life_hitch(l, HITCH_FLAT))
        return false;
    *r = reading_at(at);
    r->battery = floor(v->battery);
    if (life_hitch(l, HITCH_OFF_SKIN)) {
        off_skin(l, r);
        return true;
    }
    r->contact = t->tells_contact ? CONTACT_GOOD : CONTACT_UNKNOWN;
    r->motion = floor(sqrt(shaken / (double)t->period_s) * 1000 + 0.5) / 1000;
    read_pulse(l, r);
    if (life_hitch(l, HITCH_LOOSE) && t->tells_contact && chance_hits(&l->device_chance, 0.02))
        r->contact = CONTACT_NONE;
    read_beats(l, r);
    read_rest(l, r);
    notice(l, r);
    return true;
}
