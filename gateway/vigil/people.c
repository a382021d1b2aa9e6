/* people.c - see vigil.h: organisations with their rules, and the people who are watched. Bounded: when
 * there is no room, whoever is calm and was not heard of for the longest time goes; nobody can keep the
 * people of another organisation out by inventing people of their own. */
#include "gateway/vigil/vigil.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVICT_AFTER (10 * 60 * INSTANT_SECOND)

ward *vigil_ward(vigil *v, text org) {
    ward *w = NULL;
    HASH_FIND(hh, v->wards, org.ptr, org.len, w);
    if (w || HASH_COUNT(v->wards) >= VIGIL_ORGS_MAX || !org.len)
        return w;
    w = calloc(1, sizeof *w);
    if (!w || !(w->org = text_copy(org)) || body_rules_default(&w->rules) < 0) {
        free(w ? w->org : NULL);
        free(w);
        return NULL;
    }
    HASH_ADD_KEYPTR(hh, v->wards, w->org, strlen(w->org), w);
    if (w->hh.tbl)
        return w;
    (void)body_rules_free(w->rules); /* there was no memory for it */
    free(w->org);
    free(w);
    return NULL;
}

void concern_release(concern *c) {
    c->readings = json_free(c->readings);
}

void watched_forget_roles(watched *p) {
    for (size_t i = 0; i < p->role_count; i++)
        free(p->roles[i]);
    free(p->roles);
    p->roles = NULL;
    p->role_count = 0;
}

static void forget(vigil *v, watched *p) {
    HASH_DEL(v->people, p);
    p->of->people--;
    (void)body_free(p->body);
    watched_forget_roles(p);
    concern_release(&p->about);
    free(p->key);
    free(p);
}

void vigil_people_free(vigil *v) {
    while (v->people)
        forget(v, v->people);
    while (v->wards) {
        ward *w = v->wards;
        HASH_DEL(v->wards, w);
        (void)body_rules_free(w->rules);
        (void)json_free(w->words);
        free(w->spelled);
        free(w->org);
        free(w);
    }
}

static bool is_calm(const watched *p) {
    return p->talk.state == DISTRESS_CALM && !p->raise_at && p->held.kind == FINDING_NONE;
}

static ward *most_crowded(vigil *v) {
    ward *most = NULL, *w, *next;
    HASH_ITER(hh, v->wards, w, next)
    if (!most || w->people > most->people)
        most = w;
    return most;
}

static bool make_room(vigil *v, const ward *for_whom) {
    watched *longest = NULL, *p, *next;
    instant now = vigil_now(v);
    if (HASH_COUNT(v->people) < VIGIL_PEOPLE_MAX)
        return true;
    const ward *crowd = most_crowded(v);
    if (crowd && crowd->people <= for_whom->people + 1)
        crowd = NULL;
    HASH_ITER(hh, v->people, p, next)
    if (is_calm(p) && (now - p->heard_at >= EVICT_AFTER || (crowd && p->of == crowd)) &&
        (!longest || p->heard_at < longest->heard_at))
        longest = p;
    if (longest) {
        forget(v, longest);
        v->crowded = false;
        return true;
    }
    if (!v->crowded)
        service_log(v->s, LOG_LEVEL_ERROR, "more people than can be watched: %d; further ones are not",
                    VIGIL_PEOPLE_MAX);
    v->crowded = true;
    return false;
}

static char *spell_key(text org, text person) {
    CLEANUP(buf_release) buf key = BUF(1024);
    buf_add_text(&key, org);
    buf_add_char(&key, '/');
    buf_add_text(&key, person);
    return buf_steal(&key);
}

watched *vigil_find(vigil *v, text org, text person) {
    CLEANUP(freep) char *key = spell_key(org, person);
    watched *p = NULL;
    if (key)
        HASH_FIND(hh, v->people, key, strlen(key), p);
    return p;
}

watched *vigil_person(vigil *v, text org, text person) {
    watched *p = vigil_find(v, org, person);
    ward *w = p || !person.len || person.len > TOPIC_LEVEL_MAX ? NULL : vigil_ward(v, org);
    if (p || !w || !make_room(v, w))
        return p;
    p = calloc(1, sizeof *p);
    if (!p || !(p->key = spell_key(org, person)) || body_new(&p->body) < 0) {
        free(p ? p->key : NULL);
        free(p);
        return NULL;
    }
    p->of = w;
    w->people++;
    (void)snprintf(p->person, sizeof p->person, "%.*s", (int)person.len, person.ptr);
    p->heard_at = p->kept_at = vigil_now(v);
    HASH_ADD_KEYPTR(hh, v->people, p->key, strlen(p->key), p);
    if (p->hh.tbl)
        return p;
    w->people--;
    (void)body_free(p->body);
    free(p->key);
    free(p);
    return NULL;
}

const body_limits *vigil_limits(vigil *v, watched *p) {
    text roles[32];
    size_t count = p->role_count < ARRAY_LEN(roles) ? p->role_count : ARRAY_LEN(roles);
    (void)v;
    for (size_t i = 0; i < count; i++)
        roles[i] = text_of(p->roles[i]);
    if (!p->limits && body_rules_for(p->of->rules, text_of(p->person), roles, count, &p->limits) < 0)
        p->limits = NULL;
    return p->limits;
}

/* ---- rules ---- */

/* The words that call for help are ours; what is left is the rules. */
static int copy_rule(void *context, const char *name, const json *value) {
    return strcmp(name, "duress_words") == 0 ? 0 : json_put(context, name, json_share(value));
}

int vigil_rule(vigil *v, ward *w, text spelled, char ret_why[BODY_WHY_MAX]) {
    CLEANUP(json_freep) json *said = NULL;
    CLEANUP(json_freep) json *bare = json_new_object();
    body_rules *fresh = NULL;
    json *words = NULL;
    watched *p, *next;
    ret_why[0] = '\0';
    if (json_parse_once(spelled, &said) != JSON_OK || !bare)
        return -EBADMSG;
    const json *rules = json_get(said, "rules");
    int fault = rules ? json_each(rules, copy_rule, bare) : 0;
    if (fault == 0)
        fault = rules ? body_rules_parse(bare, &fresh, ret_why) : body_rules_default(&fresh);
    if (fault < 0)
        return fault;
    if (json_get(rules, "duress_words"))
        words = json_share(json_get(rules, "duress_words"));
    (void)body_rules_free(w->rules);
    (void)json_free(w->words);
    w->rules = fresh;
    w->words = words;
    HASH_ITER(hh, v->people, p, next)
    if (p->of == w)
        p->limits = NULL;
    return 0;
}
