/* duress.c - see duress.h. */
#include "gateway/duress.h"

#include <stdio.h>
#include <strings.h>

static bool is_word_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0x80;
}

static bool holds_word(text said, text word) {
    for (size_t i = 0; word.len && i + word.len <= said.len; i++)
        if (strncasecmp(said.ptr + i, word.ptr, word.len) == 0 &&
            (i == 0 || !is_word_char(said.ptr[i - 1])) &&
            (i + word.len == said.len || !is_word_char(said.ptr[i + word.len])))
            return true;
    return false;
}

static bool holds_any(text said, const json *words) {
    for (size_t i = 0; i < json_length(words); i++)
        if (holds_word(said, json_string(json_at(words, i))))
            return true;
    return false;
}

bool duress_known(local *l, text org, text person, text said) {
    CLEANUP(buf_release) buf spelled = BUF(LOCAL_DOCUMENT_MAX);
    CLEANUP(json_freep) json *rules = NULL;
    if (!said.len || local_get(l, DURESS_SHELF, org, &spelled) < 0 ||
        json_parse_once(buf_text(&spelled), &rules) != JSON_OK)
        return false;
    return duress_said(json_get(json_get(rules, "rules"), "duress_words"), person, said);
}

bool duress_said(const json *words, text person, text said) {
    char name[256];
    int len = snprintf(name, sizeof name, "%.*s", (int)person.len, person.ptr ? person.ptr : "");
    if (!said.ptr || holds_any(said, json_get(words, "*")))
        return said.ptr != NULL;
    return len > 0 && len < (int)sizeof name && holds_any(said, json_get(words, name));
}
