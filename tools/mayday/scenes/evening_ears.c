/* evening_ears.c - what the four hear, noted by whom. */
#include <stdio.h>
#include <string.h>

#include "scenes/evening.h"

static role_of_cast who_is(const evening *e, const person *p) {
    size_t i = 0;
    while (i < CAST && e->cast[i] != p)
        i++;
    return (role_of_cast)i;
}

static role_of_cast who_is_named(const evening *e, text name) {
    size_t i = 0;
    while (i < CAST && !text_equal(text_of(e->cast[i]->sub), name))
        i++;
    return (role_of_cast)i;
}

static said *find(evening *e, text id) {
    for (size_t i = 0; i < e->said_count; i++)
        if (text_equal(text_of(e->said[i].id), id))
            return &e->said[i];
    return NULL;
}

static void reached(evening *e, role_of_cast who, const json *body) {
    said *s = find(e, json_get_string(body, "id"));
    if (s)
        s->reached |= BIT(who);
}

static void on_other_incident(scene *s, text id, const json *dispatch) {
    const json *anns = json_get(dispatch, "raised_by");
    if (scene_is_closed(dispatch) || text_equal(json_string(anns), text_of(evening_of(s)->cast[ANN]->sub)))
        scene_other_incident(s, id, dispatch);
    if (text_equal(id, text_of(s->leftover)))
        evening_of(s)->leftover_active = text_equal(json_get_string(dispatch, "status"), TEXT("active"));
}

static void on_receipt(evening *e, role_of_cast who, const json *body) {
    const json *of = json_get(body, "of");
    for (size_t i = 0; i < json_length(of); i++) {
        said *s = find(e, json_string(json_at(of, i)));
        if (s)
            s->marks_shown |= BIT(who);
    }
}

static void on_presence(evening *e, text name, const json *body) {
    role_of_cast whose = who_is_named(e, name);
    if (whose == CAST)
        return;
    e->away[whose] = !json_boolean(json_get(body, "connected"));
    e->on_duty[whose] = text_equal(json_get_string(body, "duty"), TEXT("on"));
}

/* A page of what was missed; while there is more, the phone asks on. */
static void on_page(scene *s, role_of_cast who, const json *page, instant at) {
    evening *e = evening_of(s);
    const json *messages = json_get(page, "messages");
    text cursor = json_get_string(page, "cursor");
    e->pages++;
    e->caught_up += json_length(messages);
    for (size_t i = 0; i < json_length(messages); i++)
        reached(e, who, json_get(json_at(messages, i), "payload"));
    (void)snprintf(e->cursor, sizeof e->cursor, "%.*s", (int)cursor.len, cursor.ptr ? cursor.ptr : "");
    e->up_to_date = !json_boolean(json_get(page, "more"));
    if (!e->up_to_date)
        s->all->refused_code = voice_ask_what_was_missed(s, at);
}

static void on_alert(scene *s, role_of_cast who, const address *a, const json *body, instant at) {
    evening *e = evening_of(s);
    bool ours = text_equal(a->id, text_of(s->alert_text));
    text truth = who == DORA ? TEXT("dispatch") : TEXT("state");
    if (!ours && who == DORA && text_equal(a->leaf, TEXT("dispatch")))
        on_other_incident(s, a->id, body);
    else if (ours && body && text_equal(a->leaf, truth))
        /* ann's phone is what the person in danger sees: each new version becomes a line */
        scene_shows(s, who == ANN ? "ann's phone" : NULL, &e->view[who], body, at);
    else if (ours && text_equal(a->leaf, TEXT("receipt")))
        on_receipt(e, who, body);
}

static void on_user(scene *s, person *p, role_of_cast who, const address *a, const json *body, instant at) {
    evening *e = evening_of(s);
    if (text_equal(a->leaf, TEXT("rejected")))
        e->ben_refused = e->ben_refused || who == BEN;
    else if (text_equal(a->leaf, TEXT("presence")))
        on_presence(e, a->id, body);
    else if (text_equal(a->leaf, TEXT("receipt")))
        on_receipt(e, who, body);
    else if (text_equal(a->leaf, TEXT("check")))
        voice_received(s, p, body, at);
    else if (text_equal(a->leaf, TEXT("inbox")) && text_equal(json_get_string(body, "kind"), TEXT("sync")))
        on_page(s, who, body, at);
}

void ears_message(scene *s, person *p, const mqtt_event *m) {
    evening *e = evening_of(s);
    role_of_cast who = who_is(e, p);
    CLEANUP(json_freep) json *body = NULL;
    address a;
    if (who == CAST || !address_parse(m->topic, &a) ||
        (m->body.len && json_parse_once(m->body, &body) != JSON_OK))
        return;
    reached(e, who, body);
    if (a.family == ADDRESS_ALERT)
        on_alert(s, who, &a, body, m->at);
    else if (a.family == ADDRESS_USER && body)
        on_user(s, p, who, &a, body, m->at);
}
