/* course.h - an order of things: each step of a scenario begins when the one before has come about, as
 * somebody of the cast sees it, and must come about within the bound; the first that does not ends it. A
 * scenario puts these into its row, or calls them from its own. Threads: one. */
#ifndef MAYDAY_TOOLS_COURSE_H
#define MAYDAY_TOOLS_COURSE_H

#include "scenes/scene.h"

NODISCARD int course_turn(scene *s, instant now); /* an exit code */
void course_acked(scene *s, person *p, const parcel *what, uint8_t reason, instant at);
bool course_over(const scene *s);
/* Says how it went, and puts `steps`, `happened` and, of one that broke off, `missing`. An exit code. */
NODISCARD int course_conclude(scene *s, json *summary);

/* It is over, since this cannot come about any more. The first one said stays. */
void course_break(scene *s, const char *missing);
bool course_whole(const scene *s); /* all of it came about */

#endif
