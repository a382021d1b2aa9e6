/* paho.c - the only file of the gateway that knows of Paho: one asynchronous client for each session.
 *
 * Paho's threads call back with Paho's lock held. A callback takes the bus's lock for a moment, notes what it
 * was told in the session, and wakes whoever waits; it calls nothing of Paho. */
#include "gateway/bus/inside.h"

#include <MQTTAsync.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/topic.h"
#include "gateway/bus/badge.h"
#include "gateway/log.h"

#define KEEPALIVE_S       15
#define CONNECT_TIMEOUT_S 10

static const char *reason_name(int reason) {
    const char *name = MQTTReasonCode_toString((enum MQTTReasonCodes)reason);
    return name ? name : "refused";
}

static void on_connected(void *context, MQTTAsync_successData5 *response) {
    session *x = context;
    int allowed = MQTTProperties_getNumericValue(&response->properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM);
    bus_lock(x->link->b);
    if (x->state == SESSION_CONNECTING)
        x->state = SESSION_FRESH;
    x->window = allowed > 0 && allowed < BUS_WINDOW ? (size_t)allowed : BUS_WINDOW;
    bus_stir(x->link->b);
    bus_unlock(x->link->b);
}

static void on_connect_failed(void *context, MQTTAsync_failureData5 *response) {
    session *x = context;
    int reason = response ? (int)response->reasonCode : 0;
    if (response && reason < REFUSED_AT && response->code >= REFUSED_AT)
        reason = response->code; /* where Paho 1.3 puts the code of a CONNACK */
    bus_lock(x->link->b);
    x->reason = (uint8_t)(reason >= REFUSED_AT ? reason : 0);
    session_end(x, x->reason                       ? reason_name(reason)
                   : response && response->message ? response->message
                                                   : "no answer to the connection request");
    bus_unlock(x->link->b);
}

/* The broker closes the connection right behind its DISCONNECT; on_lost() follows. */
static void on_farewell(void *context, MQTTProperties *properties, enum MQTTReasonCodes reason) {
    (void)properties;
    session *x = context;
    bus_lock(x->link->b);
    x->reason = (uint8_t)reason;
    bus_unlock(x->link->b);
}

static void on_lost(void *context, char *cause) {
    session *x = context;
    bus_lock(x->link->b);
    session_end(x, x->reason ? reason_name(x->reason) : cause ? cause : "the connection was lost");
    bus_unlock(x->link->b);
}

static void answered(session *x, int packet, int reason) {
    bus_lock(x->link->b);
    if (packet > 0 && packet <= UINT16_MAX)
        x->answers[packet] = (uint16_t)(ANSWERED | (reason & 0xFF));
    x->on_way -= x->on_way > 0;
    if (x->state == SESSION_DRAINING)
        bus_stir(x->link->b);
    else
        bus_tell(x->link->b);
    bus_unlock(x->link->b);
}

static void on_published(void *context, MQTTAsync_successData5 *response) {
    answered(context, response->token, (int)response->reasonCode);
}

/* Without a refusing reason code there was no PUBACK: then the connection ended, and that is told elsewhere.
 */
static void on_publish_failed(void *context, MQTTAsync_failureData5 *response) {
    if (response && (int)response->reasonCode >= REFUSED_AT)
        answered(context, response->token, (int)response->reasonCode);
}

static void complain(session *x, int reason) {
    log_line("bus", LOG_LEVEL_WARNING, "%s: the broker refused a subscription: %s", x->link->org,
             reason_name(reason));
}

/* Paho tells the codes of several filters as a list, and of one as a value: a refusal then even as a failure.
 */
static void on_subscribed(void *context, MQTTAsync_successData5 *response) {
    for (int i = 0; response->alt.sub.reasonCodeCount > 1 && i < response->alt.sub.reasonCodeCount; i++)
        if ((int)response->alt.sub.reasonCodes[i] >= REFUSED_AT)
            complain(context, (int)response->alt.sub.reasonCodes[i]);
}

static void on_subscribe_failed(void *context, MQTTAsync_failureData5 *response) {
    if (response && (int)response->reasonCode >= REFUSED_AT)
        complain(context, (int)response->reasonCode);
}

/* `name` as the filters of listeners have it. */
static text behind_org(const link *l, text name) {
    static const char root[] = "mayday/v1/";
    size_t len = strlen(l->org), before = sizeof root - 1 + len + 1;
    if (name.len > before && memcmp(name.ptr, root, sizeof root - 1) == 0 &&
        memcmp(name.ptr + sizeof root - 1, l->org, len) == 0 && name.ptr[before - 1] == '/')
        return (text){name.ptr + before, name.len - before};
    return name;
}

/* The broker puts it behind whatever a client has put there under the same name. */
static text sender_of(const MQTTAsync_message *message) {
    text sender = {"", 0};
    MQTTProperties *all = (MQTTProperties *)&message->properties;
    int count = MQTTProperties_propertyCount(all, MQTTPROPERTY_CODE_USER_PROPERTY);
    for (int i = 0; i < count; i++) {
        const MQTTProperty *p = MQTTProperties_getPropertyAt(all, MQTTPROPERTY_CODE_USER_PROPERTY, i);
        if (p && text_equal((text){p->value.data.data, (size_t)p->value.data.len}, TEXT("sender")))
            sender = (text){p->value.value.data, (size_t)p->value.value.len};
    }
    return sender;
}

static int on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message) {
    session *x = context;
    bus *b = x->link->b;
    text name = {topic, topic_len ? (size_t)topic_len : strlen(topic)};
    text payload = {message->payload, (size_t)message->payloadlen};
    text short_name = behind_org(x->link, name), sender = sender_of(message);
    bus_lock(b);
    size_t count = b->listener_count; /* rows before it never change */
    bus_unlock(b);
    for (size_t i = 0; i < count; i++) {
        const listener *l = &b->listeners[i];
        if (l->org && strcmp(l->org, x->link->org) != 0)
            continue;
        if (topic_matches(text_of(l->filter), l->org ? name : short_name))
            l->seen(l->context, text_of(x->link->org), name, payload, sender, message->retained);
    }
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

/* ---- from here on: called by us, without the lock ---- */

int paho_anchor(bus *b) {
    MQTTAsync_init_options all = MQTTAsync_init_options_initializer;
    all.do_openssl_init = 0; /* OpenSSL is ours, too; since 1.1 it needs no help */
    MQTTAsync_global_init(&all);
    return MQTTAsync_create(&b->anchor, "tcp://127.0.0.1:1", "anchor", MQTTCLIENT_PERSISTENCE_NONE, NULL) ==
                   MQTTASYNC_SUCCESS
               ? 0
               : -ENOMEM;
}

void paho_unanchor(bus *b) {
    if (b->anchor)
        MQTTAsync_destroy(&b->anchor);
}

static void server_uri(const settings *s, buf *to) {
    bool v6 = strchr(s->broker_host, ':') && s->broker_host[0] != '[';
    bool tls = s->broker_cafile && *s->broker_cafile;
    buf_printf(to, "%s://%s%s%s:%d", tls ? "ssl" : "tcp", v6 ? "[" : "", s->broker_host, v6 ? "]" : "",
               (int)s->broker_port);
}

static int make_client(session *x) {
    const bus_options *o = &x->link->b->o;
    CLEANUP(buf_release) buf uri = BUF(1024);
    CLEANUP(buf_release) buf client = BUF(1024);
    server_uri(o->settings, &uri);
    buf_printf(&client, "%s/%s", o->gateway, x->link->org);
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
    if (buf_failed(&uri) < 0 || buf_failed(&client) < 0 ||
        MQTTAsync_createWithOptions(&x->paho, uri.ptr, client.ptr, MQTTCLIENT_PERSISTENCE_NONE, NULL,
                                    &create) != MQTTASYNC_SUCCESS)
        return -ENOMEM;
    return MQTTAsync_setCallbacks(x->paho, x, on_lost, on_message, NULL) == MQTTASYNC_SUCCESS &&
                   MQTTAsync_setDisconnected(x->paho, x, on_farewell) == MQTTASYNC_SUCCESS
               ? 0
               : -EIO;
}

static int connect_client(session *x, char *token, const buf *will_topic, const buf *will) {
    const bus_options *o = &x->link->b->o;
    MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    MQTTAsync_willOptions last = MQTTAsync_willOptions_initializer;
    tls.trustStore = o->settings->broker_cafile;
    tls.verify = 1; /* the name, too */
    last.topicName = will_topic->ptr;
    last.payload.data = will->ptr;
    last.payload.len = (int)will->len;
    last.retained = 1;
    last.qos = 1;
    connect.context = x;
    connect.keepAliveInterval = KEEPALIVE_S;
    connect.connectTimeout = CONNECT_TIMEOUT_S;
    connect.cleanstart = 1;
    connect.maxInflight = BUS_WINDOW;
    connect.username = o->gateway;
    connect.binarypwd.data = token;
    connect.binarypwd.len = (int)strlen(token);
    connect.will = &last;
    connect.onSuccess5 = on_connected;
    connect.onFailure5 = on_connect_failed;
    if (tls.trustStore && *tls.trustStore)
        connect.ssl = &tls;
    return MQTTAsync_connect(x->paho, &connect) == MQTTASYNC_SUCCESS ? 0 : -EIO;
}

/* Four fifths of a token's life are for one connection. */
static int64_t renewal(instant now, instant until) {
    return until > now ? bus_clock_ms() + (until - now) / 1000 * 4 / 5 : 0;
}

int paho_begin(link *l, session **ret_session, char ret_why[BUS_WHY_MAX]) {
    _Static_assert(BUS_WHY_MAX >= BADGE_WHY_MAX, "a badge's fault fits");
    const bus_options *o = &l->b->o;
    CLEANUP(freep) char *token = NULL;
    CLEANUP(buf_release) buf will_topic = BUF(TOPIC_MAX);
    CLEANUP(buf_release) buf will = BUF(4096);
    instant now = instant_now(), until = 0;
    int fault = badge_make(o->settings, o->gateway, l->org, now, &token, &until, ret_why);
    if (fault < 0)
        return fault;
    session *x = calloc(1, sizeof *x);
    (void)snprintf(ret_why, BUS_WHY_MAX, "out of memory");
    if (!x)
        return -ENOMEM;
    x->link = l;
    x->state = SESSION_CONNECTING;
    x->window = BUS_WINDOW;
    x->begun_ms = bus_clock_ms();
    x->renew_ms = until ? renewal(now, until) : 0;
    bus_status_topic(l, &will_topic);
    if (bus_status(l->b, "offline", now, NULL, &will) < 0 || buf_failed(&will_topic) < 0 ||
        make_client(x) < 0 || connect_client(x, token, &will_topic, &will) < 0) {
        (void)paho_end(x);
        return -ENOMEM;
    }
    *ret_session = x;
    return 0;
}

session *paho_end(session *x) {
    if (!x)
        return NULL;
    if (x->paho)
        MQTTAsync_destroy(&x->paho); /* sends a DISCONNECT first if it is connected */
    free(x);
    return NULL;
}

int paho_send(session *x, const char *topic, text payload, bool retain, bool tell, int *ret_packet) {
    MQTTAsync_message message = MQTTAsync_message_initializer;
    MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;
    message.payload = payload.len ? (void *)payload.ptr : ""; /* Paho copies it */
    message.payloadlen = (int)payload.len;
    message.qos = 1;
    message.retained = retain;
    if (tell) {
        o.context = x;
        o.onSuccess5 = on_published;
        o.onFailure5 = on_publish_failed;
    }
    if (MQTTAsync_sendMessage(x->paho, topic, &message, &o) != MQTTASYNC_SUCCESS)
        return -ENOTCONN;
    *ret_packet = o.token;
    return 0;
}

int paho_subscribe(session *x, size_t from, size_t to) {
    CLEANUP(buf_release) buf filters = BUF(1 << 20);
    size_t at[BUS_LISTENERS_MAX] = {0};
    char *names[BUS_LISTENERS_MAX];
    int qos[BUS_LISTENERS_MAX], count = 0;
    MQTTSubscribe_options each[BUS_LISTENERS_MAX];
    const MQTTSubscribe_options usual = MQTTSubscribe_options_initializer;
    for (size_t i = from; i < to; i++) {
        const listener *l = &x->link->b->listeners[i];
        if (l->org && strcmp(l->org, x->link->org) != 0)
            continue;
        bool whole = l->org || *l->filter == '$';
        at[count++] = filters.len;
        buf_printf(&filters, "%s%s%s%s", whole ? "" : "mayday/v1/", whole ? "" : x->link->org,
                   whole ? "" : "/", l->filter);
        buf_add_char(&filters, '\0');
    }
    if (buf_failed(&filters) < 0)
        return -ENOMEM;
    if (count == 0)
        return 0;
    for (int i = 0; i < count; i++) {
        names[i] = filters.ptr + at[i];
        /* Not 1: Paho leaves Nagle's algorithm on, and behind a PUBACK of ours, which the broker does not
         * answer, what we say next would wait for its delayed TCP acknowledgement, some 40 ms. */
        qos[i] = 0;
        each[i] = usual;
    }
    MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;
    o.context = x;
    o.onSuccess5 = on_subscribed;
    o.onFailure5 = on_subscribe_failed;
    o.subscribeOptions = usual;
    o.subscribeOptionsCount = count;
    o.subscribeOptionsList = each;
    return MQTTAsync_subscribeMany(x->paho, count, names, qos, &o) == MQTTASYNC_SUCCESS ? 0 : -ENOTCONN;
}
