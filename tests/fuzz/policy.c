/* A topic on the first line, behind it any text as a policy: parsed or refused with a reason; and whatever a
 * parsed one grants stands under the subject's organisation or one of the exceptions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

static bool is_or_below(text topic, text root) {
    return text_starts_with(topic, root) && (topic.len == root.len || topic.ptr[root.len] == '/');
}

static bool is_foreign(text topic) {
    text rest = topic, first;
    return text_next(&rest, '/', &first) && first.len > 0 && first.ptr[0] != '$' &&
           !text_equal(first, TEXT("+")) && !text_equal(first, TEXT("#")) &&
           !text_equal(first, TEXT("mayday"));
}

static void check(const policy *p, const membership *m, text topic) {
    const policy_subject who = {TEXT("acme"), TEXT("ann"), TEXT("ann:1"), UINT64_MAX};
    bool own = is_or_below(topic, TEXT("mayday/v1/acme")) || is_or_below(topic, TEXT("$CONTROL/mayday/v1"));
    bool sys = is_or_below(topic, TEXT("$SYS"));
    text bare = topic;
    if (policy_may_publish(p, m, &who, topic))
        require(own);
    if (policy_may_read(p, m, &who, topic)) {
        require(own || sys || is_foreign(topic));
        require(policy_may_subscribe(p, &who, topic) || !topic_filter_valid(topic));
    }
    if (policy_may_subscribe(p, &who, topic)) {
        require(topic_filter_valid(topic) && topic_unshare(topic, &bare));
        require(is_or_below(bare, TEXT("mayday/v1/acme")) || is_or_below(bare, TEXT("$CONTROL/mayday/v1")) ||
                is_or_below(bare, TEXT("$SYS")) || is_foreign(bare));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(policy_freep) policy *p = NULL;
    CLEANUP(membership_freep) membership *m = membership_new(1);
    policy_error error = {0};
    text rest = {(const char *)data, size}, topic = TEXT("");
    (void)text_next(&rest, '\n', &topic);
    int fault = policy_parse(rest, &p, &error);
    if (fault == -EBADMSG)
        require(error.line > 0 && error.reason[0] != '\0' && memchr(error.reason, '\0', POLICY_WHY_MAX));
    if (fault < 0 || !m)
        return 0;
    require(policy_role_count(p) > 0 && policy_role_count(p) <= POLICY_ROLES_MAX);
    require(membership_add(m, TEXT("acme"), ADDRESS_ROOM, TEXT("north"), TEXT("ann"), RELATION_MEMBER) == 0);
    check(p, m, topic);
    check(p, m, TEXT("mayday/v1/acme/room/north/chat"));
    check(p, m, TEXT("mayday/v1/rival/room/north/chat"));
    check(p, m, TEXT("mayday/v1/+/room/north/chat"));
    return 0;
}
