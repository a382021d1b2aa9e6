/* on_ext_auth.c - MQTT 5 enhanced authentication, method "JWT": the token is the authentication data, in one
 * step. The same exchange on a live connection brings a new token and so renews the session without
 * reconnecting. */
#include "plugin/admission.h"
#include "plugin/compat.h"

#include <string.h>

int on_ext_auth(int event, void *event_data, void *userdata) {
    (void)event;
    const struct mosquitto_evt_extended_auth *e = event_data;
    host *h = userdata;
    if (!e->auth_method || strcmp(e->auth_method, "JWT") != 0)
        return sessions_holding(h->sessions, mosquitto_client_id(e->client)) ? MOSQ_ERR_AUTH
                                                                             : COMPAT_NOT_MINE;
    if (!e->data_in || e->data_in_len == 0)
        return MOSQ_ERR_AUTH;
    switch (admission_judge(h, e->client, NULL, (text){e->data_in, e->data_in_len})) {
    case ADMISSION_REFUSED:
        return MOSQ_ERR_AUTH;
    case ADMISSION_GRANTED:
        return MOSQ_ERR_SUCCESS;
    case ADMISSION_FAULT:
        return MOSQ_ERR_NOMEM;
    }
    return MOSQ_ERR_AUTH;
}
