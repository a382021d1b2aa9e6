/* token.c - see token.h. A token is three base64url parts: header.payload.signature (RFC 7515 section 7.1).
 * Nothing of the payload is believed, or even parsed, before the signature over it is found right. */
#include "core/token.h"

#include <stdlib.h>
#include "core/base64url.h"
#include "core/claims_private.h"
#include "core/keyset_private.h"

typedef struct token_parts {
    text header, payload, signature; /* still encoded */
    text signed_part;                /* header.payload, as sent */
} token_parts;

const char *token_verdict_name(token_verdict verdict) {
    switch (verdict) {
    case TOKEN_REFUSED:
        return "malformed";
    case TOKEN_ACCEPTED:
        return "accepted";
    case TOKEN_TOO_LONG:
        return "too-long";
    case TOKEN_UNKNOWN_KEY:
        return "unknown-key";
    case TOKEN_WRONG_ALGORITHM:
        return "wrong-algorithm";
    case TOKEN_BAD_SIGNATURE:
        return "bad-signature";
    case TOKEN_EXPIRED:
        return "expired";
    case TOKEN_NOT_YET_VALID:
        return "not-yet-valid";
    case TOKEN_WRONG_ISSUER:
        return "wrong-issuer";
    case TOKEN_WRONG_AUDIENCE:
        return "wrong-audience";
    case TOKEN_WRONG_PARTY:
        return "wrong-party";
    case TOKEN_MISSING_CLAIM:
        return "missing-claim";
    case TOKEN_BAD_CLAIM:
        return "bad-claim";
    case TOKEN_NO_MEMORY:
        return "no-memory";
    case TOKEN_VERDICTS:
        break;
    }
    return "unknown";
}

static bool split(text token, token_parts *ret_parts) {
    token_parts p;
    text rest = token;
    if (!text_next(&rest, '.', &p.header) || !text_next(&rest, '.', &p.payload) || !rest.ptr)
        return false;
    p.signature = rest; /* a further '.' is no base64url and fails there */
    p.signed_part = (text){token.ptr, p.header.len + 1 + p.payload.len};
    *ret_parts = p;
    return p.header.len > 0 && p.payload.len > 0;
}

/* Decodes into *memory and moves it on. */
static bool decode(text part, unsigned char **memory, text *ret_bytes) {
    size_t len;
    if (base64url_decode(part, *memory, &len) < 0)
        return false;
    *ret_bytes = (text){(const char *)*memory, len};
    *memory += len;
    return true;
}

static token_verdict parse(const keyset *keys, text bytes, json **ret_root) {
    json_verdict verdict = json_parse(keyset_parser(keys), bytes, ret_root, NULL);
    return verdict == JSON_OK ? TOKEN_ACCEPTED : verdict == JSON_NO_MEMORY ? TOKEN_NO_MEMORY : TOKEN_REFUSED;
}

static bool equals_ignoring_case(text t, text lower) {
    if (t.len != lower.len)
        return false;
    for (size_t i = 0; i < t.len; i++) {
        char c = t.ptr[i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c) != lower.ptr[i])
            return false;
    }
    return true;
}

/* Another kind of signed thing by the same issuer must not pass for a token (RFC 8725 section 3.11). */
static bool type_fits(const json *header) {
    static const text types[] = {TEXT("jwt"), TEXT("at+jwt"), TEXT("application/jwt"),
                                 TEXT("application/at+jwt")};
    const json *typ = NULL;
    if (!json_member(header, "typ", &typ))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (json_kind_of(typ) == JSON_STRING && equals_ignoring_case(json_string(typ), types[i]))
            return true;
    return false;
}

static token_verdict choose_key(const keyset *keys, text header_bytes, const ready_key **ret_key) {
    CLEANUP(json_freep) json *header = NULL;
    const json *kid = NULL, *crit = NULL;
    token_verdict verdict = parse(keys, header_bytes, &header);
    if (verdict != TOKEN_ACCEPTED)
        return verdict;
    if (json_kind_of(json_get(header, "alg")) != JSON_STRING || !type_fits(header) ||
        json_member(header, "crit", &crit)) /* we understand no extension (RFC 7515 section 4.1.11) */
        return TOKEN_REFUSED;
    if (json_member(header, "kid", &kid) && json_kind_of(kid) != JSON_STRING)
        return TOKEN_REFUSED;
    return keyset_choose(keys, json_string(kid), algorithm_named(json_get_string(header, "alg")), ret_key);
}

static token_verdict check_signature(const keyset *keys, const token_parts *parts, unsigned char **memory) {
    const ready_key *key = NULL;
    text header, signature;
    if (!decode(parts->header, memory, &header))
        return TOKEN_REFUSED;
    token_verdict verdict = choose_key(keys, header, &key);
    if (verdict != TOKEN_ACCEPTED)
        return verdict;
    if (!decode(parts->signature, memory, &signature))
        return TOKEN_REFUSED;
    return keyset_check_signature(keys, key, parts->signed_part, signature);
}

token_verdict token_verify(const keyset *keys, const token_rules *rules, text token, int64_t now,
                           claims **ret_claims) {
    token_parts parts;
    text payload;
    if (token.len > token_rules_max_len(rules))
        return TOKEN_TOO_LONG;
    if (!token.ptr || !split(token, &parts))
        return TOKEN_REFUSED;
    CLEANUP(freep) unsigned char *memory = malloc(BASE64URL_DECODED_MAX(token.len) + 2);
    unsigned char *at = memory;
    if (!memory)
        return TOKEN_NO_MEMORY;
    token_verdict verdict = check_signature(keys, &parts, &at);
    if (verdict != TOKEN_ACCEPTED)
        return verdict;
    CLEANUP(json_freep) json *root = NULL;
    if (!decode(parts.payload, &at, &payload))
        return TOKEN_REFUSED;
    verdict = parse(keys, payload, &root);
    return verdict == TOKEN_ACCEPTED ? token_rules_judge(rules, root, now, ret_claims) : verdict;
}
