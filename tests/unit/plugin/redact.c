#include <check.h>
#include <string.h>
#include "plugin/redact.h"

static const msg_type *named(const char *name) {
    for (const msg_type *const *t = msg_types; *t; t++)
        if (strcmp((*t)->name, name) == 0)
            return *t;
    ck_abort_msg("no type %s", name);
}

START_TEST(what_others_see_holds_everything_but_the_pins) {
    static const struct {
        const char *type, *body, *shown; /* NULL: all of it */
    } rows[] = {
        {"action", "{\"v\":1,\"action\":\"cancel\",\"pin\":\"1234\",\"reason\":\"the pin is \\u00e9\"}",
         "{\"v\":1,\"action\":\"cancel\",\"reason\":\"the pin is \xC3\xA9\"}"},
        {"action", "{\"v\":1,\"action\":\"cancel\",\"pin\":\"1234\"}", "{\"v\":1,\"action\":\"cancel\"}"},
        {"action", "{\"v\":1,\"action\":\"acknowledge\",\"expected_version\":3}", NULL},
        {"settings", "{\"pin\":\"1234\",\"v\":1,\"duress_pin\":\"4321\",\"current_pin\":\"0000\"}",
         "{\"v\":1}"},
        {"settings", "{\"v\":1,\"family\":[\"bob\"],\"pin\":\"1234\"}", "{\"v\":1,\"family\":[\"bob\"]}"},
        {"reply", "{\"v\":1,\"answer\":\"ok\",\"pin\":\"1234\"}",
         "{\"v\":1,\"answer\":\"ok\",\"pinned\":true}"},
        {"reply", "{\"v\":1,\"answer\":\"ok\"}", NULL},
        {"alert_chat", "{\"v\":1,\"pin\":\"1234\"}",
         NULL}, /* not a type with secrets: its schema has no pin */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(json_freep) json *body = NULL;
        CLEANUP(buf_release) buf shown = BUF(4096);
        ck_assert_int_eq(json_parse_once(text_of(rows[i].body), &body), JSON_OK);
        ck_assert_msg(redact(named(rows[i].type), body, &shown) == (rows[i].shown != NULL), "row %zu", i);
        ck_assert_int_eq(buf_failed(&shown), 0);
        ck_assert_msg(text_equal(buf_text(&shown), text_of(rows[i].shown)), "row %zu: %s", i, shown.ptr);
    }
}
END_TEST

START_TEST(a_buffer_too_small_is_a_fault_and_not_a_shorter_text) {
    CLEANUP(json_freep) json *body = NULL;
    CLEANUP(buf_release) buf shown = BUF(4);
    ck_assert_int_eq(json_parse_once(TEXT("{\"action\":\"cancel\",\"pin\":\"1234\"}"), &body), JSON_OK);
    ck_assert(redact(named("action"), body, &shown));
    ck_assert_int_lt(buf_failed(&shown), 0);
}
END_TEST

Suite *suite_redact(void) {
    Suite *s = suite_create("redact");
    TCase *t = tcase_create("all");
    tcase_add_test(t, what_others_see_holds_everything_but_the_pins);
    tcase_add_test(t, a_buffer_too_small_is_a_fault_and_not_a_shorter_text);
    suite_add_tcase(s, t);
    return s;
}
