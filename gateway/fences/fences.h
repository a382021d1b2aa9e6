/* fences.h - what the files of the service `fences` share: the organisations it judges, their people, and
 * what is still to be said of them. See services/fences.c for what happens when.
 *
 * Threads: all of it belongs to the service's thread, but fences_ear, which locks itself. */
#ifndef MAYDAY_GATEWAY_FENCES_FENCES_H
#define MAYDAY_GATEWAY_FENCES_FENCES_H

#include "base/json.h"
#include "base/uuid.h"
#include "gateway/bus/funnel.h"
#include "gateway/service.h"
#include "gateway/standby/handed.h"
#include "place/fence.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* ---- fences/ear.c: what is heard on MQTT ---- */

typedef enum fence_heard_kind {
    FENCE_HEARD_NOTHING = 0,
    FENCE_HEARD_LOCATION,
    FENCE_HEARD_REPLY,
    FENCE_HEARD_DUTY,
    FENCE_HEARD_RAISE,
    FENCE_HEARD_EVENT,
} fence_heard_kind;

typedef struct fence_heard {
    funnel_item item;
    fence_heard_kind kind;
    instant at;
    const char *org,
        *whose;   /* the person, the incident of a raise, the zone of an event; in the same memory */
    text payload; /* of a location, a reply, an event */
} fence_heard;

typedef struct fences_ear fences_ear;
NODISCARD int fences_ear_open(bus *b, fences_ear **ret_ear);
fences_ear *fences_ear_close(fences_ear *e); /* takes NULL, returns NULL; after the bus has ended */
/* All that was heard, in its order, each to free(); and how many did not fit in since it was opened. */
fence_heard *fences_ear_take(fences_ear *e, uint64_t *ret_lost);

/* Is neither the one that judges online, nor a gateway that comes before us? */
bool fences_ear_alone(fences_ear *e, text org, text judge, text self);

/* A position as judged: what came live happened when its device says, if that is about now; what waited on
 * the device likewise, but never after it was heard. False when it is none. */
bool fences_position(text payload, instant heard_at, fix *ret_fix);
instant fences_moment(instant said, instant heard_at, bool offline);

/* ---- fences/org.c: people, and what is said of them ---- */

typedef struct fence_person {
    UT_hash_handle hh;
    char *id;
    char *name, *lang; /* NULL: not known */
    json *roles;       /* an array; NULL: not known */
    bool known;        /* we were told who they are */
    bool dirty;        /* differs from what is stored */
    int64_t behind_ms; /* monotonic: till then what waited on their device may still be coming */
    size_t unsaid;     /* messages about them that no broker has yet */
    fence_walker *walker;
} fence_person;

typedef struct fence_said {
    struct fence_said *next;
    fence_person *about;
    int refusals;
    int64_t since_ms, back_ms;     /* monotonic: queued; the database is back after it was handed in */
    bool handed;                   /* to the service standby */
    bool alarm;                    /* gives way to nothing */
    char check[UUID_TEXT_LEN + 1]; /* of a question; "" */
    char *payload;
    char topic[]; /* whole */
} fence_said;

typedef struct fence_known {
    UT_hash_handle hh;
    const json *row; /* [person, name, lang, roles], in the directory */
} fence_known;

/* Somebody was asked, and has not answered so far. */
typedef struct fence_question {
    struct fence_question *next;
    char check[UUID_TEXT_LEN + 1];
    char alert[UUID_TEXT_LEN + 1], raise[UUID_TEXT_LEN + 1]; /* what silence makes of it */
    char *person, *lang, *text;                              /* lang and text NULL: not known */
    int64_t within_ms;
    int64_t due_ms, looked_ms; /* monotonic; due INT64_MAX: no broker has the question yet */
    bool help, duress;
    bool unjudged; /* answered with a PIN: whether it is theirs only the database knows */
    bool raised;   /* the alarm is among what is to be said */
} fence_question;

typedef struct fence_org {
    struct fence_org *next;
    char *name;
    fences *zones;
    json *documents; /* of `zones`, an array */
    int64_t edition; /* of the database's; 0: none is loaded */
    bool wanted;     /* it has zones */
    bool held;       /* we judge it */
    bool locked;     /* by our connection; it may be lost, and then `held` stays until another judges */
    char *judge;     /* the gateway that judges, as the database last had it; NULL: not known */
    bool followed;   /* who is inside is known, though another judges */
    bool stood_in;   /* we judge for `judge`, because it is gone and the database is away */
    bool recalled;   /* what we know of it is what we kept on the shelf, from when the database was away */
    bool strangers;  /* some people came who were not looked up yet */
    bool unknown;    /* of some the database knew nothing when they were */
    bool stirred;    /* something is not on the shelf yet */
    fence_person *people;
    json *directory; /* everybody, as the database had it; `known` is its index */
    fence_known *known;
    uint64_t directory_print; /* of its text */
    bool directory_kept;      /* it is on the shelf */
    fence_question *questions;
    size_t question_count;
    fence_said *unsaid, **unsaid_end;
    size_t unsaid_count, inside;
    int64_t down_since_ms, judged_at_ms, looked_up_at_ms, refreshed_people_ms, tried_at_ms, shelved_at_ms,
        refreshed_at_ms, directory_at_ms, followed_at_ms, alone_since_ms; /* monotonic */
} fence_org;

fence_org *fence_org_new(text name);     /* NULL: out of memory */
fence_org *fence_org_free(fence_org *o); /* takes NULL, returns NULL */
void fence_org_forget(fence_org *o);     /* its people, and what is unsaid: another judges it now */
/* NULL: out of memory. */
fence_person *fence_org_person(fence_org *o, text id);
/* Zones as they are now; those that are not named any more are dropped. `bad` is told of each that is none.
 */
typedef void (*fence_bad)(void *context, text zone, const char *why);
NODISCARD int fence_org_load(fence_org *o, const json *documents, fence_bad bad, void *context);

/* Judge, and queue what there is to say. A fix that was heard now, or long ago (INT64_MIN). */
void fence_org_take(service_context *s, fence_org *o, fence_person *p, const fix *at, instant heard_at);
void fence_org_pass(service_context *s, fence_org *o, instant now);
void fence_org_checked_in(fence_org *o, fence_person *p, instant now);
typedef struct fence_message fence_message;
/* Takes a message over into what there is to say; an empty one is none. `check`: of a question; else NULL.
 * Returns 0 or -ENOMEM: also when there is too much already, which an alarm never is. */
NODISCARD int fence_org_queue(fence_org *o, fence_person *p, fence_message *m, bool alarm, const char *check);
/* Says what is queued, at most `most`. False when some is left and there is no use in going on now. */
bool fence_org_say(service_context *s, fence_org *o, size_t most);
void fence_org_tidy(fence_org *o,
                    instant now); /* forgets people who are nowhere and were not seen for long */

/* Appends {"person", "seen", "stays": [...]} of one. 0 or -ENOMEM. */
NODISCARD int fence_person_spell(const fence_person *p, json *list);

/* ---- fences/say.c: messages ---- */

struct fence_message {
    buf topic, payload;            /* empty: there is none */
    bool alarm;                    /* an alert, or a question that may become one */
    char check[UUID_TEXT_LEN + 1]; /* it is a question with this id; "": it is none */
};
void fence_message_release(fence_message *m);

typedef struct fence_news {
    const char *org;
    const fence_person *who;
    const fence_event *what;
    const json *zone; /* its document */
} fence_news;
/* 0 or a fault. What the zone's `alarm` makes of it may be nothing. */
NODISCARD int fence_spell_event(const fence_news *n, fence_message *ret_message);
NODISCARD int fence_spell_alarm(const fence_news *n, fence_message *ret_message);

/* ---- fences/ask.c: questions, whose answers the database may not be there to wait for ---- */

/* `check`: the message that asks. */
void fence_question_begin(service_context *s, fence_org *o, const fence_person *p, text check);
void fence_question_asked(fence_org *o, const char *check); /* a broker has it now: time runs */
void fence_question_answered(service_context *s, fence_org *o, text person, text reply);
void fence_question_raised(fence_org *o, text alert); /* somebody raised this incident */
void fence_questions_forget(fence_org *o);
/* What is overdue becomes an alarm: nobody else can make it one. */
void fence_questions_raise(service_context *s, fence_org *o);
/* With the database, whose watch over checks raises the alarm: what became of those that are overdue. */
NODISCARD pg_verdict fence_questions_look(service_context *s, fence_org *o);
NODISCARD pg_verdict fence_questions_restore(service_context *s, fence_org *o); /* when we take over */
NODISCARD int fence_questions_spell(const fence_org *o, json *list);
void fence_questions_recall(service_context *s, fence_org *o, const json *list);

/* ---- fences/people.c: who everybody is ---- */

/* From what is at hand; they are strangers, if nothing is. */
void fence_person_introduce(fence_org *o, fence_person *p);
NODISCARD pg_verdict fences_people_refresh(service_context *s, fence_org *o); /* everybody */
NODISCARD pg_verdict fences_people_meet(service_context *s, fence_org *o);    /* those not known */
void fences_people_recall(service_context *s, fence_org *o);                  /* from the shelf */
void fence_directory_free(fence_org *o);

/* ---- fences/store.c: the database, and the shelf ---- */

int64_t fences_clock_ms(void); /* monotonic */

NODISCARD pg_verdict fences_store_look(service_context *s, fence_org **orgs); /* editions; loads zones */
NODISCARD pg_verdict fences_store_lock(service_context *s, fence_org *o);     /* sets `locked`, `held` */
NODISCARD pg_verdict fences_store_unlock(service_context *s, fence_org *o);
/* Learns who is inside, while another judges. */
NODISCARD pg_verdict fences_store_follow(service_context *s, fence_org *o);
void fence_org_follow(fence_org *o, text zone, text event); /* and what it says meanwhile */
NODISCARD pg_verdict fences_store_save(service_context *s, fence_org *o);
NODISCARD pg_verdict fences_store_judged(service_context *s, const fence_org *o);
void fences_shelve(service_context *s, fence_org *o, bool away);
/* Adds what is on the shelf to `*orgs`. */
void fences_recall(service_context *s, fence_org **orgs);

#endif
