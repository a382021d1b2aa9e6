/* panic.c - one of the walkers raises an alert, a dispatcher answers, and they talk. A table of steps in
 * time, for a broker alone: nobody waits for what Mayday says. */
#include <stdio.h>
#include <string.h>

#include "scenes/scene.h"

extern const scenario scenario_panic;

typedef struct panic {
    person *dispatcher;
    bool seen;
    size_t step; /* the next of the table */
} panic;

typedef struct step {
    int64_t after_ms; /* since the alert was heard */
    bool dispatcher;  /* else the raiser */
    const char *leaf; /* of the incident */
    const char *name; /* of the member that says it */
    const char *value;
    const char *line;
} step;

static const step steps[] = {
    {1000, false, "chat", "text", "Somebody is following me, near the footbridge.", "raiser writes"},
    {2000, true, "action", "action", "acknowledge", "dispatcher acknowledges"},
    {2500, true, "chat", "text", "I can see where you are. Walk on towards the lights.", "dispatcher writes"},
    {4000, true, "chat", "text", "An officer is on the way, two minutes.", "dispatcher writes"},
    {5000, false, "chat", "text", "I see the officer. Thank you.", "raiser writes"},
    {6000, true, "action", "action", "resolve", "dispatcher resolves the incident"},
};

static const char *const dispatcher_listens[] = {"alert/+/raise", "alert/+/chat", "alert/+/state", NULL};

static int enter(scene *s) {
    panic *p = s->state;
    CLEANUP(buf_release) buf sub = BUF(256);
    buf_printf(&sub, "%s-dispatcher", s->prefix);
    s->walker = &s->all->people[0];
    p->dispatcher = &s->all->people[s->first_of_cast];
    return crowd_enter(s->all, s->first_of_cast, sub.ptr, s->org, "dispatcher", dispatcher_listens);
}

static int raise_it(scene *s, instant now) {
    CLEANUP(payload_release) payload p = payload_new(&s->alert, now);
    payload_text(&p, "type", "panic");
    payload_text(&p, "priority", "critical");
    payload_text(&p, "text", "Help");
    if (s->where.accuracy > 0)
        payload_position(&p, s->where.lat, s->where.lon, s->where.accuracy);
    scene_raised(s, s->walker, now);
    return scene_say(s, s->walker, "raise", &p, TAG_RAISE);
}

static int take_step(scene *s, instant now) {
    panic *state = s->state;
    const step *next = &steps[state->step++];
    uuid id = link_new_id();
    CLEANUP(payload_release) payload p = payload_new(&id, now);
    payload_text(&p, next->name, next->value);
    if (strcmp(next->leaf, "chat") == 0)
        scene_line(s, now, "%s: %s", next->line, next->value);
    else
        scene_line(s, now, "%s", next->line);
    return scene_say(s, next->dispatcher ? state->dispatcher : s->walker, next->leaf, &p, TAG_STEP);
}

static int turn(scene *s, instant now) {
    const panic *p = s->state;
    if (!s->raised)
        return now >= s->raise_at && s->walker->line == LINE_UP ? raise_it(s, now) : EXIT_DONE;
    if (s->heard && p->step < ARRAY_LEN(steps) && now >= s->heard_at + steps[p->step].after_ms * 1000)
        return take_step(s, now);
    return EXIT_DONE;
}

static void acked(scene *s, person *p, const parcel *what, uint8_t reason, instant at) {
    if (what->tag == TAG_RAISE)
        scene_raise_acked(s, p, reason, at);
    else if (what->tag == TAG_STEP && reason >= MQTT_REFUSED_AT)
        scene_line(s, at, "refused: %s: %s", what->topic, mqtt_reason_name(reason));
}

static void message(scene *s, person *p, const mqtt_event *e) {
    panic *state = s->state;
    address a;
    if (p != state->dispatcher || state->seen || !address_parse(e->topic, &a) || a.family != ADDRESS_ALERT ||
        !text_equal(a.id, text_of(s->alert_text)) || !text_equal(a.leaf, TEXT("raise")))
        return;
    state->seen = true;
    scene_line(s, e->at, "the dispatcher sees it, %.1f ms after the press",
               (double)(e->at - s->raised_at) / 1000.0);
}

const scenario scenario_panic = {
    .name = "panic",
    .cast = 1,
    .state = sizeof(panic),
    .enter = enter,
    .turn = turn,
    .acked = acked,
    .message = message,
};
