/* on_message.c - a client has published and may: validate, journal, and only then let the broker deliver and
 * acknowledge. */
#include "plugin/acceptance.h"
#include "plugin/admission.h"
#include "plugin/compat.h"

#include <string.h>

/* The broker frees its own payload and takes this one over, which must be of its own making; it has a NUL
 * behind its end, as the broker's have. When there is no memory the client sends again what is journaled
 * already: one id, one row. */
static int show_instead(struct mosquitto_evt_message *e, text shown) {
    char *copy = mosquitto_malloc(shown.len + 1);
    if (!copy)
        return COMPAT_CLOSE;
    memcpy(copy, shown.ptr, shown.len);
    copy[shown.len] = '\0';
    e->payload = copy;
    e->payloadlen = (uint32_t)shown.len;
    return MOSQ_ERR_SUCCESS;
}

#define USER_PROPERTY 0x26 /* MQTT 5, 2.2.2.2; Debian does not install mqtt_protocol.h */

/* Behind what the sender may have put there under the same name: the last one is ours. It is what a gateway
 * that has no database goes by; the payload can't say it, for it could say anything. */
static bool name_sender(struct mosquitto_evt_message *e, const session *s) {
    return mosquitto_property_add_string_pair(&e->properties, USER_PROPERTY, "sender", s->who->subject) ==
           MOSQ_ERR_SUCCESS;
}

int on_message(int event, void *event_data, void *userdata) {
    (void)event;
    struct mosquitto_evt_message *e = event_data;
    host *h = userdata;
    session *s = admission_session(h, e->client);
    text topic = text_of(e->topic);
    if (!s) {
        /* Other clients cannot publish under mayday/, so what comes there without a session came over a
         * bridge from another broker, which has journaled it. */
        h->counters.bridged += text_starts_with(topic, TEXT("mayday/"));
        return MOSQ_ERR_SUCCESS;
    }
    offer o = {.topic = topic, .payload = {e->payload, e->payloadlen}, .retain = e->retain};
    switch (acceptance_judge(h, s, &o)) {
    case ACCEPTANCE_REFUSED:
        return COMPAT_REFUSE;
    case ACCEPTANCE_TAKEN:
        if (o.names_sender && !name_sender(e, s))
            return COMPAT_CLOSE;
        return o.shown.ptr ? show_instead(e, o.shown) : MOSQ_ERR_SUCCESS;
    case ACCEPTANCE_UNAVAILABLE:
        return COMPAT_CLOSE;
    }
    return COMPAT_CLOSE;
}
