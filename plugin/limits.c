/* limits.c - see limits.h. */
#include "plugin/limits.h"
#include "core/decisions.h"

#include <errno.h>
#include <stdio.h>

#define BUCKETS_MAX   200000 /* some 40 bytes each, taken at the start */
#define OFFLINE_BURST 10     /* times the burst, for what had waited on the device */
#define OFFLINE_WHAT  500    /* behind the numbers of the types */

static const struct {
    const char *key;
    size_t offset;
} rows[MSG_LIMITS] = {
    [MSG_TELEMETRY] = {"telemetry", offsetof(settings, limit_telemetry)},
    [MSG_TALK] = {"talk", offsetof(settings, limit_talk)},
    [MSG_ACTION] = {"action", offsetof(settings, limit_action)},
    [MSG_REQUEST] = {"request", offsetof(settings, limit_request)},
    [MSG_RAISE] = {"raise", offsetof(settings, limit_raise)},
};

const char *limits_spelled(const settings *from, msg_limit which) {
    const char *spelled = rows[which].key ? *(char *const *)((const char *)from + rows[which].offset) : NULL;
    return spelled ? spelled : "";
}

int limits_start(const settings *from, uint64_t seed, limits *ret_limits, char ret_why[LIMITS_WHY_MAX]) {
    limits l = {.seed = seed};
    for (msg_limit i = MSG_BY_MAYDAY + 1; i < MSG_LIMITS; i++) {
        if (rate_parse(text_of(limits_spelled(from, i)), &l.rules[i]) == 0)
            continue;
        (void)snprintf(
            ret_why, LIMITS_WHY_MAX,
            "[limits] %s = %.60s: messages a second and how many at once, as in \"20 200\", or \"off\"",
            rows[i].key, limits_spelled(from, i));
        return -EINVAL;
    }
    l.buckets = rates_new(BUCKETS_MAX, seed);
    if (!l.buckets)
        return -ENOMEM;
    *ret_limits = l;
    return 0;
}

void limits_release(limits *l) {
    l->buckets = rates_free(l->buckets);
}

static uint64_t hash_of(const limits *l, text org, text person) {
    return topic_hash(person, topic_hash(org, l->seed));
}

static unsigned number_of(const msg_type *type) {
    unsigned i = 0;
    while (msg_types[i] && msg_types[i] != type)
        i++;
    return i;
}

bool limits_take(limits *l, const msg_type *type, text org, text person, bool offline, instant now) {
    rate_rule rule = l->rules[type->limit];
    if (rule.per_second <= 0)
        return true;
    unsigned what = number_of(type);
    if (offline) {
        rule.burst *= OFFLINE_BURST;
        what += OFFLINE_WHAT;
    }
    return rates_take(l->buckets, hash_of(l, org, person), what, &rule, now);
}

bool limits_take_other(limits *l, limits_other what, text org, text person, const rate_rule *rule,
                       instant now) {
    return rates_take(l->buckets, hash_of(l, org, person), what, rule, now);
}
