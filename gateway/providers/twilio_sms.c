/* twilio_sms.c - texts by Twilio: POST Messages.json. */
#include <errno.h>

#include "core/phone.h"
#include "gateway/twilio.h"

extern const provider provider_twilio_sms;

static bool ready(const accounts *a, char ret_why[ACCOUNTS_WHY_MAX]) {
    return twilio_ready(a, "sms_from", a->s->twilio_sms_from, ret_why);
}

/* A messaging service chooses the sender itself. */
static bool is_service(text sender) {
    return sender.len == 34 && text_starts_with(sender, TEXT("MG"));
}

static int build(const accounts *a, const provider_message *m, provider_request *to) {
    text sender = phone_sender(text_of(a->s->twilio_sms_from), m->to);
    if (!sender.ptr)
        return -EINVAL;
    CLEANUP(buf_release) buf callback = BUF(4096);
    hook_url_add(&callback, a->s, "twilio", "status", m->id);
    twilio_begin(a, &twilio_texts, "POST", to);
    form_add(&to->body, "To", m->to);
    form_add(&to->body, is_service(sender) ? "MessagingServiceSid" : "From", sender);
    form_add(&to->body, "Body", twilio_body(m->body));
    form_add_number(&to->body, "ValidityPeriod", seconds_within(m->validity_ms, 1, 36000));
    if (callback.len > 0)
        form_add(&to->body, "StatusCallback", buf_text(&callback));
    return buf_failed(&callback) < 0 ? buf_failed(&callback) : twilio_failed(to);
}

static void read(const provider_reply *reply, provider_result *ret_result) {
    twilio_read(&twilio_texts, reply, ret_result);
}

static int search(const accounts *a, const provider_message *m, instant since, provider_request *to) {
    (void)since;
    return twilio_search(&twilio_texts, a, m, to);
}

static void found(const provider_reply *reply, const provider_message *m, instant since,
                  provider_result *ret_result) {
    twilio_found(&twilio_texts, reply, m, since, ret_result);
}

static int ask(const accounts *a, text reference, instant sent_at, provider_request *to) {
    (void)sent_at;
    return twilio_ask(&twilio_texts, a, reference, to);
}

static provider_receipt told(const provider_reply *reply, text reference, char ret_code[PROVIDER_CODE_MAX]) {
    return twilio_told(&twilio_texts, reply, reference, ret_code);
}

const provider provider_twilio_sms = {.name = "twilio-sms",
                                      .account = "twilio",
                                      .kind = "sms",
                                      .ready = ready,
                                      .build = build,
                                      .read = read,
                                      .search = search,
                                      .found = found,
                                      .ask = ask,
                                      .told = told};
