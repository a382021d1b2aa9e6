/* What patterns grant: containment, placeholders, what others publish, the own organisation. */
#include "policy_support.h"

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

Suite *suite_policy_scope(void) {
    Suite *s = suite_create("policy_scope");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, several_roles_allow_what_any_of_them_allows);
    tcase_add_test(t, membership_is_asked_anew_each_time_and_none_means_no);
    tcase_add_test(t, each_placeholder_stands_for_its_relations_and_no_other);
    tcase_add_test(t, patterns_may_end_wide_and_a_subscription_may_be_narrower);
    tcase_add_test(t, subscribing_is_containment_and_reading_is_matching);
    tcase_add_test(t, what_others_publish_is_read_where_a_pattern_says_so_and_nothing_of_ours_with_it);
    tcase_add_test(t, what_is_granted_always_stands_under_the_own_organisation);
    suite_add_tcase(s, t);
    return s;
}
