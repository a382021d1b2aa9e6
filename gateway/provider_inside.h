/* provider_inside.h - what the rows of the family share: the general meaning of an HTTP answer, and the
 * spelling of addresses, forms and lists. Pure. Threads: no state. */
#ifndef MAYDAY_GATEWAY_PROVIDER_INSIDE_H
#define MAYDAY_GATEWAY_PROVIDER_INSIDE_H

#include "base/json.h"
#include "gateway/provider.h"

typedef enum reply_class {
    REPLY_SETTLED = 0, /* nothing in the body would change the verdict */
    REPLY_GOOD,        /* 2xx: what came of it is in the body. Until that is read: unknown */
    REPLY_REFUSED,     /* 4xx: it did not go out; the body may say whose fault it is */
} reply_class;

/* What the status alone says. What may have been processed is never called anything but unknown: an answer
 * that was lost, a server's error (its request may have got through before it failed), a redirection (not
 * followed: who knows who answers there). */
reply_class provider_judge(const provider_reply *reply, provider_result *ret_result);

/* For a search: anything but an answer that can be read leaves the question open. */
void provider_unsettled(provider_result *r);

/* The whole body as an object or an array; NULL when it is anything else, or not all of it came. */
json *provider_body(const provider_reply *reply);

/* Codes are cut to what fits, and freed from what has no place in a log line. */
void provider_code_add(char code[PROVIDER_CODE_MAX], text word);
text provider_scalar(const json *value, char space[32]); /* a string or an integer as text; else NULL ptr */

/* The provider took it and calls it `reference`. */
void provider_sent(provider_result *r, text reference);
/* Can it stand in an address, and does it fit? Letters, digits, '-', '_'. */
bool provider_reference_good(text reference);

/* What became of the search through a list. */
typedef enum list_entry {
    ENTRY_UNSURE = 0, /* it might be ours */
    ENTRY_OTHER,
    ENTRY_OURS,
    ENTRY_OURS_FAILED, /* ours, and it will not arrive */
} list_entry;

typedef struct list_search {
    size_t ours, unsure;
    bool failed;    /* the one that was found is known not to arrive */
    text reference; /* of the one that was found first, which is the newest */
} list_search;

void list_note(list_search *s, list_entry e, text reference);
/* `whole`: there are no further pages. `one_only`: entries look alike, so several leave the question open. */
void list_settle(const list_search *s, bool whole, bool one_only, provider_result *r);

/* ---- spelling ---- */

void url_add(buf *to, text value);                    /* percent-encoded (RFC 3986) */
void url_base_add(buf *to, const char *base);         /* without the slash at its end */
void form_add(buf *to, const char *name, text value); /* "&name=value", without '&' at the beginning */
void form_add_number(buf *to, const char *name, int64_t value);
/* <public_url>/hooks/<account>/<what>?n=<notification>; nothing when there is no public address. */
void hook_url_add(buf *to, const settings *s, const char *account, const char *what, text notification);
void date_add(buf *to, instant at);   /* 2026-11-21 */
void moment_add(buf *to, instant at); /* 2026-11-21T02:40:00Z */
void xml_add(buf *to, text t);        /* escaped, without what XML 1.0 can't hold */
text text_cut(text t, size_t most);   /* the longest beginning of at most that many UTF-16 units */
text phone_digits(text number);       /* without the '+' */
int64_t seconds_within(int64_t ms, int64_t min, int64_t max);

#endif
