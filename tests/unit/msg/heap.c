#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "msg/catalog.h"
#include "support/heap.h"

START_TEST(a_catalog_is_loaded_whole_or_not_at_all) {
    const catalog_limits limits = {.payload_max = 4096, .depth_max = 8};
    catalog *c = NULL;
    char why[CATALOG_WHY_MAX] = "";
    int fault = -ENOMEM;
    long failures = 0;
    for (; fault == -ENOMEM && failures < 5000; failures++) {
        heap_allow(failures);
        fault = catalog_load(SOURCE_DIR "/schemas", &limits, &c, why);
        (void)heap_allow_all();
        ck_assert_msg(fault == -ENOMEM ? c == NULL && why[0] : c != NULL, "%ld: %d %s", failures, fault, why);
    }
    ck_assert_msg(fault == 0, "%s", why);
    ck_assert_int_gt(failures, 100);
    catalog_free(c);
}
END_TEST

START_TEST(judging_needs_no_memory) {
    static const char *const rules =
        "{\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"^x+$\"}},"
        "\"required\":[\"a\"],\"additionalProperties\":{\"anyOf\":[{\"const\":1},"
        "{\"items\":{\"$ref\":\"#\"},\"uniqueItems\":true}]}}";
    CLEANUP(json_freep) json *root = NULL, *value = NULL;
    CLEANUP(schema_freep) schema *s = NULL;
    char why[SCHEMA_WHY_MAX] = "";
    ck_assert_int_eq(json_parse_once(text_of(rules), &root), JSON_OK);
    ck_assert_int_eq(json_parse_once(TEXT("{\"a\":\"xx\",\"b\":[{\"a\":\"x\"}],\"c\":1}"), &value), JSON_OK);
    ck_assert_int_eq(schema_compile(root, &s, why), 0);
    heap_allow(0);
    bool valid = schema_accepts(s, value, why);
    (void)heap_allow_all();
    ck_assert_msg(valid, "%s", why);
}
END_TEST

Suite *suite_heap(void) {
    Suite *s = suite_create("heap");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_catalog_is_loaded_whole_or_not_at_all);
    tcase_add_test(t, judging_needs_no_memory);
    suite_add_tcase(s, t);
    return s;
}
