/* twilio_sms.c - texts by Twilio: POST Messages.json. */
#include "gateway/providers/twilio.h"

extern const provider provider_twilio_sms;

/* A messaging service chooses the sender itself. */
static bool is_service(text sender) {
    return sender.len == 34 && text_starts_with(sender, TEXT("MG"));
}

static int build(const provider *p, const accounts *a, const provider_message *m, provider_request *to) {
    twilio_begin(p, a, "POST", to);
    form_add(&to->body, "To", m->to);
    form_add(&to->body, is_service(m->from) ? "MessagingServiceSid" : "From", m->from);
    form_add(&to->body, "Body", twilio_body(m->body));
    form_add_number(&to->body, "ValidityPeriod", seconds_within(m->validity_ms, 1, 36000));
    if (m->callback.len > 0)
        form_add(&to->body, "StatusCallback", m->callback);
    return 0;
}

const provider provider_twilio_sms = {
    .name = "twilio-sms",
    .account = "twilio",
    .kind = "sms",
    .tells = "status",
    .needs = {NEED("account_sid", WORD, twilio_account), NEED_FILE("token_file", twilio_token),
              NEED("sms_from", SENDER, twilio_sms_from), NEED("url", SETTING, twilio_url)},
    .more = &twilio_texts,
    .build = build,
    .read = twilio_read,
    .search = twilio_search,
    .found = twilio_found,
    .ask = twilio_ask,
    .told = twilio_told};
