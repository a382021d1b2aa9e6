/* peers.h - which gateways of an organisation are online, as their retained status says
 * (gateway/<id>/status). Bounded: PEERS_MAX; further ones are not known. Threads: any; it locks itself. */
#ifndef MAYDAY_GATEWAY_BUS_PEERS_H
#define MAYDAY_GATEWAY_BUS_PEERS_H

#include "base/text.h"

#define PEERS_MAX 1000

typedef struct peers peers;
peers *peers_new(void);      /* NULL: out of memory */
peers *peers_free(peers *p); /* takes NULL, returns NULL */

void peers_heard(peers *p, text org, text topic, text payload); /* a status */
bool peers_online(peers *p, text org, text gateway);
size_t peers_elders(peers *p, text org, text gateway); /* online, with ids that sort before this one */
size_t peers_others(peers *p, text org, text gateway); /* online, but this one */

#endif
