/* news2.h - National Early Warning Score 2 (Royal College of Physicians, London 2017), whole or partial.
 *
 * It is made for acutely ill adults at rest: a running officer trips it, so callers gate it on motion.
 * Without all seven parameters the score is a lower bound and `partial`. Pure. Threads: no state. */
#ifndef MAYDAY_CORE_NEWS2_H
#define MAYDAY_CORE_NEWS2_H

#include "core/reading.h"

typedef enum news2_risk {
    NEWS2_UNKNOWN = 0, /* nothing to score */
    NEWS2_LOW,         /* 0-4 */
    NEWS2_LOW_MEDIUM,  /* any single parameter at 3 */
    NEWS2_MEDIUM,      /* 5-6 */
    NEWS2_HIGH,        /* 7 and more */
} news2_risk;

typedef struct news2_input {
    reading body; /* hr, spo2, resp, temp, sys */
    bool scale2;  /* SpO2 scale 2: people with hypercapnic respiratory failure, by a clinician's word alone */
    int oxygen;   /* 1 on supplemental oxygen, 0 on air, -1 not known */
    int alert;    /* 1 alert, 0 confused or responding to voice, pain or not at all (CVPU), -1 not known */
} news2_input;

typedef struct news2_score {
    int total;   /* a lower bound when partial */
    int highest; /* of a single parameter */
    int of[7];   /* resp, spo2, oxygen, sys, pulse, consciousness, temp; -1: not known */
    bool partial;
    news2_risk risk;
} news2_score;

news2_score news2(const news2_input *in);

#endif
