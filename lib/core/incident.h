/* incident.h - what an incident is over its life: which action is legal when, and for whom.
 *
 *   active -> acknowledged -> (enroute -> on_scene) -> resolved;  active, acknowledged -> canceled;
 *   resolved, canceled -> active (reopen)
 *
 * Pure: the caller brings what the database holds (locked), and stores what comes out in the same
 * transaction. Threads: no state. */
#ifndef MAYDAY_CORE_INCIDENT_H
#define MAYDAY_CORE_INCIDENT_H

#include "base/instant.h"
#include "base/text.h"

typedef enum incident_status {
    INCIDENT_NONE = 0,
    INCIDENT_ACTIVE,
    INCIDENT_ACKNOWLEDGED,
    INCIDENT_ENROUTE,
    INCIDENT_ON_SCENE,
    INCIDENT_RESOLVED,
    INCIDENT_CANCELED,
} incident_status;

typedef enum incident_action {
    ACTION_NONE = 0,
    ACTION_ACKNOWLEDGE,
    ACTION_ASSIGN,
    ACTION_UNASSIGN,
    ACTION_INVITE,
    ACTION_ESCALATE,
    ACTION_CANCEL,
    ACTION_RESOLVE,
    ACTION_REOPEN,
    ACTION_NOTE,
    ACTION_ENROUTE,
    ACTION_ON_SCENE,
} incident_action;

const char *incident_status_name(incident_status s);
incident_status incident_status_named(text name); /* INCIDENT_NONE when unknown */
const char *incident_action_name(incident_action a);
incident_action incident_action_named(text name);
bool incident_closed(incident_status s);

/* What the sender is to the incident: bits. */
typedef enum incident_standing {
    STANDING_RAISER = 1 << 0,
    STANDING_ASSIGNED = 1 << 1,
    STANDING_INVITED = 1 << 2,
    STANDING_DISPATCHER = 1 << 3, /* by role */
    STANDING_SUPERVISOR = 1 << 4, /* by role */
    STANDING_GATEWAY = 1 << 5,    /* by role: Mayday itself */
} incident_standing;

typedef enum incident_verdict {
    INCIDENT_NOT_ALLOWED = 0, /* not this sender */
    INCIDENT_ILLEGAL,         /* not in this status */
    INCIDENT_STALE,           /* expected_version is not the version */
    INCIDENT_APPLIED,         /* a new version, perhaps a new status */
    INCIDENT_NOTED,           /* into the timeline alone: no new version */
} incident_verdict;

const char *incident_verdict_name(incident_verdict v); /* "not_allowed", "illegal", "stale", "applied", "noted" */

typedef struct incident_request {
    incident_action action;
    unsigned standing;        /* of the sender */
    int64_t expected_version; /* -1: none */
} incident_request;

/* *ret_next is the status afterwards (the same when the action changes none); written with INCIDENT_APPLIED and
 * INCIDENT_NOTED only. */
incident_verdict incident_judge(incident_status now, int64_t version, const incident_request *request,
                                incident_status *ret_next);

#endif
