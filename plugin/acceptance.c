/* acceptance.c - see acceptance.h. The journey of a message goes on in lib/store/journal.h (append) and
 * lib/store/writer.h (into PostgreSQL). */
#include "plugin/acceptance.h"

#include <stdio.h>
#include <string.h>

#include "core/decisions.h"
#include "plugin/events.h"
#include "plugin/memory.h"
#include "plugin/redact.h"
#include "plugin/refusal.h"
#include "store/record.h"

static const char *const denial_codes[DENIALS] = {
    [DENIAL_NONE] = "none",           [DENIAL_POLICY] = "not_authorised", [DENIAL_EXPIRED] = "session_over",
    [DENIAL_RETAIN] = "not_retained", [DENIAL_ADDRESS] = "no_such_topic", [DENIAL_LIMIT] = "rate_limited",
    [DENIAL_STALE] = "stale",
};

static acceptance deny(host *h, session *s, const offer *o, denial why, const char *detail) {
    h->counters.denials[why]++;
    refusal_send_unread(h, s, o->topic, o->payload, denial_codes[why], detail);
    events_refused(h, s, o->topic, denial_codes[why], detail);
    return ACCEPTANCE_REFUSED;
}

static void list_roles(const claims *who, buf *to) {
    buf_clear(to);
    for (size_t i = 0; i < who->n_roles; i++) {
        if (i > 0)
            buf_add_char(to, ' ');
        buf_add_text(to, text_of(who->roles[i]));
    }
}

static acceptance journal_failed(host *h, bool urgent, int fault) {
    h->counters.journal_refused++;
    if (!h->journal_failing[urgent])
        host_log(MOSQ_LOG_ERR,
                 "the journal takes no %s messages now (%s): clients keep them and are disconnected",
                 urgent ? "alert" : "ordinary", strerror(-fault));
    h->journal_failing[urgent] = true;
    return ACCEPTANCE_UNAVAILABLE;
}

/* A repeated press is journaled as telemetry is: what protects alarms must not be used up by one of them. */
static acceptance keep(host *h, const session *s, const msg_type *type, const offer *o, bool repeat) {
    bool urgent = type->urgent && !repeat, sync = type->sync && !repeat;
    list_roles(s->who, &h->roles);
    record r = {
        .received_at = instant_now(),
        .flags = (o->will ? RECORD_WILL : 0u) | (repeat ? RECORD_REPEAT : 0u),
        .org = text_of(s->who->org),
        .sender = text_of(s->who->subject),
        .client = text_of(s->client_id),
        .roles = buf_text(&h->roles),
        .topic = o->topic,
        .payload = o->payload,
    };
    buf_clear(&h->record);
    record_encode(&r, &h->record);
    uint64_t seq = 0;
    int fault = buf_failed(&h->roles) < 0 ? buf_failed(&h->roles) : buf_failed(&h->record);
    if (fault == 0)
        fault = journal_append(h->journal, buf_text(&h->record), urgent ? JOURNAL_URGENT : JOURNAL_ORDINARY,
                               sync, &seq);
    if (fault < 0)
        return journal_failed(h, urgent, fault);
    h->journal_failing[urgent] = false;
    return ACCEPTANCE_TAKEN;
}

static bool is_action(const msg_type *type) {
    return type->family == ADDRESS_ALERT && type->limit == MSG_ACTION;
}

/* Why it asks: dispatch has one reason, of its own. */
static bool asks_for_mayday(const msg_type *type, const json *body) {
    return strcmp(type->name, "check") == 0 && !text_equal(json_get_string(body, "reason"), TEXT("dispatch"));
}

/* What only Mayday's own daemon says, though others may publish there too: pages of missed messages, a raise
 * for somebody who cannot, the readings of a body, a question about one, and what somebody answered by phone.
 */
static bool claims_to_be_mayday(const msg_type *type, const json *body) {
    return type->kind || asks_for_mayday(type, body) ||
           (type->limit == MSG_RAISE && (json_get(body, "person") || json_get(body, "readings"))) ||
           (is_action(type) && json_get(body, "by"));
}

static bool is_gateway(const claims *who) {
    for (size_t i = 0; i < who->n_roles; i++)
        if (strcmp(who->roles[i], "gateway") == 0)
            return true;
    return false;
}

static bool is_view(const msg_type *type) {
    return type->family == ADDRESS_ALERT && type->retained;
}

static fence_view view_of(const msg_type *type) {
    return strcmp(type->leaf, "dispatch") == 0 ? FENCE_DISPATCH : FENCE_STATE;
}

static uint64_t incident_of(const host *h, const address *where) {
    return topic_hash(where->id, topic_hash(where->org, h->hash_seed));
}

/* An empty retained payload is how MQTT clears a topic. */
static acceptance clear(host *h, const msg_type *type, const address *where) {
    if (is_view(type))
        fence_forget(h->fence, incident_of(h, where), view_of(type));
    return ACCEPTANCE_TAKEN;
}

static bool is_stale(host *h, const msg_type *type, const address *where, const json *body) {
    int64_t version = json_integer(json_get(body, "version"));
    version = version < 0 ? 0 : version > UINT32_MAX ? UINT32_MAX : version;
    return is_view(type) && !fence_pass(h->fence, incident_of(h, where), view_of(type), (uint32_t)version);
}

static acceptance over_limit(host *h, session *s, const offer *o, const msg_type *type) {
    char detail[128];
    (void)snprintf(detail, sizeof detail, "more than one person may send of this: %.40s (a second, at once)",
                   limits_spelled(&h->settings, type->limit));
    return deny(h, s, o, DENIAL_LIMIT, detail);
}

/* The gateway speaks for many and has no limit of its own; what somebody answers by phone counts as theirs.
 */
static bool within_limits(host *h, const session *s, const msg_type *type, const json *body, bool gateway) {
    text by = is_action(type) ? json_get_string(body, "by") : (text){0};
    if (gateway && !by.ptr)
        return true;
    return limits_take(&h->limits, type, text_of(s->who->org), by.ptr ? by : text_of(s->who->subject),
                       json_boolean(json_get(body, "offline")), instant_now());
}

/* Who raises belongs to the incident from that moment, on this broker without waiting for the database. An
 * incident that is known already is left to the database to judge: its id may have been learned by somebody
 * else. */
static void join_raiser(host *h, const session *s, const address *where, const json *body) {
    text org = text_of(s->who->org), person = json_get_string(body, "person");
    /* Help that was called under duress: whoever holds their phone must see nothing of it. */
    bool hidden = person.ptr && json_boolean(json_get(body, "silent"));
    if (membership_any(h->members, org, ADDRESS_ALERT, where->id))
        return;
    memory_member(h, RESULT_MEMBER_SET, org, ADDRESS_ALERT, where->id,
                  person.ptr ? person : text_of(s->who->subject), hidden ? RELATION_PAST : RELATION_RAISER);
}

/* Whoever hears these has to know whose they are: many send to one incident, and dispatch answers for others.
 */
static bool names_sender(const msg_type *type) {
    if (type->family != ADDRESS_ALERT)
        return strcmp(type->name, "reply") == 0;
    return type->limit == MSG_RAISE || type->limit == MSG_ACTION || strcmp(type->leaf, "location") == 0;
}

/* Of a payload that its schema has accepted. */
static acceptance judge_checked(host *h, session *s, offer *o, const msg_type *type, const address *where,
                                const json *body) {
    bool gateway = is_gateway(s->who), repeat = false;
    if (!gateway && claims_to_be_mayday(type, body))
        return deny(h, s, o, DENIAL_POLICY, "only Mayday's gateway may say this");
    if (gateway && is_action(type) && !json_get(body, "by"))
        return deny(h, s, o, DENIAL_POLICY, "a gateway says whose answer this is: 'by'");
    if (is_stale(h, type, where, body))
        return deny(h, s, o, DENIAL_STALE, "a newer version of it has gone through");
    if (!within_limits(h, s, type, body, gateway)) {
        repeat = type->limit == MSG_RAISE;
        if (!repeat)
            return over_limit(h, s, o, type);
        h->counters.repeated_raises++;
    }
    buf_clear(&h->shown);
    if (redact(type, body, &h->shown)) {
        if (o->will) /* the broker takes no other payload for it */
            return deny(h, s, o, DENIAL_POLICY, "a last will cannot hold a PIN");
        if (buf_failed(&h->shown) < 0)
            return ACCEPTANCE_UNAVAILABLE;
        o->shown = buf_text(&h->shown);
    }
    acceptance outcome = type->stored ? keep(h, s, type, o, repeat) : ACCEPTANCE_TAKEN;
    o->names_sender = names_sender(type);
    if (outcome == ACCEPTANCE_TAKEN && type->limit == MSG_RAISE && !repeat)
        join_raiser(h, s, where, body);
    return outcome;
}

acceptance acceptance_judge(host *h, session *s, offer *o) {
    address where;
    const msg_type *type = address_parse(o->topic, &where) ? msg_type_at(&where) : NULL;
    o->shown = (text){0};
    o->names_sender = false;
    if (!type || type->internal)
        return deny(h, s, o, DENIAL_ADDRESS, "no client message travels at this topic");
    if (o->retain && !type->retained)
        return deny(h, s, o, DENIAL_RETAIN, "messages of this type must not be retained");
    if (o->retain && o->payload.len == 0)
        return clear(h, type, &where);

    char why[CATALOG_WHY_MAX] = "", id[UUID_TEXT_LEN + 1] = "";
    msg_checked checked = {0};
    msg_verdict verdict = msg_check(h->catalog, type, o->payload, instant_now(), &checked, why, id);
    h->counters.messages[verdict]++;
    if (verdict == MSG_NO_MEMORY)
        return ACCEPTANCE_UNAVAILABLE;
    if (verdict != MSG_ACCEPTED) {
        refusal_send(s, o->topic, id, msg_verdict_name(verdict), why);
        events_refused(h, s, o->topic, msg_verdict_name(verdict), why);
        return ACCEPTANCE_REFUSED;
    }
    acceptance outcome = judge_checked(h, s, o, checked.type, &where, checked.body);
    (void)json_free(checked.body);
    return outcome;
}
