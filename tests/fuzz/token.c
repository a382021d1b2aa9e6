/* Any bytes as a token, against a fixed key set: refused, or one of the few that stand in the corpus. */
#include <stdlib.h>
#include <string.h>
#include "core/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SET                                                                                                  \
    "{\"keys\":[{\"kid\":\"h\",\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"        \
    "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"},{\"kid\":\"e\",\"kty\":\"EC\",\"crv\":\"P-256\","          \
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                                                 \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"                                                \
    "{\"kid\":\"o\",\"kty\":\"OKP\",\"crv\":\"Ed25519\","                                                    \
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static keyset *keys;
    static token_rules *rules;
    char why[TOKEN_WHY_MAX];
    /* the examples of the RFCs name no subject of ours: their issuer stands in for it */
    static const token_rules_spec spec = {.claim_subject = {"iss", 3}, .claim_org = {"iss", 3}};
    if (!keys && (keyset_parse(TEXT(SET), &keys, why) < 0 || token_rules_new(&spec, &rules, why) < 0))
        abort();
    CLEANUP(claims_freep) claims *who = NULL;
    token_verdict verdict =
        token_verify(keys, rules, (text){(const char *)data, size}, INT64_C(1300819000), &who);
    if (verdict >= TOKEN_VERDICTS || (verdict == TOKEN_ACCEPTED) != (who != NULL))
        abort();
    if (who && strcmp(who->subject, "joe") != 0)
        abort(); /* a forged one */
    return 0;
}
