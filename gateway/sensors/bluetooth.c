/* bluetooth.c - a Bluetooth LE sensor of a body, through BlueZ: finds the device it is configured with,
 * connects, subscribes to the characteristics that lib/sense can read, and does it again whenever that ends.
 * See bluetooth_inside.h for how the files divide it.
 *
 * Only devices that are configured are ever connected. One that is named rather than addressed must be paired
 * or trusted, too: anybody can call a device what he likes. A device is one person's at a time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/sensors/bluetooth_inside.h"

extern const sensor_kind sensor_kind_bluetooth;

#define CONNECT_S     45 /* BlueZ itself gives up before */
#define RESOLVE_MS    30000
#define EXPORT_MS     3000  /* BlueZ may say that it knows the services before it says which */
#define AGAIN_MOST_MS 20000 /* a cuff may be heard for half a minute after it measured, and then no more */
#define HEARD_MS      5000  /* one that advertises is tried so often at least */
#define STUBBORN_MS   8000  /* failed so often, it is disconnected though somebody else has it */

void bt_strap_says(bt_strap *st, sensor_state state, const char *why) {
    (void)snprintf(st->why, sizeof st->why, "%s", why);
    sensor_says(st->s, state, st->why);
}

static const char *label(const bt_strap *st) {
    return *st->address ? st->address : st->name;
}

/* ---- which device it is ---- */

bool bt_strap_wants(const bt_strap *st, const char *address, const char *name) {
    return *st->address ? strcasecmp(st->address, address) == 0 : strcmp(st->name, name) == 0;
}

bool bt_strap_uses(const bt_strap *st, const bt_adapter *a) {
    const char *name = strrchr(a->path, '/');
    return !*st->adapter || strcasecmp(st->adapter, a->address) == 0 ||
           (name && strcmp(st->adapter, name + 1) == 0);
}

static bt_adapter *adapter_of(const bt_strap *st, const bt_device *d) {
    for (bt_adapter *a = st->hub->tree.adapters; a; a = a->next)
        if (bt_strap_uses(st, a) && bt_beneath(d->path, a->path))
            return a;
    return NULL;
}

/* NULL, and why no adapter can be had. */
static bool has_adapter(const bt_strap *st, char ret_why[SENSOR_WHY_MAX]) {
    bool any = false;
    for (const bt_adapter *a = st->hub->tree.adapters; a; a = a->next)
        if (bt_strap_uses(st, a)) {
            if (a->powered)
                return true;
            any = true;
        }
    (void)snprintf(ret_why, SENSOR_WHY_MAX, "%s%s%s",
                   any ? "the Bluetooth adapter is switched off" : "there is no Bluetooth adapter",
                   *st->adapter ? " " : "", st->adapter);
    return false;
}

/* Of two sensors with the same device, only the first is ever read, also while it can't be: what the device
 * says is of one body, and must not become another's because of a mistake in the configuration. */
static bool is_taken(const bt_strap *st, const bt_device *d) {
    bool before = true;
    for (const bt_strap *other = st->hub->straps; other; other = other->next) {
        if (other == st)
            before = false;
        else if ((before && bt_strap_wants(other, d->address, d->name)) ||
                 (other->device && strcmp(other->device, d->path) == 0))
            return true;
    }
    return false;
}

static const char *unfit(const bt_strap *st, const bt_device *d) {
    if (d->blocked)
        return "it is blocked (see bluetoothctl, unblock)";
    if (st->only_paired && !d->paired)
        return "it is not paired (see bluetoothctl, pair)";
    if (!*st->address && !d->paired && !d->trusted)
        return "one that goes by its name must be paired or trusted (see bluetoothctl)";
    return is_taken(st, d) ? "another sensor has it already" : NULL;
}

static bool is_better(const bt_device *d, const bt_device *than) {
    return d->connected != than->connected ? d->connected : d->heard_ms > than->heard_ms;
}

/* The same device may be known to several adapters: one that is connected is preferred, then the one that
 * was heard last. NULL, and why. */
static bt_device *find(bt_strap *st, char ret_why[SENSOR_WHY_MAX]) {
    bt_device *found = NULL;
    const char *why = "is not there";
    st->lacks_it = false;
    if (!has_adapter(st, ret_why))
        return NULL;
    for (bt_device *d = st->hub->tree.devices; d; d = d->next) {
        const bt_adapter *a = adapter_of(st, d);
        if (!a || !a->powered || !bt_strap_wants(st, d->address, d->name))
            continue;
        const char *against = unfit(st, d);
        if (against) {
            why = against;
            continue;
        }
        if (found && strcmp(found->address, d->address) != 0) {
            (void)snprintf(ret_why, SENSOR_WHY_MAX, "there are two of that name: %.17s and %.17s",
                           found->address, d->address);
            return NULL;
        }
        if (!found || is_better(d, found))
            found = d;
    }
    st->lacks_it = !found && strcmp(why, "is not there") == 0;
    if (!found)
        (void)snprintf(ret_why, SENSOR_WHY_MAX, "%.100s: %.120s", label(st),
                       st->lacks_it ? "it is not there" : why);
    return found;
}

/* ---- letting go ---- */

static void leave_device(bt_strap *st) {
    st->call = sd_bus_slot_unref(st->call);
    free(st->device);
    st->device = NULL;
    st->ours = false;
    st->phase = BT_WAITING;
}

void bt_strap_drop(bt_strap *st, const char *why) {
    bt_links_release(st, INT64_MAX);
    bt_links_drop(st, false);
    leave_device(st);
    st->lacks_it = false;
    st->due_ms = 0;
    st->backoff_ms = BT_AGAIN_MS;
    bt_strap_says(st, SENSOR_SEEKING, why);
}

/* Twice as long each time, and not all of them at the same moment. */
void bt_strap_fail(bt_strap *st, int64_t ms, const char *why) {
    char sentence[SENSOR_WHY_MAX];
    bool there = st->phase >= BT_RESOLVING;
    uint32_t noise = (uint32_t)ms * UINT32_C(2654435761) + (uint32_t)(uintptr_t)st;
    bt_links_drop(st, there);
    if (st->ours || st->call || (there && st->backoff_ms >= STUBBORN_MS))
        bt_tell(st->hub, st->device, BT_DEVICE, "Disconnect");
    leave_device(st);
    st->failed_ms = ms;
    st->due_ms = ms + st->backoff_ms + st->backoff_ms * (int64_t)(noise % 256) / 1024;
    st->backoff_ms = st->backoff_ms * 2 > AGAIN_MOST_MS ? AGAIN_MOST_MS : st->backoff_ms * 2;
    (void)snprintf(sentence, sizeof sentence, "%.100s: %.150s", label(st), why);
    bt_strap_says(st, SENSOR_SEEKING, sentence);
}

/* ---- connecting ---- */

static int on_connected(sd_bus_message *m, void *the_strap, sd_bus_error *unused) {
    bt_strap *st = the_strap;
    char why[SENSOR_WHY_MAX];
    (void)unused;
    bool others = sd_bus_message_is_method_error(m, "org.bluez.Error.AlreadyConnected");
    st->call = sd_bus_slot_unref(st->call);
    if (!sd_bus_message_is_method_error(m, NULL)) {
        st->ours = true;
    } else if (!others && st->phase == BT_CONNECTING) {
        /* Unanswered, BlueZ goes on trying unless it is told. Refused, it may be the attempt of another
         * gateway, or of one that has died meanwhile: that one ends only when somebody says so. */
        st->ours = sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY) ||
                   (sd_bus_message_is_method_error(m, "org.bluez.Error.InProgress") &&
                    st->backoff_ms >= STUBBORN_MS);
        bt_why(sd_bus_message_get_error(m), why);
        bt_strap_fail(st, bt_hub_ms(st->hub), why);
    }
    bt_hub_poke(st->hub);
    return 0;
}

static void resolve(bt_strap *st, int64_t ms) {
    st->phase = BT_RESOLVING;
    st->due_ms = ms + RESOLVE_MS;
    st->known_ms = 0;
}

static void await_services(bt_strap *st, const bt_device *d, int64_t ms) {
    if (d->resolved && !st->known_ms)
        st->known_ms = ms;
    if (d->resolved && (bt_links_measure(st) || ms >= st->known_ms + EXPORT_MS))
        bt_links_subscribe(st, d, ms);
    else if (!d->resolved && ms >= st->due_ms)
        bt_strap_fail(st, ms, "it does not say what services it has");
}

static bool is_due(const bt_strap *st, const bt_device *d, int64_t ms) {
    int64_t soon = st->backoff_ms < HEARD_MS ? st->backoff_ms : HEARD_MS;
    return ms >= st->due_ms || (d->heard_ms > st->failed_ms && ms >= st->failed_ms + soon);
}

static void begin(bt_strap *st, const bt_device *d, int64_t ms) {
    if (!is_due(st, d, ms) || !(st->device = strdup(d->path)))
        return;
    st->ours = bt_hub_regain(st->hub, d->path);
    if (d->connected) {
        resolve(st, ms);
        return;
    }
    st->phase = BT_CONNECTING;
    st->due_ms = ms + (CONNECT_S + 1) * INT64_C(1000);
    bt_strap_says(st, SENSOR_SEEKING, "it is being connected");
    if (bt_call(st->hub, st->device, BT_DEVICE, "Connect", CONNECT_S, on_connected, st, &st->call) < 0)
        bt_strap_fail(st, ms, "it can't be called");
}

void bt_strap_turn(bt_strap *st, int64_t ms) {
    char why[SENSOR_WHY_MAX] = "";
    bt_links_release(st, ms);
    bt_device *d = st->device ? bt_tree_device(&st->hub->tree, st->device) : NULL;
    if (st->device && !d) {
        bt_links_drop(st, false);
        leave_device(st);
        st->due_ms = 0;
    }
    if (!d && !(d = find(st, why))) {
        bt_strap_says(st, SENSOR_SEEKING, why);
        return;
    }
    if (st->phase >= BT_RESOLVING && !d->connected) {
        bt_strap_fail(st, ms, "the connection was lost");
        return;
    }
    if (st->phase >= BT_SUBSCRIBING && st->changed) {
        bt_strap_fail(st, ms, "its services have changed");
        return;
    }
    switch (st->phase) {
    case BT_WAITING:
        begin(st, d, ms);
        return;
    case BT_CONNECTING:
        if (d->connected)
            resolve(st, ms);
        else if (ms >= st->due_ms)
            bt_strap_fail(st, ms, "it is connected, as BlueZ says, and is not");
        return;
    case BT_RESOLVING:
        await_services(st, d, ms);
        return;
    case BT_SUBSCRIBING:
        return;
    case BT_LISTENING:
        bt_links_tend(st, ms);
        return;
    }
}

/* ---- its life ---- */

static void close_bluetooth(void *state) {
    bt_strap *st = state;
    if (!st)
        return;
    bt_links_release(st, INT64_MAX); /* it is still this person's */
    if (st->device && (st->ours || st->call))
        bt_hub_let_go(st->hub, st->device);
    bt_links_drop(st, st->device != NULL);
    leave_device(st);
    if (st->hub)
        bt_hub_leave(st);
    free(st);
}

static void copy(const json *options, const char *name, char *to, size_t size) {
    text value = json_get_string(options, name);
    if (value.ptr)
        (void)snprintf(to, size, "%.*s", (int)value.len, value.ptr);
}

static int open_bluetooth(sensor *s, sd_event *loop, const json *options, void **ret_state,
                          char ret_why[SENSOR_WHY_MAX]) {
    const json *paired = json_get(options, "paired");
    if (!sensor_person(s).len) {
        (void)snprintf(ret_why, SENSOR_WHY_MAX, "it does not say whose body it reads: it needs 'person'");
        return -EINVAL;
    }
    bt_strap *st = calloc(1, sizeof *st);
    if (!st)
        return -ENOMEM;
    st->s = s;
    st->backoff_ms = BT_AGAIN_MS;
    st->only_paired = paired && json_boolean(paired);
    copy(options, "address", st->address, sizeof st->address);
    copy(options, "name", st->name, sizeof st->name);
    copy(options, "adapter", st->adapter, sizeof st->adapter);
    int fault = -EINVAL;
    if (!*st->address == !*st->name)
        (void)snprintf(ret_why, SENSOR_WHY_MAX, "which device? 'address' or 'name', and not both");
    else
        fault = bt_hub_join(loop, st);
    if (fault < 0) {
        free(st);
        return fault;
    }
    *ret_state = st;
    return 0;
}

const sensor_kind sensor_kind_bluetooth = {
    .name = "bluetooth",
    .measures = "heart rate, beats, oxygen saturation, temperature, blood pressure, battery",
    .open = open_bluetooth,
    .close = close_bluetooth,
};
