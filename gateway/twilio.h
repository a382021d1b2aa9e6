/* twilio.h - what Twilio's texts, calls and webhooks have in common (REST API 2010-04-01, TwiML).
 * Pure. Threads: no state. */
#ifndef MAYDAY_GATEWAY_TWILIO_H
#define MAYDAY_GATEWAY_TWILIO_H

#include "gateway/provider_inside.h"

/* Their two kinds of things to send. */
typedef struct twilio_kind {
    const char *list;        /* in addresses and answers: "Messages" */
    const char *member;      /* of the answer to a search: "messages" */
    const char *prefixes[2]; /* of its SIDs */
    bool bodies;             /* a list shows what was said, so that ours is known by it */
    int64_t slack;           /* how far their clock may be from ours, when a list is looked through */
} twilio_kind;

extern const twilio_kind twilio_texts, twilio_calls;

bool twilio_ready(const accounts *a, const char *key, const char *senders, char ret_why[ACCOUNTS_WHY_MAX]);
/* The address of the list itself, the credentials, and for POST the type of the body. */
void twilio_begin(const accounts *a, const twilio_kind *kind, const char *method, provider_request *to);
int twilio_failed(const provider_request *r); /* 0 or the first fault of its buffers */

/* What goes out of a text: the API takes no more. */
text twilio_body(text whole);

void twilio_read(const twilio_kind *kind, const provider_reply *reply, provider_result *ret_result);
int twilio_search(const twilio_kind *kind, const accounts *a, const provider_message *m,
                  provider_request *to);
void twilio_found(const twilio_kind *kind, const provider_reply *reply, const provider_message *m,
                  instant since, provider_result *ret_result);
int twilio_ask(const twilio_kind *kind, const accounts *a, text reference, provider_request *to);
provider_receipt twilio_told(const twilio_kind *kind, const provider_reply *reply, text reference,
                             char ret_code[PROVIDER_CODE_MAX]);

/* Of a message's or a call's status. */
provider_receipt twilio_receipt(text status);

/* What a call says: `say`, then `menu` and a key is awaited; without a menu it ends behind what is said,
 * `times` over. */
void twiml_add(const settings *s, text notification, text say, text menu, text lang, int times, buf *to);

#endif
