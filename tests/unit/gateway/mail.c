/* Letters are spelled and read back, and what somebody writes has one meaning or none. */
#include "gateway/local/mail.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "msg/texts_dir.h"

static texts *shipped;
static vocabulary *words;

static void setup(void) {
    char why[TEXTS_DIR_WHY_MAX] = "";
    ck_assert_msg(texts_load_dir(SOURCE_DIR "/schemas", NULL, NULL, &shipped, why) == 0, "%s", why);
    words = vocabulary_new(shipped);
    ck_assert_ptr_nonnull(words);
}

static void teardown(void) {
    words = vocabulary_free(words);
    shipped = texts_free(shipped);
}

/* ---- meaning ---- */

static const struct {
    const char *said;
    mail_meaning meaning;
    const char *code;
} sayings[] = {
    {"OK", MEANING_ACKNOWLEDGE, ""},
    {"ok.", MEANING_ACKNOWLEDGE, ""},
    {" Ok!! ", MEANING_ACKNOWLEDGE, ""},
    {"ok ok", MEANING_ACKNOWLEDGE, ""},
    {"yes, ok", MEANING_ACKNOWLEDGE, ""},
    {"Ja 4821", MEANING_ACKNOWLEDGE, "4821"},
    {"4821 ok", MEANING_ACKNOWLEDGE, "4821"},
    {"OK4821", MEANING_ACKNOWLEDGE, "4821"},
    {"\"OK 4821\"", MEANING_ACKNOWLEDGE, "4821"},
    {"4821", MEANING_ACKNOWLEDGE, "4821"},
    {"1", MEANING_ACKNOWLEDGE, ""},
    {"2", MEANING_ESCALATE, ""},
    {"esc 0007", MEANING_ESCALATE, "0007"},
    {"HELP", MEANING_HELP, ""},
    {"hulp", MEANING_HELP, ""},
    {"Stop", MEANING_STOP, ""},
    {"START", MEANING_START, ""},
    {"", MEANING_UNCLEAR, ""},
    {"?!", MEANING_UNCLEAR, ""},
    {"not ok", MEANING_UNCLEAR, ""},
    {"ok not", MEANING_UNCLEAR, ""},
    {"ok 2", MEANING_UNCLEAR, ""},
    {"ok esc", MEANING_UNCLEAR, ""},
    {"no", MEANING_UNCLEAR, ""},
    {"ok 4821 4822", MEANING_UNCLEAR, ""},
    {"ok 482", MEANING_UNCLEAR, ""},
    {"ok 48210", MEANING_UNCLEAR, ""},
    {"48214822", MEANING_UNCLEAR, ""},
    {"x4821", MEANING_UNCLEAR, ""},
    {"I will stop by at 4821 Main Street", MEANING_UNCLEAR, ""},
    {"help me", MEANING_UNCLEAR, ""},
    {"okidoki", MEANING_UNCLEAR, ""},
    {"\xe2\x9c\x85", MEANING_UNCLEAR, ""},
    {"\xff\xfe", MEANING_UNCLEAR, ""},
};

START_TEST(a_text_means_one_thing_or_nothing) {
    char code[MAIL_CODE_LEN + 1] = "left";
    mail_meaning m = mail_understand(words, text_of(sayings[_i].said), code);
    ck_assert_msg(m == sayings[_i].meaning, "'%s' is %s", sayings[_i].said, mail_meaning_name(m));
    ck_assert_str_eq(code, sayings[_i].code);
}
END_TEST

START_TEST(a_story_is_no_answer) {
    char story[400], code[MAIL_CODE_LEN + 1];
    for (size_t i = 0; i + 3 <= sizeof story; i += 3)
        memcpy(story + i, "ok ", 3);
    ck_assert_int_eq(mail_understand(words, (text){story, 300}, code), MEANING_ACKNOWLEDGE);
    ck_assert_int_eq(mail_understand(words, (text){story, 399}, code), MEANING_UNCLEAR);
}
END_TEST

START_TEST(only_two_keys_mean_something) {
    for (char key = ' '; key <= '~'; key++) {
        mail_meaning m = mail_key_pressed((text){&key, 1});
        ck_assert_int_eq(m, key == '1'   ? MEANING_ACKNOWLEDGE
                            : key == '2' ? MEANING_ESCALATE
                                         : MEANING_UNCLEAR);
    }
    ck_assert_int_eq(mail_key_pressed(TEXT("11")), MEANING_UNCLEAR);
    ck_assert_int_eq(mail_key_pressed((text){0}), MEANING_UNCLEAR);
}
END_TEST

START_TEST(every_language_has_words_for_every_meaning) {
    static const char *const names[] = {"answer.ok", "answer.escalate", "answer.help", "answer.stop",
                                        "answer.start"};
    ck_assert_uint_ge(texts_languages(shipped), 2);
    for (size_t l = 0; l < texts_languages(shipped); l++)
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            ck_assert(texts_has(shipped, texts_language(shipped, l), text_of(names[i])));
}
END_TEST

/* ---- spelling ---- */

static const hook_event events[] = {
    {.kind = HOOK_RECEIPT,
     .provider = "twilio-sms",
     .reference = TEXT("SM1"),
     .notification = TEXT("01900000-0000-7000-8000-000000000000"),
     .said = TEXT("undelivered"),
     .code = TEXT("30003"),
     .receipt = RECEIPT_FAILED},
    {.kind = HOOK_RECEIPT,
     .provider = "vonage-sms",
     .reference = TEXT("A"),
     .said = TEXT("x"),
     .receipt = RECEIPT_UNKNOWN},
    {.kind = HOOK_TEXT,
     .provider = "vonage-sms",
     .reference = TEXT("0B"),
     .from = TEXT("+27821110001"),
     .said = TEXT("ok \"4821\"\n\xc3\xa9")},
    {.kind = HOOK_KEY, .provider = "twilio-voice", .reference = TEXT("CA1"), .said = TEXT("1")},
};

START_TEST(what_is_spelled_is_read_back) {
    const hook_event *e = &events[_i];
    CLEANUP(buf_release) buf spelled = BUF(4096), again = BUF(4096);
    CLEANUP(json_freep) json *body = NULL;
    hook_event back;
    mail_spell(e, &spelled);
    ck_assert_int_eq(buf_failed(&spelled), 0);
    ck_assert_int_eq(mail_read(buf_text(&spelled), &body, &back), 0);
    ck_assert_int_eq(back.kind, e->kind);
    ck_assert_int_eq(back.receipt, e->receipt);
    ck_assert_str_eq(back.provider, e->provider);
    ck_assert(text_equal(back.reference, e->reference) && text_equal(back.notification, e->notification) &&
              text_equal(back.from, e->from) && text_equal(back.said, e->said) &&
              text_equal(back.code, e->code));
    mail_spell(&back, &again);
    ck_assert(text_equal(buf_text(&spelled), buf_text(&again)));
}
END_TEST

START_TEST(a_key_is_of_what_is_said_alone) {
    char keys[ARRAY_LEN(events)][MAIL_KEY_LEN + 1], twice[MAIL_KEY_LEN + 1];
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        CLEANUP(buf_release) buf spelled = BUF(4096);
        mail_spell(&events[i], &spelled);
        ck_assert_int_eq(mail_key(buf_text(&spelled), keys[i]), 0);
        ck_assert_int_eq(mail_key(buf_text(&spelled), twice), 0);
        ck_assert_str_eq(keys[i], twice);
        ck_assert_uint_eq(strspn(keys[i], "0123456789abcdef"), MAIL_KEY_LEN);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(keys[i], keys[j]);
    }
}
END_TEST

START_TEST(what_we_did_not_spell_is_refused) {
    static const char *const bad[] = {"",
                                      "{",
                                      "null",
                                      "[]",
                                      "{}",
                                      "{\"kind\":\"text\"}",
                                      "{\"kind\":\"nothing\",\"provider\":\"p\"}",
                                      "{\"kind\":\"parcel\",\"provider\":\"p\"}",
                                      "{\"kind\":7,\"provider\":\"p\"}",
                                      "{\"kind\":\"text\",\"provider\":7}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        json *body = NULL;
        hook_event e;
        ck_assert_msg(mail_read(text_of(bad[i]), &body, &e) == -EBADMSG, "%s", bad[i]);
        ck_assert_ptr_null(body);
    }
}
END_TEST

Suite *suite_mail(void) {
    Suite *s = suite_create("mail");
    TCase *t = tcase_create("meaning");
    tcase_add_unchecked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_text_means_one_thing_or_nothing, 0, ARRAY_LEN(sayings));
    tcase_add_test(t, a_story_is_no_answer);
    tcase_add_test(t, only_two_keys_mean_something);
    tcase_add_test(t, every_language_has_words_for_every_meaning);
    suite_add_tcase(s, t);
    t = tcase_create("spelling");
    tcase_add_loop_test(t, what_is_spelled_is_read_back, 0, ARRAY_LEN(events));
    tcase_add_test(t, a_key_is_of_what_is_said_alone);
    tcase_add_test(t, what_we_did_not_spell_is_refused);
    suite_add_tcase(s, t);
    return s;
}
