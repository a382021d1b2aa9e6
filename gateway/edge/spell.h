/* spell.h - what was sensed, as the messages vitals and location say it (schemas/vitals.json,
 * location.json), but for what stands in front of every message: version, id, time. Pure.
 *
 * The two halves are kept apart so that a sample which waits can have its time put right, and be marked as
 * one that waited. */
#ifndef MAYDAY_GATEWAY_EDGE_SPELL_H
#define MAYDAY_GATEWAY_EDGE_SPELL_H

#include "base/buf.h"
#include "sense/sense.h"

#define SPELL_BODY_MAX 8192

/* The leaf of its topic, behind user/<person>/; NULL for what is no message. */
const char *spell_leaf(const sensed *one);
/* `,"hr":72,...,"sensor":"..."}`: a reading's goes by `sensor`, and with the `battery` last heard of (NAN:
 * none) when it says none itself. */
void spell_body(const sensed *one, const char *sensor, double battery, buf *to);
/* The whole message. */
void spell_message(const char *id, instant at, bool waited, text body, buf *to);

#endif
