/* The document of rules: what it may say, and whose word counts. */
#include <errno.h>
#include "body_story.h"

static int parse(const char *spelled, body_rules **ret_rules, char why[BODY_WHY_MAX]) {
    CLEANUP(json_freep) json *document = NULL;
    ck_assert_msg(json_parse_once(text_of(spelled), &document) == JSON_OK, "%s", spelled);
    why[0] = '\0';
    *ret_rules = NULL;
    return body_rules_parse(document, ret_rules, why);
}

static body_rules *parsed(const char *spelled) {
    char why[BODY_WHY_MAX];
    body_rules *r;
    int fault = parse(spelled, &r, why);
    ck_assert_msg(fault == 0, "%s: %s", spelled, why);
    return r;
}

START_TEST(the_shipped_rules_are_rules_and_each_has_its_source) {
    CLEANUP(body_rules_freep) body_rules *r = NULL;
    CLEANUP(body_rules_freep) body_rules *again = NULL;
    CLEANUP(json_freep) json *document = NULL;
    const body_limits *l = NULL;
    char why[BODY_WHY_MAX];
    body_rule_view view;
    ck_assert_int_eq(body_rules_default(&r), 0);
    ck_assert_int_eq(body_rules_for(r, TEXT("ann"), NULL, 0, &l), 0);
    size_t count = 0;
    for (; body_limits_rule(l, count, &view); count++)
        ck_assert_msg(strlen(view.source) > 20, "%s", view.name);
    ck_assert_uint_gt(count, 20);
    ck_assert_int_eq(json_parse_once(body_rules_shipped(), &document), JSON_OK);
    ck_assert_uint_eq(json_length(json_get(document, "rules")), count);
    ck_assert_int_eq(body_rules_parse(document, &again, why), 0); /* over itself */
}
END_TEST

#define RULE(members)   "{\"v\":1,\"rules\":[{" members "}]}"
#define WHOLE           "\"name\":\"x\",\"of\":\"hr\",\"above\":100"
#define AND(conditions) RULE(WHOLE ",\"and\":" conditions)

START_TEST(a_document_that_is_none_is_refused_and_the_place_named) {
    static const struct {
        const char *spelled, *why;
    } rows[] = {
        {"[]", "must be an object"},
        {"{}", "v: must be 1"},
        {"{\"v\":2}", "v: must be 1"},
        {"{\"v\":1,\"x\":2}", "there is no 'x' here"},
        {"{\"v\":1,\"rules\":{}}", "rules: must be a list of at most 64"},
        {"{\"v\":1,\"rules\":[7]}", "rules[0]: must be an object"},
        {RULE(""), "rules[0].name: must be 1 to 31 small letters"},
        {RULE("\"name\":\"X\",\"of\":\"hr\",\"above\":100"), "rules[0].name"},
        {RULE("\"name\":\"x-\",\"of\":\"hr\",\"above\":100"), "rules[0].name"},
        {RULE("\"name\":\"abcdefghijklmnopqrstuvwxyzabcdef\",\"of\":\"hr\",\"above\":100"), "rules[0].name"},
        {RULE("\"name\":\"x\""), "rules[0].of: is no signal"},
        {RULE("\"name\":\"x\",\"of\":\"mood\",\"above\":1"), "rules[0].of: is no signal"},
        {RULE("\"name\":\"x\",\"of\":\"hr\""), "rules[0]: needs above or below"},
        {RULE("\"name\":\"x\",\"of\":\"hr\",\"above\":100,\"below\":50"),
         "rules[0]: is either above or below"},
        {RULE("\"name\":\"x\",\"of\":\"hr\",\"above\":251"),
         "rules[0].above: must be a number from 20 to 250"},
        {RULE("\"name\":\"x\",\"of\":\"hr\",\"below\":19"),
         "rules[0].below: must be a number from 20 to 250"},
        {RULE("\"name\":\"x\",\"of\":\"hr\",\"below\":\"50\""), "rules[0].below"},
        {RULE("\"name\":\"x\",\"of\":\"hr\",\"below\":null"), "rules[0].below"},
        {RULE(WHOLE ",\"mood\":1"), "rules[0]: there is no 'mood' here"},
        {RULE(WHOLE ",\"when\":[]"), "rules[0].when: must be a list of 1 to 5"},
        {RULE(WHOLE ",\"when\":[\"asleep\"]"), "rules[0].when[0]: no such word"},
        {RULE(WHOLE ",\"when\":[\"rest\",\"rest\"]"), "rules[0].when[1]: is there twice"},
        {RULE(WHOLE ",\"for\":-1"), "rules[0].for: must be a number from 0 to 86400"},
        {RULE(WHOLE ",\"clear_for\":86401"), "rules[0].clear_for"},
        {RULE(WHOLE ",\"quiet\":true"), "rules[0].quiet"},
        {RULE(WHOLE ",\"margin\":-1"), "rules[0].margin"},
        {RULE(WHOLE ",\"step\":201"), "rules[0].step"},
        {RULE(WHOLE ",\"response\":\"shout\""), "rules[0].response: is 'note', 'ask' or 'raise'"},
        {RULE(WHOLE ",\"off\":0"), "rules[0].off: must be true or false"},
        {RULE(WHOLE ",\"source\":\"\""), "rules[0].source"},
        {RULE(WHOLE ",\"source\":7"), "rules[0].source"},
        {AND("{}"), "rules[0].and: must be a list of at most 4"},
        {AND("[{},{},{},{},{}]"), "rules[0].and: must be a list of at most 4"},
        {AND("[{}]"), "rules[0].and[0].of: is no signal"},
        {AND("[{\"of\":\"still\"}]"), "rules[0].and[0]: needs above or below"},
        {AND("[{\"of\":\"still\",\"above\":-1}]"), "rules[0].and[0].above"},
        {AND("[{\"of\":\"still\",\"above\":1,\"for\":1}]"), "rules[0].and[0]: there is no 'for' here"},
        {AND("[7]"), "rules[0].and[0]: must be an object"},
        {"{\"v\":1,\"rules\":[{" WHOLE "},{" WHOLE "}]}", "rules[1].name: there are two called 'x'"},
        {RULE("\"name\":\"pulse-high\",\"of\":\"spo2\",\"above\":90"),
         "rules[0].of: the rule is one of 'hr'"},
        {RULE("\"name\":\"pulse-high\",\"below\":90"), "rules[0]: the rule asks for above"},
        {"{\"v\":1,\"settings\":[]}", "settings: must be an object"},
        {"{\"v\":1,\"settings\":{\"mood\":1}}", "settings: there is no 'mood' here"},
        {"{\"v\":1,\"settings\":{\"age\":13}}", "settings.age: must be a number from 14 to 110"},
        {"{\"v\":1,\"settings\":{\"oxygen\":1}}", "settings.oxygen: must be true or false"},
        {"{\"v\":1,\"roles\":[]}", "roles: must be an object"},
        {"{\"v\":1,\"roles\":{\"\":{}}}", "roles.: is no name"},
        {"{\"v\":1,\"roles\":{\"guard\":{\"v\":1}}}", "roles.guard: there is no 'v' here"},
        {"{\"v\":1,\"roles\":{\"guard\":{\"rules\":[{\"name\":\"y\"}]}}}", "roles.guard.rules[0].of"},
        {"{\"v\":1,\"people\":{\"ann\":{\"settings\":{\"age\":200}}}}", "people.ann.settings.age"},
        {"{\"v\":1,\"people\":{\"ann\":7}}", "people.ann: must be an object"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        body_rules *r = NULL;
        char why[BODY_WHY_MAX];
        int fault = parse(rows[i].spelled, &r, why);
        ck_assert_msg(fault == -EBADMSG && !r, "%s", rows[i].spelled);
        ck_assert_msg(strncmp(why, rows[i].why, strlen(rows[i].why)) == 0, "%s: '%s' is not '%s'",
                      rows[i].spelled, why, rows[i].why);
    }
}
END_TEST

START_TEST(there_is_room_for_so_many_different_rules_and_no_more) {
    for (int more = 0; more <= BODY_RULES_MAX; more++) {
        CLEANUP(buf_release) buf b = BUF(65536);
        CLEANUP(body_rules_freep) body_rules *r = NULL;
        CLEANUP(body_rules_freep) body_rules *shipped = NULL;
        char why[BODY_WHY_MAX];
        const body_limits *l = NULL;
        body_rule_view view;
        size_t own = 0, count = 0;
        ck_assert_int_eq(body_rules_default(&shipped), 0);
        ck_assert_int_eq(body_rules_for(shipped, TEXT("x"), NULL, 0, &l), 0);
        while (body_limits_rule(l, own, &view))
            own++;
        buf_add_text(&b, TEXT("{\"v\":1,\"rules\":["));
        for (int i = 0; i < more; i++)
            buf_printf(&b, "%s{\"name\":\"own%d\",\"of\":\"hr\",\"above\":100}", i ? "," : "", i);
        buf_add_text(&b, TEXT("]}"));
        int fault = parse(b.ptr, &r, why);
        ck_assert_int_eq(fault, own + (size_t)more <= BODY_RULES_MAX ? 0 : -EBADMSG);
        if (fault < 0)
            continue;
        ck_assert_int_eq(body_rules_for(r, TEXT("x"), NULL, 0, &l), 0);
        while (body_limits_rule(l, count, &view))
            count++;
        ck_assert_uint_eq(count, own + (size_t)more);
    }
}
END_TEST

static const char layers[] =
    "{\"v\":1,\"rules\":[{\"name\":\"pulse-high\",\"above\":110,\"for\":30},"
    "{\"name\":\"own\",\"of\":\"resp\",\"above\":30,\"response\":\"note\",\"source\":\"house doctor, "
    "2026\"}],"
    "\"roles\":{\"diver\":{\"rules\":[{\"name\":\"pulse-high\",\"for\":10}]},"
    "\"fire\":{\"rules\":[{\"name\":\"pulse-high\",\"for\":20},{\"name\":\"fall\",\"off\":true}]}},"
    "\"people\":{\"ann\":{\"rules\":[{\"name\":\"pulse-high\",\"above\":140,\"response\":\"raise\"}]}}}";

/* How a resting pulse is judged says whose words hold. */
static void judged(const char *person, const char *const *role_words, double hr, bool found, int64_t for_s,
                   body_response response, double limit) {
    CLEANUP(story_release) story s = story_under(layers);
    text roles[2];
    size_t count = 0;
    for (; count < 2 && role_words && role_words[count]; count++)
        roles[count] = text_of(role_words[count]);
    ck_assert_int_eq(body_rules_for(s.rules, text_of(person), roles, count, &s.limits), 0);
    rest(&s, 900);
    s.hr = hr;
    play(&s, (scene){80, .hr = hr, .noise = 0.4, .motion = 0.05, .contact = CONTACT_GOOD});
    const finding *f = said(&s, "pulse-high", FINDING_BEGINS);
    ck_assert_msg((f != NULL) == found, "%s at %g", person, hr);
    if (!f)
        return;
    ck_assert_double_eq_tol(f->limit, limit, 1e-9);
    ck_assert_int_eq((f->at - f->since) / S, for_s);
    ck_assert_int_eq(f->response, response);
}

START_TEST(the_nearest_word_counts_key_by_key) {
    static const char *const diver[] = {"diver", NULL}, *const both[] = {"fire", "diver"},
                             *const none[] = {"cook", NULL};
    judged("bob", NULL, 130, true, 30, BODY_ASK, 110);
    judged("bob", none, 130, true, 30, BODY_ASK, 110);
    judged("bob", diver, 130, true, 10, BODY_ASK, 110);
    judged("bob", both, 130, true, 20, BODY_ASK, 110); /* the later in the document */
    judged("ann", diver, 130, false, 0, BODY_NOTE, 0);
    judged("ann", diver, 150, true, 10, BODY_RAISE, 140);
}
END_TEST

START_TEST(a_rule_that_is_off_says_nothing_and_people_of_the_same_words_share_theirs) {
    CLEANUP(body_rules_freep) body_rules *r = parsed(layers);
    const text fire[] = {TEXT("fire")}, more[] = {TEXT("cook"), TEXT("fire")};
    const body_limits *plain, *bob, *eve, *ann;
    body_rule_view view;
    ck_assert_int_eq(body_rules_for(r, TEXT("joe"), NULL, 0, &plain), 0);
    ck_assert_int_eq(body_rules_for(r, TEXT("bob"), fire, 1, &bob), 0);
    ck_assert_int_eq(body_rules_for(r, TEXT("eve"), more, 2, &eve), 0);
    ck_assert_int_eq(body_rules_for(r, TEXT("ann"), fire, 1, &ann), 0);
    ck_assert(bob == eve && bob != plain && bob != ann);
    for (size_t i = 0; body_limits_rule(bob, i, &view); i++) {
        ck_assert(view.off == (strcmp(view.name, "fall") == 0 || strcmp(view.name, "variability-low") == 0 ||
                               strcmp(view.name, "news2-single") == 0));
        if (strcmp(view.name, "own") == 0)
            ck_assert_str_eq(view.source, "house doctor, 2026");
    }
    CLEANUP(story_release) story s = story_under(layers);
    ck_assert_int_eq(body_rules_for(s.rules, TEXT("bob"), fire, 1, &s.limits), 0);
    play(&s, (scene){30, .hr = 70, .motion = 0.01, .event = EVENT_FALL});
    ck_assert_ptr_null(said(&s, "fall", FINDING_BEGINS));
    play(&s, (scene){30, .hr = 70, .motion = 0.01});
    ck_assert_ptr_nonnull(said(&s, "fall-still", FINDING_BEGINS));
}
END_TEST

START_TEST(settings_change_how_a_body_is_read) {
    static const char old[] = "{\"v\":1,\"settings\":{\"age\":60,\"oxygen\":true,\"spo2_scale2\":true,"
                              "\"usual_pulse\":50,\"quality\":80}}";
    CLEANUP(story_release) story s = story_under(old);
    body_view v;
    s.hr = 150;
    /* 145 is 87 percent of 166, but 75 of 194 */
    play(&s, (scene){40, .hr = 146, .noise = 1, .motion = 0.05, .spo2 = 97, .quality = 90});
    const finding *f = said(&s, "pulse-very-high", FINDING_BEGINS);
    ck_assert(f && f->score.of[1] == 3 && f->score.of[2] == 2);
    ck_assert_double_eq_tol(f->usual, 50, 1e-9);
    play(&s, (scene){40, .hr = 70, .motion = 0.05, .quality = 79});
    body_look(s.b, s.now, &v);
    ck_assert_int_eq(v.latest_at[VITAL_HR], s.now - 40 * S);
    CLEANUP(story_release) story young = story_of();
    young.hr = 150;
    play(&young, (scene){40, .hr = 146, .noise = 1, .motion = 0.05, .spo2 = 97, .quality = 90});
    ck_assert_ptr_null(said(&young, "pulse-very-high", FINDING_BEGINS));
}
END_TEST

START_TEST(new_rules_leave_what_is_going_on_as_it_is) {
    CLEANUP(story_release) story s = story_of();
    CLEANUP(body_rules_freep) body_rules *other = parsed(layers);
    rest(&s, 900);
    play(&s, (scene){90, .hr = 150, .noise = 1, .tau = 2, .motion = 0.05});
    ck_assert_uint_eq(times_said(&s, "pulse-high", FINDING_BEGINS), 1);
    ck_assert_int_eq(body_rules_for(other, TEXT("bob"), NULL, 0, &s.limits), 0);
    play(&s, (scene){90, .hr = 150, .noise = 1, .tau = 2, .motion = 0.05});
    ck_assert_uint_eq(times_said(&s, "pulse-high", FINDING_BEGINS), 1);
    rest(&s, 600);
    ck_assert_uint_eq(times_said(&s, "pulse-high", FINDING_ENDS), 1);
}
END_TEST

/* As many as a service has, in no order: each is found, and nobody else's words are theirs. */
START_TEST(people_are_found_among_many_whatever_order_they_stand_in) {
    CLEANUP(buf_release) buf b = BUF(1 << 20);
    buf_add_text(&b, TEXT("{\"v\":1,\"people\":{"));
    for (unsigned i = 0; i < 3000; i++)
        buf_printf(&b, "%s\"p%u\":{\"rules\":[{\"name\":\"own-%u\",\"of\":\"hr\",\"above\":%u}]}",
                   i ? "," : "", i * 7919 % 3000, i % 3, 100 + i % 3);
    buf_add_text(&b, TEXT("}}"));
    ck_assert_int_eq(buf_failed(&b), 0);
    CLEANUP(body_rules_freep) body_rules *r = parsed(b.ptr);
    const body_limits *nobody, *same;
    ck_assert_int_eq(body_rules_for(r, TEXT("p3000"), NULL, 0, &nobody), 0);
    ck_assert_int_eq(body_rules_for(r, TEXT("p"), NULL, 0, &same), 0);
    ck_assert_ptr_eq(same, nobody);
    for (unsigned i = 0; i < 3000; i += 41) {
        char name[16], own[16];
        const body_limits *l;
        body_rule_view view;
        bool has = false;
        (void)snprintf(name, sizeof name, "p%u", i * 7919 % 3000);
        (void)snprintf(own, sizeof own, "own-%u", i % 3);
        ck_assert_int_eq(body_rules_for(r, text_of(name), NULL, 0, &l), 0);
        for (size_t k = 0; body_limits_rule(l, k, &view); k++) {
            has = has || strcmp(view.name, own) == 0;
            ck_assert(strncmp(view.name, "own-", 4) != 0 || strcmp(view.name, own) == 0);
        }
        ck_assert(has && l != nobody);
    }
}
END_TEST

Suite *suite_body_rules(void) {
    Suite *s = suite_create("body_rules");
    TCase *t = tcase_create("all");
    tcase_add_test(t, the_shipped_rules_are_rules_and_each_has_its_source);
    tcase_add_test(t, a_document_that_is_none_is_refused_and_the_place_named);
    tcase_add_test(t, there_is_room_for_so_many_different_rules_and_no_more);
    tcase_add_test(t, the_nearest_word_counts_key_by_key);
    tcase_add_test(t, a_rule_that_is_off_says_nothing_and_people_of_the_same_words_share_theirs);
    tcase_add_test(t, settings_change_how_a_body_is_read);
    tcase_add_test(t, new_rules_leave_what_is_going_on_as_it_is);
    tcase_add_test(t, people_are_found_among_many_whatever_order_they_stand_in);
    suite_add_tcase(s, t);
    return s;
}
