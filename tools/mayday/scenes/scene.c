/* scene.c - see scene.h. */
#include "scenes/scene.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

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
