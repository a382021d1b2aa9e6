/* phrases.h - the few words that an alarm begins with that Mayday raises for somebody, in the language of
 * that person, because a gateway may read it to somebody beside them. Pure. Threads: no state. */
#ifndef MAYDAY_GATEWAY_PHRASES_H
#define MAYDAY_GATEWAY_PHRASES_H

#include "base/attr.h"

typedef struct phrases {
    const char *lang, *silence, *unjudged, *timer, *unasked, *help, *question, *answer, *readings;
} phrases;

/* "de-CH" speaks "de"; who speaks something else gets English. Never NULL. */
const phrases *phrases_of(const char *lang);

#endif
