/* decisions.h - one session's cache of READ decisions, so that a fan-out costs nanoseconds for each
 * subscriber. Keys are 64-bit hashes of topics under a secret seed (topic_hash); an epoch that differs
 * empties it, so whatever can change a decision (membership, policy, token) only has to move the epoch. Small
 * and fixed in size; pure; one thread. */
#ifndef MAYDAY_CORE_DECISIONS_H
#define MAYDAY_CORE_DECISIONS_H

#include "base/text.h"

#define DECISIONS_SLOTS 16

typedef struct decisions {
    uint64_t epoch;
    uint64_t slots[DECISIONS_SLOTS]; /* the hash with its lowest bit replaced by the decision; 0: empty */
} decisions;

typedef enum decision {
    DECISION_UNKNOWN = 0,
    DECISION_DENY,
    DECISION_GRANT,
} decision;

uint64_t topic_hash(text topic, uint64_t seed);
decision decisions_find(decisions *d, uint64_t epoch, uint64_t hash);
void decisions_keep(decisions *d, uint64_t epoch, uint64_t hash, bool granted);

#endif
