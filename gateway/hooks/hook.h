/* hook.h - what providers send us over HTTP: is it theirs, and what does it say. Pure; one file for each
 * account in gateway/hooks/; what all of them do alike is in hook.c. Threads: accounts never change. */
#ifndef MAYDAY_GATEWAY_HOOKS_HOOK_H
#define MAYDAY_GATEWAY_HOOKS_HOOK_H

#include "gateway/providers/provider.h"
#include "gateway/http/request.h"

typedef enum hook_verdict {
    HOOK_FORGED = 0, /* the signature is missing or wrong, or there is no secret to check it with */
    HOOK_MALFORMED,  /* theirs, and not to be understood */
    HOOK_GOOD,
} hook_verdict;

#define HOOK_SPACE (32 << 10)

/* Where the texts of an event are decoded to. */
typedef struct hook_space {
    char bytes[HOOK_SPACE];
} hook_space;

/* What was said, whatever it came as. The texts lie in a hook_space. */
#define HOOK_PAIRS_MAX 256
typedef struct hook_said {
    form_pair pairs[HOOK_PAIRS_MAX];
    size_t count;
    char *space; /* what is left of it */
    size_t left;
    bool overflow; /* it did not fit */
    bool strange;  /* theirs, in a spelling that none of their events has: nothing to us */
} hook_said;

typedef hook_verdict hook_reader(hook_said *s, hook_event *e);

typedef struct hook {
    const char *account; /* "twilio": the middle part of the path */

    /* Takes the parameters down, and judges whether they are theirs: HOOK_GOOD, or nothing in *s is looked
     * at. `now` is for signatures that carry a time. Constant time where secrets are compared. */
    hook_verdict (*take)(const accounts *a, const http_request *r, instant now, hook_said *s);
    /* What they say, by the last part of the path: POST /hooks/twilio/status... NULL: there is no such. The
     * event is zeroed. Parameters that are not known are ignored. */
    hook_reader *status, *text, *key, *event;

    /* The answer to a key in a call, and to a call that asks what to say: `say` is spoken; `menu` behind it,
     * then a key is awaited; an empty menu ends the call. Appends the body; *ret_type its content type (a
     * literal). 0 or a fault. */
    int (*speak)(const accounts *a, text notification, text say, text menu, text lang, buf *to,
                 const char **ret_type);
} hook;

/* `what`: the last part of the path: "status", "text", "key", of Vonage's calls "event".
 *
 * *ret_event is written when the verdict is HOOK_GOOD alone; its texts lie in `space` and hold no NUL. A key
 * that was asked for and not pressed is HOOK_NOTHING with the call's reference: end the call, what it says
 * was said. `notification` is what our own address says; Vonage's signature does not cover it, so believe
 * `reference` first. */
hook_verdict hook_read(const hook *h, const accounts *a, const http_request *r, text what, instant now,
                       hook_space *space, hook_event *ret_event);

/* ---- what the rows share ---- */

text hook_value(const hook_said *s, const char *name); /* of the first of that name; NULL ptr: none */
text hook_keep(hook_said *s, text t);                  /* a copy in the space, behind what was kept before */
bool hook_take_form(hook_said *s, text form);          /* false: it is none, or too much */
int hook_order(text a, text b);                        /* by bytes, as memcmp() does */
bool hook_digest_is(text body, text wanted);           /* SHA-256, hexadecimal in either case */
/* A key was pressed in the call; an empty one: it was asked for, and nobody pressed any. */
hook_verdict hook_say_key(hook_event *e);

/* All of them, ended by NULL. */
extern const hook *const hooks[];

#endif
