/* speech.h - what a notification says: its facts (mayday.notification_facts) put into the templates.
 *
 * Which template, says core/texts.h. When there is none at all, something is said all the same. Pure.
 * Threads: no state. */
#ifndef MAYDAY_GATEWAY_SENDING_SPEECH_H
#define MAYDAY_GATEWAY_SENDING_SPEECH_H

#include "base/instant.h"
#include "core/texts.h"

#define SPEECH_MAX 4000 /* signs of an inbox's message; a text is shorter */

typedef struct speech {
    const texts *texts;
    const char *fallback; /* language */
    const char *map_url;  /* with {lat} and {lon} */
} speech;

typedef struct speech_about {
    const char *kind, *purpose;
    bool family;
    text lang; /* empty: the fallback */
    const json *facts;
} speech_about;

/* Appends to `to`; what is said in a call ends as a sentence does. *ret_lang: the language it came in,
 * borrowed from `about` or `s`. Returns 0 or the buffer's fault. */
NODISCARD int speech_say(const speech *s, const speech_about *about, buf *to, text *ret_lang);

/* Which keys there are in a call; nothing when no language has the words. */
NODISCARD int speech_menu(const speech *s, text lang, buf *to);

/* For a webhook: the facts, without what only we need, as JSON. */
NODISCARD int speech_webhook(const speech_about *about, text id, instant now, buf *to);

#endif
