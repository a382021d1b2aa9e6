/* vonage_sms.c - texts by Vonage: POST /sms/json, whose failures come as 200, part by part. Looked up in the
 * Reports API, where ours are known by client_ref. */
#include "core/sms_text.h"
#include "gateway/providers/vonage.h"

extern const provider provider_vonage_sms;

#define TTL_MIN_MS 20000
#define TTL_MAX_MS 604800000
#define SLACK      (60 * INSTANT_SECOND) /* how far their clock may be from ours */
#define WINDOW_MAX (24 * 3600 * INSTANT_SECOND)

static int build(const provider *p, const accounts *a, const provider_message *m, provider_request *to) {
    (void)p;
    int64_t ttl = m->validity_ms < TTL_MIN_MS   ? TTL_MIN_MS
                  : m->validity_ms > TTL_MAX_MS ? TTL_MAX_MS
                                                : m->validity_ms;
    to->method = "POST";
    url_base_add(&to->url, a->s->vonage_sms_url);
    buf_add_text(&to->url, TEXT("/sms/json"));
    buf_add_text(&to->headers, TEXT("Content-Type: application/x-www-form-urlencoded\n"
                                    "Accept: application/json\n"));
    form_add(&to->body, "api_key", text_of(a->s->vonage_key));
    form_add(&to->body, "api_secret", text_of(a->vonage_secret));
    form_add(&to->body, "from", phone_digits(m->from));
    form_add(&to->body, "to", phone_digits(m->to));
    form_add(&to->body, "text", m->body);
    if (!sms_measure(m->body).gsm7)
        form_add(&to->body, "type", TEXT("unicode"));
    form_add(&to->body, "client-ref", m->id);
    form_add_number(&to->body, "ttl", ttl);
    if (m->callback.len > 0)
        form_add(&to->body, "callback", m->callback);
    return 0;
}

/* ---- what it answered ---- */

typedef struct status_row {
    const char *status;
    provider_outcome outcome;
    provider_blame blame;
} status_row;

/* A number they bar is not thereby one that nobody reaches: the next provider may. */
static const status_row statuses[] = {
    {"1", PROVIDER_RETRY, BLAME_PROVIDER},    /* throttled */
    {"2", PROVIDER_REFUSED, BLAME_MESSAGE},   /* something is missing */
    {"3", PROVIDER_REFUSED, BLAME_MESSAGE},   /* something is invalid */
    {"4", PROVIDER_REFUSED, BLAME_PROVIDER},  /* credentials */
    {"5", PROVIDER_RETRY, BLAME_PROVIDER},    /* an internal error */
    {"6", PROVIDER_REFUSED, BLAME_MESSAGE},   /* can't be routed */
    {"7", PROVIDER_REFUSED, BLAME_MESSAGE},   /* the number is barred */
    {"8", PROVIDER_REFUSED, BLAME_PROVIDER},  /* the account is barred */
    {"9", PROVIDER_REFUSED, BLAME_PROVIDER},  /* no credit */
    {"10", PROVIDER_RETRY, BLAME_PROVIDER},   /* too many at once */
    {"11", PROVIDER_REFUSED, BLAME_PROVIDER}, /* the account may not */
    {"12", PROVIDER_REFUSED, BLAME_MESSAGE},  /* too long */
    {"14", PROVIDER_REFUSED, BLAME_PROVIDER}, /* a signature is wanted */
    {"15", PROVIDER_REFUSED, BLAME_MESSAGE},  /* the sender */
    {"22", PROVIDER_REFUSED, BLAME_MESSAGE},  /* the network */
    {"23", PROVIDER_REFUSED, BLAME_MESSAGE},  /* the callback */
    {"29", PROVIDER_REFUSED, BLAME_MESSAGE},  /* a trial account sends to those it knows only */
    {"32", PROVIDER_REFUSED, BLAME_PROVIDER}, /* credentials twice */
    {"33", PROVIDER_REFUSED, BLAME_NUMBER},   /* the number is no longer in use */
};

/* False: nothing is known of this part. */
static bool read_part(const json *part, provider_result *r, text *ret_reference) {
    char digits[32];
    text status = provider_scalar(json_get(part, "status"), digits);
    if (text_equal(status, TEXT("0"))) {
        text reference = json_get_string(part, "message-id");
        if (!provider_reference_good(reference))
            return false;
        *ret_reference = reference;
        r->outcome = PROVIDER_SENT;
        return true;
    }
    for (size_t i = 0; status.len && i < ARRAY_LEN(statuses); i++) {
        if (!text_equal(status, text_of(statuses[i].status)))
            continue;
        *r = (provider_result){.outcome = statuses[i].outcome, .blame = statuses[i].blame};
        provider_code_add(r->code, status);
        return true;
    }
    r->code[0] = '\0';
    provider_code_add(r->code, status.len ? status : TEXT("unreadable"));
    return false;
}

/* A text of which a part is missing is no text: it is sent when every part was taken, and known to be not
 * when one was refused. */
static void read_parts(const json *parts, provider_result *r) {
    size_t count = json_length(parts);
    provider_result refused = {0}, unknown = *r;
    text first = {0};
    bool known = count > 0;
    for (size_t i = 0; i < count; i++) {
        provider_result one = *r;
        text reference = {0};
        if (!read_part(json_at(parts, i), &one, &reference)) {
            known = false;
            unknown = one;
        } else if (one.outcome != PROVIDER_SENT) {
            if (refused.outcome == PROVIDER_UNKNOWN)
                refused = one;
        } else if (!first.ptr) {
            first = reference;
        }
    }
    if (refused.outcome != PROVIDER_UNKNOWN)
        *r = refused;
    else if (known)
        provider_sent(r, first);
    else
        *r = unknown;
}

static void read(const provider *p, reply_class c, const json *body, provider_result *r) {
    (void)p;
    char digits[32];
    const json *parts = json_get(body, "messages");
    text said = provider_scalar(json_get(body, "message-count"), digits);
    int64_t count = -1;
    if (c == REPLY_GOOD && json_kind_of(parts) == JSON_ARRAY && text_to_i64(said, 1, 1000, &count) == 0 &&
        (size_t)count == json_length(parts))
        read_parts(parts, r);
}

/* ---- is it in their list ---- */

static void begin_report(const accounts *a, provider_request *to) {
    to->method = "GET";
    url_base_add(&to->url, a->s->vonage_api_url);
    buf_add_text(&to->url, TEXT("/v2/reports/records?account_id="));
    url_add(&to->url, text_of(a->s->vonage_key));
    buf_add_text(&to->url, TEXT("&product=SMS&direction=outbound"));
    buf_printf(&to->user, "%s:%s", a->s->vonage_key, a->vonage_secret);
    buf_add_text(&to->headers, TEXT("Accept: application/json\n"));
}

/* They give a day at most. Nothing is in doubt for as long. */
static int search(const provider *p, const accounts *a, const provider_message *m, instant since,
                  provider_request *to) {
    (void)p;
    instant from = since - SLACK, until = m->now + SLACK;
    begin_report(a, to);
    vonage_moment_add(&to->url, '&', "date_start", until - from > WINDOW_MAX ? until - WINDOW_MAX : from);
    vonage_moment_add(&to->url, '&', "date_end", until);
    return 0;
}

static list_entry look_at(const json *record, const provider_message *m) {
    const json *reference = NULL;
    if (json_kind_of(record) != JSON_OBJECT)
        return ENTRY_UNSURE;
    if (!json_member(record, "client_ref", &reference))
        return text_equal(json_get_string(record, "to"), phone_digits(m->to)) ? ENTRY_UNSURE : ENTRY_OTHER;
    if (json_kind_of(reference) != JSON_STRING || !text_equal(json_string(reference), m->id))
        return ENTRY_OTHER;
    return vonage_text_receipt(json_get_string(record, "status")) == RECEIPT_FAILED ? ENTRY_OURS_FAILED
                                                                                    : ENTRY_OURS;
}

/* Without a cursor to the next page, and with as many records as it says. */
static bool is_whole(const json *body) {
    const json *records = json_get(body, "records"), *count = json_get(body, "items_count");
    return text_equal(json_get_string(body, "request_status"), TEXT("SUCCESS")) &&
           json_kind_of(count) == JSON_INTEGER && json_integer(count) >= 0 &&
           (size_t)json_integer(count) == json_length(records) && !json_get(body, "cursor") &&
           !json_get(json_get(body, "_links"), "next");
}

static bool found(const provider *p, const json *body, const provider_message *m, instant since,
                  list_search *s) {
    const json *records = json_get(body, "records");
    (void)p;
    (void)since; /* the list has nothing older */
    if (json_kind_of(records) != JSON_ARRAY)
        return false;
    for (size_t i = 0; i < json_length(records); i++) {
        const json *record = json_at(records, i);
        list_note(s, look_at(record, m), json_get_string(record, "message_id"));
    }
    s->whole = is_whole(body);
    return true;
}

/* ---- what became of it ---- */

static int ask(const provider *p, const accounts *a, text reference, instant sent_at, provider_request *to) {
    (void)p;
    (void)sent_at;
    begin_report(a, to);
    buf_add_text(&to->url, TEXT("&id="));
    url_add(&to->url, reference);
    return 0;
}

static bool told(const provider *p, const json *body, text reference, provider_receipt *ret_receipt,
                 char ret_code[PROVIDER_CODE_MAX]) {
    const json *records = json_get(body, "records");
    char digits[32];
    (void)p;
    for (size_t i = 0; json_kind_of(records) == JSON_ARRAY && i < json_length(records); i++) {
        const json *record = json_at(records, i);
        if (!text_equal(json_get_string(record, "message_id"), reference))
            continue;
        provider_code_add(ret_code, provider_scalar(json_get(record, "error_code"), digits));
        *ret_receipt = vonage_text_receipt(json_get_string(record, "status"));
        return true;
    }
    return false;
}

const provider provider_vonage_sms = {
    .name = "vonage-sms",
    .account = "vonage",
    .kind = "sms",
    .tells = "status",
    .needs = {NEED("api_key", SETTING, vonage_key), NEED_FILE("secret_file", vonage_secret),
              NEED("sms_from", SENDER, vonage_sms_from), NEED("sms_url", SETTING, vonage_sms_url),
              NEED("api_url", SETTING, vonage_api_url)},
    .build = build,
    .read = read,
    .search = search,
    .found = found,
    .ask = ask,
    .told = told};
