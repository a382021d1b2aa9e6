/* body_private.h - what the files of body.h share: the signals that rules are made of, the rules as they are
 * resolved for one person, and the state of a body.
 *
 *   body_rules.c     the document: read and checked
 *   body_limits.c    laid over the shipped one, and resolved for one person
 *   body_defaults.c  the shipped document
 *   body_signals.c   the words a rule can be made of, with their units
 *   body_trust.c     what of a reading can be believed
 *   body_context.c   what the person is doing
 *   body_course.c    what is usual, where it is going, heart-rate variability
 *   body_judge.c     rules over time: broken, for how long, worse, over
 *   body_words.c     a finding in words
 *   body_keep.c      a body as JSON, and back
 *   body.c           the way of one reading through them */
#ifndef MAYDAY_CORE_BODY_PRIVATE_H
#define MAYDAY_CORE_BODY_PRIVATE_H

#include <math.h>
#include "core/body.h"

#define MS INT64_C(1000) /* microseconds of a millisecond */

/* ---- signals: what a rule looks at. NAN while it is not known ---- */

typedef enum signal {
    SIGNAL_HR = 0, /* the vitals come first, in their order */
    SIGNAL_SPO2,
    SIGNAL_RESP,
    SIGNAL_TEMP,
    SIGNAL_SYS,
    SIGNAL_DIA,
    SIGNAL_HR_OVER_USUAL,
    SIGNAL_SPO2_OVER_USUAL,
    SIGNAL_RESP_OVER_USUAL,
    SIGNAL_TEMP_OVER_USUAL,
    SIGNAL_HR_TREND, /* per minute */
    SIGNAL_SPO2_TREND,
    SIGNAL_RESP_TREND,
    SIGNAL_TEMP_TREND,
    SIGNAL_HR_OF_MAX,   /* percent of the highest for the age */
    SIGNAL_HR_OF_USUAL, /* percent */
    SIGNAL_HR_NOISE,    /* deviation of neighbouring values from an even course */
    SIGNAL_HR_DROP,     /* below the highest of the last minute */
    SIGNAL_RMSSD,
    SIGNAL_NEWS2,
    SIGNAL_NEWS2_SINGLE,
    SIGNAL_STILL,         /* seconds without movement */
    SIGNAL_ACTIVE_AGO,    /* seconds since the person moved as bodies at rest do not */
    SIGNAL_FALL,          /* seconds since a fall without movement behind it */
    SIGNAL_STILL_DEVICE,  /* seconds since the device said so, without movement behind it */
    SIGNAL_LOST,          /* seconds without a pulse, or saturation, that can be believed */
    SIGNAL_LOST_WORRYING, /* the same, when a rule was being broken just before */
    SIGNAL_TOUCHING,      /* 1: the sensor says that it touches the skin, 0: that it does not */
    SIGNAL_OFF_SKIN,      /* seconds off the skin */
    SIGNAL_SILENT,        /* seconds without any reading */
    SIGNAL_HR_STUCK,      /* seconds with the very same pulse */
    SIGNALS
} signal;

typedef struct signal_row {
    const char *word;   /* in the document */
    const char *name;   /* for people, what it is of */
    const char *phrase; /* for people, with a value and its unit */
    double least, most; /* sane limits of a rule */
    double margin;      /* hysteresis, unless the rule has its own */
    vital of;           /* VITALS: of none */
    bool keeps;         /* a time that runs on while the sensor is silent, or a state */
} signal_row;

const signal_row *signal_of(signal s);
bool signal_named(text word, signal *ret_signal);

/* ---- rules ---- */

typedef struct condition {
    signal of;
    bool below;
    double limit;
} condition;

#define RULE_ALSO_MAX 4

typedef struct rule {
    char name[BODY_RULE_NAME_MAX];
    condition is;
    condition also[RULE_ALSO_MAX];
    size_t also_count;
    unsigned when; /* bits 1u << body_context */
    int64_t for_ms, clear_ms, quiet_ms;
    double margin, step; /* NAN: that of the signal; step 0: never said again */
    body_response response;
    bool off;
    const char *source; /* owned by the document */
} rule;

typedef enum setting {
    SETTING_AGE = 0,
    SETTING_USUAL_PULSE, /* NAN: learned from the first reading on */
    SETTING_SCALE2,
    SETTING_OXYGEN, /* NAN: not known */
    SETTING_QUALITY,
    SETTING_SPO2_QUALITY,
    SETTING_SPO2_STEADY_G,
    SETTING_STILL_G,
    SETTING_REST_G,
    SETTING_EXERCISE_G,
    SETTING_MOVING_MPS,
    SETTING_EXERCISE_MPS,
    SETTING_VEHICLE_MPS,
    SETTING_SETTLE_S,
    SETTING_RECOVERY_LEAST_S,
    SETTING_RECOVERY_MOST_S,
    SETTING_RECOVERED_OVER,
    SETTING_WORRY_S,
    SETTING_STUCK_S,
    SETTINGS
} setting;

/* Rule `i` is the same rule in all limits of one document. */
struct body_limits {
    rule rules[BODY_RULES_MAX]; /* without a name: not for this person */
    uint32_t hashes[BODY_RULES_MAX];
    size_t count;
    uint32_t stamp; /* of all the names in their order: says when slots have to be found anew */
    double settings[SETTINGS];
};

/* ---- a body ---- */

typedef struct course { /* of one vital */
    double value;       /* the newest believed; NAN: none yet */
    instant at;
    int64_t gap_us; /* how far apart values usually come */
    double usual, fast, slow;
    int64_t learned_ms; /* how long at rest `usual` has been learned from */
    double rumour;      /* a step too far to be believed, unless it stays */
    instant rumour_since, rumour_at;
    int64_t rumour_count;
    double raw, raw_before; /* the newest two, believed or not; how little the last ones agree with each
                               other, and how far they are from an even course */
    double noise;
    instant raw_at;
    int64_t unrest;
} course;

/* Fewer readings that are the same are no pulse that stands still: a sensor that fell silent has two. */
#define BODY_STUCK_COUNT 60

#define DROP_BUCKETS 12 /* of 5 s */
#define RR_BUCKETS   10 /* of 30 s */
#define RR_OUTLIERS  6  /* in a row: the rhythm itself has changed */

typedef struct slot { /* of one rule */
    uint32_t rule;    /* hash of its name; 0: free */
    bool broken, begun;
    int32_t charge_ms, clear_ms, unknown_ms;
    float said, excused; /* NAN: nothing */
    instant since, excused_until;
} slot;

struct body {
    uint32_t stamp; /* of the limits that the slots are in the order of; 0: to be found */
    instant clock;  /* time of the newest reading; 0: none yet */
    instant heard;  /* when it came, by the host */
    instant judged; /* what the rules have been judged up to */
    uint64_t taken, doubted, late;
    course of[VITALS];
    instant same_since;
    int64_t same_count;
    double peak[DROP_BUCKETS]; /* highest pulse of each 5 s */
    int64_t peak_bucket;       /* of the newest, 5 s since 1970 */
    double rr_usual, rr_last;  /* NAN: none */
    int64_t rr_outliers;
    double rr_sum[RR_BUCKETS]; /* of squared differences */
    int64_t rr_count[RR_BUCKETS];
    int64_t rr_bucket;
    double quality, quality_before; /* as sensors say, smoothed, and the last; NAN: they do not */
    double motion;                  /* smoothed; NAN: not known */
    instant motion_at;
    body_context pace; /* rest, moving or exercise, by the newest motion or speed; or unknown */
    instant pace_at;
    instant moved_at;  /* any movement; 0: motion has never been known */
    instant active_at; /* more than a resting body moves */
    int64_t stir_ms;   /* such movement since a fall */
    int64_t exercise_ms;
    instant effort_at; /* the heart has a reason to be fast, lately; 0: none */
    bool effort_hard;
    body_context context;
    skin_contact contact;
    instant contact_at; /* since when it is so */
    instant fall_at, still_at;
    instant trouble_at; /* a rule was being broken */
    int64_t odd;        /* vitals, as bits, that break a limit now: nothing is learned from them */
    instant excused_at;
    instant closed_at; /* by our clock, as `heard`; not kept: it matters for moments */
    slot slots[BODY_RULES_MAX];
};

/* How old a value may be that still says something: longer for sensors that speak seldom. */
int64_t body_stale_us(const body *b, vital which);
bool body_fresh(const body *b, vital which, instant at);

/* body_trust.c: takes over into `b` what can be believed; returns which vitals those are, as bits. */
unsigned body_believe(body *b, const body_limits *l, const reading *r, instant at, body_trust *ret_trust);
/* body_context.c */
void body_move(body *b, const body_limits *l, const reading *r, double speed, instant at);
void body_settle(body *b, const body_limits *l, instant at);
double body_still_s(const body *b, instant at); /* NAN: motion is not known */
/* body_course.c; `before`: when each vital was last heard of, before this */
void body_begin(body *b);
void body_learn(body *b, const body_limits *l, unsigned news, const instant before[VITALS], instant at);
void body_beats(body *b, const reading *r, instant at);
double body_usual(const body *b, const body_limits *l, vital which); /* NAN: not learned yet */
double body_supposed(const body *b, const body_limits *l,
                     vital which); /* learned, or what most people have */
double body_rmssd(const body *b, instant at);
double body_drop(const body *b, instant at);
double body_trend(const body *b, vital which, instant at);
/* body_judge.c; `silent_us`: how long ago by the host the newest reading came */
void body_signals(const body *b, const body_limits *l, instant at, int64_t silent_us,
                  double ret_signals[SIGNALS], news2_score *ret_score);
size_t body_judge(body *b, const body_limits *l, instant at, int64_t silent_us,
                  finding ret_findings[BODY_FINDINGS_MAX]);
/* body_words.c */
void body_say(const body *b, const rule *r, const double signals[SIGNALS], finding *f);

#endif
