/* evening.h - an evening at the control room: what the four of the cast know, say and hear. evening.c has the
 * order of things, evening_voice.c what is said, evening_ears.c what is heard. Threads: one. */
#ifndef MAYDAY_TOOLS_EVENING_H
#define MAYDAY_TOOLS_EVENING_H

#include "scenes/course.h"

typedef enum role_of_cast {
    ANN = 0, /* an officer, in danger */
    BEN,     /* a responder */
    CARL,    /* a member, whose phone loses its connection */
    DORA,    /* the dispatcher */
    CAST,
} role_of_cast;

#define BIT(who)   (1u << (who))
#define SAID_MAX   64
#define KEPT_MAX   8
#define CURSOR_MAX 128

/* One message that somebody said, and who has it. */
typedef struct said {
    char id[UUID_TEXT_LEN + 1];
    unsigned reached;     /* bits: who received it, live or in a page of missed messages */
    unsigned marks_shown; /* bits: whose screen shows that it arrived or was read */
} said;

typedef struct kept {
    payload what;
    char below[256];
} kept;

typedef struct evening {
    person *cast[CAST];

    said said[SAID_MAX];
    size_t said_count;
    size_t since; /* index: the messages that the step under way is about begin here */

    json *view[CAST];               /* the newest state of the incident that each has; of dora, `dispatch` */
    bool away[CAST], on_duty[CAST]; /* as dora's screen shows */
    bool ben_refused;
    char check[UUID_TEXT_LEN + 1]; /* the id of the check that ben's phone has */
    size_t raise_at, away_at,
        kept_at;          /* indices into said: the raise; while carl is away; what his phone keeps */
    bool leftover_active; /* the incident of ann's from another evening */

    char cursor[CURSOR_MAX + 1]; /* of carl's phone */
    bool up_to_date;             /* the newest page said that there is no more */
    size_t pages, caught_up;     /* pages, and messages in them */
    kept kept[KEPT_MAX];         /* by carl's phone while it is away */
    size_t kept_count;
} evening;

static inline evening *evening_of(const scene *s) {
    return s->state;
}

/* ---- voice: each says something; an exit code ---- */

int voice_close_leftover(scene *s, instant now);
int voice_ask_what_was_missed(scene *s, instant now);
int voice_ben_on_duty(scene *s, instant now);
int voice_ann_raises(scene *s, instant now);
int voice_dora_has_it(scene *s, instant now);
int voice_ann_writes(scene *s, instant now);
int voice_ben_intrudes(scene *s, instant now);
int voice_dora_acknowledges(scene *s, instant now);
int voice_dora_checks(scene *s, instant now);
int voice_ben_replies(scene *s, instant now);
int voice_dora_assigns(scene *s, instant now);
int voice_ann_writes_again(scene *s, instant now);
int voice_ben_has_read(scene *s, instant now);
int voice_dora_invites(scene *s, instant now);
int voice_ben_sets_off(scene *s, instant now);
int voice_carl_leaves(scene *s, instant now);
int voice_talk_goes_on(scene *s, instant now);
int voice_carl_keeps(scene *s, instant now);
int voice_carl_returns(scene *s, instant now);
int voice_ben_arrives(scene *s, instant now);
int voice_dora_resolves(scene *s, instant now);
void voice_received(scene *s, person *p, const json *body,
                    instant now); /* a check: the phone says that it has it */

/* ---- ears ---- */

void ears_message(scene *s, person *p, const mqtt_event *e);

#endif
