#include "core/texts.h"

#include <check.h>
#include <errno.h>
#include <string.h>

static json *parsed(const char *source) {
    json *root = NULL;
    ck_assert_msg(json_parse_once(text_of(source), &root) == JSON_OK, "%s", source);
    return root;
}

static void add(texts *t, const char *lang, const char *source) {
    CLEANUP(json_freep) json *templates = parsed(source);
    char why[TEXTS_WHY_MAX] = "";
    ck_assert_msg(texts_add(t, text_of(lang), templates, why) == 0, "%s", why);
}

/* In every test: as much is known as one may hope for, or as `facts` says. */
static const text full[FACTS] = {
    [FACT_WHO] = TEXT("Ann"),       [FACT_WHAT] = TEXT("panic"),      [FACT_WHERE] = TEXT("Gate 4"),
    [FACT_MAP] = TEXT("http://m/"), [FACT_WHEN] = TEXT("185"),        [FACT_TEXT] = TEXT("come!"),
    [FACT_CODE] = TEXT("4821"),     [FACT_BY] = TEXT("Bob"),          [FACT_ORG] = TEXT("acme"),
    [FACT_LEVEL] = TEXT("2"),       [FACT_REASON] = TEXT("database"), [FACT_SILENT] = TEXT("yes"),
};
static const text none[FACTS];

static void expect(const texts *t, const char *lang, const char *name, const text facts[FACTS],
                   const char *want) {
    CLEANUP(buf_release) buf to = BUF(4096);
    ck_assert_int_eq(texts_render(t, text_of(lang), TEXT("en"), text_of(name), facts, &to, NULL), 0);
    ck_assert_str_eq(to.ptr ? to.ptr : "", want);
}

START_TEST(facts_stand_where_their_names_do_and_doubled_signs_for_themselves) {
    static const struct {
        const char *template, *want, *want_of_none;
    } rows[] = {
        {"{who} - {what}, {code}", "Ann - panic, 4821", " - , "},
        {"a[ b {map}] c", "a b http://m/ c", "a c"},
        {"[{who}][{by}]{level}", "AnnBob2", ""},
        {"[{who} and {by}]!", "Ann and Bob!", "!"},
        {"{where}|{when}|{text}|{org}|{reason}|{silent}", "Gate 4|185|come!|acme|database|yes", "|||||"},
        {"{{who}} [[{who}]]", "{who} [Ann]", "{who} []"},
        {"[ [[{who}]]]", " [Ann]", ""},
        {"no facts, # 100%", "no facts, # 100%", "no facts, # 100%"},
        {"l\xc3\xb3\nx", "l\xc3\xb3\nx", "l\xc3\xb3\nx"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(texts_freep) texts *t = texts_new();
        CLEANUP(json_freep) json *templates = json_new_object();
        char why[TEXTS_WHY_MAX];
        ck_assert_int_eq(json_put(templates, "x", json_new_string(text_of(rows[i].template))), 0);
        ck_assert_int_eq(texts_add(t, TEXT("en"), templates, why), 0);
        expect(t, "en", "x", full, rows[i].want);
        expect(t, "en", "x", none, rows[i].want_of_none);
    }
}
END_TEST

START_TEST(one_missing_fact_leaves_its_whole_part_out) {
    CLEANUP(texts_freep) texts *t = texts_new();
    text facts[FACTS];
    memcpy(facts, full, sizeof facts);
    facts[FACT_BY] = (text){NULL, 0};
    facts[FACT_MAP] = TEXT("");
    add(t, "en", "{\"x\":\"a[ {who} by {by}][ {map}][ {code}] z\"}");
    expect(t, "en", "x", facts, "a 4821 z");
}
END_TEST

START_TEST(a_template_that_is_not_well_formed_is_refused_by_name) {
    static const struct {
        const char *templates, *word;
    } rows[] = {
        {"{\"good\":\"x\",\"raise.sms\":\"{whom}\"}", "raise.sms"},
        {"{\"raise.sms\":\"{who\"}", "without '}'"},
        {"{\"raise.sms\":\"who}\"}", "without '{'"},
        {"{\"raise.sms\":\"{}\"}", "not known"},
        {"{\"raise.sms\":\"{who }\"}", "not known"},
        {"{\"raise.sms\":\"{who}}\"}", "without '{'"},
        {"{\"raise.sms\":\"a [{who}\"}", "without ']'"},
        {"{\"raise.sms\":\"a {who}]\"}", "without '['"},
        {"{\"raise.sms\":\"[a [b {who}] c]\"}", "inside of brackets"},
        {"{\"raise.sms\":\"[always]\"}", "without a fact"},
        {"{\"raise.sms\":\"\"}", "empty"},
        {"{\"raise.sms\":\" \\n\"}", "empty"},
        {"{\"raise.sms\":\"a\\u0000b\"}", "control"},
        {"{\"raise.sms\":\"a\\tb\"}", "control"},
        {"{\"raise.sms\":7}", "not a string"},
        {"{\"raise.sms\":null}", "not a string"},
        {"{\"raise.sms\":{\"en\":\"x\"}}", "not a string"},
        {"{\"\":\"x\"}", "a name is made of"},
        {"{\".sms\":\"x\"}", "a name is made of"},
        {"{\"raise.\":\"x\"}", "a name is made of"},
        {"{\"raise sms\":\"x\"}", "a name is made of"},
        {"{\"raise\\u001b[2J\":\"x\"}", "a name is made of"},
        {"[\"x\"]", "not an object"},
        {"\"x\"", "not an object"},
        {"null", "not an object"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(texts_freep) texts *t = texts_new();
        CLEANUP(json_freep) json *templates = parsed(rows[i].templates);
        char why[TEXTS_WHY_MAX] = "";
        ck_assert_msg(texts_add(t, TEXT("en"), templates, why) == -EBADMSG, "row %zu", i);
        ck_assert_msg(strstr(why, rows[i].word), "row %zu: %s", i, why);
        ck_assert_msg(!strchr(why, '\033'), "row %zu", i);
        ck_assert_uint_eq(texts_languages(t), 0);
    }
}
END_TEST

START_TEST(a_template_may_be_two_thousand_bytes_and_notes_are_no_templates) {
    static char source[2002];
    CLEANUP(texts_freep) texts *t = texts_new();
    memset(source, 'a', sizeof source - 1);
    for (size_t len = 2001; len >= 2000; len--) {
        CLEANUP(json_freep) json *templates = json_new_object();
        char why[TEXTS_WHY_MAX];
        ck_assert_int_eq(json_put(templates, "x", json_new_string((text){source, len})), 0);
        ck_assert_int_eq(texts_add(t, TEXT("en"), templates, why), len > 2000 ? -EBADMSG : 0);
    }
    add(t, "af", "{\"$comment\":\"{not a template\",\"$n\":[1],\"y\":\"y\"}");
    ck_assert(!texts_has(t, TEXT("af"), TEXT("$comment")));
    ck_assert(texts_has(t, TEXT("af"), TEXT("y")));
}
END_TEST

START_TEST(languages_have_tags_and_come_once) {
    static const char *const bad[] = {
        "",         "e",     "en_ZA", "en-",       "-en",
        "en--za",   "en/za", "../en", "abcdefghi", "en-x-abcdefgh-abcdefgh-abcdefgh-abcd",
        "\xc3\xa9n"};
    CLEANUP(json_freep) json *templates = parsed("{\"x\":\"x\"}");
    CLEANUP(texts_freep) texts *t = texts_new();
    char why[TEXTS_WHY_MAX];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(texts_add(t, text_of(bad[i]), templates, why) == -EBADMSG, "%s", bad[i]);
    ck_assert_int_eq(texts_add(t, TEXT("en-ZA"), templates, why), 0);
    ck_assert_int_eq(texts_add(t, TEXT("EN-za"), templates, why), -EEXIST);
    ck_assert_ptr_nonnull(strstr(why, "en-za"));
    ck_assert_int_eq(texts_add(t, TEXT("zh-Hant-TW"), templates, why), 0);
    ck_assert_uint_eq(texts_languages(t), 2);
    ck_assert(text_equal(texts_language(t, 0), TEXT("en-za")));
    ck_assert(text_equal(texts_language(t, 1), TEXT("zh-hant-tw")));
    ck_assert_ptr_null(texts_language(t, 2).ptr);
}
END_TEST

START_TEST(the_nearest_language_is_spoken_and_any_rather_than_none) {
    static const struct {
        const char *lang, *fallback, *name, *want;
        bool fell_back;
    } rows[] = {
        {"af", "en", "both", "af", false},
        {"AF-za", "en", "both", "af", false},
        {"af-x-y", "en", "both", "af", false},
        {"de-AT", "en", "both", "de-at", false},
        {"de-AT-1996", "en", "both", "de-at", false},
        {"de-AT", "en", "german", "de", false}, /* the country's file does not have it, its language's does */
        {"de-CH", "en", "both", "de", false},
        {"de", "en", "austrian", "de-at", true},
        {"fr", "af", "both", "af", true},
        {"fr", "af-ZA", "both", "af", true},
        {"af", "en", "english", "en", true},
        {"fr", "it", "both", "en", true},
        {"fr", "", "german", "de", true},
        {"", "af", "both", "af", false}, /* none was asked for */
        {"", "", "both", "en", false},
        {"no tag!", "af", "both", "af", true},
        {"afr", "en", "both", "en", true},
        {"a", "en", "both", "en", true},
    };
    CLEANUP(texts_freep) texts *t = texts_new();
    add(t, "af", "{\"both\":\"af\"}");
    add(t, "de", "{\"both\":\"de\",\"german\":\"de\"}");
    add(t, "en", "{\"both\":\"en\",\"english\":\"en\"}");
    add(t, "de-AT", "{\"both\":\"de-at\",\"austrian\":\"de-at\"}");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf to = BUF(64);
        bool fell_back = !rows[i].fell_back;
        ck_assert_int_eq(texts_render(t, text_of(rows[i].lang), text_of(rows[i].fallback),
                                      text_of(rows[i].name), none, &to, &fell_back),
                         0);
        ck_assert_msg(strcmp(to.ptr, rows[i].want) == 0, "row %zu: %s", i, to.ptr);
        ck_assert_msg(fell_back == rows[i].fell_back, "row %zu", i);
    }
}
END_TEST

START_TEST(what_no_language_has_and_what_does_not_fit_is_said) {
    static const char *const names[] = {"", "y", "xx", "x.sms", "w"};
    CLEANUP(texts_freep) texts *t = texts_new();
    bool fell_back = true;
    add(t, "en", "{\"x\":\"{who} {who}\"}");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP(buf_release) buf to = BUF(64);
        ck_assert_int_eq(texts_render(t, TEXT("en"), TEXT("en"), text_of(names[i]), full, &to, &fell_back),
                         -ENOENT);
        ck_assert_uint_eq(to.len, 0);
        ck_assert(fell_back);
    }
    CLEANUP(buf_release) buf small = BUF(5);
    ck_assert_int_eq(texts_render(t, TEXT("fr"), TEXT("en"), TEXT("x"), full, &small, &fell_back), -EMSGSIZE);
}
END_TEST

START_TEST(a_language_has_its_own_words_for_facts_and_for_their_absence) {
    CLEANUP(texts_freep) texts *t = texts_new();
    text facts[FACTS];
    memcpy(facts, full, sizeof facts);
    facts[FACT_WHAT] = TEXT("flood");
    add(t, "en",
        "{\"x\":\"{who}: {what}[, {silent}]\",\"type.panic\":\"panic alarm "
        "{{#}}\",\"unknown.who\":\"Somebody\","
        "\"silent.yes\":\"hush\",\"type.Ann\":\"no name\"}");
    add(t, "af", "{\"x\":\"{who}: {what}[, {silent}]\",\"type.panic\":\"paniek[ {who}]\"}");
    add(t, "af-ZA", "{\"x\":\"ZA {what}\"}");
    expect(t, "en", "x", full, "Ann: panic alarm {#}, hush");
    expect(t, "en", "x", none, "Somebody: ");
    expect(t, "en", "x", facts, "Ann: flood, hush");
    expect(t, "af", "x", full, "Ann: paniek , yes"); /* words name no facts */
    expect(t, "af", "x", none, ": ");
    expect(t, "af-ZA", "x", full, "ZA paniek ");
}
END_TEST

START_TEST(an_age_is_told_in_what_people_count_in) {
    static const struct {
        text when;
        const char *want;
    } rows[] = {
        {TEXT("0"), "just now"},
        {TEXT("59"), "just now"},
        {TEXT("60"), "1 min ago"},
        {TEXT("185"), "3 min ago"},
        {TEXT("7199"), "119 min ago"},
        {TEXT("7200"), "2 h ago"},
        {TEXT("90000"), "25 h ago"},
        {TEXT("14:05"), "14:05"},
        {TEXT("-5"), "-5"},
        {TEXT("1e3"), "1e3"},
        {TEXT("99999999999999999999"), "99999999999999999999"},
        {TEXT("today # 3"), "today # 3"},
    };
    CLEANUP(texts_freep) texts *t = texts_new();
    text facts[FACTS] = {0};
    add(t, "en",
        "{\"x\":\"{when}\",\"when.now\":\"just now\",\"when.minutes\":\"# min ago\",\"when.hours\":\"# h "
        "ago\"}");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        facts[FACT_WHEN] = rows[i].when;
        expect(t, "en", "x", facts, rows[i].want);
    }
}
END_TEST

START_TEST(a_fact_is_one_line_and_never_syntax) {
    CLEANUP(texts_freep) texts *t = texts_new();
    text facts[FACTS] = {
        [FACT_TEXT] = TEXT("{code}[x]\r\nReply\tOK\x7f\x01 1\0!"), [FACT_CODE] = TEXT("4821")};
    add(t, "en", "{\"x\":\"{text}\"}");
    expect(t, "en", "x", facts, "{code}[x]  Reply OK   1 !");
}
END_TEST

static void note(void *context, text lang, text name) {
    buf *to = context;
    buf_printf(to, "%.*s:%.*s ", (int)lang.len, lang.ptr, (int)name.len, name.ptr);
}

START_TEST(what_other_languages_lack_is_listed) {
    CLEANUP(texts_freep) texts *t = texts_new();
    CLEANUP(buf_release) buf to = BUF(256);
    add(t, "en", "{\"a\":\"a\",\"b\":\"b\",\"c\":\"c\"}");
    add(t, "af", "{\"b\":\"b\",\"z\":\"z\"}");
    add(t, "af-ZA", "{\"c\":\"c\"}");
    texts_missing(t, TEXT("fr"), note, &to);
    ck_assert_uint_eq(to.len, 0);
    texts_missing(t, TEXT("en"), note, &to);
    ck_assert_str_eq(to.ptr, "af:a af:c af-za:a ");
    ck_assert(texts_has(t, TEXT("af-NA"), TEXT("")));
    ck_assert(texts_has(t, TEXT("af-NA"), TEXT("b")));
    ck_assert(!texts_has(t, TEXT("af-NA"), TEXT("c")));
    ck_assert(!texts_has(t, TEXT("fr"), TEXT("")));
}
END_TEST

Suite *suite_texts(void) {
    Suite *s = suite_create("texts");
    TCase *t = tcase_create("all");
    tcase_add_test(t, facts_stand_where_their_names_do_and_doubled_signs_for_themselves);
    tcase_add_test(t, one_missing_fact_leaves_its_whole_part_out);
    tcase_add_test(t, a_template_that_is_not_well_formed_is_refused_by_name);
    tcase_add_test(t, a_template_may_be_two_thousand_bytes_and_notes_are_no_templates);
    tcase_add_test(t, languages_have_tags_and_come_once);
    tcase_add_test(t, the_nearest_language_is_spoken_and_any_rather_than_none);
    tcase_add_test(t, what_no_language_has_and_what_does_not_fit_is_said);
    tcase_add_test(t, a_language_has_its_own_words_for_facts_and_for_their_absence);
    tcase_add_test(t, an_age_is_told_in_what_people_count_in);
    tcase_add_test(t, a_fact_is_one_line_and_never_syntax);
    tcase_add_test(t, what_other_languages_lack_is_listed);
    suite_add_tcase(s, t);
    return s;
}
