/* inside.c - see inside.h. */
#include "sense/inside.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <time.h>

#define DIGITS_MAX 18 /* of a number: what a uint64_t surely holds */

/* Ranges of schemas/vitals.json. */
static const struct {
    double min, max;
    bool zero_is_none;
} ranges[VITALS] = {
    [VITAL_HR] = {0, 350, true},    [VITAL_SPO2] = {0, 100, true}, [VITAL_RESP] = {0, 120, false},
    [VITAL_TEMP] = {10, 50, false}, [VITAL_SYS] = {0, 350, true},  [VITAL_DIA] = {0, 350, true},
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Digits with at most one point among them: the number is mantissa * 10^exponent. */
static const char *take_mantissa(const char *p, const char *end, bool comma, double *ret_mantissa,
                                 int *ret_exponent) {
    uint64_t mantissa = 0;
    int kept = 0, seen = 0, exponent = 0;
    bool pointed = false;
    for (; p < end; p++) {
        if (!pointed && (*p == '.' || (comma && *p == ','))) {
            pointed = true;
            continue;
        }
        if (!is_digit(*p))
            break;
        seen++;
        if (kept < DIGITS_MAX) {
            mantissa = mantissa * 10 + (uint64_t)(*p - '0');
            kept += mantissa > 0;
            exponent -= pointed;
        } else {
            exponent += !pointed; /* beyond what a double can tell apart */
        }
        if (seen > 1000)
            return NULL;
    }
    if (seen == 0)
        return NULL;
    *ret_mantissa = (double)mantissa;
    *ret_exponent = exponent;
    return p;
}

static bool take_power(const char *p, const char *end, int *exponent) {
    bool minus = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    int value = 0;
    if (p == end || end - p > 4)
        return false;
    for (; p < end; p++) {
        if (!is_digit(*p))
            return false;
        value = value * 10 + (*p - '0');
    }
    *exponent += minus ? -value : value;
    return true;
}

bool parse_number(text t, bool comma, double *ret_number) {
    const char *p = t.ptr, *end = t.ptr + t.len;
    if (t.len == 0)
        return false;
    bool minus = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    double mantissa;
    int exponent;
    p = take_mantissa(p, end, comma, &mantissa, &exponent);
    if (!p)
        return false;
    if (p < end && (*p != 'e' && *p != 'E'))
        return false;
    if (p < end && !take_power(p + 1, end, &exponent))
        return false;
    /* dividing by a power of ten that a double holds exactly rounds once, as strtod() does */
    double value = exponent < 0 ? mantissa / pow(10, -exponent) : mantissa * pow(10, exponent);
    if (!isfinite(value))
        return false;
    *ret_number = minus ? -value : value;
    return true;
}

bool parse_digits(text t, size_t count, int *ret_value) {
    int value = 0;
    if (t.len != count || count > 9)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(t.ptr[i]))
            return false;
        value = value * 10 + (t.ptr[i] - '0');
    }
    *ret_value = value;
    return true;
}

bool moment_of(int year, int month, int day, int hour, int minute, int second, int micros, instant *ret_at) {
    if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60 || micros < 0 || micros > 999999)
        return false;
    struct tm civil = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    time_t midnight = timegm(&civil);
    if (civil.tm_mon != month - 1) /* it made 2 March of 30 February */
        return false;
    *ret_at = ((instant)midnight + hour * 3600 + minute * 60 + second) * INSTANT_SECOND + micros;
    return true;
}

static bool take_digits(text *t, size_t count, int *ret_value) {
    if (t->len < count || !parse_digits((text){t->ptr, count}, count, ret_value))
        return false;
    *t = (text){t->ptr + count, t->len - count};
    return true;
}

static bool take_sign(text *t, const char *one_of, char *ret_sign) {
    if (t->len == 0 || t->ptr[0] == '\0' || !strchr(one_of, t->ptr[0]))
        return false;
    *ret_sign = t->ptr[0];
    *t = (text){t->ptr + 1, t->len - 1};
    return true;
}

/* .123456: microseconds, what is finer is cut off. */
static bool take_fraction(text *t, int *ret_micros) {
    char point;
    int micros = 0, weight = 100000;
    size_t seen = 0;
    if (take_sign(t, ".,", &point)) {
        for (; t->len > 0 && is_digit(t->ptr[0]); t->ptr++, t->len--, seen++) {
            micros += (t->ptr[0] - '0') * weight;
            weight /= 10;
        }
        if (seen == 0)
            return false;
    }
    *ret_micros = micros;
    return true;
}

static bool take_zone(text *t, instant *ret_ahead) {
    char sign;
    int hours = 0, minutes = 0;
    if (t->len == 0 || take_sign(t, "Zz", &sign)) {
        *ret_ahead = 0;
        return true;
    }
    if (!take_sign(t, "+-", &sign) || !take_digits(t, 2, &hours))
        return false;
    char colon;
    (void)take_sign(t, ":", &colon);
    if (t->len > 0 && !take_digits(t, 2, &minutes))
        return false;
    if (hours > 14 || minutes > 59)
        return false;
    *ret_ahead = (sign == '-' ? -1 : 1) * (instant)(hours * 3600 + minutes * 60) * INSTANT_SECOND;
    return true;
}

bool parse_moment(text t, instant *ret_at) {
    int year, month, day, hour, minute, second, micros;
    char between;
    instant local, ahead;
    if (!take_digits(&t, 4, &year) || !take_sign(&t, "-", &between) || !take_digits(&t, 2, &month) ||
        !take_sign(&t, "-", &between) || !take_digits(&t, 2, &day) || !take_sign(&t, "Tt ", &between) ||
        !take_digits(&t, 2, &hour) || !take_sign(&t, ":", &between) || !take_digits(&t, 2, &minute) ||
        !take_sign(&t, ":", &between) || !take_digits(&t, 2, &second) || !take_fraction(&t, &micros) ||
        !take_zone(&t, &ahead) || t.len > 0)
        return false;
    if (!moment_of(year, month, day, hour, minute, second, micros, &local) || local < ahead)
        return false;
    *ret_at = local - ahead;
    return true;
}

bool text_is_word(text t, const char *word) {
    size_t len = strlen(word);
    if (t.len != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (tolower((unsigned char)t.ptr[i]) != tolower((unsigned char)word[i]))
            return false;
    return true;
}

void sense_put(reading *r, vital which, double value) {
    if (!(value >= ranges[which].min && value <= ranges[which].max))
        return;
    if (value <= 0 && ranges[which].zero_is_none)
        return;
    reading_put(r, which, value);
}

void sense_put_rr(reading *r, double ms) {
    if (!(ms > 0 && ms <= 65000))
        return;
    if (r->rr_count == READING_RR_MAX) {
        memmove(r->rr_ms, r->rr_ms + 1, (READING_RR_MAX - 1) * sizeof r->rr_ms[0]);
        r->rr_count--;
    }
    r->rr_ms[r->rr_count++] = ms;
}

static double within(double value, double min, double max) {
    return value >= min && value <= max ? value : NAN;
}

bool sense_tidy(fix *f) {
    if (!(f->lat >= -90 && f->lat <= 90 && f->lon >= -180 && f->lon <= 180))
        return false;
    f->accuracy = within(f->accuracy, 0, 1000000);
    f->altitude = within(f->altitude, -12000, 100000);
    f->speed = within(f->speed, 0, 350);
    f->heading = within(f->heading, 0, 360);
    if (f->heading >= 360)
        f->heading = 0;
    return true;
}
