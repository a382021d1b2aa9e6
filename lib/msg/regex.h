/* regex.h - regular expressions as JSON Schema means them: ECMA-262 with the `u` flag, without captures.
 * They run on PCRE2, which only regex.c sees. A pattern is rewritten where PCRE2 gives the same text another
 * meaning, and refused where it cannot be (back-references, look-behind of varying length, ...). The work of
 * one search is bounded. Threads: a regex keeps its match space inside and belongs to one thread at a time.
 */
#ifndef MAYDAY_MSG_REGEX_H
#define MAYDAY_MSG_REGEX_H

#include "base/text.h"

#define REGEX_WHY_MAX 128

typedef struct regex regex;

typedef enum regex_verdict {
    REGEX_GAVE_UP = 0, /* the bound on work, or memory, was reached: neither yes nor no */
    REGEX_FOUND,
    REGEX_ABSENT,
} regex_verdict;

/* Borrows `pattern`, well-formed UTF-8. Returns 0, -ENOMEM, or -EBADMSG with ret_why what is wrong with it.
 */
NODISCARD int regex_compile(text pattern, regex **ret_regex, char ret_why[REGEX_WHY_MAX]);
regex *regex_free(regex *r);
DEFINE_CLEANUP(regex, regex_free)

/* Does the pattern match anywhere in `subject`, well-formed UTF-8? */
NODISCARD regex_verdict regex_search(const regex *r, text subject);

#endif
