/* admission.c - see admission.h. */
#include "plugin/admission.h"
#include "plugin/compat.h"
#include "plugin/events.h"
#include "plugin/memory.h"
#include "core/token_settings.h"

#include <string.h>

#define CLIENT_ID_LONGEST 256 /* bytes: each is kept in memory, in the ledger and with every message */

static int64_t seconds(instant at) {
    return at / INSTANT_SECOND;
}

static admission refuse(host *h, struct mosquitto *client, const claims *who, const char *why) {
    const char *id = mosquitto_client_id(client), *from = mosquitto_client_address(client);
    events_stranger(h, id, from, who, why);
    host_log(MOSQ_LOG_NOTICE, "refused client '%s' from %s: %s", id ? id : "", from ? from : "?", why);
    return ADMISSION_REFUSED;
}

bool admission_is_token(text password) {
    size_t dots = 0;
    for (size_t i = 0; i < password.len; i++)
        dots += password.ptr[i] == '.';
    return dots == 2 && text_starts_with(password, TEXT("eyJ")); /* base64url of '{"' */
}

static bool has(text t, char c) {
    return t.len > 0 && memchr(t.ptr, c, t.len);
}

/* Every client id must belong to one subject at most, or the holder of "a" could keep "a:b" from the subject
 * "a:b". No subject holds a '/': so what stands before the first '/' owns an id that has one, and what stands
 * before the first ':' owns one that has none; which leaves a subject with a ':' the form with '/' alone. */
static bool is_bound(text client_id, text subject) {
    if (!text_starts_with(client_id, subject))
        return false;
    text device = {client_id.ptr + subject.len, client_id.len - subject.len};
    if (device.len > 0 && device.ptr[0] == '/')
        return true;
    return !has(subject, ':') && (device.len == 0 || (device.ptr[0] == ':' && !has(device, '/')));
}

static bool same_person(const claims *a, const claims *b) {
    return strcmp(a->subject, b->subject) == 0 && strcmp(a->org, b->org) == 0;
}

/* Why the claims may not have this client id, or NULL. */
static const char *id_objection(host *h, const char *client_id, const claims *who, int64_t now) {
    if (strlen(client_id) > CLIENT_ID_LONGEST)
        return "the client id is too long";
    if (!is_bound(text_of(client_id), text_of(who->subject)))
        return "the client id is not bound to the token's subject";
    const session *holder = sessions_holding(h->sessions, client_id);
    bool lapsed = holder && !holder->live && holder->who->expires_at <= now;
    if (holder && !lapsed && !session_parting(holder) && !same_person(holder->who, who))
        return "the client id is held by another person's session";
    return NULL;
}

/* The broker tells of the end of a session that is taken over only after the new one has begun; whoever
 * counts connections by client id must hear of it before. */
static void tell_taken_over(host *h, session *before) {
    if (!before || !before->live)
        return;
    events_session(h, "disconnect", before, mosquitto_client_address(before->client), "taken_over");
    before->end_told = true;
}

/* Takes `who` over. */
static admission admit(host *h, struct mosquitto *client, claims *who) {
    const char *id = mosquitto_client_id(client);
    session *known = sessions_of(h->sessions, client, id);
    session *before = sessions_holding(h->sessions, id);
    bool was_durable = before && before->durable, renewed = known && known->live;
    if (renewed) {
        sessions_renew(known, who);
        h->counters.tokens_renewed++;
    } else {
        tell_taken_over(h, before);
        known = sessions_begin(h->sessions, client, id, who);
        if (!known)
            return ADMISSION_FAULT;
        /* MQTT 5 says at CONNECT how long a session lasts, but not to plugins: take it for durable. */
        known->durable =
            !mosquitto_client_clean_session(client) || mosquitto_client_protocol_version(client) == 5;
    }
    if (mosquitto_set_username(client, known->who->subject) != MOSQ_ERR_SUCCESS) {
        sessions_forget(h->sessions, known); /* DISCONNECT will not name it: the broker drops the id first */
        return ADMISSION_FAULT;
    }
    events_session(h, "connect", known, mosquitto_client_address(client), renewed ? "renewed" : "");
    if (known->durable || was_durable)
        memory_keep_session(h, known);
    return ADMISSION_GRANTED;
}

admission admission_judge(host *h, struct mosquitto *client, const char *username, text token) {
    const char *client_id = mosquitto_client_id(client);
    claims *who = NULL;
    int64_t now = seconds(instant_now());
    token_verdict verdict = token_verify(h->keys, h->rules, token, now, &who);
    h->counters.tokens[verdict]++;
    if (verdict == TOKEN_NO_MEMORY)
        return ADMISSION_FAULT;
    if (verdict != TOKEN_ACCEPTED)
        return refuse(h, client, NULL, token_verdict_name(verdict));

    const char *objection = client_id ? id_objection(h, client_id, who, now) : "no client id";
    if (objection) {
        h->counters.client_id_refused++;
    } else if (h->settings.username_is_subject && (!username || strcmp(username, who->subject) != 0)) {
        h->counters.username_refused++;
        objection = "the username is not the token's subject";
    } else if (revocations_cover(h->revoked, who, now) != REVOKE_NOTHING) {
        h->counters.revoked_refused++;
        objection = "revoked";
    }
    const session *live = sessions_of(h->sessions, client, client_id);
    if (!objection && live && live->live && !same_person(live->who, who))
        objection = "a session cannot change hands";
    if (objection) {
        (void)refuse(h, client, who, objection);
        (void)claims_free(who);
        return ADMISSION_REFUSED;
    }
    return admit(h, client, who);
}

session *admission_session(host *h, struct mosquitto *client) {
    const char *id = mosquitto_client_id(client);
    session *s = sessions_of(h->sessions, client, id);
    return s || !id || !compat_is_restored(client) ? s : sessions_adopt(h->sessions, client, id);
}

bool admission_holds(host *h, session *s, instant now) {
    if (s->end == SESSION_GOES_ON &&
        s->who->expires_at + token_spec_of(&h->settings).leeway_s <= seconds(now))
        s->end = SESSION_EXPIRED;
    return s->end == SESSION_GOES_ON;
}

static void mark_covered(void *context, session *s) {
    host *h = context;
    if (s->end == SESSION_GOES_ON &&
        revocations_cover(h->revoked, s->who, seconds(instant_now())) != REVOKE_NOTHING)
        s->end = SESSION_REVOKED;
}

void admission_end_revoked(host *h) {
    sessions_each(h->sessions, mark_covered, h);
    h->end_now = true;
}

static void unmark(void *context, session *s) {
    host *h = context;
    if (s->end == SESSION_REVOKED && !s->live &&
        revocations_cover(h->revoked, s->who, instant_now() / INSTANT_SECOND) == REVOKE_NOTHING)
        s->end = SESSION_GOES_ON;
}

void admission_resume_restored(host *h) {
    sessions_each(h->sessions, unmark, h);
}
