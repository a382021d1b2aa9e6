/* What happens to those who are inside. */
#include "support.h"

START_TEST(who_stays_long_enough_dwells_once_with_fixes_or_without) {
    CLEANUP(freep) char *zone = circle_zone("yard", 100, ",\"dwell\":600");
    for (int silent = 0; silent < 2; silent++) {
        world o;
        world_begin(&o, zone);
        (void)take_fix(&o, fix_in(0, 0, 0, 5));
        for (int i = 1; i <= 30; i++)
            if (silent)
                count_up(&o, fences_pass(o.f, o.w, T0 + i * 60 * INSTANT_SECOND, o.events));
            else
                (void)take_fix(&o, fix_in(i * 60, i % 7, 0, 5));
        ck_assert_uint_eq(o.by_kind[FENCE_DWELLED], 1);
        world_end(&o);
    }
    world o;
    world_begin(&o, zone);
    (void)take_fix(&o, fix_in(0, 0, 0, 5));
    count_up(&o, fences_pass(o.f, o.w, T0 + 599 * INSTANT_SECOND, o.events));
    ck_assert_uint_eq(o.count, 0);
    count_up(&o, fences_pass(o.f, o.w, T0 + 700 * INSTANT_SECOND, o.events));
    ck_assert_uint_eq(o.count, 1);
    ck_assert(o.events[0].kind == FENCE_DWELLED && o.events[0].for_s == 600);
    ck_assert_int_eq(o.events[0].at, T0 + 600 * INSTANT_SECOND);
    world_end(&o);
}
END_TEST

START_TEST(leaving_without_a_check_in_is_told_apart) {
    CLEANUP(freep) char *zone = circle_zone("yard", 100, ",\"check_in\":true");
    const struct {
        double checked; /* when; 0: never */
        size_t unchecked;
    } rows[] = {{0, 1}, {-10, 1}, {30, 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        world o;
        world_begin(&o, zone);
        (void)take_fix(&o, fix_in(0, 0, 0, 5));
        if (rows[i].checked != 0)
            fences_checked_in(o.f, o.w, T0 + (instant)rows[i].checked * INSTANT_SECOND);
        (void)take_fix(&o, fix_in(60, 300, 0, 5));
        (void)take_fix(&o, fix_in(70, 310, 0, 5));
        assert_counts(&o, 1, 1, 0);
        ck_assert_msg(o.by_kind[FENCE_LEFT_UNCHECKED] == rows[i].unchecked, "row %zu", i);
        world_end(&o);
    }
}
END_TEST

START_TEST(who_is_too_fast_is_told_once_until_they_were_slow) {
    CLEANUP(freep) char *zone = road(",\"speed_limit\":10");
    world o;
    world_begin(&o, zone);
    const double speeds[] = {8,  12, 9, 12, 13, 14, 12, 12, 12, 12, 9.5,
                             12, 12, 8, 12, 12, 12, 12, 12, 12, 12};
    double east = 0, top = 0, lasted = 0;
    for (size_t i = 0; i < ARRAY_LEN(speeds); i++) {
        fix at = fix_in((double)i, east += 5, 0, 4);
        at.speed = speeds[i];
        (void)take_fix(&o, at);
        for (size_t k = 0; k < o.count; k++)
            if (o.events[k].kind == FENCE_SPEEDING)
                top = fmax(top, o.events[k].speed), lasted = o.events[k].for_s;
    }
    ck_assert_uint_eq(o.by_kind[FENCE_SPEEDING], 2);
    ck_assert(top == 14 && lasted == 5);
    world_end(&o);
}
END_TEST

START_TEST(speed_is_taken_from_the_way_when_the_device_does_not_say) {
    CLEANUP(freep) char *zone = road(",\"speed_limit\":10");
    for (int fast = 0; fast < 2; fast++) {
        world o;
        double second = 0;
        world_begin(&o, zone);
        walk(&o, &second, 10, 0, 900, 0, fast ? 25 : 9, 5, 0, NULL);
        ck_assert_uint_eq(o.by_kind[FENCE_SPEEDING], fast ? 1 : 0);
        world_end(&o);
    }
}
END_TEST

START_TEST(a_zone_is_for_those_it_names) {
    const struct {
        const char *more;
        size_t entered;
    } rows[] = {
        {",\"for\":{\"roles\":[\"officer\"]}", 1},
        {",\"for\":{\"roles\":[\"nurse\"]}", 0},
        {",\"for\":{\"people\":[\"bob\",\"ann\"]}", 1},
        {",\"for\":{\"people\":[\"bob\"]}", 0},
        {",\"for\":{\"people\":[\"bob\"],\"roles\":[\"nurse\",\"officer\"]}", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(freep) char *zone = circle_zone("yard", 100, rows[i].more);
        world o;
        world_begin(&o, zone);
        (void)take_fix(&o, fix_in(0, 0, 0, 5));
        ck_assert_msg(o.by_kind[FENCE_ENTERED] == rows[i].entered, "%s", rows[i].more);
        world_end(&o);
    }
}
END_TEST

/* 2026-11-21 is a Saturday; home's clock is an hour ahead of UTC. */
START_TEST(outside_its_hours_a_zone_is_not_there) {
    CLEANUP(freep)
    char *zone = circle_zone("yard", 100,
                             ",\"schedule\":{\"timezone\":\"Europe/Zurich\",\"days\":[\"sat\"],"
                             "\"from\":\"22:00\",\"to\":\"06:00\"}");
    const struct {
        const char *at;
        double east;
        size_t entered, left;
    } rows[] = {
        {"2026-11-21T20:59:59.000Z", 0, 0, 0},
        {"2026-11-21T21:00:00.000Z", 0, 1, 0},
        {"2026-11-22T04:59:59.000Z", 0, 1, 0},
        {"2026-11-22T05:00:00.000Z", 0, 1, 0}, /* its hours are over */
        {"2026-11-22T05:10:00.000Z", 500, 1, 0},
        {"2026-11-22T05:20:00.000Z", 500, 1, 0},
        {"2026-11-28T22:00:00.000Z", 0, 2, 0},
        {"2026-11-28T22:10:00.000Z", 500, 2, 0},
        {"2026-11-28T22:20:00.000Z", 500, 2, 1},
    };
    world o;
    world_begin(&o, zone);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fix at = fix_in(0, rows[i].east, 0, 5);
        ck_assert_int_eq(instant_parse(text_of(rows[i].at), &at.at), 0);
        (void)take_fix(&o, at);
        ck_assert_msg(o.by_kind[FENCE_ENTERED] == rows[i].entered && o.by_kind[FENCE_LEFT] == rows[i].left,
                      "%s", rows[i].at);
    }
    world_end(&o);
}
END_TEST

START_TEST(a_zone_that_is_changed_keeps_who_is_inside) {
    CLEANUP(freep) char *small = circle_zone("yard", 100, "");
    CLEANUP(freep) char *wide = circle_zone("yard", 1000, "");
    CLEANUP(freep) char *other = circle_zone("a", 100, "");
    fence_stay stays[4];
    world o;
    world_begin(&o, small);
    (void)take_fix(&o, fix_in(0, 0, 0, 5));
    put_zone(&o, wide);
    put_zone(&o, other); /* sorts before it */
    (void)take_fix(&o, fix_in(60, 10, 0, 5));
    ck_assert_uint_eq(o.by_kind[FENCE_ENTERED], 2); /* "a" alone was new */
    (void)take_fix(&o, fix_in(120, 500, 0, 5));
    (void)take_fix(&o, fix_in(180, 500, 0, 5));
    ck_assert_uint_eq(o.by_kind[FENCE_LEFT], 1); /* "a" again */
    ck_assert_uint_eq(fence_walker_stays(o.w, stays, 4), 1);
    ck_assert_str_eq(stays[0].zone, "yard");
    put_zone(&o, small);
    (void)take_fix(&o, fix_in(240, 500, 0, 5));
    (void)take_fix(&o, fix_in(300, 500, 0, 5));
    ck_assert_uint_eq(o.by_kind[FENCE_LEFT], 2);
    fences_drop(o.f, TEXT("a"));
    fences_drop(o.f, TEXT("a"));
    ck_assert_uint_eq(fences_count(o.f), 1);
    ck_assert(fences_zone(o.f, TEXT("yard")) && !fences_zone(o.f, TEXT("a")));
    world_end(&o);
}
END_TEST

START_TEST(a_zone_that_is_dropped_is_left_silently) {
    CLEANUP(freep) char *zone = circle_zone("yard", 100, "");
    fence_stay stay;
    world o;
    world_begin(&o, zone);
    (void)take_fix(&o, fix_in(0, 0, 0, 5));
    fences_drop(o.f, TEXT("yard"));
    (void)take_fix(&o, fix_in(60, 500, 0, 5));
    (void)take_fix(&o, fix_in(120, 500, 0, 5));
    assert_counts(&o, 1, 0, 0);
    ck_assert_uint_eq(fence_walker_stays(o.w, &stay, 1), 0);
    world_end(&o);
}
END_TEST

START_TEST(a_restart_forgets_nobody_who_is_inside) {
    CLEANUP(freep) char *zone = circle_zone("yard", 100, ",\"dwell\":600,\"check_in\":true");
    world before, after;
    fence_stay stays[4];
    world_begin(&before, zone);
    world_begin(&after, zone);
    (void)take_fix(&before, fix_in(0, 0, 0, 5));
    fences_checked_in(before.f, before.w, T0 + INSTANT_SECOND);
    (void)take_fix(&before, fix_in(600, 0, 0, 5));
    ck_assert_uint_eq(before.by_kind[FENCE_DWELLED], 1);
    ck_assert_uint_eq(fence_walker_stays(before.w, stays, 4), 1);
    ck_assert_int_eq(fence_walker_restore(after.w, &stays[0], fence_walker_seen(before.w)), 0);
    (void)take_fix(&after, fix_in(600, 0, 0, 5)); /* told again by a broker */
    (void)take_fix(&after, fix_in(1300, 0, 0, 5));
    ck_assert_uint_eq(after.by_kind[FENCE_ENTERED] + after.by_kind[FENCE_DWELLED], 0);
    (void)take_fix(&after, fix_in(1400, 300, 0, 5));
    (void)take_fix(&after, fix_in(1410, 300, 0, 5));
    assert_counts(&after, 0, 1, 0);
    ck_assert_uint_eq(after.by_kind[FENCE_LEFT_UNCHECKED], 0);
    world_end(&before);
    world_end(&after);
}
END_TEST

START_TEST(who_seems_to_have_left_in_time_does_not_dwell) {
    CLEANUP(freep) char *zone = circle_zone("yard", 100, ",\"dwell\":600");
    world o;
    world_begin(&o, zone);
    (void)take_fix(&o, fix_in(0, 0, 0, 5));
    (void)take_fix(&o, fix_in(540, 300, 0, 5)); /* outside, by one fix: it takes two */
    count_up(&o, fences_pass(o.f, o.w, T0 + 610 * INSTANT_SECOND, o.events));
    (void)take_fix(&o, fix_in(660, 320, 0, 5));
    ck_assert(o.by_kind[FENCE_DWELLED] == 0 && o.by_kind[FENCE_LEFT] == 1 && o.events[0].for_s == 540);
    world_end(&o);
    world_begin(&o, zone);
    (void)take_fix(&o, fix_in(0, 0, 0, 5));
    (void)take_fix(&o, fix_in(540, 300, 0, 5)); /* the same, and then silence */
    count_up(&o, fences_pass(o.f, o.w, T0 + 839 * INSTANT_SECOND, o.events));
    ck_assert_uint_eq(o.by_kind[FENCE_DWELLED], 0);
    count_up(&o, fences_pass(o.f, o.w, T0 + 840 * INSTANT_SECOND, o.events));
    ck_assert_uint_eq(o.by_kind[FENCE_DWELLED], 1);
    world_end(&o);
}
END_TEST

START_TEST(two_spikes_with_silence_between_are_not_speeding) {
    CLEANUP(freep) char *zone = road(",\"speed_limit\":10");
    const double seconds[] = {0, 2, 63, 64, 68, 69};
    world o;
    world_begin(&o, zone);
    for (size_t i = 0; i < ARRAY_LEN(seconds); i++) {
        fix at = fix_in(seconds[i], 10 + 12 * seconds[i], 0, 4);
        at.speed = 12;
        (void)take_fix(&o, at);
        ck_assert_uint_eq(o.by_kind[FENCE_SPEEDING], i < 4 ? 0 : 1);
    }
    world_end(&o);
}
END_TEST

Suite *suite_stay(void) {
    Suite *s = suite_create("stay");
    TCase *c = tcase_create("stay");
    tcase_add_test(c, who_stays_long_enough_dwells_once_with_fixes_or_without);
    tcase_add_test(c, leaving_without_a_check_in_is_told_apart);
    tcase_add_test(c, who_is_too_fast_is_told_once_until_they_were_slow);
    tcase_add_test(c, speed_is_taken_from_the_way_when_the_device_does_not_say);
    tcase_add_test(c, a_zone_is_for_those_it_names);
    tcase_add_test(c, outside_its_hours_a_zone_is_not_there);
    tcase_add_test(c, a_zone_that_is_changed_keeps_who_is_inside);
    tcase_add_test(c, a_zone_that_is_dropped_is_left_silently);
    tcase_add_test(c, a_restart_forgets_nobody_who_is_inside);
    tcase_add_test(c, who_seems_to_have_left_in_time_does_not_dwell);
    tcase_add_test(c, two_spikes_with_silence_between_are_not_speeding);
    suite_add_tcase(s, c);
    return s;
}
