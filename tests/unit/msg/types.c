/* Every row of the message types, held to the family's contract; and the binding of payloads. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "msg/type.h"
#include "store/row.h"

START_TEST(every_type_has_a_name_and_a_schema_file) {
    for (const msg_type *const *t = msg_types; *t; t++) {
        char path[512];
        ck_assert_msg((*t)->name && *(*t)->name, "a type without a name");
        ck_assert_msg((*t)->schema && *(*t)->schema, "%s has no schema", (*t)->name);
        (void)snprintf(path, sizeof path, "%s/schemas/%s.json", SOURCE_DIR, (*t)->schema);
        ck_assert_msg(access(path, R_OK) == 0, "%s: there is no %s", (*t)->name, path);
    }
}
END_TEST

START_TEST(no_two_types_share_a_name_or_an_address) {
    for (const msg_type *const *a = msg_types; *a; a++)
        for (const msg_type *const *b = a + 1; *b; b++) {
            ck_assert_str_ne((*a)->name, (*b)->name);
            ck_assert_msg((*a)->family != (*b)->family || strcmp((*a)->leaf, (*b)->leaf) != 0 ||
                              strcmp((*a)->kind ? (*a)->kind : "", (*b)->kind ? (*b)->kind : "") != 0,
                          "%s and %s have one address and nothing to tell them by", (*a)->name, (*b)->name);
        }
}
END_TEST

START_TEST(every_type_is_found_at_its_address_and_nothing_elsewhere) {
    for (const msg_type *const *t = msg_types; *t; t++) {
        address where = {.family = (*t)->family, .leaf = text_of((*t)->leaf)};
        const msg_type *found = msg_type_at(&where);
        ck_assert_msg(found && !found->kind, "%s lives where no other type does", (*t)->name);
        ck_assert_msg((*t)->kind ? found != *t : found == *t, "%s", (*t)->name);
        where.family = ADDRESS_NONE;
        ck_assert_ptr_null(msg_type_at(&where));
    }
    ck_assert_ptr_null(msg_type_at(&(address){.family = ADDRESS_ALERT, .leaf = TEXT("rais")}));
    ck_assert_ptr_null(msg_type_at(&(address){.family = ADDRESS_ALERT}));
}
END_TEST

START_TEST(what_is_stored_has_a_table_and_columns_and_what_is_not_has_none) {
    for (const msg_type *const *t = msg_types; *t; t++) {
        ck_assert_msg((*t)->stored == ((*t)->table != NULL), "%s", (*t)->name);
        ck_assert_msg((*t)->stored == ((*t)->column_count > 0), "%s", (*t)->name);
        ck_assert_msg((*t)->column_count <= ROW_COLUMNS_MAX, "%s has too many columns", (*t)->name);
        ck_assert_msg((*t)->stored || (!(*t)->sync && !(*t)->urgent), "%s is durable, yet not stored",
                      (*t)->name);
        ck_assert_msg(!(*t)->urgent || (*t)->sync, "%s is urgent, yet not synced", (*t)->name);
        for (size_t i = 0; i < (*t)->column_count; i++)
            ck_assert_msg((*t)->columns[i].name && *(*t)->columns[i].name, "%s: column %zu", (*t)->name, i);
    }
}
END_TEST

START_TEST(what_only_mayday_says_is_told_by_its_kind_and_never_stored) {
    size_t kinds = 0;
    for (const msg_type *const *t = msg_types; *t; t++) {
        char payload[64];
        address where = {.family = (*t)->family, .leaf = text_of((*t)->leaf)};
        const msg_type *plain = msg_type_at(&where);
        CLEANUP(json_freep) json *body = NULL;
        (void)snprintf(payload, sizeof payload, "{\"kind\": \"%s\"}", (*t)->kind ? (*t)->kind : "message");
        ck_assert_int_eq(json_parse_once(text_of(payload), &body), JSON_OK);
        ck_assert_ptr_eq(msg_type_of(plain, body), *t);
        ck_assert_ptr_eq(msg_type_of(plain, NULL), plain);
        ck_assert(!(*t)->kind || (!(*t)->stored && !(*t)->fed));
        kinds += (*t)->kind != NULL;
    }
    ck_assert_uint_ge(kinds, 1);
}
END_TEST

typedef struct bound {
    json *body;
    buf scratch;
    msg_value values[ROW_COLUMNS_MAX];
    int fault;
} bound;

static const msg_type *named(const char *name) {
    for (const msg_type *const *t = msg_types; *t; t++)
        if (strcmp((*t)->name, name) == 0)
            return *t;
    ck_abort_msg("no type %s", name);
    return NULL;
}

static bound bind(const char *type, const char *id, const char *payload) {
    bound b = {.scratch = BUF(1 << 20)};
    address where = {.org = TEXT("acme"), .id = text_of(id)};
    ck_assert_int_eq(json_parse_once(text_of(payload), &b.body), JSON_OK);
    b.fault = msg_bind(named(type), b.body, &where, TEXT("ann"), &b.scratch, b.values);
    return b;
}

static void bound_release(bound *b) {
    json_free(b->body);
    buf_release(&b->scratch);
}

static const msg_value *value(const bound *b, const char *type, const char *column) {
    const msg_type *t = named(type);
    for (size_t i = 0; i < t->column_count; i++)
        if (strcmp(t->columns[i].name, column) == 0)
            return &b->values[i];
    ck_abort_msg("%s has no column %s", type, column);
    return NULL;
}

START_TEST(absent_and_null_members_are_null) {
    static const char *const payloads[] = {"{}", "{\"text\":null,\"location\":null,\"silent\":null}"};
    for (size_t i = 0; i < ARRAY_LEN(payloads); i++) {
        CLEANUP(bound_release) bound b = bind("raise", "01932e6a-7b1c-7def-8123-456789abcdef", payloads[i]);
        ck_assert_int_eq(b.fault, 0);
        ck_assert(!value(&b, "raise", "alert")->null);
        ck_assert(value(&b, "raise", "text")->null);
        ck_assert(value(&b, "raise", "position")->null);
        ck_assert(value(&b, "raise", "accuracy")->null);
        ck_assert(value(&b, "raise", "silent")->null);
    }
}
END_TEST

START_TEST(values_come_from_body_topic_sender_and_point) {
    CLEANUP(bound_release)
    bound b = bind("alert_location", "01932e6a-7b1c-7def-8123-456789abcdef",
                   "{\"lat\":-33.5,\"lon\":18,\"accuracy\":4,\"source\":\"gps\"}");
    ck_assert_int_eq(b.fault, 0);
    ck_assert(text_equal(value(&b, "alert_location", "person")->as.text, TEXT("ann")));
    ck_assert_uint_eq(value(&b, "alert_location", "alert")->as.uuid.bytes[15], 0xef);
    ck_assert_double_eq(value(&b, "alert_location", "position")->as.point.lat, -33.5);
    ck_assert_double_eq(value(&b, "alert_location", "position")->as.point.lon, 18);
    ck_assert_double_eq(value(&b, "alert_location", "accuracy")->as.real, 4);
    ck_assert(text_equal(value(&b, "alert_location", "source")->as.text, TEXT("gps")));
}
END_TEST

START_TEST(json_columns_are_printed_whole) {
    CLEANUP(bound_release)
    bound b = bind("room_chat", "r", "{\"media\":[{\"url\":\"https://x/y\"}],\"text\":\"t\"}");
    ck_assert_int_eq(b.fault, 0);
    ck_assert(text_equal(value(&b, "room_chat", "media")->as.text, TEXT("[{\"url\":\"https://x/y\"}]")));
}
END_TEST

START_TEST(what_does_not_fit_its_column_is_refused) {
    static const struct {
        const char *type, *id, *payload;
    } rows[] = {
        {"room_chat", "r", "{\"text\":5}"},
        {"room_chat", "r", "{\"text\":\"a\\u0000b\"}"},
        {"room_chat", "r", "{\"reply_to\":\"01932e6a\"}"},
        {"alert_chat", "not-a-uuid", "{}"},
        {"raise", "01932e6a-7b1c-7def-8123-456789abcdef", "{\"silent\":\"yes\"}"},
        {"raise", "01932e6a-7b1c-7def-8123-456789abcdef", "{\"location\":{\"lat\":1}}"},
        {"raise", "01932e6a-7b1c-7def-8123-456789abcdef", "{\"location\":7}"},
        {"user_location", "ann", "{\"lat\":90.1,\"lon\":0}"},
        {"user_location", "ann", "{\"lat\":0,\"lon\":-180.5}"},
        {"user_location", "ann", "{\"lat\":0,\"lon\":0,\"speed\":1e39}"},
        {"user_location", "ann", "{\"lat\":0,\"lon\":0,\"speed\":\"fast\"}"},
        {"check", "ann", "{\"respond_within\":2147483648}"},
        {"check", "ann", "{\"respond_within\":1.5}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(bound_release) bound b = bind(rows[i].type, rows[i].id, rows[i].payload);
        ck_assert_msg(b.fault == -EBADMSG, "row %zu: %s", i, rows[i].payload);
    }
}
END_TEST

Suite *suite_types(void) {
    Suite *s = suite_create("message types");
    TCase *t = tcase_create("all");
    tcase_add_test(t, every_type_has_a_name_and_a_schema_file);
    tcase_add_test(t, no_two_types_share_a_name_or_an_address);
    tcase_add_test(t, every_type_is_found_at_its_address_and_nothing_elsewhere);
    tcase_add_test(t, what_is_stored_has_a_table_and_columns_and_what_is_not_has_none);
    tcase_add_test(t, what_only_mayday_says_is_told_by_its_kind_and_never_stored);
    tcase_add_test(t, absent_and_null_members_are_null);
    tcase_add_test(t, values_come_from_body_topic_sender_and_point);
    tcase_add_test(t, json_columns_are_printed_whole);
    tcase_add_test(t, what_does_not_fit_its_column_is_refused);
    suite_add_tcase(s, t);
    return s;
}
