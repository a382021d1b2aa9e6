/* evening.c - an evening at the control room, in order. */
#include "scenes/evening.h"

#include <string.h>

extern const scenario scenario_evening;

static const char *const names[CAST] = {"ann", "ben", "carl", "dora"};
static const char *const roles[CAST] = {"officer", "responder,officer", "member", "dispatcher"};
static const char *const listens[CAST][MQTT_FILTERS_MAX] = {
    [ANN] = {"alert/+/state", "alert/+/chat", "alert/+/receipt", "alert/+/location", "user/*/check",
             "user/*/inbox"},
    [BEN] = {"alert/+/state", "alert/+/dispatch", "alert/+/chat", "alert/+/action", "alert/+/location",
             "alert/+/receipt", "user/*/check", "user/*/inbox"},
    [CARL] = {"alert/+/state", "alert/+/chat", "user/*/check", "user/*/inbox", "role/member/broadcast"},
    [DORA] = {"alert/+/raise", "alert/+/chat", "alert/+/action", "alert/+/receipt", "alert/+/location",
              "alert/+/dispatch", "user/+/reply", "user/+/receipt", "user/+/presence", "user/+/location"},
};

/* ---- what can have come about ---- */

static bool all_listening(const scene *s) {
    const evening *e = evening_of(s);
    for (size_t i = 0; i < CAST; i++)
        if (!e->cast[i]->listening)
            return false;
    return true;
}

static bool nothing_left_over(const scene *s) {
    return !*s->leftover;
}

static bool carl_up_to_date(const scene *s) {
    return evening_of(s)->up_to_date;
}

static bool ben_on_duty(const scene *s) {
    return !evening_of(s)->away[BEN] && evening_of(s)->on_duty[BEN];
}

/* All of what the step said reached all of these. */
static bool reached(const scene *s, unsigned whom) {
    const evening *e = evening_of(s);
    for (size_t i = e->since; i < e->said_count; i++)
        if ((e->said[i].reached & whom) != whom)
            return false;
    return true;
}

static bool reached_dora(const scene *s) {
    return reached(s, BIT(DORA));
}

static bool reached_ben(const scene *s) {
    return reached(s, BIT(BEN));
}

static bool status_is(const scene *s, role_of_cast who, const char *status) {
    return text_equal(json_get_string(evening_of(s)->view[who], "status"), text_of(status));
}

static bool ann_sees_stored(const scene *s) {
    return json_get(json_get(evening_of(s)->view[ANN], "receipts"), "stored");
}

static bool ann_sees_delivered(const scene *s) {
    return json_get(json_get(evening_of(s)->view[ANN], "receipts"), "delivered");
}

static bool ann_sees_acknowledged(const scene *s) {
    const evening *e = evening_of(s);
    const json *by = json_get(json_get(json_get(e->view[ANN], "receipts"), "acknowledged"), "by");
    return status_is(s, ANN, "acknowledged") && text_equal(json_string(by), text_of(e->cast[DORA]->sub));
}

/* Refused, and nothing of the incident has reached him. */
static bool ben_shut_out(const scene *s) {
    const evening *e = evening_of(s);
    for (size_t i = e->raise_at; i < e->said_count; i++)
        if (e->said[i].reached & BIT(BEN))
            return false;
    return e->ben_refused && !e->view[BEN];
}

static bool check_received(const scene *s) {
    const evening *e = evening_of(s);
    return e->said[e->since].marks_shown & BIT(DORA);
}

static bool names_person(const json *list, const char *whom) {
    for (size_t i = 0; i < json_length(list); i++)
        if (text_equal(json_string(json_at(list, i)), text_of(whom)))
            return true;
    return false;
}

/* He sees the incident, and ann sees him. */
static bool ben_reads(const scene *s) {
    const evening *e = evening_of(s);
    return e->view[BEN] && names_person(json_get(e->view[ANN], "assigned"), e->cast[BEN]->sub);
}

static bool ann_sees_read(const scene *s) {
    const evening *e = evening_of(s);
    return e->said[e->said_count - 1].marks_shown & BIT(ANN);
}

static bool carl_reads(const scene *s) {
    const evening *e = evening_of(s);
    return e->view[CARL] && names_person(json_get(e->view[DORA], "invited"), e->cast[CARL]->sub);
}

static bool ann_sees_enroute(const scene *s) {
    return status_is(s, ANN, "enroute");
}

static bool carl_away(const scene *s) {
    return evening_of(s)->away[CARL];
}

/* The three lines; the letter and the call are carl's alone. */
static bool talk_reached_others(const scene *s) {
    const evening *e = evening_of(s);
    for (size_t i = e->since; i < e->since + 3; i++)
        if ((e->said[i].reached & (BIT(ANN) | BIT(BEN) | BIT(DORA))) != (BIT(ANN) | BIT(BEN) | BIT(DORA)))
            return false;
    return true;
}

static bool carl_kept(const scene *s) {
    return evening_of(s)->kept_count > 0;
}

/* What was said while he was away reached him, and what he kept reached dora. */
static bool caught_up(const scene *s) {
    const evening *e = evening_of(s);
    for (size_t i = e->away_at; i < e->kept_at; i++)
        if (!(e->said[i].reached & BIT(CARL)))
            return false;
    for (size_t i = e->kept_at; i < e->said_count; i++)
        if (!(e->said[i].reached & BIT(DORA)))
            return false;
    return e->up_to_date && e->cast[CARL]->listening;
}

static bool ann_sees_on_scene(const scene *s) {
    return status_is(s, ANN, "on_scene");
}

static bool ann_sees_resolved(const scene *s) {
    return status_is(s, ANN, "resolved");
}

/* ---- the order of things ---- */

static const scene_step steps[] = {
    {NULL, NULL, all_listening, "ann, ben, carl and dora are connected", NULL},
    {NULL, voice_close_leftover, nothing_left_over, "nothing is open from an earlier evening", NULL},
    {"carl's phone asks what it missed", voice_ask_what_was_missed, carl_up_to_date,
     "carl's phone is up to date", NULL},
    {"ben goes on duty", voice_ben_on_duty, ben_on_duty, "dora's screen shows him on duty", NULL},
    {NULL, voice_ann_raises, reached_dora, "dora's screen shows the alert", NULL},
    {NULL, NULL, ann_sees_stored, "ann's phone knows that it is stored", NULL},
    {"dora's screen says that it has it", voice_dora_has_it, ann_sees_delivered,
     "ann's phone knows that it reached somebody who can help", NULL},
    {"ann writes: Somebody is following me, near the footbridge.", voice_ann_writes, reached_dora,
     "dora reads it, and sees where ann is", NULL},
    {"ben, whom nobody has sent, tries to write in the incident", voice_ben_intrudes, ben_shut_out,
     "he is refused, and nothing of it has reached him", NULL},
    {"dora acknowledges", voice_dora_acknowledges, ann_sees_acknowledged, "ann's phone says that dora has it",
     NULL},
    {"dora asks ben: Are you OK, and free?", voice_dora_checks, check_received,
     "dora sees that his phone has it", NULL},
    {"ben answers: ok", voice_ben_replies, reached_dora, "dora has his answer", NULL},
    {"dora assigns ben", voice_dora_assigns, ben_reads,
     "ben can read the incident, and ann's phone says who comes", NULL},
    {"ann writes: I am at the north end now.", voice_ann_writes_again, reached_ben,
     "ben reads it, as he does everything from now on", NULL},
    {"ben has read it", voice_ben_has_read, ann_sees_read, "ann's phone says so", NULL},
    {"dora invites carl, who is close by", voice_dora_invites, carl_reads,
     "carl can read it, and dora's screen shows him as invited", NULL},
    {"ben sets off", voice_ben_sets_off, ann_sees_enroute, "ann's phone says that he is on the way", NULL},
    {"carl's phone loses its connection", voice_carl_leaves, carl_away, "dora's screen shows him as away",
     NULL},
    {"the others talk on, dora writes to carl and to all members", voice_talk_goes_on, talk_reached_others,
     "everybody else has it", NULL},
    {"carl writes, remarks and walks, offline", voice_carl_keeps, carl_kept, "his phone keeps it", NULL},
    {"carl's phone is back: what it kept goes out in any order, and it asks what it missed",
     voice_carl_returns, caught_up, "it has all it missed, and dora all it kept", NULL},
    {"ben arrives", voice_ben_arrives, ann_sees_on_scene, "ann's phone says that he is there", NULL},
    {"dora resolves the incident", voice_dora_resolves, ann_sees_resolved, "ann's phone says that it is over",
     NULL},
};

static int enter(scene *s) {
    evening *e = evening_of(s);
    for (size_t i = 0; i < CAST; i++) {
        int code = crowd_enter(s->all, s->first_of_cast + i, names[i], s->org, roles[i], listens[i]);
        if (code != EXIT_DONE)
            return code;
        e->cast[i] = &s->all->people[s->first_of_cast + i];
    }
    return EXIT_DONE;
}

/* What is said from here on is what the step is about. */
static void step_begins(scene *s, const scene_step *step) {
    evening *e = evening_of(s);
    e->since = e->said_count;
    if (step->begin == voice_ann_raises)
        e->raise_at = e->said_count;
    if (step->begin == voice_talk_goes_on)
        e->away_at = e->said_count;
    if (step->begin == voice_carl_keeps)
        e->kept_at = e->said_count;
}

static int conclude(scene *s, json *summary) {
    int code = course_conclude(s, summary);
    if (json_put(summary, "caught_up", json_new_integer((int64_t)evening_of(s)->caught_up)) < 0)
        return command_fail(s->all->command, EXIT_REFUSED, "out of memory");
    if (course_whole(s))
        scene_line(s, instant_now(), "the slowest took %.0f ms: %s", (double)s->course.slowest / 1000.0,
                   s->course.slowest_is);
    return code;
}

static void clear(scene *s) {
    evening *e = evening_of(s);
    for (size_t i = 0; i < CAST; i++)
        e->view[i] = json_free(e->view[i]);
    while (e->kept_count > 0)
        payload_release(&e->kept[--e->kept_count].what);
}

const scenario scenario_evening = {
    .name = "evening",
    .cast = CAST,
    .state = sizeof(evening),
    .ends = true,
    .steps = steps,
    .step_count = ARRAY_LEN(steps),
    .pause_ms = 600,
    .step_begins = step_begins,
    .enter = enter,
    .turn = course_turn,
    .acked = course_acked,
    .message = ears_message,
    .over = course_over,
    .conclude = conclude,
    .clear = clear,
};
