/* timers.h - what the files of the service `timers` share: those who work alone and asked to be checked on,
 * as this gateway knows them from the database and from MQTT. See services/timers.c for what happens when.
 *
 * Times are those of timers_now(): the wall clock when the service began and then only time that passed, so
 * that a clock that steps neither hastens nor delays anything. On disk they are the wall clock's.
 * Threads: all of it belongs to the service's thread, but timers_ear, which locks itself. */
#ifndef MAYDAY_GATEWAY_TIMERS_TIMERS_H
#define MAYDAY_GATEWAY_TIMERS_TIMERS_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/json.h"
#include "base/uuid.h"
#include "core/topic.h"
#include "gateway/bus/funnel.h"
#include "gateway/service.h"
#include "gateway/standby/handed.h"

#define LONE_MAX 50000

/* ---- timers/ear.c: what is heard on MQTT ---- */

typedef enum said_kind {
    SAID_NOTHING = 0,
    SAID_TIMER,
    SAID_CHECK,
    SAID_REPLY,
    SAID_RAISE,
} said_kind;

typedef struct said {
    funnel_item item;
    said_kind kind;
    char org[TOPIC_LEVEL_MAX + 1], id[TOPIC_LEVEL_MAX + 1]; /* `id`: the person; of a raise the incident */
    text payload;                                           /* behind the struct */
} said;

typedef struct timers_ear timers_ear;
NODISCARD int timers_ear_open(bus *b, timers_ear **ret_ear);
timers_ear *timers_ear_close(timers_ear *e); /* after the bus has ended; takes NULL, returns NULL */
int timers_ear_fd(const timers_ear *e);      /* readable: something was heard */
said *timers_ear_take(timers_ear *e);        /* all of it, the caller's, in order; NULL: nothing */
/* From now on the last position of "<org>/<person>" is kept, or no longer. */
void timers_ear_follow(timers_ear *e, const char *key);
void timers_ear_leave(timers_ear *e, const char *key);
json *timers_ear_place(timers_ear *e, const char *key); /* {lat, lon, accuracy}; NULL: none was heard */

/* ---- timers/know.c: who works alone ---- */

/* In the order in which they follow each other, for one question. */
typedef enum lone_state {
    LONE_RUNNING = 0,
    LONE_ASKED,
    LONE_RAISED,
    LONE_ENDED, /* kept for a while: the database may not know yet */
} lone_state;

typedef struct lone {
    UT_hash_handle hh;
    char *key; /* "<org>/<person>"; "<org>/<person>/help": what they called for by a word in a timer's text */
    char *why; /* the timer's text; NULL: none */
    char *ask, *alarm; /* the messages, once they were spelled: said again they are the same */
    char person[TOPIC_LEVEL_MAX + 1];
    char request[UUID_TEXT_LEN + 1]; /* the message in force */
    char check[UUID_TEXT_LEN + 1];   /* its question now */
    char lang[36];
    int64_t minutes;
    lone_state state;
    bool repeat;
    bool known; /* the database has it */
    bool kept;  /* it is on disk as it is */
    bool help;  /* they called for it: by a word, or as an answer */
    bool duress;
    bool unasked;    /* no broker took the question */
    bool unjudged;   /* they answered with a PIN, and the database isn't there to know it */
    bool again;      /* the question goes out once more */
    bool handed;     /* the alarm, to the service standby */
    bool cut;        /* the broker was away while they were asked */
    instant said_at; /* when the timer was set */
    instant due_at;  /* RUNNING: the question; ASKED: the alarm; else when it came to that */
    instant ask_from, raise_from, back_at; /* tried since then; 0: not */
    instant not_before;                    /* refused: the next attempt */
    instant seen_at;                       /* when the database named it last */
} lone;

typedef struct timers {
    service_context *s;
    timers_ear *ear;
    lone *people;
    int64_t base_ms;
    instant base;
    instant away_since;   /* the database; 0: it is there */
    instant refreshed_at; /* what it says was asked for; 0: never */
    int64_t connected_ms; /* the connection it was asked on */
    char *orgs;           /* for whom */
    instant spoke_at;     /* in vain */
    instant stagger;      /* this gateway waits so much longer than the first of them */
    bool crowded, refused, unkept;
} timers;

instant timers_now(const timers *t);
text lone_org(const lone *l);
/* The incident and the message that the alarm for this question is, as the database makes them. */
NODISCARD int lone_alarm_ids(const lone *l, char ret_alert[UUID_TEXT_LEN + 1],
                             char ret_raise[UUID_TEXT_LEN + 1]);

void timers_hear(timers *t, const said *one);
NODISCARD pg_verdict timers_refresh(timers *t); /* what the database knows, when that is due */
void timers_move(timers *t, lone *l, lone_state state, instant due_at);
void timers_keep_one(timers *t, lone *l);
void timers_keep(timers *t);   /* on disk, some of what is not yet */
void timers_recall(timers *t); /* from there, when we begin */
void timers_free(timers *t);

/* ---- timers/say.c: what we say when nobody else does ---- */

void timers_speak(timers *t);

#endif
