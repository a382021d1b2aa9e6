#include <check.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>
#include "core/decisions.h"

/* SipHash-1-3 as OpenSSL computes it, with the key that topic_hash() makes of a seed. */
static uint64_t reference(const unsigned char *bytes, size_t len, uint64_t seed) {
    unsigned char key[16], out[8];
    size_t out_len = 0, size = sizeof out;
    unsigned int c_rounds = 1, d_rounds = 3;
    for (size_t i = 0; i < 8; i++) {
        key[i] = (unsigned char)(seed >> (8 * i));
        key[i + 8] = (unsigned char)~key[i];
    }
    OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                           OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &c_rounds),
                           OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &d_rounds),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    ck_assert_int_eq(EVP_MAC_init(ctx, key, sizeof key, params), 1);
    ck_assert_int_eq(EVP_MAC_update(ctx, bytes, len), 1);
    ck_assert_int_eq(EVP_MAC_final(ctx, out, &out_len, sizeof out), 1);
    ck_assert_uint_eq(out_len, sizeof out);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    uint64_t hash = 0;
    for (size_t i = 0; i < 8; i++)
        hash |= (uint64_t)out[i] << (8 * i);
    return hash;
}

START_TEST(the_hash_is_siphash_as_openssl_has_it) {
    unsigned char bytes[200];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 37 + 11);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        const uint64_t seed = UINT64_C(0x9E3779B97F4A7C15) * (len + 1);
        ck_assert_msg(topic_hash((text){(const char *)bytes, len}, seed) == reference(bytes, len, seed),
                      "length %zu", len);
    }
}
END_TEST

START_TEST(another_seed_gives_another_hash) {
    ck_assert_uint_ne(topic_hash(TEXT("mayday/v1/acme/user/ann/inbox"), 1),
                      topic_hash(TEXT("mayday/v1/acme/user/ann/inbox"), 2));
}
END_TEST

START_TEST(what_was_kept_is_found_with_its_decision) {
    decisions d = {0};
    const uint64_t one = UINT64_C(0x1234567890ABCDEE), two = UINT64_C(0xF234567890ABCDEF);
    ck_assert_int_eq(decisions_find(&d, 1, one), DECISION_UNKNOWN);
    decisions_keep(&d, 1, one, true);
    decisions_keep(&d, 1, two, false);
    ck_assert_int_eq(decisions_find(&d, 1, one), DECISION_GRANT);
    ck_assert_int_eq(decisions_find(&d, 1, two), DECISION_DENY);
    ck_assert_int_eq(decisions_find(&d, 1, one ^ 2), DECISION_UNKNOWN);
    ck_assert_int_eq(decisions_find(&d, 1, one ^ (UINT64_C(1) << 40)), DECISION_UNKNOWN);
}
END_TEST

START_TEST(a_new_epoch_empties_it_also_when_it_is_older) {
    decisions d = {0};
    const uint64_t hash = UINT64_C(0x1234567890ABCDEE);
    decisions_keep(&d, 5, hash, true);
    ck_assert_int_eq(decisions_find(&d, 6, hash), DECISION_UNKNOWN);
    ck_assert_int_eq(decisions_find(&d, 5, hash), DECISION_UNKNOWN);
    decisions_keep(&d, 5, hash, true);
    decisions_keep(&d, 4, hash ^ (UINT64_C(1) << 62), true);
    ck_assert_int_eq(decisions_find(&d, 4, hash), DECISION_UNKNOWN);
}
END_TEST

/* The hash without a bit to tell it from an empty slot: never granted by an empty cache, never kept wrong. */
START_TEST(the_hash_nought_never_grants_by_accident) {
    for (uint64_t hash = 0; hash <= 1; hash++) {
        decisions d = {0};
        ck_assert_int_eq(decisions_find(&d, 0, hash), DECISION_UNKNOWN);
        decisions_keep(&d, 0, hash, false);
        ck_assert_int_ne(decisions_find(&d, 0, hash), DECISION_GRANT);
        decisions_keep(&d, 0, hash, true);
        ck_assert_int_eq(decisions_find(&d, 0, hash), DECISION_GRANT);
        decisions_keep(&d, 0, hash, false);
        ck_assert_int_ne(decisions_find(&d, 0, hash), DECISION_GRANT);
    }
}
END_TEST

START_TEST(the_newest_word_on_a_topic_counts) {
    decisions d = {0};
    const uint64_t set = UINT64_C(3) << 61, a = set | 0x100, b = set | 0x200, c = set | 0x300;
    decisions_keep(&d, 1, a, true);
    decisions_keep(&d, 1, b, true);
    decisions_keep(&d, 1, a, false);
    ck_assert_int_eq(decisions_find(&d, 1, a), DECISION_DENY);
    decisions_keep(&d, 1, c, true);
    ck_assert_int_eq(decisions_find(&d, 1, a), DECISION_DENY);
    decisions_keep(&d, 1, b, false);
    decisions_keep(&d, 1, b, true);
    ck_assert_int_eq(decisions_find(&d, 1, b), DECISION_GRANT);
    ck_assert_int_eq(decisions_find(&d, 1, c), DECISION_GRANT);
}
END_TEST

/* Whatever is asked in whatever order: an answer is the true one or none. */
START_TEST(it_may_forget_but_never_errs) {
    decisions d = {0};
    unsigned state = 1;
    size_t known = 0;
    for (int i = 0; i < 100000; i++) {
        state = state * 1103515245u + 12345u;
        char topic[2] = {(char)(state >> 16 & 0x1F), 't'};
        uint64_t hash = topic_hash((text){topic, 2}, 42);
        bool truth = (topic[0] & 1) != 0;
        decision got = decisions_find(&d, 9, hash);
        if (got == DECISION_UNKNOWN)
            decisions_keep(&d, 9, hash, truth);
        else
            ck_assert_int_eq(got, truth ? DECISION_GRANT : DECISION_DENY);
        known += got != DECISION_UNKNOWN;
    }
    ck_assert_uint_gt(known, 20000);
}
END_TEST

Suite *suite_decisions(void) {
    Suite *s = suite_create("decisions");
    TCase *t = tcase_create("all");
    tcase_add_test(t, the_hash_is_siphash_as_openssl_has_it);
    tcase_add_test(t, another_seed_gives_another_hash);
    tcase_add_test(t, what_was_kept_is_found_with_its_decision);
    tcase_add_test(t, a_new_epoch_empties_it_also_when_it_is_older);
    tcase_add_test(t, the_hash_nought_never_grants_by_accident);
    tcase_add_test(t, the_newest_word_on_a_topic_counts);
    tcase_add_test(t, it_may_forget_but_never_errs);
    suite_add_tcase(s, t);
    return s;
}
