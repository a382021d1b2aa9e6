/* effect_reply.c - what an answer to "Are you OK?" is worth, before it is counted (mayday.settle_replies).
 *
 * With a PIN: whoever took somebody's phone does not know it, and whoever is forced to say that all is well
 * gives the other one. From somebody else: dispatch alone answers for others, by the roles they had when they
 * did. */
#include "core/pin.h"
#include "store/effect_inside.h"

static const char *const words[] = {[PIN_WRONG] = "wrong", [PIN_RIGHT] = "right", [PIN_DURESS] = "duress"};

static pg_verdict conclude(situation *s, pin_verdict is) {
    const char *params[] = {s->id, words[is]};
    return ask(s, "SELECT mayday.reply_judged($1, $2)", ARRAY_LEN(params), params, NULL);
}

/* While the PIN is locked only the duress PIN is listened to. */
static pg_verdict judge(situation *s, const own_pins *o, text pin) {
    bool listens = pin_listens(s, o->pin_failures);
    pin_verdict is = listens ? pin_judge(pin, o->pin, o->duress_pin) : PIN_WRONG;
    is = o->pin_locked && is == PIN_RIGHT ? PIN_WRONG : is;
    pg_verdict verdict = pin_tried(s, is != PIN_WRONG);
    return verdict == PG_DONE ? conclude(s, is) : verdict;
}

static pg_verdict answered_for(situation *s) {
    const char *params[] = {s->id};
    if (!has_role(s->r.roles, TEXT("dispatcher")))
        return PG_DONE;
    return ask(s, "SELECT mayday.reply_for_them($1)", ARRAY_LEN(params), params, NULL);
}

pg_verdict effect_reply(situation *s) {
    text pin = json_get_string(s->body, "pin");
    own_pins o = {0};
    if (!text_equal(s->where.id, s->r.sender))
        return answered_for(s);
    if (!pin.ptr)
        return PG_DONE;
    pg_verdict verdict = own_lock(s, &o);
    if (verdict == PG_DONE && o.pin.ptr) /* else nobody asked for one */
        verdict = judge(s, &o, pin);
    (void)pg_rows_free(o.rows);
    return verdict;
}
