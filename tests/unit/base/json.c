#include <check.h>
#include <math.h>
#include "base/json.h"

static json_verdict verdict_of(text t) {
    CLEANUP(json_parser_freep) json_parser *parser = json_parser_new(4);
    CLEANUP(json_freep) json *root = NULL;
    return json_parse(parser, t, &root, NULL);
}

START_TEST(only_strict_json_is_taken) {
    static const struct {
        text t;
        json_verdict want;
    } rows[] = {
        {TEXT("{\"a\":1}"), JSON_OK},
        {TEXT(" [1, 2.5, -3e2, true, false, null, \"x\"] \n"), JSON_OK},
        {TEXT("12"), JSON_OK},
        {TEXT("\"a:b\""), JSON_OK},
        {TEXT("{\"a\":\"{\\\"b\\\":1}\"}"), JSON_OK},
        {TEXT("[[[[1]]]]"), JSON_OK},
        {TEXT("[[[[[1]]]]]"), JSON_TOO_DEEP},
        {TEXT("{\"a\":1,\"a\":2}"), JSON_DUPLICATE_MEMBER},
        {TEXT("{\"b\":[{\"a\":1,\"a\":1}]}"), JSON_DUPLICATE_MEMBER},
        {TEXT("{\"a\":1,\"\\u0061\":2}"), JSON_DUPLICATE_MEMBER},
        {TEXT(""), JSON_MALFORMED},
        {TEXT("{"), JSON_MALFORMED},
        {TEXT("{\"a\":1}x"), JSON_MALFORMED},
        {TEXT("{\"a\":1}{}"), JSON_MALFORMED},
        {TEXT("{'a':1}"), JSON_MALFORMED},
        {TEXT("{\"a\":1,}"), JSON_MALFORMED},
        {TEXT("[1,]"), JSON_MALFORMED},
        {TEXT("NaN"), JSON_MALFORMED},
        {TEXT("-Infinity"), JSON_MALFORMED},
        {TEXT("// x\n1"), JSON_MALFORMED},
        {TEXT("\"a\nb\""), JSON_MALFORMED},
        {TEXT("\"\\x\""), JSON_MALFORMED},
        {TEXT("01"), JSON_MALFORMED},
        {TEXT("-"), JSON_MALFORMED},
        {TEXT("1."), JSON_MALFORMED},
        {TEXT(".5"), JSON_MALFORMED},
        {TEXT("+1"), JSON_MALFORMED},
        {TEXT("1e"), JSON_MALFORMED},
        {TEXT("-01"), JSON_MALFORMED},
        {TEXT("1-2"), JSON_MALFORMED},
        {TEXT("tru"), JSON_MALFORMED},
        {TEXT("nul"), JSON_MALFORMED},
        {TEXT("\"a"), JSON_MALFORMED},
        {TEXT("1\0"), JSON_MALFORMED},
        {TEXT("\"\xFF\""), JSON_NOT_UTF8},
        {TEXT("{\"a\\u0000b\":1}"), JSON_MALFORMED}, /* json-c would take it for "a" */
        {TEXT("{\"\\u0000\" :1}"), JSON_MALFORMED},
        {TEXT("{\"a\":\"b\\u0000c\",\"\\\\u0000\":\"\\u0000\"}"), JSON_OK},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        json_verdict got = verdict_of(rows[i].t);
        ck_assert_msg(got == rows[i].want, "%.*s: %s", (int)rows[i].t.len, rows[i].t.ptr,
                      json_verdict_name(got));
    }
}
END_TEST

START_TEST(a_number_is_spelled_with_as_few_digits_as_it_needs) {
    static const struct {
        double value;
        const char *want;
    } rows[] = {{36.9, "36.9"},
                {0.1, "0.1"},
                {0, "0.0"},
                {-2, "-2.0"},
                {1.0 / 3, "0.3333333333333333"},
                {1e300, "1e+300"},
                {158, "158.0"},
                {0.1 + 0.2, "0.30000000000000004"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(json_freep) json *one = json_new_number(rows[i].value), *again = NULL;
        CLEANUP(buf_release) buf spelled = BUF(64);
        json_print(one, &spelled);
        ck_assert_str_eq(spelled.ptr, rows[i].want);
        ck_assert_int_eq(json_parse_once(buf_text(&spelled), &again), JSON_OK);
        ck_assert(json_kind_of(again) == JSON_NUMBER && json_number(again) == rows[i].value);
    }
    ck_assert_ptr_null(json_new_number(INFINITY));
}
END_TEST

START_TEST(equality_is_that_of_json_schema) {
    CLEANUP(json_freep) json *a = NULL, *b = NULL;
    ck_assert_int_eq(json_parse_once(TEXT("{\"x\":[1,2.0],\"y\":null}"), &a), JSON_OK);
    ck_assert_int_eq(json_parse_once(TEXT("{\"y\":null,\"x\":[1.0,2]}"), &b), JSON_OK);
    ck_assert(json_same(a, b));
    ck_assert(!json_same(json_get(a, "x"), b));
    ck_assert(!json_same(a, NULL));
}
END_TEST

Suite *suite_json(void) {
    Suite *s = suite_create("json");
    TCase *t = tcase_create("all");
    tcase_add_test(t, only_strict_json_is_taken);
    tcase_add_test(t, a_number_is_spelled_with_as_few_digits_as_it_needs);
    tcase_add_test(t, equality_is_that_of_json_schema);
    suite_add_tcase(s, t);
    return s;
}
