/* effect.c - what some messages change besides their own row: one row of a table for each such type.
 *
 * A raise opens its incident however often it comes, and even when its message id was used before: better an
 * incident twice looked at than none. An action counts only when its message is new, so that a repeat that
 * arrives late cannot undo what was done since. The rights were settled when the message was accepted; who
 * may change memberships is looked at once more here, by the roles that the journal kept. */
#include "store/load_inside.h"

#include <stdio.h>
#include <string.h>

typedef struct situation {
    pg *c;
    record r;
    address where;
    const json *body;
} situation;

typedef struct effect {
    const char *type;
    bool also_repeats; /* also when the message was stored before, or refused for a used id */
    pg_verdict (*apply)(const situation *s);
} effect;

static bool has_role(text roles, text role) {
    text one;
    while (text_next(&roles, ' ', &one))
        if (text_equal(one, role))
            return true;
    return false;
}

static const char *add_z(buf *to, text t) {
    buf_clear(to);
    buf_add_text(to, t);
    return t.ptr && buf_failed(to) == 0 ? to->ptr : NULL;
}

static const char *add_coordinate(buf *to, const json *place, const char *name) {
    const json *value = json_get(place, name);
    if (!value)
        return NULL;
    buf_clear(to);
    buf_printf(to, "%.17g", json_number(value));
    return buf_failed(to) == 0 ? to->ptr : NULL;
}

static const char *boolean(const json *body, const char *name) {
    const json *value = json_get(body, name);
    return json_kind_of(value) == JSON_BOOL && json_boolean(value) ? "true" : "false";
}

enum {
    SHORT = 1 << 10
};

static pg_verdict open_alert(const situation *s) {
    static const char sql[] = "SELECT mayday.open_alert($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    CLEANUP(buf_release) buf org = BUF(SHORT), alert = BUF(SHORT), person = BUF(SHORT), at = BUF(SHORT);
    CLEANUP(buf_release) buf type = BUF(SHORT), priority = BUF(SHORT), lat = BUF(SHORT), lon = BUF(SHORT);
    char received[INSTANT_TEXT_LEN + 1];
    const json *place = json_get(s->body, "location");
    instant_format(s->r.received_at, received);
    const char *params[] = {add_z(&org, s->r.org),
                            add_z(&alert, s->where.id),
                            add_z(&person, s->r.sender),
                            add_z(&at, json_get_string(s->body, "ts")),
                            received,
                            add_z(&type, json_get_string(s->body, "type")),
                            add_z(&priority, json_get_string(s->body, "priority")),
                            add_coordinate(&lat, place, "lat"),
                            add_coordinate(&lon, place, "lon"),
                            boolean(s->body, "silent"),
                            boolean(s->body, "offline")};
    return pg_query(s->c, sql, ARRAY_LEN(params), params, NULL);
}

static pg_verdict change_members(const situation *s) {
    static const char join[] = "SELECT mayday.join_alert($1, $2, $3, $4, $5)";
    static const char leave[] = "SELECT mayday.leave_alert($1, $2, $3, $4)";
    text action = json_get_string(s->body, "action"), person = json_get_string(s->body, "person");
    bool assign = text_equal(action, TEXT("assign")), invite = text_equal(action, TEXT("invite"));
    bool unassign = text_equal(action, TEXT("unassign"));
    bool entitled = has_role(s->r.roles, TEXT("dispatcher")) || has_role(s->r.roles, TEXT("supervisor"));
    if (!entitled || !topic_level_valid(person) || (!assign && !invite && !unassign))
        return PG_DONE;
    CLEANUP(buf_release) buf org = BUF(SHORT), alert = BUF(SHORT), who = BUF(SHORT), by = BUF(SHORT);
    const char *in[] = {add_z(&org, s->r.org), add_z(&alert, s->where.id), add_z(&who, person),
                        assign ? "assigned" : "invited", add_z(&by, s->r.sender)};
    const char *out[] = {in[0], in[1], in[2], in[4]};
    if (unassign)
        return pg_query(s->c, leave, ARRAY_LEN(out), out, NULL);
    return pg_query(s->c, join, ARRAY_LEN(in), in, NULL);
}

static const effect effects[] = {
    {"raise", true, open_alert},
    {"action", false, change_members},
};

static const effect *find(const batch_row *row) {
    for (size_t i = 0; row->type && row->len > 0 && i < ARRAY_LEN(effects); i++)
        if (strcmp(row->type->name, effects[i].type) == 0)
            return row->fate == BATCH_FRESH || effects[i].also_repeats ? &effects[i] : NULL;
    return NULL;
}

bool effect_exists(const batch_row *row) {
    return find(row) != NULL;
}

pg_verdict effect_of(load *l, const batch_row *row) {
    CLEANUP(json_freep) json *body = NULL;
    situation s = {.c = l->c};
    const effect *e = find(row);
    /* It was decoded and parsed once already; only for want of memory can it fail now. */
    if (!e)
        return PG_DONE;
    if (record_decode(batch_raw(l->b, row), &s.r) < 0 || !address_parse(s.r.topic, &s.where) ||
        json_parse(l->b->parser, s.r.payload, &body, NULL) != JSON_OK)
        return PG_RETRY;
    s.body = body;
    return e->apply(&s);
}
