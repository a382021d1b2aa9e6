/* A body kept and read back finds what the one that was never put away finds. */
#include <errno.h>
#include <stddef.h>
#include "body_story.h"
#include "core/body_private.h"

static text spelled(const body *b, buf *to) {
    buf_clear(to);
    body_spell(b, to);
    ck_assert_int_eq(buf_failed(to), 0);
    return buf_text(to);
}

/* Nothing is forgotten: what stands before the slots is the same, word by word. */
static void same(const body *a, const body *b) {
    for (size_t at = offsetof(body, clock); at < offsetof(body, slots); at += sizeof(double)) {
        double x, y;
        memcpy(&x, (const char *)a + at, sizeof x);
        memcpy(&y, (const char *)b + at, sizeof y);
        ck_assert_msg(memcmp(&x, &y, sizeof x) == 0 || (isnan(x) && isnan(y)), "at byte %zu", at);
    }
}

static void put_away(story *s) {
    CLEANUP(buf_release) buf first = BUF(65536);
    CLEANUP(buf_release) buf second = BUF(65536);
    body *again = NULL;
    text t = spelled(s->b, &first);
    ck_assert_int_eq(body_read(t, &again), 0);
    ck_assert(text_equal(spelled(again, &second), t));
    same(s->b, again);
    (void)body_free(s->b);
    s->b = again;
}

/* Everything that can be remembered happens in it, and it is put away every `often` seconds. */
static void live(story *s, int64_t often, bool away) {
    static const scene scenes[] = {
        {300, .hr = 72, .tau = 60, .motion = 0.05, .spo2 = 97, .resp = 15, .temp = 36.8, .sys = 121,
         .contact = CONTACT_GOOD},
        {200, .hr = 165, .tau = 30, .motion = 0.8, .spo2 = 96, .contact = CONTACT_GOOD},
        {300, .hr = 90, .tau = 40, .motion = 0.05, .spo2 = 97, .contact = CONTACT_GOOD},
        {40, .hr = 130, .noise = 90, .motion = 0.1, .spo2 = 97, .contact = CONTACT_GOOD},
        {100, .hr = 145, .tau = 4, .motion = 0.05, .spo2 = 90, .resp = 27, .contact = CONTACT_GOOD},
        {60, .hr = 145, .tau = 4, .motion = 0.05, .contact = CONTACT_NONE},
        {60, .hr = 145, .tau = 4, .motion = 0.05, .spo2 = 90, .contact = CONTACT_GOOD},
        {90, .hr = 34, .tau = 4, .motion = 0.01, .contact = CONTACT_GOOD, .event = EVENT_FALL},
        {60, .silent = true},
        {90, .hr = 80, .tau = 4, .motion = 0.3, .contact = CONTACT_GOOD, .event = EVENT_STILL},
    };
    for (size_t i = 0; i < ARRAY_LEN(scenes); i++)
        for (int64_t done = 0; done < scenes[i].seconds; done += often) {
            scene c = scenes[i];
            c.seconds = c.seconds - done < often ? c.seconds - done : often;
            c.event = done == 0 ? c.event : EVENT_NOTHING;
            play(s, c);
            if (away)
                put_away(s);
            if (i == 4 && done + often > 90 && done <= 90)
                body_excuse(s->b, s->limits, s->now);
        }
}

START_TEST(a_story_put_away_at_any_moment_goes_on_as_it_would_have) {
    static const int64_t often[] = {1, 7, 30};
    for (size_t k = 0; k < ARRAY_LEN(often); k++) {
        CLEANUP(story_release) story whole = story_of();
        CLEANUP(story_release) story pieces = story_of();
        live(&whole, often[k], false);
        live(&pieces, often[k], true);
        ck_assert_uint_gt(whole.count, 8);
        ck_assert_uint_eq(whole.count, pieces.count);
        for (size_t i = 0; i < whole.count; i++) {
            const finding *a = &whole.heard[i], *b = &pieces.heard[i];
            ck_assert_str_eq(a->words, b->words);
            ck_assert(a->at == b->at && a->since == b->since && a->kind == b->kind && a->worse == b->worse &&
                      a->response == b->response);
        }
    }
}
END_TEST

START_TEST(what_was_not_written_here_is_refused) {
    CLEANUP(story_release) story s = story_of();
    CLEANUP(buf_release) buf b = BUF(65536);
    body *none = NULL;
    rest(&s, 30);
    text t = spelled(s.b, &b);
    static const char *const rows[] = {"",
                                       "{}",
                                       "[]",
                                       "null",
                                       "{\"v\":1}",
                                       "{\"v\":1,\"body\":[],\"rules\":[]}",
                                       "{\"v\":1,\"body\":7,\"rules\":[]}",
                                       "x"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_msg(body_read(text_of(rows[i]), &none) == -EBADMSG, "%s", rows[i]);
    for (size_t cut = 0; cut < t.len; cut++)
        ck_assert_int_eq(body_read((text){t.ptr, cut}, &none), -EBADMSG);
    char *copy = text_copy(t);
    ck_assert_ptr_nonnull(copy);
    static const struct {
        const char *from, *to;
    } changes[] = {
        {"],\"rules\"", ",0],\"rules\""},    {"\"v\":1", "\"v\":2"},
        {"\"body\":[", "\"body\":[0,"},      {"\"rules\":[", "\"rules\":[[1],"},
        {"\"rules\":[", "\"rules\":[7,"},    {"\"body\":[1", "\"body\":[-1"},
        {"\"body\":[1", "\"body\":[\"\",1"}, {"\"v\":1", "\"v\":1,\"w\":1"},
        {"\"body\":[1", "\"body\":[1.5"},
    };
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        CLEANUP(buf_release) buf changed = BUF(65536);
        const char *at = strstr(copy, changes[i].from);
        ck_assert_ptr_nonnull(at);
        buf_add(&changed, copy, (size_t)(at - copy));
        buf_add_text(&changed, text_of(changes[i].to));
        buf_add_text(&changed, text_of(at + strlen(changes[i].from)));
        ck_assert_msg(body_read(buf_text(&changed), &none) == -EBADMSG, "%s", changes[i].to);
    }
    free(copy);
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(a_body_is_small) {
    CLEANUP(story_release) story s = story_of();
    CLEANUP(buf_release) buf b = BUF(65536);
    live(&s, 1000, false);
    ck_assert_uint_le(body_size(), 6000);
    ck_assert_uint_le(spelled(s.b, &b).len, 8000);
}
END_TEST

Suite *suite_body_keep(void) {
    Suite *s = suite_create("body_keep");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_story_put_away_at_any_moment_goes_on_as_it_would_have);
    tcase_add_test(t, what_was_not_written_here_is_refused);
    tcase_add_test(t, a_body_is_small);
    suite_add_tcase(s, t);
    return s;
}
