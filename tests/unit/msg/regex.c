/* What ECMA-262 means by a pattern, where PCRE2 alone would mean something else. */
#include <check.h>

#include "msg/regex.h"

static const struct {
    const char *pattern;
    text subject;
    bool found;
} rows[] = {
    {"", TEXT(""), true},
    {"b", TEXT("abc"), true},
    {"^b", TEXT("abc"), false},
    {"^abc$", TEXT("abc\n"), false},
    {"^.$", TEXT("\n"), false},
    {"^.$", TEXT("\r"), false},
    {"^.$", TEXT("\xE2\x80\xA8"), false}, /* U+2028 ends a line */
    {"^.$", TEXT("\v"), true},
    {"^.$", TEXT("\xF0\x9F\x9A\xA8"), true},
    {"^\\v$", TEXT("\v"), true},
    {"^\\v$", TEXT("\n"), false},
    {"^\\s$", TEXT("\xC2\xA0"), true},
    {"^[\\s]$", TEXT("\xEF\xBB\xBF"), true},
    {"^\\S$", TEXT("\xC2\xA0"), false},
    {"^\\d$", TEXT("\xD9\xA1"), false}, /* an Arabic digit */
    {"^\\w$", TEXT("\xC3\xA9"), false},
    {"^\\u00e9$", TEXT("\xC3\xA9"), true},
    {"^\\ud83d\\udea8$", TEXT("\xF0\x9F\x9A\xA8"), true},
    {"^\\u{1f6a8}$", TEXT("\xF0\x9F\x9A\xA8"), true},
    {"^\\p{Letter}$", TEXT("\xC3\xA9"), true},
    {"^\\cC$", TEXT("\x03"), true},
    {"^\\0$", TEXT("\0"), true},
    {"^[[:alpha:]$", TEXT(":"), true}, /* a class of [ : a l p h */
    {"^[^]$", TEXT("\n"), true},
    {"a[]", TEXT("a"), false},
    {"^a{2,3}$", TEXT("aaa"), true},
    {"^(?:a|b)+$", TEXT("abba"), true},
    {"^(?=a)\\w$", TEXT("a"), true},
    {"^[\\b]$", TEXT("\b"), true},
};

/* PCRE2 knows the meaning of most of these; ECMA-262 does not, or means another. */
static const char *const refused[] = {
    "(*FAIL)",   "(?i)a",   "(?>a)", "a++",         "\\Aa",    "\\Ka",        "\\Qa\\E", "\\a", "\\e",
    "\\1",       "(a)\\1",  "a{",    "a{,3}",       "}",       "]",           "[a",      "(",   ")",
    "\\p{Any}",  "\\x{41}", "\\u12", "\\u{110000}", "\\ud83d", "[a-\\s]",     "[\\s-a]", "\\",  "(?<n>a)",
    "\\N{U+41}", "\\C",     "\\R",   "(?R)",        "\\h",     "[[:alpha:]]",
};

START_TEST(a_pattern_means_what_ecma_262_says) {
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(regex_freep) regex *r = NULL;
        char why[REGEX_WHY_MAX] = "";
        ck_assert_msg(regex_compile(text_of(rows[i].pattern), &r, why) == 0, "%s %s", rows[i].pattern, why);
        regex_verdict want = rows[i].found ? REGEX_FOUND : REGEX_ABSENT;
        ck_assert_msg(regex_search(r, rows[i].subject) == want, "%s, row %zu", rows[i].pattern, i);
    }
}
END_TEST

START_TEST(what_ecma_262_does_not_know_is_refused) {
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        CLEANUP(regex_freep) regex *r = NULL;
        char why[REGEX_WHY_MAX] = "";
        ck_assert_msg(regex_compile(text_of(refused[i]), &r, why) < 0, "%s", refused[i]);
        ck_assert_msg(why[0] != '\0', "%s", refused[i]);
    }
}
END_TEST

Suite *suite_regex(void) {
    Suite *s = suite_create("regex");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_pattern_means_what_ecma_262_says);
    tcase_add_test(t, what_ecma_262_does_not_know_is_refused);
    suite_add_tcase(s, t);
    return s;
}
