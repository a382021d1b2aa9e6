/* show.h - one message as a line for people, or as a line of JSON for scripts. What others wrote cannot
 * steer the terminal: control characters are shown as '?'. */
#ifndef MAYDAY_TOOLS_SHOW_H
#define MAYDAY_TOOLS_SHOW_H

#include <stdio.h>

#include "base/buf.h"
#include "mqtt.h"
#include "story.h"

/* With a story, states are told by what is new in them; `s` may be NULL. */
void show_line(FILE *to, story *s, const mqtt_event *message);
void show_json(FILE *to, const mqtt_event *message);

void show_defuse(buf *line); /* control characters become '?' */

#endif
