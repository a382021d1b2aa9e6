#include "core/sms_text.h"

#include <check.h>
#include <string.h>

#define EURO  "\xe2\x82\xac"
#define SMILE "\xf0\x9f\x98\x80" /* outside of the basic plane: two UTF-16 units */
#define KANJI "\xe6\xbc\xa2"

/* `count` times `sign`, then `tail`. */
static text repeat(buf *to, const char *sign, size_t count, const char *tail) {
    buf_clear(to);
    for (size_t i = 0; i < count; i++)
        buf_add_text(to, text_of(sign));
    buf_add_text(to, text_of(tail));
    ck_assert_int_eq(buf_failed(to), 0);
    return buf_text(to);
}

START_TEST(the_whole_default_alphabet_is_one_septet_a_sign_and_its_extension_two) {
    sms_size one = sms_measure(TEXT(
        "@\xc2\xa3$"
        "\xc2\xa5\xc3\xa8\xc3\xa9\xc3\xb9\xc3\xac\xc3\xb2\xc3\x87\n\xc3\x98\xc3\xb8\r\xc3\x85\xc3\xa5"
        "\xce\x94_"
        "\xce\xa6\xce\x93\xce\x9b\xce\xa9\xce\xa0\xce\xa8\xce\xa3\xce\x98\xce\x9e\xc3\x86\xc3\xa6\xc3\x9f"
        "\xc3\x89 !\"#\xc2\xa4%&'()*+,-./0123456789:;<=>?\xc2\xa1"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ\xc3\x84\xc3\x96"
        "\xc3\x91\xc3\x9c\xc2\xa7\xc2\xbf"
        "abcdefghijklmnopqrstuvwxyz\xc3\xa4\xc3\xb6\xc3\xb1\xc3\xbc\xc3\xa0"));
    ck_assert(one.gsm7);
    ck_assert_uint_eq(one.units, 127); /* 128 less the escape */
    ck_assert_uint_eq(one.segments, 1);
    sms_size two = sms_measure(TEXT("\f^{}\\[~]|" EURO));
    ck_assert(two.gsm7);
    ck_assert_uint_eq(two.units, 20);
}
END_TEST

START_TEST(what_the_alphabet_lacks_makes_the_whole_text_ucs2) {
    static const char *const signs[] = {"`",        "\t",       "\x7f",     "\x01",     "\xc3\xaa",
                                        "\xc3\xab", "\xc3\xa7", "\xc3\xa1", "\xc2\xa0", "\xe2\x80\x99",
                                        "\xd0\x94", KANJI,      SMILE};
    CLEANUP(buf_release) buf b = BUF(64);
    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        sms_size size = sms_measure(repeat(&b, "a", 5, signs[i]));
        ck_assert_msg(!size.gsm7, "sign %zu", i);
        ck_assert_msg(size.units == (strcmp(signs[i], SMILE) == 0 ? 7 : 6), "sign %zu: %zu", i, size.units);
    }
    ck_assert(!sms_measure(TEXT("a\0b")).gsm7);
}
END_TEST

typedef struct length {
    const char *sign;
    size_t count;
    const char *tail;
    size_t units, segments;
} length;

static const length lengths[] = {
    {"a", 0, "", 0, 0},
    {"a", 1, "", 1, 1},
    {"a", 160, "", 160, 1},
    {"a", 161, "", 161, 2},
    {"a", 306, "", 306, 2},
    {"a", 307, "", 307, 3},
    {"a", 459, "", 459, 3},
    {"a", 460, "", 460, 4},
    {EURO, 80, "", 160, 1},
    {"a", 158, EURO, 160, 1},
    {"a", 159, EURO, 161, 2},
    /* 76 pairs and one septet lost in each segment: 306 septets, which 153 divides twice, take three */
    {EURO, 81, "", 162, 2},
    {EURO, 152, "", 304, 2},
    {EURO, 153, "", 306, 3},
    {KANJI, 70, "", 70, 1},
    {KANJI, 71, "", 71, 2},
    {KANJI, 134, "", 134, 2},
    {KANJI, 135, "", 135, 3},
    {SMILE, 35, "", 70, 1},
    {SMILE, 36, "", 72, 2},
    {SMILE, 66, "", 132, 2},
    {SMILE, 67, "", 134, 3}, /* 33 pairs and one unit lost in each */
    {"a", 69, KANJI, 70, 1},
    {"a", 70, KANJI, 71, 2},
    {"a", 160, KANJI, 161, 3},
};

START_TEST(segments_are_filled_without_cutting_a_sign) {
    CLEANUP(buf_release) buf b = BUF(4096);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        sms_size size = sms_measure(repeat(&b, lengths[i].sign, lengths[i].count, lengths[i].tail));
        ck_assert_msg(size.units == lengths[i].units, "row %zu: %zu units", i, size.units);
        ck_assert_msg(size.segments == lengths[i].segments, "row %zu: %zu segments", i, size.segments);
    }
}
END_TEST

START_TEST(a_text_is_cut_at_the_last_sign_that_fits) {
    static const struct {
        const char *sign;
        size_t count;
        const char *tail;
        size_t segments, kept; /* bytes */
    } rows[] = {
        {"a", 200, "", 1, 160},         {"a", 160, "", 1, 160},
        {"a", 400, "", 2, 306},         {"a", 400, "", 3, 400},
        {"a", 400, "", 0, 0},           {"a", 0, "", 0, 0},
        {"a", 159, EURO, 1, 159},       {EURO, 200, "", 2, 152 * 3},
        {KANJI, 100, "", 1, 70 * 3},    {SMILE, 100, "", 1, 35 * 4},
        {SMILE, 100, "", 2, 66 * 4},    {"a", 100, KANJI, 1, 100}, /* with it there would be room for 70 */
        {"a", 100, KANJI "aa", 2, 105}, {"a", 140, KANJI, 2, 140},
    };
    CLEANUP(buf_release) buf b = BUF(4096);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        text whole = repeat(&b, rows[i].sign, rows[i].count, rows[i].tail);
        text cut = sms_fit(whole, rows[i].segments);
        ck_assert_msg(cut.len == rows[i].kept, "row %zu: %zu bytes", i, cut.len);
        ck_assert_msg(sms_measure(cut).segments <= rows[i].segments, "row %zu", i);
    }
}
END_TEST

START_TEST(what_has_an_equivalent_in_the_alphabet_is_replaced_and_letters_are_not) {
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"\xe2\x80\x98it\xe2\x80\x99s\xe2\x80\x99", "'it's'"},
        {"\xe2\x80\x9chelp\xe2\x80\x9d \xe2\x80\x9e"
         "now\xe2\x80\x9c",
         "\"help\" \"now\""},
        {"\xc2\xabhelp\xc2\xbb", "\"help\""},
        {"a\xe2\x80\x93"
         "b\xe2\x80\x94"
         "c\xe2\x80\x91"
         "d\xe2\x88\x92"
         "1",
         "a-b-c-d-1"},
        {"wait\xe2\x80\xa6", "wait..."},
        {"10\xc2\xa0km\xe2\x80\xaf"
         "h\tx",
         "10 km h x"},
        {"so\xc2\xad"
         "ft\xe2\x80\x8b\xef\xbb\xbf\x01",
         "soft"},
        {"line\nline\r\n", "line\nline\r\n"},
        {"Zo\xc3\xab m\xc3\xb4re \xc3\xa7", "Zo\xc3\xab m\xc3\xb4re \xc3\xa7"},
        {EURO KANJI SMILE "[]", EURO KANJI SMILE "[]"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf to = BUF(256);
        sms_simplify(text_of(rows[i].from), &to);
        ck_assert_msg(text_equal(buf_text(&to), text_of(rows[i].to)), "row %zu: %s", i, to.ptr);
    }
}
END_TEST

Suite *suite_sms_text(void) {
    Suite *s = suite_create("sms_text");
    TCase *t = tcase_create("all");
    tcase_add_test(t, the_whole_default_alphabet_is_one_septet_a_sign_and_its_extension_two);
    tcase_add_test(t, what_the_alphabet_lacks_makes_the_whole_text_ucs2);
    tcase_add_test(t, segments_are_filled_without_cutting_a_sign);
    tcase_add_test(t, a_text_is_cut_at_the_last_sign_that_fits);
    tcase_add_test(t, what_has_an_equivalent_in_the_alphabet_is_replaced_and_letters_are_not);
    suite_add_tcase(s, t);
    return s;
}
