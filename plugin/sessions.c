/* sessions.c - see sessions.h. */
#include "plugin/sessions.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct sessions {
    session *by_client; /* all with a pointer */
    session *by_id;     /* the newest of each id */
    session *parting;   /* a list */
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
    if (s->parting)
        DL_DELETE(all->parting, s);
    else if (!s->live)
        all->offline--;
    (void)claims_free(s->who);
    free(s->decisions);
    free(s->client_id);
    free(s);
}

static session *by_client(const sessions *all, struct mosquitto *client) {
    session *s = NULL;
    HASH_FIND(by_client, all->by_client, &client, sizeof client, s);
    return s;
}

static void part(sessions *all, session *s) {
    if (s->parting)
        return;
    all->offline -= !s->live;
    s->parting = true;
    DL_APPEND(all->parting, s);
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

static session *begin(sessions *all, const char *client_id, claims *who) {
    session *s = calloc(1, sizeof *s);
    if (!s || !(s->client_id = strdup(client_id))) {
        free(s);
        (void)claims_free(who);
        return NULL;
    }
    s->who = who;
    describe(s);
    session *older = sessions_holding(all, client_id);
    if (older) {
        HASH_DELETE(by_id, all->by_id, older);
        part(all, older);
    }
    all->offline++;
    HASH_ADD_KEYPTR(by_id, all->by_id, s->client_id, strlen(s->client_id), s);
    return s;
}

session *sessions_begin(sessions *all, struct mosquitto *client, const char *client_id, claims *who) {
    session *stale = by_client(all, client);
    if (stale)
        sessions_forget(all, stale);
    session *s = begin(all, client_id, who);
    if (s) {
        s->client = client;
        s->live = true;
        all->live++;
        all->offline--;
        HASH_ADD(by_client, all->by_client, client, sizeof s->client, s);
    }
    return s;
}

session *sessions_restore(sessions *all, const char *client_id, claims *who) {
    session *s = begin(all, client_id, who);
    if (s)
        s->durable = true;
    return s;
}

session *sessions_of(sessions *all, struct mosquitto *client, const char *client_id) {
    if (!client_id)
        return NULL;
    session *s = by_client(all, client);
    if (s)
        return strcmp(s->client_id, client_id) == 0 ? s : NULL;
    s = sessions_holding(all, client_id);
    if (!s || s->client)
        return NULL;
    s->client = client;
    HASH_ADD(by_client, all->by_client, client, sizeof s->client, s);
    return s;
}

void sessions_renew(session *s, claims *who) {
    (void)claims_free(s->who);
    s->who = who;
    describe(s);
}

void sessions_offline(sessions *all, session *s) {
    if (!s->live)
        return;
    s->live = false;
    all->live--;
    all->offline += !s->parting;
    if (!s->durable)
        part(all, s);
}

void sessions_sweep_parting(sessions *all) {
    session *s, *next;
    DL_FOREACH_SAFE(all->parting, s, next) {
        if (!s->live)
            sessions_forget(all, s);
    }
}

void sessions_sweep_offline(sessions *all, int64_t now) {
    session *s, *next;
    if (all->offline == 0)
        return;
    HASH_ITER(by_id, all->by_id, s, next) {
        if (!s->live && (s->who->expires_at <= now || all->offline > all->offline_limit))
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
