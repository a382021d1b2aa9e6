#include "core/plan.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/heap.h"

#define LEVEL "{\"after\":0,\"targets\":[{\"role\":\"dispatcher\"}]}"
#define ALL   "{\"name\":\"all\",\"levels\":[" LEVEL "]}"

static int parse(const char *spelled, plan **ret_plan, char why[PLAN_WHY_MAX]) {
    CLEANUP(json_freep) json *body = NULL;
    ck_assert_msg(json_parse_once(text_of(spelled), &body) == JSON_OK, "%s", spelled);
    why[0] = '\0';
    *ret_plan = NULL;
    return plan_parse(body, ret_plan, why);
}

static plan *parsed(const char *spelled) {
    char why[PLAN_WHY_MAX];
    plan *p;
    int fault = parse(spelled, &p, why);
    ck_assert_msg(fault == 0, "%s: %s", spelled, why);
    return p;
}

static const char whole[] =
    "{\"v\":1,\"policies\":["
    "{\"name\":\"night fire\",\"when\":{\"types\":[\"fire\",\"medical\"],\"priorities\":[\"critical\"]},"
    "\"levels\":[{\"after\":10,\"targets\":[{\"person\":\"zo\xc3\xab x\"},{\"nearest\":2,\"within\":900},"
    "{\"team\":\"Ward 3\"}],\"channels\":[\"voice\",\"sms\"],\"gap\":5,\"answer\":\"everyone\"},"
    "{\"after\":20,\"targets\":[{\"webhook\":\"pager\"},{\"family\":true},{\"role\":\"night-nurse\"}],"
    "\"answer\":\"anyone\"}],"
    "\"rounds\":3,\"pause\":60,\"forgotten_after\":0,\"family_follows\":false,"
    "\"exhausted\":[{\"person\":\"boss\"}]}," ALL "],"
    "\"webhooks\":{\"pager\":\"https://pager.example.org/in?x=1\"},\"trouble\":[{\"role\":\"admin\"}]}";

START_TEST(everything_a_plan_can_say_is_read) {
    CLEANUP(plan_freep) plan *p = parsed(whole);
    size_t trouble;
    ck_assert_uint_eq(plan_policies(p), 2);
    const policy *w = plan_policy(p, 0);
    ck_assert(text_equal(w->name, TEXT("night fire")) && plan_named(p, TEXT("night fire")) == w);
    ck_assert_uint_eq(w->types, plan_type(TEXT("fire")) | plan_type(TEXT("medical")));
    ck_assert_uint_eq(w->priorities, plan_priority(TEXT("critical")));
    ck_assert_uint_eq(w->level_count, 2);
    const plan_level *l = &w->levels[0];
    ck_assert_int_eq(l->after_ms, 10000);
    ck_assert_int_eq(l->gap_ms, 5000);
    ck_assert(l->everyone && l->target_count == 3);
    ck_assert(l->channels[0] == PLAN_VOICE && l->channels[1] == PLAN_SMS &&
              l->channels[2] == PLAN_BY_OWN_ORDER);
    ck_assert(l->targets[0].kind == PLAN_PERSON && text_equal(l->targets[0].name, TEXT("zo\xc3\xab x")));
    ck_assert(l->targets[1].kind == PLAN_NEAREST && l->targets[1].count == 2 && l->targets[1].metres == 900);
    ck_assert(l->targets[2].kind == PLAN_TEAM && text_equal(l->targets[2].name, TEXT("Ward 3")));
    ck_assert(w->levels[1].targets[0].kind == PLAN_WEBHOOK && w->levels[1].targets[1].kind == PLAN_FAMILY &&
              w->levels[1].targets[2].kind == PLAN_ROLE && !w->levels[1].everyone);
    ck_assert(w->rounds == 3 && w->pause_ms == 60000 && w->forgotten_ms == 0 && !w->family_follows);
    ck_assert(w->exhausted_count == 1 && text_equal(w->exhausted[0].name, TEXT("boss")));
    ck_assert(text_equal(plan_webhook(p, TEXT("pager"))->url, TEXT("https://pager.example.org/in?x=1")));
    ck_assert(!plan_webhook(p, TEXT("page")) && !plan_named(p, TEXT("night")) && !plan_policy(p, 2));
    ck_assert(plan_trouble(p, &trouble)->kind == PLAN_ROLE && trouble == 1);
}
END_TEST

START_TEST(what_is_missing_has_the_value_that_the_schema_says) {
    CLEANUP(plan_freep) plan *p = parsed("{\"v\":1,\"policies\":[" ALL "]}");
    size_t trouble;
    const policy *w = plan_policy(p, 0);
    ck_assert(w->types == 0 && w->priorities == 0 && w->rounds == 1 && w->pause_ms == 300000);
    ck_assert(w->forgotten_ms == 1800000 && w->family_follows && w->exhausted_count == 0);
    ck_assert(w->levels[0].gap_ms == 60000 && w->levels[0].channels[0] == PLAN_BY_OWN_ORDER);
    (void)plan_trouble(p, &trouble);
    ck_assert_uint_eq(trouble, 0);
}
END_TEST

START_TEST(the_first_policy_that_fits_is_chosen_and_there_always_is_one) {
    static const struct {
        const char *type, *priority, *policy;
    } rows[] = {
        {"fire", "critical", "fire"}, {"fire", "low", "fire"},     {"panic", "critical", "urgent"},
        {"panic", "high", "urgent"},  {"panic", "low", "any"},     {"flood", "critical", "urgent"},
        {"flood", "huge", "any"},     {"medical", "low", "quiet"}, {"medical", "high", "urgent"},
    };
    CLEANUP(plan_freep)
    plan *p = parsed(
        "{\"v\":1,\"policies\":["
        "{\"name\":\"fire\",\"when\":{\"types\":[\"fire\"]},\"levels\":[" LEVEL "]},"
        "{\"name\":\"urgent\",\"when\":{\"priorities\":[\"critical\",\"high\"]},\"levels\":[" LEVEL "]},"
        "{\"name\":\"quiet\",\"when\":{\"types\":[\"medical\"],\"priorities\":[\"low\"]},\"levels\":[" LEVEL
        "]},{\"name\":\"any\",\"when\":{},\"levels\":[" LEVEL "]}]}");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const policy *w = plan_choose(p, text_of(rows[i].type), text_of(rows[i].priority));
        ck_assert_msg(text_equal(w->name, text_of(rows[i].policy)), "%s %s", rows[i].type, rows[i].priority);
    }
}
END_TEST

#define POLICY(members)  "{\"v\":1,\"policies\":[{\"name\":\"a\",\"levels\":[" LEVEL "]" members "}]}"
#define LEVELS(levels)   "{\"v\":1,\"policies\":[{\"name\":\"a\",\"levels\":" levels "}]}"
#define ONE(members)     LEVELS("[{\"after\":0,\"targets\":[{\"person\":\"x\"}]" members "}]")
#define TARGETS(targets) LEVELS("[{\"after\":0,\"targets\":" targets "}]")

START_TEST(a_plan_that_is_none_is_refused_and_the_place_named) {
    static const struct {
        const char *spelled, *why;
    } rows[] = {
        {"[]", "must be an object"},
        {"{\"policies\":[" ALL "]}", "v: must be 1"},
        {"{\"v\":2,\"policies\":[" ALL "]}", "v: must be 1"},
        {"{\"v\":1}", "policies: must be a list of 1 to 64"},
        {"{\"v\":1,\"policies\":[]}", "policies: must be"},
        {"{\"v\":1,\"policies\":[" ALL "],\"x\":1}", "there is no 'x' here"},
        {"{\"v\":1,\"policies\":[4]}", "policies[0]: must be an object"},
        {"{\"v\":1,\"policies\":[{\"levels\":[" LEVEL "]}]}", "policies[0].name: is missing"},
        {"{\"v\":1,\"policies\":[{\"name\":\" a\",\"levels\":[" LEVEL "]}]}", "policies[0].name"},
        {"{\"v\":1,\"policies\":[{\"name\":\"all\",\"when\":{\"types\":[\"fire\"]},\"levels\":[" LEVEL
         "]}," ALL "]}",
         "policies[1].name: there are two called 'all'"},
        {"{\"v\":1,\"policies\":[{\"name\":\"b\",\"levels\":[" LEVEL "]}," ALL "]}",
         "policies[0]: fits every incident"},
        {POLICY(",\"when\":{\"types\":[\"fire\"]}"), "policies[0].when: the last policy must fit"},
        {POLICY(",\"when\":{\"types\":[\"flood\"]}"), "policies[0].when.types[0]: no such word"},
        {POLICY(",\"when\":{\"types\":[\"fire\",\"fire\"]}"), "policies[0].when.types[1]: is there twice"},
        {POLICY(",\"when\":{\"priorities\":[]}"), "policies[0].when.priorities: must be a list"},
        {POLICY(",\"when\":{\"days\":[]}"), "policies[0].when: there is no 'days' here"},
        {POLICY(",\"when\":7"), "policies[0].when: must be an object"},
        {POLICY(",\"rounds\":0"), "policies[0].rounds: must be an integer from 1 to 20"},
        {POLICY(",\"rounds\":\"2\""), "policies[0].rounds"},
        {POLICY(",\"pause\":9"), "policies[0].pause"},
        {POLICY(",\"pause\":null"), "policies[0].pause"},
        {POLICY(",\"forgotten_after\":604801"), "policies[0].forgotten_after"},
        {POLICY(",\"family_follows\":1"), "policies[0].family_follows: must be true or false"},
        {POLICY(",\"exhausted\":[]"), "policies[0].exhausted: must be a list"},
        {POLICY(",\"exhausted\":[{}]"), "policies[0].exhausted[0]: names nobody"},
        {LEVELS("[]"), "policies[0].levels: must be a list of 1 to 20"},
        {LEVELS("[7]"), "policies[0].levels[0]: must be an object"},
        {LEVELS("[{\"targets\":[{\"role\":\"x\"}]}]"), "policies[0].levels[0].after: is missing"},
        {LEVELS("[{\"after\":0}]"), "policies[0].levels[0].targets: is missing"},
        {LEVELS("[" LEVEL "," LEVEL "]"), "policies[0].levels[1].after: must be more than"},
        {LEVELS("[{\"after\":1.5,\"targets\":[{\"role\":\"x\"}]}]"), "policies[0].levels[0].after"},
        {ONE(",\"gap\":-1"), "policies[0].levels[0].gap"},
        {ONE(",\"channels\":[\"fax\"]"), "policies[0].levels[0].channels[0]: no such word"},
        {ONE(",\"channels\":[\"sms\",\"sms\"]"), "policies[0].levels[0].channels[1]: is there twice"},
        {ONE(",\"channels\":[]"), "policies[0].levels[0].channels: must be a list"},
        {ONE(",\"answer\":\"nobody\""), "policies[0].levels[0].answer"},
        {ONE(",\"wait\":1"), "policies[0].levels[0]: there is no 'wait' here"},
        {TARGETS("[]"), "policies[0].levels[0].targets: must be a list of 1 to 50"},
        {TARGETS("[{\"role\":\"x\"},{\"within\":50}]"), "policies[0].levels[0].targets[1]: names nobody"},
        {TARGETS("[{\"role\":\"x\",\"within\":50}]"), "targets[0].within: goes with 'nearest' alone"},
        {TARGETS("[{\"role\":\"x\",\"person\":\"y\"}]"), "targets[0]: is either a person or a role"},
        {TARGETS("[{\"role\":\"Chef\"}]"), "targets[0].role: is no name"},
        {TARGETS("[{\"role\":7}]"), "targets[0].role: is no name"},
        {TARGETS("[{\"person\":\"a/b\"}]"), "targets[0].person: is no name"},
        {TARGETS("[{\"person\":\"a\\u0085\"}]"), "targets[0].person: is no name"},
        {TARGETS("[{\"person\":\"\"}]"), "targets[0].person: is no name"},
        {TARGETS("[{\"team\":\"-\"}]"), "targets[0].team: is no name"},
        {TARGETS("[{\"nearest\":0}]"), "targets[0].nearest: must be an integer from 1 to 20"},
        {TARGETS("[{\"nearest\":1,\"within\":1}]"), "targets[0].within: must be an integer"},
        {TARGETS("[{\"family\":false}]"), "targets[0].family: is true, or not there"},
        {TARGETS("[{\"webhook\":\"w\"}]"), "targets[0].webhook: there is no webhook 'w'"},
        {TARGETS("[{\"everybody\":true}]"), "targets[0]: there is no 'everybody' here"},
        {"{\"v\":1,\"policies\":[" ALL "],\"webhooks\":{\"w\":\"ftp://x\"}}", "webhooks.w: must be an http"},
        {"{\"v\":1,\"policies\":[" ALL "],\"webhooks\":{\"w\":\"http://a b\"}}", "webhooks.w"},
        {"{\"v\":1,\"policies\":[" ALL "],\"webhooks\":{\"/\":\"http://a\"}}", "webhooks: '/' is no name"},
        {"{\"v\":1,\"policies\":[" ALL "],\"webhooks\":[]}", "webhooks: must be an object"},
        {"{\"v\":1,\"policies\":[" ALL "],\"trouble\":{}}", "trouble: must be a list"},
        {"{\"v\":1,\"policies\":[" ALL "],\"trouble\":[{\"nearest\":99}]}", "trouble[0].nearest"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char why[PLAN_WHY_MAX];
        plan *p;
        ck_assert_msg(parse(rows[i].spelled, &p, why) == -EBADMSG && !p, "taken: %s", rows[i].spelled);
        ck_assert_msg(strstr(why, rows[i].why) != NULL, "%s\nsaid: %s\nnot: %s", rows[i].spelled, why,
                      rows[i].why);
    }
}
END_TEST

START_TEST(a_plan_is_parsed_whole_or_not_at_all) {
    CLEANUP(json_freep) json *body = NULL;
    plan *p = NULL;
    int fault = -ENOMEM;
    long failures = 0;
    ck_assert(json_parse_once(text_of(whole), &body) == JSON_OK);
    for (; fault == -ENOMEM && failures < 200; failures++) {
        char why[PLAN_WHY_MAX];
        heap_allow(failures);
        fault = plan_parse(body, &p, why);
        (void)heap_allow_all();
        ck_assert(fault == -ENOMEM ? p == NULL : p != NULL);
    }
    ck_assert_int_eq(fault, 0);
    ck_assert_int_gt(failures, 20);
    (void)plan_free(p);
}
END_TEST

START_TEST(words_are_those_of_the_schema) {
    ck_assert_str_eq(plan_target_word(PLAN_PERSON), "person");
    ck_assert_str_eq(plan_target_word(PLAN_WEBHOOK), "webhook");
    ck_assert_str_eq(plan_channel_word(PLAN_MQTT), "mqtt");
    ck_assert_str_eq(plan_channel_word(PLAN_VOICE), "voice");
    ck_assert_uint_eq(plan_type(TEXT("panics")) | plan_priority(TEXT("lo")) | plan_type(TEXT("")), 0);
}
END_TEST

Suite *suite_plan(void) {
    Suite *s = suite_create("plan");
    TCase *c = tcase_create("plan");
    tcase_add_test(c, everything_a_plan_can_say_is_read);
    tcase_add_test(c, what_is_missing_has_the_value_that_the_schema_says);
    tcase_add_test(c, the_first_policy_that_fits_is_chosen_and_there_always_is_one);
    tcase_add_test(c, a_plan_that_is_none_is_refused_and_the_place_named);
    tcase_add_test(c, a_plan_is_parsed_whole_or_not_at_all);
    tcase_add_test(c, words_are_those_of_the_schema);
    suite_add_tcase(s, c);
    return s;
}
