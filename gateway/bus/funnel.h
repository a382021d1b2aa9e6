/* funnel.h - what listeners on the bus heard, from Paho's thread to the one of the service that takes it.
 *
 * A funnel has two lanes, each in its own order; what is in the first is taken first. Whoever puts says how
 * much may lie in the lane: what is beyond is not taken in, or the oldest goes for it.
 *
 * Items are the caller's own structs that begin with a funnel_item, each one piece of memory by malloc()
 * unless the funnel is told how to free one. Threads: every function from any thread; nobody waits. */
#ifndef MAYDAY_GATEWAY_BUS_FUNNEL_H
#define MAYDAY_GATEWAY_BUS_FUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

#define FUNNEL_LANES 2

typedef struct funnel_item {
    struct funnel_item *next;
} funnel_item;

typedef struct funnel funnel;
typedef void (*funnel_free_item)(funnel_item *item);

/* `free_item` NULL: free(). Returns 0 or a fault. */
NODISCARD int funnel_new(funnel_free_item free_item, funnel **ret_funnel);
funnel *funnel_free(funnel *f); /* takes NULL, returns NULL */

typedef enum funnel_full {
    FUNNEL_REFUSE = 0, /* the new one goes */
    FUNNEL_REPLACE,    /* the oldest goes */
} funnel_full;
/* Takes the item over, whatever becomes of it; NULL (no memory for it) is lost, too. */
void funnel_put(funnel *f, size_t lane, funnel_item *item, size_t most, funnel_full full);

/* Readable: there is something; funnel_take() empties it. */
int funnel_fd(const funnel *f);
/* Up to so many, the caller's; NULL: nothing. */
funnel_item *funnel_take(funnel *f, size_t most);
uint64_t funnel_lost(funnel *f); /* how many were, since it was made */

#endif
