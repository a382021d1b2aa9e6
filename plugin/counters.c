/* counters.c - see counters.h. One topic for each figure, so that any MQTT dashboard can show it without
 * parsing. */
#include "plugin/counters.h"

#include <stdio.h>

#include "plugin/host.h"

static void publish(const char *name, const char *sub, double value, int decimals) {
    char topic[160], payload[40];
    (void)snprintf(topic, sizeof topic, "$SYS/broker/mayday/%s%s%s", name, sub[0] ? "/" : "", sub);
    int len = snprintf(payload, sizeof payload, "%.*f", decimals, value);
    (void)mosquitto_broker_publish_copy(NULL, topic, len, payload, 0, true, NULL);
}

static void figure(const char *name, uint64_t value) {
    publish(name, "", (double)value, 0);
}

static void publish_verdicts(const counters *c) {
    static const char *const denials[DENIALS] = {
        [DENIAL_POLICY] = "not_authorised", [DENIAL_EXPIRED] = "session_over",
        [DENIAL_RETAIN] = "not_retained",   [DENIAL_ADDRESS] = "no_such_topic",
        [DENIAL_LIMIT] = "rate_limited",    [DENIAL_STALE] = "stale",
    };
    for (size_t i = 0; i < TOKEN_VERDICTS; i++)
        publish("tokens", token_verdict_name((token_verdict)i), (double)c->tokens[i], 0);
    figure("tokens/client_id_refused", c->client_id_refused);
    figure("tokens/username_refused", c->username_refused);
    figure("tokens/revoked", c->revoked_refused);
    figure("tokens/renewed", c->tokens_renewed);
    for (size_t i = 0; i < MSG_VERDICTS; i++)
        publish("messages", msg_verdict_name((msg_verdict)i), (double)c->messages[i], 0);
    for (size_t i = 1; i < DENIALS; i++)
        publish("messages", denials[i], (double)c->denials[i], 0);
    figure("messages/journal_refused", c->journal_refused);
    figure("messages/wills", c->wills);
    figure("messages/repeated_raises", c->repeated_raises);
    figure("messages/bridged", c->bridged);
    figure("subscriptions/denied", c->subscriptions_denied);
    figure("deliveries/denied", c->deliveries_denied);
    figure("events/journaled", c->events);
    figure("events/left_out", c->events_left_out);
    figure("events/lost", c->events_lost);
    figure("sessions/ended_expired", c->kicked_expired);
    figure("sessions/ended_revoked", c->kicked_revoked);
}

static void publish_journal(const journal_figures *j, const writer_figures *w, instant now) {
    uint64_t lag = j->last_seq > w->written_seq ? j->last_seq - w->written_seq : 0;
    instant age =
        lag && w->written_received_at && now > w->written_received_at ? now - w->written_received_at : 0;
    figure("journal/records", j->last_seq);
    figure("journal/bytes", j->bytes);
    figure("journal/lag_records", lag);
    publish("journal/lag_seconds", "", (double)age / (double)INSTANT_SECOND, 1);
    figure("journal/in_reserve", j->in_reserve);
    figure("journal/doubtful", j->doubtful);
    figure("journal/damaged_places", j->skipped_places);
    figure("journal/flush_us/last", j->flush_us_last);
    figure("journal/flush_us/max", j->flush_us_max);
    figure("journal/flush_us/mean", j->flushes ? j->flush_us_sum / j->flushes : 0);
    figure("database/connected", w->connected);
    figure("database/rows", w->rows);
    figure("database/duplicates", w->duplicates);
    figure("database/dead_letters", w->dead_letters);
    figure("database/batches", w->batches);
    figure("database/failed_batches", w->failed_batches);
    figure("database/reconnects", w->reconnects);
    figure("database/batch_us/last", w->batch_us_last);
    figure("database/batch_us/max", w->batch_us_max);
    figure("database/batch_us/mean", w->batches ? w->batch_us_sum / w->batches : 0);
}

typedef struct census {
    const policy *policy;
    uint64_t live[POLICY_ROLES_MAX];
} census;

/* A session counts once for each of its roles. */
static void count_roles(void *context, session *s) {
    census *c = context;
    if (!s->live)
        return;
    uint64_t roles = policy_roles(c->policy, s->who->roles, s->who->n_roles);
    for (size_t i = 0; i < POLICY_ROLES_MAX; i++)
        c->live[i] += roles >> i & 1;
}

static void publish_sessions(host *h) {
    census c = {.policy = h->policy};
    sessions_each(h->sessions, count_roles, &c);
    figure("sessions/live", sessions_live(h->sessions));
    figure("sessions/remembered", sessions_count(h->sessions));
    for (size_t i = 0; i < policy_role_count(h->policy); i++)
        publish("sessions/role", policy_role_name(h->policy, i), (double)c.live[i], 0);
    figure("memberships", membership_count(h->members));
    figure("revocations", revocations_count(h->revoked));
}

void counters_publish(host *h) {
    journal_figures j = {0};
    writer_figures w = {0};
    journal_figures_get(h->journal, &j);
    writer_figures_get(h->writer, &w);
    publish_verdicts(&h->counters);
    publish_journal(&j, &w, h->now);
    publish_sessions(h);
}
