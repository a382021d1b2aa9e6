/* show.h - one message as a line for people, or as a line of JSON for scripts. What others wrote cannot
 * steer the terminal: control characters are shown as '?'. */
#ifndef MAYDAY_TOOLS_SHOW_H
#define MAYDAY_TOOLS_SHOW_H

#include <stdio.h>

#include "mqtt.h"

void show_line(FILE *to, const mqtt_event *message);
void show_json(FILE *to, const mqtt_event *message);

#endif
