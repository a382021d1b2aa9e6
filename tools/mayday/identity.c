/* identity.c - see link.h: the token a command presents, and who it speaks for. */
#include "link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "core/base64url.h"
#include "mint.h"

#define TOKEN_FILE_MAX 65535

void identity_release(identity *who) {
    free(who->token);
    free(who->sub);
    free(who->org);
    free(who->roles);
    *who = (identity){0};
}

/* The payload of a compact JWS, unverified. */
static json *payload_of(text token) {
    text rest = token, part = {0};
    if (!text_next(&rest, '.', &part) || !text_next(&rest, '.', &part))
        return NULL;
    CLEANUP(freep) unsigned char *bytes = malloc(BASE64URL_DECODED_MAX(part.len));
    size_t len;
    json *payload = NULL;
    if (!bytes || base64url_decode(part, bytes, &len) < 0 ||
        json_parse_once((text){(const char *)bytes, len}, &payload) != JSON_OK)
        return NULL;
    return payload;
}

/* The claim at the first of `paths` that is there: dots go into objects, spaces separate alternatives. */
static const json *claim_at(const json *payload, text paths) {
    text path;
    while (text_next(&paths, ' ', &path)) {
        const json *at = payload;
        text name;
        while (at && text_next(&path, '.', &name)) {
            CLEANUP(freep) char *member = text_copy(name);
            at = member ? json_get(at, member) : NULL;
        }
        if (at && at != payload)
            return at;
    }
    return NULL;
}

static char *roles_of(const json *claim) {
    CLEANUP(buf_release) buf roles = BUF(4096);
    buf_add_text(&roles, json_string(claim));
    for (size_t i = 0; i < json_length(claim); i++) {
        if (i > 0)
            buf_add_char(&roles, ' ');
        buf_add_text(&roles, json_string(json_at(claim, i)));
    }
    buf_add_text(&roles, TEXT(""));
    return buf_failed(&roles) < 0 || !roles.ptr ? strdup("") : buf_steal(&roles);
}

/* Claims have the names that the configuration gives them, if there is one here; else the usual ones. */
static int read_claims(const command *c, const char *config_path, identity *who) {
    settings conf = {0};
    char why[CONF_WHY_MAX];
    const char *path = config_path ? config_path : getenv("MAYDAY_CONF");
    if (conf_load(&settings_table, path ? path : SETTINGS_DEFAULT_PATH, &conf, why) < 0 &&
        conf_load(&settings_table, NULL, &conf, why) < 0)
        return command_fail(c, EXIT_REFUSED, "%s", why);
    CLEANUP(json_freep) json *payload = payload_of(text_of(who->token));
    who->sub = text_copy(json_string(claim_at(payload, text_of(conf.claim_subject))));
    who->org = text_copy(json_string(claim_at(payload, text_of(conf.claim_org))));
    who->roles = roles_of(claim_at(payload, text_of(conf.claim_roles)));
    conf_release(&settings_table, &conf);
    if (!who->sub || !who->org || !who->roles)
        return command_fail(c, EXIT_REFUSED, "out of memory");
    if (!payload)
        return command_fail(c, EXIT_REFUSED, "the token is not a JWT");
    if (!*who->sub || !*who->org)
        return command_fail(c, EXIT_REFUSED, "the token names no subject or no organisation");
    return EXIT_DONE;
}

static int from_file(const command *c, const char *config_path, const char *path, identity *who) {
    CLEANUP(buf_release) buf file = BUF(TOKEN_FILE_MAX);
    int fault = file_read(path, TOKEN_FILE_MAX, &file);
    if (fault < 0)
        return command_fail(c, EXIT_REFUSED, "cannot read the token in %s: %s", path, strerror(-fault));
    who->token = text_copy(text_trim(buf_text(&file)));
    if (!who->token)
        return command_fail(c, EXIT_REFUSED, "out of memory");
    return read_claims(c, config_path, who);
}

static int minted(const command *c, const char *config_path, const link_options *o, const char *role,
                  identity *who) {
    mint_wish wish = {.sub = o->sub, .org = o->org, .roles = o->role ? o->role : role};
    CLEANUP(mint_freep) mint *m = NULL;
    int code = mint_open(c, config_path, o->keys, &m);
    return code == EXIT_DONE ? mint_token(c, m, &wish, who) : code;
}

int link_identity(const command *c, const char *config_path, const link_options *o, const char *fallback_role,
                  identity *ret_who) {
    const char *file = o->token_file ? o->token_file : getenv("MAYDAY_TOKEN_FILE");
    identity who = {0};
    int code;
    if (o->token_file && o->sub)
        return command_fail(c, EXIT_USAGE, "--token-file and --sub exclude each other");
    if (o->sub && !o->org)
        return command_fail(c, EXIT_USAGE, "--sub needs --org: a token is for somebody in an organisation");
    if (o->sub)
        code = minted(c, config_path, o, fallback_role, &who);
    else if (file && *file)
        code = from_file(c, config_path, file, &who);
    else
        return command_fail(c, EXIT_USAGE,
                            "no token: give --token-file, set MAYDAY_TOKEN_FILE, or mint one with --sub and "
                            "--org; see 'mayday %s --help'",
                            c->name);
    if (code == EXIT_DONE)
        *ret_who = who;
    else
        identity_release(&who);
    return code;
}
