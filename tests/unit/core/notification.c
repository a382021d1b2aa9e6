#include "core/notification.h"

#include <check.h>
#include <errno.h>

#define ALERT TEXT("018f0000-1234-7abc-8def-0123456789ab")

START_TEST(the_same_purpose_makes_the_id_that_the_database_makes) {
    static const struct {
        notification_key key;
        const char *id;
    } rows[] = {
        {{TEXT("acme"), ALERT, 0, 0, 1, TEXT("dora"), 1}, "018f0000-1234-7767-a209-63a8acaea76f"},
        {{TEXT("acme"), ALERT, 1, 2, 3, TEXT("webhook:ops"), 12}, "018f0000-1234-766e-a8a2-10089323f86d"},
        {{TEXT("bj\xc3\xb6rk"), ALERT, 0, 0, 1, TEXT("Zo\xc3\xab"), 2},
         "018f0000-1234-7524-a1d6-d736c2e5cf10"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char id[UUID_TEXT_LEN + 1];
        ck_assert_int_eq(notification_id(&rows[i].key, id), 0);
        ck_assert_str_eq(id, rows[i].id);
        ck_assert(uuid_is_v7_text(text_of(id)));
    }
}
END_TEST

START_TEST(without_an_incident_there_is_no_such_id) {
    char id[UUID_TEXT_LEN + 1];
    notification_key key = {TEXT("acme"), TEXT("018f"), 0, 0, 1, TEXT("dora"), 1};
    ck_assert_int_eq(notification_id(&key, id), -EINVAL);
}
END_TEST

START_TEST(what_follows_from_a_letter_is_named_by_it_and_by_its_time) {
    char id[UUID_TEXT_LEN + 1];
    ck_assert_int_eq(derived_id(TEXT("a letter's key"), INT64_C(1795257600123999), id), 0);
    ck_assert_str_eq(id, "01a1fdb1-087b-7aba-a2f8-f0448c9a253d");
}
END_TEST

Suite *suite_notification(void) {
    Suite *s = suite_create("notification");
    TCase *c = tcase_create("notification");
    tcase_add_test(c, the_same_purpose_makes_the_id_that_the_database_makes);
    tcase_add_test(c, without_an_incident_there_is_no_such_id);
    tcase_add_test(c, what_follows_from_a_letter_is_named_by_it_and_by_its_time);
    suite_add_tcase(s, c);
    return s;
}
