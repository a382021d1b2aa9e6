#include <check.h>
#include <math.h>
#include "base/attr.h"
#include "walk.h"

#define METRES_PER_DEGREE 111195.0
#define GPS_FAR           30.0 /* metres: no error of a receiver in the open, as walk.c draws them, is as large */

static const struct {
    double lat, lon;
} places[] = {{51.5072, -0.1276}, {0.0, 0.0}, {-33.87, 151.21}, {69.65, 18.96}, {10.0, 179.9999}};

static double metres_between(double lat1, double lon1, double lat2, double lon2) {
    double dlon = fmod(lon2 - lon1 + 540.0, 360.0) - 180.0;
    return hypot((lat2 - lat1) * METRES_PER_DEGREE,
                 dlon * METRES_PER_DEGREE * cos(lat1 * 3.14159265358979 / 180.0));
}

START_TEST(the_same_seed_walks_the_same_path) {
    walk a = walk_begin(7, 51.5, -0.12, 500), b = walk_begin(7, 51.5, -0.12, 500);
    for (int i = 0; i < 1000; i++) {
        walk_fix one = walk_step(&a, 1.0), other = walk_step(&b, 1.0);
        ck_assert(one.lat == other.lat && one.lon == other.lon && one.heading == other.heading);
        ck_assert(one.accuracy == other.accuracy && one.speed == other.speed);
    }
}
END_TEST

START_TEST(other_seeds_walk_elsewhere) {
    walk a = walk_begin(1, 51.5, -0.12, 500), b = walk_begin(2, 51.5, -0.12, 500);
    walk_fix one = walk_step(&a, 1.0), other = walk_step(&b, 1.0);
    ck_assert(one.lat != other.lat && one.lon != other.lon);
}
END_TEST

START_TEST(nobody_walks_faster_than_people_do) {
    int standing = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        walk w = walk_begin(seed, 51.5, -0.12, 500);
        ck_assert(w.pace >= WALK_SPEED_MIN && w.pace < WALK_SPEED_MAX);
        for (int i = 0; i < 600; i++) {
            double north = w.north, east = w.east;
            walk_fix f = walk_step(&w, 1.0);
            ck_assert(f.speed >= 0 && f.speed <= WALK_SPEED_MAX);
            ck_assert(fabs(hypot(w.north - north, w.east - east) - f.speed) < 1e-9);
            standing += f.speed == 0;
        }
    }
    ck_assert_msg(standing > 100 && standing < 6000, "%d of 12000 seconds standing", standing);
}
END_TEST

START_TEST(nobody_strays_and_every_fix_is_near_the_truth) {
    for (size_t p = 0; p < ARRAY_LEN(places); p++) {
        walk w = walk_begin(p, places[p].lat, places[p].lon, 300);
        for (int i = 0; i < 7200; i++) {
            walk_fix f = walk_step(&w, 1.0);
            double away = hypot(w.north, w.east);
            double shown = metres_between(places[p].lat, places[p].lon, f.lat, f.lon);
            ck_assert_msg(away < 340, "place %zu: %f m from home", p, away);
            ck_assert_msg(fabs(shown - away) < GPS_FAR, "place %zu: %f shown, %f true", p, shown, away);
        }
    }
}
END_TEST

START_TEST(every_value_is_one_that_a_message_may_hold) {
    for (size_t p = 0; p < ARRAY_LEN(places); p++) {
        walk w = walk_begin(100 + p, places[p].lat, places[p].lon, 1000);
        for (int i = 0; i < 5000; i++) {
            walk_fix f = walk_step(&w, i % 7 == 0 ? 0.05 : 10.0);
            ck_assert(f.lat >= -90 && f.lat <= 90 && f.lon >= -180 && f.lon < 180);
            ck_assert(f.heading >= 0 && f.heading < 360);
            ck_assert(f.accuracy > 0 && f.accuracy < 100);
            ck_assert(f.battery >= 1 && f.battery <= 100);
        }
    }
}
END_TEST

Suite *suite_walk(void) {
    Suite *s = suite_create("walk");
    TCase *c = tcase_create("walk");
    tcase_add_test(c, the_same_seed_walks_the_same_path);
    tcase_add_test(c, other_seeds_walk_elsewhere);
    tcase_add_test(c, nobody_walks_faster_than_people_do);
    tcase_add_test(c, nobody_strays_and_every_fix_is_near_the_truth);
    tcase_add_test(c, every_value_is_one_that_a_message_may_hold);
    suite_add_tcase(s, c);
    return s;
}
