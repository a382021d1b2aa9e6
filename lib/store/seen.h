/* seen.h - the ids written lately, so that a message sent again (QoS 1 after a broken connection) is noticed
 * without asking the database. Of fixed size: a newer id takes an older one's place, and forgetting only
 * costs time, because the database knows them all. Threads: one. */
#ifndef MAYDAY_STORE_SEEN_H
#define MAYDAY_STORE_SEEN_H

#include "base/uuid.h"

typedef struct seen seen;

NODISCARD seen *seen_new(void);
seen *seen_free(seen *s);                                       /* takes NULL, returns NULL */
bool seen_same(const seen *s, const uuid *id, uint64_t digest); /* this id with this very content */
void seen_note(seen *s, const uuid *id, uint64_t digest);
void seen_clear(seen *s);

#endif
