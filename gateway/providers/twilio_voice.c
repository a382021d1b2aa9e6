/* twilio_voice.c - calls by Twilio: POST Calls.json with what is said in it. */
#include "gateway/providers/twilio.h"

extern const provider provider_twilio_voice;

/* Everything that happens to the call. */
static void add_callback(text callback, buf *body) {
    static const char *const events[] = {"initiated", "ringing", "answered", "completed"};
    if (callback.len == 0)
        return;
    form_add(body, "StatusCallback", callback);
    form_add(body, "StatusCallbackMethod", TEXT("POST"));
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        form_add(body, "StatusCallbackEvent", text_of(events[i]));
}

static int build(const provider *p, const accounts *a, const provider_message *m, provider_request *to) {
    CLEANUP(buf_release) buf twiml = BUF(16 << 10);
    twiml_add(a->s, m->id, m->body, m->menu, m->lang, 2, &twiml);
    twilio_begin(p, a, "POST", to);
    form_add(&to->body, "To", m->to);
    form_add(&to->body, "From", m->from);
    form_add(&to->body, "Twiml", buf_text(&twiml));
    form_add_number(&to->body, "Timeout", seconds_within(a->s->notify_ring_ms, 5, 600));
    form_add_number(&to->body, "TimeLimit", CALL_MAX_S);
    /* While it listens for a machine it speaks: nobody hears silence first and hangs up */
    form_add(&to->body, "MachineDetection", TEXT("Enable"));
    form_add(&to->body, "AsyncAmd", TEXT("true"));
    add_callback(m->callback, &to->body);
    return buf_failed(&twiml);
}

const provider provider_twilio_voice = {
    .name = "twilio-voice",
    .account = "twilio",
    .kind = "voice",
    .tells = "status",
    .needs = {NEED("account_sid", WORD, twilio_account), NEED_FILE("token_file", twilio_token),
              NEED("voice_from", SENDER, twilio_voice_from), NEED("url", SETTING, twilio_url)},
    .more = &twilio_calls,
    .build = build,
    .read = twilio_read,
    .search = twilio_search,
    .found = twilio_found,
    .ask = twilio_ask,
    .told = twilio_told};
