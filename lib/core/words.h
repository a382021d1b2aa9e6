/* words.h - a list of words separated by spaces, as settings have them, kept as one copy. Private to core. */
#ifndef MAYDAY_CORE_WORDS_H
#define MAYDAY_CORE_WORDS_H

#include "base/text.h"

typedef struct words {
    char *copy;
    char **items; /* NUL-terminated */
    size_t count;
} words;

/* Copies `list`; a NUL byte in it separates too. Returns 0 or -ENOMEM. */
NODISCARD int words_parse(text list, words *ret_words);
void words_release(words *w);
bool words_hold(const words *w, text word);

#endif
