/* course.c - see course.h. */
#include "scenes/course.h"

/* A step with nothing of its own to do waits for more of what the one before has begun. */
static bool has_own(const scene_step *step) {
    return step->begin || step->does;
}

static int begin(scene *s, const scene_step *step, instant now) {
    s->course.under_way = true;
    if (has_own(step) || s->course.step == 0)
        s->course.step_begun = s->course.step == 0 ? s->begun : now;
    if (s->play->step_begins)
        s->play->step_begins(s, step);
    if (step->does)
        scene_line(s, now, "%s", step->does);
    return step->begin ? step->begin(s, now) : EXIT_DONE;
}

static void end(scene *s, const scene_step *step, instant now) {
    instant took = now - s->course.step_begun;
    if (took < 10 * INSTANT_SECOND)
        scene_line(s, now, "-> %s (%.0f ms)", step->then, (double)took / 1e3);
    else
        scene_line(s, now, "-> %s (%.1f s)", step->then, (double)took / 1e6);
    if (s->course.step > 0 &&
        took > s->course.slowest) { /* the first waits for connections, not for Mayday */
        s->course.slowest = took;
        s->course.slowest_is = step->then;
    }
    s->course.under_way = false;
    s->course.over = ++s->course.step == s->play->step_count;
    bool rests = s->course.over || has_own(&s->play->steps[s->course.step]);
    s->course.not_before = rests ? now + s->play->pause_ms * 1000 : now;
}

int course_turn(scene *s, instant now) {
    if (s->course.over || (!s->course.under_way && now < s->course.not_before))
        return EXIT_DONE;
    const scene_step *step = &s->play->steps[s->course.step];
    int code = s->course.under_way ? EXIT_DONE : begin(s, step, now);
    if (code != EXIT_DONE)
        return code;
    int64_t bound_ms = s->bound_ms + (step->patience_ms ? step->patience_ms(s) : 0);
    if (step->happened(s))
        end(s, step, now);
    else if (now >= s->course.step_begun + bound_ms * 1000)
        course_break(s, step->then);
    return EXIT_DONE;
}

void course_acked(scene *s, person *p, const parcel *what, uint8_t reason, instant at) {
    if (what->tag == TAG_RAISE)
        scene_raise_acked(s, p, reason, at);
    else if (what->tag != TAG_FORBIDDEN && reason >= MQTT_REFUSED_AT)
        scene_line(s, at, "refused: %s of %s: %s", what->topic, p->sub, mqtt_reason_name(reason));
}

void course_break(scene *s, const char *missing) {
    s->course.over = true;
    if (!s->course.broken)
        s->course.broken = missing;
}

bool course_over(const scene *s) {
    return s->course.over;
}

bool course_whole(const scene *s) {
    return s->course.step == s->play->step_count;
}

int course_conclude(scene *s, json *summary) {
    size_t happened = s->course.step, all = s->play->step_count;
    /* stopped by its user or by the end of its time, it waits for the step under way */
    const char *missing = course_whole(s)    ? NULL
                          : s->course.broken ? s->course.broken
                                             : s->play->steps[happened].then;
    if (json_put(summary, "steps", json_new_integer((int64_t)all)) < 0 ||
        json_put(summary, "happened", json_new_integer((int64_t)happened)) < 0 ||
        (missing && json_put(summary, "missing", json_new_string(text_of(missing))) < 0))
        return command_fail(s->all->command, EXIT_REFUSED, "out of memory");
    scene_line(s, instant_now(), "%zu of %zu things came about%s%s", happened, all,
               missing ? "; this did not: " : "", missing ? missing : "");
    return missing ? EXIT_REFUSED : EXIT_DONE;
}
