/* spoken.h - which of the providers' voices speaks a language. A voice that a provider does not know makes it
 * say nothing at all, so only what is in the table is ever asked for. Pure. Threads: no state. */
#ifndef MAYDAY_GATEWAY_PROVIDERS_SPOKEN_H
#define MAYDAY_GATEWAY_PROVIDERS_SPOKEN_H

#include "base/text.h"

typedef struct spoken {
    const char *tag;          /* BCP 47, as both providers spell it */
    const char *twilio_voice; /* NULL: the language alone chooses one */
} spoken;

/* For "af-ZA" its own row, for "af" the first of that language; NULL when nobody speaks it: then say it in
 * the provider's default voice, which is better than silence. */
const spoken *spoken_of(text lang);

#endif
