/* journal.c - is the journal sound, and has it room to grow? Read while the broker writes it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "doctor/check.h"

extern const check check_journal;

/* A journal of millions of records takes a while to read; faults show first where it was written last. */
#define RECORDS_READ 200000

typedef struct tour {
    uint64_t records, damaged;
    char first_damage[JOURNAL_WHY_MAX];
} tour;

static int visit(void *context, const journal_entry *entry, const char *where) {
    tour *t = context;
    if (entry)
        t->records++;
    else if (t->damaged++ == 0)
        (void)snprintf(t->first_damage, sizeof t->first_damage, "%s", where ? where : "");
    return 0;
}

int64_t disk_free(const char *path) {
    struct statvfs fs;
    return statvfs(path, &fs) == 0 ? (int64_t)fs.f_bavail * (int64_t)fs.f_frsize : -1;
}

void bytes_format(int64_t bytes, char ret_text[32]) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double size = (double)bytes;
    size_t unit = 0;
    while (size >= 1024 && unit + 1 < ARRAY_LEN(units)) {
        size /= 1024;
        unit++;
    }
    (void)snprintf(ret_text, 32, unit ? "%.1f %s" : "%.0f %s", size, units[unit]);
}

static void look_at_room(doctor *d, const char *dir) {
    char room[32], needed[32];
    int64_t available = disk_free(dir);
    bytes_format(available, room);
    if (available >= 0 && available < d->conf.journal_min_free) {
        bytes_format(d->conf.journal_min_free, needed);
        found(d, FINDING_FAIL,
              "Make room on that disk at once: telemetry is refused already, alerts will be next.",
              "%s free where the journal is, less than min_free (%s)", room, needed);
    } else if (available >= 0 && available < d->conf.journal_max_size) {
        bytes_format(d->conf.journal_max_size, needed);
        found(d, FINDING_WARN, "Make room, or lower [journal] max_size to what the disk can hold.",
              "%s free where the journal is: it may not grow to its max_size (%s)", room, needed);
    } else if (available >= 0) {
        found(d, FINDING_OK, NULL, "%s free where the journal is", room);
    }
}

static void look_at_records(doctor *d, const char *dir, const journal_overview *all) {
    char why[JOURNAL_WHY_MAX] = "";
    tour t = {0};
    uint64_t after = all->last_seq > RECORDS_READ ? all->last_seq - RECORDS_READ : 0;
    int fault = journal_walk(dir, after, visit, &t, why);
    if (fault < 0)
        found(d, FINDING_FAIL, "Run the doctor as root or as the broker's user.", "%s: %s", dir,
              *why ? why : strerror(-fault));
    else if (t.damaged)
        found(d, FINDING_WARN,
              "'mayday journal verify' lists the places. After a power cut a torn end is normal; anything "
              "else means a failing disk.",
              "%llu damaged places, the first: %s", (unsigned long long)t.damaged, t.first_damage);
    else
        found(d, FINDING_OK, NULL, "the last %llu records in %s are sound", (unsigned long long)t.records,
              dir);
}

static void run(doctor *d) {
    char why[JOURNAL_WHY_MAX] = "";
    const char *dir = d->conf.journal_dir ? d->conf.journal_dir : "";
    struct stat s;
    journal_overview all = {0};
    if (stat(dir, &s) != 0) {
        found(d, errno == ENOENT ? FINDING_WARN : FINDING_FAIL,
              "The broker makes it when it first starts, if it may; see [journal] dir.", "%s: %s", dir,
              strerror(errno));
        return;
    }
    int fault = journal_look(dir, NULL, NULL, &all, why);
    if (fault < 0) {
        found(d, FINDING_FAIL, "See [journal] dir; run the doctor as root or as the broker's user.", "%s: %s",
              dir, *why ? why : strerror(-fault));
        return;
    }
    d->has_journal = true;
    d->journal = all;
    look_at_records(d, dir, &all);
    look_at_room(d, dir);
}

const check check_journal = {.name = "journal", .needs_conf = true, .run = run};
