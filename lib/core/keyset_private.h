/* keyset_private.h - a key set from inside: which key a token asks for, and whether its signature is right.
 * Private to core. Threads: as token.h says; verifying uses contexts that are kept ready in the set. */
#ifndef MAYDAY_CORE_KEYSET_PRIVATE_H
#define MAYDAY_CORE_KEYSET_PRIVATE_H

#include "core/algorithm.h"
#include "core/token.h"

#define KEYSET_KEYS_MAX 256

typedef struct ready_key ready_key;

/* The key that `kid` names (a NULL ptr: the token names none), which must be pinned to `alg` (NULL: an
 * algorithm we do not know). TOKEN_ACCEPTED with *ret_key, TOKEN_UNKNOWN_KEY or TOKEN_WRONG_ALGORITHM. */
NODISCARD token_verdict keyset_choose(const keyset *keys, text kid, const algorithm *alg,
                                      const ready_key **ret_key);

/* TOKEN_ACCEPTED or TOKEN_BAD_SIGNATURE. */
NODISCARD token_verdict keyset_check_signature(const keyset *keys, const ready_key *key, text signed_part,
                                               text signature);

json_parser *keyset_parser(const keyset *keys); /* the set's own, for tokens */

#endif
