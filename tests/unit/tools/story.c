#include <check.h>
#include <stdio.h>

#include "story.h"

static json *parsed(const char *text_) {
    json *root = NULL;
    ck_assert_int_eq(json_parse_once(text_of(text_), &root), JSON_OK);
    return root;
}

#define STATE(version, status, more)                                                                         \
    "{\"version\":" #version ",\"status\":\"" status                                                         \
    "\",\"type\":\"panic\",\"priority\":\"critical\",\"raised_by\":\"ann\"" more "}"

static const struct {
    const char *before, *now, *told;
} states[] = {
    {NULL, STATE(1, "active", ""), "version 1: active; critical panic of ann"},
    {NULL, STATE(1, "active", ",\"receipts\":{\"received\":\"x\",\"stored\":\"y\"}"),
     "version 1: active; critical panic of ann; received, stored"},
    {STATE(1, "active", ",\"receipts\":{\"received\":\"x\"}"),
     STATE(2, "active", ",\"receipts\":{\"received\":\"x\",\"stored\":\"y\"}"), "version 2: stored"},
    {STATE(2, "active", ""),
     STATE(3, "acknowledged", ",\"receipts\":{\"acknowledged\":{\"at\":\"x\",\"by\":\"dora\"}}"),
     "version 3: acknowledged by dora"},
    {STATE(3, "acknowledged", ",\"assigned\":[\"eve\"]"),
     STATE(4, "acknowledged", ",\"assigned\":[\"ben\",\"carl\"]"), "version 4: assigned +ben +carl -eve"},
    {STATE(4, "acknowledged", ""), STATE(5, "enroute", ",\"invited\":[\"eve\"]"),
     "version 5: en route; invited +eve"},
    {STATE(5, "enroute", ""), STATE(6, "on_scene", ""), "version 6: on scene"},
    {STATE(6, "on_scene", ""), STATE(7, "on_scene", ",\"presses\":3"), "version 7: pressed 3 times"},
    {STATE(7, "active", ",\"location\":{\"lat\":1,\"lon\":2}"),
     STATE(8, "active", ",\"location\":{\"lat\":1,\"lon\":3}"), "version 8: moved"},
    {STATE(8, "active", ""), STATE(9, "active", ",\"duress_at\":\"x\""),
     "version 9: UNDER DURESS: the phone shows 'canceled'"},
    {STATE(9, "active", ",\"escalation\":{\"level\":0}"),
     STATE(10, "active", ",\"escalation\":{\"level\":2}"), "version 10: escalated to level 2"},
    {NULL, STATE(1, "active", ",\"joined\":\"01a1fc25-cf3f-7dcc-8bba-8f284c9f3de2\""),
     "version 1: a repeated press; it joined ..4c9f3de2; active; critical panic of ann"},
    {STATE(3, "active", ""), STATE(4, "active", ""), "version 4: nothing new in this view"},
};

START_TEST(a_state_is_told_by_what_is_new_in_it) {
    CLEANUP(json_freep) json *before = states[_i].before ? parsed(states[_i].before) : NULL;
    CLEANUP(json_freep) json *now = parsed(states[_i].now);
    CLEANUP(buf_release) buf told = BUF(1024);
    story_state(before, now, &told);
    ck_assert_int_eq(buf_failed(&told), 0);
    ck_assert_str_eq(told.ptr, states[_i].told);
}
END_TEST

static const struct {
    const char *topic, *body, *told; /* NULL: it has no story of its own */
} messages[] = {
    {"mayday/v1/acme/user/ben/check", "{\"text\":\"Free?\",\"respond_within\":60}",
     "ben is asked: Free?  (within 60 s)"},
    {"mayday/v1/acme/user/ben/check", "{}", "ben is asked: are you OK?"},
    {"mayday/v1/acme/user/ben/timer", "{\"minutes\":30,\"text\":\"cold store\"}",
     "ben asks to be checked on in 30 minutes: cold store"},
    {"mayday/v1/acme/user/ben/timer", "{\"minutes\":5,\"repeat\":true}",
     "ben asks to be checked on every 5 minutes"},
    {"mayday/v1/acme/user/ben/timer", "{\"minutes\":0}", "ben need not be checked on any more"},
    {"mayday/v1/acme/user/ben/reply", "{\"answer\":\"ok\"}", "ben answers: ok"},
    {"mayday/v1/acme/user/ben/reply", "{\"answer\":\"text\",\"text\":\"soon\"}", "ben answers: text: soon"},
    {"mayday/v1/acme/user/ben/receipt",
     "{\"mark\":\"delivered\",\"of\":[\"01a1fc25-cf3f-7dcc-8bba-8f284c9f3de2\"]}",
     "ben: arrived: ..4c9f3de2"},
    {"mayday/v1/acme/alert/01a1fc25-cf3f-7dcc-8bba-8f284c9f3de2/receipt",
     "{\"mark\":\"read\",\"of\":[\"a\",\"b\"]}", "read: 2 messages"},
    {"mayday/v1/acme/user/ben/presence", "{\"connected\":true,\"duty\":\"on\"}", "ben is connected, duty on"},
    {"mayday/v1/acme/user/ben/presence", "{\"connected\":false}", "ben is away"},
    {"mayday/v1/acme/user/ben/rejected", "{\"code\":\"stale\",\"detail\":\"no\"}",
     "ben is refused: stale: no"},
    {"mayday/v1/acme/alert/01a1fc25-cf3f-7dcc-8bba-8f284c9f3de2/action",
     "{\"action\":\"assign\",\"person\":\"ben\"}", "assign: ben"},
    {"mayday/v1/acme/alert/01a1fc25-cf3f-7dcc-8bba-8f284c9f3de2/chat", "{\"text\":\"hello\"}", NULL},
    {"mayday/v1/acme/alert/01a1fc25-cf3f-7dcc-8bba-8f284c9f3de2/state", "[]", NULL},
};

START_TEST(a_message_is_told_as_who_and_what) {
    CLEANUP(story_freep) story *s = story_new();
    CLEANUP(json_freep) json *body = parsed(messages[_i].body);
    CLEANUP(buf_release) buf told = BUF(1024);
    address a;
    ck_assert(address_parse(text_of(messages[_i].topic), &a));
    ck_assert_int_eq(story_tell(s, &a, body, &told), messages[_i].told != NULL);
    if (messages[_i].told)
        ck_assert_str_eq(told.ptr, messages[_i].told);
    else
        ck_assert_uint_eq(told.len, 0);
}
END_TEST

static void tell(story *s, int incident, const char *body, const char *expected) {
    CLEANUP(json_freep) json *state = parsed(body);
    CLEANUP(buf_release) buf told = BUF(1024);
    char topic[128];
    address a;
    (void)snprintf(topic, sizeof topic, "mayday/v1/acme/alert/01a1fc25-cf3f-7dcc-8bba-%012x/dispatch",
                   (unsigned)incident);
    ck_assert(address_parse(text_of(topic), &a));
    ck_assert(story_tell(s, &a, state, &told));
    ck_assert_str_eq(told.ptr, expected);
}

START_TEST(each_incident_is_remembered_until_it_is_forgotten) {
    CLEANUP(story_freep) story *s = story_new();
    tell(s, 1, STATE(1, "active", ""), "version 1: active; critical panic of ann");
    tell(s, 2, STATE(4, "resolved", ""), "version 4: resolved; critical panic of ann");
    tell(s, 1, STATE(2, "enroute", ""), "version 2: en route");
    address a;
    ck_assert(address_parse(TEXT("mayday/v1/acme/alert/01a1fc25-cf3f-7dcc-8bba-000000000001/dispatch"), &a));
    story_forget(s, &a);
    tell(s, 1, STATE(3, "enroute", ""), "version 3: en route; critical panic of ann");
    tell(s, 2, STATE(5, "active", ""), "version 5: active");
}
END_TEST

START_TEST(of_too_many_incidents_the_one_told_longest_ago_is_forgotten) {
    CLEANUP(story_freep) story *s = story_new();
    for (int i = 0; i <= STORY_MAX; i++) {
        tell(s, i, STATE(1, "active", ""), "version 1: active; critical panic of ann");
        if (i == STORY_MAX - 1)
            tell(s, 0, STATE(2, "active", ""), "version 2: nothing new in this view");
    }
    tell(s, 0, STATE(3, "active", ""), "version 3: nothing new in this view");
    tell(s, 1, STATE(2, "active", ""), "version 2: active; critical panic of ann");
}
END_TEST

Suite *suite_story(void) {
    Suite *s = suite_create("story");
    TCase *c = tcase_create("story");
    tcase_add_loop_test(c, a_state_is_told_by_what_is_new_in_it, 0, (int)ARRAY_LEN(states));
    tcase_add_loop_test(c, a_message_is_told_as_who_and_what, 0, (int)ARRAY_LEN(messages));
    tcase_add_test(c, each_incident_is_remembered_until_it_is_forgotten);
    tcase_add_test(c, of_too_many_incidents_the_one_told_longest_ago_is_forgotten);
    suite_add_tcase(s, c);
    return s;
}
