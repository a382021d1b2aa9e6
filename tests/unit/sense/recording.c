#include "play_support.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/conf.h"

/* ---- GPX ---- */

#define GPX_BEGIN                                                                                            \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- a walk -->\n"                                          \
    "<gpx version=\"1.1\" xmlns=\"http://www.topografix.com/GPX/1/1\" "                                      \
    "xmlns:x=\"http://www.garmin.com/xmlschemas/TrackPointExtension/v1\">\n"                                 \
    "<metadata><time>2020-01-01T00:00:00Z</time></metadata><trk><trkseg>\n"
#define GPX_END "</trkseg></trk></gpx>\n"
#define POINT(time, inside)                                                                                  \
    "<trkpt lat=\"-33.9249\" lon=\"18.4241\"><ele>12.5</ele><time>" time "</time>" inside "</trkpt>\n"

START_TEST(a_gpx_track_is_read_with_the_heart_rate_of_any_maker) {
    static const struct {
        const char *inside;
        double hr;
    } rows[] = {
        {"", NAN},
        {"<extensions><x:TrackPointExtension><x:hr>141</x:hr><x:cad>80</x:cad></x:TrackPointExtension>"
         "</extensions>",
         141},
        {"<extensions><ns3:TrackPointExtension xmlns:ns3=\"u\"><ns3:atemp>21</ns3:atemp><ns3:hr> 142 "
         "</ns3:hr>"
         "</ns3:TrackPointExtension></extensions>",
         142},
        {"<extensions><heartrate>143</heartrate><power>200</power></extensions>", 143},
        {"<extensions><x:hr>0</x:hr></extensions>", NAN},
        {"<extensions><x:hr>fast</x:hr></extensions>", NAN},
        {"<extensions><x:hr>1e9</x:hr></extensions>", NAN},
        {"<extensions><x:cad>80</x:cad></extensions>", NAN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf b = BUF(1 << 16);
        buf_printf(&b,
                   GPX_BEGIN "<trkpt lat=\"-33.9249\" lon=\"18.4241\"><ele>12.5</ele>"
                             "<time>2026-11-21T02:40:00Z</time>%s</trkpt>" GPX_END,
                   rows[i].inside);
        ck_assert_ptr_eq(recording_of((unsigned char *)b.ptr, b.len), format_named("gpx"));
        played p = play_as("gpx", b.ptr, b.len, 0);
        ck_assert_msg(p.fault == 0, "row %zu: %s", i, p.why);
        ck_assert_uint_eq(p.fixes, 1);
        ck_assert_int_eq(p.kept[0].fix.at, at_text("2026-11-21T02:40:00.000Z"));
        ck_assert_double_eq_tol(p.kept[0].fix.lat, -33.9249, 1e-12);
        ck_assert_double_eq_tol(p.kept[0].fix.lon, 18.4241, 1e-12);
        ck_assert_double_eq_tol(p.kept[0].fix.altitude, 12.5, 1e-12);
        ck_assert_msg(p.readings == !isnan(rows[i].hr), "row %zu", i);
        if (p.readings)
            ck_assert_double_eq(p.kept[1].reading.value[VITAL_HR], rows[i].hr);
    }
}
END_TEST

START_TEST(times_in_gpx_have_zones_and_fractions_or_not) {
    static const struct {
        const char *time, *want;
    } rows[] = {
        {"2026-11-21T02:40:00Z", "2026-11-21T02:40:00.000Z"},
        {"2026-11-21T02:40:00.5Z", "2026-11-21T02:40:00.500Z"},
        {"2026-11-21T02:40:00.123456789Z", "2026-11-21T02:40:00.123Z"},
        {"2026-11-21T02:40:00", "2026-11-21T02:40:00.000Z"},
        {"2026-11-21T02:40:00+02:00", "2026-11-21T00:40:00.000Z"},
        {"2026-11-21T02:40:00-0330", "2026-11-21T06:10:00.000Z"},
        {"2026-12-31T23:59:60Z", "2027-01-01T00:00:00.000Z"},
        {" 2026-11-21T02:40:00Z\n", "2026-11-21T02:40:00.000Z"},
        {"2026-02-30T02:40:00Z", NULL},
        {"2026-11-21", NULL},
        {"2026-11-21T02:40Z", NULL},
        {"2026-11-21T24:40:00Z", NULL},
        {"2026-11-21T02:40:00.Z", NULL},
        {"2026-11-21T02:40:00+99:00", NULL},
        {"1969-12-31T23:59:59Z", NULL},
        {"1970-01-01T00:00:00+01:00", NULL},
        {"yesterday", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_release) buf b = BUF(1 << 16);
        buf_printf(&b, GPX_BEGIN "<trkpt lat=\"1\" lon=\"2\"><time>%s</time></trkpt>" GPX_END, rows[i].time);
        played p = play_as("gpx", b.ptr, b.len, 0);
        ck_assert_msg(p.fault == (rows[i].want ? 0 : -EBADMSG), "row %zu: %s", i, p.why);
        ck_assert_msg(p.count == (rows[i].want ? 1 : 0), "row %zu", i);
        if (rows[i].want)
            ck_assert_msg(p.kept[0].fix.at / 1000 == at_text(rows[i].want) / 1000, "row %zu", i);
    }
}
END_TEST

START_TEST(a_way_to_go_is_no_recording) {
    static const char plan[] = GPX_BEGIN "<trkpt lat=\"1\" lon=\"2\"/><trkpt lat=\"1\" lon=\"3\"/>" GPX_END;
    played p = play_as("gpx", plan, sizeof plan - 1, 0);
    ck_assert_int_eq(p.fault, -EBADMSG);
    ck_assert_ptr_nonnull(strstr(p.why, "2 points"));
    static const char mixed[] =
        GPX_BEGIN "<trkpt lat=\"1\" lon=\"2\"/>" POINT("2026-11-21T02:40:00Z", "") GPX_END;
    p = play_as("gpx", mixed, sizeof mixed - 1, 0);
    ck_assert_int_eq(p.fault, 0);
    ck_assert_uint_eq(p.count, 1);
}
END_TEST

START_TEST(positions_that_are_none_are_left_out) {
    static const char *const places[] = {"lat=\"91\" lon=\"2\"",    "lat=\"1\" lon=\"-181\"", "lat=\"1\"", "",
                                         "lat=\"nan\" lon=\"inf\"", "lat=\"1,5\" lon=\"2\""};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        CLEANUP(buf_release) buf b = BUF(1 << 16);
        buf_printf(&b,
                   GPX_BEGIN "<trkpt %s><time>2026-11-21T02:40:00Z</time><extensions><hr>60</hr></extensions>"
                             "</trkpt>" GPX_END,
                   places[i]);
        played p = play_as("gpx", b.ptr, b.len, 0);
        ck_assert_int_eq(p.fault, 0);
        ck_assert_msg(p.fixes == 0 && p.readings == 1, "row %zu", i);
    }
}
END_TEST

START_TEST(xml_that_attacks_its_reader_is_refused) {
    static const struct {
        const char *xml, *why;
    } rows[] = {
        {"<!DOCTYPE gpx [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><gpx><trk><trkseg><trkpt lat=\"1\" "
         "lon=\"2\"><time>2026-11-21T02:40:00Z</time><extensions><hr>&b;</hr></extensions></trkpt></trkseg></"
         "trk>"
         "</gpx>",
         "document type"},
        {"<!DOCTYPE gpx SYSTEM \"file:///etc/passwd\"><gpx/>", "document type"},
        {"<!DOCTYPE gpx [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><gpx>&x;</gpx>", "document type"},
        {"<gpx>&nobody;</gpx>", "entity"},
        {"<gpx><trk></gpx>", "mismatched"},
        {"<gpx", "unclosed token"},
        {"<gpx>", "no element found"},
        {"", "no element found"},
        {"<gpx/><gpx/>", "junk"},
        {"<?xml version=\"1.0\" encoding=\"x-nobody\"?><gpx/>", "encoding"},
        {"<gpx>\xff\xfe</gpx>", "not well-formed"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        played p = play_as("gpx", rows[i].xml, strlen(rows[i].xml), 0);
        ck_assert_msg(p.fault == -EBADMSG, "row %zu", i);
        ck_assert_msg(p.count == 0, "row %zu", i);
        ck_assert_msg(strstr(p.why, rows[i].why) && strstr(p.why, "line "), "row %zu: %s", i, p.why);
    }
}
END_TEST

START_TEST(depth_and_length_of_xml_are_bounded) {
    CLEANUP(buf_release) buf deep = BUF(1 << 20), wide = BUF(8 << 20);
    for (int i = 0; i < 1000; i++)
        buf_add_text(&deep, TEXT("<gpx>"));
    played p = play_as("gpx", deep.ptr, deep.len, 0);
    ck_assert_int_eq(p.fault, -EBADMSG);
    ck_assert_ptr_nonnull(strstr(p.why, "too deep"));
    buf_add_text(&wide, TEXT(GPX_BEGIN
                             "<trkpt lat=\"1\" lon=\"2\"><time>2026-11-21T02:40:00Z</time><extensions><hr>"));
    for (int i = 0; i < 1000000; i++) /* over many chunks */
        buf_add_char(&wide, '1');
    buf_add_text(&wide, TEXT("</hr></extensions></trkpt>" GPX_END));
    p = play_as("gpx", wide.ptr, wide.len, 0);
    ck_assert_int_eq(p.fault, 0);
    ck_assert_uint_eq(p.readings, 0);
}
END_TEST

START_TEST(every_beginning_of_a_gpx_file_is_refused_or_read) {
    static const char whole[] =
        GPX_BEGIN POINT("2026-11-21T02:40:00Z", "<extensions><x:hr>60</x:hr></extensions>")
            POINT("2026-11-21T02:40:01Z", "<hdop>1.5</hdop>") GPX_END;
    play_beginnings("gpx", whole, sizeof whole - 1);
    played p = play_as("gpx", whole, sizeof whole - 10, 0);
    ck_assert_int_eq(p.fault, -EBADMSG); /* cut off, but what came before was given out */
    ck_assert_uint_eq(p.count, 3);
    ck_assert_double_eq_tol(p.kept[2].fix.accuracy, 7.5, 1e-9);
    p = play_as("gpx", whole, sizeof whole - 1, 2);
    ck_assert_int_eq(p.fault, 0);
    ck_assert_uint_eq(p.count, 2);
}
END_TEST

/* ---- TCX ---- */

static const char tcx[] =
    "<?xml version=\"1.0\"?><TrainingCenterDatabase xmlns=\"http://www.garmin.com/xmlschemas/"
    "TrainingCenterDatabase/v2\"><Activities><Activity Sport=\"Running\"><Id>2026-11-21T02:40:00Z</Id><Lap "
    "StartTime=\"2026-11-21T02:40:00Z\"><AverageHeartRateBpm><Value>99</Value></AverageHeartRateBpm><Track>\n"
    "<Trackpoint><Time>2026-11-21T02:40:00.000Z</Time><Position><LatitudeDegrees>-33.9249</LatitudeDegrees>"
    "<LongitudeDegrees>18.4241</LongitudeDegrees></Position><AltitudeMeters>12.5</AltitudeMeters>"
    "<HeartRateBpm><Value>141</Value></HeartRateBpm><Cadence>80</Cadence><Extensions><ns3:TPX "
    "xmlns:ns3=\"u\">"
    "<ns3:Speed>2.5</ns3:Speed><ns3:RunCadence>80</ns3:RunCadence></ns3:TPX></Extensions></Trackpoint>\n"
    "<Trackpoint><Time>2026-11-21T02:40:01Z</Time><HeartRateBpm><Value>142</Value></HeartRateBpm></"
    "Trackpoint>\n"
    "<Trackpoint><Position><LatitudeDegrees>1</LatitudeDegrees><LongitudeDegrees>1</LongitudeDegrees></"
    "Position>"
    "</Trackpoint></Track></Lap></Activity></Activities></TrainingCenterDatabase>";

START_TEST(a_tcx_activity_is_read_point_by_point) {
    ck_assert_ptr_eq(recording_of((const unsigned char *)tcx, sizeof tcx - 1), format_named("tcx"));
    played p = play_as("tcx", tcx, sizeof tcx - 1, 0);
    ck_assert_msg(p.fault == 0, "%s", p.why);
    ck_assert_uint_eq(p.count, 3);
    ck_assert_int_eq(p.kept[0].fix.at, at_text("2026-11-21T02:40:00.000Z"));
    ck_assert_double_eq_tol(p.kept[0].fix.lat, -33.9249, 1e-12);
    ck_assert_double_eq_tol(p.kept[0].fix.speed, 2.5, 1e-12);
    ck_assert_double_eq_tol(p.kept[0].fix.altitude, 12.5, 1e-12);
    ck_assert_double_eq(p.kept[1].reading.value[VITAL_HR], 141);
    ck_assert_double_eq(p.kept[2].reading.value[VITAL_HR], 142);
    play_beginnings("tcx", tcx, sizeof tcx - 1);
}
END_TEST

/* ---- NMEA ---- */

#define P "5156.0000,N,00008.5000,W"

static void add_sentence(buf *b, const char *body) {
    unsigned sum = 0;
    for (const char *p = body; *p; p++)
        sum ^= (unsigned char)*p;
    buf_printf(b, "$%s*%02X\r\n", body, sum);
}

START_TEST(a_log_of_a_receiver_is_one_fix_for_each_epoch) {
    CLEANUP(buf_release) buf b = BUF(1 << 16);
    buf_add_text(&b, TEXT("# made by hand\n3,12,24,58,220*44\r\n"));
    for (int i = 0; i < 10; i++) {
        char body[128];
        (void)snprintf(body, sizeof body, "GPGGA,23595%d.00," P ",1,08,1.1,20.0,M,47.0,M,,", i);
        add_sentence(&b, body);
        if (i == 4)
            buf_add_text(&b, TEXT("$GPRMC,2359\x80\x81\n"));
        (void)snprintf(body, sizeof body, "GPRMC,23595%d.00,%c," P ",1.2,90.0,311226,,,A", i,
                       i == 7 ? 'V' : 'A');
        add_sentence(&b, body);
    }
    add_sentence(&b, "GPGGA,000000.00," P ",1,08,1.1,20.0,M,47.0,M,,");
    ck_assert_ptr_eq(recording_of((unsigned char *)b.ptr, b.len), format_named("nmea"));
    played p = play_as("nmea", b.ptr, b.len, 0);
    ck_assert_msg(p.fault == 0, "%s", p.why);
    ck_assert_uint_eq(p.count, 10); /* nine of ten, and the last, which nothing followed */
    ck_assert_int_eq(p.kept[8].fix.at, at_text("2026-12-31T23:59:59.000Z"));
    ck_assert_int_eq(p.kept[9].fix.at, at_text("2027-01-01T00:00:00.000Z"));
    play_beginnings("nmea", b.ptr, b.len < 600 ? b.len : 600);
}
END_TEST

START_TEST(a_log_without_a_whole_line_is_refused) {
    static const char broken[] = "$GPRMC,120000,A," P ",1,90,080426*00\n$GPRMC,120000,A," P ",1,90,080426\n";
    played p = play_as("nmea", broken, sizeof broken - 1, 0);
    ck_assert_int_eq(p.fault, -EBADMSG);
    ck_assert_ptr_null(recording_of((const unsigned char *)broken, sizeof broken - 1));
}
END_TEST

/* ---- CSV ---- */

START_TEST(a_table_is_read_by_the_names_of_its_columns) {
    static const struct {
        const char *csv;
        size_t fixes, readings;
        double lat, altitude, speed, hr, temp;
        instant at; /* of the first */
    } rows[] = {
        {"t_s,lat,lon,altitude_m,speed_mps,heart_rate_bpm\n0,58.959183,5.728839,55.0,5.89,69\n2,58.96,5.73,"
         "142.4,,\n",
         2, 1, 58.959183, 55, 5.89, 69, NAN, 0},
        {"ts,hr\n2026-11-21T02:40:00.250Z,60\n", 0, 1, NAN, NAN, NAN, 60, NAN, INT64_C(1795228800250000)},
        {"\xEF\xBB\xBFTime;Latitude;Longitude;Heart Rate (bpm);Body "
         "temp\r\n1795228800;-33,9249;18,4241;61,5;36,6\r\n",
         1, 1, -33.9249, NAN, NAN, 61.5, 36.6, INT64_C(1795228800000000)},
        {"\"timestamp\",\"hr\",\"note\"\n\"1795228800250\",\"62\",\"said \"\"ow\"\", then\nnothing\"\n", 0, 1,
         NAN, NAN, NAN, 62, NAN, INT64_C(1795228800250000)},
        {"time\tlat\tlon\tspeed (km/h)\n2026-11-21 02:40:00\t1\t2\t9\n", 1, 0, 1, NAN, NAN, NAN, NAN,
         INT64_C(1795228800000000)},
        {"time,lat,lon,speed_kmh\r2026-11-21T02:40:00Z,1,2,9\r\r", 1, 0, 1, NAN, 2.5, NAN, NAN,
         INT64_C(1795228800000000)},
        {"unknown,t_s,hr\nwhatever,1.5,63\n\n,2.5,64", 0, 2, NAN, NAN, NAN, 63, NAN, 1500000},
        {"t_s,hr\n1,0\n2,400\n3,\n4\n", 0, 0, NAN, NAN, NAN, NAN, NAN, 0},
        {"ts,hr,t_s\n2026-11-21T02:40:00Z,65,1\n", 0, 1, NAN, NAN, NAN, 65, NAN, INT64_C(1795228800000000)},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = strlen(rows[i].csv);
        const recording_format *f = recording_of((const unsigned char *)rows[i].csv, len);
        ck_assert_msg(f == format_named("csv"), "row %zu", i);
        played p = play_as("csv", rows[i].csv, len, 0);
        ck_assert_msg(p.fault == 0, "row %zu: %s", i, p.why);
        ck_assert_msg(p.fixes == rows[i].fixes && p.readings == rows[i].readings, "row %zu: %zu, %zu", i,
                      p.fixes, p.readings);
        const sensed *place = rows[i].fixes ? &p.kept[0] : NULL;
        const sensed *body = rows[i].readings ? &p.kept[place ? 1 : 0] : NULL;
        if (place)
            ck_assert_msg(place->fix.lat == rows[i].lat && place->fix.at == rows[i].at, "row %zu", i);
        if (place && !isnan(rows[i].altitude))
            ck_assert_double_eq(place->fix.altitude, rows[i].altitude);
        if (place && !isnan(rows[i].speed))
            ck_assert_double_eq(place->fix.speed, rows[i].speed);
        if (body)
            ck_assert_msg(body->reading.value[VITAL_HR] == rows[i].hr && body->reading.at == rows[i].at,
                          "row %zu", i);
        if (body && !isnan(rows[i].temp))
            ck_assert_double_eq(body->reading.value[VITAL_TEMP], rows[i].temp);
        if (p.readings > 0) /* else a beginning of "400" may say more than the whole */
            play_beginnings("csv", rows[i].csv, len);
    }
}
END_TEST

START_TEST(all_that_a_message_can_say_can_stand_in_a_table) {
    static const char csv[] =
        "ts,lat,lon,accuracy,altitude,speed,heading,hr,spo2,resp,temp,sys,dia,rr_ms,contact,"
        "quality,motion,battery,event\n"
        "1795228800,1,2,3,4,5,360,60,98,14,36.6,120,80,1000 900.5 ,true,90,0.5,77,fall\n"
        "1795228801,,,,,,,,,,,,,,no,,,,\n"
        "1795228802,,,,,,,,,,,,,,,,,50,\n"
        "1795228803,,,,,,,,,,,,,,,,,,still\n";
    played p = play_as("csv", csv, sizeof csv - 1, 0);
    ck_assert_msg(p.fault == 0, "%s", p.why);
    ck_assert_uint_eq(p.count, 5);
    const fix *f = &p.kept[0].fix;
    ck_assert(f->lon == 2 && f->accuracy == 3 && f->altitude == 4 && f->speed == 5 && f->heading == 0);
    const reading *r = &p.kept[1].reading;
    static const double values[VITALS] = {60, 98, 14, 36.6, 120, 80};
    for (vital which = 0; which < VITALS; which++)
        ck_assert_double_eq(r->value[which], values[which]);
    ck_assert(r->rr_count == 2 && r->rr_ms[1] == 900.5 && r->contact == CONTACT_GOOD && r->quality == 90 &&
              r->motion == 0.5 && r->battery == 77 && r->event == EVENT_FALL);
    ck_assert_int_eq(p.kept[2].reading.contact, CONTACT_NONE);
    ck_assert_int_eq(p.kept[3].kind, SENSED_BATTERY);
    ck_assert_double_eq(p.kept[3].reading.battery, 50);
    ck_assert_int_eq(p.kept[4].reading.event, EVENT_STILL);
}
END_TEST

START_TEST(tables_that_lie_are_refused_with_the_line) {
    static const struct {
        const char *csv, *why;
    } rows[] = {
        {"t_s,hr\n1,60\n2,fast\n", "line 3: cell 2: 'fast'"},
        {"t_s,hr\n1,60,7\n", "line 2: 3 cells, but 2 columns"},
        {"t_s,hr\n,60\n", "line 2: it has no time"},
        {"t_s,hr\nnoon,60\n", "line 2: cell 1"},
        {"t_s,hr\n-1,60\n", "line 2: cell 1"},
        {"t_s,hr\n1e300,60\n", "line 2: cell 1"},
        {"ts,hr\n1e15,60\n", "line 2: cell 1"},
        {"t_s,hr\n1,\"60\n", "line 2: a quote is opened"},
        {"t_s,hr\n1,\"60\"0\n", "line 2: something follows"},
        {"t_s,hr\n1,\x1b[31m\n", "'?[31m'"},
        {"t_s,lat,lon\n1,58,95;5,7\n", "line 2:"},
        {"t_s,hr,pulse\n1,60,60\n", "line 1: two columns"},
        {"lat,lon\n1,2\n", "line 1: no column has times"},
        {"t_s,cadence\n1,2\n", "line 1: no column is known"},
        {"t_s,contact\n1,perhaps\n", "line 2: cell 2"},
        {"t_s,event\n1,dance\n", "line 2: cell 2"},
        {"t_s,rr_ms\n1,1000 x\n", "line 2: cell 2"},
        {"", "no line that names"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        played p = play_as("csv", rows[i].csv, strlen(rows[i].csv), 0);
        ck_assert_msg(p.fault == -EBADMSG, "row %zu", i);
        ck_assert_msg(strstr(p.why, rows[i].why), "row %zu: %s", i, p.why);
    }
}
END_TEST

/* ---- all ---- */

START_TEST(what_is_no_recording_is_known_by_nobody) {
    static const char *const rows[] = {"",
                                       "hello",
                                       "<html></html>",
                                       "<!-- --><svg/>",
                                       "\x0e\x10.FIT",
                                       "$GPRMC,no checksum",
                                       "{\"hr\": 60}",
                                       "a,b,c\n1,2,3\n"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ck_assert_msg(!recording_of((const unsigned char *)rows[i], strlen(rows[i])), "row %zu", i);
}
END_TEST

/* ---- what real devices recorded ---- */

static bool read_shared(const char *name, buf *to) {
    const char *folder = getenv("MAYDAY_SHARED_DATA");
    char path[4096];
    if (!folder) {
        printf("skipped %s: MAYDAY_SHARED_DATA names no folder with recordings\n", name);
        return false;
    }
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (file_read(path, to->limit, to) < 0) {
        printf("skipped: no %s\n", path);
        return false;
    }
    return true;
}

typedef struct table {
    sensed *all;
    size_t count, room;
} table;

static bool collect(void *context, const sensed *one) {
    table *t = context;
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 1024;
        t->all = realloc(t->all, t->room * sizeof *t->all);
        ck_assert_ptr_nonnull(t->all);
    }
    t->all[t->count++] = *one;
    return true;
}

static table play_shared(const buf *file, const char *format) {
    table t = {0};
    char why[256] = "";
    const recording_format *f = recording_of((unsigned char *)file->ptr, file->len);
    ck_assert_ptr_eq(f, format_named(format));
    ck_assert_msg(f->play((unsigned char *)file->ptr, file->len, collect, &t, why) == 0, "%s", why);
    return t;
}

static void leave_out_samples_without_heart_rate(table *t) {
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++) {
        bool followed = i + 1 < t->count && t->all[i + 1].kind == SENSED_READING &&
                        t->all[i + 1].reading.at == t->all[i].fix.at;
        if (t->all[i].kind == SENSED_READING || followed)
            t->all[kept++] = t->all[i];
    }
    ck_assert_uint_lt(t->count - kept, 5);
    t->count = kept;
}

START_TEST(a_run_recorded_by_a_watch_agrees_with_its_table_value_by_value) {
    CLEANUP(buf_release) buf fit = BUF(16 << 20), csv = BUF(16 << 20);
    if (!read_shared("run-fenix2.fit", &fit) || !read_shared("run-fenix2.csv", &csv))
        return;
    table watch = play_shared(&fit, "fit"), want = play_shared(&csv, "csv");
    ck_assert_uint_gt(want.count, 5000);
    leave_out_samples_without_heart_rate(&watch); /* the table has only whole ones */
    ck_assert_uint_eq(watch.count, want.count);
    for (size_t i = 0; i < want.count; i++) {
        const sensed *a = &watch.all[i], *b = &want.all[i];
        ck_assert_msg(a->kind == b->kind, "%zu", i);
        if (a->kind == SENSED_READING) {
            ck_assert_msg(a->reading.at - watch.all[0].fix.at == b->reading.at, "%zu", i);
            ck_assert_msg(a->reading.value[VITAL_HR] == b->reading.value[VITAL_HR], "%zu", i);
            continue;
        }
        ck_assert_msg(a->fix.at - watch.all[0].fix.at == b->fix.at, "%zu", i);
        ck_assert_msg(fabs(a->fix.lat - b->fix.lat) <= 5.1e-7 && fabs(a->fix.lon - b->fix.lon) <= 5.1e-7,
                      "%zu", i);
        ck_assert_msg(fabs(a->fix.altitude - b->fix.altitude) <= 0.051, "%zu", i);
        ck_assert_msg(fabs(a->fix.speed - b->fix.speed) <= 0.0051, "%zu", i);
    }
    free(watch.all);
    free(want.all);
}
END_TEST

static void check_log(const char *name, size_t fixes, double lat, double lon, double within_m) {
    CLEANUP(buf_release) buf log = BUF(16 << 20);
    if (!read_shared(name, &log))
        return;
    table t = play_shared(&log, "nmea");
    ck_assert_msg(t.count == fixes, "%s: %zu", name, t.count);
    fix there = fix_at(0, lat, lon);
    for (size_t i = 0; i < t.count; i++) {
        ck_assert_msg(fix_distance(&t.all[i].fix, &there) < within_m, "%s: %zu", name, i);
        ck_assert_msg(i == 0 || t.all[i].fix.at > t.all[i - 1].fix.at, "%s: %zu", name, i);
    }
    free(t.all);
}

START_TEST(logs_of_real_receivers_are_one_fix_for_each_valid_epoch) {
    check_log("haicom-305N.log", 68, -27.2106, 153.052, 200);
    /* it begins and ends within an epoch */
    check_log("quectel-l76k-nmea.log", 151, 47.66198, -122.32639, 50);
}
END_TEST

Suite *suite_recording(void) {
    Suite *s = suite_create("recording");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_gpx_track_is_read_with_the_heart_rate_of_any_maker);
    tcase_add_test(t, times_in_gpx_have_zones_and_fractions_or_not);
    tcase_add_test(t, a_way_to_go_is_no_recording);
    tcase_add_test(t, positions_that_are_none_are_left_out);
    tcase_add_test(t, xml_that_attacks_its_reader_is_refused);
    tcase_add_test(t, depth_and_length_of_xml_are_bounded);
    tcase_add_test(t, every_beginning_of_a_gpx_file_is_refused_or_read);
    tcase_add_test(t, a_tcx_activity_is_read_point_by_point);
    tcase_add_test(t, a_log_of_a_receiver_is_one_fix_for_each_epoch);
    tcase_add_test(t, a_log_without_a_whole_line_is_refused);
    tcase_add_test(t, a_table_is_read_by_the_names_of_its_columns);
    tcase_add_test(t, all_that_a_message_can_say_can_stand_in_a_table);
    tcase_add_test(t, tables_that_lie_are_refused_with_the_line);
    tcase_add_test(t, what_is_no_recording_is_known_by_nobody);
    tcase_add_test(t, a_run_recorded_by_a_watch_agrees_with_its_table_value_by_value);
    tcase_add_test(t, logs_of_real_receivers_are_one_fix_for_each_valid_epoch);
    suite_add_tcase(s, t);
    return s;
}
