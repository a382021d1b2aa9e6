/* words.c - see words.h. */
#include "core/words.h"

#include <errno.h>
#include <stdlib.h>

static bool separates(char c) {
    return c == ' ' || c == '\t' || c == '\0';
}

int words_parse(text list, words *ret_words) {
    words w = {.copy = text_copy(list), .items = calloc(list.len / 2 + 1, sizeof(char *))};
    if (!w.copy || !w.items) {
        words_release(&w);
        return -ENOMEM;
    }
    for (size_t i = 0; i < list.len; i++) {
        if (separates(w.copy[i]))
            w.copy[i] = '\0';
        else if (i == 0 || w.copy[i - 1] == '\0')
            w.items[w.count++] = &w.copy[i];
    }
    *ret_words = w;
    return 0;
}

void words_release(words *w) {
    free(w->copy);
    free(w->items);
    *w = (words){0};
}

bool words_hold(const words *w, text word) {
    for (size_t i = 0; i < w->count; i++)
        if (text_equal(text_of(w->items[i]), word))
            return true;
    return false;
}
