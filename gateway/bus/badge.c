/* badge.c - see badge.h. */
#include "gateway/bus/badge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/json.h"
#include "base/uuid.h"
#include "core/base64url.h"
#include "core/sign.h"
#include "core/topic.h"

#define TOKEN_LIFE_S 3600
#define BACKDATED_S  1 /* a broker whose clock is a little behind still finds it valid */
#define FILE_MAX     (4 << 20)
#define TOKEN_MAX    65535

static int PRINTF_LIKE(3, 4) because(char why[BADGE_WHY_MAX], int fault, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, BADGE_WHY_MAX, format, args);
    va_end(args);
    return fault;
}

static bool is_set(const char *value) {
    return value && *value;
}

/* ---- a token from a file ---- */

static int read_token(const char *path, char **ret_token, char why[BADGE_WHY_MAX]) {
    CLEANUP(buf_release) buf file = BUF(TOKEN_MAX);
    int fault = file_read(path, TOKEN_MAX, &file);
    if (fault < 0)
        return because(why, fault, "the token in %s can't be read: %s", path, strerror(-fault));
    char *token = text_copy(text_trim(buf_text(&file)));
    if (!token)
        return because(why, -ENOMEM, "out of memory");
    *ret_token = token;
    return 0;
}

/* The payload of a compact JWS. Whether it is genuine is the broker's to judge. */
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
static text claim_at(const json *payload, const char *paths) {
    text alternatives = text_of(paths), path = {0}, name = {0};
    while (text_next(&alternatives, ' ', &path)) {
        const json *at = payload;
        while (at && text_next(&path, '.', &name)) {
            CLEANUP(freep) char *member = text_copy(name);
            at = member ? json_get(at, member) : NULL;
        }
        if (at && at != payload)
            return json_string(at);
    }
    return (text){0};
}

static int identity_in_file(const settings *s, char **ret_id, char **ret_org, char why[BADGE_WHY_MAX]) {
    CLEANUP(freep) char *token = NULL;
    int fault = read_token(s->gateway_token_file, &token, why);
    if (fault < 0)
        return fault;
    CLEANUP(json_freep) json *payload = payload_of(text_of(token));
    text sub = claim_at(payload, s->claim_subject), org = claim_at(payload, s->claim_org);
    if (!topic_level_valid(sub) || !topic_level_valid(org))
        return because(why, -EBADMSG, "the token in %s names no subject or no organisation",
                       s->gateway_token_file);
    if (is_set(s->gateway_id) && !text_equal(sub, text_of(s->gateway_id)))
        return because(why, -EINVAL, "the token in %s is for '%.*s', but [gateway] id is '%s'",
                       s->gateway_token_file, (int)sub.len, sub.ptr, s->gateway_id);
    char *id = text_copy(sub), *only = text_copy(org);
    if (!id || !only) {
        free(id);
        free(only);
        return because(why, -ENOMEM, "out of memory");
    }
    *ret_id = id;
    *ret_org = only;
    return 0;
}

int badge_identity(const settings *s, char **ret_id, char **ret_org, char ret_why[BADGE_WHY_MAX]) {
    if (is_set(s->gateway_token_file))
        return identity_in_file(s, ret_id, ret_org, ret_why);
    CLEANUP(buf_release) buf id = BUF(TOPIC_LEVEL_MAX);
    char host[TOPIC_LEVEL_MAX] = "";
    if (gethostname(host, sizeof host - 1) < 0)
        return because(ret_why, -errno, "the host has no name; set [gateway] id");
    if (is_set(s->gateway_id))
        buf_add_text(&id, text_of(s->gateway_id));
    else
        buf_printf(&id, "gateway-%s", host);
    if (buf_failed(&id) < 0 || !topic_level_valid(buf_text(&id)))
        return because(ret_why, -EINVAL, "[gateway] id must fit between two slashes of a topic");
    *ret_id = buf_steal(&id);
    *ret_org = NULL;
    return 0;
}

/* ---- a token of our own ---- */

/* Puts `value`, taking it over, at `path`: dots go into objects, made as needed. */
static int put_at(json *payload, text path, json *value) {
    json *at = payload;
    text name = {0};
    while (text_next(&path, '.', &name)) {
        CLEANUP(freep) char *member = text_copy(name);
        bool last = !path.ptr;
        if (!member)
            break;
        if (last)
            return json_put(at, member, value);
        json *below = (json *)json_get(at, member);
        if (!below &&
            (json_put(at, member, json_new_object()) < 0 || !(below = (json *)json_get(at, member))))
            break;
        at = below;
    }
    (void)json_free(value);
    return -ENOMEM;
}

/* Of several paths the one without a dot, if there is one: the first present counts, and only one will be. */
static text plain_path(const char *paths) {
    text alternatives = text_of(paths), path = {0}, first = {0};
    while (text_next(&alternatives, ' ', &path)) {
        if (path.len == 0)
            continue;
        if (!memchr(path.ptr, '.', path.len))
            return path;
        first = first.ptr ? first : path;
    }
    return first;
}

static json *the_role(void) {
    json *list = json_new_array();
    if (list && json_append(list, json_new_string(TEXT("gateway"))) < 0)
        return json_free(list);
    return list;
}

static int put_text(json *payload, const char *name, text value) {
    return value.len ? json_put(payload, name, json_new_string(value)) : 0;
}

static int print_payload(const settings *s, const char *id, const char *org, int64_t now_s, buf *to) {
    CLEANUP(json_freep) json *payload = json_new_object();
    char jti[UUID_TEXT_LEN + 1];
    uint8_t random[10];
    text parties = text_of(s->authorized_parties), party = {0};
    if (!payload || getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return -ENOMEM;
    uuid fresh = uuid7_make(now_s * 1000, random);
    uuid_format(&fresh, jti);
    (void)text_next(&parties, ' ', &party);
    if (put_at(payload, plain_path(s->claim_subject), json_new_string(text_of(id))) < 0 ||
        put_at(payload, plain_path(s->claim_org), json_new_string(text_of(org))) < 0 ||
        put_at(payload, plain_path(s->claim_roles), the_role()) < 0 ||
        put_text(payload, "iss", text_of(s->issuer)) < 0 ||
        put_text(payload, "aud", text_of(s->audience)) < 0 || put_text(payload, "azp", party) < 0 ||
        put_text(payload, "jti", text_of(jti)) < 0 ||
        json_put(payload, "iat", json_new_integer(now_s - BACKDATED_S)) < 0 ||
        json_put(payload, "nbf", json_new_integer(now_s - BACKDATED_S)) < 0 ||
        json_put(payload, "exp", json_new_integer(now_s + TOKEN_LIFE_S)) < 0)
        return -ENOMEM;
    json_print(payload, to);
    return buf_failed(to);
}

/* The last key of the set signs, as with `mayday token`. */
static int take_signer(const char *path, signer **ret_signer, char why[BADGE_WHY_MAX]) {
    CLEANUP(buf_release) buf file = BUF(FILE_MAX);
    CLEANUP(json_freep) json *set = NULL;
    char key_why[SIGN_WHY_MAX] = "";
    int fault = file_read(path, FILE_MAX, &file);
    if (fault < 0)
        return because(why, fault, "the signing keys in %s can't be read: %s", path, strerror(-fault));
    const json *keys = NULL;
    if (json_parse_once(buf_text(&file), &set) == JSON_OK)
        keys = json_get(set, "keys");
    size_t count = json_length(keys);
    if (json_kind_of(keys) != JSON_ARRAY || count == 0)
        return because(why, -EBADMSG, "%s is no JSON Web Key Set with a key in it", path);
    fault = signer_new(json_at(keys, count - 1), ret_signer, key_why);
    return fault == 0 ? 0 : because(why, fault, "the last key in %s cannot sign: %s", path, key_why);
}

static int sign_one(const settings *s, const char *id, const char *org, instant now, char **ret_token,
                    instant *ret_until, char why[BADGE_WHY_MAX]) {
    CLEANUP(signer_freep) signer *key = NULL;
    CLEANUP(buf_release) buf payload = BUF(TOKEN_MAX);
    CLEANUP(buf_release) buf token = BUF(TOKEN_MAX);
    int64_t now_s = now / INSTANT_SECOND;
    int fault = take_signer(s->gateway_signing_keys, &key, why);
    if (fault < 0)
        return fault;
    if (print_payload(s, id, org, now_s, &payload) < 0 || signer_sign(key, buf_text(&payload), &token) < 0)
        return because(why, -ENOMEM, "out of memory");
    *ret_token = buf_steal(&token);
    *ret_until = (now_s + TOKEN_LIFE_S) * INSTANT_SECOND;
    return *ret_token ? 0 : -ENOMEM;
}

static instant end_of(text token) {
    CLEANUP(json_freep) json *payload = payload_of(token);
    const json *exp = json_get(payload, "exp");
    bool is_number = json_kind_of(exp) == JSON_INTEGER || json_kind_of(exp) == JSON_NUMBER;
    double end = is_number ? json_number(exp) : 0;
    return end > 0 && end < 1e11 ? (instant)end * INSTANT_SECOND : 0;
}

int badge_make(const settings *s, const char *id, const char *org, instant now, char **ret_token,
               instant *ret_until, char ret_why[BADGE_WHY_MAX]) {
    if (!is_set(s->gateway_token_file)) {
        if (!is_set(s->gateway_signing_keys))
            return because(ret_why, -ENOENT, "neither signing_keys nor token_file is set in [gateway]");
        return sign_one(s, id, org, now, ret_token, ret_until, ret_why);
    }
    int fault = read_token(s->gateway_token_file, ret_token, ret_why);
    if (fault == 0)
        *ret_until = end_of(text_of(*ret_token));
    return fault;
}
