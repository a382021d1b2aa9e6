/* refusal.h - telling a sender that a message was refused: mayday/v1/<org>/user/<sub>/rejected.
 * The only word an MQTT 3.1.1 client gets, so it is sent for every refusal. */
#ifndef MAYDAY_PLUGIN_REFUSAL_H
#define MAYDAY_PLUGIN_REFUSAL_H

#include "plugin/host.h"

/* `id`: the refused message's, or "" when it had none. `code`: a word; `detail`: a sentence without private
 * values. */
void refusal_send(const session *s, text topic, const char *id, const char *code, const char *detail);

/* The same for a payload nobody has looked into yet: its id is found if it has one. */
void refusal_send_unread(host *h, const session *s, text topic, text payload, const char *code,
                         const char *detail);

#endif
