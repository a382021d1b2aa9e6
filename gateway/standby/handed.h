/* handed.h - alarms this gateway found by itself and no broker takes: whoever found one hands it to the
 * service standby, which tells people of it. It lies on a shelf of the gateway's own store until a broker has
 * it. Threads: any. */
#ifndef MAYDAY_GATEWAY_STANDBY_HANDED_H
#define MAYDAY_GATEWAY_STANDBY_HANDED_H

#include "gateway/local/local.h"

/* An incident, with its raise as it is published. Returns 0, -EINVAL (that is no JSON), or a fault. */
NODISCARD int handed_put(local *l, text org, text alert, text raise);
void handed_drop(local *l, text alert);
/* Calls `visit` with each incident's id and {"org", "alert", "raise"}. */
void handed_each(local *l, local_visit visit, void *context);
/* Were people told of this incident from here, and the database doesn't know of that yet (standby/bring.c)?
 * The engine would tell them once more: whoever publishes the raise now gives that a moment first. */
bool handed_is_told(local *l, text org, text alert);

#endif
