/* show.c - see edge/show.h. */
#include "gateway/edge/show.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "gateway/http/exposition.h"

/* ---- counters of a sensor: one table for both ---- */

static const struct {
    const char *name, *metric, *help;
    size_t at;
} counters[] = {
    {"heard", "mayday_gateway_sensor_heard_total", "Readings and positions that a sensor said.",
     offsetof(sensor_report, heard)},
    {"published", "mayday_gateway_sensor_published_total", "Of them sent up, after merging and in calm.",
     offsetof(sensor_report, published)},
    {"flooded", "mayday_gateway_sensor_flooded_total", "Dropped, because a sensor said too many at once.",
     offsetof(sensor_report, flooded)},
    {"impossible", "mayday_gateway_sensor_impossible_total", "Dropped, because it cannot be so.",
     offsetof(sensor_report, impossible)},
    {"cleared", "mayday_gateway_sensor_cleared_total", "Kept without values that cannot be.",
     offsetof(sensor_report, cleared)},
    {"retimed", "mayday_gateway_sensor_retimed_total", "Given our time, because the sensor's clock is wrong.",
     offsetof(sensor_report, retimed)},
    {"stuck", "mayday_gateway_sensor_stuck_total", "Not believed, because it stands still.",
     offsetof(sensor_report, stuck)},
    {"malformed", "mayday_gateway_sensor_malformed_total", "Bytes that were no reading.",
     offsetof(sensor_report, malformed)},
    {"refused", "mayday_gateway_sensor_refused_total",
     "Readings that said themselves that they are not to be believed, or whose nobody is.",
     offsetof(sensor_report, refused)},
};

static uint64_t counter(const sensor_report *r, size_t i) {
    return *(const uint64_t *)((const char *)r + counters[i].at);
}

/* ---- health ---- */

static const char *word_for(const sensor_report *r) {
    return r->silent ? "silent" : sensor_state_name(r->state);
}

static int put_number(json *to, const char *name, double value) {
    return isnan(value) ? 0 : json_put(to, name, json_new_number(value));
}

static json *sensor_of(const sensor_report *r) {
    json *one = json_new_object();
    int fault = one ? json_put(one, "kind", json_new_string(text_of(r->kind))) : -ENOMEM;
    if (fault == 0)
        fault = json_put(one, "state", json_new_string(text_of(word_for(r))));
    if (fault == 0 && *r->why)
        fault = json_put(one, "why", json_new_string(text_of(r->why)));
    if (fault == 0)
        fault = put_number(one, "silent_seconds", r->silent_s);
    if (fault == 0)
        fault = put_number(one, "battery", r->battery);
    if (fault == 0 && r->contact != CONTACT_UNKNOWN)
        fault = json_put(one, "contact", json_new_bool(r->contact == CONTACT_GOOD));
    for (size_t i = 0; fault == 0 && i < ARRAY_LEN(counters); i++)
        if (i < 2 || counter(r, i))
            fault = json_put(one, counters[i].name, json_new_integer((int64_t)counter(r, i)));
    return fault == 0 ? one : json_free(one);
}

static json *sensors_of(edge *e) {
    size_t count;
    CLEANUP(freep) sensor_report *all = edge_reports(e, &count);
    json *list = json_new_object();
    int fault = list ? 0 : -ENOMEM;
    for (size_t i = 0; fault == 0 && i < count; i++)
        fault = json_put(list, all[i].name, sensor_of(&all[i]));
    return fault == 0 ? list : json_free(list);
}

static json *backlog_of(const edge_figures *f) {
    char oldest[INSTANT_TEXT_LEN + 1];
    json *one = json_new_object();
    instant_format(f->backlog.oldest, oldest);
    int fault = one ? json_put(one, "waiting", json_new_integer((int64_t)f->backlog.disk)) : -ENOMEM;
    if (fault == 0)
        fault = json_put(one, "memory", json_new_integer((int64_t)f->backlog.memory));
    if (fault == 0)
        fault = json_put(one, "bytes", json_new_integer((int64_t)f->backlog.bytes));
    if (fault == 0)
        fault = json_put(one, "thinned", json_new_integer((int64_t)f->backlog.thinned));
    if (fault == 0)
        fault = json_put(one, "disk_full", json_new_bool(f->backlog.full));
    if (fault == 0 && f->backlog.oldest && f->backlog.disk)
        fault = json_put(one, "oldest", json_new_string(text_of(oldest)));
    return fault == 0 ? one : json_free(one);
}

int edge_show_health(edge *e, json *body) {
    edge_figures f;
    if (!e)
        return 0;
    edge_look(e, &f);
    int fault = json_put(body, "sensors", sensors_of(e));
    if (fault == 0)
        fault = json_put(body, "backlog", backlog_of(&f));
    if (fault == 0 && *f.trouble)
        fault = json_put(body, "sensors_why", json_new_string(text_of(f.trouble)));
    return fault;
}

/* ---- metrics ---- */

static void print_sensors(const sensor_report *all, size_t count, buf *to) {
    const char *const up = "mayday_gateway_sensor_up", *const silent = "mayday_gateway_sensor_silent_seconds";
    const char *const battery = "mayday_gateway_sensor_battery_percent";
    exposition_head(to, up, "gauge", "Whether a sensor is connected, and speaks.");
    for (size_t i = 0; i < count; i++)
        exposition_sample(to, up, "sensor", all[i].name, all[i].state == SENSOR_OPEN && !all[i].silent);
    exposition_head(to, silent, "gauge", "Since when a sensor has not spoken.");
    for (size_t i = 0; i < count; i++)
        if (!isnan(all[i].silent_s))
            exposition_sample(to, silent, "sensor", all[i].name, all[i].silent_s);
    exposition_head(to, battery, "gauge", "Its charge, as last said.");
    for (size_t i = 0; i < count; i++)
        if (!isnan(all[i].battery))
            exposition_sample(to, battery, "sensor", all[i].name, all[i].battery);
    for (size_t c = 0; c < ARRAY_LEN(counters); c++) {
        exposition_head(to, counters[c].metric, "counter", counters[c].help);
        for (size_t i = 0; i < count; i++)
            exposition_sample(to, counters[c].metric, "sensor", all[i].name, (double)counter(&all[i], c));
    }
}

static void print_backlog(const edge_figures *f, buf *to) {
    exposition_one(to, "mayday_gateway_sensors_sent_total", "counter", "Published live.", (double)f->sent);
    exposition_one(to, "mayday_gateway_sensors_sent_late_total", "counter", "Published out of the backlog.",
                   (double)f->sent_late);
    exposition_one(to, "mayday_gateway_sensors_refused_total", "counter", "Refused by the broker.",
                   (double)f->refused);
    exposition_one(to, "mayday_gateway_sensors_unanswered_total", "counter",
                   "Not confirmed by the broker; they are sent again.", (double)f->unanswered);
    exposition_one(to, "mayday_gateway_sensors_unheard_total", "counter",
                   "Of wearables over MQTT, dropped because they came faster than they could be read.",
                   (double)f->unheard);
    exposition_one(to, "mayday_gateway_backlog_samples", "gauge", "What waits on disk for the broker.",
                   (double)f->backlog.disk);
    exposition_one(to, "mayday_gateway_backlog_memory_samples", "gauge", "What waits in memory.",
                   (double)f->backlog.memory);
    exposition_one(to, "mayday_gateway_backlog_bytes", "gauge", "Room it takes on disk.",
                   (double)f->backlog.bytes);
    exposition_one(to, "mayday_gateway_backlog_thinned_total", "counter",
                   "Dropped, because there was no room: every second of the oldest.",
                   (double)f->backlog.thinned);
    exposition_one(to, "mayday_gateway_backlog_given_up_total", "counter",
                   "Dropped, because the broker refused it again and again.", (double)f->backlog.given_up);
    exposition_one(to, "mayday_gateway_backlog_disk_full", "gauge", "Whether the disk takes nothing.",
                   f->backlog.full);
    exposition_one(to, "mayday_gateway_clock_correction_seconds", "gauge",
                   "How far the machine's clock is off, by a receiver's word.",
                   (double)f->clock_correction / (double)INSTANT_SECOND);
}

void edge_show_metrics(edge *e, buf *to) {
    edge_figures f;
    size_t count;
    if (!e)
        return;
    CLEANUP(freep) sensor_report *all = edge_reports(e, &count);
    edge_look(e, &f);
    print_sensors(all, count, to);
    print_backlog(&f, to);
}
