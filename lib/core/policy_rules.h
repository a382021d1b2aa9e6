/* policy_rules.h - a parsed policy as policy_file.c makes it and policy.c asks it; private to the two.
 * All roles' patterns lie in one array, those of a role side by side, and all their levels in another, so
 * that a question reads a few consecutive cache lines. Texts point into `source`, the policy's own copy. */
#ifndef MAYDAY_CORE_POLICY_RULES_H
#define MAYDAY_CORE_POLICY_RULES_H

#include "core/policy.h"

#define POLICY_LEVELS_MAX 16 /* deeper topics are never granted, deeper patterns refused */

typedef enum level_kind {
    LEVEL_LITERAL = 0,
    LEVEL_ANY,  /* '+' */
    LEVEL_REST, /* '#' */
    LEVEL_ORG,
    LEVEL_SUB,
    LEVEL_CLIENT,
    LEVEL_ROLE,
    LEVEL_MEMBER,
    LEVEL_FAMILY,
    LEVEL_RAISER,
    LEVEL_ASSIGNED,
    LEVEL_OTHER,
    LEVEL_FORMER,
    LEVEL_KINDS,
} level_kind;

/* What a pattern begins with. Its own levels are those behind that. */
typedef enum pattern_root {
    ROOT_NONE = 0,
    ROOT_ORG,     /* mayday/v1/{org}/ */
    ROOT_CONTROL, /* $CONTROL/mayday/v1 */
    ROOT_SYS,     /* $SYS/ */
    ROOT_FOREIGN, /* anything else that is none of ours; the first level is the pattern's own */
} pattern_root;

typedef enum pattern_action {
    ACTION_NONE = 0,
    ACTION_PUBLISH,
    ACTION_READ,
} pattern_action;

typedef struct pattern_level {
    const char *ptr; /* of a literal */
    uint32_t len;
    uint8_t kind; /* level_kind */
} pattern_level;

typedef struct pattern {
    uint32_t first_level;
    uint8_t n_levels;
    uint8_t root;   /* pattern_root */
    uint8_t action; /* pattern_action */
} pattern;

typedef struct policy_role {
    const char *name; /* NUL-terminated */
    size_t name_len, line, first_pattern, n_patterns;
} policy_role;

struct policy {
    char *source;
    pattern *patterns;
    pattern_level *levels;
    size_t n_patterns, n_levels, n_roles;
    policy_role roles[POLICY_ROLES_MAX];
};

#endif
