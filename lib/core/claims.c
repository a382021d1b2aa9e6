/* claims.c - who a client is, as one block of memory; printed for keeping, and read back.
 * What is read back is checked as strictly as what comes from a token. */
#include "core/claims_private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TIME_MAX (INT64_C(1) << 53)

static bool is_control(const char *p, size_t left) {
    unsigned char c = (unsigned char)*p;
    if (c < 0x20 || c == 0x7F)
        return true;
    return c == 0xC2 && left > 1 && (unsigned char)p[1] < 0xA0; /* U+0080 to U+009F */
}

/* Well-formed UTF-8 without control characters and without those of `forbidden`. */
static bool is_plain(text t, size_t max, const char *forbidden) {
    if (!t.ptr || t.len > max || !text_is_utf8(t))
        return false;
    for (size_t i = 0; i < t.len; i++)
        if (is_control(t.ptr + i, t.len - i) || strchr(forbidden, t.ptr[i]))
            return false;
    return true;
}

/* What can stand as one level of a topic without changing the topic's meaning. */
static bool is_level(text t) {
    return t.len > 0 && is_plain(t, CLAIMS_LEVEL_MAX, "/+#");
}

token_verdict claims_add_role(claims_draft *draft, text role) {
    if (!is_level(role))
        return TOKEN_BAD_CLAIM;
    for (size_t i = 0; i < draft->n_roles; i++)
        if (text_equal(draft->roles[i], role))
            return TOKEN_ACCEPTED;
    if (draft->n_roles == CLAIMS_ROLES_MAX)
        return TOKEN_BAD_CLAIM;
    draft->roles[draft->n_roles++] = role;
    return TOKEN_ACCEPTED;
}

static const char *place(char **at, text t) {
    char *start = *at;
    if (t.len)
        memcpy(start, t.ptr, t.len);
    start[t.len] = '\0';
    *at += t.len + 1;
    return start;
}

/* The struct, then the array of roles, then all the strings. */
static claims *make_block(const claims_draft *draft) {
    size_t strings = draft->subject.len + draft->org.len + draft->token_id.len + draft->session_id.len + 4;
    for (size_t i = 0; i < draft->n_roles; i++)
        strings += draft->roles[i].len + 1;
    claims *who = malloc(sizeof *who + draft->n_roles * sizeof(char *) + strings);
    if (!who)
        return NULL;
    const char **roles = (const char **)(who + 1);
    char *at = (char *)(roles + draft->n_roles);
    for (size_t i = 0; i < draft->n_roles; i++)
        roles[i] = place(&at, draft->roles[i]);
    *who = (claims){
        .roles = roles,
        .n_roles = draft->n_roles,
        .issued_at = draft->issued_at,
        .expires_at = draft->expires_at,
    };
    who->subject = place(&at, draft->subject);
    who->org = place(&at, draft->org);
    who->token_id = place(&at, draft->token_id);
    who->session_id = place(&at, draft->session_id);
    return who;
}

token_verdict claims_make(const claims_draft *draft, claims **ret_claims) {
    if (!is_level(draft->subject) || !is_level(draft->org) || !is_plain(draft->token_id, CLAIMS_ID_MAX, "") ||
        !is_plain(draft->session_id, CLAIMS_ID_MAX, ""))
        return TOKEN_BAD_CLAIM;
    claims *who = make_block(draft);
    if (!who)
        return TOKEN_NO_MEMORY;
    *ret_claims = who;
    return TOKEN_ACCEPTED;
}

claims *claims_free(claims *who) {
    free(who);
    return NULL;
}

int claims_time(const json *value, claims_rounding rounding, int64_t *ret_seconds) {
    json_kind kind = json_kind_of(value);
    if (kind != JSON_INTEGER && kind != JSON_NUMBER)
        return -EINVAL;
    double seconds = json_number(value);
    if (!(seconds >= 0 && seconds <= (double)TIME_MAX))
        return -ERANGE;
    *ret_seconds = (int64_t)(rounding == CLAIMS_UP ? ceil(seconds) : floor(seconds));
    return 0;
}

static int put_text(json *root, const char *name, const char *value) {
    return json_put(root, name, json_new_string(text_of(value)));
}

static json *roles_of(const claims *who) {
    json *roles = json_new_array();
    for (size_t i = 0; roles && i < who->n_roles; i++)
        if (json_append(roles, json_new_string(text_of(who->roles[i]))) < 0)
            roles = json_free(roles);
    return roles;
}

void claims_print(const claims *who, buf *to) {
    CLEANUP(json_freep) json *root = json_new_object();
    if (!root || put_text(root, "sub", who->subject) < 0 || put_text(root, "org", who->org) < 0 ||
        json_put(root, "roles", roles_of(who)) < 0 || put_text(root, "jti", who->token_id) < 0 ||
        put_text(root, "sid", who->session_id) < 0 ||
        json_put(root, "iat", json_new_integer(who->issued_at)) < 0 ||
        json_put(root, "exp", json_new_integer(who->expires_at)) < 0) {
        to->fault = -ENOMEM;
        return;
    }
    json_print(root, to);
}

static token_verdict draft_of(const json *root, claims_draft *draft) {
    const json *roles = json_get(root, "roles");
    *draft = (claims_draft){
        .subject = json_get_string(root, "sub"),
        .org = json_get_string(root, "org"),
        .token_id = json_get_string(root, "jti"),
        .session_id = json_get_string(root, "sid"),
    };
    if (json_kind_of(roles) != JSON_ARRAY ||
        claims_time(json_get(root, "iat"), CLAIMS_DOWN, &draft->issued_at) < 0 ||
        claims_time(json_get(root, "exp"), CLAIMS_DOWN, &draft->expires_at) < 0)
        return TOKEN_BAD_CLAIM;
    token_verdict verdict = TOKEN_ACCEPTED;
    for (size_t i = 0; verdict == TOKEN_ACCEPTED && i < json_length(roles); i++)
        verdict = claims_add_role(draft, json_string(json_at(roles, i)));
    return verdict;
}

int claims_parse(text stored, claims **ret_claims) {
    CLEANUP(json_freep) json *root = NULL;
    claims_draft draft;
    json_verdict parsed = json_parse_once(stored, &root);
    if (parsed != JSON_OK)
        return parsed == JSON_NO_MEMORY ? -ENOMEM : -EBADMSG;
    token_verdict verdict = draft_of(root, &draft);
    if (verdict == TOKEN_ACCEPTED)
        verdict = claims_make(&draft, ret_claims);
    return verdict == TOKEN_ACCEPTED ? 0 : verdict == TOKEN_NO_MEMORY ? -ENOMEM : -EBADMSG;
}
