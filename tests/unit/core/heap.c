#include <stdio.h>
#include <stdlib.h>
#include "core/audit_trail.h"
#include "core/body.h"
#include "core/pin.h"
#include "core/policy.h"
#include "core/rate.h"
#include "core/revocation.h"
#include "core/texts.h"
#include "support/heap.h"
#include "token_support.h"

START_TEST(a_policy_is_parsed_whole_or_not_at_all) {
    const text source = TEXT("role r\nread mayday/v1/{org}/user/{sub}/inbox\n");
    policy *p = NULL;
    int fault = -ENOMEM;
    long failures = 0;
    for (; fault == -ENOMEM && failures < 100; failures++) {
        policy_error error = {0};
        heap_allow(failures);
        fault = policy_parse(source, &p, &error);
        (void)heap_allow_all();
        ck_assert(fault == -ENOMEM ? p == NULL : p != NULL);
    }
    ck_assert_int_eq(fault, 0);
    ck_assert_int_gt(failures, 3);
    policy_free(p);
}
END_TEST

START_TEST(a_language_is_added_whole_or_not_at_all) {
    CLEANUP(texts_freep) texts *t = texts_new();
    CLEANUP(json_freep) json *templates = NULL;
    ck_assert_int_eq(json_parse_once(TEXT("{\"a.sms\":\"{who}\",\"b\":\"b\",\"c\":\"c\"}"), &templates),
                     JSON_OK);
    char why[TEXTS_WHY_MAX] = "";
    int fault = -ENOMEM;
    long failures = 0;
    for (; fault == -ENOMEM && failures < 100; failures++) {
        heap_allow(failures);
        fault = texts_add(t, TEXT("en"), templates, why);
        (void)heap_allow_all();
        ck_assert_uint_eq(texts_languages(t), fault == 0);
        ck_assert_str_eq(why, fault == 0 ? "" : "out of memory");
    }
    ck_assert_int_eq(fault, 0);
    ck_assert_int_gt(failures, 7);
}
END_TEST

/* Words for a fact that memory is too short to look up are no reason to say nothing. */
START_TEST(what_is_said_is_whole_or_a_fault_when_memory_is_short) {
    CLEANUP(texts_freep) texts *t = texts_new();
    CLEANUP(json_freep) json *templates = NULL;
    const text facts[FACTS] = {[FACT_WHAT] = TEXT("panic")};
    char why[TEXTS_WHY_MAX] = "";
    ck_assert_int_eq(json_parse_once(TEXT("{\"x\":\"{what}!\",\"type.panic\":\"PANIC\"}"), &templates),
                     JSON_OK);
    ck_assert_int_eq(texts_add(t, TEXT("en"), templates, why), 0);
    for (long n = 0; n < 5; n++) {
        CLEANUP(buf_release) buf to = BUF(64);
        heap_allow(n);
        int fault = texts_render(t, TEXT("en"), TEXT("en"), TEXT("x"), facts, &to, NULL);
        (void)heap_allow_all();
        ck_assert_int_eq(fault, n < 2 ? -ENOMEM : 0);
        if (fault == 0)
            ck_assert_str_eq(to.ptr, "PANIC!");
    }
}
END_TEST

static text spell(char to[32], const char *word, int number) {
    (void)snprintf(to, 32, "%s-%d", word, number);
    return text_of(to);
}

/* Each add is tried with no allocation granted, twice, then with one, twice...: until it succeeds it leaves
 * everything as it was, so that a second try needs just as much. Enough of them for the tables to grow. */
START_TEST(a_membership_that_finds_no_memory_changes_nothing) {
    enum {
        MEMBERS = 1500,
        EACH = 3
    };
    CLEANUP(membership_freep) membership *m = membership_new(MEMBERS);
    const text org = TEXT("acme");
    size_t failures = 0;
    char room[32], person[32];
    for (int i = 0; i < MEMBERS; i++) {
        text r = spell(room, "room", i / EACH), who = spell(person, "person", i);
        uint64_t generation = membership_generation(m);
        int fault = -ENOMEM;
        for (long attempt = 0; fault == -ENOMEM && attempt < 20; attempt++) {
            heap_allow(attempt / 2);
            fault = membership_add(m, org, ADDRESS_ROOM, r, who, RELATION_MEMBER);
            (void)heap_allow_all();
            if (fault == -ENOMEM) {
                failures++;
                ck_assert_uint_eq(membership_count(m), (size_t)i);
                ck_assert_uint_eq(membership_generation(m), generation);
                ck_assert_int_eq(membership_of(m, org, ADDRESS_ROOM, r, who), RELATION_NONE);
            }
        }
        ck_assert_int_eq(fault, 0);
    }
    ck_assert_uint_gt(failures, 2 * (MEMBERS + MEMBERS / EACH));
    for (int i = 0; i < MEMBERS; i++)
        ck_assert_int_eq(
            membership_of(m, org, ADDRESS_ROOM, spell(room, "room", i / EACH), spell(person, "person", i)),
            RELATION_MEMBER);
    heap_allow(0);
    membership *none = membership_new(1);
    (void)heap_allow_all();
    ck_assert_ptr_null(none);
}
END_TEST

static text set_of(const char *alg, buf *to) {
    CLEANUP(json_freep) json *key = NULL;
    CLEANUP(json_freep) json *half = NULL;
    ck_assert_int_eq(sign_new_key(text_of(alg), 0, &key), 0);
    ck_assert_int_eq(sign_verifying_half(key, &half), 0);
    buf_add_text(to, TEXT("{\"keys\":["));
    json_print(half, to);
    buf_add_text(to, TEXT("]}"));
    return buf_text(to);
}

START_TEST(a_key_set_is_taken_whole_or_not_at_all) {
    static const char *const algs[] = {"HS256", "ES256", "EdDSA"};
    for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
        CLEANUP(buf_release) buf source = BUF(16384);
        text jwks = set_of(algs[i], &source);
        keyset *keys = NULL;
        int fault = -ENOMEM;
        long failures = 0;
        for (; fault == -ENOMEM && failures < 100; failures++) {
            char why[TOKEN_WHY_MAX] = "";
            heap_allow(failures);
            fault = keyset_parse(jwks, &keys, why);
            (void)heap_allow_all();
            ck_assert_msg(fault == -ENOMEM ? keys == NULL : keys != NULL, "%s %ld: %d %s", algs[i], failures,
                          fault, why);
        }
        ck_assert_int_eq(fault, 0);
        ck_assert_int_gt(failures, 2);
        (void)keyset_free(keys);
    }
}
END_TEST

START_TEST(rules_are_made_whole_or_not_at_all) {
    const token_rules_spec spec = {.issuer = TEXT("i"),
                                   .audience = TEXT("a"),
                                   .authorized_parties = TEXT("x y"),
                                   .required_claims = TEXT("jti"),
                                   .claim_org = TEXT("o.id org"),
                                   .role_map = TEXT("a=b c=d")};
    token_rules *rules = NULL;
    int fault = -ENOMEM;
    long failures = 0;
    for (; fault == -ENOMEM && failures < 100; failures++) {
        char why[TOKEN_WHY_MAX] = "";
        heap_allow(failures);
        fault = token_rules_new(&spec, &rules, why);
        (void)heap_allow_all();
        ck_assert(fault == -ENOMEM ? rules == NULL : rules != NULL);
    }
    ck_assert_int_eq(fault, 0);
    ck_assert_int_gt(failures, 5);
    (void)token_rules_free(rules);
}
END_TEST

START_TEST(a_token_is_never_accepted_for_want_of_memory) {
    issuer i = issuer_of("ES256");
    CLEANUP(buf_release) buf token = BUF(4096);
    CLEANUP(token_rules_freep) token_rules *rules = rules_of((token_rules_spec){0});
    const text payload = TEXT("{\"sub\":\"ann\",\"org\":\"acme\",\"roles\":[\"member\"],\"exp\":1700000600}");
    ck_assert_int_eq(signer_sign(i.signer, payload, &token), 0);
    claims *who = NULL;
    token_verdict verdict = TOKEN_NO_MEMORY;
    long failures = 0;
    for (; verdict == TOKEN_NO_MEMORY && failures < 100; failures++) {
        heap_allow(failures);
        verdict = token_verify(i.keys, rules, buf_text(&token), NOW, &who);
        (void)heap_allow_all();
        ck_assert_msg(verdict == TOKEN_ACCEPTED ? who != NULL : verdict == TOKEN_NO_MEMORY && !who, "%s",
                      token_verdict_name(verdict));
    }
    ck_assert_int_eq((int)verdict, TOKEN_ACCEPTED);
    ck_assert_int_gt(failures, 2);
    CLEANUP(buf_release) buf stored = BUF(4096);
    claims_print(who, &stored);
    claims *again = NULL;
    heap_allow(0);
    int fault = claims_parse(buf_text(&stored), &again);
    (void)heap_allow_all();
    ck_assert_int_eq(fault, -ENOMEM);
    ck_assert_ptr_null(again);
    (void)claims_free(who);
    issuer_release(&i);
}
END_TEST

START_TEST(a_revocation_that_finds_no_memory_says_so_and_changes_nothing) {
    const claims who = {.subject = "ann", .org = "acme", .token_id = "t1", .session_id = ""};
    CLEANUP(revocations_freep) revocations *r = revocations_new(10);
    int fault = -ENOMEM;
    for (long n = 0; fault == -ENOMEM && n < 10; n++) {
        ck_assert_uint_eq(revocations_count(r), 0);
        ck_assert_int_eq((int)revocations_cover(r, &who, NOW), REVOKE_NOTHING);
        heap_allow(n);
        fault = revocations_add(r, TEXT("acme"), REVOKE_TOKEN, TEXT("t1"), 0);
        ck_assert((heap_allow_all() == 0) == (fault == 0));
    }
    ck_assert_int_eq(fault, 0);
    ck_assert_int_eq((int)revocations_cover(r, &who, NOW), REVOKE_TOKEN);
}
END_TEST

START_TEST(buckets_are_made_whole_or_not_at_all_and_taking_allocates_nothing) {
    const rate_rule rule = {1, 2};
    rates *r = NULL;
    long failures = 0;
    for (; !r && failures < 10; failures++) {
        heap_allow(failures);
        r = rates_new(100, 1);
        (void)heap_allow_all();
    }
    ck_assert_int_eq(failures, 5); /* four allocations */
    heap_allow(0);
    int taken = 0;
    for (uint64_t who = 0; who < 300; who++)
        taken += rates_take(r, who, 0, &rule, NOW);
    ck_assert_int_eq(heap_allow_all(), 0);
    ck_assert_int_eq(taken, 300);
    r = rates_free(r);
}
END_TEST

START_TEST(a_pin_is_hashed_and_judged_without_our_heap) {
    char hash[PIN_HASH_MAX];
    heap_allow(0);
    int fault = pin_hash(TEXT("1234"), hash);
    bool fits = pin_fits(TEXT("1234"), text_of(hash)), other = pin_fits(TEXT("1235"), text_of(hash));
    ck_assert_int_eq(heap_allow_all(), 0);
    ck_assert_int_eq(fault, 0);
    ck_assert(fits && !other);
}
END_TEST

START_TEST(what_reads_the_audit_trail_is_there_whole_or_not_at_all) {
    audit_trail *t = NULL;
    long failures = 0;
    for (; !t && failures < 20; failures++) {
        heap_allow(failures);
        t = audit_trail_new(1, NULL, 0, NULL, NULL);
        (void)heap_allow_all();
    }
    ck_assert_ptr_nonnull(t);
    ck_assert_int_gt(failures, 2);
    (void)audit_trail_free(t);
}
END_TEST

START_TEST(a_checkpoint_that_finds_no_memory_is_not_read) {
    CLEANUP(issuer_release) issuer i = issuer_of("ES256");
    CLEANUP(buf_release) buf jws = BUF(8192);
    audit_checkpoint c = {7, audit_origin, 0, false}, back = {0};
    char kid[AUDIT_KID_MAX];
    int fault = -ENOMEM;
    ck_assert_int_eq(audit_checkpoint_sign(i.signer, &c, &jws), 0);
    long failures = 0;
    for (; fault == -ENOMEM && failures < 200; failures++) {
        ck_assert_uint_eq(back.position, 0);
        heap_allow(failures);
        fault = audit_checkpoint_read(buf_text(&jws), &back, kid);
        (void)heap_allow_all();
    }
    ck_assert_int_eq(fault, 0);
    ck_assert_uint_eq(back.position, 7);
    ck_assert_int_gt(failures, 2);
}
END_TEST

START_TEST(rules_of_bodies_are_parsed_whole_or_not_at_all) {
    CLEANUP(json_freep) json *document = NULL;
    const text spelled =
        TEXT("{\"v\":1,\"rules\":[{\"name\":\"x\",\"of\":\"hr\",\"above\":99,\"source\":\"s\"}],\"roles\":{"
             "\"r\":{\"rules\":"
             "[{\"name\":\"x\",\"for\":1}]}},\"people\":{\"p\":{\"settings\":{\"age\":40}}}}");
    const text roles[] = {TEXT("r")};
    ck_assert_int_eq(json_parse_once(spelled, &document), JSON_OK);
    body_rules *r = NULL;
    const body_limits *l = NULL;
    char why[BODY_WHY_MAX] = "";
    int fault = -ENOMEM;
    long failures = 0;
    for (; fault == -ENOMEM && failures < 300; failures++) {
        heap_allow(failures);
        fault = body_rules_parse(document, &r, why);
        (void)heap_allow_all();
        ck_assert(fault == -ENOMEM ? !r : r != NULL);
    }
    ck_assert_int_eq(fault, 0);
    ck_assert_int_gt(failures, 10);
    ck_assert_str_eq(why, "");
    heap_allow(0);
    fault = body_rules_for(r, TEXT("p"), roles, 1, &l);
    (void)heap_allow_all();
    ck_assert(fault == -ENOMEM && !l);
    ck_assert_int_eq(body_rules_for(r, TEXT("p"), roles, 1, &l), 0);
    heap_allow(0);
    fault = body_rules_for(r, TEXT("p"), roles, 1, &l); /* found again */
    ck_assert_int_eq(heap_allow_all(), 0);
    ck_assert_int_eq(fault, 0);
    (void)body_rules_free(r);
}
END_TEST

START_TEST(a_body_is_there_or_not_and_reading_it_allocates_nothing) {
    CLEANUP(body_rules_freep) body_rules *rules = NULL;
    CLEANUP(buf_release) buf spelled = BUF(65536);
    const body_limits *l = NULL;
    body *b = NULL, *again = NULL;
    finding found[BODY_FINDINGS_MAX];
    body_trust trust = TRUST_NOTHING;
    ck_assert_int_eq(body_rules_default(&rules), 0);
    ck_assert_int_eq(body_rules_for(rules, TEXT("p"), NULL, 0, &l), 0);
    heap_allow(0);
    int fault = body_new(&b);
    (void)heap_allow_all();
    ck_assert(fault == -ENOMEM && !b);
    ck_assert_int_eq(body_new(&b), 0);
    size_t count = 0;
    heap_allow(0);
    for (int i = 1; i < 200; i++) {
        reading r = reading_at(i * INSTANT_SECOND);
        reading_put(&r, VITAL_HR, 150 + i % 3);
        r.motion = 0.01;
        count += body_take(b, l, &r, 0, r.at, found, &trust);
    }
    ck_assert_int_eq(heap_allow_all(), 0);
    ck_assert_uint_gt(count, 0);
    body_spell(b, &spelled);
    fault = -ENOMEM;
    long failures = 0;
    for (; fault == -ENOMEM && failures < 20; failures++) {
        heap_allow(failures);
        fault = body_read(buf_text(&spelled), &again);
        (void)heap_allow_all();
        ck_assert(fault == -ENOMEM ? !again : again != NULL);
    }
    ck_assert_int_eq(fault, 0);
    ck_assert_int_gt(failures, 1);
    (void)body_free(b);
    (void)body_free(again);
}
END_TEST

Suite *suite_heap(void) {
    Suite *s = suite_create("heap");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_policy_is_parsed_whole_or_not_at_all);
    tcase_add_test(t, a_language_is_added_whole_or_not_at_all);
    tcase_add_test(t, what_is_said_is_whole_or_a_fault_when_memory_is_short);
    tcase_add_test(t, a_membership_that_finds_no_memory_changes_nothing);
    tcase_add_test(t, a_key_set_is_taken_whole_or_not_at_all);
    tcase_add_test(t, rules_are_made_whole_or_not_at_all);
    tcase_add_test(t, a_token_is_never_accepted_for_want_of_memory);
    tcase_add_test(t, a_revocation_that_finds_no_memory_says_so_and_changes_nothing);
    tcase_add_test(t, buckets_are_made_whole_or_not_at_all_and_taking_allocates_nothing);
    tcase_add_test(t, a_pin_is_hashed_and_judged_without_our_heap);
    tcase_add_test(t, what_reads_the_audit_trail_is_there_whole_or_not_at_all);
    tcase_add_test(t, a_checkpoint_that_finds_no_memory_is_not_read);
    tcase_add_test(t, rules_of_bodies_are_parsed_whole_or_not_at_all);
    tcase_add_test(t, a_body_is_there_or_not_and_reading_it_allocates_nothing);
    suite_add_tcase(s, t);
    return s;
}
