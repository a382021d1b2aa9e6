/* idle.c - many sessions that do nothing: what each costs the broker in memory. */
#include "histogram.h"
#include "conn.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SPARE_FILES     64
#define SETTLE_TURNS_MS 200

/* Resident memory of a process in bytes. */
static int64_t resident(pid_t pid) {
    char path[64], line[256];
    long long kilobytes = -1;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "re");
    if (!status)
        fail("cannot read %s: %s", path, strerror(errno));
    while (fgets(line, sizeof(line), status))
        if (sscanf(line, "VmRSS: %lld kB", &kilobytes) == 1)
            break;
    fclose(status);
    if (kilobytes < 0)
        fail("%s does not tell the resident memory", path);
    return kilobytes * 1024;
}

static void allow_files(int count) {
    struct rlimit r;
    rlim_t wanted = (rlim_t)count + SPARE_FILES;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur >= wanted)
        return;
    r.rlim_cur = wanted;
    if (r.rlim_max < wanted)
        r.rlim_max = wanted;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0)
        fail("%d connections need that many open files, and the limit cannot be raised: %s", count,
             strerror(errno));
}

/* Memory may still move for a moment: the figure is taken when two readings agree. */
static int64_t settled(loop *l) {
    int64_t before, after = resident(l->options->pid);
    int64_t until = clock_ns() + (int64_t)(l->options->patience * 1e9);
    do {
        before = after;
        int64_t pause = clock_ns() + SETTLE_TURNS_MS * INT64_C(1000000);
        while (clock_ns() < pause)
            loop_turn(l, SETTLE_TURNS_MS);
        after = resident(l->options->pid);
    } while (before != after && clock_ns() < until);
    return after;
}

static void run(const load_options *o) {
    if (!o->pid)
        fail("idle needs the broker's --pid");
    allow_files(o->connections);
    crowd people = crowd_gather(o->credentials, (size_t)o->connections, "unused/%d");
    loop l = loop_make(o, o->connections, (conn_events){0}, NULL);
    int64_t before = settled(&l);
    loop_open_all(&l, &people, 100);
    int64_t after = settled(&l);
    printf("{\"mode\":\"idle\",\"sessions\":%d,\"resident_before\":%lld,\"resident_after\":%lld,"
           "\"bytes_per_session\":%.0f}\n",
           o->connections, (long long)before, (long long)after, (double)(after - before) / o->connections);
    loop_leave_all(&l);
    loop_release(&l);
    crowd_release(&people);
}

const load_mode load_mode_idle = {
    "idle",
    "sessions that do nothing (--connections): the broker's memory (--pid) for each",
    {.connections = 10000, .window = 1},
    run,
};
