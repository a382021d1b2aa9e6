/* gateway.c - does the gateway run, is it ready, and is it as new as this? By its own GET /health; and the
 * database as the gateway sees it, for the checks behind this one. */
#include <errno.h>
#include <string.h>

#include "doctor/check.h"
#include "health.h"

#define PATIENCE_MS 5000

extern const check check_gateway;

bool calls_people(const doctor *d) {
    return (d->conf.notify_sms && *d->conf.notify_sms) || (d->conf.notify_voice && *d->conf.notify_voice);
}

/* Without a gateway nobody is called; where nobody is to be called much still works. */
static finding gravity(const doctor *d) {
    return calls_people(d) ? FINDING_FAIL : FINDING_WARN;
}

/* ---- what it says ---- */

static void judge(doctor *d, const char *where, const json *health) {
    text version = json_get_string(health, "version"), name = json_get_string(health, "gateway");
    const json *why = json_get(health, "why");
    text first = json_string(json_at(why, 0));
    if (!name.ptr)
        found(d, gravity(d), "Give the gateway another port: [gateway] http.",
              "what answers at %s is no gateway", where);
    else if (!json_boolean(json_get(health, "ready")))
        found(d, FINDING_FAIL, "See its log: journalctl -u mayday-gateway.", "%.*s is not ready: %.*s",
              (int)name.len, name.ptr, (int)first.len, first.ptr ? first.ptr : "");
    else if (!text_equal(version, TEXT(MAYDAY_VERSION)))
        found(d, FINDING_WARN, "systemctl restart mayday-gateway, after an upgrade.",
              "%.*s runs version %.*s, and this is " MAYDAY_VERSION, (int)name.len, name.ptr,
              (int)version.len, version.ptr ? version.ptr : "");
    else
        found(d, FINDING_OK, NULL, "%.*s is ready", (int)name.len, name.ptr);
}

static void look_at_health(doctor *d) {
    const char *where = d->conf.gateway_http ? d->conf.gateway_http : "";
    CLEANUP(json_freep) json *health = NULL;
    if (!*where) {
        found(d, FINDING_SKIPPED, NULL, "it answers nowhere: [gateway] http is empty");
        return;
    }
    int fault = health_ask(where, &health);
    if (fault == -EBADMSG)
        found(d, gravity(d), "Give the gateway another port: [gateway] http.",
              "what answers at %s is no gateway", where);
    else if (fault < 0)
        found(d, gravity(d),
              "systemctl start mayday-gateway, unless it runs on another machine: without one no state "
              "moves, and nobody is "
              "called.",
              "no gateway answers at %s: %s", where, strerror(-fault));
    else
        judge(d, where, health);
}

static void open_database(doctor *d) {
    char why[PG_WHY_MAX] = "";
    pg_options options = {.conninfo = d->conf.gateway_database ? d->conf.gateway_database : "",
                          .application = "mayday doctor",
                          .connect_ms = PATIENCE_MS,
                          .patience_ms = PATIENCE_MS,
                          .interrupt_fd = -1};
    if (pg_connect(&options, &d->as_gateway, why) == PG_DONE)
        return;
    d->as_gateway = NULL;
    found(d, gravity(d), "See [gateway] database; run the doctor as root, or as the gateway's user.",
          "the database cannot be reached as the gateway does: %s", why);
}

static void run(doctor *d) {
    look_at_health(d);
    open_database(d);
}

const check check_gateway = {.name = "gateway", .needs_conf = true, .run = run};
