/* on_basic_auth.c - a client presents a username and a password; the password is the token.
 *
 * What does not look like a token is left to the broker's other ways to authenticate, so Mayday can be added
 * to a broker that serves other clients too; but nobody gets in that way under a client id that one of our
 * sessions holds. On SIGHUP the broker asks again about every client it knows, offline ones too, and without
 * the password of those that used MQTT 5 AUTH: they are recognised by their session. */
#include "plugin/admission.h"
#include "plugin/compat.h"

static int to_broker(admission verdict) {
    switch (verdict) {
    case ADMISSION_REFUSED:
        return MOSQ_ERR_AUTH;
    case ADMISSION_GRANTED:
        return MOSQ_ERR_SUCCESS;
    case ADMISSION_FAULT:
        return MOSQ_ERR_NOMEM;
    }
    return MOSQ_ERR_AUTH;
}

static int ask_again(host *h, session *s) {
    return s->live && !admission_holds(h, s, instant_now()) ? MOSQ_ERR_AUTH : MOSQ_ERR_SUCCESS;
}

int on_basic_auth(int event, void *event_data, void *userdata) {
    (void)event;
    const struct mosquitto_evt_basic_auth *e = event_data;
    host *h = userdata;
    const char *client_id = mosquitto_client_id(e->client);
    text password = text_of(e->password);

    if (h->reloading) {
        session *known = sessions_of(h->sessions, e->client, client_id);
        if (known && !known->parting)
            return ask_again(h, known);
    }
    if (!admission_is_token(password))
        return sessions_holding(h->sessions, client_id) ? MOSQ_ERR_AUTH : COMPAT_NOT_MINE;
    return to_broker(admission_judge(h, e->client, e->username, password, false));
}
