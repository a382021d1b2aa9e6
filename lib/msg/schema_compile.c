/* schema_compile.c - from the JSON text of a schema to the graph of nodes in schema_private.h.
 *
 * No recursion: making a node only puts it on the schema's list, and schema_compile() walks that list until
 * every node's keywords were read (schema_keywords.c). A "$ref" may thus point forward, backward, or to the
 * node itself. */
#include "msg/schema_compiler.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int schema_refuse(const compiler *c, const node *at, const char *format, ...) {
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

int schema_node(compiler *c, const json *source, const char *keyword, const char *name, int64_t index,
                const node **ret_node) {
    if (!is_schema(source))
        return schema_refuse(c, c->now, "'%s' must hold a schema: an object, true or false", keyword);
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
        return schema_refuse(c, c->now, "more than %d subschemas", SCHEMA_NODES_MAX);
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

/* ---- the table of member names ---- */

static int fill_property(void *context, const char *name, const json *value) {
    compiler *c = context;
    slot *place = slot_find(&c->now->object, text_of(name));
    place->name = text_of(name);
    return schema_node(c, value, "properties", name, -1, &place->rules);
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
    int fault = json_each(n->source, schema_take_keyword, c);
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
        return schema_refuse(c, n, "the schema refers to itself without end");
    if (n->height == 0) {
        if (above >= SCHEMA_CHAIN_MAX)
            return schema_refuse(c, n, "more than %d schemas are applied to one value", SCHEMA_CHAIN_MAX);
        int height = 0;
        n->height = HEIGHT_IN_WORK;
        int fault = measure_below(c, n, above, &height);
        if (fault < 0)
            return fault;
        n->height = height;
    }
    if (above + n->height > SCHEMA_CHAIN_MAX)
        return schema_refuse(c, n, "more than %d schemas are applied to one value", SCHEMA_CHAIN_MAX);
    return 0;
}

int schema_compile(const json *root, schema **ret_schema, char ret_why[SCHEMA_WHY_MAX]) {
    CLEANUP(schema_freep) schema *s = calloc(1, sizeof *s);
    const node *first = NULL;
    compiler c = {.s = s, .why = ret_why};
    if (!s)
        return -ENOMEM;
    if (!is_schema(root))
        return schema_refuse(&c, NULL, "a schema is an object, true or false");
    s->root = json_share(root);
    int fault = schema_node(&c, s->root, "", NULL, -1, &first);
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
