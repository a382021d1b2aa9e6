/* events.h - what the audit trail and the presence of people hear from this broker: records of the type
 * `event`, made by the plugin itself and journaled like any message (schemas/event.json). Service never waits
 * for one nor fails because of one: an event that found no room is counted, and so are those beyond the rate
 * that anybody outside could drive up. Each event's id and moment are later than the one's before. Threads:
 * the broker's. */
#ifndef MAYDAY_PLUGIN_EVENTS_H
#define MAYDAY_PLUGIN_EVENTS_H

#include "plugin/host.h"

/* Of the broker: "start", "stop", "policy", "keys". */
void events_broker(host *h, const char *kind, const char *code, const char *detail);

/* A session: "connect" (code "renewed": only its token is new), "disconnect", "kick". */
void events_session(host *h, const char *kind, const session *s, const char *from, const char *code);

/* A connect that was refused; `who` is NULL unless the token was good. */
void events_stranger(host *h, const char *client_id, const char *from, const claims *who, const char *why);

/* A message that was refused. */
void events_refused(host *h, session *s, text topic, const char *code, const char *detail);

/* A subscription that was granted; told once for each session and filter, and only when it reaches the data
 * of others whether or not its person belongs to them. */
void events_subscribed(host *h, session *s, text filter);

/* "revoke" or "restore": what of whom, until when (Unix seconds, 0 for ever). The database passes them on to
 * the other brokers (sql/0013_revocations.sql reads `code` and `detail`). */
void events_revocation(host *h, const char *kind, const session *by, revocation_kind what, text value,
                       int64_t until);

#endif
