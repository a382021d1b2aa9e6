/* mqtt.c - see mqtt.h. Paho's asynchronous client, the only file that knows of it.
 *
 * Paho calls us from its threads without holding its lock. The callbacks touch nothing but the hub's queue
 * (under its lock), the eventfd that wakes the caller, and atomics of their client. Operations are told apart
 * by Paho's packet ids, so that no memory hangs on a callback that never comes. */
#include "mqtt.h"

#include <MQTTAsync.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

#define KEEPALIVE_S   20
#define DISCONNECT_MS 1000

typedef struct node {
    struct node *next;
    mqtt_event event;
    char bytes[]; /* the topic, then the body */
} node;

struct mqtt_hub {
    pthread_mutex_t lock;
    node *head, **tail;
    size_t messages; /* in the queue */
    _Atomic uint64_t dropped;
    int wake_fd, signal_fd;
    sigset_t before; /* the signal mask to restore */
    node *current;   /* what mqtt_wait() gave out last */
    mqtt_client *clients;
};

struct mqtt_client {
    mqtt_client *next;
    mqtt_hub *hub;
    void *user;
    MQTTAsync paho;
    bool websocket, tls, v311;
    int connect_timeout_s;
    char *cafile, *username, *token;
    atomic_int farewell; /* the reason of the broker's DISCONNECT, or 0 */
    atomic_int filters;  /* how many the last SUBSCRIBE had */
};

/* ---- the queue ---- */

static node *node_new(mqtt_client *c, mqtt_event_kind kind, text topic, text body) {
    node *n = calloc(1, sizeof *n + topic.len + body.len + 2);
    if (!n)
        return NULL;
    n->event = (mqtt_event){.kind = kind, .user = c->user, .at = instant_now()};
    if (topic.len)
        memcpy(n->bytes, topic.ptr, topic.len);
    if (body.len)
        memcpy(n->bytes + topic.len + 1, body.ptr, body.len);
    n->event.topic = (text){n->bytes, topic.len};
    n->event.body = (text){n->bytes + topic.len + 1, body.len};
    return n;
}

static void wake(mqtt_hub *hub) {
    uint64_t one = 1;
    (void)!write(hub->wake_fd, &one, sizeof one);
}

static void post(mqtt_hub *hub, node *n) {
    if (!n) { /* out of memory in the library's thread: the caller's timeouts tell the rest */
        atomic_fetch_add(&hub->dropped, 1);
        return;
    }
    bool is_message = n->event.kind == MQTT_MESSAGE;
    (void)pthread_mutex_lock(&hub->lock);
    bool full = is_message && hub->messages >= MQTT_QUEUE_MAX;
    bool was_empty = !hub->head;
    if (!full) {
        hub->messages += is_message;
        *hub->tail = n;
        hub->tail = &n->next;
    }
    (void)pthread_mutex_unlock(&hub->lock);
    if (full) {
        atomic_fetch_add(&hub->dropped, 1);
        free(n);
    } else if (was_empty) {
        wake(hub);
    }
}

static node *take(mqtt_hub *hub) {
    (void)pthread_mutex_lock(&hub->lock);
    node *n = hub->head;
    if (n) {
        hub->head = n->next;
        if (!hub->head)
            hub->tail = &hub->head;
        hub->messages -= n->event.kind == MQTT_MESSAGE;
    }
    (void)pthread_mutex_unlock(&hub->lock);
    return n;
}

static void post_why(mqtt_client *c, mqtt_event_kind kind, int reason, const char *why) {
    node *n = node_new(c, kind, (text){0}, (text){0});
    if (n) {
        n->event.reason = (uint8_t)reason;
        (void)snprintf(n->event.why, sizeof n->event.why, "%s", why);
    }
    post(c->hub, n);
}

/* ---- what Paho's threads tell ---- */

const char *mqtt_reason_name(uint8_t reason) {
    switch (reason) {
    case 0x00:
        return "accepted";
    case 0x80:
        return "unspecified error";
    case 0x82:
        return "protocol error";
    case 0x83:
        return "refused by the implementation";
    case 0x84:
        return "protocol version not supported";
    case 0x85:
        return "client id not accepted";
    case 0x86:
        return "bad username or password";
    case 0x87:
        return "not authorised";
    case 0x88:
        return "server unavailable";
    case 0x8B:
        return "server shutting down";
    case 0x8D:
        return "keep alive timeout";
    case 0x8E:
        return "session taken over";
    case 0x8F:
        return "topic filter invalid";
    case 0x90:
        return "topic name invalid";
    case 0x95:
        return "packet too large";
    case 0x97:
        return "quota exceeded";
    case 0x98:
        return "administrative action";
    case 0x99:
        return "payload format invalid";
    default:
        return reason < MQTT_REFUSED_AT ? "accepted" : "refused";
    }
}

static void on_connected(void *context, MQTTAsync_successData *response) {
    (void)response;
    post_why(context, MQTT_UP, 0, "");
}

static void on_connected5(void *context, MQTTAsync_successData5 *response) {
    (void)response;
    on_connected(context, NULL);
}

static void on_connect_failed(void *context, MQTTAsync_failureData *response) {
    /* MQTT 3.1.1 return codes, as the reason codes they became in MQTT 5 */
    static const int reasons[] = {0, 0x84, 0x85, 0x88, 0x86, 0x87};
    mqtt_client *c = context;
    int code = response ? response->code : 0;
    if (code >= 1 && code < (int)ARRAY_LEN(reasons))
        post_why(c, MQTT_REFUSED, reasons[code], mqtt_reason_name((uint8_t)reasons[code]));
    else
        post_why(c, MQTT_UNREACHABLE, 0,
                 response && response->message ? response->message : "no answer to the connection request");
}

static void on_connect_failed5(void *context, MQTTAsync_failureData5 *response) {
    mqtt_client *c = context;
    int reason = response ? (int)response->reasonCode : 0;
    if (response && reason < MQTT_REFUSED_AT && response->code >= MQTT_REFUSED_AT)
        reason = response->code; /* where Paho 1.3 puts the code of a CONNACK */
    if (reason >= MQTT_REFUSED_AT)
        post_why(c, MQTT_REFUSED, reason, mqtt_reason_name((uint8_t)reason));
    else
        post_why(c, MQTT_UNREACHABLE, 0,
                 response && response->message ? response->message : "no answer to the connection request");
}

/* The broker closes the connection right behind its DISCONNECT; on_lost() tells it, with the reason. */
static void on_farewell(void *context, MQTTProperties *properties, enum MQTTReasonCodes reason) {
    (void)properties;
    mqtt_client *c = context;
    atomic_store(&c->farewell, (int)reason);
}

static void on_lost(void *context, char *cause) {
    mqtt_client *c = context;
    uint8_t reason = (uint8_t)atomic_load(&c->farewell);
    post_why(c, MQTT_DOWN, reason,
             reason  ? mqtt_reason_name(reason)
             : cause ? cause
                     : "the connection was lost");
}

static int on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message) {
    mqtt_client *c = context;
    text name = {topic, topic_len ? (size_t)topic_len : strlen(topic)};
    node *n = node_new(c, MQTT_MESSAGE, name, (text){message->payload, (size_t)message->payloadlen});
    if (n)
        n->event.retained = message->retained;
    post(c->hub, n);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void acked(mqtt_client *c, int packet, int reason) {
    node *n = node_new(c, MQTT_ACKED, (text){0}, (text){0});
    if (n) {
        n->event.packet = packet;
        n->event.reason = (uint8_t)reason;
    }
    post(c->hub, n);
}

static void on_published(void *context, MQTTAsync_successData *response) {
    acked(context, response->token, 0);
}

static void on_published5(void *context, MQTTAsync_successData5 *response) {
    acked(context, response->token, (int)response->reasonCode);
}

/* Without a refusing reason code there was no PUBACK: the connection ended, and MQTT_DOWN tells it. */
static void on_publish_failed5(void *context, MQTTAsync_failureData5 *response) {
    if (response && (int)response->reasonCode >= MQTT_REFUSED_AT)
        acked(context, response->token, (int)response->reasonCode);
}

static void subscribed(mqtt_client *c, int packet, const uint8_t *reasons, size_t count) {
    node *n = node_new(c, MQTT_SUBSCRIBED, (text){0}, (text){(const char *)reasons, count});
    if (n)
        n->event.packet = packet;
    post(c->hub, n);
}

/* Paho tells the codes of several filters as a list, and of one as a value: a refusal then even as a
 * failure. */
static void on_subscribed5(void *context, MQTTAsync_successData5 *response) {
    mqtt_client *c = context;
    uint8_t reasons[MQTT_FILTERS_MAX] = {(uint8_t)response->reasonCode};
    int count = atomic_load(&c->filters);
    for (int i = 0; count > 1 && i < count && i < response->alt.sub.reasonCodeCount; i++)
        reasons[i] = (uint8_t)response->alt.sub.reasonCodes[i];
    subscribed(c, response->token, reasons, (size_t)count);
}

static void on_subscribed(void *context, MQTTAsync_successData *response) {
    mqtt_client *c = context;
    uint8_t reasons[MQTT_FILTERS_MAX] = {0};
    int count = atomic_load(&c->filters);
    if (count == 1)
        reasons[0] = (uint8_t)response->alt.qos;
    for (int i = 0; count > 1 && i < count; i++)
        reasons[i] = (uint8_t)response->alt.qosList[i];
    subscribed(c, response->token, reasons, (size_t)count);
}

static void on_subscribe_failed5(void *context, MQTTAsync_failureData5 *response) {
    uint8_t reason = response ? (uint8_t)response->reasonCode : 0;
    if (reason >= MQTT_REFUSED_AT)
        subscribed(context, response->token, &reason, 1);
}

static void on_subscribe_failed(void *context, MQTTAsync_failureData *response) {
    uint8_t reason = MQTT_REFUSED_AT;
    if (response && response->code == MQTT_REFUSED_AT)
        subscribed(context, response->token, &reason, 1);
}

/* ---- the caller's side ---- */

mqtt_hub *mqtt_hub_new(void) {
    mqtt_hub *hub = calloc(1, sizeof *hub);
    if (!hub)
        return NULL;
    hub->tail = &hub->head;
    sigset_t stops;
    (void)sigemptyset(&stops);
    (void)sigaddset(&stops, SIGINT);
    (void)sigaddset(&stops, SIGTERM);
    /* before Paho starts its threads, so that they inherit the mask */
    (void)pthread_sigmask(SIG_BLOCK, &stops, &hub->before);
    (void)pthread_mutex_init(&hub->lock, NULL);
    hub->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    hub->signal_fd = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
    if (hub->wake_fd < 0 || hub->signal_fd < 0)
        return mqtt_hub_free(hub);
    return hub;
}

static void client_free(mqtt_client *c) {
    if (!c)
        return;
    if (c->paho)
        MQTTAsync_destroy(&c->paho);
    free(c->cafile);
    free(c->username);
    free(c->token);
    free(c);
}

mqtt_hub *mqtt_hub_free(mqtt_hub *hub) {
    if (!hub)
        return NULL;
    for (mqtt_client *c = hub->clients; c; c = c->next)
        mqtt_disconnect(c);
    while (hub->clients) {
        mqtt_client *c = hub->clients;
        hub->clients = c->next;
        client_free(c);
    }
    for (node *n; (n = take(hub));)
        free(n);
    free(hub->current);
    if (hub->wake_fd >= 0)
        (void)close(hub->wake_fd);
    if (hub->signal_fd >= 0)
        (void)close(hub->signal_fd);
    (void)pthread_mutex_destroy(&hub->lock);
    (void)pthread_sigmask(SIG_SETMASK, &hub->before, NULL);
    free(hub);
    return NULL;
}

static int copy(const char *from, char **ret_to) {
    char *to = from ? strdup(from) : NULL;
    if (from && !to)
        return -ENOMEM;
    *ret_to = to;
    return 0;
}

static void server_uri(const mqtt_options *o, buf *to) {
    bool v6 = strchr(o->host, ':') && o->host[0] != '[';
    const char *scheme = o->websocket ? (o->tls ? "wss" : "ws") : (o->tls ? "ssl" : "tcp");
    buf_printf(to, "%s://%s%s%s:%d", scheme, v6 ? "[" : "", o->host, v6 ? "]" : "", o->port);
    if (o->websocket)
        buf_add_text(to, TEXT("/mqtt"));
}

static int paho_new(mqtt_client *c, const mqtt_options *o) {
    CLEANUP(buf_release) buf uri = BUF(1024);
    server_uri(o, &uri);
    if (buf_failed(&uri) < 0)
        return -EINVAL;
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
    create.MQTTVersion = o->v311 ? MQTTVERSION_3_1_1 : MQTTVERSION_5;
    if (MQTTAsync_createWithOptions(&c->paho, uri.ptr, o->client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL,
                                    &create) != MQTTASYNC_SUCCESS)
        return -EIO;
    if (MQTTAsync_setCallbacks(c->paho, c, on_lost, on_message, NULL) != MQTTASYNC_SUCCESS ||
        (!o->v311 && MQTTAsync_setDisconnected(c->paho, c, on_farewell) != MQTTASYNC_SUCCESS))
        return -EIO;
    return 0;
}

int mqtt_client_new(mqtt_hub *hub, const mqtt_options *options, void *user, mqtt_client **ret_client) {
    mqtt_client *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->hub = hub;
    c->user = user;
    c->websocket = options->websocket;
    c->tls = options->tls;
    c->v311 = options->v311;
    c->connect_timeout_s = options->connect_timeout_s;
    int fault = copy(options->cafile, &c->cafile);
    if (fault == 0)
        fault = copy(options->username, &c->username);
    if (fault == 0)
        fault = copy(options->token, &c->token);
    if (fault == 0)
        fault = paho_new(c, options);
    if (fault < 0) {
        client_free(c);
        return fault;
    }
    c->next = hub->clients;
    hub->clients = c;
    *ret_client = c;
    return 0;
}

static MQTTAsync_connectOptions connect_options(mqtt_client *c) {
    MQTTAsync_connectOptions plain = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions plain5 = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_connectOptions ws = MQTTAsync_connectOptions_initializer_ws;
    MQTTAsync_connectOptions ws5 = MQTTAsync_connectOptions_initializer5_ws;
    MQTTAsync_connectOptions o = c->websocket ? (c->v311 ? ws : ws5) : (c->v311 ? plain : plain5);
    o.context = c;
    o.keepAliveInterval = KEEPALIVE_S;
    o.connectTimeout = c->connect_timeout_s;
    o.username = c->username;
    if (c->token) {
        o.binarypwd.data = c->token;
        o.binarypwd.len = (int)strlen(c->token);
    }
    if (c->v311) {
        o.MQTTVersion = MQTTVERSION_3_1_1;
        o.onSuccess = on_connected;
        o.onFailure = on_connect_failed;
    } else {
        o.onSuccess5 = on_connected5;
        o.onFailure5 = on_connect_failed5;
    }
    return o;
}

int mqtt_connect(mqtt_client *c, const char *token) {
    char *newer = NULL;
    if (token && copy(token, &newer) < 0)
        return -ENOMEM;
    if (newer) {
        free(c->token);
        c->token = newer;
    }
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    tls.trustStore = c->cafile;
    tls.verify = 1;
    MQTTAsync_connectOptions o = connect_options(c);
    if (c->tls)
        o.ssl = &tls;
    atomic_store(&c->farewell, 0);
    return MQTTAsync_connect(c->paho, &o) == MQTTASYNC_SUCCESS ? 0 : -EIO;
}

void mqtt_disconnect(mqtt_client *c) {
    if (!MQTTAsync_isConnected(c->paho))
        return;
    MQTTAsync_disconnectOptions o = MQTTAsync_disconnectOptions_initializer;
    o.timeout = DISCONNECT_MS;
    (void)MQTTAsync_disconnect(c->paho, &o);
}

static MQTTAsync_responseOptions responses(mqtt_client *c, MQTTAsync_onSuccess *done,
                                           MQTTAsync_onFailure *failed, MQTTAsync_onSuccess5 *done5,
                                           MQTTAsync_onFailure5 *failed5) {
    MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;
    o.context = c;
    if (c->v311) {
        o.onSuccess = done;
        o.onFailure = failed;
    } else {
        o.onSuccess5 = done5;
        o.onFailure5 = failed5;
    }
    return o;
}

static int outcome(int paho) {
    if (paho == MQTTASYNC_SUCCESS)
        return 0;
    return paho == MQTTASYNC_DISCONNECTED ? -ENOTCONN : -EIO;
}

int mqtt_publish(mqtt_client *c, const char *topic, text body, int *ret_packet) {
    MQTTAsync_message message = MQTTAsync_message_initializer;
    message.payload = (void *)body.ptr; /* Paho copies it */
    message.payloadlen = (int)body.len;
    message.qos = 1;
    MQTTAsync_responseOptions o = responses(c, on_published, NULL, on_published5, on_publish_failed5);
    int fault = outcome(MQTTAsync_sendMessage(c->paho, topic, &message, &o));
    if (fault == 0)
        *ret_packet = o.token;
    return fault;
}

int mqtt_subscribe(mqtt_client *c, const char *const *filters, size_t count, int *ret_packet) {
    if (count == 0 || count > MQTT_FILTERS_MAX)
        return -EINVAL;
    int qos[MQTT_FILTERS_MAX];
    MQTTSubscribe_options each[MQTT_FILTERS_MAX];
    const MQTTSubscribe_options usual = MQTTSubscribe_options_initializer;
    for (size_t i = 0; i < count; i++) {
        qos[i] = 1;
        each[i] = usual;
    }
    MQTTAsync_responseOptions o =
        responses(c, on_subscribed, on_subscribe_failed, on_subscribed5, on_subscribe_failed5);
    if (!c->v311) {
        o.subscribeOptions = usual;
        o.subscribeOptionsCount = (int)count;
        o.subscribeOptionsList = each;
    }
    atomic_store(&c->filters, (int)count);
    int fault = outcome(MQTTAsync_subscribeMany(c->paho, (int)count, (char *const *)filters, qos, &o));
    if (fault == 0)
        *ret_packet = o.token;
    return fault;
}

static bool stopped(mqtt_hub *hub) {
    struct signalfd_siginfo info;
    return read(hub->signal_fd, &info, sizeof info) == (ssize_t)sizeof info;
}

static int64_t monotonic_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False when SIGINT or SIGTERM came. A wake may be for an event that was taken already: the caller looks. */
static bool sleep_until_woken(mqtt_hub *hub, int64_t timeout_ms) {
    struct pollfd fds[] = {{.fd = hub->wake_fd, .events = POLLIN}, {.fd = hub->signal_fd, .events = POLLIN}};
    uint64_t count;
    if (poll(fds, ARRAY_LEN(fds), (int)timeout_ms) > 0 && (fds[1].revents & POLLIN) && stopped(hub))
        return false;
    (void)!read(hub->wake_fd, &count, sizeof count);
    return true;
}

const mqtt_event *mqtt_wait(mqtt_hub *hub, int timeout_ms) {
    static const mqtt_event quiet = {.kind = MQTT_QUIET}, stop = {.kind = MQTT_STOP};
    free(hub->current);
    hub->current = NULL;
    if (stopped(hub))
        return &stop;
    int64_t until = monotonic_ms() + timeout_ms;
    for (;;) {
        hub->current = take(hub);
        if (hub->current)
            return &hub->current->event;
        int64_t left = until - monotonic_ms();
        if (left <= 0)
            return &quiet;
        if (!sleep_until_woken(hub, left))
            return &stop;
    }
}

uint64_t mqtt_dropped(const mqtt_hub *hub) {
    return atomic_load(&hub->dropped);
}
