/* plan.c - see plan.h. What a plan keeps is copied into pieces that it owns one by one; a fault half way
 * frees them all. */
#include "core/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/document.h"

#define NAME_MAX_LEN   64
#define PERSON_MAX_LEN 128
#define URL_MAX_LEN    500
#define WEBHOOKS_MAX   50
#define WEEK_S         604800
#define PLACE_MAX      96

struct plan {
    policy *policies;
    size_t policy_count;
    webhook *webhooks;
    size_t webhook_count;
    plan_target *trouble;
    size_t trouble_count;
    void **owned;
    size_t owned_count, owned_room;
};

typedef struct reader {
    plan *p;
    complaint says;
} reader;

static const char *const type_names[] = {"panic", "medical", "security", "fire", "general"};
static const char *const priority_names[] = {"low", "medium", "high", "critical"};
static const char *const channel_names[] = {[PLAN_MQTT] = "mqtt", [PLAN_SMS] = "sms", [PLAN_VOICE] = "voice"};
static const char *const target_words[] = {
    [PLAN_NOBODY] = "nobody",   [PLAN_PERSON] = "person", [PLAN_ROLE] = "role",
    [PLAN_NEAREST] = "nearest", [PLAN_TEAM] = "team",     [PLAN_FAMILY] = "family",
    [PLAN_WEBHOOK] = "webhook",
};

const char *plan_target_word(plan_target_kind kind) {
    return target_words[kind];
}

const char *plan_channel_word(plan_channel channel) {
    return channel == PLAN_BY_OWN_ORDER ? "own" : channel_names[channel];
}

/* ---- memory, and what is said of a plan that is none ---- */

static void *keep(reader *r, void *piece) {
    plan *p = r->p;
    if (piece && p->owned_count == p->owned_room) {
        size_t room = p->owned_room ? p->owned_room * 2 : 64;
        void **grown = reallocarray(p->owned, room, sizeof *grown);
        if (!grown) {
            free(piece);
            return NULL;
        }
        p->owned = grown;
        p->owned_room = room;
    }
    if (piece)
        p->owned[p->owned_count++] = piece;
    return piece;
}

static int copy(reader *r, text from, text *ret_copy) {
    char *kept = keep(r, text_copy(from));
    if (!kept)
        return -ENOMEM;
    *ret_copy = (text){kept, from.len};
    return 0;
}

static void join(char place[PLACE_MAX], const char *above, const char *name, size_t index) {
    document_spell(place, PLACE_MAX, "%s%s%s[%zu]", above, *above ? "." : "", name, index);
}

/* ---- members ---- */

static int array(reader *r, const json *value, const char *place, const char *name, size_t most) {
    if (json_kind_of(value) != JSON_ARRAY || json_length(value) == 0 || json_length(value) > most)
        return document_refuse(&r->says, "%s%s%s: must be a list of 1 to %zu", place, *place ? "." : "", name,
                               most);
    return 0;
}

static int integer(reader *r, const json *in, const char *place, const char *name, int64_t least,
                   int64_t most, int64_t *ret_value) {
    const json *value = NULL;
    if (!json_member(in, name, &value))
        return 0;
    if (json_kind_of(value) != JSON_INTEGER || json_integer(value) < least || json_integer(value) > most)
        return document_refuse(&r->says, "%s.%s: must be an integer from %lld to %lld", place, name,
                               (long long)least, (long long)most);
    *ret_value = json_integer(value);
    return 0;
}

static int boolean(reader *r, const json *in, const char *place, const char *name, bool *ret_value) {
    const json *value = NULL;
    if (!json_member(in, name, &value))
        return 0;
    return document_truth(&r->says, value, place, name, ret_value);
}

static bool among(unsigned char c, const char *others) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != '\0' && strchr(others, c));
}

/* A name of ours: of policies, teams, webhooks; `word`: of roles. */
static bool is_name(text t, bool word) {
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_. -";
    if (t.len == 0 || t.len > NAME_MAX_LEN || !among((unsigned char)t.ptr[0], word ? "" : upper) ||
        (word && t.ptr[0] <= '9'))
        return false;
    for (size_t i = 1; i < t.len; i++)
        if (!among((unsigned char)t.ptr[i], word ? "_-" : more))
            return false;
    return true;
}

/* Fits one level of a topic; C1 control characters are two bytes in UTF-8. */
static bool is_person(text t) {
    if (t.len == 0 || text_code_points(t) > PERSON_MAX_LEN)
        return false;
    for (size_t i = 0; i < t.len; i++) {
        unsigned char c = (unsigned char)t.ptr[i];
        if (c < 0x20 || c == 0x7f || c == '/' || c == '+' || c == '#' ||
            (c == 0xc2 && i + 1 < t.len && (unsigned char)t.ptr[i + 1] < 0xa0))
            return false;
    }
    return true;
}

static bool is_url(text t) {
    bool http = text_starts_with(t, TEXT("http://")) || text_starts_with(t, TEXT("https://"));
    if (!http || t.len < 8 || t.len > URL_MAX_LEN)
        return false;
    for (size_t i = 0; i < t.len; i++)
        if ((unsigned char)t.ptr[i] <= ' ' || t.ptr[i] == 0x7f)
            return false;
    return true;
}

/* ---- words ---- */

static unsigned bit_of(const char *const *names, size_t count, text word) {
    for (size_t i = 0; i < count; i++)
        if (text_equal(text_of(names[i]), word))
            return 1u << i;
    return 0;
}

unsigned plan_type(text type) {
    return bit_of(type_names, ARRAY_LEN(type_names), type);
}

unsigned plan_priority(text priority) {
    return bit_of(priority_names, ARRAY_LEN(priority_names), priority);
}

static int words(reader *r, const json *in, const char *place, const char *name, unsigned (*bit)(text),
                 unsigned *ret_bits) {
    const json *list = NULL;
    if (!json_member(in, name, &list))
        return 0;
    int fault = array(r, list, place, name, 16);
    unsigned bits = 0;
    for (size_t i = 0; fault == 0 && i < json_length(list); i++) {
        unsigned one = bit(json_string(json_at(list, i)));
        if (one == 0 || (bits & one))
            return document_refuse(&r->says, "%s.%s[%zu]: %s", place, name, i,
                                   one ? "is there twice" : "no such word");
        bits |= one;
    }
    *ret_bits = bits;
    return fault;
}

/* ---- targets ---- */

static const char *const target_members[] = {"person", "role",   "nearest", "within",
                                             "team",   "family", "webhook"};

static int named_target(reader *r, const json *value, const char *place, plan_target *to) {
    text name = json_string(value);
    bool good = to->kind == PLAN_PERSON ? name.ptr && is_person(name) : is_name(name, to->kind == PLAN_ROLE);
    if (!good)
        return document_refuse(&r->says, "%s.%s: is no name", place, target_words[to->kind]);
    if (to->kind == PLAN_WEBHOOK && !plan_webhook(r->p, name))
        return document_refuse(&r->says, "%s.webhook: there is no webhook '%.64s'", place, name.ptr);
    return copy(r, name, &to->name);
}

static int target(reader *r, const json *from, const char *place, plan_target *to) {
    const json *value = NULL;
    int fault = document_object(&r->says, from, place, target_members, ARRAY_LEN(target_members));
    for (plan_target_kind kind = PLAN_PERSON; fault == 0 && kind <= PLAN_WEBHOOK; kind++) {
        if (!json_member(from, target_words[kind], &value))
            continue;
        if (to->kind != PLAN_NOBODY)
            return document_refuse(&r->says, "%s: is either a %s or a %s", place, target_words[to->kind],
                                   target_words[kind]);
        to->kind = kind;
        if (kind == PLAN_NEAREST)
            fault = integer(r, from, place, "nearest", 1, 20, &to->count);
        else if (kind == PLAN_FAMILY && !json_boolean(value))
            fault = document_refuse(&r->says, "%s.family: is true, or not there", place);
        else if (kind != PLAN_FAMILY)
            fault = named_target(r, value, place, to);
    }
    if (fault == 0 && to->kind == PLAN_NOBODY)
        return document_refuse(&r->says, "%s: names nobody", place);
    if (fault == 0 && to->kind != PLAN_NEAREST && json_member(from, "within", &value))
        return document_refuse(&r->says, "%s.within: goes with 'nearest' alone", place);
    return fault < 0 ? fault : integer(r, from, place, "within", 10, 1000000, &to->metres);
}

static int targets(reader *r, const json *in, const char *place, const char *name, plan_target **ret_targets,
                   size_t *ret_count) {
    const json *list = NULL;
    if (!json_member(in, name, &list))
        return 0;
    int fault = array(r, list, place, name, PLAN_TARGETS_MAX);
    if (fault < 0)
        return fault;
    *ret_targets = keep(r, calloc(json_length(list), sizeof **ret_targets));
    if (!*ret_targets)
        return -ENOMEM;
    *ret_count = json_length(list);
    for (size_t i = 0; fault == 0 && i < *ret_count; i++) {
        char here[PLACE_MAX];
        join(here, place, name, i);
        fault = target(r, json_at(list, i), here, &(*ret_targets)[i]);
    }
    return fault;
}

/* ---- levels ---- */

static const char *const level_members[] = {"after", "targets", "channels", "gap", "answer"};

static unsigned channel_bit(text word) {
    for (size_t i = PLAN_MQTT; i <= PLAN_VOICE; i++)
        if (text_equal(text_of(channel_names[i]), word))
            return 1u << i;
    return 0;
}

static int channels(reader *r, const json *in, const char *place, plan_level *to) {
    unsigned bits = 0;
    int fault = words(r, in, place, "channels", channel_bit, &bits);
    const json *list = json_get(in, "channels");
    for (size_t i = 0; fault == 0 && bits && i < json_length(list); i++)
        to->channels[i] = (plan_channel)__builtin_ctz(channel_bit(json_string(json_at(list, i))));
    return fault;
}

static int answer(reader *r, const json *in, const char *place, plan_level *to) {
    const json *value = NULL;
    if (!json_member(in, "answer", &value))
        return 0;
    to->everyone = text_equal(json_string(value), TEXT("everyone"));
    return to->everyone || text_equal(json_string(value), TEXT("anyone"))
               ? 0
               : document_refuse(&r->says, "%s.answer: is 'anyone' or 'everyone'", place);
}

static int level(reader *r, const json *from, const char *place, plan_level *to) {
    int64_t after_s = -1, gap_s = 60;
    int fault = document_object(&r->says, from, place, level_members, ARRAY_LEN(level_members));
    if (fault == 0)
        fault = integer(r, from, place, "after", 0, WEEK_S, &after_s);
    if (fault == 0 && after_s < 0)
        return document_refuse(&r->says, "%s.after: is missing", place);
    if (fault == 0)
        fault = integer(r, from, place, "gap", 0, 3600, &gap_s);
    if (fault == 0)
        fault = channels(r, from, place, to);
    if (fault == 0)
        fault = answer(r, from, place, to);
    if (fault == 0)
        fault = targets(r, from, place, "targets", &to->targets, &to->target_count);
    if (fault == 0 && to->target_count == 0)
        return document_refuse(&r->says, "%s.targets: is missing", place);
    to->after_ms = after_s * 1000;
    to->gap_ms = gap_s * 1000;
    return fault;
}

static int levels(reader *r, const json *in, const char *place, policy *to) {
    const json *list = json_get(in, "levels");
    int fault = array(r, list, place, "levels", PLAN_LEVELS_MAX);
    if (fault < 0)
        return fault;
    to->levels = keep(r, calloc(json_length(list), sizeof *to->levels));
    if (!to->levels)
        return -ENOMEM;
    to->level_count = json_length(list);
    for (size_t i = 0; fault == 0 && i < to->level_count; i++) {
        char here[PLACE_MAX];
        join(here, place, "levels", i);
        fault = level(r, json_at(list, i), here, &to->levels[i]);
        if (fault == 0 && i > 0 && to->levels[i].after_ms <= to->levels[i - 1].after_ms)
            return document_refuse(&r->says, "%s.after: must be more than that of the level before", here);
    }
    return fault;
}

/* ---- policies ---- */

static const char *const policy_members[] = {
    "name", "when", "levels", "rounds", "pause", "forgotten_after", "family_follows", "exhausted"};

static int when(reader *r, const json *in, const char *place, policy *to) {
    static const char *const members[] = {"types", "priorities"};
    char here[PLACE_MAX];
    const json *value = NULL;
    if (!json_member(in, "when", &value))
        return 0;
    document_spell(here, PLACE_MAX, "%s.when", place);
    int fault = document_object(&r->says, value, here, members, ARRAY_LEN(members));
    if (fault == 0)
        fault = words(r, value, here, "types", plan_type, &to->types);
    return fault < 0 ? fault : words(r, value, here, "priorities", plan_priority, &to->priorities);
}

static int times(reader *r, const json *from, const char *place, policy *to) {
    int64_t pause_s = 300, forgotten_s = 1800;
    to->rounds = 1;
    to->family_follows = true;
    int fault = integer(r, from, place, "rounds", 1, PLAN_ROUNDS_MAX, &to->rounds);
    if (fault == 0)
        fault = integer(r, from, place, "pause", 10, 86400, &pause_s);
    if (fault == 0)
        fault = integer(r, from, place, "forgotten_after", 0, WEEK_S, &forgotten_s);
    to->pause_ms = pause_s * 1000;
    to->forgotten_ms = forgotten_s * 1000;
    return fault < 0 ? fault : boolean(r, from, place, "family_follows", &to->family_follows);
}

static int read_policy(reader *r, const json *from, const char *place, policy *to) {
    text name = json_get_string(from, "name");
    int fault = document_object(&r->says, from, place, policy_members, ARRAY_LEN(policy_members));
    if (fault == 0 && !is_name(name, false))
        return document_refuse(&r->says, "%s.name: is missing, or no name", place);
    if (fault == 0 && plan_named(r->p, name))
        return document_refuse(&r->says, "%s.name: there are two called '%.64s'", place, name.ptr);
    if (fault == 0)
        fault = when(r, from, place, to);
    if (fault == 0)
        fault = levels(r, from, place, to);
    if (fault == 0)
        fault = times(r, from, place, to);
    if (fault == 0)
        fault = targets(r, from, place, "exhausted", &to->exhausted, &to->exhausted_count);
    return fault < 0 ? fault : copy(r, name, &to->name);
}

static int policies(reader *r, const json *body) {
    const json *list = json_get(body, "policies");
    int fault = array(r, list, "", "policies", PLAN_POLICIES_MAX);
    if (fault < 0)
        return fault;
    size_t count = json_length(list);
    r->p->policies = keep(r, calloc(count, sizeof *r->p->policies));
    if (!r->p->policies)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        char here[PLACE_MAX];
        policy *to = &r->p->policies[i];
        join(here, "", "policies", i);
        fault = read_policy(r, json_at(list, i), here, to);
        if (fault < 0)
            return fault;
        bool fits_all = to->types == 0 && to->priorities == 0;
        if (i + 1 == count && !fits_all)
            return document_refuse(&r->says, "%s.when: the last policy must fit every incident", here);
        if (i + 1 < count && fits_all)
            return document_refuse(&r->says, "%s: fits every incident, so those behind it are never used",
                                   here);
        r->p->policy_count++;
    }
    return 0;
}

/* ---- webhooks ---- */

static int read_webhook(void *context, const char *name, const json *value) {
    reader *r = context;
    webhook *to = &r->p->webhooks[r->p->webhook_count];
    text url = json_string(value);
    if (!is_name(text_of(name), false))
        return document_refuse(&r->says, "webhooks: '%.64s' is no name", name);
    if (!url.ptr || !is_url(url))
        return document_refuse(&r->says, "webhooks.%s: must be an http or https URL", name);
    int fault = copy(r, text_of(name), &to->name);
    if (fault == 0)
        fault = copy(r, url, &to->url);
    if (fault == 0)
        r->p->webhook_count++;
    return fault;
}

static int webhooks(reader *r, const json *body) {
    const json *list = NULL;
    if (!json_member(body, "webhooks", &list))
        return 0;
    if (json_kind_of(list) != JSON_OBJECT || json_length(list) > WEBHOOKS_MAX)
        return document_refuse(&r->says, "webhooks: must be an object of at most %d", WEBHOOKS_MAX);
    r->p->webhooks = keep(r, calloc(json_length(list) + 1, sizeof *r->p->webhooks));
    return r->p->webhooks ? json_each(list, read_webhook, r) : -ENOMEM;
}

/* ---- a plan ---- */

static int whole(reader *r, const json *body) {
    static const char *const members[] = {"v", "policies", "webhooks", "trouble"};
    const json *v = json_get(body, "v");
    int fault = document_object(&r->says, body, "", members, ARRAY_LEN(members));
    if (fault == 0 && (json_kind_of(v) != JSON_INTEGER || json_integer(v) != 1))
        return document_refuse(&r->says, "v: must be 1");
    if (fault == 0)
        fault = webhooks(r, body);
    if (fault == 0)
        fault = policies(r, body);
    return fault < 0 ? fault : targets(r, body, "", "trouble", &r->p->trouble, &r->p->trouble_count);
}

int plan_parse(const json *body, plan **ret_plan, char ret_why[PLAN_WHY_MAX]) {
    reader r = {calloc(1, sizeof(plan)), {ret_why, PLAN_WHY_MAX}};
    if (!r.p)
        return -ENOMEM;
    int fault = whole(&r, body);
    if (fault < 0)
        (void)plan_free(r.p);
    else
        *ret_plan = r.p;
    return fault;
}

plan *plan_free(plan *p) {
    if (!p)
        return NULL;
    for (size_t i = 0; i < p->owned_count; i++)
        free(p->owned[i]);
    free(p->owned);
    free(p);
    return NULL;
}

size_t plan_policies(const plan *p) {
    return p->policy_count;
}

const policy *plan_policy(const plan *p, size_t index) {
    return index < p->policy_count ? &p->policies[index] : NULL;
}

const policy *plan_named(const plan *p, text name) {
    for (size_t i = 0; i < p->policy_count; i++)
        if (text_equal(p->policies[i].name, name))
            return &p->policies[i];
    return NULL;
}

const policy *plan_choose(const plan *p, text type, text priority) {
    const policy *at = p->policies, *last = p->policies + p->policy_count - 1;
    while (at < last && ((at->types && !(at->types & plan_type(type))) ||
                         (at->priorities && !(at->priorities & plan_priority(priority)))))
        at++;
    return at;
}

const webhook *plan_webhook(const plan *p, text name) {
    for (size_t i = 0; i < p->webhook_count; i++)
        if (text_equal(p->webhooks[i].name, name))
            return &p->webhooks[i];
    return NULL;
}

const plan_target *plan_trouble(const plan *p, size_t *ret_count) {
    *ret_count = p->trouble_count;
    return p->trouble;
}
