/* on_disconnect.c - a client is gone. Its Will is judged after this, so its claims stay until the next tick;
 * those of a durable session stay until its token runs out. */
#include "plugin/host.h"

int on_disconnect(int event, void *event_data, void *userdata) {
    (void)event;
    const struct mosquitto_evt_disconnect *e = event_data;
    host *h = userdata;
    session *s = sessions_of(h->sessions, e->client, mosquitto_client_id(e->client));
    if (s)
        sessions_offline(h->sessions, s);
    return MOSQ_ERR_SUCCESS;
}
