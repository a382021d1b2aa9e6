/* effect.c - what some messages change besides their own row: one row of a table for each such type.
 *
 * A raise opens its incident however often it comes, and even when its message id was used before: better an
 * incident twice looked at than none. An action counts only when its message is new, so that a repeat that
 * arrives late cannot undo what was done since. The rights were settled when the message was accepted; they
 * are looked at once more here, by the roles that the journal kept and by what the database knows now. */
#include "store/effect_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LIMIT (16u << 20)
#define LISTENS_FOR 4 /* times pin_tries */

typedef struct effect {
    const char *type;
    bool also_repeats; /* also when the message was stored before, or refused for a used id */
    pg_verdict (*apply)(situation *s);
} effect;

static const char *keep(situation *s, char *word) {
    if (!word || s->word_count == ARRAY_LEN(s->words)) {
        free(word);
        s->mute = true;
        return NULL;
    }
    return s->words[s->word_count++] = word;
}

const char *say(situation *s, text t) {
    return t.ptr ? keep(s, text_copy(t)) : NULL;
}

const char *say_number(situation *s, int64_t value) {
    char spelled[24];
    (void)snprintf(spelled, sizeof spelled, "%" PRId64, value);
    return say(s, text_of(spelled));
}

pg_verdict ask(situation *s, const char *sql, size_t count, const char *const *params, pg_rows **ret_rows) {
    return s->mute ? PG_RETRY : pg_query(s->c, sql, count, params, ret_rows);
}

void add_element(buf *to, text element) {
    buf_add_text(to, to->len > 1 ? TEXT(",\"") : TEXT("\""));
    for (size_t i = 0; i < element.len; i++) {
        if (element.ptr[i] == '"' || element.ptr[i] == '\\')
            buf_add_char(to, '\\');
        buf_add_char(to, element.ptr[i]);
    }
    buf_add_char(to, '"');
}

pg_verdict pin_tried(situation *s, bool fits) {
    static const char sql[] = "SELECT mayday.pin_tried($1, $2, $3, $4, $5 * interval '1 ms')";
    const char *params[] = {say(s, s->r.org), say(s, s->r.sender), fits ? "true" : "false",
                            say_number(s, s->l->rules.pin_tries), say_number(s, s->l->rules.pin_lock_ms)};
    return ask(s, sql, ARRAY_LEN(params), params, NULL);
}

bool pin_listens(const situation *s, int64_t failures) {
    return failures < LISTENS_FOR * s->l->rules.pin_tries;
}

/* Mayday's gateway raises for people who cannot; nobody else raises for another. */
static text raiser(const situation *s) {
    return record_actor(&s->r, json_get_string(s->body, "person"));
}

static int put_text(json *to, const char *name, text t) {
    return t.ptr ? json_put(to, name, json_new_string(t)) : 0;
}

static int put_shared(json *to, const char *name, const json *value) {
    return value ? json_put(to, name, json_share(value)) : 0;
}

/* One raise as mayday.open_alerts() takes it. */
static int spell_raise(const situation *s, json *to) {
    char received[INSTANT_TEXT_LEN + 1];
    const json *place = json_get(s->body, "location");
    instant_format(s->r.received_at, received);
    if (put_text(to, "org", s->r.org) < 0 || put_text(to, "alert", s->where.id) < 0 ||
        put_text(to, "sender", s->r.sender) < 0 || put_text(to, "person", raiser(s)) < 0 ||
        put_text(to, "at", json_get_string(s->body, "ts")) < 0 ||
        put_text(to, "received_at", text_of(received)) < 0 ||
        put_shared(to, "type", json_get(s->body, "type")) < 0 ||
        put_shared(to, "priority", json_get(s->body, "priority")) < 0 ||
        put_shared(to, "lat", json_get(place, "lat")) < 0 ||
        put_shared(to, "lon", json_get(place, "lon")) < 0 ||
        put_shared(to, "silent", json_get(s->body, "silent")) < 0 ||
        json_put(to, "offline", json_new_bool(s->offline)) < 0 ||
        json_put(to, "fresh", json_new_bool(s->fresh)) < 0)
        return -ENOMEM;
    return 0;
}

static void add_raise(const situation *s, buf *raises) {
    CLEANUP(json_freep) json *one = json_new_object();
    if (!one || spell_raise(s, one) < 0) {
        raises->fault = -ENOMEM;
        return;
    }
    buf_add_char(raises, raises->len == 0 ? '[' : ',');
    json_print(one, raises);
}

static pg_verdict open_alerts(load *l, buf *raises) {
    char window[24];
    if (raises->len == 0 && buf_failed(raises) == 0)
        return PG_DONE;
    buf_add_char(raises, ']');
    if (buf_failed(raises) < 0)
        return PG_RETRY;
    (void)snprintf(window, sizeof window, "%" PRId64, l->rules.join_window_ms);
    const char *params[] = {raises->ptr, window};
    pg_verdict verdict = pg_query(l->c, "SELECT mayday.open_alerts($1, $2 * interval '1 ms')",
                                  ARRAY_LEN(params), params, NULL);
    buf_clear(raises);
    return verdict;
}

static pg_verdict effect_raise(situation *s) {
    CLEANUP(buf_release) buf raises = BUF(ARRAY_LIMIT);
    add_raise(s, &raises);
    return open_alerts(s->l, &raises);
}

static const effect effects[] = {
    {"raise", true, effect_raise},
    {"action", false, effect_action},
    {"settings", false, effect_settings},
    {"reply", false, effect_reply},
};

static const effect *find(const batch_row *row) {
    for (size_t i = 0; row->type && row->len > 0 && !row->collapsed && i < ARRAY_LEN(effects); i++)
        if (strcmp(row->type->name, effects[i].type) == 0)
            return row->fate == BATCH_FRESH || effects[i].also_repeats ? &effects[i] : NULL;
    return NULL;
}

bool effect_exists(const batch_row *row) {
    return find(row) != NULL;
}

/* What was decoded and parsed once already; only for want of memory can it fail now. */
static int understand(situation *s, const batch_row *row, json **ret_body) {
    text at;
    if (record_decode(batch_raw(s->l->b, row), &s->r) < 0 || !address_parse(s->r.topic, &s->where) ||
        json_parse(s->l->b->parser, s->r.payload, ret_body, NULL) != JSON_OK)
        return -1;
    s->body = *ret_body;
    s->fresh = row->fate == BATCH_FRESH;
    s->offline = json_boolean(json_get(s->body, "offline"));
    at = json_get_string(s->body, "ts");
    uuid_format(&row->id, s->id);
    return instant_parse(at, &s->at);
}

/* Before the first effect of a batch. */

typedef struct candidate {
    text org, sender;
    batch_row *row;
} candidate;

static int compare_texts(text a, text b) {
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_person(const void *left, const void *right) {
    const candidate *a = left, *b = right;
    int order = compare_texts(a->org, b->org);
    if (order == 0)
        order = compare_texts(a->sender, b->sender);
    return order != 0 ? order : (a->row->seq > b->row->seq) - (a->row->seq < b->row->seq);
}

static bool same_person(const candidate *a, const candidate *b) {
    return text_equal(a->org, b->org) && text_equal(a->sender, b->sender);
}

static bool is_repeat(const batch_row *row) {
    const effect *e = row->repeat ? find(row) : NULL;
    return e && e->apply == effect_raise;
}

/* Of the raises beyond a person's rate, the last of the batch stands for all: the others are stored and do
 * nothing more, so that a flood costs one incident. */
static pg_verdict collapse(batch *b) {
    CLEANUP(freep) candidate *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < b->count; i++)
        count += is_repeat(&b->rows[i]);
    if (count < 2)
        return PG_DONE;
    found = calloc(count, sizeof *found);
    if (!found)
        return PG_RETRY;
    count = 0;
    for (size_t i = 0; i < b->count; i++) {
        record r;
        if (!is_repeat(&b->rows[i]))
            continue;
        if (record_decode(batch_raw(b, &b->rows[i]), &r) < 0)
            return PG_RETRY;
        if (!has_role(r.roles, TEXT("gateway"))) /* it raises for many */
            found[count++] = (candidate){r.org, r.sender, &b->rows[i]};
    }
    qsort(found, count, sizeof *found, by_person);
    for (size_t i = 0; i + 1 < count; i++)
        found[i].row->collapsed = same_person(&found[i], &found[i + 1]);
    return PG_DONE;
}

/* All writers lock the incidents of a batch in one order before they change the first. */
static pg_verdict lock_incidents(load *l) {
    CLEANUP(buf_release) buf orgs = BUF(ARRAY_LIMIT), alerts = BUF(ARRAY_LIMIT);
    size_t count = 0;
    buf_add_char(&orgs, '{');
    buf_add_char(&alerts, '{');
    for (size_t i = 0; i < l->b->count; i++) {
        const batch_row *row = &l->b->rows[i];
        record r;
        address where;
        const effect *e = find(row);
        if (!e || e->apply != effect_action)
            continue;
        if (record_decode(batch_raw(l->b, row), &r) < 0 || !address_parse(r.topic, &where))
            return PG_RETRY;
        add_element(&orgs, r.org);
        add_element(&alerts, where.id);
        count++;
    }
    buf_add_char(&orgs, '}');
    buf_add_char(&alerts, '}');
    if (buf_failed(&orgs) < 0 || buf_failed(&alerts) < 0)
        return PG_RETRY;
    const char *params[] = {orgs.ptr, alerts.ptr};
    return count < 2 ? PG_DONE : pg_query(l->c, "SELECT mayday.lock_incidents($1, $2)", 2, params, NULL);
}

pg_verdict effects_prepare(load *l) {
    pg_verdict verdict = collapse(l->b);
    return verdict == PG_DONE ? lock_incidents(l) : verdict;
}

/* `raises`, when not NULL, takes a raise up instead of its being opened at once. */
static pg_verdict run(load *l, const batch_row *row, const effect *e, buf *raises) {
    CLEANUP(json_freep) json *body = NULL;
    situation s = {.l = l, .c = l->c};
    pg_verdict verdict = PG_DONE;
    if (understand(&s, row, &body) < 0)
        return PG_RETRY;
    if (raises && e->apply == effect_raise)
        add_raise(&s, raises);
    else
        verdict = e->apply(&s);
    for (size_t i = 0; i < s.word_count; i++)
        free(s.words[i]);
    return verdict;
}

pg_verdict effect_of(load *l, const batch_row *row) {
    const effect *e = find(row);
    return e ? run(l, row, e, NULL) : PG_DONE;
}

pg_verdict effects_of_all(load *l) {
    CLEANUP(buf_release) buf raises = BUF(ARRAY_LIMIT * 2);
    pg_verdict verdict = effects_prepare(l);
    for (size_t i = 0; verdict == PG_DONE && i < l->b->count; i++) {
        const effect *e = find(&l->b->rows[i]);
        if (!e)
            continue;
        if (e->apply != effect_raise || raises.len > ARRAY_LIMIT)
            verdict = open_alerts(l, &raises);
        if (verdict == PG_DONE)
            verdict = run(l, &l->b->rows[i], e, &raises);
    }
    return verdict == PG_DONE ? open_alerts(l, &raises) : verdict;
}
