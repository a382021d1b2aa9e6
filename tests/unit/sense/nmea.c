#include "sense/sense.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "support/heap.h"

/* One line with its checksum, in memory of its own size. */
static sense_verdict say(nmea *n, const char *body, instant now, fix *ret_fix) {
    unsigned sum = 0;
    for (const char *p = body; *p; p++)
        sum ^= (unsigned char)*p;
    char line[256];
    int len = snprintf(line, sizeof line, "$%s*%02X\r\n", body, sum);
    char *exact = text_copy((text){line, (size_t)len});
    ck_assert_ptr_nonnull(exact);
    sense_verdict verdict = nmea_line(n, (text){exact, (size_t)len}, false, now, ret_fix);
    free(exact);
    return verdict;
}

static instant at(const char *spelled) {
    instant moment;
    ck_assert_int_eq(instant_parse(text_of(spelled), &moment), 0);
    return moment;
}

static nmea *fresh(void) {
    nmea *n = NULL;
    ck_assert_int_eq(nmea_new(&n), 0);
    return n;
}

#define HERE "2712.6404,S,15303.1201,E"

static const char *rmc(const char *time, const char *status, const char *date) {
    static char line[128];
    (void)snprintf(line, sizeof line, "GPRMC,%s,%s," HERE ",5.19,299.36,%s,,,A", time, status, date);
    return line;
}

static const char *gga(const char *time, int quality, const char *hdop) {
    static char line[128];
    (void)snprintf(line, sizeof line, "GPGGA,%s," HERE ",%d,05,%s,3.0,M,42.2,M,,", time, quality, hdop);
    return line;
}

START_TEST(an_epoch_is_one_fix_when_all_that_the_receiver_says_has_come) {
    CLEANUP(nmea_freep) nmea *n = fresh();
    fix f;
    ck_assert_int_eq(say(n, gga("095309.801", 1, "1.5"), 0, &f), SENSE_IGNORED); /* no date yet */
    ck_assert_int_eq(say(n, rmc("095309.801", "A", "080407"), 0, &f), SENSE_GOOD);
    ck_assert_int_eq(f.at, at("2007-04-08T09:53:09.801Z"));
    ck_assert_double_eq_tol(f.lat, -(27 + 12.6404 / 60), 1e-12);
    ck_assert_double_eq_tol(f.lon, 153 + 3.1201 / 60, 1e-12);
    ck_assert_double_eq_tol(f.altitude, 45.2, 1e-9);
    ck_assert_double_eq_tol(f.speed, 5.19 * 1852 / 3600, 1e-9);
    ck_assert_double_eq_tol(f.heading, 299.36, 1e-9);
    ck_assert_double_eq_tol(f.accuracy, 7.5, 1e-9);
    ck_assert_int_eq(say(n, "GPVTG,1.00,T,,,9.00,N,9.60,K,A", 0, &f), SENSE_IGNORED);
    for (int i = 10; i < 20; i++) {
        char time[16];
        (void)snprintf(time, sizeof time, "0953%d.801", i);
        ck_assert_int_eq(say(n, gga(time, 1, "1.5"), 0, &f), SENSE_IGNORED);
        ck_assert_int_eq(say(n, rmc(time, "A", "080407"), 0, &f), SENSE_GOOD);
        ck_assert_int_eq(f.at, at("2007-04-08T09:53:09.801Z") + (i - 9) * INSTANT_SECOND);
        ck_assert_int_eq(say(n, rmc(time, "A", "080407"), 0, &f), SENSE_IGNORED); /* said twice */
    }
}
END_TEST

START_TEST(whatever_comes_last_completes_the_epoch) {
    CLEANUP(nmea_freep) nmea *n = fresh();
    fix f;
    ck_assert_int_eq(say(n, rmc("120000.00", "A", "080426"), 0, &f), SENSE_GOOD); /* nothing is known yet */
    ck_assert(isnan(f.accuracy));
    ck_assert_int_eq(say(n, gga("120000.00", 1, "1.0"), 0, &f), SENSE_IGNORED);
    ck_assert_int_eq(say(n, rmc("120001.00", "A", "080426"), 0, &f), SENSE_IGNORED);
    ck_assert_int_eq(say(n, gga("120001.00", 1, "1.0"), 0, &f), SENSE_GOOD);
    ck_assert_double_eq_tol(f.accuracy, 5, 1e-9);
    ck_assert_double_eq_tol(f.altitude, 45.2, 1e-9);
    ck_assert(!nmea_end(n, &f));
}
END_TEST

START_TEST(a_lost_line_costs_no_fix) {
    CLEANUP(nmea_freep) nmea *n = fresh();
    fix f;
    (void)say(n, rmc("120000.00", "A", "080426"), 0, &f);
    (void)say(n, gga("120000.00", 1, "1.0"), 0, &f);
    ck_assert_int_eq(say(n, rmc("120001.00", "A", "080426"), 0, &f), SENSE_IGNORED);
    ck_assert_int_eq(say(n, rmc("120002.00", "A", "080426"), 0, &f), SENSE_GOOD);
    ck_assert_int_eq(f.at, at("2026-04-08T12:00:01.000Z"));
    ck_assert_int_eq(say(n, gga("120002.00", 1, "1.0"), 0, &f), SENSE_GOOD);
    ck_assert_int_eq(f.at, at("2026-04-08T12:00:02.000Z"));
    ck_assert_int_eq(say(n, rmc("120003.00", "A", "080426"), 0, &f), SENSE_IGNORED);
    ck_assert(nmea_end(n, &f));
    ck_assert_int_eq(f.at, at("2026-04-08T12:00:03.000Z"));
    ck_assert(!nmea_end(n, &f));
}
END_TEST

START_TEST(a_receiver_that_becomes_terse_is_not_waited_for_for_ever) {
    CLEANUP(nmea_freep) nmea *n = fresh();
    fix f;
    (void)say(n, rmc("120000.00", "A", "080426"), 0, &f);
    (void)say(n, gga("120000.00", 1, "1.0"), 0, &f);
    for (int i = 1; i < 10; i++) {
        char time[16];
        (void)snprintf(time, sizeof time, "12000%d.00", i);
        sense_verdict got = say(n, rmc(time, "A", "080426"), 0, &f);
        if (i >= 4) {
            ck_assert_int_eq(got, SENSE_GOOD);
            ck_assert_int_eq(f.at, at("2026-04-08T12:00:00.000Z") + i * INSTANT_SECOND);
        }
    }
}
END_TEST

START_TEST(what_the_receiver_does_not_stand_for_is_not_given_out) {
    static const struct {
        const char *gga, *rmc;
    } rows[] = {
        {"GPGGA,120000.00," HERE ",0,05,1.0,3.0,M,42.2,M,,", "GPRMC,120000.00,A," HERE ",0,0,080426,,,A"},
        {"GPGGA,120000.00," HERE ",1,05,1.0,3.0,M,42.2,M,,", "GPRMC,120000.00,V," HERE ",0,0,080426,,,A"},
        {"GPGGA,120000.00," HERE ",1,05,1.0,3.0,M,42.2,M,,", "GPRMC,120000.00,A," HERE ",0,0,080426,,,N"},
        {"GPGGA,120000.00," HERE ",1,05,1.0,3.0,M,42.2,M,,", "GPRMC,120000.00,A," HERE ",0,0,080426,,,S"},
        {"GPGGA,120000.00," HERE ",7,05,1.0,3.0,M,42.2,M,,", "GPRMC,120000.00,A," HERE ",0,0,080426,,,A"},
        {"GPGGA,120000.00," HERE ",8,05,1.0,3.0,M,42.2,M,,", "GPRMC,120000.00,A," HERE ",0,0,080426,,,A"},
        {"GPGGA,120000.00," HERE ",9,05,1.0,3.0,M,42.2,M,,", "GPRMC,120000.00,A," HERE ",0,0,080426,,,A"},
        {"GPGGA,120000.00,,,,,0,00,,,M,,M,,", "GPRMC,120000.00,V,,,,,,,080426,,,N"},
        {"GNGNS,120000.00," HERE ",NN,05,1.0,3.0,42.2,,", "GPRMC,120000.00,A," HERE ",0,0,080426,,,A"},
        {"GNGNS,120000.00," HERE ",M,05,1.0,3.0,42.2,,", "GPRMC,120000.00,A," HERE ",0,0,080426,,,A"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(nmea_freep) nmea *n = fresh();
        fix f;
        ck_assert_msg(say(n, rows[i].gga, 0, &f) != SENSE_GOOD, "row %zu", i);
        ck_assert_msg(say(n, rows[i].rmc, 0, &f) == SENSE_INVALID, "row %zu", i);
        ck_assert_msg(!nmea_end(n, &f), "row %zu", i);
        ck_assert_msg(say(n, rmc("120001.00", "A", "080426"), 0, &f) == SENSE_GOOD, "row %zu", i);
    }
}
END_TEST

START_TEST(the_mark_for_the_safety_of_ships_is_not_about_the_fix) {
    CLEANUP(nmea_freep) nmea *n = fresh();
    fix f;
    ck_assert_int_eq(say(n, "GNRMC,055234.000,A,4739.71890,N,12219.58362,W,0.00,286.35,050826,,,A,V", 0, &f),
                     SENSE_GOOD);
    ck_assert_double_eq_tol(f.lon, -(122 + 19.58362 / 60), 1e-12);
}
END_TEST

START_TEST(accuracy_is_the_receivers_own_or_estimated_from_the_dilution) {
    static const struct {
        const char *lines[3];
        double want;
    } rows[] = {
        {{"GPGGA,120000.00," HERE ",1,05,2.0,3.0,M,42.2,M,,"}, 10},
        {{"GPGGA,120000.00," HERE ",2,05,2.0,3.0,M,42.2,M,,"}, 5},
        {{"GPGGA,120000.00," HERE ",4,05,2.0,3.0,M,42.2,M,,"}, 0.1},
        {{"GPGGA,120000.00," HERE ",5,05,2.0,3.0,M,42.2,M,,"}, 1},
        {{"GPGGA,120000.00," HERE ",6,05,2.0,3.0,M,42.2,M,,"}, 10}, /* RMC says autonomous */
        {{"GPGGA,120000.00," HERE ",1,05,,3.0,M,42.2,M,,"}, NAN},
        {{"GPGGA,120000.00," HERE ",1,05,0.0,3.0,M,42.2,M,,"}, NAN},
        {{"GNGNS,120000.00," HERE ",AAN,05,3.0,3.0,42.2,,"}, 15},
        {{"GNGSA,A,3,02,07,14,15,17,20,22,30,,,,,1.5,0.9,1.2,1"}, 4.5},
        {{"GPGGA,120000.00," HERE ",1,05,2.0,3.0,M,42.2,M,,", "GPGST,120000.00,9.9,,,,3.0,4.0,5.0"},
         1.4823 * 3.5355339},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(nmea_freep) nmea *n = fresh();
        fix f = {0};
        for (size_t j = 0; j < 3 && rows[i].lines[j]; j++)
            ck_assert_msg(say(n, rows[i].lines[j], 0, &f) == SENSE_IGNORED, "row %zu", i);
        ck_assert_msg(say(n, rmc("120000.00", "A", "080426"), 0, &f) == SENSE_GOOD, "row %zu", i);
        ck_assert_msg(isnan(rows[i].want) ? isnan(f.accuracy) : fabs(f.accuracy - rows[i].want) < 1e-6,
                      "row %zu: %g", i, f.accuracy);
    }
}
END_TEST

START_TEST(two_digits_are_the_year_since_gps_began_or_the_one_nearest_to_now) {
    static const struct {
        const char *date, *now, *want;
    } rows[] = {
        {"080407", NULL, "2007-04-08T12:00:00.000Z"},
        {"311299", NULL, "1999-12-31T12:00:00.000Z"},
        {"060180", NULL, "1980-01-06T12:00:00.000Z"},
        {"311279", NULL, "2079-12-31T12:00:00.000Z"},
        {"010181", "2078-06-01T00:00:00.000Z", "2081-01-01T12:00:00.000Z"},
        {"010126", "2026-01-02T00:00:00.000Z", "2026-01-01T12:00:00.000Z"},
        {"210626", "1970-01-01T00:00:10.000Z", "2026-06-21T12:00:00.000Z"}, /* a clock that was never set */
        {"290224", NULL, "2024-02-29T12:00:00.000Z"},
        {"290225", NULL, NULL},
        {"000126", NULL, NULL},
        {"321226", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(nmea_freep) nmea *n = fresh();
        fix f;
        sense_verdict got =
            say(n, rmc("120000.00", "A", rows[i].date), rows[i].now ? at(rows[i].now) : 0, &f);
        ck_assert_msg(got == (rows[i].want ? SENSE_GOOD : SENSE_MALFORMED), "row %zu: %d", i, (int)got);
        if (rows[i].want)
            ck_assert_msg(f.at == at(rows[i].want), "row %zu", i);
    }
}
END_TEST

START_TEST(midnight_comes_where_the_date_is_said_later) {
    CLEANUP(nmea_freep) nmea *n = fresh();
    fix f;
    (void)say(n, gga("235959.00", 1, "1.0"), 0, &f);
    ck_assert_int_eq(say(n, rmc("235959.00", "A", "311226"), 0, &f), SENSE_GOOD);
    ck_assert_int_eq(say(n, gga("000000.00", 1, "1.0"), 0, &f), SENSE_IGNORED);
    ck_assert_int_eq(say(n, gga("000001.00", 1, "1.0"), 0, &f), SENSE_GOOD); /* RMC was lost */
    ck_assert_int_eq(f.at, at("2027-01-01T00:00:00.000Z"));
    ck_assert_int_eq(say(n, rmc("000001.00", "A", "010127"), 0, &f), SENSE_GOOD);
    ck_assert_int_eq(f.at, at("2027-01-01T00:00:01.000Z"));
    ck_assert_int_eq(say(n, gga("235959.50", 1, "1.0"), 0, &f), SENSE_IGNORED); /* and what comes late */
    ck_assert(nmea_end(n, &f));
    ck_assert_int_eq(f.at, at("2026-12-31T23:59:59.500Z"));
}
END_TEST

START_TEST(a_sentence_that_only_says_again_is_not_waited_for) {
    CLEANUP(nmea_freep) nmea *n = fresh();
    fix f;
    for (int i = 0; i < 3; i++) {
        char time[16];
        (void)snprintf(time, sizeof time, "12000%d.00", i);
        ck_assert_int_eq(say(n, gga(time, 1, "1.0"), 0, &f), SENSE_IGNORED);
        if (i < 2)
            ck_assert_int_eq(say(n, "GPVTG,90.0,T,,M,10.0,N,18.5,K,A", 0, &f), SENSE_IGNORED);
        ck_assert_int_eq(say(n, rmc(time, "A", "080426"), 0, &f), SENSE_GOOD);
    }
}
END_TEST

START_TEST(a_receiver_that_says_no_date_is_dated_by_the_host_and_without_one_not_at_all) {
    static const char *const first = "2026-06-30T23:59:58.500Z";
    for (int known = 0; known < 2; known++) {
        CLEANUP(nmea_freep) nmea *n = fresh();
        fix f;
        instant now = known ? at(first) : 0;
        ck_assert_int_eq(say(n, gga("235958.00", 1, "1.0"), now, &f), SENSE_IGNORED);
        for (int i = 0; i < 5; i++) {
            static const char *const times[] = {"235959.00", "000000.00", "000001.00", "000002.00",
                                                "000003.00"};
            sense_verdict got =
                say(n, gga(times[i], 1, "1.0"), known ? now + (i + 1) * INSTANT_SECOND : 0, &f);
            ck_assert_int_eq(got, known ? SENSE_GOOD : SENSE_IGNORED);
            if (known)
                ck_assert_int_eq(f.at, at("2026-06-30T23:59:59.000Z") + i * INSTANT_SECOND);
        }
    }
}
END_TEST

START_TEST(a_date_with_four_digits_serves_a_receiver_without_rmc) {
    CLEANUP(nmea_freep) nmea *n = fresh();
    fix f;
    ck_assert_int_eq(say(n, "GPZDA,,,,,,", 0, &f), SENSE_INVALID);
    ck_assert_int_eq(say(n, "GNZDA,055234.000,05,08,2126,00,00", 0, &f), SENSE_IGNORED);
    ck_assert_int_eq(say(n, "GNGNS,055234.000," HERE ",AAN,12,0.9,76.5,-21.6,,", 0, &f), SENSE_GOOD);
    ck_assert_int_eq(f.at, at("2126-08-05T05:52:34.000Z"));
    ck_assert_double_eq_tol(f.altitude, 54.9, 1e-9);
    ck_assert_int_eq(say(n, "GNVTG,90.0,T,,M,10.0,N,18.5,K,A", 0, &f), SENSE_IGNORED);
    ck_assert_int_eq(say(n, "GNGNS,055235.000," HERE ",AAN,12,0.9,76.5,-21.6,,", 0, &f), SENSE_IGNORED);
    ck_assert_int_eq(say(n, "GNVTG,90.0,T,,M,10.0,N,18.5,K,A", 0, &f), SENSE_GOOD);
    ck_assert_double_eq_tol(f.heading, 90, 1e-9);
    ck_assert_double_eq_tol(f.speed, 10 * 1852.0 / 3600, 1e-9);
}
END_TEST

START_TEST(garbage_is_refused_and_the_rest_of_the_stream_is_not) {
    static const struct {
        const char *line;
        sense_verdict want;
    } rows[] = {
        {"", SENSE_IGNORED},
        {"\r\n", SENSE_IGNORED},
        {"# a comment", SENSE_IGNORED},
        {"$", SENSE_MALFORMED},
        {"$*", SENSE_MALFORMED},
        {"$*00", SENSE_IGNORED},
        {"\xff\xfe\x80garbage", SENSE_MALFORMED},
        {"$GPRMC,120000.00,A," HERE ",5.19,299.36,080426,,,A*00", SENSE_MALFORMED},
        {"$GPRMC,120000.00,A," HERE ",5.19,299.36,080426,,,A*7", SENSE_MALFORMED},
        {"$GPRMC,120000.00,A," HERE ",5.19,299.36,080426,,,A", SENSE_MALFORMED},
        {"$GPRMC,120000.00,A," HERE ",5.19,299.36,080426,,,A*", SENSE_MALFORMED},
        {"$GPRMC,120000.00,A," HERE ",5.19,299.36,080426,,,A*GG", SENSE_MALFORMED},
        {"$GPGSV,3,2,12,14,79,041,29,15,31,297,21,17,54,166,28,19,24,192,23,0*62", SENSE_IGNORED},
        {"$GPGSV,3,2,12,14,79,041,29,15,31,297,21,17,54,166,28,19,24,192,23,0*62x", SENSE_MALFORMED},
        {"!AIVDM,1,1,,A,15M67FC000G?ufbE`FepT@3n00Sa,0*5C", SENSE_IGNORED},
        {"$GPGGA,12", SENSE_MALFORMED},
    };
    CLEANUP(nmea_freep) nmea *n = fresh();
    fix f;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        text line = text_of(rows[i].line);
        char *exact = malloc(line.len ? line.len : 1);
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, line.ptr, line.len);
        ck_assert_msg(nmea_line(n, (text){exact, line.len}, false, 0, &f) == rows[i].want, "row %zu", i);
        free(exact);
    }
    static const struct {
        const char *body;
        sense_verdict want;
    } bodies[] = {
        {"PGRME,22.0,M,52.9,M,51.0,M", SENSE_IGNORED},
        {"GPRMC,250000.00,A," HERE ",0,0,080426,,,A", SENSE_MALFORMED},
        {"GPRMC,126000.00,A," HERE ",0,0,080426,,,A", SENSE_MALFORMED},
        {"GPRMC,12000x.00,A," HERE ",0,0,080426,,,A", SENSE_MALFORMED},
        {"GPRMC,120000x,A," HERE ",0,0,080426,,,A", SENSE_MALFORMED},
        {"GPRMC,120000.0x,A," HERE ",0,0,080426,,,A", SENSE_MALFORMED},
        {"GPRMC,120000,A,9012.0000,S,15303.1201,E,0,0,080426,,,A", SENSE_MALFORMED},
        {"GPRMC,120001,A,2760.0000,S,15303.1201,E,0,0,080426,,,A", SENSE_MALFORMED},
        {"GPRMC,120002,A,2712.6404,X,15303.1201,E,0,0,080426,,,A", SENSE_MALFORMED},
        {"GPRMC,120003,A,2712.6404,S,18100.0000,E,0,0,080426,,,A", SENSE_MALFORMED},
        {"GPRMC,120004,A,,,,,0,0,080426,,,A", SENSE_MALFORMED},
        {"GPRMC,120005,A,27-2.6404,S,15303.1201,E,0,0,080426,,,A", SENSE_MALFORMED},
        {"GPRMC,120006,A," HERE ",fast,0,080426,,,A", SENSE_MALFORMED},
        {"GPRMC,120007,A," HERE ",0,0", SENSE_MALFORMED},
        {"GPRMC", SENSE_MALFORMED},
        {"GPGGA,120008," HERE ",,05,1.0,3.0,M,42.2,M,,", SENSE_MALFORMED},
        {"GPGGA,120009," HERE ",1", SENSE_MALFORMED},
        {",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,", SENSE_MALFORMED},
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        ck_assert_msg(say(n, bodies[i].body, 0, &f) == bodies[i].want, "body %zu", i);
    ck_assert(!nmea_end(n, &f));
    ck_assert_int_eq(say(n, rmc("130000.00", "A", "080426"), 0, &f), SENSE_GOOD);
    ck_assert_int_eq(f.at, at("2026-04-08T13:00:00.000Z"));
}
END_TEST

START_TEST(after_lost_bytes_the_last_sentence_of_a_line_counts) {
    CLEANUP(nmea_freep) nmea *n = fresh();
    fix f;
    ck_assert_int_eq(nmea_line(n,
                               TEXT("\x80\xff$GPGGA,1200$GNRMC,055234.000,A,4739.71890,N,12219.58362,W,0.00,"
                                    "286.35,050826,,,A,V*13\r\n"),
                               false, 0, &f),
                     SENSE_GOOD);
    ck_assert_int_eq(f.at, at("2026-08-05T05:52:34.000Z"));
}
END_TEST

START_TEST(a_line_without_checksum_is_taken_where_that_is_allowed) {
    CLEANUP(nmea_freep) nmea *n = fresh();
    fix f;
    text line = TEXT("$GPRMC,120000.00,A," HERE ",5.19,299.36,080426,,,A");
    ck_assert_int_eq(nmea_line(n, line, false, 0, &f), SENSE_MALFORMED);
    ck_assert_int_eq(nmea_line(n, line, true, 0, &f), SENSE_GOOD);
}
END_TEST

START_TEST(no_beginning_of_a_line_is_read_beyond_its_end_or_gives_another_fix) {
    static const char *const bodies[] = {
        "GPRMC,120000.00,A," HERE ",5.19,299.36,080426,,,A,V",
        "GPGGA,120000.00," HERE ",1,05,1.0,3.0,M,42.2,M,,",
        "GNGNS,120000.00," HERE ",AAN,12,0.9,76.5,-21.6,,",
        "GNVTG,90.0,T,,M,10.0,N,18.5,K,A",
        "GNZDA,055234.000,05,08,2026,00,00",
        "GPGST,120000.00,9.9,,,,3.0,4.0,5.0",
        "GNGSA,A,3,02,07,14,15,17,20,22,30,,,,,1.5,0.9,1.2,1",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        for (size_t len = 0; len < strlen(bodies[i]); len++) {
            CLEANUP(nmea_freep) nmea *n = fresh();
            char cut[128];
            fix f = fix_at(0, 0, 0);
            (void)snprintf(cut, sizeof cut, "%.*s", (int)len, bodies[i]);
            if (say(n, cut, at("2026-04-08T12:00:00.000Z"), &f) == SENSE_GOOD)
                ck_assert_double_eq_tol(f.lat, -(27 + 12.6404 / 60), 1e-9);
        }
    }
}
END_TEST

START_TEST(whose_date_it_is_can_be_asked) {
    CLEANUP(nmea_freep) nmea *n = fresh();
    fix f;
    instant now = at("2026-04-08T11:59:00.000Z");
    (void)say(n, gga("120000.00", 1, "1.0"), now, &f);
    ck_assert_int_eq(say(n, gga("120001.00", 1, "1.0"), now, &f), SENSE_GOOD);
    ck_assert(!nmea_knows_date(n)); /* the host's */
    (void)say(n, rmc("120002.00", "A", "080426"), now, &f);
    ck_assert(nmea_knows_date(n));
}
END_TEST

START_TEST(no_memory_is_said) {
    nmea *n = NULL;
    heap_allow(0);
    int fault = nmea_new(&n);
    ck_assert_int_eq(heap_allow_all(), 1);
    ck_assert_int_eq(fault, -ENOMEM);
    ck_assert_ptr_null(n);
    ck_assert_ptr_null(nmea_free(NULL));
}
END_TEST

Suite *suite_nmea(void) {
    Suite *s = suite_create("nmea");
    TCase *t = tcase_create("all");
    tcase_add_test(t, an_epoch_is_one_fix_when_all_that_the_receiver_says_has_come);
    tcase_add_test(t, whatever_comes_last_completes_the_epoch);
    tcase_add_test(t, a_lost_line_costs_no_fix);
    tcase_add_test(t, a_receiver_that_becomes_terse_is_not_waited_for_for_ever);
    tcase_add_test(t, what_the_receiver_does_not_stand_for_is_not_given_out);
    tcase_add_test(t, the_mark_for_the_safety_of_ships_is_not_about_the_fix);
    tcase_add_test(t, accuracy_is_the_receivers_own_or_estimated_from_the_dilution);
    tcase_add_test(t, two_digits_are_the_year_since_gps_began_or_the_one_nearest_to_now);
    tcase_add_test(t, a_sentence_that_only_says_again_is_not_waited_for);
    tcase_add_test(t, midnight_comes_where_the_date_is_said_later);
    tcase_add_test(t, a_receiver_that_says_no_date_is_dated_by_the_host_and_without_one_not_at_all);
    tcase_add_test(t, a_date_with_four_digits_serves_a_receiver_without_rmc);
    tcase_add_test(t, garbage_is_refused_and_the_rest_of_the_stream_is_not);
    tcase_add_test(t, after_lost_bytes_the_last_sentence_of_a_line_counts);
    tcase_add_test(t, a_line_without_checksum_is_taken_where_that_is_allowed);
    tcase_add_test(t, no_beginning_of_a_line_is_read_beyond_its_end_or_gives_another_fix);
    tcase_add_test(t, whose_date_it_is_can_be_asked);
    tcase_add_test(t, no_memory_is_said);
    suite_add_tcase(s, t);
    return s;
}
