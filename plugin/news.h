/* news.h - what the writer's thread has to tell: log lines, and memberships that changed in the database.
 * Taken on each tick, and before each delivery and publish: a change that has reached this process holds from
 * the very next message on. Threads: the broker's. */
#ifndef MAYDAY_PLUGIN_NEWS_H
#define MAYDAY_PLUGIN_NEWS_H

#include "plugin/host.h"

void news_take(host *h);

static inline void news_heed(host *h) {
    if (results_pending(h->results))
        news_take(h);
}

#endif
