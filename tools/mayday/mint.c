/* mint.c - see mint.h. */
#include "mint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "core/sign.h"
#include "keyfile.h"

#define TOKEN_LIFE_S 3600
#define BACKDATED_S  1 /* a broker whose clock is a little behind still finds it valid */

struct mint {
    settings conf;
    bool has_conf;
    signer *key;
};

mint *mint_free(mint *m) {
    if (!m)
        return NULL;
    if (m->has_conf)
        conf_release(&settings_table, &m->conf);
    (void)signer_free(m->key);
    free(m);
    return NULL;
}

/* The last key of the set signs, as with `mayday token`. */
static int take_key(const command *c, const char *path, mint *m) {
    CLEANUP(json_freep) json *set = NULL;
    char why[KEYFILE_WHY_MAX] = "it holds no key", key_why[SIGN_WHY_MAX] = "";
    int fault = keyfile_read(path, &set, why);
    if (fault == -ENOENT)
        return command_fail(c, EXIT_REFUSED,
                            "there are no signing keys in %s: give --keys, or a token with --token-file",
                            path);
    const json *key = fault == 0 ? keyfile_last(set) : NULL;
    if (!key)
        return command_fail(c, EXIT_REFUSED, "%s: %s", path, why);
    if (signer_new(key, &m->key, key_why) < 0)
        return command_fail(c, EXIT_REFUSED, "the last key in %s cannot sign: %s", path,
                            *key_why ? key_why : "out of memory");
    return EXIT_DONE;
}

int mint_open(const command *c, const char *config_path, const char *keys, mint **ret_mint) {
    CLEANUP(mint_freep) mint *m = calloc(1, sizeof *m);
    if (!m)
        return command_fail(c, EXIT_REFUSED, "out of memory");
    int code = keyfile_settings(config_path, &m->conf);
    if (code != EXIT_DONE)
        return code;
    m->has_conf = true;
    CLEANUP(freep) char *beside = keys ? NULL : keyfile_signing_path(m->conf.keys_file);
    if (!keys && !beside)
        return command_fail(c, EXIT_REFUSED, "out of memory");
    code = take_key(c, keys ? keys : beside, m);
    if (code != EXIT_DONE)
        return code;
    *ret_mint = m;
    m = NULL;
    return EXIT_DONE;
}

/* Puts `value`, taking it over, at the first of `paths`: dots go into objects, made as needed. */
static int put_at(json *payload, const char *paths, json *value) {
    text alternatives = text_of(paths), path = {0}, name = {0};
    if (!text_next(&alternatives, ' ', &path)) {
        (void)json_free(value);
        return -1;
    }
    json *at = payload;
    while (text_next(&path, '.', &name)) {
        CLEANUP(freep) char *member = text_copy(name);
        bool last = !path.ptr;
        json *below = !member ? NULL : last ? value : (json *)json_get(at, member);
        bool fresh = last || !below;
        if (!below && member && !last)
            below = json_new_object();
        if (!member || (fresh && json_put(at, member, below) < 0)) {
            if (!last || !member)
                (void)json_free(value);
            return -1;
        }
        at = below;
    }
    return 0;
}

static json *role_list(const char *roles) {
    json *list = json_new_array();
    text rest = text_of(roles), role;
    while (list && text_next(&rest, ',', &role))
        if (text_trim(role).len && json_append(list, json_new_string(text_trim(role))) < 0)
            list = json_free(list);
    return list;
}

static int put_text(json *payload, const char *name, const char *value) {
    return value && *value ? json_put(payload, name, json_new_string(text_of(value))) : 0;
}

static int print_payload(const mint *m, const mint_wish *wish, buf *to) {
    CLEANUP(json_freep) json *payload = json_new_object();
    char id[UUID_TEXT_LEN + 1];
    uuid fresh = link_new_id();
    uuid_format(&fresh, id);
    int64_t now = instant_now() / INSTANT_SECOND;
    text parties = text_of(m->conf.authorized_parties), party = {0};
    bool has_party = text_next(&parties, ' ', &party) && party.len;
    if (!payload || put_at(payload, m->conf.claim_subject, json_new_string(text_of(wish->sub))) < 0 ||
        put_at(payload, m->conf.claim_org, json_new_string(text_of(wish->org))) < 0 ||
        put_at(payload, m->conf.claim_roles, role_list(wish->roles)) < 0 ||
        put_text(payload, "iss", m->conf.issuer) < 0 || put_text(payload, "aud", m->conf.audience) < 0 ||
        (has_party && json_put(payload, "azp", json_new_string(party)) < 0) ||
        put_text(payload, "jti", id) < 0 ||
        json_put(payload, "iat", json_new_integer(now - BACKDATED_S)) < 0 ||
        json_put(payload, "exp", json_new_integer(now + TOKEN_LIFE_S)) < 0)
        return -1;
    json_print(payload, to);
    return buf_failed(to);
}

/* A list of names as identity has it. */
static char *spaced(const char *roles) {
    char *copy = strdup(roles);
    for (char *p = copy; p && *p; p++)
        if (*p == ',')
            *p = ' ';
    return copy;
}

int mint_token(const command *c, mint *m, const mint_wish *wish, identity *ret_who) {
    CLEANUP(buf_release) buf payload = BUF(65535);
    CLEANUP(buf_release) buf token = BUF(65535);
    if (print_payload(m, wish, &payload) < 0 || signer_sign(m->key, buf_text(&payload), &token) < 0)
        return command_fail(c, EXIT_REFUSED, "the token could not be minted: out of memory");
    identity who = {.token = buf_steal(&token),
                    .sub = strdup(wish->sub),
                    .org = strdup(wish->org),
                    .roles = spaced(wish->roles)};
    if (!who.token || !who.sub || !who.org || !who.roles) {
        identity_release(&who);
        return command_fail(c, EXIT_REFUSED, "out of memory");
    }
    *ret_who = who;
    return EXIT_DONE;
}
