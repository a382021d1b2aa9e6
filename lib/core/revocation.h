/* revocation.h - tokens, login sessions and people that an admin has shut out before their tokens expire.
 * Pure. Threads: belongs to one thread. Copies what it keeps; bounded by `limit` entries. */
#ifndef MAYDAY_CORE_REVOCATION_H
#define MAYDAY_CORE_REVOCATION_H

#include "core/token.h"

typedef enum revocation_kind {
    REVOKE_NOTHING = 0,
    REVOKE_TOKEN,   /* by jti */
    REVOKE_SESSION, /* by sid */
    REVOKE_SUBJECT, /* by sub: every token of that person, until restored */
} revocation_kind;

const char *revocation_kind_name(revocation_kind kind); /* "jti", "sid", "sub" */
revocation_kind revocation_kind_named(text name);       /* REVOKE_NOTHING when unknown */

typedef struct revocations revocations;

NODISCARD revocations *revocations_new(size_t limit);
revocations *revocations_free(revocations *r);
DEFINE_CLEANUP(revocations, revocations_free)

/* `until`: Unix seconds, 0 for ever. Revoking again replaces the time. Returns 0, -ENOMEM or -ENOSPC. */
NODISCARD int revocations_add(revocations *r, text org, revocation_kind kind, text value, int64_t until);
bool revocations_remove(revocations *r, text org, revocation_kind kind, text value); /* was it there? */

bool revocations_find(const revocations *r, text org, revocation_kind kind, text value, int64_t *ret_until);

/* Why these claims are shut out at `now` (Unix seconds), or REVOKE_NOTHING. */
revocation_kind revocations_cover(const revocations *r, const claims *who, int64_t now);

size_t revocations_count(const revocations *r);
void revocations_purge(revocations *r, int64_t now); /* forgets what has run out */

typedef int (*revocations_visit)(void *context, text org, revocation_kind kind, text value, int64_t until);
int revocations_each(const revocations *r, revocations_visit visit, void *context); /* stops at non-zero */

#endif
