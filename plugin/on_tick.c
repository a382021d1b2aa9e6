/* on_tick.c - many times a second: take results from the writer, drop the sessions that have parted; once a
 * second: end the sessions whose token has run out or was revoked, look at the watched files, publish
 * figures. Kicking happens here and nowhere else, because a kick calls back into DISCONNECT. */
#include "plugin/admission.h"
#include "plugin/compat.h"
#include "plugin/events.h"
#include "plugin/memory.h"
#include "plugin/news.h"

#include <stdlib.h>
#include <string.h>

/* Client ids to end, copied: a kick changes the table that is being walked. */
typedef struct kicks {
    host *h;
    struct {
        char *client_id;
        session_end why;
    } * list;
    size_t count, room;
} kicks;

static void judge(void *context, session *s) {
    kicks *k = context;
    if (!s->live || session_parting(s) || admission_holds(k->h, s, k->h->now))
        return;
    if (k->count == k->room) {
        size_t room = k->room ? k->room * 2 : 16;
        void *moved = realloc(k->list, room * sizeof *k->list);
        if (!moved)
            return; /* next second */
        k->list = moved;
        k->room = room;
    }
    char *id = strdup(s->client_id);
    if (!id)
        return;
    k->list[k->count].client_id = id;
    k->list[k->count].why = s->end;
    k->count++;
}

/* The Will of a session that merely ran out is still the person's word; that of a revoked one is not. */
static void end_sessions(host *h) {
    kicks k = {.h = h};
    sessions_each(h->sessions, judge, &k);
    for (size_t i = 0; i < k.count; i++) {
        bool expired = k.list[i].why == SESSION_EXPIRED;
        host_log(MOSQ_LOG_NOTICE, "ending the session of client '%s': token %s", k.list[i].client_id,
                 expired ? "expired" : "revoked");
        const session *s = sessions_holding(h->sessions, k.list[i].client_id);
        if (s)
            events_session(h, "kick", s, mosquitto_client_address(s->client),
                           expired ? "expired" : "revoked");
        h->counters.kicked_expired += expired;
        h->counters.kicked_revoked += !expired;
        (void)mosquitto_kick_client_by_clientid(k.list[i].client_id, expired);
        free(k.list[i].client_id);
    }
    free(k.list);
}

/* MQTT 5 does not tell plugins how long a session lasts, so it was noted as durable. */
static bool is_gone(void *context, session *s) {
    if (!compat_is_gone(s->client))
        return false;
    s->durable = false;
    memory_keep_session(context, s);
    return true;
}

static void every_second(host *h) {
    end_sessions(h);
    sessions_sweep_offline(h->sessions, h->now / INSTANT_SECOND);
    revocations_purge(h->revoked, h->now / INSTANT_SECOND);
    host_take_up_files(h, false);
    memory_tidy(h);
}

int on_tick(int event, void *event_data, void *userdata) {
    (void)event;
    host *h = userdata;
    h->now = instant_now();
    h->reloading = false;
    news_take(h);
    sessions_settle(h->sessions, is_gone, h);
    if (h->now >= h->next_second || h->next_second - h->now > INSTANT_SECOND || h->end_now) {
        h->next_second = h->now + INSTANT_SECOND;
        h->end_now = false;
        every_second(h);
    }
    if (h->now >= h->next_status || h->next_status - h->now > h->settings.status_interval_ms * 1000) {
        h->next_status = h->now + h->settings.status_interval_ms * 1000;
        counters_publish(h);
    }
    compat_next_tick(event_data, 100);
    return MOSQ_ERR_SUCCESS;
}
