/* body_rules_private.h - the rules of an organisation as they are kept.
 *
 * A document is a stack of layers: the shipped one, the organisation's, one for each role, one for each
 * person. A layer holds patches: a rule's name with some of its members. Resolving goes through the layers
 * that apply from the bottom up and lets each member that is there replace what was. What people share is
 * resolved once: a `body_limits` is found again by the layers it was made of. */
#ifndef MAYDAY_CORE_BODY_RULES_PRIVATE_H
#define MAYDAY_CORE_BODY_RULES_PRIVATE_H

#include "core/body_private.h"

enum member {
    M_IS = 1u << 0,
    M_ALSO = 1u << 1,
    M_WHEN = 1u << 2,
    M_FOR = 1u << 3,
    M_CLEAR = 1u << 4,
    M_QUIET = 1u << 5,
    M_MARGIN = 1u << 6,
    M_STEP = 1u << 7,
    M_RESPONSE = 1u << 8,
    M_OFF = 1u << 9,
    M_SOURCE = 1u << 10,
    M_LIMIT = 1u << 11, /* above or below, of a rule whose `of` stands in a lower layer */
};

typedef struct patch {
    size_t id; /* index in body_rules.names */
    unsigned set;
    rule rule;
} patch;

typedef struct resolved resolved;

typedef struct layer {
    char *name;         /* of a role or person; owned */
    resolved *resolved; /* of a person: for the roles they were seen with; owned */
    patch *patches;
    size_t count;
    unsigned settings_set;
    double settings[SETTINGS];
} layer;

typedef struct layers {
    layer *all;
    size_t count;
} layers;

struct resolved {
    resolved *next;
    uint64_t roles; /* bits */
    body_limits limits;
};

struct body_rules {
    char names[BODY_RULES_MAX][BODY_RULE_NAME_MAX];
    size_t name_count;
    layer shipped, org;
    layers roles, people; /* people by name, for there may be many */
    resolved *resolved;   /* for whoever has no words of their own; owned */
    char **sources;
    size_t source_count, source_room;
};

typedef struct setting_row {
    const char *word;
    bool truth; /* true or false */
    double least, most, missing;
} setting_row;

const setting_row *body_setting(setting s);
void body_rules_sort(body_rules *r); /* once it is read: people are found by their names */

#endif
