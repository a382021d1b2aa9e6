/* notification.h - how a notification is named: made from what it is for, so that who does a step again, or
 * does it without the database, makes no second one. The same as mayday.notification_id (sql/0015). Pure.
 * Threads: no state. */
#ifndef MAYDAY_CORE_NOTIFICATION_H
#define MAYDAY_CORE_NOTIFICATION_H

#include "base/instant.h"
#include "base/uuid.h"

typedef struct notification_key {
    text org;
    text alert; /* a UUID in lower case */
    int64_t forgotten, round, level;
    text whom; /* a person; "webhook:<name>" */
    int64_t place;
} notification_key;

/* Returns 0, -EINVAL (`alert`), -ENOMEM or -EIO (the library refused). */
NODISCARD int notification_id(const notification_key *k, char ret_id[UUID_TEXT_LEN + 1]);

/* An id made from what it is for and when, as mayday.derived_id (sql/0010) makes it. Returns likewise. */
NODISCARD int derived_id(text content, instant at, char ret_id[UUID_TEXT_LEN + 1]);

#endif
