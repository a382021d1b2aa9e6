/* vigil.h - what the files of the service `vigil` share: people whose bodies are watched, and the
 * conversation that follows when one gives cause for concern. See services/vigil.c for what happens when.
 *
 * Two clocks: readings are judged by the wall clock, as their devices have it; conversations run by
 * vigil_now(), the wall clock when the service began and then only time that passed, so that a clock that
 * steps neither hastens nor delays an alarm.
 * Three threads, so that nobody's body waits for a broker or a database:
 *   the heart     hears, judges, keeps time of conversations; waits for the disk alone
 *   the mouth     publishes what there is to say (vigil/say.c)
 *   the service's asks the database (vigil/lease.c)
 * All of it is under vigil.lock, which is let go of while one of the latter two waits (vigil_ask,
 * bus_publish); but vigil_ear, which locks itself. */
#ifndef MAYDAY_GATEWAY_VIGIL_VIGIL_H
#define MAYDAY_GATEWAY_VIGIL_VIGIL_H

#include <pthread.h>
#include <stdatomic.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/json.h"
#include "core/body.h"
#include "core/distress.h"
#include "core/topic.h"
#include "gateway/bus/funnel.h"
#include "gateway/edge/intake.h"
#include "gateway/service.h"
#include "gateway/standby/handed.h"

#define VIGIL_PEOPLE_MAX 20000
#define VIGIL_ORGS_MAX   1000

/* ---- vigil/ear.c: what is heard on MQTT ---- */

typedef enum overheard_kind {
    OVERHEARD_NOTHING = 0,
    OVERHEARD_VITALS,
    OVERHEARD_FIX,
    OVERHEARD_REPLY,
    OVERHEARD_RAISE,
    OVERHEARD_STATE,
    OVERHEARD_ACTION,
    OVERHEARD_CHECK,
} overheard_kind;

typedef struct overheard {
    funnel_item item;
    overheard_kind kind;
    char org[TOPIC_LEVEL_MAX + 1], id[TOPIC_LEVEL_MAX + 1], sender[TOPIC_LEVEL_MAX + 1];
    text payload; /* behind the struct */
} overheard;

typedef struct vigil_ear vigil_ear;
NODISCARD int vigil_ear_open(bus *b, const char *gateway, vigil_ear **ret_ear);
vigil_ear *vigil_ear_close(vigil_ear *e); /* after the bus has ended; takes NULL, returns NULL */
int vigil_ear_fd(const vigil_ear *e);     /* readable: something was heard; vigil_ear_take() empties it */
/* Up to so many, the caller's: what people say first, then readings; NULL: nothing. */
overheard *vigil_ear_take(vigil_ear *e, size_t most);
size_t vigil_ear_elders(vigil_ear *e, text org); /* gateways online whose id sorts before ours */
size_t vigil_ear_others(vigil_ear *e, text org); /* gateways online but ours */
uint64_t vigil_ear_lost(vigil_ear *e);           /* what came faster than it was taken */

/* ---- vigil/people.c: whom we watch ---- */

typedef struct vigil vigil;

/* One organisation: its rules, and whether we are the one who acts on what is heard. */
typedef struct ward {
    UT_hash_handle hh;
    char *org;
    body_rules *rules;
    json *words;          /* duress words: {"*": [...], "ann": [...]}; NULL: none */
    size_t people;        /* watched */
    instant refreshed_at; /* of vigil_now(); 0: not since we began */
    bool holds;           /* the lease, as last heard */
    bool caught_up;       /* what is open in the database is known, since we hold it */
    char *spelled;        /* the rules as the database has them */
} ward;

/* What a conversation is about; all of it is made from the finding. */
typedef struct concern {
    char rule[BODY_RULE_NAME_MAX], words[BODY_WORDS_MAX];
    char check[UUID_TEXT_LEN + 1]; /* "": nothing was asked */
    char alert[UUID_TEXT_LEN + 1]; /* the incident that silence, or help, opens */
    char raise[UUID_TEXT_LEN + 1];
    json *readings; /* as in schemas/raise.json */
    instant found_at;
} concern;

typedef struct watched {
    UT_hash_handle hh;
    char *key; /* "<org>/<person>" */
    ward *of;
    char person[TOPIC_LEVEL_MAX + 1], lang[36];
    body *body;
    const body_limits *limits; /* of the ward's rules; NULL: to be found out */
    char **roles;
    size_t role_count;
    bool known;       /* the database was asked about them */
    instant met_at;   /* when; of vigil_now() */
    bool kept;        /* their body is in the database as it is */
    instant kept_at;  /* when it was put there, or first heard of */
    instant heard_at; /* of vigil_now() */
    instant own_at;   /* by a sensor of ours; 0: never */
    fix place;        /* at 0: none */
    distress talk;
    concern about;   /* while talk is not calm, and the last one after that */
    finding held;    /* what somebody else acts on, as long as they are there; kind FINDING_NONE: nothing */
    instant held_at; /* of vigil_now() */
    finding spare;   /* what `held` took the place of, and goes on */
    instant spare_at;
    char alert[UUID_TEXT_LEN + 1]; /* their open incident; "": none is known */
    instant raise_at;              /* when we raise if nobody else has; 0: not */
    instant taken_at;              /* when we learned of it, or raised it; of vigil_now() */
    bool help, duress;             /* they called for help */
    bool out;                      /* a broker took the question */
    bool unjudged;                 /* they said OK with a PIN that only the database can judge */
    bool followed;                 /* another gateway asked: it says what there is to say */
    bool winded;                   /* time was added when we were started in the middle of it */
} watched;

/* NULL: there is no room, or no memory. */
ward *vigil_ward(vigil *v, text org);
watched *vigil_person(vigil *v, text org, text person);
watched *vigil_find(vigil *v, text org, text person); /* NULL: not watched */
void vigil_people_free(vigil *v);
/* The rules that count for them; NULL: out of memory. */
const body_limits *vigil_limits(vigil *v, watched *p);
/* New rules: {"v": 1, "rules": {...} or null}. Returns 0 or a fault with a sentence. */
NODISCARD int vigil_rule(vigil *v, ward *w, text spelled, char ret_why[BODY_WHY_MAX]);
void concern_release(concern *c);
void watched_forget_roles(watched *p);

/* ---- vigil/say.c: what we say, until a broker has it ---- */

typedef enum saying_kind {
    SAYING_FINDING = 0, /* a vital_alert; the first to be dropped */
    SAYING_QUESTION,
    SAYING_RAISE,
} saying_kind;

typedef struct saying {
    struct saying *next;
    saying_kind kind;
    char *org, *topic, *payload;
    char person[TOPIC_LEVEL_MAX + 1];
    char id[UUID_TEXT_LEN + 1];
    char alert[UUID_TEXT_LEN + 1]; /* of a raise */
    instant since;                 /* of vigil_now() */
    bool shelved;                  /* it is on the shelf "vigil" */
    bool handed;                   /* to the service standby */
    instant back_at;               /* when the broker was there again; 0: not since it was handed */
    bool out;                      /* the mouth has it, and frees it if it is */
    bool dropped;                  /* meanwhile: nobody wants it any more */
} saying;

/* Takes a message into what is to be said; the same id twice is one. Returns 0 or a fault. */
NODISCARD int vigil_say(vigil *v, saying_kind kind, const watched *p, const char *id, const char *alert,
                        const char *leaf, const json *body);
/* Hands to standby what no broker takes. */
void vigil_hand_in(vigil *v);
void *vigil_mouth(void *the_vigil); /* the thread; ends when v->ends */
/* A question that is answered need not be asked any more. */
void vigil_unsay(vigil *v, const char *id);
void vigil_recall_sayings(vigil *v); /* from the shelf, when we begin */
void vigil_sayings_free(vigil *v);

/* ---- vigil/words.c: the messages ---- */

extern const char *const vigil_kinds[]; /* by finding_kind */
/* Ids that every gateway makes alike. Return 0 or a fault. */
NODISCARD int vigil_make_id(const watched *p, const finding *f, const char *what,
                            char ret_id[UUID_TEXT_LEN + 1]);
NODISCARD int vigil_check_ids(text org, const char *check, concern *c);
/* The newest of each that was believed in the last minutes; NULL: out of memory. */
json *vigil_spell_readings(const watched *p, const finding *f, instant now);
json *vigil_spell_place(const watched *p);
NODISCARD int vigil_put_time(json *to, const char *name, instant at);
/* `follows`: what is done about it. */
void vigil_say_finding(vigil *v, watched *p, const finding *f, body_response follows, const char *check,
                       const char *alert);
void vigil_say_question(vigil *v, watched *p);
void vigil_say_raise(vigil *v, watched *p); /* when it can't, again in a moment */

/* ---- vigil/talk.c: the conversation ---- */

#define VIGIL_KEEPER_TIME                                                                                    \
    (INSTANT_SECOND * 5 / 2) /* for the keeper, which looks every quarter of a second                        \
                              */

/* What was found in somebody's body. `own`: by a sensor of this gateway. */
void vigil_found(vigil *v, watched *p, const finding *f, bool own);
void vigil_take_up(vigil *v, watched *p, const finding *f); /* the same, and it is ours to act on */
void vigil_replied(vigil *v, watched *p, const json *reply);
/* Their incident is open, or over ("" as status: not known). */
void vigil_raised(vigil *v, watched *p, text alert);
void vigil_over(vigil *v, watched *p, text alert);
/* Help was called under duress: it goes on where they can't see it; between them and us all is as after an
 * OK. */
void vigil_hushed(vigil *v, watched *p);
void vigil_due(vigil *v); /* what is due now */
/* Another gateway asked them: their answer, or silence, is ours to act on should it be gone by then. */
void vigil_follow(vigil *v, watched *p, const char *check, int64_t within_ms);
/* Somebody answered, as the database says: it has judged the PIN. */
void vigil_answered(vigil *v, watched *p, bool help, bool duress);
/* A question was taken by a broker now. */
void vigil_asked(vigil *v, watched *p);

/* ---- vigil/keep.c: the conversation on disk ---- */

void vigil_recall_talks(vigil *v); /* when we begin */
void vigil_shelve_talk(vigil *v, const watched *p);

/* ---- vigil/hear.c: what it means ---- */

void vigil_hear(vigil *v, const overheard *one);
void vigil_sense(vigil *v, const intake_one *one); /* of our own sensors */

/* ---- vigil/lease.c: with the database ---- */

/* Leases, rules, people, open conversations, bodies. *ret_more: there is more to do at once. */
NODISCARD pg_verdict vigil_attend(vigil *v, bool *ret_more);
/* Do we act on what is heard of this organisation? `own`: by a sensor of this gateway. */
bool vigil_acts(vigil *v, const ward *w, bool own);
void vigil_act_on_held(vigil *v, watched *p, bool own);
/* Their incident was a mistake; what was found meanwhile is none for that. */
void vigil_was_mistake(vigil *v, watched *p);
/* The process stood still: what it knows of its leases is of before. It asks again. */
void vigil_stood_still(vigil *v);
void vigil_take_over(vigil *v, ward *w);  /* what was held is acted on */
void vigil_relieve(vigil *v, watched *p); /* whoever acts on what is held of them may be gone, or deaf */
void vigil_recall_rules(vigil *v);        /* from the shelf, when we begin */
/* What is known of bodies that changed since. *ret_more likewise. */
NODISCARD pg_verdict vigil_keep_bodies(vigil *v, bool *ret_more);

/* ---- */

#define VIGIL_OWN_MAX 4096 /* ids of what our own sensors said lately */

struct vigil {
    service_context *s;
    pthread_mutex_t lock;
    pthread_t heart, mouth_thread;
    bool beats, speaks; /* the threads were started */
    atomic_bool ends;
    int mouth_fd; /* an eventfd: there is something to say */
    vigil_ear *ear;
    ward *wards;
    watched *people;
    saying *sayings, **sayings_end;
    size_t saying_count;
    int64_t base_ms;
    instant base;
    bool with_database; /* it answered at the last step */
    int64_t connected_ms;
    instant passed_at, claimed_at, checked_at;
    instant beat_at;    /* the heart's last turn */
    instant stood_at;   /* it had stood still for so long that others may have our leases */
    instant changed_at; /* when the database said that rules have changed; of the service's thread */
    instant away_since; /* 0: the database is there; of the service's thread */
    uint64_t own[VIGIL_OWN_MAX];
    size_t own_at;
    distress_times times;
    bool crowded, silent; /* and said so */
};

instant vigil_now(const vigil *v);
/* Asks the database, without the lock meanwhile: people may come and go (hold no `watched` over it), wards
 * stay. By the service's thread alone. */
NODISCARD pg_verdict vigil_ask(vigil *v, const char *sql, size_t count, const char *const params[],
                               pg_rows **ret_rows);

#endif
