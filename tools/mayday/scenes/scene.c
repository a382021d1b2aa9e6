/* scene.c - see scene.h. */
#include "scenes/scene.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "story.h"

const scenario *scene_named(const char *name) {
    for (const scenario *const *s = scenarios; *s; s++)
        if (strcmp((*s)->name, name) == 0)
            return *s;
    return NULL;
}

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

int scene_begin(scene *s, crowd *all, FILE *to, instant begun, int64_t raise_after_ms) {
    s->all = all;
    s->to = to;
    s->begun = begun;
    s->raise_at = begun + raise_after_ms * 1000;
    s->alert = link_new_id();
    uuid_format(&s->alert, s->alert_text);
    s->state = calloc(1, s->play->state + 1);
    if (!s->state)
        return command_fail(all->command, EXIT_REFUSED, "out of memory");
    return s->play->enter ? s->play->enter(s) : EXIT_DONE;
}

void scene_end(scene *s) {
    if (s->state && s->play->clear)
        s->play->clear(s);
    free(s->state);
    s->state = NULL;
}

int scene_say(scene *s, person *p, const char *leaf, const payload *what, int tag) {
    char below[128];
    (void)snprintf(below, sizeof below, "alert/%s/%s", s->alert_text, leaf);
    return crowd_say(p, below, what, true, tag);
}

void scene_raised(scene *s, const person *p, instant now) {
    s->raised = true;
    s->raised_at = now;
    scene_line(s, now, "%s raises a panic: alert %s", p->sub, s->alert_text);
}

void scene_raise_acked(scene *s, const person *p, uint8_t reason, instant at) {
    if (reason >= MQTT_REFUSED_AT) {
        scene_line(s, at, "refused: %s's alert: %s", p->sub, mqtt_reason_name(reason));
        s->refused = true;
        return;
    }
    s->heard = true;
    s->heard_at = at;
    scene_line(s, at, "heard: the broker acknowledged %s's alert after %.1f ms", p->sub,
               (double)(at - s->raised_at) / 1000.0);
}

/* ---- incidents ---- */

bool scene_is_closed(const json *state) {
    text status = json_get_string(state, "status");
    return !state || text_equal(status, TEXT("resolved")) || text_equal(status, TEXT("canceled"));
}

static int64_t version_of(const json *state) {
    const json *version = json_get(state, "version");
    return json_kind_of(version) == JSON_INTEGER ? json_integer(version) : 0;
}

void scene_shows(scene *s, const char *whose, json **view, const json *state, instant at) {
    CLEANUP(buf_release) buf news = BUF(4096);
    if (version_of(state) <= version_of(*view))
        return;
    story_state(*view, state, &news);
    if (whose && buf_failed(&news) == 0)
        scene_line(s, at, "   %s shows %s", whose, news.ptr);
    (void)json_free(*view);
    *view = json_share(state);
}

void scene_other_incident(scene *s, text id, const json *state) {
    if (!scene_is_closed(state) && !json_get(state, "joined"))
        (void)snprintf(s->leftover, sizeof s->leftover, "%.*s", (int)id.len, id.ptr);
    else if (text_equal(id, text_of(s->leftover)))
        s->leftover[0] = '\0';
}

int scene_cancel(person *by, const char *alert, const char *reason, instant now) {
    uuid id = link_new_id();
    char below[128];
    CLEANUP(payload_release) payload p = payload_new(&id, now);
    payload_text(&p, "action", "cancel");
    payload_text(&p, "reason", reason);
    (void)snprintf(below, sizeof below, "alert/%s/action", alert);
    return crowd_say(by, below, &p, true, TAG_STEP);
}
