/* Any bytes as the payload of a well-signed token: what is accepted keeps its promises, and survives being
 * printed and read back. The same bytes are then read as kept claims. */
#include <stdlib.h>
#include <string.h>
#include "core/sign.h"
#include "core/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY                                                                                                  \
    "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"                                 \
    "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}"

static keyset *keys;
static token_rules *rules;
static signer *hand;

static void set_up(void) {
    static const token_rules_spec spec = {
        .leeway_s = 5,
        .max_len = 65535,
        .claim_org = {"o.id org_id org", 15},
        .claim_roles = {"o.rol roles role", 16},
        .role_map = {"org:admin=admin", 15},
    };
    CLEANUP(json_freep) json *key = NULL;
    char why[TOKEN_WHY_MAX];
    if (json_parse_once(TEXT(KEY), &key) != JSON_OK || signer_new(key, &hand, why) < 0 ||
        keyset_parse(TEXT("{\"keys\":[" KEY "]}"), &keys, why) < 0 || token_rules_new(&spec, &rules, why) < 0)
        abort();
}

static void check_level(const char *level) {
    size_t len = strlen(level);
    if (len == 0 || len > 128 || strpbrk(level, "/+#\n\t\x7F") || !text_is_utf8(text_of(level)))
        abort();
}

static void check(const claims *who) {
    CLEANUP(buf_release) buf printed = BUF(1 << 20), again = BUF(1 << 20);
    CLEANUP(claims_freep) claims *kept = NULL;
    check_level(who->subject);
    check_level(who->org);
    if (who->n_roles > 16)
        abort();
    for (size_t i = 0; i < who->n_roles; i++)
        check_level(who->roles[i]);
    claims_print(who, &printed);
    if (buf_failed(&printed) < 0 || claims_parse(buf_text(&printed), &kept) < 0)
        abort();
    claims_print(kept, &again);
    if (!text_equal(buf_text(&printed), buf_text(&again)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(buf_release) buf token = BUF(1 << 20);
    CLEANUP(claims_freep) claims *who = NULL, *kept = NULL;
    text payload = {(const char *)data, size};
    if (!keys)
        set_up();
    if (signer_sign(hand, payload, &token) < 0)
        return 0;
    if (token_verify(keys, rules, buf_text(&token), 1700000000, &who) == TOKEN_ACCEPTED)
        check(who);
    if (claims_parse(payload, &kept) == 0)
        check(kept);
    return 0;
}
