/* The texts as they are shipped, and folders with anything in them. */
#include "msg/texts_dir.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/sms_text.h"

static const char *const purposes[] = {
    "raise",    "raise.family", "forgotten", "forgotten.family", "exhausted",    "acknowledged",
    "resolved", "canceled",     "test",      "trouble",          "trouble_over",
};
static const char *const kinds[] = {"sms", "voice", "inbox"};
static const char *const others[] = {
    "answered.sms", "escalated.sms", "over.sms",        "which.sms",       "unclear.sms",  "help.sms",
    "opted_in.sms", "voice.menu",    "voice.taken",     "voice.escalated", "voice.over",   "voice.unclear",
    "voice.gone",   "voice.bye",     "answer.ok",       "answer.escalate", "answer.help",  "answer.stop",
    "answer.start", "type.panic",    "type.medical",    "type.security",   "type.fire",    "type.general",
    "silent.yes",   "reason.broker", "reason.database", "when.now",        "when.minutes", "when.hours",
    "unknown.who",  "unknown.what",  "unknown.by",      "unknown.reason",
};
static const char *const answers[] = {"answer.ok", "answer.escalate", "answer.help", "answer.stop",
                                      "answer.start"};
static const char *const languages[] = {"en", "af"};

/* As much as is usually known of an alarm. */
static const text usual[FACTS] = {
    [FACT_WHO] = TEXT("Thandiwe Nkosi-Mbeki"),
    [FACT_WHAT] = TEXT("medical"),
    [FACT_MAP] = TEXT("https://maps.google.com/?q=-33.924870,18.424060"),
    [FACT_WHEN] = TEXT("185"),
    [FACT_CODE] = TEXT("4821"),
    [FACT_BY] = TEXT("Johannes van der Merwe"),
    [FACT_ORG] = TEXT("cape-town-campus"),
    [FACT_LEVEL] = TEXT("2"),
    [FACT_REASON] = TEXT("database"),
};
static const text none[FACTS];

static texts *shipped(void) {
    texts *t = NULL;
    char why[TEXTS_DIR_WHY_MAX] = "";
    ck_assert_msg(texts_load_dir(SOURCE_DIR "/schemas", NULL, NULL, &t, why) == 0, "%s", why);
    return t;
}

static text say(const texts *t, const char *lang, const char *name, const text facts[FACTS], buf *to) {
    bool fell_back = true;
    buf_clear(to);
    ck_assert_msg(texts_render(t, text_of(lang), TEXT(""), text_of(name), facts, to, &fell_back) == 0, "%s",
                  name);
    ck_assert_msg(!fell_back, "%s has no \"%s\"", lang, name);
    return buf_text(to);
}

/* The names of all templates: what a language without any lacks. */
typedef struct name_list {
    char list[256][64];
    size_t count;
} name_list;

static void keep_name(void *context, text lang, text name) {
    name_list *n = context;
    if (!text_equal(lang, TEXT("xx")))
        return;
    ck_assert_uint_lt(n->count, ARRAY_LEN(n->list));
    (void)snprintf(n->list[n->count++], sizeof n->list[0], "%.*s", (int)name.len, name.ptr);
}

static const name_list *all_names(void) {
    static name_list n;
    CLEANUP(texts_freep) texts *t = shipped();
    CLEANUP(json_freep) json *nothing = json_new_object();
    char why[TEXTS_WHY_MAX];
    n.count = 0;
    ck_assert_int_eq(texts_add(t, TEXT("xx"), nothing, why), 0);
    texts_missing(t, TEXT("en"), keep_name, &n);
    ck_assert_uint_ge(n.count, ARRAY_LEN(purposes) * ARRAY_LEN(kinds) + ARRAY_LEN(others));
    return &n;
}

static bool ends_with(const char *name, const char *tail) {
    size_t len = strlen(name), end = strlen(tail);
    return len >= end && strcmp(name + len - end, tail) == 0;
}

static void complain(void *context, text lang, text name) {
    (void)context;
    ck_abort_msg("%.*s has no \"%.*s\"", (int)lang.len, lang.ptr, (int)name.len, name.ptr);
}

START_TEST(every_language_that_is_shipped_has_all_templates) {
    CLEANUP(texts_freep) texts *t = shipped();
    char name[64];
    ck_assert_uint_eq(texts_languages(t), ARRAY_LEN(languages));
    for (size_t l = 0; l < ARRAY_LEN(languages); l++) {
        for (size_t i = 0; i < ARRAY_LEN(others); i++)
            ck_assert_msg(texts_has(t, text_of(languages[l]), text_of(others[i])), "%s: %s", languages[l],
                          others[i]);
        for (size_t i = 0; i < ARRAY_LEN(purposes) * ARRAY_LEN(kinds); i++) {
            (void)snprintf(name, sizeof name, "%s.%s", purposes[i / ARRAY_LEN(kinds)],
                           kinds[i % ARRAY_LEN(kinds)]);
            ck_assert_msg(texts_has(t, text_of(languages[l]), text_of(name)), "%s: %s", languages[l], name);
        }
        texts_missing(t, text_of(languages[l]), complain, NULL);
    }
}
END_TEST

static bool proper(text said) {
    bool good = text_trim(said).len == said.len && said.len > 0;
    for (size_t i = 0; i + 1 < said.len; i++) {
        bool twice = said.ptr[i] == ' ' && strchr(" .,:", said.ptr[i + 1]);
        good = good && !twice && !strchr("{}[]#", said.ptr[i]);
    }
    return good;
}

START_TEST(whatever_is_known_sentences_stay_whole) {
    CLEANUP(texts_freep) texts *t = shipped();
    CLEANUP(buf_release) buf to = BUF(4096);
    const name_list *all = all_names();
    for (size_t i = 0; i < ARRAY_LEN(languages) * all->count; i++) {
        const char *lang = languages[i % ARRAY_LEN(languages)], *name = all->list[i / ARRAY_LEN(languages)];
        if (strncmp(name, "when.", 5) == 0)
            continue; /* has a sign for the number */
        /* each set of facts that leaves some out, one at a time, then all of them */
        for (size_t missing = 0; missing <= FACTS + 1; missing++) {
            text facts[FACTS];
            memcpy(facts, missing > FACTS ? none : usual, sizeof facts);
            if (missing < FACTS)
                facts[missing] = (text){NULL, 0};
            ck_assert_msg(proper(say(t, lang, name, facts, &to)), "%s %s without %zu: %s", lang, name,
                          missing, to.ptr);
        }
    }
}
END_TEST

START_TEST(texts_to_phones_are_short_and_in_the_cheap_alphabet) {
    CLEANUP(texts_freep) texts *t = shipped();
    CLEANUP(buf_release) buf to = BUF(4096);
    const name_list *all = all_names();
    size_t looked_at = 0;
    for (size_t i = 0; i < ARRAY_LEN(languages) * all->count; i++) {
        const char *lang = languages[i % ARRAY_LEN(languages)], *name = all->list[i / ARRAY_LEN(languages)];
        text facts[FACTS];
        memcpy(facts, usual, sizeof facts);
        for (int silent = 0; silent < 2 && ends_with(name, ".sms"); silent++) {
            facts[FACT_SILENT] = silent ? TEXT("yes") : (text){NULL, 0};
            sms_size size = sms_measure(say(t, lang, name, facts, &to));
            ck_assert_msg(size.gsm7 && size.segments <= 2, "%s %s: %s", lang, name, to.ptr);
            looked_at++;
        }
    }
    ck_assert_uint_ge(looked_at, ARRAY_LEN(languages) * 2 * ARRAY_LEN(purposes));
    /* the one that everything hangs on */
    ck_assert_uint_eq(sms_measure(say(t, "en", "raise.sms", usual, &to)).segments, 1);
    ck_assert_uint_eq(sms_measure(say(t, "af", "raise.sms", usual, &to)).segments, 1);
}
END_TEST

START_TEST(a_long_story_cuts_off_nothing_that_helps) {
    CLEANUP(texts_freep) texts *t = shipped();
    CLEANUP(buf_release) buf to = BUF(4096), story = BUF(2048);
    text facts[FACTS];
    memcpy(facts, usual, sizeof facts);
    while (story.len < 1500)
        buf_add_text(&story, TEXT("they are still here and I can't move "));
    facts[FACT_TEXT] = buf_text(&story);
    facts[FACT_SILENT] = TEXT("yes");
    facts[FACT_WHERE] = TEXT("Gate 4, Rhodes Drive");
    for (size_t l = 0; l < ARRAY_LEN(languages); l++) {
        text cut = sms_fit(say(t, languages[l], "raise.sms", facts, &to), 2);
        ck_assert_uint_lt(cut.len, to.len);
        to.ptr[cut.len] = '\0';
        ck_assert_ptr_nonnull(strstr(to.ptr, "Thandiwe Nkosi-Mbeki"));
        ck_assert_ptr_nonnull(strstr(to.ptr, "https://maps.google.com/?q=-33.924870,18.424060"));
        ck_assert_ptr_nonnull(strstr(to.ptr, "OK 4821"));
        ck_assert_ptr_nonnull(strstr(to.ptr, "they are still here"));
    }
}
END_TEST

START_TEST(a_silent_alarm_asks_not_to_be_phoned_whatever_it_is_told_by) {
    static const char *const names[] = {"raise", "raise.family", "forgotten", "forgotten.family",
                                        "exhausted"};
    CLEANUP(texts_freep) texts *t = shipped();
    CLEANUP(buf_release) buf words = BUF(256), to = BUF(4096);
    char name[64];
    text facts[FACTS];
    memcpy(facts, usual, sizeof facts);
    for (size_t l = 0; l < ARRAY_LEN(languages); l++) {
        (void)say(t, languages[l], "silent.yes", none, &words);
        for (size_t i = 0; i < ARRAY_LEN(names) * ARRAY_LEN(kinds); i++) {
            (void)snprintf(name, sizeof name, "%s.%s", names[i / ARRAY_LEN(kinds)],
                           kinds[i % ARRAY_LEN(kinds)]);
            facts[FACT_SILENT] = TEXT("yes");
            (void)say(t, languages[l], name, facts, &to);
            ck_assert_msg(strstr(to.ptr, words.ptr), "%s: %s", name, to.ptr);
            facts[FACT_SILENT] = (text){NULL, 0};
            (void)say(t, languages[l], name, facts, &to);
            ck_assert_msg(!strstr(to.ptr, words.ptr), "%s: %s", name, to.ptr);
        }
    }
}
END_TEST

START_TEST(family_are_not_asked_for_an_answer_that_is_not_theirs) {
    CLEANUP(texts_freep) texts *t = shipped();
    CLEANUP(buf_release) buf to = BUF(4096);
    static const char *const names[] = {"raise.family.sms", "forgotten.family.sms", "acknowledged.sms",
                                        "resolved.sms", "canceled.sms"};
    for (size_t l = 0; l < ARRAY_LEN(languages); l++) {
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            (void)say(t, languages[l], names[i], usual, &to);
            ck_assert_msg(!strstr(to.ptr, "4821") && !strstr(to.ptr, "OK"), "%s", to.ptr);
        }
    }
}
END_TEST

/* Their meanings are looked up in all languages together. */
START_TEST(no_word_of_an_answer_means_two_things) {
    CLEANUP(texts_freep) texts *t = shipped();
    for (size_t i = 0; i < ARRAY_LEN(languages) * ARRAY_LEN(answers); i++) {
        CLEANUP(buf_release) buf mine = BUF(2048);
        text rest =
                 say(t, languages[i % ARRAY_LEN(languages)], answers[i / ARRAY_LEN(languages)], none, &mine),
             word;
        while (text_next(&rest, ' ', &word)) {
            ck_assert_uint_gt(word.len, 0);
            for (size_t j = 0; j < ARRAY_LEN(languages) * ARRAY_LEN(answers); j++) {
                CLEANUP(buf_release) buf theirs = BUF(2048);
                text others_rest = say(t, languages[j % ARRAY_LEN(languages)],
                                       answers[j / ARRAY_LEN(languages)], none, &theirs),
                     other;
                while (text_next(&others_rest, ' ', &other))
                    if (word.len == other.len && strncasecmp(word.ptr, other.ptr, word.len) == 0)
                        ck_assert_msg(i / ARRAY_LEN(languages) == j / ARRAY_LEN(languages),
                                      "%.*s is in %s and %s", (int)word.len, word.ptr,
                                      answers[i / ARRAY_LEN(languages)], answers[j / ARRAY_LEN(languages)]);
            }
        }
    }
}
END_TEST

/* ---- folders ---- */

typedef struct folder {
    char root[64], texts[80];
} folder;

static folder make_folder(void) {
    folder f = {.root = "/tmp/mayday-texts-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(f.root));
    (void)snprintf(f.texts, sizeof f.texts, "%s/texts", f.root);
    ck_assert_int_eq(mkdir(f.texts, 0700), 0);
    return f;
}

static void write_file(const folder *f, const char *name, const char *content) {
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", f->texts, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(content, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void remove_folder(const folder *f, const char *const *names) {
    char path[160];
    for (; *names; names++) {
        (void)snprintf(path, sizeof path, "%s/%s", f->texts, *names);
        if (unlink(path) != 0)
            (void)rmdir(path);
    }
    ck_assert_int_eq(rmdir(f->texts), 0);
    ck_assert_int_eq(rmdir(f->root), 0);
}

static void collect(void *context, const char *why) {
    buf *to = context;
    buf_printf(to, "%s\n", why);
}

START_TEST(a_file_that_cannot_be_used_does_not_silence_the_others) {
    static const char *const names[] = {"en.json",      "af.json",  "de.json", "fr.json", "no_tag.json",
                                        ".hidden.json", "notes.md", "it.json", "EN.json", NULL};
    static const char *const bad[] = {"de.json: malformed", "fr.json: \"x\": a fact",
                                      "no_tag.json: the language",
                                      "it.json: ", "en.json: the language 'en' is there already"};
    folder f = make_folder();
    CLEANUP(buf_release) buf told = BUF(4096);
    CLEANUP(texts_freep) texts *t = NULL, *strict = NULL;
    char why[TEXTS_DIR_WHY_MAX] = "", dir[128];
    write_file(&f, "en.json", "{\"x\":\"en\"}");
    write_file(&f, "EN.json", "{\"x\":\"EN\"}");
    write_file(&f, "af.json", "{\"x\":\"af\"}");
    write_file(&f, "de.json", "{\"x\":");
    write_file(&f, "fr.json", "{\"x\":\"{qui}\"}");
    write_file(&f, "no_tag.json", "{\"x\":\"x\"}");
    write_file(&f, ".hidden.json", "{");
    write_file(&f, "notes.md", "{");
    (void)snprintf(dir, sizeof dir, "%s/it.json", f.texts);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    ck_assert_msg(texts_load_dir(f.root, collect, &told, &t, why) == 0, "%s", why);
    ck_assert_uint_eq(texts_languages(t), 2);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(strstr(told.ptr, bad[i]), "%s in %s", bad[i], told.ptr);
    ck_assert_ptr_null(strstr(told.ptr, "hidden"));
    ck_assert_int_lt(texts_load_dir(f.root, NULL, NULL, &strict, why), 0);
    ck_assert_ptr_null(strict);
    remove_folder(&f, names);
}
END_TEST

START_TEST(no_language_at_all_is_a_fault) {
    static const char *const names[] = {"de.json", NULL};
    folder f = make_folder();
    CLEANUP(buf_release) buf told = BUF(4096);
    texts *t = NULL;
    char why[TEXTS_DIR_WHY_MAX] = "";
    ck_assert_int_eq(texts_load_dir(f.root, collect, &told, &t, why), -ENOENT);
    ck_assert_ptr_nonnull(strstr(why, "no language"));
    write_file(&f, "de.json", "[]");
    ck_assert_int_eq(texts_load_dir(f.root, collect, &told, &t, why), -ENOENT);
    ck_assert_ptr_nonnull(strstr(told.ptr, "de.json"));
    ck_assert_int_eq(texts_load_dir("/nowhere/at/all", collect, &told, &t, why), -ENOENT);
    ck_assert_ptr_nonnull(strstr(why, "/nowhere/at/all/texts"));
    ck_assert_ptr_null(t);
    remove_folder(&f, names);
}
END_TEST

Suite *suite_texts_dir(void) {
    Suite *s = suite_create("texts_dir");
    TCase *t = tcase_create("all");
    tcase_add_test(t, every_language_that_is_shipped_has_all_templates);
    tcase_add_test(t, whatever_is_known_sentences_stay_whole);
    tcase_add_test(t, texts_to_phones_are_short_and_in_the_cheap_alphabet);
    tcase_add_test(t, a_long_story_cuts_off_nothing_that_helps);
    tcase_add_test(t, a_silent_alarm_asks_not_to_be_phoned_whatever_it_is_told_by);
    tcase_add_test(t, family_are_not_asked_for_an_answer_that_is_not_theirs);
    tcase_add_test(t, no_word_of_an_answer_means_two_things);
    tcase_add_test(t, a_file_that_cannot_be_used_does_not_silence_the_others);
    tcase_add_test(t, no_language_at_all_is_a_fault);
    suite_add_tcase(s, t);
    return s;
}
