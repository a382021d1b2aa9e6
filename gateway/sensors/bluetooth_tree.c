/* bluetooth_tree.c - see bluetooth_inside.h: reads what BlueZ says of its objects, and keeps what concerns
 * us.
 *
 * Property values of a wrong type are stepped over. `Value` of a characteristic is taken from a change alone,
 * never from a list: there it is what was last said, perhaps hours ago and of somebody else. */
#include "gateway/sensors/bluetooth_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES_MAX         2000
#define STRANGERS_MAX       64 /* that bear a name we look for: anybody within reach can call himself so */
#define CHARACTERISTICS_MAX 8000
#define VALUE_MAX           512 /* as the specification has it */

/* What was said of one object by one interface. */
typedef struct said {
    const char *address, *name, *alias, *uuid;                               /* NULL: not said */
    int powered, connected, resolved, paired, trusted, blocked, discovering; /* -1: not said */
    bool rssi, notifies, reads;
    int percentage;
    const unsigned char *value; /* NULL: not said, or not to be read */
    size_t value_len;
    bool strange; /* a value of a wrong type */
} said;

static const said nothing = {.powered = -1,
                             .connected = -1,
                             .resolved = -1,
                             .paired = -1,
                             .trusted = -1,
                             .blocked = -1,
                             .discovering = -1,
                             .percentage = -1};

static const struct {
    const char *name, *type;
    size_t at;
} properties[] = {
    {"Address", "s", offsetof(said, address)},
    {"Name", "s", offsetof(said, name)},
    {"Alias", "s", offsetof(said, alias)},
    {"UUID", "s", offsetof(said, uuid)},
    {"Powered", "b", offsetof(said, powered)},
    {"Connected", "b", offsetof(said, connected)},
    {"ServicesResolved", "b", offsetof(said, resolved)},
    {"Paired", "b", offsetof(said, paired)},
    {"Trusted", "b", offsetof(said, trusted)},
    {"Blocked", "b", offsetof(said, blocked)},
    {"Discovering", "b", offsetof(said, discovering)},
};

/* ---- the message's language ---- */

static bool is_next(sd_bus_message *m, const char *type) {
    const char *contents = NULL;
    return sd_bus_message_peek_type(m, NULL, &contents) > 0 && contents && strcmp(contents, type) == 0;
}

int bt_tree_value(sd_bus_message *m, const unsigned char **ret_bytes, size_t *ret_len) {
    const void *bytes = NULL;
    size_t len = 0;
    int fault = sd_bus_message_read_array(m, 'y', &bytes, &len);
    if (fault < 0)
        return fault;
    if (len > VALUE_MAX)
        return -EMSGSIZE;
    *ret_bytes = len ? bytes : (const unsigned char *)"";
    *ret_len = len;
    return 0;
}

static int read_flags(sd_bus_message *m, said *s) {
    const char *flag;
    int got = sd_bus_message_enter_container(m, 'v', "as");
    if (got >= 0)
        got = sd_bus_message_enter_container(m, 'a', "s");
    while (got >= 0 && (got = sd_bus_message_read_basic(m, 's', &flag)) > 0) {
        s->notifies |= strcmp(flag, "notify") == 0 || strcmp(flag, "indicate") == 0;
        s->reads |= strcmp(flag, "read") == 0;
    }
    if (got >= 0)
        got = sd_bus_message_exit_container(m);
    return got < 0 ? got : sd_bus_message_exit_container(m);
}

static int read_value(sd_bus_message *m, said *s) {
    int got = sd_bus_message_enter_container(m, 'v', "ay");
    if (got < 0)
        return got;
    got = bt_tree_value(m, &s->value, &s->value_len);
    if (got < 0 && got != -EMSGSIZE)
        return got;
    s->strange |= got == -EMSGSIZE;
    return sd_bus_message_exit_container(m);
}

static int read_property(sd_bus_message *m, const char *name, said *s) {
    unsigned char percent = 0;
    for (size_t i = 0; i < ARRAY_LEN(properties); i++)
        if (strcmp(properties[i].name, name) == 0 && is_next(m, properties[i].type))
            return sd_bus_message_read(m, "v", properties[i].type, (char *)s + properties[i].at);
    if (strcmp(name, "Flags") == 0 && is_next(m, "as"))
        return read_flags(m, s);
    if (strcmp(name, "Value") == 0 && is_next(m, "ay"))
        return read_value(m, s);
    if (strcmp(name, "Percentage") == 0 && is_next(m, "y")) {
        int got = sd_bus_message_read(m, "v", "y", &percent);
        s->percentage = percent;
        return got;
    }
    s->strange |= strcmp(name, "Value") == 0;
    s->rssi |= strcmp(name, "RSSI") == 0;
    return sd_bus_message_skip(m, "v");
}

/* a{sv} */
static int read_properties(sd_bus_message *m, said *s) {
    const char *name;
    *s = nothing;
    int got = sd_bus_message_enter_container(m, 'a', "{sv}");
    while (got >= 0 && (got = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        got = sd_bus_message_read_basic(m, 's', &name);
        if (got >= 0)
            got = read_property(m, name, s);
        if (got >= 0)
            got = sd_bus_message_exit_container(m);
    }
    return got < 0 ? got : sd_bus_message_exit_container(m);
}

/* ---- what is kept ---- */

static void put(char *to, size_t size, const char *from) {
    if (from)
        (void)snprintf(to, size, "%.*s", (int)size - 1, from);
}

static void put_bool(bool *to, int from) {
    if (from >= 0)
        *to = from > 0;
}

bool bt_beneath(const char *path, const char *above) {
    size_t len = strlen(above);
    return strncmp(path, above, len) == 0 && path[len] == '/';
}

bt_device *bt_tree_device(bt_tree *t, const char *path) {
    for (bt_device *d = t->devices; d && path; d = d->next)
        if (strcmp(d->path, path) == 0)
            return d;
    return NULL;
}

static bt_adapter *adapter_at(bt_tree *t, const char *path) {
    for (bt_adapter *a = t->adapters; a; a = a->next)
        if (strcmp(a->path, path) == 0)
            return a;
    return NULL;
}

static bt_characteristic *characteristic_at(bt_tree *t, const char *path) {
    for (bt_characteristic *c = t->characteristics; c; c = c->next)
        if (strcmp(c->path, path) == 0)
            return c;
    return NULL;
}

static void take_adapter(bt_hub *h, const char *path, const said *s, bool whole) {
    bt_adapter *a = adapter_at(&h->tree, path);
    if (!a && whole && (a = calloc(1, sizeof *a))) {
        a->hub = h;
        if (!(a->path = strdup(path))) {
            free(a);
            return;
        }
        a->next = h->tree.adapters;
        h->tree.adapters = a;
    }
    if (!a)
        return;
    a->seen = true;
    put(a->address, sizeof a->address, s->address);
    put_bool(&a->powered, s->powered);
    bt_hub_poke(h);
    if (s->discovering == 0 && a->discovery == BT_DISCOVERING)
        a->discovery = BT_QUIET; /* it ended by itself */
    if (s->powered == 0 && !a->call)
        a->discovery = BT_QUIET;
}

static bool is_wanted(const bt_hub *h, const char *address, const char *name) {
    for (const bt_strap *st = h->straps; st; st = st->next)
        if (bt_strap_wants(st, address, name))
            return true;
    return false;
}

static bool has_room(const bt_tree *t, bool stranger) {
    size_t strangers = 0;
    for (const bt_device *d = t->devices; stranger && d; d = d->next)
        strangers += !d->paired && !d->trusted;
    return strangers < STRANGERS_MAX && t->device_count < DEVICES_MAX;
}

static bt_device *new_device(bt_tree *t, const char *path, bool stranger) {
    bt_device *d = has_room(t, stranger) ? calloc(1, sizeof *d) : NULL;
    if (!d || !(d->path = strdup(path))) {
        free(d);
        return NULL;
    }
    d->percentage = -1;
    d->next = t->devices;
    t->devices = d;
    t->device_count++;
    return d;
}

static void take_device(bt_hub *h, const char *path, const said *s, bool whole) {
    bt_device *d = bt_tree_device(&h->tree, path);
    const char *name = s->alias ? s->alias : s->name; /* an alias is given by whoever set the gateway up */
    if (!d && is_wanted(h, s->address ? s->address : "", name ? name : "")) {
        if (!whole) { /* it has said its name only now: the rest is in the list */
            h->stale = true;
            bt_hub_poke(h);
            return;
        }
        bool addressed = is_wanted(h, s->address ? s->address : "", "");
        d = new_device(&h->tree, path, !addressed && s->paired <= 0 && s->trusted <= 0);
    }
    if (!d)
        return;
    put(d->address, sizeof d->address, s->address);
    put(d->name, sizeof d->name, name);
    put_bool(&d->connected, s->connected);
    put_bool(&d->resolved, s->resolved);
    put_bool(&d->paired, s->paired);
    put_bool(&d->trusted, s->trusted);
    put_bool(&d->blocked, s->blocked);
    if (s->rssi)
        d->heard_ms = bt_hub_ms(h);
    bt_hub_poke(h);
}

/* Those of the specification lie in one range; another range never holds one of ours. */
static const gatt_characteristic *known(const char *uuid) {
    char *end = NULL;
    if (!uuid || strlen(uuid) != 36 || strncmp(uuid, "0000", 4) != 0 ||
        strcasecmp(uuid + 8, "-0000-1000-8000-00805f9b34fb") != 0)
        return NULL;
    unsigned long number = strtoul(uuid, &end, 16);
    return end == uuid + 8 ? gatt_by_uuid((unsigned)number) : NULL;
}

static void take_characteristic(bt_hub *h, const char *path, const said *s, bool whole) {
    bt_tree *t = &h->tree;
    bt_characteristic *c = characteristic_at(t, path);
    const gatt_characteristic *is = known(s->uuid);
    if (!whole) {
        if (c && s->value)
            bt_links_value(h, path, s->value, s->value_len);
        else if (c && s->strange)
            bt_links_value(h, path, NULL, 0);
        return;
    }
    if (!c && is && t->characteristic_count < CHARACTERISTICS_MAX && (c = calloc(1, sizeof *c))) {
        if (!(c->path = strdup(path))) {
            free(c);
            return;
        }
        c->next = t->characteristics;
        t->characteristics = c;
        t->characteristic_count++;
    }
    if (!c || !is)
        return;
    c->is = is;
    c->notifies = s->notifies;
    c->reads = s->reads;
    bt_links_added(h, path);
    bt_hub_poke(h);
}

/* BlueZ keeps the battery service of many devices to itself, and says what it reads there: often before
 * anybody listens. */
static void take_battery(bt_hub *h, const char *path, const said *s, bool whole) {
    bt_device *d = bt_tree_device(&h->tree, path);
    (void)whole;
    if (!d || s->percentage < 0)
        return;
    d->percentage = s->percentage;
    bt_links_battery(h, path, (unsigned char)s->percentage);
}

static const struct {
    const char *interface;
    void (*take)(bt_hub *h, const char *path, const said *s, bool whole);
} interfaces[] = {
    {BT_ADAPTER, take_adapter},
    {BT_DEVICE, take_device},
    {BT_CHARACTERISTIC, take_characteristic},
    {BT_BATTERY, take_battery},
};

static int take_interface(bt_hub *h, const char *path, const char *interface, sd_bus_message *m, bool whole) {
    said s;
    for (size_t i = 0; i < ARRAY_LEN(interfaces); i++)
        if (strcmp(interfaces[i].interface, interface) == 0) {
            int fault = read_properties(m, &s);
            if (fault >= 0)
                interfaces[i].take(h, path, &s, whole);
            return fault;
        }
    return sd_bus_message_skip(m, "a{sv}");
}

/* oa{sa{sv}} */
static int take_object(bt_hub *h, sd_bus_message *m) {
    const char *path, *interface;
    int got = sd_bus_message_read_basic(m, 'o', &path);
    if (got >= 0)
        got = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
    while (got >= 0 && (got = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
        got = sd_bus_message_read_basic(m, 's', &interface);
        if (got >= 0)
            got = take_interface(h, path, interface, m, true);
        if (got >= 0)
            got = sd_bus_message_exit_container(m);
    }
    return got < 0 ? got : sd_bus_message_exit_container(m);
}

/* ---- forgetting ---- */

static void drop_adapters(bt_tree *t, const char *path, bool unseen) {
    for (bt_adapter **at = &t->adapters; *at;) {
        bt_adapter *a = *at;
        if ((path && strcmp(a->path, path) != 0) || (unseen && a->seen)) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        (void)sd_bus_slot_unref(a->call);
        free(a->path);
        free(a);
    }
}

static void drop_devices(bt_tree *t, const char *path) {
    for (bt_device **at = &t->devices; *at;) {
        bt_device *d = *at;
        if (path && strcmp(d->path, path) != 0 && !bt_beneath(d->path, path)) {
            at = &d->next;
            continue;
        }
        *at = d->next;
        t->device_count--;
        free(d->path);
        free(d);
    }
}

static void drop_characteristics(bt_tree *t, const char *path) {
    for (bt_characteristic **at = &t->characteristics; *at;) {
        bt_characteristic *c = *at;
        if (path && strcmp(c->path, path) != 0 && !bt_beneath(c->path, path)) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        t->characteristic_count--;
        free(c->path);
        free(c);
    }
}

void bt_tree_clear(bt_hub *h) {
    drop_adapters(&h->tree, NULL, false);
    drop_devices(&h->tree, NULL);
    drop_characteristics(&h->tree, NULL);
}

/* ---- what is said ---- */

int bt_tree_take_all(bt_hub *h, sd_bus_message *objects) {
    bt_tree *t = &h->tree;
    for (bt_adapter *a = t->adapters; a; a = a->next)
        a->seen = false;
    drop_devices(t, NULL);
    drop_characteristics(t, NULL);
    int got = sd_bus_message_enter_container(objects, 'a', "{oa{sa{sv}}}");
    while (got >= 0 && (got = sd_bus_message_enter_container(objects, 'e', "oa{sa{sv}}")) > 0) {
        got = take_object(h, objects);
        if (got >= 0)
            got = sd_bus_message_exit_container(objects);
    }
    drop_adapters(t, NULL, true);
    return got < 0 ? got : 0;
}

int bt_tree_take_added(bt_hub *h, sd_bus_message *m) {
    return take_object(h, m);
}

int bt_tree_take_removed(bt_hub *h, sd_bus_message *m) {
    const char *path, *interface;
    int got = sd_bus_message_read_basic(m, 'o', &path);
    if (got >= 0)
        got = sd_bus_message_enter_container(m, 'a', "s");
    while (got >= 0 && (got = sd_bus_message_read_basic(m, 's', &interface)) > 0) {
        bool adapter = strcmp(interface, BT_ADAPTER) == 0;
        if (strcmp(interface, BT_CHARACTERISTIC) == 0)
            bt_links_removed(h, path);
        bt_device *d = strcmp(interface, BT_BATTERY) == 0 ? bt_tree_device(&h->tree, path) : NULL;
        if (d)
            d->percentage = -1;
        if (adapter)
            drop_adapters(&h->tree, path, false);
        if (adapter || strcmp(interface, BT_DEVICE) == 0)
            drop_devices(&h->tree, path);
        if (adapter || strcmp(interface, BT_DEVICE) == 0 || strcmp(interface, BT_CHARACTERISTIC) == 0)
            drop_characteristics(&h->tree, path);
    }
    return got < 0 ? got : 0;
}

int bt_tree_take_changed(bt_hub *h, sd_bus_message *m) {
    const char *interface;
    int got = sd_bus_message_read_basic(m, 's', &interface);
    return got < 0 ? got : take_interface(h, sd_bus_message_get_path(m), interface, m, false);
}
