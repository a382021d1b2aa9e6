/* incident.c - the one table of what may happen to an incident; see incident.h. */
#include "core/incident.h"

#include <stdlib.h>
#include <string.h>

#define IN(status)   (1u << (status))
#define ACTIVE       IN(INCIDENT_ACTIVE)
#define ACKNOWLEDGED IN(INCIDENT_ACKNOWLEDGED)
#define ENROUTE      IN(INCIDENT_ENROUTE)
#define ON_SCENE     IN(INCIDENT_ON_SCENE)
#define RESOLVED     IN(INCIDENT_RESOLVED)
#define CANCELED     IN(INCIDENT_CANCELED)
#define OPEN         (ACTIVE | ACKNOWLEDGED | ENROUTE | ON_SCENE)
#define SAME         INCIDENT_NONE

#define DESK    (STANDING_DISPATCHER | STANDING_SUPERVISOR)
#define ANYBODY (STANDING_RAISER | STANDING_ASSIGNED | STANDING_INVITED | DESK | STANDING_GATEWAY)
/* Invited is also whoever the escalation told; a gateway speaks for those it reached by phone. */
#define ANSWERING (DESK | STANDING_ASSIGNED | STANDING_INVITED | STANDING_GATEWAY)
#define DRIVING   (STANDING_ASSIGNED | STANDING_DISPATCHER)
#define ARRIVING  (ENROUTE | ON_SCENE)

/* An action may have several rows, with the same `who` and distinct `from`. One row more is one transition
 * more. */
static const struct transition {
    incident_action action;
    unsigned from; /* IN() of each status it is legal in */
    incident_status to;
    unsigned who; /* any one of these standings will do */
    incident_verdict verdict;
} transitions[] = {
    {ACTION_ACKNOWLEDGE, ACTIVE, INCIDENT_ACKNOWLEDGED, ANSWERING, INCIDENT_APPLIED},
    {ACTION_ASSIGN, OPEN, SAME, DESK, INCIDENT_APPLIED},
    {ACTION_UNASSIGN, OPEN, SAME, DESK, INCIDENT_APPLIED},
    {ACTION_INVITE, OPEN, SAME, DESK | STANDING_ASSIGNED, INCIDENT_APPLIED},
    {ACTION_ESCALATE, OPEN, SAME, ANYBODY, INCIDENT_APPLIED},
    {ACTION_HOLD, OPEN, SAME, DESK, INCIDENT_APPLIED},
    {ACTION_CANCEL, ACTIVE | ACKNOWLEDGED, INCIDENT_CANCELED, STANDING_RAISER, INCIDENT_APPLIED},
    {ACTION_RESOLVE, ACKNOWLEDGED | ARRIVING, INCIDENT_RESOLVED, DESK | STANDING_ASSIGNED, INCIDENT_APPLIED},
    {ACTION_REOPEN, RESOLVED | CANCELED, INCIDENT_ACTIVE, STANDING_SUPERVISOR, INCIDENT_APPLIED},
    {ACTION_NOTE, OPEN | RESOLVED | CANCELED, SAME, ANYBODY, INCIDENT_NOTED},
    {ACTION_ENROUTE, ACKNOWLEDGED, INCIDENT_ENROUTE, DRIVING, INCIDENT_APPLIED},
    {ACTION_ENROUTE, ARRIVING, SAME, DRIVING, INCIDENT_APPLIED}, /* another responder is on the way, too */
    {ACTION_ON_SCENE, ARRIVING, INCIDENT_ON_SCENE, DRIVING, INCIDENT_APPLIED},
};

static const char *const status_names[] = {
    [INCIDENT_NONE] = "none",
    [INCIDENT_ACTIVE] = "active",
    [INCIDENT_ACKNOWLEDGED] = "acknowledged",
    [INCIDENT_ENROUTE] = "enroute",
    [INCIDENT_ON_SCENE] = "on_scene",
    [INCIDENT_RESOLVED] = "resolved",
    [INCIDENT_CANCELED] = "canceled",
};

static const char *const action_names[] = {
    [ACTION_NONE] = "none",         [ACTION_ACKNOWLEDGE] = "acknowledge", [ACTION_ASSIGN] = "assign",
    [ACTION_UNASSIGN] = "unassign", [ACTION_INVITE] = "invite",           [ACTION_ESCALATE] = "escalate",
    [ACTION_CANCEL] = "cancel",     [ACTION_RESOLVE] = "resolve",         [ACTION_REOPEN] = "reopen",
    [ACTION_NOTE] = "note",         [ACTION_ENROUTE] = "enroute",         [ACTION_ON_SCENE] = "on_scene",
    [ACTION_HOLD] = "hold",
};

static const char *const verdict_names[] = {
    [INCIDENT_NOT_ALLOWED] = "not_allowed",
    [INCIDENT_ILLEGAL] = "illegal",
    [INCIDENT_STALE] = "stale",
    [INCIDENT_APPLIED] = "applied",
    [INCIDENT_NOTED] = "noted",
    [INCIDENT_DISPLACED] = "displaced",
};

/* The index of `name`, from `first` on; 0 when it is none of them. */
static size_t named(const char *const *names, size_t first, size_t count, text name) {
    for (size_t i = first; i < count; i++)
        if (text_equal(text_of(names[i]), name))
            return i;
    return 0;
}

const char *incident_status_name(incident_status s) {
    return status_names[s];
}

incident_status incident_status_named(text name) {
    return (incident_status)named(status_names, 1, ARRAY_LEN(status_names), name);
}

const char *incident_action_name(incident_action a) {
    return action_names[a];
}

incident_action incident_action_named(text name) {
    return (incident_action)named(action_names, 1, ARRAY_LEN(action_names), name);
}

const char *incident_verdict_name(incident_verdict v) {
    return verdict_names[v];
}

incident_verdict incident_verdict_named(text name) {
    return (incident_verdict)named(verdict_names, 0, ARRAY_LEN(verdict_names), name);
}

bool incident_closed(incident_status s) {
    return s == INCIDENT_RESOLVED || s == INCIDENT_CANCELED;
}

incident_verdict incident_judge(incident_status now, int64_t version, const incident_request *request,
                                incident_status *ret_next) {
    const struct transition *legal = NULL;
    bool allowed = false;
    for (const struct transition *t = transitions; t < transitions + ARRAY_LEN(transitions); t++) {
        if (t->action != request->action || !(t->who & request->standing))
            continue;
        allowed = true;
        if (t->from & IN(now))
            legal = t;
    }
    if (!allowed)
        return INCIDENT_NOT_ALLOWED;
    if (request->expected_version >= 0 && request->expected_version != version)
        return INCIDENT_STALE;
    if (!legal)
        return INCIDENT_ILLEGAL;
    *ret_next = legal->to == SAME ? now : legal->to;
    return legal->verdict;
}

instant incident_effective_time(bool offline, instant at, instant alert_received_at, instant received_at) {
    if (!offline || at > received_at || alert_received_at > received_at)
        return received_at;
    return at < alert_received_at ? alert_received_at : at;
}

static int earlier(const void *left, const void *right) {
    const incident_item *a = left, *b = right;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return memcmp(a->id.bytes, b->id.bytes, sizeof a->id.bytes);
}

incident_status incident_replay(incident_status before, incident_item *items, size_t count) {
    incident_status now = before;
    if (count > 1)
        qsort(items, count, sizeof *items, earlier);
    for (incident_item *i = items; i < items + count; i++) {
        const incident_request request = {i->action, i->standing, -1};
        i->from = i->to = now;
        i->verdict = incident_judge(now, 0, &request, &i->to);
        if (i->verdict == INCIDENT_ILLEGAL && (i->was == INCIDENT_APPLIED || i->was == INCIDENT_DISPLACED))
            i->verdict = INCIDENT_DISPLACED;
        now = i->to;
    }
    return now;
}
