/* Any bytes as a checkpoint of the audit trail, against a fixed key: genuine is only what stands in the
 * corpus. */
#include <stdlib.h>
#include <string.h>
#include "core/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The key of RFC 7515, appendix A.1. */
#define SET                                                                                                  \
    "{\"keys\":[{\"kid\":\"h\",\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"        \
    "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}]}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static keyset *keys;
    char why[TOKEN_WHY_MAX], kid[AUDIT_KID_MAX];
    audit_checkpoint c = {0};
    text jws = {(const char *)data, size};
    if (!keys && keyset_parse(TEXT(SET), &keys, why) < 0)
        abort();
    bool readable = audit_checkpoint_read(jws, &c, kid) == 0;
    if (readable != (c.position > 0) || (readable && strlen(kid) >= AUDIT_KID_MAX))
        abort();
    if (audit_checkpoint_verify(keys, jws) == TOKEN_ACCEPTED && readable &&
        (c.position != 42 || strcmp(kid, "h") != 0))
        abort(); /* a forged one */
    return 0;
}
