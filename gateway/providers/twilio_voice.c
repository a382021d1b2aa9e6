/* twilio_voice.c - calls by Twilio: POST Calls.json with what is said in it. */
#include <errno.h>

#include "core/phone.h"
#include "gateway/twilio.h"

extern const provider provider_twilio_voice;

/* Nobody listens longer; and what was taken by an answering machine ends. */
#define CALL_MAX_S 300

static bool ready(const accounts *a, char ret_why[ACCOUNTS_WHY_MAX]) {
    return twilio_ready(a, "voice_from", a->s->twilio_voice_from, ret_why);
}

/* Everything that happens to the call. */
static void add_callback(const accounts *a, const provider_message *m, buf *body) {
    static const char *const events[] = {"initiated", "ringing", "answered", "completed"};
    CLEANUP(buf_release) buf callback = BUF(4096);
    hook_url_add(&callback, a->s, "twilio", "status", m->id);
    if (callback.len == 0)
        return;
    form_add(body, "StatusCallback", buf_text(&callback));
    form_add(body, "StatusCallbackMethod", TEXT("POST"));
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        form_add(body, "StatusCallbackEvent", text_of(events[i]));
}

static int build(const accounts *a, const provider_message *m, provider_request *to) {
    text sender = phone_sender(text_of(a->s->twilio_voice_from), m->to);
    if (!sender.ptr)
        return -EINVAL;
    CLEANUP(buf_release) buf twiml = BUF(16 << 10);
    twiml_add(a->s, m->id, m->body, m->menu, m->lang, 2, &twiml);
    twilio_begin(a, &twilio_calls, "POST", to);
    form_add(&to->body, "To", m->to);
    form_add(&to->body, "From", sender);
    form_add(&to->body, "Twiml", buf_text(&twiml));
    form_add_number(&to->body, "Timeout", seconds_within(a->s->notify_ring_ms, 5, 600));
    form_add_number(&to->body, "TimeLimit", CALL_MAX_S);
    /* While it listens for a machine it speaks: nobody hears silence first and hangs up */
    form_add(&to->body, "MachineDetection", TEXT("Enable"));
    form_add(&to->body, "AsyncAmd", TEXT("true"));
    add_callback(a, m, &to->body);
    return buf_failed(&twiml) < 0 ? buf_failed(&twiml) : twilio_failed(to);
}

static void read(const provider_reply *reply, provider_result *ret_result) {
    twilio_read(&twilio_calls, reply, ret_result);
}

static int search(const accounts *a, const provider_message *m, instant since, provider_request *to) {
    (void)since;
    return twilio_search(&twilio_calls, a, m, to);
}

static void found(const provider_reply *reply, const provider_message *m, instant since,
                  provider_result *ret_result) {
    twilio_found(&twilio_calls, reply, m, since, ret_result);
}

static int ask(const accounts *a, text reference, instant sent_at, provider_request *to) {
    (void)sent_at;
    return twilio_ask(&twilio_calls, a, reference, to);
}

static provider_receipt told(const provider_reply *reply, text reference, char ret_code[PROVIDER_CODE_MAX]) {
    return twilio_told(&twilio_calls, reply, reference, ret_code);
}

const provider provider_twilio_voice = {.name = "twilio-voice",
                                        .account = "twilio",
                                        .kind = "voice",
                                        .ready = ready,
                                        .build = build,
                                        .read = read,
                                        .search = search,
                                        .found = found,
                                        .ask = ask,
                                        .told = told};
