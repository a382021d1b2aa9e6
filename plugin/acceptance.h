/* acceptance.h - from a published message to a journaled one: address, type, schema, journal, and what it
 * changes at once. The one path for messages and for Wills. */
#ifndef MAYDAY_PLUGIN_ACCEPTANCE_H
#define MAYDAY_PLUGIN_ACCEPTANCE_H

#include "plugin/host.h"
#include "store/record.h"

typedef enum acceptance {
    ACCEPTANCE_REFUSED = 0, /* the sender has been told */
    ACCEPTANCE_TAKEN,       /* journaled when its type is stored; may be delivered and acknowledged */
    ACCEPTANCE_UNAVAILABLE, /* the journal can't take it: close the connection, so that the client keeps it */
} acceptance;

NODISCARD acceptance acceptance_judge(host *h, const session *s, text topic, text payload, bool retain,
                                      unsigned flags);

#endif
