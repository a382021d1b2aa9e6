/* texts_syntax.c - see texts_private.h. */
#include <string.h>
#include "core/texts_private.h"

const fact_row texts_facts[FACTS] = {
    [FACT_WHO] = {.name = "who"},
    [FACT_WHAT] = {"what", FACT_WORDED, "type"},
    [FACT_WHERE] = {.name = "where"},
    [FACT_MAP] = {.name = "map"},
    [FACT_WHEN] = {"when", FACT_AGE, "when"},
    [FACT_TEXT] = {.name = "text"},
    [FACT_CODE] = {.name = "code"},
    [FACT_BY] = {.name = "by"},
    [FACT_ORG] = {.name = "org"},
    [FACT_LEVEL] = {.name = "level"},
    [FACT_REASON] = {"reason", FACT_WORDED, "reason"},
    [FACT_SILENT] = {"silent", FACT_WORDED, "silent"},
};

static text behind(text t, size_t count) {
    return (text){t.ptr + count, t.len - count};
}

static piece_kind bad(text why, piece *ret_piece) {
    ret_piece->literal = why;
    return PIECE_BAD;
}

/* `rest` begins behind the opening brace. */
static piece_kind next_fact(text *rest, piece *ret_piece) {
    text name = {rest->ptr, 0};
    while (name.len < rest->len && rest->ptr[name.len] != '}')
        name.len++;
    if (name.len == rest->len)
        return bad(TEXT("'{' without '}'"), ret_piece);
    *rest = behind(*rest, name.len + 1);
    for (size_t i = 0; i < FACTS; i++) {
        if (text_equal(name, text_of(texts_facts[i].name))) {
            ret_piece->fact = (text_fact)i;
            return PIECE_FACT;
        }
    }
    return bad(TEXT("a fact in braces that is not known"), ret_piece);
}

static bool is_sign(char c) {
    return c == '{' || c == '}' || c == '[' || c == ']';
}

piece_kind texts_next(text *rest, piece *ret_piece) {
    size_t len = 0;
    while (len < rest->len && !is_sign(rest->ptr[len]))
        len++;
    if (len > 0) {
        ret_piece->literal = (text){rest->ptr, len};
        *rest = behind(*rest, len);
        return PIECE_LITERAL;
    }
    if (rest->len == 0)
        return PIECE_END;
    char sign = rest->ptr[0];
    if (rest->len > 1 && rest->ptr[1] == sign) {
        ret_piece->literal = (text){rest->ptr, 1};
        *rest = behind(*rest, 2);
        return PIECE_LITERAL;
    }
    *rest = behind(*rest, 1);
    if (sign == '{')
        return next_fact(rest, ret_piece);
    if (sign == '}')
        return bad(TEXT("'}' without '{'"), ret_piece);
    return sign == '[' ? PIECE_OPEN : PIECE_CLOSE;
}

text texts_fault(text source) {
    bool open = false, fact_inside = false;
    for (;;) {
        piece p = {0};
        switch (texts_next(&source, &p)) {
        case PIECE_BAD:
            return p.literal;
        case PIECE_LITERAL:
            break;
        case PIECE_FACT:
            fact_inside = true;
            break;
        case PIECE_OPEN:
            if (open)
                return TEXT("'[' inside of brackets");
            open = true;
            fact_inside = false;
            break;
        case PIECE_CLOSE:
            if (!open)
                return TEXT("']' without '['");
            if (!fact_inside)
                return TEXT("brackets around a part without a fact");
            open = false;
            break;
        case PIECE_END:
            return open ? TEXT("'[' without ']'") : (text){0};
        }
    }
}
