/* rules.c - what a token's claims must say, and the verdict on those of one token.
 *
 * A claim's name is a path: "o.id" is member "id" of object "o". Because some issuers put whole URLs in
 * claim names, a path that is itself the name of a claim means that claim first. */
#include "core/claims_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/words.h"

#define MAX_LEN_DEFAULT 8192
#define LEEWAY_MAX      86400
#define STEP_MAX        128 /* bytes of one step of a path */

struct token_rules {
    char *issuer, *audience; /* NULL: not checked */
    words parties, required;
    words subject, org, roles, session; /* paths */
    words role_map;
    int64_t leeway;
    size_t max_len;
};

static int refuse(char *why, int fault, const char *what, text detail) {
    (void)snprintf(why, TOKEN_WHY_MAX, "%s%.*s", what, (int)(detail.len > 64 ? 64 : detail.len),
                   detail.ptr ? detail.ptr : "");
    return fault;
}

static bool is_path(text path) {
    for (text rest = path, step; text_next(&rest, '.', &step);)
        if (step.len == 0 || step.len > STEP_MAX)
            return false;
    return true;
}

static int take_words(text list, words *to, char *why) {
    return words_parse(list, to) < 0 ? refuse(why, -ENOMEM, "out of memory", TEXT("")) : 0;
}

static int take_paths(text list, text fallback, words *to, char *why) {
    int fault = take_words(list.len ? list : fallback, to, why);
    if (fault < 0)
        return fault;
    for (size_t i = 0; i < to->count; i++)
        if (!is_path(text_of(to->items[i])))
            return refuse(why, -EBADMSG, "no path to a claim: ", text_of(to->items[i]));
    return 0;
}

/* "issued=ours": the last '=' separates, because only our own names are sure to have none. */
static bool split_mapping(const char *entry, text *ret_issued, text *ret_ours) {
    const char *at = strrchr(entry, '=');
    if (!at || at == entry || at[1] == '\0')
        return false;
    *ret_issued = (text){entry, (size_t)(at - entry)};
    *ret_ours = text_of(at + 1);
    return true;
}

static int take_role_map(text list, words *to, char *why) {
    text issued, ours;
    int fault = take_words(list, to, why);
    if (fault < 0)
        return fault;
    for (size_t i = 0; i < to->count; i++)
        if (!split_mapping(to->items[i], &issued, &ours))
            return refuse(why, -EBADMSG, "the role map expects issued=ours, not ", text_of(to->items[i]));
    return 0;
}

static int take_text(text value, char **to, char *why) {
    if (value.len == 0)
        return 0;
    *to = text_copy(value);
    return *to ? 0 : refuse(why, -ENOMEM, "out of memory", TEXT(""));
}

static int take_all(const token_rules_spec *spec, token_rules *rules, char *why) {
    int fault = 0;
    if (spec->leeway_s < 0 || spec->leeway_s > LEEWAY_MAX)
        return refuse(why, -EBADMSG, "the leeway must be between 0 seconds and a day", TEXT(""));
    rules->leeway = spec->leeway_s;
    rules->max_len = spec->max_len ? spec->max_len : MAX_LEN_DEFAULT;
    if ((fault = take_text(spec->issuer, &rules->issuer, why)) < 0 ||
        (fault = take_text(spec->audience, &rules->audience, why)) < 0 ||
        (fault = take_words(spec->authorized_parties, &rules->parties, why)) < 0 ||
        (fault = take_paths(spec->required_claims, TEXT(""), &rules->required, why)) < 0 ||
        (fault = take_paths(spec->claim_subject, TEXT("sub"), &rules->subject, why)) < 0 ||
        (fault = take_paths(spec->claim_org, TEXT("org"), &rules->org, why)) < 0 ||
        (fault = take_paths(spec->claim_roles, TEXT("roles role"), &rules->roles, why)) < 0 ||
        (fault = take_paths(spec->claim_session, TEXT("sid"), &rules->session, why)) < 0)
        return fault;
    return take_role_map(spec->role_map, &rules->role_map, why);
}

int token_rules_new(const token_rules_spec *spec, token_rules **ret_rules, char ret_why[TOKEN_WHY_MAX]) {
    CLEANUP(token_rules_freep) token_rules *rules = calloc(1, sizeof *rules);
    if (!rules)
        return refuse(ret_why, -ENOMEM, "out of memory", TEXT(""));
    int fault = take_all(spec, rules, ret_why);
    if (fault < 0)
        return fault;
    *ret_rules = rules;
    rules = NULL;
    return 0;
}

token_rules *token_rules_free(token_rules *rules) {
    if (rules) {
        free(rules->issuer);
        free(rules->audience);
        words_release(&rules->parties);
        words_release(&rules->required);
        words_release(&rules->subject);
        words_release(&rules->org);
        words_release(&rules->roles);
        words_release(&rules->session);
        words_release(&rules->role_map);
        free(rules);
    }
    return NULL;
}

size_t token_rules_max_len(const token_rules *rules) {
    return rules->max_len;
}

/* NULL when the claim is absent or null. */
static const json *claim_at(const json *payload, const char *path) {
    const json *value = json_get(payload, path);
    if (value || !strchr(path, '.'))
        return value;
    value = payload;
    for (text rest = text_of(path), step; value && text_next(&rest, '.', &step);) {
        char name[STEP_MAX + 1];
        memcpy(name, step.ptr, step.len); /* is_path() saw to its length */
        name[step.len] = '\0';
        value = json_get(value, name);
    }
    return value;
}

static const json *first_claim(const json *payload, const words *paths) {
    const json *value = NULL;
    for (size_t i = 0; !value && i < paths->count; i++)
        value = claim_at(payload, paths->items[i]);
    return value;
}

static token_verdict take_required_text(const json *payload, const words *paths, text *to) {
    const json *value = first_claim(payload, paths);
    if (!value)
        return TOKEN_MISSING_CLAIM;
    *to = json_string(value);
    return to->ptr ? TOKEN_ACCEPTED : TOKEN_BAD_CLAIM;
}

static token_verdict take_optional_text(const json *value, text *to) {
    *to = value ? json_string(value) : TEXT("");
    return to->ptr ? TOKEN_ACCEPTED : TOKEN_BAD_CLAIM;
}

static text mapped_role(const token_rules *rules, text role) {
    text issued, ours;
    for (size_t i = 0; i < rules->role_map.count; i++)
        if (split_mapping(rules->role_map.items[i], &issued, &ours) && text_equal(issued, role))
            return ours;
    return role;
}

static token_verdict take_roles(const token_rules *rules, const json *value, claims_draft *draft) {
    switch (json_kind_of(value)) {
    case JSON_NULL: /* nobody in particular: the policy decides what that may do, usually nothing */
        return TOKEN_ACCEPTED;
    case JSON_STRING:
        return claims_add_role(draft, mapped_role(rules, json_string(value)));
    case JSON_ARRAY:
        for (size_t i = 0; i < json_length(value); i++) {
            token_verdict verdict =
                claims_add_role(draft, mapped_role(rules, json_string(json_at(value, i))));
            if (verdict != TOKEN_ACCEPTED)
                return verdict;
        }
        return TOKEN_ACCEPTED;
    case JSON_BOOL:
    case JSON_INTEGER:
    case JSON_NUMBER:
    case JSON_OBJECT:
        break;
    }
    return TOKEN_BAD_CLAIM;
}

static token_verdict judge_times(const token_rules *rules, const json *payload, int64_t now,
                                 claims_draft *draft) {
    const json *exp = json_get(payload, "exp"), *nbf = json_get(payload, "nbf"),
               *iat = json_get(payload, "iat");
    int64_t not_before = 0, issued_at = 0;
    if (!exp)
        return TOKEN_MISSING_CLAIM;
    if (claims_time(exp, CLAIMS_DOWN, &draft->expires_at) < 0 ||
        (nbf && claims_time(nbf, CLAIMS_UP, &not_before) < 0) ||
        (iat && claims_time(iat, CLAIMS_UP, &issued_at) < 0))
        return TOKEN_BAD_CLAIM;
    draft->issued_at = issued_at;
    if (now >= draft->expires_at + rules->leeway)
        return TOKEN_EXPIRED;
    if (now < not_before - rules->leeway || now < issued_at - rules->leeway)
        return TOKEN_NOT_YET_VALID;
    return TOKEN_ACCEPTED;
}

static bool audience_holds(const json *aud, text wanted) {
    if (json_kind_of(aud) == JSON_STRING)
        return text_equal(json_string(aud), wanted);
    for (size_t i = 0; i < json_length(aud); i++) {
        const json *one = json_at(aud, i);
        if (json_kind_of(one) == JSON_STRING && text_equal(json_string(one), wanted))
            return true;
    }
    return false;
}

static token_verdict judge_origin(const token_rules *rules, const json *payload) {
    if (rules->issuer && !text_equal(json_get_string(payload, "iss"), text_of(rules->issuer)))
        return TOKEN_WRONG_ISSUER;
    if (rules->audience && !audience_holds(json_get(payload, "aud"), text_of(rules->audience)))
        return TOKEN_WRONG_AUDIENCE;
    if (rules->parties.count > 0 && !words_hold(&rules->parties, json_get_string(payload, "azp")))
        return TOKEN_WRONG_PARTY;
    for (size_t i = 0; i < rules->required.count; i++)
        if (!claim_at(payload, rules->required.items[i]))
            return TOKEN_MISSING_CLAIM;
    return TOKEN_ACCEPTED;
}

static token_verdict take_identity(const token_rules *rules, const json *payload, claims_draft *draft) {
    token_verdict verdict = take_required_text(payload, &rules->subject, &draft->subject);
    if (verdict == TOKEN_ACCEPTED)
        verdict = take_required_text(payload, &rules->org, &draft->org);
    if (verdict == TOKEN_ACCEPTED)
        verdict = take_roles(rules, first_claim(payload, &rules->roles), draft);
    if (verdict == TOKEN_ACCEPTED)
        verdict = take_optional_text(json_get(payload, "jti"), &draft->token_id);
    if (verdict == TOKEN_ACCEPTED)
        verdict = take_optional_text(first_claim(payload, &rules->session), &draft->session_id);
    return verdict;
}

token_verdict token_rules_judge(const token_rules *rules, const json *payload, int64_t now,
                                claims **ret_claims) {
    claims_draft draft = {0};
    if (json_kind_of(payload) != JSON_OBJECT)
        return TOKEN_REFUSED;
    token_verdict verdict = judge_times(rules, payload, now, &draft);
    if (verdict == TOKEN_ACCEPTED)
        verdict = judge_origin(rules, payload);
    if (verdict == TOKEN_ACCEPTED)
        verdict = take_identity(rules, payload, &draft);
    return verdict == TOKEN_ACCEPTED ? claims_make(&draft, ret_claims) : verdict;
}
