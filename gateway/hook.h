/* hook.h - what providers send us over HTTP: is it theirs, and what does it say. Pure; one file for each
 * account in gateway/hooks/. Threads: accounts never change. */
#ifndef MAYDAY_GATEWAY_HOOK_H
#define MAYDAY_GATEWAY_HOOK_H

#include "gateway/provider.h"
#include "gateway/request.h"

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

/* `what`: the last part of the path: "status", "text", "key", of Vonage's calls "event" (POST
 * /hooks/twilio/status...). `now` is for signatures that carry a time. Parameters that are not known are
 * ignored. Constant time where secrets are compared.
 *
 * *ret_event is written when the verdict is HOOK_GOOD alone; its texts lie in `space` and hold no NUL. A key
 * that was asked for and not pressed is HOOK_NOTHING with the call's reference: end the call, what it says
 * was said. `notification` is what our own address says; Vonage's signature does not cover it, so believe
 * `reference` first. */
typedef struct hook {
    const char *account; /* "twilio": the middle part of the path */
    hook_verdict (*read)(const accounts *a, const http_request *r, text what, instant now, hook_space *space,
                         hook_event *ret_event);
    /* The answer to a key in a call, and to a call that asks what to say: `say` is spoken; `menu` behind it,
     * then a key is awaited; an empty menu ends the call. Appends the body; *ret_type its content type (a
     * literal). 0 or a fault. */
    int (*speak)(const accounts *a, text notification, text say, text menu, text lang, buf *to,
                 const char **ret_type);
} hook;

/* All of them, ended by NULL. */
extern const hook *const hooks[];

#endif
