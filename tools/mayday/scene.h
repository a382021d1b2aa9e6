/* scene.h - what the people of `mayday sim` do besides walking: in `panic` one of them raises an alert, a
 * dispatcher answers, and they talk. A table of steps in time. Threads: one. */
#ifndef MAYDAY_TOOLS_SCENE_H
#define MAYDAY_TOOLS_SCENE_H

#include <stdio.h>

#include "core/topic.h"
#include "crowd.h"

typedef struct scene {
    crowd *all;
    person *raiser, *dispatcher; /* NULL: nothing happens */
    FILE *to;                    /* the readable lines */
    instant begun;
    instant raise_at;
    uuid alert;
    char alert_text[UUID_TEXT_LEN + 1];
    bool raised, heard, seen, refused;
    instant raised_at, heard_at;
    size_t step; /* the next of the table */
    fix where;   /* of the raiser, kept by the caller */
} scene;

extern const char *const scene_listens[]; /* what the dispatcher listens to */

void scene_begin(scene *s, crowd *all, FILE *to, instant begun, int64_t raise_after_ms);

/* Does what is due. An exit code. */
NODISCARD int scene_turn(scene *s, instant now);
bool scene_over(const scene *s);

/* For the crowd's callbacks. */
void scene_acked(scene *s, person *p, const parcel *what, uint8_t reason, instant at);
void scene_message(scene *s, person *p, const mqtt_event *e);

/* "00:07.312" since the beginning, and the sentence, on a line of its own. */
void scene_line(const scene *s, instant at, const char *format, ...) PRINTF_LIKE(3, 4);

enum {
    TAG_NONE = 0,
    TAG_RAISE,
    TAG_STEP
};

#endif
