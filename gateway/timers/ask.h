/* ask.h - asks those who set a timer whether they are OK, once it has run out (sql/0023_timers.sql). A
 * part of the service keeper, on its thread. */
#ifndef MAYDAY_GATEWAY_TIMERS_ASK_H
#define MAYDAY_GATEWAY_TIMERS_ASK_H

#include "gateway/service.h"

/* Of these organisations, a JSON array of names. *ret_again: there were more than are asked in one go. */
NODISCARD pg_verdict timers_ask(service_context *s, const char *orgs, bool *ret_again);

#endif
