/* limits.h - how much one person may send: the [limits] of the configuration, counted for each person (over
 * all their connections and brokers' restarts apart) and each message type. Threads: the broker's. */
#ifndef MAYDAY_PLUGIN_LIMITS_H
#define MAYDAY_PLUGIN_LIMITS_H

#include "core/rate.h"
#include "core/settings.h"
#include "msg/type.h"

#define LIMITS_WHY_MAX 160

typedef struct limits {
    rate_rule rules[MSG_LIMITS];
    rates *buckets;
    uint64_t seed;
} limits;

/* Returns 0, -ENOMEM, or -EINVAL with a sentence that names the row. */
NODISCARD int limits_start(const settings *from, uint64_t seed, limits *ret_limits,
                           char ret_why[LIMITS_WHY_MAX]);
void limits_release(limits *l);

/* One message of `type` by that person: is there room for it? What had waited on the device while it was
 * offline comes in one go, so it has room of its own, and takes none from what happens now. */
bool limits_take(limits *l, const msg_type *type, text org, text person, bool offline, instant now);

/* The same for anything else that is counted by a hash of its own: what the audit trail hears of. */
typedef enum limits_other {
    LIMITS_REFUSALS = 1000, /* of one person's messages */
    LIMITS_STRANGERS,       /* connects without a good token */
    LIMITS_READERS,         /* subscriptions of one person */
} limits_other;
bool limits_take_other(limits *l, limits_other what, text org, text person, const rate_rule *rule,
                       instant now);

/* As the configuration spells it, for the sender: "20 200". */
const char *limits_spelled(const settings *from, msg_limit which);

#endif
