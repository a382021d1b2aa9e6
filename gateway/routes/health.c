/* health.c - GET /health: is the gateway live, is it ready, and why not. 200 when it is ready, else 503. */
#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "gateway/condition.h"
#include "gateway/edge/show.h"
#include "gateway/http/http.h"

extern const route route_health;

static json *reasons(const condition *c) {
    char more[64];
    json *list = json_new_array();
    int fault = list ? 0 : -ENOMEM;
    for (size_t i = 0; fault == 0 && i < c->why_count; i++)
        fault = json_append(list, json_new_string(text_of(c->why[i])));
    (void)snprintf(more, sizeof more, "and %zu more", c->unsaid);
    if (fault == 0 && c->unsaid)
        fault = json_append(list, json_new_string(text_of(more)));
    return fault == 0 ? list : json_free(list);
}

static json *service_of(const service_report *s) {
    json *one = json_new_object();
    if (one && json_put(one, "ok", json_new_bool(s->connected && s->moves)) == 0 &&
        json_put(one, "steps", json_new_integer((int64_t)s->steps)) == 0 &&
        json_put(one, "failures", json_new_integer((int64_t)s->failures)) == 0 &&
        json_put(one, "silent_seconds", json_new_number((double)s->silent_ms / 1000)) == 0)
        return one;
    return json_free(one);
}

static json *services_of(const condition *c) {
    json *all = json_new_object();
    int fault = all ? 0 : -ENOMEM;
    for (size_t i = 0; fault == 0 && i < c->service_count; i++)
        fault = json_put(all, c->services[i].name, service_of(&c->services[i]));
    return fault == 0 ? all : json_free(all);
}

static json *brokers_of(const condition *c) {
    json *all = json_new_object();
    int fault = all ? 0 : -ENOMEM;
    for (size_t i = 0; fault == 0 && i < c->broker_count; i++)
        fault = json_put(all, c->brokers[i].org, json_new_bool(c->brokers[i].up));
    return fault == 0 ? all : json_free(all);
}

static int answer(const http_scope *scope, const http_request *request, http_reply *reply) {
    char since[INSTANT_TEXT_LEN + 1];
    CLEANUP(condition_freep) condition *c = condition_look(scope->host);
    CLEANUP(json_freep) json *body = json_new_object();
    (void)request;
    instant_format(host_since(scope->host), since);
    if (!c || !body || json_put(body, "live", json_new_bool(c->live)) < 0 ||
        json_put(body, "ready", json_new_bool(c->ready)) < 0 || json_put(body, "why", reasons(c)) < 0 ||
        json_put(body, "gateway", json_new_string(text_of(host_gateway(scope->host)))) < 0 ||
        json_put(body, "version", json_new_string(text_of(host_version(scope->host)))) < 0 ||
        json_put(body, "since", json_new_string(text_of(since))) < 0 ||
        json_put(body, "database", json_new_bool(c->database)) < 0 ||
        json_put(body, "brokers", brokers_of(c)) < 0 || json_put(body, "services", services_of(c)) < 0 ||
        edge_show_health(atomic_load(&scope->edge), body) < 0)
        return -ENOMEM;
    json_print(body, &reply->body);
    buf_add_char(&reply->body, '\n');
    reply->type = "application/json";
    reply->status = c->ready ? 200 : 503;
    return 0;
}

const route route_health = {.methods = "GET", .path = "/health", .role = NULL, .answer = answer};
