#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/settings.h"

typedef struct sample {
    char *name;
    bool loud;
    int64_t size, wait, count;
} sample;

static const conf_row rows[] = {
    {"a", "name", CONF_TEXT, offsetof(sample, name), 0, 0, "bob", "A name."},
    {"a", "loud", CONF_BOOL, offsetof(sample, loud), 0, 0, "no", "Loud?"},
    {"b", "size", CONF_SIZE, offsetof(sample, size), 1, 1 << 20, "4k", "A size."},
    {"b", "wait", CONF_DURATION, offsetof(sample, wait), 0, 0, "2s", "A wait."},
    {"b", "count", CONF_COUNT, offsetof(sample, count), 0, 9, "3", "A count."},
};
static const conf_table table = {rows, ARRAY_LEN(rows)};

static int load(const char *content, sample *ret, char *why) {
    char path[] = "/tmp/mayday-conf-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, content, strlen(content)), (int)strlen(content));
    close(fd);
    int fault = conf_load(&table, path, ret, why);
    unlink(path);
    return fault;
}

START_TEST(a_file_overrides_the_defaults) {
    sample s = {0};
    char why[CONF_WHY_MAX] = "";
    ck_assert_int_eq(load("[a]\nname = Ann ; a comment\n[b]\nsize=16k\nwait = 1500ms\n", &s, why), 0);
    ck_assert_str_eq(s.name, "Ann");
    ck_assert(!s.loud);
    ck_assert_int_eq(s.size, 16384);
    ck_assert_int_eq(s.wait, 1500);
    ck_assert_int_eq(s.count, 3);
    conf_release(&table, &s);
}
END_TEST

START_TEST(every_error_names_its_line) {
    static const struct {
        const char *content;
        const char *says;
    } bad[] = {
        {"[a]\nnmae = x\n", ":2: there is no key 'nmae' in section [a]"},
        {"[a]\n\nname = x\nname = y\n", ":4: 'name' in section [a] is set twice"},
        {"[b]\ncount = 12\n", ":2: 'count = 12' is out of range (0 to 9)"},
        {"[b]\nwait = 5\n", ":2: 'wait = 5' is not a duration"},
        {"[a]\nloud = maybe\n", ":2: 'loud = maybe' is not yes or no"},
        {"[a]\nhello\n", ":2: is neither"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        sample s = {0};
        char why[CONF_WHY_MAX] = "";
        ck_assert_int_lt(load(bad[i].content, &s, why), 0);
        ck_assert_msg(strstr(why, bad[i].says) != NULL, "%s", why);
    }
}
END_TEST

START_TEST(a_line_too_long_is_refused_not_cut) {
    char content[600], why[CONF_WHY_MAX] = "";
    sample s = {0};
    memset(content, 'x', sizeof content);
    memcpy(content, "[a]\nname = ", 11);
    content[sizeof content - 1] = '\0';
    ck_assert_int_eq(load(content, &s, why), -EMSGSIZE);
    ck_assert_ptr_nonnull(strstr(why, ":2: the line is longer"));
}
END_TEST

START_TEST(a_missing_file_is_named) {
    sample s = {0};
    char why[CONF_WHY_MAX] = "";
    ck_assert_int_eq(conf_load(&table, "/nonexistent/mayday.conf", &s, why), -ENOENT);
    ck_assert_ptr_nonnull(strstr(why, "/nonexistent/mayday.conf"));
}
END_TEST

Suite *suite_conf(void) {
    Suite *s = suite_create("conf");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_file_overrides_the_defaults);
    tcase_add_test(t, every_error_names_its_line);
    tcase_add_test(t, a_line_too_long_is_refused_not_cut);
    tcase_add_test(t, a_missing_file_is_named);
    suite_add_tcase(s, t);
    return s;
}
