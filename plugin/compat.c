/* compat.c - see compat.h. */
#include "plugin/compat.h"

#include <dlfcn.h>

enum {
    EVT_CLIENT_OFFLINE = 28 /* MOSQ_EVT_CLIENT_OFFLINE of 2.1's headers */
};

/* Only 2.1 and later export this. */
static bool is_2_1(void) {
    static int known = -1;
    if (known < 0)
        known = dlsym(RTLD_DEFAULT, "mosquitto_plugin_set_info") != NULL;
    return known == 1;
}

int compat_reload_done(void) {
    return is_2_1() ? MOSQ_ERR_SUCCESS : MOSQ_ERR_PLUGIN_DEFER;
}

bool compat_is_gone(const struct mosquitto *client) {
    return !is_2_1() && !mosquitto_client_id(client);
}

bool compat_is_restored(const struct mosquitto *client) {
    return !mosquitto_client_address(client);
}

bool compat_may_be_new(const struct mosquitto *client) {
    return mosquitto_client_protocol(client) == mp_websockets;
}

/* The broker's own variable, cleared by SIGTERM; no call tells. Where it has neither name the answer is
 * always no. */
bool compat_is_stopping(void) {
    static const volatile int *running;
    static bool looked;
    if (!looked) {
        running = dlsym(RTLD_DEFAULT, is_2_1() ? "g_run" : "run");
        looked = true;
    }
    return running && *running == 0;
}

int compat_register_offline(mosquitto_plugin_id_t *id, MOSQ_FUNC_generic_callback callback, void *userdata) {
    return is_2_1() ? mosquitto_callback_register(id, EVT_CLIENT_OFFLINE, callback, NULL, userdata)
                    : MOSQ_ERR_SUCCESS;
}

void compat_unregister_offline(mosquitto_plugin_id_t *id, MOSQ_FUNC_generic_callback callback) {
    if (is_2_1())
        (void)mosquitto_callback_unregister(id, EVT_CLIENT_OFFLINE, callback, NULL);
}

void compat_next_tick(struct mosquitto_evt_tick *tick, long ms) {
    if (!is_2_1())
        return;
    /* In 2.1 the members of these names are called next_s and next_ms; the places are the same. */
    tick->next_s = 0;
    tick->next_ns = ms;
}
