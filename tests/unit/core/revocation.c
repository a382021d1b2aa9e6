#include <check.h>
#include <errno.h>
#include "core/revocation.h"

static const claims ann = {.subject = "ann", .org = "acme", .token_id = "t1", .session_id = "s1"};

START_TEST(each_kind_covers_its_own_claim_only) {
    static const struct {
        revocation_kind kind;
        const char *value;
    } rows[] = {{REVOKE_TOKEN, "t1"}, {REVOKE_SESSION, "s1"}, {REVOKE_SUBJECT, "ann"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(revocations_freep) revocations *r = revocations_new(4);
        claims stranger = ann;
        stranger.org = "other";
        ck_assert_int_eq(revocations_cover(r, &ann, 100), REVOKE_NOTHING);
        ck_assert_int_eq(revocations_add(r, TEXT("acme"), rows[i].kind, text_of(rows[i].value), 0), 0);
        ck_assert_int_eq(revocations_cover(r, &ann, 100), rows[i].kind);
        ck_assert_int_eq(revocations_cover(r, &stranger, 100), REVOKE_NOTHING);
        ck_assert(revocations_remove(r, TEXT("acme"), rows[i].kind, text_of(rows[i].value)));
        ck_assert_int_eq(revocations_cover(r, &ann, 100), REVOKE_NOTHING);
    }
}
END_TEST

START_TEST(a_revocation_runs_out_and_is_purged) {
    CLEANUP(revocations_freep) revocations *r = revocations_new(4);
    ck_assert_int_eq(revocations_add(r, TEXT("acme"), REVOKE_SUBJECT, TEXT("ann"), 200), 0);
    ck_assert_int_eq(revocations_cover(r, &ann, 199), REVOKE_SUBJECT);
    ck_assert_int_eq(revocations_cover(r, &ann, 200), REVOKE_NOTHING);
    revocations_purge(r, 199);
    ck_assert_uint_eq(revocations_count(r), 1);
    revocations_purge(r, 200);
    ck_assert_uint_eq(revocations_count(r), 0);
}
END_TEST

START_TEST(an_empty_claim_is_never_covered_and_the_limit_holds) {
    CLEANUP(revocations_freep) revocations *r = revocations_new(1);
    claims bare = {.subject = "bob", .org = "acme", .token_id = "", .session_id = ""};
    ck_assert_int_eq(revocations_add(r, TEXT("acme"), REVOKE_TOKEN, TEXT(""), 0), -EINVAL);
    ck_assert_int_eq(revocations_add(r, TEXT("acme"), REVOKE_TOKEN, TEXT("x"), 0), 0);
    ck_assert_int_eq(revocations_add(r, TEXT("acme"), REVOKE_TOKEN, TEXT("x"), 5), 0);
    ck_assert_int_eq(revocations_add(r, TEXT("acme"), REVOKE_TOKEN, TEXT("y"), 0), -ENOSPC);
    ck_assert_int_eq(revocations_cover(r, &bare, 100), REVOKE_NOTHING);
}
END_TEST

Suite *suite_revocation(void) {
    Suite *s = suite_create("revocation");
    TCase *t = tcase_create("all");
    tcase_add_test(t, each_kind_covers_its_own_claim_only);
    tcase_add_test(t, a_revocation_runs_out_and_is_purged);
    tcase_add_test(t, an_empty_claim_is_never_covered_and_the_limit_holds);
    suite_add_tcase(s, t);
    return s;
}
