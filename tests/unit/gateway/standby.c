#include <check.h>
#include <stdio.h>
#include <string.h>

#include "gateway/standby/standby.h"

#define ALERT TEXT("018f0000-1234-7abc-8def-0123456789ab")
#define NOW   (INT64_C(1795257600) * INSTANT_SECOND)

static const char people[] =
    "\"people\":{"
    "\"dora\":{\"lang\":\"af\",\"connected\":true,\"channels\":[{\"kind\":\"voice\",\"number\":\"+"
    "27821110001\"},"
    "{\"kind\":\"sms\",\"number\":\"+27821110001\"},{\"kind\":\"mqtt\"}]},"
    "\"dave\":{\"channels\":[{\"kind\":\"sms\",\"number\":\"+27821110002\",\"fault\":\"opted_out\"},"
    "{\"kind\":\"voice\",\"number\":\"+27821110002\"}]},"
    "\"fay\":{\"channels\":[{\"kind\":\"sms\",\"number\":\"+27821110003\"}]},\"nobody\":{}},"
    "\"roles\":{\"dispatcher\":[\"dave\",\"dora\"]},"
    "\"teams\":{\"night\":[{\"from\":1795250000,\"person\":\"early\"},{\"from\":1795257000,\"person\":"
    "\"nina\"},"
    "{\"from\":1795258000,\"person\":\"late\"}]},"
    "\"free\":[{\"person\":\"far\",\"lat\":1,\"lon\":1},{\"person\":\"near\",\"lat\":0.001,\"lon\":179.999},"
    "{\"person\":\"next\",\"lat\":0.002,\"lon\":-179.999}],"
    "\"contacts\":{\"ann\":[\"dora\",\"fay\"]},\"names\":{\"ann\":\"Ann Smith\"}";

static at_hand *hand(const char *level) {
    char why[PLAN_WHY_MAX];
    at_hand *h = NULL;
    json *body = NULL;
    CLEANUP(buf_release) buf spelled = BUF(1 << 16);
    buf_printf(&spelled,
               "{%s,\"plan\":{\"v\":1,\"webhooks\":{\"ops\":\"https://ops.example/"
               "h\"},\"policies\":[{\"name\":\"p\","
               "\"levels\":[{\"after\":5,%s}]}],\"trouble\":[{\"person\":\"dora\"}]}}",
               people, level);
    ck_assert_int_eq(json_parse_once(buf_text(&spelled), &body), JSON_OK);
    int fault = at_hand_read(TEXT("acme"), body, &h, why);
    ck_assert_msg(fault == 0, "%s", why);
    return h;
}

static told *incident_of(const char *raise, text raiser) {
    CLEANUP(json_freep) json *body = NULL;
    ck_assert_int_eq(json_parse_once(text_of(raise), &body), JSON_OK);
    told *t = told_new(TEXT("acme"), ALERT, raiser, "raise", body, NOW);
    ck_assert_ptr_nonnull(t);
    return t;
}

/* "person kind place +seconds", 'f' for family, '!' for what failed. */
static void list(const told *t, buf *to) {
    for (size_t i = 0; i < t->count; i++) {
        const notice *n = t->notices[i];
        buf_printf(to, "%s%s %s %lld +%lld%s", i ? ", " : "", n->person ? n->person : n->address, n->kind,
                   (long long)n->place, (long long)((n->due_at - NOW) / INSTANT_SECOND),
                   n->status == NOTICE_FAILED ? "!"
                   : n->family                ? "f"
                                              : "");
    }
}

START_TEST(a_level_comes_to_the_people_and_places_that_the_engine_would_tell) {
    static const struct {
        const char *level, *raise, *told;
    } rows[] = {
        {"\"targets\":[{\"role\":\"dispatcher\"}],\"gap\":30", "{\"type\":\"panic\"}",
         "dave sms 1 +5!, dave voice 2 +5, dora voice 1 +5, dora sms 2 +35, dora mqtt 3 +65"},
        {"\"targets\":[{\"role\":\"dispatcher\"}],\"channels\":[\"mqtt\",\"sms\"],\"gap\":30",
         "{\"type\":\"panic\"}", "dave mqtt 1 +5, dave sms 2 +35!, dora mqtt 1 +5, dora sms 2 +35"},
        {"\"targets\":[{\"person\":\"fay\"}],\"channels\":[\"voice\"]", "{\"type\":\"panic\"}",
         "fay sms 1 +5"},
        {"\"targets\":[{\"person\":\"nobody\"},{\"person\":\"ann\"},{\"webhook\":\"ops\"}]",
         "{\"type\":\"panic\"}", "nobody mqtt 1 +5, ops webhook 1 +5"},
        {"\"targets\":[{\"team\":\"night\"},{\"family\":true},{\"person\":\"dora\"}],\"channels\":[\"sms\"]",
         "{\"type\":\"panic\"}", "nina mqtt 1 +5, dora sms 1 +5, fay sms 1 +5f"},
        {"\"targets\":[{\"nearest\":2}]", "{\"type\":\"panic\",\"location\":{\"lat\":0,\"lon\":-180}}",
         "near mqtt 1 +5, next mqtt 1 +5"},
        {"\"targets\":[{\"nearest\":9,\"within\":200}]",
         "{\"type\":\"panic\",\"location\":{\"lat\":0,\"lon\":180}}", "near mqtt 1 +5"},
        {"\"targets\":[{\"nearest\":1}]", "{\"type\":\"panic\"}", "far mqtt 1 +5"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        at_hand *h = hand(rows[i].level);
        CLEANUP(told_freep) told *t = incident_of(rows[i].raise, TEXT("ann"));
        CLEANUP(buf_release) buf got = BUF(4096);
        ck_assert_int_eq(at_hand_tell(h, t, NOW), 0);
        list(t, &got);
        ck_assert_str_eq(got.ptr, rows[i].told);
        (void)at_hand_free(h);
    }
}
END_TEST

START_TEST(a_notice_has_the_engines_id_and_a_text_a_code) {
    at_hand *h = hand("\"targets\":[{\"person\":\"dora\"},{\"webhook\":\"ops\"}]");
    CLEANUP(told_freep) told *t = incident_of("{\"type\":\"panic\"}", TEXT("ann"));
    ck_assert_int_eq(at_hand_tell(h, t, NOW), 0);
    ck_assert_str_eq(t->notices[0]->id,
                     "018f0000-1234-7767-a209-63a8acaea76f"); /* acme/<alert>/0/0/1/dora/1 */
    ck_assert_str_eq(t->notices[0]->code, "");
    ck_assert_uint_eq(strspn(t->notices[1]->code, "0123456789"), 4);
    ck_assert(text_equal(at_hand_webhook(h, TEXT("ops")), TEXT("https://ops.example/h")));
    ck_assert(text_equal(at_hand_name(h, TEXT("ann")), TEXT("Ann Smith")) &&
              text_equal(at_hand_name(h, TEXT("bob")), TEXT("bob")));
    (void)at_hand_free(h);
}
END_TEST

START_TEST(what_is_kept_comes_back_and_what_was_under_way_is_in_doubt) {
    at_hand *h = hand("\"targets\":[{\"role\":\"dispatcher\"}]");
    CLEANUP(told_freep)
    told *t = incident_of("{\"type\":\"fire\",\"text\":\"the shed\"}", TEXT("ann")), *back = NULL;
    CLEANUP(buf_release) buf spelled = BUF(1 << 20), again = BUF(1 << 20);
    ck_assert_int_eq(at_hand_tell(h, t, NOW), 0);
    (void)snprintf(t->joined[t->joined_count++], UUID_TEXT_LEN + 1, "018f0000-1234-7abc-8def-0123456789ac");
    notice *n = t->notices[2];
    n->status = NOTICE_SENDING;
    n->tries[n->try_count++] = (notice_try){.id = "018f0000-1234-7abc-8def-0123456789ad",
                                            .row = provider_named(TEXT("twilio-sms")),
                                            .begun_at = NOW};
    told_spell(t, &spelled);
    ck_assert_int_eq(told_read(buf_text(&spelled), &back), 0);
    ck_assert_int_eq(back->notices[2]->status, NOTICE_DOUBT);
    ck_assert_ptr_eq(back->notices[2]->tries[0].row, n->tries[0].row);
    ck_assert(told_is(back, TEXT("acme"), TEXT("018f0000-1234-7abc-8def-0123456789ac")));
    ck_assert(!told_is(back, TEXT("other"), ALERT));
    ck_assert_int_eq(told_rank(back), 4);
    back->notices[2]->status = NOTICE_SENDING;
    told_spell(back, &again);
    ck_assert_str_eq(again.ptr, spelled.ptr);
    (void)at_hand_free(h);
}
END_TEST

START_TEST(what_is_no_entry_of_the_ledger_is_refused) {
    static const char *const rows[] = {
        "", "{}", "[]", "{\"org\":\"acme\"}", "null", "{\"org\":1,\"purpose\":\"raise\"}"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        told *t = NULL;
        ck_assert_int_lt(told_read(text_of(rows[i]), &t), 0);
        ck_assert_ptr_null(t);
    }
}
END_TEST

START_TEST(everybody_is_reached_when_each_has_one_message) {
    at_hand *h = hand("\"targets\":[{\"role\":\"dispatcher\"}]");
    CLEANUP(told_freep) told *t = incident_of("{\"type\":\"panic\"}", TEXT("ann"));
    ck_assert_int_eq(at_hand_tell(h, t, NOW), 0);
    ck_assert(!told_reached(t) && !told_settled(t));
    t->notices[1]->status = NOTICE_SENT;
    ck_assert(!told_reached(t));
    t->notices[3]->status = NOTICE_SENT;
    ck_assert(told_reached(t) && !told_settled(t));
    (void)at_hand_free(h);
}
END_TEST

/* Each notice's number, unless it stands behind. */
static void list_ahead(const told *t, buf *to) {
    ahead a = ahead_of(t);
    buf_clear(to);
    for (size_t i = 0; i < t->count; i++)
        if (!notice_behind(t->notices[i], &a))
            buf_printf(to, "%zu ", i);
}

START_TEST(once_somebody_is_being_told_by_a_kind_of_channel_others_stand_behind) {
    at_hand *h = hand("\"targets\":[{\"role\":\"dispatcher\"},{\"family\":true}]");
    CLEANUP(told_freep) told *t = incident_of("{\"type\":\"panic\"}", TEXT("ann"));
    CLEANUP(buf_release) buf got = BUF(4096);
    ck_assert_int_eq(at_hand_tell(h, t, NOW), 0);
    ck_assert_uint_eq(t->count, 6); /* dave sms (failed) voice, dora voice sms mqtt, fay (family) sms */
    static const struct {
        size_t which;
        notice_status status;
        const char *ahead;
    } rows[] = {
        {0, NOTICE_FAILED, "0 1 2 3 4 "},  /* nobody yet; family never */
        {5, NOTICE_SENT, "0 1 2 3 4 "},    /* family doesn't count */
        {2, NOTICE_SENDING, "0 3 4 "},     /* a call to one */
        {2, NOTICE_WAITING, "0 1 2 3 4 "}, /* didn't get through: anybody may be the first again */
        {2, NOTICE_DOUBT, "0 2 3 4 "},     /* perhaps; what became of it is asked at once */
        {3, NOTICE_SENT, "2 4 "},          /* and a text to the other */
        {4, NOTICE_WITHDRAWN, "2 4 "},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        t->notices[rows[i].which]->status = rows[i].status;
        list_ahead(t, &got);
        ck_assert_msg(strcmp(got.ptr, rows[i].ahead) == 0, "row %zu: %s", i, got.ptr);
    }
    (void)at_hand_free(h);
}
END_TEST

Suite *suite_standby(void) {
    Suite *s = suite_create("standby");
    TCase *c = tcase_create("standby");
    tcase_add_test(c, a_level_comes_to_the_people_and_places_that_the_engine_would_tell);
    tcase_add_test(c, a_notice_has_the_engines_id_and_a_text_a_code);
    tcase_add_test(c, what_is_kept_comes_back_and_what_was_under_way_is_in_doubt);
    tcase_add_test(c, what_is_no_entry_of_the_ledger_is_refused);
    tcase_add_test(c, everybody_is_reached_when_each_has_one_message);
    tcase_add_test(c, once_somebody_is_being_told_by_a_kind_of_channel_others_stand_behind);
    suite_add_tcase(s, c);
    return s;
}
