/* edge.h - the gateway at the edge: reads the sensors it is configured with, and sends up what they say.
 *
 *   sensor (sensors/<kind>.c) -> guard (what can be believed) -> pace (how much of it)
 *     -> intake: to the service that watches bodies, at once, whatever is away
 *     -> backlog -> uplink -> broker, as user/<person>/vitals and user/<person>/location
 *
 * Needs neither database nor broker. Threads: "mg-edge" runs the loop all sensors are on and never waits;
 * "mg-uplink" publishes, and waits for the broker; "mg-backlog" writes to disk. The functions here are for
 * main(); those that look, for any thread. */
#ifndef MAYDAY_GATEWAY_EDGE_EDGE_H
#define MAYDAY_GATEWAY_EDGE_EDGE_H

#include "core/settings.h"
#include "gateway/edge/backlog.h"
#include "gateway/bus/bus.h"
#include "gateway/edge/intake.h"
#include "gateway/sensors/sensor.h"

#define EDGE_WHY_MAX 768

typedef struct edge edge;

typedef struct edge_options {
    const settings *settings; /* all borrowed for the edge's life */
    const char *gateway;
    bus *bus;
    intake *intake;
} edge_options;

/* Starts it when there is something for it to do: *ret_edge is NULL when no sensors.json is there and nobody
 * has said where. One that can't be used is told to the log, and a SIGHUP takes up the next. 0 or a negative
 * errno. */
NODISCARD int edge_start(const edge_options *options, edge **ret_edge);
void edge_reload(edge *e); /* reads the configuration again; sensors that are as before go on; takes NULL */

/* Ends its threads: before bus_close(), after bus_give_up(). 0, or -ETIMEDOUT: then nothing may be freed.
 * Takes NULL. */
NODISCARD int edge_end(edge *e, int ms);
edge *edge_free(edge *e); /* after edge_end() and bus_close(); takes NULL, returns NULL */

bool edge_moves(edge *e, const char **ret_name); /* true for NULL */

/* ---- looking ---- */

typedef struct sensor_report {
    char name[65], kind[33], why[SENSOR_WHY_MAX];
    sensor_state state;
    bool silent;          /* open, and not heard for too long */
    double silent_s;      /* since it was last heard; NAN: never */
    double battery;       /* percent, of whoever wears it; NAN */
    skin_contact contact; /* as last heard */
    uint64_t heard;       /* things sensed */
    uint64_t flooded, impossible, cleared, retimed, stuck, malformed, refused;
    uint64_t published, judged; /* readings and fixes */
} sensor_report;

/* As of a second ago at most. Returns an array to free(), and how many; NULL when there are none, or memory
 * is short. */
sensor_report *edge_reports(edge *e, size_t *ret_count);

typedef struct edge_figures {
    backlog_figures backlog;
    uint64_t sent, sent_late, refused, unanswered;
    uint64_t unheard;           /* came over MQTT, faster than it could be read */
    int64_t clock_correction;   /* microseconds; 0: the machine's clock is believed */
    char trouble[EDGE_WHY_MAX]; /* with the configuration; "" none */
} edge_figures;
void edge_look(edge *e, edge_figures *ret_figures);

const char *sensor_state_name(sensor_state s); /* "closed", "seeking", "open" */

#endif
