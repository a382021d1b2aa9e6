/* on_message.c - a client has published and may: validate, journal, and only then let the broker deliver and
 * acknowledge. */
#include "plugin/acceptance.h"
#include "plugin/admission.h"
#include "plugin/compat.h"

int on_message(int event, void *event_data, void *userdata) {
    (void)event;
    const struct mosquitto_evt_message *e = event_data;
    host *h = userdata;
    session *s = admission_session(h, e->client);
    text topic = text_of(e->topic);
    if (!s) {
        /* Other clients cannot publish under mayday/, so what comes there without a session came over a
         * bridge from another broker, which has journaled it. */
        h->counters.bridged += text_starts_with(topic, TEXT("mayday/"));
        return MOSQ_ERR_SUCCESS;
    }
    switch (acceptance_judge(h, s, topic, (text){e->payload, e->payloadlen}, e->retain, 0)) {
    case ACCEPTANCE_REFUSED:
        return COMPAT_REFUSE;
    case ACCEPTANCE_TAKEN:
        return MOSQ_ERR_SUCCESS;
    case ACCEPTANCE_UNAVAILABLE:
        return COMPAT_CLOSE;
    }
    return COMPAT_CLOSE;
}
