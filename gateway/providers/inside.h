/* inside.h - what the rows of the family share: words of an answer, lists, and the
 * spelling of addresses and forms (spelling.c). Pure. Threads: no state. */
#ifndef MAYDAY_GATEWAY_PROVIDERS_INSIDE_H
#define MAYDAY_GATEWAY_PROVIDERS_INSIDE_H

#include "gateway/providers/provider.h"

/* Nobody listens longer to a call; and what was taken by an answering machine ends. */
#define CALL_MAX_S 300

/* Codes are cut to what fits, and freed from what has no place in a log line. */
void provider_code_add(char code[PROVIDER_CODE_MAX], text word);
text provider_scalar(const json *value, char space[32]); /* a string or an integer as text; else NULL ptr */

/* The provider took it and calls it `reference`. */
void provider_sent(provider_result *r, text reference);
/* Can it stand in an address, and does it fit? Letters, digits, '-', '_'. */
bool provider_reference_good(text reference);

/* What is known of an entry of a list. */
typedef enum list_entry {
    ENTRY_UNSURE = 0, /* it might be ours */
    ENTRY_OTHER,
    ENTRY_OURS,
    ENTRY_OURS_FAILED, /* ours, and it will not arrive */
} list_entry;

/* The search through a list. */
typedef struct list_search {
    bool whole;      /* there are no further pages with what could be ours */
    bool look_alike; /* entries do, so that several of ours leave the question open */
    size_t ours, unsure;
    bool failed;    /* the one that was found is known not to arrive */
    text reference; /* of the one that was found first, which is the newest */
} list_search;

void list_note(list_search *s, list_entry e, text reference);

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
