/* catalog.c - see catalog.h. Several types may share a schema: each is compiled once, and owned by the first
 * entry that uses it. */
#include "msg/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(CATALOG_WHY_MAX >= SCHEMA_READ_WHY_MAX, "one sentence is handed on in the other's room");

typedef struct entry {
    const msg_type *type;
    schema *rules;
    bool shared; /* an earlier entry owns it */
} entry;

struct catalog {
    catalog_limits limits;
    json_parser *parser;
    entry *entries;
    size_t count;
};

const char *msg_verdict_name(msg_verdict v) {
    switch (v) {
    case MSG_REFUSED:
        return "refused";
    case MSG_ACCEPTED:
        return "accepted";
    case MSG_TOO_LARGE:
        return "too_large";
    case MSG_NOT_UTF8:
        return "not_utf8";
    case MSG_MALFORMED:
        return "malformed";
    case MSG_TOO_DEEP:
        return "too_deep";
    case MSG_INVALID:
        return "invalid";
    case MSG_FROM_FUTURE:
        return "from_future";
    case MSG_NO_MEMORY:
        return "no_memory";
    case MSG_VERDICTS:
        break;
    }
    return "refused";
}

static int load_entry(catalog *c, const char *dir, const msg_type *type, char ret_why[CATALOG_WHY_MAX]) {
    char path[4096];
    entry *e = &c->entries[c->count];
    e->type = type;
    for (size_t i = 0; i < c->count && !e->shared; i++) {
        if (strcmp(c->entries[i].type->schema, type->schema) == 0) {
            e->rules = c->entries[i].rules;
            e->shared = true;
        }
    }
    int len = snprintf(path, sizeof path, "%s/%s.json", dir, type->schema);
    if (len < 0 || (size_t)len >= sizeof path) {
        (void)snprintf(ret_why, CATALOG_WHY_MAX, "%.200s...: is too long a path", dir);
        return -ENAMETOOLONG;
    }
    int fault = e->shared ? 0 : schema_read(path, &e->rules, ret_why);
    if (fault == 0)
        c->count++;
    return fault;
}

int catalog_load(const char *dir, const catalog_limits *limits, catalog **ret_catalog,
                 char ret_why[CATALOG_WHY_MAX]) {
    CLEANUP(catalog_freep) catalog *c = calloc(1, sizeof *c);
    size_t types = 0;
    (void)snprintf(ret_why, CATALOG_WHY_MAX, "out of memory");
    while (msg_types[types])
        types++;
    if (!c)
        return -ENOMEM;
    c->limits = *limits;
    c->parser = json_parser_new(limits->depth_max);
    c->entries = calloc(types + 1, sizeof *c->entries);
    if (!c->parser || !c->entries)
        return -ENOMEM;
    for (size_t i = 0; i < types; i++) {
        int fault = load_entry(c, dir, msg_types[i], ret_why);
        if (fault < 0)
            return fault;
    }
    ret_why[0] = '\0';
    *ret_catalog = c;
    c = NULL;
    return 0;
}

catalog *catalog_free(catalog *c) {
    if (c) {
        for (size_t i = 0; i < c->count; i++)
            if (!c->entries[i].shared)
                schema_free(c->entries[i].rules);
        free(c->entries);
        json_parser_free(c->parser);
        free(c);
    }
    return NULL;
}

static msg_verdict of_json(json_verdict verdict) {
    switch (verdict) {
    case JSON_OK:
        return MSG_ACCEPTED;
    case JSON_NOT_UTF8:
        return MSG_NOT_UTF8;
    case JSON_TOO_DEEP:
        return MSG_TOO_DEEP;
    case JSON_NO_MEMORY:
        return MSG_NO_MEMORY;
    case JSON_MALFORMED:
    case JSON_DUPLICATE_MEMBER:
        break;
    }
    return MSG_MALFORMED;
}

static bool fits(size_t len, size_t most, char ret_why[CATALOG_WHY_MAX]) {
    if (len > most)
        (void)snprintf(ret_why, CATALOG_WHY_MAX, "%zu bytes are more than the %zu allowed", len, most);
    return len <= most;
}

static msg_verdict parse(catalog *c, text payload, json **ret_body, char ret_why[CATALOG_WHY_MAX]) {
    size_t offset = 0;
    json_verdict verdict = json_parse(c->parser, payload, ret_body, &offset);
    if (verdict == JSON_MALFORMED)
        (void)snprintf(ret_why, CATALOG_WHY_MAX, "malformed JSON at byte %zu", offset);
    else if (verdict != JSON_OK)
        (void)snprintf(ret_why, CATALOG_WHY_MAX, "%s", json_verdict_name(verdict));
    return of_json(verdict);
}

static const schema *rules_of(const catalog *c, const msg_type *type) {
    for (size_t i = 0; i < c->count; i++)
        if (c->entries[i].type == type)
            return c->entries[i].rules;
    return NULL;
}

static bool has_pages(const msg_type *type) {
    for (const msg_type *const *row = msg_types; *row; row++)
        if ((*row)->kind && (*row)->family == type->family && strcmp((*row)->leaf, type->leaf) == 0)
            return true;
    return false;
}

/* False when the body has no proper id. */
static bool take_id(const json *body, uuid *ret_id, char ret_text[UUID_TEXT_LEN + 1]) {
    text id = json_get_string(body, "id");
    if (!id.ptr || !uuid_is_v7_text(id) || uuid_parse(id, ret_id) < 0)
        return false;
    memcpy(ret_text, id.ptr, UUID_TEXT_LEN);
    ret_text[UUID_TEXT_LEN] = '\0';
    return true;
}

/* The id orders and partitions the tables by the time inside it, so that may not lie ahead either. */
static msg_verdict check_times(const uuid *id, instant at, instant latest, char ret_why[CATALOG_WHY_MAX]) {
    bool id_ahead = uuid7_unix_ms(id) > latest / 1000;
    if (at <= latest && !id_ahead)
        return MSG_ACCEPTED;
    (void)snprintf(ret_why, CATALOG_WHY_MAX, "/%s: lies in the future; is the clock of the device right?",
                   at > latest ? "ts" : "id");
    return MSG_FROM_FUTURE;
}

/* A schema says how `ts` is written, but not how many days a month has; and it may not ask for an id at all.
 */
static msg_verdict judge(const catalog *c, const schema *rules, const json *body, bool has_id, instant now,
                         msg_checked *found, char ret_why[CATALOG_WHY_MAX]) {
    char why[SCHEMA_WHY_MAX] = "";
    if (!schema_accepts(rules, body, why)) {
        (void)snprintf(ret_why, CATALOG_WHY_MAX, "%s", why);
        return MSG_INVALID;
    }
    text ts = json_get_string(body, "ts");
    if (!has_id || !ts.ptr || instant_parse(ts, &found->at) < 0) {
        (void)snprintf(ret_why, CATALOG_WHY_MAX, "%s", has_id ? "/ts: is no moment" : "/id: is no UUIDv7");
        return MSG_INVALID;
    }
    return check_times(&found->id, found->at, now + c->limits.clock_skew, ret_why);
}

msg_verdict msg_check(catalog *c, const msg_type *type, text payload, instant now, msg_checked *ret_checked,
                      char ret_why[CATALOG_WHY_MAX], char ret_id[UUID_TEXT_LEN + 1]) {
    CLEANUP(json_freep) json *body = NULL;
    msg_checked found = {0};
    ret_id[0] = ret_why[0] = '\0';
    if (!rules_of(c, type)) {
        (void)snprintf(ret_why, CATALOG_WHY_MAX, "is of a type without a schema");
        return MSG_REFUSED;
    }
    size_t most = c->limits.payload_max;
    if (!fits(payload.len, most + (has_pages(type) ? CATALOG_PAGE_ROOM : 0), ret_why))
        return MSG_TOO_LARGE;
    msg_verdict verdict = parse(c, payload, &body, ret_why);
    if (verdict != MSG_ACCEPTED)
        return verdict;
    found.type = msg_type_of(type, body);
    if (!found.type->kind && !fits(payload.len, most, ret_why))
        return MSG_TOO_LARGE;
    const schema *rules = rules_of(c, found.type);
    bool has_id = take_id(body, &found.id, ret_id);
    verdict = judge(c, rules, body, has_id, now, &found, ret_why);
    if (verdict != MSG_ACCEPTED)
        return verdict;
    found.body = body;
    body = NULL;
    *ret_checked = found;
    return MSG_ACCEPTED;
}
