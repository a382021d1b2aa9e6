/* lease.c - see vigil.h: what is done with the database.
 *
 * Of each organisation one gateway acts on what all of them hear: the one that has its lease, a row that is
 * renewed every second and runs out by itself, and is let go when this gateway does not hear that
 * organisation. The others watch and hold what they find; whoever takes over first asks what is open already,
 * then acts on what it held. Without the database whoever had the lease goes on. The one whose id sorts first
 * of those online acts, too, but a moment later, and not on what it heard another one ask: readings do not
 * tell when the other began to watch, and somebody who is asked twice takes the second for a fault. Should
 * two act at once, they say the same messages (vigil/talk.c). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/pg_array.h"
#include "gateway/vigil/vigil.h"

#define RULES_SHELF TEXT("vigil-rules")
#define RENEW       INSTANT_SECOND
#define LEASE       "4 seconds"
#define RULES_FOR   (30 * INSTANT_SECOND)
#define PEOPLE      200 /* in one question */
#define BODIES      100
#define LIST_MAX    (16u << 20)
#define ORGS_STEP   50
#define REMEMBERED  "1 hour"
#define HELD_FOR    (15 * 60 * INSTANT_SECOND)
#define HELD_BY_OWN (60 * INSTANT_SECOND)
#define THEIR_TURN  (3 * INSTANT_SECOND) /* for whoever had the lease */
#define CHECKS_MAX  2000
#define ALERTS_MAX  5000
#define LOOK_AGAIN  (5 * INSTANT_SECOND)
#define MEET_AGAIN  (5 * 60 * INSTANT_SECOND) /* roles and languages change */
#define NOT_YET     (60 * INSTANT_SECOND)     /* so long an incident may take to be stored */

/* Without the lease and without the database; `others`: somebody else is there who may have it. */
static bool stands_in(vigil *v, const ward *w, bool *ret_others) {
    *ret_others = vigil_ear_others(v->ear, text_of(w->org)) > 0;
    return vigil_ear_elders(v->ear, text_of(w->org)) == 0;
}

bool vigil_acts(vigil *v, const ward *w, bool own) {
    bool others;
    if (!v->s->settings->vitals_watch)
        return false;
    if (own && !bus_up(v->s->bus, text_of(w->org)))
        return true; /* nobody else can hear it */
    if (v->with_database)
        return w->holds && w->caught_up;
    return w->holds || (stands_in(v, w, &others) && !others);
}

void vigil_stood_still(vigil *v) {
    ward *w, *next;
    v->stood_at = vigil_now(v);
    if (!v->with_database) /* which of us acts then, no lease decides */
        return;
    HASH_ITER(hh, v->wards, w, next) {
        w->holds = w->caught_up = false;
    }
    v->claimed_at = 0;
}

void vigil_act_on_held(vigil *v, watched *p, bool own) {
    finding held = p->held;
    if (held.kind == FINDING_NONE)
        return;
    p->held.kind = FINDING_NONE;
    if (vigil_now(v) - p->held_at < (own ? HELD_BY_OWN : HELD_FOR))
        vigil_take_up(v, p, &held);
}

void vigil_was_mistake(vigil *v, watched *p) {
    if (p->talk.state == DISTRESS_CALM && vigil_acts(v, p->of, false))
        vigil_act_on_held(v, p, false);
}

void vigil_take_over(vigil *v, ward *w) {
    watched *p, *next;
    HASH_ITER(hh, v->people, p, next)
    if (p->of == w && vigil_acts(v, w, false) && p->talk.state != DISTRESS_TAKEN)
        vigil_act_on_held(v, p, false);
}

void vigil_relieve(vigil *v, watched *p) {
    bool own = p->own_at && vigil_now(v) - p->own_at < HELD_BY_OWN, others;
    bool busy = p->talk.state == DISTRESS_TAKEN || p->talk.state == DISTRESS_ALARMED;
    if (p->held.kind == FINDING_NONE || busy || !v->s->settings->vitals_watch)
        return;
    bool late = vigil_now(v) - p->held_at >= THEIR_TURN;
    if (((!v->with_database || own) && vigil_acts(v, p->of, own)) ||
        (!v->with_database && late && stands_in(v, p->of, &others)))
        vigil_act_on_held(v, p, own);
}

/* ---- what is open ---- */

static int64_t number(const pg_rows *rows, size_t row, size_t column) {
    int64_t value = 0;
    return text_to_i64(text_of(pg_value(rows, row, column)), INT64_MIN, INT64_MAX, &value) == 0 ? value : 0;
}

enum {
    PERSON,
    CHECK,
    AGE,
    DUE,
    ANSWERED,
    ANSWER,
    ALARMED,
    ALERT
};

/* One that was asked before we held the lease, or before we were started. */
static void know_check(vigil *v, watched *p, const pg_rows *rows, size_t i) {
    instant now = vigil_now(v);
    const char *check = pg_value(rows, i, CHECK);
    bool same = strcmp(p->about.check, check) == 0, answered = !pg_is_null(rows, i, ANSWERED);
    if (p->held.kind != FINDING_NONE && p->held_at <= now - number(rows, i, AGE) * 1000 + 30 * INSTANT_SECOND)
        p->held.kind = FINDING_NONE; /* that is what they were asked about */
    if (strcmp(pg_value(rows, i, ALARMED), "t") == 0) {
        if (p->talk.state == DISTRESS_ASKED && same)
            p->talk = (distress){.state = DISTRESS_ALARMED};
        p->raise_at = same ? 0 : p->raise_at;
    } else if (answered && strcmp(pg_value(rows, i, ANSWER), "help") != 0) {
        instant quiet = now + (v->times.quiet_ms - number(rows, i, ANSWERED)) * 1000;
        if (p->talk.state == DISTRESS_CALM || same)
            p->talk = (distress){.quiet_until = quiet > now ? quiet : 0};
        p->raise_at = same ? 0 : p->raise_at;
    } else if (!answered && !pg_is_null(rows, i, DUE) && p->talk.state == DISTRESS_CALM) {
        concern c = {.found_at = instant_now()};
        if (vigil_check_ids(text_of(p->of->org), check, &c) < 0)
            return;
        concern_release(&p->about);
        p->about = c;
        p->out = true;
        p->talk = (distress){.state = DISTRESS_ASKED, .asked_at = now - number(rows, i, AGE) * 1000};
        p->talk.due_at = now + number(rows, i, DUE) * 1000;
    }
    vigil_shelve_talk(v, p);
}

static pg_verdict catch_up(vigil *v, ward *w) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {w->org};
    pg_verdict verdict =
        vigil_ask(v, "SELECT * FROM mayday.vigil_open($1, '" REMEMBERED "')", 1, params, &rows);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++) {
        watched *p = vigil_person(v, text_of(w->org), text_of(pg_value(rows, i, PERSON)));
        if (p && !pg_is_null(rows, i, ALERT))
            vigil_raised(v, p, text_of(pg_value(rows, i, ALERT)));
        else if (p)
            know_check(v, p, rows, i);
    }
    w->caught_up = verdict == PG_DONE;
    return verdict;
}

/* ---- the lease ---- */

static bool is_among(const pg_rows *rows, const char *org) {
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        if (strcmp(pg_value(rows, i, 0), org) == 0)
            return true;
    return false;
}

static pg_verdict claim(vigil *v, pg_rows **ret_rows) {
    CLEANUP(buf_release) buf orgs = BUF(LIST_MAX);
    ward *w, *next;
    pg_array_begin(&orgs);
    HASH_ITER(hh, v->wards, w, next)
    if (bus_up(v->s->bus, text_of(w->org)))
        pg_array_add(&orgs, text_of(w->org));
    pg_array_end(&orgs);
    if (buf_failed(&orgs) < 0)
        return PG_RETRY;
    const char *params[] = {v->s->gateway, orgs.ptr};
    return vigil_ask(v, "SELECT mayday.vigil_claim($1, $2, '" LEASE "')", 2, params, ret_rows);
}

static pg_verdict tend_leases(vigil *v) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    ward *w, *next;
    if (vigil_now(v) - v->claimed_at < RENEW)
        return PG_DONE;
    instant asked = vigil_now(v);
    pg_verdict verdict = claim(v, &rows);
    if (v->stood_at >= asked) /* what the database said may be long ago */
        return verdict;
    v->claimed_at = vigil_now(v);
    HASH_ITER(hh, v->wards, w, next) {
        if (verdict != PG_DONE)
            break;
        w->holds = is_among(rows, w->org);
        w->caught_up = w->caught_up && w->holds;
        if (!w->holds || w->caught_up)
            continue;
        verdict = catch_up(v, w);
        if (verdict == PG_DONE)
            vigil_take_over(v, w);
    }
    return verdict;
}

/* ---- rules ---- */

static pg_verdict refresh_rules(vigil *v, ward *w) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char why[BODY_WHY_MAX] = "";
    const char *params[] = {w->org};
    pg_verdict verdict = vigil_ask(v, "SELECT mayday.vigil_rules($1)", 1, params, &rows);
    if (verdict != PG_DONE)
        return verdict;
    w->refreshed_at = vigil_now(v);
    if (w->spelled && strcmp(w->spelled, pg_value(rows, 0, 0)) == 0)
        return PG_DONE;
    int fault = vigil_rule(v, w, text_of(pg_value(rows, 0, 0)), why);
    free(w->spelled);
    w->spelled = text_copy(text_of(pg_value(rows, 0, 0)));
    if (fault < 0)
        service_log(v->s, LOG_LEVEL_ERROR, "%s: its rules can't be used, those before go on: %s", w->org,
                    *why ? why : strerror(-fault));
    else if (local_put(v->s->local, RULES_SHELF, text_of(w->org), text_of(pg_value(rows, 0, 0))) < 0)
        service_log(v->s, LOG_LEVEL_WARNING, "%s: its rules can't be kept for when the database is away",
                    w->org);
    return PG_DONE;
}

static void recall_rules(void *context, text name, text spelled) {
    vigil *v = context;
    char why[BODY_WHY_MAX] = "";
    ward *w = vigil_ward(v, name);
    if (w && vigil_rule(v, w, spelled, why) < 0)
        service_log(v->s, LOG_LEVEL_WARNING, "what was kept of an organisation's rules can't be read: %s",
                    why);
}

void vigil_recall_rules(vigil *v) {
    if (local_each(v->s->local, RULES_SHELF, recall_rules, v) < 0)
        service_log(v->s, LOG_LEVEL_ERROR, "the gateway's own store can't be read");
}

/* ---- people ---- */

static int add_person(json *list, const watched *p, json *said) {
    json *one = json_new_object();
    if (!one || json_put(one, "org", json_new_string(text_of(p->of->org))) < 0 ||
        json_put(one, "person", json_new_string(text_of(p->person))) < 0 ||
        (said && json_put(one, "body", json_share(said)) < 0)) {
        (void)json_free(one);
        return -ENOMEM;
    }
    return json_append(list, one);
}

static void take_roles(watched *p, const char *spelled) {
    CLEANUP(json_freep) json *list = NULL;
    if (json_parse_once(text_of(spelled), &list) != JSON_OK)
        return;
    watched_forget_roles(p);
    p->limits = NULL;
    if (json_length(list) == 0)
        return;
    p->roles = calloc(json_length(list), sizeof *p->roles);
    for (size_t i = 0; p->roles && i < json_length(list); i++)
        if ((p->roles[p->role_count] = text_copy(json_string(json_at(list, i)))))
            p->role_count++;
}

static void take_person(vigil *v, const pg_rows *rows, size_t i) {
    watched *p = vigil_find(v, text_of(pg_value(rows, i, 0)), text_of(pg_value(rows, i, 1)));
    body *before = NULL;
    if (!p)
        return;
    bool first = !p->known;
    p->known = true;
    p->met_at = vigil_now(v);
    if (!pg_is_null(rows, i, 2))
        take_roles(p, pg_value(rows, i, 2));
    (void)snprintf(p->lang, sizeof p->lang, "%s", pg_value(rows, i, 3));
    if (first && !pg_is_null(rows, i, 4) && body_read(text_of(pg_value(rows, i, 4)), &before) == 0) {
        (void)body_free(p->body);
        p->body = before;
    }
    if (!pg_is_null(rows, i, 5) && p->talk.state == DISTRESS_CALM)
        vigil_raised(v, p, text_of(pg_value(rows, i, 5)));
}

static pg_verdict meet_people(vigil *v, bool *ret_more) {
    CLEANUP(json_freep) json *list = json_new_array();
    CLEANUP(buf_release) buf spelled = BUF(LIST_MAX);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char window[32];
    watched *p, *next;
    instant now = vigil_now(v);
    size_t count = 0;
    HASH_ITER(hh, v->people, p, next)
    if (list && (!p->known || now - p->met_at >= MEET_AGAIN) && count < PEOPLE &&
        add_person(list, p, NULL) == 0)
        count++;
    if (count == 0)
        return PG_DONE;
    *ret_more |= count == PEOPLE;
    json_print(list, &spelled);
    if (buf_failed(&spelled) < 0)
        return PG_RETRY;
    (void)snprintf(window, sizeof window, "%lld ms", (long long)v->s->settings->join_window_ms);
    const char *params[] = {spelled.ptr, window};
    pg_verdict verdict = vigil_ask(v, "SELECT * FROM mayday.vigil_people($1, $2)", 2, params, &rows);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++)
        take_person(v, rows, i);
    return verdict;
}

static int add_body(json *list, const watched *p) {
    CLEANUP(buf_release) buf spelled = BUF(LIST_MAX);
    CLEANUP(json_freep) json *said = NULL;
    body_spell(p->body, &spelled);
    if (buf_failed(&spelled) < 0 || json_parse_once(buf_text(&spelled), &said) != JSON_OK)
        return -EBADMSG;
    return add_person(list, p, said);
}

pg_verdict vigil_keep_bodies(vigil *v, bool *ret_more) {
    instant now = vigil_now(v), each = v->s->settings->vitals_keep_ms * 1000;
    CLEANUP(json_freep) json *list = json_new_array();
    CLEANUP(buf_release) buf spelled = BUF(LIST_MAX);
    watched *p, *next;
    size_t count = 0;
    HASH_ITER(hh, v->people, p, next) {
        if (!list || p->kept || !p->of->holds || count >= BODIES || now - p->kept_at < each)
            continue;
        p->kept = true;
        p->kept_at = now;
        count += add_body(list, p) == 0;
    }
    if (count == 0)
        return PG_DONE;
    *ret_more |= count == BODIES;
    json_print(list, &spelled);
    if (buf_failed(&spelled) < 0)
        return PG_RETRY;
    const char *params[] = {spelled.ptr};
    return vigil_ask(v, "SELECT mayday.vigil_keep($1)", 1, params, NULL);
}

/* ---- what we may have missed ---- */

/* An answer that came while our connection to the broker was away, or whose PIN only the database can judge.
 */
static pg_verdict look_for_answers(vigil *v) {
    CLEANUP(buf_release) buf checks = BUF(LIST_MAX);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    watched *p, *next;
    size_t count = 0;
    pg_array_begin(&checks);
    HASH_ITER(hh, v->people, p, next)
    if (*p->about.check && !p->help && (p->talk.state == DISTRESS_ASKED || p->raise_at) &&
        count++ < CHECKS_MAX)
        pg_array_add(&checks, text_of(p->about.check));
    pg_array_end(&checks);
    if (count == 0)
        return PG_DONE;
    if (buf_failed(&checks) < 0)
        return PG_RETRY;
    const char *params[] = {checks.ptr};
    pg_verdict verdict = vigil_ask(v, "SELECT * FROM mayday.vigil_answers($1)", 1, params, &rows);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++) {
        p = vigil_find(v, text_of(pg_value(rows, i, 0)), text_of(pg_value(rows, i, 1)));
        if (p && strcmp(p->about.check, pg_value(rows, i, 2)) == 0)
            vigil_answered(v, p, strcmp(pg_value(rows, i, 3), "help") == 0,
                           strcmp(pg_value(rows, i, 4), "t") == 0);
    }
    return verdict;
}

static const char *incident_of(const watched *p) {
    bool has = p->talk.state == DISTRESS_TAKEN || (p->talk.state == DISTRESS_ALARMED && !p->raise_at);
    return !has ? "" : *p->alert ? p->alert : p->about.alert;
}

/* The row of somebody's incident; false when it goes on. */
static bool end_of(const pg_rows *rows, const char *alert, size_t *ret_row) {
    for (size_t i = 0; *alert && i < pg_rows_count(rows); i++)
        if (strcmp(pg_value(rows, i, 0), alert) == 0) {
            *ret_row = i;
            return true;
        }
    return false;
}

static void end_all(vigil *v, const pg_rows *rows, instant asked_at) {
    watched *p, *next;
    HASH_ITER(hh, v->people, p, next) {
        size_t row = 0;
        if (!end_of(rows, incident_of(p), &row) ||
            (strcmp(pg_value(rows, row, 1), "t") != 0 && asked_at - p->taken_at < NOT_YET))
            continue;
        vigil_over(v, p, text_of(incident_of(p)));
        if (strcmp(pg_value(rows, row, 2), "t") == 0)
            vigil_was_mistake(v, p);
    }
}

/* Who is thought to have an incident open is not asked: the end of one that we did not hear of must not leave
 * somebody unwatched. */
static pg_verdict look_for_ends(vigil *v) {
    CLEANUP(buf_release) buf orgs = BUF(LIST_MAX), alerts = BUF(LIST_MAX);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    watched *p, *next;
    size_t count = 0;
    instant asked_at = vigil_now(v);
    if (asked_at - v->checked_at < LOOK_AGAIN)
        return PG_DONE;
    v->checked_at = asked_at;
    pg_array_begin(&orgs);
    pg_array_begin(&alerts);
    HASH_ITER(hh, v->people, p, next)
    if (*incident_of(p) && count++ < ALERTS_MAX) {
        pg_array_add(&orgs, text_of(p->of->org));
        pg_array_add(&alerts, text_of(incident_of(p)));
    }
    pg_array_end(&orgs);
    pg_array_end(&alerts);
    if (count == 0)
        return PG_DONE;
    if (buf_failed(&orgs) < 0 || buf_failed(&alerts) < 0)
        return PG_RETRY;
    const char *params[] = {orgs.ptr, alerts.ptr};
    pg_verdict verdict = vigil_ask(v, "SELECT * FROM mayday.vigil_over($1, $2)", 2, params, &rows);
    if (verdict == PG_DONE && pg_rows_count(rows) > 0)
        end_all(v, rows, asked_at);
    return verdict;
}

/* ---- all of it ---- */

typedef struct orgs {
    char *names[VIGIL_ORGS_MAX];
    size_t count;
} orgs;

static void add_org(void *context, text org, bool up, uint64_t generation) {
    orgs *o = context;
    (void)up;
    (void)generation;
    if (o->count < ARRAY_LEN(o->names) && (o->names[o->count] = text_copy(org)))
        o->count++;
}

static pg_verdict tend(vigil *v, const char *org, size_t *refreshed) {
    ward *w = vigil_ward(v, text_of(org));
    if (!w)
        return PG_DONE;
    pg_verdict verdict = PG_DONE;
    bool stale =
        !w->refreshed_at || vigil_now(v) - w->refreshed_at >= RULES_FOR || w->refreshed_at < v->changed_at;
    if (stale && *refreshed < ORGS_STEP) {
        (*refreshed)++;
        verdict = refresh_rules(v, w);
    }
    return verdict;
}

pg_verdict vigil_attend(vigil *v, bool *ret_more) {
    CLEANUP(freep) orgs *o = calloc(1, sizeof *o);
    pg_verdict verdict = PG_DONE;
    size_t refreshed = 0;
    if (!o)
        return PG_RETRY;
    if (v->s->connected_ms != v->connected_ms) { /* much may have happened since the last one */
        ward *w, *next;
        HASH_ITER(hh, v->wards, w, next) {
            w->caught_up = false;
        }
        v->claimed_at = 0;
        v->connected_ms = v->s->connected_ms;
    }
    bus_each(v->s->bus, add_org, o);
    for (size_t i = 0; i < o->count; i++) {
        if (verdict == PG_DONE)
            verdict = tend(v, o->names[i], &refreshed);
        free(o->names[i]);
    }
    *ret_more |= refreshed == ORGS_STEP;
    if (verdict == PG_DONE)
        verdict = tend_leases(v);
    if (verdict == PG_DONE)
        verdict = look_for_answers(v);
    if (verdict == PG_DONE)
        verdict = look_for_ends(v);
    if (verdict == PG_DONE)
        verdict = meet_people(v, ret_more);
    return verdict;
}
