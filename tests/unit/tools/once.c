#include <check.h>
#include "once.h"

START_TEST(a_line_is_said_once) {
    CLEANUP(buf_release) buf said = BUF(1000);
    ck_assert(once(&said, "one"));
    ck_assert(once(&said, "two"));
    ck_assert(!once(&said, "one"));
    ck_assert(!once(&said, "two"));
}
END_TEST

START_TEST(a_part_of_a_line_is_another_line) {
    CLEANUP(buf_release) buf said = BUF(1000);
    ck_assert(once(&said, "anna"));
    ck_assert(once(&said, "ann"));
    ck_assert(once(&said, ""));
    ck_assert(!once(&said, "ann"));
}
END_TEST

START_TEST(without_room_to_remember_rather_twice_than_never) {
    CLEANUP(buf_release) buf said = BUF(8);
    ck_assert(once(&said, "a long line"));
    ck_assert(once(&said, "a long line"));
}
END_TEST

Suite *suite_once(void) {
    Suite *s = suite_create("once");
    TCase *c = tcase_create("once");
    tcase_add_test(c, a_line_is_said_once);
    tcase_add_test(c, a_part_of_a_line_is_another_line);
    tcase_add_test(c, without_room_to_remember_rather_twice_than_never);
    suite_add_tcase(s, c);
    return s;
}
