/* show.h - the edge as /health and /metrics have it. No names of people: whoever reaches the address may
 * read it. Threads: any. */
#ifndef MAYDAY_GATEWAY_EDGE_SHOW_H
#define MAYDAY_GATEWAY_EDGE_SHOW_H

#include "gateway/edge/edge.h"

/* Puts "sensors" and "backlog"; nothing when there is no edge. 0 or -ENOMEM. */
NODISCARD int edge_show_health(edge *e, json *body);
void edge_show_metrics(edge *e, buf *to);

#endif
