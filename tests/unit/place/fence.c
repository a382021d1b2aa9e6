/* The border of a zone, and the ways through it. */
#include "support.h"

/* A square of 200 m around home, with a hole of 60 m in its middle. */
static char *square_with_hole(const char *name) {
    char *spelled = NULL;
    ck_assert(asprintf(&spelled,
                       "{\"zone\":\"%s\",\"shape\":{\"type\":\"Polygon\",\"coordinates\":["
                       "[[%.9f,%.9f],[%.9f,%.9f],[%.9f,%.9f],[%.9f,%.9f],[%.9f,%.9f]],"
                       "[[%.9f,%.9f],[%.9f,%.9f],[%.9f,%.9f],[%.9f,%.9f],[%.9f,%.9f]]]}}",
                       name, lon_of(-100), lat_of(-100), lon_of(100), lat_of(-100), lon_of(100), lat_of(100),
                       lon_of(-100), lat_of(100), lon_of(-100), lat_of(-100), lon_of(-30), lat_of(-30),
                       lon_of(-30), lat_of(30), lon_of(30), lat_of(30), lon_of(30), lat_of(-30), lon_of(-30),
                       lat_of(-30)) > 0);
    return spelled;
}

/* Two squares of 100 m, their middles 1 km apart. */
static char *two_squares(void) {
    char *spelled = NULL;
    ck_assert(asprintf(&spelled,
                       "{\"zone\":\"two\",\"shape\":{\"type\":\"MultiPolygon\",\"coordinates\":["
                       "[[[%.9f,%.9f],[%.9f,%.9f],[%.9f,%.9f],[%.9f,%.9f],[%.9f,%.9f]]],"
                       "[[[%.9f,%.9f],[%.9f,%.9f],[%.9f,%.9f],[%.9f,%.9f],[%.9f,%.9f]]]]}}",
                       lon_of(-550), lat_of(-50), lon_of(-450), lat_of(-50), lon_of(-450), lat_of(50),
                       lon_of(-550), lat_of(50), lon_of(-550), lat_of(-50), lon_of(450), lat_of(-50),
                       lon_of(550), lat_of(-50), lon_of(550), lat_of(50), lon_of(450), lat_of(50),
                       lon_of(450), lat_of(-50)) > 0);
    return spelled;
}

START_TEST(who_walks_through_a_circle_enters_once_and_leaves_once) {
    CLEANUP(freep) char *zone = circle_zone("yard", 100, "");
    world o;
    double second = 0;
    world_begin(&o, zone);
    walk(&o, &second, -300, 0, 300, 0, 1.4, 1, 0, NULL);
    assert_counts(&o, 1, 1, 0);
    world_end(&o);
}
END_TEST

START_TEST(entering_is_told_with_the_zone_the_time_and_the_fix) {
    CLEANUP(freep) char *zone = circle_zone("yard", 100, "");
    world o;
    world_begin(&o, zone);
    ck_assert_uint_eq(take_fix(&o, fix_in(0, 200, 0, 5)), 0);
    ck_assert_uint_eq(take_fix(&o, fix_in(60, 10, 0, 5)), 1);
    ck_assert_int_eq(o.events[0].kind, FENCE_ENTERED);
    ck_assert_str_eq(o.events[0].zone, "yard");
    ck_assert_int_eq(o.events[0].at, T0 + 60 * INSTANT_SECOND);
    ck_assert(o.events[0].since == o.events[0].at && o.events[0].where.accuracy == 5);
    ck_assert_uint_eq(take_fix(&o, fix_in(120, 300, 0, 5)), 0);
    ck_assert_uint_eq(take_fix(&o, fix_in(180, 310, 0, 5)), 1);
    ck_assert_int_eq(o.events[0].kind, FENCE_LEFT);
    ck_assert_int_eq(o.events[0].at, T0 + 120 * INSTANT_SECOND); /* when the first fix outside was made */
    ck_assert_int_eq(o.events[0].since, T0 + 60 * INSTANT_SECOND);
    ck_assert_double_eq(o.events[0].for_s, 60);
    world_end(&o);
}
END_TEST

/* Loitering at the border for an hour, with fixes a second apart that are wrong by 8 m (one sigma). */
START_TEST(noise_at_the_border_makes_one_entering_and_one_leaving) {
    CLEANUP(freep) char *circle = circle_zone("yard", 100, "");
    CLEANUP(freep) char *square = square_with_hole("square");
    CLEANUP(freep) char *corridor = road("");
    const struct {
        const char *zone;
        double from_east, at_east, at_north;
    } rows[] = {
        {circle, 400, 100, 0}, {circle, 400, 104, 0},    {circle, 400, 96, 0},     {square, 400, 100, 10},
        {square, 400, 95, 0},  {corridor, 500, 500, 15}, {corridor, 500, 500, 12},
    };
    for (size_t row = 0; row < ARRAY_LEN(rows); row++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            noise n = {seed * 1000 + row};
            world o;
            double second = 0;
            world_begin(&o, rows[row].zone);
            walk(&o, &second, rows[row].from_east, 300, rows[row].at_east, rows[row].at_north, 1.4, 1, 8, &n);
            for (size_t i = 0; i < 3600; i++, second++)
                (void)take_fix(&o, fix_in(second, rows[row].at_east + 8 * normal(&n),
                                          rows[row].at_north + 8 * normal(&n), 12));
            walk(&o, &second, rows[row].at_east, rows[row].at_north, rows[row].from_east, 300, 1.4, 1, 8, &n);
            ck_assert_msg(
                o.by_kind[FENCE_ENTERED] == 1 && o.by_kind[FENCE_LEFT] == 1 && o.by_kind[FENCE_PASSED] == 0,
                "row %zu, seed %llu: entered %zu, left %zu, passed %zu", row, (unsigned long long)seed,
                o.by_kind[FENCE_ENTERED], o.by_kind[FENCE_LEFT], o.by_kind[FENCE_PASSED]);
            world_end(&o);
        }
}
END_TEST

START_TEST(one_is_outside_only_beyond_the_margin_and_for_two_fixes) {
    CLEANUP(freep) char *zone = circle_zone("yard", 500, ""); /* its margin is 50 m */
    world o;
    world_begin(&o, zone);
    (void)take_fix(&o, fix_in(0, 0, 0, 10));
    assert_counts(&o, 1, 0, 0);
    (void)take_fix(&o, fix_in(60, 555, 0, 10)); /* within margin and accuracy */
    (void)take_fix(&o, fix_in(120, 555, 0, 10));
    assert_counts(&o, 1, 0, 0);
    (void)take_fix(&o, fix_in(180, 570, 0, 10)); /* one outside, one back */
    (void)take_fix(&o, fix_in(240, 490, 0, 10));
    (void)take_fix(&o, fix_in(300, 570, 0, 10));
    (void)take_fix(&o, fix_in(302, 575, 0, 10)); /* two, too near each other in time */
    assert_counts(&o, 1, 0, 0);
    (void)take_fix(&o, fix_in(305, 580, 0, 10));
    assert_counts(&o, 1, 1, 0);
    world_end(&o);
}
END_TEST

START_TEST(who_runs_through_between_two_fixes_has_passed) {
    CLEANUP(freep) char *circle = circle_zone("yard", 40, "");
    CLEANUP(freep) char *corridor = road("");
    CLEANUP(freep) char *squares = two_squares();
    const struct {
        const char *zone;
        double from_east, from_north, to_east, to_north;
        size_t passed;
    } rows[] = {
        {circle, -120, 0, 120, 0, 1},
        {circle, -120, 39, 120, 39, 1},
        {circle, -120, 45, 120, 45, 0},
        {circle, 200, 0, 400, 0, 0},
        {corridor, 500, -80, 500, 80, 1},
        {corridor, 500, 100, 900, 100, 0},
        {corridor, 900, 100, 1100, 100, 1},
        {squares, -700, 0, 700, 0, 1},
        {squares, -300, 0, 300, 0, 0},
        {circle, 45, 0, -120, 0, 0} /* the first may have been inside already */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        world o;
        world_begin(&o, rows[i].zone);
        (void)take_fix(&o, fix_in(0, rows[i].from_east, rows[i].from_north, 10));
        (void)take_fix(&o, fix_in(100, rows[i].to_east, rows[i].to_north, 10));
        ck_assert_msg(o.by_kind[FENCE_PASSED] == rows[i].passed && o.by_kind[FENCE_ENTERED] == 0,
                      "row %zu: %zu", i, o.by_kind[FENCE_PASSED]);
        world_end(&o);
    }
}
END_TEST

START_TEST(a_fix_in_doubt_on_the_way_does_not_hide_a_passing) {
    CLEANUP(freep) char *zone = road("");
    world o;
    world_begin(&o, zone);
    (void)take_fix(&o, fix_in(0, 500, -100, 20));
    (void)take_fix(&o, fix_in(2, 500, -25, 20)); /* perhaps inside */
    (void)take_fix(&o, fix_in(4, 500, 5, 20));   /* inside, and yet in doubt */
    (void)take_fix(&o, fix_in(7, 500, 100, 20));
    assert_counts(&o, 0, 0, 1);
    (void)take_fix(&o, fix_in(20, 500, 200, 20));
    assert_counts(&o, 0, 0, 1);
    world_end(&o);
}
END_TEST

START_TEST(the_straight_way_says_nothing_after_a_long_silence) {
    CLEANUP(freep) char *zone = circle_zone("yard", 40, "");
    world o;
    world_begin(&o, zone);
    (void)take_fix(&o, fix_in(0, -500, 0, 10));
    (void)take_fix(&o, fix_in(301, 500, 0, 10));
    assert_counts(&o, 0, 0, 0);
    (void)take_fix(&o, fix_in(600, -500, 0, 10));
    assert_counts(&o, 0, 0, 1);
    world_end(&o);
}
END_TEST

START_TEST(who_is_in_the_hole_is_outside) {
    CLEANUP(freep) char *zone = square_with_hole("square");
    world o;
    world_begin(&o, zone);
    (void)take_fix(&o, fix_in(0, 0, 0, 5));
    (void)take_fix(&o, fix_in(60, 0, 3, 5));
    assert_counts(&o, 0, 0, 0);
    (void)take_fix(&o, fix_in(120, 65, 0, 5));
    assert_counts(&o, 1, 0, 0);
    world_end(&o);
}
END_TEST

START_TEST(both_parts_of_a_zone_are_the_zone) {
    CLEANUP(freep) char *zone = two_squares();
    world o;
    double second = 0;
    world_begin(&o, zone);
    walk(&o, &second, -700, 0, 700, 0, 1.4, 1, 0, NULL);
    assert_counts(&o, 2, 2, 0);
    world_end(&o);
}
END_TEST

START_TEST(who_leaves_a_road_by_its_bend_has_left) {
    CLEANUP(freep) char *zone = road("");
    world o;
    double second = 0;
    world_begin(&o, zone);
    walk(&o, &second, 20, 0, 1000, 0, 1.4, 1, 0, NULL);
    walk(&o, &second, 1000, 1, 1000, 400, 1.4, 1, 0, NULL);
    assert_counts(&o, 1, 0, 0);
    walk(&o, &second, 1000, 400, 800, 400, 1.4, 1, 0, NULL);
    assert_counts(&o, 1, 1, 0);
    world_end(&o);
}
END_TEST

START_TEST(more_events_than_there_is_room_for_come_with_the_next_fix) {
    world o;
    world_begin(&o, NULL);
    for (int i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "z%d", i);
        CLEANUP(freep) char *zone = circle_zone(name, 100 + i, "");
        put_zone(&o, zone);
    }
    ck_assert_uint_eq(take_fix(&o, fix_in(0, 0, 0, 5)), FENCE_EVENTS_MAX);
    ck_assert_uint_eq(take_fix(&o, fix_in(60, 0, 0, 5)), 8);
    (void)take_fix(&o, fix_in(120, 400, 0, 5));
    (void)take_fix(&o, fix_in(180, 400, 0, 5));
    (void)take_fix(&o, fix_in(240, 400, 0, 5));
    assert_counts(&o, 40, 40, 0);
    world_end(&o);
}
END_TEST

START_TEST(a_thousand_zones_are_told_apart_as_a_plain_loop_does) {
    world o;
    noise n = {7};
    double middles[1000][3];
    world_begin(&o, NULL);
    for (size_t i = 0; i < ARRAY_LEN(middles); i++) {
        char zone[256];
        middles[i][0] = 20000 * uniform(&n), middles[i][1] = 20000 * uniform(&n),
        middles[i][2] = 50 + 300 * uniform(&n);
        (void)snprintf(
            zone, sizeof zone,
            "{\"zone\":\"z%zu\",\"shape\":{\"circle\":{\"lat\":%.9f,\"lon\":%.9f,\"radius\":%.6f}}}", i,
            lat_of(middles[i][1]), lon_of(middles[i][0]), middles[i][2]);
        put_zone(&o, zone);
    }
    size_t all = 0;
    for (int k = 0; k < 500; k++) {
        fix at = fix_in(k, 20000 * uniform(&n), 20000 * uniform(&n), 5);
        size_t inside = 0;
        for (size_t i = 0; i < ARRAY_LEN(middles); i++) {
            fix middle = fix_in(0, middles[i][0], middles[i][1], 0);
            inside += middles[i][2] - fix_distance(&middle, &at) >= 5;
        }
        fence_walker *fresh;
        ck_assert_int_eq(fence_walker_new(&fresh), 0);
        size_t told = fences_take(o.f, fresh, TEXT("p"), NULL, 0, &at, o.events);
        (void)fence_walker_free(fresh);
        ck_assert_uint_eq(told, inside);
        all += told;
    }
    ck_assert_uint_gt(all, 50);
    world_end(&o);
}
END_TEST

Suite *suite_fence(void) {
    Suite *s = suite_create("fence");
    TCase *c = tcase_create("fences");
    tcase_add_test(c, who_walks_through_a_circle_enters_once_and_leaves_once);
    tcase_add_test(c, entering_is_told_with_the_zone_the_time_and_the_fix);
    tcase_add_test(c, noise_at_the_border_makes_one_entering_and_one_leaving);
    tcase_add_test(c, one_is_outside_only_beyond_the_margin_and_for_two_fixes);
    tcase_add_test(c, who_runs_through_between_two_fixes_has_passed);
    tcase_add_test(c, a_fix_in_doubt_on_the_way_does_not_hide_a_passing);
    tcase_add_test(c, the_straight_way_says_nothing_after_a_long_silence);
    tcase_add_test(c, who_is_in_the_hole_is_outside);
    tcase_add_test(c, both_parts_of_a_zone_are_the_zone);
    tcase_add_test(c, who_leaves_a_road_by_its_bend_has_left);
    tcase_add_test(c, more_events_than_there_is_room_for_come_with_the_next_fix);
    tcase_add_test(c, a_thousand_zones_are_told_apart_as_a_plain_loop_does);
    suite_add_tcase(s, c);
    return s;
}
