/* Vonage's webhooks, signed in both of its ways. */
#include "hook_support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define HS256 "{\"typ\":\"JWT\",\"alg\":\"HS256\"}"
#define AT    (NOW / INSTANT_SECOND)

static hook_verdict take(const http_request *r, const char *what, hook_space *space, hook_event *ret_event) {
    const settings s = test_settings();
    const accounts a = test_accounts(&s);
    return hook_read(hook_named("vonage"), &a, r, text_of(what), NOW, space, ret_event);
}

/* ---- by a token ---- */

static void add_hash(text body, buf *to) {
    uint8_t digest[SHA256_LEN];
    ck_assert_int_eq(sha256(body, digest), 0);
    hex_add(digest, sizeof digest, to);
}

typedef struct token_case {
    const char *secret, *header, *hashed; /* what payload_hash is of; NULL: it is left out */
    int64_t iat;
    const char *more; /* claims */
} token_case;

static const token_case good_token = {VONAGE_SIGNATURE, HS256, "", AT, ""};

/* `c->hashed` "" stands for the body. */
static hook_verdict arrive_with(const token_case *c, const char *what, const char *query, const char *body,
                                hook_space *space, hook_event *ret_event) {
    CLEANUP(buf_release) buf claims = BUF(4096);
    CLEANUP(buf_release) buf bearer = BUF(8192);
    buf_printf(&claims, "{\"iat\":%lld,\"jti\":\"x\",\"iss\":\"Vonage\",\"api_key\":\"abcd1234\"%s",
               (long long)c->iat, c->more);
    if (c->hashed) {
        buf_add_text(&claims, TEXT(",\"payload_hash\":\""));
        add_hash(text_of(*c->hashed ? c->hashed : body), &claims);
        buf_add_char(&claims, '"');
    }
    buf_add_char(&claims, '}');
    vonage_bearer(c->secret, text_of(c->header), buf_text(&claims), &bearer);
    http_request r = {.method = TEXT("POST"),
                      .path = TEXT("/hooks/vonage/x"),
                      .query = text_of(query),
                      .body = text_of(body)};
    add_header(&r, TEXT("authorization"), buf_text(&bearer));
    return take(&r, what, space, ret_event);
}

static hook_verdict arrive(const char *what, const char *query, const char *body, hook_space *space,
                           hook_event *ret_event) {
    return arrive_with(&good_token, what, query, body, space, ret_event);
}

#define EVENT "{\"uuid\":\"63f61863-4a51-4f6b-86e1-46edebcf9356\",\"status\":\"answered\"}"

START_TEST(a_token_has_to_be_theirs_and_of_this_body_and_day) {
    static const struct {
        token_case c;
        bool good;
    } rows[] = {
        {{VONAGE_SIGNATURE, HS256, "", AT, ""}, true},
        {{VONAGE_SIGNATURE, HS256, "", AT + 300, ""}, true},
        {{VONAGE_SIGNATURE, HS256, "", AT + 301, ""}, false},
        {{VONAGE_SIGNATURE, HS256, "", AT - 86400, ""}, true}, /* they try for a day */
        {{VONAGE_SIGNATURE, HS256, "", AT - 86400 - 301, ""}, false},
        {{VONAGE_SIGNATURE, HS256, "", AT, ",\"exp\":1800000000"}, true},
        {{VONAGE_SIGNATURE, HS256, "", AT, ",\"exp\":1799999000"}, false},
        {{VONAGE_SIGNATURE, HS256, "", AT, ",\"exp\":\"later\""}, false},
        {{VONAGE_SIGNATURE, HS256, "{}", AT, ""}, false},
        {{VONAGE_SIGNATURE, HS256, NULL, AT, ""}, false},
        {{VONAGE_SIGNATURE, HS256, NULL, AT, ",\"payload_hash\":\"\""}, false},
        {{VONAGE_SIGNATURE, HS256, NULL, AT, ",\"payload_hash\":5"}, false},
        {{"another secret", HS256, "", AT, ""}, false},
        {{"", HS256, "", AT, ""}, false},
        {{VONAGE_SIGNATURE, "{\"alg\":\"none\"}", "", AT, ""}, false},
        {{VONAGE_SIGNATURE, "{\"alg\":\"RS256\"}", "", AT, ""}, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        hook_space space;
        hook_event e = {.provider = "untouched"};
        hook_verdict v = arrive_with(&rows[i].c, "event", "n=" NOTIFICATION, EVENT, &space, &e);
        ck_assert_msg(v == (rows[i].good ? HOOK_GOOD : HOOK_FORGED), "row %zu", i);
        ck_assert(rows[i].good == (strcmp(e.provider, "untouched") != 0));
    }
}
END_TEST

START_TEST(a_token_vouches_for_no_query) {
    hook_space space;
    hook_event e;
    ck_assert_int_eq(arrive("status", "messageId=A&status=delivered&n=" NOTIFICATION, "", &space, &e),
                     HOOK_FORGED);
}
END_TEST

START_TEST(without_a_signature_or_a_secret_nothing_is_theirs) {
    const settings s = test_settings();
    const accounts none = {.s = &s};
    http_request r = {.method = TEXT("POST"), .path = TEXT("/hooks/vonage/event"), .body = TEXT(EVENT)};
    CLEANUP(buf_release) buf bearer = BUF(4096);
    hook_space space;
    hook_event e;
    ck_assert_int_eq(take(&r, "event", &space, &e), HOOK_FORGED);
    add_header(&r, TEXT("Authorization"), TEXT("Bearer "));
    ck_assert_int_eq(take(&r, "event", &space, &e), HOOK_FORGED);
    r.headers[0].value = TEXT("Basic YTpi");
    ck_assert_int_eq(take(&r, "event", &space, &e), HOOK_FORGED);
    vonage_bearer("", TEXT(HS256), TEXT("{\"iat\":1800000000}"), &bearer);
    r.headers[0].value = buf_text(&bearer);
    ck_assert_int_eq(hook_read(hook_named("vonage"), &none, &r, TEXT("event"), NOW, &space, &e), HOOK_FORGED);
}
END_TEST

/* ---- by `sig` ---- */

/* Their vector's parameters say nothing to us; that they are believed shows in the verdict. */
START_TEST(their_vector_is_good) {
    const settings s = test_settings();
    const accounts a = test_accounts(&s);
    const instant then = INT64_C(1234567890) * INSTANT_SECOND;
    hook_space space;
    hook_event e;
    http_request r = {.method = TEXT("GET"),
                      .path = TEXT("/hooks/vonage/status"),
                      .query = TEXT("param1=value1&param2=value2&timestamp=1234567890&sig="
                                    "280c4320703dbc98bfa22db676655ed2acfbfe8792b062ff7622e67f1183c287")};
    const hook *h = hook_named("vonage");
    ck_assert_int_eq(hook_read(h, &a, &r, TEXT("status"), then, &space, &e), HOOK_MALFORMED);
    ck_assert_int_eq(hook_read(h, &a, &r, TEXT("event"), then, &space, &e), HOOK_GOOD);
    ck_assert_int_eq(e.kind, HOOK_NOTHING);
    r.query = TEXT(
        "timestamp=1234567890&sig=280C4320703DBC98BFA22DB676655ED2ACFBFE8792B062FF7622E67F1183C287&param2="
        "value2&param1=value1");
    ck_assert_int_eq(hook_read(h, &a, &r, TEXT("event"), then, &space, &e), HOOK_GOOD);
    ck_assert_int_eq(hook_read(h, &a, &r, TEXT("event"), then + 90000 * INSTANT_SECOND, &space, &e),
                     HOOK_FORGED);
    ck_assert_int_eq(hook_read(h, &a, &r, TEXT("event"), then - 301 * INSTANT_SECOND, &space, &e),
                     HOOK_FORGED);
    r.query = TEXT("param1=value1&param2=value3&timestamp=1234567890&sig="
                   "280c4320703dbc98bfa22db676655ed2acfbfe8792b062ff7622e67f1183c287");
    ck_assert_int_eq(hook_read(h, &a, &r, TEXT("event"), then, &space, &e), HOOK_FORGED);
}
END_TEST

/* `signed_form`: what is signed, with a '&' before each. */
static void sign(const char *signed_form, buf *to) {
    uint8_t mac[SHA256_LEN];
    ck_assert_int_eq(hmac_sha256(TEXT(VONAGE_SIGNATURE), text_of(signed_form), mac), 0);
    hex_add(mac, sizeof mac, to);
}

START_TEST(a_sig_is_good_in_every_shape_they_send) {
    static const char signed_form[] =
        "&err-code=0&messageId=0A00&msisdn=27829876540&note=a_b_c&status=delivered"
        "&timestamp=1800000000";
    CLEANUP(buf_release) buf sig = BUF(128);
    CLEANUP(buf_release) buf form = BUF(1024);
    CLEANUP(buf_release) buf query = BUF(1024);
    CLEANUP(buf_release) buf body = BUF(1024);
    sign(signed_form, &sig);
    buf_printf(&form,
               "messageId=0A00&status=delivered&msisdn=27829876540&err-code=0&note=a%%26b%%3Dc"
               "&timestamp=1800000000&sig=%s",
               sig.ptr);
    buf_printf(&query, "n=" NOTIFICATION "&%s", form.ptr);
    buf_printf(&body,
               "{\"messageId\":\"0A00\",\"status\":\"delivered\",\"msisdn\":27829876540,\"err-code\":\"0\","
               "\"note\":\"a&b=c\",\"timestamp\":\"1800000000\",\"sig\":\"%s\"}",
               sig.ptr);
    const http_request rows[] = {
        {.method = TEXT("POST"), .query = TEXT("n=" NOTIFICATION), .body = buf_text(&form)},
        {.method = TEXT("POST"), .query = TEXT("n=" NOTIFICATION), .body = buf_text(&body)},
        {.method = TEXT("GET"), .query = buf_text(&query)},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        hook_space space;
        hook_event e;
        ck_assert_msg(take(&rows[i], "status", &space, &e) == HOOK_GOOD, "row %zu", i);
        ck_assert_int_eq(e.kind, HOOK_RECEIPT);
        ck_assert(text_equal(e.reference, TEXT("0A00")) && text_equal(e.notification, TEXT(NOTIFICATION)));
        ck_assert(text_equal(e.said, TEXT("delivered")) && text_equal(e.code, TEXT("0")));
        ck_assert_int_eq(e.receipt, RECEIPT_DELIVERED);
    }
}
END_TEST

START_TEST(a_sig_by_another_way_is_not_believed) {
    static const char *const sigs[] = {
        "",
        "0",
        "0123456789abcdef0123456789abcdef", /* as long as MD5 */
        "000000000000000000000000000000000000000000000000000000000000000g",
    };
    for (size_t i = 0; i < ARRAY_LEN(sigs); i++) {
        char form[256];
        hook_space space;
        hook_event e;
        (void)snprintf(form, sizeof form, "messageId=0A00&status=delivered&timestamp=1800000000&sig=%s",
                       sigs[i]);
        http_request r = {.method = TEXT("POST"), .body = text_of(form)};
        ck_assert_int_eq(take(&r, "status", &space, &e), HOOK_FORGED);
    }
    CLEANUP(buf_release) buf sig = BUF(128);
    CLEANUP(buf_release) buf form = BUF(512);
    hook_space space;
    hook_event e;
    sign("&messageId=0A00&status=delivered", &sig); /* well signed, but of no time */
    buf_printf(&form, "messageId=0A00&status=delivered&sig=%s", sig.ptr);
    http_request r = {.method = TEXT("POST"), .body = buf_text(&form)};
    ck_assert_int_eq(take(&r, "status", &space, &e), HOOK_FORGED);
}
END_TEST

/* ---- what it says ---- */

START_TEST(events_are_understood) {
    static const struct {
        const char *what, *body;
        hook_kind kind;
        const char *provider, *reference, *said, *code, *from;
        provider_receipt receipt;
    } rows[] = {
        {"status", "{\"messageId\":\"0A\",\"status\":\"expired\",\"err-code\":\"4\",\"new\":{\"x\":[1]}}",
         HOOK_RECEIPT, "vonage-sms", "0A", "expired", "4", "", RECEIPT_FAILED},
        {"status", "{\"messageId\":\"0A\",\"status\":\"unknown\"}", HOOK_RECEIPT, "vonage-sms", "0A",
         "unknown", "", "", RECEIPT_UNKNOWN},
        {"text",
         "{\"msisdn\":\"27829876540\",\"messageId\":\"0B\",\"text\":\"Ok\\u0000 "
         "\xc3\xa9\",\"type\":\"text\"}",
         HOOK_TEXT, "vonage-sms", "0B", "Ok  \xc3\xa9", "", "+27829876540", RECEIPT_UNKNOWN},
        {"text", "{\"msisdn\":\"VODACOM\",\"messageId\":\"0B\",\"text\":\"Sale\"}", HOOK_NOTHING,
         "vonage-sms", "0B", "Sale", "", "+VODACOM", RECEIPT_UNKNOWN},
        {"event", EVENT, HOOK_RECEIPT, "vonage-voice", "63f61863-4a51-4f6b-86e1-46edebcf9356", "answered", "",
         "", RECEIPT_DELIVERED},
        {"event", "{\"uuid\":\"a\",\"status\":\"unanswered\",\"detail\":\"unavailable\"}", HOOK_RECEIPT,
         "vonage-voice", "a", "unanswered", "unavailable", "", RECEIPT_FAILED},
        {"event", "{\"uuid\":\"a\",\"status\":\"transfer\"}", HOOK_NOTHING, "vonage-voice", "a", "transfer",
         "", "", RECEIPT_UNKNOWN},
        {"event", "{\"reason\":\"Syntax error in NCCO\",\"conversation_uuid\":\"CON-1\"}", HOOK_NOTHING,
         "vonage-voice", "", "", "Syntax error in NCCO", "", RECEIPT_UNKNOWN},
        {"key", "{\"uuid\":\"a\",\"dtmf\":{\"digits\":\"1\",\"timed_out\":false}}", HOOK_KEY, "vonage-voice",
         "a", "1", "", "", RECEIPT_UNKNOWN},
        {"key", "{\"uuid\":\"a\",\"dtmf\":\"9\"}", HOOK_KEY, "vonage-voice", "a", "9", "", "",
         RECEIPT_UNKNOWN},
        {"key", "{\"uuid\":\"a\",\"dtmf\":{\"digits\":\"\",\"timed_out\":true}}", HOOK_NOTHING,
         "vonage-voice", "a", "", "", "", RECEIPT_UNKNOWN},
        {"key", "{\"uuid\":\"a\",\"dtmf\":null}", HOOK_NOTHING, "vonage-voice", "a", "", "", "",
         RECEIPT_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        hook_space space;
        hook_event e;
        ck_assert_msg(arrive(rows[i].what, "n=" NOTIFICATION, rows[i].body, &space, &e) == HOOK_GOOD, "%s",
                      rows[i].body);
        ck_assert_msg(e.kind == rows[i].kind, "%s: %d", rows[i].body, e.kind);
        ck_assert_str_eq(e.provider, rows[i].provider);
        ck_assert(text_equal(e.reference, text_of(rows[i].reference)));
        ck_assert_msg(text_equal(e.said, text_of(rows[i].said)), "%s", rows[i].body);
        ck_assert(text_equal(e.code, text_of(rows[i].code)));
        ck_assert(text_equal(e.from, text_of(rows[i].from)));
        ck_assert(text_equal(e.notification, TEXT(NOTIFICATION)));
        ck_assert_int_eq(e.receipt, rows[i].receipt);
    }
}
END_TEST

START_TEST(what_is_signed_counts_more_than_the_address) {
    hook_space space;
    hook_event e;
    ck_assert_int_eq(arrive("status", "n=01937232-8a00-7abc-8def-000000000000",
                            "{\"messageId\":\"0A\",\"status\":\"delivered\",\"client-ref\":\"" NOTIFICATION
                            "\"}",
                            &space, &e),
                     HOOK_GOOD);
    ck_assert(text_equal(e.notification, TEXT(NOTIFICATION)));
    ck_assert_int_eq(arrive("status", "n=x",
                            "{\"messageId\":\"0A\",\"status\":\"delivered\",\"client-ref\":\"x\"}", &space,
                            &e),
                     HOOK_GOOD);
    ck_assert_ptr_null(e.notification.ptr);
}
END_TEST

START_TEST(what_is_theirs_and_makes_no_sense_is_malformed) {
    static const struct {
        const char *what, *body;
    } rows[] = {
        {"status", "{}"},
        {"status", "{\"messageId\":\"0A\"}"},
        {"status", "{\"messageId\":\"../x\",\"status\":\"delivered\"}"},
        {"status", "{\"messageId\""},
        {"status", "{\"status\":\"delivered\",\"status\":\"failed\"}"},
        {"text", "{\"messageId\":\"0A\",\"text\":\"OK\"}"},
        {"text", "{\"msisdn\":\"27\",\"text\":\"OK\"}"},
        {"key", "{\"dtmf\":{\"digits\":\"1\"}}"},
        {"call", EVENT},
        {"text", "%zz"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        hook_space space;
        hook_event e;
        ck_assert_msg(arrive(rows[i].what, NULL, rows[i].body, &space, &e) == HOOK_MALFORMED, "%s",
                      rows[i].body);
    }
}
END_TEST

START_TEST(more_than_there_is_room_for_is_malformed) {
    CLEANUP(buf_release) buf body = BUF(1 << 17);
    hook_space space;
    hook_event e;
    buf_add_text(&body, TEXT("{\"msisdn\":\"27829876540\",\"messageId\":\"A\",\"text\":\""));
    for (size_t i = 0; i < HOOK_SPACE; i++)
        buf_add_char(&body, 'x');
    buf_add_text(&body, TEXT("\"}"));
    ck_assert_int_eq(arrive("text", NULL, body.ptr, &space, &e), HOOK_MALFORMED);
    buf_clear(&body);
    buf_add_text(&body, TEXT("{\"msisdn\":\"27829876540\",\"messageId\":\"A\",\"text\":\"OK\""));
    for (int i = 0; i < HOOK_PAIRS_MAX; i++)
        buf_printf(&body, ",\"p%d\":\"\"", i);
    buf_add_char(&body, '}');
    ck_assert_int_eq(arrive("text", NULL, body.ptr, &space, &e), HOOK_MALFORMED);
}
END_TEST

START_TEST(answers_are_ncco) {
    const settings s = test_settings();
    const accounts a = test_accounts(&s);
    const char *type = NULL;
    CLEANUP(buf_release) buf menu = BUF(1 << 14);
    CLEANUP(buf_release) buf bye = BUF(1 << 14);
    CLEANUP(buf_release) buf nothing = BUF(1 << 14);
    CLEANUP(buf_release) buf none = BUF(4);
    const hook *h = hook_named("vonage");
    ck_assert_int_eq(
        h->speak(&a, TEXT(NOTIFICATION), TEXT("Again."), TEXT("Press 1."), TEXT("af"), &menu, &type), 0);
    ck_assert_str_eq(type, "application/json");
    ck_assert_ptr_nonnull(strstr(menu.ptr, "hooks"));
    ck_assert_ptr_nonnull(strstr(menu.ptr, "\"action\":\"input\""));
    ck_assert_ptr_nonnull(
        strstr(menu.ptr, "\"text\":\"Again. Press 1.\",\"language\":\"af-ZA\",\"bargeIn\":true"));
    ck_assert_int_eq(
        h->speak(&a, TEXT(NOTIFICATION), TEXT("Taken down."), (text){0}, TEXT("en"), &bye, &type), 0);
    ck_assert_str_eq(bye.ptr, "[{\"action\":\"talk\",\"text\":\"Taken down.\",\"language\":\"en-GB\"}]");
    ck_assert_int_eq(h->speak(&a, TEXT(NOTIFICATION), (text){0}, (text){0}, TEXT("en"), &nothing, &type), 0);
    ck_assert_str_eq(nothing.ptr, "[]");
    ck_assert_int_eq(h->speak(&a, TEXT(NOTIFICATION), TEXT("x"), (text){0}, TEXT("en"), &none, &type),
                     -EMSGSIZE);
}
END_TEST

Suite *suite_hook_vonage(void) {
    Suite *s = suite_create("hooks of vonage");
    (void)test_pem(); /* once, for all the processes of these tests */
    TCase *t = tcase_create("signatures");
    tcase_add_test(t, a_token_has_to_be_theirs_and_of_this_body_and_day);
    tcase_add_test(t, a_token_vouches_for_no_query);
    tcase_add_test(t, without_a_signature_or_a_secret_nothing_is_theirs);
    tcase_add_test(t, their_vector_is_good);
    tcase_add_test(t, a_sig_is_good_in_every_shape_they_send);
    tcase_add_test(t, a_sig_by_another_way_is_not_believed);
    suite_add_tcase(s, t);
    t = tcase_create("events");
    tcase_add_test(t, events_are_understood);
    tcase_add_test(t, what_is_signed_counts_more_than_the_address);
    tcase_add_test(t, what_is_theirs_and_makes_no_sense_is_malformed);
    tcase_add_test(t, more_than_there_is_room_for_is_malformed);
    tcase_add_test(t, answers_are_ncco);
    suite_add_tcase(s, t);
    return s;
}
