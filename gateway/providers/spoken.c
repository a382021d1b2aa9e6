/* spoken.c - see spoken.h. */
#include "gateway/providers/spoken.h"

#include <strings.h>

/* Of each language the widest understood first. */
static const spoken rows[] = {
    {"en-GB", NULL}, {"en-US", NULL}, {"en-AU", NULL}, {"en-IN", NULL}, {"af-ZA", "Google.af-ZA-Standard-A"},
    {"ca-ES", NULL}, {"da-DK", NULL}, {"de-DE", NULL}, {"es-ES", NULL}, {"es-MX", NULL},
    {"fi-FI", NULL}, {"fr-FR", NULL}, {"fr-CA", NULL}, {"it-IT", NULL}, {"ja-JP", NULL},
    {"ko-KR", NULL}, {"nb-NO", NULL}, {"nl-NL", NULL}, {"pl-PL", NULL}, {"pt-PT", NULL},
    {"pt-BR", NULL}, {"ru-RU", NULL}, {"sv-SE", NULL},
};

static bool begins(text lang, const char *tag, size_t len) {
    return lang.len >= len && strncasecmp(lang.ptr, tag, len) == 0;
}

const spoken *spoken_of(text lang) {
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (lang.len == 5 && begins(lang, rows[i].tag, 5))
            return &rows[i];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (begins(lang, rows[i].tag, 2) && (lang.len == 2 || lang.ptr[2] == '-'))
            return &rows[i];
    return NULL;
}
