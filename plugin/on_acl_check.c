/* on_acl_check.c - may this session publish, subscribe, receive? Deny by default, decided from memory.
 *
 * READ is asked once for each delivery to each subscriber, so it is answered from the session's cache of
 * decisions. WRITE is also asked for a Will: after DISCONNECT, during a takeover, or while the broker
 * stops. No MESSAGE follows for it, so that is where a Will is validated and journaled. (What is published in
 * the very turn of the loop in which the broker is asked to stop is journaled twice: one id, one row.) */
#include "plugin/acceptance.h"
#include "plugin/admission.h"
#include "plugin/compat.h"
#include "plugin/events.h"
#include "plugin/news.h"
#include "plugin/refusal.h"

#include <stdlib.h>

/* Roles are bits of one policy; a new policy, or a new token, has them worked out again. */
static const policy_subject *subject_of(const host *h, session *s) {
    if (s->policy_generation != h->policy_generation) {
        s->subject.roles = policy_roles(h->policy, s->who->roles, s->who->n_roles);
        s->policy_generation = h->policy_generation;
        if (s->decisions)
            *s->decisions = (decisions){0};
    }
    return &s->subject;
}

static uint64_t hash_of(host *h, text topic) {
    if (!text_equal(topic, buf_text(&h->topic_memo))) {
        buf_clear(&h->topic_memo);
        buf_add_text(&h->topic_memo, topic);
        h->hashed = topic_hash(topic, h->hash_seed);
        if (buf_failed(&h->topic_memo) < 0)
            buf_release(&h->topic_memo);
    }
    return h->hashed;
}

static int read_check(host *h, session *s, text topic) {
    bool granted = false;
    news_heed(h);
    if (!admission_holds(h, s, h->now)) {
        h->counters.deliveries_denied++;
        return MOSQ_ERR_ACL_DENIED;
    }
    const policy_subject *who = subject_of(h, s);
    if (!s->decisions)
        s->decisions = calloc(1, sizeof *s->decisions);
    uint64_t hash = hash_of(h, topic), epoch = host_epoch(h);
    switch (s->decisions ? decisions_find(s->decisions, epoch, hash) : DECISION_UNKNOWN) {
    case DECISION_UNKNOWN:
        granted = policy_may_read(h->policy, h->members, who, topic);
        if (s->decisions)
            decisions_keep(s->decisions, epoch, hash, granted);
        break;
    case DECISION_DENY:
        break;
    case DECISION_GRANT:
        granted = true;
        break;
    }
    h->counters.deliveries_denied += !granted;
    return granted ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
}

/* A subscription outlives the token it was made with (the person comes back with another), but not its
 * person's revocation. */
static int subscribe_check(host *h, session *s, text filter) {
    bool shut_out = revocations_cover(h->revoked, s->who, instant_now() / INSTANT_SECOND) == REVOKE_SUBJECT;
    if (!shut_out && policy_may_subscribe(h->policy, subject_of(h, s), filter)) {
        events_subscribed(h, s, filter);
        return MOSQ_ERR_SUCCESS;
    }
    h->counters.subscriptions_denied++;
    return MOSQ_ERR_ACL_DENIED;
}

/* A denied publish is acknowledged to MQTT 3.1.1 clients all the same, and a session that is over may not
 * even read why: so until the tick ends it, its connection is closed without PUBACK, and the client sends the
 * message again with its next token. */
static int write_check(host *h, session *s, text topic, text payload, bool retain) {
    news_heed(h);
    bool is_will = !s->live || session_parting(s) || compat_is_stopping();
    if (s->end == SESSION_REVOKED || (!is_will && !admission_holds(h, s, h->now))) {
        h->counters.denials[DENIAL_EXPIRED]++;
        return COMPAT_CLOSE;
    }
    if (!policy_may_publish(h->policy, h->members, subject_of(h, s), topic)) {
        h->counters.denials[DENIAL_POLICY]++;
        refusal_send_unread(h, s, topic, payload, "not_authorised", "no role of yours may publish here");
        events_refused(h, s, topic, "not_authorised", "no role of yours may publish here");
        return MOSQ_ERR_ACL_DENIED;
    }
    if (!is_will)
        return MOSQ_ERR_SUCCESS; /* MESSAGE follows */
    offer o = {.topic = topic, .payload = payload, .retain = retain, .will = true};
    if (acceptance_judge(h, s, &o) != ACCEPTANCE_TAKEN)
        return MOSQ_ERR_ACL_DENIED;
    h->counters.wills++;
    return MOSQ_ERR_SUCCESS;
}

/* Clients of somebody else's authentication: Mayday's topics are closed to them, the rest is not ours to
 * judge. */
static int stranger_check(const host *h, int access, text topic) {
    text filter = topic;
    if (access == MOSQ_ACL_SUBSCRIBE && !topic_unshare(topic, &filter))
        return MOSQ_ERR_ACL_DENIED;
    bool ours = text_starts_with(filter, TEXT("mayday/")) ||
                text_starts_with(filter, TEXT("$CONTROL/mayday/")) ||
                text_starts_with(filter, TEXT("$SYS/broker/mayday/"));
    if (ours && access != MOSQ_ACL_UNSUBSCRIBE)
        return MOSQ_ERR_ACL_DENIED;
    /* $CONTROL rules the broker's other plugins: never ours to give away. */
    bool open = h->settings.others_allowed && !text_starts_with(filter, TEXT("$CONTROL/"));
    return open ? MOSQ_ERR_SUCCESS : COMPAT_NOT_MINE;
}

int on_acl_check(int event, void *event_data, void *userdata) {
    (void)event;
    const struct mosquitto_evt_acl_check *e = event_data;
    host *h = userdata;
    session *s = admission_session(h, e->client);
    text topic = text_of(e->topic);
    if (!s)
        return stranger_check(h, e->access, topic);
    switch (e->access) {
    case MOSQ_ACL_READ:
        return read_check(h, s, topic);
    case MOSQ_ACL_WRITE:
        return write_check(h, s, topic, (text){e->payload, e->payloadlen}, e->retain);
    case MOSQ_ACL_SUBSCRIBE:
        return subscribe_check(h, s, topic);
    case MOSQ_ACL_UNSUBSCRIBE:
        return MOSQ_ERR_SUCCESS;
    default:
        return MOSQ_ERR_ACL_DENIED;
    }
}
