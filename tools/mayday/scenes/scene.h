/* scene.h - what the people of `mayday sim` do besides walking: scenarios, one row and one file each (list in
 * CMakeLists.txt), and what they share: the stage, its lines, and the order of things (course.h). Threads:
 * one. */
#ifndef MAYDAY_TOOLS_SCENE_H
#define MAYDAY_TOOLS_SCENE_H

#include <stdio.h>

#include "core/topic.h"
#include "crowd.h"

typedef struct scene scene;

/* One thing of an order of things; see course.h. */
typedef struct scene_step {
    const char *does;                    /* the line when it begins; NULL: it has none, or its own */
    int (*begin)(scene *s, instant now); /* NULL: it only waits; an exit code */
    bool (*happened)(const scene *s);
    const char *then;                       /* what has come about */
    int64_t (*patience_ms)(const scene *s); /* how long besides the bound it may take; NULL: no longer */
} scene_step;

typedef struct scenario {
    const char *name;
    size_t cast;  /* how many people besides the walkers */
    size_t state; /* bytes of the scenario's own, zeroed at the beginning */
    bool ends;    /* it ends by itself; else when the time is over */

    /* Of one that is an order of things. */
    const scene_step *steps;
    size_t step_count;
    int64_t pause_ms;                                      /* between two: people are not machines */
    void (*step_begins)(scene *s, const scene_step *step); /* may be NULL */

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
    const char *runner; /* who runs in a run */
    size_t first_of_cast;
    FILE *to; /* the readable lines */
    instant begun, raise_at;
    int64_t bound_ms; /* how long each thing may take that is waited for */

    struct {         /* how far the order of things has got: course.c's alone to change */
        size_t step; /* the one under way or next; the number of all when each has come about */
        instant step_begun, not_before, slowest;
        bool under_way, over;
        const char *slowest_is;
        const char *broken; /* what makes the rest pointless, or NULL */
    } course;

    /* Of the alert that is raised in it, if one is. */
    person *walker; /* a walker who raised it, and whose way is told in it; NULL for none */
    walk_fix where; /* of that walker, kept by the caller */
    uuid alert;
    char alert_text[UUID_TEXT_LEN + 1];
    char leftover[UUID_TEXT_LEN + 1]; /* an open incident of the cast's from another time, or "" */
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

/* ---- incidents, as those see them who are in them ---- */

bool scene_is_closed(const json *state); /* NULL: cleared, so closed */
/* Takes the state for the newest in `view`, if it is; with whose phone shows it, as a line. */
void scene_shows(scene *s, const char *whose, json **view, const json *state, instant at);
/* Another incident than this scene's: notes it as left over while it is open. */
void scene_other_incident(scene *s, text id, const json *state);
/* An exit code. */
NODISCARD int scene_cancel(person *by, const char *alert, const char *reason, instant now);

enum {
    TAG_NONE = 0,
    TAG_RAISE,
    TAG_STEP
};

#endif
