/* texts.h - what is said to people by text and by voice, in their language: templates from
 * schemas/texts/<lang>.json.
 *
 * A template is UTF-8 with {names} of facts; "[...]" around a part leaves it out when a fact in it is
 * missing: "MAYDAY: {who} - {what}.[ Where: {map}.] Reply OK {code} to take it." A doubled sign stands for
 * itself: {{ }} [[ ]]. Brackets do not nest.
 *
 * Names: "<purpose>.<kind>", with the purposes of mayday.notification and the kinds "sms", "voice", "inbox";
 * "raise.family.sms" is how family of the person in danger is told: without a code, they can't answer.
 * "voice.menu" and other "voice." are said in a call, "answer." lists the words of an answer. The language's
 * own words for what facts say: "type.panic", "silent.yes", "reason.database"; "when.minutes" with '#' for
 * the number; and "unknown.who" for a fact that is missing and stands outside of brackets. What must not be
 * cut off comes before {text}.
 *
 * Pure: the caller reads the files (msg/texts_dir.h). Threads: a set never changes once it is read; share
 * it. */
#ifndef MAYDAY_CORE_TEXTS_H
#define MAYDAY_CORE_TEXTS_H

#include "base/buf.h"
#include "base/json.h"

typedef struct texts texts;

/* The facts a template may name; their order is that of the table in texts.c. */
typedef enum text_fact {
    FACT_WHO = 0, /* the person in danger */
    FACT_WHAT,    /* "panic", "medical"...: template "type.<type>" */
    FACT_WHERE,   /* in words, when known */
    FACT_MAP,     /* a link */
    FACT_WHEN, /* how long ago, in seconds ("185": templates "when.now", "when.minutes", "when.hours"), or a
                  time as it is to be told ("14:05") */
    FACT_TEXT, /* what the person wrote */
    FACT_CODE, /* to answer with */
    FACT_BY,   /* who acknowledged, resolved... */
    FACT_ORG,
    FACT_LEVEL,
    FACT_REASON, /* why; or "broker", "database": template "reason.<reason>" */
    FACT_SILENT, /* "yes": nothing may ring where the person is; template "silent.yes" */
    FACTS,
} text_fact;

texts *texts_new(void);
texts *texts_free(texts *t); /* takes NULL, returns NULL */
DEFINE_CLEANUP(texts, texts_free)

#define TEXTS_WHY_MAX 256
/* Adds one language: an object of names to templates; members whose name begins with '$' are notes. `lang`: a
 * BCP 47 tag. Returns 0, -ENOMEM, -EBADMSG with a sentence that names the template, or -EEXIST. Adds all or
 * nothing. */
NODISCARD int texts_add(texts *t, text lang, const json *templates, char ret_why[TEXTS_WHY_MAX]);

/* Appends to `to`. Of `lang` ("af-ZA"), what it is cut down to ("af"), `fallback` likewise, English, and then
 * any language, the first that has `name`: better a text in a foreign language than none. *ret_fell_back,
 * when asked for: `lang` was given and has it not. Returns 0, -ENOENT when no language has it, or the
 * buffer's fault. Facts: NULL ptr or empty for those not known; control characters in them become spaces. A
 * fact with words of its own is told as it is when the language has none for it. */
NODISCARD int texts_render(const texts *t, text lang, text fallback, text name, const text facts[FACTS],
                           buf *to, bool *ret_fell_back);

/* Has `lang`, or what it is cut down to, the template? Of no name: does anything speak `lang`? */
bool texts_has(const texts *t, text lang, text name);

/* Calls `visit` for every template that `reference` has and another language has not: for `mayday doctor`. */
typedef void (*texts_visit)(void *context, text lang, text name);
void texts_missing(const texts *t, text reference, texts_visit visit, void *context);
size_t texts_languages(const texts *t);
text texts_language(const texts *t, size_t index); /* its tag, in lower case, in the order they were added */

#endif
