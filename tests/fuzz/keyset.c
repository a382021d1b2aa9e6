/* Any bytes as a key set: refused with a reason, or taken with at least one key, and then fit to judge. */
#include <stdlib.h>
#include "core/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* {"alg":"HS256"}.{}. with a signature that nobody made */
#define FORGED TEXT("eyJhbGciOiJIUzI1NiJ9.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(keyset_freep) keyset *keys = NULL;
    CLEANUP(token_rules_freep) token_rules *rules = NULL;
    CLEANUP(claims_freep) claims *who = NULL;
    char why[TOKEN_WHY_MAX] = "";
    if (token_rules_new(&(token_rules_spec){0}, &rules, why) < 0)
        abort();
    if (keyset_parse((text){(const char *)data, size}, &keys, why) < 0) {
        if (why[0] == '\0')
            abort();
        return 0;
    }
    if (keyset_count(keys) == 0 || token_verify(keys, rules, FORGED, 0, &who) == TOKEN_ACCEPTED)
        abort();
    return 0;
}
