/* evening.c - an evening at the control room, in order. Each step begins when the one before has come about,
 * as somebody of the cast sees it, and must come about within its bound; the first that does not ends the
 * evening. */
#include "scenes/evening.h"

#include <string.h>

#define PAUSE_US (INSTANT_SECOND * 6 / 10) /* between steps: people are not machines */

extern const scenario scenario_evening;

typedef struct step {
    const char *does;                    /* the line when it begins; NULL: it has none, or its own */
    int (*begin)(scene *s, instant now); /* NULL: it only waits */
    bool (*happened)(const scene *s);
    const char *then; /* what has come about */
} step;

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
    return !*evening_of(s)->leftover;
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

static const step steps[] = {
    {NULL, NULL, all_listening, "ann, ben, carl and dora are connected"},
    {NULL, voice_close_leftover, nothing_left_over, "nothing is open from an earlier evening"},
    {"carl's phone asks what it missed", voice_ask_what_was_missed, carl_up_to_date,
     "carl's phone is up to date"},
    {"ben goes on duty", voice_ben_on_duty, ben_on_duty, "dora's screen shows him on duty"},
    {NULL, voice_ann_raises, reached_dora, "dora's screen shows the alert"},
    {NULL, NULL, ann_sees_stored, "ann's phone knows that it is stored"},
    {"dora's screen says that it has it", voice_dora_has_it, ann_sees_delivered,
     "ann's phone knows that it reached somebody who can help"},
    {"ann writes: Somebody is following me, near the footbridge.", voice_ann_writes, reached_dora,
     "dora reads it, and sees where ann is"},
    {"ben, whom nobody has sent, tries to write in the incident", voice_ben_intrudes, ben_shut_out,
     "he is refused, and nothing of it has reached him"},
    {"dora acknowledges", voice_dora_acknowledges, ann_sees_acknowledged,
     "ann's phone says that dora has it"},
    {"dora asks ben: Are you OK, and free?", voice_dora_checks, check_received,
     "dora sees that his phone has it"},
    {"ben answers: ok", voice_ben_replies, reached_dora, "dora has his answer"},
    {"dora assigns ben", voice_dora_assigns, ben_reads,
     "ben can read the incident, and ann's phone says who comes"},
    {"ann writes: I am at the north end now.", voice_ann_writes_again, reached_ben,
     "ben reads it, as he does everything from now on"},
    {"ben has read it", voice_ben_has_read, ann_sees_read, "ann's phone says so"},
    {"dora invites carl, who is close by", voice_dora_invites, carl_reads,
     "carl can read it, and dora's screen shows him as invited"},
    {"ben sets off", voice_ben_sets_off, ann_sees_enroute, "ann's phone says that he is on the way"},
    {"carl's phone loses its connection", voice_carl_leaves, carl_away, "dora's screen shows him as away"},
    {"the others talk on, dora writes to carl and to all members", voice_talk_goes_on, talk_reached_others,
     "everybody else has it"},
    {"carl writes, remarks and walks, offline", voice_carl_keeps, carl_kept, "his phone keeps it"},
    {"carl's phone is back: what it kept goes out in any order, and it asks what it missed",
     voice_carl_returns, caught_up, "it has all it missed, and dora all it kept"},
    {"ben arrives", voice_ben_arrives, ann_sees_on_scene, "ann's phone says that he is there"},
    {"dora resolves the incident", voice_dora_resolves, ann_sees_resolved,
     "ann's phone says that it is over"},
};

static int enter(scene *s) {
    evening *e = evening_of(s);
    e->step_begun = s->begun;
    for (size_t i = 0; i < CAST; i++) {
        int code = crowd_enter(s->all, s->first_of_cast + i, names[i], s->org, roles[i], listens[i]);
        if (code != EXIT_DONE)
            return code;
        e->cast[i] = &s->all->people[s->first_of_cast + i];
    }
    return EXIT_DONE;
}

static int begin(scene *s, const step *now_on, instant now) {
    evening *e = evening_of(s);
    e->under_way = true;
    if (now_on->begin) /* else it waits for more of what the one before has begun */
        e->step_begun = now;
    e->since = e->said_count;
    if (now_on->begin == voice_ann_raises)
        e->raise_at = e->said_count;
    if (now_on->begin == voice_talk_goes_on)
        e->away_at = e->said_count;
    if (now_on->begin == voice_carl_keeps)
        e->kept_at = e->said_count;
    if (now_on->does)
        scene_line(s, now, "%s", now_on->does);
    return now_on->begin ? now_on->begin(s, now) : EXIT_DONE;
}

static void end(scene *s, const step *done, instant now) {
    evening *e = evening_of(s);
    instant took = now - e->step_begun;
    scene_line(s, now, "-> %s (%.0f ms)", done->then, (double)took / 1000.0);
    if (e->step > 0 && took > e->slowest) { /* the first one waits for connections, not for Mayday */
        e->slowest = took;
        e->slowest_is = done->then;
    }
    e->happened++;
    e->under_way = false;
    e->over = ++e->step == ARRAY_LEN(steps);
    e->not_before = e->over || steps[e->step].begin ? now + PAUSE_US : now;
}

static int turn(scene *s, instant now) {
    evening *e = evening_of(s);
    if (e->over || (!e->under_way && now < e->not_before))
        return EXIT_DONE;
    const step *now_on = &steps[e->step];
    int code = e->under_way ? EXIT_DONE : begin(s, now_on, now);
    if (code != EXIT_DONE)
        return code;
    if (now_on->happened(s)) {
        end(s, now_on, now);
    } else if (now >= e->step_begun + s->bound_ms * 1000) {
        e->over = true;
    }
    return EXIT_DONE;
}

static void acked(scene *s, person *p, const parcel *what, uint8_t reason, instant at) {
    if (what->tag == TAG_RAISE)
        scene_raise_acked(s, p, reason, at);
    else if (what->tag == TAG_STEP && reason >= MQTT_REFUSED_AT)
        scene_line(s, at, "refused: %s of %s: %s", what->topic, p->sub, mqtt_reason_name(reason));
}

static bool over(const scene *s) {
    return evening_of(s)->over;
}

static int conclude(scene *s, json *summary) {
    const evening *e = evening_of(s);
    bool whole = e->step == ARRAY_LEN(steps);
    if (json_put(summary, "steps", json_new_integer(ARRAY_LEN(steps))) < 0 ||
        json_put(summary, "happened", json_new_integer((int64_t)e->happened)) < 0 ||
        json_put(summary, "caught_up", json_new_integer((int64_t)e->caught_up)) < 0 ||
        (!whole && json_put(summary, "missing", json_new_string(text_of(steps[e->step].then))) < 0))
        return command_fail(s->all->command, EXIT_REFUSED, "out of memory");
    scene_line(s, instant_now(), "%zu of %zu things came about%s%s", e->happened, ARRAY_LEN(steps),
               whole ? "" : "; this did not: ", whole ? "" : steps[e->step].then);
    if (whole)
        scene_line(s, instant_now(), "the slowest took %.0f ms: %s", (double)e->slowest / 1000.0,
                   e->slowest_is);
    return whole ? EXIT_DONE : EXIT_REFUSED;
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
    .enter = enter,
    .turn = turn,
    .acked = acked,
    .message = ears_message,
    .over = over,
    .conclude = conclude,
    .clear = clear,
};
