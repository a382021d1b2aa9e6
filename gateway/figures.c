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
    {"mayday_gateway_escalation_levels_total", "Levels of escalations that were told."},
    {"mayday_gateway_escalations_exhausted_total", "Escalations that nobody answered."},
    {"mayday_gateway_escalation_failures_total",
     "Steps of escalations that could not be stored, or were taken by the plan of last resort."},
    {"mayday_gateway_syncs_total", "Requests to catch up that were answered."},
    {"mayday_gateway_sync_pages_total", "Pages sent to those who catch up."},
    {"mayday_gateway_audit_sealed_total", "Entries chained into the audit trail."},
    {"mayday_gateway_audit_checkpoints_total", "Checkpoints of the audit trail signed."},
    {"mayday_gateway_audit_pending", "Entries that wait to be chained."},
    {"mayday_gateway_audit_lag_seconds", "How long the oldest of them waits."},
};

const char *figure_help(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].help;
    return "A figure of this gateway's services.";
}
