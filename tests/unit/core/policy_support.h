/* policy_support.h - ann, whose world the rows of policy tests are about, and how rows are checked. */
#ifndef MAYDAY_TESTS_POLICY_SUPPORT_H
#define MAYDAY_TESTS_POLICY_SUPPORT_H

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

static inline policy *parse(text source) {
    policy *p = NULL;
    policy_error error = {0};
    int fault = policy_parse(source, &p, &error);
    ck_assert_msg(fault == 0, "line %zu: %s", error.line, error.reason);
    return p;
}

static inline policy *shipped(void) {
    CLEANUP(buf_release) buf content = BUF(1 << 20);
    ck_assert_int_eq(file_read(SHIPPED, content.limit, &content), 0);
    return parse(buf_text(&content));
}

static inline membership *anns_world(void) {
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

static inline policy_subject ann_as(const policy *p, const char *role) {
    return (policy_subject){
        .org = TEXT("acme"), .sub = TEXT("ann"), .client = TEXT("ann:1"), .roles = policy_roles(p, &role, 1)};
}

static inline bool verdict(const policy *p, const membership *m, const policy_subject *who, char action,
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

static inline void check_rows(const policy *p, const row *rows, size_t count) {
    CLEANUP(membership_freep) membership *m = anns_world();
    for (size_t i = 0; i < count; i++) {
        policy_subject who = ann_as(p, rows[i].role);
        ck_assert_msg(verdict(p, m, &who, rows[i].action, text_of(rows[i].topic)) == rows[i].allowed,
                      "%s, %c, %s", rows[i].role, rows[i].action, rows[i].topic);
    }
}

#endif
