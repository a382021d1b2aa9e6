/* host.h - everything the plugin holds, in one struct that each callback is given.
 * Threads: all of it belongs to the broker's thread. The journal, the writer and the results queue are the
 * only doors to others. */
#ifndef MAYDAY_PLUGIN_HOST_H
#define MAYDAY_PLUGIN_HOST_H

#include "plugin/broker.h"
#include "plugin/counters.h"
#include "plugin/fence.h"
#include "plugin/limits.h"
#include "plugin/sessions.h"
#include "plugin/watch.h"
#include "core/policy.h"
#include "core/revocation.h"
#include "core/settings.h"
#include "core/token.h"
#include "msg/catalog.h"
#include "store/journal.h"
#include "store/ledger.h"
#include "store/results.h"
#include "store/writer.h"

#define HOST_SESSIONS_MAX                                                                                    \
    200000 /* offline durable sessions remembered; live ones are the broker's to limit */
#define HOST_MEMBERSHIPS_MAX 1000000
#define HOST_REVOCATIONS_MAX 100000
#define HOST_RESULTS_MAX     65536
#define HOST_INCIDENTS_MAX   200000 /* whose views are guarded against old versions */

typedef struct host {
    mosquitto_plugin_id_t *id;
    settings settings;
    char node[TOPIC_LEVEL_MAX + 2]; /* one more than fits a topic, so that one too long is seen */

    token_rules *rules;
    keyset *keys;
    policy *policy;
    uint64_t policy_generation; /* grows with each policy taken up */
    watch keys_watch, policy_watch;

    bool reloading; /* from RELOAD to the next tick: the broker asks again about everyone it knows */
    bool end_now;   /* a revocation: do not wait for the second */

    sessions *sessions;
    membership *members;
    revocations *revoked;
    limits limits;
    fence *fence;
    ledger *ledger;
    bool forgetful;      /* there was none: what this broker was told before is only in the database */
    bool ledger_failing; /* said once, not on every connect */
    catalog *catalog;
    schema *control_schema; /* of what admins send to $CONTROL/mayday/v1 */

    journal *journal;
    results *results;
    writer *writer;
    buf record;              /* reused for every append */
    buf roles;               /* likewise: the sender's, as the record spells them */
    buf event;               /* likewise: the plugin's own records */
    buf shown;               /* likewise: a payload without its PIN */
    bool journal_failing[2]; /* ordinary, urgent: each said once, not for every message */

    /* of events */
    instant last_event;        /* each has a later moment than the one before */
    uint64_t strangers_unsaid; /* connects without a good token that were left out since the last */

    counters counters;
    instant now;         /* as of the last tick: at most 100 ms old. For decisions that may be that late */
    instant next_second; /* when the once-a-second work is due */
    instant next_status;
    uint64_t hash_seed;
    buf topic_memo; /* the topic of the last READ check, because a fan-out asks for it once per subscriber */
    uint64_t hashed;
} host;

/* Moves whenever a READ decision made before might be wrong now. */
static inline uint64_t host_epoch(const host *h) {
    return membership_generation(h->members) + h->policy_generation;
}

/* on_<event>.c, one for each broker event. All have Mosquitto's callback shape; userdata is the host. */
int on_basic_auth(int event, void *event_data, void *userdata);
int on_ext_auth(int event, void *event_data, void *userdata);
int on_acl_check(int event, void *event_data, void *userdata);
int on_message(int event, void *event_data, void *userdata);
int on_control(int event, void *event_data, void *userdata);
int on_disconnect(int event, void *event_data, void *userdata);
int on_reload(int event, void *event_data, void *userdata);
int on_tick(int event, void *event_data, void *userdata);

/* Log lines, prefixed "mayday: ". Broker thread only. */
void host_log(int level, const char *format, ...) PRINTF_LIKE(2, 3);

/* Takes up keys and policy again if their files changed (`force`: even if not). Bad ones are refused with a
 * log line. */
void host_take_up_files(host *h, bool force);

#endif
