/* One row for each thing a keyword means; what is refused, by name and place; what a refusal says. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "msg/schema.h"

static json *parse(const char *t) {
    json *root = NULL;
    json_verdict verdict = json_parse_once(text_of(t), &root);
    ck_assert_msg(verdict == JSON_OK, "%s: %s", t, json_verdict_name(verdict));
    return root;
}

static int compile(const char *t, schema **ret_schema, char why[SCHEMA_WHY_MAX]) {
    CLEANUP(json_freep) json *root = parse(t);
    return schema_compile(root, ret_schema, why);
}

static bool accepts(const char *rules, const char *value, char why[SCHEMA_WHY_MAX]) {
    CLEANUP(schema_freep) schema *s = NULL;
    CLEANUP(json_freep) json *v = parse(value);
    int fault = compile(rules, &s, why);
    ck_assert_msg(fault == 0, "%s: %s", rules, why);
    return schema_accepts(s, v, why);
}

static const struct {
    const char *schema;
    const char *good[6];
    const char *bad[6];
} verdicts[] = {
    {"true", {"1", "null"}, {0}},
    {"false", {0}, {"1", "null", "{}"}},
    {"{}", {"1", "null", "\"x\""}, {0}},
    {"{'type':'integer'}",
     {"1", "1.0", "-3", "1e3", "12345678901234567890"},
     {"1.5", "'1'", "null", "true", "1e999"}},
    {"{'type':'number'}", {"1", "1.5", "-0"}, {"'1'", "false", "1e999", "-1e999"}},
    {"{'type':['null','string']}", {"null", "''"}, {"0", "[]"}},
    {"{'enum':[1,'a',null,[2]]}", {"1.0", "'a'", "null", "[2]"}, {"2", "'b'", "[3]", "{}"}},
    {"{'const':null}", {"null"}, {"0", "false"}},
    {"{'const':{'a':[1,{}]}}", {"{'a':[1.0,{}]}"}, {"{'a':[1]}", "{}"}},
    {"{'minimum':-90,'maximum':90}",
     {"-90", "90", "90.0", "'x'"},
     {"-90.00000000000001", "91", "90.00000000000002"}},
    {"{'exclusiveMinimum':0,'exclusiveMaximum':1}", {"0.5", "1e-320"}, {"0", "-0.0", "1", "1.0"}},
    {"{'maximum':9007199254740993}",
     {"9007199254740993", "9007199254740992.0"},
     {"9007199254740994", "1e300"}},
    {"{'minimum':9223372036854775807}",
     {"9223372036854775807", "9223372036854775808.0"},
     {"9223372036854775806"}},
    {"{'maximum':1e300}", {"9223372036854775807", "1e300"}, {"1.1e300"}},
    {"{'multipleOf':0.01}", {"0.07", "19.99", "-4.35", "0", "1e300"}, {"0.075", "1e-9"}},
    {"{'multipleOf':3}", {"9", "9.0", "-3", "3e20"}, {"10", "9.5", "1e20"}},
    {"{'multipleOf':1e-8}", {"12391239123", "0.00000001"}, {"1e-9"}},
    {"{'minLength':2,'maxLength':3}",
     {"'ab'", "'\\u00e4\\u00e4\\u00e4'", "'\\ud83d\\udea8\\ud83d\\udea8'", "7"},
     {"'a'", "'abcd'", "'\\ud83d\\udea8'"}},
    {"{'pattern':'^a+$'}", {"'a'", "'aaa'", "7"}, {"''", "'b'", "'a\\n'"}},
    {"{'items':{'type':'integer'}}", {"[]", "[1,2]", "7"}, {"[1,'x']"}},
    {"{'prefixItems':[{'const':1},{'const':2}],'items':false}", {"[]", "[1]", "[1,2]"}, {"[2]", "[1,2,3]"}},
    {"{'contains':{'const':1}}", {"[1]", "[2,1]", "{}"}, {"[]", "[2]"}},
    {"{'contains':{'const':1},'minContains':0}", {"[]", "[2]"}, {0}},
    {"{'contains':{'const':1},'minContains':2,'maxContains':3}",
     {"[1,1]", "[1,0,1,1]"},
     {"[1]", "[1,1,1,1]"}},
    {"{'minItems':1,'maxItems':2}", {"[1]", "[1,2]"}, {"[]", "[1,2,3]"}},
    {"{'uniqueItems':true}",
     {"[1,2]", "[1,true]", "[{'a':1},{'a':2}]"},
     {"[1,1.0]", "[{'a':1,'b':2},{'b':2,'a':1}]"}},
    {"{'properties':{'a':{'type':'string'}}}", {"{}", "{'a':'x','b':1}", "7"}, {"{'a':1}"}},
    {"{'properties':{'a':true,'':false},'additionalProperties':false}",
     {"{}", "{'a':1}"},
     {"{'b':1}", "{'':1}", "{'A':1}"}},
    {"{'required':['a','b']}", {"{'a':1,'b':null}", "7"}, {"{}", "{'a':1}", "{'c':1,'d':2}"}},
    {"{'patternProperties':{'^x':{'type':'integer'}},'additionalProperties':false}",
     {"{'x1':1}"},
     {"{'x1':'a'}", "{'y':1}"}},
    {"{'propertyNames':{'maxLength':2}}", {"{}", "{'ab':1}"}, {"{'abc':1}"}},
    {"{'minProperties':1,'maxProperties':2}", {"{'a':1}", "{'a':1,'b':2}"}, {"{}", "{'a':1,'b':2,'c':3}"}},
    {"{'dependentRequired':{'a':['b']}}", {"{}", "{'b':1}", "{'a':1,'b':2}"}, {"{'a':1}"}},
    {"{'dependentSchemas':{'a':{'required':['b']}}}", {"{}", "{'a':1,'b':2}"}, {"{'a':1}"}},
    {"{'allOf':[{'minimum':1},{'maximum':3}]}", {"2"}, {"0", "4"}},
    {"{'anyOf':[{'type':'string'},{'minimum':3}]}", {"'x'", "3"}, {"2"}},
    {"{'oneOf':[{'minimum':1},{'maximum':3}]}", {"0", "4"}, {"2"}},
    {"{'not':{'type':'string'}}", {"1"}, {"'x'"}},
    {"{'if':{'minimum':5},'then':{'maximum':9},'else':{'const':1}}", {"5", "9", "1"}, {"10", "2"}},
    {"{'then':false,'else':false}", {"1"}, {0}},
    {"{'$ref':'#/$defs/a','$defs':{'a':{'type':'integer'}},'minimum':2}", {"2"}, {"1", "'x'"}},
    {"{'$ref':'#/$defs/a~1b~0%25','$defs':{'a/b~%':{'const':1}}}", {"1"}, {"2"}},
    {"{'$ref':'#/prefixItems/1','prefixItems':[true,{'type':'array'}]}", {"[]"}, {"{}"}},
    {"{'properties':{'next':{'$ref':'#'}},'additionalProperties':false}",
     {"{'next':{'next':{}}}"},
     {"{'next':{'x':1}}"}},
};

/* 'x' reads better than \"x\": the rows write one for the other. */
static const char *quoted(const char *row, char to[1024]) {
    (void)snprintf(to, 1024, "%s", row);
    for (char *c = to; *c; c++)
        if (*c == '\'')
            *c = '"';
    return to;
}

START_TEST(every_keyword_means_what_the_specification_says) {
    char rules[1024], value[1024], why[SCHEMA_WHY_MAX];
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        (void)quoted(verdicts[i].schema, rules);
        for (size_t k = 0; k < ARRAY_LEN(verdicts[i].good) && verdicts[i].good[k]; k++)
            ck_assert_msg(accepts(rules, quoted(verdicts[i].good[k], value), why), "%s: %s: %s", rules, value,
                          why);
        for (size_t k = 0; k < ARRAY_LEN(verdicts[i].bad) && verdicts[i].bad[k]; k++)
            ck_assert_msg(!accepts(rules, quoted(verdicts[i].bad[k], value), why), "%s: %s", rules, value);
    }
}
END_TEST

static const struct {
    const char *schema;
    const char *why;
} refusals[] = {
    {"{'format':'uuid'}", "/: keyword 'format' is not supported"},
    {"{'properties':{'lat':{'contentEncoding':'base64'}}}",
     "/properties/lat: keyword 'contentEncoding' is not supported"},
    {"{'allOf':[true,{'unevaluatedProperties':false}]}",
     "/allOf/1: keyword 'unevaluatedProperties' is not supported"},
    {"{'unevaluatedItems':false}", "/: keyword 'unevaluatedItems' is not supported"},
    {"{'$defs':{'a':{'$anchor':'x'}}}", "/$defs/a: keyword '$anchor' is not supported"},
    {"{'$dynamicRef':'#x'}", "/: keyword '$dynamicRef' is not supported"},
    {"{'$vocabulary':{}}", "/: keyword '$vocabulary' is not supported"},
    {"{'maxLenght':3}", "/: keyword 'maxLenght' is not supported"},
    {"{'$ref':'#/$defs/a','$defs':{'a':{'format':'x'}}}", "/$defs/a: keyword 'format' is not supported"},
    {"{'$ref':'other.json'}", "/: '$ref' to anything but '#' or '#/...' is not supported"},
    {"{'$ref':'#/$defs/nowhere'}", "/: '$ref' leads nowhere"},
    {"{'$ref':'#'}", "/: the schema refers to itself without end"},
    {"{'$defs':{'a':{'not':{'$ref':'#/$defs/b'}},'b':{'anyOf':[{'$ref':'#/$defs/a'}]}}}",
     "/$defs/a: the schema refers to itself without end"},
    {"{'items':{'$id':'x'}}", "/items: '$id' is supported at the root alone"},
    {"{'$schema':'http://json-schema.org/draft-07/schema#'}",
     "/: '$schema' must be https://json-schema.org/draft/2020-12/schema"},
    {"{'type':'float'}", "/: 'type' must be the name of a type, or an array of different ones"},
    {"{'minLength':-1}", "/: 'minLength' must be an integer, 0 or more"},
    {"{'maximum':'9'}", "/: 'maximum' must be a number"},
    {"{'multipleOf':0}", "/: 'multipleOf' must be a number above 0"},
    {"{'required':['a','a']}", "/: 'required' must be an array of different names"},
    {"{'properties':{'a':7}}", "/: 'properties' must hold a schema: an object, true or false"},
    {"{'allOf':[]}", "/: 'allOf' must be an array of schemas, not empty"},
    {"{'items':[true]}", "/: 'items' must hold a schema: an object, true or false"},
    {"{'pattern':'(a'}", "/: the pattern is refused: missing closing parenthesis"},
    {"{'pattern':'(a)\\\\1'}", "/: the pattern uses an escape that is not supported"},
    {"7", "/: a schema is an object, true or false"},
};

START_TEST(what_is_not_supported_is_refused_by_name_and_place) {
    char rules[1024];
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        CLEANUP(schema_freep) schema *s = NULL;
        char why[SCHEMA_WHY_MAX] = "";
        ck_assert_int_lt(compile(quoted(refusals[i].schema, rules), &s, why), 0);
        ck_assert_str_eq(why, refusals[i].why);
    }
}
END_TEST

static const struct {
    const char *schema;
    const char *value;
    const char *why;
} reasons[] = {
    {"{'properties':{'lat':{'maximum':90}}}", "{'lat':91}", "/lat: is above 90"},
    {"{'properties':{'lat':{'minimum':-90}}}", "{'lat':-91}", "/lat: is below -90"},
    {"{'properties':{'a':{'items':{'required':['b']}}}}", "{'a':[{'b':1},{}]}", "/a/1: has no 'b'"},
    {"{'additionalProperties':false}", "{'x':1}", "/x: is not a known member"},
    {"{'additionalProperties':false}", "{'a/b~\\n':1}", "/a~1b~0?: is not a known member"},
    {"{'type':'object'}", "7", "/: is not of the right type"},
    {"{'properties':{'t':{'maxLength':2}}}", "{'t':'secret'}", "/t: is too long"},
    {"{'properties':{'t':{'minLength':2}}}", "{'t':''}", "/t: is too short"},
    {"{'properties':{'t':{'pattern':'^x$'}}}", "{'t':'secret'}", "/t: is not in the required form"},
    {"{'properties':{'t':{'enum':['a']}}}", "{'t':'secret'}", "/t: is none of the values it may be"},
    {"{'anyOf':[{'required':['a']},{'required':['b']}]}", "{}", "/: fits none of the forms it may have"},
    {"{'not':{'required':['a']}}", "{'a':1}", "/: has a form it may not have"},
    {"{'if':{'required':['a']},'then':{'required':['b']}}", "{'a':1}", "/: has no 'b'"},
};

START_TEST(a_reason_says_where_and_what_but_never_the_value) {
    char rules[1024], value[1024], why[SCHEMA_WHY_MAX];
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        ck_assert(!accepts(quoted(reasons[i].schema, rules), quoted(reasons[i].value, value), why));
        ck_assert_str_eq(why, reasons[i].why);
        ck_assert_ptr_null(strstr(why, "secret"));
    }
}
END_TEST

START_TEST(a_reason_stays_utf8_however_long_the_names_are) {
    CLEANUP(buf_release) buf value = BUF(1 << 20);
    char why[SCHEMA_WHY_MAX];
    for (size_t depth = 1; depth < 20; depth++) {
        buf_clear(&value);
        for (size_t i = 0; i < depth; i++) {
            buf_add_text(&value, TEXT("{\"x"));
            for (size_t k = 0; k < 10 + depth; k++)
                buf_add_text(&value, TEXT("\xE4\xBD\xA0"));
            buf_add_text(&value, TEXT("\":"));
        }
        buf_add_char(&value, '1');
        for (size_t i = 0; i < depth; i++)
            buf_add_char(&value, '}');
        ck_assert_int_eq(buf_failed(&value), 0);
        ck_assert(
            !accepts("{\"type\":\"object\",\"additionalProperties\":{\"$ref\":\"#\"}}", value.ptr, why));
        ck_assert_msg(text_is_utf8(text_of(why)), "%s", why);
        ck_assert_ptr_nonnull(strstr(why, ": is not of the right type"));
    }
}
END_TEST

/* 2^40 paths through a schema of forty lines; and a value that would be compared with itself for minutes. */
START_TEST(endless_work_is_refused_also_below_not) {
    CLEANUP(buf_release) buf rules = BUF(1 << 20), value = BUF(1 << 20);
    char why[SCHEMA_WHY_MAX];
    buf_add_text(&rules, TEXT("{\"not\":{\"$ref\":\"#/$defs/d0\"},\"$defs\":{"));
    for (int i = 0; i < 20; i++)
        buf_printf(&rules, "\"d%d\":{\"anyOf\":[{\"$ref\":\"#/$defs/d%d\"},{\"$ref\":\"#/$defs/d%d\"}]},", i,
                   i + 1, i + 1);
    buf_add_text(&rules, TEXT("\"d20\":false}}"));
    ck_assert(!accepts(rules.ptr, "1", why));
    ck_assert_str_eq(why, "/: takes too much work to check");

    buf_add_text(&value, TEXT("[0"));
    for (int i = 1; i < 20000; i++)
        buf_printf(&value, ",%d", i);
    buf_add_char(&value, ']');
    ck_assert(!accepts("{\"uniqueItems\":true}", value.ptr, why));
    ck_assert_str_eq(why, "/: takes too much work to check");
}
END_TEST

START_TEST(a_pattern_cannot_take_endless_time) {
    char value[4100] = "\"", why[SCHEMA_WHY_MAX];
    memset(value + 1, 'a', 4000);
    (void)strncat(value, "!\"", 3);
    ck_assert(!accepts("{\"pattern\":\"^(a|aa|a?)+$\"}", value, why));
    ck_assert(!accepts("{\"not\":{\"pattern\":\"^(a|aa|a?)+$\"}}", value, why));
}
END_TEST

START_TEST(a_chain_of_schemas_has_an_end) {
    CLEANUP(buf_release) buf rules = BUF(1 << 20);
    CLEANUP(schema_freep) schema *s = NULL;
    char why[SCHEMA_WHY_MAX] = "";
    buf_add_text(&rules, TEXT("{\"$ref\":\"#/$defs/d0\",\"$defs\":{"));
    for (int i = 0; i < 3000; i++)
        buf_printf(&rules, "\"d%d\":{\"$ref\":\"#/$defs/d%d\"},", i, i + 1);
    buf_add_text(&rules, TEXT("\"d3000\":true}}"));
    ck_assert_int_lt(compile(rules.ptr, &s, why), 0);
    ck_assert_ptr_nonnull(strstr(why, "schemas are applied to one value"));
}
END_TEST

START_TEST(the_schema_does_not_need_its_text_any_more) {
    CLEANUP(schema_freep) schema *s = NULL;
    CLEANUP(json_freep) json *value = parse("{\"a\":\"x\"}");
    char why[SCHEMA_WHY_MAX] = "";
    json *root = parse("{\"properties\":{\"a\":{\"enum\":[\"x\"]}},\"required\":[\"a\"]}");
    ck_assert_int_eq(schema_compile(root, &s, why), 0);
    json_free(root);
    ck_assert(schema_accepts(s, value, NULL));
}
END_TEST

Suite *suite_schema(void) {
    Suite *s = suite_create("schema");
    TCase *t = tcase_create("all");
    tcase_add_test(t, every_keyword_means_what_the_specification_says);
    tcase_add_test(t, what_is_not_supported_is_refused_by_name_and_place);
    tcase_add_test(t, a_reason_says_where_and_what_but_never_the_value);
    tcase_add_test(t, a_reason_stays_utf8_however_long_the_names_are);
    tcase_add_test(t, endless_work_is_refused_also_below_not);
    tcase_add_test(t, a_pattern_cannot_take_endless_time);
    tcase_add_test(t, a_chain_of_schemas_has_an_end);
    tcase_add_test(t, the_schema_does_not_need_its_text_any_more);
    suite_add_tcase(s, t);
    return s;
}
