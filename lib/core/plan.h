/* plan.h - an organisation's escalation plan: its policies, read from JSON (schemas/documents/plan.json) and
 * checked. Pure. Threads: a plan never changes once it is parsed; share it. */
#ifndef MAYDAY_CORE_PLAN_H
#define MAYDAY_CORE_PLAN_H

#include "base/buf.h"
#include "base/instant.h"
#include "base/json.h"

#define PLAN_POLICIES_MAX 64
#define PLAN_LEVELS_MAX   20
#define PLAN_TARGETS_MAX  50 /* of one level */
#define PLAN_ROUNDS_MAX   20

typedef enum plan_target_kind {
    PLAN_NOBODY = 0,
    PLAN_PERSON,
    PLAN_ROLE,
    PLAN_NEAREST, /* the `count` nearest who are on duty and free, within `metres` (0: however far) */
    PLAN_TEAM,    /* who is on call there */
    PLAN_FAMILY,  /* of the person in danger, by their consent */
    PLAN_WEBHOOK,
} plan_target_kind;

typedef struct plan_target {
    plan_target_kind kind;
    text name; /* of the person, role, team or webhook */
    int64_t count, metres;
} plan_target;

typedef enum plan_channel {
    PLAN_BY_OWN_ORDER = 0, /* each person's channels as they are entered */
    PLAN_MQTT,
    PLAN_SMS,
    PLAN_VOICE,
} plan_channel;

typedef struct plan_level {
    int64_t after_ms;         /* since the round began */
    int64_t gap_ms;           /* from one channel of a person to their next */
    bool everyone;            /* each one told has to answer for themselves */
    plan_channel channels[4]; /* ended by PLAN_BY_OWN_ORDER: only these, in this order */
    plan_target *targets;
    size_t target_count;
} plan_level;

typedef struct policy {
    text name;
    unsigned types, priorities; /* bits by plan_type() and plan_priority(); 0: any */
    plan_level *levels;
    size_t level_count;     /* at least one */
    int64_t rounds;         /* how often the levels are gone through: 1 and more */
    int64_t pause_ms;       /* from the last level to the next round, or to exhaustion */
    int64_t forgotten_ms;   /* answered, and nothing done since: begins again; 0: never */
    bool family_follows;    /* family who was told hears of the answer and the end, too */
    plan_target *exhausted; /* whom to tell that nobody answered, besides dispatch */
    size_t exhausted_count;
} policy;

typedef struct webhook {
    text name, url;
} webhook;

typedef struct plan plan;

#define PLAN_WHY_MAX 256
/* Copies what it keeps. Returns 0, -ENOMEM, or -EBADMSG with a sentence that says where:
 * "policies[1].levels[0].after: ...". Beyond the shape it checks: names unique, levels in rising order of
 * `after`, webhooks known, and that of the policies the last, and only the last, fits every incident. */
NODISCARD int plan_parse(const json *body, plan **ret_plan, char ret_why[PLAN_WHY_MAX]);
plan *plan_free(plan *p); /* takes NULL, returns NULL */
DEFINE_CLEANUP(plan, plan_free)

size_t plan_policies(const plan *p);
const policy *plan_policy(const plan *p, size_t index);
const policy *plan_named(const plan *p, text name); /* NULL when there is none */
/* The first that fits. Never NULL. */
const policy *plan_choose(const plan *p, text type, text priority);
const webhook *plan_webhook(const plan *p, text name); /* NULL when there is none */
/* Whom to tell of trouble of Mayday's own: no broker, no database. */
const plan_target *plan_trouble(const plan *p, size_t *ret_count);
/* As the JSON has them: "person", "role"...; "mqtt"...; and one bit each of what `when` can name, 0 for
 * another word. */
const char *plan_target_word(plan_target_kind kind);
const char *plan_channel_word(plan_channel channel);
unsigned plan_type(text type);
unsigned plan_priority(text priority);

#endif
