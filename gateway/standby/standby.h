/* standby.h - what the files of the service `standby` share: incidents that were heard on MQTT, and whom this
 * gateway told of them by itself because the database is away. See services/standby.c for what happens when.
 *
 * Moments are of the service's own clock (standby_now): the wall clock when it began, then only time that
 * passed, so that a clock that steps neither hastens nor delays a message. Threads: all of it belongs to the
 * service's thread, but standby_ear, which locks itself. */
#ifndef MAYDAY_GATEWAY_STANDBY_STANDBY_H
#define MAYDAY_GATEWAY_STANDBY_STANDBY_H

#include "base/json.h"
#include "base/uuid.h"
#include "core/plan.h"
#include "gateway/bus/funnel.h"
#include "gateway/sending/carriers.h"
#include "gateway/sending/client.h"
#include "gateway/service.h"
#include "gateway/standby/handed.h"

/* ---- standby/case.c: one incident, and whom it was told ---- */

typedef enum notice_status {
    NOTICE_WAITING = 0,
    NOTICE_SENDING, /* a request is under way */
    NOTICE_DOUBT,   /* it may have gone out */
    NOTICE_SENT,
    NOTICE_FAILED,
    NOTICE_WITHDRAWN,
} notice_status;

typedef struct notice_try {
    char id[UUID_TEXT_LEN + 1];
    const provider *row;
    instant begun_at, ended_at; /* 0: on its way, or nobody knows what came of it */
    int http;
    bool trying; /* of carriers_started() */
    provider_result result;
} notice_try;
#define NOTICE_TRIES_MAX 20

struct told;

/* One message to one person over one channel. */
typedef struct notice {
    struct told *of;
    char id[UUID_TEXT_LEN + 1];
    char *person;      /* NULL: a webhook */
    char *kind;        /* "sms", "voice", "mqtt", "webhook" */
    char *address;     /* a number, a webhook's name; NULL: MQTT */
    char *lang, *body; /* NULL: not known; not said yet */
    char code[5];      /* "": none */
    char why[32];
    bool family, connected;
    int64_t place;
    notice_status status;
    instant made_at, due_at, sent_at;
    notice_try tries[NOTICE_TRIES_MAX];
    size_t try_count;
    bool under_way; /* a request of ours holds a pointer to it */
    bool brought;   /* the database has it, and has it in hand */
} notice;

#define TOLD_JOINED_MAX 20

typedef struct told {
    struct told *next;
    char *org, *raiser;            /* raiser "": our broker did not say; of trouble: what is away */
    char alert[UUID_TEXT_LEN + 1]; /* "": none, it is Mayday's own trouble */
    char *purpose;                 /* "raise", "trouble", "trouble_over" */
    json *raise;                   /* its message; NULL: none */
    char joined[TOLD_JOINED_MAX][UUID_TEXT_LEN + 1]; /* further presses of the same person */
    size_t joined_count;
    instant heard_at, told_at; /* told_at 0: not told yet */
    bool everyone;             /* each one told has to answer for themselves */
    bool answered, over;       /* somebody took it; it is resolved */
    bool canceled;  /* perhaps: the PIN can't be judged here, so telling goes on; presses after it are new */
    bool helpless;  /* nothing is known of its organisation, and that was said */
    bool handed_in; /* by this gateway itself: no broker took it, so no other gateway knows of it */
    instant stored_at; /* when it was seen to be in the database; 0: not yet */
    bool dirty;        /* differs from what is on disk */
    uint64_t said;     /* the how manyth that others were told we told; 0: not yet */
    bool handed;       /* the database has it; what is under way is all that is left */
    notice **notices;
    size_t count, room;
} told;

/* NULL: out of memory. Shares `raise`. */
told *told_new(text org, text alert, text raiser, const char *purpose, const json *raise, instant heard_at);
told *told_free(told *t); /* takes NULL, returns NULL; nothing of it may be under way */
DEFINE_CLEANUP(told, told_free)
/* A notice of it, waiting; NULL: out of memory. Texts with NULL ptr stay NULL. */
notice *told_add(told *t, text person, const char *kind, text address, text lang, bool family, int64_t place,
                 instant due_at);
bool told_is(const told *t, text org, text alert); /* this incident, or a press that joined it */
int told_rank(const told *t);                      /* 1 low ... 4 critical */
bool told_settled(const told *t);                  /* nothing of it waits or is under way */
bool told_reached(const told *t);                  /* every person of it was sent something */
size_t told_sent(const told *t);                   /* how many of its notices were */
/* The next place of the same person is due now. */
void notice_next(notice *n, instant now);
/* By which kind of channel somebody was told of an incident, or is being told. Whoever else is to be told so,
 * and family, stands behind: when hundreds raise at once, somebody hears of each before others hear of any.
 */
#define NOTICE_KINDS 4
typedef struct ahead {
    bool anybody[NOTICE_KINDS];
} ahead;
ahead ahead_of(const told *t);
void ahead_note(ahead *a, const notice *n); /* its status changed */
bool notice_behind(const notice *n, const ahead *a);
void told_name(const told *t, buf *to);  /* of its document in the ledger */
void told_spell(const told *t, buf *to); /* that document; a fault stays in the buffer */
/* Returns 0, -ENOMEM, or -EBADMSG. What was under way then is in doubt now. */
NODISCARD int told_read(text spelled, told **ret_told);
/* Appends its notices that are not brought yet as mayday.standby_bring() wants them. Returns 0 or -ENOMEM. */
NODISCARD int told_bring(const told *t, instant now, int64_t validity_ms, json *list);

/* ---- standby/whom.c: whom an incident's first level comes to ---- */

/* What is known of an organisation: mayday.standby_snapshot(). */
typedef struct at_hand {
    struct at_hand *next;
    char *org;
    instant refreshed_at; /* 0: not since we began */
    instant said_at;      /* when others last heard how far we are, and */
    int64_t said_sent;    /* how many messages that were */
    json *body;
    plan *plan;
} at_hand;

/* Takes `body` over, whatever it returns. 0, -ENOMEM, or -EBADMSG with a sentence. */
NODISCARD int at_hand_read(text org, json *body, at_hand **ret_hand, char ret_why[PLAN_WHY_MAX]);
at_hand *at_hand_free(at_hand *h); /* takes NULL, returns NULL */
/* Adds a notice to `t` for each place of each one told. Returns 0 or -ENOMEM. */
NODISCARD int at_hand_tell(const at_hand *h, told *t, instant now);
NODISCARD int at_hand_trouble(const at_hand *h, told *t, instant now);
text at_hand_name(const at_hand *h, text person); /* as others know them */
text at_hand_webhook(const at_hand *h, text name);

/* ---- standby/ear.c: what is heard on MQTT ---- */

typedef enum heard_kind {
    HEARD_NOTHING = 0,
    HEARD_RAISE,
    HEARD_ACTION,
    HEARD_STATE, /* of an incident: some gateway has it from the database */
} heard_kind;

typedef struct heard {
    funnel_item item;
    heard_kind kind;
    char *org, *sender; /* sender "": not known */
    char alert[UUID_TEXT_LEN + 1];
    json *body;
} heard;

heard *heard_free(heard *one); /* takes NULL, returns NULL */

typedef struct standby_ear standby_ear;
NODISCARD int ear_open(bus *b, const char *gateway, standby_ear **ret_ear);
/* After the bus has ended. */
standby_ear *ear_close(standby_ear *e); /* takes NULL, returns NULL */
int ear_fd(const standby_ear *e);       /* readable: something was heard; ear_take() empties it */
heard *ear_take(standby_ear *e);        /* all of it, in its order; the caller's */
/* How many gateways of this organisation that are online come before ours. */
size_t ear_elders(standby_ear *e, text org);
/* For how long (INSTANT_SECOND) none of them was heard to have sent more; INT64_MAX: never. */
instant ear_elders_quiet(standby_ear *e, text org);
/* Has another gateway, which is online, told this incident? */
bool ear_told(standby_ear *e, text org, text alert);

/* ---- standby/send.c: the messages ---- */

typedef struct standby {
    service_context *s;
    standby_ear *ear;
    client *client;
    struct shot *shots; /* requests under way */
    carriers carriers;
    at_hand *hands;
    told *cases;
    size_t case_count;
    int64_t base_ms; /* of the monotonic clock, when `base` was the time */
    instant base;
    instant away_since;   /* 0: the database is there */
    instant changed_at;   /* when we were last told so */
    instant slept_until;  /* a step before that was called for by NOTIFY */
    int64_t turn_ms;      /* of that clock, for all that is started together: no room comes up in between */
    int64_t answers_at;   /* when they were last looked for */
    int64_t answers_seen; /* number of the last letter looked at */
    struct vocabulary *words;
    struct trouble *troubles;
    bool flooded;        /* and said so */
    uint64_t said_count; /* incidents that others were told we told */
} standby;

instant standby_now(const standby *st);
const at_hand *standby_hand(const standby *st, text org); /* NULL: nothing is known */

/* Lets go of what is under way. */
void standby_give_up(standby *st);

/* Starts what is due, takes what came back, for at most `ms`, less when `fd` becomes readable. */
void standby_pump(standby *st, int ms, int fd);
/* Writes what changed to the ledger. */
void standby_keep(standby *st);
/* What waits is not wanted any more; of one person, or of all (NULL ptr). */
void standby_withdraw(told *t, text person);

void standby_drop(standby *st, told *t); /* from the list and the ledger; nothing of it may be under way */
told *standby_add(standby *st, told *t); /* at the end of the list */

/* ---- standby/say.c: what other gateways hear of it ---- */
void standby_say(standby *st);

/* ---- standby/bring.c: with the database ---- */

/* Refreshes what is at hand and old, or changed. *ret_more: there are others. */
NODISCARD pg_verdict standby_refresh(standby *st, bool *ret_more);
/* Which incidents that were heard are stored? */
NODISCARD pg_verdict standby_look(standby *st);
/* Brings what was told without it. *ret_more likewise. */
NODISCARD pg_verdict standby_bring(standby *st, bool *ret_more);

/* ---- standby/answers.c: answers by phone while the database is away ---- */
void standby_answers(standby *st);

/* ---- standby/trouble.c: whom the plan names hears that the broker, or the database, is away ---- */
void troubles_load(standby *st);
void troubles_free(standby *st);
/* With the database, or without (`c` NULL). */
NODISCARD pg_verdict standby_troubles(standby *st, pg *c);

#endif
