/* claims_private.h - claims in the making, and the rules they are judged by. Private to core.
 * Pure. A draft borrows its texts; claims_make() copies them. */
#ifndef MAYDAY_CORE_CLAIMS_PRIVATE_H
#define MAYDAY_CORE_CLAIMS_PRIVATE_H

#include "core/token.h"

#define CLAIMS_ROLES_MAX 16
#define CLAIMS_LEVEL_MAX 128 /* bytes of a subject, an organisation or a role */
#define CLAIMS_ID_MAX    256 /* bytes of a jti or sid */

typedef struct claims_draft {
    text subject, org, token_id, session_id;
    text roles[CLAIMS_ROLES_MAX];
    size_t n_roles;
    int64_t issued_at, expires_at;
} claims_draft;

/* Adds the role unless it is there already. TOKEN_ACCEPTED, or TOKEN_BAD_CLAIM for no valid name or one too
 * many. */
NODISCARD token_verdict claims_add_role(claims_draft *draft, text role);

/* TOKEN_ACCEPTED with *ret_claims, TOKEN_BAD_CLAIM or TOKEN_NO_MEMORY. */
NODISCARD token_verdict claims_make(const claims_draft *draft, claims **ret_claims);

/* A time as RFC 7519 has it: a number of seconds, perhaps with a fraction, from 0 to 2^53. */
typedef enum claims_rounding {
    CLAIMS_DOWN = 0,
    CLAIMS_UP,
} claims_rounding;

NODISCARD int claims_time(const json *value, claims_rounding rounding, int64_t *ret_seconds);

size_t token_rules_max_len(const token_rules *rules);

/* Judges the payload of a token whose signature is right. */
NODISCARD token_verdict token_rules_judge(const token_rules *rules, const json *payload, int64_t now,
                                          claims **ret_claims);

#endif
