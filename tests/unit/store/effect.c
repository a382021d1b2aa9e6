#include <check.h>
#include <stdlib.h>

#include "store/effect_inside.h"

static const struct {
    const char *elements[3];
    const char *array;
} arrays[] = {
    {{NULL}, "{}"},
    {{"ann"}, "{\"ann\"}"},
    {{"a,b", "{}", ""}, "{\"a,b\",\"{}\",\"\"}"},
    {{"say \"hi\"", "back\\slash", "NULL"}, "{\"say \\\"hi\\\"\",\"back\\\\slash\",\"NULL\"}"},
};

START_TEST(an_array_holds_its_elements_whatever_is_in_them) {
    CLEANUP(buf_release) buf b = BUF(1024);
    buf_add_char(&b, '{');
    for (size_t i = 0; i < ARRAY_LEN(arrays[_i].elements) && arrays[_i].elements[i]; i++)
        add_element(&b, text_of(arrays[_i].elements[i]));
    buf_add_char(&b, '}');
    ck_assert_str_eq(b.ptr, arrays[_i].array);
}
END_TEST

static const struct {
    const char *roles, *role;
    bool has;
} roles[] = {
    {"", "gateway", false},
    {"gateway", "gateway", true},
    {"member gateway officer", "gateway", true},
    {"gateways", "gateway", false},
    {"my-gateway", "gateway", false},
    {"supervisor dispatcher", "dispatcher", true},
};

START_TEST(a_role_is_held_by_its_whole_name) {
    ck_assert(has_role(text_of(roles[_i].roles), text_of(roles[_i].role)) == roles[_i].has);
}
END_TEST

START_TEST(who_says_too_much_says_nothing) {
    situation s = {0};
    ck_assert_ptr_null(say(&s, (text){0}));
    ck_assert(!s.mute);
    ck_assert_str_eq(say_number(&s, -5), "-5");
    for (size_t i = 1; i < SITUATION_WORDS; i++)
        ck_assert_str_eq(say(&s, TEXT("word")), "word");
    ck_assert_ptr_null(say(&s, TEXT("one too many")));
    ck_assert(s.mute);
    ck_assert_int_eq(ask(&s, "SELECT 1", 0, NULL, NULL), PG_RETRY);
    for (size_t i = 0; i < s.word_count; i++)
        free(s.words[i]);
}
END_TEST

START_TEST(a_guesser_is_listened_to_for_a_while) {
    load l = {.rules = {.pin_tries = 5}};
    situation s = {.l = &l};
    ck_assert(pin_listens(&s, 0) && pin_listens(&s, 19));
    ck_assert(!pin_listens(&s, 20));
}
END_TEST

Suite *suite_effect(void) {
    Suite *s = suite_create("effect");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, an_array_holds_its_elements_whatever_is_in_them, 0, ARRAY_LEN(arrays));
    tcase_add_loop_test(t, a_role_is_held_by_its_whole_name, 0, ARRAY_LEN(roles));
    tcase_add_test(t, who_says_too_much_says_nothing);
    tcase_add_test(t, a_guesser_is_listened_to_for_a_while);
    suite_add_tcase(s, t);
    return s;
}
