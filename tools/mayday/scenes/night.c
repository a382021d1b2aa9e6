/* night.c - a panic that nobody sees: ann presses the button, nobody looks at a screen, and Mayday goes on by
 * text and by telephone until somebody answers. What the telephones get is not ours to see; it has come about
 * when ann's phone says who has it. */
#include "scenes/course.h"

#define LAT 51.5072
#define LON (-0.1276)

extern const scenario scenario_night;

typedef struct night {
    person *ann;
    json *view; /* the newest state of the incident on her phone */
} night;

static const char *const listens[] = {"alert/+/state", "user/*/inbox", NULL};

static night *night_of(const scene *s) {
    return s->state;
}

/* ---- what ann does ---- */

static int close_leftover(scene *s, instant now) {
    return *s->leftover ? scene_cancel(night_of(s)->ann, s->leftover, "left over from another night", now)
                        : EXIT_DONE;
}

static int ann_raises(scene *s, instant now) {
    CLEANUP(payload_release) payload p = payload_new(&s->alert, now);
    payload_text(&p, "type", "panic");
    payload_text(&p, "text", "Somebody is in the house");
    payload_position(&p, LAT, LON, 8);
    scene_raised(s, night_of(s)->ann, now);
    return scene_say(s, night_of(s)->ann, "raise", &p, TAG_RAISE);
}

static int ann_cancels(scene *s, instant now) {
    return scene_cancel(night_of(s)->ann, s->alert_text, "The neighbour is here. I am safe.", now);
}

/* ---- what can have come about ---- */

static bool listening(const scene *s) {
    return night_of(s)->ann->listening;
}

static bool nothing_left_over(const scene *s) {
    return !*s->leftover;
}

static bool stored(const scene *s) {
    return json_get(json_get(night_of(s)->view, "receipts"), "stored");
}

static bool answered(const scene *s) {
    const json *mark = json_get(json_get(night_of(s)->view, "receipts"), "acknowledged");
    return mark && text_equal(json_get_string(night_of(s)->view, "status"), TEXT("acknowledged"));
}

static bool canceled(const scene *s) {
    return text_equal(json_get_string(night_of(s)->view, "status"), TEXT("canceled"));
}

static const scene_step steps[] = {
    {NULL, NULL, listening, "ann's phone is connected", NULL},
    {NULL, close_leftover, nothing_left_over, "nothing is open from another night", NULL},
    {NULL, ann_raises, stored, "ann's phone knows that it is stored", NULL},
    {"nobody looks at a screen; Mayday reaches out", NULL, answered,
     "ann's phone says who has it: somebody answered by telephone", NULL},
    {"ann is safe, and cancels", ann_cancels, canceled, "ann's phone says that it is over", NULL},
};

/* ---- the order of things ---- */

static int enter(scene *s) {
    night *n = night_of(s);
    n->ann = &s->all->people[s->first_of_cast];
    return crowd_enter(s->all, s->first_of_cast, "ann", s->org, "member", listens);
}

static void message(scene *s, person *p, const mqtt_event *m) {
    CLEANUP(json_freep) json *body = NULL;
    address a;
    if (p != night_of(s)->ann || !address_parse(m->topic, &a) || a.family != ADDRESS_ALERT ||
        !text_equal(a.leaf, TEXT("state")) || (m->body.len && json_parse_once(m->body, &body) != JSON_OK))
        return;
    if (!text_equal(a.id, text_of(s->alert_text)))
        scene_other_incident(s, a.id, body);
    else if (body)
        scene_shows(s, "ann's phone", &night_of(s)->view, body, m->at);
}

static void clear(scene *s) {
    night_of(s)->view = json_free(night_of(s)->view);
}

const scenario scenario_night = {
    .name = "night",
    .cast = 1,
    .state = sizeof(night),
    .ends = true,
    .steps = steps,
    .step_count = ARRAY_LEN(steps),
    .pause_ms = 600,
    .enter = enter,
    .turn = course_turn,
    .acked = course_acked,
    .message = message,
    .over = course_over,
    .conclude = course_conclude,
    .clear = clear,
};
