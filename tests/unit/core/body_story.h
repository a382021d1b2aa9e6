/* body_story.h - a person for stories: scenes of so many seconds, each with what the sensors say meanwhile,
 * and a list of what was found. Noise is the same in every run. */
#ifndef MAYDAY_TESTS_BODY_STORY_H
#define MAYDAY_TESTS_BODY_STORY_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/body.h"

#define S           INSTANT_SECOND
#define STORY_BEGIN (INT64_C(1700000000) * S)
#define HEARD_MAX   64

typedef struct scene {
    int64_t seconds;
    double hr;    /* the pulse it goes to, */
    double tau;   /* with this time constant, s; 0: at once */
    double noise; /* +- of the pulse */
    double motion;
    double spo2, resp, temp, sys;
    double speed;
    skin_contact contact;
    double quality;
    int64_t every; /* s between readings; 0: 1 */
    bool silent, no_motion, no_hr;
    body_event event; /* at the beginning */
} scene;

typedef struct story {
    body_rules *rules;
    const body_limits *limits;
    body *b;
    instant now;
    int64_t lag; /* how much later readings come than they were taken, us */
    double hr;
    uint32_t dice;
    finding heard[HEARD_MAX];
    size_t count;
} story;

static inline double roll(story *s) { /* -1 to 1 */
    s->dice = s->dice * 1664525u + 1013904223u;
    return (double)(s->dice >> 8) / (1 << 23) - 1;
}

static inline story story_under(const char *document) {
    story s = {.now = STORY_BEGIN, .hr = 72, .dice = 7};
    char why[BODY_WHY_MAX] = "";
    CLEANUP(json_freep) json *parsed = NULL;
    if (document)
        ck_assert_int_eq(json_parse_once(text_of(document), &parsed), JSON_OK);
    ck_assert_msg(body_rules_parse(parsed, &s.rules, why) == 0, "%s", why);
    ck_assert_int_eq(body_rules_for(s.rules, TEXT("ann"), NULL, 0, &s.limits), 0);
    ck_assert_int_eq(body_new(&s.b), 0);
    return s;
}

static inline story story_of(void) {
    return story_under(NULL);
}

static inline void story_release(story *s) {
    (void)body_free(s->b);
    (void)body_rules_free(s->rules);
}

static inline void heard(story *s, const finding *found, size_t count) {
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(memchr(found[i].words, '\0', BODY_WORDS_MAX) && found[i].words[0], "no words");
        ck_assert_uint_lt(s->count, HEARD_MAX);
        s->heard[s->count++] = found[i];
        if (getenv("STORY"))
            printf("%6lld %d %-5s %-20s %s\n", (long long)((found[i].at - STORY_BEGIN) / S),
                   (int)found[i].kind, body_response_word(found[i].response), found[i].rule, found[i].words);
    }
}

static inline body_trust give(story *s, const reading *r, double speed) {
    finding found[BODY_FINDINGS_MAX];
    body_trust trust;
    heard(s, found, body_take(s->b, s->limits, r, speed, s->now + s->lag, found, &trust));
    return trust;
}

static inline void pass(story *s) {
    finding found[BODY_FINDINGS_MAX];
    heard(s, found, body_pass(s->b, s->limits, s->now + s->lag, found));
}

static inline reading story_reading(story *s, const scene *c) {
    reading r = reading_at(s->now);
    if (c->hr > 0 && !c->no_hr)
        reading_put(&r, VITAL_HR, fmax(0, round(s->hr + roll(s) * (c->noise > 0 ? c->noise : 2))));
    if (c->spo2 > 0)
        reading_put(&r, VITAL_SPO2, c->spo2);
    if (c->resp > 0)
        reading_put(&r, VITAL_RESP, c->resp);
    if (c->temp > 0)
        reading_put(&r, VITAL_TEMP, c->temp);
    if (c->sys > 0)
        reading_put(&r, VITAL_SYS, c->sys);
    r.contact = c->contact;
    if (c->quality > 0)
        r.quality = c->quality;
    if (!c->no_motion)
        r.motion = fmax(0, c->motion * (1 + 0.3 * roll(s)));
    return r;
}

/* One scene; between readings, and when there are none, a second passes all the same. */
static inline void play(story *s, scene c) {
    for (int64_t i = 0; i < c.seconds; i++) {
        s->now += S;
        if (!c.silent)
            s->hr += c.tau > 0 ? (c.hr - s->hr) / (c.tau + 1) : c.hr - s->hr;
        if (c.silent || (c.every > 1 && i % c.every != 0)) {
            pass(s);
            continue;
        }
        reading r = story_reading(s, &c);
        r.event = i == 0 ? c.event : EVENT_NOTHING;
        (void)give(s, &r, c.speed > 0 ? c.speed : (double)NAN);
        pass(s);
    }
}

/* The first of this rule and kind; NULL when there is none. */
static inline const finding *said(const story *s, const char *rule, finding_kind kind) {
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->heard[i].rule, rule) == 0 && s->heard[i].kind == kind)
            return &s->heard[i];
    return NULL;
}

static inline size_t times_said(const story *s, const char *rule, finding_kind kind) {
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        n += strcmp(s->heard[i].rule, rule) == 0 && s->heard[i].kind == kind;
    return n;
}

/* Seconds from `since` to the first finding of at least this response; -1: none. */
static inline int64_t until(const story *s, instant since, body_response least) {
    for (size_t i = 0; i < s->count; i++)
        if (s->heard[i].at >= since && s->heard[i].response >= least && s->heard[i].kind != FINDING_ENDS)
            return (s->heard[i].at - since) / S;
    return -1;
}

static inline void rest(story *s, int64_t seconds) {
    play(s, (scene){seconds, .hr = 72, .tau = 60, .motion = 0.05, .spo2 = 97, .contact = CONTACT_GOOD});
}

static inline void run(story *s, int64_t seconds) {
    play(s, (scene){seconds, .hr = 168, .tau = 45, .motion = 0.9, .spo2 = 96, .contact = CONTACT_GOOD});
}

static inline void walk(story *s, int64_t seconds) {
    play(s, (scene){seconds, .hr = 105, .tau = 40, .motion = 0.25, .spo2 = 97, .contact = CONTACT_GOOD});
}

#endif
