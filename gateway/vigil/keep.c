/* keep.c - see vigil.h: conversations on disk, by person, while they are open: what a gateway that is killed
 * must not forget. */
#include <stddef.h>
#include <stdio.h>

#include "gateway/vigil/vigil.h"

#define SHELF       TEXT("vigil")
#define STALE_TALK  (24 * 3600 * INSTANT_SECOND)
#define SECOND_WIND (20 * INSTANT_SECOND)
#define DOCUMENT    (64u << 10)

static int put_text(json *to, const char *name, const char *value) {
    return json_put(to, name, json_new_string(text_of(value)));
}

/* By name, as they are kept. */
static const struct {
    const char *name;
    size_t at;
} flags[] = {{"help", offsetof(watched, help)},         {"duress", offsetof(watched, duress)},
             {"out", offsetof(watched, out)},           {"unjudged", offsetof(watched, unjudged)},
             {"followed", offsetof(watched, followed)}, {"winded", offsetof(watched, winded)}};

static int put_flags(json *to, const watched *p) {
    int fault = 0;
    for (size_t i = 0; fault == 0 && i < ARRAY_LEN(flags); i++)
        fault = json_put(to, flags[i].name, json_new_bool(*(const bool *)((const char *)p + flags[i].at)));
    return fault;
}

static void take_flags(watched *p, const json *from) {
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        *(bool *)((char *)p + flags[i].at) = json_boolean(json_get(from, flags[i].name));
}

static json *spell_kept_place(const watched *p) {
    json *to = vigil_spell_place(p);
    return to && vigil_put_time(to, "at", p->place.at) == 0 ? to : json_free(to);
}

static void take_place(watched *p, const json *from) {
    instant at;
    if (instant_parse(json_get_string(from, "at"), &at) < 0)
        return;
    p->place = fix_at(at, json_number(json_get(from, "lat")), json_number(json_get(from, "lon")));
    if (json_get(from, "accuracy"))
        p->place.accuracy = json_number(json_get(from, "accuracy"));
}

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
        (p->place.at && json_put(said, "place", spell_kept_place(p)) < 0) || put_flags(said, p) < 0 ||
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

/* An answer may have come while we were not there: whoever has the database knows. Without it the question is
 * asked again, and some time given to answer it; once, or a gateway that dies again and again would never
 * call for help. And however the clock was set meanwhile, never more than there was. */
static instant time_left(const vigil *v, const watched *p, instant left) {
    instant least = p->winded ? VIGIL_KEEPER_TIME : SECOND_WIND, most = v->times.answer_ms * 1000;
    most = most > SECOND_WIND ? most : SECOND_WIND;
    return left < least ? least : left > most ? most : left;
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
    take_flags(p, said);
    take_place(p, json_get(said, "place"));
    if (json_boolean(json_get(said, "raising"))) {
        p->talk.state = DISTRESS_ALARMED;
        p->raise_at = now + VIGIL_KEEPER_TIME;
        return;
    }
    p->talk = (distress){.state = DISTRESS_ASKED, .asked_at = now};
    p->talk.due_at = now + time_left(v, p, due - instant_now());
    p->talk.remind_at = p->unjudged ? 0 : now + VIGIL_KEEPER_TIME;
    p->winded = true;
}

void vigil_recall_talks(vigil *v) {
    watched *p, *next;
    if (local_each(v->s->local, SHELF, recall, v) < 0)
        service_log(v->s, LOG_LEVEL_ERROR, "the gateway's own store can't be read");
    HASH_ITER(hh, v->people, p, next)
    if (p->talk.state != DISTRESS_CALM)
        vigil_shelve_talk(v, p); /* what was added to its time is kept */
}
