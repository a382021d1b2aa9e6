/* Simulated people are what they are said to be: repeatable, different from each other, and plausible. */
#include "people/people.h"

#include <check.h>
#include <math.h>
#include <string.h>

#define BEGINS INT64_C(1795000000000000)
#define LAT    51.5072
#define LON    (-0.1276)
#define SEEDS  20

/* Lives it until that second, and returns it. */
static moment live(life *l, int64_t until_s) {
    moment m = {0};
    while (l->second <= until_s && life_next(l, &m)) {
    }
    return m;
}

static uint64_t mix(uint64_t h, double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (h ^ bits) * UINT64_C(1099511628211);
}

static uint64_t print_of(uint64_t seed) {
    day d;
    life l;
    moment m;
    uint64_t h = 1;
    day_of_peril(seed, PERIL_ARREST, BEGINS, &d);
    life_begin(&d, LAT, LON, &l);
    while (life_next(&l, &m))
        if (m.said)
            h = mix(mix(mix(h, m.body.value[VITAL_HR]), m.body.motion), m.placed ? m.place.lat : 0);
    return h;
}

START_TEST(the_same_seed_lives_the_same_day_and_another_another) {
    ck_assert(print_of(7) == print_of(7));
    ck_assert(print_of(7) != print_of(8));
}
END_TEST

START_TEST(people_differ_within_what_people_are) {
    double least = 200, most = 0;
    int blockers = 0, straps = 0, slow = 0;
    for (uint64_t seed = 0; seed < 500; seed++) {
        traits t = traits_of(seed);
        ck_assert_int_ge(t.age, 20);
        ck_assert_int_le(t.age, 67);
        ck_assert(t.resting >= 40 && t.resting <= 95);
        ck_assert(t.highest >= t.resting + 50 && t.highest <= 215);
        least = fmin(least, t.resting);
        most = fmax(most, t.resting);
        blockers += t.blocker;
        straps += t.strap;
        slow += t.period_s > 1;
    }
    ck_assert(least < 50 && most > 85);
    ck_assert(blockers > 5 && blockers < 100 && straps > 50 && straps < 250 && slow > 50 && slow < 300);
}
END_TEST

START_TEST(a_working_day_has_sleep_work_and_exercise_and_nothing_wrong) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        day d;
        int64_t of[DOINGS] = {0};
        day_calm(seed, BEGINS, &d);
        ck_assert_int_eq(d.seconds, DAY_SECONDS);
        ck_assert_int_eq(d.peril, PERIL_NONE);
        ck_assert_uint_lt(d.spell_count, DAY_SPELLS);
        for (size_t i = 0; i < d.spell_count; i++) {
            ck_assert_int_eq(d.spells[i].from_s, i ? d.spells[i - 1].to_s : 0);
            of[d.spells[i].what] += d.spells[i].to_s - d.spells[i].from_s;
        }
        ck_assert_int_ge(of[DOING_RUN] + of[DOING_CYCLE] + of[DOING_SPIN] + of[DOING_LIFT], 20 * 60);
        ck_assert_int_ge(of[DOING_SLEEP], 5 * 3600);
    }
}
END_TEST

/* Rest, a run of ten minutes, rest. */
static void a_run(uint64_t seed, day *d) {
    traits t = traits_of(seed);
    t.period_s = 1;
    day_begin(seed, &t, BEGINS, d);
    day_add(d, DOING_REST, 0.5, 600);
    day_add(d, DOING_RUN, 0.4, 600);
    day_add(d, DOING_REST, 0.5, 900);
}

START_TEST(the_pulse_follows_effort_and_comes_down_as_hearts_do) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        day d;
        life l;
        a_run(seed, &d);
        life_begin(&d, LAT, LON, &l);
        double rest = live(&l, 599).pulse, soon = live(&l, 610).pulse, run = live(&l, 1199).pulse;
        double after = live(&l, 1259).pulse, late = live(&l, 2099).pulse;
        ck_assert_msg(fabs(rest - d.who.resting) < 35, "%llu: %.0f at rest", (unsigned long long)seed, rest);
        ck_assert(soon < run - 15); /* not at once */
        ck_assert(run > d.who.resting + 0.4 * (d.who.highest - d.who.resting));
        ck_assert(run < d.who.highest * 1.02 + 1);
        ck_assert_msg(run - after >= 12 && run - after <= 85, "%llu: %.0f in a minute",
                      (unsigned long long)seed, run - after);
        ck_assert(late < d.who.resting + 0.3 * (d.who.highest - d.who.resting) + 25);
    }
}
END_TEST

START_TEST(a_sensor_shows_saturation_late) {
    int64_t sum = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        day d;
        life l;
        moment m;
        int64_t truly = 0, shown = 0;
        day_of_peril(seed, PERIL_HYPOXIA, BEGINS, &d);
        life_begin(&d, LAT, LON, &l);
        while (life_next(&l, &m)) {
            if (m.second < d.peril_from_s)
                continue;
            truly = truly ? truly : m.arterial < 88 ? m.second : 0;
            bool says = m.said && reading_has(&m.body, VITAL_SPO2) && m.body.value[VITAL_SPO2] < 88;
            shown = shown ? shown : truly && says ? m.second : 0;
        }
        ck_assert(truly && shown && shown <= truly + 60);
        sum += shown - truly;
    }
    ck_assert_msg(sum > 10 * SEEDS && sum < 40 * SEEDS, "%lld s all together", (long long)sum);
}
END_TEST

typedef struct of_hitch {
    hitch what;
    doing in;
    bool says, places;
} of_hitch;

static const of_hitch hitch_rows[] = {
    {HITCH_OFF_SKIN, DOING_WALK, true, true}, {HITCH_LOOSE, DOING_RUN, true, true},
    {HITCH_DROPOUT, DOING_WALK, false, true}, {HITCH_FLAT, DOING_WALK, false, false},
    {HITCH_STREET, DOING_STAND, true, true},  {HITCH_COLD, DOING_STAND, true, true},
};

START_TEST(a_device_in_trouble_shows_it) {
    const of_hitch *row = &hitch_rows[_i];
    traits t = traits_of(3);
    t.strap = false;
    t.tells_contact = true;
    t.period_s = 1;
    day d;
    life l;
    moment m;
    double farthest = 0, lowest = 100;
    day_begin(3, &t, BEGINS, &d);
    day_add(&d, row->in, 0.5, 1200);
    day_hitch(&d, row->what, 600, 500);
    life_begin(&d, LAT, LON, &l);
    m = live(&l, 599);
    fix from = m.place;
    while (life_next(&l, &m) && m.second < 1100) {
        ck_assert_int_eq(m.said, row->says);
        ck_assert_int_eq(m.placed, row->places);
        if (row->what == HITCH_OFF_SKIN)
            ck_assert_int_eq(m.body.contact, CONTACT_NONE);
        if (row->what == HITCH_LOOSE)
            ck_assert_double_eq_tol(m.body.value[VITAL_HR], l.body.cadence, 9);
        if (row->what == HITCH_STREET)
            farthest = fmax(farthest, fix_distance(&from, &m.place) - 0.6 * (double)(m.second - 600));
        if (row->what == HITCH_COLD && m.second > 660) {
            lowest = fmin(lowest, m.body.value[VITAL_SPO2]);
            ck_assert(m.body.quality < 60);
        }
    }
    ck_assert(row->what != HITCH_STREET || farthest > 40);
    ck_assert(row->what != HITCH_COLD || lowest < 92);
}
END_TEST

static bool plausible(const day *d, const moment *m, peril p) {
    if (m->peril == PERIL_NONE)
        return m->doing != DOING_DOWN;
    return m->peril == p && m->second >= d->peril_from_s && (p != PERIL_HYPOXIA || m->arterial < 90) &&
           (p != PERIL_HEAT || m->core >= 40) &&
           (p != PERIL_ARREST || m->second <= m->peril_since_s + 5 || m->pulse <= 0);
}

START_TEST(what_comes_over_people_is_true_when_it_is_said_to_be) {
    for (peril p = PERIL_ARREST; p < PERILS; p++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            day d;
            life l;
            moment m;
            bool came = false, down = false, so = true;
            int64_t down_s = 0;
            day_of_peril(seed, p, BEGINS, &d);
            life_begin(&d, LAT, LON, &l);
            while (down_s < 90 && life_next(&l, &m)) { /* nothing changes then */
                so = so && plausible(&d, &m, p);
                came = came || m.peril == p;
                down = down || m.doing == DOING_DOWN;
                down_s += down && came;
            }
            ck_assert_msg(came && so && down == (p != PERIL_FEAR), "%s %llu: %d %d %d", peril_name(p),
                          (unsigned long long)seed, came, so, down);
        }
}
END_TEST

START_TEST(a_peril_can_be_called_by_its_name) {
    peril p;
    ck_assert(peril_named(TEXT("slow-heart"), &p));
    ck_assert_int_eq(p, PERIL_SLOW_HEART);
    ck_assert(!peril_named(TEXT("boredom"), &p));
}
END_TEST

Suite *suite_people(void) {
    Suite *s = suite_create("people");
    TCase *t = tcase_create("all");
    tcase_add_test(t, the_same_seed_lives_the_same_day_and_another_another);
    tcase_add_test(t, people_differ_within_what_people_are);
    tcase_add_test(t, a_working_day_has_sleep_work_and_exercise_and_nothing_wrong);
    tcase_add_test(t, the_pulse_follows_effort_and_comes_down_as_hearts_do);
    tcase_add_test(t, a_sensor_shows_saturation_late);
    tcase_add_loop_test(t, a_device_in_trouble_shows_it, 0, ARRAY_LEN(hitch_rows));
    tcase_add_test(t, what_comes_over_people_is_true_when_it_is_said_to_be);
    tcase_add_test(t, a_peril_can_be_called_by_its_name);
    suite_add_tcase(s, t);
    return s;
}
