/* talk.c - see vigil.h: what follows when somebody's body gives cause for concern.
 *
 *   finding  -> vital_alert for dispatch; with a question: check to the person, respond_within
 *   silence, help -> the database's watch over checks (sql/0011) raises the alarm by the service keeper of
 * any gateway. We raise it, too, when nobody has a moment later (no database, a writer that stands still),
 * under the same ids: it is the same message. grave    -> the alarm at once
 *
 * Every id is made from what it is for (person, rule, since when), so that two gateways that find the same,
 * or one that was killed and finds it again, say the same message, which counts once. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/notification.h"
#include "gateway/duress.h"
#include "gateway/phrases.h"
#include "gateway/vigil/vigil.h"

#define SHELF       TEXT("vigil")
#define KEEPER_TIME (INSTANT_SECOND * 5 / 2) /* for the keeper, which looks every quarter of a second */
#define LATE        (15 * 60 * INSTANT_SECOND)
#define PLACE_FRESH (6 * 3600 * INSTANT_SECOND)
#define STALE_TALK  (24 * 3600 * INSTANT_SECOND)
#define SECOND_WIND (20 * INSTANT_SECOND)
#define DOCUMENT    (64u << 10)

static const char *const kinds[] = {"none", "begins", "grows", "ends"};

/* ---- ids ---- */

static int make_id(const watched *p, const finding *f, const char *what, char ret_id[UUID_TEXT_LEN + 1]) {
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

static int put_time(json *to, const char *name, instant at) {
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
        put_time(said, "ts", at) < 0)
        return json_free(said);
    return said;
}

/* The newest of each that was believed in the last minutes. */
static json *spell_readings(const watched *p, const finding *f, instant now) {
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
        fault = put_time(to, "at", newest);
    if (fault == 0 && f->score.risk != NEWS2_UNKNOWN) {
        fault = json_put(to, "news2", json_new_integer(f->score.total));
        if (fault == 0)
            fault = json_put(to, "partial", json_new_bool(f->score.partial));
    }
    if (fault == 0 && put_text(to, "context", body_context_word(f->context)) == 0 &&
        put_text(to, "rule", f->rule) == 0 && put_text(to, "words", f->words) == 0)
        return to;
    return json_free(to);
}

static void say_finding(vigil *v, watched *p, const finding *f, body_response follows, const char *check,
                        const char *alert) {
    char id[UUID_TEXT_LEN + 1];
    CLEANUP(json_freep) json *said = NULL;
    int fault = make_id(p, f, kinds[f->kind], id);
    if (fault == 0)
        said = head(id, f->at);
    if (!said || put_text(said, "rule", f->rule) < 0 || put_text(said, "kind", kinds[f->kind]) < 0 ||
        put_text(said, "response", body_response_word(follows)) < 0 ||
        put_text(said, "words", f->words) < 0 ||
        (f->which < VITALS && put_text(said, "vital", vital_name(f->which)) < 0) ||
        put_value(said, "value", f->value) < 0 || put_value(said, "limit", f->limit) < 0 ||
        put_value(said, "usual", f->usual) < 0 || put_time(said, "since", f->since) < 0 ||
        put_text(said, "context", body_context_word(f->context)) < 0 ||
        json_put(said, "readings", spell_readings(p, f, f->at)) < 0 ||
        (check && *check && put_text(said, "check", check) < 0) ||
        (alert && *alert && put_text(said, "alert", alert) < 0) ||
        vigil_say(v, SAYING_FINDING, p, id, NULL, "vital_alert", said) < 0)
        service_log(v->s, LOG_LEVEL_ERROR, "%s: what was found can't be said: out of memory", p->of->org);
}

static void say_question(vigil *v, watched *p) {
    CLEANUP(json_freep) json *said = head(p->about.check, instant_now());
    int64_t within = (v->times.answer_ms + 999) / 1000;
    if (!said || put_text(said, "reason", "vitals") < 0 ||
        json_put(said, "respond_within", json_new_integer(within > 0 ? within : 1)) < 0 ||
        vigil_say(v, SAYING_QUESTION, p, p->about.check, NULL, "check", said) < 0)
        service_log(v->s, LOG_LEVEL_ERROR, "%s: somebody can't be asked: out of memory", p->of->org);
}

static json *spell_place(const watched *p) {
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
        buf_printf(to, "%s: %s Mayday", p->person, say->silence);
    if (*p->about.check && *p->about.words)
        buf_printf(to, "\n%s: %s", say->readings, p->about.words);
}

static void say_raise(vigil *v, watched *p) {
    CLEANUP(json_freep) json *said = head(p->about.raise, instant_now());
    CLEANUP(buf_release) buf words = BUF(DOCUMENT);
    spell_alarm(p, &words);
    bool placed = p->place.at && instant_now() - p->place.at < PLACE_FRESH;
    if (!said || buf_failed(&words) < 0 || put_text(said, "type", "medical") < 0 ||
        put_text(said, "priority", "critical") < 0 || put_text(said, "text", words.ptr) < 0 ||
        put_text(said, "lang", phrases_of(p->lang)->lang) < 0 || put_text(said, "person", p->person) < 0 ||
        (p->about.readings && json_put(said, "readings", json_share(p->about.readings)) < 0) ||
        (placed && json_put(said, "location", spell_place(p)) < 0) ||
        (p->duress && json_put(said, "silent", json_new_bool(true)) < 0) ||
        vigil_say(v, SAYING_RAISE, p, p->about.raise, p->about.alert, "raise", said) < 0) {
        service_log(v->s, LOG_LEVEL_ERROR, "%s: an alarm can't be made: out of memory; trying again",
                    p->of->org);
        p->raise_at = vigil_now(v) + INSTANT_SECOND;
        return;
    }
    p->raise_at = 0;
    vigil_shelve_talk(v, p);
}

/* ---- the conversation on disk ---- */

void vigil_shelve_talk(vigil *v, const watched *p) {
    CLEANUP(json_freep) json *said = json_new_object();
    CLEANUP(buf_release) buf spelled = BUF(DOCUMENT);
    bool open = p->talk.state == DISTRESS_ASKED || p->raise_at;
    if (!open) {
        (void)!local_drop(v->s->local, SHELF, text_of(p->key));
        return;
    }
    instant due = p->raise_at ? p->raise_at : p->talk.due_at;
    if (!said || json_put(said, "v", json_new_integer(1)) < 0 || put_text(said, "org", p->of->org) < 0 ||
        put_text(said, "person", p->person) < 0 || put_text(said, "lang", p->lang) < 0 ||
        put_text(said, "rule", p->about.rule) < 0 || put_text(said, "words", p->about.words) < 0 ||
        put_text(said, "check", p->about.check) < 0 || put_text(said, "alert", p->about.alert) < 0 ||
        put_text(said, "raise", p->about.raise) < 0 ||
        (p->about.readings && json_put(said, "readings", json_share(p->about.readings)) < 0) ||
        json_put(said, "help", json_new_bool(p->help)) < 0 ||
        json_put(said, "raising", json_new_bool(p->raise_at != 0)) < 0 ||
        json_put(said, "due", json_new_integer(instant_now() + (due - vigil_now(v)))) < 0)
        return;
    json_print(said, &spelled);
    if (buf_failed(&spelled) < 0 || local_put(v->s->local, SHELF, text_of(p->key), buf_text(&spelled)) < 0)
        service_log(v->s, LOG_LEVEL_ERROR, "a conversation can't be kept on disk");
}

static void copy_word(char *to, size_t size, const json *from, const char *name) {
    text t = json_get_string(from, name);
    (void)snprintf(to, size, "%.*s", (int)t.len, t.ptr ? t.ptr : "");
}

static void recall(void *context, text name, text spelled) {
    vigil *v = context;
    CLEANUP(json_freep) json *said = NULL;
    (void)name;
    if (json_parse_once(spelled, &said) != JSON_OK)
        return;
    instant now = vigil_now(v), due = json_integer(json_get(said, "due"));
    watched *p = vigil_person(v, json_get_string(said, "org"), json_get_string(said, "person"));
    if (!p || instant_now() - due > STALE_TALK)
        return;
    copy_word(p->lang, sizeof p->lang, said, "lang");
    copy_word(p->about.rule, sizeof p->about.rule, said, "rule");
    copy_word(p->about.words, sizeof p->about.words, said, "words");
    copy_word(p->about.check, sizeof p->about.check, said, "check");
    copy_word(p->about.alert, sizeof p->about.alert, said, "alert");
    copy_word(p->about.raise, sizeof p->about.raise, said, "raise");
    if (json_get(said, "readings"))
        p->about.readings = json_share(json_get(said, "readings"));
    p->help = json_boolean(json_get(said, "help"));
    instant left = due - instant_now();
    if (json_boolean(json_get(said, "raising"))) {
        p->talk.state = DISTRESS_ALARMED;
        p->raise_at = now + KEEPER_TIME;
        return;
    }
    /* An answer may have come while we were not there: whoever has the database knows. Without it the
     * question is asked again, and some time given to answer it. */
    p->talk = (distress){.state = DISTRESS_ASKED, .asked_at = now};
    p->talk.due_at = now + (left > SECOND_WIND ? left : SECOND_WIND);
    p->talk.remind_at = now + KEEPER_TIME;
}

void vigil_recall_talks(vigil *v) {
    if (local_each(v->s->local, SHELF, recall, v) < 0)
        service_log(v->s, LOG_LEVEL_ERROR, "the gateway's own store can't be read");
}

/* ---- events ---- */

static void count_of(vigil *v, const char *what) {
    char labels[64];
    (void)snprintf(labels, sizeof labels, "outcome=\"%s\"", what);
    service_count_of(v->s, "mayday_gateway_vitals_talks_total", labels, 1);
}

/* With the database the keeper raises what is due; who never got the question is no less silent. */
static instant when_to_raise(const vigil *v) {
    return vigil_now(v) + (v->with_database ? KEEPER_TIME : 0);
}

static int begin(watched *p, const finding *f, bool grave) {
    concern c = {.found_at = f->at};
    int fault;
    (void)snprintf(c.rule, sizeof c.rule, "%s", f->rule);
    (void)snprintf(c.words, sizeof c.words, "%s", f->words);
    if (grave && p->about.check[0] && p->talk.state == DISTRESS_ASKED) {
        fault = vigil_check_ids(text_of(p->of->org), p->about.check, &c); /* one alarm for both */
    } else if (grave) {
        fault = make_id(p, f, "alert", c.alert);
        if (fault == 0)
            fault = make_id(p, f, "raise", c.raise);
    } else {
        fault = make_id(p, f, "check", c.check);
        if (fault == 0)
            fault = vigil_check_ids(text_of(p->of->org), c.check, &c);
    }
    if (fault < 0)
        return fault;
    if (grave)
        c.check[0] = '\0';
    concern_release(&p->about);
    p->about = c;
    p->about.readings = spell_readings(p, f, f->at);
    p->help = p->duress = p->out = false;
    return 0;
}

static void act(vigil *v, watched *p, distress_does does) {
    switch (does) {
    case DISTRESS_WAIT:
    case DISTRESS_ASK:
        return;
    case DISTRESS_REMIND:
        vigil_unsay(v, p->about.check);
        say_question(v, p);
        return;
    case DISTRESS_RAISE:
        p->raise_at = when_to_raise(v);
        count_of(v, p->help ? "help" : "silence");
        vigil_shelve_talk(v, p);
        return;
    case DISTRESS_CLOSE:
        vigil_unsay(v, p->about.check);
        vigil_shelve_talk(v, p);
        return;
    }
}

static void grave(vigil *v, watched *p, const finding *f) {
    distress before = p->talk;
    if (distress_next(&p->talk, &v->times, DISTRESS_GRAVE, vigil_now(v)) != DISTRESS_RAISE) {
        say_finding(v, p, f, BODY_NOTE, NULL, p->alert);
        return;
    }
    distress after = p->talk;
    p->talk = before; /* begin() asks whether there is a question */
    int fault = begin(p, f, true);
    p->talk = after;
    if (fault < 0) {
        p->talk = before;
        service_log(v->s, LOG_LEVEL_ERROR, "%s: an alarm can't be made: %s", p->of->org, strerror(-fault));
        return;
    }
    say_finding(v, p, f, BODY_RAISE, NULL, p->about.alert);
    count_of(v, "grave");
    say_raise(v, p);
}

static void ask(vigil *v, watched *p, const finding *f) {
    int fault = begin(p, f, false);
    if (fault < 0) {
        p->talk = (distress){0};
        service_log(v->s, LOG_LEVEL_ERROR, "%s: somebody can't be asked: %s", p->of->org, strerror(-fault));
        return;
    }
    count_of(v, "asked");
    say_finding(v, p, f, BODY_ASK, p->about.check, NULL);
    say_question(v, p);
    vigil_shelve_talk(v, p);
}

void vigil_found(vigil *v, watched *p, const finding *f, bool own) {
    distress_event event = distress_of(f);
    char labels[64];
    if (f->kind == FINDING_NONE)
        return;
    (void)snprintf(labels, sizeof labels, "kind=\"%s\"", kinds[f->kind]);
    service_count_of(v->s, "mayday_gateway_vitals_findings_total", labels, 1);
    if (!vigil_acts(v, p->of, own)) {
        if (f->kind == FINDING_ENDS && strcmp(p->held.rule, f->rule) == 0)
            p->held.kind = FINDING_NONE;
        else if (event != DISTRESS_NOTHING) {
            p->held = *f;
            p->held_at = vigil_now(v);
        }
        return;
    }
    if (instant_now() - f->at > LATE) /* it waited for long: what was then may be over */
        event = DISTRESS_NOTHING;
    if (event == DISTRESS_GRAVE) {
        grave(v, p, f);
        return;
    }
    distress_does does =
        event == DISTRESS_NOTHING ? DISTRESS_WAIT : distress_next(&p->talk, &v->times, event, vigil_now(v));
    if (does == DISTRESS_ASK) {
        ask(v, p, f);
        return;
    }
    say_finding(v, p, f, BODY_NOTE, p->talk.state == DISTRESS_ASKED ? p->about.check : NULL, p->alert);
    act(v, p, does);
}

void vigil_asked(vigil *v, watched *p) {
    instant now = vigil_now(v);
    if (p->talk.state == DISTRESS_ASKED && !p->out && now - p->talk.asked_at > INSTANT_SECOND) {
        /* The time to answer runs from when there was a question, not from when it could not be sent. */
        p->talk.due_at = now + v->times.answer_ms * 1000;
        vigil_shelve_talk(v, p);
    }
    p->out = true;
}

/* ---- answers ---- */

static void helped(vigil *v, watched *p) {
    p->help = true;
    act(v, p, distress_next(&p->talk, &v->times, DISTRESS_HELP, vigil_now(v)));
}

void vigil_replied(vigil *v, watched *p, const json *reply) {
    text check = json_get_string(reply, "check"), answer = json_get_string(reply, "answer");
    char held[UUID_TEXT_LEN + 1];
    /* Another gateway asked, and was answered. */
    if (p->held.kind != FINDING_NONE && make_id(p, &p->held, "check", held) == 0 &&
        text_equal(check, text_of(held)))
        p->held.kind = FINDING_NONE;
    if (!*p->about.check || !text_equal(check, text_of(p->about.check)))
        return;
    p->duress = duress_said(p->of->words, text_of(p->person), json_get_string(reply, "text"));
    if (p->duress || text_equal(answer, TEXT("help"))) {
        helped(v, p);
        return;
    }
    if (p->talk.state == DISTRESS_ALARMED && p->raise_at &&
        !p->help) { /* in time for the call that hears it */
        p->talk = (distress){.quiet_until = vigil_now(v) + v->times.quiet_ms * 1000};
        p->raise_at = 0;
        act(v, p, DISTRESS_CLOSE);
    } else {
        distress_does does = distress_next(&p->talk, &v->times, DISTRESS_OK, vigil_now(v));
        if (does != DISTRESS_CLOSE)
            return;
        act(v, p, does);
    }
    count_of(v, "ok");
    if (vigil_limits(v, p)) /* an answer in words, too: else something new would pass for the same */
        body_excuse(p->body, vigil_limits(v, p), instant_now());
}

void vigil_raised(vigil *v, watched *p, text alert) {
    (void)snprintf(p->alert, sizeof p->alert, "%.*s", (int)alert.len, alert.ptr);
    p->raise_at = 0;
    p->held.kind = FINDING_NONE;
    if (p->talk.state == DISTRESS_TAKEN)
        return;
    act(v, p, distress_next(&p->talk, &v->times, DISTRESS_RAISED, vigil_now(v)));
    vigil_shelve_talk(v, p);
}

void vigil_hushed(vigil *v, watched *p) {
    p->raise_at = 0;
    p->held.kind = FINDING_NONE;
    if (p->talk.state == DISTRESS_ASKED || p->talk.state == DISTRESS_ALARMED) {
        p->talk = (distress){.quiet_until = vigil_now(v) + v->times.quiet_ms * 1000};
        act(v, p, DISTRESS_CLOSE);
    }
    vigil_shelve_talk(v, p);
}

void vigil_over(vigil *v, watched *p, text alert) {
    if (!text_equal(text_of(p->alert), alert))
        return;
    p->alert[0] = '\0';
    act(v, p, distress_next(&p->talk, &v->times, DISTRESS_OVER, vigil_now(v)));
    body_close(p->body, instant_now());
}

/* ---- time ---- */

static void pass(vigil *v, watched *p, instant now) {
    if (p->raise_at && now >= p->raise_at) {
        say_raise(v, p);
        return;
    }
    if (now >= distress_due(&p->talk))
        act(v, p, distress_next(&p->talk, &v->times, DISTRESS_NOTHING, now));
}

instant vigil_due(vigil *v) {
    watched *p, *next;
    instant now = vigil_now(v), soonest = INT64_MAX;
    HASH_ITER(hh, v->people, p, next) {
        if ((p->raise_at && now >= p->raise_at) || now >= distress_due(&p->talk))
            pass(v, p, now);
        instant due =
            p->raise_at && p->raise_at < distress_due(&p->talk) ? p->raise_at : distress_due(&p->talk);
        soonest = due < soonest ? due : soonest;
    }
    return soonest;
}
