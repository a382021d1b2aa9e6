/* edge.c - see edge.h: the edge's life, its loop, and what can be seen of it. */
#include "gateway/edge/inside.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/log.h"

#define TICK_US   100000
#define TEND_MS   1000
#define STILL_MS  30000
#define SETTLED   (INT64_C(1767225600) * INSTANT_SECOND) /* 2026: this was written later */
#define LAST_MS   86400000                               /* whatever is held goes now */
#define NO_CHANGE "the sensors go on as they were"

int64_t edge_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t since_boot(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * INSTANT_SECOND + now.tv_nsec / 1000;
}

instant edge_now(edge *e) {
    int64_t step;
    instant now = edge_clock_now(&e->clock, instant_now(), since_boot(), &step);
    if (step) {
        log_line("edge", LOG_LEVEL_WARNING, "the machine's clock was set: %+.1f s; what waits moves with it",
                 (double)step / (double)INSTANT_SECOND);
        backlog_shift(e->backlog, step);
    }
    return now;
}

/* ---- the configuration ---- */

static void note_trouble(edge *e, const char *why) {
    (void)pthread_mutex_lock(&e->lock);
    (void)snprintf(e->trouble, sizeof e->trouble, "%s", why);
    (void)pthread_mutex_unlock(&e->lock);
    if (*why)
        log_line("edge", LOG_LEVEL_ERROR, "%s", why);
}

static bool have_same_manners(const sensor_manners *a, const sensor_manners *b) {
    bool same = a->every_ms == b->every_ms && a->heartbeat_ms == b->heartbeat_ms &&
                a->silent_ms == b->silent_ms && a->rate == b->rate && a->distance == b->distance;
    for (size_t i = 0; i < ARRAY_LEN(a->bands); i++)
        same = same && a->bands[i] == b->bands[i];
    return same;
}

static bool is_same(const sensor *s, const sensor_entry *entry) {
    return json_same(s->whole, entry->whole) && text_equal(text_of(s->org), entry->org) &&
           have_same_manners(&s->manners, &entry->manners);
}

static sensor *find(edge *e, const sensor_entry *entry) {
    for (sensor *s = e->sensors; s; s = s->next)
        if (is_same(s, entry))
            return s;
    return NULL;
}

static bool is_listed(const char *list, text org) {
    text rest = text_of(list), one;
    bool any = false;
    while (text_next(&rest, ' ', &one)) {
        any |= one.len > 0;
        if (text_equal(one, org))
            return true;
    }
    return !any;
}

/* So that it is connected also when the database, which names those to be served, is away. */
static void serve(edge *e, text org) {
    const settings *c = e->o.settings;
    bool own = c->gateway_token_file && *c->gateway_token_file;
    if (own || bus_serve(e->o.bus, org) < 0)
        return;
    if (!is_listed(c->gateway_orgs ? c->gateway_orgs : "", org))
        log_line("edge", LOG_LEVEL_WARNING, "%.*s is none of [gateway] organisations, but has sensors here",
                 (int)org.len, org.ptr);
}

static void drop_unkept(edge *e) {
    for (sensor **at = &e->sensors; *at;) {
        sensor *s = *at;
        if (s->kept) {
            s->kept = false;
            at = &s->next;
            continue;
        }
        *at = s->next;
        log_line("edge", LOG_LEVEL_NOTICE, "sensor %s is read no more", s->name);
        (void)edge_sensor_free(s);
    }
}

/* At the end, so that they are shown in the order of the file. */
static void add(edge *e, const sensor_entry *entry) {
    sensor **at = &e->sensors, *s = edge_sensor_new(e, entry);
    if (!s) {
        note_trouble(e, "out of memory");
        return;
    }
    while (*at)
        at = &(*at)->next;
    *at = s;
    serve(e, entry->org);
    edge_sensor_open(s);
}

static void read_sensors(edge *e) {
    CLEANUP(sensor_file_freep) sensor_file *f = NULL;
    char why[SENSOR_FILE_WHY_MAX] = "";
    int fault = sensor_file_read(e->o.settings->schema_dir, e->path, &f, why);
    if (fault < 0) {
        note_trouble(e, *why ? why : strerror(-fault));
        if (e->sensors)
            log_line("edge", LOG_LEVEL_NOTICE, NO_CHANGE);
        return;
    }
    note_trouble(e, "");
    for (size_t i = 0; i < f->count; i++) {
        sensor *known = find(e, &f->all[i]);
        if (known)
            known->kept = true;
    }
    drop_unkept(e); /* first: the new may want the same port */
    for (size_t i = 0; i < f->count; i++)
        if (!find(e, &f->all[i]))
            add(e, &f->all[i]);
    log_line("edge", LOG_LEVEL_NOTICE, "%zu sensors are read, as %s says", f->count, e->path);
}

/* ---- the loop ---- */

static void show(edge *e) {
    size_t count = 0, i = 0;
    for (const sensor *s = e->sensors; s; s = s->next)
        count++;
    sensor_report *all = calloc(count ? count : 1, sizeof *all), *before;
    if (!all)
        return;
    for (const sensor *s = e->sensors; s; s = s->next)
        all[i++] = s->report;
    (void)pthread_mutex_lock(&e->lock);
    before = e->reports;
    e->reports = all;
    e->report_count = count;
    e->correction = e->clock.correction;
    e->changed = false;
    (void)pthread_mutex_unlock(&e->lock);
    free(before);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *the_edge) {
    edge *e = the_edge;
    int64_t ms = edge_ms(), last = atomic_load(&e->moved_ms);
    (void)usec;
    for (sensor *s = e->sensors; s; s = s->next)
        edge_pump(s, ms);
    if (ms / TEND_MS != last / TEND_MS) {
        (void)edge_now(e);
        for (sensor *s = e->sensors; s; s = s->next)
            edge_sensor_tend(s, ms);
        e->changed = true;
    }
    if (e->changed)
        show(e);
    atomic_store(&e->moved_ms, ms);
    (void)sd_event_source_set_time_relative(source, TICK_US);
    (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

static int on_order(sd_event_source *source, int fd, uint32_t revents, void *the_edge) {
    edge *e = the_edge;
    eventfd_t count;
    (void)source;
    (void)revents;
    (void)eventfd_read(fd, &count);
    if (atomic_load(&e->ending))
        return sd_event_exit(e->loop, 0);
    if (atomic_exchange(&e->reloading, false)) {
        read_sensors(e);
        show(e);
    }
    edge_ears_take(e);
    return 0;
}

static int make_loop(edge *e) {
    int fault = sd_event_new(&e->loop);
    if (fault >= 0)
        fault = sd_event_add_io(e->loop, NULL, e->order_fd, EPOLLIN, on_order, e);
    if (fault >= 0)
        fault = sd_event_add_time_relative(e->loop, NULL, CLOCK_MONOTONIC, TICK_US, TICK_US / 4, on_tick, e);
    return fault < 0 ? fault : 0;
}

static void *run(void *the_edge) {
    edge *e = the_edge;
    (void)pthread_setname_np(pthread_self(), "mg-edge");
    int fault = make_loop(e);
    if (fault == 0) {
        read_sensors(e);
        show(e);
        fault = sd_event_loop(e->loop);
    }
    if (fault < 0)
        log_line("edge", LOG_LEVEL_ERROR, "its loop failed: %s", strerror(-fault));
    while (e->sensors) {
        sensor *s = e->sensors;
        e->sensors = s->next;
        edge_pump(s, edge_ms() + LAST_MS);
        (void)edge_sensor_free(s);
    }
    e->loop = sd_event_unref(e->loop);
    return NULL;
}

/* ---- its life ---- */

static void tell(void *context, bool error, const char *line) {
    (void)context;
    log_line("edge", error ? LOG_LEVEL_ERROR : LOG_LEVEL_NOTICE, "%s", line);
}

static instant written_at(const char *path) {
    struct stat at;
    return stat(path, &at) == 0 ? (instant)at.st_mtime * INSTANT_SECOND : 0;
}

/* It is later than all that was written down before. */
static instant floor_of(const edge *e) {
    instant floor = SETTLED, config = written_at(e->path), before = backlog_before(e->backlog);
    floor = config > floor ? config : floor;
    return before > floor ? before : floor;
}

static void make_locks(edge *e) {
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&e->lock, NULL);
    (void)pthread_mutex_init(&e->sending, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&e->to_send, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

static int begin(edge *e) {
    backlog_options for_backlog = {.state_dir = e->o.settings->state_dir,
                                   .gateway = e->o.gateway,
                                   .max_bytes = e->o.settings->sensors_backlog,
                                   .wake = edge_uplink_wake,
                                   .tell = tell,
                                   .context = e};
    e->order_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int fault = e->order_fd < 0 ? -errno : backlog_open(&for_backlog, &e->backlog);
    if (fault < 0)
        return fault;
    e->clock.floor = floor_of(e);
    atomic_store(&e->moved_ms, edge_ms());
    atomic_store(&e->uplink_ms, edge_ms());
    fault = -pthread_create(&e->uplink, NULL, edge_uplink, e);
    e->has_uplink = fault == 0;
    if (fault == 0)
        fault = -pthread_create(&e->thread, NULL, run, e);
    e->has_thread = fault == 0;
    return fault;
}

int edge_start(const edge_options *options, edge **ret_edge) {
    const char *path = options->settings->sensors_file;
    bool missing = !path || !*path || (strcmp(path, SETTINGS_DEFAULT_SENSORS) == 0 && access(path, F_OK) < 0);
    *ret_edge = NULL;
    if (missing)
        return 0;
    edge *e = calloc(1, sizeof *e);
    if (!e)
        return -ENOMEM;
    e->o = *options;
    e->path = path;
    e->heard_end = &e->heard;
    make_locks(e);
    int fault = begin(e);
    if (fault < 0) {
        atomic_store(&e->ending, true);
        if (e->has_uplink)
            (void)pthread_join(e->uplink, NULL);
        (void)edge_free(e);
        return fault;
    }
    *ret_edge = e;
    return 0;
}

void edge_reload(edge *e) {
    if (!e)
        return;
    atomic_store(&e->reloading, true);
    (void)eventfd_write(e->order_fd, 1);
}

static bool joins(pthread_t thread, int64_t end_ms) {
    struct timespec until;
    int64_t left = end_ms - edge_ms();
    left = left < 0 ? 0 : left;
    (void)clock_gettime(CLOCK_REALTIME, &until); /* as host.c, and for its reason */
    until.tv_sec += left / 1000;
    until.tv_nsec += (long)(left % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

int edge_end(edge *e, int ms) {
    int64_t end_ms = edge_ms() + ms;
    if (!e)
        return 0;
    atomic_store(&e->ending, true);
    (void)eventfd_write(e->order_fd, 1);
    edge_uplink_wake(e);
    if (e->has_thread && !joins(e->thread, end_ms))
        return -ETIMEDOUT;
    e->has_thread = false;
    if (e->has_uplink && !joins(e->uplink, end_ms))
        return -ETIMEDOUT;
    e->has_uplink = false;
    e->backlog = backlog_close(e->backlog);
    return 0;
}

edge *edge_free(edge *e) {
    if (!e)
        return NULL;
    e->backlog = backlog_close(e->backlog);
    edge_ears_free(e);
    free(e->reports);
    if (e->order_fd >= 0)
        (void)close(e->order_fd);
    (void)pthread_mutex_destroy(&e->lock);
    (void)pthread_mutex_destroy(&e->sending);
    (void)pthread_cond_destroy(&e->to_send);
    free(e);
    return NULL;
}

bool edge_moves(edge *e, const char **ret_name) {
    if (!e)
        return true;
    int64_t now = edge_ms();
    *ret_name = now - atomic_load(&e->moved_ms) >= STILL_MS          ? "edge"
                : now - atomic_load(&e->uplink_ms) >= STILL_MS       ? "uplink"
                : now - backlog_moved_ms(e->backlog) >= 2 * STILL_MS ? "backlog"
                                                                     : NULL;
    return !*ret_name;
}

sensor_report *edge_reports(edge *e, size_t *ret_count) {
    sensor_report *copy = NULL;
    *ret_count = 0;
    if (!e)
        return NULL;
    (void)pthread_mutex_lock(&e->lock);
    if (e->report_count && (copy = calloc(e->report_count, sizeof *copy))) {
        memcpy(copy, e->reports, e->report_count * sizeof *copy);
        *ret_count = e->report_count;
    }
    (void)pthread_mutex_unlock(&e->lock);
    return copy;
}

void edge_look(edge *e, edge_figures *ret_figures) {
    *ret_figures = (edge_figures){0};
    if (!e)
        return;
    backlog_look(e->backlog, &ret_figures->backlog);
    ret_figures->sent = atomic_load(&e->sent);
    ret_figures->sent_late = atomic_load(&e->sent_late);
    ret_figures->refused = atomic_load(&e->refused);
    ret_figures->unanswered = atomic_load(&e->unanswered);
    (void)pthread_mutex_lock(&e->lock);
    ret_figures->unheard = e->heard_lost;
    ret_figures->clock_correction = e->correction;
    memcpy(ret_figures->trouble, e->trouble, sizeof e->trouble);
    (void)pthread_mutex_unlock(&e->lock);
}
