/* gpsd.c - positions from gpsd (https://gpsd.gitlab.io/): libgps reads what it says; the connection is our
 * own, because libgps's waits.
 *
 * A daemon that is not there, or goes, is asked again every second or two. A receiver that has gone is seen
 * by its silence. The only file that knows libgps. */
#include <arpa/inet.h>
#include <errno.h>
#include <gps.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#undef SENSE_INVALID /* of libgps, for magnetic compasses */
#include "gateway/sensors/sensor.h"

extern const sensor_kind sensor_kind_gpsd;

#define PORT      2947
#define AGAIN_US  UINT64_C(1500000)
#define LINE_MOST 16384
#define READS     4 /* before others have their turn */

typedef struct gpsd {
    sensor *s;
    sd_event *loop;
    struct sockaddr_storage at;
    socklen_t at_len;
    char where[128], device[256]; /* device "": any */
    int fd;
    bool connected, skipping;
    sd_event_source *input, *again;
    size_t len;
    char line[LINE_MOST + 1];
    struct gps_data_t data; /* large: it has room for all that gpsd may say */
} gpsd;

/* ---- what it says ---- */

static double known(bool is, double value) {
    return is && isfinite(value) ? value : NAN;
}

static fix fix_of(const struct gps_data_t *d) {
    const struct gps_fix_t *f = &d->fix;
    bool dated = (d->set & TIME_SET) && f->time.tv_sec > 0;
    instant at = dated ? (instant)f->time.tv_sec * INSTANT_SECOND + f->time.tv_nsec / 1000 : 0;
    fix one = fix_at(at, f->latitude, f->longitude);
    double aside = known(f->epx > 0, f->epx), up = known(f->epy > 0, f->epy);
    one.accuracy = known(f->eph > 0, f->eph);
    if (isnan(one.accuracy))
        one.accuracy = hypot(aside, up);
    one.altitude = known(f->mode >= MODE_3D, f->altHAE);
    one.speed = known((d->set & SPEED_SET) != 0, f->speed);
    one.heading = known((d->set & TRACK_SET) != 0, f->track);
    if (one.heading >= 360)
        one.heading -= 360;
    return one;
}

/* Each report stands by itself: what the one before it said is forgotten first. */
static bool read_report(gpsd *g) {
    g->data.set = 0;
    gps_clear_fix(&g->data.fix);
    g->data.dev.path[0] = '\0';
    return gps_unpack(g->line, &g->data) >= 0;
}

static void take_line(gpsd *g) {
    sensed one = {.kind = SENSED_FIX};
    g->line[g->len] = '\0';
    if (strncmp(g->line, "{\"class\":\"TPV\"", 14) != 0) /* satellites, devices, versions */
        return;
    if (!read_report(g)) {
        sensor_refused(g->s, SENSE_MALFORMED);
        return;
    }
    if (*g->device && strcmp(g->data.dev.path, g->device) != 0)
        return;
    if (g->data.fix.status == STATUS_SIM) {
        sensor_refused(g->s, SENSE_INVALID);
        return;
    }
    if (g->data.fix.mode < MODE_2D || !(g->data.set & LATLON_SET)) {
        sensor_says(g->s, SENSOR_OPEN, "it does not know where it is yet");
        return;
    }
    one.fix = fix_of(&g->data);
    if (one.fix.at)
        sensor_knows_time(g->s, one.fix.at);
    sensor_says(g->s, SENSOR_OPEN, "");
    sensor_sensed(g->s, &one);
}

static void take(gpsd *g, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n') {
            if (!g->skipping && g->len)
                take_line(g);
            g->skipping = false;
            g->len = 0;
        } else if (g->len == LINE_MOST) {
            if (!g->skipping)
                sensor_refused(g->s, SENSE_MALFORMED);
            g->skipping = true;
        } else if (bytes[i] != '\r') {
            g->line[g->len++] = bytes[i];
        }
    }
}

/* ---- the connection ---- */

static void leave(gpsd *g, const char *why) {
    char sentence[SENSOR_WHY_MAX];
    g->input = sd_event_source_disable_unref(g->input);
    if (g->fd >= 0)
        (void)close(g->fd);
    g->fd = -1;
    g->connected = g->skipping = false;
    g->len = 0;
    (void)snprintf(sentence, sizeof sentence, "gpsd at %s: %s", g->where, why);
    sensor_says(g->s, SENSOR_SEEKING, sentence);
    (void)sd_event_source_set_time_relative(g->again, AGAIN_US);
    (void)sd_event_source_set_enabled(g->again, SD_EVENT_ONESHOT);
}

/* The device's path is checked by the schema; the quotes JSON would mind are not in it. */
static bool greet(gpsd *g) {
    char watch[384];
    int len = *g->device ? snprintf(watch, sizeof watch,
                                    "?WATCH={\"enable\":true,\"json\":true,\"device\":\"%s\"};\n", g->device)
                         : snprintf(watch, sizeof watch, "?WATCH={\"enable\":true,\"json\":true};\n");
    return send(g->fd, watch, (size_t)len, MSG_NOSIGNAL) == len;
}

static void connected(gpsd *g) {
    int fault = 0;
    socklen_t len = sizeof fault;
    if (getsockopt(g->fd, SOL_SOCKET, SO_ERROR, &fault, &len) < 0 || fault) {
        leave(g, strerror(fault ? fault : errno));
        return;
    }
    g->connected = true;
    if (!greet(g) || sd_event_source_set_io_events(g->input, EPOLLIN) < 0)
        leave(g, "it takes no request");
    else
        sensor_says(g->s, SENSOR_OPEN, "it does not know where it is yet");
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *state) {
    gpsd *g = state;
    char bytes[4096];
    (void)source;
    (void)revents;
    if (!g->connected) {
        connected(g);
        return 0;
    }
    for (int i = 0; i < READS; i++) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (got <= 0) {
            leave(g, got < 0 ? strerror(errno) : "it has gone");
            return 0;
        }
        take(g, bytes, (size_t)got);
    }
    return 0;
}

/* We say nothing once connected: a machine that has gone without a word would be listened to for ever. */
static void watch_peer(int fd) {
    static const struct {
        int level, option, value;
    } wanted[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                  {IPPROTO_TCP, TCP_KEEPIDLE, 15},
                  {IPPROTO_TCP, TCP_KEEPINTVL, 5},
                  {IPPROTO_TCP, TCP_KEEPCNT, 3},
                  {IPPROTO_TCP, TCP_USER_TIMEOUT, 30000}}; /* of connecting, too */
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        (void)setsockopt(fd, wanted[i].level, wanted[i].option, &wanted[i].value, sizeof wanted[i].value);
}

static void seek(gpsd *g) {
    g->fd = socket(g->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int fault = g->fd < 0 ? -errno : 0;
    if (fault == 0)
        watch_peer(g->fd);
    if (fault == 0 && connect(g->fd, (const struct sockaddr *)&g->at, g->at_len) < 0 && errno != EINPROGRESS)
        fault = -errno;
    if (fault == 0)
        fault = sd_event_add_io(g->loop, &g->input, g->fd, EPOLLOUT, on_input, g);
    if (fault < 0)
        leave(g, strerror(-fault));
}

static int on_again(sd_event_source *source, uint64_t usec, void *state) {
    (void)source;
    (void)usec;
    seek(state);
    return 0;
}

/* ---- its life ---- */

static void close_gpsd(void *state) {
    gpsd *g = state;
    if (!g)
        return;
    (void)sd_event_source_disable_unref(g->input);
    (void)sd_event_source_disable_unref(g->again);
    if (g->fd >= 0)
        (void)close(g->fd);
    free(g);
}

/* An address, not a name: looking names up waits. */
static bool take_address(gpsd *g, const json *options) {
    const json *port = json_get(options, "port");
    text host = json_get_string(options, "host");
    char name[96] = "127.0.0.1";
    uint16_t number = (uint16_t)(port ? json_integer(port) : PORT);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&g->at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&g->at;
    if (host.ptr)
        (void)snprintf(name, sizeof name, "%.*s", (int)host.len, host.ptr);
    (void)snprintf(g->where, sizeof g->where, "%s port %u", name, number);
    if (inet_pton(AF_INET, name, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(number);
        g->at_len = sizeof *v4;
    } else if (inet_pton(AF_INET6, name, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(number);
        g->at_len = sizeof *v6;
    }
    return g->at_len > 0;
}

static int open_gpsd(sensor *s, sd_event *loop, const json *options, void **ret_state,
                     char ret_why[SENSOR_WHY_MAX]) {
    text device = json_get_string(options, "device");
    if (!sensor_person(s).len) {
        (void)snprintf(ret_why, SENSOR_WHY_MAX, "gpsd does not say whose position it is: it needs 'person'");
        return -EINVAL;
    }
    gpsd *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    g->s = s;
    g->loop = loop;
    g->fd = -1;
    if (device.ptr)
        (void)snprintf(g->device, sizeof g->device, "%.*s", (int)device.len, device.ptr);
    int fault = take_address(g, options) ? 0 : -EINVAL;
    if (fault < 0)
        (void)snprintf(ret_why, SENSOR_WHY_MAX, "'host' is no address");
    else
        fault = sd_event_add_time_relative(loop, &g->again, CLOCK_MONOTONIC, 0, AGAIN_US / 10, on_again, g);
    if (fault < 0) {
        close_gpsd(g);
        return fault;
    }
    *ret_state = g;
    return 0;
}

const sensor_kind sensor_kind_gpsd = {
    .name = "gpsd",
    .measures = "positions, of any receiver that gpsd knows",
    .open = open_gpsd,
    .close = close_gpsd,
};
