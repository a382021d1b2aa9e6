/* The clients are addresses and nothing more: the table never looks into them. */
#include "plugin/sessions.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1000

static char place[8]; /* one byte for each client */

static struct mosquitto *client(size_t i) {
    return (struct mosquitto *)(void *)&place[i];
}

static claims *person(const char *sub, int64_t expires_at) {
    claims *who = calloc(1, sizeof *who);
    ck_assert_ptr_nonnull(who);
    *who =
        (claims){.subject = sub, .org = "acme", .token_id = "", .session_id = "", .expires_at = expires_at};
    return who;
}

static session *connect(sessions *all, size_t i, const char *client_id, bool durable) {
    session *s = sessions_begin(all, client(i), client_id, person("ann", NOW + 100));
    ck_assert_ptr_nonnull(s);
    s->durable = durable;
    return s;
}

static bool never(void *context, session *s) {
    (void)context, (void)s;
    return false;
}

static bool is_that(void *context, session *s) {
    return s->client == context;
}

static void count_one(void *context, session *s) {
    (void)s;
    ++*(size_t *)context;
}

static void check_counts(sessions *all, size_t live, size_t known) {
    size_t visited = 0;
    sessions_each(all, count_one, &visited);
    ck_assert_uint_eq(sessions_live(all), live);
    ck_assert_uint_eq(sessions_count(all), known);
    ck_assert_uint_eq(visited, known);
}

START_TEST(a_session_is_found_by_client_and_id_together) {
    sessions *all = sessions_new(10);
    session *s = connect(all, 0, "ann", false);
    ck_assert_ptr_eq(sessions_of(all, client(0), "ann"), s);
    ck_assert_ptr_null(sessions_of(all, client(0), "bob"));
    ck_assert_ptr_null(sessions_of(all, client(1), "ann"));
    ck_assert_ptr_null(sessions_of(all, client(0), NULL));
    ck_assert_ptr_null(sessions_holding(all, NULL));
    check_counts(all, 1, 1);
    (void)sessions_free(all);
}
END_TEST

START_TEST(a_takeover_keeps_the_older_session_until_its_will_is_judged) {
    sessions *all = sessions_new(10);
    session *older = connect(all, 0, "ann", true);
    session *newer = connect(all, 1, "ann", true);
    ck_assert(session_parting(older));
    ck_assert_ptr_eq(sessions_holding(all, "ann"), newer);
    check_counts(all, 2, 1);
    sessions_settle(all, never, NULL); /* WebSockets close later: it is still there, and still live */
    ck_assert_ptr_eq(sessions_of(all, client(0), "ann"), older);
    sessions_offline(all, older);
    ck_assert_ptr_eq(sessions_of(all, client(0), "ann"), older);
    sessions_settle(all, never, NULL);
    ck_assert_ptr_null(sessions_of(all, client(0), "ann"));
    ck_assert_ptr_eq(sessions_of(all, client(1), "ann"), newer);
    check_counts(all, 1, 1);
    (void)sessions_free(all);
}
END_TEST

START_TEST(a_takeover_of_an_offline_session_lets_it_go) {
    sessions *all = sessions_new(10);
    sessions_offline(all, connect(all, 0, "ann", true));
    session *newer = connect(all, 1, "ann", true);
    sessions_settle(all, never, NULL);
    ck_assert_ptr_null(sessions_of(all, client(0), "ann"));
    ck_assert_ptr_eq(sessions_holding(all, "ann"), newer);
    sessions_offline(all, newer);
    sessions_settle(all, never, NULL);
    check_counts(all, 0, 1);
    (void)sessions_free(all);
}
END_TEST

START_TEST(a_pointer_that_comes_back_is_a_new_session) {
    sessions *all = sessions_new(10);
    sessions_offline(all, connect(all, 0, "ann", true));
    session *s = connect(all, 0, "bob", false);
    ck_assert_ptr_eq(sessions_of(all, client(0), "bob"), s);
    ck_assert_ptr_null(sessions_of(all, client(0), "ann"));
    ck_assert_ptr_null(sessions_holding(all, "ann"));
    check_counts(all, 1, 1);
    s = connect(all, 0, "bob", false); /* even though its end was never heard of */
    ck_assert_ptr_eq(sessions_holding(all, "bob"), s);
    check_counts(all, 1, 1);
    (void)sessions_free(all);
}
END_TEST

START_TEST(a_session_that_is_not_durable_ends_with_its_connection) {
    sessions *all = sessions_new(10);
    session *s = connect(all, 0, "ann", false);
    sessions_offline(all, s);
    sessions_offline(all, s);
    ck_assert_ptr_eq(sessions_of(all, client(0), "ann"), s); /* for its Will */
    check_counts(all, 0, 1);
    sessions_settle(all, never, NULL);
    check_counts(all, 0, 0);
    (void)sessions_free(all);
}
END_TEST

START_TEST(a_durable_session_stays_unless_the_broker_gave_its_client_up) {
    sessions *all = sessions_new(10);
    session *kept = connect(all, 0, "kept", true);
    sessions_offline(all, kept);
    sessions_offline(all, connect(all, 1, "gone", true));
    sessions_settle(all, is_that, client(1));
    ck_assert_ptr_null(sessions_holding(all, "gone"));
    ck_assert_ptr_eq(sessions_holding(all, "kept"), kept);
    sessions_settle(all, is_that, client(0)); /* asked once only: later the pointer may be anybody's */
    ck_assert_ptr_eq(sessions_holding(all, "kept"), kept);
    sessions_sweep_offline(all,
                           NOW + 1000); /* its token has run out, but the broker may ask about its Will */
    ck_assert_ptr_eq(sessions_holding(all, "kept"), kept);
    check_counts(all, 0, 1);
    (void)sessions_free(all);
}
END_TEST

START_TEST(a_restored_session_is_only_for_who_adopts_it) {
    sessions *all = sessions_new(10);
    session *s = sessions_restore(all, "ann", person("ann", NOW + 100));
    ck_assert_ptr_null(sessions_of(all, client(0), "ann")); /* having its id is not enough */
    ck_assert_ptr_null(sessions_adopt(all, client(0), "bob"));
    ck_assert_ptr_eq(sessions_adopt(all, client(0), "ann"), s);
    ck_assert_ptr_eq(sessions_of(all, client(0), "ann"), s);
    ck_assert_ptr_null(sessions_adopt(all, client(1), "ann"));
    check_counts(all, 0, 1);
    session *back = connect(all, 1, "ann", true);
    sessions_settle(all, never, NULL);
    ck_assert_ptr_null(sessions_of(all, client(0), "ann"));
    ck_assert_ptr_eq(sessions_holding(all, "ann"), back);
    check_counts(all, 1, 1);
    (void)sessions_free(all);
}
END_TEST

START_TEST(a_restored_session_that_nobody_adopts_ends_with_its_token) {
    sessions *all = sessions_new(10);
    ck_assert_ptr_nonnull(sessions_restore(all, "ann", person("ann", NOW)));
    ck_assert_ptr_nonnull(sessions_restore(all, "bob", person("bob", NOW + 1)));
    sessions_sweep_offline(all, NOW);
    ck_assert_ptr_null(sessions_holding(all, "ann"));
    ck_assert_ptr_nonnull(sessions_holding(all, "bob"));
    (void)sessions_free(all);
}
END_TEST

START_TEST(beyond_the_limit_the_oldest_offline_sessions_go_and_live_ones_never) {
    static const char *const ids[] = {"a", "b", "c", "d"};
    sessions *all = sessions_new(2);
    for (size_t i = 0; i < 4; i++) {
        session *s = connect(all, i, ids[i], true);
        if (i > 0)
            sessions_offline(all, s);
    }
    sessions_sweep_offline(all, NOW);
    ck_assert_ptr_nonnull(sessions_holding(all, "a"));
    ck_assert_ptr_null(sessions_holding(all, "b"));
    ck_assert_ptr_nonnull(sessions_holding(all, "c"));
    ck_assert_ptr_nonnull(sessions_holding(all, "d"));
    check_counts(all, 1, 3);
    sessions_settle(all, never, NULL);
    check_counts(all, 1, 3);
    (void)sessions_free(all);
}
END_TEST

START_TEST(a_renewal_lifts_an_expiry_but_no_revocation) {
    sessions *all = sessions_new(10);
    session *s = connect(all, 0, "ann", false);
    s->end = SESSION_EXPIRED;
    s->policy_generation = 7;
    sessions_renew(s, person("ann", NOW + 200));
    ck_assert_int_eq(s->end, SESSION_GOES_ON);
    ck_assert_uint_eq(s->policy_generation, 0); /* its roles are worked out anew */
    ck_assert_int_eq(s->who->expires_at, NOW + 200);
    s->end = SESSION_REVOKED;
    sessions_renew(s, person("ann", NOW + 300));
    ck_assert_int_eq(s->end, SESSION_REVOKED);
    (void)sessions_free(all);
}
END_TEST

/* Every order of events that a broker could produce, and many it could not: the counts follow from the table,
 * and the address sanitizer watches over the rest. */
START_TEST(counts_never_underflow_whatever_happens) {
    static const char *const ids[] = {"a", "b", "c"};
    uint32_t dice = 1;
    sessions *all = sessions_new(2);
    for (int step = 0; step < 20000; step++) {
        dice = dice * 1664525u + 1013904223u;
        struct mosquitto *c = client(dice >> 8 & 7);
        const char *id = ids[(dice >> 12 & 0xFF) % 3];
        session *s = sessions_of(all, c, id);
        switch (dice >> 28 & 7) {
        case 0:
        case 1:
            s = sessions_begin(all, c, id, person("ann", NOW + (int64_t)(dice >> 20 & 31)));
            s->durable = dice >> 20 & 1;
            break;
        case 2:
            ck_assert_ptr_nonnull(sessions_restore(all, id, person("ann", NOW)));
            break;
        case 3:
            (void)sessions_adopt(all, c, id);
            break;
        case 4:
            if (s)
                sessions_offline(all, s);
            break;
        case 5:
            sessions_settle(all, is_that, c);
            break;
        case 6:
            sessions_sweep_offline(all, NOW + (int64_t)(dice >> 20 & 31));
            break;
        case 7:
            if (s)
                sessions_forget(all, s);
            break;
        }
        ck_assert_uint_le(sessions_count(all), 3);
        ck_assert_uint_le(sessions_live(all), 8);
    }
    sessions_sweep_offline(all, INT64_MAX);
    (void)sessions_free(all);
}
END_TEST

Suite *suite_sessions(void) {
    Suite *suite = suite_create("sessions");
    TCase *tcase = tcase_create("sessions");
    tcase_add_test(tcase, a_session_is_found_by_client_and_id_together);
    tcase_add_test(tcase, a_takeover_keeps_the_older_session_until_its_will_is_judged);
    tcase_add_test(tcase, a_takeover_of_an_offline_session_lets_it_go);
    tcase_add_test(tcase, a_pointer_that_comes_back_is_a_new_session);
    tcase_add_test(tcase, a_session_that_is_not_durable_ends_with_its_connection);
    tcase_add_test(tcase, a_durable_session_stays_unless_the_broker_gave_its_client_up);
    tcase_add_test(tcase, a_restored_session_is_only_for_who_adopts_it);
    tcase_add_test(tcase, a_restored_session_that_nobody_adopts_ends_with_its_token);
    tcase_add_test(tcase, beyond_the_limit_the_oldest_offline_sessions_go_and_live_ones_never);
    tcase_add_test(tcase, a_renewal_lifts_an_expiry_but_no_revocation);
    tcase_add_test(tcase, counts_never_underflow_whatever_happens);
    suite_add_tcase(suite, tcase);
    return suite;
}
