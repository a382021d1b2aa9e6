/* twilio.h - what Twilio's texts, calls and webhooks have in common (REST API 2010-04-01, TwiML).
 * Pure. Threads: no state. */
#ifndef MAYDAY_GATEWAY_PROVIDERS_TWILIO_H
#define MAYDAY_GATEWAY_PROVIDERS_TWILIO_H

#include "gateway/providers/inside.h"

/* Their two kinds of things to send. */
typedef struct twilio_kind {
    const char *list;        /* in addresses and answers: "Messages" */
    const char *member;      /* of the answer to a search: "messages" */
    const char *prefixes[2]; /* of its SIDs */
    bool bodies;             /* a list shows what was said, so that ours is known by it */
    int64_t slack;           /* how far their clock may be from ours, when a list is looked through */
} twilio_kind;

extern const twilio_kind twilio_texts, twilio_calls;

/* The address of the list itself, the credentials, and for POST the type of the body. */
void twilio_begin(const provider *p, const accounts *a, const char *method, provider_request *to);

/* What goes out of a text: the API takes no more. */
text twilio_body(text whole);

/* Of both rows, whose `more` is their twilio_kind; see provider.h. */
void twilio_read(const provider *p, reply_class c, const json *body, provider_result *r);
int twilio_search(const provider *p, const accounts *a, const provider_message *m, instant since,
                  provider_request *to);
bool twilio_found(const provider *p, const json *body, const provider_message *m, instant since,
                  list_search *s);
int twilio_ask(const provider *p, const accounts *a, text reference, instant sent_at, provider_request *to);
bool twilio_told(const provider *p, const json *body, text reference, provider_receipt *ret_receipt,
                 char ret_code[PROVIDER_CODE_MAX]);

/* Of a message's or a call's status. */
provider_receipt twilio_receipt(text status);

/* What a call says: `say`, then `menu` and a key is awaited; without a menu it ends behind what is said,
 * `times` over. */
void twiml_add(const settings *s, text notification, text say, text menu, text lang, int times, buf *to);

#endif
