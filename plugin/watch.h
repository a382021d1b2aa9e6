/* watch.h - has a file changed since it was last looked at? By inode, size and modification time, so that an
 * editor's rename counts as much as a write in place. */
#ifndef MAYDAY_PLUGIN_WATCH_H
#define MAYDAY_PLUGIN_WATCH_H

#include <stdbool.h>
#include <sys/stat.h>

typedef struct watch {
    struct stat seen;
} watch;

/* True when `path` differs from the last call; a missing file differs from a present one. */
bool watch_changed(watch *w, const char *path);

#endif
