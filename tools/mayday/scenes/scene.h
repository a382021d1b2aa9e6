/* scene.h - what the people of `mayday sim` do besides walking: scenarios, one row and one file each (list in
 * CMakeLists.txt), and what they share: the stage and its lines. Threads: one. */
#ifndef MAYDAY_TOOLS_SCENE_H
#define MAYDAY_TOOLS_SCENE_H

#include <stdio.h>

#include "core/topic.h"
#include "crowd.h"

typedef struct scene scene;

typedef struct scenario {
    const char *name;
    size_t cast;  /* how many people besides the walkers */
    size_t state; /* bytes of the scenario's own, zeroed at the beginning */
    bool ends;    /* it ends by itself; else when the time is over */

    /* Each may be NULL. Those that return int return an exit code. */
    int (*enter)(scene *s);             /* fills people[first_of_cast] and on, with crowd_enter() */
    int (*turn)(scene *s, instant now); /* does what is due */
    void (*acked)(scene *s, person *p, const parcel *what, uint8_t reason, instant at);
    void (*message)(scene *s, person *p, const mqtt_event *e);
    bool (*over)(const scene *s);             /* of one that ends by itself */
    int (*conclude)(scene *s, json *summary); /* says how it went; EXIT_REFUSED when not as it should */
    void (*clear)(scene *s);
} scenario;

extern const scenario *const scenarios[]; /* ended by NULL */

struct scene {
    const scenario *play;
    void *state;
    crowd *all;
    const char *prefix, *org;
    size_t first_of_cast;
    FILE *to; /* the readable lines */
    instant begun, raise_at;
    int64_t bound_ms; /* how long each thing may take that is waited for */

    /* Of the alert that is raised in it, if one is. */
    person *walker; /* a walker who raised it, and whose way is told in it; NULL for none */
    walk_fix where; /* of that walker, kept by the caller */
    uuid alert;
    char alert_text[UUID_TEXT_LEN + 1];
    bool raised, heard, refused;
    instant raised_at, heard_at;
};

const scenario *scene_named(const char *name); /* NULL when there is none */

/* An exit code. scene_end() undoes it. */
NODISCARD int scene_begin(scene *s, crowd *all, FILE *to, instant begun, int64_t raise_after_ms);
void scene_end(scene *s);

/* "00:07.312" since the beginning, and the sentence, on a line of its own. */
void scene_line(const scene *s, instant at, const char *format, ...) PRINTF_LIKE(3, 4);

/* Says it on alert/<alert>/<leaf>, urgently. An exit code. */
NODISCARD int scene_say(scene *s, person *p, const char *leaf, const payload *what, int tag);

/* For those that raise: notes that it was raised, heard or refused, with a line. */
void scene_raised(scene *s, const person *p, instant now);
void scene_raise_acked(scene *s, const person *p, uint8_t reason, instant at);

enum {
    TAG_NONE = 0,
    TAG_RAISE,
    TAG_STEP
};

#endif
