/* figures.c - see figures.h. docs/operations.md says what to do about them. */
#include "gateway/figures.h"

#include <string.h>

#include "base/attr.h"

static const struct {
    const char *name, *help;
} rows[] = {
    {"mayday_gateway_states_published_total",
     "Retained truths published or cleared: states, dispatches, presences."},
    {"mayday_gateway_messages_published_total", "Messages to inboxes, rejections and other single messages."},
    {"mayday_gateway_publish_unanswered_total",
     "Publishes that the broker did not confirm; they are made again."},
    {"mayday_gateway_refusals_total", "Rounds in which the broker refused what was to be published."},
    {"mayday_gateway_messages_put_aside_total",
     "Messages given up after the broker refused them again and again."},
    {"mayday_gateway_outbox_entries", "What waits to be published."},
    {"mayday_gateway_outbox_oldest_seconds", "How long the oldest of it waits."},
    {"mayday_gateway_check_alarms_total",
     "Alarms raised by Mayday itself: a check without an answer, or with a cry for help."},
    {"mayday_gateway_timer_checks_total", "Questions asked because somebody's timer ran out."},
    {"mayday_gateway_timers", "Timers this gateway has at hand for when the database is away."},
    {"mayday_gateway_timers_asked_total", "Of their questions those asked without a keeper."},
    {"mayday_gateway_timers_raised_total", "Alarms for them that were raised without a keeper."},
    {"mayday_gateway_tidied_rows_total",
     "Positions and vital signs removed because their organisation keeps them no longer."},
    {"mayday_gateway_clock_steps_total", "How often the database's clock was set, by its direction."},
    {"mayday_gateway_escalation_levels_total", "Levels of escalations that were told."},
    {"mayday_gateway_escalations_exhausted_total", "Escalations that nobody answered."},
    {"mayday_gateway_escalation_failures_total",
     "Steps of escalations that could not be stored, or were taken by the plan of last resort."},
    {"mayday_gateway_hooks_total", "What providers sent over HTTP, signed as it has to be."},
    {"mayday_gateway_hooks_forged_total",
     "What was sent to the providers' addresses without a good signature."},
    {"mayday_gateway_hooks_malformed_total", "What a provider signed, and made no sense."},
    {"mayday_gateway_hooks_unkept_total", "What a provider sent and could not be kept; it was told so."},
    {"mayday_gateway_mail_total", "Receipts and answers brought into the database."},
    {"mayday_gateway_mail_refused_total", "Receipts and answers that the database will never take."},
    {"mayday_gateway_answers_total", "Answers by phone that were handed to the broker as actions."},
    {"mayday_gateway_standby_incidents_total", "Incidents told by this gateway without the database."},
    {"mayday_gateway_standby_sent_total", "Messages it sent for them."},
    {"mayday_gateway_standby_answers_total", "Answers by phone it handed to the broker meanwhile."},
    {"mayday_gateway_standby_waiting", "Incidents heard and not yet known to be in the database."},
    {"mayday_gateway_zones_watched", "Zones of the organisations this gateway judges."},
    {"mayday_gateway_zone_people_inside", "People inside of at least one of them."},
    {"mayday_gateway_zone_messages_waiting", "What is still to be said of them."},
    {"mayday_gateway_zone_positions_total", "Positions judged."},
    {"mayday_gateway_zone_positions_lost_total", "Positions heard that there was no room for."},
    {"mayday_gateway_zone_events_total", "What people did in zones, by event."},
    {"mayday_gateway_zone_events_given_up_total",
     "Messages about zones that the broker refused again and again."},
    {"mayday_gateway_zone_silences_total", "Questions of zones that this gateway itself made alarms of."},
    {"mayday_gateway_vitals_people", "People whose vital signs this gateway follows."},
    {"mayday_gateway_vitals_readings_total", "Readings judged, by where they came from."},
    {"mayday_gateway_vitals_doubted_total", "Readings of which nothing could be believed."},
    {"mayday_gateway_vitals_lost",
     "Readings that came faster than they could be judged; events are never among them."},
    {"mayday_gateway_vitals_findings_total", "Rules broken, worse, or over."},
    {"mayday_gateway_vital_alerts_total", "Findings told to dispatch."},
    {"mayday_gateway_vitals_questions_total", "Questions and their repetitions that a broker took."},
    {"mayday_gateway_vitals_talks_total", "Conversations, by what came of them."},
    {"mayday_gateway_vitals_raises_total", "Alarms this gateway raised itself for vital signs."},
    {"mayday_gateway_vitals_handed_total", "Alarms no broker took, told from here."},
    {"mayday_gateway_vitals_unsent", "Findings, questions and alarms that no broker has yet."},
    {"mayday_gateway_vitals_unsaid_total", "Findings given up because too many waited for the broker."},
    {"mayday_gateway_syncs_total", "Requests to catch up that were answered."},
    {"mayday_gateway_sync_pages_total", "Pages sent to those who catch up."},
    {"mayday_gateway_audit_sealed_total", "Entries chained into the audit trail."},
    {"mayday_gateway_audit_checkpoints_total", "Checkpoints of the audit trail signed."},
    {"mayday_gateway_audit_pending", "Entries that wait to be chained."},
    {"mayday_gateway_attempts_total", "Messages handed to providers, by what came of it."},
    {"mayday_gateway_notifications_given_up_total", "Notifications that were not sent, by the reason."},
    {"mayday_gateway_notifications_due", "Notifications that are due and not sent yet."},
    {"mayday_gateway_notifications_late_seconds", "How long the oldest of them is due."},
    {"mayday_gateway_orphans_total", "Requests left behind by a gateway that is gone."},
    {"mayday_gateway_searches_total",
     "Looks into a provider's list for a message in doubt, by what was found."},
    {"mayday_gateway_provider_open", "Whether the circuit breaker keeps messages from the provider."},
    {"mayday_gateway_provider_under_way", "Requests to the provider under way."},
    {"mayday_gateway_audit_lag_seconds", "How long the oldest of them waits."},
};

const char *figure_help(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].help;
    return "A figure of this gateway's services.";
}
