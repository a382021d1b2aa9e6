/* on_reload.c - SIGHUP: take up keys and policy again, and expect the broker to ask about every client it
 * knows. */
#include "plugin/compat.h"
#include "plugin/host.h"

int on_reload(int event, void *event_data, void *userdata) {
    (void)event, (void)event_data;
    host *h = userdata;
    host_log(MOSQ_LOG_INFO, "reloading keys and policy");
    host_take_up_files(h, true);
    h->reloading = true;
    return compat_reload_done();
}
