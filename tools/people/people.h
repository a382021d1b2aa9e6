/* people.h - whole simulated people with the truth beside: a day of somebody with a body, a sensor on it and
 * a receiver of satellites, second by second, and what they were really doing and suffering.
 *
 *   day (what will happen: written from a seed) -> life (the body and the devices, second by second)
 *   -> moment (a reading, a fix, the truth)
 *
 * It is made to score detection, so nothing here knows any rule or threshold. The physiology is that of
 * textbooks and papers, named where it is used (body.c, sensor.c): an individual maximum, kinetics of the
 * heart at the beginning and end of effort, variability, lag of sensors. The same seed lives the same day.
 *
 * Ownership: plain values that refer to nothing, except a life to its day, which has to outlive it. Threads:
 * no state. Pure: no clock. */
#ifndef MAYDAY_PEOPLE_H
#define MAYDAY_PEOPLE_H

#include "core/reading.h"
#include "people/chance.h"

typedef enum doing {
    DOING_REST = 0, /* sitting or lying, awake */
    DOING_SLEEP,
    DOING_DESK,
    DOING_STAND, /* on one's feet, a step now and then */
    DOING_WALK,
    DOING_RUN,
    DOING_STAIRS,
    DOING_CYCLE,
    DOING_SPIN, /* on a bicycle that stands in a room */
    DOING_LIFT, /* weights, in sets */
    DOING_DRIVE,
    DOING_DOWN, /* unconscious on the ground */
    DOINGS
} doing;

typedef enum peril {
    PERIL_NONE = 0,
    PERIL_ARREST,     /* the heart pumps no more: the pulse plunges and is lost */
    PERIL_ARRHYTHMIA, /* it races or is erratic, and pumps too little */
    PERIL_SLOW_HEART, /* 22 to 36 beats a minute */
    PERIL_HYPOXIA,    /* from arterial saturation below 90 % on */
    PERIL_HEAT,       /* from a core of 40 degrees on */
    PERIL_FALL,       /* a blow, and unconscious */
    PERIL_FEAR,       /* afraid and unable to move: nothing is wrong with the body */
    PERILS
} peril;

typedef enum hitch { /* of devices */
    HITCH_NONE = 0,
    HITCH_OFF_SKIN,
    HITCH_LOOSE,    /* it counts steps for beats where there are steps */
    HITCH_ARTEFACT, /* it is knocked about */
    HITCH_COLD,     /* little blood in the skin: saturation reads low */
    HITCH_DROPOUT,  /* nothing is sent */
    HITCH_FLAT,     /* the battery is flat */
    HITCH_STREET,   /* walls reflect what satellites send */
    HITCHES
} hitch;

const char *doing_name(doing d);
const char *peril_name(peril p);
const char *hitch_name(hitch h);
bool peril_named(text word, peril *ret_peril);

/* Who it is, and what they wear. */
typedef struct traits {
    int age;
    double resting, highest; /* pulse, beats/min */
    double fitness;          /* 0 to 1 */
    bool blocker;            /* takes a beta blocker */
    bool apnoea;             /* stops breathing for moments when asleep */
    double spo2, temp, breaths;
    double warms;       /* degrees, by effort at its hardest */
    double sway;        /* how much the pulse varies by itself, beats/min at rest */
    bool strap;         /* around the chest, with the times between beats; else a watch, by light */
    bool tells_contact; /* the device says whether it touches the skin */
    bool feels_falls;   /* it says when it fell; else, when nothing has moved for long */
    int64_t period_s;   /* a reading every so many seconds */
} traits;

typedef struct spell { /* of doing something */
    doing what;
    double effort; /* 0 to 1: how hard, for what it is */
    int64_t from_s, to_s;
} spell;

typedef struct trouble { /* with a device */
    hitch what;
    int64_t from_s, to_s;
} trouble;

#define DAY_SPELLS   64
#define DAY_TROUBLES 48

typedef struct day {
    uint64_t seed;
    traits who;
    instant begins;
    int64_t seconds;
    size_t spell_count, trouble_count;
    spell spells[DAY_SPELLS];
    trouble troubles[DAY_TROUBLES];
    peril peril; /* it begins to come over them at from, and goes at to */
    int64_t peril_from_s, peril_to_s;
} day;

#define DAY_SECONDS 86400

traits traits_of(uint64_t seed);
/* A working day with exercise, and everything that usually goes wrong with devices; nothing is wrong with the
 * person. From six in the morning. */
void day_calm(uint64_t seed, instant begins, day *ret_day);
/* One or two hours in which that happens to them. */
void day_of_peril(uint64_t seed, peril what, instant begins, day *ret_day);
/* Makes up a day by hand, for demonstrations. The time of the day is what has been added. */
void day_begin(uint64_t seed, const traits *who, instant begins, day *ret_day);
void day_add(day *d, doing what, double effort, int64_t seconds);
void day_hitch(day *d, hitch what, int64_t from_s, int64_t seconds);
void day_strike(day *d, peril what, int64_t from_s, int64_t seconds);

/* The body, as it is: what no sensor knows. */
typedef struct flesh {
    double fast, slow; /* of the pulse over resting: what follows effort at once, and in minutes */
    double stir;       /* of the pulse: excitement */
    double stir_to;
    int64_t stir_until;
    double drift;       /* of the pulse: wanders over minutes */
    double breath_turn; /* phase of breathing, and of the slow waves of pressure */
    double slow_turn;
    double breaths;
    double apnoea_s;
    double pulse;    /* beats/min that reach the skin; 0: none */
    double rhythm;   /* how irregular, beats/min */
    double arterial; /* saturation, % */
    double core;     /* degrees */
    double motion;   /* g, of the trunk and arm */
    double cadence;  /* steps/min; 0: none */
    double speed;    /* m/s */
    bool down;
    int64_t down_at;
    bool lifting; /* of weights: within a set */
    int64_t set_until;
    int variant; /* of what comes over them */
    double severity;
    int64_t faint_after; /* s, until they are down */
} flesh;

typedef struct device {
    double pulse; /* what it shows: its own mean */
    double probe[2], probe_drift, probe_shake;
    double skin;    /* temperature */
    double clock_s; /* of beats, for the times between them */
    double battery;
    double shaken;       /* sum of squares of motion since the last reading, g */
    int64_t burst_until; /* of an artefact */
    double burst;
    bool burst_hidden; /* it does not notice */
    bool fell, told;
} device;

typedef struct way {
    double north, east, heading; /* metres from where the day began, degrees */
    double error_north, error_east, jump_north, jump_east;
    int64_t jump_until;
} way;

typedef struct life {
    const day *of;
    int64_t second;
    size_t spell;
    chance flesh_chance, device_chance, way_chance;
    flesh body;
    device sensor;
    way way;
    double home_lat, home_lon;
    peril in;
    int64_t in_since_s;
} life;

typedef struct moment {
    int64_t second;
    bool said, placed; /* there is a reading; a fix */
    reading body;
    fix place;
    /* the truth */
    doing doing;
    peril peril; /* now, and since when it is one: as the body is, not as the day has it */
    int64_t peril_since_s;
    double pulse, arterial, core;
} moment;

/* Home: where the day begins. */
void life_begin(const day *d, double lat, double lon, life *ret_life);
/* The next second. False: the day is over, and nothing is written. */
bool life_next(life *l, moment *ret_moment);

#endif
