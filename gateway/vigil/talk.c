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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/duress.h"
#include "gateway/vigil/vigil.h"

#define LATE       (15 * 60 * INSTANT_SECOND)
#define OWN_LATELY (60 * INSTANT_SECOND)

/* ---- events ---- */

static void count_of(vigil *v, const char *what) {
    char labels[64];
    (void)snprintf(labels, sizeof labels, "outcome=\"%s\"", what);
    service_count_of(v->s, "mayday_gateway_vitals_talks_total", labels, 1);
}

/* With the database the keeper raises what is due; who never got the question is no less silent. */
static instant when_to_raise(const vigil *v, const watched *p) {
    return vigil_now(v) + (v->with_database || p->followed ? VIGIL_KEEPER_TIME : 0);
}

static int begin(watched *p, const finding *f, bool grave) {
    concern c = {.found_at = f->at};
    int fault;
    (void)snprintf(c.rule, sizeof c.rule, "%s", f->rule);
    (void)snprintf(c.words, sizeof c.words, "%s", f->words);
    if (grave && p->about.check[0] && p->talk.state == DISTRESS_ASKED) {
        fault = vigil_check_ids(text_of(p->of->org), p->about.check, &c); /* one alarm for both */
    } else if (grave) {
        fault = vigil_make_id(p, f, "alert", c.alert);
        if (fault == 0)
            fault = vigil_make_id(p, f, "raise", c.raise);
    } else {
        fault = vigil_make_id(p, f, "check", c.check);
        if (fault == 0)
            fault = vigil_check_ids(text_of(p->of->org), c.check, &c);
    }
    if (fault < 0)
        return fault;
    if (grave)
        c.check[0] = '\0';
    concern_release(&p->about);
    p->about = c;
    p->about.readings = vigil_spell_readings(p, f, f->at);
    p->help = p->duress = p->out = p->unjudged = p->followed = p->winded = false;
    return 0;
}

static void act(vigil *v, watched *p, distress_does does) {
    switch (does) {
    case DISTRESS_WAIT:
    case DISTRESS_ASK:
        return;
    case DISTRESS_REMIND:
        if (p->followed && !vigil_acts(v, p->of, false))
            return;
        vigil_unsay(v, p->about.check);
        vigil_say_question(v, p);
        return;
    case DISTRESS_RAISE:
        p->raise_at = when_to_raise(v, p);
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
        vigil_say_finding(v, p, f, BODY_NOTE, NULL, p->alert);
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
    vigil_say_finding(v, p, f, BODY_RAISE, NULL, p->about.alert);
    count_of(v, "grave");
    vigil_say_raise(v, p);
}

static void ask(vigil *v, watched *p, const finding *f) {
    int fault = begin(p, f, false);
    if (fault < 0) {
        p->talk = (distress){0};
        service_log(v->s, LOG_LEVEL_ERROR, "%s: somebody can't be asked: %s", p->of->org, strerror(-fault));
        return;
    }
    count_of(v, "asked");
    vigil_say_finding(v, p, f, BODY_ASK, p->about.check, NULL);
    vigil_say_question(v, p);
    vigil_shelve_talk(v, p);
}

/* A fleeting one must not hide one that lasts. */
static void ended(watched *p, const finding *f) {
    if (p->held.kind == FINDING_NONE)
        return; /* nor is what it took the place of */
    if (strcmp(p->held.rule, f->rule) == 0) {
        p->held = p->spare;
        p->held_at = p->spare_at;
        p->spare.kind = FINDING_NONE;
    } else if (strcmp(p->spare.rule, f->rule) == 0) {
        p->spare.kind = FINDING_NONE;
    }
}

/* What is not ours to act on is held. Of several, the gravest: that must not be lost with whose it was. */
static void hold(vigil *v, watched *p, const finding *f) {
    distress_event event = distress_of(f);
    bool asks = event == DISTRESS_FINDING || event == DISTRESS_WORSE;
    if (asks && p->followed && p->talk.state == DISTRESS_ASKED && !*p->about.words) {
        memcpy(p->about.rule, f->rule, sizeof p->about.rule); /* that is why they are asked */
        memcpy(p->about.words, f->words, sizeof p->about.words);
        concern_release(&p->about);
        p->about.readings = vigil_spell_readings(p, f, f->at);
        vigil_shelve_talk(v, p);
    } else if (f->kind == FINDING_ENDS) {
        ended(p, f);
    } else if (event != DISTRESS_NOTHING && (p->held.kind == FINDING_NONE || event == DISTRESS_GRAVE ||
                                             distress_of(&p->held) != DISTRESS_GRAVE)) {
        if (strcmp(p->held.rule, f->rule) != 0 || p->held.kind == FINDING_NONE) {
            p->spare = p->held;
            p->spare_at = p->held_at;
        }
        p->held = *f;
        p->held_at = vigil_now(v);
    }
}

void vigil_take_up(vigil *v, watched *p, const finding *f) {
    distress_event event = distress_of(f);
    if (instant_now() - f->at > LATE) /* it waited for long: what was then may be over */
        event = DISTRESS_NOTHING;
    if (f->kind == FINDING_ENDS)
        ended(p, f);
    else if (p->talk.state == DISTRESS_TAKEN && (event == DISTRESS_FINDING || event == DISTRESS_WORSE))
        hold(v, p, f); /* should the incident turn out to be none */
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
    vigil_say_finding(v, p, f, BODY_NOTE, p->talk.state == DISTRESS_ASKED ? p->about.check : NULL, p->alert);
    act(v, p, does);
}

void vigil_found(vigil *v, watched *p, const finding *f, bool own) {
    char labels[64];
    if (f->kind == FINDING_NONE)
        return;
    (void)snprintf(labels, sizeof labels, "kind=\"%s\"", vigil_kinds[f->kind]);
    service_count_of(v->s, "mayday_gateway_vitals_findings_total", labels, 1);
    if (vigil_acts(v, p->of, own))
        vigil_take_up(v, p, f);
    else
        hold(v, p, f);
}

void vigil_asked(vigil *v, watched *p) {
    instant now = vigil_now(v);
    if (p->talk.state != DISTRESS_ASKED || p->out)
        return;
    /* The time to answer runs from when there was a question, not from when it could not be sent. */
    if (now - p->talk.asked_at > INSTANT_SECOND)
        p->talk.due_at = now + v->times.answer_ms * 1000;
    p->out = true;
    vigil_shelve_talk(v, p);
}

void vigil_follow(vigil *v, watched *p, const char *check, int64_t within_ms) {
    concern c = {.found_at = instant_now()};
    instant now = vigil_now(v);
    bool ours = p->talk.state == DISTRESS_ASKED && p->out;
    if (!v->s->settings->vitals_watch || strcmp(check, p->about.check) == 0 || ours ||
        p->talk.state == DISTRESS_ALARMED || p->talk.state == DISTRESS_TAKEN ||
        vigil_check_ids(text_of(p->of->org), check, &c) < 0)
        return;
    if (p->talk.state == DISTRESS_ASKED) { /* they were quicker */
        vigil_unsay(v, p->about.check);
        c.readings = p->about.readings ? json_share(p->about.readings) : NULL;
        memcpy(c.rule, p->about.rule, sizeof c.rule);
        memcpy(c.words, p->about.words, sizeof c.words);
    } else if (p->held.kind != FINDING_NONE) {
        c.readings = vigil_spell_readings(p, &p->held, p->held.at);
        memcpy(c.rule, p->held.rule, sizeof c.rule);
        memcpy(c.words, p->held.words, sizeof c.words);
    }
    if (distress_of(&p->held) != DISTRESS_GRAVE)
        p->held.kind = FINDING_NONE;
    concern_release(&p->about);
    p->about = c;
    p->talk = (distress){0};
    (void)distress_next(&p->talk, &v->times, DISTRESS_WORSE, now);
    p->talk.due_at = now + within_ms * 1000;
    p->help = p->duress = p->unjudged = p->winded = false;
    p->followed = p->out = true;
    vigil_shelve_talk(v, p);
}

/* ---- answers ---- */

static void helped(vigil *v, watched *p) {
    p->help = true;
    act(v, p, distress_next(&p->talk, &v->times, DISTRESS_HELP, vigil_now(v)));
}

/* In answer to a question that is not the one at hand: an older one, or dispatch's own. The database's watch
 * raises it; we do should it be away, under the ids it would have for a question about a body. */
static void called(vigil *v, watched *p, text check, bool duress) {
    char id[UUID_TEXT_LEN + 1];
    concern c = {.found_at = instant_now()};
    bool taken = p->talk.state == DISTRESS_TAKEN || p->talk.state == DISTRESS_ALARMED;
    (void)snprintf(id, sizeof id, "%.*s", (int)check.len, check.ptr ? check.ptr : "");
    if (taken || !vigil_acts(v, p->of, false) || vigil_check_ids(text_of(p->of->org), id, &c) < 0)
        return;
    if (p->talk.state == DISTRESS_ASKED)
        vigil_unsay(v, p->about.check);
    c.readings = p->about.readings ? json_share(p->about.readings) : NULL;
    concern_release(&p->about);
    p->about = c;
    p->duress = duress;
    p->unjudged = p->followed = false;
    helped(v, p);
}

/* False: there was nothing to close. */
static bool close_talk(vigil *v, watched *p) {
    if (p->talk.state == DISTRESS_ALARMED && p->raise_at &&
        !p->help) { /* in time for the call that hears it */
        p->talk = (distress){.quiet_until = vigil_now(v) + v->times.quiet_ms * 1000};
        p->raise_at = 0;
        act(v, p, DISTRESS_CLOSE);
    } else {
        distress_does does = distress_next(&p->talk, &v->times, DISTRESS_OK, vigil_now(v));
        if (does != DISTRESS_CLOSE)
            return false;
        act(v, p, does);
    }
    p->unjudged = false;
    count_of(v, "ok");
    return true;
}

void vigil_replied(vigil *v, watched *p, const json *reply) {
    text check = json_get_string(reply, "check"), answer = json_get_string(reply, "answer");
    char held[UUID_TEXT_LEN + 1];
    bool duress = duress_said(p->of->words, text_of(p->person), json_get_string(reply, "text")),
         help = duress || text_equal(answer, TEXT("help"));
    /* Another gateway asked, and was answered. */
    if (p->held.kind != FINDING_NONE && vigil_make_id(p, &p->held, "check", held) == 0 &&
        text_equal(check, text_of(held)))
        p->held.kind = FINDING_NONE;
    if (!*p->about.check || !text_equal(check, text_of(p->about.check))) {
        if (help)
            called(v, p, check, duress);
        return;
    }
    p->duress |= duress; /* nothing takes that back */
    if (help) {
        helped(v, p);
    } else if (json_boolean(json_get(reply, "pinned"))) {
        /* Whether it is their PIN only the database knows (vigil_answered). Until it has said so, the time
         * runs; they are asked no more: who stands beside them must not see that there is doubt. */
        p->unjudged = true;
        p->talk.remind_at = 0;
        vigil_shelve_talk(v, p);
    } else if (close_talk(v, p) &&
               vigil_limits(v, p)) { /* in words, too: else something new would pass for it */
        body_excuse(p->body, vigil_limits(v, p), instant_now());
    }
}

void vigil_answered(vigil *v, watched *p, bool help, bool duress) {
    p->duress |= duress;
    if (help)
        helped(v, p);
    else if (close_talk(v, p) && vigil_limits(v, p))
        body_excuse(p->body, vigil_limits(v, p), instant_now());
}

void vigil_raised(vigil *v, watched *p, text alert) {
    if (!text_equal(text_of(p->alert), alert))
        p->taken_at = vigil_now(v);
    (void)snprintf(p->alert, sizeof p->alert, "%.*s", (int)alert.len, alert.ptr);
    p->raise_at = 0;
    if (p->talk.state == DISTRESS_TAKEN)
        return;
    p->held.kind = FINDING_NONE;
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
    bool theirs =
        text_equal(text_of(p->alert), alert) ||
        (p->talk.state == DISTRESS_ALARMED && !p->raise_at && text_equal(text_of(p->about.alert), alert));
    if (!theirs)
        return;
    p->alert[0] = '\0';
    act(v, p, distress_next(&p->talk, &v->times, DISTRESS_OVER, vigil_now(v)));
    body_close(p->body, instant_now());
}

/* ---- time ---- */

/* A question of another gateway that we follow without hearing the broker may long be answered. */
static bool is_deaf(const vigil *v, const watched *p) {
    bool own = p->own_at && vigil_now(v) - p->own_at < OWN_LATELY;
    return p->followed && !own && !bus_up(v->s->bus, text_of(p->of->org));
}

static void pass(vigil *v, watched *p, instant now) {
    if (p->raise_at && now >= p->raise_at) {
        if (is_deaf(v, p))
            p->raise_at = now + VIGIL_KEEPER_TIME;
        else
            vigil_say_raise(v, p);
        return;
    }
    if (now >= distress_due(&p->talk))
        act(v, p, distress_next(&p->talk, &v->times, DISTRESS_NOTHING, now));
}

void vigil_due(vigil *v) {
    watched *p, *next;
    instant now = vigil_now(v);
    HASH_ITER(hh, v->people, p, next)
    if ((p->raise_at && now >= p->raise_at) || now >= distress_due(&p->talk))
        pass(v, p, now);
}
