/* document.h - what readers of documents people write (plans, rules of bodies) have in common: saying where
 * one is wrong and how, and refusing members that nobody knows, so that a slip of the pen is none that goes
 * unseen.
 *
 * Threads: no state. */
#ifndef MAYDAY_CORE_DOCUMENT_H
#define MAYDAY_CORE_DOCUMENT_H

#include <stddef.h>
#include "base/attr.h"
#include "base/json.h"

typedef struct complaint {
    char *why; /* borrowed: the sentence goes there, cut to its room */
    size_t room;
} complaint;

/* Always -EBADMSG. */
int document_refuse(const complaint *d, const char *format, ...) PRINTF_LIKE(2, 3);
/* A place in it, for people: cut when it is too long. */
void document_spell(char *place, size_t room, const char *format, ...) PRINTF_LIKE(3, 4);
/* An object with no members but these. `place`: "" is the document itself. 0, or -EBADMSG. */
NODISCARD int document_object(const complaint *d, const json *value, const char *place,
                              const char *const *names, size_t count);
NODISCARD int document_truth(const complaint *d, const json *value, const char *place, const char *name,
                             bool *ret_value);

#endif
