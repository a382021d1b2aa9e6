/* tz.c - see tz.h. A file has moments at which the offset changes, and a rule in POSIX's spelling for all
 * time after the last of them. Leap seconds are not counted, as nowhere in Mayday. */
#include "place/tz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define FILE_LIMIT (256u << 10)
#define NAME_LIMIT 64
#define HEADER     44
#define DAY_S      86400
#define RULE_MAX   80

typedef struct turn_rule { /* when, each year, clocks are put forward or back */
    char form;             /* 'M' month, week, day; 'J' day without 29 February; '0' day from 0 */
    int month, week, day;
    int64_t time; /* seconds after local midnight */
} turn_rule;

typedef struct posix_tz {
    bool known, summer;
    int64_t standard, daylight; /* seconds east of UTC */
    turn_rule begin, end;
} posix_tz;

struct tz {
    int64_t *moments; /* seconds since 1970 */
    int32_t *offsets; /* from then on */
    size_t count;
    int32_t first; /* before all of them */
    posix_tz after;
};

tz *tz_free(tz *z) {
    if (z) {
        free(z->moments);
        free(z->offsets);
    }
    free(z);
    return NULL;
}

/* ---- the rule ---- */

typedef struct scan {
    const char *at;
    bool bad;
} scan;

static int number(scan *s, int most) {
    int value = 0, digits = 0;
    for (; *s->at >= '0' && *s->at <= '9' && digits < 4; s->at++, digits++)
        value = value * 10 + (*s->at - '0');
    if (digits == 0 || value > most)
        s->bad = true;
    return value;
}

static bool take(scan *s, char c) {
    if (*s->at != c)
        return false;
    s->at++;
    return true;
}

/* [+-]hh[:mm[:ss]] */
static int64_t clock_time(scan *s) {
    bool minus = take(s, '-');
    if (!minus)
        (void)take(s, '+');
    int64_t seconds = (int64_t)number(s, 167) * 3600;
    if (take(s, ':'))
        seconds += (int64_t)number(s, 59) * 60;
    if (take(s, ':'))
        seconds += number(s, 59);
    return minus ? -seconds : seconds;
}

static void skip_name(scan *s) {
    const char *from = s->at;
    if (take(s, '<')) {
        while (*s->at && *s->at != '>')
            s->at++;
        s->bad = s->bad || !take(s, '>');
        return;
    }
    while ((*s->at >= 'A' && *s->at <= 'Z') || (*s->at >= 'a' && *s->at <= 'z'))
        s->at++;
    s->bad = s->bad || s->at - from < 3;
}

static turn_rule rule(scan *s) {
    turn_rule r = {.form = '0', .time = 7200};
    if (take(s, 'M')) {
        r.form = 'M';
        r.month = number(s, 12);
        s->bad = s->bad || !take(s, '.');
        r.week = number(s, 5);
        s->bad = s->bad || !take(s, '.');
        r.day = number(s, 6);
        s->bad = s->bad || r.month < 1 || r.week < 1;
    } else {
        r.form = take(s, 'J') ? 'J' : '0';
        r.day = number(s, 365);
        s->bad = s->bad || (r.form == 'J' && r.day < 1);
    }
    if (take(s, '/'))
        r.time = clock_time(s);
    return r;
}

/* "CET-1CEST,M3.5.0,M10.5.0/3". */
static bool read_posix(const char *spelled, posix_tz *ret_rule) {
    scan s = {spelled, false};
    posix_tz p = {.known = true};
    skip_name(&s);
    p.standard = -clock_time(&s);
    p.daylight = p.standard + 3600;
    if (*s.at) {
        p.summer = true;
        skip_name(&s);
        if (*s.at && *s.at != ',')
            p.daylight = -clock_time(&s);
        s.bad = s.bad || !take(&s, ',');
        p.begin = rule(&s);
        s.bad = s.bad || !take(&s, ',');
        p.end = rule(&s);
    }
    if (s.bad || *s.at)
        return false;
    *ret_rule = p;
    return true;
}

static bool leap(int64_t year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970 of the first of January. */
static int64_t new_year(int64_t year) {
    int64_t y = year - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 - 719162;
}

static int64_t year_of(int64_t seconds) {
    int64_t year = 1970 + seconds / (365 * DAY_S);
    while (new_year(year) * DAY_S > seconds)
        year--;
    while (new_year(year + 1) * DAY_S <= seconds)
        year++;
    return year;
}

static int64_t day_of(const turn_rule *r, int64_t year) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t first = new_year(year);
    if (r->form == '0')
        return first + r->day;
    if (r->form == 'J')
        return first + r->day - 1 + (leap(year) && r->day >= 60);
    for (int m = 1; m < r->month; m++)
        first += lengths[m - 1] + (m == 2 && leap(year));
    int length = lengths[r->month - 1] + (r->month == 2 && leap(year));
    int64_t day =
        (r->day - (first + 4) % 7 + 7) % 7 + (r->week - 1) * INT64_C(7); /* 1970-01-01: a Thursday */
    return first + (day < length ? day : day - 7);
}

static int64_t offset_by_rule(const posix_tz *p, int64_t seconds) {
    if (!p->summer || seconds < 0)
        return p->standard;
    int64_t year = year_of(seconds + p->standard);
    int64_t begin = day_of(&p->begin, year) * DAY_S + p->begin.time - p->standard;
    int64_t end = day_of(&p->end, year) * DAY_S + p->end.time - p->daylight;
    bool summer = begin < end ? seconds >= begin && seconds < end : seconds >= begin || seconds < end;
    return summer ? p->daylight : p->standard;
}

/* ---- the file ---- */

typedef struct counts {
    size_t utc, standard, leaps, times, types, chars;
} counts;

static uint64_t big_endian(const char *at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | (uint8_t)at[i];
    return value;
}

static bool read_header(text t, char *ret_version, counts *ret_counts) {
    if (t.len < HEADER || memcmp(t.ptr, "TZif", 4) != 0)
        return false;
    size_t n[6];
    for (size_t i = 0; i < 6; i++) {
        n[i] = (size_t)big_endian(t.ptr + 20 + 4 * i, 4);
        if (n[i] > FILE_LIMIT)
            return false;
    }
    *ret_version = t.ptr[4];
    *ret_counts = (counts){n[0], n[1], n[2], n[3], n[4], n[5]};
    return true;
}

static size_t body_size(const counts *c, size_t wide) {
    return c->times * wide + c->times + c->types * 6 + c->chars + c->leaps * (wide + 4) + c->standard +
           c->utc;
}

static int32_t type_offset(const char *types, size_t type) {
    return (int32_t)(uint32_t)big_endian(types + 6 * type, 4);
}

static int read_moments(tz *z, const counts *c, const char *body) {
    const char *which = body + c->times * 8, *types = which + c->times;
    z->moments = calloc(c->times + 1, sizeof *z->moments);
    z->offsets = calloc(c->times + 1, sizeof *z->offsets);
    if (!z->moments || !z->offsets)
        return -ENOMEM;
    z->first = type_offset(types, 0);
    for (size_t i = 0; i < c->times; i++) {
        z->moments[i] = (int64_t)big_endian(body + 8 * i, 8);
        size_t type = (uint8_t)which[i];
        if (type >= c->types || (i > 0 && z->moments[i] <= z->moments[i - 1]))
            return -EBADMSG;
        z->offsets[i] = type_offset(types, type);
    }
    z->count = c->times;
    return 0;
}

static void read_footer(tz *z, text rest) {
    char spelled[RULE_MAX + 1] = "";
    text line;
    if (rest.len < 2 || rest.ptr[0] != '\n')
        return;
    rest.ptr++, rest.len--;
    if (text_next(&rest, '\n', &line) && line.len > 0 && line.len <= RULE_MAX) {
        memcpy(spelled, line.ptr, line.len);
        (void)read_posix(spelled, &z->after);
    }
}

int tz_read(text bytes, tz **ret_tz) {
    counts c;
    char version;
    if (!read_header(bytes, &version, &c) || version < '2' || body_size(&c, 4) > bytes.len - HEADER)
        return -EBADMSG;
    size_t skip = HEADER + body_size(&c, 4);
    text second = {bytes.ptr + skip, bytes.len - skip};
    if (!read_header(second, &version, &c) || c.types == 0 || body_size(&c, 8) > second.len - HEADER)
        return -EBADMSG;
    tz *z = calloc(1, sizeof *z);
    if (!z)
        return -ENOMEM;
    int fault = read_moments(z, &c, second.ptr + HEADER);
    if (fault < 0) {
        (void)tz_free(z);
        return fault;
    }
    size_t end = HEADER + body_size(&c, 8);
    read_footer(z, (text){second.ptr + end, second.len - end});
    *ret_tz = z;
    return 0;
}

/* Names are words of letters, digits and _+- with slashes between: nothing leads out of the folder. */
static bool is_name(text name) {
    if (name.len == 0 || name.len > NAME_LIMIT || name.ptr[0] == '/')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/", name.ptr[i]) ||
            !name.ptr[i])
            return false;
    return true;
}

int tz_named(text name, tz **ret_tz) {
    char path[sizeof TZ_FOLDER + NAME_LIMIT + 2];
    CLEANUP(buf_release) buf bytes = BUF(FILE_LIMIT);
    if (!is_name(name))
        return -ENOENT;
    (void)snprintf(path, sizeof path, TZ_FOLDER "/%.*s", (int)name.len, name.ptr);
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOMEM ? -ENOMEM : -ENOENT;
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        buf_add(&bytes, piece, n);
    bool broken = ferror(file) != 0;
    (void)fclose(file);
    if (buf_failed(&bytes) < 0)
        return buf_failed(&bytes) == -ENOMEM ? -ENOMEM : -EBADMSG;
    return broken || bytes.len == 0 ? -EBADMSG : tz_read(buf_text(&bytes), ret_tz);
}

int64_t tz_offset(const tz *z, instant at) {
    if (!z)
        return 0;
    int64_t seconds = at / INSTANT_SECOND - (at % INSTANT_SECOND < 0);
    if (z->count == 0 || seconds >= z->moments[z->count - 1]) {
        if (z->after.known)
            return offset_by_rule(&z->after, seconds);
        return z->count ? z->offsets[z->count - 1] : z->first;
    }
    size_t low = 0, high = z->count; /* the first moment after `seconds` */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (z->moments[middle] <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? z->offsets[low - 1] : z->first;
}
