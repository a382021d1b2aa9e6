/* Twilio's webhooks: its own vectors, and what goes wrong on the way. */
#include "hook_support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FORM_OF(caller)                                                                                      \
    "CallSid=CA1234567890ABCDE&Digits=1234&To=%2B18005551212&Caller=%2B" caller "&From=%2B" caller

typedef struct arrival {
    const char *public_url, *path, *query, *body, *signature;
} arrival;

static hook_verdict take(const arrival *in, const char *what, const char *content_type, hook_space *space,
                         hook_event *ret_event) {
    settings s = test_settings();
    s.notify_public_url = (char *)in->public_url;
    const accounts a = test_accounts(&s);
    http_request r = {.method = TEXT("POST"),
                      .path = text_of(in->path),
                      .query = text_of(in->query),
                      .body = text_of(in->body)};
    add_header(&r, TEXT("Host"), TEXT("10.0.0.7:8080")); /* a proxy's idea of us */
    add_header(&r, TEXT("Content-Type"), text_of(content_type));
    if (in->signature)
        add_header(&r, TEXT("x-twilio-signature"), text_of(in->signature));
    return hook_read(hook_named("twilio"), &a, &r, text_of(what), NOW, space, ret_event);
}

static const char form_type[] = "application/x-www-form-urlencoded; charset=UTF-8";

START_TEST(their_vectors_are_good_with_and_without_the_port) {
    static const arrival rows[] = {
        {"https://example.com", "/myapp.php", "foo=1&bar=2", FORM_OF("14158675310"),
         "L/OH5YylLD5NRKLltdqwSvS0BnU="},
        {"https://mycompany.com", "/myapp.php", "foo=1&bar=2", FORM_OF("14158675310"),
         "GvWf1cFY/Q7PnoempGyD5oXAezc="},
        {"https://mycompany.com", "/myapp.php", "foo=1&bar=2", FORM_OF("14158675309"),
         "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
        {"https://mycompany.com:443", "/myapp.php", "foo=1&bar=2", FORM_OF("14158675309"),
         "kvajT1Ptam85bY51eRf/AJRuM3w="},
        {"https://mycompany.com", "/myapp.php", "foo=1&bar=2", FORM_OF("14158675309"), /* they say the port */
         "kvajT1Ptam85bY51eRf/AJRuM3w="},
        {"https://mycompany.com:443", "/myapp.php", "foo=1&bar=2", FORM_OF("14158675309"), /* they don't */
         "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
        {"https://mycompany.com:8443", "/myapp.php", "foo=1&bar=2", FORM_OF("14158675309"),
         "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        hook_space space;
        hook_event e;
        ck_assert_msg(take(&rows[i], "key", form_type, &space, &e) == HOOK_GOOD, "row %zu", i);
        ck_assert_int_eq(e.kind, HOOK_KEY);
        ck_assert(text_equal(e.said, TEXT("1234")));
        ck_assert(text_equal(e.reference, TEXT("CA1234567890ABCDE")));
        ck_assert_str_eq(e.provider, "twilio-voice");
    }
}
END_TEST

START_TEST(whatever_differs_by_a_byte_is_forged) {
    const arrival good = {"https://mycompany.com", "/myapp.php", "foo=1&bar=2", FORM_OF("14158675309"),
                          "RSOYDt4T1cUTdK1PDd93/VVr8B8="};
    const arrival rows[] = {
        {"https://mycompany.org", good.path, good.query, good.body, good.signature},
        {"http://mycompany.com", good.path, good.query, good.body, good.signature},
        {"", good.path, good.query, good.body, good.signature},
        {NULL, good.path, good.query, good.body, good.signature},
        {good.public_url, "/myapp.phq", good.query, good.body, good.signature},
        {good.public_url, good.path, "foo=1&bar=3", good.body, good.signature},
        {good.public_url, good.path, "bar=2&foo=1", good.body, good.signature},
        {good.public_url, good.path, NULL, good.body, good.signature},
        {good.public_url, good.path, good.query, FORM_OF("14158675308"), good.signature},
        {good.public_url, good.path, good.query, FORM_OF("14158675309") "&New=1", good.signature},
        {good.public_url, good.path, good.query, FORM_OF("14158675309") "&%zz", good.signature},
        {good.public_url, good.path, good.query, "", good.signature},
        {good.public_url, good.path, good.query, good.body, NULL},
        {good.public_url, good.path, good.query, good.body, ""},
        {good.public_url, good.path, good.query, good.body, "RSOYDt4T1cUTdK1PDd93/VVr8B9="},
        {good.public_url, good.path, good.query, good.body, "RSOYDt4T1cUTdK1PDd93/VVr8B8"},
        {good.public_url, good.path, good.query, good.body, "rsoydt4t1cutdk1pdd93/vvr8b8="},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        hook_space space;
        hook_event e = {.provider = "untouched"};
        ck_assert_msg(take(&rows[i], "key", form_type, &space, &e) == HOOK_FORGED, "row %zu", i);
        ck_assert_str_eq(e.provider, "untouched");
    }
}
END_TEST

START_TEST(without_a_token_nothing_is_theirs) {
    const settings s = test_settings();
    const accounts a = {.s = &s};
    http_request r = {.path = TEXT("/hooks/twilio/text"), .body = TEXT("MessageSid=SM1&From=%2B27&Body=OK")};
    CLEANUP(buf_release) buf signature = BUF(64);
    hook_space space;
    hook_event e;
    twilio_sign("", TEXT("https://alarm.example.org/hooks/twilio/textBodyOKFrom+27MessageSidSM1"),
                &signature);
    add_header(&r, TEXT("X-Twilio-Signature"), buf_text(&signature));
    ck_assert_int_eq(hook_read(hook_named("twilio"), &a, &r, TEXT("text"), NOW, &space, &e), HOOK_FORGED);
}
END_TEST

/* What arrives at our own address; `signed_form`: how its parameters are signed. */
static hook_verdict arrive(const char *what, const char *query, const char *body, const char *signed_form,
                           hook_space *space, hook_event *ret_event) {
    char path[64];
    CLEANUP(buf_release) buf said = BUF(1 << 16);
    CLEANUP(buf_release) buf signature = BUF(64);
    (void)snprintf(path, sizeof path, "/hooks/twilio/%s", what);
    buf_printf(&said, "https://alarm.example.org%s%s%s%s", path, query ? "?" : "", query ? query : "",
               signed_form);
    twilio_sign(TWILIO_TOKEN, buf_text(&said), &signature);
    const arrival in = {"https://alarm.example.org", path, query, body, signature.ptr};
    return take(&in, what, form_type, space, ret_event);
}

START_TEST(parameters_said_twice_count_once_and_in_order) {
    hook_space space;
    hook_event e;
    ck_assert_int_eq(arrive("text", NULL, "MessageSid=SM1&To=b&From=%2B27829876540&Body=OK&To=a&To=b",
                            "BodyOKFrom+27829876540MessageSidSM1ToaTob", &space, &e),
                     HOOK_GOOD);
    ck_assert_int_eq(arrive("text", NULL, "MessageSid=SM1&To=b&From=%2B27829876540&Body=OK&To=a&To=b",
                            "BodyOKFrom+27829876540MessageSidSM1TobToaTob", &space, &e),
                     HOOK_FORGED);
}
END_TEST

START_TEST(receipts_say_what_became_of_a_message) {
    static const struct {
        const char *body, *signed_form;
        hook_kind kind;
        const char *provider, *reference, *said, *code;
        provider_receipt receipt;
    } rows[] = {
        {"MessageSid=SM1&MessageStatus=delivered&SmsSid=SM1", "MessageSidSM1MessageStatusdeliveredSmsSidSM1",
         HOOK_RECEIPT, "twilio-sms", "SM1", "delivered", "", RECEIPT_DELIVERED},
        {"MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30006",
         "ErrorCode30006MessageSidSM1MessageStatusundelivered", HOOK_RECEIPT, "twilio-sms", "SM1",
         "undelivered", "30006", RECEIPT_FAILED},
        {"MessageSid=SM1&MessageStatus=teleported&Brand+new=%26",
         "Brand new&MessageSidSM1MessageStatusteleported", HOOK_RECEIPT, "twilio-sms", "SM1", "teleported",
         "", RECEIPT_UNKNOWN},
        {"CallSid=CA1&CallStatus=completed&AnsweredBy=machine_start",
         "AnsweredBymachine_startCallSidCA1CallStatuscompleted", HOOK_RECEIPT, "twilio-voice", "CA1",
         "completed", "machine_start", RECEIPT_DELIVERED},
        {"CallSid=CA1&CallStatus=no-answer", "CallSidCA1CallStatusno-answer", HOOK_RECEIPT, "twilio-voice",
         "CA1", "no-answer", "", RECEIPT_FAILED},
        {"CallSid=CA1&CallStatus=teleported", "CallSidCA1CallStatusteleported", HOOK_NOTHING, "twilio-voice",
         "CA1", "teleported", "", RECEIPT_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        hook_space space;
        hook_event e;
        ck_assert_msg(arrive("status", "n=" NOTIFICATION, rows[i].body, rows[i].signed_form, &space, &e) ==
                          HOOK_GOOD,
                      "%s", rows[i].body);
        ck_assert_int_eq(e.kind, rows[i].kind);
        ck_assert_str_eq(e.provider, rows[i].provider);
        ck_assert(text_equal(e.reference, text_of(rows[i].reference)));
        ck_assert(text_equal(e.notification, TEXT(NOTIFICATION)));
        ck_assert(text_equal(e.said, text_of(rows[i].said)));
        ck_assert(text_equal(e.code, text_of(rows[i].code)));
        ck_assert_int_eq(e.receipt, rows[i].receipt);
    }
}
END_TEST

START_TEST(texts_come_with_who_wrote_them) {
    hook_space space;
    hook_event e;
    ck_assert_int_eq(arrive("text", NULL, "MessageSid=SM1&From=%2B27829876540&Body=Jy%C3%B3%00+4821",
                            "BodyJyó", &space, &e),
                     HOOK_FORGED);
    CLEANUP(buf_release) buf said = BUF(256);
    CLEANUP(buf_release) buf signature = BUF(64);
    buf_add_text(
        &said,
        TEXT("https://alarm.example.org/hooks/twilio/textBodyJyó\0 4821From+27829876540MessageSidSM1"));
    twilio_sign(TWILIO_TOKEN, buf_text(&said), &signature);
    const arrival in = {"https://alarm.example.org", "/hooks/twilio/text", NULL,
                        "MessageSid=SM1&From=%2B27829876540&Body=Jy%C3%B3%00+4821", signature.ptr};
    ck_assert_int_eq(take(&in, "text", form_type, &space, &e), HOOK_GOOD);
    ck_assert_int_eq(e.kind, HOOK_TEXT);
    ck_assert(text_equal(e.from, TEXT("+27829876540")));
    ck_assert(text_equal(e.said, TEXT("Jyó  4821"))); /* a NUL can't be stored */
    ck_assert_ptr_null(e.notification.ptr);
    ck_assert_int_eq(arrive("text", NULL, "MessageSid=SM1&From=VODACOM&Body=Sale",
                            "BodySaleFromVODACOMMessageSidSM1", &space, &e),
                     HOOK_GOOD);
    ck_assert_int_eq(e.kind, HOOK_NOTHING);
}
END_TEST

START_TEST(keys_and_silence_are_told_apart) {
    hook_space space;
    hook_event e;
    ck_assert_int_eq(
        arrive("key", "n=" NOTIFICATION, "CallSid=CA1&Digits=1", "CallSidCA1Digits1", &space, &e), HOOK_GOOD);
    ck_assert_int_eq(e.kind, HOOK_KEY);
    ck_assert(text_equal(e.said, TEXT("1")) && text_equal(e.notification, TEXT(NOTIFICATION)));
    ck_assert_int_eq(arrive("key", "n=" NOTIFICATION, "CallSid=CA1&Digits=", "CallSidCA1Digits", &space, &e),
                     HOOK_GOOD);
    ck_assert_int_eq(e.kind, HOOK_NOTHING);
    ck_assert(text_equal(e.reference, TEXT("CA1")));
    ck_assert_int_eq(arrive("key", "n=nobody", "CallSid=CA1&Digits=2", "CallSidCA1Digits2", &space, &e),
                     HOOK_GOOD);
    ck_assert_ptr_null(e.notification.ptr);
}
END_TEST

START_TEST(what_is_theirs_and_makes_no_sense_is_malformed) {
    static const struct {
        const char *what, *body, *signed_form;
    } rows[] = {
        {"status", "", ""},
        {"status", "MessageSid=SM1", "MessageSidSM1"},
        {"status", "MessageSid=..&MessageStatus=sent", "MessageSid..MessageStatussent"},
        {"text", "MessageSid=SM1&Body=OK", "BodyOKMessageSidSM1"},
        {"text", "From=%2B27829876540&Body=OK", "BodyOKFrom+27829876540"},
        {"key", "Digits=1", "Digits1"},
        {"event", "CallSid=CA1&CallStatus=ringing", "CallSidCA1CallStatusringing"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        hook_space space;
        hook_event e;
        ck_assert_msg(arrive(rows[i].what, NULL, rows[i].body, rows[i].signed_form, &space, &e) ==
                          HOOK_MALFORMED,
                      "%s %s", rows[i].what, rows[i].body);
    }
}
END_TEST

START_TEST(a_body_that_is_no_form_is_known_by_its_digest) {
    static const char body[] = "{\"a\":1}";
    uint8_t digest[SHA256_LEN];
    CLEANUP(buf_release) buf query = BUF(256);
    CLEANUP(buf_release) buf said = BUF(512);
    CLEANUP(buf_release) buf signature = BUF(64);
    hook_space space;
    hook_event e;
    ck_assert_int_eq(sha256(text_of(body), digest), 0);
    buf_add_text(&query, TEXT("n=" NOTIFICATION "&bodySHA256="));
    hex_add(digest, sizeof digest, &query);
    buf_printf(&said, "https://alarm.example.org/hooks/twilio/status?%s", query.ptr);
    twilio_sign(TWILIO_TOKEN, buf_text(&said), &signature);
    arrival in = {"https://alarm.example.org", "/hooks/twilio/status", query.ptr, body, signature.ptr};
    ck_assert_int_eq(take(&in, "status", "application/json", &space, &e), HOOK_GOOD);
    ck_assert_int_eq(e.kind, HOOK_NOTHING);
    in.body = "{\"a\":2}";
    ck_assert_int_eq(take(&in, "status", "application/json", &space, &e), HOOK_FORGED);
    in.body = body;
    in.query = "n=" NOTIFICATION;
    buf_clear(&said);
    buf_clear(&signature);
    buf_add_text(&said, TEXT("https://alarm.example.org/hooks/twilio/status?n=" NOTIFICATION));
    twilio_sign(TWILIO_TOKEN, buf_text(&said), &signature);
    in.signature = signature.ptr;
    ck_assert_int_eq(take(&in, "status", "application/json", &space, &e), HOOK_FORGED); /* no digest at all */
}
END_TEST

START_TEST(a_form_that_is_too_large_is_not_believed) {
    CLEANUP(buf_release) buf body = BUF(1 << 16);
    hook_space space;
    hook_event e;
    for (int i = 0; i < 300; i++)
        buf_printf(&body, "p%d=1&", i);
    const arrival in = {"https://alarm.example.org", "/hooks/twilio/text", NULL, body.ptr, "RSOY"};
    ck_assert_int_eq(take(&in, "text", form_type, &space, &e), HOOK_FORGED);
}
END_TEST

START_TEST(answers_are_twiml) {
    const settings s = test_settings();
    const accounts a = test_accounts(&s);
    const char *type = NULL;
    CLEANUP(buf_release) buf menu = BUF(1 << 14);
    CLEANUP(buf_release) buf bye = BUF(1 << 14);
    CLEANUP(buf_release) buf nothing = BUF(1 << 14);
    CLEANUP(buf_release) buf none = BUF(4);
    const hook *h = hook_named("twilio");
    ck_assert_int_eq(
        h->speak(&a, TEXT(NOTIFICATION), TEXT("Again."), TEXT("Press 1."), TEXT("en"), &menu, &type), 0);
    ck_assert_str_eq(type, "text/xml; charset=utf-8");
    ck_assert_ptr_nonnull(strstr(menu.ptr, "/hooks/twilio/key?n=" NOTIFICATION));
    ck_assert_ptr_nonnull(
        strstr(menu.ptr, "<Say language=\"en-GB\">Again. Press 1.</Say></Gather></Response>"));
    ck_assert_int_eq(
        h->speak(&a, TEXT(NOTIFICATION), TEXT("Taken down."), (text){0}, TEXT("en"), &bye, &type), 0);
    ck_assert_ptr_nonnull(
        strstr(bye.ptr, "<Response><Say language=\"en-GB\">Taken down.</Say><Hangup/></Response>"));
    ck_assert_int_eq(h->speak(&a, TEXT(NOTIFICATION), (text){0}, (text){0}, TEXT("en"), &nothing, &type), 0);
    ck_assert_ptr_nonnull(strstr(nothing.ptr, "<Response><Hangup/></Response>"));
    ck_assert_int_eq(h->speak(&a, TEXT(NOTIFICATION), TEXT("x"), (text){0}, TEXT("en"), &none, &type),
                     -EMSGSIZE);
}
END_TEST

Suite *suite_hook_twilio(void) {
    Suite *s = suite_create("hooks of twilio");
    (void)test_pem(); /* once, for all the processes of these tests */
    TCase *t = tcase_create("signatures");
    tcase_add_test(t, their_vectors_are_good_with_and_without_the_port);
    tcase_add_test(t, whatever_differs_by_a_byte_is_forged);
    tcase_add_test(t, without_a_token_nothing_is_theirs);
    tcase_add_test(t, parameters_said_twice_count_once_and_in_order);
    tcase_add_test(t, a_body_that_is_no_form_is_known_by_its_digest);
    tcase_add_test(t, a_form_that_is_too_large_is_not_believed);
    suite_add_tcase(s, t);
    t = tcase_create("events");
    tcase_add_test(t, receipts_say_what_became_of_a_message);
    tcase_add_test(t, texts_come_with_who_wrote_them);
    tcase_add_test(t, keys_and_silence_are_told_apart);
    tcase_add_test(t, what_is_theirs_and_makes_no_sense_is_malformed);
    tcase_add_test(t, answers_are_twiml);
    suite_add_tcase(s, t);
    return s;
}
