/* sessions.c - see sessions.h. */
#define HASH_NONFATAL_OOM 1 /* a failed add leaves the table as it was; by default it ends the broker */
#include "plugin/sessions.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct sessions {
    session *by_client; /* all with a pointer */
    session *by_id;     /* the newest of each id */
    session *listed[SESSION_LEAVING + 1];
    size_t offline_limit;
    size_t live;
    size_t offline; /* durable, and not parting */
};

sessions *sessions_new(size_t offline_limit) {
    sessions *all = calloc(1, sizeof *all);
    if (all)
        all->offline_limit = offline_limit;
    return all;
}

static void unlink_client(sessions *all, session *s) {
    if (s->client) {
        HASH_DELETE(by_client, all->by_client, s);
        s->client = NULL;
    }
}

static void list(sessions *all, session *s, session_list where) {
    if (s->listed)
        DL_DELETE(all->listed[s->listed], s);
    s->listed = where;
    if (where)
        DL_APPEND(all->listed[where], s);
}

static void unlink_id(sessions *all, session *s) {
    session *holder = NULL;
    HASH_FIND(by_id, all->by_id, s->client_id, strlen(s->client_id), holder);
    if (holder == s)
        HASH_DELETE(by_id, all->by_id, s);
}

void sessions_forget(sessions *all, session *s) {
    unlink_client(all, s);
    unlink_id(all, s);
    all->live -= s->live;
    all->offline -= !s->live && !session_parting(s);
    list(all, s, SESSION_LISTED_NOWHERE);
    (void)claims_free(s->who);
    free(s->decisions);
    free(s->told);
    free(s->client_id);
    free(s);
}

static session *by_client(const sessions *all, struct mosquitto *client) {
    session *s = NULL;
    HASH_FIND(by_client, all->by_client, &client, sizeof client, s);
    return s;
}

static void part(sessions *all, session *s) {
    if (session_parting(s))
        return;
    all->offline -= !s->live;
    list(all, s, SESSION_PARTING);
}

session *sessions_holding(sessions *all, const char *client_id) {
    session *s = NULL;
    if (client_id)
        HASH_FIND(by_id, all->by_id, client_id, strlen(client_id), s);
    return s;
}

/* The roles' bits belong to a policy: whoever looks next works them out anew. */
static void describe(session *s) {
    s->subject = (policy_subject){
        .org = text_of(s->who->org),
        .sub = text_of(s->who->subject),
        .client = text_of(s->client_id),
    };
    s->policy_generation = 0;
    if (s->decisions)
        memset(s->decisions, 0, sizeof *s->decisions);
}

static session *make(const char *client_id, claims *who) {
    session *s = calloc(1, sizeof *s);
    if (!s || !(s->client_id = strdup(client_id))) {
        free(s);
        (void)claims_free(who);
        return NULL;
    }
    s->who = who;
    describe(s);
    return s;
}

static session *discard(session *s) {
    (void)claims_free(s->who);
    free(s->client_id);
    free(s);
    return NULL;
}

/* Into the table by id, in the place of an older one; which stays there when memory is short. */
static bool take_id(sessions *all, session *s) {
    session *older = sessions_holding(all, s->client_id);
    HASH_ADD_KEYPTR(by_id, all->by_id, s->client_id, strlen(s->client_id), s);
    if (!s->by_id.tbl)
        return false;
    if (older) {
        HASH_DELETE(by_id, all->by_id, older);
        part(all, older);
    }
    return true;
}

static bool take_client(sessions *all, session *s, struct mosquitto *client) {
    s->client = client;
    HASH_ADD(by_client, all->by_client, client, sizeof s->client, s);
    if (!s->by_client.tbl)
        s->client = NULL;
    return s->client != NULL;
}

session *sessions_begin(sessions *all, struct mosquitto *client, const char *client_id, claims *who) {
    session *stale = by_client(all, client);
    if (stale)
        sessions_forget(all, stale);
    session *s = make(client_id, who);
    if (!s)
        return NULL;
    if (!take_client(all, s, client))
        return discard(s);
    if (!take_id(all, s)) {
        unlink_client(all, s);
        return discard(s);
    }
    s->live = true;
    all->live++;
    return s;
}

session *sessions_restore(sessions *all, const char *client_id, claims *who) {
    session *s = make(client_id, who);
    if (!s)
        return NULL;
    if (!take_id(all, s))
        return discard(s);
    s->durable = true;
    all->offline++;
    return s;
}

session *sessions_of(sessions *all, struct mosquitto *client, const char *client_id) {
    session *s = client_id ? by_client(all, client) : NULL;
    return s && strcmp(s->client_id, client_id) == 0 ? s : NULL;
}

session *sessions_adopt(sessions *all, struct mosquitto *client, const char *client_id) {
    session *s = sessions_holding(all, client_id);
    if (!s || s->client || by_client(all, client) || !take_client(all, s, client))
        return NULL;
    return s;
}

void sessions_renew(session *s, claims *who) {
    (void)claims_free(s->who);
    s->who = who;
    if (s->end == SESSION_EXPIRED)
        s->end = SESSION_GOES_ON;
    describe(s);
}

void sessions_offline(sessions *all, session *s) {
    if (!s->live)
        return;
    s->live = false;
    all->live--;
    all->offline += !session_parting(s);
    if (!s->durable)
        part(all, s);
    else if (!session_parting(s))
        list(all, s, SESSION_LEAVING);
}

void sessions_settle(sessions *all, sessions_question is_gone, void *context) {
    session *s, *next;
    DL_FOREACH_SAFE(all->listed[SESSION_PARTING], s, next) {
        if (!s->live)
            sessions_forget(all, s);
    }
    DL_FOREACH_SAFE(all->listed[SESSION_LEAVING], s, next) {
        if (is_gone(context, s))
            sessions_forget(all, s);
        else
            list(all, s, SESSION_LISTED_NOWHERE);
    }
}

void sessions_sweep_offline(sessions *all, int64_t now) {
    session *s, *next;
    if (all->offline == 0)
        return;
    HASH_ITER(by_id, all->by_id, s, next) {
        bool unclaimed = !s->client && s->who->expires_at <= now;
        if (!s->live && (unclaimed || all->offline > all->offline_limit))
            sessions_forget(all, s);
    }
}

size_t sessions_live(const sessions *all) {
    return all->live;
}

size_t sessions_count(const sessions *all) {
    return HASH_CNT(by_id, all->by_id);
}

void sessions_each(sessions *all, sessions_visit visit, void *context) {
    session *s, *next;
    HASH_ITER(by_id, all->by_id, s, next) {
        visit(context, s);
    }
}

sessions *sessions_free(sessions *all) {
    if (all) {
        session *s, *next;
        HASH_ITER(by_client, all->by_client, s, next) {
            sessions_forget(all, s);
        }
        HASH_ITER(by_id, all->by_id, s, next) {
            sessions_forget(all, s);
        }
        free(all);
    }
    return NULL;
}
