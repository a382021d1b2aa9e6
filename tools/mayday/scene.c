/* scene.c - see scene.h. */
#include "scene.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

const char *const scene_listens[] = {"alert/+/raise", "alert/+/chat", "alert/+/state", NULL};

void scene_line(const scene *s, instant at, const char *format, ...) {
    va_list args;
    int64_t ms = (at - s->begun) / 1000;
    fprintf(s->to, "%02lld:%02lld.%03lld  ", (long long)(ms / 60000), (long long)(ms / 1000 % 60),
            (long long)(ms % 1000));
    va_start(args, format);
    vfprintf(s->to, format, args);
    va_end(args);
    fputc('\n', s->to);
    (void)fflush(s->to);
}

void scene_begin(scene *s, crowd *all, FILE *to, instant begun, int64_t raise_after_ms) {
    s->all = all;
    s->to = to;
    s->begun = begun;
    s->raise_at = begun + raise_after_ms * 1000;
    s->alert = link_new_id();
    uuid_format(&s->alert, s->alert_text);
}

static int say(scene *s, person *p, const char *leaf, const payload *what, int tag) {
    char below[128];
    (void)snprintf(below, sizeof below, "alert/%s/%s", s->alert_text, leaf);
    return crowd_say(p, below, what, true, tag);
}

static int raise_it(scene *s, instant now) {
    CLEANUP(payload_release) payload p = payload_new(&s->alert, now);
    payload_text(&p, "type", "panic");
    payload_text(&p, "priority", "critical");
    payload_text(&p, "text", "Help");
    if (s->where.accuracy > 0)
        payload_position(&p, s->where.lat, s->where.lon, s->where.accuracy);
    s->raised = true;
    s->raised_at = now;
    scene_line(s, now, "%s raises a panic: alert %s", s->raiser->sub, s->alert_text);
    return say(s, s->raiser, "raise", &p, TAG_RAISE);
}

static int take_step(scene *s, instant now) {
    const step *next = &steps[s->step++];
    person *who = next->dispatcher ? s->dispatcher : s->raiser;
    uuid id = link_new_id();
    CLEANUP(payload_release) payload p = payload_new(&id, now);
    payload_text(&p, next->name, next->value);
    if (strcmp(next->leaf, "chat") == 0)
        scene_line(s, now, "%s: %s", next->line, next->value);
    else
        scene_line(s, now, "%s", next->line);
    return say(s, who, next->leaf, &p, TAG_STEP);
}

int scene_turn(scene *s, instant now) {
    if (!s->raiser)
        return EXIT_DONE;
    if (!s->raised)
        return now >= s->raise_at && s->raiser->line == LINE_UP ? raise_it(s, now) : EXIT_DONE;
    if (s->heard && s->step < ARRAY_LEN(steps) && now >= s->heard_at + steps[s->step].after_ms * 1000)
        return take_step(s, now);
    return EXIT_DONE;
}

bool scene_over(const scene *s) {
    return !s->raiser || s->refused || s->step == ARRAY_LEN(steps);
}

void scene_acked(scene *s, person *p, const parcel *what, uint8_t reason, instant at) {
    if (what->tag == TAG_NONE || !s->raiser)
        return;
    if (reason >= MQTT_REFUSED_AT) {
        scene_line(s, at, "refused: %s: %s", what->topic, mqtt_reason_name(reason));
        s->refused = s->refused || what->tag == TAG_RAISE;
    } else if (what->tag == TAG_RAISE) {
        s->heard = true;
        s->heard_at = at;
        scene_line(s, at, "heard: the broker acknowledged %s's alert after %.1f ms", p->sub,
                   (double)(at - s->raised_at) / 1000.0);
    }
}

void scene_message(scene *s, person *p, const mqtt_event *e) {
    address a;
    if (p != s->dispatcher || s->seen || !address_parse(e->topic, &a) || a.family != ADDRESS_ALERT ||
        !text_equal(a.id, text_of(s->alert_text)) || !text_equal(a.leaf, TEXT("raise")))
        return;
    s->seen = true;
    scene_line(s, e->at, "the dispatcher sees it, %.1f ms after the press",
               (double)(e->at - s->raised_at) / 1000.0);
}
