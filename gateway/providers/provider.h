/* provider.h - the family of those who carry messages to phones and webhooks: one row, one file each.
 *
 * A provider is pure: it builds requests and reads replies. Sending is client.h's, choosing and storing the
 * sender service's (services/sender.c). A new one is gateway/providers/<name>.c, two functions (build the
 * request, read the reply) in one row, and its word in that CMake list; a list to look into is two more, a
 * question for one message likewise. What all rows would do alike is done once, in provider.c: call the
 * functions below, never a row's. Threads: rows are constant; accounts never change once read. */
#ifndef MAYDAY_GATEWAY_PROVIDERS_PROVIDER_H
#define MAYDAY_GATEWAY_PROVIDERS_PROVIDER_H

#include <stddef.h>

#include "base/buf.h"
#include "base/instant.h"
#include "base/json.h"
#include "core/settings.h"
#include "gateway/providers/accounts.h"

/* The zero is the one that is safest to assume. */
typedef enum provider_outcome {
    PROVIDER_UNKNOWN = 0, /* it may have gone out */
    PROVIDER_SENT,        /* the provider took it */
    PROVIDER_RETRY,       /* it did not go out; later it might */
    PROVIDER_REFUSED,     /* it did not go out, and will not that way */
} provider_outcome;

/* What a failure says about more than this one message. */
typedef enum provider_blame {
    BLAME_NOBODY = 0,
    BLAME_PROVIDER,  /* credentials, credit, outage, throttled: the next provider, and its circuit breaker
                        counts */
    BLAME_MESSAGE,   /* this text or sender: the next provider may take it */
    BLAME_NUMBER,    /* there is no such number: no provider will reach it */
    BLAME_NO_TEXT,   /* it takes no texts: a landline */
    BLAME_OPTED_OUT, /* its owner wants none */
} provider_blame;

const char *provider_outcome_name(provider_outcome o); /* "unknown", "sent", "retry", "refused" */

#define PROVIDER_CODE_MAX      32
#define PROVIDER_REFERENCE_MAX 80

typedef struct provider_result {
    provider_outcome outcome;
    provider_blame blame;
    char code[PROVIDER_CODE_MAX]; /* the provider's own, for people: "21610", "http 503", "timeout" */
    char reference[PROVIDER_REFERENCE_MAX]; /* the provider's name for the message, when sent */
    int64_t retry_after_ms;                 /* 0: it did not say */
} provider_result;

/* What became of a message that was sent. */
typedef enum provider_receipt {
    RECEIPT_UNKNOWN = 0,
    RECEIPT_PENDING,   /* queued, sent, ringing... */
    RECEIPT_DELIVERED, /* the phone has it; a call was taken by somebody or something */
    RECEIPT_FAILED,    /* it will not arrive: undelivered, busy, no answer... */
} provider_receipt;

typedef struct provider_message {
    text id;      /* of the notification: a UUID */
    text attempt; /* of this attempt: a UUID */
    text to;      /* E.164; of a webhook its URL */
    text body;    /* UTF-8, as it is to be said or shown; of a webhook JSON */
    text lang;    /* BCP 47 */
    text menu;    /* voice: which keys there are, in words; said behind the body */
    int64_t validity_ms;
    instant now;
    text from, callback; /* provider_build()'s: who sends it; where its receipts go, empty: nowhere */
} provider_message;

/* One HTTP request. */
#define PROVIDER_REQUEST_MAX (64 << 10)
typedef struct provider_request {
    const char *method; /* "POST" */
    buf url, body;
    buf headers; /* lines, each ended by \n: "Content-Type: ...". No secrets in the URL */
    buf user;    /* "name:password" for Basic, or empty */
} provider_request;

void provider_request_init(provider_request *r);
void provider_request_release(provider_request *r); /* fits CLEANUP */

/* One HTTP answer. */
typedef struct provider_reply {
    int status; /* 0: none came */
    bool left;  /* the request had left, wholly or in part, when it failed: only then it may have gone out */
    bool cut;   /* the body was longer than PROVIDER_BODY_MAX, or ended early */
    text body;  /* may be anything */
    const char *why;        /* status 0: "timeout", "connect", "tls"...; a literal */
    int64_t retry_after_ms; /* from the header; 0: none */
} provider_reply;
#define PROVIDER_BODY_MAX (256 << 10)

/* What the status of an answer says of its body. */
typedef enum reply_class {
    REPLY_SETTLED = 0, /* nothing in the body would change the verdict */
    REPLY_GOOD,        /* 2xx: what came of it is in the body. Until that is read: unknown */
    REPLY_REFUSED,     /* 4xx: it did not go out; the body may say whose fault it is */
    REPLY_BROKEN,      /* 5xx: likewise settled; to those who know better, it did not go out */
} reply_class;

/* What has to be in mayday.conf, in the section of the account. */
typedef enum provider_need_kind {
    NEED_SETTING = 0,
    NEED_WORD,   /* it stands in addresses */
    NEED_SENDER, /* "sms_from": who sends, by the number it goes to */
    NEED_SECRET, /* a file of the accounts */
} provider_need_kind;

typedef struct provider_need {
    const char *key; /* NULL: the end of them */
    provider_need_kind kind;
    size_t at; /* of settings; of accounts, when it is a secret */
} provider_need;
#define NEED(key, kind, member)                                                                              \
    { key, NEED_##kind, offsetof(settings, member) }
#define NEED_FILE(key, member)                                                                               \
    { key, NEED_SECRET, offsetof(accounts, member) }
#define PROVIDER_NEEDS_MAX 6

struct list_search; /* providers/inside.h */

/* Each function gets its row, so that rows of one account share theirs and differ in `more`. */
typedef struct provider {
    const char *name;    /* "twilio-sms" */
    const char *account; /* "twilio": the word in [notify] sms, voice, and the section of its settings */
    const char *kind;    /* "sms", "voice", "webhook" */
    const char *tells;   /* the end of the address its receipts come to, hooks/hook.h; NULL: it has none */
    provider_need needs[PROVIDER_NEEDS_MAX];
    const void *more; /* the account's own */

    /* The request that sends `m`. 0, -EINVAL (it can't carry that), or a fault; those of the request's
     * buffers need no care. */
    int (*build)(const struct provider *p, const accounts *a, const provider_message *m,
                 provider_request *to);
    /* What the answer says beyond its status, which *r says already. `body`: NULL when it is neither an
     * object nor an array, or does not matter. */
    void (*read)(const struct provider *p, reply_class c, const json *body, provider_result *r);

    /* NULL, both: it has no list of what was sent. The request for it; then each entry noted in *s. False: it
     * is no list. */
    int (*search)(const struct provider *p, const accounts *a, const provider_message *m, instant since,
                  provider_request *to);
    bool (*found)(const struct provider *p, const json *body, const provider_message *m, instant since,
                  struct list_search *s);

    /* NULL, both: it can't be asked. The request; then what it says. False: nothing about that one.
     * `reference` may stand in an address; ret_code is empty. */
    int (*ask)(const struct provider *p, const accounts *a, text reference, instant sent_at,
               provider_request *to);
    bool (*told)(const struct provider *p, const json *body, text reference, provider_receipt *ret_receipt,
                 char ret_code[PROVIDER_CODE_MAX]);
} provider;

/* All of them, ended by NULL. */
extern const provider *const providers[];
const provider *provider_named(text name); /* NULL when there is none */

/* Can it be used with what is configured? ret_why: what is missing. */
bool provider_ready(const provider *p, const accounts *a, char ret_why[ACCOUNTS_WHY_MAX]);

/* Builds the request that sends `m`. Returns 0, -EINVAL (no sender for that number: the next provider), or a
 * fault. */
NODISCARD int provider_build(const provider *p, const accounts *a, const provider_message *m,
                             provider_request *to);
void provider_read(const provider *p, const provider_reply *reply, provider_result *ret_result);

/* Is it in the provider's own list? A request for the messages to `m->to` since `since`; then the look for
 * `m` in the answer. Of rows that have `search` alone. PROVIDER_SENT with the reference: it is there;
 * PROVIDER_RETRY: the list is whole and it is not; else PROVIDER_UNKNOWN.
 * A list of calls does not show what was said in them: the one call to that number in that time is taken for
 * ours. When that reference belongs to another attempt already, ours is not there. */
NODISCARD int provider_search(const provider *p, const accounts *a, const provider_message *m, instant since,
                              provider_request *to);
void provider_found(const provider *p, const provider_reply *reply, const provider_message *m, instant since,
                    provider_result *ret_result);

/* What became of it? By its reference; of rows that have `ask` alone. Vonage's calls can be asked for a day.
 * -EINVAL: that is no reference. */
NODISCARD int provider_ask(const provider *p, const accounts *a, text reference, instant sent_at,
                           provider_request *to);
provider_receipt provider_told(const provider *p, const provider_reply *reply, text reference,
                               char ret_code[PROVIDER_CODE_MAX]);

/* What a webhook of a provider says, whatever it came as. */
typedef enum hook_kind {
    HOOK_NOTHING = 0, /* well-formed, and nothing to us */
    HOOK_RECEIPT,
    HOOK_TEXT, /* somebody wrote */
    HOOK_KEY,  /* somebody pressed a key in a call */
} hook_kind;

typedef struct hook_event {
    hook_kind kind;
    const char *provider; /* the row's name */
    text reference;       /* the message's or call's */
    text notification;    /* from our own URL, when it has it */
    text from;            /* HOOK_TEXT: E.164 */
    text said;            /* the status in the provider's word; the text; the key */
    text code;
    provider_receipt receipt; /* HOOK_RECEIPT */
} hook_event;

#endif
