/* broker.c - is the broker there, does the plugin guard it, and is it well?
 *
 * First without a token: that must be refused. Then, where the signing keys are at hand, with one: the
 * figures under $SYS/broker/mayday/ show that the plugin is at work. */
#include <string.h>

#include "doctor/check.h"
#include "mint.h"

#define ANSWER_MS  5000
#define FIGURES_MS 3000 /* they are retained: they come with the subscription */
#define FIGURES    "$SYS/broker/mayday/#"

extern const check check_broker;

/* The kind of the answer to a connection attempt; *ret_client is there for MQTT_UP. */
static mqtt_event_kind knock(doctor *d, mqtt_hub *hub, const identity *who, const char *client_id,
                             mqtt_client **ret_client, char ret_why[MQTT_WHY_MAX]) {
    mqtt_options options = link_mqtt(&d->link, who, client_id);
    options.connect_timeout_s = ANSWER_MS / 1000;
    if (mqtt_client_new(hub, &options, NULL, ret_client) < 0 || mqtt_connect(*ret_client, NULL) < 0)
        return MQTT_UNREACHABLE;
    const mqtt_event *e = mqtt_wait(hub, ANSWER_MS * 2);
    memcpy(ret_why, e->why, MQTT_WHY_MAX);
    return e->kind;
}

/* False when there is nobody to talk to. */
static bool knock_without_token(doctor *d) {
    CLEANUP(mqtt_hub_freep) mqtt_hub *hub = mqtt_hub_new();
    mqtt_client *client = NULL;
    char why[MQTT_WHY_MAX] = "no answer";
    identity nobody = {0};
    mqtt_event_kind answer = hub ? knock(d, hub, &nobody, "mayday-doctor", &client, why) : MQTT_UNREACHABLE;
    if (answer == MQTT_REFUSED) {
        found(d, FINDING_OK, NULL, "%s port %d refuses who has no token", d->link.host, d->link.port);
        return true;
    }
    if (answer == MQTT_UP) {
        found(d, FINDING_FAIL,
              "Load the plugin on every listener and remove allow_anonymous: see Mosquitto's conf.d.",
              "%s port %d lets in who has no token", d->link.host, d->link.port);
        return true;
    }
    found(d, FINDING_FAIL, "Is Mosquitto running? See its log. --host and --port say where to look.",
          "no broker at %s port %d: %s", d->link.host, d->link.port, why);
    return false;
}

static unsigned count_figures(mqtt_hub *hub) {
    unsigned figures = 0;
    instant until = instant_now() + FIGURES_MS * INT64_C(1000);
    while (instant_now() < until) {
        const mqtt_event *e = mqtt_wait(hub, figures ? 200 : FIGURES_MS);
        figures += e->kind == MQTT_MESSAGE;
        if (e->kind == MQTT_STOP || e->kind == MQTT_DOWN || (e->kind == MQTT_QUIET && figures))
            break;
    }
    return figures;
}

static void look_at_figures(doctor *d, mqtt_hub *hub, mqtt_client *client) {
    const char *const filter = FIGURES;
    int packet;
    unsigned figures = 0;
    if (mqtt_subscribe(client, &filter, 1, &packet) == 0)
        figures = count_figures(hub);
    if (figures)
        found(d, FINDING_OK, NULL, "the plugin tells %u figures under $SYS/broker/mayday/", figures);
    else
        found(d, FINDING_WARN,
              "Is the plugin loaded, and may the role 'admin' read $SYS/# by the policy? Right after a start "
              "the "
              "figures take up to [status] interval.",
              "nothing is told under $SYS/broker/mayday/");
}

static void knock_with_token(doctor *d) {
    CLEANUP(identity_release) identity who = {0};
    CLEANUP(mint_freep) mint *keys = NULL;
    mint_wish wish = {.sub = "mayday-doctor", .org = d->link.org ? d->link.org : "mayday", .roles = "admin"};
    if (mint_open(d->command, d->config_path, d->link.keys, &keys) != EXIT_DONE ||
        mint_token(d->command, keys, &wish, &who) != EXIT_DONE) {
        found(d, FINDING_SKIPPED, NULL, "not tried with a token: there is no signing key at hand");
        return;
    }
    CLEANUP(mqtt_hub_freep) mqtt_hub *hub = mqtt_hub_new();
    mqtt_client *client = NULL;
    char why[MQTT_WHY_MAX] = "no answer";
    mqtt_event_kind answer =
        hub ? knock(d, hub, &who, "mayday-doctor/doctor", &client, why) : MQTT_UNREACHABLE;
    if (answer == MQTT_UP)
        look_at_figures(d, hub, client);
    else
        found(d, FINDING_FAIL,
              "Does the broker use the same keys file, issuer and audience? Its log names the reason.",
              "a token of the keys at hand is not accepted: %s", why);
}

static void run(doctor *d) {
    if (knock_without_token(d))
        knock_with_token(d);
}

const check check_broker = {.name = "broker", .run = run};
