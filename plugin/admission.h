/* admission.h - who may connect: one presented token, judged, and turned into a session. Shared by the two
 * ways to authenticate. */
#ifndef MAYDAY_PLUGIN_ADMISSION_H
#define MAYDAY_PLUGIN_ADMISSION_H

#include "plugin/host.h"

typedef enum admission {
    ADMISSION_REFUSED = 0,
    ADMISSION_GRANTED,
    ADMISSION_FAULT, /* memory is short: close, let the client try again */
} admission;

/* The client id must be the token's subject, or begin with it and '/' or ':'; a subject that holds a ':'
 * itself always needs the '/'. It has at most 256 bytes. `username`: what the client sent, or NULL. A live
 * session that presents another token of the same person (MQTT 5 AUTH) is renewed in place. */
NODISCARD admission admission_judge(host *h, struct mosquitto *client, const char *username, text token);

/* The session of a client that asks for something, or NULL: not one of ours. */
session *admission_session(host *h, struct mosquitto *client);

/* May this session go on at `now`? Sets s->end and returns false when its token has run out or was revoked.
 */
bool admission_holds(host *h, session *s, instant now);

/* Marks every session that a revocation covers; the next tick ends the live ones (never from inside a
 * callback). */
void admission_end_revoked(host *h);

/* The opposite: sessions that are offline and were revoked, and no longer are. */
void admission_resume_restored(host *h);

/* Does this password look like a token at all? Otherwise the client belongs to somebody else's
 * authentication. */
bool admission_is_token(text password);

#endif
