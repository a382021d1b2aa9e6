/* watch.c - see watch.h. */
#include "plugin/watch.h"

#include <string.h>

bool watch_changed(watch *w, const char *path) {
    struct stat now = {0};
    if (stat(path, &now) < 0)
        memset(&now, 0, sizeof now);
    bool changed = now.st_ino != w->seen.st_ino || now.st_dev != w->seen.st_dev ||
                   now.st_size != w->seen.st_size || now.st_mtim.tv_sec != w->seen.st_mtim.tv_sec ||
                   now.st_mtim.tv_nsec != w->seen.st_mtim.tv_nsec;
    w->seen = now;
    return changed;
}
