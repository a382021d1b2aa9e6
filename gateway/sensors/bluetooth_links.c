/* bluetooth_links.c - see bluetooth_inside.h: the characteristics of a device that one sensor listens to, and
 * what they say. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/sensors/bluetooth_inside.h"

#define CALL_S        15
#define MISSING_MS    30000  /* what could not be subscribed to, of one that says other things */
#define QUIET_MOST_MS 900000 /* between two subscriptions of one that says nothing */
#define HOLD_MS       2000   /* after the last of those that come at once */
#define HOLD_MOST_MS  15000
#define LEAP          (60 * INSTANT_SECOND) /* of the clock */

static bool is_battery(const gatt_characteristic *is) {
    return is->uuid == 0x2A19;
}

/* ---- what it says ---- */

static void let_out(bt_strap *st, bt_dated *w) {
    gatt_dates_accept(&w->dates, w->held->dated, w->held->reading.at);
    sensor_sensed(st->s, w->held);
    free(w->held);
    w->held = NULL;
}

void bt_links_release(bt_strap *st, int64_t ms) {
    for (size_t i = 0; i < BT_KINDS_MAX; i++)
        if (st->dated[i].held && ms >= st->dated[i].due_ms)
            let_out(st, &st->dated[i]);
}

static void note_clock(bt_strap *st, instant now, int64_t ms) {
    instant booted = now - ms * 1000;
    bool leapt = booted - st->booted > LEAP || st->booted - booted > LEAP;
    for (size_t i = 0; leapt && i < BT_KINDS_MAX; i++)
        st->dated[i].dates = (gatt_dates){0};
    st->booted = booted;
}

/* False: it was stored, or it is held until it is known that no newer one comes with it. */
static bool is_of_now(bt_strap *st, const gatt_characteristic *is, const sensed *one) {
    size_t which = (size_t)(is - gatt_characteristics);
    if (which >= BT_KINDS_MAX)
        return true;
    bt_dated *w = &st->dated[which];
    int64_t ms = bt_hub_ms(st->hub);
    note_clock(st, one->reading.at, ms);
    gatt_date_verdict verdict =
        one->dated ? gatt_dates_judge(&w->dates, one->dated, one->reading.at) : GATT_DATE_NOW;
    if (verdict == GATT_DATE_NOW)
        return true;
    if (verdict == GATT_DATE_UNSURE && !w->held) {
        w->since_ms = ms;
        if (!(w->held = malloc(sizeof *w->held)))
            return true;
        *w->held = *one;
    } else {
        if (verdict == GATT_DATE_UNSURE && one->dated > w->held->dated)
            *w->held = *one;
        sensor_refused(st->s, SENSE_INVALID);
    }
    if (verdict == GATT_DATE_UNSURE)
        w->due_ms = ms + HOLD_MS < w->since_ms + HOLD_MOST_MS ? ms + HOLD_MS : w->since_ms + HOLD_MOST_MS;
    return false;
}

static void judge(bt_strap *st, const gatt_characteristic *is, const unsigned char *bytes, size_t len) {
    static sensed one; /* the edge's thread alone; it is large */
    sense_verdict verdict = bytes ? is->decode(bytes, len, sensor_now(st->s), &one) : SENSE_MALFORMED;
    if (!is_battery(is)) {
        st->spoke_ms = bt_hub_ms(st->hub);
        st->quiet_ms = sensor_patience(st->s);
    }
    if (verdict != SENSE_GOOD) {
        sensor_refused(st->s, verdict);
        return;
    }
    if (one.kind != SENSED_BATTERY)
        st->backoff_ms = BT_AGAIN_MS; /* it works */
    if (is_of_now(st, is, &one))
        sensor_sensed(st->s, &one);
}

/* Until StartNotify is answered it may be what BlueZ remembers. */
void bt_links_value(bt_hub *h, const char *path, const unsigned char *bytes, size_t len) {
    for (bt_strap *st = h->straps; st; st = st->next) {
        if (!st->device || !bt_beneath(path, st->device))
            continue;
        for (size_t i = 0; i < st->link_count; i++)
            if (st->links[i].state == BT_LINK_ON && strcmp(st->links[i].path, path) == 0)
                judge(st, st->links[i].is, bytes, len);
        return; /* a device is one person's */
    }
}

void bt_links_battery(bt_hub *h, const char *device, unsigned char percent) {
    const gatt_characteristic *battery = gatt_by_uuid(0x2A19);
    for (bt_strap *st = h->straps; battery && st; st = st->next)
        if (st->device && st->phase >= BT_SUBSCRIBING && strcmp(st->device, device) == 0)
            judge(st, battery, &percent, 1);
}

/* ---- what there is to be listened to ---- */

void bt_links_added(bt_hub *h, const char *characteristic) {
    for (bt_strap *st = h->straps; st; st = st->next)
        st->grown |= st->device && bt_beneath(characteristic, st->device);
}

void bt_links_removed(bt_hub *h, const char *characteristic) {
    for (bt_strap *st = h->straps; st; st = st->next)
        for (size_t i = 0; i < st->link_count; i++)
            st->changed |= strcmp(st->links[i].path, characteristic) == 0;
}

bool bt_links_measure(const bt_strap *st) {
    for (const bt_characteristic *c = st->hub->tree.characteristics; c; c = c->next)
        if (c->notifies && !is_battery(c->is) && bt_beneath(c->path, st->device))
            return true;
    return false;
}

static bool has_link(const bt_strap *st, const char *path) {
    for (size_t i = 0; i < st->link_count; i++)
        if (strcmp(st->links[i].path, path) == 0)
            return true;
    return false;
}

/* A link to each characteristic that has none yet. */
static void grow(bt_strap *st) {
    st->grown = false;
    for (const bt_characteristic *c = st->hub->tree.characteristics; c; c = c->next) {
        if ((!c->notifies && !is_battery(c->is)) || !bt_beneath(c->path, st->device) ||
            has_link(st, c->path) || st->link_count == BT_LINKS_MAX)
            continue;
        bt_link *l = &st->links[st->link_count];
        *l = (bt_link){
            .strap = st, .path = strdup(c->path), .is = c->is, .notifies = c->notifies, .reads = c->reads};
        st->link_count += l->path != NULL;
    }
}

void bt_links_drop(bt_strap *st, bool stop) {
    for (size_t i = 0; i < st->link_count; i++) {
        bt_link *l = &st->links[i];
        l->notify = sd_bus_slot_unref(l->notify);
        l->read = sd_bus_slot_unref(l->read);
        if (stop && l->notifies) /* a call that was never answered may have come through, too */
            bt_tell(st->hub, l->path, BT_CHARACTERISTIC, "StopNotify");
        free(l->path);
    }
    st->link_count = 0;
}

/* ---- subscribing ---- */

/* Once every answer is there. Without the battery a sensor is one all the same; with it alone it is none. */
static void count_answers(bt_strap *st) {
    char why[SENSOR_WHY_MAX];
    size_t on = 0;
    const bt_link *missing = NULL;
    for (size_t i = 0; i < st->link_count; i++) {
        const bt_link *l = &st->links[i];
        if (l->state == BT_LINK_ASKED)
            return;
        if (is_battery(l->is))
            continue;
        on += l->state == BT_LINK_ON;
        missing = l->state == BT_LINK_FAILED ? l : missing;
    }
    int64_t ms = bt_hub_ms(st->hub);
    if (!on) {
        (void)snprintf(why, sizeof why, "it does not let itself be listened to: %.150s", st->why);
        bt_strap_fail(st, ms, why);
        return;
    }
    st->phase = BT_LISTENING;
    st->due_ms = missing ? ms + MISSING_MS : 0;
    if (missing)
        (void)snprintf(why, sizeof why, "no %.80s: %.150s", missing->is->name, st->why);
    bt_strap_says(st, SENSOR_OPEN, missing ? why : "");
}

/* Ours from before: of a call that was not answered in time, or of a paired device that went and came back,
 * which BlueZ subscribes to again by itself. */
static bool is_subscribed(sd_bus_message *m) {
    const sd_bus_error *fault = sd_bus_message_get_error(m);
    return !fault || sd_bus_error_has_name(fault, "org.bluez.Error.InProgress") ||
           (fault->message && strcmp(fault->message, "Already notifying") == 0);
}

static int on_subscribed(sd_bus_message *m, void *the_link, sd_bus_error *unused) {
    bt_link *l = the_link;
    bt_strap *st = l->strap;
    (void)unused;
    l->notify = sd_bus_slot_unref(l->notify);
    l->state = is_subscribed(m) ? BT_LINK_ON : BT_LINK_FAILED;
    if (l->state == BT_LINK_FAILED && !is_battery(l->is))
        bt_why(sd_bus_message_get_error(m), st->why);
    if (st->phase == BT_SUBSCRIBING)
        count_answers(st);
    bt_hub_poke(st->hub);
    return 0;
}

static int on_read(sd_bus_message *m, void *the_link, sd_bus_error *unused) {
    bt_link *l = the_link;
    const unsigned char *bytes = NULL;
    size_t len = 0;
    (void)unused;
    l->read = sd_bus_slot_unref(l->read);
    if (!sd_bus_message_is_method_error(m, NULL) && bt_tree_value(m, &bytes, &len) == 0)
        judge(l->strap, l->is, bytes, len);
    return 0;
}

static void subscribe_to(bt_strap *st, bt_link *l) {
    l->asked = true;
    l->state = BT_LINK_FAILED;
    if (l->notifies && bt_call(st->hub, l->path, BT_CHARACTERISTIC, "StartNotify", CALL_S, on_subscribed, l,
                               &l->notify) == 0)
        l->state = BT_LINK_ASKED;
    if (is_battery(l->is) && l->reads && !l->read)
        (void)bt_call(st->hub, l->path, BT_CHARACTERISTIC, "ReadValue", CALL_S, on_read, l, &l->read);
}

void bt_links_subscribe(bt_strap *st, const bt_device *d, int64_t ms) {
    st->changed = false;
    st->why[0] = '\0';
    grow(st);
    if (!bt_links_measure(st)) {
        bt_strap_fail(st, ms, "it measures nothing that is understood here");
        return;
    }
    st->phase = BT_SUBSCRIBING;
    st->spoke_ms = ms;
    st->quiet_ms = sensor_patience(st->s);
    for (size_t i = 0; i < st->link_count; i++)
        subscribe_to(st, &st->links[i]);
    if (d->percentage >= 0)
        bt_links_battery(st->hub, d->path, (unsigned char)d->percentage);
    count_answers(st);
}

/* ---- what is subscribed to ---- */

/* One that speaks of itself and is silent may have lost, unnoticed, that it is listened to: a strap that was
 * switched off and on, a BlueZ that hangs. What speaks only when something is measured is left in peace. */
static bool is_suspect(const bt_link *l) {
    return l->state == BT_LINK_ON && l->notifies && !l->is->indicates && !is_battery(l->is);
}

static bool ask_again(bt_strap *st, int64_t ms) {
    bool any = false;
    if (ms - st->spoke_ms < st->quiet_ms)
        return false;
    st->spoke_ms = ms;
    st->quiet_ms = st->quiet_ms * 2 > QUIET_MOST_MS ? QUIET_MOST_MS : st->quiet_ms * 2;
    for (size_t i = 0; i < st->link_count; i++) {
        bt_link *l = &st->links[i];
        if (!is_suspect(l))
            continue;
        bt_tell(st->hub, l->path, BT_CHARACTERISTIC, "StopNotify");
        subscribe_to(st, l);
        any = true;
    }
    return any;
}

static bool ask_missing(bt_strap *st, int64_t ms) {
    if (!st->grown && (!st->due_ms || ms < st->due_ms))
        return false;
    grow(st);
    for (size_t i = 0; i < st->link_count; i++)
        if (st->links[i].state == BT_LINK_FAILED && (!is_battery(st->links[i].is) || !st->links[i].asked))
            subscribe_to(st, &st->links[i]);
    return true;
}

void bt_links_tend(bt_strap *st, int64_t ms) {
    bool missing = ask_missing(st, ms), silent = ask_again(st, ms);
    if (!missing && !silent)
        return;
    st->due_ms = 0;
    st->why[0] = '\0';
    st->phase = BT_SUBSCRIBING;
    count_answers(st);
}
