/* broker_figures.c - see broker_figures.h: a table says what each figure is called in Prometheus's world; one
 * that the table does not know is passed on under one common name. */
#include "gateway/bus/broker_figures.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/http/exposition.h"

#define BELOW        "$SYS/broker/mayday/"
#define PATH_MAX_LEN 95
#define PREFIX       "mayday_broker_"

typedef struct heard {
    char path[PATH_MAX_LEN + 1]; /* behind BELOW */
    double value;
} heard;

struct broker_figures {
    pthread_mutex_t lock;
    heard all[BROKER_FIGURES_MAX];
    size_t count;
    uint64_t dropped;
    int64_t last_ms; /* when one came; monotonic */
};

/* With a label, `path` is how the figure's begins, and what follows is the label's value. */
typedef struct meaning {
    const char *path, *label, *name, *type;
    double scale;
    const char *help;
} meaning;

static const meaning meanings[] = {
    {"journal/lag_records", NULL, PREFIX "journal_lag_records", "gauge", 1,
     "Accepted messages that are not in the database yet."},
    {"journal/lag_seconds", NULL, PREFIX "journal_lag_seconds", "gauge", 1,
     "How long the oldest message that is not in the database waits."},
    {"journal/in_reserve", NULL, PREFIX "journal_in_reserve", "gauge", 1,
     "1: there is room for alerts only, telemetry is being refused."},
    {"journal/records", NULL, PREFIX "journal_records_total", "counter", 1,
     "The number of the newest record."},
    {"journal/bytes", NULL, PREFIX "journal_bytes", "gauge", 1, "Disk that the journal holds."},
    {"journal/doubtful", NULL, PREFIX "journal_doubtful_total", "counter", 1,
     "Records whose fdatasync failed."},
    {"journal/damaged_places", NULL, PREFIX "journal_damaged_places", "gauge", 1,
     "Places in the journal that could not be read."},
    {"journal/flush_us/", "of", PREFIX "journal_flush_seconds", "gauge", 1e-6,
     "How long fdatasync takes: the last, the longest, the mean."},
    {"database/connected", NULL, PREFIX "database_connected", "gauge", 1,
     "Whether the broker's writer has its database."},
    {"database/rows", NULL, PREFIX "database_rows_total", "counter", 1, "Rows written."},
    {"database/duplicates", NULL, PREFIX "database_duplicates_total", "counter", 1,
     "Repeats that changed nothing."},
    {"database/dead_letters", NULL, PREFIX "database_dead_letters_total", "counter", 1,
     "Records that the database refused."},
    {"database/batches", NULL, PREFIX "database_batches_total", "counter", 1, "Transactions done."},
    {"database/failed_batches", NULL, PREFIX "database_failed_batches_total", "counter", 1,
     "Transactions undone."},
    {"database/reconnects", NULL, PREFIX "database_reconnects_total", "counter", 1,
     "Connections made again."},
    {"database/batch_us/", "of", PREFIX "database_batch_seconds", "gauge", 1e-6,
     "How long a transaction takes: the last, the longest, the mean."},
    {"tokens/", "verdict", PREFIX "tokens_total", "counter", 1, "Connects, by the verdict on their token."},
    {"messages/", "verdict", PREFIX "messages_total", "counter", 1, "Publishes, by verdict."},
    {"events/", "fate", PREFIX "events_total", "counter", 1,
     "The plugin's own records, of connects and the like: journaled, left out, lost."},
    {"subscriptions/denied", NULL, PREFIX "subscriptions_denied_total", "counter", 1, "Filters refused."},
    {"deliveries/denied", NULL, PREFIX "deliveries_denied_total", "counter", 1,
     "Single deliveries withheld."},
    {"sessions/live", NULL, PREFIX "sessions", "gauge", 1, "Sessions now."},
    {"sessions/remembered", NULL, PREFIX "sessions_remembered", "gauge", 1,
     "Sessions with offline durable ones."},
    {"sessions/role/", "role", PREFIX "sessions_by_role", "gauge", 1,
     "Sessions now; one counts for each of its roles."},
    {"sessions/ended_", "reason", PREFIX "sessions_ended_total", "counter", 1,
     "Sessions ended by the token's end or by revocation."},
    {"memberships", NULL, PREFIX "memberships", "gauge", 1, "Memberships held in memory."},
    {"revocations", NULL, PREFIX "revocations", "gauge", 1, "Revocations held in memory."},
};
static const meaning other = {"",        "name", PREFIX "figure",
                              "untyped", 1,      "Any other figure, by its topic's end."};

static int64_t clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

broker_figures *broker_figures_new(void) {
    broker_figures *f = calloc(1, sizeof *f);
    if (f)
        (void)pthread_mutex_init(&f->lock, NULL);
    return f;
}

broker_figures *broker_figures_free(broker_figures *f) {
    if (f) {
        (void)pthread_mutex_destroy(&f->lock);
        free(f);
    }
    return NULL;
}

static bool number_in(text payload, double *ret_value) {
    char copy[48], *end;
    if (payload.len == 0 || payload.len >= sizeof copy)
        return false;
    memcpy(copy, payload.ptr, payload.len);
    copy[payload.len] = '\0';
    *ret_value = strtod(copy, &end);
    return end == copy + payload.len && isfinite(*ret_value);
}

static heard *place_for(broker_figures *f, text path) {
    for (size_t i = 0; i < f->count; i++)
        if (text_equal(text_of(f->all[i].path), path))
            return &f->all[i];
    if (f->count == BROKER_FIGURES_MAX || path.len > PATH_MAX_LEN || memchr(path.ptr, '\0', path.len)) {
        f->dropped++;
        return NULL;
    }
    heard *h = &f->all[f->count++];
    memcpy(h->path, path.ptr, path.len);
    h->path[path.len] = '\0';
    return h;
}

void broker_figures_hear(broker_figures *f, text topic, text payload) {
    double value;
    if (!text_starts_with(topic, TEXT(BELOW)) || !number_in(payload, &value))
        return;
    text path = {topic.ptr + strlen(BELOW), topic.len - strlen(BELOW)};
    (void)pthread_mutex_lock(&f->lock);
    heard *h = place_for(f, path);
    if (h)
        h->value = value;
    f->last_ms = clock_ms();
    (void)pthread_mutex_unlock(&f->lock);
}

static void hear(void *context, text org, text topic, text payload, text sender, bool retained) {
    (void)org;
    (void)sender;
    (void)retained;
    broker_figures_hear(context, topic, payload);
}

int broker_figures_listen(broker_figures *f, bus *b) {
    return bus_listen(b, BELOW "#", hear, f);
}

static bool means(const meaning *m, const heard *h) {
    size_t len = strlen(m->path);
    return m->label ? strncmp(h->path, m->path, len) == 0 && h->path[len] != '\0'
                    : strcmp(h->path, m->path) == 0;
}

static void print(const broker_figures *f, const meaning *m, bool printed[BROKER_FIGURES_MAX], buf *to) {
    bool first = true;
    for (size_t i = 0; i < f->count; i++) {
        const heard *h = &f->all[i];
        if (printed[i] || !means(m, h))
            continue;
        if (first)
            exposition_head(to, m->name, m->type, m->help);
        first = false;
        printed[i] = true;
        exposition_sample(to, m->name, m->label, h->path + (m->label ? strlen(m->path) : 0),
                          h->value * m->scale);
    }
}

void broker_figures_print(broker_figures *f, buf *to) {
    bool printed[BROKER_FIGURES_MAX] = {false};
    (void)pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        print(f, &meanings[i], printed, to);
    print(f, &other, printed, to);
    double age = (double)(clock_ms() - f->last_ms) / 1000, dropped = (double)f->dropped;
    bool any = f->count > 0;
    (void)pthread_mutex_unlock(&f->lock);
    if (any)
        exposition_one(to, PREFIX "figures_age_seconds", "gauge",
                       "Since when the broker has not said a figure.", age);
    exposition_one(to, PREFIX "figures_dropped_total", "counter", "Figures there was no room for.", dropped);
}
