/* schema_validate.c - applies a compiled schema to a value; see schema_private.h for its shape.
 *
 * The way to a value is a chain of `place`s on the C stack, so a valid value costs no allocation. The first
 * failure is told and ends the run; below anyOf, oneOf, not, if and contains a failure is no news, and the
 * run is quiet. Work and depth are bounded; a run that reaches a bound refuses, whatever `not` would say. */
#include "msg/schema_private.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct place {
    const struct place *up; /* NULL at the root */
    const char *name;       /* of a member; NULL for an element */
    size_t index;
} place;

typedef struct run {
    char *why; /* or NULL */
    int quiet;
    int depth;
    unsigned steps;
    bool gave_up;
} run;

static bool accepts(run *r, const node *n, const json *value, const place *at);

/* ---- telling why ---- */

/* A name comes from outside: short, whole characters, nothing that could break a line of a log. */
static void add_name(const char *name, buf *to) {
    size_t len = strlen(name), shown = len;
    if (len > 48)
        for (shown = 48; shown > 0 && ((unsigned char)name[shown] & 0xC0) == 0x80;)
            shown--;
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c == '~' || c == '/')
            buf_add_text(to, c == '~' ? TEXT("~0") : TEXT("~1"));
        else
            buf_add_char(to, c < 0x20 || c == 0x7F ? '?' : (char)c);
    }
    if (shown < len)
        buf_add_text(to, TEXT("..."));
}

static void add_place(const place *at, buf *to) {
    const place *chain[24];
    size_t depth = 0;
    for (; at && at->up && depth < ARRAY_LEN(chain); at = at->up)
        chain[depth++] = at;
    if (depth == 0)
        buf_add_char(to, '/');
    while (depth-- > 0) {
        buf_add_char(to, '/');
        if (chain[depth]->name)
            add_name(chain[depth]->name, to);
        else
            buf_printf(to, "%zu", chain[depth]->index);
    }
}

PRINTF_LIKE(3, 4)
static bool fail(run *r, const place *at, const char *format, ...) {
    if (!r->why || r->quiet > 0 || r->gave_up)
        return false;
    CLEANUP(buf_release) buf where = BUF(4096);
    char what[SCHEMA_WHY_MAX / 2];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    add_place(at, &where);
    size_t room = SCHEMA_WHY_MAX - sizeof what - 2, shown = where.len < room ? where.len : room;
    while (shown > 0 && shown < where.len && ((unsigned char)where.ptr[shown] & 0xC0) == 0x80)
        shown--;
    (void)snprintf(r->why, SCHEMA_WHY_MAX, "%.*s: %s", (int)shown, where.ptr ? where.ptr : "", what);
    return false;
}

static bool give_up(run *r, const place *at) {
    if (!r->gave_up) {
        int quiet = r->quiet;
        r->quiet = 0; /* this is told from anywhere, and nothing after it */
        (void)fail(r, at, "takes too much work to check");
        r->quiet = quiet;
        r->gave_up = true;
    }
    return false;
}

static bool step(run *r, const place *at) {
    return ++r->steps <= SCHEMA_STEPS_MAX && !r->gave_up ? true : give_up(r, at);
}

static bool accepts_quietly(run *r, const node *n, const json *value, const place *at) {
    r->quiet++;
    bool valid = accepts(r, n, value, at);
    r->quiet--;
    return valid;
}

/* ---- numbers ---- */

static bool accepts_number(run *r, const number_rules *rules, const json *value, const place *at) {
    static const char *const said[] = {"is below", "is above", "is not above", "is not below"};
    number n = number_of(value);
    for (int kind = 0; kind < BOUND_KINDS; kind++) {
        if (!rules->present[kind])
            continue;
        int order = number_compare(n, rules->bounds[kind]);
        if (kind == BOUND_MINIMUM   ? order < 0
            : kind == BOUND_MAXIMUM ? order > 0
            : kind == BOUND_ABOVE   ? order <= 0
                                    : order >= 0)
            return fail(r, at, "%s %.15g", said[kind], rules->bounds[kind].real);
    }
    if (rules->multiple && !decimal_divides(rules->divisor, decimal_of(n)))
        return fail(r, at, "is not a multiple of what it must be");
    return true;
}

/* ---- strings ---- */

static bool matches(run *r, const regex *pattern, text subject, const place *at) {
    regex_verdict found = regex_search(pattern, subject);
    if (found == REGEX_GAVE_UP)
        return give_up(r, at);
    return found == REGEX_FOUND;
}

static bool in_range(count_range range, size_t count) {
    return (int64_t)count >= range.min && (range.max < 0 || (int64_t)count <= range.max);
}

static bool accepts_string(run *r, const string_rules *rules, text value, const place *at) {
    if (rules->length.min > 0 || rules->length.max >= 0) {
        size_t count = text_code_points(value);
        if (!in_range(rules->length, count))
            return fail(r, at, "is too %s", (int64_t)count < rules->length.min ? "short" : "long");
    }
    if (rules->pattern && !matches(r, rules->pattern, value, at))
        return fail(r, at, "is not in the required form");
    return true;
}

/* ---- arrays ---- */

static bool all_different(run *r, const json *value, const place *at) {
    for (size_t i = 1; i < json_length(value); i++)
        for (size_t k = 0; k < i; k++) {
            if (!step(r, at))
                return false;
            if (json_same(json_at(value, i), json_at(value, k)))
                return fail(r, at, "holds the same value twice");
        }
    return true;
}

static bool contains_enough(run *r, const array_rules *rules, const json *value, const place *at) {
    size_t found = 0;
    for (size_t i = 0; i < json_length(value); i++) {
        place below = {at, NULL, i};
        found += accepts_quietly(r, rules->contains, json_at(value, i), &below);
    }
    if (in_range(rules->matches, found))
        return true;
    return fail(r, at, "holds too %s of the values it must contain",
                (int64_t)found < rules->matches.min ? "few" : "many");
}

static bool accepts_array(run *r, const array_rules *rules, const json *value, const place *at) {
    size_t count = json_length(value);
    if (!in_range(rules->length, count))
        return fail(r, at, "holds too %s elements", (int64_t)count < rules->length.min ? "few" : "many");
    for (size_t i = 0; i < count; i++) {
        place below = {at, NULL, i};
        const node *n = i < rules->prefix.count ? rules->prefix.nodes[i] : rules->items;
        if (!n)
            break;
        if (!accepts(r, n, json_at(value, i), &below))
            return false;
    }
    if (rules->unique && !all_different(r, value, at))
        return false;
    return !rules->contains || contains_enough(r, rules, value, at);
}

/* ---- objects ---- */

/* Any spread will do: the names are ours, and the table is at most half full. */
static size_t slot_hash(text name) {
    size_t hash = name.len;
    for (size_t i = 0; i < name.len; i++)
        hash = hash * 31 + (unsigned char)name.ptr[i];
    return hash ^ hash >> 7;
}

slot *slot_find(const object_rules *o, text name) {
    size_t i = slot_hash(name) & o->slot_mask;
    while (o->slots[i].name.ptr && !text_equal(o->slots[i].name, name))
        i = (i + 1) & o->slot_mask;
    return &o->slots[i];
}

typedef struct visit {
    run *r;
    const object_rules *rules;
    const place *at;
    size_t required_seen;
} visit;

static bool accepts_name(visit *v, const char *name, const place *below) {
    json *string = json_new_string(text_of(name));
    if (!string)
        return give_up(v->r, below);
    bool valid = accepts(v->r, v->rules->names, string, below);
    json_free(string);
    return valid;
}

/* Stops the walk (non-zero) at the first member that fails. */
static int visit_member(void *context, const char *name, const json *value) {
    visit *v = context;
    const object_rules *rules = v->rules;
    place below = {v->at, name, 0};
    text t = text_of(name);
    bool known = false;
    if (rules->slots) {
        const slot *found = slot_find(rules, t);
        known = found->rules != NULL;
        v->required_seen += found->required;
        if (known && !accepts(v->r, found->rules, value, &below))
            return 1;
    }
    for (size_t i = 0; i < rules->pattern_count; i++) {
        if (!matches(v->r, rules->patterns[i].pattern, t, &below))
            continue;
        known = true;
        if (!accepts(v->r, rules->patterns[i].rules, value, &below))
            return 1;
    }
    if (!known && rules->others && rules->others->never)
        return !fail(v->r, &below, "is not a known member");
    if (!known && rules->others && !accepts(v->r, rules->others, value, &below))
        return 1;
    return rules->names && !accepts_name(v, name, &below);
}

static bool tell_missing(run *r, const json *required, const json *value, const place *at) {
    for (size_t i = 0; i < json_length(required); i++) {
        const json *unused = NULL;
        text name = json_string(json_at(required, i));
        if (!json_member(value, name.ptr, &unused))
            return fail(r, at, "has no '%.64s'", name.ptr);
    }
    return true;
}

static bool accepts_dependents(run *r, const object_rules *rules, const json *value, const place *at) {
    for (size_t i = 0; i < rules->dependent_count; i++) {
        const dependent_rule *rule = &rules->dependents[i];
        const json *unused = NULL;
        if (!json_member(value, rule->trigger, &unused))
            continue;
        if (rule->required && !tell_missing(r, rule->required, value, at))
            return false;
        if (rule->rules && !accepts(r, rule->rules, value, at))
            return false;
    }
    return true;
}

static bool accepts_object(run *r, const object_rules *rules, const json *value, const place *at) {
    size_t count = json_length(value);
    visit v = {r, rules, at, 0};
    if (!in_range(rules->length, count))
        return fail(r, at, "has too %s members", (int64_t)count < rules->length.min ? "few" : "many");
    bool walk = rules->slots || rules->pattern_count || rules->others || rules->names;
    if (walk && json_each(value, visit_member, &v) != 0)
        return false;
    if (v.required_seen < rules->required_count && !tell_missing(r, rules->required, value, at))
        return false;
    return accepts_dependents(r, rules, value, at);
}

/* ---- any value ---- */

unsigned types_of(const json *value) {
    switch (json_kind_of(value)) {
    case JSON_NULL:
        return TYPE_NULL;
    case JSON_BOOL:
        return TYPE_BOOLEAN;
    case JSON_INTEGER:
        return TYPE_INTEGER | TYPE_NUMBER;
    case JSON_NUMBER: {
        double real = json_number(value);
        if (!isfinite(real)) /* 1e999: no number that anyone could store */
            return 0;
        return trunc(real) < real || trunc(real) > real ? TYPE_NUMBER : TYPE_NUMBER | TYPE_INTEGER;
    }
    case JSON_STRING:
        return TYPE_STRING;
    case JSON_ARRAY:
        return TYPE_ARRAY;
    case JSON_OBJECT:
        return TYPE_OBJECT;
    }
    return 0;
}

static bool is_option(run *r, const json *options, const json *value, const place *at) {
    for (size_t i = 0; i < json_length(options); i++)
        if (!step(r, at) || json_same(json_at(options, i), value))
            return !r->gave_up;
    return false;
}

static bool accepts_any_of(run *r, const branch_rules *b, const json *value, const place *at) {
    bool any = b->any.count == 0;
    for (size_t i = 0; i < b->any.count && !any; i++)
        any = accepts_quietly(r, b->any.nodes[i], value, at);
    return any || fail(r, at, "fits none of the forms it may have");
}

static bool accepts_one_of(run *r, const branch_rules *b, const json *value, const place *at) {
    size_t fits = 0;
    for (size_t i = 0; i < b->one.count && fits < 2; i++)
        fits += accepts_quietly(r, b->one.nodes[i], value, at);
    if (b->one.count == 0 || fits == 1)
        return true;
    return fail(r, at, "fits %s of the forms of which it must have one", fits ? "several" : "none");
}

static bool accepts_branches(run *r, const branch_rules *b, const json *value, const place *at) {
    if (b->ref && !accepts(r, b->ref, value, at))
        return false;
    for (size_t i = 0; i < b->all.count; i++)
        if (!accepts(r, b->all.nodes[i], value, at))
            return false;
    if (!accepts_any_of(r, b, value, at) || !accepts_one_of(r, b, value, at))
        return false;
    if (b->forbidden && accepts_quietly(r, b->forbidden, value, at))
        return fail(r, at, "has a form it may not have");
    if (b->when) {
        const node *next = accepts_quietly(r, b->when, value, at) ? b->then : b->otherwise;
        return !next || accepts(r, next, value, at);
    }
    return true;
}

static bool accepts_kind(run *r, const node *n, unsigned types, const json *value, const place *at) {
    if (types & TYPE_STRING)
        return accepts_string(r, &n->string, json_string(value), at);
    if (types & TYPE_NUMBER)
        return accepts_number(r, &n->number, value, at);
    if (types & TYPE_OBJECT)
        return accepts_object(r, &n->object, value, at);
    if (types & TYPE_ARRAY)
        return accepts_array(r, &n->array, value, at);
    return true;
}

static bool accepts_here(run *r, const node *n, const json *value, const place *at) {
    unsigned types = types_of(value);
    if (n->never)
        return fail(r, at, "is not allowed");
    if (n->types && !(n->types & types))
        return fail(r, at, "is not of the right type");
    if (n->has_constant && !json_same(n->constant, value))
        return fail(r, at, "is not the one value it may be");
    if (n->options && !is_option(r, n->options, value, at))
        return fail(r, at, "is none of the values it may be");
    return accepts_kind(r, n, types, value, at) &&
           (!n->branches || accepts_branches(r, &n->branch, value, at));
}

static bool accepts(run *r, const node *n, const json *value, const place *at) {
    if (r->depth >= SCHEMA_DEPTH_MAX)
        return give_up(r, at);
    if (!step(r, at))
        return false;
    r->depth++;
    bool valid = accepts_here(r, n, value, at);
    r->depth--;
    return valid;
}

bool schema_accepts(const schema *s, const json *value, char ret_why[SCHEMA_WHY_MAX]) {
    run r = {.why = ret_why};
    place root = {0};
    bool valid = accepts(&r, s->nodes[0], value, &root);
    return valid && !r.gave_up;
}
