/* policy.h - which role may publish, read and subscribe to which topics. Deny by default.
 *
 * The file has one block for each role; '#' starts a comment that takes a whole line:
 *
 *     role member
 *         publish  mayday/v1/{org}/alert/+/raise
 *         read     mayday/v1/{org}/user/{sub}/inbox
 *         read     mayday/v1/{org}/alert/{member}/chat
 *         read     mayday/v1/{org}/role/{role}/broadcast
 *
 * Placeholders fill a whole level: {org} {sub} {client} the session's own; {role} any role of the policy it
 * has. Right behind {org}/alert/, what the session's person is to the incident: {member} its raiser, assigned
 * or invited; {raiser}, {assigned} that alone; {former} they raised it and canceled it; {family} a family
 * contact of the raiser; {other} they did not raise it, whatever else. {member} also stands behind
 * {org}/room/. '+' and a last '#' are as in MQTT. Every pattern must begin with mayday/v1/{org}/ so that
 * nothing outside the organisation can be granted; the exceptions are
 * '$CONTROL/mayday/v1' and below, and, for reading alone, '$SYS/' and what is none of Mayday's: patterns
 * whose first level is a name without '$' and not 'mayday'. `read` also grants subscribing. A topic or
 * pattern has at most 16 levels, a policy one MiB and at least one role.
 *
 * A session's values are literal text: one that is empty or looks like a wildcard fits nothing.
 *
 * Pure. Threads: a policy never changes once parsed; membership is the caller's. */
#ifndef MAYDAY_CORE_POLICY_H
#define MAYDAY_CORE_POLICY_H

#include "core/membership.h"

#define POLICY_WHY_MAX   256
#define POLICY_ROLES_MAX 64

typedef struct policy policy;

typedef struct policy_error {
    size_t line; /* from 1 */
    char reason[POLICY_WHY_MAX];
} policy_error;

/* Borrows `source`. Returns 0, -ENOMEM, or -EBADMSG with *ret_error. */
NODISCARD int policy_parse(text source, policy **ret_policy, policy_error *ret_error);
policy *policy_free(policy *p);
DEFINE_CLEANUP(policy, policy_free)

size_t policy_role_count(const policy *p);
const char *policy_role_name(const policy *p, size_t index);

/* The roles of this policy among `names`, as a bit set by role index; unknown names grant nothing. */
uint64_t policy_roles(const policy *p, const char *const *names, size_t count);

/* Who asks. Texts are borrowed. */
typedef struct policy_subject {
    text org, sub, client;
    uint64_t roles; /* from policy_roles() of the same policy */
} policy_subject;

/* `m` may be NULL: then nobody is a member of anything. */
bool policy_may_publish(const policy *p, const membership *m, const policy_subject *who, text topic);
bool policy_may_read(const policy *p, const membership *m, const policy_subject *who, text topic);

/* May the session hold this subscription ($share included)? True when the filter's every possible name could
 * be granted by one of the read patterns, {member} and its like counting as '+': delivery decides again,
 * message by message. Below mayday/v1/ names have six levels: a '#' stands for as many '+' as are missing. */
bool policy_may_subscribe(const policy *p, const policy_subject *who, text filter);

/* Does one of the read patterns that grant the filter name people, incidents or rooms without asking what
 * they are to the session's person? Such a subscription reads the data of others. */
bool policy_reaches_others(const policy *p, const policy_subject *who, text filter);

#endif
