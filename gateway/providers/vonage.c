/* vonage.c - see vonage.h. */
#include "gateway/providers/vonage.h"

#include <errno.h>
#include <string.h>

#include "core/mac.h"
#include "gateway/providers/spoken.h"

#define TALK_MAX    1500 /* signs */
#define TOKEN_LIFE  (24 * 3600)
#define NAME_LENGTH 128

int vonage_token_add(const accounts *a, instant at, text name, provider_request *to) {
    CLEANUP(json_freep) json *claims = json_new_object();
    CLEANUP(buf_release) buf payload = BUF(4096);
    int64_t iat = at / INSTANT_SECOND;
    name.len = name.len > NAME_LENGTH ? NAME_LENGTH : name.len;
    if (!claims ||
        json_put(claims, "application_id", json_new_string(text_of(a->s->vonage_application))) < 0 ||
        json_put(claims, "iat", json_new_integer(iat)) < 0 ||
        json_put(claims, "exp", json_new_integer(iat + TOKEN_LIFE)) < 0 ||
        json_put(claims, "jti", json_new_string(name)) < 0)
        return -ENOMEM;
    json_print(claims, &payload);
    if (buf_failed(&payload) < 0)
        return buf_failed(&payload);
    buf_add_text(&to->headers, TEXT("Authorization: Bearer "));
    int fault = jws_rs256(a->vonage_key_pem, buf_text(&payload), &to->headers);
    buf_add_char(&to->headers, '\n');
    return fault < 0 ? fault : buf_failed(&to->headers);
}

void vonage_moment_add(buf *url, char before, const char *name, instant at) {
    CLEANUP(buf_release) buf spelled = BUF(64);
    moment_add(&spelled, at);
    buf_printf(url, "%c%s=", before, name);
    url_add(url, buf_text(&spelled));
}

json *vonage_list_of(json *only) {
    json *list = json_new_array();
    if (!list)
        return json_free(only);
    return json_append(list, only) == 0 ? list : json_free(list);
}

typedef struct receipt_row {
    const char *status;
    provider_receipt receipt;
} receipt_row;

static provider_receipt receipt_of(const receipt_row *rows, size_t count, text status) {
    for (size_t i = 0; i < count; i++)
        if (text_equal(status, text_of(rows[i].status)))
            return rows[i].receipt;
    return RECEIPT_UNKNOWN;
}

provider_receipt vonage_text_receipt(text status) {
    static const receipt_row rows[] = {
        {"accepted", RECEIPT_PENDING},    {"buffered", RECEIPT_PENDING}, {"submitted", RECEIPT_PENDING},
        {"delivered", RECEIPT_DELIVERED}, {"expired", RECEIPT_FAILED},   {"failed", RECEIPT_FAILED},
        {"rejected", RECEIPT_FAILED},     {"deleted", RECEIPT_FAILED},
    };
    return receipt_of(rows, ARRAY_LEN(rows), status);
}

provider_receipt vonage_call_receipt(text status) {
    static const receipt_row rows[] = {
        {"started", RECEIPT_PENDING},   {"ringing", RECEIPT_PENDING},  {"answered", RECEIPT_DELIVERED},
        {"machine", RECEIPT_DELIVERED}, {"human", RECEIPT_DELIVERED},  {"completed", RECEIPT_DELIVERED},
        {"busy", RECEIPT_FAILED},       {"cancelled", RECEIPT_FAILED}, {"failed", RECEIPT_FAILED},
        {"rejected", RECEIPT_FAILED},   {"timeout", RECEIPT_FAILED},   {"unanswered", RECEIPT_FAILED},
    };
    return receipt_of(rows, ARRAY_LEN(rows), status);
}

/* ---- speech ---- */

/* What is said and the menu are one piece, so that a key pressed in the midst of it is heard. */
static json *talk(text say, text menu, text lang, int times, bool asks) {
    CLEANUP(buf_release) buf whole = BUF(64 << 10);
    const spoken *voice = spoken_of(lang);
    menu = text_cut(menu, TALK_MAX / 2);
    buf_add_text(&whole, text_cut(say, TALK_MAX - 1 - menu.len));
    if (menu.len > 0) {
        buf_add_char(&whole, ' ');
        buf_add_text(&whole, menu);
    }
    json *one = buf_failed(&whole) < 0 ? NULL : json_new_object();
    if (!one || json_put(one, "action", json_new_string(TEXT("talk"))) < 0 ||
        json_put(one, "text", json_new_string(buf_text(&whole))) < 0 ||
        (voice && json_put(one, "language", json_new_string(text_of(voice->tag))) < 0) ||
        (times > 1 && json_put(one, "loop", json_new_integer(times)) < 0) ||
        (asks && json_put(one, "bargeIn", json_new_bool(true)) < 0))
        return json_free(one);
    return one;
}

static json *keys_wanted(void) {
    json *keys = json_new_object();
    if (!keys || json_put(keys, "maxDigits", json_new_integer(1)) < 0 ||
        json_put(keys, "timeOut", json_new_integer(10)) < 0 ||
        json_put(keys, "submitOnHash", json_new_bool(false)) < 0)
        return json_free(keys);
    return keys;
}

static json *input(text url) {
    json *one = json_new_object();
    if (!one || json_put(one, "action", json_new_string(TEXT("input"))) < 0 ||
        json_put(one, "type", vonage_list_of(json_new_string(TEXT("dtmf")))) < 0 ||
        json_put(one, "dtmf", keys_wanted()) < 0 ||
        json_put(one, "eventUrl", vonage_list_of(json_new_string(url))) < 0 ||
        json_put(one, "eventMethod", json_new_string(TEXT("POST"))) < 0)
        return json_free(one);
    return one;
}

json *ncco_new(const settings *s, text notification, text say, text menu, text lang, int times) {
    CLEANUP(buf_release) buf url = BUF(4096);
    if (menu.len > 0)
        hook_url_add(&url, s, "vonage", "key", notification);
    bool asks = url.len > 0;
    bool speaks = say.len > 0 || asks; /* words of none would be an error */
    json *all = buf_failed(&url) < 0 ? NULL : json_new_array();
    if (!all || (speaks && json_append(all, talk(say, asks ? menu : (text){0}, lang, times, asks)) < 0) ||
        (asks && json_append(all, input(buf_text(&url))) < 0))
        return json_free(all);
    return all;
}
