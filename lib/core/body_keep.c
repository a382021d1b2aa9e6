/* body_keep.c - a body as JSON, and back: one walk over its fields, in one order, for both ways.
 *
 *   {"v": 1, "body": [number or null, ...], "rules": [[...], ...]}
 *
 * Numbers are written with as many digits as it takes to read the very same number back; null: not known.
 * Only rules that have something to remember are written. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/body_private.h"

typedef struct walk {
    buf *to;          /* writing, or NULL: */
    const json *from; /* reading */
    size_t at;
    bool bad;
} walk;

static const json *next(walk *w) {
    return json_at(w->from, w->at);
}

static void number(walk *w, double *n, double least, double most) {
    if (w->to) {
        const char *comma = w->at ? "," : "";
        if (isnan(*n))
            buf_printf(w->to, "%snull", comma);
        else
            buf_printf(w->to, "%s%.17g", comma, *n);
    } else {
        json_kind kind = json_kind_of(next(w));
        *n = kind == JSON_NULL ? NAN : json_number(next(w));
        if (kind != JSON_NULL &&
            ((kind != JSON_INTEGER && kind != JSON_NUMBER) || !(*n >= least && *n <= most)))
            w->bad = true;
    }
    w->at++;
}

static void integer(walk *w, int64_t *n, int64_t least, int64_t most) {
    if (w->to) {
        buf_printf(w->to, "%s%lld", w->at ? "," : "", (long long)*n);
    } else {
        *n = json_kind_of(next(w)) == JSON_INTEGER ? json_integer(next(w)) : INT64_MIN;
        if (*n < least || *n > most) {
            w->bad = true;
            *n = least;
        }
    }
    w->at++;
}

#define COUNT_MOST  (INT64_C(1) << 50)
#define MOMENT_MOST INT64_C(253402300799999999) /* the end of 9999 */

static void moment(walk *w, instant *t) {
    integer(w, t, 0, MOMENT_MOST);
}

static void count(walk *w, int64_t *n) {
    integer(w, n, 0, COUNT_MOST);
}

static void walk_course(walk *w, course *c) {
    const double far = 1e6;
    number(w, &c->value, 0, far);
    moment(w, &c->at);
    count(w, &c->gap_us);
    number(w, &c->usual, 0, far);
    number(w, &c->fast, 0, far);
    number(w, &c->slow, 0, far);
    count(w, &c->learned_ms);
    number(w, &c->rumour, 0, far);
    moment(w, &c->rumour_since);
    moment(w, &c->rumour_at);
    count(w, &c->rumour_count);
    number(w, &c->raw, 0, far);
    number(w, &c->raw_before, 0, far);
    number(w, &c->noise, 0, far);
    moment(w, &c->raw_at);
    count(w, &c->unrest);
}

static void walk_number_kinds(walk *w, body *b) {
    int64_t pace = (int64_t)b->pace, context = (int64_t)b->context, contact = (int64_t)b->contact;
    int64_t hard = b->effort_hard;
    integer(w, &pace, CONTEXT_UNKNOWN, CONTEXT_RECOVERY);
    integer(w, &context, CONTEXT_UNKNOWN, CONTEXT_RECOVERY);
    integer(w, &contact, CONTACT_UNKNOWN, CONTACT_GOOD);
    integer(w, &hard, 0, 1);
    b->pace = (body_context)pace;
    b->context = (body_context)context;
    b->contact = (skin_contact)contact;
    b->effort_hard = hard != 0;
}

static void walk_counts(walk *w, body *b) {
    uint64_t *const all[] = {&b->taken, &b->doubted, &b->late};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        int64_t n = (int64_t)*all[i];
        count(w, &n);
        *all[i] = (uint64_t)n;
    }
}

static void walk_beats(walk *w, body *b) {
    for (size_t i = 0; i < DROP_BUCKETS; i++)
        number(w, &b->peak[i], 0, 1e4);
    count(w, &b->peak_bucket);
    number(w, &b->rr_usual, 0, 1e5);
    number(w, &b->rr_last, 0, 1e5);
    count(w, &b->rr_outliers);
    for (size_t i = 0; i < RR_BUCKETS; i++) {
        number(w, &b->rr_sum[i], 0, 1e12);
        count(w, &b->rr_count[i]);
    }
    count(w, &b->rr_bucket);
}

static void walk_body(walk *w, body *b) {
    instant *const moments[] = {&b->clock,   &b->heard,    &b->judged,     &b->same_since, &b->motion_at,
                                &b->pace_at, &b->moved_at, &b->active_at,  &b->effort_at,  &b->contact_at,
                                &b->fall_at, &b->still_at, &b->trouble_at, &b->excused_at};
    for (size_t i = 0; i < ARRAY_LEN(moments); i++)
        moment(w, moments[i]);
    walk_counts(w, b);
    for (size_t i = 0; i < VITALS; i++)
        walk_course(w, &b->of[i]);
    count(w, &b->same_count);
    number(w, &b->quality, 0, 100);
    number(w, &b->quality_before, 0, 100);
    number(w, &b->motion, 0, 1e3);
    count(w, &b->stir_ms);
    count(w, &b->exercise_ms);
    integer(w, &b->odd, 0, (1 << VITALS) - 1);
    walk_number_kinds(w, b);
    walk_beats(w, b);
}

static void walk_slot(walk *w, slot *s) {
    int64_t hash = s->rule, flags = s->broken | s->begun << 1;
    int64_t times[] = {s->charge_ms, s->clear_ms, s->unknown_ms};
    double said = (double)s->said, excused = (double)s->excused;
    integer(w, &hash, 1, UINT32_MAX);
    integer(w, &flags, 0, 3);
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        integer(w, &times[i], 0, INT32_MAX / 2);
    number(w, &said, -1e6, 1e6);
    number(w, &excused, -1e6, 1e6);
    moment(w, &s->since);
    moment(w, &s->excused_until);
    *s = (slot){.rule = (uint32_t)hash,
                .broken = (flags & 1) != 0,
                .begun = (flags & 2) != 0,
                .charge_ms = (int32_t)times[0],
                .clear_ms = (int32_t)times[1],
                .unknown_ms = (int32_t)times[2],
                .said = (float)said,
                .excused = (float)excused,
                .since = s->since,
                .excused_until = s->excused_until};
}

static bool worth_keeping(const slot *s) {
    return s->rule &&
           (s->broken || s->begun || s->charge_ms || s->excused_until || s->since || s->unknown_ms);
}

void body_spell(const body *b, buf *to) {
    body copy = *b;
    walk w = {.to = to};
    const char *comma = "";
    buf_add_text(to, TEXT("{\"v\":1,\"body\":["));
    walk_body(&w, &copy);
    buf_add_text(to, TEXT("],\"rules\":["));
    for (size_t i = 0; i < BODY_RULES_MAX; i++) {
        if (!worth_keeping(&copy.slots[i]))
            continue;
        walk one = {.to = to};
        buf_printf(to, "%s[", comma);
        walk_slot(&one, &copy.slots[i]);
        buf_add_char(to, ']');
        comma = ",";
    }
    buf_add_text(to, TEXT("]}"));
}

static bool read_all(const json *root, body *b) {
    const json *v = json_get(root, "v"), *rules = json_get(root, "rules");
    walk w = {.from = json_get(root, "body")};
    if (json_length(root) != 3 || json_kind_of(v) != JSON_INTEGER || json_integer(v) != 1 ||
        json_kind_of(w.from) != JSON_ARRAY || json_kind_of(rules) != JSON_ARRAY ||
        json_length(rules) > BODY_RULES_MAX)
        return false;
    walk_body(&w, b);
    if (w.bad || w.at != json_length(w.from))
        return false;
    for (size_t i = 0; i < json_length(rules); i++) {
        walk one = {.from = json_at(rules, i)};
        if (json_kind_of(one.from) != JSON_ARRAY)
            return false;
        walk_slot(&one, &b->slots[i]);
        if (one.bad || one.at != json_length(one.from))
            return false;
    }
    return true;
}

int body_read(text spelled, body **ret_body) {
    CLEANUP(json_freep) json *root = NULL;
    CLEANUP(body_freep) body *b = NULL;
    json_verdict verdict = json_parse_once(spelled, &root);
    if (verdict != JSON_OK)
        return verdict == JSON_NO_MEMORY ? -ENOMEM : -EBADMSG;
    int fault = body_new(&b);
    if (fault < 0)
        return fault;
    if (!read_all(root, b))
        return -EBADMSG;
    *ret_body = b;
    b = NULL;
    return 0;
}
