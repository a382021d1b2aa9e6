/* night.c - a panic that nobody sees: ann presses the button, nobody looks at a screen, and Mayday goes on by
 * text and by telephone until somebody answers. What the telephones get is not ours to see; it has come about
 * when ann's phone says who has it. Each step must come about within its bound; the first that does not ends
 * the night. */
#include <stdio.h>
#include <string.h>

#include "scenes/scene.h"
#include "story.h"

#define PAUSE_US (INSTANT_SECOND * 6 / 10)
#define LAT      51.5072
#define LON      (-0.1276)

extern const scenario scenario_night;

typedef struct night {
    person *ann;
    json *view;                       /* the newest state of the incident on her phone */
    char leftover[UUID_TEXT_LEN + 1]; /* an open incident of hers from another night, or "" */
    size_t step;
    instant step_begun, not_before;
    bool under_way, over;
} night;

typedef struct step {
    const char *does;
    int (*begin)(scene *s, instant now); /* NULL: it only waits */
    bool (*happened)(const scene *s);
    const char *then;
} step;

static const char *const listens[] = {"alert/+/state", "user/*/inbox", NULL};

static night *night_of(const scene *s) {
    return s->state;
}

/* ---- what ann does ---- */

static int cancel(scene *s, const char *alert, const char *reason, instant now) {
    uuid id = link_new_id();
    char below[128];
    CLEANUP(payload_release) payload p = payload_new(&id, now);
    payload_text(&p, "action", "cancel");
    payload_text(&p, "reason", reason);
    (void)snprintf(below, sizeof below, "alert/%s/action", alert);
    return crowd_say(night_of(s)->ann, below, &p, true, TAG_STEP);
}

static int close_leftover(scene *s, instant now) {
    const night *n = night_of(s);
    return *n->leftover ? cancel(s, n->leftover, "left over from another night", now) : EXIT_DONE;
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
    return cancel(s, s->alert_text, "The neighbour is here. I am safe.", now);
}

/* ---- what can have come about ---- */

static bool listening(const scene *s) {
    return night_of(s)->ann->listening;
}

static bool nothing_left_over(const scene *s) {
    return !*night_of(s)->leftover;
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

static const step steps[] = {
    {NULL, NULL, listening, "ann's phone is connected"},
    {NULL, close_leftover, nothing_left_over, "nothing is open from another night"},
    {NULL, ann_raises, stored, "ann's phone knows that it is stored"},
    {"nobody looks at a screen; Mayday reaches out", NULL, answered,
     "ann's phone says who has it: somebody answered by telephone"},
    {"ann is safe, and cancels", ann_cancels, canceled, "ann's phone says that it is over"},
};

/* ---- the order of things ---- */

static int enter(scene *s) {
    night *n = night_of(s);
    n->step_begun = s->begun;
    n->ann = &s->all->people[s->first_of_cast];
    return crowd_enter(s->all, s->first_of_cast, "ann", s->org, "member", listens);
}

static int turn(scene *s, instant now) {
    night *n = night_of(s);
    if (n->over || (!n->under_way && now < n->not_before))
        return EXIT_DONE;
    const step *now_on = &steps[n->step];
    if (!n->under_way) {
        n->under_way = true;
        n->step_begun = now;
        if (now_on->does)
            scene_line(s, now, "%s", now_on->does);
        int code = now_on->begin ? now_on->begin(s, now) : EXIT_DONE;
        if (code != EXIT_DONE)
            return code;
    }
    if (now_on->happened(s)) {
        scene_line(s, now, "-> %s (%.0f ms)", now_on->then, (double)(now - n->step_begun) / 1000.0);
        n->under_way = false;
        n->over = ++n->step == ARRAY_LEN(steps);
        n->not_before = now + PAUSE_US;
    } else if (now >= n->step_begun + s->bound_ms * 1000) {
        n->over = true;
    }
    return EXIT_DONE;
}

static void acked(scene *s, person *p, const parcel *what, uint8_t reason, instant at) {
    if (what->tag == TAG_RAISE)
        scene_raise_acked(s, p, reason, at);
    else if (what->tag == TAG_STEP && reason >= MQTT_REFUSED_AT)
        scene_line(s, at, "refused: %s of %s: %s", what->topic, p->sub, mqtt_reason_name(reason));
}

static bool is_closed(const json *state) {
    text status = json_get_string(state, "status");
    return !state || text_equal(status, TEXT("resolved")) || text_equal(status, TEXT("canceled"));
}

static void on_other(night *n, text id, const json *state) {
    if (!is_closed(state) && !json_get(state, "joined"))
        (void)snprintf(n->leftover, sizeof n->leftover, "%.*s", (int)id.len, id.ptr);
    else if (text_equal(id, text_of(n->leftover)))
        n->leftover[0] = '\0';
}

static int64_t version_of(const json *state) {
    const json *version = json_get(state, "version");
    return json_kind_of(version) == JSON_INTEGER ? json_integer(version) : 0;
}

static void on_state(scene *s, const json *state, instant at) {
    night *n = night_of(s);
    CLEANUP(buf_release) buf news = BUF(4096);
    if (version_of(state) <= version_of(n->view))
        return;
    story_state(n->view, state, &news);
    if (buf_failed(&news) == 0)
        scene_line(s, at, "   ann's phone shows %s", news.ptr);
    (void)json_free(n->view);
    n->view = json_share(state);
}

static void message(scene *s, person *p, const mqtt_event *m) {
    CLEANUP(json_freep) json *body = NULL;
    address a;
    if (p != night_of(s)->ann || !address_parse(m->topic, &a) || a.family != ADDRESS_ALERT ||
        !text_equal(a.leaf, TEXT("state")) || (m->body.len && json_parse_once(m->body, &body) != JSON_OK))
        return;
    if (!text_equal(a.id, text_of(s->alert_text)))
        on_other(night_of(s), a.id, body);
    else if (body)
        on_state(s, body, m->at);
}

static bool over(const scene *s) {
    return night_of(s)->over;
}

static int conclude(scene *s, json *summary) {
    const night *n = night_of(s);
    bool whole = n->step == ARRAY_LEN(steps);
    if (json_put(summary, "steps", json_new_integer(ARRAY_LEN(steps))) < 0 ||
        json_put(summary, "happened", json_new_integer((int64_t)n->step)) < 0 ||
        (!whole && json_put(summary, "missing", json_new_string(text_of(steps[n->step].then))) < 0))
        return command_fail(s->all->command, EXIT_REFUSED, "out of memory");
    scene_line(s, instant_now(), "%zu of %zu things came about%s%s", n->step, ARRAY_LEN(steps),
               whole ? "" : "; this did not: ", whole ? "" : steps[n->step].then);
    return whole ? EXIT_DONE : EXIT_REFUSED;
}

static void clear(scene *s) {
    night_of(s)->view = json_free(night_of(s)->view);
}

const scenario scenario_night = {
    .name = "night",
    .cast = 1,
    .state = sizeof(night),
    .ends = true,
    .enter = enter,
    .turn = turn,
    .acked = acked,
    .message = message,
    .over = over,
    .conclude = conclude,
    .clear = clear,
};
