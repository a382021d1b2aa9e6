/* schema_compile.c - from the JSON text of a schema to the graph of nodes in schema_private.h.
 *
 * No recursion: making a node only puts it on the schema's list, and schema_compile() walks that list until
 * every node's keywords were read. A "$ref" may thus point forward, backward, or to the node itself. Each
 * keyword is one row of `keywords`; a keyword without a row is refused by name. */
#include "msg/schema_private.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIALECT "https://json-schema.org/draft/2020-12/schema"

typedef struct compiler {
    schema *s;
    node *now; /* the node whose keywords are read */
    char *why;
} compiler;

typedef struct keyword_row {
    const char *name;
    int (*take)(compiler *c, const struct keyword_row *row, const json *value);
    size_t offset; /* of the member in node that it fills */
    int which;     /* for bounds */
} keyword_row;

static void place_of(const node *n, buf *to) {
    const node *chain[128];
    size_t depth = 0;
    for (; n && n->from && depth < ARRAY_LEN(chain); n = n->from)
        chain[depth++] = n;
    while (depth-- > 0) {
        buf_printf(to, "/%s", chain[depth]->keyword);
        if (chain[depth]->name)
            buf_printf(to, "/%.64s", chain[depth]->name);
        else if (chain[depth]->index >= 0)
            buf_printf(to, "/%lld", (long long)chain[depth]->index);
    }
}

PRINTF_LIKE(3, 4)
static int refuse(const compiler *c, const node *at, const char *format, ...) {
    CLEANUP(buf_release) buf place = BUF(4096);
    char what[SCHEMA_WHY_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    place_of(at, &place);
    (void)snprintf(c->why, SCHEMA_WHY_MAX, "%.120s: %.130s", place.len ? place.ptr : "/", what);
    return -EBADMSG;
}

static int refuse_value(const compiler *c, const keyword_row *row, const char *must) {
    return refuse(c, c->now, "'%s' must be %s", row->name, must);
}

static void *member_of(const compiler *c, const keyword_row *row) {
    return (char *)c->now + row->offset;
}

static int add_to_list(schema *s, node *n) {
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 16;
        node **grown = realloc(s->nodes, capacity * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        s->nodes = grown;
        s->capacity = capacity;
    }
    s->nodes[s->count++] = n;
    return 0;
}

static bool is_schema(const json *value) {
    return json_kind_of(value) == JSON_OBJECT || json_kind_of(value) == JSON_BOOL;
}

/* The node of the subschema `source`: made now, unless a "$ref" already asked for it. */
static int node_for(compiler *c, const json *source, const char *keyword, const char *name, int64_t index,
                    const node **ret_node) {
    if (!is_schema(source))
        return refuse(c, c->now, "'%s' must hold a schema: an object, true or false", keyword);
    for (size_t i = 0; i < c->s->count; i++) {
        node *made = c->s->nodes[i];
        if (made->source != source)
            continue;
        if (strcmp(made->keyword, "$ref") == 0) { /* now we know where it really stands */
            made->from = c->now;
            made->keyword = keyword;
            made->name = name;
            made->index = index;
        }
        *ret_node = made;
        return 0;
    }
    if (c->s->count == SCHEMA_NODES_MAX)
        return refuse(c, c->now, "more than %d subschemas", SCHEMA_NODES_MAX);
    node *made = calloc(1, sizeof *made);
    if (!made)
        return -ENOMEM;
    *made = (node){.source = source, .from = c->now, .keyword = keyword, .name = name, .index = index};
    made->string.length.max = made->array.length.max = made->array.matches.max = made->object.length.max = -1;
    made->array.matches.min = 1;
    int fault = add_to_list(c->s, made);
    if (fault < 0) {
        free(made);
        return fault;
    }
    *ret_node = made;
    return 0;
}

/* ---- keywords that hold schemas ---- */

static int take_schema(compiler *c, const keyword_row *row, const json *value) {
    return node_for(c, value, row->name, NULL, -1, member_of(c, row));
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
        int fault = node_for(c, json_at(value, list->count), row->name, NULL, (int64_t)list->count,
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
    return node_for(context, value, "$defs", name, -1, &unused);
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
        return fault == -EBADMSG ? refuse(c, c->now, "a pattern of 'patternProperties' %s", why) : fault;
    c->now->object.pattern_count++;
    return node_for(c, value, "patternProperties", name, -1, &rule->rules);
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
        return refuse(c, c->now, "'dependentRequired' must hold arrays of different names");
    int fault = dependent_for(c, name, &rule);
    if (fault == 0)
        rule->required = value;
    return fault;
}

static int take_dependent_schema(void *context, const char *name, const json *value) {
    compiler *c = context;
    dependent_rule *rule;
    int fault = dependent_for(c, name, &rule);
    return fault < 0 ? fault : node_for(c, value, "dependentSchemas", name, -1, &rule->rules);
}

static int take_dependents(compiler *c, const keyword_row *row, const json *value) {
    if (json_kind_of(value) != JSON_OBJECT)
        return refuse_value(c, row, "an object");
    bool schemas = strcmp(row->name, "dependentSchemas") == 0;
    return json_each(value, schemas ? take_dependent_schema : take_dependent_names, c);
}

/* `token` as it stands in a URI fragment: percent-encoded, then ~1 for / and ~0 for ~. */
static int unescape_token(text token, char *to) {
    size_t len = 0;
    for (size_t i = 0; i < token.len; i++) {
        char c = token.ptr[i];
        if (c == '%') {
            char hex[3] = {0};
            char *end = hex;
            if (i + 2 < token.len) {
                memcpy(hex, token.ptr + i + 1, 2);
                c = (char)strtoul(hex, &end, 16);
            }
            if (end != hex + 2 || c == '\0')
                return -EBADMSG;
            i += 2;
        }
        to[len++] = c;
    }
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        bool escape = to[i] == '~';
        if (escape && (i + 1 == len || (to[i + 1] != '0' && to[i + 1] != '1')))
            return -EBADMSG;
        to[out++] = (char)(escape ? (to[i + 1] == '0' ? '~' : '/') : to[i]);
        i += escape;
    }
    to[out] = '\0';
    return 0;
}

/* Follows a JSON pointer (RFC 6901). False when it leads nowhere. */
static bool follow(const json *root, text pointer, const json **ret_value) {
    text rest = pointer, token;
    char name[256];
    if (pointer.len == 0) {
        *ret_value = root;
        return true;
    }
    (void)text_next(&rest, '/', &token); /* what stands before the first slash: nothing */
    while (text_next(&rest, '/', &token)) {
        int64_t index = 0;
        if (token.len >= sizeof name || unescape_token(token, name) < 0)
            return false;
        if (json_kind_of(root) == JSON_ARRAY) {
            if (text_to_i64(text_of(name), 0, INT64_MAX, &index) < 0 || (size_t)index >= json_length(root))
                return false;
            root = json_at(root, (size_t)index);
        } else if (!json_member(root, name, &root)) {
            return false;
        }
    }
    *ret_value = root;
    return true;
}

static int take_ref(compiler *c, const keyword_row *row, const json *value) {
    text ref = json_string(value);
    const json *target = NULL;
    if (!ref.ptr)
        return refuse_value(c, row, "a string");
    bool local = text_equal(ref, TEXT("#")) || text_starts_with(ref, TEXT("#/"));
    if (!local)
        return refuse(c, c->now, "'$ref' to anything but '#' or '#/...' is not supported");
    if (!follow(c->s->root, (text){ref.ptr + 1, ref.len - 1}, &target))
        return refuse(c, c->now, "'$ref' leads nowhere");
    c->now->branches = true;
    return node_for(c, target, "$ref", NULL, -1, &c->now->branch.ref);
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
    return fault == -EBADMSG ? refuse(c, c->now, "the pattern %s", why) : fault;
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
        return refuse(c, c->now, "'$schema' is supported at the root alone");
    return text_equal(json_string(value), TEXT(DIALECT)) ? 0 : refuse_value(c, row, DIALECT);
}

static int take_id(compiler *c, const keyword_row *row, const json *value) {
    text id = json_string(value);
    if (c->now->source != c->s->root)
        return refuse(c, c->now, "'$id' is supported at the root alone");
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

static int take_keyword(void *context, const char *name, const json *value) {
    compiler *c = context;
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (strcmp(keywords[i].name, name) == 0)
            return keywords[i].take(c, &keywords[i], value);
    return refuse(c, c->now, "keyword '%.64s' is not supported", name);
}

/* ---- the table of member names ---- */

static int fill_property(void *context, const char *name, const json *value) {
    compiler *c = context;
    slot *place = slot_find(&c->now->object, text_of(name));
    place->name = text_of(name);
    return node_for(c, value, "properties", name, -1, &place->rules);
}

static int fill_slots(compiler *c) {
    object_rules *o = &c->now->object;
    size_t names = json_length(o->properties) + json_length(o->required), places = 4;
    if (names == 0)
        return 0;
    while (places < 2 * names)
        places *= 2;
    o->slots = calloc(places, sizeof *o->slots);
    if (!o->slots)
        return -ENOMEM;
    o->slot_mask = places - 1;
    o->required_count = json_length(o->required);
    for (size_t i = 0; i < o->required_count; i++) {
        text name = json_string(json_at(o->required, i));
        *slot_find(o, name) = (slot){.name = name, .required = true};
    }
    return json_each(o->properties, fill_property, c);
}

static int read_node(compiler *c, node *n) {
    c->now = n;
    if (json_kind_of(n->source) == JSON_BOOL) {
        n->never = !json_boolean(n->source);
        return 0;
    }
    int fault = json_each(n->source, take_keyword, c);
    return fault < 0 ? fault : fill_slots(c);
}

/* ---- no schema may apply itself to the same value without end ---- */

#define HEIGHT_IN_WORK -1

static int measure(const compiler *c, node *n, int above);

static int measure_one(const compiler *c, node *n, const node *below, int above) {
    if (!below)
        return 0;
    int fault = measure(c, (node *)below, above + 1);
    if (fault == 0 && below->height >= n->height)
        n->height = below->height + 1;
    return fault;
}

static int measure_below(const compiler *c, node *n, int above, int *height) {
    const branch_rules *b = &n->branch;
    const node *single[] = {b->ref, b->forbidden, b->when, b->then, b->otherwise};
    const node_list *lists[] = {&b->all, &b->any, &b->one};
    node found = {.height = 1};
    int fault = 0;
    for (size_t i = 0; i < ARRAY_LEN(single) && fault == 0; i++)
        fault = measure_one(c, &found, single[i], above);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (size_t k = 0; k < lists[i]->count && fault == 0; k++)
            fault = measure_one(c, &found, lists[i]->nodes[k], above);
    for (size_t i = 0; i < n->object.dependent_count && fault == 0; i++)
        fault = measure_one(c, &found, n->object.dependents[i].rules, above);
    *height = found.height;
    return fault;
}

static int measure(const compiler *c, node *n, int above) {
    if (n->height == HEIGHT_IN_WORK)
        return refuse(c, n, "the schema refers to itself without end");
    if (n->height == 0) {
        if (above >= SCHEMA_CHAIN_MAX)
            return refuse(c, n, "more than %d schemas are applied to one value", SCHEMA_CHAIN_MAX);
        int height = 0;
        n->height = HEIGHT_IN_WORK;
        int fault = measure_below(c, n, above, &height);
        if (fault < 0)
            return fault;
        n->height = height;
    }
    if (above + n->height > SCHEMA_CHAIN_MAX)
        return refuse(c, n, "more than %d schemas are applied to one value", SCHEMA_CHAIN_MAX);
    return 0;
}

int schema_compile(const json *root, schema **ret_schema, char ret_why[SCHEMA_WHY_MAX]) {
    CLEANUP(schema_freep) schema *s = calloc(1, sizeof *s);
    const node *first = NULL;
    compiler c = {.s = s, .why = ret_why};
    if (!s)
        return -ENOMEM;
    if (!is_schema(root))
        return refuse(&c, NULL, "a schema is an object, true or false");
    s->root = json_share(root);
    int fault = node_for(&c, s->root, "", NULL, -1, &first);
    for (size_t i = 0; fault == 0 && i < s->count; i++)
        fault = read_node(&c, s->nodes[i]);
    for (size_t i = 0; fault == 0 && i < s->count; i++)
        fault = measure(&c, s->nodes[i], 0);
    if (fault < 0)
        return fault;
    *ret_schema = s;
    s = NULL;
    return 0;
}

static void node_free(node *n) {
    regex_free(n->string.pattern);
    for (size_t i = 0; i < n->object.pattern_count; i++)
        regex_free(n->object.patterns[i].pattern);
    free(n->object.patterns);
    free(n->object.dependents);
    free(n->object.slots);
    free(n->array.prefix.nodes);
    free(n->branch.all.nodes);
    free(n->branch.any.nodes);
    free(n->branch.one.nodes);
    free(n);
}

schema *schema_free(schema *s) {
    if (s) {
        for (size_t i = 0; i < s->count; i++)
            node_free(s->nodes[i]);
        free(s->nodes);
        json_free(s->root);
        free(s);
    }
    return NULL;
}
