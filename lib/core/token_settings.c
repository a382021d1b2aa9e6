/* token_settings.c - see token_settings.h. */
#include "core/token_settings.h"

token_rules_spec token_spec_of(const settings *s) {
    return (token_rules_spec){
        .issuer = text_of(s->issuer),
        .audience = text_of(s->audience),
        .authorized_parties = text_of(s->authorized_parties),
        .leeway_s = (s->leeway_ms + 999) / 1000,
        .max_len = (size_t)s->token_max,
        .required_claims = text_of(s->required_claims),
        .claim_subject = text_of(s->claim_subject),
        .claim_org = text_of(s->claim_org),
        .claim_roles = text_of(s->claim_roles),
        .claim_session = text_of(s->claim_session),
        .role_map = text_of(s->role_map),
    };
}
