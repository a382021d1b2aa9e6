/* on_basic_auth.c - a client presents a username and a password; the password is the token.
 *
 * What does not look like a token is left to the broker's other ways to authenticate, so Mayday can be added
 * to a broker that serves other clients too; but nobody gets in that way under a client id that one of our
 * sessions holds. On SIGHUP the broker asks again about every client it knows, offline ones too, and without
 * the password of those that used MQTT 5 AUTH or were restored. The answer is always yes: a refusal would
 * disconnect an offline client a second time, which leaves Mosquitto 2.0 with a dangling entry in its list of
 * sessions to expire; and the tick ends live sessions that are over. */
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

/* On SIGHUP: is the broker asking about a client that it knows already, rather than about one that connects
 * in the same moment? */
static bool is_asked_again(host *h, struct mosquitto *client) {
    if (!h->reloading)
        return false;
    if (compat_is_restored(client))
        return true;
    const session *known = admission_session(h, client);
    return known && !session_parting(known) && (known->live || !compat_may_be_new(client));
}

int on_basic_auth(int event, void *event_data, void *userdata) {
    (void)event;
    const struct mosquitto_evt_basic_auth *e = event_data;
    host *h = userdata;
    const char *client_id = mosquitto_client_id(e->client);
    text password = text_of(e->password);

    if (is_asked_again(h, e->client))
        return MOSQ_ERR_SUCCESS;
    if (!admission_is_token(password))
        return sessions_holding(h->sessions, client_id) ? MOSQ_ERR_AUTH : COMPAT_NOT_MINE;
    return to_broker(admission_judge(h, e->client, e->username, password));
}
