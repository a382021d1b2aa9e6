/* redact.h - what others may see of a payload that holds a PIN. Pure. */
#ifndef MAYDAY_PLUGIN_REDACT_H
#define MAYDAY_PLUGIN_REDACT_H

#include "msg/type.h"

/* Prints `body` without the PINs into `to`; an answer to a check says instead that there was one. False, with
 * nothing printed, when it holds none; a fault stays in the buffer. The journal keeps the original: the PIN
 * is judged when the action is stored. */
bool redact(const msg_type *type, const json *body, buf *to);

#endif
