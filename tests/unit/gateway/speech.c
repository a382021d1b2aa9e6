#include <check.h>
#include <stdio.h>
#include <string.h>

#include "core/sms_text.h"
#include "gateway/sending/speech.h"

#define EN                                                                                                   \
    "{\"type.panic\":\"panic alarm\",\"silent.yes\":\"SILENT\",\"unknown.who\":\"Somebody\","                \
    "\"raise.sms\":\"MAYDAY: {who} - {what}.[ {silent}][ {map}][ OK {code}][ Wrote: {text}]\","              \
    "\"raise.family.sms\":\"Family of {who}\",\"raise.inbox\":\"In the app: {who}\","                        \
    "\"raise.voice\":\"{text}\",\"voice.menu\":\"Press 1.\"}"
#define AF "{\"raise.sms\":\"NOODROEP: {who}\"}"

static texts *known;

static void add(const char *lang, const char *body) {
    char why[TEXTS_WHY_MAX] = "";
    json *root = NULL;
    ck_assert_int_eq(json_parse_once(text_of(body), &root), JSON_OK);
    ck_assert_msg(texts_add(known, text_of(lang), root, why) == 0, "%s", why);
    (void)json_free(root);
}

static void setup(void) {
    known = texts_new();
    ck_assert_ptr_nonnull(known);
    add("en", EN);
    add("af", AF);
}

static void teardown(void) {
    known = texts_free(known);
}

static void say(const char *kind, const char *purpose, bool family, const char *lang, const char *facts,
                buf *to, char spoken[36]) {
    json *root = NULL;
    text in = {0};
    ck_assert_int_eq(json_parse_once(text_of(facts), &root), JSON_OK);
    speech s = {.texts = known, .fallback = "en", .map_url = "https://map.example/?q={lat},{lon}"};
    speech_about about = {
        .kind = kind, .purpose = purpose, .family = family, .lang = text_of(lang), .facts = root};
    ck_assert_int_eq(speech_say(&s, &about, to, &in), 0);
    (void)snprintf(spoken, 36, "%.*s", (int)in.len, in.ptr);
    (void)json_free(root);
}

#define FACTS_OF_ANN                                                                                         \
    "{\"who\":\"Ann\",\"type\":\"panic\",\"lat\":-33.9249,\"lon\":18.4241,\"code\":\"4821\",\"silent\":"     \
    "true,"                                                                                                  \
    "\"text\":\"help\"}"

START_TEST(each_is_told_in_their_words) {
    static const struct {
        const char *kind, *purpose;
        bool family;
        const char *lang, *facts, *want, *spoken;
    } rows[] = {
        {"sms", "raise", false, "en", FACTS_OF_ANN,
         "MAYDAY: Ann - panic alarm. SILENT https://map.example/?q=-33.924900,18.424100 OK 4821 Wrote: help",
         "en"},
        {"sms", "raise", false, "", "{\"type\":\"panic\"}", "MAYDAY: Somebody - panic alarm.", "en"},
        {"sms", "raise", false, "af-ZA", FACTS_OF_ANN, "NOODROEP: Ann", "af-ZA"},
        {"sms", "raise", true, "", FACTS_OF_ANN, "Family of Ann", "en"},
        {"mqtt", "raise", false, "", FACTS_OF_ANN, "In the app: Ann", "en"},
        {"mqtt", "raise", true, "", FACTS_OF_ANN, "In the app: Ann",
         "en"}, /* nothing is said of family there */
        {"mqtt", "raise", false, "af", FACTS_OF_ANN, "In the app: Ann", "en"},
        {"sms", "novel", false, "", FACTS_OF_ANN,
         "MAYDAY (novel): Ann https://map.example/?q=-33.924900,18.424100", "en"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf to = BUF(1 << 16);
        char spoken[36];
        say(rows[i].kind, rows[i].purpose, rows[i].family, rows[i].lang, rows[i].facts, &to, spoken);
        ck_assert_str_eq(to.ptr, rows[i].want);
        ck_assert_str_eq(spoken, rows[i].spoken);
    }
}
END_TEST

START_TEST(a_text_stays_short_and_one_sign_does_not_double_its_price) {
    CLEANUP(buf_release) buf to = BUF(1 << 16);
    CLEANUP(buf_release) buf facts = BUF(1 << 16);
    char spoken[36];
    buf_add_text(&facts, TEXT("{\"who\":\"Ann \xe2\x80\x93 \xe2\x80\x9c"
                              "A\xe2\x80\x9d\",\"type\":\"panic\",\"text\":\""));
    for (int i = 0; i < 4000; i++)
        buf_add_char(&facts, 'x');
    buf_add_text(&facts, TEXT("\"}"));
    say("sms", "raise", false, "", facts.ptr, &to, spoken);
    sms_size size = sms_measure(buf_text(&to));
    ck_assert(size.gsm7);
    ck_assert_uint_le(size.segments, 2);
    ck_assert_ptr_nonnull(strstr(to.ptr, "xxx..."));
}
END_TEST

START_TEST(what_a_call_says_ends_as_a_sentence_does) {
    static const struct {
        const char *wrote, *want;
    } rows[] = {
        {"he is in the house", "he is in the house."},
        {"he is in the house.", "he is in the house."},
        {"come!", "come!"},
        {"where are you?", "where are you?"},
        {"please...", "please..."},
        {"please \u2026", "please \u2026"},
        {"he is in the house ", "he is in the house."},
        {"come! \\n", "come!"},
        {"\u0e0a\u0e48\u0e27\u0e22\u0e14\u0e49\u0e27\u0e22",
         "\u0e0a\u0e48\u0e27\u0e22\u0e14\u0e49\u0e27\u0e22."},
        {"\u52a9\u3051\u3066\u3002", "\u52a9\u3051\u3066\u3002"},
        {"\u6551\u547d\uff01", "\u6551\u547d\uff01"},
        {"\u300c\u6551\u547d\uff01\u300d", "\u300c\u6551\u547d\uff01\u300d"},
        {"\u0623\u064a\u0646 \u0623\u0646\u062a\u061f", "\u0623\u064a\u0646 \u0623\u0646\u062a\u061f"},
        {"\u092c\u091a\u093e\u0913\u0964", "\u092c\u091a\u093e\u0913\u0964"},
        {"he said \\\"come!\\\"", "he said \"come!\""},
        {"he said (\u201ccome\u201d)", "he said (\u201ccome\u201d)."},
        {"at number 5;", "at number 5;."},
        {"\U0001f525", "\U0001f525."},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf facts = BUF(1 << 10);
        CLEANUP(buf_release) buf to = BUF(1 << 16);
        char spoken[36];
        buf_printf(&facts, "{\"text\":\"%s\"}", rows[i].wrote);
        say("voice", "raise", false, "en", facts.ptr, &to, spoken);
        ck_assert_str_eq(to.ptr, rows[i].want);
    }
}
END_TEST

START_TEST(a_webhook_is_told_the_facts_and_no_code) {
    json *facts = NULL, *body = NULL;
    CLEANUP(buf_release) buf to = BUF(1 << 16);
    ck_assert_int_eq(json_parse_once(TEXT(FACTS_OF_ANN), &facts), JSON_OK);
    speech_about about = {.kind = "webhook", .purpose = "raise", .facts = facts};
    ck_assert_int_eq(speech_webhook(&about, TEXT("the-id"), INSTANT_SECOND, &to), 0);
    ck_assert_int_eq(json_parse_once(buf_text(&to), &body), JSON_OK);
    ck_assert(text_equal(json_get_string(body, "id"), TEXT("the-id")));
    ck_assert(text_equal(json_get_string(body, "who"), TEXT("Ann")));
    ck_assert(text_equal(json_get_string(body, "ts"), TEXT("1970-01-01T00:00:01.000Z")));
    ck_assert_ptr_null(json_get(body, "code"));
    (void)json_free(body);
    (void)json_free(facts);
}
END_TEST

Suite *suite_speech(void) {
    Suite *s = suite_create("speech");
    TCase *t = tcase_create("speech");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, each_is_told_in_their_words);
    tcase_add_test(t, a_text_stays_short_and_one_sign_does_not_double_its_price);
    tcase_add_test(t, what_a_call_says_ends_as_a_sentence_does);
    tcase_add_test(t, a_webhook_is_told_the_facts_and_no_code);
    suite_add_tcase(s, t);
    return s;
}
