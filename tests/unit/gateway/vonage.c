/* Vonage's texts and calls, by its own documents. */
#include "gateway/providers/vonage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/base64url.h"
#include "provider_support.h"

#define UUID "63f61863-4a51-4f6b-86e1-46edebcf9356"

static const provider *row(const char *name) {
    return provider_named(text_of(name));
}

static void build_with(const provider *p, const settings *s, const provider_message *m,
                       provider_request *to) {
    const accounts a = test_accounts(s);
    provider_request_init(to);
    ck_assert_int_eq(provider_build(p, &a, m, to), 0);
}

START_TEST(a_text_is_the_form_they_document) {
    const settings s = test_settings();
    provider_message m = test_message("sms");
    CLEANUP(provider_request_release) provider_request r;
    m.to = TEXT("+15005550006");
    build_with(row("vonage-sms"), &s, &m, &r);
    ck_assert_str_eq(r.url.ptr, "https://rest.nexmo.com/sms/json");
    ck_assert_uint_eq(r.user.len, 0);
    ck_assert_str_eq(r.body.ptr,
                     "api_key=abcd1234&api_secret=vonage%20api%20secret&from=15551230001&to=15005550006"
                     "&text=MAYDAY%3A%20Anna%20-%20panic.%20Reply%20OK%204821.&client-ref=" NOTIFICATION
                     "&ttl=3600000&callback=https%3A%2F%2Falarm.example.org%2Fhooks%2Fvonage%2Fstatus%3Fn%"
                     "3D" NOTIFICATION);
}
END_TEST

START_TEST(unicode_is_said_only_when_it_is_needed) {
    static const struct {
        const char *body;
        bool unicode;
    } rows[] = {{"Hello", false}, {"é ü € @ {}", false}, {"ê", true}, {"Ŵ", true}, {"😀", true}};
    const settings s = test_settings();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        provider_message m = test_message("sms");
        CLEANUP(provider_request_release) provider_request r;
        m.body = text_of(rows[i].body);
        build_with(row("vonage-sms"), &s, &m, &r);
        CLEANUP(freep) char *type = test_form_value(&r.body, "type");
        CLEANUP(freep) char *body = test_form_value(&r.body, "text");
        ck_assert_msg(rows[i].unicode ? type && strcmp(type, "unicode") == 0 : !type, "%s", rows[i].body);
        ck_assert_str_eq(body, rows[i].body);
    }
}
END_TEST

START_TEST(a_text_has_the_time_they_allow) {
    static const struct {
        int64_t ms;
        const char *ttl;
    } rows[] = {{1, "20000"}, {60000, "60000"}, {INT64_C(9000000000), "604800000"}};
    const settings s = test_settings();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        provider_message m = test_message("sms");
        CLEANUP(provider_request_release) provider_request r;
        m.validity_ms = rows[i].ms;
        build_with(row("vonage-sms"), &s, &m, &r);
        CLEANUP(freep) char *ttl = test_form_value(&r.body, "ttl");
        ck_assert_str_eq(ttl, rows[i].ttl);
    }
}
END_TEST

#define PART_TAKEN(id)   "{\"to\":\"1\",\"status\":\"0\",\"message-id\":\"" id "\"}"
#define PART(status)     "{\"status\":\"" status "\",\"error-text\":\"why\"}"
#define PARTS(count, of) "{\"message-count\":\"" count "\",\"messages\":[" of "]}"

START_TEST(failures_inside_a_200_are_read_part_by_part) {
    static const struct {
        const char *body;
        provider_outcome outcome;
        provider_blame blame;
        const char *code;
    } rows[] = {
        {PARTS("1", PART_TAKEN("A")), PROVIDER_SENT, BLAME_NOBODY, ""},
        {PARTS("2", PART_TAKEN("A") "," PART_TAKEN("B")), PROVIDER_SENT, BLAME_NOBODY, ""},
        {"{\"message-count\":1,\"messages\":[{\"status\":0,\"message-id\":\"A\"}]}", PROVIDER_SENT,
         BLAME_NOBODY, ""},
        {PARTS("1", PART("1")), PROVIDER_RETRY, BLAME_PROVIDER, "1"},
        {PARTS("1", PART("2")), PROVIDER_REFUSED, BLAME_MESSAGE, "2"},
        {PARTS("1", PART("4")), PROVIDER_REFUSED, BLAME_PROVIDER, "4"},
        {PARTS("1", PART("5")), PROVIDER_RETRY, BLAME_PROVIDER, "5"},
        {PARTS("1", PART("7")), PROVIDER_REFUSED, BLAME_MESSAGE, "7"},
        {PARTS("1", PART("9")), PROVIDER_REFUSED, BLAME_PROVIDER, "9"},
        {PARTS("1", PART("15")), PROVIDER_REFUSED, BLAME_MESSAGE, "15"},
        {PARTS("1", PART("33")), PROVIDER_REFUSED, BLAME_NUMBER, "33"},
        {PARTS("1", PART("77")), PROVIDER_UNKNOWN, BLAME_PROVIDER, "77"},
        {PARTS("1", PART("00")), PROVIDER_UNKNOWN, BLAME_PROVIDER, "00"},
        {PARTS("2", PART_TAKEN("A") "," PART("1")), PROVIDER_RETRY, BLAME_PROVIDER, "1"},
        {PARTS("2", PART("9") "," PART_TAKEN("A")), PROVIDER_REFUSED, BLAME_PROVIDER, "9"},
        {PARTS("2", PART_TAKEN("A") "," PART("77")), PROVIDER_UNKNOWN, BLAME_PROVIDER, "77"},
        {PARTS("2", PART("77") "," PART("1")), PROVIDER_RETRY, BLAME_PROVIDER, "1"},
        {PARTS("2", PART_TAKEN("A")), PROVIDER_UNKNOWN, BLAME_PROVIDER, "unreadable"},
        {PARTS("1", PART_TAKEN("A/../b")), PROVIDER_UNKNOWN, BLAME_PROVIDER, "unreadable"},
        {PARTS("x", PART_TAKEN("A")), PROVIDER_UNKNOWN, BLAME_PROVIDER, "unreadable"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        provider_result r = read_with(row("vonage-sms"), 200, rows[i].body);
        ck_assert_msg(r.outcome == rows[i].outcome && r.blame == rows[i].blame, "%s: %s %d", rows[i].body,
                      provider_outcome_name(r.outcome), r.blame);
        ck_assert_str_eq(r.code, rows[i].code);
        ck_assert_str_eq(r.reference, r.outcome == PROVIDER_SENT ? "A" : "");
    }
}
END_TEST

#define RECORD(id, ref, status)                                                                              \
    "{\"message_id\":\"" id "\",\"client_ref\":" ref ",\"to\":\"27829876540\",\"status\":\"" status "\"}"
#define REF "\"" NOTIFICATION "\""
#define REPORT(status, count, records, more)                                                                 \
    "{\"request_status\":\"" status "\",\"items_count\":" count ",\"records\":[" records "]" more "}"

START_TEST(a_text_is_found_in_the_report_by_our_reference) {
    static const struct {
        const char *body;
        provider_outcome outcome;
        const char *id;
    } rows[] = {
        {REPORT("SUCCESS", "0", "", ""), PROVIDER_RETRY, ""},
        {REPORT("SUCCESS", "1", RECORD("A", REF, "accepted"), ""), PROVIDER_SENT, "A"},
        {REPORT("SUCCESS", "1", RECORD("A", "null", "accepted"), ""), PROVIDER_RETRY, ""},
        {REPORT("SUCCESS", "1", RECORD("A", "\"other\"", "accepted"), ""), PROVIDER_RETRY, ""},
        {REPORT("SUCCESS", "2", RECORD("A", "null", "accepted"), ""), PROVIDER_UNKNOWN, ""},
        {REPORT("TRUNCATED", "1", RECORD("A", "null", "accepted"), ""), PROVIDER_UNKNOWN, ""},
        {REPORT("SUCCESS", "0", "", ",\"cursor\":\"next\""), PROVIDER_UNKNOWN, ""},
        {REPORT("SUCCESS", "0", "", ",\"cursor\":null"), PROVIDER_RETRY, ""},
        {REPORT("SUCCESS", "0", "", ",\"_links\":{\"next\":{\"href\":\"x\"}}"), PROVIDER_UNKNOWN, ""},
        {REPORT("SUCCESS", "2", RECORD("A", REF, "rejected") "," RECORD("B", REF, "accepted"), ""),
         PROVIDER_SENT, "B"},
        {REPORT("SUCCESS", "1", "{\"message_id\":\"A\",\"to\":\"27829876540\"}", ""), PROVIDER_UNKNOWN, ""},
        {REPORT("SUCCESS", "1", "{\"message_id\":\"A\",\"to\":\"27829876541\"}", ""), PROVIDER_RETRY, ""},
        {REPORT("SUCCESS", "1", "null", ""), PROVIDER_UNKNOWN, ""},
        {"{\"request_status\":\"SUCCESS\",\"items_count\":0}", PROVIDER_UNKNOWN, ""},
    };
    provider_message m = test_message("sms");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        provider_reply reply = {.status = 200, .left = true, .body = text_of(rows[i].body)};
        provider_result r;
        provider_found(row("vonage-sms"), &reply, &m, NOW, &r);
        ck_assert_msg(r.outcome == rows[i].outcome, "%s: %s", rows[i].body, provider_outcome_name(r.outcome));
        ck_assert_str_eq(r.reference, rows[i].id);
    }
}
END_TEST

START_TEST(reports_are_asked_for_a_day_at_most) {
    const settings s = test_settings();
    const accounts a = test_accounts(&s);
    provider_message m = test_message("sms");
    CLEANUP(provider_request_release) provider_request near, far, one;
    provider_request_init(&near);
    provider_request_init(&far);
    provider_request_init(&one);
#define BASE "https://api.nexmo.com/v2/reports/records?account_id=abcd1234&product=SMS&direction=outbound"
    ck_assert_int_eq(provider_search(row("vonage-sms"), &a, &m, NOW - 10 * INSTANT_SECOND, &near), 0);
    ck_assert_str_eq(near.url.ptr,
                     BASE "&date_start=2027-01-15T07%3A58%3A50Z&date_end=2027-01-15T08%3A01%3A00Z");
    ck_assert_str_eq(near.user.ptr, "abcd1234:" VONAGE_SECRET);
    ck_assert_int_eq(provider_search(row("vonage-sms"), &a, &m, NOW - 200000 * INSTANT_SECOND, &far), 0);
    ck_assert_str_eq(far.url.ptr,
                     BASE "&date_start=2027-01-14T08%3A01%3A00Z&date_end=2027-01-15T08%3A01%3A00Z");
    ck_assert_int_eq(provider_ask(row("vonage-sms"), &a, TEXT("0A00"), NOW, &one), 0);
    ck_assert_str_eq(one.url.ptr, BASE "&id=0A00");
}
END_TEST

/* ---- calls ---- */

static json *parse(const buf *b) {
    json *root = NULL;
    ck_assert_int_eq(json_parse_once(buf_text(b), &root), JSON_OK);
    return root;
}

/* The claims of the request's token, which is well signed. */
static json *claims_of(const provider_request *r) {
    static const char header[] = "Authorization: Bearer ";
    const char *token = strstr(r->headers.ptr, header);
    ck_assert_ptr_nonnull(token);
    token += sizeof header - 1;
    size_t len = strcspn(token, "\n");
    ck_assert(test_pem_verifies(token, len));
    text rest = {token, len}, part;
    ck_assert(text_next(&rest, '.', &part) && text_next(&rest, '.', &part));
    unsigned char bytes[1024];
    size_t decoded;
    json *claims = NULL;
    ck_assert_int_eq(base64url_decode(part, bytes, &decoded), 0);
    ck_assert_int_eq(json_parse_once((text){(char *)bytes, decoded}, &claims), JSON_OK);
    return claims;
}

START_TEST(a_call_is_the_json_they_document) {
    const settings s = test_settings();
    provider_message m = test_message("voice");
    CLEANUP(provider_request_release) provider_request r;
    CLEANUP(json_freep) json *wanted = NULL, *claims = NULL, *body = NULL;
    build_with(row("vonage-voice"), &s, &m, &r);
    ck_assert_str_eq(r.url.ptr, "https://api.nexmo.com/v1/calls");
    ck_assert_uint_eq(r.user.len, 0);
    ck_assert_int_eq(
        json_parse_once(
            TEXT("{\"to\":[{\"type\":\"phone\",\"number\":\"27829876540\"}],\"from\":{\"type\":\"phone\","
                 "\"number\":\"27600200200\"},\"ncco\":[{\"action\":\"talk\",\"text\":\"MAYDAY: Anna - "
                 "panic. Reply OK "
                 "4821. Press 1 to take "
                 "it.\",\"language\":\"en-GB\",\"loop\":2,\"bargeIn\":true},{\"action\":\"input\","
                 "\"type\":[\"dtmf\"],\"dtmf\":{\"maxDigits\":1,\"timeOut\":10,\"submitOnHash\":false},"
                 "\"eventUrl\":["
                 "\"https://alarm.example.org/hooks/vonage/key?n=" NOTIFICATION
                 "\"],\"eventMethod\":\"POST\"}],"
                 "\"ringing_timer\":30,\"length_timer\":300,\"event_url\":[\"https://alarm.example.org/hooks/"
                 "vonage/"
                 "event?n=" NOTIFICATION "\"],\"event_method\":\"POST\"}"),
            &wanted),
        JSON_OK);
    body = parse(&r.body);
    ck_assert_msg(json_same(body, wanted), "%s", r.body.ptr);
    claims = claims_of(&r);
    ck_assert(text_equal(json_get_string(claims, "application_id"), text_of(s.vonage_application)));
    ck_assert(text_equal(json_get_string(claims, "jti"), TEXT(ATTEMPT)));
    ck_assert_int_eq(json_integer(json_get(claims, "iat")), NOW / INSTANT_SECOND);
    ck_assert_int_eq(json_integer(json_get(claims, "exp")), NOW / INSTANT_SECOND + 86400);
}
END_TEST

START_TEST(a_call_that_can_not_be_answered_asks_for_nothing) {
    settings s = test_settings();
    provider_message m = test_message("voice");
    CLEANUP(provider_request_release) provider_request r;
    s.notify_public_url = NULL;
    build_with(row("vonage-voice"), &s, &m, &r);
    CLEANUP(json_freep) json *body = parse(&r.body);
    ck_assert_ptr_null(json_get(body, "event_url"));
    const json *ncco = json_get(body, "ncco");
    ck_assert_uint_eq(json_length(ncco), 1);
    ck_assert_ptr_null(json_get(json_at(ncco, 0), "bargeIn")); /* an error without an input behind it */
    ck_assert(text_equal(json_get_string(json_at(ncco, 0), "text"), m.body));
}
END_TEST

START_TEST(what_is_said_is_never_longer_than_they_take) {
    const settings s = test_settings();
    CLEANUP(buf_release) buf say = BUF(1 << 16);
    for (size_t i = 0; i < 3000; i++)
        buf_add_text(&say, TEXT("é"));
    CLEANUP(json_freep)
    json *ncco = ncco_new(&s, TEXT(NOTIFICATION), buf_text(&say), TEXT("Press 1."), TEXT("af-ZA"), 1);
    text said = json_get_string(json_at(ncco, 0), "text");
    ck_assert_uint_eq(text_code_points(said), 1500);
    ck_assert(text_is_utf8(said));
    ck_assert(said.len > 8 && memcmp(said.ptr + said.len - 8, "Press 1.", 8) == 0);
    ck_assert(text_equal(json_get_string(json_at(ncco, 0), "language"), TEXT("af-ZA")));
}
END_TEST

START_TEST(calls_are_judged_by_their_status) {
    static const struct {
        int status;
        const char *body;
        provider_outcome outcome;
        provider_blame blame;
    } rows[] = {
        {201, "{\"uuid\":\"" UUID "\",\"status\":\"started\",\"direction\":\"outbound\"}", PROVIDER_SENT,
         BLAME_NOBODY},
        {201, "{\"uuid\":\"" UUID "\",\"status\":\"failed\"}", PROVIDER_REFUSED, BLAME_MESSAGE},
        {400, "{\"type\":\"x\",\"title\":\"Bad Request\"}", PROVIDER_REFUSED, BLAME_MESSAGE},
        {400, "{\"type\":\"x\",\"error_title\":\"Bad Request\"}", PROVIDER_REFUSED, BLAME_MESSAGE},
        {400, "nginx", PROVIDER_REFUSED, BLAME_PROVIDER},
        {401, "{\"type\":\"UNAUTHORIZED\",\"error_title\":\"Unauthorized\"}", PROVIDER_REFUSED,
         BLAME_PROVIDER},
        {429, "", PROVIDER_RETRY, BLAME_PROVIDER},
        {500, "{\"uuid\":\"" UUID "\",\"status\":\"started\"}", PROVIDER_UNKNOWN, BLAME_PROVIDER},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        provider_result r = read_with(row("vonage-voice"), rows[i].status, rows[i].body);
        ck_assert_msg(r.outcome == rows[i].outcome && r.blame == rows[i].blame, "%s: %s %d", rows[i].body,
                      provider_outcome_name(r.outcome), r.blame);
    }
}
END_TEST

#define CALL(uuid, number)                                                                                   \
    "{\"uuid\":\"" uuid "\",\"to\":{\"type\":\"phone\",\"number\":\"" number                                 \
    "\"},\"direction\":\"outbound\",\"status\":\"ringing\"}"
#define CALLS(count, calls) "{\"count\":" count ",\"_embedded\":{\"calls\":[" calls "]}}"

START_TEST(a_call_is_found_when_there_is_but_one) {
    static const struct {
        const char *body;
        provider_outcome outcome;
    } rows[] = {
        {CALLS("0", ""), PROVIDER_RETRY},
        {CALLS("1", CALL("A", "27829876540")), PROVIDER_SENT},
        {CALLS("1", "{\"uuid\":\"A\",\"to\":[{\"number\":\"27829876540\"}],\"status\":\"started\"}"),
         PROVIDER_SENT},
        {CALLS("1", CALL("A", "27829876541")), PROVIDER_RETRY},
        {CALLS("2", CALL("A", "27829876540") "," CALL("B", "27829876541")), PROVIDER_SENT},
        {CALLS("2", CALL("A", "27829876540") "," CALL("B", "27829876540")), PROVIDER_UNKNOWN},
        {CALLS("101", CALL("A", "27829876541")), PROVIDER_UNKNOWN},
        {CALLS("101", CALL("A", "27829876540")), PROVIDER_UNKNOWN},
        {CALLS("1", "{\"uuid\":\"A\"}"), PROVIDER_UNKNOWN},
        {"{\"count\":0}", PROVIDER_UNKNOWN},
        {CALLS("null", ""), PROVIDER_UNKNOWN},
    };
    provider_message m = test_message("voice");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        provider_reply reply = {.status = 200, .left = true, .body = text_of(rows[i].body)};
        provider_result r;
        provider_found(row("vonage-voice"), &reply, &m, NOW, &r);
        ck_assert_msg(r.outcome == rows[i].outcome, "%s: %s", rows[i].body, provider_outcome_name(r.outcome));
    }
}
END_TEST

START_TEST(searches_and_questions_carry_a_token_of_their_own) {
    const settings s = test_settings();
    const accounts a = test_accounts(&s);
    provider_message m = test_message("voice");
    CLEANUP(provider_request_release) provider_request search, ask;
    provider_request_init(&search);
    provider_request_init(&ask);
    ck_assert_int_eq(provider_search(row("vonage-voice"), &a, &m, NOW, &search), 0);
    ck_assert_str_eq(
        search.url.ptr,
        "https://api.nexmo.com/v1/calls?date_start=2027-01-15T07%3A59%3A55Z&date_end=2027-01-15T08%3A00"
        "%3A05Z&page_size=100&record_index=0&order=desc");
    CLEANUP(json_freep) json *first = claims_of(&search);
    ck_assert(text_equal(json_get_string(first, "jti"), TEXT("search-" ATTEMPT)));
    ck_assert_int_eq(provider_ask(row("vonage-voice"), &a, TEXT(UUID), NOW, &ask), 0);
    ck_assert_str_eq(ask.url.ptr, "https://api.nexmo.com/v1/calls/" UUID);
    CLEANUP(json_freep) json *second = claims_of(&ask);
    ck_assert(text_equal(json_get_string(second, "jti"), TEXT("ask-" UUID)));
}
END_TEST

START_TEST(every_status_has_a_meaning) {
    static const struct {
        const char *status;
        provider_receipt of_text, of_call;
    } rows[] = {
        {"delivered", RECEIPT_DELIVERED, RECEIPT_UNKNOWN},
        {"expired", RECEIPT_FAILED, RECEIPT_UNKNOWN},
        {"failed", RECEIPT_FAILED, RECEIPT_FAILED},
        {"rejected", RECEIPT_FAILED, RECEIPT_FAILED},
        {"accepted", RECEIPT_PENDING, RECEIPT_UNKNOWN},
        {"buffered", RECEIPT_PENDING, RECEIPT_UNKNOWN},
        {"unknown", RECEIPT_UNKNOWN, RECEIPT_UNKNOWN},
        {"started", RECEIPT_UNKNOWN, RECEIPT_PENDING},
        {"ringing", RECEIPT_UNKNOWN, RECEIPT_PENDING},
        {"answered", RECEIPT_UNKNOWN, RECEIPT_DELIVERED},
        {"machine", RECEIPT_UNKNOWN, RECEIPT_DELIVERED},
        {"completed", RECEIPT_UNKNOWN, RECEIPT_DELIVERED},
        {"busy", RECEIPT_UNKNOWN, RECEIPT_FAILED},
        {"cancelled", RECEIPT_UNKNOWN, RECEIPT_FAILED},
        {"timeout", RECEIPT_UNKNOWN, RECEIPT_FAILED},
        {"unanswered", RECEIPT_UNKNOWN, RECEIPT_FAILED},
        {"", RECEIPT_UNKNOWN, RECEIPT_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ck_assert_msg(vonage_text_receipt(text_of(rows[i].status)) == rows[i].of_text, "%s", rows[i].status);
        ck_assert_msg(vonage_call_receipt(text_of(rows[i].status)) == rows[i].of_call, "%s", rows[i].status);
    }
}
END_TEST

Suite *suite_vonage(void) {
    Suite *s = suite_create("vonage");
    (void)test_pem(); /* once, for all the processes of these tests */
    TCase *t = tcase_create("texts");
    tcase_add_test(t, a_text_is_the_form_they_document);
    tcase_add_test(t, unicode_is_said_only_when_it_is_needed);
    tcase_add_test(t, a_text_has_the_time_they_allow);
    tcase_add_test(t, failures_inside_a_200_are_read_part_by_part);
    tcase_add_test(t, a_text_is_found_in_the_report_by_our_reference);
    tcase_add_test(t, reports_are_asked_for_a_day_at_most);
    suite_add_tcase(s, t);
    t = tcase_create("calls");
    tcase_add_test(t, a_call_is_the_json_they_document);
    tcase_add_test(t, a_call_that_can_not_be_answered_asks_for_nothing);
    tcase_add_test(t, what_is_said_is_never_longer_than_they_take);
    tcase_add_test(t, calls_are_judged_by_their_status);
    tcase_add_test(t, a_call_is_found_when_there_is_but_one);
    tcase_add_test(t, searches_and_questions_carry_a_token_of_their_own);
    tcase_add_test(t, every_status_has_a_meaning);
    suite_add_tcase(s, t);
    return s;
}
