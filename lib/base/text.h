/* text.h - a borrowed run of bytes, with its length; not NUL-terminated.
 * Pure. The caller keeps the bytes alive for as long as the text is used. */
#ifndef MAYDAY_BASE_TEXT_H
#define MAYDAY_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"

typedef struct text {
    const char *ptr;
    size_t len;
} text;

#define TEXT(literal) ((text){"" literal, sizeof(literal) - 1})

/* NULL gives an empty text. */
text text_of(const char *string);
bool text_equal(text a, text b);
bool text_starts_with(text whole, text prefix);
text text_trim(text t); /* without leading and trailing space, tab, CR and LF */

/* Splits at the first `separator`: *ret_head is what stands before it, the rest goes back to *rest.
 * False at the end, when nothing is left to split. "a//b" gives "a", "", "b". Start with rest = whole;
 * the call sets rest->ptr to NULL behind the last piece. */
bool text_next(text *rest, char separator, text *ret_head);

/* Well-formed UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool text_is_utf8(text t);
size_t text_code_points(text t); /* of well-formed UTF-8 */

/* Decimal, the whole text, within [min, max]. Returns 0, -EINVAL or -ERANGE. */
NODISCARD int text_to_i64(text t, int64_t min, int64_t max, int64_t *ret_value);

/* A NUL-terminated copy, to free(); NULL when memory is short. */
NODISCARD char *text_copy(text t);

void freep(void *pointer_to_pointer); /* for CLEANUP on malloc'd pointers */

#endif
