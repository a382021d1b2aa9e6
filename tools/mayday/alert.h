/* alert.h - `mayday alert`: what its options say, and the two halves behind it: looking (alert_look.c, over
 * the database) and acting (alert_act.c, over MQTT, as anybody who helps would). */
#ifndef MAYDAY_TOOLS_ALERT_H
#define MAYDAY_TOOLS_ALERT_H

#include "link.h"

typedef struct alert_options {
    link_options link;
    const char *config_path;
    const char *database;
    const char *id, *person, *reason, *pin_file;
    int64_t expected, limit, wait_ms; /* expected: -1 for none */
    int64_t level, seconds;           /* of escalate, of hold; 0: not said */
    bool all, locations, json;
} alert_options;

NODISCARD int alert_list(const command *c, const alert_options *o);
NODISCARD int alert_show(const command *c, const alert_options *o);
NODISCARD int alert_nearest(const command *c, const alert_options *o);

/* What an action is called in the protocol, and how its effect is recognised in the incident's state. */
typedef struct alert_deed {
    const char *action; /* in the message */
    const char *role;   /* as whom, when a token is minted and nothing else is said */
    const char *done;   /* "acknowledged", for people */
    /* What the state says when it took effect; each NULL or the value it must have. */
    const char *status;
    const char *holds, *lacks; /* the list that then names the person, or no longer does */
    bool by_us;                /* receipts.acknowledged.by is the sender */
    bool silent;               /* no new version follows: it is in the timeline alone */
} alert_deed;

NODISCARD int alert_act(const command *c, const alert_options *o, const alert_deed *deed);

#endif
