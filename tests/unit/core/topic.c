#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "core/topic.h"

START_TEST(names_and_filters_are_valid_as_mqtt_has_it) {
    static const struct {
        text t;
        bool name, filter;
    } rows[] = {
        {TEXT("a"), true, true},
        {TEXT("/"), true, true},
        {TEXT("a//b/"), true, true},
        {TEXT("$SYS/x"), true, true},
        {TEXT("r\xC3\xA9seau"), true, true},
        {TEXT(""), false, false},
        {TEXT("a\0b"), false, false},
        {TEXT("a/\xC0\xAF"), false, false},
        {TEXT("+"), false, true},
        {TEXT("#"), false, true},
        {TEXT("a/+/b/#"), false, true},
        {TEXT("+/+"), false, true},
        {TEXT("a+"), false, false},
        {TEXT("a/+b"), false, false},
        {TEXT("a/b#"), false, false},
        {TEXT("a/#/b"), false, false},
        {TEXT("#/"), false, false},
        {TEXT("##"), false, false},
        {TEXT("$share/g/a/#"), false, true},
        {TEXT("$share/g/a"), true, true},
        {TEXT("$share/g//"), true, true},
        {TEXT("$share"), true, false},
        {TEXT("$share/"), true, false},
        {TEXT("$share/g"), true, false},
        {TEXT("$share/g/"), true, false},
        {TEXT("$share//a"), true, false},
        {TEXT("$share/+/a"), false, false},
        {TEXT("$share/g#/a"), false, false},
        {TEXT("$share/g/a/#/b"), false, false},
        {TEXT("$shared/x"), true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ck_assert_msg(topic_name_valid(rows[i].t) == rows[i].name, "name, row %zu", i);
        ck_assert_msg(topic_filter_valid(rows[i].t) == rows[i].filter, "filter, row %zu", i);
    }
}
END_TEST

START_TEST(a_topic_ends_at_65535_bytes) {
    CLEANUP(freep) char *bytes = malloc(TOPIC_MAX + 1);
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'x', TOPIC_MAX + 1);
    ck_assert(topic_name_valid((text){bytes, TOPIC_MAX}));
    ck_assert(topic_filter_valid((text){bytes, TOPIC_MAX}));
    ck_assert(!topic_name_valid((text){bytes, TOPIC_MAX + 1}));
    ck_assert(!topic_filter_valid((text){bytes, TOPIC_MAX + 1}));
}
END_TEST

START_TEST(a_level_names_something_without_wildcards_or_controls) {
    static const struct {
        text t;
        bool good;
    } rows[] = {
        {TEXT("ann"), true},        {TEXT("ann:watch"), true}, {TEXT("J\xC3\xBCrgen"), true},
        {TEXT("$x"), true},         {TEXT("a b"), true},       {TEXT("\xC2\xA0"), true},
        {TEXT(""), false},          {TEXT("a/b"), false},      {TEXT("+"), false},
        {TEXT("a#"), false},        {TEXT("a\nb"), false},     {TEXT("\x7F"), false},
        {TEXT("a\xC2\x85"), false}, {TEXT("a\0"), false},      {TEXT("\xFF"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_msg(topic_level_valid(rows[i].t) == rows[i].good, "row %zu", i);
    char bytes[TOPIC_LEVEL_MAX + 1];
    memset(bytes, 'x', sizeof bytes);
    ck_assert(topic_level_valid((text){bytes, TOPIC_LEVEL_MAX}));
    ck_assert(!topic_level_valid((text){bytes, TOPIC_LEVEL_MAX + 1}));
}
END_TEST

START_TEST(matching_follows_the_examples_of_the_standard) {
    static const struct {
        const char *filter, *name;
        bool matches;
    } rows[] = {
        {"sport/tennis/player1/#", "sport/tennis/player1", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"sport/tennis/player1/#", "sport/tennis/player2", false},
        {"sport/#", "sport", true},
        {"sport/#", "sports", false},
        {"#", "a", true},
        {"#", "/", true},
        {"sport/tennis/+", "sport/tennis/player1", true},
        {"sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"sport/+", "sport", false},
        {"sport/+", "sport/", true},
        {"+/+", "/finance", true},
        {"/+", "/finance", true},
        {"+", "/finance", false},
        {"#", "$SYS/x", false},
        {"+/x", "$SYS/x", false},
        {"$SYS/#", "$SYS/x", true},
        {"$SYS/#", "$SYS", true},
        {"a/+", "a/$b", true},
        {"A", "a", false},
        {"a", "a/", false},
        {"a/", "a", false},
        {"a/+/#", "a", false},
        {"a/+/#", "a/b", true},
        {"+/#", "a", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_msg(topic_matches(text_of(rows[i].filter), text_of(rows[i].name)) == rows[i].matches,
                      "%s, %s", rows[i].filter, rows[i].name);
}
END_TEST

START_TEST(containment_knows_the_tricky_cases) {
    static const struct {
        const char *outer, *inner;
        bool contains;
    } rows[] = {
        {"a/#", "a", true},        {"a/+/#", "a/#", false},    {"a/+/#", "a/b", true},
        {"a/+/#", "a/+", true},    {"a/#", "a/+/#", true},     {"#", "$SYS/#", false},
        {"#", "+/x", true},        {"+/x", "$SYS/x", false},   {"+/#", "#", true},
        {"#", "+/#", true},        {"$SYS/#", "$SYS", true},   {"$SYS/#", "#", false},
        {"a/+", "a/$b", true},     {"a/b", "a/+", false},      {"+", "a/b", false},
        {"a/+/c", "a/b/#", false}, {"a/+/c/#", "a/+/c", true}, {"+/+/#", "#", false},
        {"a/#", "b/#", false},     {"/+/#", "/#", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_msg(topic_contains(text_of(rows[i].outer), text_of(rows[i].inner)) == rows[i].contains,
                      "%s, %s", rows[i].outer, rows[i].inner);
}
END_TEST

#define SPELLED_MAX 4096

/* Texts, each to free(). */
typedef struct spellings {
    char *texts[SPELLED_MAX];
    size_t count;
} spellings;

/* Adds every text of up to `depth` levels from `levels`, behind `before`. */
static void spell(spellings *to, const char *const *levels, size_t n_levels, size_t depth, text before) {
    for (size_t i = 0; i < n_levels; i++) {
        CLEANUP(buf_release) buf b = BUF(256);
        if (before.ptr) {
            buf_add_text(&b, before);
            buf_add_char(&b, '/');
        }
        buf_add_text(&b, text_of(levels[i]));
        ck_assert_int_eq(buf_failed(&b), 0);
        if (buf_text(&b).len > 0) {
            ck_assert_uint_lt(to->count, SPELLED_MAX);
            to->texts[to->count++] = text_copy(buf_text(&b));
        }
        if (depth > 1)
            spell(to, levels, n_levels, depth - 1, b.ptr ? buf_text(&b) : TEXT(""));
    }
}

static void spellings_release(spellings *s) {
    for (size_t i = 0; i < s->count; i++)
        free(s->texts[i]);
}

#define WORDS (SPELLED_MAX / 64)

/* All filters of up to four levels against all names of up to five: one level more than any filter has, and
 * one level, z, that no filter spells, so a difference between two filters always has a witness here. */
START_TEST(containment_is_exactly_what_brute_force_finds) {
    static const char *const filter_levels[] = {"a", "$a", "", "+", "#"};
    static const char *const name_levels[] = {"a", "$a", "", "z"};
    static spellings spelled, names;
    static uint64_t matched[SPELLED_MAX][WORDS];
    static const char *filters[SPELLED_MAX];
    size_t n_filters = 0;

    spell(&spelled, filter_levels, ARRAY_LEN(filter_levels), 4, (text){0});
    spell(&names, name_levels, ARRAY_LEN(name_levels), 5, (text){0});
    for (size_t i = 0; i < spelled.count; i++)
        if (topic_filter_valid(text_of(spelled.texts[i])))
            filters[n_filters++] = spelled.texts[i];
    ck_assert_uint_gt(n_filters, 400);
    ck_assert_uint_gt(names.count, 1300);
    for (size_t f = 0; f < n_filters; f++)
        for (size_t n = 0; n < names.count; n++)
            if (topic_matches(text_of(filters[f]), text_of(names.texts[n])))
                matched[f][n / 64] |= UINT64_C(1) << n % 64;
    for (size_t outer = 0; outer < n_filters; outer++)
        for (size_t inner = 0; inner < n_filters; inner++) {
            bool expected = true;
            for (size_t w = 0; w < WORDS; w++)
                expected = expected && (matched[inner][w] & ~matched[outer][w]) == 0;
            bool got = topic_contains(text_of(filters[outer]), text_of(filters[inner]));
            ck_assert_msg(got == expected, "does %s contain %s? said %d", filters[outer], filters[inner],
                          got);
        }
    spellings_release(&spelled);
    spellings_release(&names);
}
END_TEST

START_TEST(a_shared_filter_is_looked_at_behind_its_group) {
    text filter = {0};
    ck_assert(topic_unshare(TEXT("$share/g/a/+"), &filter));
    ck_assert(text_equal(filter, TEXT("a/+")));
    ck_assert(topic_unshare(TEXT("a/+"), &filter));
    ck_assert(text_equal(filter, TEXT("a/+")));
    ck_assert(topic_unshare(TEXT("$share/g//"), &filter));
    ck_assert(text_equal(filter, TEXT("/")));
    static const char *const malformed[] = {"$share",    "$share/",   "$share/g",
                                            "$share/g/", "$share//a", "$share/+/a"};
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++)
        ck_assert_msg(!topic_unshare(text_of(malformed[i]), &filter), "%s", malformed[i]);
}
END_TEST

#define ALERT "01932e6a-7b1c-7def-8123-456789abcdef"

START_TEST(an_address_has_exactly_six_good_levels) {
    address a = {0};
    ck_assert(address_parse(TEXT("mayday/v1/acme/alert/" ALERT "/raise"), &a));
    ck_assert_int_eq(a.family, ADDRESS_ALERT);
    ck_assert(text_equal(a.org, TEXT("acme")));
    ck_assert(text_equal(a.id, TEXT(ALERT)));
    ck_assert(text_equal(a.leaf, TEXT("raise")));
    static const struct {
        const char *name;
        address_family family;
    } rows[] = {
        {"mayday/v1/acme/user/ann/inbox", ADDRESS_USER},
        {"mayday/v1/acme/role/officer/broadcast", ADDRESS_ROLE},
        {"mayday/v1/acme/room/north/chat", ADDRESS_ROOM},
        {"mayday/v1/acme/zone/park/event", ADDRESS_ZONE},
        {"mayday/v1/acme/gateway/g1/status", ADDRESS_GATEWAY},
        {"mayday/v1/acme/none/x/y", ADDRESS_NONE},
        {"mayday/v1/acme/alert/42/raise", ADDRESS_NONE},
        {"mayday/v1/acme/alert/01932E6A-7B1C-7DEF-8123-456789ABCDEF/raise", ADDRESS_NONE},
        {"mayday/v1/acme/alert/01932e6a-7b1c-4def-8123-456789abcdef/raise", ADDRESS_NONE},
        {"mayday/v2/acme/user/ann/inbox", ADDRESS_NONE},
        {"Mayday/v1/acme/user/ann/inbox", ADDRESS_NONE},
        {"mayday/v1//user/ann/inbox", ADDRESS_NONE},
        {"mayday/v1/acme/user//inbox", ADDRESS_NONE},
        {"mayday/v1/acme/user/ann/", ADDRESS_NONE},
        {"mayday/v1/acme/user/ann", ADDRESS_NONE},
        {"mayday/v1/acme/user/ann/inbox/", ADDRESS_NONE},
        {"mayday/v1/acme/user/ann/inbox/more", ADDRESS_NONE},
        {"mayday/v1/acme/user/a\x01/inbox", ADDRESS_NONE},
        {"mayday/v1/", ADDRESS_NONE},
        {"mayday/v1", ADDRESS_NONE},
        {"", ADDRESS_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        a = (address){0};
        bool is_one = address_parse(text_of(rows[i].name), &a);
        ck_assert_msg(is_one == (rows[i].family != ADDRESS_NONE), "%s", rows[i].name);
        ck_assert_msg(a.family == rows[i].family, "%s", rows[i].name);
    }
}
END_TEST

Suite *suite_topic(void) {
    Suite *s = suite_create("topic");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, names_and_filters_are_valid_as_mqtt_has_it);
    tcase_add_test(t, a_topic_ends_at_65535_bytes);
    tcase_add_test(t, a_level_names_something_without_wildcards_or_controls);
    tcase_add_test(t, matching_follows_the_examples_of_the_standard);
    tcase_add_test(t, containment_knows_the_tricky_cases);
    tcase_add_test(t, containment_is_exactly_what_brute_force_finds);
    tcase_add_test(t, a_shared_filter_is_looked_at_behind_its_group);
    tcase_add_test(t, an_address_has_exactly_six_good_levels);
    suite_add_tcase(s, t);
    return s;
}
