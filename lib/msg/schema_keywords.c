/* schema_keywords.c - what each keyword of JSON Schema puts into its node. Each is one row of `keywords`, at
 * the end; a keyword without a row is refused by name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "msg/schema_compiler.h"

#define DIALECT "https://json-schema.org/draft/2020-12/schema"

typedef struct keyword_row {
    const char *name;
    int (*take)(compiler *c, const struct keyword_row *row, const json *value);
    size_t offset; /* of the member in node that it fills */
    int which;     /* for bounds */
} keyword_row;

static int refuse_value(const compiler *c, const keyword_row *row, const char *must) {
    return schema_refuse(c, c->now, "'%s' must be %s", row->name, must);
}

static void *member_of(const compiler *c, const keyword_row *row) {
    return (char *)c->now + row->offset;
}

/* ---- keywords that hold schemas ---- */

static int take_schema(compiler *c, const keyword_row *row, const json *value) {
    return schema_node(c, value, row->name, NULL, -1, member_of(c, row));
}

static int take_branch(compiler *c, const keyword_row *row, const json *value) {
    c->now->branches = true;
    return take_schema(c, row, value);
}

static int take_list(compiler *c, const keyword_row *row, const json *value) {
    node_list *list = member_of(c, row);
    size_t count = json_length(value);
    if (json_kind_of(value) != JSON_ARRAY || count == 0)
        return refuse_value(c, row, "an array of schemas, not empty");
    list->nodes = calloc(count, sizeof *list->nodes);
    if (!list->nodes)
        return -ENOMEM;
    for (; list->count < count; list->count++) {
        int fault = schema_node(c, json_at(value, list->count), row->name, NULL, (int64_t)list->count,
                                &list->nodes[list->count]);
        if (fault < 0)
            return fault;
    }
    return 0;
}

static int take_branch_list(compiler *c, const keyword_row *row, const json *value) {
    c->now->branches = true;
    return take_list(c, row, value);
}

static int take_definition(void *context, const char *name, const json *value) {
    const node *unused = NULL;
    return schema_node(context, value, "$defs", name, -1, &unused);
}

static int take_definitions(compiler *c, const keyword_row *row, const json *value) {
    if (json_kind_of(value) != JSON_OBJECT)
        return refuse_value(c, row, "an object");
    return json_each(value, take_definition, c);
}

static int take_pattern_property(void *context, const char *name, const json *value) {
    compiler *c = context;
    char why[REGEX_WHY_MAX] = "";
    pattern_rule *rule = &c->now->object.patterns[c->now->object.pattern_count];
    int fault = regex_compile(text_of(name), &rule->pattern, why);
    if (fault < 0)
        return fault == -EBADMSG ? schema_refuse(c, c->now, "a pattern of 'patternProperties' %s", why)
                                 : fault;
    c->now->object.pattern_count++;
    return schema_node(c, value, "patternProperties", name, -1, &rule->rules);
}

static int take_pattern_properties(compiler *c, const keyword_row *row, const json *value) {
    if (json_kind_of(value) != JSON_OBJECT)
        return refuse_value(c, row, "an object");
    c->now->object.patterns = calloc(json_length(value) + 1, sizeof *c->now->object.patterns);
    return c->now->object.patterns ? json_each(value, take_pattern_property, c) : -ENOMEM;
}

static bool is_name_list(const json *value) {
    if (json_kind_of(value) != JSON_ARRAY)
        return false;
    for (size_t i = 0; i < json_length(value); i++) {
        text name = json_string(json_at(value, i));
        if (!name.ptr || memchr(name.ptr, '\0', name.len))
            return false;
        for (size_t k = 0; k < i; k++)
            if (text_equal(name, json_string(json_at(value, k))))
                return false;
    }
    return true;
}

static int dependent_for(compiler *c, const char *trigger, dependent_rule **ret_rule) {
    object_rules *o = &c->now->object;
    dependent_rule *grown = realloc(o->dependents, (o->dependent_count + 1) * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    o->dependents = grown;
    *ret_rule = &grown[o->dependent_count++];
    **ret_rule = (dependent_rule){.trigger = trigger};
    return 0;
}

static int take_dependent_names(void *context, const char *name, const json *value) {
    compiler *c = context;
    dependent_rule *rule;
    if (!is_name_list(value))
        return schema_refuse(c, c->now, "'dependentRequired' must hold arrays of different names");
    int fault = dependent_for(c, name, &rule);
    if (fault == 0)
        rule->required = value;
    return fault;
}

static int take_dependent_schema(void *context, const char *name, const json *value) {
    compiler *c = context;
    dependent_rule *rule;
    int fault = dependent_for(c, name, &rule);
    return fault < 0 ? fault : schema_node(c, value, "dependentSchemas", name, -1, &rule->rules);
}

static int take_dependents(compiler *c, const keyword_row *row, const json *value) {
    if (json_kind_of(value) != JSON_OBJECT)
        return refuse_value(c, row, "an object");
    bool schemas = strcmp(row->name, "dependentSchemas") == 0;
    return json_each(value, schemas ? take_dependent_schema : take_dependent_names, c);
}

static int take_ref(compiler *c, const keyword_row *row, const json *value) {
    text ref = json_string(value);
    const json *target = NULL;
    if (!ref.ptr)
        return refuse_value(c, row, "a string");
    bool local = text_equal(ref, TEXT("#")) || text_starts_with(ref, TEXT("#/"));
    if (!local)
        return schema_refuse(c, c->now, "'$ref' to anything but '#' or '#/...' is not supported");
    if (!schema_follow(c->s->root, (text){ref.ptr + 1, ref.len - 1}, &target))
        return schema_refuse(c, c->now, "'$ref' leads nowhere");
    c->now->branches = true;
    return schema_node(c, target, "$ref", NULL, -1, &c->now->branch.ref);
}

/* ---- keywords that hold values ---- */

static unsigned type_bit(text name) {
    static const struct {
        text name;
        unsigned bit;
    } types[] = {
        {TEXT("null"), TYPE_NULL},     {TEXT("boolean"), TYPE_BOOLEAN}, {TEXT("integer"), TYPE_INTEGER},
        {TEXT("number"), TYPE_NUMBER}, {TEXT("string"), TYPE_STRING},   {TEXT("array"), TYPE_ARRAY},
        {TEXT("object"), TYPE_OBJECT},
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (text_equal(types[i].name, name))
            return types[i].bit;
    return 0;
}

static int take_type(compiler *c, const keyword_row *row, const json *value) {
    bool many = json_kind_of(value) == JSON_ARRAY;
    size_t count = many ? json_length(value) : 1;
    for (size_t i = 0; i < count; i++) {
        unsigned bit = type_bit(json_string(many ? json_at(value, i) : value));
        if (bit == 0 || (c->now->types & bit))
            return refuse_value(c, row, "the name of a type, or an array of different ones");
        c->now->types |= bit;
    }
    return count ? 0 : refuse_value(c, row, "the name of a type, or an array of different ones");
}

static int take_enum(compiler *c, const keyword_row *row, const json *value) {
    if (json_kind_of(value) != JSON_ARRAY)
        return refuse_value(c, row, "an array");
    c->now->options = value;
    return 0;
}

static int take_const(compiler *c, const keyword_row *row, const json *value) {
    (void)row;
    c->now->constant = value;
    c->now->has_constant = true;
    return 0;
}

static int take_bound(compiler *c, const keyword_row *row, const json *value) {
    number bound = number_of(value);
    if (!(types_of(value) & TYPE_NUMBER))
        return refuse_value(c, row, "a number");
    c->now->number.bounds[row->which] = bound;
    c->now->number.present[row->which] = true;
    return 0;
}

static int take_multiple(compiler *c, const keyword_row *row, const json *value) {
    number divisor = number_of(value);
    if (!(types_of(value) & TYPE_NUMBER) || number_compare(divisor, (number){.whole = true}) <= 0)
        return refuse_value(c, row, "a number above 0");
    c->now->number.divisor = decimal_of(divisor);
    c->now->number.multiple = true;
    return 0;
}

static int take_count(compiler *c, const keyword_row *row, const json *value) {
    number count = number_of(value);
    if (!(types_of(value) & TYPE_INTEGER) || count.real < 0 || count.real > 1e15)
        return refuse_value(c, row, "an integer, 0 or more");
    int64_t *member = member_of(c, row);
    *member = count.whole ? count.integer : (int64_t)count.real;
    return 0;
}

static int take_pattern(compiler *c, const keyword_row *row, const json *value) {
    char why[REGEX_WHY_MAX] = "";
    text pattern = json_string(value);
    if (!pattern.ptr)
        return refuse_value(c, row, "a string");
    int fault = regex_compile(pattern, &c->now->string.pattern, why);
    return fault == -EBADMSG ? schema_refuse(c, c->now, "the pattern %s", why) : fault;
}

static int take_unique(compiler *c, const keyword_row *row, const json *value) {
    if (json_kind_of(value) != JSON_BOOL)
        return refuse_value(c, row, "true or false");
    c->now->array.unique = json_boolean(value);
    return 0;
}

static int take_properties(compiler *c, const keyword_row *row, const json *value) {
    if (json_kind_of(value) != JSON_OBJECT)
        return refuse_value(c, row, "an object");
    c->now->object.properties = value;
    return 0;
}

static int take_required(compiler *c, const keyword_row *row, const json *value) {
    if (!is_name_list(value))
        return refuse_value(c, row, "an array of different names");
    c->now->object.required = value;
    return 0;
}

static int take_dialect(compiler *c, const keyword_row *row, const json *value) {
    if (c->now->source != c->s->root)
        return schema_refuse(c, c->now, "'$schema' is supported at the root alone");
    return text_equal(json_string(value), TEXT(DIALECT)) ? 0 : refuse_value(c, row, DIALECT);
}

static int take_id(compiler *c, const keyword_row *row, const json *value) {
    text id = json_string(value);
    if (c->now->source != c->s->root)
        return schema_refuse(c, c->now, "'$id' is supported at the root alone");
    return id.ptr && !memchr(id.ptr, '#', id.len) ? 0 : refuse_value(c, row, "a URI without a fragment");
}

static int take_annotation(compiler *c, const keyword_row *row, const json *value) {
    (void)c;
    (void)row;
    (void)value;
    return 0;
}

static const keyword_row keywords[] = {
    {"$schema", take_dialect, 0, 0},
    {"$id", take_id, 0, 0},
    {"$ref", take_ref, 0, 0},
    {"$defs", take_definitions, 0, 0},
    {"$comment", take_annotation, 0, 0},
    {"title", take_annotation, 0, 0},
    {"description", take_annotation, 0, 0},
    {"default", take_annotation, 0, 0},
    {"examples", take_annotation, 0, 0},
    {"deprecated", take_annotation, 0, 0},
    {"readOnly", take_annotation, 0, 0},
    {"writeOnly", take_annotation, 0, 0},
    {"type", take_type, 0, 0},
    {"enum", take_enum, 0, 0},
    {"const", take_const, 0, 0},
    {"minimum", take_bound, 0, BOUND_MINIMUM},
    {"maximum", take_bound, 0, BOUND_MAXIMUM},
    {"exclusiveMinimum", take_bound, 0, BOUND_ABOVE},
    {"exclusiveMaximum", take_bound, 0, BOUND_BELOW},
    {"multipleOf", take_multiple, 0, 0},
    {"minLength", take_count, offsetof(node, string.length.min), 0},
    {"maxLength", take_count, offsetof(node, string.length.max), 0},
    {"pattern", take_pattern, 0, 0},
    {"minItems", take_count, offsetof(node, array.length.min), 0},
    {"maxItems", take_count, offsetof(node, array.length.max), 0},
    {"uniqueItems", take_unique, 0, 0},
    {"prefixItems", take_list, offsetof(node, array.prefix), 0},
    {"items", take_schema, offsetof(node, array.items), 0},
    {"contains", take_schema, offsetof(node, array.contains), 0},
    {"minContains", take_count, offsetof(node, array.matches.min), 0},
    {"maxContains", take_count, offsetof(node, array.matches.max), 0},
    {"minProperties", take_count, offsetof(node, object.length.min), 0},
    {"maxProperties", take_count, offsetof(node, object.length.max), 0},
    {"properties", take_properties, 0, 0},
    {"patternProperties", take_pattern_properties, 0, 0},
    {"additionalProperties", take_schema, offsetof(node, object.others), 0},
    {"propertyNames", take_schema, offsetof(node, object.names), 0},
    {"required", take_required, 0, 0},
    {"dependentRequired", take_dependents, 0, 0},
    {"dependentSchemas", take_dependents, 0, 0},
    {"allOf", take_branch_list, offsetof(node, branch.all), 0},
    {"anyOf", take_branch_list, offsetof(node, branch.any), 0},
    {"oneOf", take_branch_list, offsetof(node, branch.one), 0},
    {"not", take_branch, offsetof(node, branch.forbidden), 0},
    {"if", take_branch, offsetof(node, branch.when), 0},
    {"then", take_branch, offsetof(node, branch.then), 0},
    {"else", take_branch, offsetof(node, branch.otherwise), 0},
};

int schema_take_keyword(void *context, const char *name, const json *value) {
    compiler *c = context;
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (strcmp(keywords[i].name, name) == 0)
            return keywords[i].take(c, &keywords[i], value);
    return schema_refuse(c, c->now, "keyword '%.64s' is not supported", name);
}
