/* memory.h - what must be known after a restart while the database is away: revocations, memberships, and the
 * claims of durable sessions. Kept in the ledger <state_dir>/ledger, played back when the plugin starts.
 *
 *   session/<client id>                     = claims, JSON
 *   revoked/<org>/<jti|sid|sub>/<value>      = Unix seconds until which, 0 for ever
 *   member/<org>/<family>/<id>/<person>      = relation
 *   incident/<org>/<family>/<id>             dropped: everyone has left
 *
 * Threads: the broker's. */
#ifndef MAYDAY_PLUGIN_MEMORY_H
#define MAYDAY_PLUGIN_MEMORY_H

#include "plugin/host.h"

/* Opens the ledger and fills sessions, members and revoked from it. Returns 0 or a negative errno. */
NODISCARD int memory_open(host *h);

/* Each of these changes the table in memory and writes the change down. A revocation that could not be
 * written holds until a restart; one that could not be lifted stays. */
void memory_keep_session(host *h, const session *s); /* written when durable, dropped otherwise */
NODISCARD int memory_revoke(host *h, text org, revocation_kind kind, text value,
                            int64_t until); /* on stable storage */
NODISCARD int memory_restore(host *h, text org, revocation_kind kind, text value, bool *ret_was_there);
/* What another broker was told, by way of the database; without waiting for the disk, since the database has
 * it. What this one was told itself it knows better, unless its memory was lost. True when something changed.
 */
bool memory_follow(host *h, const result *r);
void memory_member(host *h, result_kind change, text org, address_family family, text id, text person,
                   relation r);

void memory_tidy(host *h); /* rewrites the ledger when that pays; once a second */

#endif
