/* effect_settings.c - what a person sets for themselves: PINs, which become hashes here and are kept nowhere
 * else, family contacts and the language. Once there is a PIN, changing PINs needs it. */
#include "core/pin.h"
#include "store/effect_inside.h"

#include <stdlib.h>

#define FAMILY_LIMIT (64u << 10)

pg_verdict own_lock(situation *s, own_pins *ret_own) {
    static const char sql[] =
        "SELECT pin, duress_pin, pin_failures, pin_locked FROM mayday.person_lock($1, $2)";
    const char *params[] = {say(s, s->r.org), say(s, s->r.sender)};
    pg_rows *rows = NULL;
    pg_verdict verdict = ask(s, sql, ARRAY_LEN(params), params, &rows);
    if (verdict != PG_DONE)
        return verdict;
    if (pg_rows_count(rows) == 0) {
        pg_rows_free(rows);
        return PG_RETRY;
    }
    *ret_own = (own_pins){.rows = rows, .pin_locked = *pg_value(rows, 0, 3) == 't'};
    if (!pg_is_null(rows, 0, 0))
        ret_own->pin = text_of(pg_value(rows, 0, 0));
    if (!pg_is_null(rows, 0, 1))
        ret_own->duress_pin = text_of(pg_value(rows, 0, 1));
    if (text_to_i64(text_of(pg_value(rows, 0, 2)), 0, INT32_MAX, &ret_own->pin_failures) < 0)
        ret_own->pin_failures = INT32_MAX;
    return PG_DONE;
}

typedef struct change {
    const char *verdict, *detail;
    const char *pin, *duress_pin, *lang, *family; /* NULL: stays */
} change;

static pg_verdict conclude(situation *s, const change *c) {
    static const char sql[] = "SELECT mayday.settings_apply($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    const char *params[] = {say(s, s->r.org),
                            s->id,
                            say(s, s->r.sender),
                            say(s, s->r.topic),
                            c->verdict,
                            c->detail,
                            c->pin,
                            c->duress_pin,
                            c->lang,
                            c->family};
    return ask(s, sql, ARRAY_LEN(params), params, NULL);
}

static pg_verdict refuse(situation *s, const char *verdict, const char *detail) {
    change c = {.verdict = verdict, .detail = detail};
    return conclude(s, &c);
}

static pg_verdict call_for_help(situation *s) {
    const char *params[] = {say(s, s->r.org), s->id, say(s, s->r.sender)};
    return ask(s, "SELECT mayday.person_duress($1, $2, $3)", ARRAY_LEN(params), params, NULL);
}

/* *ret_is: PIN_RIGHT when whoever sent this knows the PIN, or there was none. The duress PIN in its place is
 * a call for help, and on the screen the PIN: were it refused, whoever forces it out of somebody could try
 * here which of the two they were told. */
static pg_verdict check_current(situation *s, const own_pins *o, pin_verdict *ret_is) {
    text current = json_get_string(s->body, "current_pin");
    *ret_is = PIN_RIGHT;
    if (!o->pin.ptr)
        return PG_DONE;
    bool listens = current.ptr && pin_listens(s, o->pin_failures);
    pin_verdict is = listens ? pin_judge(current, o->pin, o->duress_pin) : PIN_WRONG;
    pg_verdict verdict = is == PIN_DURESS ? call_for_help(s) : PG_DONE;
    *ret_is = o->pin_locked ? PIN_WRONG : is;
    return verdict == PG_DONE ? pin_tried(s, *ret_is != PIN_WRONG) : verdict;
}

static int hash(situation *s, text pin, const char **ret_hash) {
    char spelled[PIN_HASH_MAX];
    if (!pin.ptr)
        return 0;
    if (pin_hash(pin, spelled) < 0)
        return -1;
    *ret_hash = say(s, text_of(spelled));
    return 0;
}

/* The new PINs. Under duress the new PIN becomes the duress PIN: whoever tries it sees it work, and the
 * person's own is still theirs. */
static int hash_pins(situation *s, bool duress, text pin, text duress_pin, change *c) {
    if (duress)
        return hash(s, pin, &c->duress_pin);
    return hash(s, pin, &c->pin) < 0 ? -1 : hash(s, duress_pin, &c->duress_pin);
}

static pg_verdict apply(situation *s, const own_pins *o, bool duress) {
    text pin = json_get_string(s->body, "pin"), duress_pin = json_get_string(s->body, "duress_pin");
    const json *family = json_get(s->body, "family");
    CLEANUP(buf_release) buf contacts = BUF(FAMILY_LIMIT);
    change c = {.verdict = "applied", .lang = say(s, json_get_string(s->body, "lang"))};
    bool same = duress_pin.ptr ? text_equal(pin, duress_pin)
                               : pin.ptr && pin_fits(pin, duress ? o->pin : o->duress_pin);
    if (same)
        return refuse(s, "same_pins", "the duress PIN must differ from the PIN");
    if (hash_pins(s, duress, pin, duress_pin, &c) < 0)
        return PG_RETRY;
    if (json_kind_of(family) == JSON_ARRAY) {
        buf_add_char(&contacts, '{');
        for (size_t i = 0; i < json_length(family); i++)
            add_element(&contacts, json_string(json_at(family, i)));
        buf_add_char(&contacts, '}');
        if (buf_failed(&contacts) < 0)
            return PG_RETRY;
        c.family = contacts.ptr;
    }
    return conclude(s, &c);
}

static pg_verdict judge(situation *s, const own_pins *o) {
    bool wants_pins = json_get(s->body, "pin") || json_get(s->body, "duress_pin");
    pin_verdict is = PIN_RIGHT;
    if (!text_equal(s->where.id, s->r.sender))
        return refuse(s, "not_allowed", "settings are everybody's own");
    pg_verdict verdict = wants_pins ? check_current(s, o, &is) : PG_DONE;
    if (verdict != PG_DONE)
        return verdict;
    if (is != PIN_WRONG)
        return apply(s, o, is == PIN_DURESS);
    return o->pin_locked ? refuse(s, "pin_locked", "too many wrong PINs: none is taken for a while")
                         : refuse(s, "bad_pin", "the current PIN is wrong or missing");
}

pg_verdict effect_settings(situation *s) {
    own_pins o = {0};
    pg_verdict verdict = own_lock(s, &o);
    if (verdict == PG_DONE)
        verdict = judge(s, &o);
    pg_rows_free(o.rows);
    return verdict;
}
