/* Twilio's texts and calls, by its own documents. */
#include "gateway/providers/twilio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "provider_support.h"

#define SID     "0123456789abcdef0123456789abcdef"
#define ACCOUNT "ACfedcba9876543210fedcba9876543210"

static const provider *row(const char *name) {
    return provider_named(text_of(name));
}

static void build_with(const provider *p, const settings *s, const provider_message *m,
                       provider_request *to) {
    const accounts a = test_accounts(s);
    provider_request_init(to);
    ck_assert_int_eq(provider_build(p, &a, m, to), 0);
}

static void has(const provider_request *r, const char *name, const char *value) {
    CLEANUP(freep) char *found = test_form_value(&r->body, name);
    if (value)
        ck_assert_msg(found && strcmp(found, value) == 0, "%s=%s", name, found ? found : "(none)");
    else
        ck_assert_msg(!found, "%s=%s", name, found ? found : "");
}

START_TEST(a_text_is_the_form_they_document) {
    const settings s = test_settings();
    provider_message m = test_message("sms");
    CLEANUP(provider_request_release) provider_request r;
    m.to = TEXT("+15005550006");
    m.body = TEXT("Hulp & água: +1 = 😀");
    build_with(row("twilio-sms"), &s, &m, &r);
    ck_assert_str_eq(r.url.ptr, "https://api.twilio.com/2010-04-01/Accounts/" ACCOUNT "/Messages.json");
    ck_assert_str_eq(r.user.ptr, ACCOUNT ":12345");
    ck_assert_ptr_nonnull(strstr(r.headers.ptr, "Content-Type: application/x-www-form-urlencoded\n"));
    ck_assert_str_eq(
        r.body.ptr,
        "To=%2B15005550006&From=%2B15551230000&Body=Hulp%20%26%20%C3%A1gua%3A%20%2B1%20%3D%20%F0%9F"
        "%98%80&ValidityPeriod=3600&StatusCallback=https%3A%2F%2Falarm.example.org%2Fhooks%2Ftwilio"
        "%2Fstatus%3Fn%3D" NOTIFICATION);
}
END_TEST

START_TEST(the_sender_depends_on_the_country) {
    static const struct {
        const char *to, *from, *service;
    } rows[] = {
        {"+15005550006", "+15551230000", NULL},
        {"+27829876540", "MAYDAY", NULL},
        {"+447700900000", NULL, "MG0123456789abcdef0123456789abcdef"},
    };
    const settings s = test_settings();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        provider_message m = test_message("sms");
        CLEANUP(provider_request_release) provider_request r;
        m.to = text_of(rows[i].to);
        build_with(row("twilio-sms"), &s, &m, &r);
        has(&r, "To", rows[i].to);
        has(&r, "From", rows[i].from);
        has(&r, "MessagingServiceSid", rows[i].service);
    }
}
END_TEST

START_TEST(what_has_bounds_is_kept_within_them) {
    static const struct {
        int64_t ms;
        const char *seconds;
    } rows[] = {{0, "1"}, {999, "1"}, {60000, "60"}, {36000000, "36000"}, {INT64_C(99999999999), "36000"}};
    settings s = test_settings();
    s.notify_public_url = NULL;
    char *longest = malloc(4 * 2000 + 1);
    for (size_t i = 0; i < 2000; i++)
        memcpy(longest + 4 * i, "😀", 4);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        provider_message m = test_message("sms");
        CLEANUP(provider_request_release) provider_request r;
        m.validity_ms = rows[i].ms;
        m.body = (text){longest, 4 * 2000};
        build_with(row("twilio-sms"), &s, &m, &r);
        has(&r, "ValidityPeriod", rows[i].seconds);
        has(&r, "StatusCallback", NULL); /* nobody could call back */
        CLEANUP(freep) char *body = test_form_value(&r.body, "Body");
        ck_assert_uint_eq(strlen(body), 4 * 800); /* 1600 UTF-16 units, and no half sign */
    }
    free(longest);
}
END_TEST

START_TEST(a_call_says_it_all_in_one_request) {
    const settings s = test_settings();
    provider_message m = test_message("voice");
    CLEANUP(provider_request_release) provider_request r;
    m.body = TEXT("Anna's <panic> & \"fire\"");
    build_with(row("twilio-voice"), &s, &m, &r);
    ck_assert_str_eq(r.url.ptr, "https://api.twilio.com/2010-04-01/Accounts/" ACCOUNT "/Calls.json");
    has(&r, "To", "+27829876540");
    has(&r, "From", "+15551230000");
    has(&r, "Timeout", "30");
    has(&r, "MachineDetection", "Enable");
    has(&r, "Url", NULL);
    has(&r, "StatusCallback", "https://alarm.example.org/hooks/twilio/status?n=" NOTIFICATION);
    ck_assert_ptr_nonnull(strstr(r.body.ptr, "&StatusCallbackEvent=initiated&StatusCallbackEvent=ringing"
                                             "&StatusCallbackEvent=answered&StatusCallbackEvent=completed"));
    has(&r, "Twiml",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Gather input=\"dtmf\" numDigits=\"1\" "
        "timeout=\"10\" method=\"POST\" action=\"https://alarm.example.org/hooks/twilio/key?n=" NOTIFICATION
        "\"><Say language=\"en-GB\" loop=\"2\">Anna&apos;s &lt;panic&gt; &amp; &quot;fire&quot; Press 1 to "
        "take "
        "it.</Say></Gather></Response>");
}
END_TEST

START_TEST(a_call_that_can_not_be_answered_asks_for_nothing) {
    settings s = test_settings();
    provider_message m = test_message("voice");
    CLEANUP(provider_request_release) provider_request r;
    s.notify_public_url = A("");
    build_with(row("twilio-voice"), &s, &m, &r);
    has(&r, "StatusCallback", NULL);
    has(&r, "StatusCallbackEvent", NULL);
    has(&r, "Twiml",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Say language=\"en-GB\" loop=\"2\">MAYDAY: Anna "
        "- "
        "panic. Reply OK 4821.</Say><Hangup/></Response>");
}
END_TEST

START_TEST(however_long_what_is_said_stays_within_what_they_take) {
    const settings s = test_settings();
    static const char *const signs[] = {"x", "&", "<", "é", "😀", "\"", "\n", "\x01"};
    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        for (size_t count = 600; count < 5000; count += 733) {
            CLEANUP(buf_release) buf say = BUF(1 << 16);
            CLEANUP(buf_release) buf twiml = BUF(1 << 16);
            for (size_t j = 0; j < count; j++)
                buf_add_text(&say, text_of(signs[i]));
            twiml_add(&s, TEXT(NOTIFICATION), buf_text(&say), TEXT("Press 1."), TEXT("af"), 2, &twiml);
            ck_assert_int_eq(buf_failed(&twiml), 0);
            ck_assert_uint_le(twiml.len, 4000);
            ck_assert(twiml.len > 3900 || count * strlen(signs[i]) * 6 < 4000 || say.len < 4000);
            ck_assert(text_is_utf8(buf_text(&twiml)));
            ck_assert_ptr_nonnull(strstr(twiml.ptr, " Press 1.</Say></Gather></Response>"));
            ck_assert_ptr_null(strpbrk(twiml.ptr, "\n\x01"));
        }
    }
}
END_TEST

START_TEST(only_voices_that_exist_are_asked_for) {
    static const struct {
        const char *lang, *attributes;
    } rows[] = {
        {"en", "<Say language=\"en-GB\">"},
        {"en-US", "<Say language=\"en-US\">"},
        {"en-ZA", "<Say language=\"en-GB\">"},
        {"af", "<Say voice=\"Google.af-ZA-Standard-A\" language=\"af-ZA\">"},
        {"AF-za", "<Say voice=\"Google.af-ZA-Standard-A\" language=\"af-ZA\">"},
        {"xh", "<Say>"},
        {"", "<Say>"},
        {"e", "<Say>"},
        {"eng", "<Say>"},
        {"\"><x", "<Say>"},
    };
    const settings s = test_settings();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf twiml = BUF(1 << 16);
        twiml_add(&s, TEXT(NOTIFICATION), TEXT("Hello."), (text){0}, text_of(rows[i].lang), 1, &twiml);
        ck_assert_msg(strstr(twiml.ptr, rows[i].attributes), "%s: %s", rows[i].lang, twiml.ptr);
    }
}
END_TEST

START_TEST(errors_are_judged_by_status_and_then_by_code) {
    static const struct {
        int status;
        const char *body;
        provider_outcome outcome;
        provider_blame blame;
        const char *code;
    } rows[] = {
        {401, "{\"code\":20003,\"message\":\"Authenticate\",\"status\":401}", PROVIDER_REFUSED,
         BLAME_PROVIDER, "20003"},
        {401, "{\"code\":99999,\"status\":401}", PROVIDER_REFUSED, BLAME_PROVIDER, "99999"},
        {400, "{\"code\":99999,\"status\":400}", PROVIDER_REFUSED, BLAME_MESSAGE, "99999"},
        {429, "{\"code\":20429,\"status\":429}", PROVIDER_RETRY, BLAME_PROVIDER, "http 429"},
        {400, "{\"code\":21211,\"status\":400}", PROVIDER_REFUSED, BLAME_NUMBER, "21211"},
        {400, "{\"code\":21212,\"status\":400}", PROVIDER_REFUSED, BLAME_MESSAGE, "21212"},
        {400, "{\"code\":21610,\"status\":400}", PROVIDER_REFUSED, BLAME_OPTED_OUT, "21610"},
        {400, "{\"code\":21614,\"status\":400}", PROVIDER_REFUSED, BLAME_NO_TEXT, "21614"},
        {400, "{\"code\":30001,\"status\":400}", PROVIDER_RETRY, BLAME_PROVIDER, "30001"},
        {400, "{\"code\":30006,\"status\":400}", PROVIDER_REFUSED, BLAME_NO_TEXT, "30006"},
        {400, "<html>a proxy speaks</html>", PROVIDER_REFUSED, BLAME_PROVIDER, "http 400"},
        {403, "", PROVIDER_REFUSED, BLAME_PROVIDER, "http 403"},
        {500, "{\"code\":21211,\"status\":500}", PROVIDER_UNKNOWN, BLAME_PROVIDER, "http 500"},
        {503, "{\"code\":20503}", PROVIDER_UNKNOWN, BLAME_PROVIDER, "http 503"},
        {302, "{\"code\":21211}", PROVIDER_UNKNOWN, BLAME_PROVIDER, "http 302"},
        {201, "{\"code\":21211}", PROVIDER_UNKNOWN, BLAME_PROVIDER, "unreadable"},
        {201, "{\"sid\":\"SM" SID "\",\"status\":\"failed\",\"error_code\":30005}", PROVIDER_REFUSED,
         BLAME_NUMBER, "30005"},
        {201, "{\"sid\":\"SM" SID "\",\"status\":\"failed\",\"error_code\":null}", PROVIDER_REFUSED,
         BLAME_MESSAGE, "0"},
        {201, "{\"sid\":\"MM" SID "\",\"status\":\"accepted\"}", PROVIDER_SENT, BLAME_NOBODY, ""},
        {201, "{\"sid\":\"CA" SID "\",\"status\":\"queued\"}", PROVIDER_UNKNOWN, BLAME_PROVIDER,
         "unreadable"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        provider_result r = read_with(row("twilio-sms"), rows[i].status, rows[i].body);
        ck_assert_msg(r.outcome == rows[i].outcome && r.blame == rows[i].blame, "%d %s: %s %d",
                      rows[i].status, rows[i].body, provider_outcome_name(r.outcome), r.blame);
        ck_assert_str_eq(r.code, rows[i].code);
    }
}
END_TEST

/* ---- looking through their list ---- */

#define ENTRY(sid, to, status, date, body)                                                                   \
    "{\"sid\":\"" sid "\",\"to\":\"" to "\",\"status\":\"" status "\",\"date_created\":\"" date              \
    "\",\"direction\":\"outbound-api\",\"body\":\"" body "\"}"
#define TO                  "+27829876540"
#define OURS                "MAYDAY: Anna - panic. Reply OK 4821."
#define TODAY               "Fri, 15 Jan 2027 08:00:00 +0000"
#define BEFORE              "Fri, 15 Jan 2027 07:00:00 +0000"
#define LIST(entries, next) "{\"messages\":[" entries "],\"next_page_uri\":" next "}"

START_TEST(a_text_is_found_by_number_words_and_time) {
    static const struct {
        const char *list;
        provider_outcome outcome;
        const char *sid;
    } rows[] = {
        {LIST("", "null"), PROVIDER_RETRY, ""},
        {LIST("", "\"/2010-04-01/...?Page=1\""), PROVIDER_UNKNOWN, ""},
        {"{\"messages\":[]}", PROVIDER_UNKNOWN, ""},
        {"{\"next_page_uri\":null}", PROVIDER_UNKNOWN, ""},
        {LIST(ENTRY("SM1", TO, "queued", TODAY, OURS), "null"), PROVIDER_SENT, "SM1"},
        {LIST(ENTRY("SM1", TO, "sent", TODAY, OURS), "\"more\""), PROVIDER_SENT, "SM1"},
        {LIST(ENTRY("SM1", TO, "sent", TODAY, "Sent from your Twilio trial account - " OURS), "null"),
         PROVIDER_SENT, "SM1"},
        {LIST(ENTRY("SM1", TO, "sent", TODAY, "MAYDAY: Anna - panic. Reply OK 4822."), "null"),
         PROVIDER_RETRY, ""},
        {LIST(ENTRY("SM1", "+27829876541", "sent", TODAY, OURS), "null"), PROVIDER_RETRY, ""},
        {LIST(ENTRY("SM1", TO, "sent", BEFORE, OURS), "null"), PROVIDER_RETRY, ""},
        {LIST(ENTRY("SM1", TO, "sent", BEFORE, "Else."), "\"more\""), PROVIDER_RETRY,
         ""}, /* the rest is older */
        {LIST(ENTRY("SM1", TO, "sent", TODAY, "Else."), "\"more\""), PROVIDER_UNKNOWN, ""},
        {LIST(ENTRY("SM1", TO, "sent", "yesterday", OURS), "null"), PROVIDER_UNKNOWN, ""},
        {LIST(ENTRY("SM1", TO, "sent", TODAY, ""), "null"), PROVIDER_UNKNOWN, ""}, /* redacted */
        {LIST(ENTRY("", TO, "sent", TODAY, OURS), "null"), PROVIDER_UNKNOWN, ""},
        {LIST("5", "null"), PROVIDER_UNKNOWN, ""},
        {LIST("{\"to\":\"" TO "\",\"direction\":\"inbound\"}", "null"), PROVIDER_RETRY, ""},
        {LIST(ENTRY("SM2", TO, "failed", TODAY, OURS) "," ENTRY("SM1", TO, "sent", TODAY, OURS), "null"),
         PROVIDER_SENT, "SM1"}, /* rather the one that went */
        {LIST(ENTRY("SM2", TO, "undelivered", TODAY, OURS), "null"), PROVIDER_SENT, "SM2"},
        {LIST(ENTRY("SM3", TO, "sent", TODAY, OURS) "," ENTRY("SM1", TO, "sent", TODAY, OURS), "null"),
         PROVIDER_SENT, "SM3"}, /* the newest */
    };
    provider_message m = test_message("sms");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        provider_reply reply = {.status = 200, .left = true, .body = text_of(rows[i].list)};
        provider_result r;
        provider_found(row("twilio-sms"), &reply, &m, NOW, &r);
        ck_assert_msg(r.outcome == rows[i].outcome, "%s: %s (%s)", rows[i].list,
                      provider_outcome_name(r.outcome), r.code);
        ck_assert_str_eq(r.reference, rows[i].sid);
    }
}
END_TEST

START_TEST(a_sign_that_they_replaced_does_not_hide_a_text) {
    provider_message m = test_message("sms");
    provider_result r;
    m.body = TEXT("Anna\xe2\x80\x99s panic \xe2\x80\x93 OK 4821");
    provider_reply reply = {
        .status = 200,
        .left = true,
        .body = TEXT(LIST(ENTRY("SM1", TO, "sent", TODAY, "Anna's panic - OK 4821"), "null"))};
    provider_found(row("twilio-sms"), &reply, &m, NOW, &r);
    ck_assert_int_eq(r.outcome, PROVIDER_SENT);
}
END_TEST

#define CALL(sid, date)                                                                                      \
    "{\"sid\":\"" sid "\",\"to\":\"" TO "\",\"status\":\"ringing\",\"date_created\":\"" date "\"}"

START_TEST(a_call_is_found_when_there_is_but_one) {
    static const struct {
        const char *list;
        provider_outcome outcome;
    } rows[] = {
        {"{\"calls\":[],\"next_page_uri\":null}", PROVIDER_RETRY},
        {"{\"calls\":[" CALL("CA1", TODAY) "],\"next_page_uri\":null}", PROVIDER_SENT},
        {"{\"calls\":[" CALL("CA1", TODAY) "," CALL("CA2", BEFORE) "],\"next_page_uri\":null}",
         PROVIDER_SENT},
        {"{\"calls\":[" CALL("CA1", TODAY) "," CALL("CA2", TODAY) "],\"next_page_uri\":null}",
         PROVIDER_UNKNOWN},
        {"{\"calls\":[" CALL("CA1", TODAY) "],\"next_page_uri\":\"more\"}", PROVIDER_UNKNOWN},
        {"{\"calls\":[" CALL("CA1", TODAY) ",{\"to\":\"" TO "\"}],\"next_page_uri\":null}", PROVIDER_UNKNOWN},
    };
    provider_message m = test_message("voice");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        provider_reply reply = {.status = 200, .left = true, .body = text_of(rows[i].list)};
        provider_result r;
        provider_found(row("twilio-voice"), &reply, &m, NOW, &r);
        ck_assert_msg(r.outcome == rows[i].outcome, "%s: %s", rows[i].list, provider_outcome_name(r.outcome));
    }
}
END_TEST

START_TEST(searches_and_questions_go_to_the_right_address) {
    const settings s = test_settings();
    const accounts a = test_accounts(&s);
    provider_message m = test_message("sms");
    CLEANUP(provider_request_release) provider_request search, ask;
    provider_request_init(&search);
    provider_request_init(&ask);
    ck_assert_int_eq(provider_search(row("twilio-sms"), &a, &m, NOW, &search), 0);
    ck_assert_str_eq(search.url.ptr, "https://api.twilio.com/2010-04-01/Accounts/" ACCOUNT
                                     "/Messages.json?To=%2B27829876540&PageSize=50");
    ck_assert_int_eq(provider_ask(row("twilio-voice"), &a, TEXT("CA" SID), NOW, &ask), 0);
    ck_assert_str_eq(ask.url.ptr,
                     "https://api.twilio.com/2010-04-01/Accounts/" ACCOUNT "/Calls/CA" SID ".json");
    ck_assert_str_eq(ask.user.ptr, ACCOUNT ":12345");
}
END_TEST

START_TEST(every_status_has_a_meaning) {
    static const struct {
        const char *status;
        provider_receipt receipt;
    } rows[] = {
        {"queued", RECEIPT_PENDING},      {"sending", RECEIPT_PENDING},
        {"sent", RECEIPT_PENDING},        {"accepted", RECEIPT_PENDING},
        {"scheduled", RECEIPT_PENDING},   {"delivered", RECEIPT_DELIVERED},
        {"read", RECEIPT_DELIVERED},      {"undelivered", RECEIPT_FAILED},
        {"failed", RECEIPT_FAILED},       {"canceled", RECEIPT_FAILED},
        {"ringing", RECEIPT_PENDING},     {"in-progress", RECEIPT_DELIVERED},
        {"completed", RECEIPT_DELIVERED}, {"busy", RECEIPT_FAILED},
        {"no-answer", RECEIPT_FAILED},    {"partially_delivered", RECEIPT_PENDING},
        {"received", RECEIPT_UNKNOWN},    {"", RECEIPT_UNKNOWN},
        {"Delivered", RECEIPT_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_msg(twilio_receipt(text_of(rows[i].status)) == rows[i].receipt, "%s", rows[i].status);
    char code[PROVIDER_CODE_MAX];
    provider_reply reply = {
        .status = 200,
        .body = TEXT("{\"sid\":\"SM" SID "\",\"status\":\"undelivered\",\"error_code\":30006}")};
    ck_assert_int_eq(provider_told(row("twilio-sms"), &reply, TEXT("SM" SID), code), RECEIPT_FAILED);
    ck_assert_str_eq(code, "30006");
    reply.status = 404;
    ck_assert_int_eq(provider_told(row("twilio-sms"), &reply, TEXT("SM" SID), code), RECEIPT_UNKNOWN);
    ck_assert_str_eq(code, "http 404");
}
END_TEST

Suite *suite_twilio(void) {
    Suite *s = suite_create("twilio");
    (void)test_pem(); /* once, for all the processes of these tests */
    TCase *t = tcase_create("requests");
    tcase_add_test(t, a_text_is_the_form_they_document);
    tcase_add_test(t, the_sender_depends_on_the_country);
    tcase_add_test(t, what_has_bounds_is_kept_within_them);
    tcase_add_test(t, a_call_says_it_all_in_one_request);
    tcase_add_test(t, a_call_that_can_not_be_answered_asks_for_nothing);
    tcase_add_test(t, however_long_what_is_said_stays_within_what_they_take);
    tcase_add_test(t, only_voices_that_exist_are_asked_for);
    tcase_add_test(t, searches_and_questions_go_to_the_right_address);
    suite_add_tcase(s, t);
    t = tcase_create("answers");
    tcase_add_test(t, errors_are_judged_by_status_and_then_by_code);
    tcase_add_test(t, a_text_is_found_by_number_words_and_time);
    tcase_add_test(t, a_sign_that_they_replaced_does_not_hide_a_text);
    tcase_add_test(t, a_call_is_found_when_there_is_but_one);
    tcase_add_test(t, every_status_has_a_meaning);
    suite_add_tcase(s, t);
    return s;
}
