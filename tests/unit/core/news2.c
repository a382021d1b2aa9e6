/* Every cell edge of the chart of 2017, and the rules for the sum. */
#include "core/news2.h"

#include <check.h>

typedef struct edge {
    vital which;
    double value;
    int score;
} edge;

static news2_input empty(void) {
    return (news2_input){.body = reading_at(0), .oxygen = -1, .alert = -1};
}

static news2_score with(vital which, double value, bool scale2, int oxygen) {
    news2_input in = empty();
    reading_put(&in.body, which, value);
    in.scale2 = scale2;
    in.oxygen = oxygen;
    return news2(&in);
}

static const int place[VITALS] = {
    [VITAL_HR] = 4, [VITAL_SPO2] = 1, [VITAL_RESP] = 0, [VITAL_TEMP] = 6, [VITAL_SYS] = 3, [VITAL_DIA] = -1,
};

START_TEST(every_edge_of_the_chart_scores_as_it_is_printed) {
    static const edge rows[] = {
        {VITAL_RESP, 1, 3},     {VITAL_RESP, 8, 3},     {VITAL_RESP, 9, 1},    {VITAL_RESP, 11, 1},
        {VITAL_RESP, 12, 0},    {VITAL_RESP, 20, 0},    {VITAL_RESP, 21, 2},   {VITAL_RESP, 24, 2},
        {VITAL_RESP, 25, 3},    {VITAL_RESP, 60, 3},    {VITAL_SPO2, 70, 3},   {VITAL_SPO2, 91, 3},
        {VITAL_SPO2, 92, 2},    {VITAL_SPO2, 93, 2},    {VITAL_SPO2, 94, 1},   {VITAL_SPO2, 95, 1},
        {VITAL_SPO2, 96, 0},    {VITAL_SPO2, 100, 0},   {VITAL_SYS, 60, 3},    {VITAL_SYS, 90, 3},
        {VITAL_SYS, 91, 2},     {VITAL_SYS, 100, 2},    {VITAL_SYS, 101, 1},   {VITAL_SYS, 110, 1},
        {VITAL_SYS, 111, 0},    {VITAL_SYS, 219, 0},    {VITAL_SYS, 220, 3},   {VITAL_SYS, 300, 3},
        {VITAL_HR, 20, 3},      {VITAL_HR, 40, 3},      {VITAL_HR, 41, 1},     {VITAL_HR, 50, 1},
        {VITAL_HR, 51, 0},      {VITAL_HR, 90, 0},      {VITAL_HR, 91, 1},     {VITAL_HR, 110, 1},
        {VITAL_HR, 111, 2},     {VITAL_HR, 130, 2},     {VITAL_HR, 131, 3},    {VITAL_HR, 220, 3},
        {VITAL_TEMP, 30, 3},    {VITAL_TEMP, 35.0, 3},  {VITAL_TEMP, 35.1, 1}, {VITAL_TEMP, 36.0, 1},
        {VITAL_TEMP, 36.1, 0},  {VITAL_TEMP, 38.0, 0},  {VITAL_TEMP, 38.1, 1}, {VITAL_TEMP, 39.0, 1},
        {VITAL_TEMP, 39.1, 2},  {VITAL_TEMP, 42, 2}, /* between two cells: as a chart is filled in */
        {VITAL_TEMP, 35.05, 1}, {VITAL_TEMP, 35.04, 3}, {VITAL_HR, 130.5, 3},  {VITAL_HR, 130.4, 2},
        {VITAL_SPO2, 91.5, 2},  {VITAL_SPO2, 91.4, 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        news2_score s = with(rows[i].which, rows[i].value, false, -1);
        ck_assert_msg(s.of[place[rows[i].which]] == rows[i].score && s.total == rows[i].score &&
                          s.highest == rows[i].score && s.partial,
                      "%s %g: %d", vital_name(rows[i].which), rows[i].value, s.total);
        for (int k = 0; k < 7; k++)
            ck_assert(k == place[rows[i].which] || s.of[k] == -1);
    }
}
END_TEST

START_TEST(the_second_scale_of_saturation_knows_air_and_oxygen) {
    static const struct {
        double spo2;
        int on_air, on_oxygen;
    } rows[] = {
        {60, 3, 3}, {83, 3, 3}, {84, 2, 2}, {85, 2, 2}, {86, 1, 1}, {87, 1, 1}, {88, 0, 0},
        {92, 0, 0}, {93, 0, 1}, {94, 0, 1}, {95, 0, 2}, {96, 0, 2}, {97, 0, 3}, {100, 0, 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ck_assert_int_eq(with(VITAL_SPO2, rows[i].spo2, true, 0).of[1], rows[i].on_air);
        ck_assert_int_eq(with(VITAL_SPO2, rows[i].spo2, true, 1).of[1], rows[i].on_oxygen);
        ck_assert_int_eq(with(VITAL_SPO2, rows[i].spo2, true, -1).of[1], rows[i].on_air); /* a lower bound */
    }
}
END_TEST

START_TEST(oxygen_scores_two_and_anybody_not_alert_three) {
    news2_input in = empty();
    in.oxygen = 1;
    ck_assert_int_eq(news2(&in).total, 2);
    in.oxygen = 0;
    ck_assert_int_eq(news2(&in).of[2], 0);
    in.alert = 0;
    ck_assert_int_eq(news2(&in).of[5], 3);
    ck_assert_int_eq(news2(&in).risk, NEWS2_LOW_MEDIUM);
    in.alert = 1;
    ck_assert_int_eq(news2(&in).of[5], 0);
}
END_TEST

static news2_input healthy(void) {
    news2_input in = {.body = reading_at(0), .oxygen = 0, .alert = 1};
    reading_put(&in.body, VITAL_RESP, 16);
    reading_put(&in.body, VITAL_SPO2, 97);
    reading_put(&in.body, VITAL_SYS, 120);
    reading_put(&in.body, VITAL_HR, 72);
    reading_put(&in.body, VITAL_TEMP, 36.7);
    return in;
}

START_TEST(the_sum_decides_and_a_single_three_does) {
    static const struct {
        double resp, spo2, sys, hr, temp;
        int oxygen, alert, total;
        news2_risk risk;
    } rows[] = {
        {16, 97, 120, 72, 36.7, 0, 1, 0, NEWS2_LOW},         {16, 97, 120, 100, 36.7, 0, 1, 1, NEWS2_LOW},
        {22, 97, 105, 100, 36.7, 0, 1, 4, NEWS2_LOW},        /* 4 without a three */
        {16, 97, 120, 135, 36.7, 0, 1, 3, NEWS2_LOW_MEDIUM}, /* one parameter at 3 */
        {16, 97, 120, 135, 38.5, 0, 1, 4, NEWS2_LOW_MEDIUM}, {22, 97, 105, 115, 36.7, 0, 1, 5, NEWS2_MEDIUM},
        {16, 97, 120, 135, 39.5, 0, 1, 5, NEWS2_MEDIUM}, /* 5 goes before a single 3 */
        {22, 94, 105, 115, 36.7, 0, 1, 6, NEWS2_MEDIUM},     {22, 93, 105, 115, 36.7, 0, 1, 7, NEWS2_HIGH},
        {30, 80, 80, 150, 34, 1, 0, 20, NEWS2_HIGH}, /* the most there is */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        news2_input in = {.body = reading_at(0), .oxygen = rows[i].oxygen, .alert = rows[i].alert};
        reading_put(&in.body, VITAL_RESP, rows[i].resp);
        reading_put(&in.body, VITAL_SPO2, rows[i].spo2);
        reading_put(&in.body, VITAL_SYS, rows[i].sys);
        reading_put(&in.body, VITAL_HR, rows[i].hr);
        reading_put(&in.body, VITAL_TEMP, rows[i].temp);
        news2_score s = news2(&in);
        ck_assert_msg(s.total == rows[i].total && s.risk == rows[i].risk && !s.partial, "%zu: %d %d", i,
                      s.total, (int)s.risk);
    }
}
END_TEST

START_TEST(a_score_of_less_than_seven_parameters_says_that_it_is_partial) {
    for (int leave = 0; leave < 7; leave++) {
        static const int vital_of[7] = {VITAL_RESP, VITAL_SPO2, -1, VITAL_SYS, VITAL_HR, -1, VITAL_TEMP};
        news2_input in = healthy();
        ck_assert(!news2(&in).partial);
        if (leave == 2)
            in.oxygen = -1;
        else if (leave == 5)
            in.alert = -1;
        else
            in.body.has &= ~(1u << vital_of[leave]);
        news2_score s = news2(&in);
        ck_assert(s.partial && s.of[leave] == -1 && s.total == 0 && s.risk == NEWS2_LOW);
    }
    news2_input odd = healthy(); /* nor is a number that is none */
    odd.body.value[VITAL_HR] = NAN;
    ck_assert(news2(&odd).partial && news2(&odd).of[4] == -1 && news2(&odd).total == 0);
    news2_input none = empty();
    news2_score s = news2(&none);
    ck_assert(s.risk == NEWS2_UNKNOWN && s.partial && s.total == 0);
}
END_TEST

Suite *suite_news2(void) {
    Suite *s = suite_create("news2");
    TCase *t = tcase_create("all");
    tcase_add_test(t, every_edge_of_the_chart_scores_as_it_is_printed);
    tcase_add_test(t, the_second_scale_of_saturation_knows_air_and_oxygen);
    tcase_add_test(t, oxygen_scores_two_and_anybody_not_alert_three);
    tcase_add_test(t, the_sum_decides_and_a_single_three_does);
    tcase_add_test(t, a_score_of_less_than_seven_parameters_says_that_it_is_partial);
    suite_add_tcase(s, t);
    return s;
}
