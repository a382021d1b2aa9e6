/* hooks.c - /hooks/<account>/<what>: providers tell what became of messages and calls, and what somebody
 * answered. See gateway/hooks/hook.h.
 *
 * What they say is kept in the gateway's own store before they are answered, and carried into the database
 * by the service mail: so the answer comes in milliseconds, however slow the database is. What cannot be kept
 * is not confirmed either. Nothing that is said here, no number and no text, goes into the log. */
#include <errno.h>
#include <string.h>

#include "gateway/hooks/hook.h"
#include "gateway/http/http.h"
#include "gateway/local/mail.h"

extern const route route_hooks;

#define SPELLED_MAX (64u << 10)
#define SPOKEN_MAX  (16u << 10)
#define MENU_MAX    (4u << 10)

static const text prefix = {"/hooks/", 7};

/* What a path may end in: there is nothing else. */
static const char *const endings[] = {"status", "text", "key", "event"};

static const hook *hook_at(text path, text *ret_what) {
    text rest = {path.ptr + prefix.len, path.len - prefix.len}, account;
    if (!text_next(&rest, '/', &account) || !rest.ptr)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        if (text_equal(rest, text_of(endings[i])))
            *ret_what = text_of(endings[i]);
    for (const hook *const *h = hooks; ret_what->ptr && *h; h++)
        if (text_equal(account, text_of((*h)->account)))
            return *h;
    return NULL;
}

static int say(http_reply *reply, unsigned status, const char *sentence) {
    reply->status = status;
    buf_printf(&reply->body, "%s\n", sentence);
    return 0;
}

/* ---- keeping ---- */

static bool is_answer(const hook_event *e) {
    return e->kind == HOOK_TEXT || (e->kind == HOOK_KEY && mail_key_pressed(e->said) != MEANING_UNCLEAR);
}

/* A key that means nothing is not kept, nor what is nothing to us. */
static int keep(const http_scope *scope, const hook_event *e, instant now) {
    char key[MAIL_KEY_LEN + 1];
    CLEANUP(buf_release) buf spelled = BUF(SPELLED_MAX);
    if (e->kind != HOOK_RECEIPT && !is_answer(e))
        return 0;
    mail_spell(e, &spelled);
    int fault = buf_failed(&spelled);
    if (fault == 0)
        fault = mail_key(buf_text(&spelled), key);
    if (fault == 0)
        fault = local_put_mail(host_local(scope->host), text_of(key), buf_text(&spelled), is_answer(e), now);
    return fault;
}

/* ---- speaking ---- */

/* What the call said: {"text", "lang"}, put there by the sender; a language that is not known is the
 * configured one. False when it is lost. */
static bool recall(const http_scope *scope, text notification, buf *ret_text, buf *ret_lang) {
    CLEANUP(buf_release) buf kept = BUF(SPOKEN_MAX);
    CLEANUP(json_freep) json *body = NULL;
    if (!notification.ptr || local_get(host_local(scope->host), TEXT("spoken"), notification, &kept) < 0 ||
        json_parse_once(buf_text(&kept), &body) != JSON_OK)
        return false;
    buf_add_text(ret_text, json_get_string(body, "text"));
    buf_add_text(ret_lang, json_get_string(body, "lang"));
    return ret_text->len > 0;
}

static void add_words(const http_scope *scope, text lang, const char *name, buf *to) {
    static const text nothing[FACTS];
    text fallback = text_of(host_settings(scope->host)->notify_lang);
    int fault = texts_render(host_texts(scope->host), lang, fallback, text_of(name), nothing, to, NULL);
    if (fault < 0 && fault != -ENOENT)
        to->fault = fault;
}

/* Without its words a menu is its keys: an empty one would end the call. */
static void add_menu(const http_scope *scope, text lang, buf *to) {
    add_words(scope, lang, "voice.menu", to);
    if (buf_failed(to) == 0 && to->len == 0)
        buf_add_text(to, TEXT("1. 2. 9."));
}

/* 1 and 2 end the call; 9 says it again; any other key, the menu once more; none at all ends it. */
static int speak(const http_scope *scope, const hook *h, const hook_event *e, http_reply *reply) {
    CLEANUP(buf_release) buf spoken = BUF(SPOKEN_MAX), lang = BUF(64), words = BUF(SPOKEN_MAX);
    CLEANUP(buf_release) buf menu = BUF(MENU_MAX);
    bool known = recall(scope, e->notification, &spoken, &lang);
    if (lang.len == 0)
        buf_add_text(&lang, text_of(host_settings(scope->host)->notify_lang));
    text in = buf_text(&lang);
    mail_meaning meaning = mail_key_pressed(e->said);
    if (meaning == MEANING_UNCLEAR && e->said.len > 0)
        add_menu(scope, in, &menu);
    if (meaning == MEANING_ACKNOWLEDGE)
        add_words(scope, in, "voice.taken", &words);
    else if (meaning == MEANING_ESCALATE)
        add_words(scope, in, "voice.escalated", &words);
    else if (e->said.len == 0)
        add_words(scope, in, "voice.bye", &words);
    else if (text_equal(e->said, TEXT("9")) && known)
        buf_add_text(&words, buf_text(&spoken));
    else if (text_equal(e->said, TEXT("9")))
        add_words(scope, in, "voice.gone", &words);
    else
        add_words(scope, in, "voice.unclear", &words);
    int fault = buf_failed(&words) < 0 ? buf_failed(&words) : buf_failed(&menu);
    return fault < 0 ? fault
                     : h->speak(host_accounts(scope->host), e->notification, buf_text(&words),
                                buf_text(&menu), in, &reply->body, &reply->type);
}

/* ---- the answer ---- */

static int take(const http_scope *scope, const hook *h, text what, const hook_event *e, http_reply *reply) {
    host_count(scope->host, "mayday_gateway_hooks_total", 1);
    if (keep(scope, e, instant_now()) < 0) {
        host_count(scope->host, "mayday_gateway_hooks_unkept_total", 1);
        return say(reply, 503, "that can't be kept now");
    }
    if (text_equal(what, TEXT("key")))
        return speak(scope, h, e, reply);
    reply->status = 204;
    return 0;
}

static int answer(const http_scope *scope, const http_request *request, http_reply *reply) {
    hook_space space;
    hook_event event = {0};
    text what = {0};
    const hook *h = hook_at(request->path, &what);
    if (!h)
        return say(reply, 404, "there is nothing here");
    switch (hook_read(h, host_accounts(scope->host), request, what, instant_now(), &space, &event)) {
    case HOOK_FORGED:
        host_count(scope->host, "mayday_gateway_hooks_forged_total", 1);
        return say(reply, 403, "not signed by the provider");
    case HOOK_MALFORMED:
        host_count(scope->host, "mayday_gateway_hooks_malformed_total", 1);
        return say(reply, 400, "not to be understood");
    case HOOK_GOOD:
        return take(scope, h, what, &event, reply);
    }
    return -EINVAL;
}

const route route_hooks = {.methods = "GET POST", .path = "/hooks/*", .role = NULL, .answer = answer};
