/* token.h - verify the signed token (JWT, RFC 7519) a client presents as its MQTT password.
 * Pure: no clock, file, socket or log. Callers pass `now` and the key set.
 * Threads: a key set and rules never change once made; share them freely, except that token_verify() on one
 * key set belongs to one thread at a time (verification contexts are kept ready inside). */
#ifndef MAYDAY_CORE_TOKEN_H
#define MAYDAY_CORE_TOKEN_H

#include "base/json.h"

#define TOKEN_WHY_MAX 256

typedef struct keyset keyset;

/* Parses a JWK Set (RFC 7517) of at most 256 keys: kty EC (P-256, P-384, P-521), RSA (2048 to 16384 bits),
 * OKP (Ed25519), oct (as long as its digest, RFC 7518 3.2). The algorithm is pinned by the key: 'alg' when
 * given, otherwise the only or the default one of its type (EC by curve, RSA RS256, oct HS256). Passed over
 * are keys with a use other than "sig", with key_ops without "verify", and of another type or curve, so that
 * an issuer can add a kind of key we do not know. Private members are fine and not looked at. Anything
 * malformed refuses the whole set, and so does a duplicate kid, a missing one with more than one key, and a
 * set without a usable key. Borrows `jwks`. Returns 0, -ENOMEM, or -EBADMSG with a sentence that names the
 * offending key in ret_why.
 *
 * A token with a kid is verified with the key of that name and no other; one without is taken only when
 * exactly one key is pinned to its algorithm. */
NODISCARD int keyset_parse(text jwks, keyset **ret_keys, char ret_why[TOKEN_WHY_MAX]);
keyset *keyset_free(keyset *keys);
DEFINE_CLEANUP(keyset, keyset_free)
size_t keyset_count(const keyset *keys);

typedef struct token_rules token_rules;

/* Which claims must say what. Texts are borrowed only during token_rules_new(). Empty texts mean "not
 * checked", empty paths the names of RFC 7519 and of ours (sub, org, "roles role", sid), max_len 0 means
 * 8192. A path that is itself the name of a claim, dots and all, means that claim. */
typedef struct token_rules_spec {
    text issuer, audience, authorized_parties; /* the last: space separated */
    int64_t leeway_s;
    size_t max_len;
    text required_claims; /* space separated */
    text claim_subject, claim_org, claim_roles,
        claim_session; /* dotted paths, alternatives space separated */
    text role_map;     /* "issued=ours ..." */
} token_rules_spec;

NODISCARD int token_rules_new(const token_rules_spec *spec, token_rules **ret_rules,
                              char ret_why[TOKEN_WHY_MAX]);
token_rules *token_rules_free(token_rules *rules);
DEFINE_CLEANUP(token_rules, token_rules_free)

typedef enum token_verdict {
    TOKEN_REFUSED = 0, /* malformed in a way no name below covers */
    TOKEN_ACCEPTED,
    TOKEN_TOO_LONG,
    TOKEN_UNKNOWN_KEY,
    TOKEN_WRONG_ALGORITHM, /* 'none', or not the one its key is pinned to */
    TOKEN_BAD_SIGNATURE,
    TOKEN_EXPIRED,
    TOKEN_NOT_YET_VALID,
    TOKEN_WRONG_ISSUER,
    TOKEN_WRONG_AUDIENCE,
    TOKEN_WRONG_PARTY,
    TOKEN_MISSING_CLAIM,
    TOKEN_BAD_CLAIM, /* a claim has the wrong type, or a subject/organisation that can't be a topic level */
    TOKEN_NO_MEMORY,
    TOKEN_VERDICTS /* how many there are */
} token_verdict;

const char *
token_verdict_name(token_verdict verdict); /* "expired": short, fit for a topic level and a log line */

/* Who the client is. Made by token_verify() as one block; release with claims_free(). */
typedef struct claims {
    const char *subject;      /* a topic level: no '/', '+', '#', control characters; 1 to 128 bytes */
    const char *org;          /* likewise */
    const char *const *roles; /* n_roles names, none twice */
    size_t n_roles;           /* at most 16 */
    const char *token_id;     /* jti, or "" */
    const char *session_id;   /* sid, or "" */
    int64_t issued_at;        /* Unix seconds; 0 when absent */
    int64_t expires_at;       /* Unix seconds, without leeway */
} claims;

claims *claims_free(claims *who);
DEFINE_CLEANUP(claims, claims_free)

/* Borrows `token`. Writes *ret_claims only when the verdict is TOKEN_ACCEPTED. `now`: Unix seconds, UTC. */
NODISCARD token_verdict token_verify(const keyset *keys, const token_rules *rules, text token, int64_t now,
                                     claims **ret_claims);

/* Claims as compact JSON and back, for keeping them beyond the session. Roles and times included. */
void claims_print(const claims *who, buf *to);
NODISCARD int claims_parse(text stored, claims **ret_claims);

#endif
