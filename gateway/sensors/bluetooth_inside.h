/* bluetooth_inside.h - what the files of the kind `bluetooth` share; nobody else includes it.
 *
 *   bluetooth.c       one sensor: find its device, connect, and all of it again
 *   bluetooth_links.c what of a device is listened to, and what it says
 *   bluetooth_hub.c   what all of them share: the connection with D-Bus, the list of objects, the discovery
 *   bluetooth_tree.c  the objects of BlueZ that concern us, as it last said
 *
 * Signals and answers only change the tree and a sensor's phase; what is to be done follows from these, and
 * is looked at anew in each turn of the hub (twice a second, and after each of them). So nothing depends on
 * the order in which BlueZ says things, or on a signal that came while nobody listened.
 *
 * Threads: the edge's alone. Nothing here waits: every call is asynchronous. */
#ifndef MAYDAY_GATEWAY_SENSORS_BLUETOOTH_INSIDE_H
#define MAYDAY_GATEWAY_SENSORS_BLUETOOTH_INSIDE_H

#include <systemd/sd-bus.h>

#include "gateway/sensors/sensor.h"

#define BLUEZ             "org.bluez"
#define BT_ADAPTER        "org.bluez.Adapter1"
#define BT_DEVICE         "org.bluez.Device1"
#define BT_CHARACTERISTIC "org.bluez.GattCharacteristic1"
#define BT_BATTERY        "org.bluez.Battery1"

#define BT_ADDRESS 17  /* characters */
#define BT_NAME    248 /* bytes */

typedef struct bt_hub bt_hub;
typedef struct bt_strap bt_strap; /* one sensor of ours; many are straps */

/* ---- the tree ---- */

typedef enum bt_discovery {
    BT_QUIET = 0,
    BT_ASKED, /* the calls that start it are under way */
    BT_DISCOVERING,
} bt_discovery;

typedef struct bt_adapter {
    struct bt_adapter *next;
    bt_hub *hub;
    char *path;
    char address[BT_ADDRESS + 1];
    bool powered, seen; /* seen: while listing */
    bt_discovery discovery;
    int64_t until_ms, next_ms; /* discovering; and when it may begin again */
    sd_bus_slot *call;
} bt_adapter;

typedef struct bt_device {
    struct bt_device *next;
    char *path;
    char address[BT_ADDRESS + 1], name[BT_NAME + 1];
    bool connected, resolved, paired, trusted, blocked;
    int percentage;   /* of its battery, as BlueZ says it; -1: it does not */
    int64_t heard_ms; /* when it last advertised */
} bt_device;

typedef struct bt_characteristic {
    struct bt_characteristic *next;
    char *path;
    const gatt_characteristic *is;
    bool notifies, reads;
} bt_characteristic;

typedef struct bt_tree {
    bt_adapter *adapters;
    bt_device *devices; /* only those that may be somebody's: there are many in a street */
    bt_characteristic *characteristics;
    size_t device_count, characteristic_count;
} bt_tree;

/* Each returns 0 or a negative errno: what it was given is not as it should be. */
int bt_tree_take_all(bt_hub *h, sd_bus_message *objects); /* a{oa{sa{sv}}}: all that there is */
int bt_tree_take_added(bt_hub *h, sd_bus_message *m);     /* oa{sa{sv}} */
int bt_tree_take_removed(bt_hub *h, sd_bus_message *m);   /* oas */
int bt_tree_take_changed(bt_hub *h, sd_bus_message *m);   /* of a path: sa{sv}as */
int bt_tree_value(sd_bus_message *m, const unsigned char **ret_bytes, size_t *ret_len); /* ay */
void bt_tree_clear(bt_hub *h);
bt_device *bt_tree_device(bt_tree *t, const char *path);
bool bt_beneath(const char *path, const char *above);

/* ---- the hub ---- */

/* A device that no sensor has any more: let go in a moment, unless another takes it. */
typedef struct bt_leaving {
    struct bt_leaving *next;
    int64_t at_ms;
    char path[];
} bt_leaving;

struct bt_hub {
    sd_event *loop;
    sd_event_source *timer, *poke, *end;
    sd_bus *bus;          /* NULL: there is none */
    bool lost;            /* and is to be closed */
    char *owner;          /* BlueZ's own name on the bus: only what it says is believed; NULL: not known */
    sd_bus_slot *listing; /* under way */
    bool listed, stale;   /* stale: list it again */
    int64_t again_ms, backoff_ms;
    char trouble[SENSOR_WHY_MAX]; /* "": none */
    char told[SENSOR_WHY_MAX];    /* to the log */
    bt_tree tree;
    bt_strap *straps;
    bt_leaving *leaving;
    int64_t idle_ms; /* since when it has no sensor */
};

int bt_hub_join(sd_event *loop, bt_strap *strap); /* sets its hub; the first makes it */
void bt_hub_leave(bt_strap *strap);
void bt_hub_poke(bt_hub *h);
int64_t bt_hub_ms(const bt_hub *h);
void bt_hub_let_go(bt_hub *h, const char *device); /* in a moment */
bool bt_hub_regain(bt_hub *h, const char *device); /* true: it was to be let go */

/* `answered` runs on the loop unless *ret_slot is released before. 0 or a negative errno. */
int bt_call(bt_hub *h, const char *path, const char *interface, const char *method, int seconds,
            sd_bus_message_handler_t answered, void *context, sd_bus_slot **ret_slot);
void bt_tell(bt_hub *h, const char *path, const char *interface, const char *method); /* no answer wanted */
/* Why a call failed, as a sentence. */
void bt_why(const sd_bus_error *fault, char ret_why[SENSOR_WHY_MAX]);

/* ---- one sensor ---- */

typedef enum bt_phase {
    BT_WAITING = 0, /* for the device, or for the next try */
    BT_CONNECTING,
    BT_RESOLVING, /* connected; BlueZ reads what services it has */
    BT_SUBSCRIBING,
    BT_LISTENING,
} bt_phase;

typedef enum bt_link_state {
    BT_LINK_FAILED = 0,
    BT_LINK_ASKED,
    BT_LINK_ON,
} bt_link_state;

/* One characteristic that is listened to. */
typedef struct bt_link {
    bt_strap *strap;
    char *path;
    const gatt_characteristic *is;
    bt_link_state state;
    bool notifies, reads, asked; /* asked: it was tried */
    sd_bus_slot *notify, *read;
} bt_link;

/* What a characteristic says that dates its values. */
typedef struct bt_dated {
    gatt_dates dates;
    sensed *held; /* until it is known whether another is newer */
    int64_t since_ms, due_ms;
} bt_dated;

#define BT_LINKS_MAX 16
#define BT_KINDS_MAX 16   /* of characteristics */
#define BT_AGAIN_MS  1000 /* after what went wrong once */

struct bt_strap {
    struct bt_strap *next;
    bt_hub *hub;
    sensor *s;
    char address[BT_ADDRESS + 1], name[BT_NAME + 1], adapter[BT_ADDRESS + 1]; /* "": any */
    bool only_paired;
    bt_phase phase;
    char *device;  /* its path, from connecting on */
    bool ours;     /* we connected it */
    bool changed;  /* what is listened to has gone from the device */
    bool grown;    /* there is perhaps more to be listened to */
    bool lacks_it; /* BlueZ knows no such device: discover */
    sd_bus_slot *call;
    int64_t due_ms, failed_ms, backoff_ms;
    int64_t known_ms;           /* since when BlueZ knows its services; 0: it does not */
    int64_t spoke_ms, quiet_ms; /* when it last measured something; asked again when silent for so long */
    bt_link links[BT_LINKS_MAX];
    size_t link_count;
    bt_dated dated[BT_KINDS_MAX]; /* as gatt_characteristics */
    instant booted;               /* by the clock; when that leaps, what was dated tells nothing any more */
    char why[SENSOR_WHY_MAX];
};

void bt_strap_turn(bt_strap *st, int64_t ms);
void bt_strap_says(bt_strap *st, sensor_state state, const char *why);
void bt_strap_fail(bt_strap *st, int64_t ms, const char *why); /* the device is left, and tried again later */
void bt_strap_drop(bt_strap *st, const char *why);             /* BlueZ, or the whole bus, has gone */
bool bt_strap_wants(const bt_strap *st, const char *address, const char *name);
bool bt_strap_uses(const bt_strap *st, const bt_adapter *a);

/* ---- what it listens to ---- */

bool bt_links_measure(const bt_strap *st); /* its device has a characteristic that measures something */
void bt_links_subscribe(bt_strap *st, const bt_device *d, int64_t ms);
void bt_links_tend(bt_strap *st, int64_t ms); /* what is missing, new or silent */
void bt_links_drop(bt_strap *st, bool stop);
void bt_links_release(bt_strap *st, int64_t ms); /* what was held for long enough */
/* What BlueZ says, to whom it concerns. `bytes` NULL: a value that is none. */
void bt_links_value(bt_hub *h, const char *path, const unsigned char *bytes, size_t len);
void bt_links_battery(bt_hub *h, const char *device, unsigned char percent);
void bt_links_added(bt_hub *h, const char *characteristic);
void bt_links_removed(bt_hub *h, const char *characteristic);

#endif
