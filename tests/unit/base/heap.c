#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/conf.h"
#include "base/json.h"
#include "support/heap.h"

START_TEST(a_buffer_that_finds_no_memory_keeps_what_it_has_and_says_so) {
    CLEANUP(buf_release) buf b = BUF(1 << 16);
    char block[1000];
    memset(block, 'x', sizeof block);
    buf_add_text(&b, TEXT("kept"));
    heap_allow(0);
    buf_add(&b, block, sizeof block);
    buf_add_u64be(&b, 7); /* would fit, but the chain is broken */
    char *stolen = buf_steal(&b);
    ck_assert_int_eq(heap_allow_all(), 1);
    ck_assert_ptr_null(stolen);
    ck_assert_int_eq(buf_failed(&b), -ENOMEM);
    ck_assert_str_eq(b.ptr, "kept");
    buf_clear(&b);
    buf_add(&b, block, sizeof block);
    ck_assert_int_eq(buf_failed(&b), 0);
    ck_assert_uint_eq(b.len, sizeof block);
}
END_TEST

START_TEST(printing_into_a_buffer_fails_as_adding_does) {
    CLEANUP(buf_release) buf b = BUF(4096);
    heap_allow(0);
    buf_printf(&b, "%d bottles", 99);
    text left = buf_text(&b);
    (void)heap_allow_all();
    ck_assert_int_eq(buf_failed(&b), -ENOMEM);
    ck_assert_uint_eq(left.len, 0);
}
END_TEST

START_TEST(a_text_is_copied_or_not) {
    heap_allow(0);
    char *none = text_copy(TEXT("ann"));
    heap_allow(1);
    char *copy = text_copy(TEXT("ann"));
    (void)heap_allow_all();
    ck_assert_ptr_null(none);
    ck_assert_str_eq(copy, "ann");
    free(copy);
}
END_TEST

typedef struct sample {
    char *name, *place, *colour;
    int64_t size;
} sample;

static const conf_row rows[] = {
    {"a", "name", CONF_TEXT, offsetof(sample, name), 0, 0, "bob", "A name."},
    {"a", "place", CONF_TEXT, offsetof(sample, place), 0, 0, "here", "A place."},
    {"b", "colour", CONF_TEXT, offsetof(sample, colour), 0, 0, "", "A colour."},
    {"b", "size", CONF_SIZE, offsetof(sample, size), 1, 1 << 20, "4k", "A size."},
};
static const conf_table table = {rows, ARRAY_LEN(rows)};

START_TEST(a_configuration_is_read_whole_or_not_at_all) {
    static const char content[] = "[a]\nname = Ann\n[b]\ncolour = red\nsize = 8k\n";
    char path[] = "/tmp/mayday-heap-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_eq((int)write(fd, content, sizeof content - 1), (int)sizeof content - 1);
    close(fd);
    sample s = {0};
    int fault = -ENOMEM;
    long failures = 0;
    for (; fault == -ENOMEM && failures < 100; failures++) {
        char why[CONF_WHY_MAX] = "";
        s = (sample){0};
        heap_allow(failures);
        fault = conf_load(&table, path, &s, why);
        (void)heap_allow_all();
        if (fault < 0)
            ck_assert_msg(!s.name && !s.place && !s.colour && why[0], "%ld: '%s'", failures, why);
    }
    unlink(path);
    ck_assert_int_eq(fault, 0);
    ck_assert_int_gt(failures, 3);
    ck_assert_str_eq(s.name, "Ann");
    ck_assert_str_eq(s.place, "here");
    ck_assert_str_eq(s.colour, "red");
    conf_release(&table, &s);
}
END_TEST

START_TEST(a_file_is_read_or_the_want_of_memory_reported) {
    CLEANUP(buf_release) buf content = BUF(1 << 20);
    heap_allow(0);
    int fault = file_read(SOURCE_DIR "/CMakeLists.txt", content.limit, &content);
    (void)heap_allow_all();
    ck_assert_int_eq(fault, -ENOMEM);
}
END_TEST

/* Of JSON only the parser and the buffers are ours. */
START_TEST(json_is_printed_whole_or_the_fault_stays_in_the_buffer) {
    CLEANUP(json_freep) json *root = NULL;
    CLEANUP(buf_release) buf to = BUF(4096);
    heap_allow(0);
    json_parser *parser = json_parser_new(8);
    (void)heap_allow_all();
    ck_assert_ptr_null(parser);
    ck_assert_int_eq(json_parse_once(TEXT("{\"a\":[1,2.5,\"x\",null]}"), &root), JSON_OK);
    heap_allow(0);
    json_print(root, &to);
    (void)heap_allow_all();
    ck_assert_int_eq(buf_failed(&to), -ENOMEM);
    buf_clear(&to);
    json_print(root, &to);
    ck_assert_str_eq(to.ptr, "{\"a\":[1,2.5,\"x\",null]}");
}
END_TEST

Suite *suite_heap(void) {
    Suite *s = suite_create("heap");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_buffer_that_finds_no_memory_keeps_what_it_has_and_says_so);
    tcase_add_test(t, printing_into_a_buffer_fails_as_adding_does);
    tcase_add_test(t, a_text_is_copied_or_not);
    tcase_add_test(t, a_configuration_is_read_whole_or_not_at_all);
    tcase_add_test(t, a_file_is_read_or_the_want_of_memory_reported);
    tcase_add_test(t, json_is_printed_whole_or_the_fault_stays_in_the_buffer);
    suite_add_tcase(s, t);
    return s;
}
