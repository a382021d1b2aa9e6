/* Fixes that are late, wrong, vague, or from elsewhere. */
#include "support.h"

START_TEST(a_fix_that_may_be_far_wrong_decides_nothing) {
    CLEANUP(freep) char *zone = circle_zone("yard", 100, "");
    world o;
    world_begin(&o, zone);
    for (int i = 0; i < 10; i++) /* by the cell of the network */
        (void)take_fix(&o, fix_in(i * 10, 0, 0, 800));
    assert_counts(&o, 0, 0, 0);
    (void)take_fix(&o, fix_in(200, 5, 0, 6));
    assert_counts(&o, 1, 0, 0);
    for (int i = 0; i < 10; i++)
        (void)take_fix(&o, fix_in(300 + i * 10, 600, 0, 800));
    assert_counts(&o, 1, 0, 0);
    (void)take_fix(&o, fix_in(500, 600, 0, 6));
    (void)take_fix(&o, fix_in(505, 600, 0, 800)); /* neither for nor against */
    (void)take_fix(&o, fix_in(510, 600, 0, 6));
    assert_counts(&o, 1, 1, 0);
    world_end(&o);
}
END_TEST

START_TEST(late_and_repeated_fixes_are_left) {
    CLEANUP(freep) char *zone = circle_zone("yard", 100, "");
    world o;
    world_begin(&o, zone);
    (void)take_fix(&o, fix_in(100, 0, 0, 5));
    assert_counts(&o, 1, 0, 0);
    for (int i = 0; i < 5; i++) /* what waited on a device, from before */
        ck_assert_uint_eq(take_fix(&o, fix_in(i * 20, 500, 0, 5)), 0);
    ck_assert_uint_eq(take_fix(&o, fix_in(100, 0, 0, 5)), 0);
    (void)take_fix(&o, fix_in(110, 200, 0, 5));
    for (int i = 0; i < 5; i++) /* one fix five times is not five fixes */
        (void)take_fix(&o, fix_in(110, 200, 0, 5));
    assert_counts(&o, 1, 0, 0);
    ck_assert_int_eq(fence_walker_seen(o.w), T0 + 110 * INSTANT_SECOND);
    world_end(&o);
}
END_TEST

START_TEST(an_impossible_jump_is_nothing_unless_the_next_fix_agrees) {
    CLEANUP(freep) char *home = circle_zone("home", 100, "");
    world o;
    world_begin(&o, home);
    put_zone(&o, "{\"zone\":\"far\",\"shape\":{\"circle\":{\"lat\":0,\"lon\":0,\"radius\":500}}}");
    (void)take_fix(&o, fix_in(0, 0, 0, 5));
    fix island = fix_at(T0 + 10 * INSTANT_SECOND, 0, 0); /* what a receiver says before it knows */
    (void)take_fix(&o, island);
    (void)take_fix(&o, fix_in(20, 0, 0, 5));
    assert_counts(&o, 1, 0, 0);
    island.at = T0 + 30 * INSTANT_SECOND;
    (void)take_fix(&o, island);
    island.at = T0 + 40 * INSTANT_SECOND;
    (void)take_fix(&o, island); /* it is so, however one came there */
    ck_assert_uint_eq(o.by_kind[FENCE_ENTERED], 2);
    ck_assert_uint_eq(o.by_kind[FENCE_LEFT], 1);
    ck_assert_uint_eq(o.by_kind[FENCE_PASSED], 0);
    world_end(&o);
}
END_TEST

START_TEST(values_that_are_no_place_are_left) {
    CLEANUP(freep) char *zone = circle_zone("yard", 100, "");
    const double bad[][2] = {{NAN, 8}, {47, NAN}, {INFINITY, 8}, {47, -INFINITY}, {91, 8}, {47, 181}};
    world o;
    world_begin(&o, zone);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_uint_eq(take_fix(&o, fix_at(T0 + (instant)i, bad[i][0], bad[i][1])), 0);
    ck_assert_int_eq(fence_walker_seen(o.w), INT64_MIN);
    fix odd = fix_in(10, 0, 0, -5); /* an accuracy and a speed that mean nothing */
    odd.speed = NAN;
    ck_assert_uint_eq(take_fix(&o, odd), 1);
    world_end(&o);
}
END_TEST

START_TEST(a_vague_fix_on_the_way_hides_no_passing_and_makes_none) {
    CLEANUP(freep) char *zone = circle_zone("yard", 40, "");
    const struct {
        double from, vague_east, vague_north, to;
        size_t passed;
    } rows[] = {
        {-120, 0, 0, 120, 1},     /* beside a tower */
        {-120, 0, -2000, 120, 1}, /* or far from it */
        {-120, -2000, -1500, 120, 1},
        {-120, 120, 0, -120, 0}, /* by the tower alone one went through and back */
        {-120, 2000, 0, -125, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        world o;
        world_begin(&o, zone);
        (void)take_fix(&o, fix_in(0, rows[i].from, 0, 10));
        (void)take_fix(&o, fix_in(30, rows[i].vague_east, rows[i].vague_north, 900));
        (void)take_fix(&o, fix_in(60, rows[i].to, 0, 10));
        ck_assert_msg(o.by_kind[FENCE_PASSED] == rows[i].passed && o.by_kind[FENCE_ENTERED] == 0,
                      "row %zu: %zu", i, o.by_kind[FENCE_PASSED]);
        world_end(&o);
    }
}
END_TEST

START_TEST(a_huge_zone_is_entered_by_a_vague_fix_deep_inside) {
    CLEANUP(freep) char *zone = circle_zone("land", 50000, "");
    world o;
    world_begin(&o, zone);
    (void)take_fix(&o, fix_in(0, 47000, 0, 5000));
    assert_counts(&o, 0, 0, 0);
    (void)take_fix(&o, fix_in(60, 44000, 0, 5000));
    assert_counts(&o, 1, 0, 0);
    (void)take_fix(&o, fix_in(200, 59000, 0, 5000)); /* 50 km, a tenth, and the doubt */
    (void)take_fix(&o, fix_in(400, 59000, 0, 5000));
    assert_counts(&o, 1, 0, 0);
    (void)take_fix(&o, fix_in(600, 61000, 0, 5000));
    (void)take_fix(&o, fix_in(800, 61000, 0, 5000));
    assert_counts(&o, 1, 1, 0);
    world_end(&o);
}
END_TEST

START_TEST(a_clock_that_was_ahead_makes_nobody_late_for_long) {
    CLEANUP(freep) char *zone = circle_zone("yard", 100, ",\"dwell\":600");
    fence_stay stay;
    world o;
    world_begin(&o, zone);
    (void)take_fix(&o, fix_in(86400, 0, 0, 5)); /* by a clock that is a day ahead */
    assert_counts(&o, 1, 0, 0);
    ck_assert_uint_eq(take_fix(&o, fix_in(10, 300, 0, 5)), 0);
    fence_walker_rewind(o.w, T0 + 20 * INSTANT_SECOND);
    ck_assert_int_eq(fence_walker_seen(o.w), T0 + 20 * INSTANT_SECOND);
    ck_assert_uint_eq(fence_walker_stays(o.w, &stay, 1), 1);
    ck_assert_int_eq(stay.since, T0 + 20 * INSTANT_SECOND);
    count_up(&o, fences_pass(o.f, o.w, T0 + 621 * INSTANT_SECOND, o.events));
    ck_assert_uint_eq(o.by_kind[FENCE_DWELLED], 1);
    (void)take_fix(&o, fix_in(700, 300, 0, 5));
    (void)take_fix(&o, fix_in(710, 300, 0, 5));
    assert_counts(&o, 1, 1, 0);
    world_end(&o);
}
END_TEST

/* Around the 180th meridian positions jump from one end of the numbers to the other. */
static fix at_meridian(double second, double east, double accuracy) {
    double lon = 180 + east / (6371008.8 * M_PI / 180 * cos(-17 * M_PI / 180));
    fix f = fix_at(T0 + (instant)(second * (double)INSTANT_SECOND), -17, lon > 180 ? lon - 360 : lon);
    f.accuracy = accuracy;
    return f;
}

static char *square_by_meridian(double from_east, double to_east) {
    char *spelled = NULL;
    double west = at_meridian(0, from_east, 0).lon, east = at_meridian(0, to_east, 0).lon;
    ck_assert(asprintf(&spelled,
                       "{\"zone\":\"yard\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":[[[%.9f,-17.001],"
                       "[%.9f,-17.001],[%.9f,-16.999],[%.9f,-16.999],[%.9f,-17.001]]]}}",
                       west, east, east, west, west) > 0);
    return spelled;
}

START_TEST(a_step_over_the_180th_meridian_is_a_step) {
    CLEANUP(freep) char *square = square_by_meridian(-200, -2);
    CLEANUP(freep) char *thin = square_by_meridian(-80, -40);
    CLEANUP(freep) char *beyond = square_by_meridian(40, 80);
    world o;
    world_begin(&o, square);
    (void)take_fix(&o, at_meridian(0, -100, 5));
    assert_counts(&o, 1, 0, 0);
    (void)take_fix(&o, at_meridian(60, 10, 5)); /* within the margin, in the other hemisphere */
    (void)take_fix(&o, at_meridian(120, 12, 5));
    assert_counts(&o, 1, 0, 0);
    (void)take_fix(&o, at_meridian(180, 100, 5));
    (void)take_fix(&o, at_meridian(240, 100, 5));
    assert_counts(&o, 1, 1, 0);
    world_end(&o);
    for (int side = 0; side < 2; side++) {
        world_begin(&o, side ? beyond : thin);
        (void)take_fix(&o, at_meridian(0, -150, 5));
        (void)take_fix(&o, at_meridian(60, 150, 5));
        assert_counts(&o, 0, 0, 1);
        (void)take_fix(&o, at_meridian(120, -150, 5));
        assert_counts(&o, 0, 0, 2);
        world_end(&o);
    }
}
END_TEST

Suite *suite_fixes(void) {
    Suite *s = suite_create("fixes");
    TCase *c = tcase_create("fixes");
    tcase_add_test(c, a_fix_that_may_be_far_wrong_decides_nothing);
    tcase_add_test(c, late_and_repeated_fixes_are_left);
    tcase_add_test(c, an_impossible_jump_is_nothing_unless_the_next_fix_agrees);
    tcase_add_test(c, values_that_are_no_place_are_left);
    tcase_add_test(c, a_vague_fix_on_the_way_hides_no_passing_and_makes_none);
    tcase_add_test(c, a_huge_zone_is_entered_by_a_vague_fix_deep_inside);
    tcase_add_test(c, a_clock_that_was_ahead_makes_nobody_late_for_long);
    tcase_add_test(c, a_step_over_the_180th_meridian_is_a_step);
    suite_add_tcase(s, c);
    return s;
}
