/* local.h - the gateway's own small durable store (SQLite, seen by gateway/local alone): what it must not
 * forget while the database is away, and what it must take at once however slow the database is.
 *
 *   mail:      what providers told us over HTTP, until it is in the database. Kept before the provider is
 *              answered.
 *   standby:   whom to reach of each organisation when there is no database: what the plan's first level
 *              came to, last time we could ask.
 *   ledger:    what was sent without the database, and what came of requests whose outcome could not be
 *              stored.
 *
 * One file, <state_dir>/gateway-<id>.db, readable by nobody else, WAL, synchronous=FULL: what a call returned
 * 0 for survives a power cut. Bounded: LOCAL_MAIL_MAX letters, then the oldest *receipts* make room; answers
 * never do.
 * Threads: every function from any thread; it locks itself, and no call waits for anything but the disk. The
 * visitors are called under that lock: they call nothing of this.
 * Faults: -ENOSPC no room (of the disk, or for letters), -ENOMEM, -EBADMSG the file is damaged, -EBUSY
 * another process holds it, -EIO anything else. */
#ifndef MAYDAY_GATEWAY_LOCAL_LOCAL_H
#define MAYDAY_GATEWAY_LOCAL_LOCAL_H

#include "base/buf.h"
#include "base/instant.h"

#define LOCAL_MAIL_MAX 100000
#define LOCAL_WHY_MAX  640

typedef struct local local;

/* Makes the folder and the file when they are missing. A damaged file is set aside under another name and a
 * new one begun: that is no fault, and *ret_why says so; it is "" when all is well. Else a negative errno
 * with a sentence that names the file. */
NODISCARD int local_open(const char *state_dir, const char *gateway, local **ret_local,
                         char ret_why[LOCAL_WHY_MAX]);
local *local_close(local *l); /* takes NULL, returns NULL */
DEFINE_CLEANUP(local, local_close)

/* ---- mail ---- */

typedef struct letter {
    int64_t number; /* in the order of their coming */
    text key;       /* of its content: a repeat is the same letter */
    text body;      /* JSON: a hook_event as gateway/local/mail.c spells it */
    instant received_at;
    bool answer; /* somebody's answer, not a receipt */
} letter;

#define LOCAL_BODY_MAX (1 << 20)
/* Keeps it; a key that is there already, or was in the last day, is no fault and changes nothing. -ENOSPC:
 * there are too many answers. */
NODISCARD int local_put_mail(local *l, text key, text body, bool answer, instant now);
/* The oldest, answers first; calls `visit` for at most `most`. The letters' texts live as long as the call.
 */
typedef void (*letter_visit)(void *context, const letter *one);
NODISCARD int local_read_mail(local *l, size_t most, letter_visit visit, void *context);
/* The answers behind that number alone, by number: for whoever can't wait for the database. */
NODISCARD int local_read_answers(local *l, int64_t behind, size_t most, letter_visit visit, void *context);
/* They are in the database now. */
NODISCARD int local_drop_mail(local *l, const int64_t *numbers, size_t count);
size_t local_mail_count(local *l);
/* An eventfd that is readable once a letter was put, and when there are some at the beginning: for the
 * service that carries them, which reads its eight bytes and then the mail. Belongs to `l`. */
int local_mail_fd(local *l);

/* ---- documents by name: the standby's snapshots, and its ledger ---- */

#define LOCAL_DOCUMENT_MAX (32 << 20)
NODISCARD int local_put(local *l, text shelf, text name, text body); /* replaces; -EMSGSIZE */
typedef void (*local_visit)(void *context, text name, text body);
NODISCARD int local_each(local *l, text shelf, local_visit visit, void *context); /* by name */
/* Returns 0, -ENOENT, or a fault. Appends to `to`. */
NODISCARD int local_get(local *l, text shelf, text name, buf *to);
bool local_empty(local *l, text shelf);                    /* also when that can't be found out */
NODISCARD int local_drop(local *l, text shelf, text name); /* what is not there is dropped already */

/* What lies longest goes, when there is more than an eighth beyond `most`. */
NODISCARD int local_trim(local *l, text shelf, size_t most);

/* What a call says, so that it can be heard again while the call goes on: on the shelf "spoken". */
#define LOCAL_SPOKEN_MAX 1000
NODISCARD int local_put_spoken(local *l, text notification, text body);

#endif
