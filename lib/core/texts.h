/* texts.h - what is said to people by text and by voice, in their language: templates from
 * schemas/texts/<lang>.json.
 *
 * A template is UTF-8 with {names} of facts; "[...]" around a part leaves it out when a fact in it is
 * missing: "MAYDAY: {who} - {what}.[ Where: {map}.] Reply OK {code} to take it." A doubled sign stands for
 * itself: {{ }} [[ ]]. Brackets do not nest. Pure: the caller reads the files. Threads: a set never changes
 * once it is read; share it. */
#ifndef MAYDAY_CORE_TEXTS_H
#define MAYDAY_CORE_TEXTS_H

#include "base/buf.h"
#include "base/json.h"

typedef struct texts texts;

/* The facts a template may name; their order is that of the table in texts.c. */
typedef enum text_fact {
    FACT_WHO = 0, /* the person in danger */
    FACT_WHAT,    /* "panic", "medical"..., by the language's own word: template "type.<type>" */
    FACT_WHERE,   /* in words, when known */
    FACT_MAP,     /* a link */
    FACT_WHEN,    /* how long ago or at what time */
    FACT_TEXT,    /* what the person wrote */
    FACT_CODE,    /* to answer with */
    FACT_BY,      /* who acknowledged, resolved... */
    FACT_ORG,
    FACT_LEVEL,
    FACT_REASON,
    FACTS,
} text_fact;

texts *texts_new(void);
texts *texts_free(texts *t); /* takes NULL, returns NULL */
DEFINE_CLEANUP(texts, texts_free)

#define TEXTS_WHY_MAX 256
/* Adds one language: an object of "<purpose>.<kind>" ("raise.sms", "raise.voice", "type.panic",
 * "voice.menu"...) to templates. `lang`: a BCP 47 tag. Returns 0, -ENOMEM, -EBADMSG with a sentence that
 * names the template, or -EEXIST. */
NODISCARD int texts_add(texts *t, text lang, const json *templates, char ret_why[TEXTS_WHY_MAX]);

/* Renders into `to`. Of `lang` ("af-ZA"), its language alone ("af"), then `fallback`, the first that has
 * `name`. *ret_fell_back, when asked for: it was not in `lang`. Returns 0, -ENOENT when no language has it,
 * or the buffer's fault. Facts: NULL ptr for those not known. */
NODISCARD int texts_render(const texts *t, text lang, text fallback, text name, const text facts[FACTS],
                           buf *to, bool *ret_fell_back);

/* Calls `visit` for every template that `reference` has and `lang` has not: for `mayday doctor`. */
typedef void (*texts_visit)(void *context, text lang, text name);
void texts_missing(const texts *t, text reference, texts_visit visit, void *context);
size_t texts_languages(const texts *t);

#endif
