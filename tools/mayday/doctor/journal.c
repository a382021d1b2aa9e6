/* journal.c - is the journal sound, and has it room to grow? Read while the broker writes it. */
#include "store/journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "doctor/check.h"

extern const check check_journal;

typedef struct tour {
    uint64_t records, bytes, last, damaged;
    char first_damage[JOURNAL_WHY_MAX];
} tour;

static int visit(void *context, const journal_entry *entry, const char *where) {
    tour *t = context;
    if (entry) {
        t->records++;
        t->bytes += entry->body.len;
        t->last = entry->seq;
    } else if (t->damaged++ == 0) {
        (void)snprintf(t->first_damage, sizeof t->first_damage, "%s", where ? where : "");
    }
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

static void run(doctor *d) {
    char why[JOURNAL_WHY_MAX] = "";
    const char *dir = d->conf.journal_dir ? d->conf.journal_dir : "";
    struct stat s;
    if (stat(dir, &s) != 0) {
        finding f = errno == ENOENT ? FINDING_WARN : FINDING_FAIL;
        found(d, f, "The broker makes it when it first starts, if it may; see [journal] dir.", "%s: %s", dir,
              strerror(errno));
        return;
    }
    tour t = {0};
    int fault = journal_walk(dir, visit, &t, why);
    if (fault < 0) {
        found(d, FINDING_FAIL, "See [journal] dir; run the doctor as root or as the broker's user.", "%s: %s",
              dir, *why ? why : strerror(-fault));
        return;
    }
    d->has_journal = true;
    d->journal_last = t.last;
    if (t.damaged)
        found(
            d, FINDING_WARN,
            "'mayday journal verify' lists the places. After a power cut a torn end is normal; anything else "
            "means a failing disk.",
            "%llu damaged places, the first: %s", (unsigned long long)t.damaged, t.first_damage);
    else
        found(d, FINDING_OK, NULL, "%llu records in %s, all sound", (unsigned long long)t.records, dir);
    look_at_room(d, dir);
}

const check check_journal = {.name = "journal", .needs_conf = true, .run = run};
