/* host.h - what main() holds and the services share: settings, the bus, figures, and the services' threads.
 * For main.c and the HTTP side; a service sees service.h alone. */
#ifndef MAYDAY_GATEWAY_HOST_H
#define MAYDAY_GATEWAY_HOST_H

#include "base/instant.h"
#include "gateway/service.h"

#define SERVICES_MAX 32

typedef struct host_options {
    const settings *settings; /* all borrowed for the host's life */
    const char *gateway, *version;
    bus *bus;
    const accounts *accounts;
    const texts *texts;
    local *local;
    intake *intake;
} host_options;

NODISCARD int host_new(const host_options *options, service_host **ret_host);
service_host *host_free(service_host *h); /* after host_stop(); takes NULL, returns NULL */

/* Starts a thread for each service. Returns 0 or a negative errno; host_stop() is due in either case. */
NODISCARD int host_start(service_host *h);

/* Ends them. Returns 0, or -ETIMEDOUT when one has not ended in `ms`: then nothing may be freed. */
NODISCARD int host_stop(service_host *h, int ms);

/* Has every service moved lately? When not, *ret_name is one that has not. */
bool host_moves(service_host *h, const char **ret_name);

/* ---- for GET /health and /metrics; any thread ---- */

const settings *host_settings(const service_host *h);
bus *host_bus(const service_host *h);
const accounts *host_accounts(const service_host *h);
const texts *host_texts(const service_host *h);
local *host_local(const service_host *h);
const char *host_gateway(const service_host *h);
const char *host_version(const service_host *h);
instant host_since(const service_host *h);

#define SERVICE_WHY_MAX 256

typedef struct service_report {
    const char *name;
    bool reached;              /* PostgreSQL, the last time it tried to */
    bool connected;            /* to PostgreSQL, and its last step went well */
    bool moves;                /* it does not hang */
    char why[SERVICE_WHY_MAX]; /* its last failure, until a step goes well again */
    int64_t silent_ms;         /* since it last moved */
    uint64_t steps, failures;
} service_report;
size_t host_reports(service_host *h, service_report ret_reports[SERVICES_MAX]);

/* Those of one name come one after the other; `labels` may be "". */
typedef void (*figure_visit)(void *context, const char *name, const char *labels, bool is_counter,
                             double value);
void host_count(service_host *h, const char *name, uint64_t by);       /* as service_count() */
void host_figures(service_host *h, figure_visit visit, void *context); /* under a lock: keep it short */

#endif
