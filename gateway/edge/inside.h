/* inside.h - what the files of edge share; nobody else includes it. */
#ifndef MAYDAY_GATEWAY_EDGE_INSIDE_H
#define MAYDAY_GATEWAY_EDGE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/edge/edge.h"
#include "gateway/edge/clock.h"
#include "gateway/edge/guard.h"
#include "gateway/edge/pace.h"
#include "msg/sensor_file.h"

#define TRACKS_MAX 2000 /* people at one sensor */

/* One person at one sensor. */
typedef struct track {
    struct track *next;
    char person[INTAKE_PERSON_MAX + 1];
    guard_flow flow;
    guard guard;
    pace body, place;
    bool body_ours, place_ours;        /* what is held was timed by us */
    int64_t event_ms[EVENT_STILL + 1]; /* when each kind went up as an alarm; 0: never */
    double battery;
} track;

/* The edge's thread alone. */
struct sensor {
    struct sensor *next;
    edge *e;
    json *whole;
    char name[65], org[INTAKE_ORG_MAX + 1], person[INTAKE_PERSON_MAX + 1];
    sensor_manners manners;
    const sensor_kind *kind;
    void *state;       /* the kind's; NULL: it could not be opened */
    bool opened, kept; /* kept: while reloading */
    int64_t again_ms;  /* when to try to open it again; 0: it can never work */
    guard_flow newcomers;
    double haste;
    track *tracks; /* who spoke last is the first */
    size_t track_count;
    sensor_report report;
    int64_t heard_ms, complained_ms;
};

/* A filter of the bus: for ever, because the bus never forgets one. */
typedef struct edge_ear {
    struct edge_ear *next;
    edge *e;
    char org[INTAKE_ORG_MAX + 1];
    char *filter; /* as it is configured */
} edge_ear;

typedef struct edge_heard {
    struct edge_heard *next;
    edge_ear *ear;
    text topic, payload;
    char bytes[];
} edge_heard;

/* Whom it is for. */
typedef struct edge_listener {
    struct edge_listener *next;
    edge_ear *ear;
    sensor *s;
    sensor_heard heard;
    void *state;
} edge_listener;

#define HEARD_MAX       4096
#define HEARD_BYTES_MAX (4 << 20)

struct edge {
    edge_options o;
    const char *path; /* of sensors.json */
    backlog *backlog;
    sd_event *loop;
    edge_clock clock;
    bool changed; /* and not shown yet */
    sensor *sensors;
    edge_listener *listeners;
    edge_ear *ears;

    pthread_t thread, uplink;
    bool has_thread, has_uplink;
    int order_fd; /* eventfd: there is an order */
    atomic_bool ending, reloading;
    _Atomic int64_t moved_ms, uplink_ms;

    /* The uplink's. */
    pthread_mutex_t sending;
    pthread_cond_t to_send;
    bool more;
    int64_t pause_until_ms, backoff_ms, old_pause_ms, refused_ms;
    int64_t rest_ms; /* until more of the backlog may go */
    size_t quota;
    unsigned refusals; /* in a row, of all that waited */
    bool live_refused;
    bool skipped; /* some of the backlog, whose organisation has no connection */
    _Atomic uint64_t sent, sent_late, refused, unanswered;

    pthread_mutex_t lock; /* of what follows */
    sensor_report *reports;
    size_t report_count;
    int64_t correction;
    char trouble[EDGE_WHY_MAX];
    edge_heard *heard, **heard_end;
    size_t heard_count, heard_bytes;
    uint64_t heard_lost;
};

int64_t edge_ms(void);
instant edge_now(edge *e); /* the edge's thread alone */

/* edge/attach.c */
void edge_pump(sensor *s, int64_t ms); /* what is due */
sensor *edge_sensor_new(edge *e, const sensor_entry *entry);
sensor *edge_sensor_free(sensor *s); /* closes it; takes NULL, returns NULL */
void edge_sensor_open(sensor *s);
void edge_sensor_tend(sensor *s, int64_t ms);
const sensor_kind *edge_kind(const char *name);

/* edge/ear.c */
void edge_ears_take(edge *e);
void edge_ears_forget(edge *e, const sensor *s);
void edge_ears_free(edge *e);

/* edge/uplink.c */
void *edge_uplink(void *the_edge);
void edge_uplink_wake(void *the_edge);

#endif
