/* What every row of the family promises, whatever it is answered. */
#include "provider_support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Answers that say nothing of a message. */
static const char *const nothing[] = {
    "",
    " ",
    "null",
    "true",
    "0",
    "\"sid\"",
    "{}",
    "[]",
    "[[]]",
    "[{}]",
    "OK",
    "<!DOCTYPE html><html><body>503 Service Unavailable</body></html>",
    "{\"sid\":5,\"status\":\"queued\"}",
    "{\"sid\":null,\"status\":null}",
    "{\"sid\":\"\",\"status\":\"queued\"}",
    "{\"sid\":\"SM../../Calls\",\"status\":\"queued\"}",
    "{\"sid\":\"XX0123456789abcdef0123456789abcdef\",\"status\":\"queued\"}",
    "{\"sid\":\"SM0123456789abcdef0123456789abcdef\"}",
    "{\"sid\":\"SM0123456789abcdef0123456789abcdef\",\"status\":\"eaten\"}",
    "{\"uuid\":\"63f61863-4a51-4f6b-86e1-46edebcf9356\"}",
    "{\"uuid\":[],\"status\":\"started\"}",
    "{\"uuid\":\"a b\",\"status\":\"started\"}",
    "{\"messages\":[]}",
    "{\"messages\":{}}",
    "{\"message-count\":\"0\",\"messages\":[]}",
    "{\"message-count\":\"1\",\"messages\":[]}",
    "{\"message-count\":\"1\",\"messages\":[{}]}",
    "{\"message-count\":\"1\",\"messages\":[5]}",
    "{\"message-count\":\"1\",\"messages\":[{\"status\":\"0\"}]}",
    "{\"message-count\":\"1\",\"messages\":[{\"message-id\":\"0A00\"}]}",
    "{\"message-count\":\"2\",\"messages\":[{\"status\":\"0\",\"message-id\":\"0A00\"}]}",
    "{\"messages\":[{\"status\":\"0\",\"message-id\":\"0A00\"}]}",
    "{\"code\":20429",
    "{\"sid\":\"SM0123456789abcdef0123456789abcdef\",\"status\":\"queued\"",
    "{\"sid\":\"SM0123456789abcdef0123456789abcdef\",\"status\":\"queued\"}{",
    "\xff\xfe\x00",
};

/* What each says when it took a message, when it is asked for its list, and of one message. */
typedef struct sample {
    const char *name, *taken, *list, *one, *reference;
} sample;
#define SID  "fedcba98fedcba98fedcba98fedcba98"
#define WHEN "Fri, 15 Jan 2027 08:00:00 +0000"
static const sample samples[] = {
    {"twilio-sms", "{\"sid\":\"SM" SID "\",\"status\":\"queued\",\"error_code\":null}",
     "{\"messages\":[{\"sid\":\"SM" SID
     "\",\"to\":\"+27829876540\",\"status\":\"sent\",\"date_created\":\"" WHEN
     "\",\"direction\":\"outbound-api\",\"body\":\"MAYDAY: Anna - panic. Reply OK 4821.\"}],"
     "\"next_page_uri\":null}",
     "{\"sid\":\"SM" SID "\",\"status\":\"delivered\",\"error_code\":null}", "SM" SID},
    {"twilio-voice", "{\"sid\":\"CA" SID "\",\"status\":\"queued\"}",
     "{\"calls\":[{\"sid\":\"CA" SID
     "\",\"to\":\"+27829876540\",\"status\":\"ringing\",\"date_created\":\"" WHEN
     "\",\"direction\":\"outbound-api\"}],\"next_page_uri\":null}",
     "{\"sid\":\"CA" SID "\",\"status\":\"completed\",\"answered_by\":\"human\"}", "CA" SID},
    {"vonage-sms",
     "{\"message-count\":\"1\",\"messages\":[{\"to\":\"27829876540\",\"message-id\":\"0A0000000123ABCD1\","
     "\"status\":\"0\"}]}",
     "{\"request_status\":\"SUCCESS\",\"items_count\":1,\"records\":[{\"message_id\":\"0A0000000123ABCD1\","
     "\"client_ref\":\"" NOTIFICATION "\",\"to\":\"27829876540\",\"status\":\"accepted\"}]}",
     "{\"records\":[{\"message_id\":\"0A0000000123ABCD1\",\"status\":\"delivered\",\"error_code\":\"0\"}]}",
     "0A0000000123ABCD1"},
    {"vonage-voice", "{\"uuid\":\"63f61863-4a51-4f6b-86e1-46edebcf9356\",\"status\":\"started\"}",
     "{\"count\":1,\"_embedded\":{\"calls\":[{\"uuid\":\"63f61863-4a51-4f6b-86e1-46edebcf9356\",\"to\":"
     "{\"type\":\"phone\",\"number\":\"27829876540\"},\"direction\":\"outbound\",\"status\":\"ringing\"}]}}",
     "{\"uuid\":\"63f61863-4a51-4f6b-86e1-46edebcf9356\",\"status\":\"completed\"}",
     "63f61863-4a51-4f6b-86e1-46edebcf9356"},
    {"webhook", "", NULL, NULL, ""},
};

static const sample *sample_of(const provider *p) {
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        if (strcmp(samples[i].name, p->name) == 0)
            return &samples[i];
    ck_abort_msg("%s has no samples", p->name);
    return NULL;
}

static bool is_hook(const provider *p) {
    return strcmp(p->kind, "webhook") == 0;
}

static provider_result ask_list(const provider *p, const provider_reply *reply) {
    provider_message m = test_message(p->kind);
    provider_result r;
    memset(&r, 0x55, sizeof r);
    provider_found(p, reply, &m, NOW - INSTANT_SECOND, &r);
    return r;
}

static void is_well_made(const provider *p, const provider_result *r, bool settled_by_list) {
    ck_assert_msg(r->outcome <= PROVIDER_REFUSED && r->blame <= BLAME_OPTED_OUT, "%s", p->name);
    ck_assert_msg(memchr(r->code, '\0', sizeof r->code) && memchr(r->reference, '\0', sizeof r->reference),
                  "%s", p->name);
    for (const char *c = r->code; *c; c++)
        ck_assert(*c >= ' ' && *c <= '~');
    if (r->outcome == PROVIDER_SENT) {
        ck_assert_msg(is_hook(p) || r->reference[0], "%s: sent, and called nothing", p->name);
        ck_assert_int_eq(r->blame, BLAME_NOBODY);
    } else {
        ck_assert_msg(r->code[0], "%s: no code", p->name);
        ck_assert_msg(!r->reference[0], "%s: not sent, and called %s", p->name, r->reference);
        ck_assert_msg(settled_by_list || is_hook(p) || r->outcome == PROVIDER_UNKNOWN ||
                          r->blame != BLAME_NOBODY,
                      "%s: nobody's fault", p->name);
    }
}

START_TEST(each_row_is_complete_and_has_its_own_name) {
    size_t count = 0;
    for (const provider *const *p = providers; *p; p++, count++) {
        ck_assert_ptr_eq(provider_named(text_of((*p)->name)), *p);
        ck_assert_int_eq(strncmp((*p)->name, (*p)->account, strlen((*p)->account)), 0);
        ck_assert(strcmp((*p)->kind, "sms") == 0 || strcmp((*p)->kind, "voice") == 0 || is_hook(*p));
        ck_assert((*p)->needs[0].key && (*p)->build && (*p)->read);
        ck_assert((*p)->search ? (*p)->found != NULL : (*p)->found == NULL);
        ck_assert((*p)->ask ? (*p)->told != NULL : (*p)->told == NULL);
    }
    ck_assert_uint_eq(count, ARRAY_LEN(samples));
    ck_assert_ptr_null(provider_named(TEXT("twilio")));
    ck_assert_ptr_null(provider_named((text){0}));
}
END_TEST

START_TEST(nothing_is_ready_without_its_account) {
    const settings none = {0};
    const accounts empty = {.s = &none};
    const settings s = test_settings();
    const accounts full = test_accounts(&s);
    for (const provider *const *p = providers; *p; p++) {
        char why[ACCOUNTS_WHY_MAX] = "";
        ck_assert_msg(!provider_ready(*p, &empty, why), "%s", (*p)->name);
        ck_assert_msg(strstr(why, (*p)->account), "%s: %s", (*p)->name, why);
        ck_assert_msg(provider_ready(*p, &full, why), "%s: %s", (*p)->name, why);
    }
}
END_TEST

static void holds_no_secret(const buf *b) {
    static const char *const secrets[] = {TWILIO_TOKEN, "vonage", "signature_secret", "webhook", "Bearer"};
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
        ck_assert_msg(!b->ptr || !strstr(b->ptr, secrets[i]), "%s", b->ptr);
}

static void is_request(const provider *p, const provider_request *r, const char *method) {
    ck_assert_str_eq(r->method, method);
    ck_assert_msg(strncmp(r->url.ptr, "https://", 8) == 0, "%s", p->name);
    for (size_t i = 0; i < r->url.len; i++)
        ck_assert(r->url.ptr[i] > ' ' && r->url.ptr[i] <= '~');
    holds_no_secret(&r->url);
    ck_assert_int_eq(r->headers.ptr[r->headers.len - 1], '\n');
    ck_assert_ptr_null(memchr(r->headers.ptr, '\r', r->headers.len));
    ck_assert_ptr_null(strstr(r->headers.ptr, "\n\n"));
    ck_assert((r->body.len > 0) == (strcmp(method, "POST") == 0));
}

START_TEST(requests_are_whole_and_carry_no_secret_in_their_address) {
    const settings s = test_settings();
    const accounts a = test_accounts(&s);
    for (const provider *const *p = providers; *p; p++) {
        provider_message m = test_message((*p)->kind);
        CLEANUP(provider_request_release) provider_request r, search, ask;
        provider_request_init(&r);
        provider_request_init(&search);
        provider_request_init(&ask);
        ck_assert_int_eq(provider_build(*p, &a, &m, &r), 0);
        is_request(*p, &r, "POST");
        if ((*p)->search) {
            ck_assert_int_eq(provider_search(*p, &a, &m, NOW, &search), 0);
            is_request(*p, &search, "GET");
        }
        if ((*p)->ask) {
            ck_assert_int_eq(provider_ask(*p, &a, text_of(sample_of(*p)->reference), NOW, &ask), 0);
            is_request(*p, &ask, "GET");
        }
    }
}
END_TEST

START_TEST(what_can_not_be_addressed_is_not_built) {
    const settings s = test_settings();
    const accounts a = test_accounts(&s);
    for (const provider *const *p = providers; *p; p++) {
        static const char *const references[] = {"", "../Accounts", "a/b", "a?b", "a b", "a%2f", "\xc3\xa9"};
        provider_message m = test_message((*p)->kind);
        CLEANUP(provider_request_release) provider_request r;
        provider_request_init(&r);
        m.to = is_hook(*p) ? TEXT("ftp://example.com/") : TEXT("+4915112345678"); /* no sender for it */
        if (strcmp((*p)->name, "twilio-voice") != 0) /* whose sender is for all */
            ck_assert_msg(provider_build(*p, &a, &m, &r) == -EINVAL, "%s", (*p)->name);
        for (size_t i = 0; (*p)->ask && i < ARRAY_LEN(references); i++)
            ck_assert_int_eq(provider_ask(*p, &a, text_of(references[i]), NOW, &r), -EINVAL);
    }
}
END_TEST

START_TEST(a_body_that_is_too_long_for_a_request_is_a_fault_and_no_request) {
    const settings s = test_settings();
    const accounts a = test_accounts(&s);
    char *huge = malloc(100000);
    memset(huge, 'x', 100000);
    for (const provider *const *p = providers; *p; p++) {
        provider_message m = test_message((*p)->kind);
        CLEANUP(provider_request_release) provider_request r;
        provider_request_init(&r);
        m.body = (text){huge, 100000};
        int done = provider_build(*p, &a, &m, &r); /* it may be cut to what the provider takes */
        ck_assert_msg(done == 0 || done == -EMSGSIZE, "%s: %d", (*p)->name, done);
        ck_assert(r.body.len <= PROVIDER_REQUEST_MAX);
    }
    free(huge);
}
END_TEST

START_TEST(what_came_to_nothing_is_judged_by_how_far_it_went) {
    for (const provider *const *p = providers; *p; p++) {
        for (int left = 0; left < 2; left++) {
            const provider_reply reply = {.left = left, .why = left ? "timeout" : "connect"};
            provider_result r;
            provider_read(*p, &reply, &r);
            ck_assert_int_eq(r.outcome, left ? PROVIDER_UNKNOWN : PROVIDER_RETRY);
            ck_assert_str_eq(r.code, left ? "timeout" : "connect");
            is_well_made(*p, &r, false);
            if ((*p)->found)
                ck_assert_int_eq(ask_list(*p, &reply).outcome, PROVIDER_UNKNOWN);
        }
    }
}
END_TEST

/* The whole of what a status alone allows. */
static void fits_status(const provider *p, int status, const provider_result *r) {
    bool retry = status == 425 || status == 429;
    bool server = status >= 500 && status < 600;
    if (retry)
        ck_assert_int_eq(r->outcome, PROVIDER_RETRY);
    else if (server && is_hook(p))
        ck_assert_int_eq(r->outcome, PROVIDER_RETRY);
    else if (status >= 400 && status < 500 && status != 408)
        ck_assert_msg(r->outcome == PROVIDER_REFUSED || r->outcome == PROVIDER_RETRY, "%s: %d", p->name,
                      status);
    else
        ck_assert_msg(r->outcome == PROVIDER_UNKNOWN, "%s: %d", p->name, status);
}

START_TEST(an_answer_that_says_nothing_is_never_taken_for_sent) {
    static const int statuses[] = {-1,  1,   99,  100, 101, 199, 200, 201, 202, 204, 206, 299, 300, 301, 302,
                                   304, 307, 308, 399, 400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415,
                                   422, 425, 429, 451, 499, 500, 501, 502, 503, 504, 520, 599, 600, 999};
    for (const provider *const *p = providers; *p; p++) {
        for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
            for (size_t j = 0; j < ARRAY_LEN(nothing); j++) {
                bool good = statuses[i] >= 200 && statuses[i] < 300;
                provider_result r = read_with(*p, statuses[i], nothing[j]);
                is_well_made(*p, &r, false);
                if (!good || !is_hook(*p))
                    fits_status(*p, statuses[i], &r);
                const provider_reply reply = {
                    .status = statuses[i], .left = true, .body = text_of(nothing[j])};
                char code[PROVIDER_CODE_MAX] = "unset";
                if ((*p)->found) {
                    r = ask_list(*p, &reply);
                    is_well_made(*p, &r, true);
                    ck_assert_msg(r.outcome == PROVIDER_UNKNOWN, "%s: %d %s", (*p)->name, statuses[i],
                                  nothing[j]);
                }
                if ((*p)->told) {
                    ck_assert_int_eq(provider_told(*p, &reply, TEXT("SM1"), code), RECEIPT_UNKNOWN);
                    ck_assert_str_ne(code, "unset");
                }
            }
        }
    }
}
END_TEST

START_TEST(good_answers_are_understood_and_their_beginnings_are_not) {
    for (const provider *const *p = providers; *p; p++) {
        const sample *s = sample_of(*p);
        provider_result r = read_with(*p, 201, s->taken);
        ck_assert_msg(r.outcome == PROVIDER_SENT, "%s: %s", (*p)->name, r.code);
        ck_assert_str_eq(r.reference, s->reference);
        is_well_made(*p, &r, false);
        for (size_t len = 0; len < strlen(s->taken); len++) {
            provider_reply cut = {.status = 201, .left = true, .body = {s->taken, len}};
            provider_read(*p, &cut, &r);
            ck_assert_int_eq(r.outcome, PROVIDER_UNKNOWN);
        }
        provider_reply marked = {.status = 201, .left = true, .cut = true, .body = text_of(s->taken)};
        provider_read(*p, &marked, &r);
        ck_assert(r.outcome == (is_hook(*p) ? PROVIDER_SENT : PROVIDER_UNKNOWN));
    }
}
END_TEST

START_TEST(lists_are_understood_and_their_beginnings_are_not) {
    for (const provider *const *p = providers; *p; p++) {
        const sample *s = sample_of(*p);
        if (!s->list)
            continue;
        provider_reply reply = {.status = 200, .left = true, .body = text_of(s->list)};
        provider_result r = ask_list(*p, &reply);
        ck_assert_msg(r.outcome == PROVIDER_SENT, "%s: %s", (*p)->name, r.code);
        ck_assert_str_eq(r.reference, s->reference);
        is_well_made(*p, &r, true);
        char code[PROVIDER_CODE_MAX];
        provider_reply one = {.status = 200, .left = true, .body = text_of(s->one)};
        ck_assert_int_eq(provider_told(*p, &one, text_of(s->reference), code), RECEIPT_DELIVERED);
        ck_assert_int_eq(provider_told(*p, &one, TEXT("SM1"), code), RECEIPT_UNKNOWN);
        ck_assert_int_eq(provider_told(*p, &one, (text){0}, code), RECEIPT_UNKNOWN);
        for (size_t len = 0; len < strlen(s->list); len++) {
            reply.body.len = len;
            ck_assert_int_eq(ask_list(*p, &reply).outcome, PROVIDER_UNKNOWN);
        }
        for (size_t len = 0; len < strlen(s->one); len++) {
            one.body.len = len;
            ck_assert_int_eq(provider_told(*p, &one, text_of(s->reference), code), RECEIPT_UNKNOWN);
        }
    }
}
END_TEST

START_TEST(no_damaged_answer_harms) {
    static const char bytes[] = "\"{}[]:,0\\\xff n";
    for (const provider *const *p = providers; *p; p++) {
        const sample *s = sample_of(*p);
        const char *const all[] = {s->taken, s->list, s->one};
        for (size_t i = 0; i < ARRAY_LEN(all); i++) {
            char *damaged = strdup(all[i] ? all[i] : "");
            for (size_t at = 0; damaged[at]; at++) {
                char kept = damaged[at], code[PROVIDER_CODE_MAX];
                for (size_t j = 0; j < sizeof bytes - 1; j++) {
                    damaged[at] = bytes[j];
                    provider_reply reply = {.status = 200, .left = true, .body = text_of(damaged)};
                    provider_result r;
                    provider_read(*p, &reply, &r);
                    is_well_made(*p, &r, false);
                    if ((*p)->found) {
                        r = ask_list(*p, &reply);
                        is_well_made(*p, &r, true);
                    }
                    if ((*p)->told)
                        (void)provider_told(*p, &reply, text_of(s->reference), code);
                }
                damaged[at] = kept;
            }
            free(damaged);
        }
    }
}
END_TEST

START_TEST(how_long_to_wait_is_passed_on) {
    for (const provider *const *p = providers; *p; p++) {
        provider_reply reply = {.status = 429, .left = true, .retry_after_ms = 7000};
        provider_result r;
        provider_read(*p, &reply, &r);
        ck_assert_int_eq(r.outcome, PROVIDER_RETRY);
        ck_assert_int_eq(r.retry_after_ms, 7000);
        reply.retry_after_ms = -5;
        provider_read(*p, &reply, &r);
        ck_assert_int_eq(r.retry_after_ms, 0);
    }
}
END_TEST

START_TEST(outcomes_have_the_names_that_the_database_knows) {
    ck_assert_str_eq(provider_outcome_name(PROVIDER_UNKNOWN), "unknown");
    ck_assert_str_eq(provider_outcome_name(PROVIDER_SENT), "sent");
    ck_assert_str_eq(provider_outcome_name(PROVIDER_RETRY), "retry");
    ck_assert_str_eq(provider_outcome_name(PROVIDER_REFUSED), "refused");
}
END_TEST

Suite *suite_providers(void) {
    Suite *s = suite_create("providers");
    (void)test_pem(); /* once, for all the processes of these tests */
    TCase *t = tcase_create("the family");
    tcase_add_test(t, each_row_is_complete_and_has_its_own_name);
    tcase_add_test(t, nothing_is_ready_without_its_account);
    tcase_add_test(t, requests_are_whole_and_carry_no_secret_in_their_address);
    tcase_add_test(t, what_can_not_be_addressed_is_not_built);
    tcase_add_test(t, a_body_that_is_too_long_for_a_request_is_a_fault_and_no_request);
    tcase_add_test(t, what_came_to_nothing_is_judged_by_how_far_it_went);
    tcase_add_test(t, an_answer_that_says_nothing_is_never_taken_for_sent);
    tcase_add_test(t, good_answers_are_understood_and_their_beginnings_are_not);
    tcase_add_test(t, lists_are_understood_and_their_beginnings_are_not);
    tcase_add_test(t, no_damaged_answer_harms);
    tcase_add_test(t, how_long_to_wait_is_passed_on);
    tcase_add_test(t, outcomes_have_the_names_that_the_database_knows);
    suite_add_tcase(s, t);
    return s;
}
