/* vigil.h - what the files of the service `vigil` share: people whose bodies are watched, and the
 * conversation that follows when one gives cause for concern. See services/vigil.c for what happens when.
 *
 * Two clocks: readings are judged by the wall clock, as their devices have it; conversations run by
 * vigil_now(), the wall clock when the service began and then only time that passed, so that a clock that
 * steps neither hastens nor delays an alarm.
 * Threads: all of it belongs to the service's thread, but vigil_ear, which locks itself. */
#ifndef MAYDAY_GATEWAY_VIGIL_VIGIL_H
#define MAYDAY_GATEWAY_VIGIL_VIGIL_H

#include <uthash.h>

#include "base/json.h"
#include "core/body.h"
#include "core/distress.h"
#include "core/topic.h"
#include "gateway/edge/intake.h"
#include "gateway/service.h"

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
} overheard_kind;

typedef struct overheard {
    struct overheard *next;
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
uint64_t vigil_ear_lost(vigil_ear *e);           /* readings that came faster than they were taken */

/* ---- vigil/people.c: whom we watch ---- */

typedef struct vigil vigil;

/* One organisation: its rules, and whether we are the one who acts on what is heard. */
typedef struct ward {
    UT_hash_handle hh;
    char *org;
    body_rules *rules;
    json *words;          /* duress words: {"*": [...], "ann": [...]}; NULL: none */
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
    bool kept;        /* their body is in the database as it is */
    instant kept_at;  /* when it was put there, or first heard of */
    instant heard_at; /* of vigil_now() */
    instant own_at;   /* by a sensor of ours; 0: never */
    fix place;        /* at 0: none */
    distress talk;
    concern about;   /* while talk is not calm, and the last one after that */
    finding held;    /* what somebody else acts on, as long as they are there; kind FINDING_NONE: nothing */
    instant held_at; /* of vigil_now() */
    char alert[UUID_TEXT_LEN + 1]; /* their open incident; "": none is known */
    instant raise_at;              /* when we raise if nobody else has; 0: not */
    bool help, duress;             /* they called for help */
    bool out;                      /* a broker took the question */
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
} saying;

/* Takes a message into what is to be said; the same id twice is one. Returns 0 or a fault. */
NODISCARD int vigil_say(vigil *v, saying_kind kind, const watched *p, const char *id, const char *alert,
                        const char *leaf, const json *body);
/* Sends what there is to send. */
void vigil_speak(vigil *v);
/* A question that is answered need not be asked any more. */
void vigil_unsay(vigil *v, const char *id);
void vigil_recall_sayings(vigil *v); /* from the shelf, when we begin */
void vigil_sayings_free(vigil *v);

/* ---- vigil/talk.c: the conversation ---- */

/* What was found in somebody's body. `own`: by a sensor of this gateway. */
void vigil_found(vigil *v, watched *p, const finding *f, bool own);
void vigil_replied(vigil *v, watched *p, const json *reply);
/* Their incident is open, or over ("" as status: not known). */
void vigil_raised(vigil *v, watched *p, text alert);
void vigil_over(vigil *v, watched *p, text alert);
/* Help was called under duress: it goes on where they can't see it; between them and us all is as after an
 * OK. */
void vigil_hushed(vigil *v, watched *p);
/* What is due; returns when to come again. */
instant vigil_due(vigil *v);
/* A question was taken by a broker now. */
void vigil_asked(vigil *v, watched *p);
void vigil_recall_talks(vigil *v);
void vigil_shelve_talk(vigil *v, const watched *p);
/* Ids that every gateway makes alike. Returns 0 or a fault. */
NODISCARD int vigil_check_ids(text org, const char *check, concern *c);

/* ---- vigil/hear.c: what it means ---- */

void vigil_hear(vigil *v, const overheard *one);
void vigil_sense(vigil *v, const intake_one *one); /* of our own sensors */

/* ---- vigil/lease.c: with the database ---- */

/* Leases, rules, people, open conversations, bodies. *ret_more: there is more to do at once. */
NODISCARD pg_verdict vigil_attend(vigil *v, bool *ret_more);
/* Do we act on what is heard of this organisation? `own`: by a sensor of this gateway. */
bool vigil_acts(vigil *v, const ward *w, bool own);
void vigil_take_over(vigil *v, ward *w);  /* what was held is acted on */
void vigil_relieve(vigil *v, watched *p); /* whoever acts on what is held of them may be gone, or deaf */
void vigil_recall_rules(vigil *v);        /* from the shelf, when we begin */
/* What is known of bodies that changed since. *ret_more likewise. */
NODISCARD pg_verdict vigil_keep_bodies(vigil *v, bool *ret_more);

/* ---- */

#define VIGIL_OWN_MAX 4096 /* ids of what our own sensors said lately */

struct vigil {
    service_context *s;
    vigil_ear *ear;
    ward *wards;
    watched *people;
    saying *sayings, **sayings_end;
    size_t saying_count;
    instant spoke_at; /* in vain */
    int64_t base_ms;
    instant base;
    bool with_database; /* it answered at the last step */
    int64_t connected_ms;
    instant looked_at, passed_at, claimed_at;
    instant changed_at; /* when the database said that rules have changed */
    instant away_since; /* 0: the database is there */
    uint64_t own[VIGIL_OWN_MAX];
    size_t own_at;
    distress_times times;
    bool crowded, silent; /* and said so */
};

instant vigil_now(const vigil *v);

#endif
