/* words.c - see vigil.h: the messages, and the ids they have. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "core/notification.h"
#include "gateway/phrases.h"
#include "gateway/vigil/vigil.h"

#define LATE        (15 * 60 * INSTANT_SECOND)
#define PLACE_FRESH (6 * 3600 * INSTANT_SECOND)
#define DOCUMENT    (64u << 10)

const char *const vigil_kinds[] = {"none", "begins", "grows", "ends"};

/* ---- ids ---- */

int vigil_make_id(const watched *p, const finding *f, const char *what, char ret_id[UUID_TEXT_LEN + 1]) {
    CLEANUP(buf_release) buf content = BUF(1024);
    int64_t grown = f->kind == FINDING_GROWS || f->kind == FINDING_ENDS ? f->at / 1000 : 0;
    buf_printf(&content, "vitals/%s/%s/%s/%" PRId64 "/%" PRId64 "/%s", p->of->org, p->person, f->rule,
               f->since / 1000, grown, what);
    if (buf_failed(&content) < 0)
        return buf_failed(&content);
    return derived_id(buf_text(&content), grown ? f->at : f->since, ret_id);
}

int vigil_check_ids(text org, const char *check, concern *c) {
    CLEANUP(buf_release) buf alert = BUF(1024), raise = BUF(1024);
    uuid id;
    if (uuid_parse(text_of(check), &id) < 0)
        return -EINVAL;
    buf_printf(&alert, "vitals/%.*s/%s/alert", (int)org.len, org.ptr, check);
    buf_printf(&raise, "vitals/%.*s/%s/raise", (int)org.len, org.ptr, check);
    instant at = uuid7_unix_ms(&id) * 1000;
    int fault = buf_failed(&alert) < 0 ? buf_failed(&alert) : buf_failed(&raise);
    if (fault == 0)
        fault = derived_id(buf_text(&alert), at, c->alert);
    if (fault == 0)
        fault = derived_id(buf_text(&raise), at, c->raise);
    if (fault == 0 && check != c->check)
        (void)snprintf(c->check, sizeof c->check, "%s", check);
    return fault;
}

/* ---- messages ---- */

static int put_text(json *to, const char *name, const char *value) {
    return json_put(to, name, json_new_string(text_of(value)));
}

int vigil_put_time(json *to, const char *name, instant at) {
    char spelled[INSTANT_TEXT_LEN + 1];
    instant_format(at > 0 ? at : 0, spelled);
    return put_text(to, name, spelled);
}

static int put_value(json *to, const char *name, double value) {
    return isfinite(value) ? json_put(to, name, json_new_number(value)) : 0;
}

static json *head(const char *id, instant at) {
    json *said = json_new_object();
    if (!said || json_put(said, "v", json_new_integer(1)) < 0 || put_text(said, "id", id) < 0 ||
        vigil_put_time(said, "ts", at) < 0)
        return json_free(said);
    return said;
}

/* The newest of each that was believed in the last minutes. */
json *vigil_spell_readings(const watched *p, const finding *f, instant now) {
    json *to = json_new_object();
    body_view seen;
    int fault = to ? 0 : -ENOMEM;
    body_look(p->body, now, &seen);
    instant newest = 0;
    for (int i = 0; fault == 0 && i < VITALS; i++) {
        if (!reading_has(&seen.latest, (vital)i) || now - seen.latest_at[i] > LATE)
            continue;
        newest = seen.latest_at[i] > newest ? seen.latest_at[i] : newest;
        fault = put_value(to, vital_name((vital)i), seen.latest.value[i]);
    }
    if (fault == 0 && newest)
        fault = vigil_put_time(to, "at", newest);
    if (fault == 0 && f->score.risk != NEWS2_UNKNOWN) {
        fault = json_put(to, "news2", json_new_integer(f->score.total));
        if (fault == 0)
            fault = json_put(to, "partial", json_new_bool(f->score.partial));
    }
    if (fault == 0 && put_text(to, "context", body_context_word(f->context)) == 0 &&
        (!*f->rule || put_text(to, "rule", f->rule) == 0) &&
        (!*f->words || put_text(to, "words", f->words) == 0))
        return to;
    return json_free(to);
}

void vigil_say_finding(vigil *v, watched *p, const finding *f, body_response follows, const char *check,
                       const char *alert) {
    char id[UUID_TEXT_LEN + 1];
    CLEANUP(json_freep) json *said = NULL;
    int fault = vigil_make_id(p, f, vigil_kinds[f->kind], id);
    if (fault == 0)
        said = head(id, f->at);
    if (!said || put_text(said, "rule", f->rule) < 0 || put_text(said, "kind", vigil_kinds[f->kind]) < 0 ||
        put_text(said, "response", body_response_word(follows)) < 0 ||
        put_text(said, "words", f->words) < 0 ||
        (f->which < VITALS && put_text(said, "vital", vital_name(f->which)) < 0) ||
        put_value(said, "value", f->value) < 0 || put_value(said, "limit", f->limit) < 0 ||
        put_value(said, "usual", f->usual) < 0 || vigil_put_time(said, "since", f->since) < 0 ||
        put_text(said, "context", body_context_word(f->context)) < 0 ||
        json_put(said, "readings", vigil_spell_readings(p, f, f->at)) < 0 ||
        (check && *check && put_text(said, "check", check) < 0) ||
        (alert && *alert && put_text(said, "alert", alert) < 0) ||
        vigil_say(v, SAYING_FINDING, p, id, NULL, "vital_alert", said) < 0)
        service_log(v->s, LOG_LEVEL_ERROR, "%s: what was found can't be said: out of memory", p->of->org);
}

void vigil_say_question(vigil *v, watched *p) {
    CLEANUP(json_freep) json *said = head(p->about.check, instant_now());
    int64_t within = (v->times.answer_ms + 999) / 1000;
    if (!said || put_text(said, "reason", "vitals") < 0 ||
        json_put(said, "respond_within", json_new_integer(within > 0 ? within : 1)) < 0 ||
        vigil_say(v, SAYING_QUESTION, p, p->about.check, NULL, "check", said) < 0)
        service_log(v->s, LOG_LEVEL_ERROR, "%s: somebody can't be asked: out of memory", p->of->org);
}

json *vigil_spell_place(const watched *p) {
    json *to = json_new_object();
    if (!to || put_value(to, "lat", p->place.lat) < 0 || put_value(to, "lon", p->place.lon) < 0 ||
        put_value(to, "accuracy", p->place.accuracy) < 0)
        return json_free(to);
    return to;
}

static void spell_alarm(const watched *p, buf *to) {
    const phrases *say = phrases_of(p->lang);
    if (!*p->about.check)
        buf_printf(to, "%s: %s", p->person, p->about.words);
    else if (p->help)
        buf_printf(to, "%s: %s Mayday", p->person, say->help);
    else
        buf_printf(to, "%s: %s Mayday", p->person, p->unjudged ? say->unjudged : say->silence);
    if (*p->about.check && *p->about.words)
        buf_printf(to, "\n%s: %s", say->readings, p->about.words);
}

/* Of a question that another gateway asked we know no finding: what we see is what there is. */
static void see_for_ourselves(watched *p) {
    finding seen = {.at = instant_now(), .kind = FINDING_BEGINS};
    body_view view;
    if (p->about.readings || !p->followed)
        return;
    body_look(p->body, seen.at, &view);
    seen.context = view.context;
    seen.score = view.score;
    (void)snprintf(seen.rule, sizeof seen.rule, "%s", p->about.rule);
    (void)snprintf(seen.words, sizeof seen.words, "%s", p->about.words);
    p->about.readings = vigil_spell_readings(p, &seen, seen.at);
}

void vigil_say_raise(vigil *v, watched *p) {
    CLEANUP(json_freep) json *said = head(p->about.raise, instant_now());
    CLEANUP(buf_release) buf words = BUF(DOCUMENT);
    see_for_ourselves(p);
    spell_alarm(p, &words);
    bool placed = p->place.at && instant_now() - p->place.at < PLACE_FRESH;
    if (!said || buf_failed(&words) < 0 || put_text(said, "type", "medical") < 0 ||
        put_text(said, "priority", "critical") < 0 || put_text(said, "text", words.ptr) < 0 ||
        put_text(said, "lang", phrases_of(p->lang)->lang) < 0 || put_text(said, "person", p->person) < 0 ||
        (p->about.readings && json_put(said, "readings", json_share(p->about.readings)) < 0) ||
        (placed && json_put(said, "location", vigil_spell_place(p)) < 0) ||
        ((p->duress || p->unjudged) && json_put(said, "silent", json_new_bool(true)) < 0) ||
        vigil_say(v, SAYING_RAISE, p, p->about.raise, p->about.alert, "raise", said) < 0) {
        service_log(v->s, LOG_LEVEL_ERROR, "%s: an alarm can't be made: out of memory; trying again",
                    p->of->org);
        p->raise_at = vigil_now(v) + INSTANT_SECOND;
        return;
    }
    p->raise_at = 0;
    p->taken_at = vigil_now(v);
    vigil_shelve_talk(v, p);
}
