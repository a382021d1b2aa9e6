/* twilio.c - see twilio.h. */
#include "gateway/providers/twilio.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/sms_text.h"
#include "gateway/providers/spoken.h"

#define BODY_MAX  1600 /* signs */
#define TWIML_MAX 4000
#define PAGE      "50" /* of long texts still fit into an answer we read */

/* Two calls to one person look alike, so that the wrong one must not be near: their clock gets less slack. */
const twilio_kind twilio_texts = {.list = "Messages",
                                  .member = "messages",
                                  .prefixes = {"SM", "MM"},
                                  .bodies = true,
                                  .slack = 60 * INSTANT_SECOND};
const twilio_kind twilio_calls = {.list = "Calls",
                                  .member = "calls",
                                  .prefixes = {"CA", "CA"},
                                  .bodies = false,
                                  .slack = 5 * INSTANT_SECOND};

/* ---- requests ---- */

static const twilio_kind *kind_of(const provider *p) {
    return p->more;
}

static void begin_address(const provider *p, const accounts *a, provider_request *to) {
    url_base_add(&to->url, a->s->twilio_url);
    buf_printf(&to->url, "/2010-04-01/Accounts/%s/%s", a->s->twilio_account, kind_of(p)->list);
    buf_printf(&to->user, "%s:%s", a->s->twilio_account, a->twilio_token);
    buf_add_text(&to->headers, TEXT("Accept: application/json\n"));
}

void twilio_begin(const provider *p, const accounts *a, const char *method, provider_request *to) {
    to->method = method;
    begin_address(p, a, to);
    buf_add_text(&to->url, TEXT(".json"));
    if (strcmp(method, "POST") == 0)
        buf_add_text(&to->headers, TEXT("Content-Type: application/x-www-form-urlencoded\n"));
}

text twilio_body(text whole) {
    return text_cut(whole, BODY_MAX);
}

/* By number alone: what still waits there has no date yet, by which it could be found. The newest come first.
 */
int twilio_search(const provider *p, const accounts *a, const provider_message *m, instant since,
                  provider_request *to) {
    (void)since;
    twilio_begin(p, a, "GET", to);
    buf_add_text(&to->url, TEXT("?To="));
    url_add(&to->url, m->to);
    buf_add_text(&to->url, TEXT("&PageSize=" PAGE));
    return 0;
}

int twilio_ask(const provider *p, const accounts *a, text reference, instant sent_at, provider_request *to) {
    (void)sent_at;
    to->method = "GET";
    begin_address(p, a, to);
    buf_add_char(&to->url, '/');
    buf_add_text(&to->url, reference);
    buf_add_text(&to->url, TEXT(".json"));
    return 0;
}

/* ---- answers ---- */

typedef struct code_row {
    int64_t code;
    provider_outcome outcome;
    provider_blame blame;
} code_row;

/* What is not here is this message's own fault: the next provider may take it. */
static const code_row codes[] = {
    {20003, PROVIDER_REFUSED, BLAME_PROVIDER}, /* who are you */
    {20005, PROVIDER_REFUSED, BLAME_PROVIDER}, /* the account is not active */
    {20404, PROVIDER_REFUSED, BLAME_PROVIDER}, /* no such account */
    {20429, PROVIDER_RETRY, BLAME_PROVIDER},   /* too many requests */
    {13223, PROVIDER_REFUSED, BLAME_NUMBER},   /* of calls: no number */
    {13224, PROVIDER_REFUSED, BLAME_NUMBER},   /* of calls: no such number */
    {21211, PROVIDER_REFUSED, BLAME_NUMBER},   /* no number */
    {21217, PROVIDER_REFUSED, BLAME_NUMBER},   /* no such number */
    {21421, PROVIDER_REFUSED, BLAME_NUMBER},   {21610, PROVIDER_REFUSED, BLAME_OPTED_OUT},
    {21611, PROVIDER_RETRY, BLAME_PROVIDER},   /* the sender's queue is full */
    {21614, PROVIDER_REFUSED, BLAME_NO_TEXT},  /* no mobile number */
    {21635, PROVIDER_REFUSED, BLAME_NO_TEXT},  /* a landline */
    {30001, PROVIDER_RETRY, BLAME_PROVIDER},   /* the queue overflowed */
    {30002, PROVIDER_REFUSED, BLAME_PROVIDER}, /* the account is suspended */
    {30005, PROVIDER_REFUSED, BLAME_NUMBER},   /* no such handset */
    {30006, PROVIDER_REFUSED, BLAME_NO_TEXT},
};

static void apply_code(int64_t code, provider_result *r) {
    r->outcome = PROVIDER_REFUSED;
    r->blame = BLAME_MESSAGE;
    (void)snprintf(r->code, sizeof r->code, "%lld", (long long)code);
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (codes[i].code == code) {
            r->outcome = codes[i].outcome;
            r->blame = codes[i].blame;
        }
    }
}

/* 4xx. What does not speak as Twilio does stands in between: that is the way's fault, not the message's. */
static void read_refusal(const json *body, provider_result *r) {
    const json *code = json_get(body, "code");
    if (json_kind_of(code) != JSON_INTEGER) {
        r->blame = BLAME_PROVIDER;
        return;
    }
    provider_blame of_status = r->blame;
    apply_code(json_integer(code), r);
    if (r->blame == BLAME_MESSAGE)
        r->blame = of_status; /* the status decides what the code leaves open */
}

static bool is_sid(const twilio_kind *kind, text sid) {
    return provider_reference_good(sid) && (text_starts_with(sid, text_of(kind->prefixes[0])) ||
                                            text_starts_with(sid, text_of(kind->prefixes[1])));
}

provider_receipt twilio_receipt(text status) {
    static const struct {
        const char *status;
        provider_receipt receipt;
    } rows[] = {
        {"accepted", RECEIPT_PENDING},    {"scheduled", RECEIPT_PENDING},
        {"queued", RECEIPT_PENDING},      {"sending", RECEIPT_PENDING},
        {"sent", RECEIPT_PENDING},        {"partially_delivered", RECEIPT_PENDING},
        {"delivered", RECEIPT_DELIVERED}, {"read", RECEIPT_DELIVERED},
        {"undelivered", RECEIPT_FAILED},  {"failed", RECEIPT_FAILED},
        {"canceled", RECEIPT_FAILED},     {"initiated", RECEIPT_PENDING},
        {"ringing", RECEIPT_PENDING},     {"in-progress", RECEIPT_DELIVERED},
        {"completed", RECEIPT_DELIVERED}, {"busy", RECEIPT_FAILED},
        {"no-answer", RECEIPT_FAILED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (text_equal(status, text_of(rows[i].status)))
            return rows[i].receipt;
    return RECEIPT_UNKNOWN;
}

/* Something was made; it may have failed in the making. */
static void read_made(const twilio_kind *kind, const json *body, provider_result *r) {
    text sid = json_get_string(body, "sid"), status = json_get_string(body, "status");
    provider_receipt receipt = twilio_receipt(status);
    if (!is_sid(kind, sid) || receipt == RECEIPT_UNKNOWN)
        return;
    if (receipt == RECEIPT_FAILED) {
        const json *code = json_get(body, "error_code");
        apply_code(json_kind_of(code) == JSON_INTEGER ? json_integer(code) : 0, r);
        return;
    }
    provider_sent(r, sid);
}

void twilio_read(const provider *p, reply_class c, const json *body, provider_result *r) {
    if (c == REPLY_REFUSED)
        read_refusal(body, r);
    else if (c == REPLY_GOOD)
        read_made(kind_of(p), body, r);
}

/* "Thu, 24 Aug 2023 05:01:45 +0000" (RFC 2822), always in UTC. */
static bool read_date(text t, instant *ret_at) {
    char spelled[40];
    struct tm parts = {0};
    if (t.len == 0 || t.len >= sizeof spelled)
        return false;
    memcpy(spelled, t.ptr, t.len);
    spelled[t.len] = '\0';
    const char *end =
        strptime(spelled, "%a, %d %b %Y %H:%M:%S +0000", &parts); /* the program's locale is C */
    if (!end || *end != '\0' || parts.tm_year < 70)
        return false;
    *ret_at = (instant)timegm(&parts) * INSTANT_SECOND;
    return true;
}

/* Trial accounts say something before it, messaging services may replace a sign by its simpler like: what was
 * ours is at the end, and simplified it is the same. */
static bool says(text shown, text sent) {
    CLEANUP(buf_release) buf a = BUF(16 << 10);
    CLEANUP(buf_release) buf b = BUF(16 << 10);
    sms_simplify(text_trim(shown), &a);
    sms_simplify(text_trim(twilio_body(sent)), &b);
    text whole = buf_text(&a), end = buf_text(&b);
    return buf_failed(&a) == 0 && buf_failed(&b) == 0 && end.len > 0 && whole.len >= end.len &&
           text_equal((text){whole.ptr + whole.len - end.len, end.len}, end);
}

static list_entry look_at(const twilio_kind *kind, const json *entry, const provider_message *m,
                          instant since) {
    instant made = 0;
    text to = json_get_string(entry, "to"), direction = json_get_string(entry, "direction");
    if (!to.ptr)
        return ENTRY_UNSURE;
    if (!text_equal(to, m->to) || text_starts_with(direction, TEXT("inbound")))
        return ENTRY_OTHER;
    if (!read_date(json_get_string(entry, "date_created"), &made))
        return ENTRY_UNSURE;
    if (made < since - kind->slack)
        return ENTRY_OTHER;
    if (kind->bodies) {
        text body = json_get_string(entry, "body");
        if (body.len == 0)
            return ENTRY_UNSURE; /* redacted */
        if (!says(body, m->body))
            return ENTRY_OTHER;
    }
    if (!is_sid(kind, json_get_string(entry, "sid")))
        return ENTRY_UNSURE;
    return twilio_receipt(json_get_string(entry, "status")) == RECEIPT_FAILED ? ENTRY_OURS_FAILED
                                                                              : ENTRY_OURS;
}

/* Nothing that could be ours is on a further page. */
static bool is_whole(const twilio_kind *kind, const json *body, const json *list, instant since) {
    const json *next = NULL;
    instant oldest;
    if (!json_member(body, "next_page_uri", &next))
        return false;
    if (!next || (json_kind_of(next) == JSON_STRING && json_string(next).len == 0))
        return true;
    size_t count = json_length(list);
    return count > 0 && read_date(json_get_string(json_at(list, count - 1), "date_created"), &oldest) &&
           oldest < since - kind->slack;
}

bool twilio_found(const provider *p, const json *body, const provider_message *m, instant since,
                  list_search *s) {
    const twilio_kind *kind = kind_of(p);
    const json *list = json_get(body, kind->member);
    if (json_kind_of(list) != JSON_ARRAY)
        return false;
    for (size_t i = 0; i < json_length(list); i++) {
        const json *entry = json_at(list, i);
        list_note(s, look_at(kind, entry, m, since), json_get_string(entry, "sid"));
    }
    s->whole = is_whole(kind, body, list, since);
    s->look_alike = !kind->bodies;
    return true;
}

bool twilio_told(const provider *p, const json *body, text reference, provider_receipt *ret_receipt,
                 char ret_code[PROVIDER_CODE_MAX]) {
    char digits[32];
    text sid = json_get_string(body, "sid");
    if (!is_sid(kind_of(p), sid) || !text_equal(sid, reference))
        return false;
    text code = provider_scalar(json_get(body, "error_code"), digits);
    provider_code_add(ret_code, code.ptr ? code : json_get_string(body, "answered_by"));
    *ret_receipt = twilio_receipt(json_get_string(body, "status"));
    return true;
}

/* ---- speech ---- */

static size_t escaped_len(text t) {
    CLEANUP(buf_release) buf b = BUF(64 << 10);
    xml_add(&b, t);
    return b.len;
}

/* The longest beginning that is no longer than `most` once it is escaped. */
static text cut_escaped(text t, size_t most) {
    for (size_t units = t.len; escaped_len(t) > most && units > 0;) {
        size_t over = escaped_len(t) - most;
        units = units > over / 6 + 1 ? units - over / 6 - 1 : 0; /* no sign becomes longer than six */
        t = text_cut(t, units);
    }
    return t;
}

static void open_say(text lang, int times, buf *to) {
    const spoken *voice = spoken_of(lang);
    buf_add_text(to, TEXT("<Say"));
    if (voice && voice->twilio_voice)
        buf_printf(to, " voice=\"%s\"", voice->twilio_voice);
    if (voice)
        buf_printf(to, " language=\"%s\"", voice->tag);
    if (times > 1)
        buf_printf(to, " loop=\"%d\"", times);
    buf_add_char(to, '>');
}

static void open_gather(const settings *s, text notification, buf *to) {
    CLEANUP(buf_release) buf action = BUF(4096);
    hook_url_add(&action, s, "twilio", "key", notification);
    buf_add_text(to, TEXT("<Gather input=\"dtmf\" numDigits=\"1\" timeout=\"10\" method=\"POST\" action=\""));
    xml_add(to, buf_text(&action));
    buf_add_text(to, TEXT("\">"));
}

void twiml_add(const settings *s, text notification, text say, text menu, text lang, int times, buf *to) {
    static const text closing = TEXT("</Say></Gather></Response>");
    bool asks = menu.len > 0 && s->notify_public_url && *s->notify_public_url;
    size_t start = to->len;
    buf_add_text(to, TEXT("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>"));
    if (say.len == 0 && !asks) { /* a verb without words would be an error that is read out */
        buf_add_text(to, TEXT("<Hangup/></Response>"));
        return;
    }
    if (asks)
        open_gather(s, notification, to);
    open_say(lang, times, to);
    menu = asks ? cut_escaped(menu, TWIML_MAX / 4) : (text){0};
    size_t used = to->len - start + escaped_len(menu) + 1 + closing.len;
    xml_add(to, cut_escaped(say, used < TWIML_MAX ? TWIML_MAX - used : 0));
    if (asks)
        buf_add_char(to, ' ');
    xml_add(to, menu);
    buf_add_text(to, TEXT("</Say>"));
    buf_add_text(to, asks ? TEXT("</Gather>") : TEXT("<Hangup/>"));
    buf_add_text(to, TEXT("</Response>"));
}
