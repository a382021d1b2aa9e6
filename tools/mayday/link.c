/* link.c - see link.h: the options and the connection. identity.c has the tokens. */
#include "link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/uuid.h"

#define CONNECT_TIMEOUT_S 10
#define ANSWER_MS         15000 /* CONNACK or SUBACK: longer than the library's own timeout */

static int port_of(const char *value) {
    int64_t port;
    return value && text_to_i64(text_of(value), 1, 65535, &port) == 0 ? (int)port : 0;
}

void link_defaults(link_options *ret_options) {
    const char *host = getenv("MQTT_HOST");
    int port = port_of(getenv("MQTT_PORT"));
    *ret_options = (link_options){
        .host = host && *host ? host : "127.0.0.1",
        .port = port ? port : 1883,
    };
}

link_parsed link_option(const command *c, link_options *o, int option, const char *value) {
    switch (option) {
    case LINK_HOST:
        o->host = value;
        return LINK_TAKEN;
    case LINK_PORT:
        o->port = port_of(value);
        if (o->port)
            return LINK_TAKEN;
        (void)command_fail(c, EXIT_USAGE, "'%s' is not a port: expected 1 to 65535", value);
        return LINK_BAD;
    case LINK_WS:
        o->ws = true;
        return LINK_TAKEN;
    case LINK_TLS:
        o->tls = true;
        return LINK_TAKEN;
    case LINK_CAFILE:
        o->cafile = value;
        return LINK_TAKEN;
    case LINK_V311:
        o->v311 = true;
        return LINK_TAKEN;
    case LINK_TOKEN_FILE:
        o->token_file = value;
        return LINK_TAKEN;
    case LINK_SUB:
        o->sub = value;
        return LINK_TAKEN;
    case LINK_ORG:
        o->org = value;
        return LINK_TAKEN;
    case LINK_ROLE:
        o->role = value;
        return LINK_TAKEN;
    case LINK_KEYS:
        o->keys = value;
        return LINK_TAKEN;
    default:
        return LINK_UNKNOWN;
    }
}

uuid link_new_id(void) {
    uint8_t random[10];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        abort(); /* cannot happen for so few bytes once the system is up */
    return uuid7_make(instant_now() / 1000, random);
}

mqtt_options link_mqtt(const link_options *o, const identity *who, const char *client_id) {
    return (mqtt_options){
        .host = o->host,
        .port = o->port,
        .websocket = o->ws,
        .tls = o->tls,
        .v311 = o->v311,
        .cafile = o->cafile,
        .client_id = client_id,
        .username = who->sub,
        .token = who->token,
        .connect_timeout_s = CONNECT_TIMEOUT_S,
    };
}

static int unreachable(const command *c, const link_options *o, const char *why) {
    return command_fail(c, EXIT_UNREACHABLE, "no broker at %s port %d: %s", o->host, o->port, why);
}

static int await_connection(const command *c, mqtt_hub *hub, const link_options *o) {
    const mqtt_event *e = mqtt_wait(hub, ANSWER_MS);
    switch (e->kind) {
    case MQTT_UP:
        return EXIT_DONE;
    case MQTT_REFUSED:
        return command_fail(c, EXIT_REFUSED, "the broker refused the connection: %s", e->why);
    case MQTT_UNREACHABLE:
        return unreachable(c, o, e->why);
    case MQTT_STOP:
        return command_fail(c, EXIT_UNREACHABLE, "stopped before there was a connection");
    case MQTT_QUIET:
    case MQTT_DOWN:
    case MQTT_ACKED:
    case MQTT_SUBSCRIBED:
    case MQTT_MESSAGE:
        break;
    }
    return unreachable(c, o, e->kind == MQTT_DOWN ? e->why : "no answer");
}

int link_connect(const command *c, mqtt_hub *hub, const link_options *o, const identity *who,
                 const char *purpose, mqtt_client **ret_client) {
    CLEANUP(buf_release) buf client_id = BUF(1024);
    char id[UUID_TEXT_LEN + 1];
    uuid fresh = link_new_id();
    uuid_format(&fresh, id);
    buf_printf(&client_id, "%s/%s-%s", who->sub, purpose, id + UUID_TEXT_LEN - 8);
    mqtt_client *client = NULL;
    mqtt_options options = link_mqtt(o, who, client_id.ptr);
    if (buf_failed(&client_id) < 0 || mqtt_client_new(hub, &options, NULL, &client) < 0 ||
        mqtt_connect(client, NULL) < 0)
        return command_fail(c, EXIT_UNREACHABLE, "could not begin to connect to %s port %d", o->host,
                            o->port);
    int code = await_connection(c, hub, o);
    if (code == EXIT_DONE)
        *ret_client = client;
    return code;
}

int link_subscribe(const command *c, mqtt_hub *hub, mqtt_client *client, const char *const *filters,
                   size_t count, bool ret_granted[]) {
    int packet;
    if (mqtt_subscribe(client, filters, count, &packet) < 0)
        return command_fail(c, EXIT_UNREACHABLE, "the connection ended before subscribing");
    for (;;) {
        const mqtt_event *e = mqtt_wait(hub, ANSWER_MS);
        if (e->kind == MQTT_SUBSCRIBED && e->packet == packet) {
            for (size_t i = 0; i < count; i++)
                ret_granted[i] = i < e->body.len && (uint8_t)e->body.ptr[i] < MQTT_REFUSED_AT;
            return EXIT_DONE;
        }
        if (e->kind == MQTT_MESSAGE) /* a retained one may overtake the answer; the next subscriber sees it */
            continue;
        return command_fail(c, EXIT_UNREACHABLE, "the subscription was not answered%s%s",
                            e->kind == MQTT_DOWN ? ": " : "", e->kind == MQTT_DOWN ? e->why : "");
    }
}
