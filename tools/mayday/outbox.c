/* outbox.c - see outbox.h. */
#include "outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void outbox_begin(outbox *o) {
    *o = (outbox){0};
    o->last = &o->first;
}

parcel *parcel_free(parcel *p) {
    if (p) {
        free(p->topic);
        free(p->body);
        free(p);
    }
    return NULL;
}

/* Takes the parcel that `link` points to out of the list. */
static parcel *unlink_at(outbox *o, parcel **link) {
    parcel *p = *link;
    *link = p->next;
    if (!p->next)
        o->last = link;
    if (p->urgent)
        o->urgent--;
    else
        o->ordinary--;
    if (p->under_way)
        o->under_way--;
    return p;
}

void outbox_release(outbox *o) {
    while (o->first)
        (void)parcel_free(unlink_at(o, &o->first));
}

static bool make_room(outbox *o) {
    for (parcel **link = &o->first; *link; link = &(*link)->next)
        if (!(*link)->urgent && !(*link)->under_way) {
            (void)parcel_free(unlink_at(o, link));
            return true;
        }
    return false;
}

int outbox_add(outbox *o, const char *topic, const char *body, bool urgent, int tag) {
    if (urgent && o->urgent >= OUTBOX_URGENT_MAX)
        return -ENOSPC;
    if (!urgent && o->ordinary >= OUTBOX_MAX) {
        o->dropped++;
        if (!make_room(o))
            return 0;
    }
    parcel *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    *p = (parcel){.topic = strdup(topic), .body = strdup(body), .urgent = urgent, .tag = tag};
    if (!p->topic || !p->body) {
        (void)parcel_free(p);
        return -ENOMEM;
    }
    *o->last = p;
    o->last = &p->next;
    if (urgent)
        o->urgent++;
    else
        o->ordinary++;
    return 0;
}

parcel *outbox_next(outbox *o) {
    if (o->under_way >= OUTBOX_WINDOW)
        return NULL;
    for (parcel *p = o->first; p; p = p->next)
        if (!p->under_way)
            return p;
    return NULL;
}

void outbox_sent(outbox *o, parcel *p, int packet) {
    p->packet = packet;
    p->under_way = true;
    p->times_sent++;
    o->under_way++;
}

parcel *outbox_acked(outbox *o, int packet) {
    for (parcel **link = &o->first; *link; link = &(*link)->next)
        if ((*link)->under_way && (*link)->packet == packet)
            return unlink_at(o, link);
    return NULL;
}

void outbox_disconnected(outbox *o) {
    for (parcel *p = o->first; p; p = p->next)
        p->under_way = false;
    o->under_way = 0;
}
