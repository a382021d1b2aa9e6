/* instant.c - see instant.h. Calendar arithmetic after Howard Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms": days_from_civil and civil_from_days, for the years we accept. */
#include "base/instant.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static int digits(const char *p, int count) {
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        value = value * 10 + (p[i] - '0');
    }
    return value;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

int instant_parse(text t, instant *ret_at) {
    const char *p = t.ptr;
    if (t.len != INSTANT_TEXT_LEN || p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' ||
        p[16] != ':' || p[19] != '.' || p[23] != 'Z')
        return -EINVAL;
    int year = digits(p, 4), month = digits(p + 5, 2), day = digits(p + 8, 2);
    int hour = digits(p + 11, 2), minute = digits(p + 14, 2), second = digits(p + 17, 2),
        milli = digits(p + 20, 3);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return -EINVAL;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || milli < 0)
        return -EINVAL;
    int64_t seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    *ret_at = seconds * INSTANT_SECOND + milli * INT64_C(1000);
    return 0;
}

void instant_format(instant at, char ret_text[INSTANT_TEXT_LEN + 1]) {
    int64_t ms = at / 1000;
    if (at < 0 || ms >= INT64_C(253402300800000)) /* outside 1970..9999: say the nearest we can write */
        ms = at < 0 ? 0 : INT64_C(253402300799999);
    time_t seconds = (time_t)(ms / 1000);
    struct tm broken;
    (void)gmtime_r(&seconds, &broken);
    char whole[64];
    (void)snprintf(whole, sizeof whole, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", broken.tm_year + 1900,
                   broken.tm_mon + 1, broken.tm_mday, broken.tm_hour, broken.tm_min, broken.tm_sec,
                   (int)(ms % 1000));
    (void)snprintf(ret_text, INSTANT_TEXT_LEN + 1, "%.24s", whole);
}

instant instant_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (instant)now.tv_sec * INSTANT_SECOND + now.tv_nsec / 1000;
}
