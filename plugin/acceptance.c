/* acceptance.c - see acceptance.h. The journey of a message goes on in lib/store/journal.h (append) and
 * lib/store/writer.h (into PostgreSQL). */
#include "plugin/acceptance.h"

#include <string.h>

#include "plugin/memory.h"
#include "plugin/refusal.h"

static const char *const denial_codes[DENIALS] = {
    [DENIAL_NONE] = "none",           [DENIAL_POLICY] = "not_authorised", [DENIAL_EXPIRED] = "session_over",
    [DENIAL_RETAIN] = "not_retained", [DENIAL_ADDRESS] = "no_such_topic",
};

static acceptance deny(host *h, const session *s, text topic, text payload, denial why, const char *detail) {
    h->counters.denials[why]++;
    refusal_send_unread(h, s, topic, payload, denial_codes[why], detail);
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

static acceptance journal_failed(host *h, const msg_type *type, int fault) {
    h->counters.journal_refused++;
    if (!h->journal_failing[type->urgent])
        host_log(MOSQ_LOG_ERR,
                 "the journal takes no %s messages now (%s): clients keep them and are disconnected",
                 type->urgent ? "alert" : "ordinary", strerror(-fault));
    h->journal_failing[type->urgent] = true;
    return ACCEPTANCE_UNAVAILABLE;
}

static acceptance keep(host *h, const session *s, const msg_type *type, text topic, text payload,
                       unsigned flags) {
    list_roles(s->who, &h->roles);
    record r = {
        .received_at = instant_now(),
        .flags = flags,
        .org = text_of(s->who->org),
        .sender = text_of(s->who->subject),
        .client = text_of(s->client_id),
        .roles = buf_text(&h->roles),
        .topic = topic,
        .payload = payload,
    };
    buf_clear(&h->record);
    record_encode(&r, &h->record);
    uint64_t seq = 0;
    int fault = buf_failed(&h->roles) < 0 ? buf_failed(&h->roles) : buf_failed(&h->record);
    if (fault == 0)
        fault = journal_append(h->journal, buf_text(&h->record),
                               type->urgent ? JOURNAL_URGENT : JOURNAL_ORDINARY, type->sync, &seq);
    if (fault < 0)
        return journal_failed(h, type, fault);
    h->journal_failing[type->urgent] = false;
    return ACCEPTANCE_TAKEN;
}

/* Who raises belongs to the incident from that moment, on this broker without waiting for the database. An
 * incident that is known already is left to the database to judge: its id may have been learned by somebody
 * else. */
static void join_raiser(host *h, const session *s, const address *where) {
    text org = text_of(s->who->org);
    if (where->family != ADDRESS_ALERT || !text_equal(where->leaf, TEXT("raise")) ||
        membership_any(h->members, org, ADDRESS_ALERT, where->id))
        return;
    memory_member(h, RESULT_MEMBER_SET, org, ADDRESS_ALERT, where->id, text_of(s->who->subject),
                  RELATION_RAISER);
}

static bool is_gateway(const session *s) {
    for (size_t i = 0; i < s->who->n_roles; i++)
        if (strcmp(s->who->roles[i], "gateway") == 0)
            return true;
    return false;
}

acceptance acceptance_judge(host *h, const session *s, text topic, text payload, bool retain,
                            unsigned flags) {
    address where;
    const msg_type *type = address_parse(topic, &where) ? msg_type_at(&where) : NULL;
    if (!type)
        return deny(h, s, topic, payload, DENIAL_ADDRESS, "no client message travels at this topic");
    if (retain && !type->retained)
        return deny(h, s, topic, payload, DENIAL_RETAIN, "messages of this type must not be retained");

    char why[CATALOG_WHY_MAX] = "", id[UUID_TEXT_LEN + 1] = "";
    msg_checked checked = {0};
    msg_verdict verdict = msg_check(h->catalog, type, payload, instant_now(), &checked, why, id);
    h->counters.messages[verdict]++;
    if (verdict == MSG_NO_MEMORY)
        return ACCEPTANCE_UNAVAILABLE;
    if (verdict != MSG_ACCEPTED) {
        refusal_send(s, topic, id, msg_verdict_name(verdict), why);
        return ACCEPTANCE_REFUSED;
    }
    (void)json_free(checked.body);
    type = checked.type;
    if (type->kind && !is_gateway(s))
        return deny(h, s, topic, payload, DENIAL_POLICY, "only Mayday's gateway may say this");
    acceptance outcome = type->stored ? keep(h, s, type, topic, payload, flags) : ACCEPTANCE_TAKEN;
    if (outcome == ACCEPTANCE_TAKEN)
        join_raiser(h, s, &where);
    return outcome;
}
