/* schedule.c - see schedule.h. */
#include "place/schedule.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EVERY_DAY 127u
#define DAY_S     86400

static const char *const day_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static int refuse(char why[SCHEDULE_WHY_MAX], const char *what) {
    (void)snprintf(why, SCHEDULE_WHY_MAX, "%s", what);
    return -EBADMSG;
}

static unsigned day_bit(text name) {
    for (size_t i = 0; i < ARRAY_LEN(day_names); i++)
        if (text_equal(name, text_of(day_names[i])))
            return 1u << i;
    return 0;
}

static int read_days(const json *in, unsigned *ret_days, char why[SCHEDULE_WHY_MAX]) {
    const json *days;
    unsigned bits = 0;
    *ret_days = EVERY_DAY;
    if (!json_member(in, "days", &days))
        return 0;
    if (json_kind_of(days) != JSON_ARRAY || json_length(days) == 0 || json_length(days) > 7)
        return refuse(why, "schedule.days: must be a list of \"mon\" to \"sun\"");
    for (size_t i = 0; i < json_length(days); i++) {
        unsigned bit = day_bit(json_string(json_at(days, i)));
        if (!bit)
            return refuse(why, "schedule.days: must be a list of \"mon\" to \"sun\"");
        bits |= bit;
    }
    *ret_days = bits;
    return 0;
}

static int read_time(const json *in, const char *name, int *ret_minutes, char why[SCHEDULE_WHY_MAX]) {
    const json *value;
    int64_t hours, minutes;
    *ret_minutes = 0;
    if (!json_member(in, name, &value))
        return 0;
    text t = json_string(value);
    if (t.len != 5 || t.ptr[2] != ':' || text_to_i64((text){t.ptr, 2}, 0, 23, &hours) < 0 ||
        text_to_i64((text){t.ptr + 3, 2}, 0, 59, &minutes) < 0) {
        (void)snprintf(why, SCHEDULE_WHY_MAX, "schedule.%s: must be a time of the day: \"22:00\"", name);
        return -EBADMSG;
    }
    *ret_minutes = (int)(hours * 60 + minutes);
    return 0;
}

static int read_zone(const json *in, tz **ret_zone, char why[SCHEDULE_WHY_MAX]) {
    const json *value;
    *ret_zone = NULL;
    if (!json_member(in, "timezone", &value))
        return 0;
    int fault = tz_named(json_string(value), ret_zone);
    if (fault == -ENOENT)
        return refuse(why, "schedule.timezone: there is no such time zone on this machine");
    return fault == -EBADMSG ? refuse(why, "schedule.timezone: its file cannot be read") : fault;
}

static int see_member(void *context, const char *name, const json *value) {
    char *why = context;
    (void)value;
    static const char *const known[] = {"timezone", "days", "from", "to"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(name, known[i]) == 0)
            return 0;
    (void)snprintf(why, SCHEDULE_WHY_MAX, "schedule: there is no '%.40s' here", name);
    return -EBADMSG;
}

int schedule_read(const json *from, schedule *ret_schedule, char ret_why[SCHEDULE_WHY_MAX]) {
    schedule s = {0};
    if (json_kind_of(from) != JSON_OBJECT)
        return refuse(ret_why, "schedule: must be an object");
    int fault = json_each(from, see_member, ret_why);
    if (fault == 0)
        fault = read_days(from, &s.days, ret_why);
    if (fault == 0)
        fault = read_time(from, "from", &s.from, ret_why);
    if (fault == 0)
        fault = read_time(from, "to", &s.until, ret_why);
    if (fault == 0)
        fault = read_zone(from, &s.zone, ret_why);
    if (fault == 0)
        *ret_schedule = s;
    return fault;
}

void schedule_release(schedule *s) {
    s->zone = tz_free(s->zone);
    s->days = 0;
}

bool schedule_on(const schedule *s, instant at) {
    if (s->days == 0)
        return true;
    int64_t local = at / INSTANT_SECOND + tz_offset(s->zone, at);
    int64_t day = local / DAY_S, minute = local % DAY_S / 60;
    unsigned today = 1u << (day + 3) % 7, yesterday = 1u << (day + 2) % 7; /* 1970-01-01: a Thursday */
    if (s->from < s->until)
        return (s->days & today) && minute >= s->from && minute < s->until;
    return ((s->days & today) && minute >= s->from) || ((s->days & yesterday) && minute < s->until);
}
