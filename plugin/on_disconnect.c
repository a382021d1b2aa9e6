/* on_disconnect.c - a client is gone. Its Will is judged after this, so its claims stay until the next tick,
 * which also learns whether the broker keeps the session of a client that may come back. */
#include "plugin/admission.h"
#include "plugin/events.h"

int on_disconnect(int event, void *event_data, void *userdata) {
    (void)event;
    const struct mosquitto_evt_disconnect *e = event_data;
    host *h = userdata;
    session *s = admission_session(h, e->client);
    if (s && s->live && !s->end_told)
        events_session(h, "disconnect", s, mosquitto_client_address(e->client), "");
    if (s)
        sessions_offline(h->sessions, s);
    return MOSQ_ERR_SUCCESS;
}
