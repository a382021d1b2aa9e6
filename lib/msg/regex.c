/* regex.c - see regex.h. The only file that knows PCRE2.
 *
 * A pattern is walked once and rewritten for PCRE2: what both read alike is copied, what PCRE2 reads
 * otherwise (`.`, \s, \v, \u..., `[` in a class, property names) is spelled out, and everything else is
 * refused. So nothing that PCRE2 alone knows ((*VERBS), \K, possessive quantifiers, [:alpha:]) gets through.
 */
#include "msg/regex.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/buf.h"

#define PATTERN_MAX    (64 * 1024) /* bytes, rewritten */
#define MATCH_LIMIT    200000      /* steps of one search, as PCRE2 counts them */
#define MATCH_HEAP_KIB 4096        /* memory of one interpreted search */

/* What \s means: WhiteSpace and LineTerminator of ECMA-262. */
#define SPACES                                                                                               \
    "\\t\\n\\x0b\\f\\r "                                                                                     \
    "\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}"

struct regex {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    bool jit;
};

typedef struct rewriting {
    text from;
    size_t at;
    buf to;
    bool in_class;
    const char *wrong; /* static text */
} rewriting;

static int peek(const rewriting *w, size_t ahead) {
    return w->at + ahead < w->from.len ? (unsigned char)w->from.ptr[w->at + ahead] : -1;
}

static bool is_one_of(int c, const char *set) {
    return c > 0 && strchr(set, c) != NULL;
}

/* Up to `max` hex digits at w->at; how many there were. */
static int hex_digits(rewriting *w, int max, uint32_t *ret_value) {
    uint32_t value = 0;
    int count = 0;
    while (count < max && is_one_of(peek(w, 0), "0123456789abcdefABCDEF")) {
        int c = peek(w, 0);
        value = value * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        w->at++;
        count++;
    }
    *ret_value = value;
    return count;
}

static void add_code_point(rewriting *w, uint32_t value) {
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        w->wrong = "names a code point that is no character";
    else
        buf_printf(&w->to, "\\x{%x}", value);
}

/* Behind "\u": XXXX, a surrogate pair XXXX\uXXXX, or {X...}. */
static void rewrite_unicode_escape(rewriting *w) {
    uint32_t value = 0, low = 0;
    if (peek(w, 0) == '{') {
        w->at++;
        if (hex_digits(w, 6, &value) == 0 || peek(w, 0) != '}')
            w->wrong = "has a malformed \\u{...}";
        w->at++;
    } else if (hex_digits(w, 4, &value) != 4) {
        w->wrong = "has a malformed \\uXXXX";
    } else if (value >= 0xD800 && value <= 0xDBFF && peek(w, 0) == '\\' && peek(w, 1) == 'u') {
        w->at += 2;
        if (hex_digits(w, 4, &low) != 4 || low < 0xDC00 || low > 0xDFFF)
            w->wrong = "has half a surrogate pair";
        value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
    }
    if (!w->wrong)
        add_code_point(w, value);
}

/* The general categories, which both know by different names. */
static const struct {
    const char *name;
    const char *brief;
} categories[] = {
    {"Letter", "L"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"},
    {"Other_Letter", "Lo"},
    {"Mark", "M"},
    {"Nonspacing_Mark", "Mn"},
    {"Spacing_Mark", "Mc"},
    {"Enclosing_Mark", "Me"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Letter_Number", "Nl"},
    {"Other_Number", "No"},
    {"Punctuation", "P"},
    {"Symbol", "S"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Line_Separator", "Zl"},
    {"Paragraph_Separator", "Zp"},
    {"Other", "C"},
    {"Control", "Cc"},
    {"Format", "Cf"},
};

/* Behind "\p" or "\P". */
static void rewrite_property(rewriting *w, char escape) {
    size_t end = w->at;
    while (end < w->from.len && w->from.ptr[end] != '}')
        end++;
    if (peek(w, 0) != '{' || end == w->from.len) {
        w->wrong = "has a malformed \\p{...}";
        return;
    }
    text name = {w->from.ptr + w->at + 1, end - w->at - 1};
    w->at = end + 1;
    for (size_t i = 0; i < ARRAY_LEN(categories); i++)
        if (text_equal(name, text_of(categories[i].name)) || text_equal(name, text_of(categories[i].brief))) {
            buf_printf(&w->to, "\\%c{%s}", escape, categories[i].brief);
            return;
        }
    w->wrong = "uses a Unicode property that is not supported";
}

static void rewrite_escape(rewriting *w) {
    int c = peek(w, 1);
    w->at += 2;
    if (is_one_of(c, "dDwWfnrt^$\\.*+?()[]{}|/") || (c == '-' && w->in_class) ||
        (is_one_of(c, "bB") && !w->in_class)) {
        buf_printf(&w->to, "\\%c", c);
    } else if (c == 'b') {
        buf_add_text(&w->to, TEXT("\\x08"));
    } else if (c == 'v') {
        buf_add_text(&w->to, TEXT("\\x0b"));
    } else if (c == '0' && !is_one_of(peek(w, 0), "0123456789")) {
        buf_add_text(&w->to, TEXT("\\x00"));
    } else if (c == 's') {
        bool in_range =
            w->in_class && (w->from.ptr[w->at - 3] == '-' || (peek(w, 0) == '-' && peek(w, 1) != ']'));
        if (in_range)
            w->wrong = "has a range that begins or ends with \\s";
        buf_add_text(&w->to, w->in_class ? TEXT(SPACES) : TEXT("[" SPACES "]"));
    } else if (c == 'S' && !w->in_class) {
        buf_add_text(&w->to, TEXT("[^" SPACES "]"));
    } else if (c == 'c' && ((peek(w, 0) | 0x20) >= 'a' && (peek(w, 0) | 0x20) <= 'z')) {
        buf_printf(&w->to, "\\x%02x", (unsigned)peek(w, 0) & 31U);
        w->at++;
    } else if (c == 'x') {
        uint32_t value;
        if (hex_digits(w, 2, &value) != 2)
            w->wrong = "has a malformed \\xXX";
        else
            add_code_point(w, value);
    } else if (c == 'u') {
        rewrite_unicode_escape(w);
    } else if (c == 'p' || c == 'P') {
        rewrite_property(w, (char)c);
    } else {
        w->wrong = "uses an escape that is not supported";
    }
}

static void rewrite_class_char(rewriting *w) {
    int c = peek(w, 0);
    w->at++;
    if (c == ']')
        w->in_class = false;
    if (c == '[') /* literal in ECMA-262; PCRE2 could see [:alpha:] */
        buf_add_char(&w->to, '\\');
    buf_add_char(&w->to, (char)c);
}

static bool is_digit(int c) {
    return c >= '0' && c <= '9';
}

/* {n}, {n,} or {n,m}: its length at w->at, or 0. */
static size_t count_quantifier(const rewriting *w) {
    size_t i = 1, digits = 0;
    for (; is_digit(peek(w, i)); i++)
        digits++;
    if (digits == 0)
        return 0;
    if (peek(w, i) == ',')
        for (i++; is_digit(peek(w, i));)
            i++;
    return peek(w, i) == '}' ? i + 1 : 0;
}

static void rewrite_quantifier(rewriting *w) {
    size_t len = peek(w, 0) == '{' ? count_quantifier(w) : 1;
    if (len == 0) {
        w->wrong = "has a brace that is neither escaped nor a count";
        return;
    }
    buf_add(&w->to, w->from.ptr + w->at, len);
    w->at += len;
    if (peek(w, 0) == '?') {
        buf_add_char(&w->to, '?');
        w->at++;
    }
    if (is_one_of(peek(w, 0), "*+?{"))
        w->wrong = "repeats a repetition";
}

static void rewrite_group(rewriting *w) {
    static const text known[] = {TEXT("(?:"), TEXT("(?="), TEXT("(?!"), TEXT("(?<="), TEXT("(?<!")};
    text rest = {w->from.ptr + w->at, w->from.len - w->at};
    text open = TEXT("(");
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (text_starts_with(rest, known[i]))
            open = known[i];
    buf_add_text(&w->to, open.len == 1 ? TEXT("(?:") : open); /* captures are of no use here */
    w->at += open.len;
    if (is_one_of(peek(w, 0), "*+?{"))
        w->wrong = "has a group that is not supported";
}

static void rewrite_next(rewriting *w) {
    int c = peek(w, 0);
    if (c == '\\') {
        rewrite_escape(w);
    } else if (w->in_class) {
        rewrite_class_char(w);
    } else if (is_one_of(c, "*+?{")) {
        rewrite_quantifier(w);
    } else if (c == '(') {
        rewrite_group(w);
    } else if (c == '}' || c == ']') {
        w->wrong = "has a closing bracket that is neither escaped nor opened";
    } else if (c == '.') {
        buf_add_text(&w->to, TEXT("[^\\n\\r\\x{2028}\\x{2029}]"));
        w->at++;
    } else {
        w->in_class = c == '[';
        buf_add_char(&w->to, (char)c);
        w->at++;
        if (c == '[' && peek(w, 0) == '^') {
            buf_add_char(&w->to, '^');
            w->at++;
        }
    }
}

static int compile_pcre(regex *r, text pattern, char ret_why[REGEX_WHY_MAX]) {
    uint32_t options = PCRE2_UTF | PCRE2_NO_AUTO_CAPTURE | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS |
                       PCRE2_NEVER_BACKSLASH_C;
    int code = 0;
    size_t where = 0;
    r->code = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len, options, &code, &where, NULL);
    if (!r->code) {
        PCRE2_UCHAR said[REGEX_WHY_MAX] = {0};
        (void)pcre2_get_error_message(code, said, sizeof said);
        (void)snprintf(ret_why, REGEX_WHY_MAX, "is refused: %.100s", (const char *)said);
        return code == PCRE2_ERROR_HEAP_FAILED ? -ENOMEM : -EBADMSG;
    }
    /* Where memory may not be made executable (a hardened service) there is no JIT; all else stays the same.
     */
    r->jit = pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0;
    r->match = pcre2_match_data_create(1, NULL);
    r->limits = pcre2_match_context_create(NULL);
    if (!r->match || !r->limits)
        return -ENOMEM;
    (void)pcre2_set_match_limit(r->limits, MATCH_LIMIT);
    (void)pcre2_set_heap_limit(r->limits, MATCH_HEAP_KIB);
    return 0;
}

int regex_compile(text pattern, regex **ret_regex, char ret_why[REGEX_WHY_MAX]) {
    CLEANUP(buf_release) buf rewritten = BUF(PATTERN_MAX);
    CLEANUP(regex_freep) regex *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    rewriting w = {.from = pattern, .to = rewritten};
    while (w.at < w.from.len && !w.wrong)
        rewrite_next(&w);
    rewritten = w.to;
    if (!w.wrong && w.in_class)
        w.wrong = "has a class that is not closed";
    if (!w.wrong && buf_failed(&rewritten) == -EMSGSIZE)
        w.wrong = "is too long";
    if (w.wrong) {
        (void)snprintf(ret_why, REGEX_WHY_MAX, "%s", w.wrong);
        return -EBADMSG;
    }
    if (buf_failed(&rewritten) < 0)
        return -ENOMEM;
    text t = rewritten.ptr ? buf_text(&rewritten) : TEXT("");
    int fault = compile_pcre(r, t, ret_why);
    if (fault < 0)
        return fault;
    *ret_regex = r;
    r = NULL;
    return 0;
}

regex *regex_free(regex *r) {
    if (r) {
        pcre2_match_context_free(r->limits);
        pcre2_match_data_free(r->match);
        pcre2_code_free(r->code);
        free(r);
    }
    return NULL;
}

regex_verdict regex_search(const regex *r, text subject) {
    PCRE2_SPTR from = (PCRE2_SPTR)(subject.ptr ? subject.ptr : "");
    int found = PCRE2_ERROR_JIT_STACKLIMIT;
    if (r->jit)
        found = pcre2_jit_match(r->code, from, subject.len, 0, PCRE2_NO_UTF_CHECK, r->match, r->limits);
    if (found ==
        PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter has a larger, and bounded, heap to go back on */
        found = pcre2_match(r->code, from, subject.len, 0, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, r->match,
                            r->limits);
    if (found >= 0)
        return REGEX_FOUND;
    return found == PCRE2_ERROR_NOMATCH ? REGEX_ABSENT : REGEX_GAVE_UP;
}
