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
#include "base/uuid.h"

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
    ACTION_HOLD,
} incident_action;

const char *incident_status_name(incident_status s);
incident_status incident_status_named(text name); /* INCIDENT_NONE when unknown */
const char *incident_action_name(incident_action a);
incident_action incident_action_named(text name);
bool incident_closed(incident_status s); /* resolved or canceled */

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
    INCIDENT_DISPLACED, /* it was applied, until late data showed that it came second: see incident_replay()
                         */
} incident_verdict;

/* "not_allowed", "illegal", "stale", "applied", "noted", "displaced" */
const char *incident_verdict_name(incident_verdict v);
incident_verdict incident_verdict_named(text name); /* INCIDENT_NOT_ALLOWED when unknown */

typedef struct incident_request {
    incident_action action;
    unsigned standing;        /* of the sender */
    int64_t expected_version; /* -1: none */
} incident_request;

/* Refusals in this order: who may not do it learns nothing else (not_allowed); who looked at an old version
 * is told so before anything is said of the status (stale); then illegal. *ret_next is the status afterwards
 * (the same when the action changes none); written with INCIDENT_APPLIED and INCIDENT_NOTED only. */
incident_verdict incident_judge(incident_status now, int64_t version, const incident_request *request,
                                incident_status *ret_next);

/* Late data: actions queued on a device without a connection come in any order, long after they were done. */

/* When an action counts as done. Online: when it was received. Offline: by the device's clock, but never
 * before the alert reached us and never after the action itself did: a clock that is wrong can't rewrite more
 * than that. */
instant incident_effective_time(bool offline, instant at, instant alert_received_at, instant received_at);

/* One offline action of the run that is replayed. */
typedef struct incident_item {
    /* in */
    uuid id; /* of its message. It decides between two of the same moment, and holds the device's time itself
              */
    instant at; /* incident_effective_time() */
    incident_action action;
    unsigned standing;    /* of its sender */
    incident_verdict was; /* what its row says so far; zero for the one that has just come */
    size_t tag;           /* the caller's own: the replay sorts the items */
    /* out */
    incident_verdict verdict;
    incident_status from, to; /* the same when it changed none, and when it was refused */
} incident_item;

/* Puts the items in the order of their time and judges each in turn, from `before` on and without an expected
 * version. Returns the status after the last.
 *
 * How to use it, for every offline action that is no note: let the run be the incident's offline actions,
 * whatever was said of them so far (applied, displaced, illegal, not_allowed), that were received after its
 * last *online* one that was applied: that one, and all before it, is never undone. `before` is the status in
 * front of the run: the to_status of that online action, or active when there was none. Items: the run and
 * the new one. Afterwards the rows with verdict != was are to be changed, and so is the incident, when the
 * status returned is not what it has (or when something was applied). Thus the same actions give the same
 * incident, in whatever order they come.
 *
 * The verdict is applied or noted, as incident_judge() has it; not_allowed; displaced when it is refused now
 * and had been applied before; else illegal. An item that was displaced and is refused again stays displaced.
 */
incident_status incident_replay(incident_status before, incident_item *items, size_t count);

#endif
