/* news2.c - see news2.h. The chart of the Royal College of Physicians, National Early Warning Score (NEWS) 2,
 * London 2017: each band is given by the highest value that still belongs to it, at the resolution of the
 * chart: whole numbers, temperature in tenths. */
#include "core/news2.h"

#include <math.h>

enum {
    OF_RESP = 0,
    OF_SPO2,
    OF_OXYGEN,
    OF_SYS,
    OF_PULSE,
    OF_ALERT,
    OF_TEMP,
};

typedef struct band {
    double most; /* the highest value of the band */
    int score;
} band;

static const band resp[] = {{8, 3}, {11, 1}, {20, 0}, {24, 2}, {INFINITY, 3}};
static const band spo2_scale1[] = {{91, 3}, {93, 2}, {95, 1}, {INFINITY, 0}};
static const band spo2_scale2_air[] = {{83, 3}, {85, 2}, {87, 1}, {INFINITY, 0}};
static const band spo2_scale2_oxygen[] = {{83, 3}, {85, 2}, {87, 1},      {92, 0},
                                          {94, 1}, {96, 2}, {INFINITY, 3}};
static const band sys[] = {{90, 3}, {100, 2}, {110, 1}, {219, 0}, {INFINITY, 3}};
static const band pulse[] = {{40, 3}, {50, 1}, {90, 0}, {110, 1}, {130, 2}, {INFINITY, 3}};
static const band temp_tenths[] = {{350, 3}, {360, 1}, {380, 0}, {390, 1}, {INFINITY, 2}};

static int score(const band *bands, const reading *of, vital which, double scale) {
    if (!reading_has(of, which) || isnan(of->value[which]))
        return -1;
    /* the small addition: 35.05 is written as a number a trifle below it */
    double value = floor(of->value[which] * scale + 0.5 + 1e-9);
    while (value > bands->most)
        bands++;
    return bands->score;
}

static news2_risk risk_of(const news2_score *s) {
    if (s->total >= 7)
        return NEWS2_HIGH;
    if (s->total >= 5)
        return NEWS2_MEDIUM;
    return s->highest == 3 ? NEWS2_LOW_MEDIUM : NEWS2_LOW;
}

news2_score news2(const news2_input *in) {
    const band *saturation = !in->scale2       ? spo2_scale1
                             : in->oxygen == 1 ? spo2_scale2_oxygen
                                               : spo2_scale2_air;
    news2_score s = {.of = {
                         [OF_RESP] = score(resp, &in->body, VITAL_RESP, 1),
                         [OF_SPO2] = score(saturation, &in->body, VITAL_SPO2, 1),
                         [OF_OXYGEN] = in->oxygen < 0 ? -1 : in->oxygen * 2,
                         [OF_SYS] = score(sys, &in->body, VITAL_SYS, 1),
                         [OF_PULSE] = score(pulse, &in->body, VITAL_HR, 1),
                         [OF_ALERT] = in->alert < 0    ? -1
                                      : in->alert == 0 ? 3
                                                       : 0,
                         [OF_TEMP] = score(temp_tenths, &in->body, VITAL_TEMP, 10),
                     }};
    size_t known = 0;
    for (size_t i = 0; i < ARRAY_LEN(s.of); i++) {
        if (s.of[i] < 0)
            continue;
        known++;
        s.total += s.of[i];
        s.highest = s.of[i] > s.highest ? s.of[i] : s.highest;
    }
    s.partial = known < ARRAY_LEN(s.of);
    s.risk = known > 0 ? risk_of(&s) : NEWS2_UNKNOWN;
    return s;
}
