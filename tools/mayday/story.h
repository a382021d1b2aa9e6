/* story.h - messages told as a story: of an incident's state what is new since the one before, of checks,
 * replies, receipts and presence who and what. Pure; remembers the newest state of each incident, at most
 * STORY_MAX of them. Threads: one. */
#ifndef MAYDAY_TOOLS_STORY_H
#define MAYDAY_TOOLS_STORY_H

#include "base/json.h"
#include "core/topic.h"

#define STORY_MAX 1000

typedef struct story story;

NODISCARD story *story_new(void);
story *story_free(story *s); /* takes NULL, returns NULL */
DEFINE_CLEANUP(story, story_free)

/* What `now` says that `before` did not: "version 3: acknowledged by dora; assigned +ben". `before` NULL: all
 * of it. The fault, if any, stays in the buffer. */
void story_state(const json *before, const json *now, buf *to);

/* Adds what the message says, for people. False, and nothing added, for what has no story of its own. */
bool story_tell(story *s, const address *a, const json *body, buf *to);

/* The incident is told no more: the next state is told whole. */
void story_forget(story *s, const address *a);

#endif
