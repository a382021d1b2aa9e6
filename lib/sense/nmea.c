/* nmea.c - NMEA 0183 lines to fixes; see sense.h.
 *
 * A receiver says one epoch (the moment of one fix) in several sentences, in an order of its own. All that
 * carry the same time of day are one epoch; its fix is given out once:
 * - as soon as all the kinds of sentences have come that the two epochs before had: nothing is waited for
 * that this receiver does not say, and nothing is given out before it is whole;
 * - in the first epoch as soon as there are a place and a date, because nothing is known of the receiver yet;
 * - when the next epoch begins, if a line was lost.
 * An epoch of which any sentence says "not valid" is not given out, nor one simulated or typed in by hand.
 *
 * The day comes from RMC and ZDA; a line with only a time belongs to the day that brings it nearest to the
 * epoch before (so midnight needs no care), or to `now`. GPS began in 1980: two-digit years are 1980 to 2079,
 * unless `now` lies nearer to another century.
 *
 * Accuracy (two of three): from GST, the receiver's own estimate, where it is sent. Else it is an estimate of
 * ours: HDOP times the error to be expected of one range by the kind of fix (see `kinds`), which is the root
 * mean square of the distance to the truth and so holds it in 63 to 68 of 100 cases. */
#include "sense/inside.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LINE_LONGEST      512 /* the standard says 82; receivers say more */
#define FIELDS_MAX        40
#define MPS_PER_KNOT      (1852.0 / 3600)
#define DAY               (INT64_C(86400) * INSTANT_SECOND)
#define TWO_OF_THREE      1.4823 /* radius of a round normal distribution that holds 2/3, in sigmas */
#define PLAIN_RANGE_ERROR 5.0    /* metres, of one range */
#define HOW_MANY_BACK     2

/* What has been said of an epoch. */
enum {
    SAID_RMC = 1 << 0,
    SAID_GGA = 1 << 1,
    SAID_GNS = 1 << 2,
    SAID_VTG = 1 << 3,
    SAID_GST = 1 << 4
};

typedef enum standing {
    STANDING_NONE = 0, /* no position yet */
    STANDING_INVALID,
    STANDING_VALID,
} standing;

typedef struct epoch {
    instant time_of_day; /* -1: none */
    unsigned said;
    standing position;
    bool dated, given;
    fix fix;
    double hdop, range_error; /* metres; NAN: not known */
    double estimate;          /* metres, of the receiver itself (GST) */
} epoch;

struct nmea {
    epoch now;
    unsigned before[HOW_MANY_BACK]; /* what the epochs before had, newest first */
    size_t epochs;                  /* that had a position */
    double hdop;                    /* of GSA, which has no time; NAN: none */
    instant anchor;                 /* the last moment that is known with its day; 0: none */
};

/* The kind of a fix, as GGA has it in a digit and RMC, GNS and VTG in a letter. The error of one range is
 * that of a civil receiver under an open sky. */
static const struct {
    char digit, letter;
    bool believed;
    double range_error;
} kinds[] = {
    {'0', 'N', false, NAN},
    {'1', 'A', true, PLAIN_RANGE_ERROR},
    {'2', 'D', true, 2.5},
    {'3', 'P', true, 2.5},
    {'4', 'R', true, 0.05},
    {'5', 'F', true, 0.5},
    {'6', 'E', true, 25.0} /* dead reckoning */,
    {'7', 'M', false, NAN},
    {'8', 'S', false, NAN},
};

int nmea_new(nmea **ret_nmea) {
    nmea *n = calloc(1, sizeof *n);
    if (!n)
        return -ENOMEM;
    n->now.time_of_day = -1;
    n->hdop = NAN;
    *ret_nmea = n;
    return 0;
}

nmea *nmea_free(nmea *n) {
    free(n);
    return NULL;
}

/* ---- a line ---- */

typedef struct sentence {
    text field[FIELDS_MAX]; /* [0]: talker and type */
    size_t count;
} sentence;

static int hex(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* What stands between '$' and '*', when the checksum is right. After lost bytes a second '$' may follow in
 * the same line: the last one counts. */
static sense_verdict take_body(text line, bool lax, text *ret_body) {
    line = text_trim(line);
    if (line.len == 0 || line.ptr[0] == '#')
        return SENSE_IGNORED;
    const char *dollar = memrchr(line.ptr, '$', line.len);
    if (!dollar)
        return line.ptr[0] == '!' ? SENSE_IGNORED : SENSE_MALFORMED; /* AIS and its like */
    text body = {dollar + 1, line.len - (size_t)(dollar + 1 - line.ptr)};
    unsigned sum = 0;
    size_t star = 0;
    for (; star < body.len && body.ptr[star] != '*'; star++) {
        if (body.ptr[star] < ' ' || body.ptr[star] > '~')
            return SENSE_MALFORMED;
        sum ^= (unsigned char)body.ptr[star];
    }
    if (star > LINE_LONGEST)
        return SENSE_MALFORMED;
    if (star == body.len) {
        *ret_body = body;
        return lax ? SENSE_GOOD : SENSE_MALFORMED;
    }
    if (body.len != star + 3 || hex(body.ptr[star + 1]) < 0 || hex(body.ptr[star + 2]) < 0 ||
        (unsigned)(hex(body.ptr[star + 1]) << 4 | hex(body.ptr[star + 2])) != sum)
        return SENSE_MALFORMED;
    *ret_body = (text){body.ptr, star};
    return SENSE_GOOD;
}

static bool split(text body, sentence *ret_sentence) {
    sentence s = {.count = 0};
    text rest = body, head;
    while (text_next(&rest, ',', &head)) {
        if (s.count == FIELDS_MAX)
            return false;
        s.field[s.count++] = head;
    }
    *ret_sentence = s;
    return true;
}

static text field(const sentence *s, size_t index) {
    return index < s->count ? s->field[index] : TEXT("");
}

/* An empty field is NAN; false when it holds something that is no number. */
static bool number(text t, double *ret_number) {
    double value = NAN;
    if (t.len > 0 && !parse_number(t, false, &value))
        return false;
    *ret_number = value;
    return true;
}

/* hhmmss, hhmmss.sss */
static bool time_of_day(text t, instant *ret_time) {
    int hour, minute, second;
    double below = 0;
    if (t.len < 6 || !parse_digits((text){t.ptr, 2}, 2, &hour) ||
        !parse_digits((text){t.ptr + 2, 2}, 2, &minute) || !parse_digits((text){t.ptr + 4, 2}, 2, &second))
        return false;
    if (t.len > 6 && t.ptr[6] != '.')
        return false;
    if (t.len > 7 && !parse_number((text){t.ptr + 6, t.len - 6}, false, &below))
        return false;
    if (hour > 23 || minute > 59 || second > 60 || !(below >= 0 && below < 1))
        return false;
    *ret_time = (hour * INT64_C(3600) + minute * INT64_C(60) + second) * INSTANT_SECOND +
                (instant)llround(below * 1e3) * 1000;
    return true;
}

/* ddmm.mmmm or dddmm.mmmm, and the hemisphere. */
static bool degrees(text t, text hemisphere, size_t whole, const char *letters, double *ret_degrees) {
    int deg;
    double minutes;
    if (hemisphere.len != 1 || (hemisphere.ptr[0] != letters[0] && hemisphere.ptr[0] != letters[1]))
        return false;
    if (t.len < whole + 2 || !parse_digits((text){t.ptr, whole}, whole, &deg) || t.ptr[whole] == '-' ||
        !number((text){t.ptr + whole, t.len - whole}, &minutes) || !(minutes >= 0 && minutes < 60))
        return false;
    double value = deg + minutes / 60;
    *ret_degrees = hemisphere.ptr[0] == letters[1] ? -value : value;
    return true;
}

static bool take_place(epoch *e, const sentence *s, size_t first) {
    double lat, lon;
    if (!degrees(field(s, first), field(s, first + 1), 2, "NS", &lat) ||
        !degrees(field(s, first + 2), field(s, first + 3), 3, "EW", &lon) || fabs(lat) > 90 ||
        fabs(lon) > 180)
        return false;
    e->fix.lat = lat;
    e->fix.lon = lon;
    return true;
}

static void take_course(epoch *e, double speed_knots, double course) {
    e->fix.speed = speed_knots * MPS_PER_KNOT;
    e->fix.heading = course;
}

/* ---- the calendar ---- */

/* GPS began in 1980, and nobody's clock is off by half a century. */
static int full_year(int two_digits, instant now) {
    int year = two_digits < 80 ? 2000 + two_digits : 1900 + two_digits;
    double around = now > 0 ? 1970 + (double)now / 1e6 / 31556952 : 0;
    while (now > 0 && year + 50 < around)
        year += 100;
    return year;
}

static bool date_of(text t, instant now, instant *ret_midnight) {
    int day, month, year;
    if (t.len != 6 || !parse_digits((text){t.ptr, 2}, 2, &day) ||
        !parse_digits((text){t.ptr + 2, 2}, 2, &month) || !parse_digits((text){t.ptr + 4, 2}, 2, &year))
        return false;
    return moment_of(full_year(year, now), month, day, 0, 0, 0, 0, ret_midnight);
}

static void date_epoch(nmea *n, instant midnight) {
    n->now.fix.at = midnight + n->now.time_of_day;
    n->now.dated = true;
    n->anchor = n->now.fix.at;
}

/* The day that brings the time nearest to what is known. The clock of the host is asked last: a receiver that
 * has said a whole epoch without a date says none. */
static void date_by_anchor(nmea *n, instant now) {
    instant near = n->anchor ? n->anchor : n->epochs > 0 ? now : 0;
    if (near <= 0 || n->now.dated)
        return;
    instant at = near - near % DAY + n->now.time_of_day;
    if (at - near > DAY / 2)
        at -= DAY;
    else if (near - at > DAY / 2)
        at += DAY;
    n->now.fix.at = at;
    n->now.dated = true;
    if (n->anchor) /* `now` alone says only the day; the receiver's own word shall replace it */
        n->anchor = at;
}

bool nmea_knows_date(const nmea *n) {
    return n->anchor != 0;
}

/* ---- epochs ---- */

/* Speed and course are in RMC already: VTG has no time, and may come before or after the rest. */
static unsigned awaited(const nmea *n) {
    unsigned all = 0;
    for (size_t i = 0; i < HOW_MANY_BACK; i++)
        all |= n->before[i];
    return all & SAID_RMC ? all & ~(unsigned)SAID_VTG : all;
}

static bool can_be_given(const epoch *e) {
    return !e->given && e->position == STANDING_VALID && e->dated && e->fix.at > 0;
}

static bool give(const nmea *n, epoch *e, fix *ret_fix) {
    fix f = e->fix;
    double hdop = isfinite(e->hdop) ? e->hdop : n->hdop;
    double range_error = isfinite(e->range_error) ? e->range_error : PLAIN_RANGE_ERROR;
    f.accuracy = isfinite(e->estimate) ? e->estimate : hdop * range_error;
    e->given = true;
    if (!sense_tidy(&f))
        return false;
    *ret_fix = f;
    return true;
}

static bool is_whole(const nmea *n) {
    return n->epochs == 0 || (awaited(n) & ~n->now.said) == 0;
}

static void begin_epoch(nmea *n, instant time) {
    if (n->now.time_of_day >= 0) {
        memmove(n->before + 1, n->before, (HOW_MANY_BACK - 1) * sizeof n->before[0]);
        n->before[0] = n->now.said;
        n->epochs += n->now.position == STANDING_VALID;
    }
    n->now = (epoch){
        .time_of_day = time, .fix = fix_at(0, NAN, NAN), .hdop = NAN, .range_error = NAN, .estimate = NAN};
}

/* A sentence of that time: a new epoch, when it is another one. */
static bool enter(nmea *n, text time, instant now) {
    instant at;
    if (!time_of_day(time, &at))
        return false;
    if (at != n->now.time_of_day)
        begin_epoch(n, at);
    date_by_anchor(n, now);
    return true;
}

/* What one sentence says of the kind of fix; one "no" is enough. */
static bool stand(epoch *e, char sign, bool is_digit) {
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if ((is_digit ? kinds[i].digit : kinds[i].letter) != sign)
            continue;
        if (!kinds[i].believed)
            e->position = STANDING_INVALID;
        else if (isnan(e->range_error) || kinds[i].range_error < e->range_error)
            e->range_error = kinds[i].range_error;
        return kinds[i].believed;
    }
    e->position = STANDING_INVALID; /* a kind that nobody knows */
    return false;
}

static sense_verdict placed(epoch *e, const sentence *s, size_t first) {
    if (e->position == STANDING_INVALID)
        return SENSE_INVALID;
    if (!take_place(e, s, first)) {
        e->position = STANDING_INVALID;
        return SENSE_MALFORMED;
    }
    e->position = STANDING_VALID;
    return SENSE_GOOD;
}

/* ---- sentences: GOOD means that it is taken ---- */

static sense_verdict read_rmc(nmea *n, const sentence *s, instant now) {
    epoch *e = &n->now;
    double knots, course;
    instant midnight;
    if (s->count < 10 || !number(field(s, 7), &knots) || !number(field(s, 8), &course) ||
        !enter(n, field(s, 1), now))
        return SENSE_MALFORMED;
    e->said |= SAID_RMC;
    if (field(s, 9).len > 0) {
        if (!date_of(field(s, 9), now, &midnight))
            return SENSE_MALFORMED;
        date_epoch(n, midnight);
    }
    if (!text_equal(field(s, 2), TEXT("A")))
        e->position = STANDING_INVALID;
    text mode = field(s, 12); /* since NMEA 2.3; what follows it is not about the fix */
    if (e->position != STANDING_INVALID && mode.len == 1)
        (void)stand(e, mode.ptr[0], false);
    sense_verdict verdict = placed(e, s, 3);
    if (verdict == SENSE_GOOD)
        take_course(e, knots, course);
    return verdict;
}

static void take_height(epoch *e, double above_sea, double geoid) {
    e->fix.altitude = isfinite(geoid) ? above_sea + geoid : above_sea; /* above the ellipsoid */
}

static sense_verdict read_gga(nmea *n, const sentence *s, instant now) {
    epoch *e = &n->now;
    double hdop, above_sea, geoid;
    if (s->count < 12 || field(s, 6).len != 1 || !number(field(s, 8), &hdop) ||
        !number(field(s, 9), &above_sea) || !number(field(s, 11), &geoid) || !enter(n, field(s, 1), now))
        return SENSE_MALFORMED;
    e->said |= SAID_GGA;
    (void)stand(e, field(s, 6).ptr[0], true);
    sense_verdict verdict = placed(e, s, 2);
    if (verdict == SENSE_GOOD) {
        e->hdop = hdop > 0 ? hdop : NAN;
        take_height(e, above_sea, geoid);
    }
    return verdict;
}

/* One letter for each constellation: one that is used is enough. */
static sense_verdict read_gns(nmea *n, const sentence *s, instant now) {
    epoch *e = &n->now;
    double hdop, above_sea, geoid;
    text modes = field(s, 6);
    if (s->count < 11 || modes.len == 0 || !number(field(s, 8), &hdop) || !number(field(s, 9), &above_sea) ||
        !number(field(s, 10), &geoid) || !enter(n, field(s, 1), now))
        return SENSE_MALFORMED;
    e->said |= SAID_GNS;
    char best = 'N';
    for (size_t i = 0; i < modes.len; i++)
        if (modes.ptr[i] != 'N')
            best = modes.ptr[i];
    (void)stand(e, best, false);
    sense_verdict verdict = placed(e, s, 2);
    if (verdict == SENSE_GOOD) {
        e->hdop = hdop > 0 ? hdop : NAN;
        take_height(e, above_sea, geoid);
    }
    return verdict;
}

static sense_verdict read_vtg(nmea *n, const sentence *s, instant now) {
    double course, knots;
    (void)now;
    if (s->count < 9 || !number(field(s, 1), &course) || !number(field(s, 5), &knots))
        return SENSE_MALFORMED;
    if (n->now.time_of_day < 0 || n->now.said & SAID_RMC)
        return SENSE_IGNORED;
    n->now.said |= SAID_VTG;
    take_course(&n->now, knots, course);
    return SENSE_GOOD;
}

static sense_verdict read_zda(nmea *n, const sentence *s, instant now) {
    int day, month, year;
    instant midnight;
    if (s->count < 5)
        return SENSE_MALFORMED;
    if (field(s, 4).len == 0)
        return SENSE_INVALID; /* before the first fix */
    if (!parse_digits(field(s, 2), 2, &day) || !parse_digits(field(s, 3), 2, &month) ||
        !parse_digits(field(s, 4), 4, &year) || !moment_of(year, month, day, 0, 0, 0, 0, &midnight) ||
        !enter(n, field(s, 1), now))
        return SENSE_MALFORMED;
    date_epoch(n, midnight);
    return SENSE_GOOD;
}

/* The receiver's own estimate: one sigma of latitude and of longitude. */
static sense_verdict read_gst(nmea *n, const sentence *s, instant now) {
    double lat, lon;
    if (s->count < 9 || !number(field(s, 6), &lat) || !number(field(s, 7), &lon) ||
        !enter(n, field(s, 1), now))
        return SENSE_MALFORMED;
    n->now.said |= SAID_GST;
    n->now.estimate = TWO_OF_THREE * sqrt((lat * lat + lon * lon) / 2);
    return SENSE_GOOD;
}

/* Has no time, and may come once for each constellation with the same figures. */
static sense_verdict read_gsa(nmea *n, const sentence *s, instant now) {
    double hdop;
    (void)now;
    if (s->count < 18 || !number(field(s, 16), &hdop))
        return SENSE_MALFORMED;
    n->hdop = hdop > 0 ? hdop : NAN;
    return SENSE_GOOD;
}

static const struct {
    const char *type;
    sense_verdict (*read)(nmea *n, const sentence *s, instant now);
} sentences[] = {
    {"RMC", read_rmc}, {"GGA", read_gga}, {"GNS", read_gns}, {"VTG", read_vtg},
    {"ZDA", read_zda}, {"GST", read_gst}, {"GSA", read_gsa},
};

static sense_verdict read_sentence(nmea *n, const sentence *s, instant now) {
    text name = s->field[0];
    if (name.len != 5 || name.ptr[0] == 'P') /* P: a maker's own */
        return SENSE_IGNORED;
    for (size_t i = 0; i < ARRAY_LEN(sentences); i++)
        if (memcmp(name.ptr + 2, sentences[i].type, 3) == 0)
            return sentences[i].read(n, s, now);
    return SENSE_IGNORED;
}

sense_verdict nmea_line(nmea *n, text line, bool lax, instant now, fix *ret_fix) {
    text body;
    sentence s;
    sense_verdict verdict = take_body(line, lax, &body);
    if (verdict != SENSE_GOOD)
        return verdict;
    if (!split(body, &s))
        return SENSE_MALFORMED;
    epoch before = n->now;
    verdict = read_sentence(n, &s, now);
    bool another = before.time_of_day != n->now.time_of_day;
    if (verdict == SENSE_GOOD && can_be_given(&n->now) && is_whole(n))
        return give(n, &n->now, ret_fix) ? SENSE_GOOD : SENSE_IGNORED;
    if (another && can_be_given(&before) && give(n, &before, ret_fix))
        return SENSE_GOOD;
    return verdict == SENSE_GOOD ? SENSE_IGNORED : verdict;
}

bool nmea_end(nmea *n, fix *ret_fix) {
    return can_be_given(&n->now) && give(n, &n->now, ret_fix);
}
