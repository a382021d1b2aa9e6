/* The schema of the rules of bodies and the code that reads them agree. */
#include <check.h>
#include <errno.h>
#include "core/body.h"
#include "msg/schema.h"

static schema *read_schema(void) {
    schema *s = NULL;
    char why[SCHEMA_READ_WHY_MAX] = "";
    ck_assert_msg(schema_read(SOURCE_DIR "/schemas/documents/body.json", &s, why) == 0, "%s", why);
    return s;
}

START_TEST(the_shipped_rules_fit_the_schema) {
    CLEANUP(schema_freep) schema *s = read_schema();
    CLEANUP(json_freep) json *document = NULL;
    char why[SCHEMA_WHY_MAX] = "";
    ck_assert_int_eq(json_parse_once(body_rules_shipped(), &document), JSON_OK);
    ck_assert_msg(schema_accepts(s, document, why), "%s", why);
}
END_TEST

#define RULE(members) "{\"v\":1,\"rules\":[{\"name\":\"x\",\"of\":\"hr\",\"above\":100" members "}]}"

START_TEST(the_schema_and_the_code_agree) {
    static const struct {
        const char *document;
        bool good;
    } rows[] = {
        {"{\"v\":1}", true},
        {"{\"v\":2}", false},
        {"{}", false},
        {"[]", false},
        {"{\"v\":1,\"rules\":[],\"roles\":{},\"people\":{},\"settings\":{}}", true},
        {"{\"v\":1,\"settings\":{\"age\":14,\"oxygen\":true,\"quality\":0,\"stuck\":3600}}", true},
        {"{\"v\":1,\"settings\":{\"age\":13.9}}", false},
        {"{\"v\":1,\"settings\":{\"usual_pulse\":121}}", false},
        {"{\"v\":1,\"settings\":{\"spo2_scale2\":1}}", false},
        {"{\"v\":1,\"settings\":{\"mood\":1}}", false},
        {"{\"v\":1,\"roles\":{\"a\":{\"settings\":{\"age\":30}}}}", true},
        {"{\"v\":1,\"roles\":{\"\":{}}}", false},
        {"{\"v\":1,\"people\":{\"a\":{\"people\":{}}}}", false},
        {"{\"v\":1,\"people\":{\"a\":{\"rules\":[{\"name\":\"fall\",\"off\":true}]}}}", true},
        {RULE(""), true},
        {RULE(",\"below\":50"), false},
        {RULE(",\"when\":[\"rest\",\"moving\",\"unknown\",\"exercise\",\"recovery\"]"), true},
        {RULE(",\"when\":[]"), false},
        {RULE(",\"when\":[\"asleep\"]"), false},
        {RULE(",\"for\":0.5,\"clear_for\":0,\"quiet\":86400,\"margin\":0,\"step\":200"), true},
        {RULE(",\"for\":86401"), false},
        {RULE(",\"margin\":201"), false},
        {RULE(",\"response\":\"raise\",\"off\":false,\"source\":\"s\""), true},
        {RULE(",\"response\":\"shout\""), false},
        {RULE(",\"source\":\"\""), false},
        {RULE(",\"and\":[{\"of\":\"still\",\"above\":30},{\"of\":\"spo2\",\"below\":90}]"), true},
        {RULE(",\"and\":[{\"of\":\"still\"}]"), false},
        {RULE(",\"and\":[{\"of\":\"still\",\"above\":86401}]"), false},
        {RULE(",\"and\":[{\"of\":\"spo2\",\"below\":49}]"), false},
        {"{\"v\":1,\"rules\":[{\"name\":\"X\",\"of\":\"hr\",\"above\":100}]}", false},
        {"{\"v\":1,\"rules\":[{\"name\":\"x-\",\"of\":\"hr\",\"above\":100}]}", false},
        {"{\"v\":1,\"rules\":[{\"name\":\"x\",\"of\":\"hr\",\"above\":251}]}", false},
        {"{\"v\":1,\"rules\":[{\"name\":\"x\",\"of\":\"news2.single\",\"above\":2.5}]}", true},
        {"{\"v\":1,\"rules\":[{\"name\":\"x\",\"of\":\"news2.single\",\"above\":4}]}", false},
        {"{\"v\":1,\"rules\":[{\"name\":\"x\",\"of\":\"mood\",\"above\":4}]}", false},
    };
    CLEANUP(schema_freep) schema *s = read_schema();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(json_freep) json *document = NULL;
        CLEANUP(body_rules_freep) body_rules *r = NULL;
        char why[BODY_WHY_MAX] = "";
        ck_assert_msg(json_parse_once(text_of(rows[i].document), &document) == JSON_OK, "%s",
                      rows[i].document);
        ck_assert_msg(schema_accepts(s, document, NULL) == rows[i].good, "schema: %s", rows[i].document);
        ck_assert_msg(body_rules_parse(document, &r, why) == (rows[i].good ? 0 : -EBADMSG), "code: %s: %s",
                      rows[i].document, why);
    }
}
END_TEST

Suite *suite_body(void) {
    Suite *s = suite_create("body");
    TCase *t = tcase_create("all");
    tcase_add_test(t, the_shipped_rules_fit_the_schema);
    tcase_add_test(t, the_schema_and_the_code_agree);
    suite_add_tcase(s, t);
    return s;
}
