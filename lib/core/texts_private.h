/* texts_private.h - the facts and the syntax of templates. Private to core. Pure. */
#ifndef MAYDAY_CORE_TEXTS_PRIVATE_H
#define MAYDAY_CORE_TEXTS_PRIVATE_H

#include "core/texts.h"

/* How a fact is told. */
typedef enum fact_manner {
    FACT_PLAIN = 0,
    FACT_WORDED, /* the language has words for what it says: "<family>.<value>" */
    FACT_AGE,    /* a number of seconds: "<family>.now", ".minutes" or ".hours", where '#' is the number */
} fact_manner;

typedef struct fact_row {
    const char *name;
    fact_manner manner;
    const char *family;
} fact_row;

extern const fact_row texts_facts[FACTS];

typedef enum piece_kind {
    PIECE_BAD = 0,
    PIECE_LITERAL,
    PIECE_FACT,
    PIECE_OPEN,
    PIECE_CLOSE,
    PIECE_END,
} piece_kind;

typedef struct piece {
    text literal; /* or the name of a fact, or what is wrong */
    text_fact fact;
} piece;

/* Takes the next piece off `rest`. */
piece_kind texts_next(text *rest, piece *ret_piece);

/* What is wrong with a template; NULL ptr: nothing. */
text texts_fault(text source);

#endif
