#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/conf.h"
#include "core/policy.h"

#define MINE    "01932e6a-7b1c-7def-8123-456789abcdef" /* raised by ann */
#define TASK    "01932e6a-7b1c-7def-8123-456789abcde0" /* ann is assigned */
#define KIN     "01932e6a-7b1c-7def-8123-456789abcde1" /* ann is a family contact */
#define ALIEN   "01932e6a-7b1c-7def-8123-456789abcde2" /* nothing to do with ann */
#define GONE    "01932e6a-7b1c-7def-8123-456789abcde3" /* ann raised it and canceled it */
#define A       "mayday/v1/acme/alert/"
#define U       "mayday/v1/acme/user/"
#define ORG     "mayday/v1/acme/"
#define SHIPPED SOURCE_DIR "/mosquitto.conf.d/policy.conf"

static policy *parse(text source) {
    policy *p = NULL;
    policy_error error = {0};
    int fault = policy_parse(source, &p, &error);
    ck_assert_msg(fault == 0, "line %zu: %s", error.line, error.reason);
    return p;
}

static policy *shipped(void) {
    CLEANUP(buf_release) buf content = BUF(1 << 20);
    ck_assert_int_eq(file_read(SHIPPED, content.limit, &content), 0);
    return parse(buf_text(&content));
}

static membership *anns_world(void) {
    membership *m = membership_new(100);
    const text org = TEXT("acme"), ann = TEXT("ann");
    ck_assert_int_eq(membership_add(m, org, ADDRESS_ALERT, TEXT(MINE), ann, RELATION_RAISER), 0);
    ck_assert_int_eq(membership_add(m, org, ADDRESS_ALERT, TEXT(TASK), ann, RELATION_ASSIGNED), 0);
    ck_assert_int_eq(membership_add(m, org, ADDRESS_ALERT, TEXT(KIN), ann, RELATION_FAMILY), 0);
    ck_assert_int_eq(membership_add(m, org, ADDRESS_ALERT, TEXT(GONE), ann, RELATION_FORMER), 0);
    ck_assert_int_eq(membership_add(m, org, ADDRESS_ROOM, TEXT("north"), ann, RELATION_MEMBER), 0);
    ck_assert_int_eq(membership_add(m, TEXT("rival"), ADDRESS_ALERT, TEXT(ALIEN), ann, RELATION_RAISER), 0);
    return m;
}

static policy_subject ann_as(const policy *p, const char *role) {
    return (policy_subject){
        .org = TEXT("acme"), .sub = TEXT("ann"), .client = TEXT("ann:1"), .roles = policy_roles(p, &role, 1)};
}

static bool verdict(const policy *p, const membership *m, const policy_subject *who, char action,
                    text topic) {
    return action == 'p'   ? policy_may_publish(p, m, who, topic)
           : action == 'r' ? policy_may_read(p, m, who, topic)
                           : policy_may_subscribe(p, who, topic);
}

/* p publish, r read, s subscribe */
typedef struct row {
    const char *role;
    char action;
    const char *topic;
    bool allowed;
} row;

static void check_rows(const policy *p, const row *rows, size_t count) {
    CLEANUP(membership_freep) membership *m = anns_world();
    for (size_t i = 0; i < count; i++) {
        policy_subject who = ann_as(p, rows[i].role);
        ck_assert_msg(verdict(p, m, &who, rows[i].action, text_of(rows[i].topic)) == rows[i].allowed,
                      "%s, %c, %s", rows[i].role, rows[i].action, rows[i].topic);
    }
}

START_TEST(the_shipped_policy_says_who_publishes_and_who_reads) {
    static const row rows[] = {
        {"member", 'p', A ALIEN "/raise", true},
        {"member", 'r', A MINE "/raise", false},
        {"member", 'p', A MINE "/action", true},
        {"member", 'p', A MINE "/chat", true},
        {"member", 'p', A MINE "/typing", true},
        {"member", 'p', A MINE "/location", true},
        {"member", 'p', A MINE "/state", false},
        {"member", 'r', A MINE "/state", true},
        {"member", 'r', A TASK "/chat", true},
        {"member", 'p', A ALIEN "/action", false},
        {"member", 'p', A ALIEN "/chat", false},
        {"member", 'r', A ALIEN "/chat", false},
        {"member", 'r', A ALIEN "/state", false},
        {"member", 'r', A KIN "/state", false},
        {"member", 'r', A KIN "/chat", false},
        {"member", 'p', A TASK "/location", true},
        {"member", 'p', A KIN "/location", false},
        {"member", 'p', A MINE "/receipt", true},
        {"member", 'r', A MINE "/receipt", true},
        {"member", 'p', A ALIEN "/receipt", false},
        {"member", 'r', A ALIEN "/receipt", false},
        {"member", 'r', A MINE "/dispatch", false},
        {"member", 'r', A TASK "/dispatch", true},
        {"member", 'r', A KIN "/dispatch", false},
        {"member", 'r', A GONE "/dispatch", false},
        {"member", 'r', A GONE "/state", true},
        {"member", 'r', A GONE "/chat", false},
        {"member", 'r', A GONE "/action", false},
        {"member", 'r', A GONE "/receipt", false},
        {"member", 'p', A GONE "/chat", false},
        {"member", 'p', A GONE "/action", false},
        {"member", 'p', A GONE "/location", false},
        {"member", 'p', ORG "room/north/receipt", true},
        {"member", 'r', ORG "room/north/receipt", true},
        {"member", 'p', ORG "room/south/receipt", false},
        {"member", 'p', U "ann/receipt", true},
        {"member", 'p', U "bob/receipt", false},
        {"member", 'r', U "bob/receipt", false},
        {"member", 'p', U "ann/settings", true},
        {"member", 'r', U "ann/settings", false},
        {"member", 'p', U "bob/settings", false},
        {"member", 'p', U "ann/location", true},
        {"member", 'p', U "ann/vitals", true},
        {"member", 'p', U "ann/duty", true},
        {"member", 'p', U "ann/reply", true},
        {"member", 'p', U "ann/sync", true},
        {"member", 'p', U "ann/inbox", false},
        {"member", 'p', U "ann/presence", false},
        {"member", 'p', U "ann/rejected", false},
        {"member", 'p', U "bob/location", false},
        {"member", 'p', U "ann:1/location", false},
        {"member", 'r', U "ann/inbox", true},
        {"member", 'r', U "ann/check", true},
        {"member", 'r', U "ann/rejected", true},
        {"member", 'r', U "bob/inbox", false},
        {"member", 'r', U "bob/location", false},
        {"member", 'r', U "bob/vitals", false},
        {"member", 'p', U "bob/reply", false},
        {"member", 'r', U "ann/vital_alert", false},
        {"member", 'r', U "bob/vital_alert", false},
        {"member", 'r', ORG "role/member/broadcast", true},
        {"member", 'r', ORG "role/officer/broadcast", false},
        {"member", 'p', ORG "role/member/broadcast", false},
        {"member", 'p', ORG "room/north/chat", true},
        {"member", 'r', ORG "room/north/chat", true},
        {"member", 'r', ORG "room/south/chat", false},
        {"member", 'r', ORG "zone/park/event", false},
        {"member", 'r', ORG "gateway/g1/status", false},
        {"member", 'p', "$CONTROL/mayday/v1", false},
        {"member", 'r', "$SYS/broker/mayday/journal/lag", false},
        {"officer", 'p', A ALIEN "/raise", true},
        {"officer", 'r', ORG "role/officer/broadcast", true},
        {"officer", 'r', ORG "role/member/broadcast", false},
        {"officer", 'r', A ALIEN "/state", false},
        {"officer", 'r', A TASK "/dispatch", true},
        {"officer", 'r', A GONE "/state", true},
        {"responder", 'p', A ALIEN "/raise", false},
        {"responder", 'p', A TASK "/location", true},
        {"responder", 'p', A TASK "/action", true},
        {"responder", 'r', A TASK "/location", true},
        {"responder", 'r', A ALIEN "/location", false},
        {"responder", 'p', U "ann/duty", true},
        {"responder", 'r', A TASK "/dispatch", true},
        {"responder", 'r', A MINE "/dispatch", false},
        {"responder", 'r', A GONE "/state", true},
        {"dispatcher", 'r', A ALIEN "/dispatch", true},
        {"dispatcher", 'r', A TASK "/dispatch", true},
        {"dispatcher", 'r', A MINE "/dispatch", false},
        {"dispatcher", 'r', A GONE "/dispatch", false},
        {"dispatcher", 'r', A GONE "/state", true},
        {"dispatcher", 'r', A GONE "/action", false},
        {"dispatcher", 'r', A GONE "/raise", false},
        {"dispatcher", 'p', A GONE "/action", false},
        {"dispatcher", 'r', A MINE "/state", true},
        {"dispatcher", 'r', A MINE "/raise", true},
        {"dispatcher", 'r', A MINE "/chat", true},
        {"dispatcher", 'p', A MINE "/chat", true},
        {"dispatcher", 'p', A MINE "/location", true},
        {"dispatcher", 'r', A ALIEN "/typing", true},
        {"dispatcher", 'r', A ALIEN "/receipt", true},
        {"dispatcher", 'p', A ALIEN "/receipt", true},
        {"dispatcher", 'p', A ALIEN "/dispatch", false},
        {"dispatcher", 'r', U "bob/receipt", true},
        {"dispatcher", 'r', U "bob/settings", false},
        {"dispatcher", 'p', A ALIEN "/action", true},
        {"dispatcher", 'p', A ALIEN "/chat", true},
        {"dispatcher", 'p', A ALIEN "/raise", false},
        {"dispatcher", 'p', A ALIEN "/state", false},
        {"dispatcher", 'p', A ALIEN "/location", false},
        {"dispatcher", 'r', A ALIEN "/raise", true},
        {"dispatcher", 'r', A ALIEN "/state", true},
        {"dispatcher", 'r', A ALIEN "/location", true},
        {"dispatcher", 'r', U "bob/location", true},
        {"dispatcher", 'r', U "bob/vitals", true},
        {"dispatcher", 'r', U "bob/presence", true},
        {"dispatcher", 'r', U "bob/reply", true},
        {"dispatcher", 'r', U "bob/inbox", false},
        {"dispatcher", 'r', U "bob/rejected", false},
        {"dispatcher", 'r', U "ann/inbox", true},
        {"dispatcher", 'p', U "bob/check", true},
        {"dispatcher", 'p', U "bob/inbox", true},
        {"dispatcher", 'p', U "bob/location", false},
        {"dispatcher", 'p', U "bob/reply", true},
        {"dispatcher", 'p', U "bob/vital_alert", false},
        {"dispatcher", 'r', U "bob/vital_alert", true},
        {"dispatcher", 'p', ORG "role/officer/broadcast", true},
        {"dispatcher", 'r', ORG "role/officer/broadcast", false},
        {"dispatcher", 'r', ORG "room/south/chat", false},
        {"dispatcher", 'r', ORG "gateway/g1/status", true},
        {"dispatcher", 'p', ORG "zone/park/event", false},
        {"dispatcher", 'p', "$CONTROL/mayday/v1", false},
        {"supervisor", 'p', A ALIEN "/action", true},
        {"supervisor", 'r', A ALIEN "/raise", true},
        {"supervisor", 'r', A ALIEN "/dispatch", true},
        {"supervisor", 'r', A MINE "/dispatch", false},
        {"supervisor", 'r', A GONE "/state", true},
        {"supervisor", 'r', A GONE "/dispatch", false},
        {"supervisor", 'r', U "bob/receipt", true},
        {"supervisor", 'r', U "bob/vitals", true},
        {"supervisor", 'p', U "bob/inbox", true},
        {"supervisor", 'p', U "bob/check", false},
        {"supervisor", 'r', U "bob/reply", false},
        {"supervisor", 'p', U "bob/reply", false},
        {"supervisor", 'r', U "bob/vital_alert", true},
        {"supervisor", 'r', ORG "gateway/g1/status", false},
        {"family", 'r', A KIN "/state", true},
        {"family", 'r', A KIN "/location", true},
        {"family", 'r', A KIN "/chat", false},
        {"family", 'r', A KIN "/action", false},
        {"family", 'r', A MINE "/state", false},
        {"family", 'p', A KIN "/chat", false},
        {"family", 'p', A KIN "/raise", false},
        {"family", 'r', U "ann/rejected", true},
        {"family", 'r', U "bob/location", false},
        {"device", 'p', A ALIEN "/raise", true},
        {"device", 'p', A MINE "/location", true},
        {"device", 'p', A ALIEN "/location", false},
        {"device", 'p', A MINE "/action", false},
        {"device", 'r', A MINE "/state", true},
        {"device", 'r', A MINE "/chat", false},
        {"device", 'r', A GONE "/state", true},
        {"device", 'r', A TASK "/dispatch", false},
        {"device", 'p', U "ann/receipt", true},
        {"device", 'p', U "ann/settings", false},
        {"family", 'r', A KIN "/dispatch", false},
        {"family", 'p', U "ann/receipt", true},
        {"device", 'p', U "ann/vitals", true},
        {"device", 'p', U "ann/location", true},
        {"device", 'p', U "bob/vitals", false},
        {"device", 'r', U "ann/inbox", false},
        {"device", 'r', U "ann/rejected", true},
        {"gateway", 'p', A ALIEN "/state", true},
        {"gateway", 'p', A ALIEN "/dispatch", true},
        {"gateway", 'r', A ALIEN "/dispatch", true},
        {"gateway", 'r', "$SYS/broker/mayday/journal/records", true},
        {"gateway", 'r', "$SYS/broker/clients/total", false},
        {"gateway", 'p', U "bob/presence", true},
        {"gateway", 'p', U "bob/inbox", true},
        {"gateway", 'p', U "bob/check", true},
        {"gateway", 'p', U "bob/vitals", true},
        {"gateway", 'p', U "bob/vital_alert", true},
        {"gateway", 'p', ORG "zone/park/event", true},
        {"gateway", 'p', ORG "gateway/ann/status", true},
        {"gateway", 'p', ORG "gateway/other/status", false},
        {"gateway", 'p', A ALIEN "/raise", true},
        {"gateway", 'p', A ALIEN "/action", true},
        {"gateway", 'r', U "bob/sync", true},
        {"gateway", 'r', U "bob/inbox", false},
        {"gateway", 'p', "$CONTROL/mayday/v1", false},
        {"admin", 'p', "$CONTROL/mayday/v1", true},
        {"admin", 'p', "$CONTROL/mayday/v1/response", false},
        {"admin", 'r', "$CONTROL/mayday/v1/response", true},
        {"admin", 'p', "$CONTROL/dynamic-security/v1", false},
        {"admin", 'r', "$SYS/broker/mayday/journal/lag", true},
        {"admin", 'r', "$SYS/broker/clients/total", false},
        {"admin", 'p', "$SYS/broker/mayday/x", false},
        {"admin", 'r', ORG "gateway/g1/status", true},
        {"admin", 'r', A ALIEN "/state", false},
        {"admin", 'r', U "bob/location", false},
        {"admin", 'p', A ALIEN "/raise", false},
        {"nobody", 'p', A ALIEN "/raise", false},
        {"nobody", 'r', U "ann/inbox", false},
    };
    CLEANUP(policy_freep) policy *p = shipped();
    check_rows(p, rows, ARRAY_LEN(rows));
}
END_TEST

START_TEST(the_shipped_policy_lets_no_subscription_be_wider_than_its_role) {
    static const row rows[] = {
        {"member", 's', U "ann/inbox", true},
        {"member", 's', "$share/g/" U "ann/inbox", true},
        {"member", 's', U "bob/inbox", false},
        {"member", 's', U "+/inbox", false},
        {"member", 's', U "ann/+", false},
        {"member", 's', U "ann/#", false},
        {"member", 's', A "+/state", true},
        {"member", 's', A ALIEN "/state", true}, /* delivery decides */
        {"member", 's', A "+/raise", false},
        {"member", 's', A "+/+", false},
        {"member", 's', A "#", false},
        {"member", 's', A "+/state/#", false},
        {"member", 's', ORG "room/+/chat", true},
        {"member", 's', ORG "role/member/broadcast", true},
        {"member", 's', ORG "role/+/broadcast", false},
        {"member", 's', ORG "role/officer/broadcast", false},
        {"family", 's', A "+/state", true},
        {"family", 's', A "+/chat", false},
        {"dispatcher", 's', A "#", true},
        {"dispatcher", 's', A "+/#", true},
        {"dispatcher", 's', A "+/+", true},
        {"dispatcher", 's', A ALIEN "/#", true},
        {"dispatcher", 's', A "+/dispatch", true},
        {"dispatcher", 's', A "+/state/#", true},
        {"dispatcher", 's', U "#", false},
        {"supervisor", 's', A "#", true},
        {"gateway", 's', A "#", false},
        {"member", 's', A "+/dispatch", true}, /* delivery decides */
        {"family", 's', A "+/dispatch", false},
        {"device", 's', A "+/dispatch", false},
        {"dispatcher", 's', A "+/raise", true},
        {"dispatcher", 's', "$share/desk/" A "+/raise", true},
        {"dispatcher", 's', U "+/location", true},
        {"dispatcher", 's', U "bob/location", true},
        {"dispatcher", 's', U "+/inbox", false},
        {"admin", 's', "$SYS/broker/mayday/#", true},
        {"admin", 's', "$SYS/broker/mayday", true},
        {"admin", 's', "$SYS/broker/mayday/+/lag", true},
        {"admin", 's', "$SYS/broker/#", false},
        {"admin", 's', "$SYS/#", false},
        {"admin", 's', "$CONTROL/#", false},
        {"admin", 's', "$CONTROL/mayday/v1/response", true},
        {"admin", 's', "$CONTROL/mayday/v1/#", true},
    };
    static const char *const roles[] = {"member", "officer", "responder", "dispatcher", "supervisor",
                                        "family", "device",  "gateway",   "admin",      "nobody"};
    static const char *const never[] = {"#",
                                        "+",
                                        "+/+",
                                        "+/#",
                                        "/#",
                                        "mayday/#",
                                        "mayday/v1/#",
                                        "mayday/+/acme/alert/+/state",
                                        "+/v1/acme/alert/+/state",
                                        "mayday/v1/+/alert/+/state",
                                        "mayday/v1/+/user/ann/inbox",
                                        "mayday/v1/#",
                                        "mayday/v1/acme/#",
                                        "mayday/v1/acme/+/+/+",
                                        "mayday/v1/rival/user/ann/inbox",
                                        "mayday/v1/rival/#",
                                        "mayday/v1/rival/alert/+/state",
                                        "mayday/v2/acme/user/ann/inbox",
                                        "$share/g/#",
                                        "$share/g/mayday/v1/+/user/ann/inbox",
                                        "$share/g",
                                        "$share//" U "ann/inbox",
                                        "$share/+/" U "ann/inbox",
                                        "$share/g/$share/g/" U "ann/inbox",
                                        "$SYS/#",
                                        "$SYS/+",
                                        "+/broker/mayday/#",
                                        "$queue/" U "ann/inbox",
                                        "mayday/v1//user/ann/inbox",
                                        "",
                                        U "ann/inbox#",
                                        U "ann/#/x",
                                        "MAYDAY/v1/acme/user/ann/inbox",
                                        U "ann/inbox/",
                                        "/" U "ann/inbox"};
    CLEANUP(policy_freep) policy *p = shipped();
    check_rows(p, rows, ARRAY_LEN(rows));
    for (size_t r = 0; r < ARRAY_LEN(roles); r++)
        for (size_t i = 0; i < ARRAY_LEN(never); i++) {
            policy_subject who = ann_as(p, roles[r]);
            ck_assert_msg(!policy_may_subscribe(p, &who, text_of(never[i])), "%s, %s", roles[r], never[i]);
        }
}
END_TEST

START_TEST(no_role_reaches_another_organisation_or_root) {
    static const char *const topics[] = {"mayday/v1/rival/alert/" ALIEN "/raise",
                                         "mayday/v1/rival/alert/" ALIEN "/state",
                                         "mayday/v1/rival/user/ann/inbox",
                                         "mayday/v1/rival/user/ann/location",
                                         "mayday/v1//user/ann/inbox",
                                         "mayday/v1/acme2/user/ann/inbox",
                                         "mayday/v1/acm/user/ann/inbox",
                                         "mayday/v1/Acme/user/ann/inbox",
                                         "mayday/v1/acme",
                                         "mayday/v1",
                                         "mayday",
                                         "mayday/v1/acme/",
                                         "/mayday/v1/acme/user/ann/inbox",
                                         "mayday/v2/acme/user/ann/inbox",
                                         "other/v1/acme/user/ann/inbox",
                                         U "ann/inbox/",
                                         U "ann/inbox/more",
                                         U "/mayday",
                                         U "+/inbox",
                                         U "#",
                                         "#",
                                         "+",
                                         "",
                                         "/",
                                         "$SYS",
                                         "$SYS/broker/load",
                                         "$CONTROL/mayday",
                                         "$CONTROL/mayday/v2",
                                         "$share/g/" U "ann/inbox"};
    CLEANUP(policy_freep) policy *p = shipped();
    CLEANUP(membership_freep) membership *m = anns_world();
    ck_assert_uint_eq(policy_role_count(p), 9);
    for (size_t r = 0; r < policy_role_count(p); r++)
        for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
            policy_subject who = ann_as(p, policy_role_name(p, r));
            ck_assert_uint_eq(who.roles, UINT64_C(1) << r);
            ck_assert_msg(!policy_may_publish(p, m, &who, text_of(topics[i])), "%s", topics[i]);
            ck_assert_msg(!policy_may_read(p, m, &who, text_of(topics[i])), "%s", topics[i]);
        }
}
END_TEST

START_TEST(a_sessions_values_are_text_never_wildcards_or_paths) {
    CLEANUP(policy_freep)
    policy *p = parse(TEXT("role r\n"
                           " read mayday/v1/{org}/user/{sub}/inbox\n"
                           " read mayday/v1/{org}/client/{client}\n"
                           " read mayday/v1/{org}/role/{role}\n"
                           " read $SYS/{sub}\n"));
    static const struct {
        text org, sub, client;
        const char *topic;
    } rows[] = {
        {TEXT("+"), TEXT("ann"), TEXT("c"), "mayday/v1/+/user/ann/inbox"},
        {TEXT("+"), TEXT("ann"), TEXT("c"), "mayday/v1/acme/user/ann/inbox"},
        {TEXT("acme"), TEXT("+"), TEXT("c"), "mayday/v1/acme/user/+/inbox"},
        {TEXT("acme"), TEXT("+"), TEXT("c"), "mayday/v1/acme/user/bob/inbox"},
        {TEXT("acme"), TEXT("#"), TEXT("c"), "$SYS/#"},
        {TEXT("acme"), TEXT("ann"), TEXT("#"), "mayday/v1/acme/client/#"},
        {TEXT("acme/user"), TEXT("ann"), TEXT("c"), "mayday/v1/acme/user/user/ann/inbox"},
        {TEXT("acme"), TEXT("ann/x"), TEXT("c"), "mayday/v1/acme/user/ann/x/inbox"},
        {TEXT("acme"), TEXT(""), TEXT("c"), "mayday/v1/acme/user//inbox"},
        {TEXT("acme"), TEXT("ann"), TEXT(""), "mayday/v1/acme/client/"},
        {TEXT("acme"), TEXT("ann"), TEXT("c"), "mayday/v1/acme/role/"}, /* roles the policy doesn't have */
        {TEXT(""), TEXT("ann"), TEXT("c"), "mayday/v1//user/ann/inbox"},
        {TEXT(""), TEXT("ann"), TEXT("c"), "$SYS/ann"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        policy_subject who = {rows[i].org, rows[i].sub, rows[i].client, UINT64_MAX};
        ck_assert_msg(!policy_may_read(p, NULL, &who, text_of(rows[i].topic)), "read, row %zu", i);
        ck_assert_msg(!policy_may_subscribe(p, &who, text_of(rows[i].topic)), "subscribe, row %zu", i);
    }
    policy_subject good = {TEXT("acme"), TEXT("ann"), TEXT("c"), UINT64_MAX};
    ck_assert(policy_may_read(p, NULL, &good, TEXT("mayday/v1/acme/client/c")));
    ck_assert(policy_may_read(p, NULL, &good, TEXT("$SYS/ann")));
}
END_TEST

START_TEST(several_roles_allow_what_any_of_them_allows) {
    CLEANUP(policy_freep) policy *p = shipped();
    const char *names[] = {"member", "astronaut", "officer", "member"};
    policy_subject who = ann_as(p, "member");
    who.roles = policy_roles(p, names, ARRAY_LEN(names));
    ck_assert_int_eq(__builtin_popcountll(who.roles), 2);
    ck_assert(policy_may_read(p, NULL, &who, TEXT(ORG "role/officer/broadcast")));
    ck_assert(policy_may_read(p, NULL, &who, TEXT(ORG "role/member/broadcast")));
    ck_assert(!policy_may_read(p, NULL, &who, TEXT(ORG "role/astronaut/broadcast")));
    ck_assert_ptr_null(policy_role_name(p, policy_role_count(p)));
}
END_TEST

START_TEST(membership_is_asked_anew_each_time_and_none_means_no) {
    CLEANUP(policy_freep) policy *p = shipped();
    CLEANUP(membership_freep) membership *m = anns_world();
    policy_subject who = ann_as(p, "responder");
    const text chat = TEXT(A TASK "/chat");
    ck_assert(policy_may_read(p, m, &who, chat));
    membership_remove(m, TEXT("acme"), ADDRESS_ALERT, TEXT(TASK), TEXT("ann"));
    ck_assert(!policy_may_read(p, m, &who, chat));
    ck_assert_int_eq(
        membership_add(m, TEXT("acme"), ADDRESS_ALERT, TEXT(TASK), TEXT("ann"), RELATION_INVITED), 0);
    ck_assert(policy_may_read(p, m, &who, chat));
    ck_assert(!policy_may_read(p, NULL, &who, chat));
}
END_TEST

START_TEST(each_placeholder_stands_for_its_relations_and_no_other) {
    static const struct {
        const char *placeholder;
        const char *fits; /* of none, raiser, assigned, invited, family, member, former, past */
    } rows[] = {
        {"{member}", "01110100"},   {"{family}", "00001000"}, {"{raiser}", "01000000"},
        {"{assigned}", "00100000"}, {"{other}", "10111100"},  {"{former}", "00000010"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char source[96];
        (void)snprintf(source, sizeof source, "role r\nread mayday/v1/{org}/alert/%s/x\n",
                       rows[i].placeholder);
        CLEANUP(policy_freep) policy *p = parse(text_of(source));
        policy_subject who = ann_as(p, "r");
        for (relation r = RELATION_NONE; r <= RELATION_PAST; r++) {
            CLEANUP(membership_freep) membership *m = membership_new(1);
            if (r != RELATION_NONE)
                ck_assert_int_eq(membership_add(m, who.org, ADDRESS_ALERT, TEXT(MINE), who.sub, r), 0);
            ck_assert_msg(policy_may_read(p, m, &who, TEXT(A MINE "/x")) == (rows[i].fits[r] == '1'),
                          "%s, %s", rows[i].placeholder, relation_name(r));
        }
        ck_assert(policy_may_subscribe(p, &who, TEXT(A MINE "/x")));
        ck_assert(policy_may_subscribe(p, &who, TEXT(A "+/x")));
        ck_assert(!policy_may_subscribe(p, &who, TEXT(A "#")));
    }
}
END_TEST

START_TEST(patterns_may_end_wide_and_a_subscription_may_be_narrower) {
    CLEANUP(policy_freep)
    policy *p = parse(TEXT("role r\r\n"
                           "\tread\tmayday/v1/{org}/a/#\r\n"
                           "\tread mayday/v1/{org}/b/+/c/#  \r\n"
                           "\tread mayday/v1/{org}/o/{org}\r\n"));
    static const row rows[] = {
        {"r", 's', ORG "a/#", true},
        {"r", 's', ORG "a", true},
        {"r", 's', ORG "a/+/x/#", true},
        {"r", 's', ORG "+", false},
        {"r", 's', ORG "+/#", false},
        {"r", 's', ORG "b/#", false},
        {"r", 's', ORG "b/+/#", false},
        {"r", 's', ORG "b/+/c", true},
        {"r", 's', ORG "b/x/c/#", true},
        {"r", 's', ORG "b/+/+", false},
        {"r", 's', ORG "o/acme", true},
        {"r", 's', ORG "o/+", false},
        {"r", 's', ORG "o/rival", false},
        {"r", 'r', ORG "a", true},
        {"r", 'r', ORG "a/b/c/d/e", true},
        {"r", 'r', ORG "b//c", true},
        {"r", 'r', ORG "b/x/c/y", true},
        {"r", 'r', ORG "b/x", false},
        {"r", 'p', ORG "a/b", false},
        {"r", 'r', ORG "o/rival", false},
        {"r", 's', ORG "#", false},
        {"r", 'r', ORG "a/4/5/6/7/8/9/10/11/12/13/14/15", true},
        {"r", 'r', ORG "a/4/5/6/7/8/9/10/11/12/13/14/15/16", false},
    };
    check_rows(p, rows, ARRAY_LEN(rows));
}
END_TEST

/* Spells number `n` in the four level words, one digit a level; false behind the last of three levels. */
static bool spell(size_t n, buf *to) {
    static const char *const words[] = {"a", "b", "+", "#"};
    buf_clear(to);
    buf_add_text(to, TEXT(ORG));
    for (size_t level = 0; level < 3; level++) {
        buf_add_text(to, text_of(words[n % 4]));
        n /= 4;
        if (n == 0)
            return true;
        buf_add_char(to, '/');
        n -= 1;
    }
    return false;
}

/* Names below an organisation have three levels, so a filter that ends sooner in '#' means as many '+'. */
static void spell_out(text filter, buf *to) {
    size_t levels = 1;
    buf_clear(to);
    buf_add_text(to, filter);
    if (filter.ptr[filter.len - 1] != '#')
        return;
    for (size_t i = sizeof ORG - 1; i < filter.len; i++)
        levels += filter.ptr[i] == '/';
    buf_clear(to);
    buf_add_text(to, (text){filter.ptr, filter.len - 1});
    buf_add_char(to, '+');
    for (; levels < 3; levels++)
        buf_add_text(to, TEXT("/+"));
}

/* Every pattern against every filter and name of up to three levels behind the organisation. */
START_TEST(subscribing_is_containment_and_reading_is_matching) {
    enum {
        SPELLED = 84
    }; /* 4 + 4*4 + 4*4*4 */
    CLEANUP(buf_release) buf spelled = BUF(256), other = BUF(256), whole = BUF(256), source = BUF(512);
    size_t patterns = 0, granted = 0;
    for (size_t i = 0; spell(i, &spelled); i++) {
        if (!topic_filter_valid(buf_text(&spelled)))
            continue;
        const text tail = {spelled.ptr + sizeof ORG - 1, spelled.len - (sizeof ORG - 1)};
        buf_clear(&source);
        buf_printf(&source, "role r\nread mayday/v1/{org}/%.*s\n", (int)tail.len, tail.ptr);
        CLEANUP(policy_freep) policy *p = parse(buf_text(&source));
        policy_subject who = ann_as(p, "r");
        patterns++;
        for (size_t k = 0; spell(k, &other); k++) {
            const text pattern = buf_text(&spelled), t = buf_text(&other);
            spell_out(t, &whole);
            bool subscribe = topic_filter_valid(t) && topic_contains(pattern, buf_text(&whole));
            bool read = topic_name_valid(t) && topic_matches(pattern, t);
            ck_assert_msg(policy_may_subscribe(p, &who, t) == subscribe, "%s, %s", spelled.ptr, other.ptr);
            ck_assert_msg(policy_may_read(p, NULL, &who, t) == read, "%s, %s", spelled.ptr, other.ptr);
            granted += subscribe;
        }
    }
    ck_assert_uint_eq(patterns, 4 + 3 * 4 + 3 * 3 * 4); /* '#' stands last */
    ck_assert_uint_gt(granted, patterns);
}
END_TEST

START_TEST(every_parse_error_names_line_and_reason) {
#define R "role r\n"
    static const struct {
        const char *source;
        size_t line;
        const char *reason;
    } rows[] = {
        {"", 1, "the policy names no role"},
        {"# all gone\n\n", 3, "the policy names no role"},
        {"role", 1, "'role' needs a name"},
        {"role a/b", 1, "'a/b' can't name a role: no '/', '+', '#', '{', at most 128 bytes"},
        {"role {x}", 1, "'{x}' can't name a role: no '/', '+', '#', '{', at most 128 bytes"},
        {"role +", 1, "'+' can't name a role: no '/', '+', '#', '{', at most 128 bytes"},
        {"role a b", 1, "'b' is one word too many"},
        {R "role s\n\nrole r\n", 4, "role 'r' is there already, in line 1"},
        {"# x\nread mayday/v1/{org}/a\nrole r\n", 2, "there is no 'role' above this line"},
        {R "grant x\n", 2, "'grant' is none of role, publish, read"},
        {R "Read mayday/v1/{org}/a\n", 2, "'Read' is none of role, publish, read"},
        {R "read\n", 2, "'read' needs a pattern"},
        {R "publish # nothing\n", 2, "'nothing' is one word too many"},
        {R "read mayday/v1/{org}/a # mine\n", 2, "'#' is one word too many"},
        {R "read #\n", 2, "'#' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read +/+\n", 2, "'+/+' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read mayday/v1/{org}\n", 2,
         "'mayday/v1/{org}' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read mayday/v1/acme/a\n", 2,
         "'mayday/v1/acme/a' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read mayday/v1/{sub}/a\n", 2,
         "'mayday/v1/{sub}/a' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read $share/g/mayday/v1/{org}/a\n", 2,
         "'$share/g/mayday/v1/{org}/a' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read $CONTROL/mayday/v1x\n", 2,
         "'$CONTROL/mayday/v1x' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "publish $CONTROL/#\n", 2,
         "'$CONTROL/#' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "publish wearables/a\n", 2, "what is not below mayday/v1/{org}/ can only be read: 'wearables/a'"},
        {R "read {org}/a\n", 2,
         "'{org}/a' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read /a\n", 2, "'/a' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read mayday/v2/a\n", 2,
         "'mayday/v2/a' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/"},
        {R "read wearables/alert/{member}\n", 2,
         "{member} can only stand right behind mayday/v1/{org}/alert/ or mayday/v1/{org}/room/"},
        {R "read mayday/v1/+/a\n", 2,
         "'mayday/v1/+/a' would reach into other organisations: write mayday/v1/{org}/"},
        {R "read mayday/v1/#\n", 2,
         "'mayday/v1/#' would reach into other organisations: write mayday/v1/{org}/"},
        {R "\n\npublish $SYS/broker/x\n", 4, "what is below $SYS/ can only be read"},
        {R "read $SYS/\n", 2, "the pattern has an empty level"},
        {R "read $CONTROL/mayday/v1/\n", 2, "the pattern has an empty level"},
        {R "read mayday/v1/{org}/\n", 2, "the pattern has an empty level"},
        {R "read mayday/v1/{org}/a//b\n", 2, "the pattern has an empty level"},
        {R "read mayday/v1/{org}/#/b\n", 2, "'#' can only be the last level"},
        {R "read mayday/v1/{org}/a+\n", 2, "'a+': a wildcard stands alone between slashes"},
        {R "read mayday/v1/{org}/b#\n", 2, "'b#': a wildcard stands alone between slashes"},
        {R "read mayday/v1/{org}/{who}\n", 2,
         "'{who}' is none of {org} {sub} {client} {role} {member} {raiser} {assigned} {former} {family} "
         "{other}"},
        {R "read mayday/v1/{org}/x{sub}\n", 2,
         "'x{sub}' is none of {org} {sub} {client} {role} {member} {raiser} {assigned} {former} {family} "
         "{other}"},
        {R "read mayday/v1/{org}/sub}\n", 2,
         "'sub}' is none of {org} {sub} {client} {role} {member} {raiser} {assigned} {former} {family} "
         "{other}"},
        {R "read mayday/v1/{org}/user/{member}/x\n", 2,
         "{member} can only stand right behind mayday/v1/{org}/alert/ or mayday/v1/{org}/room/"},
        {R "read mayday/v1/{org}/{member}\n", 2,
         "{member} can only stand right behind mayday/v1/{org}/alert/ or mayday/v1/{org}/room/"},
        {R "read mayday/v1/{org}/x/alert/{member}\n", 2,
         "{member} can only stand right behind mayday/v1/{org}/alert/ or mayday/v1/{org}/room/"},
        {R "read mayday/v1/{org}/+/{member}\n", 2,
         "{member} can only stand right behind mayday/v1/{org}/alert/ or mayday/v1/{org}/room/"},
        {R "read $SYS/alert/{member}\n", 2,
         "{member} can only stand right behind mayday/v1/{org}/alert/ or mayday/v1/{org}/room/"},
        {R "read mayday/v1/{org}/room/{other}/x\n", 2,
         "{other} can only stand right behind mayday/v1/{org}/alert/"},
        {R "read mayday/v1/{org}/user/{raiser}/x\n", 2,
         "{raiser} can only stand right behind mayday/v1/{org}/alert/"},
        {R "read mayday/v1/{org}/{assigned}\n", 2,
         "{assigned} can only stand right behind mayday/v1/{org}/alert/"},
        {R "read mayday/v1/{org}/room/{former}\n", 2,
         "{former} can only stand right behind mayday/v1/{org}/alert/"},
        {R "read mayday/v1/{org}/room/{family}/x\n", 2,
         "{family} can only stand right behind mayday/v1/{org}/alert/"},
        {R "read mayday/v1/{org}/4/5/6/7/8/9/10/11/12/13/14/15/16/17\n", 2,
         "the pattern has more than 16 levels"},
        {R "read mayday/v1/{org}/a\x1B[2J\n", 2, "the line holds a control character or is not UTF-8"},
        {R "# \xFF\n", 2, "the line holds a control character or is not UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        policy *p = NULL;
        policy_error error = {0};
        ck_assert_msg(policy_parse(text_of(rows[i].source), &p, &error) == -EBADMSG, "%s", rows[i].source);
        ck_assert_ptr_null(p);
        ck_assert_str_eq(error.reason, rows[i].reason);
        ck_assert_msg(error.line == rows[i].line, "%s: line %zu", rows[i].source, error.line);
    }
}
END_TEST

START_TEST(sixty_four_roles_are_as_many_as_there_are_bits) {
    CLEANUP(buf_release) buf source = BUF(1 << 16);
    for (int i = 0; i < POLICY_ROLES_MAX; i++)
        buf_printf(&source, "role r%d\nread mayday/v1/{org}/only/r%d\n", i, i);
    CLEANUP(policy_freep) policy *p = parse(buf_text(&source));
    policy_subject who = ann_as(p, "r63");
    ck_assert_uint_eq(who.roles, UINT64_C(1) << 63);
    ck_assert(policy_may_read(p, NULL, &who, TEXT(ORG "only/r63")));
    ck_assert(!policy_may_read(p, NULL, &who, TEXT(ORG "only/r62")));
    buf_add_text(&source, TEXT("role last\n"));
    policy *none = NULL;
    policy_error error = {0};
    ck_assert_int_eq(policy_parse(buf_text(&source), &none, &error), -EBADMSG);
    ck_assert_str_eq(error.reason, "more than 64 roles");
    ck_assert_uint_eq(error.line, 129);
}
END_TEST

START_TEST(a_file_too_large_is_refused_unread) {
    CLEANUP(freep) char *large = calloc(1, (1 << 20) + 1);
    policy *p = NULL;
    policy_error error = {0};
    ck_assert_int_eq(policy_parse((text){large, (1 << 20) + 1}, &p, &error), -EBADMSG);
    ck_assert_str_eq(error.reason, "the policy is larger than 1048576 bytes");
}
END_TEST

START_TEST(what_others_publish_is_read_where_a_pattern_says_so_and_nothing_of_ours_with_it) {
    CLEANUP(policy_freep)
    policy *p = parse(TEXT("role r\nread wearables/{org}/+/data\nread owntracks/#\nread plain\nrole s\n"));
    static const struct {
        const char *topic;
        bool read, subscribe;
    } rows[] = {
        {"wearables/acme/ann/data", true, true},
        {"wearables/rival/ann/data", false, false},
        {"wearables/acme/+/data", false, true},
        {"wearables/+/+/data", false, false},
        {"wearables/acme/#", false, false},
        {"owntracks/a/b/c", true, true},
        {"owntracks/#", false, true},
        {"$share/g/owntracks/#", false, true},
        {"plain", true, true},
        {"other", false, false},
        {"#", false, false},
        {"+/#", false, false},
        {"+/acme/ann/data", false, false},
        {"mayday/v1/acme/user/ann/vitals", false, false},
        {"mayday/wearables", false, false},
        {"/owntracks/a", false, false},
    };
    policy_subject who = ann_as(p, "r"), nobody = ann_as(p, "s");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        text t = text_of(rows[i].topic);
        ck_assert_msg(policy_may_read(p, NULL, &who, t) == rows[i].read, "read %s", rows[i].topic);
        ck_assert_msg(policy_may_subscribe(p, &who, t) == rows[i].subscribe, "subscribe %s", rows[i].topic);
        ck_assert_msg(!policy_may_publish(p, NULL, &who, t), "publish %s", rows[i].topic);
        ck_assert_msg(!policy_may_read(p, NULL, &nobody, t), "role s: %s", rows[i].topic);
    }
}
END_TEST

/* A pattern of everything the parser lets through, and topics made of the pieces that could confuse it:
 * whatever is granted stands under the subject's own organisation or one of the exceptions. */
START_TEST(what_is_granted_always_stands_under_the_own_organisation) {
    static const char *const widest = "role r\n"
                                      "publish mayday/v1/{org}/#\nread mayday/v1/{org}/#\n"
                                      "publish mayday/v1/{org}/+/{sub}\nread mayday/v1/{org}/+/+/#\n"
                                      "publish $CONTROL/mayday/v1/#\nread $CONTROL/mayday/v1/#\n"
                                      "read $SYS/#\nread others/#\n";
    static const char *const pieces[] = {"mayday", "v1",  "acme",     "rival",  "+",      "#", "$SYS",  "",
                                         "alert",  "ann", "$CONTROL", "acme/x", "$share", "g", "others"};
    CLEANUP(policy_freep) policy *p = parse(text_of(widest));
    CLEANUP(membership_freep) membership *m = anns_world();
    policy_subject who = ann_as(p, "r");
    unsigned state = 3;
    size_t granted = 0;
    for (int i = 0; i < 300000; i++) {
        CLEANUP(buf_release) buf topic = BUF(512);
        for (int level = 0; level < 6; level++) {
            state = state * 1103515245u + 12345u;
            unsigned pick = state >> 16;
            if (level > 0)
                buf_add_char(&topic, '/');
            bool usual = level < 3 && pick % 4 != 0;
            size_t piece = usual ? (size_t)level : pick / 4 % ARRAY_LEN(pieces);
            buf_add_text(&topic, text_of(pieces[piece]));
            if (pick / 64 % 8 == 0)
                break;
        }
        text t = buf_text(&topic);
        bool publish = policy_may_publish(p, m, &who, t), read = policy_may_read(p, m, &who, t);
        bool subscribe = policy_may_subscribe(p, &who, t);
        text bare = t;
        if (topic_filter_valid(t))
            (void)topic_unshare(t, &bare);
        bool own =
            text_equal(bare, TEXT("mayday/v1/acme")) || text_starts_with(bare, TEXT("mayday/v1/acme/"));
        bool control = text_equal(bare, TEXT("$CONTROL/mayday/v1")) ||
                       text_starts_with(bare, TEXT("$CONTROL/mayday/v1/"));
        bool sys = text_equal(bare, TEXT("$SYS")) || text_starts_with(bare, TEXT("$SYS/"));
        bool others = text_equal(bare, TEXT("others")) || text_starts_with(bare, TEXT("others/"));
        sys |= others;
        ck_assert_msg(!publish || own || control, "published: %.*s", (int)t.len, t.ptr);
        ck_assert_msg(!read || own || control || sys, "read: %.*s", (int)t.len, t.ptr);
        ck_assert_msg(!subscribe || own || control || sys, "subscribed: %.*s", (int)t.len, t.ptr);
        ck_assert_msg(!(publish || read) || topic_name_valid(t), "no name: %.*s", (int)t.len, t.ptr);
        granted += publish || read || subscribe;
    }
    ck_assert_uint_gt(granted, 10000);
}
END_TEST

Suite *suite_policy(void) {
    Suite *s = suite_create("policy");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, the_shipped_policy_says_who_publishes_and_who_reads);
    tcase_add_test(t, the_shipped_policy_lets_no_subscription_be_wider_than_its_role);
    tcase_add_test(t, no_role_reaches_another_organisation_or_root);
    tcase_add_test(t, a_sessions_values_are_text_never_wildcards_or_paths);
    tcase_add_test(t, several_roles_allow_what_any_of_them_allows);
    tcase_add_test(t, membership_is_asked_anew_each_time_and_none_means_no);
    tcase_add_test(t, each_placeholder_stands_for_its_relations_and_no_other);
    tcase_add_test(t, patterns_may_end_wide_and_a_subscription_may_be_narrower);
    tcase_add_test(t, subscribing_is_containment_and_reading_is_matching);
    tcase_add_test(t, every_parse_error_names_line_and_reason);
    tcase_add_test(t, sixty_four_roles_are_as_many_as_there_are_bits);
    tcase_add_test(t, a_file_too_large_is_refused_unread);
    tcase_add_test(t, what_others_publish_is_read_where_a_pattern_says_so_and_nothing_of_ours_with_it);
    tcase_add_test(t, what_is_granted_always_stands_under_the_own_organisation);
    suite_add_tcase(s, t);
    return s;
}
