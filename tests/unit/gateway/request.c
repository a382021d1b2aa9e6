#include "gateway/http/request.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

START_TEST(headers_are_found_whatever_their_case) {
    const http_request r = {.headers = {{TEXT("Content-Type"), TEXT("text/plain")},
                                        {TEXT("X-Twilio-Signature"), TEXT("first")},
                                        {TEXT("x-twilio-signature"), TEXT("second")},
                                        {TEXT("Empty"), {NULL, 0}}},
                            .header_count = 4};
    ck_assert(text_equal(request_header_of(&r, "x-TWILIO-signature"), TEXT("first")));
    ck_assert_ptr_null(request_header_of(&r, "X-Twilio").ptr);
    ck_assert_ptr_nonnull(request_header_of(&r, "empty").ptr);
    ck_assert_uint_eq(request_header_of(&r, "empty").len, 0);
}
END_TEST

START_TEST(values_are_decoded) {
    static const struct {
        const char *form, *value; /* of "b"; NULL: there is none */
    } rows[] = {
        {"a=1&b=2", "2"},       {"b=", ""},         {"b", ""},
        {"b=x+y%20z", "x y z"}, {"b=%2B27", "+27"}, {"b=Jos%C3%A9", "José"},
        {"b=1&b=2", "1"},       {"&&b=1&", "1"},    {"%62=1", "1"},
        {"b=a=b", "a=b"},       {"", NULL},         {"a=1", NULL},
        {"bb=1", NULL},         {"b=%", NULL},      {"b=%4", NULL},
        {"b=%zz", NULL},        {"b=%ff", NULL},    {"b=%C3", NULL},
        {"b=%ED%A0%80", NULL},  {"B=1", NULL},      {"b=123456789", NULL}, /* too long for the space */
        {"%zz=0&b=1", "1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char space[8];
        text value = form_value(text_of(rows[i].form), "b", space, sizeof space);
        if (rows[i].value)
            ck_assert_msg(value.ptr && text_equal(value, text_of(rows[i].value)), "%s", rows[i].form);
        else
            ck_assert_msg(!value.ptr, "%s", rows[i].form);
    }
    ck_assert_ptr_null(form_value((text){0}, "b", NULL, 0).ptr);
}
END_TEST

START_TEST(a_form_is_read_as_a_whole) {
    char space[64];
    form_pair pairs[4];
    ck_assert_int_eq(form_read(TEXT("To=%2B27&Body=a+%26+b&x&To=2"), space, sizeof space, pairs, 4), 4);
    ck_assert(text_equal(pairs[0].name, TEXT("To")) && text_equal(pairs[0].value, TEXT("+27")));
    ck_assert(text_equal(pairs[1].value, TEXT("a & b")));
    ck_assert(text_equal(pairs[2].name, TEXT("x")) && pairs[2].value.len == 0);
    ck_assert(text_equal(pairs[3].name, TEXT("To")) && text_equal(pairs[3].value, TEXT("2")));
    ck_assert_int_eq(form_read((text){0}, space, sizeof space, pairs, 4), 0);
    ck_assert_int_eq(form_read(TEXT("a=1&b=2&c=3&d=4&e=5"), space, sizeof space, pairs, 4), -EMSGSIZE);
    ck_assert_int_eq(form_read(TEXT("a=12345678"), space, 8, pairs, 4), -EMSGSIZE);
    ck_assert_int_eq(form_read(TEXT("a=1234567"), space, 8, pairs, 4), 1);
    ck_assert_int_eq(form_read(TEXT("a=%F"), space, sizeof space, pairs, 4), -EBADMSG);
    ck_assert_int_eq(form_read(TEXT("%FF=1"), space, sizeof space, pairs, 4), -EBADMSG);
}
END_TEST

Suite *suite_request(void) {
    Suite *s = suite_create("request");
    TCase *t = tcase_create("forms");
    tcase_add_test(t, headers_are_found_whatever_their_case);
    tcase_add_test(t, values_are_decoded);
    tcase_add_test(t, a_form_is_read_as_a_whole);
    suite_add_tcase(s, t);
    return s;
}
