/* bluetooth_hub.c - see bluetooth_inside.h: one connection with D-Bus and one discovery for each adapter, for
 * all sensors of the kind.
 *
 * It lives while there is a sensor, and a moment longer: when the configuration is read anew, the device that
 * changes hands stays connected. */
#include "gateway/sensors/bluetooth_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/log.h"

#define TURN_US       UINT64_C(500000)
#define CALL_S        20
#define LIST_EVERY_MS 1000 /* at most */
#define AGAIN_MS      1000
#define AGAIN_MOST_MS 30000
#define LINGER_MS     3000
#define DISCOVER_MS   20000 /* then the radio is left to those that are connected */
#define BETWEEN_MS    10000
#define TROUBLED_MS   5000

static bt_hub *the_hub; /* of the edge's loop; there is one edge */

int64_t bt_hub_ms(const bt_hub *h) {
    uint64_t now = 0;
    (void)sd_event_now(h->loop, CLOCK_MONOTONIC, &now);
    return (int64_t)(now / 1000);
}

void bt_hub_poke(bt_hub *h) {
    (void)sd_event_source_set_enabled(h->poke, SD_EVENT_ONESHOT);
}

/* ---- calls ---- */

static const struct {
    const char *name, *why; /* of the error, or its message where the name is everybody's */
} sentences[] = {
    {"org.bluez.Error.NotPermitted", "it wants to be paired first (see bluetoothctl, pair)"},
    {"org.bluez.Error.NotAuthorized", "it wants to be paired first (see bluetoothctl, pair)"},
    {"org.bluez.Error.NotReady", "the adapter is not ready"},
    {"org.bluez.Error.InProgress", "somebody else is at it"},
    {"le-connection-abort-by-local", "no connection came about: out of reach, or somebody else has it"},
    {"org.freedesktop.DBus.Error.NoReply", "BlueZ does not answer"},
    {"org.freedesktop.DBus.Error.Timeout", "BlueZ does not answer"},
    {"org.freedesktop.DBus.Error.ServiceUnknown", "BlueZ (bluetoothd) is not running"},
    {"org.freedesktop.DBus.Error.NameHasNoOwner", "BlueZ (bluetoothd) is not running"},
    {"org.freedesktop.DBus.Error.AccessDenied",
     "D-Bus does not let us speak with BlueZ: is our user in the group bluetooth?"},
};

void bt_why(const sd_bus_error *fault, char ret_why[SENSOR_WHY_MAX]) {
    const char *name = fault && fault->name ? fault->name : "unknown";
    const char *message = fault && fault->message ? fault->message : "";
    for (size_t i = 0; i < ARRAY_LEN(sentences); i++)
        if (strcmp(sentences[i].name, name) == 0 || strcmp(sentences[i].name, message) == 0) {
            (void)snprintf(ret_why, SENSOR_WHY_MAX, "%s", sentences[i].why);
            return;
        }
    (void)snprintf(ret_why, SENSOR_WHY_MAX, "%.120s (%.80s)", message, name);
}

/* BlueZ is never started by our asking: who switched it off meant it. */
static int new_call(bt_hub *h, const char *path, const char *interface, const char *method,
                    sd_bus_message **ret_message) {
    int fault = h->bus ? sd_bus_message_new_method_call(h->bus, ret_message, h->owner ? h->owner : BLUEZ,
                                                        path, interface, method)
                       : -ENOTCONN;
    return fault < 0 ? fault : sd_bus_message_set_auto_start(*ret_message, 0);
}

static int send_call(bt_hub *h, sd_bus_message *m, int seconds, sd_bus_message_handler_t answered,
                     void *context, sd_bus_slot **ret_slot) {
    return sd_bus_call_async(h->bus, ret_slot, m, answered, context, (uint64_t)seconds * 1000000);
}

int bt_call(bt_hub *h, const char *path, const char *interface, const char *method, int seconds,
            sd_bus_message_handler_t answered, void *context, sd_bus_slot **ret_slot) {
    sd_bus_message *m = NULL;
    int fault = new_call(h, path, interface, method, &m);
    if (fault >= 0 && strcmp(method, "ReadValue") == 0)
        fault = sd_bus_message_append(m, "a{sv}", 0);
    if (fault >= 0)
        fault = send_call(h, m, seconds, answered, context, ret_slot);
    (void)sd_bus_message_unref(m);
    return fault < 0 ? fault : 0;
}

void bt_tell(bt_hub *h, const char *path, const char *interface, const char *method) {
    sd_bus_message *m = NULL;
    if (new_call(h, path, interface, method, &m) >= 0 && sd_bus_message_set_expect_reply(m, 0) >= 0)
        (void)sd_bus_send(h->bus, m, NULL);
    (void)sd_bus_message_unref(m);
}

/* ---- what is wrong with all of it ---- */

static void set_trouble(bt_hub *h, const char *why) {
    (void)snprintf(h->trouble, sizeof h->trouble, "%s", why);
    if (*why)
        for (bt_strap *st = h->straps; st; st = st->next)
            bt_strap_drop(st, why);
    if (strcmp(h->told, why) == 0)
        return;
    (void)snprintf(h->told, sizeof h->told, "%s", why);
    log_line("edge", *why ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, "Bluetooth: %s",
             *why ? why : "BlueZ is there");
}

static void try_later(bt_hub *h) {
    h->again_ms = bt_hub_ms(h) + h->backoff_ms;
    h->backoff_ms = h->backoff_ms * 2 > AGAIN_MOST_MS ? AGAIN_MOST_MS : h->backoff_ms * 2;
}

static void forget_bluez(bt_hub *h) {
    h->listing = sd_bus_slot_unref(h->listing);
    h->listed = h->stale = false;
    free(h->owner);
    h->owner = NULL;
    bt_tree_clear(h);
    while (h->leaving) {
        bt_leaving *l = h->leaving;
        h->leaving = l->next;
        free(l);
    }
}

/* ---- the list of objects ---- */

static int on_listed(sd_bus_message *m, void *the_hub_of_it, sd_bus_error *unused) {
    bt_hub *h = the_hub_of_it;
    char why[SENSOR_WHY_MAX];
    (void)unused;
    h->listing = sd_bus_slot_unref(h->listing);
    if (sd_bus_message_is_method_error(m, NULL)) {
        bt_why(sd_bus_message_get_error(m), why);
        forget_bluez(h);
        set_trouble(h, why);
        try_later(h);
        return 0;
    }
    const char *sender = sd_bus_message_get_sender(m);
    if (!h->owner && sender)
        h->owner = strdup(sender);
    if (bt_tree_take_all(h, m) < 0)
        log_line("edge", LOG_LEVEL_WARNING, "Bluetooth: BlueZ's list can't be read to its end");
    h->listed = true;
    h->backoff_ms = AGAIN_MS;
    set_trouble(h, "");
    bt_hub_poke(h);
    return 0;
}

static void list(bt_hub *h, int64_t ms) {
    int fault = bt_call(h, "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", CALL_S, on_listed,
                        h, &h->listing);
    h->stale = false;
    h->again_ms = ms + LIST_EVERY_MS;
    if (fault < 0)
        h->lost = true;
}

/* ---- what BlueZ says ---- */

/* Any program on this machine may send us a signal that looks like one of BlueZ's. */
static bool is_by_bluez(const bt_hub *h, sd_bus_message *m) {
    const char *sender = sd_bus_message_get_sender(m);
    return h->listed && h->owner && sender && strcmp(sender, h->owner) == 0;
}

static int on_added(sd_bus_message *m, void *the_hub_of_it, sd_bus_error *unused) {
    bt_hub *h = the_hub_of_it;
    (void)unused;
    if (is_by_bluez(h, m) && bt_tree_take_added(h, m) < 0)
        h->stale = true;
    bt_hub_poke(h);
    return 0;
}

static int on_removed(sd_bus_message *m, void *the_hub_of_it, sd_bus_error *unused) {
    bt_hub *h = the_hub_of_it;
    (void)unused;
    if (is_by_bluez(h, m) && bt_tree_take_removed(h, m) < 0)
        h->stale = true;
    bt_hub_poke(h);
    return 0;
}

/* Most are values, and what strangers in the street advertise: the tree pokes where it matters. */
static int on_changed(sd_bus_message *m, void *the_hub_of_it, sd_bus_error *unused) {
    bt_hub *h = the_hub_of_it;
    (void)unused;
    if (is_by_bluez(h, m) && bt_tree_take_changed(h, m) < 0)
        h->stale = true;
    return 0;
}

static int on_owner(sd_bus_message *m, void *the_hub_of_it, sd_bus_error *unused) {
    bt_hub *h = the_hub_of_it;
    const char *sender = sd_bus_message_get_sender(m), *name, *before, *after;
    (void)unused;
    if (!sender || strcmp(sender, "org.freedesktop.DBus") != 0 ||
        sd_bus_message_read(m, "sss", &name, &before, &after) < 0 || strcmp(name, BLUEZ) != 0)
        return 0;
    forget_bluez(h);
    set_trouble(h, *after ? "BlueZ was started anew" : "BlueZ (bluetoothd) is not running");
    if (*after) {
        h->owner = strdup(after);
        h->backoff_ms = AGAIN_MS;
        h->again_ms = 0;
    }
    bt_hub_poke(h);
    return 0;
}

static int on_lost(sd_bus_message *m, void *the_hub_of_it, sd_bus_error *unused) {
    bt_hub *h = the_hub_of_it;
    (void)m;
    (void)unused;
    h->lost = true;
    bt_hub_poke(h);
    return 0;
}

/* ---- the bus ---- */

static const struct {
    const char *match;
    sd_bus_message_handler_t hear;
} matches[] = {
    {"type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
     "member='NameOwnerChanged',arg0='org.bluez'",
     on_owner},
    {"type='signal',sender='org.bluez',interface='org.freedesktop.DBus.ObjectManager',member='"
     "InterfacesAdded'",
     on_added},
    {"type='signal',sender='org.bluez',interface='org.freedesktop.DBus.ObjectManager',"
     "member='InterfacesRemoved'",
     on_removed},
    {"type='signal',sender='org.bluez',interface='org.freedesktop.DBus.Properties',"
     "member='PropertiesChanged',path_namespace='/org/bluez'",
     on_changed},
    {"type='signal',path='/org/freedesktop/DBus/Local',interface='org.freedesktop.DBus.Local',"
     "member='Disconnected'",
     on_lost},
};

static void close_bus(bt_hub *h) {
    forget_bluez(h);
    for (bt_strap *st = h->straps; st; st = st->next)
        bt_strap_drop(st, "the connection with D-Bus was lost");
    h->bus = sd_bus_close_unref(h->bus);
    h->lost = false;
}

static void open_bus(bt_hub *h) {
    char why[SENSOR_WHY_MAX];
    int fault = sd_bus_open_system_with_description(&h->bus, "mayday-gateway");
    if (fault >= 0)
        fault = sd_bus_set_close_on_exit(h->bus, 0); /* we do, when all devices are let go */
    if (fault >= 0)
        fault = sd_bus_attach_event(h->bus, h->loop, SD_EVENT_PRIORITY_NORMAL);
    for (size_t i = 0; fault >= 0 && i < ARRAY_LEN(matches); i++)
        fault = sd_bus_add_match_async(h->bus, NULL, matches[i].match, matches[i].hear, NULL, h);
    if (fault >= 0) {
        list(h, bt_hub_ms(h));
        return;
    }
    (void)snprintf(why, sizeof why, "D-Bus can't be reached: %s", strerror(-fault));
    close_bus(h);
    set_trouble(h, why);
    try_later(h);
}

/* ---- discovery ---- */

static void discovery_failed(bt_adapter *a, const sd_bus_error *fault) {
    char why[SENSOR_WHY_MAX];
    bt_why(fault, why);
    a->discovery = BT_QUIET;
    a->next_ms = bt_hub_ms(a->hub) + TROUBLED_MS;
    log_line("edge", LOG_LEVEL_INFO, "Bluetooth: no discovery at %s: %s", a->path, why);
}

static int on_discovering(sd_bus_message *m, void *the_adapter, sd_bus_error *unused) {
    bt_adapter *a = the_adapter;
    (void)unused;
    a->call = sd_bus_slot_unref(a->call);
    if (sd_bus_message_is_method_error(m, NULL) &&
        !sd_bus_message_is_method_error(m, "org.bluez.Error.InProgress")) {
        discovery_failed(a, sd_bus_message_get_error(m));
        return 0;
    }
    a->discovery = BT_DISCOVERING;
    a->until_ms = bt_hub_ms(a->hub) + DISCOVER_MS;
    return 0;
}

static int on_filtered(sd_bus_message *m, void *the_adapter, sd_bus_error *unused) {
    bt_adapter *a = the_adapter;
    (void)unused;
    a->call = sd_bus_slot_unref(a->call);
    if (sd_bus_message_is_method_error(m, NULL))
        discovery_failed(a, sd_bus_message_get_error(m));
    else if (bt_call(a->hub, a->path, BT_ADAPTER, "StartDiscovery", CALL_S, on_discovering, a, &a->call) < 0)
        a->discovery = BT_QUIET;
    return 0;
}

static void discover(bt_hub *h, bt_adapter *a) {
    sd_bus_message *m = NULL;
    int fault = new_call(h, a->path, BT_ADAPTER, "SetDiscoveryFilter", &m);
    if (fault >= 0)
        fault = sd_bus_message_append(m, "a{sv}", 2, "Transport", "s", "le", "DuplicateData", "b", 0);
    if (fault >= 0)
        fault = send_call(h, m, CALL_S, on_filtered, a, &a->call);
    (void)sd_bus_message_unref(m);
    a->discovery = fault < 0 ? BT_QUIET : BT_ASKED;
}

static bool lacks_any(const bt_hub *h, const bt_adapter *a) {
    for (const bt_strap *st = h->straps; st; st = st->next)
        if (st->lacks_it && bt_strap_uses(st, a))
            return true;
    return false;
}

static void turn_discovery(bt_hub *h, bt_adapter *a, int64_t ms) {
    bool wanted = a->powered && lacks_any(h, a);
    switch (a->discovery) {
    case BT_QUIET:
        if (wanted && !a->call && ms >= a->next_ms)
            discover(h, a);
        return;
    case BT_ASKED:
        return;
    case BT_DISCOVERING:
        if (wanted && ms < a->until_ms)
            return;
        bt_tell(h, a->path, BT_ADAPTER, "StopDiscovery");
        a->discovery = BT_QUIET;
        a->next_ms = ms + BETWEEN_MS;
        return;
    }
}

/* ---- its life ---- */

void bt_hub_let_go(bt_hub *h, const char *device) {
    size_t size = strlen(device) + 1;
    bt_leaving *l = malloc(sizeof *l + size);
    if (!l) {
        bt_tell(h, device, BT_DEVICE, "Disconnect");
        return;
    }
    memcpy(l->path, device, size);
    l->at_ms = bt_hub_ms(h) + LINGER_MS;
    l->next = h->leaving;
    h->leaving = l;
}

bool bt_hub_regain(bt_hub *h, const char *device) {
    for (bt_leaving **at = &h->leaving; *at; at = &(*at)->next)
        if (strcmp((*at)->path, device) == 0) {
            bt_leaving *l = *at;
            *at = l->next;
            free(l);
            return true;
        }
    return false;
}

static void part(bt_hub *h, int64_t ms) {
    for (bt_leaving **at = &h->leaving; *at;) {
        bt_leaving *l = *at;
        if (ms < l->at_ms) {
            at = &l->next;
            continue;
        }
        bt_tell(h, l->path, BT_DEVICE, "Disconnect");
        *at = l->next;
        free(l);
    }
}

static void hub_free(bt_hub *h) {
    if (h->bus)
        part(h, INT64_MAX);
    close_bus(h);
    (void)sd_event_source_disable_unref(h->timer);
    (void)sd_event_source_disable_unref(h->poke);
    (void)sd_event_source_disable_unref(h->end);
    if (the_hub == h)
        the_hub = NULL;
    free(h);
}

static void turn(bt_hub *h) {
    int64_t ms = bt_hub_ms(h);
    if (h->lost) {
        close_bus(h);
        set_trouble(h, "the connection with D-Bus was lost");
        try_later(h);
    }
    if (!h->bus && ms >= h->again_ms)
        open_bus(h);
    if (h->bus && !h->listing && ms >= h->again_ms && (h->stale || !h->listed))
        list(h, ms);
    if (!h->listed)
        return;
    for (bt_strap *st = h->straps; st; st = st->next)
        bt_strap_turn(st, ms);
    for (bt_adapter *a = h->tree.adapters; a; a = a->next)
        turn_discovery(h, a, ms);
    part(h, ms);
}

static int on_poke(sd_event_source *source, void *the_hub_of_it) {
    (void)source;
    turn(the_hub_of_it);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *the_hub_of_it) {
    bt_hub *h = the_hub_of_it;
    (void)usec;
    turn(h);
    if (!h->straps && bt_hub_ms(h) - h->idle_ms > 2 * LINGER_MS) {
        hub_free(h);
        return 0;
    }
    (void)sd_event_source_set_time_relative(source, TURN_US);
    (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

/* The loop ends. Sensors are closed after it; without one, nobody else would end this. */
static int on_end(sd_event_source *source, void *the_hub_of_it) {
    bt_hub *h = the_hub_of_it;
    (void)source;
    if (!h->straps)
        hub_free(h);
    return 0;
}

static int hub_new(sd_event *loop, bt_hub **ret_hub) {
    bt_hub *h = calloc(1, sizeof *h);
    if (!h)
        return -ENOMEM;
    h->loop = loop;
    h->backoff_ms = AGAIN_MS;
    int fault = sd_event_add_time_relative(loop, &h->timer, CLOCK_MONOTONIC, 0, TURN_US / 10, on_timer, h);
    if (fault >= 0)
        fault = sd_event_add_defer(loop, &h->poke, on_poke, h);
    if (fault >= 0)
        fault = sd_event_add_exit(loop, &h->end, on_end, h);
    if (fault < 0) {
        hub_free(h);
        return fault;
    }
    *ret_hub = h;
    return 0;
}

int bt_hub_join(sd_event *loop, bt_strap *strap) {
    int fault = the_hub ? 0 : hub_new(loop, &the_hub);
    if (fault < 0)
        return fault;
    bt_strap **at = &the_hub->straps;
    while (*at)
        at = &(*at)->next;
    *at = strap;
    strap->hub = the_hub;
    the_hub->stale = true; /* its device was perhaps nobody's before, and not kept */
    if (*the_hub->trouble)
        bt_strap_drop(strap, the_hub->trouble);
    bt_hub_poke(the_hub);
    return 0;
}

void bt_hub_leave(bt_strap *strap) {
    bt_hub *h = strap->hub;
    for (bt_strap **at = &h->straps; *at; at = &(*at)->next)
        if (*at == strap) {
            *at = strap->next;
            break;
        }
    h->idle_ms = bt_hub_ms(h);
    if (!h->straps && sd_event_get_state(h->loop) != SD_EVENT_RUNNING) /* the loop is over */
        hub_free(h);
}
