/* compat.h - where Mosquitto 2.0 and 2.1 differ, and nothing else. One binary serves both: it asks at run
 * time. */
#ifndef MAYDAY_PLUGIN_COMPAT_H
#define MAYDAY_PLUGIN_COMPAT_H

#include "plugin/broker.h"
#include "base/attr.h"

/* What a RELOAD callback must return: 2.0 stops its own re-reading of files on anything but PLUGIN_DEFER,
 * and 2.1 ends itself on PLUGIN_DEFER. */
int compat_reload_done(void);

/* What a BASIC_AUTH, ACL or MESSAGE callback returns for "not mine". The same in both; named so that the
 * reader knows. */
#define COMPAT_NOT_MINE MOSQ_ERR_PLUGIN_DEFER

/* What a MESSAGE callback returns so that the message is refused and the sender told (MQTT 5: a reason code).
 */
#define COMPAT_REFUSE MOSQ_ERR_ACL_DENIED

/* What a MESSAGE or WRITE callback returns so that the connection is closed without PUBACK and the client
 * keeps the message. */
#define COMPAT_CLOSE MOSQ_ERR_NOMEM

/* In the tick after DISCONNECT: has the broker given this client's session up? 2.0 takes the id away from
 * such a client at once and frees it when the next turn of its loop begins. 2.1 frees sooner: there the
 * answer is always no, and nothing is looked at. */
bool compat_is_gone(const struct mosquitto *client);

/* Is this a client of a durable session, restored by the broker and not connected since it started? */
bool compat_is_restored(const struct mosquitto *client);

/* May this be a client that is connecting right now, while the broker asks again about those it knows? It
 * does both in one turn of its loop only for WebSockets. */
bool compat_may_be_new(const struct mosquitto *client);

/* Has the broker left its loop, or been asked to? It then publishes the Wills of all who are connected,
 * without DISCONNECT. */
bool compat_is_stopping(void);

/* 2.1 tells of a durable client that goes away by an event of its own instead of DISCONNECT, with the same
 * data. Both do nothing on 2.0, and say so with success. */
int compat_register_offline(mosquitto_plugin_id_t *id, MOSQ_FUNC_generic_callback callback, void *userdata);
void compat_unregister_offline(mosquitto_plugin_id_t *id, MOSQ_FUNC_generic_callback callback);

/* Asks for the next tick within `ms`. 2.0 ticks at least ten times a second by itself. */
void compat_next_tick(struct mosquitto_evt_tick *tick, long ms);

#endif
