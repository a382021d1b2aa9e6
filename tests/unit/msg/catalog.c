/* The catalog with the shipped schemas: what msg_check() says of payloads, and what it tells besides. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "msg/catalog.h"

#define SCHEMAS SOURCE_DIR "/schemas"
#define ID      "019372cf-9580-7abc-8def-0123456789ab" /* made 2024-11-28T12:47:07.136Z */
#define HEAD    "\"v\":1,\"id\":\"" ID "\",\"ts\":\"2024-11-28T12:47:07.136Z\""

static const catalog_limits limits = {.payload_max = 4096, .depth_max = 8, .clock_skew = 5 * INSTANT_SECOND};

static instant at(const char *t) {
    instant when = 0;
    ck_assert_int_eq(instant_parse(text_of(t), &when), 0);
    return when;
}

static const msg_type *type_of(const char *rules) {
    for (size_t i = 0; msg_types[i]; i++)
        if (strcmp(msg_types[i]->schema, rules) == 0)
            return msg_types[i];
    ck_abort_msg("no type has the schema %s", rules);
    return NULL;
}

static catalog *load(void) {
    catalog *c = NULL;
    char why[CATALOG_WHY_MAX] = "";
    ck_assert_msg(catalog_load(SCHEMAS, &limits, &c, why) == 0, "%s", why);
    return c;
}

typedef struct judged {
    msg_verdict verdict;
    char why[CATALOG_WHY_MAX];
    char id[UUID_TEXT_LEN + 1];
} judged;

static judged judge(catalog *c, const char *rules, text payload, const char *now) {
    judged j = {0};
    msg_checked checked = {0};
    j.verdict = msg_check(c, type_of(rules), payload, at(now), &checked, j.why, j.id);
    if (j.verdict == MSG_ACCEPTED)
        json_free(checked.body);
    else
        ck_assert_ptr_null(checked.body);
    return j;
}

static const struct {
    const char *schema;
    const char *payload;
} good[] = {
    {"raise", "{" HEAD ",\"type\":\"panic\"}"},
    {"raise",
     "{" HEAD
     ",\"type\":\"medical\",\"priority\":\"high\",\"silent\":true,\"offline\":true,\"lang\":\"pt-BR\","
     "\"text\":\"Hilfe\\n!\",\"location\":{\"lat\":48.2,\"lon\":16.37,\"accuracy\":12}}"},
    {"action", "{" HEAD ",\"action\":\"acknowledge\",\"expected_version\":1}"},
    {"action", "{" HEAD ",\"action\":\"assign\",\"person\":\"anna\"}"},
    {"action", "{" HEAD ",\"action\":\"cancel\",\"pin\":\"0815\"}"},
    {"action", "{" HEAD ",\"action\":\"note\",\"reason\":\"called back\"}"},
    {"location", "{" HEAD ",\"lat\":-90,\"lon\":180,\"source\":\"gps\",\"battery\":100}"},
    {"chat", "{" HEAD ",\"text\":\"\xF0\x9F\x9A\xA8\"}"},
    {"chat", "{" HEAD ",\"media\":[{\"url\":\"https://x/y\",\"type\":\"image/jpeg\",\"size\":1,\"sha256\":"
             "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}]}"},
    {"typing", "{" HEAD ",\"active\":true}"},
    {"vitals", "{" HEAD ",\"event\":\"fall\"}"},
    {"vital_alert",
     "{" HEAD ",\"rule\":\"pulse-high\",\"kind\":\"begins\",\"response\":\"ask\",\"words\":\"pulse 158/min\","
     "\"vital\":\"hr\",\"value\":158,\"limit\":120,\"usual\":68.5,\"since\":\"2024-11-28T12:46:07.136Z\","
     "\"context\":\"rest\",\"readings\":{\"hr\":158,\"at\":\"2024-11-28T12:47:07.136Z\",\"news2\":3,"
     "\"partial\":true,\"rule\":\"pulse-high\",\"words\":\"pulse 158/min\"},\"check\":\"" ID "\"}"},
    {"vitals", "{" HEAD ",\"hr\":72,\"rr_ms\":[812,820.5],\"contact\":true}"},
    {"check", "{" HEAD ",\"reason\":\"timer\",\"respond_within\":60}"},
    {"reply", "{" HEAD ",\"check\":\"" ID "\",\"answer\":\"ok\"}"},
    {"duty", "{" HEAD ",\"status\":\"on_scene\"}"},
    {"timer", "{" HEAD ",\"minutes\":30,\"text\":\"in the cold store\",\"repeat\":true}"},
    {"inbox", "{" HEAD ",\"kind\":\"message\",\"text\":\"hi\"}"},
    {"sync", "{" HEAD "}"},
    {"sync_page", "{" HEAD ",\"kind\":\"sync\",\"request\":\"" ID
                  "\",\"cursor\":\"1n.0123abcd.7\",\"more\":false,\"reset\":true,\"messages\":["
                  "{\"topic\":\"mayday/v1/acme/alert/" ID "/chat\",\"sender\":\"ben\",\"received_at\":"
                  "\"2024-11-28T12:47:07.136Z\",\"payload\":{" HEAD ",\"text\":\"hi\"}},"
                  "{\"gone\":\"mayday/v1/acme/alert/" ID "\"}]}"},
    {"broadcast", "{" HEAD ",\"text\":\"all units\"}"},
    {"zone_event", "{" HEAD ",\"person\":\"anna\",\"event\":\"left_unchecked\",\"for\":60.5}"},
    {"zone_event", "{" HEAD ",\"person\":\"anna\",\"event\":\"speeding\",\"speed\":14.2,\"for\":5}"},
    {"zone_event", "{" HEAD ",\"person\":\"anna\",\"event\":\"left\"}"},
    {"gateway_status", "{" HEAD ",\"status\":\"offline\"}"},
    {"receipt", "{" HEAD ",\"of\":[\"" ID "\"],\"mark\":\"read\"}"},
    {"settings", "{" HEAD ",\"family\":[\"mum\"],\"pin\":\"4711\",\"duress_pin\":\"1147\",\"lang\":\"de\"}"},
    {"event",
     "{" HEAD ",\"kind\":\"connect\",\"person\":\"anna\",\"client\":\"anna\",\"roles\":[\"member\"]}"},
    {"rejected", "{" HEAD ",\"topic\":\"mayday/v1/acme/alert/x/action\",\"code\":\"stale\"}"},
    {"dispatch",
     "{" HEAD
     ",\"version\":1,\"status\":\"active\",\"type\":\"panic\",\"priority\":\"critical\",\"raised_by\":"
     "\"anna\",\"raised_at\":\"2024-11-28T12:47:07.136Z\",\"presses\":2,\"duress_at\":\"2024-11-28T12:47:07."
     "136Z\"}"},
    {"presence", "{" HEAD ",\"connected\":true,\"since\":\"2024-11-28T12:47:07.136Z\"}"},
    {"state",
     "{" HEAD
     ",\"version\":1,\"status\":\"active\",\"type\":\"panic\",\"priority\":\"critical\",\"raised_by\":"
     "\"anna\",\"raised_at\":\"2024-11-28T12:47:07.136Z\",\"receipts\":{},\"assigned\":[\"ben\"]}"},
};

START_TEST(a_proper_payload_of_every_schema_is_accepted) {
    CLEANUP(catalog_freep) catalog *c = load();
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        judged j = judge(c, good[i].schema, text_of(good[i].payload), "2024-11-28T12:47:08.000Z");
        ck_assert_msg(j.verdict == MSG_ACCEPTED, "%s: %s", good[i].payload, j.why);
        ck_assert_str_eq(j.id, ID);
    }
}
END_TEST

/* Whoever is told that a message was accepted must find it in the database. */
START_TEST(what_a_schema_accepts_binds_to_the_columns_of_every_type_that_obeys_it) {
    static const struct {
        const char *rules;
        const char *payload;
    } odd[] = {
        {"action", "{" HEAD ",\"action\":\"resolve\",\"expected_version\":2147483647.0}"},
        {"check", "{" HEAD ",\"reason\":\"timer\",\"respond_within\":6e1}"},
    };
    CLEANUP(catalog_freep) catalog *c = load();
    for (size_t i = 0; i < ARRAY_LEN(good) + ARRAY_LEN(odd); i++) {
        bool plain = i < ARRAY_LEN(good);
        const char *rules = plain ? good[i].schema : odd[i - ARRAY_LEN(good)].rules;
        text payload = text_of(plain ? good[i].payload : odd[i - ARRAY_LEN(good)].payload);
        for (size_t k = 0; msg_types[k]; k++) {
            const msg_type *type = msg_types[k];
            CLEANUP(buf_release) buf scratch = BUF(1 << 16);
            msg_checked checked = {0};
            msg_value values[64];
            char why[CATALOG_WHY_MAX], id[UUID_TEXT_LEN + 1];
            const address where = {type->family, TEXT("acme"), TEXT(ID), text_of(type->leaf)};
            if (strcmp(type->schema, rules) != 0)
                continue;
            ck_assert_uint_le(type->column_count, ARRAY_LEN(values));
            ck_assert_int_eq(msg_check(c, type, payload, at("2024-11-28T12:47:08.000Z"), &checked, why, id),
                             MSG_ACCEPTED);
            ck_assert_msg(msg_bind(type, checked.body, &where, TEXT("anna"), &scratch, values) == 0, "%s: %s",
                          type->name, payload.ptr);
            json_free(checked.body);
        }
    }
}
END_TEST

START_TEST(every_schema_has_a_proper_payload_here) {
    for (size_t i = 0; msg_types[i]; i++) {
        bool found = false;
        for (size_t k = 0; k < ARRAY_LEN(good); k++)
            found |= strcmp(good[k].schema, msg_types[i]->schema) == 0;
        ck_assert_msg(found, "%s", msg_types[i]->schema);
    }
}
END_TEST

START_TEST(no_schema_takes_an_unknown_member_nor_one_that_says_who_it_is_from) {
    CLEANUP(catalog_freep) catalog *c = load();
    static const char *const names[] = {"x", "from", "sender", "org", "received_at"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            CLEANUP(buf_release) buf payload = BUF(4096);
            buf_printf(&payload, "{\"%s\":\"x\",%s", names[k], good[i].payload + 1);
            judged j = judge(c, good[i].schema, buf_text(&payload), "2024-11-28T12:47:08.000Z");
            ck_assert_int_eq(j.verdict, MSG_INVALID);
            ck_assert_str_eq(j.id, ID);
            ck_assert_ptr_nonnull(strstr(j.why, "is not a known member"));
        }
    }
}
END_TEST

#define PAGE_OF(entry)                                                                                       \
    "{" HEAD ",\"kind\":\"sync\",\"request\":\"" ID                                                          \
    "\",\"cursor\":\"1\",\"more\":false,\"messages\":[" entry "]}"

static const struct {
    const char *schema;
    const char *payload;
    const char *why;
} invalid[] = {
    {"raise", "{" HEAD "}", "/: has no 'type'"},
    {"raise", "{" HEAD ",\"type\":\"panic\",\"text\":\"a\\u0000b\"}", "/text: is not in the required form"},
    {"raise", "{" HEAD ",\"type\":\"panic\",\"location\":{\"lat\":91,\"lon\":0}}",
     "/location/lat: is above 90"},
    {"action", "{" HEAD ",\"action\":\"assign\"}", "/: has no 'person'"},
    {"action", "{" HEAD ",\"action\":\"acknowledge\",\"person\":\"anna\"}", "/person: is not allowed"},
    {"action", "{" HEAD ",\"action\":\"resolve\",\"pin\":\"0815\"}", "/pin: is not allowed"},
    {"action", "{" HEAD ",\"action\":\"note\"}", "/: has no 'reason'"},
    {"action", "{" HEAD ",\"action\":\"assign\",\"person\":\"a/b\"}", "/person: is not in the required form"},
    {"location", "{" HEAD ",\"lat\":1}", "/: has no 'lon'"},
    {"location", "{" HEAD ",\"lat\":1,\"lon\":1e999}", "/lon: is not of the right type"},
    {"location", "{" HEAD ",\"lat\":1,\"lon\":2,\"accuracy\":-1}", "/accuracy: is below 0"},
    {"chat", "{" HEAD "}", "/: fits none of the forms it may have"},
    {"vitals", "{" HEAD ",\"battery\":5}", "/: fits none of the forms it may have"},
    {"vitals", "{" HEAD ",\"event\":\"sneeze\"}", "/event: is none of the values it may be"},
    {"vital_alert",
     "{" HEAD ",\"rule\":\"pulse-high\",\"kind\":\"begins\",\"response\":\"ask\",\"words\":\"x\"}",
     "/: has no 'since'"},
    {"reply", "{" HEAD ",\"check\":\"" ID "\",\"answer\":\"text\"}", "/: has no 'text'"},
    {"timer", "{" HEAD "}", "/: has no 'minutes'"},
    {"timer", "{" HEAD ",\"minutes\":1441}", "/minutes: is above 1440"},
    {"timer", "{" HEAD ",\"minutes\":-1}", "/minutes: is below 0"},
    {"inbox", "{" HEAD ",\"kind\":\"page\",\"text\":\"x\"}", "/kind: is none of the values it may be"},
    {"inbox", "{" HEAD ",\"kind\":\"sync\",\"text\":\"x\"}", "/text: is not a known member"},
    {"inbox", "{" HEAD ",\"kind\":\"sync\",\"request\":\"" ID "\",\"cursor\":\"1\",\"more\":false}",
     "/: has no 'messages'"},
    {"inbox", PAGE_OF("{\"topic\":\"a\",\"sender\":\"b\"}"),
     "/messages/0: fits none of the forms it may have"},
    {"inbox", PAGE_OF("{\"gone\":\"a\",\"sender\":\"b\"}"),
     "/messages/0: fits none of the forms it may have"},
    {"sync", "{\"v\":2,\"id\":\"" ID "\",\"ts\":\"2024-11-28T12:47:07.136Z\"}",
     "/v: is not the one value it may be"},
    {"sync", "{\"v\":1,\"id\":\"" ID "\",\"ts\":\"2024-02-30T00:00:00.000Z\"}", "/ts: is no moment"},
    {"sync", "[]", "/: is not of the right type"},
};

START_TEST(an_improper_payload_is_refused_with_its_place) {
    CLEANUP(catalog_freep) catalog *c = load();
    for (size_t i = 0; i < ARRAY_LEN(invalid); i++) {
        judged j = judge(c, invalid[i].schema, text_of(invalid[i].payload), "2024-11-28T12:47:08.000Z");
        ck_assert_msg(j.verdict == MSG_INVALID, "%s", invalid[i].payload);
        ck_assert_str_eq(j.why, invalid[i].why);
    }
}
END_TEST

START_TEST(what_is_no_json_is_told_apart) {
    CLEANUP(catalog_freep) catalog *c = load();
    char large[5000];
    memset(large, ' ', sizeof large);
    const struct {
        text payload;
        msg_verdict verdict;
    } rows[] = {
        {{large, 4097}, MSG_TOO_LARGE}, /* before anything looks inside */
        {{large, 4096}, MSG_MALFORMED},
        {TEXT(""), MSG_MALFORMED},
        {TEXT("{\"id\":\"" ID "\""), MSG_MALFORMED},
        {TEXT("{\"v\":1,\"v\":1}"), MSG_MALFORMED},
        {TEXT("\"\xFF\""), MSG_NOT_UTF8},
        {TEXT("[[[[[[[[[]]]]]]]]]"), MSG_TOO_DEEP},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        judged j = judge(c, "sync", rows[i].payload, "2024-11-28T12:47:08.000Z");
        ck_assert_msg(j.verdict == rows[i].verdict, "row %zu: %s", i, msg_verdict_name(j.verdict));
        ck_assert_str_ne(j.why, "");
        ck_assert_str_eq(j.id, "");
    }
}
END_TEST

START_TEST(a_page_has_room_for_the_largest_message_and_nothing_else_has) {
    CLEANUP(catalog_freep) catalog *c = load();
    static const char page[] =
        "{" HEAD ",\"kind\":\"sync\",\"request\":\"" ID "\",\"cursor\":\"1\",\"more\":false,\"messages\":[]";
    static const char message[] = "{" HEAD ",\"kind\":\"message\",\"text\":\"hi\"";
    const struct {
        const char *begin;
        size_t len;
        msg_verdict verdict;
    } rows[] = {
        {message, 4096, MSG_ACCEPTED},
        {message, 4097, MSG_TOO_LARGE},
        {page, 4097, MSG_ACCEPTED},
        {page, 4096 + CATALOG_PAGE_ROOM, MSG_ACCEPTED},
        {page, 4097 + CATALOG_PAGE_ROOM, MSG_TOO_LARGE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf payload = BUF(1 << 14);
        buf_add_text(&payload, text_of(rows[i].begin));
        while (payload.len + 1 < rows[i].len)
            buf_add_char(&payload, ' ');
        buf_add_char(&payload, '}');
        judged j = judge(c, "inbox", buf_text(&payload), "2024-11-28T12:47:08.000Z");
        ck_assert_msg(j.verdict == rows[i].verdict, "row %zu: %s %s", i, msg_verdict_name(j.verdict), j.why);
    }
}
END_TEST

START_TEST(an_improper_id_is_not_told) {
    CLEANUP(catalog_freep) catalog *c = load();
    static const char *const ids[] = {"7", "\"x\"", "null", "\"019372CF-9580-7ABC-8DEF-0123456789AB\"",
                                      "\"019372cf-9580-4abc-8def-0123456789ab\""};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        CLEANUP(buf_release) buf payload = BUF(4096);
        buf_printf(&payload, "{\"v\":1,\"id\":%s,\"ts\":\"2024-11-28T12:47:07.136Z\"}", ids[i]);
        judged j = judge(c, "sync", buf_text(&payload), "2024-11-28T12:47:08.000Z");
        ck_assert_int_eq(j.verdict, MSG_INVALID);
        ck_assert_str_eq(j.id, "");
    }
}
END_TEST

START_TEST(a_clock_may_be_ahead_by_the_skew_and_no_more) {
    CLEANUP(catalog_freep) catalog *c = load();
    const struct {
        const char *ts;
        const char *now;
        msg_verdict verdict;
    } rows[] = {
        {"2024-11-28T12:47:07.136Z", "2024-11-28T12:47:02.136Z", MSG_ACCEPTED},
        {"2024-11-28T12:47:07.136Z", "2024-11-28T12:47:02.135Z", MSG_FROM_FUTURE},
        {"2024-11-28T12:47:07.137Z", "2024-11-28T12:47:02.136Z", MSG_FROM_FUTURE}, /* ts alone */
        {"1999-01-01T00:00:00.000Z", "2024-11-28T12:47:02.135Z", MSG_FROM_FUTURE}, /* the id alone */
        {"1999-01-01T00:00:00.000Z", "2030-01-01T00:00:00.000Z", MSG_ACCEPTED},    /* late is no fault */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf payload = BUF(4096);
        buf_printf(&payload, "{\"v\":1,\"id\":\"" ID "\",\"ts\":\"%s\"}", rows[i].ts);
        judged j = judge(c, "sync", buf_text(&payload), rows[i].now);
        ck_assert_msg(j.verdict == rows[i].verdict, "row %zu: %s", i, msg_verdict_name(j.verdict));
        ck_assert_str_eq(j.id, ID);
    }
}
END_TEST

START_TEST(what_was_checked_is_handed_over) {
    CLEANUP(catalog_freep) catalog *c = load();
    msg_checked checked = {0};
    char why[CATALOG_WHY_MAX], id[UUID_TEXT_LEN + 1], written[UUID_TEXT_LEN + 1];
    text payload = TEXT("{" HEAD ",\"lat\":48.5,\"lon\":16}");
    ck_assert_int_eq(
        msg_check(c, type_of("location"), payload, at("2024-11-28T12:47:08.000Z"), &checked, why, id),
        MSG_ACCEPTED);
    uuid_format(&checked.id, written);
    ck_assert_str_eq(written, ID);
    ck_assert_int_eq(checked.at, at("2024-11-28T12:47:07.136Z"));
    ck_assert(json_number(json_get(checked.body, "lat")) > 48.4);
    ck_assert_ptr_eq(checked.type, type_of("location"));
    json_free(checked.body);
    ck_assert_int_eq(msg_check(c, type_of("inbox"), TEXT(PAGE_OF("{\"gone\":\"a\"}")),
                               at("2024-11-28T12:47:08.000Z"), &checked, why, id),
                     MSG_ACCEPTED);
    ck_assert_ptr_eq(checked.type, type_of("sync_page"));
    json_free(checked.body);
}
END_TEST

START_TEST(a_type_that_is_not_in_the_catalog_is_refused) {
    CLEANUP(catalog_freep) catalog *c = load();
    const msg_type stranger = {.name = "stranger", .schema = "sync"};
    msg_checked checked = {0};
    char why[CATALOG_WHY_MAX], id[UUID_TEXT_LEN + 1];
    ck_assert_int_eq(
        msg_check(c, &stranger, TEXT("{" HEAD "}"), at("2024-11-28T12:47:08.000Z"), &checked, why, id),
        MSG_REFUSED);
}
END_TEST

static void write_file(const char *path, const char *content) {
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(content, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(a_folder_that_lacks_or_spoils_a_schema_is_refused_by_file_name) {
    char dir[] = "/tmp/mayday-catalog-XXXXXX", path[128], why[CATALOG_WHY_MAX] = "";
    catalog *c = NULL;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(catalog_load(dir, &limits, &c, why), -ENOENT);
    (void)snprintf(path, sizeof path, "%s/%s.json", dir, msg_types[0]->schema);
    ck_assert_ptr_nonnull(strstr(why, path));
    write_file(path, "{");
    ck_assert_int_eq(catalog_load(dir, &limits, &c, why), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(why, ".json: is no JSON: malformed JSON"));
    write_file(path, "{\"properties\":{\"lat\":{\"format\":\"x\"}}}");
    ck_assert_int_eq(catalog_load(dir, &limits, &c, why), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(why, path));
    ck_assert_ptr_nonnull(strstr(why, "/properties/lat: keyword 'format' is not supported"));
    ck_assert_ptr_null(c);
    (void)unlink(path);
    (void)rmdir(dir);
}
END_TEST

START_TEST(verdict_names_are_all_different) {
    for (int a = 0; a < MSG_VERDICTS; a++)
        for (int b = 0; b < a; b++)
            ck_assert_str_ne(msg_verdict_name((msg_verdict)a), msg_verdict_name((msg_verdict)b));
}
END_TEST

Suite *suite_catalog(void) {
    Suite *s = suite_create("catalog");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_proper_payload_of_every_schema_is_accepted);
    tcase_add_test(t, what_a_schema_accepts_binds_to_the_columns_of_every_type_that_obeys_it);
    tcase_add_test(t, every_schema_has_a_proper_payload_here);
    tcase_add_test(t, no_schema_takes_an_unknown_member_nor_one_that_says_who_it_is_from);
    tcase_add_test(t, an_improper_payload_is_refused_with_its_place);
    tcase_add_test(t, what_is_no_json_is_told_apart);
    tcase_add_test(t, a_page_has_room_for_the_largest_message_and_nothing_else_has);
    tcase_add_test(t, an_improper_id_is_not_told);
    tcase_add_test(t, a_clock_may_be_ahead_by_the_skew_and_no_more);
    tcase_add_test(t, what_was_checked_is_handed_over);
    tcase_add_test(t, a_type_that_is_not_in_the_catalog_is_refused);
    tcase_add_test(t, a_folder_that_lacks_or_spoils_a_schema_is_refused_by_file_name);
    tcase_add_test(t, verdict_names_are_all_different);
    suite_add_tcase(s, t);
    return s;
}
