#include <check.h>
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include "store/record.h"

static const record sample = {
    .received_at = 1795000000123456,
    .flags = RECORD_WILL,
    .org = {"acme", 4},
    .sender = {"ann", 3},
    .client = {"phone-1", 7},
    .roles = {"member dispatcher", 17},
    .topic = {"mayday/v1/acme/alert/ann/raise", 30},
    .payload = {"{\"v\":1}", 7},
};

static bool same(const record *a, const record *b) {
    return a->received_at == b->received_at && a->flags == b->flags && text_equal(a->org, b->org) &&
           text_equal(a->sender, b->sender) && text_equal(a->client, b->client) &&
           text_equal(a->roles, b->roles) && text_equal(a->topic, b->topic) &&
           text_equal(a->payload, b->payload);
}

START_TEST(what_is_encoded_is_decoded) {
    const record rows[] = {
        sample,
        {.received_at = -1},
        {.received_at = INT64_MAX, .payload = {"\0\xff", 2}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf bytes = BUF(1 << 20);
        record back;
        record_encode(&rows[i], &bytes);
        ck_assert_int_eq(buf_failed(&bytes), 0);
        ck_assert_int_eq(record_decode(buf_text(&bytes), &back), 0);
        ck_assert(same(&rows[i], &back));
    }
}
END_TEST

START_TEST(every_cut_and_every_surplus_byte_is_refused) {
    CLEANUP(buf_release) buf bytes = BUF(1 << 20);
    record back;
    record_encode(&sample, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        char *exact = malloc(len + 1); /* so that a sanitizer sees a read behind the cut */
        memcpy(exact + 1, bytes.ptr, len);
        ck_assert_int_eq(record_decode((text){exact + 1, len}, &back), -EBADMSG);
        free(exact);
    }
    buf_add_char(&bytes, 'x');
    ck_assert_int_eq(record_decode(buf_text(&bytes), &back), -EBADMSG);
}
END_TEST

START_TEST(unknown_versions_and_flags_are_refused) {
    CLEANUP(buf_release) buf bytes = BUF(1 << 20);
    record back;
    record_encode(&sample, &bytes);
    bytes.ptr[0] = 2;
    ck_assert_int_eq(record_decode(buf_text(&bytes), &back), -EBADMSG);
    bytes.ptr[0] = 1;
    bytes.ptr[1] = 4;
    ck_assert_int_eq(record_decode(buf_text(&bytes), &back), -EBADMSG);
}
END_TEST

START_TEST(a_name_too_long_for_its_length_is_a_fault_not_a_cut) {
    CLEANUP(buf_release) buf bytes = BUF(1 << 20);
    CLEANUP(freep) char *name = calloc(1, UINT16_MAX + 1);
    record r = {.org = {name, UINT16_MAX + 1}};
    record_encode(&r, &bytes);
    ck_assert_int_eq(buf_failed(&bytes), -EMSGSIZE);
    buf_clear(&bytes);
    r.org.len--;
    record_encode(&r, &bytes);
    ck_assert_int_eq(buf_failed(&bytes), 0);
}
END_TEST

Suite *suite_record(void) {
    Suite *s = suite_create("record");
    TCase *t = tcase_create("all");
    tcase_add_test(t, what_is_encoded_is_decoded);
    tcase_add_test(t, every_cut_and_every_surplus_byte_is_refused);
    tcase_add_test(t, unknown_versions_and_flags_are_refused);
    tcase_add_test(t, a_name_too_long_for_its_length_is_a_fault_not_a_cut);
    suite_add_tcase(s, t);
    return s;
}
