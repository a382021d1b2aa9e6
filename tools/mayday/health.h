/* health.h - what a gateway says of itself: its GET /health, asked once. Threads: one. */
#ifndef MAYDAY_TOOLS_HEALTH_H
#define MAYDAY_TOOLS_HEALTH_H

#include "base/json.h"

/* `where`: as [gateway] http spells it. 0; -EBADMSG: what answers there is no gateway; or what the system
 * says. */
NODISCARD int health_ask(const char *where, json **ret_health);

#endif
