#include <check.h>
#include <string.h>
#include "store/row.h"
#include "store/seen.h"

static const msg_column columns[] = {
    {"text", MSG_TEXT, MSG_FROM_BODY, NULL},
    {"count", MSG_INTEGER, MSG_FROM_BODY, NULL},
};
static const msg_type type = {
    .name = "t", .table = "t", .columns = columns, .column_count = ARRAY_LEN(columns)};

static row_common common(void) {
    row_common c = {
        .at = INT64_C(946684800000001), .received_at = INT64_C(946684800000002), .org = TEXT("o")};
    c.sender = TEXT("s");
    c.node = TEXT("n");
    memset(c.id.bytes, 0xAA, sizeof c.id.bytes);
    return c;
}

START_TEST(a_row_is_what_postgresql_documents) {
    static const char want[] = "\0\12"
                               "\0\0\0\20\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA"
                               "\0\0\0\10\0\0\0\0\0\0\0\1"
                               "\0\0\0\10\0\0\0\0\0\0\0\2"
                               "\0\0\0\1o\0\0\0\1s\0\0\0\1n"
                               "\0\0\0\1\0"
                               "\0\0\0\2hi"
                               "\xFF\xFF\xFF\xFF"
                               "\0\0\0\10";
    row_common c = common();
    msg_value values[] = {{.as.text = TEXT("hi")}, {.null = true}};
    CLEANUP(buf_release) buf out = BUF(4096);
    uint64_t digest = 0;
    row_encode(&type, &c, values, &out, &digest);
    ck_assert_uint_eq(out.len, sizeof want - 1 + 8);
    ck_assert_mem_eq(out.ptr, want, sizeof want - 1);
    for (size_t i = 0; i < 8; i++)
        ck_assert_uint_eq((unsigned char)out.ptr[sizeof want - 1 + i], digest >> (8 * (7 - i)) & 0xFF);
}
END_TEST

static uint64_t digest_of(const row_common *c, const char *said, int64_t count) {
    msg_value values[] = {{.as.text = text_of(said)}, {.as.integer = count}};
    CLEANUP(buf_release) buf out = BUF(4096);
    uint64_t digest = 0;
    row_encode(&type, c, values, &out, &digest);
    return digest;
}

START_TEST(the_digest_sees_content_and_sender_but_not_the_way_it_came) {
    row_common c = common(), other = common();
    uint64_t base = digest_of(&c, "hi", 1);
    other.received_at++;
    other.node = TEXT("elsewhere");
    ck_assert_uint_eq(digest_of(&other, "hi", 1), base);
    ck_assert_uint_ne(digest_of(&c, "ho", 1), base);
    ck_assert_uint_ne(digest_of(&c, "hi", 2), base);
    other = common();
    other.sender = TEXT("thief");
    ck_assert_uint_ne(digest_of(&other, "hi", 1), base);
    other = common();
    other.at++;
    ck_assert_uint_ne(digest_of(&other, "hi", 1), base);
    other = common();
    other.offline = true;
    ck_assert_uint_ne(digest_of(&other, "hi", 1), base);
}
END_TEST

START_TEST(the_copy_statement_names_every_column_quoted) {
    CLEANUP(buf_release) buf out = BUF(4096);
    row_copy_statement(&type, &out);
    ck_assert_str_eq(
        out.ptr, "COPY mayday.\"t\" (id, at, received_at, org, sender, node, offline, \"text\", \"count\", "
                 "digest) FROM STDIN (FORMAT binary)");
}
END_TEST

START_TEST(only_the_same_id_with_the_same_content_was_seen) {
    seen *s = seen_new();
    uuid id = common().id, neighbour = id;
    neighbour.bytes[0] = 1; /* the same place in the table */
    ck_assert(!seen_same(s, &id, 5));
    seen_note(s, &id, 5);
    ck_assert(seen_same(s, &id, 5));
    ck_assert(!seen_same(s, &id, 6));
    ck_assert(!seen_same(s, &neighbour, 5));
    seen_note(s, &neighbour, 5);
    ck_assert(!seen_same(s, &id, 5));
    seen_clear(s);
    ck_assert(!seen_same(s, &neighbour, 5));
    seen_free(s);
}
END_TEST

Suite *suite_row(void) {
    Suite *s = suite_create("rows");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_row_is_what_postgresql_documents);
    tcase_add_test(t, the_digest_sees_content_and_sender_but_not_the_way_it_came);
    tcase_add_test(t, the_copy_statement_names_every_column_quoted);
    tcase_add_test(t, only_the_same_id_with_the_same_content_was_seen);
    suite_add_tcase(s, t);
    return s;
}
