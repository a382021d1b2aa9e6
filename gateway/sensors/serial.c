/* serial.c - a sensor at a serial line or USB port: NMEA 0183, or one JSON object a line.
 *
 * A port that is not there, or goes, is looked for again every second: adapters are pulled out and plugged in
 * again. What is no line of ours is skipped to the next line's end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "gateway/sensors/sensor.h"
#include "gateway/sensors/sensor_json.h"

extern const sensor_kind sensor_kind_serial;

#define AGAIN_US  UINT64_C(1000000)
#define LINE_MOST 8192
#define READ_MOST 4096
#define READS     4 /* before others have their turn */

typedef struct serial {
    sensor *s;
    sd_event *loop;
    char *device;
    speed_t speed;
    int fd;
    sd_event_source *input, *again;
    nmea *nmea; /* NULL: JSON */
    json_map *map;
    bool lax, skipping; /* up to the next line's end */
    size_t len;
    char line[LINE_MOST];
} serial;

static const struct {
    int64_t baud;
    speed_t speed;
} speeds[] = {{1200, B1200},     {2400, B2400},     {4800, B4800},    {9600, B9600},
              {19200, B19200},   {38400, B38400},   {57600, B57600},  {115200, B115200},
              {230400, B230400}, {460800, B460800}, {921600, B921600}};

static speed_t speed_of(const json *options) {
    const json *baud = json_get(options, "baud");
    for (size_t i = 0; baud && i < ARRAY_LEN(speeds); i++)
        if (speeds[i].baud == json_integer(baud))
            return speeds[i].speed;
    return B9600;
}

/* ---- lines ---- */

static void take_nmea(serial *p, text line) {
    sensed one = {.kind = SENSED_FIX};
    sense_verdict verdict = nmea_line(p->nmea, line, p->lax, sensor_now(p->s), &one.fix);
    if (verdict != SENSE_GOOD) {
        sensor_refused(p->s, verdict);
        return;
    }
    if (nmea_knows_date(p->nmea)) /* else the day is ours */
        sensor_knows_time(p->s, one.fix.at);
    sensor_sensed(p->s, &one);
}

static void take_json(serial *p, text line) {
    CLEANUP(json_freep) json *tree = NULL;
    static json_found found; /* one thread runs all sensors */
    sense_verdict verdict = json_map_read(p->map, line, &tree, &found);
    text person = sensor_person(p->s);
    if (verdict != SENSE_GOOD) {
        sensor_refused(p->s, verdict);
        return;
    }
    if (!person.len)
        person = found.person;
    if (found.body.kind != SENSED_NOTHING)
        sensor_sensed_of(p->s, person, &found.body);
    if (found.place.kind != SENSED_NOTHING)
        sensor_sensed_of(p->s, person, &found.place);
}

static void take_line(serial *p) {
    text line = text_trim((text){p->line, p->len});
    if (line.len == 0)
        return;
    if (p->nmea)
        take_nmea(p, line);
    else
        take_json(p, line);
}

static void take(serial *p, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];
        if (c == '\n' || c == '\r') {
            if (!p->skipping)
                take_line(p);
            p->skipping = false;
            p->len = 0;
        } else if (p->len == LINE_MOST) {
            if (!p->skipping)
                sensor_refused(p->s, SENSE_MALFORMED);
            p->skipping = true;
        } else {
            p->line[p->len++] = c;
        }
    }
}

/* ---- the port ---- */

static int on_again(sd_event_source *source, uint64_t usec, void *state);

static void leave(serial *p, const char *why) {
    p->input = sd_event_source_disable_unref(p->input);
    if (p->fd >= 0)
        (void)close(p->fd);
    p->fd = -1;
    p->len = 0;
    p->skipping = false;
    sensor_says(p->s, SENSOR_SEEKING, why);
    (void)sd_event_source_set_time_relative(p->again, AGAIN_US);
    (void)sd_event_source_set_enabled(p->again, SD_EVENT_ONESHOT);
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *state) {
    serial *p = state;
    char bytes[READ_MOST];
    (void)source;
    for (int i = 0; i < READS; i++) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (got <= 0) { /* the adapter was pulled out */
            leave(p, got < 0 ? strerror(errno) : "it has gone");
            return 0;
        }
        take(p, bytes, (size_t)got);
    }
    if (revents & (EPOLLHUP | EPOLLERR) && !(revents & EPOLLIN))
        leave(p, "it has gone");
    return 0;
}

/* Eight bits as they come: no echo, no signals, no modem lines, nothing translated. */
static int set_line(int fd, speed_t speed) {
    struct termios t;
    if (tcgetattr(fd, &t) < 0)
        return -errno;
    cfmakeraw(&t);
    t.c_cflag |= CLOCAL | CREAD;
    t.c_cflag &= ~(tcflag_t)(CRTSCTS | CSTOPB | PARENB);
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    if (cfsetispeed(&t, speed) < 0 || cfsetospeed(&t, speed) < 0 || tcsetattr(fd, TCSANOW, &t) < 0)
        return -errno;
    (void)ioctl(fd, TIOCEXCL);   /* two readers would take each other's bytes */
    (void)tcflush(fd, TCIFLUSH); /* what lay there is of before */
    return 0;
}

static void seek(serial *p) {
    char why[SENSOR_WHY_MAX];
    p->fd = open(p->device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    int fault = p->fd < 0 ? -errno : set_line(p->fd, p->speed);
    if (fault == 0)
        fault = sd_event_add_io(p->loop, &p->input, p->fd, EPOLLIN, on_input, p);
    if (fault < 0) {
        (void)snprintf(why, sizeof why, "%.150s: %s", p->device,
                       fault == -ENOTTY ? "it is no serial line" : strerror(-fault));
        leave(p, why);
        return;
    }
    sensor_says(p->s, SENSOR_OPEN, "");
}

static int on_again(sd_event_source *source, uint64_t usec, void *state) {
    (void)source;
    (void)usec;
    seek(state);
    return 0;
}

/* ---- its life ---- */

static void close_serial(void *state) {
    serial *p = state;
    if (!p)
        return;
    (void)sd_event_source_disable_unref(p->input);
    (void)sd_event_source_disable_unref(p->again);
    if (p->fd >= 0)
        (void)close(p->fd);
    (void)nmea_free(p->nmea);
    (void)json_map_free(p->map);
    free(p->device);
    free(p);
}

static int open_serial(sensor *s, sd_event *loop, const json *options, void **ret_state,
                       char ret_why[SENSOR_WHY_MAX]) {
    const json *checksum = json_get(options, "checksum"), *fields = json_get(options, "fields");
    bool is_json = text_equal(json_get_string(options, "format"), TEXT("json"));
    if (!is_json && !sensor_person(s).len) {
        (void)snprintf(ret_why, SENSOR_WHY_MAX, "NMEA does not say whose position it is: it needs 'person'");
        return -EINVAL;
    }
    serial *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->s = s;
    p->loop = loop;
    p->fd = -1;
    p->lax = checksum && !json_boolean(checksum);
    p->speed = speed_of(options);
    p->device = text_copy(json_get_string(options, "device"));
    int fault = !p->device ? -ENOMEM : is_json ? json_map_new(fields, &p->map) : nmea_new(&p->nmea);
    if (fault == 0)
        fault = sd_event_add_time_relative(loop, &p->again, CLOCK_MONOTONIC, 0, AGAIN_US / 10, on_again, p);
    if (fault < 0) {
        close_serial(p);
        return fault;
    }
    *ret_state = p;
    return 0;
}

const sensor_kind sensor_kind_serial = {
    .name = "serial",
    .measures = "positions (NMEA 0183); or whatever it says as JSON",
    .open = open_serial,
    .close = close_serial,
};
