/* decode.c - what it costs to make a reading or a fix of what a sensor sends: Bluetooth characteristics
 * (heart rate with intervals, a pulse oximeter), one second of NMEA 0183 (RMC and GGA), a wearable's JSON.
 * The values change from sample to sample. The reference is the least that could be done with the same bytes,
 * believing all of them: the value's bytes alone, sscanf() for NMEA, json-c without looking for anything for
 * JSON.
 *
 * Usage: decode SAMPLES. One line of JSON on stdout: nanoseconds of processor time a sample. */
#include "gateway/sensors/sensor_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VARIANTS     64
#define LINE_MAX_LEN 160
#define BLOCK        1000

static void die(const char *what) {
    fprintf(stderr, "decode: %s\n", what);
    exit(EXIT_FAILURE);
}

static double cpu_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ---- Bluetooth ---- */

typedef struct notified {
    unsigned char hr[16], plx[8];
    size_t hr_len, plx_len;
} notified;

static void notify(notified *to, unsigned i) {
    unsigned rr = 700 + i;
    *to = (notified){{0x16, (unsigned char)(60 + i), (unsigned char)rr, (unsigned char)(rr >> 8)}, {0}, 4, 5};
    to->plx[1] = (unsigned char)(90 + i % 10);
    to->plx[3] = (unsigned char)(60 + i);
}

static double time_gatt(long samples, unsigned uuid, const notified *all, double *ret_sum) {
    const gatt_characteristic *c = gatt_by_uuid(uuid);
    sensed got;
    if (!c)
        die("the characteristic is not known");
    double begun = cpu_ns();
    for (long k = 0; k < samples; k++) {
        const notified *n = &all[k % VARIANTS];
        bool heart = uuid == 0x2A37;
        if (c->decode(heart ? n->hr : n->plx, heart ? n->hr_len : n->plx_len, 1, &got) != SENSE_GOOD)
            die("a good characteristic is refused");
        *ret_sum += got.reading.value[VITAL_HR];
    }
    return (cpu_ns() - begun) / (double)samples;
}

static double time_bytes(long samples, const notified *all, double *ret_sum) {
    double begun = cpu_ns();
    for (long k = 0; k < samples; k++) {
        const volatile unsigned char *hr = all[k % VARIANTS].hr;
        *ret_sum += hr[1];
    }
    return (cpu_ns() - begun) / (double)samples;
}

/* ---- NMEA ---- */

typedef struct epoch {
    char rmc[LINE_MAX_LEN], gga[LINE_MAX_LEN];
} epoch;

static void spell(char line[LINE_MAX_LEN], const char *body) {
    unsigned sum = 0;
    for (const char *c = body; *c; c++)
        sum ^= (unsigned char)*c;
    (void)snprintf(line, LINE_MAX_LEN, "$%.140s*%02X\r\n", body, sum);
}

static void receive(epoch *to, long second) {
    char body[LINE_MAX_LEN];
    long s = second % 60, m = second / 60 % 60, h = second / 3600 % 24;
    (void)snprintf(body, sizeof body,
                   "GPRMC,%02ld%02ld%02ld.00,A,4700.%04ld,N,00800.%04ld,E,2.1,084.4,211126,,,A", h, m, s,
                   1000 + s, 2000 + s);
    spell(to->rmc, body);
    (void)snprintf(body, sizeof body,
                   "GPGGA,%02ld%02ld%02ld.00,4700.%04ld,N,00800.%04ld,E,1,08,0.9,545.4,M,46.9,M,,", h, m, s,
                   1000 + s, 2000 + s);
    spell(to->gga, body);
}

/* Made before they are timed, some at a time: asking for the time costs as much as a line. */
static epoch epochs[BLOCK];

static long receive_some(long from, long samples) {
    long count = samples - from < BLOCK ? samples - from : BLOCK;
    for (long i = 0; i < count; i++)
        receive(&epochs[i], from + i);
    return count;
}

static double time_nmea(long samples, double *ret_sum) {
    CLEANUP(nmea_freep) nmea *n = NULL;
    fix got;
    double took = 0;
    long fixes = 0;
    if (nmea_new(&n) < 0)
        die("out of memory");
    for (long k = 0; k < samples; k += BLOCK) {
        long count = receive_some(k, samples);
        double begun = cpu_ns();
        for (long i = 0; i < count; i++) {
            bool first = nmea_line(n, text_of(epochs[i].rmc), false, 0, &got) == SENSE_GOOD;
            bool second = nmea_line(n, text_of(epochs[i].gga), false, 0, &got) == SENSE_GOOD;
            fixes += first + second;
            *ret_sum += first || second ? got.lat : 0;
        }
        took += cpu_ns() - begun;
    }
    if (fixes < samples - 1)
        die("some seconds gave no fix");
    return took / (double)samples;
}

static double time_sscanf(long samples, double *ret_sum) {
    double took = 0, at, lat, lon, knots, course, above, worst;
    char valid, ns, ew;
    unsigned date, quality, used;
    for (long k = 0; k < samples; k += BLOCK) {
        long count = receive_some(k, samples);
        double begun = cpu_ns();
        for (long i = 0; i < count; i++) {
            int found = sscanf(epochs[i].rmc, "$GPRMC,%lf,%c,%lf,%c,%lf,%c,%lf,%lf,%u", &at, &valid, &lat,
                               &ns, &lon, &ew, &knots, &course, &date);
            found += sscanf(epochs[i].gga, "$GPGGA,%lf,%lf,%c,%lf,%c,%u,%u,%lf,%lf", &at, &lat, &ns, &lon,
                            &ew, &quality, &used, &worst, &above);
            if (found != 18)
                die("sscanf finds something else");
            *ret_sum += lat;
        }
        took += cpu_ns() - begun;
    }
    return took / (double)samples;
}

/* ---- JSON ---- */

static void publish(char line[LINE_MAX_LEN], unsigned i) {
    (void)snprintf(
        line, LINE_MAX_LEN,
        "{\"hr\":%u,\"spo2\":%u,\"temp\":36.%u,\"battery\":%u,\"lat\":47.%04u,\"lon\":8.%04u,\"accuracy\":6}",
        60 + i, 90 + i % 10, i % 10, 20 + i, 1000 + i, 2000 + i);
}

static double time_json(long samples, char lines[VARIANTS][LINE_MAX_LEN], bool mapped, double *ret_sum) {
    CLEANUP(json_map_freep) json_map *m = NULL;
    if (json_map_new(NULL, &m) < 0)
        die("out of memory");
    double begun = cpu_ns();
    for (long k = 0; k < samples; k++) {
        CLEANUP(json_freep) json *tree = NULL;
        text line = text_of(lines[k % VARIANTS]);
        json_found found = {0};
        if (mapped ? json_map_read(m, line, &tree, &found) != SENSE_GOOD
                   : json_parse_once(line, &tree) != JSON_OK)
            die("good JSON is refused");
        *ret_sum += mapped ? found.body.reading.value[VITAL_HR] : (double)json_length(tree);
    }
    return (cpu_ns() - begun) / (double)samples;
}

int main(int argc, char **argv) {
    long samples = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    static notified all[VARIANTS];
    static char lines[VARIANTS][LINE_MAX_LEN];
    double sum = 0;
    if (samples < 2) {
        fputs("usage: decode SAMPLES\n", stderr);
        return EXIT_FAILURE;
    }
    for (unsigned i = 0; i < VARIANTS; i++) {
        notify(&all[i], i);
        publish(lines[i], i);
    }
    double bytes = time_bytes(samples, all, &sum), hr = time_gatt(samples, 0x2A37, all, &sum),
           plx = time_gatt(samples, 0x2A5F, all, &sum), plain_nmea = time_sscanf(samples, &sum),
           seconds = time_nmea(samples, &sum), plain_json = time_json(samples, lines, false, &sum),
           wearable = time_json(samples, lines, true, &sum);
    printf("{\"bytes_ns\":%.2f,\"hr_ns\":%.1f,\"plx_ns\":%.1f,\"sscanf_ns\":%.1f,\"nmea_ns\":%.1f,\"parse_"
           "ns\":%.1f,\"wearable_ns\":%.1f,"
           "\"sum\":%.0f}\n",
           bytes, hr, plx, plain_nmea, seconds, plain_json, wearable, sum);
    return EXIT_SUCCESS;
}
