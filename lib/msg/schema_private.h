/* schema_private.h - what schema_compile.c makes and schema_validate.c runs.
 *
 * A compiled schema is a graph of nodes, one for each subschema; "$ref" is an edge, so there may be cycles,
 * but never one that stays on the same value (the compiler refuses that). Names, enum and const values are
 * borrowed from the schema's own share of the JSON tree. The schema owns all nodes through its list. */
#ifndef MAYDAY_MSG_SCHEMA_PRIVATE_H
#define MAYDAY_MSG_SCHEMA_PRIVATE_H

#include "msg/regex.h"
#include "msg/schema.h"

#define SCHEMA_NODES_MAX 4096 /* subschemas of one schema */
#define SCHEMA_CHAIN_MAX 64   /* subschemas applied inside each other to one and the same value */
#define SCHEMA_STEPS_MAX 1000000
#define SCHEMA_DEPTH_MAX 1024 /* nodes applied inside each other in one run: a bound on the C stack */

typedef struct node node;

/* A number as JSON has it: exact when it is an int64_t, otherwise a double. */
typedef struct number {
    bool whole;
    int64_t integer; /* when whole */
    double real;
} number;

/* sign * digits * 10^power, what the shortest decimal text of a number says; exact arithmetic is done on it.
 */
typedef struct decimal {
    uint64_t digits;
    int power;
} decimal;

typedef enum bound_kind {
    BOUND_MINIMUM,
    BOUND_MAXIMUM,
    BOUND_ABOVE, /* exclusiveMinimum */
    BOUND_BELOW, /* exclusiveMaximum */
    BOUND_KINDS,
} bound_kind;

typedef struct number_rules {
    bool present[BOUND_KINDS];
    number bounds[BOUND_KINDS];
    bool multiple;
    decimal divisor;
} number_rules;

/* As given by minLength and maxLength and their kin. max < 0: none. */
typedef struct count_range {
    int64_t min;
    int64_t max;
} count_range;

typedef struct node_list {
    const node **nodes;
    size_t count;
} node_list;

typedef struct string_rules {
    count_range length; /* code points */
    regex *pattern;
} string_rules;

typedef struct array_rules {
    count_range length;
    bool unique;
    node_list prefix;
    const node *items;
    const node *contains;
    count_range matches; /* of `contains` */
} array_rules;

/* One member name that `properties` or `required` mentions. */
typedef struct slot {
    text name; /* ptr NULL: a free place in the table */
    const node *rules;
    bool required;
} slot;

typedef struct pattern_rule {
    regex *pattern;
    const node *rules;
} pattern_rule;

typedef struct dependent_rule {
    const char *trigger;
    const json *required; /* array of names, or NULL */
    const node *rules;    /* or NULL */
} dependent_rule;

typedef struct object_rules {
    count_range length;
    const json *properties; /* as written, until the table is made */
    const json *required;
    slot *slots; /* open addressing; a power of two, at least twice as many as names */
    size_t slot_mask;
    size_t required_count;
    pattern_rule *patterns;
    size_t pattern_count;
    const node *others; /* additionalProperties */
    const node *names;
    dependent_rule *dependents;
    size_t dependent_count;
} object_rules;

/* What is applied to the same value again. */
typedef struct branch_rules {
    const node *ref;
    node_list all;
    node_list any;
    node_list one;
    const node *forbidden; /* not */
    const node *when;      /* if */
    const node *then;
    const node *otherwise; /* else */
} branch_rules;

/* Bits of `types`. A value has one, an integer has TYPE_NUMBER too. */
enum {
    TYPE_NULL = 1,
    TYPE_BOOLEAN = 2,
    TYPE_INTEGER = 4,
    TYPE_NUMBER = 8,
    TYPE_STRING = 16,
    TYPE_ARRAY = 32,
    TYPE_OBJECT = 64,
};

struct node {
    const json *source;
    const node *from;    /* where it stands: under `keyword` of the node `from`, */
    const char *keyword; /* and there under `name`, or at `index` when that is not negative */
    const char *name;
    int64_t index;

    bool never;     /* the schema `false` */
    bool branches;  /* any of `branch` is set */
    unsigned types; /* 0: any */
    const json *options;
    const json *constant;
    bool has_constant;
    number_rules number;
    string_rules string;
    array_rules array;
    object_rules object;
    branch_rules branch;
    int height; /* longest chain below, on the same value; compile time only */
};

struct schema {
    json *root;
    node **nodes; /* the first is the root's */
    size_t count;
    size_t capacity;
};

number number_of(const json *value);
int number_compare(number a, number b); /* <0, 0, >0; neither is NaN */
decimal decimal_of(number n);
bool decimal_divides(decimal divisor, decimal of);
unsigned types_of(const json *value);

/* Where `name` stands in the table, or the free place where it would. */
slot *slot_find(const object_rules *o, text name);

#endif
