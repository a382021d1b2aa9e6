/* body_rules.c - the document of rules: read and checked, a layer at a time; see body_rules_private.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/body_rules_private.h"
#include "core/document.h"

#define ROLES_MAX  64
#define PEOPLE_MAX 20000
#define NAME_MAX   128
#define SOURCE_MAX 400
#define PLACE_MAX  200

typedef struct reader {
    body_rules *r;
    complaint says;
} reader;

static int number(reader *r, const json *value, const char *place, const char *name, double least,
                  double most, double *ret_value) {
    json_kind kind = json_kind_of(value);
    double n = kind == JSON_INTEGER || kind == JSON_NUMBER ? json_number(value) : NAN;
    if (!(n >= least && n <= most))
        return document_refuse(&r->says, "%s.%s: must be a number from %g to %g", place, name, least, most);
    *ret_value = n;
    return 0;
}

/* ---- conditions ---- */

/* `above` or `below`, one of them. */
static int limit(reader *r, const json *in, const char *place, const signal_row *row, condition *c,
                 bool *ret_there) {
    const json *above = NULL, *below = NULL;
    bool is_above = json_member(in, "above", &above), is_below = json_member(in, "below", &below);
    if (is_above && is_below)
        return document_refuse(&r->says, "%s: is either above or below", place);
    *ret_there = is_above || is_below;
    if (!*ret_there)
        return 0;
    c->below = is_below;
    return number(r, is_below ? below : above, place, is_below ? "below" : "above", row->least, row->most,
                  &c->limit);
}

static int condition_of(reader *r, const json *in, const char *place, condition *c) {
    text of = json_get_string(in, "of");
    bool there = false;
    if (!signal_named(of, &c->of))
        return document_refuse(&r->says, "%s.of: is no signal", place);
    int fault = limit(r, in, place, signal_of(c->of), c, &there);
    return fault == 0 && !there ? document_refuse(&r->says, "%s: needs above or below", place) : fault;
}

static int also(reader *r, const json *list, const char *place, rule *to) {
    static const char *const members[] = {"of", "above", "below"};
    if (json_kind_of(list) != JSON_ARRAY || json_length(list) > RULE_ALSO_MAX)
        return document_refuse(&r->says, "%s.and: must be a list of at most %d", place, RULE_ALSO_MAX);
    to->also_count = json_length(list);
    for (size_t i = 0; i < to->also_count; i++) {
        char here[PLACE_MAX];
        document_spell(here, PLACE_MAX, "%.150s.and[%zu]", place, i);
        int fault = document_object(&r->says, json_at(list, i), here, members, ARRAY_LEN(members));
        if (fault == 0)
            fault = condition_of(r, json_at(list, i), here, &to->also[i]);
        if (fault < 0)
            return fault;
    }
    return 0;
}

/* ---- the members of a rule ---- */

static int when(reader *r, const json *list, const char *place, rule *to) {
    if (json_kind_of(list) != JSON_ARRAY || json_length(list) == 0 ||
        json_length(list) > CONTEXT_RECOVERY + 1)
        return document_refuse(&r->says, "%s.when: must be a list of 1 to %d", place, CONTEXT_RECOVERY + 1);
    to->when = 0;
    for (size_t i = 0; i < json_length(list); i++) {
        unsigned bit = 0;
        for (body_context c = CONTEXT_UNKNOWN; c <= CONTEXT_RECOVERY; c++)
            if (text_equal(json_string(json_at(list, i)), text_of(body_context_word(c))))
                bit = 1u << c;
        if (bit == 0 || (to->when & bit))
            return document_refuse(&r->says, "%s.when[%zu]: %s", place, i,
                                   bit ? "is there twice" : "no such word");
        to->when |= bit;
    }
    return 0;
}

static int response(reader *r, const json *value, const char *place, rule *to) {
    for (body_response i = BODY_NOTE; i <= BODY_RAISE; i++)
        if (text_equal(json_string(value), text_of(body_response_word(i)))) {
            to->response = i;
            return 0;
        }
    return document_refuse(&r->says, "%s.response: is 'note', 'ask' or 'raise'", place);
}

static int source(reader *r, const json *value, const char *place, rule *to) {
    text t = json_string(value);
    body_rules *rules = r->r;
    if (!t.ptr || t.len == 0 || t.len > SOURCE_MAX || memchr(t.ptr, '\0', t.len))
        return document_refuse(&r->says, "%s.source: must be a text of 1 to %d bytes", place, SOURCE_MAX);
    if (rules->source_count == rules->source_room) {
        size_t room = rules->source_room ? rules->source_room * 2 : 64;
        char **grown = reallocarray(rules->sources, room, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        rules->sources = grown;
        rules->source_room = room;
    }
    char *kept = text_copy(t);
    if (!kept)
        return -ENOMEM;
    rules->sources[rules->source_count++] = kept;
    to->source = kept;
    return 0;
}

static int duration(reader *r, const json *value, const char *place, const char *name, int64_t *ret_ms) {
    double s = 0;
    int fault = number(r, value, place, name, 0, 86400, &s);
    if (fault == 0)
        *ret_ms = (int64_t)(s * 1000);
    return fault;
}

typedef struct rule_member {
    const char *name;
    unsigned bit;
} rule_member;

static int read_member(reader *r, unsigned bit, const json *value, const char *place, rule *to) {
    switch ((enum member)bit) {
    case M_ALSO:
        return also(r, value, place, to);
    case M_WHEN:
        return when(r, value, place, to);
    case M_FOR:
        return duration(r, value, place, "for", &to->for_ms);
    case M_CLEAR:
        return duration(r, value, place, "clear_for", &to->clear_ms);
    case M_QUIET:
        return duration(r, value, place, "quiet", &to->quiet_ms);
    case M_MARGIN:
        return number(r, value, place, "margin", 0, 200, &to->margin);
    case M_STEP:
        return number(r, value, place, "step", 0, 200, &to->step);
    case M_RESPONSE:
        return response(r, value, place, to);
    case M_OFF:
        return document_truth(&r->says, value, place, "off", &to->off);
    case M_SOURCE:
        return source(r, value, place, to);
    case M_IS:
    case M_LIMIT:
        break;
    }
    return 0;
}

static const rule_member rule_members[] = {
    {"and", M_ALSO},    {"when", M_WHEN},     {"for", M_FOR},   {"clear_for", M_CLEAR},
    {"quiet", M_QUIET}, {"margin", M_MARGIN}, {"step", M_STEP}, {"response", M_RESPONSE},
    {"off", M_OFF},     {"source", M_SOURCE},
};
static const char *const rule_names[] = {"name", "of",       "above",     "below", "and",
                                         "when", "for",      "clear_for", "quiet", "margin",
                                         "step", "response", "off",       "source"};

/* The rule of this name in what lies below, for the signal its limit belongs to. */
static const rule *below(const body_rules *r, size_t id) {
    const layer *under[] = {&r->org, &r->shipped};
    for (size_t k = 0; k < ARRAY_LEN(under); k++)
        for (size_t i = 0; i < under[k]->count; i++)
            if (under[k]->patches[i].id == id && (under[k]->patches[i].set & M_IS))
                return &under[k]->patches[i].rule;
    return NULL;
}

/* `of` with its limit; the limit alone, or neither, when what lies below says of what. A rule stays a rule of
 * the same signal, in the same direction: limits of several layers would else not go with each other. */
static int main_condition(reader *r, const json *in, const char *place, patch *p) {
    const rule *lower = below(r->r, p->id);
    const json *of = json_get(in, "of");
    if (!lower) {
        p->set |= M_IS;
        return condition_of(r, in, place, &p->rule.is);
    }
    bool there = false;
    if (of && !text_equal(json_string(of), text_of(signal_of(lower->is.of)->word)))
        return document_refuse(&r->says, "%s.of: the rule is one of '%s'; give another one a name of its own",
                               place, signal_of(lower->is.of)->word);
    p->rule.is.of = lower->is.of;
    int fault = limit(r, in, place, signal_of(lower->is.of), &p->rule.is, &there);
    if (fault == 0 && there && p->rule.is.below != lower->is.below)
        return document_refuse(&r->says, "%s: the rule asks for %s", place,
                               lower->is.below ? "below" : "above");
    p->set |= there ? M_LIMIT : 0;
    return fault;
}

static bool is_rule_name(text t) {
    if (t.len == 0 || t.len >= BODY_RULE_NAME_MAX || t.ptr[0] < 'a' || t.ptr[0] > 'z')
        return false;
    for (size_t i = 0; i < t.len; i++)
        if (!((t.ptr[i] >= 'a' && t.ptr[i] <= 'z') || (t.ptr[i] >= '0' && t.ptr[i] <= '9') ||
              (t.ptr[i] == '-' && i + 1 < t.len)))
            return false;
    return true;
}

static int name_of(reader *r, text name, const char *place, size_t *ret_id) {
    body_rules *rules = r->r;
    if (!name.ptr || !is_rule_name(name))
        return document_refuse(&r->says, "%s.name: must be 1 to %d small letters, digits and hyphens", place,
                               BODY_RULE_NAME_MAX - 1);
    for (*ret_id = 0; *ret_id < rules->name_count; ++*ret_id)
        if (text_equal(text_of(rules->names[*ret_id]), name))
            return 0;
    if (rules->name_count == BODY_RULES_MAX)
        return document_refuse(&r->says, "%s.name: there are more than %d different rules", place,
                               BODY_RULES_MAX);
    memcpy(rules->names[rules->name_count++], name.ptr, name.len);
    return 0;
}

static int read_patch(reader *r, const json *from, const char *place, const layer *l, patch *to) {
    int fault = document_object(&r->says, from, place, rule_names, ARRAY_LEN(rule_names));
    if (fault == 0)
        fault = name_of(r, json_get_string(from, "name"), place, &to->id);
    for (size_t i = 0; fault == 0 && i < l->count; i++)
        if (l->patches[i].id == to->id)
            return document_refuse(&r->says, "%s.name: there are two called '%s'", place,
                                   r->r->names[to->id]);
    if (fault == 0)
        fault = main_condition(r, from, place, to);
    for (size_t i = 0; fault == 0 && i < ARRAY_LEN(rule_members); i++) {
        const json *value = NULL;
        if (!json_member(from, rule_members[i].name, &value))
            continue;
        to->set |= rule_members[i].bit;
        fault = read_member(r, rule_members[i].bit, value, place, &to->rule);
    }
    return fault;
}

/* ---- layers ---- */

static int rules_of(reader *r, const json *in, const char *place, layer *to) {
    const json *list = NULL;
    const char *dot = *place ? "." : "";
    if (!json_member(in, "rules", &list))
        return 0;
    if (json_kind_of(list) != JSON_ARRAY || json_length(list) > BODY_RULES_MAX)
        return document_refuse(&r->says, "%s%srules: must be a list of at most %d", place, dot,
                               BODY_RULES_MAX);
    to->patches = calloc(json_length(list) + 1, sizeof *to->patches);
    if (!to->patches)
        return -ENOMEM;
    for (size_t i = 0; i < json_length(list); i++) {
        char here[PLACE_MAX];
        document_spell(here, PLACE_MAX, "%.160s%srules[%zu]", place, dot, i);
        int fault = read_patch(r, json_at(list, i), here, to, &to->patches[i]);
        if (fault < 0)
            return fault;
        to->count++;
    }
    return 0;
}

typedef struct settings_reader {
    reader *r;
    const char *place;
    layer *to;
} settings_reader;

static int read_setting(void *context, const char *name, const json *value) {
    settings_reader *s = context;
    for (size_t i = 0; i < SETTINGS; i++) {
        const setting_row *row = body_setting((setting)i);
        if (strcmp(row->word, name) != 0)
            continue;
        bool yes = false;
        int fault = row->truth
                        ? document_truth(&s->r->says, value, s->place, name, &yes)
                        : number(s->r, value, s->place, name, row->least, row->most, &s->to->settings[i]);
        if (row->truth)
            s->to->settings[i] = yes;
        s->to->settings_set |= 1u << i;
        return fault;
    }
    return document_refuse(&s->r->says, "%s: there is no '%.40s' here", s->place, name);
}

static int settings_of(reader *r, const json *in, const char *place, layer *to) {
    const json *value = NULL;
    char here[PLACE_MAX];
    document_spell(here, PLACE_MAX, "%.160s%ssettings", place, *place ? "." : "");
    if (!json_member(in, "settings", &value))
        return 0;
    if (json_kind_of(value) != JSON_OBJECT)
        return document_refuse(&r->says, "%s: must be an object", here);
    return json_each(value, read_setting, &(settings_reader){r, here, to});
}

static int layer_of(reader *r, const json *from, const char *place, layer *to) {
    int fault = settings_of(r, from, place, to);
    return fault < 0 ? fault : rules_of(r, from, place, to);
}

typedef struct layers_reader {
    reader *r;
    const char *what;
    layers *to;
} layers_reader;

static int read_layer(void *context, const char *name, const json *value) {
    static const char *const members[] = {"rules", "settings"};
    layers_reader *l = context;
    layer *to = &l->to->all[l->to->count];
    char here[PLACE_MAX];
    document_spell(here, PLACE_MAX, "%s.%.128s", l->what, name);
    if (*name == '\0' || strlen(name) > NAME_MAX * 4)
        return document_refuse(&l->r->says, "%s: is no name", here);
    int fault = document_object(&l->r->says, value, here, members, ARRAY_LEN(members));
    if (fault < 0)
        return fault;
    l->to->count++; /* from here on it has to be freed */
    to->name = text_copy(text_of(name));
    return to->name ? layer_of(l->r, value, here, to) : -ENOMEM;
}

static int layers_of(reader *r, const json *in, const char *what, size_t most, layers *to) {
    const json *list = NULL;
    if (!json_member(in, what, &list))
        return 0;
    if (json_kind_of(list) != JSON_OBJECT || json_length(list) > most)
        return document_refuse(&r->says, "%s: must be an object of at most %zu", what, most);
    to->all = calloc(json_length(list) + 1, sizeof *to->all);
    return to->all ? json_each(list, read_layer, &(layers_reader){r, what, to}) : -ENOMEM;
}

/* ---- documents ---- */

static int whole(reader *r, const json *document, layer *own) {
    static const char *const members[] = {"v", "rules", "settings", "roles", "people"};
    const json *v = json_get(document, "v");
    int fault = document_object(&r->says, document, "", members, ARRAY_LEN(members));
    if (fault == 0 && (json_kind_of(v) != JSON_INTEGER || json_integer(v) != 1))
        return document_refuse(&r->says, "v: must be 1");
    if (fault == 0)
        fault = layer_of(r, document, "", own);
    if (fault == 0)
        fault = layers_of(r, document, "roles", ROLES_MAX, &r->r->roles);
    return fault < 0 ? fault : layers_of(r, document, "people", PEOPLE_MAX, &r->r->people);
}

static int read_shipped(body_rules *r) {
    CLEANUP(json_freep) json *shipped = NULL;
    char why[BODY_WHY_MAX] = "";
    if (json_parse_once(body_rules_shipped(), &shipped) != JSON_OK)
        return -ENOMEM; /* it is our own: nothing else can be wrong with it */
    return whole(&(reader){r, {why, sizeof why}}, shipped, &r->shipped);
}

int body_rules_parse(const json *document, body_rules **ret_rules, char ret_why[BODY_WHY_MAX]) {
    CLEANUP(body_rules_freep) body_rules *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    int fault = read_shipped(r);
    if (fault == 0 && document)
        fault = whole(&(reader){r, {ret_why, BODY_WHY_MAX}}, document, &r->org);
    if (fault < 0)
        return fault;
    body_rules_sort(r);
    *ret_rules = r;
    r = NULL;
    return 0;
}

int body_rules_default(body_rules **ret_rules) {
    char why[BODY_WHY_MAX];
    return body_rules_parse(NULL, ret_rules, why);
}

static void resolved_release(resolved *from) {
    for (resolved *at = from, *next; at; at = next) {
        next = at->next;
        free(at);
    }
}

static void layer_release(layer *l) {
    free(l->name);
    free(l->patches);
    resolved_release(l->resolved);
}

static void layers_release(layers *l) {
    for (size_t i = 0; i < l->count; i++)
        layer_release(&l->all[i]);
    free(l->all);
}

body_rules *body_rules_free(body_rules *r) {
    if (!r)
        return NULL;
    layer_release(&r->shipped);
    layer_release(&r->org);
    layers_release(&r->roles);
    layers_release(&r->people);
    resolved_release(r->resolved);
    for (size_t i = 0; i < r->source_count; i++)
        free(r->sources[i]);
    free(r->sources);
    free(r);
    return NULL;
}
