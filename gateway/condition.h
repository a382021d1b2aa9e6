/* condition.h - how the gateway is: whether it lives, whether it can do its work, and why not. For the HTTP
 * side. */
#ifndef MAYDAY_GATEWAY_CONDITION_H
#define MAYDAY_GATEWAY_CONDITION_H

#include "gateway/host.h"

#define CONDITION_WHYS_MAX 16
#define CONDITION_WHY_MAX  512

typedef struct broker_link {
    char *org;
    bool up;
    uint64_t connects; /* how often a connection was made */
} broker_link;

typedef struct condition {
    bool live;     /* nothing hangs: a restart would not help */
    bool database; /* every service that has tried has reached it */
    bool ready;    /* live, and every service and every connection to the broker works */
    service_report services[SERVICES_MAX];
    size_t service_count;
    broker_link *brokers; /* one for each organisation served */
    size_t broker_count;
    char why[CONDITION_WHYS_MAX][CONDITION_WHY_MAX]; /* not ready: sentences */
    size_t why_count;
    size_t unsaid; /* further reasons */
} condition;

/* A new one, to condition_free(); NULL when memory is short. Waits for nothing. */
NODISCARD condition *condition_look(service_host *h);
condition *condition_free(condition *c); /* takes NULL, returns NULL */
DEFINE_CLEANUP(condition, condition_free)

#endif
