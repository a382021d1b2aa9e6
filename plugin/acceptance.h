/* acceptance.h - from a published message to a journaled one: address, type, schema, who may say what,
 * limits, journal, and what it changes at once. The one path for messages and for Wills. */
#ifndef MAYDAY_PLUGIN_ACCEPTANCE_H
#define MAYDAY_PLUGIN_ACCEPTANCE_H

#include "plugin/host.h"

typedef enum acceptance {
    ACCEPTANCE_REFUSED = 0, /* the sender has been told */
    ACCEPTANCE_TAKEN,       /* journaled when its type is stored; may be delivered and acknowledged */
    ACCEPTANCE_UNAVAILABLE, /* the journal can't take it: close the connection, so that the client keeps it */
} acceptance;

typedef struct offer {
    text topic, payload;
    bool retain, will;
    bool names_sender; /* set when those who read it are told who sent it */
    text shown; /* set when others may not see all of the payload: what they see, borrowed until the next
                   offer */
} offer;

NODISCARD acceptance acceptance_judge(host *h, session *s, offer *o);

#endif
