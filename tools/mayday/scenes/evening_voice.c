/* evening_voice.c - what the four say. Each message is noted with its id, so that whom it reached can be
 * told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenes/evening.h"

#define LAT 51.5072
#define LON (-0.1276)

/* A message of `who`, to be filled and said. */
static payload compose(instant now) {
    uuid id = link_new_id();
    return payload_new(&id, now);
}

static void note(evening *e, const payload *what) {
    if (e->said_count < SAID_MAX)
        memcpy(e->said[e->said_count++].id, what->id, sizeof e->said->id);
}

static int say(scene *s, role_of_cast who, const payload *what, const char *below) {
    evening *e = evening_of(s);
    note(e, what);
    return crowd_say(e->cast[who], below, what, true, TAG_STEP);
}

/* Below the person's own topics: user/<sub>/<leaf>. */
static int say_own(scene *s, role_of_cast who, role_of_cast whose, const payload *what, const char *leaf) {
    char below[256];
    (void)snprintf(below, sizeof below, "user/%s/%s", evening_of(s)->cast[whose]->sub, leaf);
    return say(s, who, what, below);
}

static int say_in_incident(scene *s, role_of_cast who, const payload *what, const char *leaf) {
    note(evening_of(s), what);
    return scene_say(s, evening_of(s)->cast[who], leaf, what, TAG_STEP);
}

static int write_in_incident(scene *s, role_of_cast who, const char *words, instant now) {
    CLEANUP(payload_release) payload p = compose(now);
    payload_text(&p, "text", words);
    payload_text(&p, "lang", "en");
    return say_in_incident(s, who, &p, "chat");
}

static int act(scene *s, role_of_cast who, const char *action, const char *whom, instant now) {
    CLEANUP(payload_release) payload p = compose(now);
    payload_text(&p, "action", action);
    payload_text(&p, "person", whom);
    return say_in_incident(s, who, &p, "action");
}

static int close_step(scene *s, const char *action, instant now) {
    char below[128];
    CLEANUP(payload_release) payload p = compose(now);
    payload_text(&p, "action", action);
    payload_text(&p, "reason", "left over from an earlier evening");
    (void)snprintf(below, sizeof below, "alert/%s/action", s->leftover);
    return say(s, DORA, &p, below);
}

int voice_close_leftover(scene *s, instant now) {
    const evening *e = evening_of(s);
    if (!*s->leftover)
        return EXIT_DONE;
    int code = e->leftover_active ? close_step(s, "acknowledge", now) : EXIT_DONE;
    return code == EXIT_DONE ? close_step(s, "resolve", now) : code;
}

int voice_ask_what_was_missed(scene *s, instant now) {
    evening *e = evening_of(s);
    CLEANUP(payload_release) payload p = compose(now);
    char below[256];
    payload_text(&p, "cursor", *e->cursor ? e->cursor : NULL);
    (void)snprintf(below, sizeof below, "user/%s/sync", e->cast[CARL]->sub);
    e->up_to_date = false;
    return crowd_say(e->cast[CARL], below, &p, true, TAG_NONE);
}

int voice_ben_on_duty(scene *s, instant now) {
    CLEANUP(payload_release) payload where = compose(now);
    CLEANUP(payload_release) payload duty = compose(now);
    payload_number(&where, "lat", LAT + 0.003, 7);
    payload_number(&where, "lon", LON - 0.002, 7);
    payload_number(&where, "accuracy", 6, 1);
    payload_text(&duty, "status", "on");
    int code = say_own(s, BEN, BEN, &where, "location");
    return code == EXIT_DONE ? say_own(s, BEN, BEN, &duty, "duty") : code;
}

int voice_ann_raises(scene *s, instant now) {
    CLEANUP(payload_release) payload p = payload_new(&s->alert, now);
    payload_text(&p, "type", "panic");
    payload_text(&p, "text", "Help");
    payload_position(&p, LAT, LON, 8);
    note(evening_of(s), &p);
    scene_raised(s, evening_of(s)->cast[ANN], now);
    return scene_say(s, evening_of(s)->cast[ANN], "raise", &p, TAG_RAISE);
}

int voice_dora_has_it(scene *s, instant now) {
    CLEANUP(payload_release) payload p = compose(now);
    payload_texts(&p, "of", s->alert_text);
    payload_text(&p, "mark", "delivered");
    return scene_say(s, evening_of(s)->cast[DORA], "receipt", &p, TAG_STEP);
}

int voice_ann_writes(scene *s, instant now) {
    CLEANUP(payload_release) payload where = compose(now);
    payload_number(&where, "lat", LAT + 0.0001, 7);
    payload_number(&where, "lon", LON, 7);
    payload_number(&where, "accuracy", 8, 1);
    int code = say_in_incident(s, ANN, &where, "location");
    return code == EXIT_DONE
               ? write_in_incident(s, ANN, "Somebody is following me, near the footbridge.", now)
               : code;
}

int voice_ben_intrudes(scene *s, instant now) {
    CLEANUP(payload_release) payload p = compose(now);
    payload_text(&p, "text", "What is going on?");
    return scene_say(s, evening_of(s)->cast[BEN], "chat", &p, TAG_FORBIDDEN);
}

int voice_dora_acknowledges(scene *s, instant now) {
    return act(s, DORA, "acknowledge", NULL, now);
}

int voice_dora_checks(scene *s, instant now) {
    CLEANUP(payload_release) payload p = compose(now);
    payload_text(&p, "text", "Are you OK, and free?");
    payload_text(&p, "lang", "en");
    payload_text(&p, "reason", "dispatch");
    payload_number(&p, "respond_within", 60, 0);
    payload_text(&p, "alert", s->alert_text);
    return say_own(s, DORA, BEN, &p, "check");
}

/* What a phone says by itself when it got a check. */
void voice_received(scene *s, person *p, const json *body, instant now) {
    evening *e = evening_of(s);
    CLEANUP(payload_release) payload what = compose(now);
    char id[UUID_TEXT_LEN + 1], below[256];
    text of = json_get_string(body, "id");
    (void)snprintf(id, sizeof id, "%.*s", (int)of.len, of.ptr ? of.ptr : "");
    payload_texts(&what, "of", id);
    payload_text(&what, "mark", "delivered");
    (void)snprintf(below, sizeof below, "user/%s/receipt", p->sub);
    (void)snprintf(e->check, sizeof e->check, "%s", id);
    s->all->refused_code = crowd_say(p, below, &what, true, TAG_NONE);
}

int voice_ben_replies(scene *s, instant now) {
    CLEANUP(payload_release) payload p = compose(now);
    payload_text(&p, "check", evening_of(s)->check);
    payload_text(&p, "answer", "ok");
    payload_text(&p, "text", "On patrol at the bridge. Free.");
    return say_own(s, BEN, BEN, &p, "reply");
}

int voice_dora_assigns(scene *s, instant now) {
    return act(s, DORA, "assign", evening_of(s)->cast[BEN]->sub, now);
}

int voice_ann_writes_again(scene *s, instant now) {
    return write_in_incident(s, ANN, "I am at the north end now.", now);
}

int voice_ben_has_read(scene *s, instant now) {
    CLEANUP(payload_release) payload p = compose(now);
    const evening *e = evening_of(s);
    payload_texts(&p, "of", e->said[e->said_count - 1].id);
    payload_text(&p, "mark", "read");
    return scene_say(s, e->cast[BEN], "receipt", &p, TAG_STEP);
}

int voice_dora_invites(scene *s, instant now) {
    return act(s, DORA, "invite", evening_of(s)->cast[CARL]->sub, now);
}

int voice_ben_sets_off(scene *s, instant now) {
    return act(s, BEN, "enroute", NULL, now);
}

int voice_carl_leaves(scene *s, instant now) {
    (void)now;
    crowd_leave(evening_of(s)->cast[CARL]);
    return EXIT_DONE;
}

int voice_talk_goes_on(scene *s, instant now) {
    CLEANUP(payload_release) payload letter = compose(now);
    CLEANUP(payload_release) payload call = compose(now);
    int code = write_in_incident(s, BEN, "Two minutes away.", now);
    if (code == EXIT_DONE)
        code = write_in_incident(s, ANN, "He has stopped at the gate.", now);
    if (code == EXIT_DONE)
        code = write_in_incident(s, DORA, "Carl, where are you?", now);
    payload_text(&letter, "kind", "message");
    payload_text(&letter, "text", "Please say where you are.");
    if (code == EXIT_DONE)
        code = say_own(s, DORA, CARL, &letter, "inbox");
    payload_text(&call, "text", "Keep away from the footbridge.");
    return code == EXIT_DONE ? say(s, DORA, &call, "role/member/broadcast") : code;
}

static kept *keep(scene *s, const char *family, const char *id, const char *leaf, instant now) {
    evening *e = evening_of(s);
    kept *k = &e->kept[e->kept_count++];
    *k = (kept){.what = compose(now)};
    payload_flag(&k->what, "offline", true);
    (void)snprintf(k->below, sizeof k->below, "%s/%s/%s", family, id, leaf);
    note(e, &k->what);
    return k;
}

int voice_carl_keeps(scene *s, instant now) {
    const char *sub = evening_of(s)->cast[CARL]->sub;
    payload_text(&keep(s, "alert", s->alert_text, "chat", now)->what, "text", "I can see both of them.");
    payload_text(&keep(s, "alert", s->alert_text, "chat", now + INSTANT_SECOND / 10)->what, "text",
                 "No signal down here.");
    payload *remark = &keep(s, "alert", s->alert_text, "action", now + INSTANT_SECOND / 5)->what;
    payload_text(remark, "action", "note");
    payload_text(remark, "reason", "A grey van, the second time tonight.");
    payload *where = &keep(s, "user", sub, "location", now + INSTANT_SECOND / 4)->what;
    payload_number(where, "lat", LAT - 0.0004, 7);
    payload_number(where, "lon", LON + 0.0003, 7);
    payload_number(where, "accuracy", 20, 1);
    return EXIT_DONE;
}

/* In any order, as a device with several queues would. */
int voice_carl_returns(scene *s, instant now) {
    evening *e = evening_of(s);
    crowd *all = s->all;
    int code = EXIT_DONE;
    while (e->kept_count > 0 && code == EXIT_DONE) {
        all->jitter = all->jitter * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t any = (size_t)(all->jitter >> 33) % e->kept_count;
        code = crowd_say(e->cast[CARL], e->kept[any].below, &e->kept[any].what, true, TAG_STEP);
        payload_release(&e->kept[any].what);
        e->kept[any] = e->kept[--e->kept_count];
    }
    crowd_return(e->cast[CARL], now);
    return code == EXIT_DONE ? voice_ask_what_was_missed(s, now) : code;
}

int voice_ben_arrives(scene *s, instant now) {
    return act(s, BEN, "on_scene", NULL, now);
}

int voice_dora_resolves(scene *s, instant now) {
    return act(s, DORA, "resolve", NULL, now);
}
