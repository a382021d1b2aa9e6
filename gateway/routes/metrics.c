/* metrics.c - GET /metrics: the gateway's figures and its broker's, as Prometheus reads them. */
#include <errno.h>
#include <string.h>

#include "gateway/condition.h"
#include "gateway/edge/show.h"
#include "gateway/http/exposition.h"
#include "gateway/figures.h"
#include "gateway/http/http.h"

extern const route route_metrics;

static void print_condition(const condition *c, buf *to) {
    exposition_one(to, "mayday_gateway_live", "gauge", "Whether nothing hangs.", c->live);
    exposition_one(to, "mayday_gateway_ready", "gauge", "Whether it can do its work, as /health has it.",
                   c->ready);
    exposition_one(to, "mayday_gateway_database_up", "gauge", "Whether the services reach the database.",
                   c->database);
}

static void print_services(const condition *c, buf *to) {
    const char *const up = "mayday_gateway_service_up", *const steps = "mayday_gateway_service_steps_total";
    const char *const failures = "mayday_gateway_service_failures_total";
    const char *const silent = "mayday_gateway_service_silent_seconds";
    exposition_head(to, up, "gauge", "Whether the service works: its last step went well.");
    for (size_t i = 0; i < c->service_count; i++)
        exposition_sample(to, up, "service", c->services[i].name, c->services[i].connected);
    exposition_head(to, steps, "counter", "Steps that went well.");
    for (size_t i = 0; i < c->service_count; i++)
        exposition_sample(to, steps, "service", c->services[i].name, (double)c->services[i].steps);
    exposition_head(to, failures, "counter", "Connections and steps that failed.");
    for (size_t i = 0; i < c->service_count; i++)
        exposition_sample(to, failures, "service", c->services[i].name, (double)c->services[i].failures);
    exposition_head(to, silent, "gauge", "Since when the service has not moved.");
    for (size_t i = 0; i < c->service_count; i++)
        exposition_sample(to, silent, "service", c->services[i].name,
                          (double)c->services[i].silent_ms / 1000);
}

/* True when there is a connection at all. */
static bool print_brokers(const condition *c, buf *to) {
    const char *const up = "mayday_gateway_broker_up", *const made = "mayday_gateway_broker_connects_total";
    bool any = false;
    if (c->broker_count == 0)
        return false;
    exposition_head(to, up, "gauge", "Whether there is a connection to the broker for the organisation.");
    for (size_t i = 0; i < c->broker_count; i++) {
        exposition_sample(to, up, "org", c->brokers[i].org, c->brokers[i].up);
        any |= c->brokers[i].up;
    }
    exposition_head(to, made, "counter", "Connections made to the broker.");
    for (size_t i = 0; i < c->broker_count; i++)
        exposition_sample(to, made, "org", c->brokers[i].org, (double)c->brokers[i].connects);
    return any;
}

/* Those of one name come together, and have one head. */
typedef struct figures {
    buf *to;
    const char *last;
} figures;

static void print_figure(void *context, const char *name, const char *labels, bool is_counter, double value) {
    figures *f = context;
    if (!f->last || strcmp(f->last, name) != 0)
        exposition_head(f->to, name, is_counter ? "counter" : "gauge", figure_help(name));
    f->last = name;
    exposition_labelled(f->to, name, labels, value);
}

static int answer(const http_scope *scope, const http_request *request, http_reply *reply) {
    CLEANUP(condition_freep) condition *c = condition_look(scope->host);
    buf *to = &reply->body;
    (void)request;
    if (!c)
        return -ENOMEM;
    reply->type = EXPOSITION_TYPE;
    exposition_head(to, "mayday_gateway_info", "gauge", "Always 1; says which version this is.");
    exposition_sample(to, "mayday_gateway_info", "version", host_version(scope->host), 1);
    exposition_one(to, "mayday_gateway_start_time_seconds", "gauge", "When it started, in Unix time.",
                   (double)host_since(scope->host) / (double)INSTANT_SECOND);
    print_condition(c, to);
    print_services(c, to);
    bool any = print_brokers(c, to);
    exposition_one(to, "mayday_gateway_mail_waiting", "gauge",
                   "Receipts and answers that wait for the database.",
                   (double)local_mail_count(host_local(scope->host)));
    edge_show_metrics(atomic_load(&scope->edge), to);
    host_figures(scope->host, print_figure, &(figures){.to = to});
    if (any) /* else what the broker said is of long ago */
        broker_figures_print(scope->brokers, to);
    return 0;
}

const route route_metrics = {.methods = "GET", .path = "/metrics", .role = NULL, .answer = answer};
